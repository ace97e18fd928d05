#include "backends/families.h"
#include "backends/families/check.h"
#include "format/ops.h"

namespace floe::families {

// x of any layout -> y dense, with the reduced axes as 1 or removed.
Status CheckReduce(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 2));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  if (x.layout != LayoutId::kDense && x.layout != LayoutId::kChannelsLast) {
    return Bad(Rule::kInstructionLayout, 0, static_cast<int64_t>(x.layout)).ForOperand(0);
  }
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kF32, x.layout));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kF32, LayoutId::kDense));
  const int64_t kind = op.attrs[0];
  const int64_t mask = op.attrs[1];
  if (kind < 0 || kind > static_cast<int64_t>(ReduceKind::kSumSquare)) {
    return Bad(Rule::kInstructionAttr, static_cast<int64_t>(ReduceKind::kSumSquare), kind);
  }
  if (mask < 0 || mask >= int64_t{1} << x.rank) return Bad(Rule::kInstructionAttr, 0, mask);
  const bool keep = y.rank == x.rank;
  int to = 0;
  for (int axis = 0; axis < x.rank; ++axis) {
    const bool reduced = (mask >> axis & 1) != 0;
    if (reduced && !keep) continue;
    FLOE_RETURN_IF_ERROR(CheckDim(op, 1, to++, reduced ? 1 : x.dims[axis]));
  }
  if (to != y.rank) return Bad(Rule::kInstructionShape, to, y.rank).ForOperand(1);
  int64_t count = 0;
  if (!ElementCount(x, &count)) return Bad(Rule::kValueTooLarge).ForOperand(0);
  footprint->flops = static_cast<double>(count);
  footprint->state_bytes = 1024;  // The loops (cpu/reduce/plan.h).
  return OkStatus();
}

}  // namespace floe::families
