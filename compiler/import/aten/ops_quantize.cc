// quantized_decomposed: the operators that torch.export writes for PT2E-quantised models, and that
// TorchScript's quantised operators are read as.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// Scale and zero point as the IR has them: f32 and the integers' own type, of one shape.
struct Parameters {
  Value* scale;
  Value* zero;  // May be null.
};

// The scale: a number, or a tensor of any float type.
Value* ScaleOf(OpBuilder& b, const char* name) {
  const Number n = b.ScalarOf(b.Arg(name));
  if (n.tensor != nullptr) return b.Cast(n.tensor, DType::kF32);
  return b.Scalar(DType::kF32, n.value);
}

// A zero point that is a number, which its type must hold.
Value* ZeroOf(OpBuilder& b, DType integers) {
  const int64_t zero = b.Int("zero_point");
  const bool byte = integers == DType::kU8 || integers == DType::kI8;
  const int64_t low = integers == DType::kU8 ? 0 : byte ? -128 : -(int64_t{1} << 31);
  const int64_t high = integers == DType::kU8 ? 255 : byte ? 127 : (int64_t{1} << 31) - 1;
  if (b.ok() && (zero < low || zero > high)) {
    b.Unsupported("a zero point that its type does not hold");
    return b.Scalar(integers, 0);
  }
  return b.Scalar(integers, static_cast<double>(zero));
}

Parameters OfTensor(OpBuilder& b, DType integers) {
  Parameters p;
  p.scale =
      b.Arg("scale").is_tensor() ? b.Cast(b.Tensor("scale"), DType::kF32) : ScaleOf(b, "scale");
  p.zero = b.Arg("zero_point").is_tensor() ? b.Cast(b.Tensor("zero_point"), integers)
                                           : ZeroOf(b, integers);
  if (b.ok() && p.zero->shape() != p.scale->shape()) p.zero = b.Reshape(p.zero, p.scale->shape());
  return p;
}

Parameters OfChannels(OpBuilder& b, DType integers) {
  Parameters p = {b.Cast(b.Tensor("scales"), DType::kF32), b.OptTensor("zero_points")};
  if (p.zero != nullptr && IsFloat(p.zero->dtype())) {
    b.Unsupported("zero points that are no integers");
  } else if (p.zero != nullptr) {
    p.zero = b.Cast(p.zero, integers);
  }
  return p;
}

std::vector<Value*> Operands(Value* x, const Parameters& p) {
  std::vector<Value*> inputs = {x, p.scale};
  if (p.zero != nullptr) inputs.push_back(p.zero);
  return inputs;
}

// Row's param: 1 for one scale per index of `axis`.
void Quantize(OpBuilder& b) {
  Value* x = b.Tensor("input");
  const bool channels = b.row().param != 0;
  const DType to = b.DTypeArg("dtype", DType::kI8);
  const int64_t axis = channels ? b.Axis(b.Int("axis"), b.Rank(x)) : 0;
  const Parameters p = channels ? OfChannels(b, to) : OfTensor(b, to);
  if (!b.ok()) return;
  if (x->dtype() != DType::kF32) x = b.Cast(x, DType::kF32);
  b.Return(b.Emit(OpId::kQuantize, Operands(x, p),
                  {{"axis", axis},
                   {"block", int64_t{0}},
                   {"reciprocal", int64_t{1}},
                   {"min", b.Int("quant_min")},
                   {"max", b.Int("quant_max")},
                   {"to", static_cast<int64_t>(to)}}));
}

void Dequantize(OpBuilder& b) {
  Value* x = b.Tensor("input");
  const bool channels = b.row().param != 0;
  const int64_t axis = channels ? b.Axis(b.Int("axis"), b.Rank(x)) : 0;
  const Parameters p = channels ? OfChannels(b, x->dtype()) : OfTensor(b, x->dtype());
  const DType to = b.DTypeArg("out_dtype", DType::kF32);
  if (!b.ok()) return;
  Value* y =
      b.Emit(OpId::kDequantize, Operands(x, p),
             {{"axis", axis}, {"block", int64_t{0}}, {"to", static_cast<int64_t>(DType::kF32)}});
  b.Return(b.Cast(y, to));
}

// Scale and zero point of the range of a tensor and of 0.
void ChooseParameters(OpBuilder& b) {
  Value* x = b.Cast(b.Tensor("input"), DType::kF32);
  const auto low = static_cast<double>(b.Int("quant_min"));
  const auto high = static_cast<double>(b.Int("quant_max"));
  std::vector<int64_t> axes;
  for (int64_t i = 0; i < b.Rank(x); ++i) axes.push_back(i);
  const auto number = [&](double v) { return b.Scalar(DType::kF32, v); };
  Value* least = b.Binary(OpId::kMinimum, b.Reduce(ReduceKind::kMin, x, axes, false), number(0));
  Value* most = b.Binary(OpId::kMaximum, b.Reduce(ReduceKind::kMax, x, axes, false), number(0));
  Value* scale = b.Binary(OpId::kDiv, b.Binary(OpId::kSub, most, least), number(high - low));
  scale = b.Binary(OpId::kMaximum, scale, number(b.Float("eps")));
  Value* steps = b.Unary(OpId::kRound, b.Binary(OpId::kDiv, least, scale));
  Value* zero = b.Binary(OpId::kSub, number(low), steps);
  zero = b.Emit(OpId::kClamp, {zero}, {{"min", low}, {"max", high}});
  b.Return(b.Reshape(b.Cast(scale, DType::kF64), {1}));
  b.Return(b.Reshape(b.Cast(zero, DType::kI64), {1}));
}

constexpr Row kRows[] = {
    {"quantized_decomposed::quantize_per_tensor", Quantize, OpId::kQuantize},
    {"quantized_decomposed::quantize_per_channel", Quantize, OpId::kQuantize, 1},
    {"quantized_decomposed::dequantize_per_tensor", Dequantize, OpId::kDequantize},
    {"quantized_decomposed::dequantize_per_channel", Dequantize, OpId::kDequantize, 1},
    {"quantized_decomposed::choose_qparams", ChooseParameters},
};

}  // namespace

std::span<const Row> QuantizeRows() { return kRows; }

}  // namespace floe::aten
