// What symbolic expressions are worth: as dimensions, and as numbers. sym_parser.cc reads them.
#include "compiler/import/torch_export/sym_expr.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"
#include "format/checked.h"

namespace floe::torch_export {
namespace {

using Op = SymExpr::Op;

std::optional<int64_t> FloorDivide(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == INT64_MIN)) return std::nullopt;
  const int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::optional<int64_t> Modulo(int64_t a, int64_t b) {
  const std::optional<int64_t> q = FloorDivide(a, b);
  int64_t whole, rest;
  if (!q || !CheckedMul(*q, b, &whole) || __builtin_sub_overflow(a, whole, &rest)) {
    return std::nullopt;
  }
  return rest;
}

std::optional<int64_t> Power(int64_t a, int64_t b) {
  if (b < 0 || b > 64) return std::nullopt;
  int64_t result = 1;
  for (int64_t i = 0; i < b; ++i) {
    if (!CheckedMul(result, a, &result)) return std::nullopt;
  }
  return result;
}

std::optional<int64_t> Binary(Op op, int64_t a, int64_t b) {
  int64_t r;
  switch (op) {
    case Op::kAdd:
      return CheckedAdd(a, b, &r) ? std::optional<int64_t>(r) : std::nullopt;
    case Op::kSub:
      return __builtin_sub_overflow(a, b, &r) ? std::nullopt : std::optional<int64_t>(r);
    case Op::kMul:
      return CheckedMul(a, b, &r) ? std::optional<int64_t>(r) : std::nullopt;
    case Op::kPow:
      return Power(a, b);
    case Op::kFloorDiv:
      return FloorDivide(a, b);
    case Op::kMod:
      return Modulo(a, b);
    case Op::kMax:
      return std::max(a, b);
    case Op::kMin:
      return std::min(a, b);
    case Op::kEq:
      return a == b;
    case Op::kNe:
      return a != b;
    case Op::kLt:
      return a < b;
    case Op::kLe:
      return a <= b;
    case Op::kGt:
      return a > b;
    case Op::kGe:
      return a >= b;
    case Op::kAnd:
      return a != 0 && b != 0;
    case Op::kOr:
      return a != 0 || b != 0;
    default:
      return std::nullopt;
  }
}

// a - m * floor(a / m).
std::optional<ir::Dim> DimModulo(const ir::Dim& a, const ir::Dim& b) {
  if (!b.is_constant() || b.constant() <= 0) return std::nullopt;
  const std::optional<ir::Dim> quotient = ir::Dim::DivFloor(a, b.constant());
  const std::optional<ir::Dim> whole = quotient ? ir::Dim::Mul(*quotient, b) : std::nullopt;
  return whole ? ir::Dim::Sub(a, *whole) : std::nullopt;
}

std::optional<ir::Dim> Decide(bool yes, bool no) {
  if (yes) return ir::Dim(1);
  if (no) return ir::Dim(0);
  return std::nullopt;
}

std::optional<ir::Dim> Compare(Op op, const ir::Dim& a, const ir::Dim& b,
                               const std::vector<ir::Symbol>& symbols) {
  const std::optional<ir::Dim> d = ir::Dim::Sub(a, b);
  if (!d) return std::nullopt;
  const int64_t least = d->Min(symbols), most = d->Max(symbols);
  switch (op) {
    case Op::kEq:
      return Decide(least == 0 && most == 0, least > 0 || most < 0);
    case Op::kNe:
      return Decide(least > 0 || most < 0, least == 0 && most == 0);
    case Op::kLt:
      return Decide(most < 0, least >= 0);
    case Op::kLe:
      return Decide(most <= 0, least > 0);
    case Op::kGt:
      return Decide(least > 0, most <= 0);
    case Op::kGe:
      return Decide(least >= 0, most < 0);
    default:
      return std::nullopt;
  }
}

std::optional<ir::Dim> DimBinary(Op op, const ir::Dim& a, const ir::Dim& b,
                                 const std::vector<ir::Symbol>& symbols) {
  if (a.is_constant() && b.is_constant()) {
    const std::optional<int64_t> value = Binary(op, a.constant(), b.constant());
    return value ? std::optional<ir::Dim>(*value) : std::nullopt;
  }
  switch (op) {
    case Op::kAdd:
      return ir::Dim::Add(a, b);
    case Op::kSub:
      return ir::Dim::Sub(a, b);
    case Op::kMul:
      return ir::Dim::Mul(a, b);
    case Op::kPow: {
      constexpr int64_t kMaxPower = 8;
      if (!b.is_constant() || b.constant() < 0 || b.constant() > kMaxPower) return std::nullopt;
      std::optional<ir::Dim> power(1);
      for (int64_t i = 0; i < b.constant() && power; ++i) power = ir::Dim::Mul(*power, a);
      return power;
    }
    case Op::kFloorDiv: {
      if (const auto exact = ir::Dim::DivExact(a, b)) return exact;
      return b.is_constant() && b.constant() > 0 ? ir::Dim::DivFloor(a, b.constant())
                                                 : std::nullopt;
    }
    case Op::kMod:
      return DimModulo(a, b);
    case Op::kMax:
    case Op::kMin: {
      const std::optional<ir::Dim> d = ir::Dim::Sub(a, b);
      if (d && d->Min(symbols) >= 0) return op == Op::kMax ? a : b;
      if (d && d->Max(symbols) <= 0) return op == Op::kMax ? b : a;
      return op == Op::kMax ? ir::Dim::Larger(a, b) : ir::Dim::Smaller(a, b);
    }
    default:
      return Compare(op, a, b, symbols);
  }
}

}  // namespace

