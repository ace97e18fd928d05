#include "backends/cpu/pointwise/vm_pairs.h"
