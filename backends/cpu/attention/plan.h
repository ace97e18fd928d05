// What Prepare of family attention leaves for Run. Compiled once, for the baseline.
#ifndef FLOE_BACKENDS_CPU_ATTENTION_PLAN_H_
#define FLOE_BACKENDS_CPU_ATTENTION_PLAN_H_

#include "backends/cpu/gemm/tiling.h"
#include "backends/families/attention.h"
#include "backends/kernel.h"

namespace floe::cpu {

struct AttentionPlan {
  families::AttentionShape shape;
  families::AttentionScratch scratch;
  // A unit of work is a block of queries of one head; units of a head follow one another.
  int64_t query_block = 0, query_blocks = 0;
  int64_t key_block = 0;
  int64_t units = 0;
  uint32_t tasks = 0;
  // Few queries: keys and values are read where they are, since packing would cost more.
  bool direct = false;
  uint8_t score_panels = 1, result_panels = 1;  // Panels of a register tile.
};
static_assert(sizeof(AttentionPlan) <= families::kAttentionStateBytes);

// `op` has passed Check.
void PlanAttention(const OpInfo& op, const PrepareContext& context, const TileSet& tiles,
                   AttentionPlan* plan);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_ATTENTION_PLAN_H_
