#include "backends/cpu/attention/plan.h"

#include <algorithm>
#include <new>

#include "backends/cpu/loops.h"
#include "format/checked.h"

namespace floe::cpu {
namespace {

// From this many queries on, a head's keys and values are worth packing.
constexpr int64_t kPackFrom = 4;

uint8_t TilePanels(int64_t m, int64_t n, int64_t k, const TileSet& tiles) {
  if (m < 1 || n < 1) return 1;
  return ChooseTiling({.outer = 1, .m = m, .n = n, .k = k, .row_bytes = 4 * k, .workers = 1}, tiles)
      .tile_panels;
}

}  // namespace

void PlanAttention(const OpInfo& op, const PrepareContext& context, const TileSet& tiles,
                   AttentionPlan* plan) {
  AttentionPlan& p = *new (plan) AttentionPlan{};
  families::AttentionShape& s = p.shape;
  // Check has accepted both, so neither can fail.
  if (!families::ReadAttention(op, &s).ok() || !AttentionScratchOf(s, &p.scratch)) return;
  if (s.batch == 0 || s.heads == 0 || s.queries == 0 || s.out == 0) return;
  p.direct = s.queries < kPackFrom && s.k.feature == 1;
  p.key_block = AttentionKeyBlock(s);
  // Long blocks use packed keys most often; with causality short ones skip more.
  p.query_block =
      std::min(s.queries, s.causal ? families::kAttentionQueries / 2 : families::kAttentionQueries);
  // The same for any number of workers: which hidden keys a block meets must not depend on it,
  // since 0 * inf is NaN.
  constexpr int64_t kWanted = 16;
  constexpr int64_t kLeastQueries = 32;
  while (s.batch * s.heads * CeilDiv(s.queries, p.query_block) < kWanted &&
         p.query_block >= 2 * kLeastQueries) {
    p.query_block = CeilDiv(p.query_block, 2);
  }
  p.query_blocks = CeilDiv(s.queries, p.query_block);
  p.units = s.batch * s.heads * p.query_blocks;
  constexpr double kTaskWork = 1 << 18;  // Multiply-adds.
  const double work = static_cast<double>(p.query_block) * static_cast<double>(s.keys) *
                      static_cast<double>(s.width + s.out);
  const auto grain = static_cast<int64_t>(std::min(kTaskWork / (work + 1), 1e6)) + 1;
  p.tasks = TaskCount(p.units, grain, context.workers);
  p.score_panels = TilePanels(p.query_block, p.key_block, s.width, tiles);
  p.result_panels = TilePanels(p.query_block, s.out, p.key_block, tiles);
}

}  // namespace floe::cpu
