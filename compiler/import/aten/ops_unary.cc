// Elementwise functions of one tensor.
#include <cmath>
#include <numbers>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// Functions that give floats: ints and bools become f32.
Value* FloatSelf(OpBuilder& b) { return b.Operand("self", b.FloatType({"self"})); }

void FloatUnary(OpBuilder& b) { b.Return(b.Unary(b.row().ir, FloatSelf(b))); }

// Functions that keep the dtype.
void Unary(OpBuilder& b) { b.Return(b.Unary(b.row().ir, b.Tensor("self"))); }

// Rounding: ints are whole already.
void Rounding(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(IsFloat(x->dtype()) ? b.Unary(b.row().ir, x) : x);
}

// Rounds to a number of decimals, as PyTorch: scaled by a power of ten, rounded, scaled back.
void RoundDecimals(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t decimals = b.Int("decimals");
  if (!IsFloat(x->dtype())) return b.Return(x);
  Value* scale = b.ScalarLike(x, std::pow(10.0, std::abs(static_cast<double>(decimals))));
  const bool up = decimals >= 0;
  Value* y = b.Unary(OpId::kRound, b.Binary(up ? OpId::kMul : OpId::kDiv, x, scale));
  b.Return(b.Binary(up ? OpId::kDiv : OpId::kMul, y, scale));
}

void Frac(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(b.Binary(OpId::kSub, x, b.Unary(OpId::kTrunc, x)));
}

void Abs(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(x->dtype() == DType::kBool || IsUnsignedInt(x->dtype()) ? x : b.Unary(OpId::kAbs, x));
}

void Neg(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (IsUnsignedInt(x->dtype())) return b.Return(b.Binary(OpId::kSub, b.ScalarLike(x, 0), x));
  b.Return(b.Unary(OpId::kNeg, x));
}

void Sign(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (x->dtype() == DType::kBool) return b.Return(x);
  if (IsUnsignedInt(x->dtype())) {
    return b.Return(b.Cast(b.Cast(x, DType::kBool), x->dtype()));
  }
  Value* y = b.Unary(OpId::kSign, x);
  // torch.sign gives 0 for NaN.
  if (IsFloat(x->dtype())) y = b.Where(b.Unary(OpId::kIsNan, x), b.ScalarLike(x, 0), y);
  b.Return(y);
}

void Square(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (x->dtype() == DType::kBool) return b.Return(b.Cast(x, DType::kI64));
  b.Return(b.Binary(OpId::kMul, x, x));
}

void SelfAsIs(OpBuilder& b) { b.Return(b.Tensor("self")); }

// Scaled by a constant: param 0 degrees to radians, 1 radians to degrees.
void Angle(OpBuilder& b) {
  Value* x = FloatSelf(b);
  constexpr double kDegree = std::numbers::pi / 180;
  b.Return(b.Binary(OpId::kMul, x, b.ScalarLike(x, b.row().param != 0 ? 1 / kDegree : kDegree)));
}

// sin(pi x) / (pi x).
void Sinc(OpBuilder& b) {
  Value* x = FloatSelf(b);
  Value* one = b.ScalarLike(x, 1);
  Value* zero = b.Binary(OpId::kEqual, x, b.ScalarLike(x, 0));
  Value* angle = b.Binary(OpId::kMul, x, b.ScalarLike(x, std::numbers::pi));
  b.Return(b.Where(zero, one, b.Binary(OpId::kDiv, b.Unary(OpId::kSin, angle), angle)));
}

// log(x / (1 - x)), x clamped to [eps, 1 - eps].
void Logit(OpBuilder& b) {
  Value* x = FloatSelf(b);
  if (b.Given("eps")) {
    const double eps = b.Float("eps");
    x = b.Emit(OpId::kClamp, {x}, {{"min", eps}, {"max", 1 - eps}});
  }
  Value* odds = b.Binary(OpId::kDiv, x, b.Binary(OpId::kSub, b.ScalarLike(x, 1), x));
  b.Return(b.Unary(OpId::kLog, odds));
}

// -x log x; 0 at 0, -inf below.
void Entr(OpBuilder& b) {
  Value* x = FloatSelf(b);
  Value* zero = b.ScalarLike(x, 0);
  Value* y = b.Unary(OpId::kNeg, b.Binary(OpId::kMul, x, b.Unary(OpId::kLog, x)));
  y = b.Where(b.Binary(OpId::kEqual, x, zero), zero, y);
  b.Return(b.Where(b.Binary(OpId::kLess, x, zero), b.ScalarLike(x, -INFINITY), y));
}

