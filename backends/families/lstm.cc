#include "backends/families.h"

#include <initializer_list>

#include "backends/families/check.h"

namespace floe::families {

// xw [T,N,4H], r lstm_gates16 [H,4H], h0 and c0 [N,H] or absent -> y [T,N,H], h [N,H], c [N,H].
// c is the running cell state of the steps, so it is always there.
Status CheckLstmRecurrence(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 4, 4, 3));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 1));
  if (op.attrs[0] != 0 && op.attrs[0] != 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[0]);
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kF32, LayoutId::kDense, 3));
  const DType r = op.inputs[1].dtype;
  const bool narrow = r == DType::kF16 || r == DType::kBF16;
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, narrow ? r : DType::kF32, LayoutId::kLstmGates16, 2));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 4, DType::kF32, LayoutId::kDense, 3));
  const int64_t steps = op.inputs[0].dims[0];
  const int64_t batch = op.inputs[0].dims[1];
  const int64_t hidden = op.inputs[1].dims[0];
  if (hidden < 1 || hidden > (int64_t{1} << 40)) {
    return Bad(Rule::kInstructionShape, 1, hidden).ForOperand(1, 0);
  }
  FLOE_RETURN_IF_ERROR(CheckDim(op, 0, 2, 4 * hidden));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, 4 * hidden));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 4, 0, steps));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 4, 1, batch));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 4, 2, hidden));
  for (const uint32_t i : {2u, 3u, 5u, 6u}) {
    if (i < 4 && !Operand(op, i).present()) continue;
    FLOE_RETURN_IF_ERROR(CheckOperand(op, i, DType::kF32, LayoutId::kDense, 2));
    FLOE_RETURN_IF_ERROR(CheckDim(op, i, 0, batch));
    FLOE_RETURN_IF_ERROR(CheckDim(op, i, 1, hidden));
  }
  // A phase is a step, and the last one (or the only one, without steps) writes h.
  if (steps >= (int64_t{1} << 31)) return Bad(Rule::kInstructionShape, 0, steps).ForOperand(0, 0);
  footprint->flops = 8.0 * static_cast<double>(hidden) * static_cast<double>(hidden) *
                     static_cast<double>(steps) * static_cast<double>(batch);
  footprint->state_bytes = kAlignment;  // The number of tasks.
  return OkStatus();
}

}  // namespace floe::families
