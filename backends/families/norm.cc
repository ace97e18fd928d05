#include <initializer_list>

#include "backends/families.h"
#include "backends/families/check.h"
#include "format/attrs.h"

namespace floe::families {

Status CheckNorm(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 3, 3, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 3));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kF32, LayoutId::kDense));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 3, DType::kF32, LayoutId::kDense));
  const TensorInfo& x = op.inputs[0];
  if (!SameDims(x, op.outputs[0])) return Bad(Rule::kInstructionShape).ForOperand(3);
  const int64_t axis = op.attrs[1];
  if (op.attrs[0] != 0 && op.attrs[0] != 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[0]);
  if (axis < 0 || axis >= x.rank) return Bad(Rule::kInstructionAttr, x.rank, axis);
  const double epsilon = WordFloat(op.attrs[2]);
  if (!(epsilon >= 0.0 && epsilon <= 1e30)) return Bad(Rule::kInstructionAttr, 0, op.attrs[2]);
  for (const uint32_t i : {1u, 2u}) {
    const TensorInfo& t = op.inputs[i];
    if (!t.present()) continue;
    FLOE_RETURN_IF_ERROR(
        CheckOperand(op, i, DType::kF32, LayoutId::kDense, x.rank - static_cast<int>(axis)));
    for (int a = 0; a < t.rank; ++a) {
      FLOE_RETURN_IF_ERROR(CheckDim(op, i, a, x.dims[axis + a]));
    }
  }
  int64_t count = 0;
  if (!ElementCount(x, &count)) return Bad(Rule::kValueTooLarge).ForOperand(0);
  footprint->flops = 8.0 * static_cast<double>(count);
  footprint->in_place_inputs = 1;
  footprint->state_bytes = kAlignment;  // The number of tasks.
  return OkStatus();
}

}  // namespace floe::families
