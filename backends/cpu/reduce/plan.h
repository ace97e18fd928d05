// The loops of a reduction, made at Prepare: kept axes over results and reduced axes inside, both
// in the order of x's storage, so that the innermost loop runs along memory.
#ifndef FLOE_BACKENDS_CPU_REDUCE_PLAN_H_
#define FLOE_BACKENDS_CPU_REDUCE_PLAN_H_

#include <cstdint>

#include "backends/kernel.h"
#include "format/tensor_info.h"

namespace floe::cpu {

struct ReduceAxes {
  int count = 0;
  int64_t size[kMaxRank];
  int64_t x_stride[kMaxRank];
  int64_t y_stride[kMaxRank];  // Kept axes only.
};

struct ReducePlan {
  ReduceAxes kept;     // Without `lane`, outermost first.
  ReduceAxes reduced;  // Without `row`, outermost first.
  int64_t x_offset = 0;
  // Results side by side in memory (lanes > 1 of x stride 1) and the innermost reduced axis (row
  // elements of x stride row_stride), which lies along memory if there are no lanes.
  int64_t lanes = 1;
  int64_t lane_y_stride = 1;
  int64_t row = 1;
  int64_t row_stride = 1;
  int64_t outer = 1;   // Product of the kept axes' sizes.
  int64_t inner = 1;   // Product of the reduced axes' sizes, without row.
  int64_t count = 1;   // Elements of one result.
  int64_t chunks = 1;  // Lane blocks of kLaneBlock.
  uint32_t tasks = 1;
};
static_assert(sizeof(ReducePlan) <= 1024);

inline constexpr int64_t kLaneBlock = 64;

void PlanReduce(const OpInfo& op, const PrepareContext& context, ReducePlan* plan);

// The offset of iteration `i` of the axes, in strides of x or y.
inline int64_t AxesOffset(const ReduceAxes& axes, const int64_t* stride, int64_t i) {
  int64_t at = 0;
  for (int a = axes.count; a-- > 0; i /= axes.size[a]) at += i % axes.size[a] * stride[a];
  return at;
}

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_REDUCE_PLAN_H_
