// Arithmetic, comparison and logic on numbers: computed if they are known, expressions of the
// symbols where it can be, else emitted on rank-0 tensors.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/ir/dim.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;
using Result = absl::StatusOr<IValue>;

// Python's integers grow; TorchScript's wrap, as these do without undefined behaviour.
int64_t Wrap(uint64_t v) { return static_cast<int64_t>(v); }
uint64_t U(int64_t v) { return static_cast<uint64_t>(v); }

double DoubleOf(const IValue& v) {
  if (v.kind() == Kind::kFloat) return v.float_value();
  if (v.kind() == Kind::kBool) return v.bool_value() ? 1 : 0;
  return static_cast<double>(v.int_value());
}

bool IsNumberConstant(const IValue& v) {
  return v.is_known() && (v.kind() != Kind::kInt || v.dim().is_constant());
}

IValue AsInt(const IValue& v) {
  return v.kind() == Kind::kBool && v.is_known() ? IValue::Int(v.bool_value() ? 1 : 0) : v;
}

int64_t FloorDiv(int64_t a, int64_t b) {
  if (b == -1) return Wrap(0 - U(a));
  return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
}

// The sign is the divisor's.
int64_t FloorRemainder(int64_t a, int64_t b) {
  if (b == -1) return 0;
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

double FloatRemainder(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

absl::Status DivisionByZero() {
  return absl::InvalidArgumentError("the model's code divides by zero");
}

// Known ints; absent if the op is none of ints.
absl::StatusOr<std::optional<IValue>> OnInts(const std::string& op, int64_t a, int64_t b) {
  using Some = std::optional<IValue>;
  if (op == "add") return Some(IValue::Int(Wrap(U(a) + U(b))));
  if (op == "sub") return Some(IValue::Int(Wrap(U(a) - U(b))));
  if (op == "mul") return Some(IValue::Int(Wrap(U(a) * U(b))));
  if (op == "eq") return Some(IValue::Bool(a == b));
  if (op == "ne") return Some(IValue::Bool(a != b));
  if (op == "lt") return Some(IValue::Bool(a < b));
  if (op == "le") return Some(IValue::Bool(a <= b));
  if (op == "gt") return Some(IValue::Bool(a > b));
  if (op == "ge") return Some(IValue::Bool(a >= b));
  if (op == "min") return Some(IValue::Int(std::min(a, b)));
  if (op == "max") return Some(IValue::Int(std::max(a, b)));
  if (op == "__and__") return Some(IValue::Int(a & b));
  if (op == "__or__") return Some(IValue::Int(a | b));
  if (op == "__xor__") return Some(IValue::Int(a ^ b));
  if (op == "__lshift__" || op == "__rshift__") {
    if (b < 0 || b > 63) return absl::InvalidArgumentError("a shift by no sensible count");
    return Some(IValue::Int(op == "__lshift__" ? Wrap(U(a) << b) : a >> b));
  }
  if (op == "floordiv" || op == "remainder" || op == "__round_to_zero_floordiv") {
    if (b == 0) return DivisionByZero();
    if (op == "floordiv") return Some(IValue::Int(FloorDiv(a, b)));
    if (op == "remainder") return Some(IValue::Int(FloorRemainder(a, b)));
    return Some(IValue::Int(b == -1 ? Wrap(0 - U(a)) : a / b));
  }
  return Some();
}

absl::StatusOr<IValue> OnFloats(const std::string& op, double a, double b) {
  if (op == "add") return IValue::Float(a + b);
  if (op == "sub") return IValue::Float(a - b);
  if (op == "mul") return IValue::Float(a * b);
  if (op == "eq") return IValue::Bool(a == b);
  if (op == "ne") return IValue::Bool(a != b);
  if (op == "lt") return IValue::Bool(a < b);
  if (op == "le") return IValue::Bool(a <= b);
  if (op == "gt") return IValue::Bool(a > b);
  if (op == "ge") return IValue::Bool(a >= b);
  if (op == "min") return IValue::Float(b < a ? b : a);
  if (op == "max") return IValue::Float(a < b ? b : a);
  if (op == "pow") return IValue::Float(std::pow(a, b));
  if (op == "atan2") return IValue::Float(std::atan2(a, b));
  if (op == "copysign") return IValue::Float(std::copysign(a, b));
  if (op == "div" || op == "floordiv" || op == "remainder" || op == "fmod") {
    if (b == 0) return DivisionByZero();
    if (op == "div") return IValue::Float(a / b);
    if (op == "floordiv") return IValue::Float(std::floor(a / b));
    return IValue::Float(op == "fmod" ? std::fmod(a, b) : FloatRemainder(a, b));
  }
  return absl::UnimplementedError(op + " of numbers");
}

// Sizes as expressions of symbols; absent if the result is none.
std::optional<IValue> OnDims(const std::string& op, const ir::Dim& a, const ir::Dim& b,
                             const std::vector<ir::Symbol>& symbols) {
  std::optional<ir::Dim> d;
  if (op == "add") d = ir::Dim::Add(a, b);
  if (op == "mul") d = ir::Dim::Mul(a, b);
  if (op == "sub") d = ir::Dim::Sub(a, b);
  if (op == "floordiv") {
    d = ir::Dim::DivExact(a, b);
    if (!d.has_value() && b.is_constant() && b.constant() > 0)
      d = ir::Dim::DivFloor(a, b.constant());
  }
  if (op == "remainder" && ir::Dim::DivExact(a, b).has_value()) {
    d = ir::Dim(0);
  } else if (op == "remainder" && b.is_constant() && b.constant() > 0) {
    const auto whole = ir::Dim::DivFloor(a, b.constant());
    const auto rest = whole ? ir::Dim::Mul(*whole, b) : std::nullopt;
    if (rest.has_value()) d = ir::Dim::Sub(a, *rest);
  }
  if (d.has_value()) return IValue::Int(*d);
  const std::optional<ir::Dim> difference = ir::Dim::Sub(a, b);
  if (!difference.has_value()) return std::nullopt;
  const int64_t low = difference->Min(symbols);
  const int64_t high = difference->Max(symbols);
  if (op == "min" && high <= 0) return IValue::Int(a);
  if (op == "min" && low >= 0) return IValue::Int(b);
  if (op == "max" && low >= 0) return IValue::Int(a);
  if (op == "max" && high <= 0) return IValue::Int(b);
  if (op == "min") d = ir::Dim::Smaller(a, b);
  if (op == "max") d = ir::Dim::Larger(a, b);
  if (d.has_value()) return IValue::Int(*d);
  if (op == "eq" || op == "ne") {
    if (low == 0 && high == 0) return IValue::Bool(op == "eq");
    if (low > 0 || high < 0) return IValue::Bool(op == "ne");
  }
  if ((op == "lt" && high < 0) || (op == "le" && high <= 0) || (op == "gt" && low > 0) ||
      (op == "ge" && low >= 0)) {
    return IValue::Bool(true);
  }
  if ((op == "lt" && low >= 0) || (op == "le" && low > 0) || (op == "gt" && high <= 0) ||
      (op == "ge" && high < 0)) {
    return IValue::Bool(false);
  }
  return std::nullopt;
}

bool IsComparison(const std::string& op) {
  return op == "eq" || op == "ne" || op == "lt" || op == "le" || op == "gt" || op == "ge";
}

// The op on rank-0 tensors.
Result AtRunTime(Interpreter& in, const std::string& op, const IValue& a, const IValue& b,
                 const CallSite& site) {
  const bool bools = a.kind() == Kind::kBool && b.kind() == Kind::kBool;
  const bool logic = bools && (op == "__and__" || op == "__or__" || op == "__xor__");
  const bool floats = a.kind() == Kind::kFloat || b.kind() == Kind::kFloat || op == "div" ||
                      op == "pow" || op == "atan2" || op == "copysign" || op == "fmod";
  const DType dtype = logic ? DType::kBool : floats ? DType::kF64 : DType::kI64;
  struct Name {
    const char* op;
    const char* aten;
  };
  constexpr Name kNames[] = {
      {"add", "aten::add.Tensor"},        {"sub", "aten::sub.Tensor"},
      {"mul", "aten::mul.Tensor"},        {"div", "aten::div.Tensor"},
      {"floordiv", "aten::floor_divide"}, {"remainder", "aten::remainder.Tensor"},
      {"pow", "aten::pow.Tensor_Tensor"}, {"fmod", "aten::fmod.Tensor"},
      {"atan2", "aten::atan2"},           {"eq", "aten::eq.Tensor"},
      {"ne", "aten::ne.Tensor"},          {"lt", "aten::lt.Tensor"},
      {"le", "aten::le.Tensor"},          {"gt", "aten::gt.Tensor"},
      {"ge", "aten::ge.Tensor"},          {"min", "aten::minimum"},
      {"max", "aten::maximum"},           {"__and__", "aten::__and__.Tensor"},
      {"__or__", "aten::__or__.Tensor"},  {"__xor__", "aten::__xor__.Tensor"}};
  const char* name = nullptr;
  for (const Name& n : kNames) {
    if (op == n.op) name = n.aten;
  }
  if (logic) {
    name = op == "__and__"  ? "aten::logical_and"
           : op == "__or__" ? "aten::logical_or"
                            : "aten::logical_xor";
  }
  if (name == nullptr) {
    return absl::UnimplementedError(absl::StrFormat("%s of numbers that depend on data", op));
  }
  FLOE_TRY_ASSIGN(aten::VariablePtr x, in.NumberTensor(a, dtype));
  FLOE_TRY_ASSIGN(aten::VariablePtr y, in.NumberTensor(b, dtype));
  FLOE_TRY_ASSIGN(
      IValue tensor,
      in.Aten(name, {IValue::Tensor(std::move(x)), IValue::Tensor(std::move(y))}, site));
  const Kind kind = logic || IsComparison(op) ? Kind::kBool : floats ? Kind::kFloat : Kind::kInt;
  return in.ElementOf(tensor, kind, site);
}

// The name behind "aten::" or "prim::" of the site's call is passed on by rows of one form.
template <const char* kOp>
Result Binary(const BuiltinCall& c) {
  return NumberBinary(c.in, kOp, c[0], c[1], c.site);
}

#define FLOE_BINARY(id, text) constexpr char id[] = text
FLOE_BINARY(kAdd, "add");
FLOE_BINARY(kSub, "sub");
FLOE_BINARY(kMul, "mul");
FLOE_BINARY(kDiv, "div");
FLOE_BINARY(kFloorDiv, "floordiv");
FLOE_BINARY(kTruncDiv, "__round_to_zero_floordiv");
FLOE_BINARY(kRemainder, "remainder");
FLOE_BINARY(kFmod, "fmod");
FLOE_BINARY(kPow, "pow");
FLOE_BINARY(kAtan2, "atan2");
FLOE_BINARY(kCopySign, "copysign");
FLOE_BINARY(kEq, "eq");
FLOE_BINARY(kNe, "ne");
FLOE_BINARY(kLt, "lt");
FLOE_BINARY(kLe, "le");
FLOE_BINARY(kGt, "gt");
FLOE_BINARY(kGe, "ge");
FLOE_BINARY(kMin, "min");
FLOE_BINARY(kMax, "max");
FLOE_BINARY(kAnd, "__and__");
FLOE_BINARY(kOr, "__or__");
FLOE_BINARY(kXor, "__xor__");
FLOE_BINARY(kLeft, "__lshift__");
FLOE_BINARY(kRight, "__rshift__");
#undef FLOE_BINARY

// A function of a float; at run time, the ATen op of the same name.
using Real = double (*)(double);

Result RealAt(const BuiltinCall& c, const char* aten, Real f) {
  if (IsNumberConstant(c[0])) return IValue::Float(f(DoubleOf(c[0])));
  FLOE_TRY_ASSIGN(aten::VariablePtr x, c.in.NumberTensor(c[0], DType::kF64));
  FLOE_TRY_ASSIGN(IValue y, c.in.Aten(aten, {IValue::Tensor(std::move(x))}, c.site));
  return c.in.ElementOf(y, Kind::kFloat, c.site);
}

double ToDegrees(double x) { return x * 57.295779513082320877; }
double ToRadians(double x) { return x * 0.017453292519943295769; }

#define FLOE_REAL(id, function, name)                                                           \
  Result id(const BuiltinCall& c) {                                                             \
    return RealAt(c, "aten::" name, [](double x) { return static_cast<double>(function(x)); }); \
  }
FLOE_REAL(Sqrt, std::sqrt, "sqrt")
FLOE_REAL(Exp, std::exp, "exp")
FLOE_REAL(Expm1, std::expm1, "expm1")
FLOE_REAL(Log, std::log, "log")
FLOE_REAL(Log2, std::log2, "log2")
FLOE_REAL(Log10, std::log10, "log10")
FLOE_REAL(Log1p, std::log1p, "log1p")
FLOE_REAL(Sin, std::sin, "sin")
FLOE_REAL(Cos, std::cos, "cos")
FLOE_REAL(Tan, std::tan, "tan")
FLOE_REAL(Asin, std::asin, "asin")
FLOE_REAL(Acos, std::acos, "acos")
FLOE_REAL(Atan, std::atan, "atan")
FLOE_REAL(Sinh, std::sinh, "sinh")
FLOE_REAL(Cosh, std::cosh, "cosh")
FLOE_REAL(Tanh, std::tanh, "tanh")
FLOE_REAL(Asinh, std::asinh, "asinh")
FLOE_REAL(Acosh, std::acosh, "acosh")
FLOE_REAL(Atanh, std::atanh, "atanh")
FLOE_REAL(Erf, std::erf, "erf")
FLOE_REAL(Erfc, std::erfc, "erfc")
FLOE_REAL(Gamma, std::tgamma, "gamma")
FLOE_REAL(Fabs, std::fabs, "abs")
FLOE_REAL(Round, std::nearbyint, "round")
FLOE_REAL(Degrees, ToDegrees, "rad2deg")
FLOE_REAL(Radians, ToRadians, "deg2rad")
#undef FLOE_REAL

// floor() and ceil() of a number give an int.
Result Whole(const BuiltinCall& c, const char* aten, Real f) {
  if (c[0].kind() != Kind::kFloat) return AsInt(c[0]);
  FLOE_TRY_ASSIGN(IValue whole, RealAt(c, aten, f));
  if (!whole.is_known()) {
    FLOE_TRY_ASSIGN(aten::VariablePtr i, c.in.NumberTensor(whole, DType::kI64));
    return IValue::Scalar(Kind::kInt, std::move(i));
  }
  const double d = whole.float_value();
  if (!(d > -9.2e18 && d < 9.2e18)) return absl::InvalidArgumentError("the number fits no int");
  return IValue::Int(static_cast<int64_t>(d));
}
Result Floor(const BuiltinCall& c) {
  return Whole(c, "aten::floor", [](double x) { return std::floor(x); });
}
Result Ceil(const BuiltinCall& c) {
  return Whole(c, "aten::ceil", [](double x) { return std::ceil(x); });
}

Result Neg(const BuiltinCall& c) {
  if (c[0].kind() == Kind::kFloat && c[0].is_known()) return IValue::Float(-c[0].float_value());
  return NumberBinary(c.in, "sub", IValue::Int(0), c[0], c.site);
}

Result Abs(const BuiltinCall& c) {
  if (c[0].is_known() && c[0].kind() == Kind::kFloat) {
    return IValue::Float(std::fabs(c[0].float_value()));
  }
  FLOE_TRY_ASSIGN(IValue negative, Neg(c));
  return NumberBinary(c.in, "max", AsInt(c[0]), negative, c.site);
}

Result Not(const BuiltinCall& c) {
  if (c[0].is_known()) return IValue::Bool(!c[0].bool_value());
  FLOE_TRY_ASSIGN(IValue tensor,
                  c.in.Aten("aten::logical_not", {IValue::Tensor(c[0].variable())}, c.site));
  return c.in.ElementOf(tensor, Kind::kBool, c.site);
}

Result IsNan(const BuiltinCall& c) {
  if (!c[0].is_known()) return absl::UnimplementedError("isnan of a number that depends on data");
  return IValue::Bool(c[0].kind() == Kind::kFloat && std::isnan(c[0].float_value()));
}
Result IsInf(const BuiltinCall& c) {
  if (!c[0].is_known()) return absl::UnimplementedError("isinf of a number that depends on data");
  return IValue::Bool(c[0].kind() == Kind::kFloat && std::isinf(c[0].float_value()));
}

// int(), float() and bool() of numbers.
Result ToInt(const BuiltinCall& c) {
  if (!c[0].is_known()) {
    FLOE_TRY_ASSIGN(aten::VariablePtr i, c.in.NumberTensor(c[0], DType::kI64));
    return IValue::Scalar(Kind::kInt, std::move(i));
  }
  if (c[0].kind() != Kind::kFloat) return AsInt(c[0]);
  return Whole(c, "aten::trunc", [](double x) { return std::trunc(x); });
}

Result ToFloat(const BuiltinCall& c) {
  if (IsNumberConstant(c[0])) return IValue::Float(DoubleOf(c[0]));
  FLOE_TRY_ASSIGN(aten::VariablePtr f, c.in.NumberTensor(c[0], DType::kF64));
  return IValue::Scalar(Kind::kFloat, std::move(f));
}

Result ToBool(const BuiltinCall& c) {
  if (c[0].kind() == Kind::kBool) return c[0];
  if (IsNumberConstant(c[0])) return IValue::Bool(DoubleOf(c[0]) != 0);
  return NumberBinary(c.in, "ne", c[0], IValue::Int(0), c.site);
}

Result ParseInt(const BuiltinCall& c) {
  int64_t v = 0;
  if (absl::SimpleAtoi(c[0].string(), &v)) return IValue::Int(v);
  return absl::InvalidArgumentError(absl::StrFormat("'%s' is no int", c[0].string()));
}
Result ParseFloat(const BuiltinCall& c) {
  double v = 0;
  if (absl::SimpleAtod(c[0].string(), &v)) return IValue::Float(v);
  return absl::InvalidArgumentError(absl::StrFormat("'%s' is no float", c[0].string()));
}

Result Identity(const BuiltinCall& c) { return c[0]; }
Result None(const BuiltinCall&) { return IValue(); }
Result True(const BuiltinCall&) { return IValue::Bool(true); }
Result False(const BuiltinCall&) { return IValue::Bool(false); }

// `is` and `is not`: with None on either side, or two values without one.
bool Same(const IValue& a, const IValue& b) {
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.variable() != nullptr || b.variable() != nullptr) return a.variable() == b.variable();
  const absl::StatusOr<bool> equal = Equal(a, b);
  return equal.ok() && *equal;
}
Result Is(const BuiltinCall& c) { return IValue::Bool(Same(c[0], c[1])); }
Result IsNot(const BuiltinCall& c) { return IValue::Bool(!Same(c[0], c[1])); }

Result EqualTo(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const bool equal, Equal(c[0], c[1]));
  return IValue::Bool(equal);
}
Result NotEqualTo(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const bool equal, Equal(c[0], c[1]));
  return IValue::Bool(!equal);
}

