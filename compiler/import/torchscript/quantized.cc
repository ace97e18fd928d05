#include "compiler/import/torchscript/quantized.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;
using Result = absl::StatusOr<IValue>;
using QuantizedPtr = std::shared_ptr<QuantizedTensor>;

constexpr int64_t kQInt8 = 12;
constexpr int64_t kQUInt8 = 13;
constexpr int64_t kQInt32 = 14;
constexpr int64_t kFloat32 = 6;  // c10's number of f32.

// How a call reads: arguments by position, with the emission of ATen ops around it.
struct Call {
  Interpreter& in;
  const std::vector<IValue>& args;
  const CallSite& site;

  bool Has(size_t i) const { return i < args.size() && !args[i].is_none(); }
  absl::StatusOr<IValue> At(size_t i) const {
    if (i < args.size()) return args[i];
    return absl::InvalidArgumentError(absl::StrFormat("argument %d is missing", i));
  }
  Result Op(const char* name, std::vector<IValue> arguments) const {
    return in.Aten(name, std::move(arguments), site);
  }
};

// The range of the integers that a quantised type holds.
struct Range {
  double low, high;
};
absl::StatusOr<Range> RangeOf(int64_t scalar_type) {
  switch (scalar_type) {
    case kQInt8:
      return Range{-128, 127};
    case kQUInt8:
      return Range{0, 255};
    case kQInt32:
      return Range{-2147483648.0, 2147483647.0};
    default:
      return absl::UnimplementedError(
          absl::StrFormat("the quantised element type %d is not supported", scalar_type));
  }
}

int64_t StorageType(int64_t scalar_type) {
  return scalar_type == kQInt8 ? 1 : scalar_type == kQUInt8 ? 0 : 3;  // i8, u8, i32.
}

// A per-channel parameter as a tensor that broadcasts along the axis.
Result AlongAxis(const Call& c, const IValue& v, const QuantizedTensor& q) {
  if (!v.is_tensor()) return v;
  FLOE_TRY_ASSIGN(const ir::Value* values, c.in.context().Read(q.values));
  std::vector<int64_t> shape(values->rank(), 1);
  if (q.axis < 0 || q.axis >= static_cast<int64_t>(shape.size())) {
    return absl::InvalidArgumentError("a quantised tensor's axis lies outside of it");
  }
  shape[static_cast<size_t>(q.axis)] = -1;
  FLOE_TRY_ASSIGN(IValue f, c.Op("aten::to.dtype", {v, IValue::Int(kFloat32)}));
  return c.Op("aten::reshape", {std::move(f), IValue::Ints(shape)});
}

// The rest of what quantized_decomposed's operators take: the range and the type of the integers.
absl::Status AppendRange(int64_t scalar_type, std::vector<IValue>* arguments) {
  FLOE_TRY_ASSIGN(const Range range, RangeOf(scalar_type));
  arguments->push_back(IValue::Int(static_cast<int64_t>(range.low)));
  arguments->push_back(IValue::Int(static_cast<int64_t>(range.high)));
  arguments->push_back(IValue::Int(StorageType(scalar_type)));
  return absl::OkStatus();
}

// Embeddings have zero points that are no integers: they are read as arithmetic.
absl::StatusOr<bool> HasFloatZero(const Call& c, const QuantizedTensor& q) {
  if (!q.zero_point.is_tensor()) return q.zero_point.kind() == Kind::kFloat;
  FLOE_TRY_ASSIGN(const ir::Value* zero, c.in.context().Read(q.zero_point.variable()));
  return IsFloat(zero->dtype());
}

