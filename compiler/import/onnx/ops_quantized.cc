// Quantised models: QDQ form as it is, QOperator form as float ops between conversions, and the
// dynamic forms as integer products. The integers come back by the pass integer-islands.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

using ir::Value;

struct Limits {
  int64_t low, high;
};

// The numbers of a type that tensors are quantised to.
std::optional<Limits> LimitsOf(DType t) {
  switch (t) {
    case DType::kU8:
      return Limits{0, 255};
    case DType::kI8:
      return Limits{-128, 127};
    case DType::kU16:
      return Limits{0, 65535};
    case DType::kI16:
      return Limits{-32768, 32767};
    default:
      return std::nullopt;
  }
}

bool IsOne(const Value* v) {
  return v->rank() == 0 || (v->rank() == 1 && v->shape()[0] == ir::Dim(1));
}

// Scale and zero point as they belong together; zero may be null.
struct Parameters {
  Value* scale;
  Value* zero;
};

// A single number may be written as [] or [1]: both get the scale's shape.
Parameters Matched(NodeBuilder& b, Parameters p) {
  if (!b.ok() || p.zero == nullptr || p.zero->shape() == p.scale->shape()) return p;
  if (IsOne(p.zero) && IsOne(p.scale)) {
    p.zero = b.Reshape(p.zero, p.scale->shape());
  } else if (IsOne(p.zero)) {
    ir::Shape one(p.scale->rank(), ir::Dim(1));
    p.zero = b.Expand(b.Reshape(p.zero, std::move(one)), p.scale->shape());
  } else {
    b.Invalid(absl::StrFormat("the zero points %s do not fit the scales %s",
                              b.Text(p.zero->shape()), b.Text(p.scale->shape())));
  }
  return p;
}

Parameters ReadParameters(NodeBuilder& b, size_t i) { return {b.In(i), b.OptIn(i + 1)}; }

// `axis` counts where the scales are several.
Value* Dequantized(NodeBuilder& b, Value* x, Parameters p, int64_t axis, int64_t block = 0) {
  p = Matched(b, p);
  if (!b.ok()) return x;
  std::vector<Value*> inputs = {x, p.scale};
  if (p.zero != nullptr) inputs.push_back(p.zero);
  const DType to = p.scale->dtype();
  const int64_t at = IsOne(p.scale) && block == 0 ? 0 : b.Axis(axis, b.Rank(x));
  return b.Emit(OpId::kDequantize, std::move(inputs),
                {{"axis", at}, {"block", block}, {"to", static_cast<int64_t>(to)}});
}

Value* Quantized(NodeBuilder& b, Value* x, Parameters p, DType to, int64_t axis,
                 int64_t block = 0) {
  p = Matched(b, p);
  const std::optional<Limits> limits = LimitsOf(to);
  if (!b.ok()) return x;
  if (!limits) {
    b.Unsupported(absl::StrFormat("quantisation to %s", DTypeName(to)));
    return x;
  }
  if (!IsFloat(x->dtype())) x = b.Cast(x, DType::kF32);
  std::vector<Value*> inputs = {x, p.scale};
  if (p.zero != nullptr) inputs.push_back(p.zero);
  const int64_t at = IsOne(p.scale) && block == 0 ? 0 : b.Axis(axis, b.Rank(x));
  return b.Emit(OpId::kQuantize, std::move(inputs),
                {{"axis", at},
                 {"block", block},
                 {"reciprocal", int64_t{0}},
                 {"min", limits->low},
                 {"max", limits->high},
                 {"to", static_cast<int64_t>(to)}});
}

// Of an operator that has scale and zero point of its result as operands i and i + 1.
Value* Result(NodeBuilder& b, Value* y, size_t i) {
  const Parameters p = ReadParameters(b, i);
  return Quantized(b, y, p, p.zero == nullptr ? DType::kU8 : p.zero->dtype(), 0);
}

