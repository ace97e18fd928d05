#include "backends/families/recurrence.h"

#include "backends/families.h"
#include "backends/families/check.h"
#include "format/checked.h"

namespace floe::families {
namespace {

// The operand is absent, or f32 and dense with these dims.
Status CheckOptional(const OpInfo& op, uint32_t i, bool wanted, int64_t rows, int64_t columns) {
  if (!Operand(op, i).present()) return OkStatus();
  if (!wanted) return Bad(Rule::kInstructionOperand).ForOperand(i);
  const int rank = rows < 0 ? 1 : 2;
  FLOE_RETURN_IF_ERROR(CheckOperand(op, i, DType::kF32, LayoutId::kDense, rank));
  if (rank == 2) FLOE_RETURN_IF_ERROR(CheckDim(op, i, 0, rows));
  return CheckDim(op, i, rank - 1, columns);
}

}  // namespace

RecurrenceShape ReadRecurrence(const OpInfo& op) {
  RecurrenceShape s;
  s.cell = static_cast<Cell>(op.attrs[0]);
  s.reverse = op.attrs[1] != 0;
  s.gates = s.cell <= Cell::kGruResetAfter ? 3 : 1;
  s.steps = op.inputs[0].dims[0];
  s.batch = op.inputs[0].dims[1];
  s.hidden = op.inputs[1].dims[0];
  return s;
}

// xw [T,N,G*H], r [H,P*G*16], bias [H]?, h0 [N,H]? -> y [T,N,H], h [N,H], work [N,2H]?
Status CheckGatedRecurrence(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 4, 4, 3));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 2));
  if (op.attrs[0] < 0 || op.attrs[0] > 4) return Bad(Rule::kInstructionAttr, 4, op.attrs[0]);
  if (op.attrs[1] != 0 && op.attrs[1] != 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[1]);
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kF32, LayoutId::kDense, 3));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kF32, LayoutId::kGemmPanels16, 2));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 4, DType::kF32, LayoutId::kDense, 3));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 5, DType::kF32, LayoutId::kDense, 2));
  const RecurrenceShape s = ReadRecurrence(op);
  if (s.hidden < 1 || s.hidden > (int64_t{1} << 40)) {
    return Bad(Rule::kInstructionShape, 1, s.hidden).ForOperand(1, 0);
  }
  FLOE_RETURN_IF_ERROR(CheckDim(op, 0, 2, s.gates * s.hidden));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, RoundUp(s.hidden, 16) * s.gates));
  const int64_t y[3] = {s.steps, s.batch, s.hidden};
  for (int axis = 0; axis < 3; ++axis) FLOE_RETURN_IF_ERROR(CheckDim(op, 4, axis, y[axis]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 5, 0, s.batch));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 5, 1, s.hidden));
  FLOE_RETURN_IF_ERROR(CheckOptional(op, 2, s.cell == Cell::kGruResetAfter, -1, s.hidden));
  FLOE_RETURN_IF_ERROR(CheckOptional(op, 3, true, s.batch, s.hidden));
  const bool work = s.cell == Cell::kGruResetBefore;
  FLOE_RETURN_IF_ERROR(CheckOptional(op, 6, work, s.batch, 2 * s.hidden));
  if (work && !Operand(op, 6).present()) return Bad(Rule::kInstructionOperand).ForOperand(6);
  // A step is one phase, or two.
  if (s.steps >= (int64_t{1} << 30)) {
    return Bad(Rule::kInstructionShape, 0, s.steps).ForOperand(0, 0);
  }
  footprint->flops = 2.0 * static_cast<double>(s.gates) * static_cast<double>(s.hidden) *
                     static_cast<double>(s.hidden) * static_cast<double>(s.steps) *
                     static_cast<double>(s.batch);
  footprint->state_bytes = kAlignment;  // The number of tasks.
  footprint->scratch_bytes = kRecurrenceRows * 3 * 16 * 4;
  return OkStatus();
}

}  // namespace floe::families
