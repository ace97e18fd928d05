#include "backends/families/check.h"

namespace floe::families {

Status CheckArity(const OpInfo& op, uint32_t min_inputs, uint32_t max_inputs, uint32_t outputs) {
  if (op.input_count < min_inputs || op.input_count > max_inputs) {
    return Bad(Rule::kInstructionArity, min_inputs, op.input_count);
  }
  if (op.output_count != outputs) return Bad(Rule::kInstructionArity, outputs, op.output_count);
  return OkStatus();
}

namespace {

// A tensor without elements has no bytes that bound its other dims, but kernels loop over those.
bool LoopsAreBounded(const TensorInfo& t) {
  constexpr int64_t kMostEmptyIterations = int64_t{1} << 31;
  int64_t iterations = 1;
  bool empty = false;
  for (int a = 0; a < t.rank; ++a) {
    empty |= t.dims[a] == 0;
    // No overflow: TensorBytes has bounded this product.
    if (t.dims[a] != 0) iterations *= t.dims[a];
  }
  return !empty || iterations <= kMostEmptyIterations;
}

}  // namespace

Status CheckOperands(const OpInfo& op, Footprint* footprint) {
  for (uint32_t i = 0; i < op.input_count + op.output_count; ++i) {
    const TensorInfo& t = Operand(op, i);
    if (!t.present()) continue;
    int64_t bytes = 0;
    if (Status s = TensorBytes(t, &bytes); !s.ok()) return s.ForOperand(i);
    if (!LoopsAreBounded(t)) return Bad(Rule::kValueTooLarge).ForOperand(i);
    footprint->bytes += static_cast<double>(bytes);
  }
  return OkStatus();
}

Status CheckOperand(const OpInfo& op, uint32_t i, DType dtype, LayoutId layout, int rank) {
  const TensorInfo& t = Operand(op, i);
  if (!t.present()) return Bad(Rule::kInstructionOperand).ForOperand(i);
  if (t.dtype != dtype) {
    return Bad(Rule::kInstructionDType, static_cast<int64_t>(dtype), static_cast<int64_t>(t.dtype))
        .ForOperand(i);
  }
  if (t.layout != layout) {
    return Bad(Rule::kInstructionLayout, static_cast<int64_t>(layout),
               static_cast<int64_t>(t.layout))
        .ForOperand(i);
  }
  if (rank >= 0 && t.rank != rank) return Bad(Rule::kInstructionShape, rank, t.rank).ForOperand(i);
  return OkStatus();
}

Status CheckDim(const OpInfo& op, uint32_t i, int axis, int64_t expected) {
  const TensorInfo& t = Operand(op, i);
  if (axis < 0 || axis >= t.rank) return Bad(Rule::kInstructionShape, axis, t.rank).ForOperand(i);
  if (t.dims[axis] != expected) {
    return Bad(Rule::kInstructionShape, expected, t.dims[axis]).ForOperand(i, axis);
  }
  return OkStatus();
}

Status CheckAttrCount(const OpInfo& op, uint32_t count) {
  if (op.attr_count != count) return Bad(Rule::kInstructionAttr, count, op.attr_count);
  return OkStatus();
}

Status CheckRows(double rows) {
  constexpr double kMost = 2147483648.0;
  if (rows <= kMost) return OkStatus();
  return Bad(Rule::kValueTooLarge, static_cast<int64_t>(kMost)).ForOperand(0);
}

Status CheckImageRows(const TensorInfo& y) {
  return CheckRows(static_cast<double>(y.dims[0]) * static_cast<double>(y.dims[2]) *
                   static_cast<double>(y.dims[3]));
}

bool SameDims(const TensorInfo& a, const TensorInfo& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i) {
    if (a.dims[i] != b.dims[i]) return false;
  }
  return true;
}

Status CheckEpilogue(const OpInfo& op, uint32_t extra, int64_t channels, bool tensors) {
  const uint32_t operands = op.input_count - extra;
  if (op.code_count == 0) {
    if (operands != 0) return Bad(Rule::kInstructionArity, extra, op.input_count);
    return OkStatus();
  }
  if (operands > kPwMaxOperands) return Bad(Rule::kInstructionArity, kPwMaxOperands, operands);
  const TensorInfo& y = op.outputs[0];
  for (uint32_t i = extra; i < op.input_count; ++i) {
    const TensorInfo& t = op.inputs[i];
    if (!t.present()) return Bad(Rule::kInstructionOperand).ForOperand(i);
    if (t.dtype != DType::kF32) {
      return Bad(Rule::kInstructionDType, static_cast<int64_t>(DType::kF32),
                 static_cast<int64_t>(t.dtype))
          .ForOperand(i);
    }
    if (tensors && t.layout == y.layout && SameDims(t, y)) continue;
    if (t.layout != LayoutId::kDense) {
      return Bad(Rule::kInstructionLayout, 0, static_cast<int64_t>(t.layout)).ForOperand(i);
    }
    if (t.rank != 1) return Bad(Rule::kInstructionShape, 1, t.rank).ForOperand(i);
    if (t.dims[0] != 1 && (channels < 0 || t.dims[0] != channels)) {
      return Bad(Rule::kInstructionShape, channels, t.dims[0]).ForOperand(i, 0);
    }
  }
  return CheckPointwise(op.code, op.code_count, operands, true);
}

}  // namespace floe::families
