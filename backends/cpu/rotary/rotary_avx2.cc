#include "backends/cpu/rotary/rotary_kernel.h"
