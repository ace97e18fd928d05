// Tensors made from numbers, and changes of dtype.
#include <cmath>
#include <numbers>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/aten/promotion.h"

namespace floe::aten {
namespace {

using ir::Value;

// --- filled tensors ------------------------------------------------------------------------------

// The dtype that a number makes a tensor of: torch.full, scalar_tensor, tensor.
DType DTypeOfNumber(const Number& n) {
  return n.kind == Kind::kFloat ? DType::kF32 : n.kind == Kind::kInt ? DType::kI64 : DType::kBool;
}

void CheckSizes(OpBuilder& b, const ir::Shape& shape) {
  for (const ir::Dim& d : shape) {
    if (b.ok() && b.Min(d) < 0) b.Invalid("a negative size " + b.Text(d));
  }
}

Value* Filled(OpBuilder& b, DType t, ir::Shape shape, const Number& n) {
  CheckSizes(b, shape);
  Value* value = b.NumberAs(n, t);
  if (!b.ok() || shape.empty()) return value;
  if (n.tensor == nullptr) {
    const bool small = IsFloat(t) || std::abs(static_cast<double>(n.integer)) < 0x1p53;
    if (small) {
      const double v = n.kind == Kind::kFloat && IsFloat(t) ? n.value : b.ScalarOf(value).value();
      return b.Full(t, std::move(shape), v);
    }
  }
  return b.Expand(value, std::move(shape));
}

Number NumberOf(double v) {
  Number n;
  n.kind = Kind::kInt;
  n.value = v;
  n.integer = static_cast<int64_t>(v);
  return n;
}

// full, and zeros, ones, empty (param: the value, by name of the size argument).
void Full(OpBuilder& b) {
  const char* size = "size";
  const Number n = b.HasArg("fill_value") ? b.Scalar("fill_value")
                                          : NumberOf(static_cast<double>(b.row().param));
  const DType fallback = b.HasArg("fill_value") ? DTypeOfNumber(n) : DType::kF32;
  b.Return(Filled(b, b.DTypeArg("dtype", fallback), ir::Shape(b.SymInts(size)), n));
}

// full_like, new_full, new_zeros...: like `self`.
void FullLike(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const Number n = b.HasArg("fill_value") ? b.Scalar("fill_value")
                                          : NumberOf(static_cast<double>(b.row().param));
  ir::Shape shape = b.HasArg("size") ? ir::Shape(b.SymInts("size")) : x->shape();
  b.Return(Filled(b, b.DTypeArg("dtype", x->dtype()), std::move(shape), n));
}

// fill(self, value), zero(self); in-place forms above all.
void Fill(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!b.HasArg("value")) return b.Return(Filled(b, x->dtype(), x->shape(), NumberOf(0)));
  Value* value = b.Operand("value", x->dtype());
  b.Return(b.Expand(b.Reshape(value, {}), x->shape()));
}

void ScalarTensor(OpBuilder& b) {
  const Number n = b.Scalar(b.HasArg("s") ? "s" : "t");
  b.Return(b.NumberAs(n, b.DTypeArg("dtype", b.HasArg("s") ? DType::kF32 : DTypeOfNumber(n))));
}

// torch.tensor(data): nested lists of numbers, or a tensor, or tensors of one element.
Value* TensorOfData(OpBuilder& b, const IValue& data, DType t) {
  if (!data.is_sequence()) {
    if (data.is_tensor()) return b.Cast(b.AsTensor(data), t);
    return b.NumberAs(b.ScalarOf(data), t);
  }
  std::vector<Value*> parts;
  for (const IValue& item : data.items()) {
    Value* part = TensorOfData(b, item, t);
    if (!b.ok()) return part;
    parts.push_back(b.Unsqueeze(part, 0));
  }
  if (parts.empty()) return b.Full(t, {0}, 0);
  return b.Concat(std::move(parts), 0);
}

void CollectType(OpBuilder& b, const IValue& data, ResultTypeState* state) {
  if (data.is_sequence()) {
    for (const IValue& item : data.items()) CollectType(b, item, state);
  } else if (data.is_tensor()) {
    const Value* x = b.AsTensor(data);
    state->AddTensor(x->dtype(), x->rank());
  } else if (data.is_number()) {
    state->AddNumber(data.kind());
  }
}

void TensorOf(OpBuilder& b) {
  const IValue& data = b.Arg(b.HasArg("data") ? "data" : "t");
  ResultTypeState state;
  CollectType(b, data, &state);
  const DType natural = state.Result() == DType::kNone ? DType::kF32 : state.Result();
  b.Return(TensorOfData(b, data, b.DTypeArg("dtype", natural)));
}

// --- sequences -----------------------------------------------------------------------------------

// The number of elements of a range of numbers; ints may depend on symbols when the step is 1.
void Arange(OpBuilder& b) {
  const IValue zero = IValue::Int(0), one = IValue::Int(1);
  const IValue& start = b.HasArg("start") ? b.Arg("start") : zero;
  const IValue& end = b.Arg("end");
  const IValue& step = b.HasArg("step") ? b.Arg("step") : one;
  bool ints = true;
  for (const IValue* v : {&start, &end, &step}) ints = ints && v->kind() != Kind::kFloat;
  const DType t = b.DTypeArg("dtype", ints ? DType::kI64 : DType::kF32);
  const bool symbolic = start.kind() == Kind::kInt && end.kind() == Kind::kInt &&
                        start.is_known() && end.is_known() &&
                        !(start.is_constant_int() && end.is_constant_int());
  if (symbolic) {
    const Number by = b.ScalarOf(step);
    if (by.tensor != nullptr || by.value != 1) {
      return b.Unsupported("arange over dynamic dimensions with a step other than 1");
    }
    const ir::Dim length = b.Sub(end.dim(), start.dim());
    Value* y = b.Arange(length, t);
    if (!(start.dim() == ir::Dim(0))) {
      y = b.Binary(OpId::kAdd, y, b.Cast(b.DimValue(start.dim()), t));
    }
    return b.Return(y);
  }
  const Number from = b.ScalarOf(start), to = b.ScalarOf(end), by = b.ScalarOf(step);
  if (!b.ok()) return;
  if (from.tensor != nullptr || to.tensor != nullptr || by.tensor != nullptr) {
    return b.Unsupported("arange whose bounds are computed from the data of a tensor");
  }
  if (by.value == 0) return b.Invalid("arange with a step of 0");
  const double count = std::ceil((to.value - from.value) / by.value);
  if (!(count >= 0)) return b.Invalid("arange whose step leads away from its end");
  constexpr double kMost = 1 << 26;
  if (count > kMost) return b.Unsupported("arange of more than 2^26 elements");
  ir::Tensor values(t, {static_cast<int64_t>(count)});
  for (int64_t i = 0; i < values.count(); ++i) {
    if (ints && !IsFloat(t)) {
      values.SetInt(i, from.integer + i * by.integer);
    } else if (IsFloat(t)) {
      values.SetDouble(i, from.value + static_cast<double>(i) * by.value);
    } else {
      values.SetInt(i, static_cast<int64_t>(from.value + static_cast<double>(i) * by.value));
    }
  }
  b.Return(b.Constant(std::move(values)));
}

// linspace; logspace with param 1.
void Linspace(OpBuilder& b) {
  const Number from = b.Scalar("start"), to = b.Scalar("end");
  const int64_t steps = b.Int("steps");
  const DType t = b.DTypeArg("dtype", DType::kF32);
  if (!b.ok()) return;
  if (from.tensor != nullptr || to.tensor != nullptr) {
    return b.Unsupported("linspace between numbers that are computed at run time");
  }
  if (steps < 0 || steps > (1 << 26)) return b.Invalid("linspace of a bad number of steps");
  ir::Tensor values(t, {steps});
  const bool narrow = t == DType::kF32;  // Steps are rounded to the result's dtype.
  const double step = steps > 1 ? (to.value - from.value) / static_cast<double>(steps - 1) : 0;
  for (int64_t i = 0; i < steps; ++i) {
    const bool low = i < steps / 2 || steps == 1;
    double v = low ? from.value + step * static_cast<double>(i)
                   : to.value - step * static_cast<double>(steps - 1 - i);
    if (narrow) {
      const auto s = static_cast<float>(step);
      v = low ? static_cast<float>(from.value) + s * static_cast<float>(i)
              : static_cast<float>(to.value) - s * static_cast<float>(steps - 1 - i);
    }
    if (b.row().param != 0) v = std::pow(b.Float("base"), v);
    if (IsFloat(t)) {
      values.SetDouble(i, v);
    } else {
      values.SetInt(i, static_cast<int64_t>(v));
    }
  }
  b.Return(b.Constant(std::move(values)));
}

void Eye(OpBuilder& b) {
  const int64_t n = b.Int("n"), m = b.Int("m", n);
  if (!b.ok()) return;
  if (n < 0 || m < 0 || n > (1 << 15) || m > (1 << 15)) return b.Invalid("eye of a bad size");
  ir::Tensor values(b.DTypeArg("dtype", DType::kF32), {n, m});
  for (int64_t i = 0; i < std::min(n, m); ++i) {
    if (IsFloat(values.dtype())) {
      values.SetDouble(i * m + i, 1);
    } else {
      values.SetInt(i * m + i, 1);
    }
  }
  b.Return(b.Constant(std::move(values)));
}

// The modified Bessel function of order 0.
double BesselI0(double x) {
  double sum = 1, term = 1;
  for (double k = 1; term > sum * 1e-17 && k < 1e4; k += 1) {
    term *= x * x / (4 * k * k);
    sum += term;
  }
  return sum;
}

// Windows of signal processing: param 0 hann, 1 hamming, 2 blackman, 3 bartlett, 4 kaiser.
void Window(OpBuilder& b) {
  const int64_t n = b.Int("window_length");
  const bool periodic = b.Bool("periodic", true);
  const DType t = b.DTypeArg("dtype", DType::kF32);
  if (!b.ok()) return;
  if (n < 0 || n > (1 << 24)) return b.Invalid("a window of a bad length");
  const double alpha = b.Float("alpha", 0.54);
  const double beta = b.Float("beta", b.row().param == 4 ? 12 : 0.46);
  ir::Tensor values(t, {n});
  const double last = static_cast<double>(periodic ? n : n - 1);
  for (int64_t i = 0; i < n; ++i) {
    const double p = static_cast<double>(i) / last, w = 2 * std::numbers::pi * p;
    double v = 1;
    if (n > 1) {
      const double kinds[] = {
          0.5 - 0.5 * std::cos(w), alpha - beta * std::cos(w),
          0.42 - 0.5 * std::cos(w) + 0.08 * std::cos(2 * w), 1 - std::abs(2 * p - 1),
          BesselI0(beta * 2 * std::sqrt(std::max(0.0, p * (1 - p)))) / BesselI0(beta)};
      v = kinds[b.row().param];
    }
    values.SetDouble(i, v);
  }
  b.Return(b.Constant(std::move(values)));
}

// tril, triu (param 1).
void Triangle(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(b.Emit(OpId::kTrilu, {x}, {{"upper", b.row().param}, {"k", b.Int("diagonal")}}));
}

// --- dtypes and copies ---------------------------------------------------------------------------

// A copy is a variable of its own that holds the same value.
void Clone(OpBuilder& b) { b.Return(b.Tensor("self")); }

// contiguous(): self where it lies in order.
void Contiguous(OpBuilder& b) {
  const IValue& self = b.Arg("self");
  if (self.is_tensor() && self.variable()->contiguous) return b.Return(self);
  b.Return(b.Tensor("self"));
}

// to(dtype): self if nothing changes, unless it is told to copy.
void To(OpBuilder& b) {
  Value* x = b.Tensor("self");
  DType t = b.HasArg("other") ? b.Tensor("other")->dtype() : b.DTypeArg("dtype", x->dtype());
  if (b.ok() && t == x->dtype() && b.HasArg("copy") && !b.Bool("copy", false)) {
    return b.Return(b.Arg("self"));
  }
  b.Return(b.Cast(x, t));
}

// type_as, _cast_Float, ...: param is the dtype, 0 the one of `other`.
void CastTo(OpBuilder& b) {
  const auto t = static_cast<DType>(b.row().param);
  b.Return(b.Cast(b.Tensor("self"), t == DType::kNone ? b.Tensor("other")->dtype() : t));
}

// copy_(src): the source in self's dtype, broadcast.
void Copy(OpBuilder& b) {
  Value* self = b.Tensor("self");
  Value* source = b.Operand(b.HasArg("src") ? "src" : "other", self->dtype());
  b.Return(b.Expand(source, self->shape()));
}

void ZeroSized(OpBuilder& b) { b.Return(b.Tensor("self")); }

// item(), Float(), ...: a tensor of one element as a number.
void Item(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!b.ok()) return;
  if (const auto known = b.ConstantOf(x); known && known->count() == 1) {
    if (IsFloat(x->dtype())) return b.Return(IValue::Float(known->DoubleAt(0)));
    if (x->dtype() == DType::kBool) return b.Return(IValue::Bool(known->IntAt(0) != 0));
    return b.Return(IValue::Int(known->IntAt(0)));
  }
  if (x->content && x->content->size() == 1) return b.Return(IValue::Int(x->content->front()));
  const Kind kind = IsFloat(x->dtype())          ? Kind::kFloat
                    : x->dtype() == DType::kBool ? Kind::kBool
                                                 : Kind::kInt;
  const DType t = kind == Kind::kFloat  ? DType::kF64
                  : kind == Kind::kBool ? DType::kBool
                                        : DType::kI64;
  b.Return(IValue::Scalar(kind, b.context().NewVariable(b.Cast(b.Reshape(x, {}), t))));
}

