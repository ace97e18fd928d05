#include "backends/cpu/pointwise/vm.h"
