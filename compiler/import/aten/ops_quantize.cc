// quantized_decomposed: the operators that torch.export writes for PT2E-quantised models, and that
// TorchScript's quantised operators are read as; fake quantisation; products with bytes.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
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

// --- fake quantisation: networks trained for it, before conversion -------------------------------

// The narrowest type that holds the range.
DType TypeOfRange(int64_t low, int64_t high) {
  if (low >= 0 && high <= 255) return DType::kU8;
  return low >= -128 && high <= 127 ? DType::kI8 : DType::kI32;
}

// x through the integers of a range and back. `axis` -1: one scale for all.
Value* ThroughIntegers(OpBuilder& b, Value* x, Parameters p, int64_t axis) {
  const int64_t low = b.Int("quant_min"), high = b.Int("quant_max");
  const DType integers = TypeOfRange(low, high);
  if (!b.ok()) return x;
  p.zero = b.Cast(p.zero, integers);
  if (axis < 0) p = {b.Reshape(p.scale, {}), b.Reshape(p.zero, {})};
  const DType dtype = x->dtype();
  Value* q = b.Emit(OpId::kQuantize, Operands(b.Cast(x, DType::kF32), p),
                    {{"axis", std::max<int64_t>(axis, 0)},
                     {"block", int64_t{0}},
                     {"reciprocal", int64_t{1}},
                     {"min", low},
                     {"max", high},
                     {"to", static_cast<int64_t>(integers)}});
  Value* y = b.Emit(OpId::kDequantize, Operands(q, p),
                    {{"axis", std::max<int64_t>(axis, 0)},
                     {"block", int64_t{0}},
                     {"to", static_cast<int64_t>(DType::kF32)}});
  return b.Cast(y, dtype);
}

// A flag that must be known: 1, 0, or -1 after an error.
int Flag(OpBuilder& b, const char* name) {
  const auto known = b.ConstantOf(b.Tensor(name));
  if (b.ok() && (!known || known->count() != 1))
    b.Unsupported("'" + std::string(name) + "' is data");
  return b.ok() ? (known->DoubleAt(0) != 0 ? 1 : 0) : -1;
}

// param: 1 for one scale per channel; 2 where the mask for gradients is a second result.
void FakeQuantize(OpBuilder& b) {
  const bool channels = (b.row().param & 1) != 0;
  Value* x = b.Tensor("self");
  const int64_t axis = channels ? b.Axis(b.Int("axis"), b.Rank(x)) : -1;
  const bool on = !b.HasArg("fake_quant_enabled") || Flag(b, "fake_quant_enabled") != 0;
  Parameters p;
  p.scale =
      b.Arg("scale").is_tensor() ? b.Cast(b.Tensor("scale"), DType::kF32) : ScaleOf(b, "scale");
  p.zero = b.Arg("zero_point").is_tensor() ? b.Tensor("zero_point")
                                           : b.Scalar(DType::kI32, double(b.Int("zero_point")));
  if (b.ok() && IsFloat(p.zero->dtype())) return b.Unsupported("zero points that are no integers");
  Value* y = on ? ThroughIntegers(b, x, p, axis) : x;
  if (!b.ok()) return;
  b.Return(y);
  if ((b.row().param & 2) != 0) b.Return(IValue());
}

// What modules of quantisation-aware training call: an observer and a fake quantisation.
void ObserveAndQuantize(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int observes = Flag(b, "observer_on"), quantizes = Flag(b, "fake_quant_on");
  if (!b.ok()) return;
  if (observes != 0) {
    return b.Unsupported(
        "an observer that still learns its range; apply torch.ao.quantization.disable_observer");
  }
  if (quantizes == 0) return b.Return(x);
  const int64_t axis = b.Bool("per_row_fake_quant") ? b.Axis(b.Int("ch_axis"), b.Rank(x)) : -1;
  b.Return(ThroughIntegers(b, x, {b.Cast(b.Tensor("scale"), DType::kF32), b.Tensor("zero_point")},
                           axis));
}

// x times the transposed bytes, whose rows have a scale each.
void ByteLinear(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* scales = b.Cast(b.Tensor("scales"), DType::kF32);
  if (!b.ok()) return;
  Value* w = b.Emit(
      OpId::kDequantize, {b.Tensor("mat2"), scales},
      {{"axis", int64_t{0}}, {"block", int64_t{0}}, {"to", static_cast<int64_t>(DType::kF32)}});
  b.Return(LinearOf(b, x, b.Cast(w, x->dtype()), nullptr));
}

constexpr Row kRows[] = {
    {"aten::fake_quantize_per_tensor_affine", FakeQuantize, OpId::kQuantize},
    {"aten::fake_quantize_per_channel_affine", FakeQuantize, OpId::kQuantize, 1},
    {"aten::fake_quantize_per_tensor_affine_cachemask", FakeQuantize, OpId::kQuantize, 2},
    {"aten::fake_quantize_per_channel_affine_cachemask", FakeQuantize, OpId::kQuantize, 3},
    {"aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams", FakeQuantize,
     OpId::kQuantize, 2},
    {"aten::fused_moving_avg_obs_fake_quant", ObserveAndQuantize, OpId::kQuantize},
    {"aten::_weight_int8pack_mm", ByteLinear, OpId::kDequantize},
    {"quantized_decomposed::quantize_per_tensor", Quantize, OpId::kQuantize},
    {"quantized_decomposed::quantize_per_channel", Quantize, OpId::kQuantize, 1},
    {"quantized_decomposed::dequantize_per_tensor", Dequantize, OpId::kDequantize},
    {"quantized_decomposed::dequantize_per_channel", Dequantize, OpId::kDequantize, 1},
    {"quantized_decomposed::choose_qparams", ChooseParameters},
};

}  // namespace

std::span<const Row> QuantizeRows() { return kRows; }

}  // namespace floe::aten
