#include "backends/cpu/pointwise/plan.h"
#include "backends/families.h"
#include "backends/families/broadcast.h"
#include "backends/families/check.h"

namespace floe::families {

Status CheckPointwise(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 0));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const TensorInfo& y = op.outputs[0];
  if (y.dtype != DType::kF32 && y.dtype != DType::kBF16 && y.dtype != DType::kBool &&
      y.dtype != DType::kU8 && y.dtype != DType::kI8) {
    return Bad(Rule::kInstructionDType, static_cast<int64_t>(DType::kF32),
               static_cast<int64_t>(y.dtype))
        .ForOperand(op.input_count);
  }
  FLOE_RETURN_IF_ERROR(CheckActivation(op, op.input_count));
  for (uint32_t i = 0; i < op.input_count; ++i) {
    const TensorInfo& x = op.inputs[i];
    FLOE_RETURN_IF_ERROR(CheckActivation(op, i));
    switch (x.dtype) {
      case DType::kF32:
      case DType::kF16:
      case DType::kBF16:
      case DType::kI32:
      case DType::kI64:
      case DType::kU8:
      case DType::kI8:
      case DType::kBool:
        break;
      default:
        return Bad(Rule::kInstructionDType, static_cast<int64_t>(DType::kF32),
                   static_cast<int64_t>(x.dtype))
            .ForOperand(i);
    }
    FLOE_RETURN_IF_ERROR(CheckBroadcast(op, i, y));
    if (SameStorage(x, y)) footprint->in_place_inputs |= uint64_t{1} << i;
  }
  FLOE_RETURN_IF_ERROR(::floe::CheckPointwise(op.code, op.code_count, op.input_count, false));
  int64_t elements = 0;
  if (!ElementCount(y, &elements)) return Bad(Rule::kValueTooLarge);
  footprint->flops = static_cast<double>(elements) * op.code_count;
  footprint->state_bytes = sizeof(cpu::PointwisePlan);
  return OkStatus();
}

}  // namespace floe::families
