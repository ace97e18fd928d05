#include "backends/cpu/matmul/matmul_kernel.h"