// (values - zero point) * scale, in f32.
Result Dequantize(const Call& c, const QuantizedTensor& q) {
  FLOE_TRY_ASSIGN(const bool float_zero, HasFloatZero(c, q));
  const bool tensors = q.scale.is_tensor() && q.zero_point.is_tensor();
  if (!float_zero && (tensors || (!q.scale.is_tensor() && !q.zero_point.is_tensor()))) {
    std::vector<IValue> arguments = {IValue::Tensor(q.values), q.scale, q.zero_point};
    if (q.per_channel) arguments.push_back(IValue::Int(q.axis));
    FLOE_TRY(AppendRange(q.scalar_type, &arguments));
    return c.Op(q.per_channel ? "quantized_decomposed::dequantize_per_channel"
                : tensors     ? "quantized_decomposed::dequantize_per_tensor.tensor"
                              : "quantized_decomposed::dequantize_per_tensor",
                std::move(arguments));
  }
  FLOE_TRY_ASSIGN(IValue x,
                  c.Op("aten::to.dtype", {IValue::Tensor(q.values), IValue::Int(kFloat32)}));
  FLOE_TRY_ASSIGN(IValue zero, AlongAxis(c, q.zero_point, q));
  FLOE_TRY_ASSIGN(IValue scale, AlongAxis(c, q.scale, q));
  FLOE_TRY_ASSIGN(x, c.Op(zero.is_tensor() ? "aten::sub.Tensor" : "aten::sub.Scalar", {x, zero}));
  return c.Op(scale.is_tensor() ? "aten::mul.Tensor" : "aten::mul.Scalar", {x, scale});
}

// What a floating-point or quantised argument stands for, in f32.
Result Real(const Call& c, const IValue& v) {
  if (const auto q = As<QuantizedTensor>(v)) return Dequantize(c, *q);
  if (v.is_tensor()) return v;
  return absl::InvalidArgumentError("a tensor was expected, not " + v.Describe());
}

// As integers, which stand for x: PyTorch's kernels multiply by the reciprocal of the scale in f32.
Result Quantize(const Call& c, const IValue& x, const IValue& scale, const IValue& zero_point,
                int64_t scalar_type) {
  if (!(scale.kind() == Kind::kFloat && scale.is_known()) && !scale.is_constant_int()) {
    return absl::UnimplementedError("a quantisation scale that depends on data");
  }
  if (!zero_point.is_constant_int()) {
    return absl::UnimplementedError("a quantisation zero point that depends on data");
  }
  const double given =
      scale.kind() == Kind::kFloat ? scale.float_value() : static_cast<double>(scale.int_value());
  if (!(given > 0 && given < 3e38)) {
    return absl::InvalidArgumentError("a quantisation scale that is no positive number");
  }
  std::vector<IValue> arguments = {x, IValue::Float(given), zero_point};
  FLOE_TRY(AppendRange(scalar_type, &arguments));
  FLOE_TRY_ASSIGN(IValue q,
                  c.Op("quantized_decomposed::quantize_per_tensor", std::move(arguments)));
  auto result = std::make_shared<QuantizedTensor>();
  result->values = q.variable();
  result->scale = scale;
  result->zero_point = zero_point;
  result->scalar_type = scalar_type;
  return IValue::Of(std::move(result));
}

// --- packed parameters
// -----------------------------------------------------------------------------

struct Packed {
  IValue weight;  // f32
  IValue bias;    // f32, or None
  std::vector<int64_t> stride, padding, dilation, output_padding;
  int64_t groups = 1;
  bool transposed = false;
};

absl::Status UnknownForm(const std::string& what) {
  return absl::UnimplementedError(
      what + "; quantise the model anew with a current PyTorch, or export it with torch.export");
}

