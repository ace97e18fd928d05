// Arithmetic, comparison and logic: ops of two operands, which promote.
#include <algorithm>
#include <cmath>
#include <utility>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

struct Pair {
  Value* a;
  Value* b;
};

Pair Operands(OpBuilder& b, DType t, const char* x = "self", const char* y = "other") {
  Value* first = b.Operand(x, t);
  return {first, b.Operand(y, t)};
}

// A number that multiplies a tensor, unless it is 1.
Value* Scaled(OpBuilder& b, Value* x, const char* name) {
  if (!b.HasArg(name)) return x;
  const Number n = b.Scalar(name);
  if (n.tensor == nullptr && n.value == 1) return x;
  return b.Binary(OpId::kMul, x, b.NumberAs(n, x->dtype()));
}

// --- arithmetic ----------------------------------------------------------------------------------

// add, sub, rsub (param 1): other is scaled by alpha.
void Add(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  auto [self, other] = Operands(b, t);
  if (t == DType::kBool && b.row().ir == OpId::kAdd) {
    return b.Return(b.Binary(OpId::kLogicalOr, self, other));
  }
  if (b.row().param != 0) std::swap(self, other);
  other = Scaled(b, other, "alpha");
  b.Return(b.Binary(b.row().ir, self, other));
}

void AddRelu(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.ResultType({"self", "other"}));
  b.Return(b.Unary(OpId::kRelu, b.Binary(OpId::kAdd, self, Scaled(b, other, "alpha"))));
}

// mul, minimum, maximum: on bools these are logic.
void Multiply(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  const auto [self, other] = Operands(b, t);
  OpId op = b.row().ir;
  if (t == DType::kBool) op = op == OpId::kMaximum ? OpId::kLogicalOr : OpId::kLogicalAnd;
  b.Return(b.Binary(op, self, other));
}

void Divide(OpBuilder& b) {
  const std::string mode = b.Given("rounding_mode") ? b.String("rounding_mode") : "";
  DType t = b.ResultType({"self", "other"});
  if (mode.empty() && !IsFloat(t)) t = DType::kF32;
  const auto [self, other] = Operands(b, t);
  if (mode == "floor") return b.Return(b.Binary(OpId::kFloorDiv, self, other));
  Value* y = b.Binary(OpId::kDiv, self, other);
  if (mode == "trunc") {
    if (IsFloat(t)) y = b.Unary(OpId::kTrunc, y);
  } else if (!mode.empty()) {
    b.Invalid("rounding_mode '" + mode + "'");
  }
  b.Return(y);
}

void FloorDivideOp(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.ResultType({"self", "other"}));
  b.Return(b.Binary(OpId::kFloorDiv, self, other));
}

// param 1: fmod, the sign of the dividend; 0: remainder, the sign of the divisor.
void Remainder(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  const auto [self, other] = Operands(b, t);
  if (b.row().param == 0) return b.Return(FloorMod(b, self, other));
  b.Return(b.Emit(OpId::kMod, {self, other}, {{"fmod", int64_t{1}}}));
}

// x ** n for the exponents that PyTorch computes by multiplication, division and roots.
Value* PowerOfConstant(OpBuilder& b, Value* x, double n) {
  const auto mul = [&](Value* p, Value* q) { return b.Binary(OpId::kMul, p, q); };
  if (n == 1) return x;
  if (n == 2) return mul(x, x);
  if (n == 3) return mul(mul(x, x), x);
  if (!IsFloat(x->dtype())) return nullptr;
  if (n == 0.5) return b.Unary(OpId::kSqrt, x);
  if (n == -0.5) return b.Unary(OpId::kRsqrt, x);
  if (n == -1) return b.Unary(OpId::kReciprocal, x);
  if (n == -2) return b.Unary(OpId::kReciprocal, mul(x, x));
  return nullptr;
}

void Pow(OpBuilder& b) {
  const DType t = b.row().param != 0 ? DType::kF64 : b.ResultType({"self", "exponent"});
  Value* x = b.Operand("self", t);
  const IValue& exponent = b.Arg("exponent");
  if (exponent.is_number()) {
    const Number n = b.ScalarOf(exponent);
    if (n.tensor == nullptr) {
      if (!IsFloat(t) && n.value < 0) return b.Invalid("an integer to a negative power");
      if (Value* y = PowerOfConstant(b, x, n.value)) return b.Return(y);
    }
  }
  Value* e = b.Operand("exponent", t);
  if (t == DType::kBool)
    return b.Return(b.Binary(OpId::kLogicalOr, x, b.Unary(OpId::kLogicalNot, e)));
  b.Return(b.Binary(OpId::kPow, x, e));
}

