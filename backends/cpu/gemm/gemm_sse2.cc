#include "backends/cpu/gemm/gemm_kernel.h"
