#include "backends/cpu/quantized/depthwise_kernel.h"
