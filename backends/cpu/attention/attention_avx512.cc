#include "backends/cpu/attention/attention_kernel.h"