// (weight, bias) of a linear layer; ("2", [int16 numbers, weight], [bias]) or
// (3, [numbers], [None, weight, bias]) of a convolution.
absl::StatusOr<Packed> Unpack(const Call& c, const IValue& v) {
  const auto object = As<NativeObject>(v);
  if (object == nullptr) return UnknownForm("packed parameters of an unknown form");
  const IValue& state = object->state;
  Packed packed;
  if (!state.is_sequence() || state.items().size() < 2) {
    return UnknownForm(object->cls + " has a state of an unknown form");
  }
  const std::vector<IValue>& items = state.items();
  if (absl::StrContains(object->cls, "Linear")) {
    FLOE_TRY_ASSIGN(packed.weight, Real(c, items[0]));
    FLOE_TRY_ASSIGN(packed.weight, c.Op("aten::to.dtype", {packed.weight, IValue::Int(kFloat32)}));
    packed.bias = items[1];
    return packed;
  }
  if (!absl::StrContains(object->cls, "Conv") || items.size() != 3) {
    return UnknownForm(object->cls + " is not supported");
  }
  if (!items[1].is_sequence() || !items[2].is_sequence()) {
    return UnknownForm(object->cls + " has a state of an unknown version");
  }
  std::vector<int64_t> numbers;
  const bool newest = items[0].is_constant_int();
  if (newest) {
    if (items[2].items().size() != 3) return UnknownForm(object->cls + " has an unknown state");
    for (const IValue& n : items[1].items()) {
      FLOE_TRY_ASSIGN(const int64_t number, ConstantInt(n, "a convolution's parameter"));
      numbers.push_back(number);
    }
    packed.weight = items[2].items()[1];
    packed.bias = items[2].items()[2];
  } else {
    if (items[1].items().size() != 2 || items[2].items().size() != 1 ||
        !items[1].items()[0].is_tensor()) {
      return UnknownForm(object->cls + " has an unknown state");
    }
    FLOE_TRY_ASSIGN(const ir::Value* tensor, c.in.context().Read(items[1].items()[0].variable()));
    if (!tensor->is_constant()) return UnknownForm(object->cls + " is changed by the model");
    for (int64_t i = 0; i < tensor->constant().count(); ++i) {
      numbers.push_back(tensor->constant().IntAt(i));
    }
    packed.weight = items[1].items()[1];
    packed.bias = items[2].items()[0];
  }
  if (numbers.empty() || numbers[0] < 1 || numbers[0] > 3 ||
      numbers.size() < 4 * static_cast<size_t>(numbers[0]) + 3) {
    return UnknownForm(object->cls + " has too few parameters");
  }
  const auto n = static_cast<size_t>(numbers[0]);
  const auto part = [&](size_t k) {
    const auto begin = numbers.begin() + static_cast<std::ptrdiff_t>(1 + k * n);
    return std::vector<int64_t>(begin, begin + static_cast<std::ptrdiff_t>(n));
  };
  packed.stride = part(0);
  packed.padding = part(1);
  packed.dilation = part(2);
  packed.output_padding = part(3);
  packed.groups = numbers[1 + 4 * n];
  packed.transposed = (numbers[2 + 4 * n] & 1) != 0;
  FLOE_TRY_ASSIGN(packed.weight, Real(c, packed.weight));
  return packed;
}

// --- operators
// -------------------------------------------------------------------------------------

struct QuantizedOp {
  const char* name;
  Result (*function)(const Call& c);
};

Result MaybeRelu(const Call& c, IValue x, bool relu) {
  return relu ? c.Op("aten::relu", {std::move(x)}) : Result(std::move(x));
}

// The last two arguments are the scale and the zero point of the result, a quint8.
Result Requantize(const Call& c, const IValue& x, size_t scale_at) {
  FLOE_TRY_ASSIGN(IValue scale, c.At(scale_at));
  FLOE_TRY_ASSIGN(IValue zero_point, c.At(scale_at + 1));
  return Quantize(c, x, scale, zero_point, kQUInt8);
}

template <bool kRelu>
Result Linear(const Call& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(x, Real(c, x));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  FLOE_TRY_ASSIGN(Packed p, Unpack(c, packed_value));
  FLOE_TRY_ASSIGN(IValue y, c.Op("aten::linear", {x, p.weight, p.bias}));
  FLOE_TRY_ASSIGN(y, MaybeRelu(c, y, kRelu));
  return Requantize(c, y, 2);
}