// Operand i with its scale and zero point behind it.
Value* Operand(NodeBuilder& b, size_t i, int64_t axis = 0) {
  Value* x = b.In(i);
  return Dequantized(b, x, ReadParameters(b, i + 1), axis);
}

// --- conversions ---------------------------------------------------------------------------------

void QuantizeLinear(NodeBuilder& b) {
  Value* x = b.In(0);
  const Parameters p = ReadParameters(b, 1);
  b.IgnoreAttr("saturate");  // Of results of 8-bit floats.
  DType to = p.zero == nullptr ? DType::kU8 : p.zero->dtype();
  if (b.HasAttr("output_dtype")) {
    const int64_t stated = b.Int("output_dtype", 0);
    if (p.zero == nullptr && stated != 0) to = TypeAttr(b, stated);
  }
  if (const int64_t precision = b.Int("precision", 0); precision != 0) {
    if (TypeAttr(b, precision) != DType::kF32) return b.Unsupported("a precision other than f32");
  }
  const int64_t axis = b.Int("axis", 1);
  b.Out(Quantized(b, x, p, to, axis, b.Int("block_size", 0)));
}

void DequantizeLinear(NodeBuilder& b) {
  Value* x = b.In(0);
  const Parameters p = ReadParameters(b, 1);
  const int64_t axis = b.Int("axis", 1);
  Value* y = Dequantized(b, x, p, axis, b.Int("block_size", 0));
  if (const int64_t to = b.Int("output_dtype", 0); to != 0) y = b.Cast(y, TypeAttr(b, to));
  b.Out(y);
}

void DynamicQuantizeLinear(NodeBuilder& b) {
  const std::vector<Value*> y = b.EmitMany(OpId::kDynamicQuantize, {b.In(0)}, 3);
  for (size_t i = 0; i < y.size(); ++i) b.Out(i, y[i]);
}

// --- QOperator -----------------------------------------------------------------------------------

// The scale of sums of products.
Value* ProductScale(NodeBuilder& b, Value* x, Value* w) {
  if (IsOne(x) && x->rank() > w->rank()) x = b.Reshape(x, {});
  if (IsOne(w) && w->rank() > x->rank()) w = b.Reshape(w, {});
  return b.Binary(OpId::kMul, x, w);
}

void QLinearConv(NodeBuilder& b) {
  if (b.Int("channels_last", 0) != 0) return b.Unsupported("channels_last = 1");
  Value* x = b.In(0);
  Value* x_scale = b.In(1);
  Value* w = b.In(3);
  Value* w_scale = b.In(4);
  const Window window = ReadWindow(b, x, FilterSizes(b, w));
  std::vector<Value*> inputs = {Operand(b, 0), Operand(b, 3, 0)};
  if (Value* bias = b.OptIn(8)) {
    inputs.push_back(Dequantized(b, bias, {ProductScale(b, x_scale, w_scale), nullptr}, 0));
  }
  Value* y = b.Emit(OpId::kConv, std::move(inputs),
                    {{"strides", window.strides},
                     {"pads", window.pads},
                     {"dilations", window.dilations},
                     {"groups", b.Int("group", 1)}});
  b.Out(Result(b, y, 6));
}

void QLinearMatMul(NodeBuilder& b) {
  // Scales of rows and of columns.
  Value* x = Operand(b, 0, b.Rank(b.In(0)) - 2);
  Value* w = Operand(b, 3, b.Rank(b.In(3)) - 1);
  b.Out(Result(b, MatMulOf(b, x, w), 6));
}