// Ops of floats: atan2 and the like.
void FloatBinary(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.FloatType({"self", "other"}));
  b.Return(b.Binary(b.row().ir, self, other));
}

// The least common multiple: |a / gcd * b|, 0 for 0.
void Lcm(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.ResultType({"self", "other"}));
  Value* gcd = b.Binary(OpId::kGcd, self, other);
  Value* divisor = b.Binary(OpId::kMaximum, gcd, b.ScalarLike(gcd, 1));
  Value* product = b.Binary(OpId::kMul, b.Binary(OpId::kDiv, self, divisor), other);
  b.Return(IsUnsignedInt(product->dtype()) ? product : b.Unary(OpId::kAbs, product));
}

void ResultTypeOf(OpBuilder& b) {
  const DType t = b.HasArg("tensor")    ? b.ResultType({"tensor", "other"})
                  : b.HasArg("tensor1") ? b.ResultType({"tensor1", "tensor2"})
                  : b.HasArg("scalar")  ? b.ResultType({"scalar", "tensor"})
                                        : b.ResultType({"scalar1", "scalar2"});
  b.Return(IValue::Int(ScalarTypeOfDType(t)));
}

// fmax, fmin: a NaN yields to a number.
void IgnoringNan(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  const auto [self, other] = Operands(b, t);
  if (t == DType::kBool) return Multiply(b);
  Value* y = b.Binary(b.row().ir, self, other);
  if (IsFloat(t)) {
    y = b.Where(b.Unary(OpId::kIsNan, other), self, y);
    y = b.Where(b.Unary(OpId::kIsNan, self), other, y);
  }
  b.Return(y);
}

// log(exp(a) + exp(b)), base 2 with param 1, without overflow.
void LogAddExp(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.FloatType({"self", "other"}));
  const double base = b.row().param != 0 ? std::log(2.0) : 1.0;
  const auto scale = [&](Value* x, double f) {
    return f == 1 ? x : b.Binary(OpId::kMul, x, b.ScalarLike(x, f));
  };
  Value* high = b.Binary(OpId::kMaximum, self, other);
  Value* gap = b.Unary(OpId::kAbs, b.Binary(OpId::kSub, self, other));
  Value* tail = b.Unary(OpId::kLog1p, b.Unary(OpId::kExp, scale(b.Unary(OpId::kNeg, gap), base)));
  Value* y = b.Binary(OpId::kAdd, high, scale(tail, 1 / base));
  // Equal infinities have no difference.
  b.Return(b.Where(b.Binary(OpId::kEqual, self, other),
                   b.Binary(OpId::kAdd, high, b.ScalarLike(high, std::log(2.0) / base)), y));
}

// x * log(y), 0 where x is 0 unless y is NaN. param 1: log1p.
void XLogY(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.FloatType({"self", "other"}));
  Value* zero = b.ScalarLike(self, 0);
  Value* log = b.row().param != 0 ? b.Unary(OpId::kLog1p, other) : b.Unary(OpId::kLog, other);
  Value* y = b.Where(b.Binary(OpId::kEqual, self, zero), zero, b.Binary(OpId::kMul, self, log));
  b.Return(b.Where(b.Unary(OpId::kIsNan, other), other, y));
}

// x * 2^other.
void Ldexp(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.FloatType({"self", "other"}));
  b.Return(b.Binary(OpId::kMul, self, b.Binary(OpId::kPow, b.ScalarLike(self, 2), other)));
}

void Heaviside(OpBuilder& b) {
  const DType t = b.ResultType({"self", "values"});
  const auto [x, values] = Operands(b, t, "self", "values");
  Value* zero = b.ScalarLike(x, 0);
  Value* step = b.Cast(b.Binary(OpId::kGreater, x, zero), t);
  b.Return(b.Where(b.Binary(OpId::kEqual, x, zero), values, step));  // 0 for NaN.
}

// --- three operands ------------------------------------------------------------------------------

// self + value * tensor1 * tensor2; addcdiv divides.
void AddC(OpBuilder& b) {
  const DType t = b.ResultType({"self", "tensor1", "tensor2"});
  const auto [x, y] = Operands(b, t, "tensor1", "tensor2");
  Value* product = b.Binary(b.row().ir, Scaled(b, x, "value"), y);
  b.Return(b.Binary(OpId::kAdd, b.Operand("self", t), product));
}

// self + weight * (end - self), from the nearer end as PyTorch does.
void Lerp(OpBuilder& b) {
  const DType t = b.ResultType({"self", "end", "weight"});
  const auto [start, end] = Operands(b, t, "self", "end");
  Value* weight = b.Operand("weight", t);
  Value* difference = b.Binary(OpId::kSub, end, start);
  Value* low = b.Binary(OpId::kAdd, start, b.Binary(OpId::kMul, weight, difference));
  Value* rest = b.Binary(OpId::kSub, b.ScalarLike(weight, 1), weight);
  Value* high = b.Binary(OpId::kSub, end, b.Binary(OpId::kMul, difference, rest));
  Value* near = b.Binary(OpId::kLess, b.Unary(OpId::kAbs, weight), b.ScalarLike(weight, 0.5));
  b.Return(b.Where(near, low, high));
}

