#include "backends/families.h"
#include "backends/families/check.h"

namespace floe::families {

// The word is the message's string: format's validator checks it, as it checks names.
Status CheckCheck(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 0));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 1));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  return CheckOperand(op, 0, DType::kBool, LayoutId::kDense);
}

// The word is the symbol's number: format's validator checks it. Nothing runs but the executor.
Status CheckSize(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 0));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 1));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  return CheckOperand(op, 0, DType::kI64, LayoutId::kDense, /*rank=*/0);
}

}  // namespace floe::families
