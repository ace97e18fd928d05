#include "backends/cpu/quantized/products_kernel.h"