void WhereOp(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  const auto [self, other] = Operands(b, t);
  b.Return(b.Where(b.Cast(b.Tensor("condition"), DType::kBool), self, other));
}

// clamp and its one-sided forms, of numbers and of tensors. A number can't bring dimensions, so the
// result has self's dtype unless the bound is of a higher category.
void Clamp(OpBuilder& b) {
  const DType t = b.ResultType({"self", "min", "max"});
  Value* x = b.Operand("self", t);
  const auto bound = [&](const char* name) { return b.HasArg(name) && b.Given(name); };
  if (!bound("min") && !bound("max")) return b.Invalid("neither min nor max is given");
  if (bound("min")) x = b.Binary(OpId::kMaximum, x, b.Operand("min", t));
  if (bound("max")) x = b.Binary(OpId::kMinimum, x, b.Operand("max", t));
  b.Return(x);
}

// --- comparison and logic ------------------------------------------------------------------------

void Compare(OpBuilder& b) {
  DType t = b.ResultType({"self", "other"});
  const OpId op = b.row().ir;
  const bool ordered = op != OpId::kEqual && op != OpId::kNotEqual;
  if (t == DType::kBool && ordered) t = DType::kU8;
  const auto [self, other] = Operands(b, t);
  b.Return(b.Binary(op, self, other));
}

void Logical(OpBuilder& b) {
  const auto [self, other] = Operands(b, DType::kBool);
  b.Return(b.Binary(b.row().ir, self, other));
}

// Bitwise ops on bools are logic.
void Bitwise(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  if (t == DType::kBool) return Logical(b);
  const auto [self, other] = Operands(b, t);
  constexpr std::pair<OpId, OpId> kOps[] = {{OpId::kLogicalAnd, OpId::kBitwiseAnd},
                                            {OpId::kLogicalOr, OpId::kBitwiseOr},
                                            {OpId::kLogicalXor, OpId::kBitwiseXor}};
  for (const auto& [logical, bitwise] : kOps) {
    if (b.row().ir == logical) return b.Return(b.Binary(bitwise, self, other));
  }
}

// param 1: right. PyTorch's shift of a signed number is arithmetic.
void Shift(OpBuilder& b) {
  const auto [self, other] = Operands(b, b.ResultType({"self", "other"}));
  b.Return(b.Emit(OpId::kBitShift, {self, other}, {{"right", b.row().param}}));
}

// |self - other| <= atol + rtol * |other|; equal infinities are close.
Value* IsCloseOf(OpBuilder& b) {
  DType t = b.ResultType({"self", "other"});
  if (t == DType::kBool) t = DType::kU8;
  const auto [self, other] = Operands(b, t);
  Value* equal = b.Binary(OpId::kEqual, self, other);
  const DType f = IsFloat(t) ? t : DType::kF64;
  Value* x = b.Cast(self, f);
  Value* y = b.Cast(other, f);
  Value* allowed =
      b.Binary(OpId::kAdd, b.Scalar(f, b.Float("atol")),
               b.Binary(OpId::kMul, b.Scalar(f, b.Float("rtol")), b.Unary(OpId::kAbs, y)));
  Value* gap = b.Unary(OpId::kAbs, b.Binary(OpId::kSub, x, y));
  Value* close =
      b.Binary(OpId::kLogicalAnd, b.Binary(OpId::kLessEqual, gap, allowed), IsFinite(b, gap));
  close = b.Binary(OpId::kLogicalOr, equal, close);
  if (b.Bool("equal_nan") && IsFloat(t)) {
    Value* both = b.Binary(OpId::kLogicalAnd, b.Unary(OpId::kIsNan, x), b.Unary(OpId::kIsNan, y));
    close = b.Binary(OpId::kLogicalOr, close, both);
  }
  return close;
}

void IsClose(OpBuilder& b) { b.Return(IsCloseOf(b)); }

void AllClose(OpBuilder& b) {
  b.Return(IValue::Scalar(Kind::kBool, b.context().NewVariable(AllTrue(b, IsCloseOf(b)))));
}

void EqualTensors(OpBuilder& b) {
  Value* self = b.Tensor("self");
  Value* other = b.Tensor("other");
  if (self->shape() != other->shape()) return b.Return(IValue::Bool(false));
  const DType t = b.ResultType({"self", "other"});
  Value* equal = b.Binary(OpId::kEqual, b.Cast(self, t), b.Cast(other, t));
  b.Return(IValue::Scalar(Kind::kBool, b.context().NewVariable(AllTrue(b, equal))));
}