// x as it is after quantisation with its own minimum and maximum, in [0, 255], or [0, 127] for
// kernels that would saturate.
Result DynamicallyQuantized(const Call& c, const IValue& x, bool reduce_range) {
  const double high = reduce_range ? 127 : 255;
  const IValue zero = IValue::Float(0);
  FLOE_TRY_ASSIGN(IValue low_value, c.Op("aten::min", {x}));
  FLOE_TRY_ASSIGN(low_value, c.Op("aten::clamp", {low_value, IValue(), zero}));
  FLOE_TRY_ASSIGN(IValue high_value, c.Op("aten::max", {x}));
  FLOE_TRY_ASSIGN(high_value, c.Op("aten::clamp", {high_value, zero, IValue()}));
  FLOE_TRY_ASSIGN(IValue scale, c.Op("aten::sub.Tensor", {high_value, low_value}));
  FLOE_TRY_ASSIGN(scale, c.Op("aten::div.Scalar", {scale, IValue::Float(high)}));
  // A tensor of zeros has any scale.
  FLOE_TRY_ASSIGN(IValue flat, c.Op("aten::eq.Scalar", {scale, zero}));
  FLOE_TRY_ASSIGN(scale, c.Op("aten::masked_fill.Scalar", {scale, flat, IValue::Float(0.1)}));
  FLOE_TRY_ASSIGN(IValue zero_point, c.Op("aten::div.Tensor", {low_value, scale}));
  FLOE_TRY_ASSIGN(zero_point, c.Op("aten::neg", {zero_point}));
  FLOE_TRY_ASSIGN(zero_point, c.Op("aten::round", {zero_point}));
  FLOE_TRY_ASSIGN(zero_point, c.Op("aten::clamp", {zero_point, zero, IValue::Float(high)}));
  FLOE_TRY_ASSIGN(IValue inverse, c.Op("aten::reciprocal", {scale}));
  FLOE_TRY_ASSIGN(IValue q, c.Op("aten::mul.Tensor", {x, inverse}));
  FLOE_TRY_ASSIGN(q, c.Op("aten::round", {q}));
  FLOE_TRY_ASSIGN(q, c.Op("aten::add.Tensor", {q, zero_point}));
  FLOE_TRY_ASSIGN(q, c.Op("aten::clamp", {q, zero, IValue::Float(high)}));
  FLOE_TRY_ASSIGN(q, c.Op("aten::sub.Tensor", {q, zero_point}));
  return c.Op("aten::mul.Tensor", {q, scale});
}

template <bool kRelu>
Result LinearDynamic(const Call& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  const bool reduce_range = c.Has(2) && c.args[2].is_known() && c.args[2].bool_value();
  FLOE_TRY_ASSIGN(Packed p, Unpack(c, packed_value));
  FLOE_TRY_ASSIGN(x, DynamicallyQuantized(c, x, reduce_range));
  FLOE_TRY_ASSIGN(IValue y, c.Op("aten::linear", {x, p.weight, p.bias}));
  return MaybeRelu(c, y, kRelu);
}

Result LinearHalf(const Call& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  FLOE_TRY_ASSIGN(Packed p, Unpack(c, packed_value));
  return c.Op("aten::linear", {x, p.weight, p.bias});
}

template <bool kRelu>
Result Conv(const Call& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(x, Real(c, x));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  FLOE_TRY_ASSIGN(Packed p, Unpack(c, packed_value));
  FLOE_TRY_ASSIGN(const ir::Value* now, c.in.context().Read(x.variable()));
  FLOE_TRY_ASSIGN(const ir::Value* weight, c.in.context().Read(p.weight.variable()));
  // One-dimensional convolutions are packed as two-dimensional ones of height 1.
  const bool widen = now->rank() + 1 == weight->rank();
  if (widen) {
    FLOE_TRY_ASSIGN(x, c.Op("aten::unsqueeze", {x, IValue::Int(2)}));
  }
  FLOE_TRY_ASSIGN(IValue y,
                  c.Op("aten::convolution",
                       {x, p.weight, p.bias, IValue::Ints(p.stride), IValue::Ints(p.padding),
                        IValue::Ints(p.dilation), IValue::Bool(p.transposed),
                        IValue::Ints(p.output_padding), IValue::Int(p.groups)}));
  if (widen) {
    FLOE_TRY_ASSIGN(y, c.Op("aten::squeeze.dim", {y, IValue::Int(2)}));
  }
  FLOE_TRY_ASSIGN(y, MaybeRelu(c, y, kRelu));
  return Requantize(c, y, 2);
}