// The number of steps of range(lo, hi, step).
Result RangeLength(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const int64_t step, ConstantInt(c[2], "the step of a range"));
  if (step == 0) return absl::InvalidArgumentError("range() with a step of 0");
  const IValue& from = step > 0 ? c[0] : c[1];
  const IValue& to = step > 0 ? c[1] : c[0];
  const IValue size = IValue::Int(step > 0 ? step : Wrap(0 - U(step)));
  // max(0, (to - from + size - 1) // size)
  FLOE_TRY_ASSIGN(IValue n, NumberBinary(c.in, "sub", to, from, c.site));
  FLOE_TRY_ASSIGN(n, NumberBinary(c.in, "add", n, IValue::Int(size.int_value() - 1), c.site));
  FLOE_TRY_ASSIGN(n, NumberBinary(c.in, "floordiv", n, size, c.site));
  return NumberBinary(c.in, "max", n, IValue::Int(0), c.site);
}

Result DeriveIndex(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(IValue offset, NumberBinary(c.in, "mul", c[0], c[2], c.site));
  return NumberBinary(c.in, "add", c[1], offset, c.site);
}

Result DivMod(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(IValue quotient, NumberBinary(c.in, "floordiv", c[0], c[1], c.site));
  FLOE_TRY_ASSIGN(IValue rest, NumberBinary(c.in, "remainder", c[0], c[1], c.site));
  return IValue::TupleOf({std::move(quotient), std::move(rest)});
}

