#include "backends/cpu/norm/norm_kernel.h"
