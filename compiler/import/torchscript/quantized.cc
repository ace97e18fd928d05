#include "compiler/import/torchscript/quantized.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/import/torchscript/quantized_call.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;

struct QuantizedOp {
  const char* name;
  Result (*function)(const QuantizedCall& c);
};

Result MaybeRelu(const QuantizedCall& c, IValue x, bool relu) {
  return relu ? c.Op("aten::relu", {std::move(x)}) : Result(std::move(x));
}

// The last two arguments are the scale and the zero point of the result, a quint8.
Result Requantize(const QuantizedCall& c, const IValue& x, size_t scale_at) {
  FLOE_TRY_ASSIGN(IValue scale, c.At(scale_at));
  FLOE_TRY_ASSIGN(IValue zero_point, c.At(scale_at + 1));
  return Quantize(c, x, scale, zero_point, kQUInt8);
}

template <bool kRelu>
Result Linear(const QuantizedCall& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(x, Real(c, x));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  FLOE_TRY_ASSIGN(PackedLayer p, Unpack(c, packed_value));
  FLOE_TRY_ASSIGN(IValue y, c.Op("aten::linear", {x, p.weight, p.bias}));
  FLOE_TRY_ASSIGN(y, MaybeRelu(c, y, kRelu));
  return Requantize(c, y, 2);
}

// x as it is after quantisation with its own minimum and maximum, in [0, 255], or [0, 127] for
// kernels that would saturate.
Result DynamicallyQuantized(const QuantizedCall& c, const IValue& x, bool reduce_range) {
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
Result LinearDynamic(const QuantizedCall& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  const bool reduce_range = c.Has(2) && c.args[2].is_known() && c.args[2].bool_value();
  FLOE_TRY_ASSIGN(PackedLayer p, Unpack(c, packed_value));
  FLOE_TRY_ASSIGN(x, DynamicallyQuantized(c, x, reduce_range));
  FLOE_TRY_ASSIGN(IValue y, c.Op("aten::linear", {x, p.weight, p.bias}));
  return MaybeRelu(c, y, kRelu);
}

Result LinearHalf(const QuantizedCall& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  FLOE_TRY_ASSIGN(PackedLayer p, Unpack(c, packed_value));
  return c.Op("aten::linear", {x, p.weight, p.bias});
}

template <bool kRelu>
Result Conv(const QuantizedCall& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  FLOE_TRY_ASSIGN(x, Real(c, x));
  FLOE_TRY_ASSIGN(IValue packed_value, c.At(1));
  FLOE_TRY_ASSIGN(PackedLayer p, Unpack(c, packed_value));
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
Result Binary(const QuantizedCall& c) {
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
Result Cat(const QuantizedCall& c) {
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

Result QuantizePerTensor(const QuantizedCall& c) {
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

Result DequantizeOp(const QuantizedCall& c) {
  FLOE_TRY_ASSIGN(IValue x, c.At(0));
  return Real(c, x);
}

Result ScaleOf(const QuantizedCall& c) {
  const auto q = As<QuantizedTensor>(c.args[0]);
  return q == nullptr ? absl::UnimplementedError("q_scale() of a float tensor") : Result(q->scale);
}
Result ZeroPointOf(const QuantizedCall& c) {
  const auto q = As<QuantizedTensor>(c.args[0]);
  return q == nullptr ? absl::UnimplementedError("q_zero_point() of a float tensor")
                      : Result(q->zero_point);
}
Result IntegersOf(const QuantizedCall& c) {
  const auto q = As<QuantizedTensor>(c.args[0]);
  if (q == nullptr) return absl::UnimplementedError("int_repr() of a float tensor");
  return IValue::Tensor(q->values);
}
constexpr QuantizedOp kOps[] = {
    {"quantized::linear_prepack", LinearPrepack},
    {"quantized::linear_prepack_fp16", LinearPrepack},
    {"quantized::conv1d_prepack", ConvPrepack},
    {"quantized::conv2d_prepack", ConvPrepack},
    {"quantized::conv3d_prepack", ConvPrepack},
    {"quantized::conv_transpose1d_prepack", TransposedConvPrepack},
    {"quantized::conv_transpose2d_prepack", TransposedConvPrepack},
    {"quantized::conv_transpose3d_prepack", TransposedConvPrepack},
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
  const QuantizedCall c = {in, arguments.positional, site};
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