template <int kOp, bool kRelu>  // 0: a + b, 1: a * b, 2: matmul.
Result Binary(const Call& c) {
  FLOE_TRY_ASSIGN(IValue a, c.At(0));
  FLOE_TRY_ASSIGN(IValue b, c.At(1));
  FLOE_TRY_ASSIGN(a, Real(c, a));
  FLOE_TRY_ASSIGN(b, Real(c, b));
  const char* op = kOp == 0 ? "aten::add.Tensor" : kOp == 1 ? "aten::mul.Tensor" : "aten::matmul";
  FLOE_TRY_ASSIGN(IValue y, c.Op(op, {a, b}));
  FLOE_TRY_ASSIGN(y, MaybeRelu(c, y, kRelu));
  return Requantize(c, y, 2);
}

template <bool kRelu>
Result Cat(const Call& c) {
  FLOE_TRY_ASSIGN(IValue list, c.At(0));
  FLOE_TRY_ASSIGN(IValue axis, c.At(1));
  if (!list.is_sequence()) return absl::InvalidArgumentError("cat() of no list");
  std::vector<IValue> parts;
  for (const IValue& item : list.items()) {
    FLOE_TRY_ASSIGN(IValue part, Real(c, item));
    parts.push_back(std::move(part));
  }
  FLOE_TRY_ASSIGN(IValue y, c.Op("aten::cat", {IValue::ListOf(parts, Kind::kTensor), axis}));
  FLOE_TRY_ASSIGN(y, MaybeRelu(c, y, kRelu));
  return Requantize(c, y, 2);
}

Result QuantizePerTensor(const Call& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(IValue scale, c.At(1));
  FLOE_TRY_ASSIGN(IValue zero_point, c.At(2));
  FLOE_TRY_ASSIGN(IValue type, c.At(3));
  FLOE_TRY_ASSIGN(const int64_t scalar_type, ConstantInt(type, "a quantised type"));
  // Scales and zero points are attributes of the module: tensors of one element.
  if (scale.is_tensor()) {
    FLOE_TRY_ASSIGN(scale, c.in.ElementOf(scale, Kind::kFloat, c.site));
  }
  if (zero_point.is_tensor()) {
    FLOE_TRY_ASSIGN(zero_point, c.in.ElementOf(zero_point, Kind::kInt, c.site));
  }
  return Quantize(c, x, scale, zero_point, scalar_type);
}

Result DequantizeOp(const Call& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  return Real(c, x);
}

Result ScaleOf(const Call& c) {
  const auto q = As<QuantizedTensor>(c.args[0]);
  return q == nullptr ? absl::UnimplementedError("q_scale() of a float tensor") : Result(q->scale);
}
Result ZeroPointOf(const Call& c) {
  const auto q = As<QuantizedTensor>(c.args[0]);
  return q == nullptr ? absl::UnimplementedError("q_zero_point() of a float tensor")
                      : Result(q->zero_point);
}
Result IntegersOf(const Call& c) {
  const auto q = As<QuantizedTensor>(c.args[0]);
  if (q == nullptr) return absl::UnimplementedError("int_repr() of a float tensor");
  return IValue::Tensor(q->values);
}
Result LinearUnpack(const Call& c) {
  const auto object = As<NativeObject>(c.args[0]);
  if (object == nullptr || !object->state.is_sequence()) return UnknownForm("unknown parameters");
  return IValue::TupleOf(object->state.items());
}

// Packed parameters made by the model's own code: in the newest form that files have.
Result LinearPrepack(const Call& c) {
  FLOE_TRY_ASSIGN(IValue weight, c.At(0));
  return IValue::Of(std::make_shared<NativeObject>(
      "LinearPackedParams", IValue::TupleOf({weight, c.Has(1) ? c.args[1] : IValue()})));
}

