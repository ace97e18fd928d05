#include "backends/cpu/gemm/narrow_tile.h"

namespace floe::cpu::FLOE_ISA {
#define FLOE_TILE(rows_, panels_, columns) \
  table.rows[rows_][panels_] = {&PairTile<rows_, panels_>, FLOE_TILE_NAMES("bf16", rows_, columns)};
FLOE_TILE_KIND(Pair, kTileSet)
}  // namespace floe::cpu::FLOE_ISA
