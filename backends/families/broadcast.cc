#include "backends/families/broadcast.h"

namespace floe::families {

Status CheckActivation(const OpInfo& op, uint32_t i) {
  const TensorInfo& t = Operand(op, i);
  if (!t.present()) return Bad(Rule::kInstructionOperand).ForOperand(i);
  if (t.layout != LayoutId::kDense && t.layout != LayoutId::kChannelsLast) {
    return Bad(Rule::kInstructionLayout, 0, static_cast<int64_t>(t.layout)).ForOperand(i);
  }
  return OkStatus();
}

Status CheckBroadcast(const OpInfo& op, uint32_t i, const TensorInfo& y) {
  const TensorInfo& x = Operand(op, i);
  if (x.rank > y.rank) return Bad(Rule::kInstructionShape, y.rank, x.rank).ForOperand(i);
  const int shift = y.rank - x.rank;
  for (int a = 0; a < x.rank; ++a) {
    if (x.dims[a] != 1 && x.dims[a] != y.dims[a + shift]) {
      return Bad(Rule::kInstructionShape, y.dims[a + shift], x.dims[a]).ForOperand(i, a);
    }
  }
  return OkStatus();
}

bool SameStorage(const TensorInfo& a, const TensorInfo& b) {
  return a.layout == b.layout && a.halo == b.halo && SameDims(a, b) &&
         DTypeSize(a.dtype) == DTypeSize(b.dtype);
}

Status CheckSameDType(const OpInfo& op, uint32_t i, uint32_t j) {
  const DType got = Operand(op, i).dtype, expected = Operand(op, j).dtype;
  if (got != expected) {
    return Bad(Rule::kInstructionDType, static_cast<int64_t>(expected), static_cast<int64_t>(got))
        .ForOperand(i);
  }
  return OkStatus();
}

Status CheckSameDims(const OpInfo& op, uint32_t i, uint32_t j) {
  const TensorInfo& a = Operand(op, i);
  const TensorInfo& b = Operand(op, j);
  if (a.rank != b.rank) return Bad(Rule::kInstructionShape, b.rank, a.rank).ForOperand(i);
  for (int axis = 0; axis < a.rank; ++axis) {
    if (a.dims[axis] != b.dims[axis]) {
      return Bad(Rule::kInstructionShape, b.dims[axis], a.dims[axis]).ForOperand(i, axis);
    }
  }
  return OkStatus();
}

}  // namespace floe::families
