#include "backends/cpu/quantized/tile_products.h"