// The normal distribution's integral: erfc(-x / sqrt 2) / 2.
void NormalIntegral(OpBuilder& b) {
  Value* x = FloatSelf(b);
  Value* scaled = b.Binary(OpId::kMul, x, b.ScalarLike(x, -std::numbers::sqrt2 / 2));
  b.Return(b.Binary(OpId::kMul, b.Unary(OpId::kErfc, scaled), b.ScalarLike(x, 0.5)));
}

// The logarithm of the multivariate gamma function (Anderson, 1958, section 7.2).
void MultivariateLogGamma(OpBuilder& b) {
  Value* x = FloatSelf(b);
  const int64_t p = b.Int("p");
  if (b.ok() && (p < 1 || p > 1000)) b.Invalid("mvlgamma of a bad order");
  if (!b.ok()) return;
  Value* sum = b.ScalarLike(x, static_cast<double>(p * (p - 1)) / 4 * std::log(std::numbers::pi));
  for (int64_t i = 0; i < p; ++i) {
    Value* shifted = b.Binary(OpId::kSub, x, b.ScalarLike(x, static_cast<double>(i) / 2));
    sum = b.Binary(OpId::kAdd, sum, b.Unary(OpId::kLGamma, shifted));
  }
  b.Return(sum);
}

// --- tests ---------------------------------------------------------------------------------------

Value* Constantly(OpBuilder& b, const Value* x, bool value) {
  return b.Full(DType::kBool, x->shape(), value ? 1 : 0);
}

void IsNan(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(IsFloat(x->dtype()) ? b.Unary(OpId::kIsNan, x) : Constantly(b, x, false));
}

// param: 1 positive, 2 negative, 3 both.
void IsInf(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!IsFloat(x->dtype())) return b.Return(Constantly(b, x, false));
  b.Return(
      b.Emit(OpId::kIsInf, {x},
             {{"detect_negative", b.row().param >> 1}, {"detect_positive", b.row().param & 1}}));
}

void IsFiniteOp(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(IsFloat(x->dtype()) ? IsFinite(b, x) : Constantly(b, x, true));
}

void IsReal(OpBuilder& b) { b.Return(Constantly(b, b.Tensor("self"), true)); }

void SignBitOp(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (x->dtype() == DType::kBool) return b.Return(Constantly(b, x, false));
  b.Return(SignBit(b, x));
}

void LogicalNot(OpBuilder& b) {
  b.Return(b.Unary(OpId::kLogicalNot, b.Cast(b.Tensor("self"), DType::kBool)));
}

void BitwiseNot(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(b.Unary(x->dtype() == DType::kBool ? OpId::kLogicalNot : OpId::kBitwiseNot, x));
}

// The greatest finite number of a dtype.
double Greatest(DType t) {
  switch (t) {
    case DType::kF64:
      return 1.7976931348623157e308;
    case DType::kF16:
      return 65504;
    case DType::kBF16:
      return 3.3895313892515355e38;
    default:
      return 3.4028234663852886e38;
  }
}

void NanToNum(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!IsFloat(x->dtype())) return b.Return(x);
  const double greatest = Greatest(x->dtype());
  const auto inf = [&](Value* v, int64_t positive) {
    return b.Emit(OpId::kIsInf, {v},
                  {{"detect_negative", 1 - positive}, {"detect_positive", positive}});
  };
  Value* y = b.Where(b.Unary(OpId::kIsNan, x), b.ScalarLike(x, b.Float("nan", 0)), x);
  y = b.Where(inf(x, 1), b.ScalarLike(x, b.Float("posinf", greatest)), y);
  b.Return(b.Where(inf(x, 0), b.ScalarLike(x, b.Float("neginf", -greatest)), y));
}

