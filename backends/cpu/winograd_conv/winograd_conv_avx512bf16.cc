#include "backends/cpu/winograd_conv/winograd_conv_kernel.h"
