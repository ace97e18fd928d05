#include "backends/reference/twins/epilogue.h"

#include "backends/reference/element.h"
#include "backends/reference/pointwise.h"

namespace floe::reference::twins {

double NumberAt(DType dtype, const void* data, int64_t at) {
  if (dtype == DType::kF16) return F16::ToDouble(static_cast<const uint16_t*>(data)[at]);
  if (dtype == DType::kBF16) return BF16::ToDouble(static_cast<const uint16_t*>(data)[at]);
  return static_cast<const float*>(data)[at];
}

TwinEpilogue::TwinEpilogue(const KernelArgs& args, uint32_t extra, int channel_axis)
    : args_(args), extra_(extra), channel_axis_(channel_axis) {}

float TwinEpilogue::Operand(uint32_t i, const int64_t* index) const {
  const TensorInfo& t = args_.op->inputs[extra_ + i];
  const TensorInfo& y = args_.op->outputs[0];
  const auto* data = static_cast<const float*>(args_.inputs[extra_ + i]);
  const bool vector = t.rank == 1 && t.layout == LayoutId::kDense;
  if (vector && channel_axis_ >= 0 && t.dims[0] == y.dims[channel_axis_]) {
    return data[index[channel_axis_]];
  }
  if (vector && t.dims[0] == 1) return data[0];
  return data[ElementOffset(t, index)];
}

float TwinEpilogue::Apply(double accumulator, const int64_t* index) const {
  float r[kPwRegisters] = {};
  r[0] = static_cast<float>(accumulator);
  for (uint32_t i = 0; i < args_.op->code_count; ++i) {
    const PwInstr& instr = args_.op->code[i];
    r[instr.dst] = static_cast<PwOp>(instr.op) == PwOp::kLoad
                       ? Operand(instr.operand, index)
                       : EvalPointwise(instr, r[instr.a], r[instr.b], r[instr.c]);
  }
  return r[0];
}

TwinResult::TwinResult(const KernelArgs& args, uint32_t extra, int channel_axis)
    : epilogue_(args, extra, channel_axis),
      base_(args.outputs[0]),
      narrow_(args.op->outputs[0].dtype == DType::kBF16),
      rank_(args.op->outputs[0].rank) {
  TensorStrides(args.op->outputs[0], strides_, &offset_);
}

void TwinResult::Store(double accumulator, const int64_t* index) const {
  int64_t at = offset_;
  for (int a = 0; a < rank_; ++a) at += index[a] * strides_[a];
  const float y = epilogue_.Apply(accumulator, index);
  if (narrow_) {
    static_cast<uint16_t*>(base_)[at] = BF16::FromDouble(y);
  } else {
    static_cast<float*>(base_)[at] = y;
  }
}

}  // namespace floe::reference::twins