// y = alpha * op(a) op(b) + c; c counts in steps of alpha * a_scale * b_scale.
void QGemm(NodeBuilder& b) {
  const int64_t trans_a = b.Int("transA", 0) != 0, trans_b = b.Int("transB", 0) != 0;
  const double alpha = b.Float("alpha", 1);
  Value* a_scale = b.In(1);
  Value* b_scale = b.In(4);
  std::vector<Value*> inputs = {Operand(b, 0), Operand(b, 3, trans_b != 0 ? 0 : 1)};
  if (Value* c = b.OptIn(6)) {
    Value* scale = ProductScale(b, a_scale, b_scale);
    if (alpha != 1) scale = b.Binary(OpId::kMul, scale, b.ScalarLike(scale, alpha));
    inputs.push_back(Dequantized(b, c, {scale, nullptr}, b.Rank(c) - 1));
  }
  Value* y = b.Emit(OpId::kGemm, std::move(inputs),
                    {{"alpha", alpha}, {"beta", 1.0}, {"trans_a", trans_a}, {"trans_b", trans_b}});
  b.Out(b.HasInput(7) ? Result(b, y, 7) : y);
  if (!b.HasInput(7)) b.IgnoreInput(8);
}

// Add or Mul of two quantised tensors.
void QLinearBinary(NodeBuilder& b) {
  Value* x = Operand(b, 0);
  Value* y = Operand(b, 3);
  b.Out(Result(b, b.Binary(b.row().op, x, y), 6));
}

void QLinearUnary(NodeBuilder& b) {
  Value* x = Operand(b, 0);
  AttrList attrs;
  if (b.row().op == OpId::kLeakyRelu) attrs.emplace_back("alpha", b.Float("alpha", 0.01f));
  b.Out(Result(b, b.Emit(b.row().op, {x}, std::move(attrs)), 3));
}

void QLinearSoftmax(NodeBuilder& b) {
  Value* x = Operand(b, 0);
  const int64_t axis = b.Axis(b.Int("axis", -1), b.Rank(x));
  if (b.Int("opset", 13) < 13 && axis != b.Rank(x) - 1) {
    return b.Unsupported("a softmax over several axes (opset below 13)");
  }
  b.Out(Result(b, b.Emit(OpId::kSoftmax, {x}, {{"axis", axis}}), 3));
}

void QLinearGlobalAveragePool(NodeBuilder& b) {
  Value* x = Operand(b, 0);
  std::vector<int64_t> axes;
  const int64_t first = b.Int("channels_last", 0) != 0 ? 1 : 2;
  for (int64_t i = 0; i + 2 < b.Rank(x); ++i) axes.push_back(first + i);
  b.Out(Result(b, b.Reduce(ReduceKind::kMean, x, std::move(axes), true), 3));
}

void QLinearAveragePool(NodeBuilder& b) {
  if (b.Int("channels_last", 0) != 0) return b.Unsupported("channels_last = 1");
  Value* x = Operand(b, 0);
  const Window w = ReadWindow(b, x, b.Ints("kernel_shape"));
  Value* y = b.Emit(OpId::kAvgPool, {x},
                    {{"kernel", w.kernel},
                     {"strides", w.strides},
                     {"pads", w.pads},
                     {"dilations", w.dilations},
                     {"ceil_mode", b.Int("ceil_mode", 0)},
                     {"count_include_pad", b.Int("count_include_pad", 0)}});
  b.Out(Result(b, y, 3));
}

// Operands: scale and zero point of the result, then x, scale, zero point of each part.
void QLinearConcat(NodeBuilder& b) {
  std::vector<Value*> parts;
  for (size_t i = 2; i + 1 < b.InputCount(); i += 3) parts.push_back(Operand(b, i));
  if (parts.empty()) return b.Invalid("nothing to join");
  const int64_t axis = b.Axis(b.Int("axis", 1), b.Rank(parts[0]));
  b.Out(Result(b, b.Emit(OpId::kConcat, std::move(parts), {{"axis", axis}}), 0));
}

void QLinearWhere(NodeBuilder& b) {
  Value* condition = b.In(0);
  Value* x = Operand(b, 1);
  Value* y = Operand(b, 4);
  b.Out(Result(b, b.Emit(OpId::kWhere, {condition, x, y}), 7));
}

// --- integer products ----------------------------------------------------------------------------

