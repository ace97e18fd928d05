#include "backends/cpu/pointwise/pointwise_kernel.h"