// prim::min and prim::max of a list.
Result Extreme(const BuiltinCall& c, const char* op) {
  const std::vector<IValue>& items = c[0].items();
  if (items.empty()) return absl::InvalidArgumentError("min() or max() of an empty list");
  IValue best = items[0];
  for (size_t i = 1; i < items.size(); ++i) {
    FLOE_TRY_ASSIGN(best, NumberBinary(c.in, op, best, items[i], c.site));
  }
  return best;
}
Result MinOfList(const BuiltinCall& c) { return Extreme(c, "min"); }
Result MaxOfList(const BuiltinCall& c) { return Extreme(c, "max"); }

}  // namespace

Result NumberBinary(Interpreter& in, const std::string& op, const IValue& left, const IValue& right,
                    const CallSite& site) {
  if (!left.is_number() || !right.is_number()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s of %s and %s", op, left.Describe(), right.Describe()));
  }
  const bool bools = left.kind() == Kind::kBool && right.kind() == Kind::kBool;
  if (bools && (op == "__and__" || op == "__or__")) {
    const bool decides = op == "__or__";  // What settles the result alone.
    for (const auto& [known, other] : {std::pair(left, right), std::pair(right, left)}) {
      if (known.is_known()) return known.bool_value() == decides ? known : other;
    }
    return AtRunTime(in, op, left, right, site);
  }
  const IValue a = AsInt(left);
  const IValue b = AsInt(right);
  const bool ints = a.kind() != Kind::kFloat && b.kind() != Kind::kFloat;
  if (!IsNumberConstant(a) || !IsNumberConstant(b)) {
    if (ints && a.kind() == Kind::kInt && b.kind() == Kind::kInt && a.is_known() && b.is_known()) {
      std::optional<IValue> dim = OnDims(op, a.dim(), b.dim(), in.context().graph().symbols);
      if (dim.has_value()) return *dim;
    }
    return AtRunTime(in, op, left, right, site);
  }
  if (ints) {
    FLOE_TRY_ASSIGN(std::optional<IValue> result, OnInts(op, a.int_value(), b.int_value()));
    if (result.has_value()) {
      if (bools && op == "__xor__") return IValue::Bool(result->int_value() != 0);
      return *result;
    }
  }
  return OnFloats(op, DoubleOf(a), DoubleOf(b));
}

