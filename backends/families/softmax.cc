#include "backends/cpu/softmax/plan.h"
#include "backends/families.h"
#include "backends/families/broadcast.h"
#include "backends/families/check.h"

namespace floe::families {

Status CheckSoftmax(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1 + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 2));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kF32, LayoutId::kDense));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, op.input_count, DType::kF32, LayoutId::kDense));
  const TensorInfo& x = op.inputs[0];
  if (!SameDims(x, op.outputs[0])) return Bad(Rule::kInstructionShape).ForOperand(op.input_count);
  if (op.attrs[0] < 0 || op.attrs[0] >= x.rank) {
    return Bad(Rule::kInstructionAttr, x.rank, op.attrs[0]);
  }
  if (op.attrs[1] != 0 && op.attrs[1] != 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[1]);
  for (uint32_t i = 1; i < op.input_count; ++i) {
    FLOE_RETURN_IF_ERROR(CheckOperand(op, i, DType::kF32, LayoutId::kDense));
    FLOE_RETURN_IF_ERROR(CheckBroadcast(op, i, x));
  }
  if (op.code_count == 0) {
    if (op.input_count != 1) return Bad(Rule::kInstructionArity, 1, op.input_count);
  } else {
    FLOE_RETURN_IF_ERROR(::floe::CheckPointwise(op.code, op.code_count, op.input_count - 1, true));
  }
  int64_t count = 0;
  if (!ElementCount(x, &count)) return Bad(Rule::kValueTooLarge).ForOperand(0);
  footprint->flops = (10.0 + op.code_count) * static_cast<double>(count);
  footprint->in_place_inputs = 1;
  footprint->state_bytes = sizeof(cpu::SoftmaxPlan);
  return OkStatus();
}

}  // namespace floe::families
