// Around the gamma function: zeta functions, polygamma, the incomplete gamma functions.
#include <cmath>
#include <limits>
#include <numbers>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops_numeric.h"
#include "compiler/ir/status_macros.h"

namespace floe::aten {
namespace {

using ir::Value;

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Value* Mul(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kMul, x, y); }
Value* Add(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kAdd, x, y); }
Value* Square(OpBuilder& b, Value* x) { return Mul(b, x, x); }
Value* Above(OpBuilder& b, Value* x, double limit) {
  return b.Binary(OpId::kGreater, x, b.ScalarLike(x, limit));
}
Value* Below(OpBuilder& b, Value* x, double limit) {
  return b.Binary(OpId::kLess, x, b.ScalarLike(x, limit));
}
Value* And(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kLogicalAnd, x, y); }
Value* Or(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kLogicalOr, x, y); }

// c[0] + x (c[1] + x (c[2] + ...))
Value* Polynomial(OpBuilder& b, Value* x, const std::vector<double>& c) {
  Value* y = b.ScalarLike(x, c.back());
  for (size_t i = c.size() - 1; i-- > 0;) y = Add(b, Mul(b, x, y), b.ScalarLike(x, c[i]));
  return y;
}

// --- zeta and polygamma --------------------------------------------------------------------------

// The Hurwitz zeta function for s > 1 and q + terms >= 10, by Euler's and Maclaurin's formula
// (Abramowitz and Stegun, 23.1.30).
Value* Zeta(OpBuilder& b, Value* s, Value* q, int terms) {
  constexpr double kBernoulli[] = {1.0 / 6,  -1.0 / 30,     1.0 / 42, -1.0 / 30,
                                   5.0 / 66, -691.0 / 2730, 7.0 / 6,  -3617.0 / 510};
  Value* minus = b.Unary(OpId::kNeg, s);
  Value* sum = nullptr;
  for (int k = 0; k < terms; ++k) {
    Value* term = b.Binary(OpId::kPow, Plus(b, q, k), minus);
    sum = sum == nullptr ? term : Add(b, sum, term);
  }
  Value* a = Plus(b, q, terms);
  Value* power = b.Binary(OpId::kPow, a, minus);
  sum = Add(b, sum, b.Binary(OpId::kDiv, Mul(b, power, a), Plus(b, s, -1)));
  sum = Add(b, sum, Times(b, power, 0.5));
  // B_2j / (2j)! s (s+1) ... (s+2j-2) a^(-s-2j+1)
  Value* inverse = b.Unary(OpId::kReciprocal, a);
  Value* factor = Mul(b, s, Mul(b, power, inverse));
  double factorial = 1;
  for (int j = 1; j <= 8; ++j) {
    factorial *= (2.0 * j - 1) * (2.0 * j);
    sum = Add(b, sum, Times(b, factor, kBernoulli[j - 1] / factorial));
    factor = Mul(b, factor, Mul(b, Plus(b, s, 2.0 * j - 1), Plus(b, s, 2.0 * j)));
    factor = Mul(b, factor, Square(b, inverse));
  }
  return sum;
}

// pi times the nth derivative of cot(pi x), as a polynomial in cot(pi x).
std::vector<double> CotangentDerivative(int64_t n) {
  constexpr double kPi = std::numbers::pi;
  std::vector<double> p = {0, kPi};
  for (int64_t i = 0; i < n; ++i) {
    // c' = -pi (1 + c^2)
    std::vector<double> next(p.size() + 1, 0);
    for (size_t k = 1; k < p.size(); ++k) {
      next[k - 1] -= kPi * static_cast<double>(k) * p[k];
      next[k + 1] -= kPi * static_cast<double>(k) * p[k];
    }
    p = std::move(next);
  }
  return p;
}

