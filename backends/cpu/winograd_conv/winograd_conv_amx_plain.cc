#include "backends/cpu/winograd_conv/direct_pairs.h"
