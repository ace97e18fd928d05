#include "backends/cpu/winograd_conv/winograd_plan.h"

#include <algorithm>
#include <new>

#include "format/checked.h"

namespace floe::cpu {
namespace {

constexpr int64_t kTasksPerWorker = 4;
constexpr int64_t kLeastTiles = 6;          // Of a task that is split off for another worker.
constexpr double kWeightsInL2 = 512 << 10;  // Bytes of u that every block may read again.

void ChooseTasks(uint32_t workers, WinogradState* s) {
  const winograd::Blocking& b = s->blocking;
  s->tile_blocks = CeilDiv(b.tiles, b.block);
  if (workers <= 1) return;
  const double weights = 4.0 * static_cast<double>(b.t * b.t) * 16 * static_cast<double>(b.panels) *
                         static_cast<double>(s->panel_rows);
  const int64_t wanted = workers * kTasksPerWorker;
  if (weights > kWeightsInL2 && s->tile_blocks < wanted && s->groups > 1) {
    // Each worker reads its own part of u once.
    s->group_blocks = std::min(s->groups, CeilDiv(wanted, s->tile_blocks));
    return;
  }
  const int64_t most = std::max<int64_t>(1, b.tiles / kLeastTiles);
  s->tile_blocks = std::max(s->tile_blocks, std::min(wanted, most));
  // An equal share for every worker.
  const int64_t even = CeilDiv(s->tile_blocks, int64_t{workers}) * workers;
  if (even <= most) s->tile_blocks = even;
}

}  // namespace

void PrepareWinograd(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                     WinogradState* state) {
  auto* s = new (state) WinogradState{};
  PrepareWinogradProduct(op, &s->product);
  if (s->product.empty) return;
  int64_t scratch_bytes;
  if (!winograd::PlanBlocks(op, &s->blocking, &scratch_bytes)) return;  // Check has passed.
  const winograd::Blocking& b = s->blocking;
  s->channels = op.inputs[1].dims[1];
  s->panel_rows = op.inputs[0].dtype == DType::kBF16 ? CeilDiv(s->channels, 2) : s->channels;
  s->outputs = op.outputs[0].dims[1];
  s->groups = CeilDiv(b.panels, b.group_panels);
  ChooseTasks(context.workers, s);
  const int64_t rows = CeilDiv(b.tiles, s->tile_blocks);
  const Tiling tiling =
      ChooseTiling({.m = rows, .n = b.group_panels * 16, .k = s->panel_rows}, set);
  s->row_tiles = tiling.row_tiles;
  s->tile_panels = tiling.tile_panels;
}

}  // namespace floe::cpu