// The nth derivative of digamma: (-1)^(n+1) n! zeta(n + 1, x), reflected for x <= 0.
void PolyGamma(OpBuilder& b) {
  const int64_t n = b.Int("n");
  Value* x = b.Operand("self", b.FloatType({"self"}));
  if (b.ok() && n < 0) b.Invalid("polygamma of a negative order");
  if (b.ok() && n > 20) b.Unsupported("polygamma of an order above 20");
  if (!b.ok()) return;
  if (n == 0) return b.Return(b.Unary(OpId::kDigamma, x));
  const double sign = n % 2 == 0 ? -1 : 1;
  Value* positive = b.Binary(OpId::kGreater, x, b.ScalarLike(x, 0));
  Value* q = b.Where(positive, x, b.Binary(OpId::kSub, b.ScalarLike(x, 1), x));
  Value* zeta = Zeta(b, b.ScalarLike(x, static_cast<double>(n + 1)), q, 10);
  Value* y = Times(b, zeta, sign * std::tgamma(static_cast<double>(n + 1)));
  // cot has period 1: near 0 its argument is exact.
  Value* angle = Times(b, b.Binary(OpId::kSub, x, b.Unary(OpId::kRound, x)), std::numbers::pi);
  Value* cot = b.Binary(OpId::kDiv, b.Unary(OpId::kCos, angle), b.Unary(OpId::kSin, angle));
  Value* reflected =
      b.Binary(OpId::kSub, Times(b, y, -sign), Polynomial(b, cot, CotangentDerivative(n)));
  b.Return(b.Where(positive, y, reflected));
}

// zeta(s, q): NaN below s = 1, and for q < 0 unless s is whole; poles at 1 and at q = 0, -1, ...
void ZetaOp(OpBuilder& b) {
  constexpr int kShift = 20;
  const DType t = b.FloatType({"self", "other"});
  Value* s = b.Operand("self", t);
  Value* q = b.Operand("other", t);
  if (!b.ok()) return;
  // Terms of q below 1 are summed one by one: there must not be too many.
  Value* far = b.Binary(OpId::kLessEqual, q, b.ScalarLike(q, -kShift));
  Value* pole = b.Binary(OpId::kEqual, b.Unary(OpId::kFloor, q), q);
  Value* near = b.Unary(OpId::kLogicalNot, And(b, far, b.Unary(OpId::kLogicalNot, pole)));
  b.Fail(b.context().Check(b.Wrap(AllTrue(b, near)),
                           "zeta of a second argument below -20 is not supported", b.site()));
  const auto known = b.ConstantOf(q);
  bool positive = known.has_value();
  for (int64_t i = 0; positive && i < known->count(); ++i) positive = known->DoubleAt(i) > 0;
  Value* y = Zeta(b, s, q, positive ? 10 : 10 + kShift);
  Value* fraction = b.Binary(OpId::kNotEqual, b.Unary(OpId::kFloor, s), s);
  Value* negative = b.Binary(OpId::kLessEqual, q, b.ScalarLike(q, 0));
  y = b.Where(And(b, negative, fraction), b.ScalarLike(y, kNan), y);
  y = b.Where(And(b, negative, pole), b.ScalarLike(y, kInf), y);
  y = b.Where(Below(b, s, 1), b.ScalarLike(y, kNan), y);
  b.Return(b.Where(b.Binary(OpId::kEqual, s, b.ScalarLike(s, 1)), b.ScalarLike(y, kInf), y));
}

// --- the incomplete gamma functions --------------------------------------------------------------

// Calls in the body of a loop, which is another graph than the converter's. The first failure
// stays.
struct Calls {
  Context& context;
  const CallSite& site;
  absl::Status status;

  IValue operator()(const char* name, std::vector<IValue> arguments) {
    std::vector<IValue> results;
    if (status.ok()) status = context.Call(name, {std::move(arguments), {}}, site, &results);
    return results.empty() ? IValue() : results[0];
  }
};

constexpr int64_t kMostSteps = 1 << 16;
constexpr double kPrecision = 1e-16;

