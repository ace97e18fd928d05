#include "backends/cpu/gemm/pair_products.h"
