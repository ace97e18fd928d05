#include "backends/cpu/depthwise_conv/depthwise_conv_kernel.h"