template <bool kTransposed>
Result ConvPrepack(const Call& c) {
  // weight, bias, stride, padding, [output padding of transposed ones,] dilation, groups
  constexpr size_t kDilation = kTransposed ? 5 : 4;
  FLOE_TRY_ASSIGN(IValue stride, c.At(2));
  FLOE_TRY_ASSIGN(IValue padding, c.At(3));
  FLOE_TRY_ASSIGN(IValue dilation, c.At(kDilation));
  FLOE_TRY_ASSIGN(IValue groups, c.At(kDilation + 1));
  if (!stride.is_sequence() || !padding.is_sequence() || !dilation.is_sequence()) {
    return UnknownForm("a packed convolution without lists");
  }
  const size_t n = stride.items().size();
  std::vector<IValue> numbers;
  numbers.push_back(IValue::Int(static_cast<int64_t>(n)));
  for (const IValue& list : {stride, padding, dilation}) {
    if (list.items().size() != n) return UnknownForm("a packed convolution of an unknown rank");
    numbers.insert(numbers.end(), list.items().begin(), list.items().end());
  }
  for (size_t i = 0; i < n; ++i) {
    const bool given = kTransposed && c.args[4].is_sequence() && i < c.args[4].items().size();
    numbers.push_back(given ? c.args[4].items()[i] : IValue::Int(0));
  }
  numbers.push_back(groups);
  numbers.push_back(IValue::Int(kTransposed ? 1 : 0));
  std::vector<IValue> state;
  state.push_back(IValue::Int(3));
  state.push_back(IValue::ListOf(std::move(numbers), Kind::kInt));
  std::vector<IValue> tensors;
  tensors.emplace_back();
  tensors.push_back(c.args[0]);
  tensors.push_back(c.args[1]);
  state.push_back(IValue::ListOf(std::move(tensors)));
  return IValue::Of(
      std::make_shared<NativeObject>("ConvPackedParams", IValue::TupleOf(std::move(state))));
}

constexpr QuantizedOp kOps[] = {
    {"quantized::linear_prepack", LinearPrepack},
    {"quantized::linear_prepack_fp16", LinearPrepack},
    {"quantized::conv1d_prepack", ConvPrepack<false>},
    {"quantized::conv2d_prepack", ConvPrepack<false>},
    {"quantized::conv3d_prepack", ConvPrepack<false>},
    {"quantized::conv_transpose1d_prepack", ConvPrepack<true>},
    {"quantized::conv_transpose2d_prepack", ConvPrepack<true>},
    {"quantized::conv_transpose3d_prepack", ConvPrepack<true>},
    {"quantized::linear", Linear<false>},
    {"quantized::linear_relu", Linear<true>},
    {"quantized::linear_dynamic", LinearDynamic<false>},
    {"quantized::linear_relu_dynamic", LinearDynamic<true>},
    {"quantized::linear_dynamic_fp16", LinearHalf},
    {"quantized::linear_unpack", LinearUnpack},
    {"quantized::linear_unpack_fp16", LinearUnpack},
    {"quantized::conv1d", Conv<false>},
    {"quantized::conv1d_relu", Conv<true>},
    {"quantized::conv2d", Conv<false>},
    {"quantized::conv2d_relu", Conv<true>},
    {"quantized::conv3d", Conv<false>},
    {"quantized::conv3d_relu", Conv<true>},
    {"quantized::conv_transpose1d", Conv<false>},
    {"quantized::conv_transpose2d", Conv<false>},
    {"quantized::conv_transpose3d", Conv<false>},
    {"quantized::add", Binary<0, false>},
    {"quantized::add_relu", Binary<0, true>},
    {"quantized::mul", Binary<1, false>},
    {"quantized::mul_relu", Binary<1, true>},
    {"quantized::matmul", Binary<2, false>},
    {"quantized::cat", Cat<false>},
    {"quantized::cat_relu", Cat<true>},
    {"aten::quantize_per_tensor", QuantizePerTensor},
    {"aten::dequantize", DequantizeOp},
    {"aten::q_scale", ScaleOf},
    {"aten::q_zero_point", ZeroPointOf},
    {"aten::int_repr", IntegersOf},
};

