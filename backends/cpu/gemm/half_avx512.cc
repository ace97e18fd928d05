#include "backends/cpu/gemm/narrow_tile.h"

namespace floe::cpu::FLOE_ISA {
#define FLOE_TILE(rows_, panels_, columns) \
  table.rows[rows_][panels_] = {&HalfTile<rows_, panels_>, FLOE_TILE_NAMES("f16w", rows_, columns)};
FLOE_TILE_KIND(Half, kTileSet)
}  // namespace floe::cpu::FLOE_ISA
