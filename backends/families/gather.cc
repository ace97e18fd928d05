#include "backends/families.h"
#include "backends/families/check.h"

namespace floe::families {
namespace {

// Index tables that were copied out of the file are checked once, here; others at run time.
Status CheckConstantIndices(const OpInfo& op, int64_t size) {
  if (op.constants == nullptr || op.constants[1] == nullptr) return OkStatus();
  const TensorInfo& t = op.inputs[1];
  int64_t count = 0;
  if (!ElementCount(t, &count)) return Bad(Rule::kInstructionShape).ForOperand(1);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t v = t.dtype == DType::kI64 ? static_cast<const int64_t*>(op.constants[1])[i]
                                             : static_cast<const int32_t*>(op.constants[1])[i];
    if (v < -size || v >= size) return Bad(Rule::kIndexConstant, size, v).ForOperand(1);
  }
  return OkStatus();
}

}  // namespace

Status CheckGather(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 2, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 1));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& indices = op.inputs[1];
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, x.dtype, LayoutId::kDense));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, indices.dtype, LayoutId::kDense));
  if (indices.dtype != DType::kI32 && indices.dtype != DType::kI64) {
    return Bad(Rule::kInstructionDType, static_cast<int64_t>(DType::kI64),
               static_cast<int64_t>(indices.dtype))
        .ForOperand(1);
  }
  const int64_t axis = op.attrs[0];
  if (axis < 0 || axis >= x.rank) return Bad(Rule::kInstructionAttr, x.rank, axis);
  const int rank = x.rank - 1 + indices.rank;
  if (rank > kMaxRank) return Bad(Rule::kInstructionShape, kMaxRank, rank).ForOperand(2);
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 2, x.dtype, LayoutId::kDense, rank));
  int to = 0;
  for (int a = 0; a < axis; ++a) FLOE_RETURN_IF_ERROR(CheckDim(op, 2, to++, x.dims[a]));
  for (int a = 0; a < indices.rank; ++a) {
    FLOE_RETURN_IF_ERROR(CheckDim(op, 2, to++, indices.dims[a]));
  }
  for (int a = static_cast<int>(axis) + 1; a < x.rank; ++a) {
    FLOE_RETURN_IF_ERROR(CheckDim(op, 2, to++, x.dims[a]));
  }
  // What is read is as much as what is written, not the whole table.
  int64_t written = 0;
  FLOE_RETURN_IF_ERROR(TensorBytes(op.outputs[0], &written));
  footprint->state_bytes = kAlignment;  // The number of tasks.
  footprint->bytes = 2.0 * static_cast<double>(written);
  return CheckConstantIndices(op, x.dims[axis]);
}

}  // namespace floe::families
