// Checks of the families that only move data: copy, transpose, slice, concat, pad, expand.
#include <limits>

#include "backends/cpu/movement/plan.h"
#include "backends/families.h"
#include "backends/families/broadcast.h"
#include "format/attrs.h"
#include "format/checked.h"
#include "format/ops.h"

namespace floe::families {
namespace {

// One input, one output of one dtype; attributes.
Status CheckMove(const OpInfo& op, uint32_t attrs, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, attrs));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckActivation(op, 0));
  FLOE_RETURN_IF_ERROR(CheckActivation(op, 1));
  FLOE_RETURN_IF_ERROR(CheckSameDType(op, 1, 0));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  footprint->state_bytes = cpu::MovePlanBytes(1);
  return OkStatus();
}

Status CheckDense(const OpInfo& op, uint32_t i) {
  return CheckOperand(op, i, Operand(op, i).dtype, LayoutId::kDense);
}

Status CheckSameRank(const OpInfo& op) {
  const int x = op.inputs[0].rank, y = op.outputs[0].rank;
  if (x != y) return Bad(Rule::kInstructionShape, x, y).ForOperand(op.input_count);
  return OkStatus();
}

// The value that pads with: it must have a meaning in the dtype.
bool FitsDType(DType t, double v) {
  if (IsFloat(t) || t == DType::kBool) return true;
  const int bits = static_cast<int>(DTypeSize(t)) * 8;
  const double top = static_cast<double>(uint64_t{1} << (bits - 1));  // Exact.
  if (IsSignedInt(t)) return v >= -top && v < top;
  return v >= 0 && v < 2 * top;
}

}  // namespace

Status CheckCopy(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckMove(op, 0, footprint));
  return CheckSameDims(op, 1, 0);
}

Status CheckTranspose(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 1));
  FLOE_RETURN_IF_ERROR(CheckMove(op, op.inputs[0].rank, footprint));
  FLOE_RETURN_IF_ERROR(CheckDense(op, 0));
  FLOE_RETURN_IF_ERROR(CheckDense(op, 1));
  FLOE_RETURN_IF_ERROR(CheckSameRank(op));
  const TensorInfo& x = op.inputs[0];
  uint32_t seen = 0;
  for (int a = 0; a < x.rank; ++a) {
    const int64_t from = op.attrs[a];
    if (from < 0 || from >= x.rank || (seen >> from & 1) != 0) {
      return Bad(Rule::kInstructionAttr, x.rank, from);
    }
    seen |= uint32_t{1} << from;
    FLOE_RETURN_IF_ERROR(CheckDim(op, 1, a, x.dims[from]));
  }
  return OkStatus();
}

Status CheckSlice(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 1));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  FLOE_RETURN_IF_ERROR(CheckMove(op, 2u * x.rank, footprint));
  FLOE_RETURN_IF_ERROR(CheckSameRank(op));
  int64_t elements = 0;
  if (!ElementCount(y, &elements)) return Bad(Rule::kValueTooLarge).ForOperand(1);
  for (int a = 0; a < x.rank; ++a) {
    const int64_t start = op.attrs[a], step = op.attrs[x.rank + a];
    if (step == 0) return Bad(Rule::kInstructionAttr, 1, step);
    if (elements == 0) continue;
    int64_t last;
    if (!CheckedMul(y.dims[a] - 1, step, &last) || !CheckedAdd(start, last, &last)) {
      return Bad(Rule::kInstructionAttr, x.dims[a], step);
    }
    if (start < 0 || start >= x.dims[a]) return Bad(Rule::kInstructionAttr, x.dims[a], start);
    if (last < 0 || last >= x.dims[a]) return Bad(Rule::kInstructionAttr, x.dims[a], last);
  }
  return OkStatus();
}

Status CheckExpand(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckMove(op, 0, footprint));
  FLOE_RETURN_IF_ERROR(CheckDense(op, 0));
  FLOE_RETURN_IF_ERROR(CheckDense(op, 1));
  return CheckBroadcast(op, 0, op.outputs[0]);
}

Status CheckConcat(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, kMaxOperands - 1, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 1));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  const uint32_t result = op.input_count;
  FLOE_RETURN_IF_ERROR(CheckActivation(op, result));
  const TensorInfo& y = op.outputs[0];
  const int64_t axis = op.attrs[0];
  if (axis < 0 || axis >= y.rank) return Bad(Rule::kInstructionAttr, y.rank, axis);
  int64_t sum = 0;
  for (uint32_t i = 0; i < op.input_count; ++i) {
    FLOE_RETURN_IF_ERROR(CheckActivation(op, i));
    FLOE_RETURN_IF_ERROR(CheckOperand(op, i, y.dtype, y.layout, y.rank));
    for (int a = 0; a < y.rank; ++a) {
      if (a != axis) FLOE_RETURN_IF_ERROR(CheckDim(op, i, a, y.dims[a]));
    }
    if (!CheckedAdd(sum, op.inputs[i].dims[axis], &sum)) return Bad(Rule::kValueTooLarge);
  }
  FLOE_RETURN_IF_ERROR(CheckDim(op, result, static_cast<int>(axis), sum));
  footprint->state_bytes = cpu::MovePlanBytes(op.input_count);
  return OkStatus();
}

Status CheckPad(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 1));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  FLOE_RETURN_IF_ERROR(CheckMove(op, 2u + 2u * x.rank, footprint));
  FLOE_RETURN_IF_ERROR(CheckSameRank(op));
  if (op.attrs[0] < 0 || op.attrs[0] > static_cast<int64_t>(PadMode::kWrap)) {
    return Bad(Rule::kInstructionAttr, static_cast<int64_t>(PadMode::kWrap), op.attrs[0]);
  }
  if (!FitsDType(x.dtype, WordFloat(op.attrs[1]))) {
    return Bad(Rule::kInstructionAttr, 0, op.attrs[1]);
  }
  // Bounds that keep coordinates and the period of a reflection from overflowing.
  constexpr int64_t kLimit = int64_t{1} << 60;
  int64_t elements = 0;
  if (!ElementCount(y, &elements)) return Bad(Rule::kValueTooLarge).ForOperand(1);
  for (int a = 0; a < x.rank; ++a) {
    const int64_t before = op.attrs[2 + a], after = op.attrs[2 + x.rank + a];
    if (before < -kLimit || before > kLimit || after < -kLimit || after > kLimit ||
        x.dims[a] > kLimit) {
      return Bad(Rule::kInstructionAttr, kLimit, before);
    }
    FLOE_RETURN_IF_ERROR(CheckDim(op, 1, a, x.dims[a] + before + after));
    if (op.attrs[0] != static_cast<int64_t>(PadMode::kConstant) && elements > 0 && x.dims[a] == 0) {
      return Bad(Rule::kInstructionShape, 1, 0).ForOperand(0, a);
    }
  }
  footprint->state_bytes = static_cast<int64_t>(sizeof(cpu::PadPlan)) + cpu::MovePlanBytes(1);
  return OkStatus();
}

}  // namespace floe::families
