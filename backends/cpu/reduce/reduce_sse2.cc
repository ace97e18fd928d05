#include "backends/cpu/reduce/reduce_kernel.h"
