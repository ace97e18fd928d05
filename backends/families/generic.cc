#include "backends/families.h"
#include "backends/families/check.h"
#include "backends/reference/ops.h"

namespace floe::families {

// Word 0 is the op; the rest is the op's own words, which the reference checks.
Status CheckGeneric(const OpInfo& op, Footprint* footprint) {
  if (op.attr_count < 1) return Bad(Rule::kInstructionAttr, 1, 0);
  const int64_t id = op.attrs[0];
  if (id < 0 || id >= static_cast<int64_t>(OpId::kCount)) {
    return Bad(Rule::kInstructionAttr, static_cast<int64_t>(OpId::kCount), id);
  }
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  for (uint32_t i = 0; i < op.input_count + op.output_count; ++i) {
    const TensorInfo& t = Operand(op, i);
    if (t.present() && t.layout != LayoutId::kDense) {
      return Bad(Rule::kInstructionLayout, 0, static_cast<int64_t>(t.layout)).ForOperand(i);
    }
  }
  OpInfo inner = op;
  inner.attrs = op.attrs + 1;
  inner.attr_count = op.attr_count - 1;
  const double bytes = footprint->bytes;
  const Status s = reference::CheckOp(static_cast<OpId>(id), inner, footprint);
  footprint->bytes = bytes;
  return s;
}

}  // namespace floe::families