const QuantizedOp* Find(const std::string& name) {
  const auto* it = std::find_if(std::begin(kOps), std::end(kOps),
                                [&](const QuantizedOp& op) { return name == op.name; });
  return it == std::end(kOps) ? nullptr : it;
}

// Operators that only move, select or limit elements: they work on the integers as they are, or on
// the floats and give the scale and zero point of their operand.
bool KeepsScale(const std::string& name) {
  constexpr const char* kNames[] = {"aten::relu",
                                    "aten::relu_",
                                    "aten::max_pool2d",
                                    "aten::max_pool1d",
                                    "aten::avg_pool2d",
                                    "aten::adaptive_avg_pool2d",
                                    "aten::mean",
                                    "aten::flatten",
                                    "aten::reshape",
                                    "aten::view",
                                    "aten::permute",
                                    "aten::transpose",
                                    "aten::contiguous",
                                    "aten::unsqueeze",
                                    "aten::squeeze",
                                    "aten::slice",
                                    "aten::select",
                                    "aten::chunk",
                                    "aten::dropout",
                                    "aten::clamp",
                                    "aten::hardtanh",
                                    "aten::hardtanh_",
                                    "aten::upsample_nearest2d",
                                    "aten::upsample_bilinear2d",
                                    "aten::clone",
                                    "aten::detach",
                                    "aten::pixel_shuffle"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](const char* n) { return name == n; });
}

// Dequantises the first argument, calls the op, and quantises its result with the same parameters.
Result KeepScale(Interpreter& in, const std::string& name, const CallArguments& arguments,
                 const QuantizedPtr& q, const CallSite& site) {
  if (q->per_channel) return absl::UnimplementedError("an op on a tensor quantised per channel");
  const Call c = {in, arguments.positional, site};
  CallArguments call = arguments;
  FLOE_TRY_ASSIGN(call.positional[0], Dequantize(c, *q));
  const std::string plain = name.back() == '_' ? name.substr(0, name.size() - 1) : name;
  std::vector<IValue> results;
  FLOE_TRY(in.context().CallOverloaded(plain, call, site, &results));
  if (results.size() != 1) return absl::UnimplementedError("several results of a quantised op");
  if (results[0].is_tensor()) {
    return Quantize(c, results[0], q->scale, q->zero_point, q->scalar_type);
  }
  if (!results[0].is_sequence()) return absl::UnimplementedError("no tensor of a quantised op");
  std::vector<IValue> parts;
  for (const IValue& part : results[0].items()) {
    FLOE_TRY_ASSIGN(IValue quantised, Quantize(c, part, q->scale, q->zero_point, q->scalar_type));
    parts.push_back(std::move(quantised));
  }
  return IValue::ListOf(std::move(parts));
}

bool TakesQuantized(const IValue& v) {
  if (As<QuantizedTensor>(v) != nullptr || As<NativeObject>(v) != nullptr) return true;
  return v.kind() == Kind::kList &&
         std::any_of(v.items().begin(), v.items().end(),
                     [](const IValue& item) { return As<QuantizedTensor>(item) != nullptr; });
}

}  // namespace

bool IsQuantizedOp(const std::string& name) { return Find(name) != nullptr; }

bool IsQuantizedCall(const std::string& name, const CallArguments& arguments) {
  if (absl::StartsWith(name, "quantized::") || IsQuantizedOp(name)) return true;
  return std::any_of(arguments.positional.begin(), arguments.positional.end(), TakesQuantized);
}

Result CallQuantized(Interpreter& in, const std::string& name, const CallArguments& arguments,
                     const CallSite& site) {
  std::vector<IValue> positional = arguments.positional;
  for (const auto& [keyword, value] : arguments.keyword) positional.push_back(value);
  if (const QuantizedOp* op = Find(name); op != nullptr && !positional.empty()) {
    return op->function({in, positional, site});
  }
  const QuantizedPtr q =
      arguments.positional.empty() ? nullptr : As<QuantizedTensor>(arguments.positional[0]);
  if (q != nullptr && KeepsScale(name)) return KeepScale(in, name, arguments, q, site);
  return UnknownForm("this quantised operator has no mapping");
}

}  // namespace floe::torchscript