constexpr Row kRows[] = {
    {"aten::abs", Abs},
    {"aten::absolute", Abs},
    {"aten::neg", Neg},
    {"aten::negative", Neg},
    {"aten::positive", SelfAsIs},
    {"aten::real", SelfAsIs},
    {"aten::conj", SelfAsIs},
    {"aten::resolve_neg", SelfAsIs},
    {"aten::conj_physical", SelfAsIs},
    {"aten::sign", Sign},
    {"aten::sgn", Sign},
    {"aten::ceil", Rounding, OpId::kCeil},
    {"aten::floor", Rounding, OpId::kFloor},
    {"aten::round", Rounding, OpId::kRound},
    {"aten::round.decimals", RoundDecimals},
    {"aten::special_round", RoundDecimals},
    {"aten::trunc", Rounding, OpId::kTrunc},
    {"aten::fix", Rounding, OpId::kTrunc},
    {"aten::frac", Frac},
    {"aten::square", Square},
    {"aten::sqrt", FloatUnary, OpId::kSqrt},
    {"aten::rsqrt", FloatUnary, OpId::kRsqrt},
    {"aten::reciprocal", FloatUnary, OpId::kReciprocal},
    {"aten::exp", FloatUnary, OpId::kExp},
    {"aten::exp2", FloatUnary, OpId::kExp2},
    {"aten::special_exp2", FloatUnary, OpId::kExp2},
    {"aten::expm1", FloatUnary, OpId::kExpm1},
    {"aten::special_expm1", FloatUnary, OpId::kExpm1},
    {"aten::log", FloatUnary, OpId::kLog},
    {"aten::log1p", FloatUnary, OpId::kLog1p},
    {"aten::special_log1p", FloatUnary, OpId::kLog1p},
    {"aten::log2", FloatUnary, OpId::kLog2},
    {"aten::log10", FloatUnary, OpId::kLog10},
    {"aten::sin", FloatUnary, OpId::kSin},
    {"aten::cos", FloatUnary, OpId::kCos},
    {"aten::tan", FloatUnary, OpId::kTan},
    {"aten::asin", FloatUnary, OpId::kAsin},
    {"aten::acos", FloatUnary, OpId::kAcos},
    {"aten::atan", FloatUnary, OpId::kAtan},
    {"aten::sinh", FloatUnary, OpId::kSinh},
    {"aten::cosh", FloatUnary, OpId::kCosh},
    {"aten::tanh", FloatUnary, OpId::kTanh},
    {"aten::asinh", FloatUnary, OpId::kAsinh},
    {"aten::acosh", FloatUnary, OpId::kAcosh},
    {"aten::atanh", FloatUnary, OpId::kAtanh},
    {"aten::arcsin", FloatUnary, OpId::kAsin},
    {"aten::arccos", FloatUnary, OpId::kAcos},
    {"aten::arctan", FloatUnary, OpId::kAtan},
    {"aten::arcsinh", FloatUnary, OpId::kAsinh},
    {"aten::arccosh", FloatUnary, OpId::kAcosh},
    {"aten::arctanh", FloatUnary, OpId::kAtanh},
    {"aten::erf", FloatUnary, OpId::kErf},
    {"aten::special_erf", FloatUnary, OpId::kErf},
    {"aten::erfc", FloatUnary, OpId::kErfc},
    {"aten::special_erfc", FloatUnary, OpId::kErfc},
    {"aten::sigmoid", FloatUnary, OpId::kSigmoid},
    {"aten::special_expit", FloatUnary, OpId::kSigmoid},
    {"aten::erfinv", FloatUnary, OpId::kErfInv},
    {"aten::special_erfinv", FloatUnary, OpId::kErfInv},
    {"aten::lgamma", FloatUnary, OpId::kLGamma},
    {"aten::special_gammaln", FloatUnary, OpId::kLGamma},
    {"aten::digamma", FloatUnary, OpId::kDigamma},
    {"aten::special_digamma", FloatUnary, OpId::kDigamma},
    {"aten::special_psi", FloatUnary, OpId::kDigamma},
    {"aten::i0", FloatUnary, OpId::kBesselI0},
    {"aten::special_i0", FloatUnary, OpId::kBesselI0},
    {"aten::sinc", Sinc},
    {"aten::special_sinc", Sinc},
    {"aten::logit", Logit},
    {"aten::special_logit", Logit},
    {"aten::special_entr", Entr},
    {"aten::special_ndtr", NormalIntegral},
    {"aten::mvlgamma", MultivariateLogGamma},
    {"aten::special_multigammaln", MultivariateLogGamma},
    {"aten::deg2rad", Angle},
    {"aten::rad2deg", Angle, OpId::kIdentity, 1},
    {"aten::relu", Unary, OpId::kRelu},
    {"aten::isnan", IsNan},
    {"aten::isinf", IsInf, OpId::kIsInf, 3},
    {"aten::isposinf", IsInf, OpId::kIsInf, 1},
    {"aten::isneginf", IsInf, OpId::kIsInf, 2},
    {"aten::isfinite", IsFiniteOp},
    {"aten::isreal", IsReal},
    {"aten::signbit", SignBitOp},
    {"aten::logical_not", LogicalNot},
    {"aten::bitwise_not", BitwiseNot},
    {"aten::nan_to_num", NanToNum},
};

}  // namespace

std::span<const Row> UnaryRows() { return kRows; }

}  // namespace floe::aten