void CollectSymbols(const SymExpr& e, std::set<std::string>* names) {
  if (e.op == Op::kSymbol) names->insert(e.name);
  for (const SymExpr& arg : e.args) CollectSymbols(arg, names);
}

absl::StatusOr<ir::Dim> ToDim(const SymExpr& e, const SymbolDims& dims,
                              const std::vector<ir::Symbol>& symbols) {
  if (e.op == Op::kInt) return ir::Dim(e.value);
  if (e.op == Op::kSymbol) {
    if (const std::optional<ir::Dim> dim = dims(e.name)) return *dim;
    return absl::UnimplementedError(absl::StrFormat(
        "the symbol '%s' depends on data; its value is not known before the run", e.name));
  }
  const auto undecided = [&] {
    return absl::UnimplementedError(absl::StrFormat(
        "the size '%s' cannot be written with sums, products, floors, max and min of symbols; fix "
        "one of its symbols with --dim",
        ToText(e)));
  };
  std::optional<ir::Dim> result;
  if (e.op == Op::kNeg && e.args[0].op == Op::kFloorDiv && e.args[0].args.size() == 2) {
    // -(-a // n), a quotient rounded up, as one floor: a difference of two would hide its bounds.
    FLOE_TRY_ASSIGN(const ir::Dim a, ToDim(e.args[0].args[0], dims, symbols));
    FLOE_TRY_ASSIGN(const ir::Dim n, ToDim(e.args[0].args[1], dims, symbols));
    const std::optional<ir::Dim> up = ir::Dim::Sub(n, a);
    const std::optional<ir::Dim> dividend = up ? ir::Dim::Sub(*up, 1) : std::nullopt;
    if (dividend && n.is_constant() && n.constant() > 0) {
      result = ir::Dim::DivFloor(*dividend, n.constant());
    }
    if (result) return *result;
  }
  for (size_t i = 0; i < e.args.size(); ++i) {
    FLOE_TRY_ASSIGN(const ir::Dim arg, ToDim(e.args[i], dims, symbols));
    if (e.op == Op::kNeg) {
      result = ir::Dim::Sub(0, arg);
    } else if (e.op == Op::kNot) {
      result = Compare(Op::kEq, arg, 0, symbols);
    } else {
      result = i == 0 ? std::optional<ir::Dim>(arg) : DimBinary(e.op, *result, arg, symbols);
    }
    if (!result) return undecided();
  }
  if (!result) return undecided();
  return *result;
}

std::optional<int64_t> EvaluateSym(const SymExpr& e, const SymbolValues& values) {
  if (e.op == Op::kInt) return e.value;
  if (e.op == Op::kSymbol) return values(e.name);
  std::optional<int64_t> result;
  for (size_t i = 0; i < e.args.size(); ++i) {
    const std::optional<int64_t> arg = EvaluateSym(e.args[i], values);
    if (!arg) return std::nullopt;
    if (e.op == Op::kNeg) {
      result = Binary(Op::kSub, 0, *arg);
    } else if (e.op == Op::kNot) {
      result = *arg == 0;
    } else {
      result = i == 0 ? arg : Binary(e.op, *result, *arg);
    }
    if (!result) return std::nullopt;
  }
  return result;
}

std::string ToText(const SymExpr& e) {
  if (e.op == Op::kInt) return std::to_string(e.value);
  if (e.op == Op::kSymbol) return e.name;
  static constexpr std::array<const char*, 20> kNames = {
      "",    "",     " + ",  " - ", "*",    "-",   "**",   "//",    " % ",  "max",
      "min", " == ", " != ", " < ", " <= ", " > ", " >= ", " and ", " or ", "not "};
  const char* const name = kNames[static_cast<size_t>(e.op)];
  if (e.op == Op::kNeg || e.op == Op::kNot) return name + ("(" + ToText(e.args[0]) + ")");
  const bool is_call = e.op == Op::kMax || e.op == Op::kMin;
  std::string text = is_call ? std::string(name) + "(" : "(";
  for (size_t i = 0; i < e.args.size(); ++i) {
    if (i > 0) text += is_call ? ", " : name;
    text += ToText(e.args[i]);
  }
  return text + ")";
}

}  // namespace floe::torch_export
