#include "backends/cpu/quantized/recurrence_kernel.h"