constexpr Row kRows[] = {
    {"aten::add", Add, OpId::kAdd},
    {"aten::sub", Add, OpId::kSub},
    {"aten::subtract", Add, OpId::kSub},
    {"aten::rsub", Add, OpId::kSub, 1},
    {"aten::_add_relu", AddRelu},
    {"aten::mul", Multiply, OpId::kMul},
    {"aten::multiply", Multiply, OpId::kMul},
    {"aten::minimum", Multiply, OpId::kMinimum},
    {"aten::maximum", Multiply, OpId::kMaximum},
    {"aten::min.other", Multiply, OpId::kMinimum},
    {"aten::max.other", Multiply, OpId::kMaximum},
    {"aten::fmin", IgnoringNan, OpId::kMinimum},
    {"aten::fmax", IgnoringNan, OpId::kMaximum},
    {"aten::div", Divide},
    {"aten::divide", Divide},
    {"aten::true_divide", Divide},
    {"aten::floor_divide", FloorDivideOp},
    {"aten::remainder", Remainder},
    {"aten::fmod", Remainder, OpId::kMod, 1},
    {"aten::pow", Pow},
    {"aten::float_power", Pow, OpId::kPow, 1},
    {"aten::atan2", FloatBinary, OpId::kAtan2},
    {"aten::arctan2", FloatBinary, OpId::kAtan2},
    {"aten::hypot", FloatBinary, OpId::kHypot},
    {"aten::copysign", FloatBinary, OpId::kCopySign},
    {"aten::nextafter", FloatBinary, OpId::kNextAfter},
    {"aten::gcd", Multiply, OpId::kGcd},
    {"aten::lcm", Lcm},
    {"aten::result_type", ResultTypeOf},
    {"aten::logaddexp", LogAddExp},
    {"aten::logaddexp2", LogAddExp, OpId::kIdentity, 1},
    {"aten::xlogy", XLogY},
    {"aten::special_xlogy", XLogY},
    {"aten::special_xlog1py", XLogY, OpId::kIdentity, 1},
    {"aten::ldexp", Ldexp},
    {"aten::heaviside", Heaviside},
    {"aten::addcmul", AddC, OpId::kMul},
    {"aten::addcdiv", AddC, OpId::kDiv},
    {"aten::lerp", Lerp},
    {"aten::where.self", WhereOp},
    {"aten::where.ScalarSelf", WhereOp},
    {"aten::where.ScalarOther", WhereOp},
    {"aten::where.Scalar", WhereOp},
    {"aten::clamp", Clamp},
    {"aten::clip", Clamp},
    {"aten::clamp_min", Clamp},
    {"aten::clamp_max", Clamp},
    {"aten::eq", Compare, OpId::kEqual},
    {"aten::ne", Compare, OpId::kNotEqual},
    {"aten::not_equal", Compare, OpId::kNotEqual},
    {"aten::lt", Compare, OpId::kLess},
    {"aten::less", Compare, OpId::kLess},
    {"aten::le", Compare, OpId::kLessEqual},
    {"aten::less_equal", Compare, OpId::kLessEqual},
    {"aten::gt", Compare, OpId::kGreater},
    {"aten::greater", Compare, OpId::kGreater},
    {"aten::ge", Compare, OpId::kGreaterEqual},
    {"aten::greater_equal", Compare, OpId::kGreaterEqual},
    {"aten::logical_and", Logical, OpId::kLogicalAnd},
    {"aten::logical_or", Logical, OpId::kLogicalOr},
    {"aten::logical_xor", Logical, OpId::kLogicalXor},
    {"aten::bitwise_and", Bitwise, OpId::kLogicalAnd},
    {"aten::bitwise_or", Bitwise, OpId::kLogicalOr},
    {"aten::bitwise_xor", Bitwise, OpId::kLogicalXor},
    {"aten::__and__", Bitwise, OpId::kLogicalAnd},
    {"aten::__or__", Bitwise, OpId::kLogicalOr},
    {"aten::__xor__", Bitwise, OpId::kLogicalXor},
    {"aten::bitwise_left_shift", Shift},
    {"aten::__lshift__", Shift},
    {"aten::bitwise_right_shift", Shift, OpId::kBitShift, 1},
    {"aten::__rshift__", Shift, OpId::kBitShift, 1},
    {"aten::isclose", IsClose},
    {"aten::allclose", AllClose},
    {"aten::equal", EqualTensors},
};

}  // namespace

std::span<const Row> MathRows() { return kRows; }

}  // namespace floe::aten
