#include "backends/cpu/lstm/lstm_kernel.h"
