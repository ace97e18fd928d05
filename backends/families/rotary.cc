#include "backends/families/rotary.h"

#include "backends/families.h"
#include "backends/families/check.h"

namespace floe::families {
namespace {

// Rows of `width` numbers that broadcast over y's leading axes.
Status ReadTable(const OpInfo& op, uint32_t operand, int64_t* width, int64_t strides[3]) {
  FLOE_RETURN_IF_ERROR(CheckOperand(op, operand, DType::kF32, LayoutId::kDense, 4));
  const TensorInfo &t = op.inputs[operand], &y = op.outputs[0];
  int64_t all[kMaxRank], offset;
  TensorStrides(t, all, &offset);
  for (int i = 0; i < 3; ++i) {
    if (t.dims[i] != 1) FLOE_RETURN_IF_ERROR(CheckDim(op, operand, i, y.dims[i]));
    strides[i] = t.dims[i] == 1 ? 0 : all[i];
  }
  *width = t.dims[3];
  return OkStatus();
}

}  // namespace

Status ReadRotary(const OpInfo& op, RotaryShape* s) {
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 8));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 3, DType::kF32, LayoutId::kDense, 4));
  const TensorInfo& y = op.outputs[0];
  if (op.attrs[0] < 0 || op.attrs[0] > 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[0]);
  const int64_t rotated = op.attrs[1];
  if (rotated < 2 || rotated % 2 != 0 || rotated > y.dims[3]) {
    return Bad(Rule::kInstructionAttr, y.dims[3], rotated);
  }
  uint32_t at = 2;
  int64_t x[4], width[2];
  FLOE_RETURN_IF_ERROR(ReadHeads(op, 0, &at, &s->x, x));
  for (int i = 0; i < 4; ++i) {
    // The tensor may have more heads than are read.
    if (i == 1 ? x[i] < y.dims[i] : x[i] != y.dims[i]) {
      return Bad(Rule::kInstructionShape, y.dims[i], x[i]).ForOperand(0);
    }
  }
  FLOE_RETURN_IF_ERROR(ReadTable(op, 1, &width[0], s->cos));
  FLOE_RETURN_IF_ERROR(ReadTable(op, 2, &width[1], s->sin));
  if (width[0] != rotated && width[0] != rotated / 2) {
    return Bad(Rule::kInstructionShape, rotated, width[0]).ForOperand(1, 3);
  }
  if (width[1] != width[0]) {
    return Bad(Rule::kInstructionShape, width[0], width[1]).ForOperand(2, 3);
  }
  s->batch = y.dims[0];
  s->heads = y.dims[1];
  s->positions = y.dims[2];
  s->features = y.dims[3];
  s->rotated = rotated;
  s->interleaved = op.attrs[0] != 0;
  s->shared = width[0] != rotated;
  return OkStatus();
}

// x, cos, sin -> y.
Status CheckRotary(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 3, 3, 1));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  RotaryShape s;
  FLOE_RETURN_IF_ERROR(ReadRotary(op, &s));
  int64_t count = 0;
  if (!ElementCount(op.outputs[0], &count)) return Bad(Rule::kValueTooLarge).ForOperand(3);
  footprint->flops = 3.0 * static_cast<double>(count);
  footprint->state_bytes = sizeof(RotaryPlan);
  return OkStatus();
}

}  // namespace floe::families
