#include "backends/cpu/quantized/bytes_kernel.h"
