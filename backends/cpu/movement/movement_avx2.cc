#include "backends/cpu/movement/movement_kernel.h"