void NumelTensor(OpBuilder& b) { b.Return(IValue::Int(CountOf(b, b.Tensor("self")))); }

void SymSize(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(IValue::Int(b.Dim(x, b.Axis(b.Int("dim"), b.Rank(x)))));
}

void ShapeAsTensor(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(b.Emit(OpId::kShapeOf, {x}, {{"start", int64_t{0}}, {"end", b.Rank(x)}}));
}

// Statements about a tensor that hold by construction, or that the importer checked already.
void Nothing(OpBuilder& b) { (void)b; }

void AssertScalar(OpBuilder& b) {
  const IValue& condition = b.Arg(b.HasArg("self") ? "self" : "condition");
  const std::string message = b.HasArg("assert_msg") ? b.String("assert_msg") : "assertion failed";
  const absl::Status status = b.context().Check(condition, message, b.site());
  if (!status.ok()) b.Fail(status);
}

constexpr Row kRows[] = {
    {"aten::full", Full},
    {"aten::zeros", Full, OpId::kIdentity, 0},
    {"aten::ones", Full, OpId::kIdentity, 1},
    {"aten::empty", Full, OpId::kIdentity, 0},
    {"aten::empty_permuted", Full, OpId::kIdentity, 0},
    {"aten::empty_strided", Full, OpId::kIdentity, 0},
    {"aten::full_like", FullLike},
    {"aten::zeros_like", FullLike, OpId::kIdentity, 0},
    {"aten::ones_like", FullLike, OpId::kIdentity, 1},
    {"aten::empty_like", FullLike, OpId::kIdentity, 0},
    {"aten::new_full", FullLike},
    {"aten::new_zeros", FullLike, OpId::kIdentity, 0},
    {"aten::new_ones", FullLike, OpId::kIdentity, 1},
    {"aten::new_empty", FullLike, OpId::kIdentity, 0},
    {"aten::new_empty_strided", FullLike, OpId::kIdentity, 0},
    {"aten::fill", Fill},
    {"aten::zero", Fill},
    {"aten::scalar_tensor", ScalarTensor},
    {"aten::tensor", TensorOf},
    {"aten::as_tensor", TensorOf},
    {"aten::arange", Arange},
    {"aten::range", Arange},
    {"aten::linspace", Linspace},
    {"aten::logspace", Linspace, OpId::kIdentity, 1},
    {"aten::eye", Eye},
    {"aten::hann_window", Window, OpId::kIdentity, 0},
    {"aten::hamming_window", Window, OpId::kIdentity, 1},
    {"aten::blackman_window", Window, OpId::kIdentity, 2},
    {"aten::bartlett_window", Window, OpId::kIdentity, 3},
    {"aten::kaiser_window", Window, OpId::kIdentity, 4},
    {"aten::tril", Triangle, OpId::kTrilu, 0},
    {"aten::triu", Triangle, OpId::kTrilu, 1},
    {"aten::clone", Clone},
    {"aten::lift_fresh", Clone},
    {"aten::lift_fresh_copy", Clone},
    {"aten::detach_copy", Clone},
    {"aten::alias_copy", Clone},
    {"aten::contiguous", Contiguous},
    {"aten::to", To},
    {"aten::_to_copy", To},
    {"aten::cpu", Contiguous},
    {"aten::type_as", CastTo},
    {"aten::_cast_Float", CastTo, OpId::kCast, static_cast<int64_t>(DType::kF32)},
    {"aten::_cast_Double", CastTo, OpId::kCast, static_cast<int64_t>(DType::kF64)},
    {"aten::_cast_Half", CastTo, OpId::kCast, static_cast<int64_t>(DType::kF16)},
    {"aten::_cast_Long", CastTo, OpId::kCast, static_cast<int64_t>(DType::kI64)},
    {"aten::_cast_Int", CastTo, OpId::kCast, static_cast<int64_t>(DType::kI32)},
    {"aten::_cast_Short", CastTo, OpId::kCast, static_cast<int64_t>(DType::kI16)},
    {"aten::_cast_Char", CastTo, OpId::kCast, static_cast<int64_t>(DType::kI8)},
    {"aten::_cast_Byte", CastTo, OpId::kCast, static_cast<int64_t>(DType::kU8)},
    {"aten::copy", Copy},
    {"aten::pin_memory", ZeroSized},
    {"aten::item", Item},
    {"aten::_local_scalar_dense", Item},
    {"aten::sym_numel", NumelTensor},
    {"aten::numel", NumelTensor},
    {"aten::sym_size", SymSize},
    {"aten::_shape_as_tensor", ShapeAsTensor},
    {"aten::_assert_tensor_metadata", Nothing},
    {"aten::_linalg_check_errors", Nothing},  // The factors themselves say what failed: NaN.
    {"aten::_print", Nothing},
    {"aten::sym_constrain_range", Nothing},
    {"aten::sym_constrain_range_for_size", Nothing},
    {"aten::_assert_scalar", AssertScalar},
    {"aten::_assert_async", AssertScalar},
};

}  // namespace

std::span<const Row> CreateRows() { return kRows; }

}  // namespace floe::aten
