#include "backends/cpu/pointwise/plan.h"

#include <algorithm>

#include "format/checked.h"

namespace floe::cpu {
namespace {

constexpr int64_t kTaskTiles = 16;  // Tiles that are worth another task: a few microseconds.

// Elements of a tile: what is alive (registers, operands, the result) shares two thirds of L1.
int64_t TileElements(int registers, uint32_t operands) {
  const int64_t share = 8192 / (registers + operands + 1);
  return std::clamp<int64_t>(std::min<int64_t>(share, 4096 / registers) / 64 * 64, 128, 1024);
}

}  // namespace

void PlanPointwise(const OpInfo& op, const PrepareContext& context, PointwisePlan* plan) {
  *plan = PointwisePlan{};
  const TensorInfo& y = op.outputs[0];
  LoopNest& nest = plan->nest;
  StartNest(y, &nest);
  for (uint32_t i = 0; i < op.input_count; ++i) AddBroadcastOperand(y, op.inputs[i], &nest);
  CollapseNest(&nest);
  // Tiles need two axes, the innermost one contiguous in the result. (It is not where a halo
  // separates pixels of one channel and one column.)
  if (nest.axes == 0 || nest.stride[0][nest.axes - 1] != 1) {
    for (int t = 0; t < nest.tensors; ++t) nest.stride[t][nest.axes] = t == 0 ? 1 : 0;
    nest.size[nest.axes++] = 1;
  }
  if (nest.axes == 1) {
    nest.size[1] = nest.size[0];
    nest.size[0] = 1;
    for (int t = 0; t < nest.tensors; ++t) {
      nest.stride[t][1] = nest.stride[t][0];
      nest.stride[t][0] = 0;
    }
    nest.axes = 2;
  }
  int registers = 1;
  for (uint32_t i = 0; i < op.code_count; ++i) registers = std::max(registers, op.code[i].dst + 1);
  plan->registers = registers;
  const int64_t tile = TileElements(registers, op.input_count);
  const int64_t inner = nest.size[nest.axes - 1], second = nest.size[nest.axes - 2];
  plan->cols = std::min(inner, tile);
  plan->rows = plan->cols > 0 && plan->cols == inner
                   ? std::clamp<int64_t>(tile / plan->cols, 1, std::max<int64_t>(second, 1))
                   : 1;
  if (NestElements(nest) > 0) {
    plan->tiles =
        OuterIterations(nest, 2) * CeilDiv(second, plan->rows) * CeilDiv(inner, plan->cols);
  }
  plan->tasks = TaskCount(plan->tiles, kTaskTiles, context.workers);
  if (plan->tasks == 0 && HasHaloStorage(y)) plan->tasks = 1;
}

}  // namespace floe::cpu