std::vector<BuiltinRow> NumberBuiltins() {
  return {
      {"aten::add", "nn?n", Binary<kAdd>},
      {"aten::sub", "nn?n", Binary<kSub>},
      {"aten::mul", "nn", Binary<kMul>},
      {"aten::div", "nn", Binary<kDiv>},
      {"aten::floordiv", "nn", Binary<kFloorDiv>},
      {"aten::__round_to_zero_floordiv", "nn", Binary<kTruncDiv>},
      {"aten::remainder", "nn", Binary<kRemainder>},
      {"aten::fmod", "nn", Binary<kFmod>},
      {"aten::pow", "nn", Binary<kPow>},
      {"aten::atan2", "nn", Binary<kAtan2>},
      {"aten::copysign", "nn", Binary<kCopySign>},
      {"aten::eq", "nn", Binary<kEq>},
      {"aten::ne", "nn", Binary<kNe>},
      {"aten::lt", "nn", Binary<kLt>},
      {"aten::le", "nn", Binary<kLe>},
      {"aten::gt", "nn", Binary<kGt>},
      {"aten::ge", "nn", Binary<kGe>},
      {"aten::eq", "oo", EqualTo},
      {"aten::ne", "oo", NotEqualTo},
      {"prim::min", "nn", Binary<kMin>},
      {"prim::max", "nn", Binary<kMax>},
      {"prim::min", "l", MinOfList},
      {"prim::max", "l", MaxOfList},
      {"aten::__and__", "nn", Binary<kAnd>},
      {"aten::__or__", "nn", Binary<kOr>},
      {"aten::__xor__", "nn", Binary<kXor>},
      {"aten::__lshift__", "ii", Binary<kLeft>},
      {"aten::__rshift__", "ii", Binary<kRight>},
      {"aten::__not__", "b", Not},
      {"aten::__is__", "aa", Is},
      {"aten::__isnot__", "aa", IsNot},
      {"aten::neg", "n", Neg},
      {"prim::abs", "n", Abs},
      {"aten::abs", "n", Abs},
      {"aten::floor", "n", Floor},
      {"aten::ceil", "n", Ceil},
      {"aten::round", "n", Round},
      {"aten::sqrt", "n", Sqrt},
      {"aten::exp", "n", Exp},
      {"aten::expm1", "n", Expm1},
      {"aten::log", "n", Log},
      {"aten::log2", "n", Log2},
      {"aten::log10", "n", Log10},
      {"aten::log1p", "n", Log1p},
      {"aten::sin", "n", Sin},
      {"aten::cos", "n", Cos},
      {"aten::tan", "n", Tan},
      {"aten::asin", "n", Asin},
      {"aten::acos", "n", Acos},
      {"aten::atan", "n", Atan},
      {"aten::sinh", "n", Sinh},
      {"aten::cosh", "n", Cosh},
      {"aten::tanh", "n", Tanh},
      {"aten::asinh", "n", Asinh},
      {"aten::acosh", "n", Acosh},
      {"aten::atanh", "n", Atanh},
      {"aten::erf", "n", Erf},
      {"aten::erfc", "n", Erfc},
      {"aten::gamma", "n", Gamma},
      {"aten::fabs", "n", Fabs},
      {"aten::degrees", "n", Degrees},
      {"aten::radians", "n", Radians},
      {"aten::isnan", "n", IsNan},
      {"aten::isinf", "n", IsInf},
      {"aten::Int", "n", ToInt},
      {"aten::Int", "s", ParseInt},
      {"aten::IntImplicit", "n", ToInt},
      {"aten::Float", "n", ToFloat},
      {"aten::Float", "s", ParseFloat},
      {"aten::FloatImplicit", "n", ToFloat},
      {"aten::Bool", "n", ToBool},
      {"aten::ScalarImplicit", "n", Identity},
      {"aten::item", "n", Identity},
      {"aten::__range_length", "nnn", RangeLength},
      {"aten::__derive_index", "nnn", DeriveIndex},
      {"aten::divmod", "nn", DivMod},
      {"aten::is_scripting", "", True},
      {"aten::is_grad_enabled", "", False},
      {"aten::is_autocast_enabled", "*", False},
      {"aten::is_autocast_cpu_enabled", "*", False},
      {"aten::has_torch_function", "*", False},
      {"aten::set_grad_enabled", "*", None},
      {"aten::warn", "*", None},
      {"aten::manual_seed", "*", None},
      {"prim::Print", "*", None},
      {"profiler::_record_function_enter", "*", None},
      {"profiler::_record_function_enter_new", "*", None},
      {"profiler::_record_function_exit", "*", None},
      {"aten::_unwrap_optional", "a", Identity},
      {"prim::unchecked_unwrap_optional", "a", Identity},
      {"prim::unchecked_cast", "a", Identity},
      {"aten::wait", "a", Identity},
  };
}

}  // namespace floe::torchscript