// The sum of x^k / ((a + 1) ... (a + k)) for k >= 0, where x < a + 1: Abramowitz and
// Stegun, 6.5.29.
Value* GammaSeries(OpBuilder& b, Value* a, Value* x) {
  Value* one = b.Expand(b.ScalarLike(x, 1), x->shape());
  const IValue fixed = b.Wrap(x);
  const auto body = [&](const IValue&,
                        const std::vector<IValue>& now) -> absl::StatusOr<Context::LoopStep> {
    Calls call{b.context(), b.site(), {}};
    const IValue place = call("aten::add.Scalar", {now[0], IValue::Float(1)});
    const IValue ratio = call("aten::div.Tensor", {fixed, place});
    const IValue term = call("aten::mul.Tensor", {now[1], ratio});
    const IValue sum = call("aten::add.Tensor", {now[2], term});
    const IValue small = call("aten::mul.Scalar", {sum, IValue::Float(kPrecision)});
    const IValue more = call("aten::any", {call("aten::gt.Tensor", {term, small})});
    FLOE_TRY(call.status);
    return Context::LoopStep{more, {place, term, sum}};
  };
  const auto sum = b.context().Loop(IValue::Int(kMostSteps), IValue::Bool(true),
                                    {b.Wrap(a), b.Wrap(one), b.Wrap(one)}, body, b.site());
  b.Fail(sum.status());
  return b.ok() ? b.AsTensor((*sum)[2]) : x;
}

// The continued fraction of Q / (x^a exp(-x) / Gamma(a)) where x >= a + 1 (Abramowitz and Stegun,
// 6.5.31), by Lentz's method: carried are i, b, c, d and the product so far.
Value* GammaFraction(OpBuilder& b, Value* a, Value* x) {
  constexpr double kTiny = 1e-300;
  Value* first = Plus(b, b.Binary(OpId::kSub, x, a), 1);
  Value* inverse = b.Unary(OpId::kReciprocal, first);
  Value* huge = b.Expand(b.ScalarLike(x, 1 / kTiny), x->shape());
  const IValue fixed = b.Wrap(a);
  const auto body = [&](const IValue&,
                        const std::vector<IValue>& now) -> absl::StatusOr<Context::LoopStep> {
    Calls call{b.context(), b.site(), {}};
    const auto away = [&](const IValue& v) {  // Not zero.
      const IValue zero = call("aten::lt.Scalar", {call("aten::abs", {v}), IValue::Float(kTiny)});
      return call("aten::masked_fill.Scalar", {v, zero, IValue::Float(kTiny)});
    };
    const IValue i = call("aten::add.Scalar", {now[0], IValue::Float(1)});
    const IValue factor = call("aten::mul.Tensor", {i, call("aten::sub.Tensor", {fixed, i})});
    const IValue next = call("aten::add.Scalar", {now[1], IValue::Float(2)});
    const IValue d =
        call("aten::reciprocal",
             {away(call("aten::add.Tensor", {call("aten::mul.Tensor", {factor, now[3]}), next}))});
    const IValue c =
        away(call("aten::add.Tensor", {next, call("aten::div.Tensor", {factor, now[2]})}));
    const IValue step = call("aten::mul.Tensor", {c, d});
    const IValue product = call("aten::mul.Tensor", {now[4], step});
    const IValue change = call("aten::abs", {call("aten::sub.Scalar", {step, IValue::Float(1)})});
    const IValue more =
        call("aten::any", {call("aten::gt.Scalar", {change, IValue::Float(4 * kPrecision)})});
    FLOE_TRY(call.status);
    return Context::LoopStep{more, {i, next, c, d, product}};
  };
  const auto all = b.context().Loop(
      IValue::Int(kMostSteps), IValue::Bool(true),
      {b.Wrap(b.ScalarLike(x, 0)), b.Wrap(first), b.Wrap(huge), b.Wrap(inverse), b.Wrap(inverse)},
      body, b.site());
  b.Fail(all.status());
  return b.ok() ? b.AsTensor((*all)[4]) : x;
}