void MatMulInteger(NodeBuilder& b) {
  std::vector<Value*> inputs = {b.In(0), b.In(1), b.OptIn(2), b.OptIn(3)};
  if (b.ok() && (inputs[0]->rank() < 2 || inputs[1]->rank() < 2)) {
    return b.Unsupported("a product with a vector");
  }
  while (inputs.back() == nullptr) inputs.pop_back();
  b.Out(b.Emit(OpId::kMatMulInteger, std::move(inputs)));
}

void ConvInteger(NodeBuilder& b) {
  std::vector<Value*> inputs = {b.In(0), b.In(1), b.OptIn(2), b.OptIn(3)};
  const Window w = ReadWindow(b, inputs[0], FilterSizes(b, inputs[1]));
  while (inputs.back() == nullptr) inputs.pop_back();
  b.Out(b.Emit(OpId::kConvInteger, std::move(inputs),
               {{"strides", w.strides},
                {"pads", w.pads},
                {"dilations", w.dilations},
                {"groups", b.Int("group", 1)}}));
}

// sums * (x_scale * w_scale) + bias, in f32.
Value* Scaled(NodeBuilder& b, Value* sums, Value* x_scale, Value* w_scale, Value* bias) {
  Value* y = b.Binary(OpId::kMul, b.Cast(sums, DType::kF32), ProductScale(b, x_scale, w_scale));
  return bias == nullptr ? y : b.Binary(OpId::kAdd, y, bias);
}

Value* IntegerProduct(NodeBuilder& b, Value* x, Value* w, Value* x_zero, Value* w_zero) {
  if (b.ok() && (x->rank() < 2 || w->rank() < 2)) b.Unsupported("a product with a vector");
  std::vector<Value*> inputs = {x, w, x_zero, w_zero};
  while (inputs.back() == nullptr) inputs.pop_back();
  return b.Emit(OpId::kMatMulInteger, std::move(inputs));
}

void MatMulIntegerToFloat(NodeBuilder& b) {
  Value* sums = IntegerProduct(b, b.In(0), b.In(1), b.OptIn(4), b.OptIn(5));
  b.Out(Scaled(b, sums, b.In(2), b.In(3), b.OptIn(6)));
}

void DynamicQuantizeMatMul(NodeBuilder& b) {
  const std::vector<Value*> x = b.EmitMany(OpId::kDynamicQuantize, {b.In(0)}, 3);
  Value* sums = IntegerProduct(b, x[0], b.In(1), x.size() > 2 ? x[2] : nullptr, b.OptIn(3));
  b.Out(Scaled(b, sums, x.size() > 1 ? x[1] : x[0], b.In(2), b.OptIn(4)));
}

// Attention whose projection is an integer product.
void QAttention(NodeBuilder& b) {
  Value* sums = IntegerProduct(b, b.In(0), b.In(1), b.OptIn(6), b.OptIn(7));
  Value* all = Scaled(b, sums, b.In(3), b.In(4), b.In(2));
  AttendMerged(b, all, {b.In(1), b.OptIn(5), b.OptIn(8), nullptr});
}

