// Quantised tensors to and from the floats that they stand for.
#include <utility>

#include "compiler/import/torchscript/quantized_call.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {

using aten::Kind;

namespace {

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
Result AlongAxis(const QuantizedCall& c, const IValue& v, const QuantizedTensor& q) {
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
absl::StatusOr<bool> HasFloatZero(const QuantizedCall& c, const QuantizedTensor& q) {
  if (!q.zero_point.is_tensor()) return q.zero_point.kind() == Kind::kFloat;
  FLOE_TRY_ASSIGN(const ir::Value* zero, c.in.context().Read(q.zero_point.variable()));
  return IsFloat(zero->dtype());
}

}  // namespace

Result Dequantize(const QuantizedCall& c, const QuantizedTensor& q) {
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

Result Real(const QuantizedCall& c, const IValue& v) {
  if (const auto q = As<QuantizedTensor>(v)) return Dequantize(c, *q);
  if (v.is_tensor()) return v;
  return absl::InvalidArgumentError("a tensor was expected, not " + v.Describe());
}

Result Quantize(const QuantizedCall& c, const IValue& x, const IValue& scale,
                const IValue& zero_point, int64_t scalar_type) {
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

}  // namespace floe::torchscript