// igamma, the lower function P(a, x); igammac (param 1), the upper one, Q. Computed in f64: the
// factor before both sums is a small difference of large logarithms.
void IncompleteGamma(OpBuilder& b) {
  const bool upper = b.row().param == 1;
  const DType t = b.FloatType({"self", "other"});
  Value* a = b.Cast(b.Operand("self", t), DType::kF64);
  Value* x = b.Cast(b.Operand("other", t), DType::kF64);
  if (!b.ok()) return;
  const ir::Shape shape = b.Broadcast(a->shape(), x->shape());
  a = b.Expand(a, shape);
  x = b.Expand(x, shape);
  if (!b.ok()) return;
  Value* usual =
      And(b, And(b, Above(b, a, 0), Above(b, x, 0)), And(b, Below(b, a, kInf), Below(b, x, kInf)));
  Value* small = b.Binary(OpId::kLess, x, Plus(b, a, 1));
  const auto where = [&](Value* condition, Value* v, double other) {
    return b.Where(condition, v, b.ScalarLike(v, other));
  };
  // Elsewhere numbers for which the sums end soon.
  Value* below = And(b, usual, small);
  Value* above = And(b, usual, b.Unary(OpId::kLogicalNot, small));
  Value* series = GammaSeries(b, where(below, a, 1), where(below, x, 0));
  Value* fraction = GammaFraction(b, where(above, a, 1), where(above, x, 9));
  if (!b.ok()) return;
  Value* sa = where(usual, a, 1);
  Value* sx = where(usual, x, 1);
  Value* log = b.Binary(OpId::kSub, Mul(b, sa, b.Unary(OpId::kLog, sx)), sx);
  Value* factor = b.Unary(OpId::kExp, b.Binary(OpId::kSub, log, b.Unary(OpId::kLGamma, sa)));
  Value* lower = b.Binary(OpId::kDiv, Mul(b, factor, series), sa);
  Value* rest = Mul(b, factor, fraction);
  const auto complement = [&](Value* v) { return b.Binary(OpId::kSub, b.ScalarLike(v, 1), v); };
  Value* y =
      upper ? b.Where(small, complement(lower), rest) : b.Where(small, lower, complement(rest));
  // The edges: P is 0 at x = 0 and for an infinite a, 1 for an infinite x and at a = 0.
  Value* none = Or(b, b.Binary(OpId::kEqual, x, b.ScalarLike(x, 0)),
                   b.Binary(OpId::kEqual, a, b.ScalarLike(a, kInf)));
  Value* all = Or(b, b.Binary(OpId::kEqual, x, b.ScalarLike(x, kInf)),
                  b.Binary(OpId::kEqual, a, b.ScalarLike(a, 0)));
  y = b.Where(none, b.ScalarLike(y, upper ? 1 : 0), y);
  y = b.Where(all, b.ScalarLike(y, upper ? 0 : 1), y);
  Value* valid = And(b, b.Binary(OpId::kGreaterEqual, a, b.ScalarLike(a, 0)),
                     b.Binary(OpId::kGreaterEqual, x, b.ScalarLike(x, 0)));
  valid = And(b, valid, b.Unary(OpId::kLogicalNot, And(b, none, all)));
  b.Return(b.Cast(where(valid, y, kNan), t));
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::polygamma", PolyGamma},
    {"aten::special_polygamma", PolyGamma},
    {"aten::special_zeta", ZetaOp},
    {"aten::igamma", IncompleteGamma},
    {"aten::special_gammainc", IncompleteGamma},
    {"aten::igammac", IncompleteGamma, kNoIr, 1},
    {"aten::special_gammaincc", IncompleteGamma, kNoIr, 1},
};

}  // namespace

std::span<const Row> GammaRows() { return kRows; }

}  // namespace floe::aten