// Operands: ids [B,S], segments?, then tables of bytes for words, positions and segments, the
// norm's scale and bias as bytes, a mask?, then scales and zero points of the five.
void QEmbedLayerNorm(NodeBuilder& b) {
  constexpr size_t kTables = 5, kFirst = 2, kScales = 8, kZeros = 13;
  Value* ids = b.In(0);
  Value* segments = b.OptIn(1);
  Value* tables[kTables];
  for (size_t i = 0; i < kTables; ++i) {
    const bool absent = i == 2 && segments == nullptr;
    tables[i] = absent ? nullptr : b.In(kFirst + i);
  }
  const auto floats = [&b](Value* x, size_t i) {
    return Dequantized(b, x, {b.In(kScales + i), b.In(kZeros + i)}, 0);
  };
  const auto rows = [&](size_t i, Value* indices) {
    return floats(b.Emit(OpId::kGather, {tables[i], indices}, {{"axis", int64_t{0}}}), i);
  };
  if (b.ok() && ids->rank() != 2) return b.Invalid("the ids have another rank than 2");
  const ir::Dim length = b.Dim(ids, 1);
  Value* sum = rows(0, ids);
  Value* places = b.Emit(OpId::kRange, {b.DimValue(0), b.DimValue(length), b.DimValue(1)}, {},
                         TensorType{DType::kI64, {length}});
  sum = b.Binary(OpId::kAdd, sum, rows(1, places));
  if (segments != nullptr) {
    sum = b.Binary(OpId::kAdd, sum, rows(2, segments));
  } else {
    for (const size_t i : {kFirst + 2, kScales + 2, kZeros + 2}) b.IgnoreInput(i);
  }
  b.Out(0, b.Emit(OpId::kLayerNorm, {sum, floats(tables[3], 3), floats(tables[4], 4)},
                  {{"axis", int64_t{2}}, {"epsilon", b.Float("epsilon", 1e-12f)}}));
  // The lengths of the mask's rows.
  Value* mask = b.OptIn(7);
  if (!b.WantsOutput(1)) return;
  b.Out(1, mask != nullptr ? b.Reduce(ReduceKind::kSum, mask, {1}, false)
                           : b.Expand(b.Scalar(DType::kI32, 0), {b.Dim(ids, 0)}));
}

constexpr Row kRows[] = {
    {"QuantizeLinear", 10, QuantizeLinear},
    {"DequantizeLinear", 10, DequantizeLinear},
    {"DynamicQuantizeLinear", 11, DynamicQuantizeLinear},
    {"QLinearConv", 10, QLinearConv},
    {"QLinearMatMul", 10, QLinearMatMul},
    {"MatMulInteger", 10, MatMulInteger},
    {"ConvInteger", 10, ConvInteger},
    {"QuantizeLinear", 1, QuantizeLinear, OpId::kQuantize, 0, kMicrosoft},
    {"DequantizeLinear", 1, DequantizeLinear, OpId::kDequantize, 0, kMicrosoft},
    {"QLinearConv", 1, QLinearConv, OpId::kConv, 0, kMicrosoft},
    {"QGemm", 1, QGemm, OpId::kGemm, 0, kMicrosoft},
    {"QLinearAdd", 1, QLinearBinary, OpId::kAdd, 0, kMicrosoft},
    {"QLinearMul", 1, QLinearBinary, OpId::kMul, 0, kMicrosoft},
    {"QLinearSigmoid", 1, QLinearUnary, OpId::kSigmoid, 0, kMicrosoft},
    {"QLinearLeakyRelu", 1, QLinearUnary, OpId::kLeakyRelu, 0, kMicrosoft},
    {"QLinearSoftmax", 1, QLinearSoftmax, OpId::kSoftmax, 0, kMicrosoft},
    {"QLinearGlobalAveragePool", 1, QLinearGlobalAveragePool, OpId::kReduce, 0, kMicrosoft},
    {"QLinearAveragePool", 1, QLinearAveragePool, OpId::kAvgPool, 0, kMicrosoft},
    {"QLinearConcat", 1, QLinearConcat, OpId::kConcat, 0, kMicrosoft},
    {"QLinearWhere", 1, QLinearWhere, OpId::kWhere, 0, kMicrosoft},
    {"MatMulIntegerToFloat", 1, MatMulIntegerToFloat, OpId::kMatMulInteger, 0, kMicrosoft},
    {"QAttention", 1, QAttention, OpId::kAttention, 0, kMicrosoft},
    {"QEmbedLayerNormalization", 1, QEmbedLayerNorm, OpId::kLayerNorm, 0, kMicrosoft},
    {"DynamicQuantizeMatMul", 1, DynamicQuantizeMatMul, OpId::kMatMulInteger, 0, kMicrosoft},
};

}  // namespace

std::span<const Row> QuantizedRows() { return kRows; }

}  // namespace floe::onnx
