#include "backends/cpu/pool/pool_kernel.h"
