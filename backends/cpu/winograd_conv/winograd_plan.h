// What Prepare decides for a winograd_conv: blocks of tiles, groups of columns, tasks. Compiled
// once, for the baseline.
#ifndef FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_PLAN_H_
#define FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_PLAN_H_

#include <cstdint>

#include "backends/cpu/gemm/product.h"
#include "backends/families/winograd.h"

namespace floe::cpu {

struct WinogradState {
  ProductState product;
  winograd::Blocking blocking;
  int64_t channels = 0;
  int64_t panel_rows = 0;  // Of u: channels, or pairs of them.
  int64_t outputs = 0;
  // Of one matrix product of a whole block with a whole group: tiles in registers.
  int64_t row_tiles = 1;
  int64_t tile_panels = 1;  // Panels side by side in a tile, at most.
  int64_t groups = 1;       // Of group_panels panels; the last one may have fewer.
  // Tasks: tile_blocks x group_blocks, the latter innermost. A task transforms the inputs of its
  // tiles itself, so groups are only split where u is large and tiles are few.
  int64_t tile_blocks = 1;
  int64_t group_blocks = 1;
};
static_assert(sizeof(WinogradState) <= families::kProductStateBytes);

// `op` has u and passed its check.
void PrepareWinograd(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                     WinogradState* state);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_PLAN_H_
