#include "backends/cpu/recurrence/recurrence_kernel.h"
