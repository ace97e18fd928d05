// Where the heads of an attention's operand lie: exporters reshape, slice and transpose the result
// of a projection into [B,H,S,D]; read backwards, these moves are strides, and none of them runs.
#ifndef FLOE_COMPILER_LOWER_HEAD_VIEW_H_
#define FLOE_COMPILER_LOWER_HEAD_VIEW_H_

#include <optional>
#include <vector>

#include "compiler/ir/graph.h"

namespace floe::lower {

// A value [B,H,S,D] as strides into another one: `base`, seen as `shape` (rank 4), has batch, head,
// position and feature on axes[0] to axes[3], and head h is number first + h * step of its axis.
struct HeadView {
  const ir::Value* base = nullptr;
  ir::Shape shape;
  int64_t axes[4] = {0, 1, 2, 3};
  int64_t first = 0, step = 1;
  // The moves between base and value, which need not run for this reader.
  std::vector<const ir::Node*> moves;
};

// The view that goes furthest back. Features are the last axis, unless `any_order`. Gives `value`
// itself if nothing better is found. REQUIRES: rank 4.
HeadView ViewOfHeads(const ir::Value* value, bool any_order);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_HEAD_VIEW_H_
