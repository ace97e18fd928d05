#include "backends/cpu/softmax/softmax_kernel.h"
