#include "backends/cpu/conv/conv_kernel.h"
