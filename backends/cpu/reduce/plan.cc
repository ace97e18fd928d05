#include "backends/cpu/reduce/plan.h"

#include "backends/cpu/loops.h"

namespace floe::cpu {
namespace {

void Append(ReduceAxes* axes, int64_t size, int64_t x_stride, int64_t y_stride) {
  // Merges with the axis outside where both walk as one.
  if (axes->count > 0) {
    const int last = axes->count - 1;
    if (axes->x_stride[last] == size * x_stride && axes->y_stride[last] == size * y_stride) {
      axes->size[last] *= size;
      axes->x_stride[last] = x_stride;
      axes->y_stride[last] = y_stride;
      return;
    }
  }
  axes->size[axes->count] = size;
  axes->x_stride[axes->count] = x_stride;
  axes->y_stride[axes->count] = y_stride;
  ++axes->count;
}

int64_t Product(const ReduceAxes& axes) {
  int64_t n = 1;
  for (int a = 0; a < axes.count; ++a) n *= axes.size[a];
  return n;
}

}  // namespace

void PlanReduce(const OpInfo& op, const PrepareContext& context, ReducePlan* plan) {
  *plan = ReducePlan{};
  const TensorInfo& x = op.inputs[0];
  const int64_t mask = op.attrs[1];
  int64_t stride[kMaxRank];
  TensorStrides(x, stride, &plan->x_offset);
  // Strides of the result, by x's axes.
  int64_t y_stride[kMaxRank] = {};
  int64_t step = 1;
  for (int axis = x.rank - 1; axis >= 0; --axis) {
    if ((mask >> axis & 1) != 0) {
      plan->count *= x.dims[axis];
    } else {
      y_stride[axis] = step;
      step *= x.dims[axis];
    }
  }
  // Axes in the order of storage, outermost first (insertion sort: at most 8).
  int order[kMaxRank];
  int n = 0;
  for (int axis = 0; axis < x.rank; ++axis) {
    if (x.dims[axis] == 1) continue;
    int at = n++;
    for (; at > 0 && stride[order[at - 1]] < stride[axis]; --at) order[at] = order[at - 1];
    order[at] = axis;
  }
  for (int i = 0; i < n; ++i) {
    const int axis = order[i];
    const bool reduced = (mask >> axis & 1) != 0;
    Append(reduced ? &plan->reduced : &plan->kept, x.dims[axis], stride[axis],
           reduced ? 0 : y_stride[axis]);
  }
  // The innermost axis of all becomes the vector loop, the innermost reduced one the loop inside.
  const bool has = n > 0;
  const bool inner_kept = has && (mask >> order[n - 1] & 1) == 0;
  if (inner_kept && plan->kept.x_stride[plan->kept.count - 1] == 1) {
    const int last = --plan->kept.count;
    plan->lanes = plan->kept.size[last];
    plan->lane_y_stride = plan->kept.y_stride[last];
  }
  // (Few elements side by side are as far apart as channels are many: in one loop, the reads of
  // 7 x 7 pixels of 2048 channels took a sixth longer.)
  constexpr int64_t kFewElements = 128;
  if (plan->reduced.count > 0 && (plan->lanes == 1 || plan->count > kFewElements)) {
    const int last = --plan->reduced.count;
    plan->row = plan->reduced.size[last];
    plan->row_stride = plan->reduced.x_stride[last];
  }
  plan->outer = Product(plan->kept);
  plan->inner = Product(plan->reduced);
  plan->chunks = plan->lanes == 1 ? 1 : (plan->lanes + kLaneBlock - 1) / kLaneBlock;
  const int64_t units = plan->outer * plan->chunks;
  const int64_t unit_work = (plan->lanes < kLaneBlock ? plan->lanes : kLaneBlock) * plan->count + 1;
  plan->tasks = units == 0 ? 0 : TaskCount(units, 32768 / unit_work + 1, context.workers);
}

}  // namespace floe::cpu
