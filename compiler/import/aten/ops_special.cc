// Special functions as series of elementwise ops, and what is left: counts, selections, sums of
// triple products, the exponential of a matrix, changes of size in place.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/compose_einsum.h"

namespace floe::aten {
namespace {

using ir::Value;

Value* FloatSelf(OpBuilder& b) { return b.Operand("self", b.FloatType({"self"})); }

Value* Mul(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kMul, x, y); }
Value* Add(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kAdd, x, y); }
Value* Square(OpBuilder& b, Value* x) { return Mul(b, x, x); }

// c[0] + x (c[1] + x (c[2] + ...))
Value* Polynomial(OpBuilder& b, Value* x, const std::vector<double>& c) {
  Value* y = b.ScalarLike(x, c.back());
  for (size_t i = c.size() - 1; i-- > 0;) y = Add(b, Mul(b, x, y), b.ScalarLike(x, c[i]));
  return y;
}

bool IsDouble(const Value* x) { return x->dtype() == DType::kF64; }

// --- Bessel functions ----------------------------------------------------------------------------

// I_order (order 0 or 1); `scaled`: times exp(-|x|). The power series up to a limit (all its terms
// are positive), the asymptotic one beyond it (Abramowitz and Stegun, 9.6.10 and 9.7.1).
Value* Bessel(OpBuilder& b, Value* x, int order, bool scaled) {
  const int terms = IsDouble(x) ? 60 : 30;
  const double limit = IsDouble(x) ? 25 : 12;
  std::vector<double> near, far;
  double c = 1;
  for (int k = 0; k < terms; ++k) {
    near.push_back(c);
    c /= (k + 1.0) * (k + 1.0 + order);
  }
  c = 1;
  for (int k = 0; k < (IsDouble(x) ? 20 : 9); ++k) {
    far.push_back(c);
    const double odd = 2 * k + 1;
    c *= -(4.0 * order - odd * odd) / (8.0 * (k + 1));
  }
  Value* size = b.Unary(OpId::kAbs, x);
  Value* half = Times(b, size, 0.5);
  Value* low = Polynomial(b, Square(b, half), near);
  if (order == 1) low = Mul(b, half, low);
  if (scaled) low = Mul(b, low, b.Unary(OpId::kExp, b.Unary(OpId::kNeg, size)));
  Value* root = b.Unary(OpId::kRsqrt, Times(b, size, 2 * std::numbers::pi));
  Value* high = Mul(b, root, Polynomial(b, b.Unary(OpId::kReciprocal, size), far));
  if (!scaled) high = Mul(b, b.Unary(OpId::kExp, size), high);
  Value* y = b.Where(b.Binary(OpId::kLess, size, b.ScalarLike(x, limit)), low, high);
  if (order == 0) return y;
  return b.Where(b.Binary(OpId::kLess, x, b.ScalarLike(x, 0)), b.Unary(OpId::kNeg, y), y);
}

// param: 0 i0e, 1 i1, 2 i1e.
void BesselOp(OpBuilder& b) {
  const int64_t which = b.row().param;
  Value* x = FloatSelf(b);
  if (b.ok()) b.Return(Bessel(b, x, which == 0 ? 0 : 1, which != 1));
}

// sin(x) / x
void SphericalBessel(OpBuilder& b) {
  Value* x = b.Operand("x", b.FloatType({"x"}));
  if (!b.ok()) return;
  Value* zero = b.Binary(OpId::kEqual, x, b.ScalarLike(x, 0));
  b.Return(b.Where(zero, b.ScalarLike(x, 1), b.Binary(OpId::kDiv, b.Unary(OpId::kSin, x), x)));
}

// --- the normal distribution ---------------------------------------------------------------------

// exp(x^2) erfc(x); the asymptotic series (Abramowitz and Stegun, 7.1.23) where exp would overflow.
Value* ScaledErfc(OpBuilder& b, Value* x) {
  const double limit = IsDouble(x) ? 10 : 5;
  std::vector<double> far;
  double c = std::numbers::inv_sqrtpi;
  for (int k = 0; k < (IsDouble(x) ? 18 : 10); ++k) {
    far.push_back(c);
    c *= -(2.0 * k + 1) / 2;
  }
  Value* inverse = b.Unary(OpId::kReciprocal, x);
  Value* high = Mul(b, inverse, Polynomial(b, Square(b, inverse), far));
  Value* low = Mul(b, b.Unary(OpId::kExp, Square(b, x)), b.Unary(OpId::kErfc, x));
  return b.Where(b.Binary(OpId::kGreater, x, b.ScalarLike(x, limit)), high, low);
}

void ScaledErfcOp(OpBuilder& b) {
  Value* x = FloatSelf(b);
  if (b.ok()) b.Return(ScaledErfc(b, x));
}

// The logarithm of the normal distribution's integral.
void LogNormalIntegral(OpBuilder& b) {
  Value* x = FloatSelf(b);
  if (!b.ok()) return;
  Value* t = Times(b, x, std::numbers::sqrt2 / 2);
  Value* tail = Times(b, ScaledErfc(b, b.Unary(OpId::kNeg, t)), 0.5);
  Value* low = b.Binary(OpId::kSub, b.Unary(OpId::kLog, tail), Square(b, t));
  Value* high = b.Unary(OpId::kLog1p, Times(b, b.Unary(OpId::kErfc, t), -0.5));
  b.Return(b.Where(b.Binary(OpId::kLess, x, b.ScalarLike(x, -1)), low, high));
}

// x for a tail's probability p: Newton's steps on log(ndtr(x)) = log(p), which is concave, from the
// left of the root.
Value* LowerQuantile(OpBuilder& b, Value* p) {
  Value* log = b.Unary(OpId::kLog, p);
  Value* x = b.Unary(OpId::kNeg, b.Unary(OpId::kSqrt, Times(b, log, -2)));
  for (int step = 0; step < (IsDouble(p) ? 7 : 5); ++step) {
    Value* t = Times(b, x, -std::numbers::sqrt2 / 2);  // Not negative.
    Value* scaled = ScaledErfc(b, t);
    // log(ndtr(x)) is log(scaled / 2) - t^2, its derivative sqrt(2 / pi) / scaled.
    Value* now = b.Binary(OpId::kSub, b.Unary(OpId::kLog, Times(b, scaled, 0.5)), Square(b, t));
    Value* error = b.Binary(OpId::kSub, now, log);
    Value* move = Mul(b, error, Times(b, scaled, std::sqrt(std::numbers::pi / 2)));
    x = b.Binary(OpId::kSub, x, move);
  }
  return x;
}

// The x at which the normal distribution's integral is p.
void NormalQuantile(OpBuilder& b) {
  Value* p = FloatSelf(b);
  if (!b.ok()) return;
  const double inf = std::numeric_limits<double>::infinity();
  Value* one = b.ScalarLike(p, 1);
  Value* zero = b.ScalarLike(p, 0);
  Value* upper = b.Binary(OpId::kGreater, p, b.ScalarLike(p, 0.5));
  Value* tail = b.Where(upper, b.Binary(OpId::kSub, one, p), p);
  Value* middle = Times(b, b.Unary(OpId::kErfInv, b.Binary(OpId::kSub, Times(b, p, 2), one)),
                        std::numbers::sqrt2);
  Value* low = LowerQuantile(b, tail);
  low = b.Where(upper, b.Unary(OpId::kNeg, low), low);
  Value* y = b.Where(b.Binary(OpId::kGreater, tail, b.ScalarLike(p, 0.1)), middle, low);
  y = b.Where(b.Binary(OpId::kEqual, p, zero), b.ScalarLike(p, -inf), y);
  y = b.Where(b.Binary(OpId::kEqual, p, one), b.ScalarLike(p, inf), y);
  Value* outside =
      b.Binary(OpId::kLogicalOr, b.Binary(OpId::kLess, p, zero), b.Binary(OpId::kGreater, p, one));
  b.Return(b.Where(outside, b.ScalarLike(p, std::numeric_limits<double>::quiet_NaN()), y));
}

// --- matrices ------------------------------------------------------------------------------------

// exp(A) = exp(A / 2^s)^(2^s): a Taylor series of a matrix whose norm is at most 1, squared s
// times.
void MatrixExponential(OpBuilder& b) {
  constexpr int kMostSquares = 20;
  Value* a = b.Tensor("self");
  if (b.ok() && (a->rank() < 2 || !IsFloat(a->dtype()))) b.Invalid("a float matrix is expected");
  if (!b.ok()) return;
  const int64_t row = b.Rank(a) - 2;
  Value* sums = b.Reduce(ReduceKind::kSum, b.Unary(OpId::kAbs, a), {row}, true);
  Value* norm = b.Reduce(ReduceKind::kMax, sums, {row + 1}, true);
  Value* squares = b.Emit(OpId::kClamp, {b.Unary(OpId::kCeil, b.Unary(OpId::kLog2, norm))},
                          {{"min", 0.0}, {"max", static_cast<double>(kMostSquares)}});
  Value* x = Mul(b, a, b.Unary(OpId::kExp2, b.Unary(OpId::kNeg, squares)));
  Value* eye = b.Cast(b.Call("aten::eye", {IValue::Int(b.Dim(a, row))}), a->dtype());
  const int degree = IsDouble(a) ? 18 : 12;
  Value* y = Add(b, eye, Times(b, x, 1.0 / degree));
  for (int k = degree - 1; k >= 1; --k) y = Add(b, eye, Times(b, b.MatMul(x, y), 1.0 / k));
  for (int k = 0; k < kMostSquares; ++k) {
    y = b.Where(b.Binary(OpId::kGreater, squares, b.ScalarLike(a, k)), b.MatMul(y, y), y);
  }
  b.Return(y);
}

// What bilinear layers decompose into: the product of three tensors that get axes of size 1, summed
// over axes.
void Trilinear(OpBuilder& b) {
  std::vector<Value*> operands;
  std::vector<std::vector<int64_t>> expand;
  for (const char* i : {"1", "2", "3"}) {
    operands.push_back(b.Tensor(std::string("i") + i));
    expand.push_back(b.Ints(std::string("expand") + i));
  }
  const std::vector<int64_t> sums = b.Ints("sumdim");
  const int64_t rank = b.Rank(operands[0]) + static_cast<int64_t>(expand[0].size());
  if (b.ok() && (rank > 26 || rank < 1)) b.Invalid("operands of bad ranks");
  if (!b.ok()) return;
  const auto axes_left = [&](const std::vector<int64_t>& dropped) {
    std::set<int64_t> gone;
    for (const int64_t axis : dropped) gone.insert(b.Axis(axis, rank));
    std::string letters;
    for (int64_t axis = 0; axis < rank; ++axis) {
      if (!gone.contains(axis)) letters += static_cast<char>('a' + axis);
    }
    return letters;
  };
  std::string equation;
  for (size_t i = 0; i < 3; ++i) equation += (i > 0 ? "," : "") + axes_left(expand[i]);
  equation += "->" + axes_left(sums);
  if (b.ok()) b.Return(import::EmitEinsum(b, equation, operands));
}

// --- counts and selections -----------------------------------------------------------------------

// Choices of r of n elements, in the order of itertools.
void Combinations(OpBuilder& b) {
  constexpr size_t kMost = size_t{1} << 22;
  Value* x = b.Tensor("self");
  const int64_t r = b.Int("r");
  const bool repeat = b.Bool("with_replacement");
  if (b.ok() && (x->rank() != 1 || r < 0)) b.Invalid("a vector and a count are expected");
  if (b.ok() && r > (1 << 16)) b.Unsupported("combinations of more than 65,536 elements each");
  const int64_t n = b.StaticDim(x, 0);
  if (!b.ok()) return;
  if (r == 0) return b.Return(b.Full(x->dtype(), {0}, 0));
  std::vector<int64_t> picks, now(static_cast<size_t>(r));
  for (size_t i = 0; i < now.size() && !repeat; ++i) now[i] = static_cast<int64_t>(i);
  const auto greatest = [&](size_t i) {
    return repeat ? n - 1 : n - static_cast<int64_t>(now.size() - i);
  };
  bool more = n > 0 && (repeat || r <= n);
  while (more) {
    picks.insert(picks.end(), now.begin(), now.end());
    if (picks.size() > kMost) return b.Unsupported("combinations of more than 2^22 numbers");
    more = false;
    for (size_t i = now.size(); i-- > 0 && !more;) {
      if (now[i] >= greatest(i)) continue;
      ++now[i];
      for (size_t j = i + 1; j < now.size(); ++j) now[j] = repeat ? now[i] : now[j - 1] + 1;
      more = true;
    }
  }
  const int64_t rows = static_cast<int64_t>(picks.size()) / r;
  if (rows == 0) return b.Return(b.Full(x->dtype(), {0, r}, 0));
  b.Return(b.Gather(x, b.Reshape(b.IntVector(picks), {rows, r}), 0));
}

// Adds `amounts` up by `places`, i64 in [0, bins).
Value* CountInto(OpBuilder& b, int64_t bins, Value* places, Value* amounts) {
  Value* zeros = b.Full(amounts->dtype(), {bins}, 0);
  return b.Call("aten::scatter_add",
                {b.Wrap(zeros), IValue::Int(0), b.Wrap(places), b.Wrap(amounts)});
}

// The result is as long as the greatest number says: minlength must be enough for all of them.
void BinCount(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* weights = b.OptTensor("weights");
  const int64_t bins = b.Int("minlength");
  if (b.ok() && (x->rank() != 1 || IsFloat(x->dtype()))) b.Invalid("bincount of no int vector");
  if (!b.ok()) return;
  if (bins < 1 || bins > (int64_t{1} << 24)) {
    return b.Unsupported(
        "bincount without minlength: the size of the result depends on data; state minlength");
  }
  x = b.Cast(x, DType::kI64);
  Value* fits = b.Binary(OpId::kLogicalAnd, b.Binary(OpId::kGreaterEqual, x, b.ScalarLike(x, 0)),
                         b.Binary(OpId::kLess, x, b.ScalarLike(x, static_cast<double>(bins))));
  b.Fail(b.context().Check(b.Wrap(AllTrue(b, fits)),
                           "bincount: a number is negative or not below minlength", b.site()));
  if (weights != nullptr && weights->dtype() != DType::kF32) {
    weights = b.Cast(weights, DType::kF64);
  }
  if (weights == nullptr) weights = b.Full(DType::kI64, x->shape(), 1);
  if (b.ok()) b.Return(CountInto(b, bins, x, weights));
}

// Elements per bin of equal widths between min and max, or between those of the data.
void Histogram(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t bins = b.Int("bins");
  double low = b.Float("min"), high = b.Float("max");
  if (b.ok() && (bins < 1 || bins > (1 << 24) || low > high || !IsFloat(x->dtype()))) {
    b.Invalid("histc needs floats, bins and min <= max");
  }
  if (!b.ok()) return;
  const DType t = x->dtype();
  x = b.Reshape(x, {CountOf(b, x)});
  Value* least = b.Scalar(t, low);
  Value* greatest = b.Scalar(t, high);
  if (low == high) {
    // The range of the data; one of width 0 is widened.
    least = b.Reduce(ReduceKind::kMin, x, {0}, false);
    greatest = b.Reduce(ReduceKind::kMax, x, {0}, false);
    Value* empty = b.Cast(b.Binary(OpId::kEqual, least, greatest), t);
    least = b.Binary(OpId::kSub, least, empty);
    greatest = Add(b, greatest, empty);
  }
  Value* width = b.Binary(OpId::kSub, greatest, least);
  Value* place = Times(b, b.Binary(OpId::kSub, x, least), static_cast<double>(bins));
  place = b.Unary(OpId::kFloor, b.Binary(OpId::kDiv, place, width));
  Value* top = b.ScalarLike(x, static_cast<double>(bins - 1));
  place = b.Emit(OpId::kClamp, {place}, {{"min", 0.0}, {"max", static_cast<double>(bins - 1)}});
  place = b.Where(b.Binary(OpId::kEqual, x, greatest), top, place);
  Value* within = b.Binary(OpId::kLogicalAnd, b.Binary(OpId::kGreaterEqual, x, least),
                           b.Binary(OpId::kLessEqual, x, greatest));
  // NaN is in no bin, and has no place.
  place = b.Where(within, place, b.ScalarLike(x, 0));
  if (b.ok()) b.Return(CountInto(b, bins, b.Cast(place, DType::kI64), b.Cast(within, t)));
}

// --- sizes in place ------------------------------------------------------------------------------

// resize_(), resize_as_(): the first elements, as far as there are any; what is new is 0.
void Resize(OpBuilder& b) {
  Value* x = b.Tensor("self");
  ir::Shape shape;
  if (b.HasArg("size")) {
    shape = b.SymInts("size");
  } else {
    shape = b.Tensor("the_template")->shape();
  }
  if (!b.ok()) return;
  if (x->shape() != shape) {
    if (!b.Arg("self").variable()->contiguous) {
      return b.Unsupported("a change of size of a tensor whose memory is not in order");
    }
    const ir::Dim count = b.Product(shape, 0, shape.size()), have = CountOf(b, x);
    if (!b.ok()) return;
    if (!(count == have)) {
      if (!count.is_constant() || !have.is_constant()) {
        return b.Unsupported("a change of size from or to a dynamic one");
      }
      Value* flat = b.Reshape(x, {have});
      const int64_t kept = std::min(count.constant(), have.constant());
      flat = b.SliceAxis(flat, 0, 0, kept);
      if (kept < count.constant()) {
        flat = b.Concat({flat, b.Full(x->dtype(), {count.constant() - kept}, 0)}, 0);
      }
      x = flat;
    }
    x = b.Reshape(x, std::move(shape));
    if (!b.ok()) return;
    b.Fail(b.context().Replace(b.Arg("self").variable(), x));
  }
  b.Return(b.Arg("self"));
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::special_i0e", BesselOp, kNoIr, 0},
    {"aten::special_i1", BesselOp, kNoIr, 1},
    {"aten::special_i1e", BesselOp, kNoIr, 2},
    {"aten::special_spherical_bessel_j0", SphericalBessel},
    {"aten::special_erfcx", ScaledErfcOp},
    {"aten::special_log_ndtr", LogNormalIntegral},
    {"aten::special_ndtri", NormalQuantile},
    {"aten::matrix_exp", MatrixExponential},
    {"aten::linalg_matrix_exp", MatrixExponential},
    {"aten::_trilinear", Trilinear},
    {"aten::combinations", Combinations},
    {"aten::bincount", BinCount},
    {"aten::histc", Histogram},
    {"aten::resize_", Resize},
    {"aten::resize_as_", Resize},
};

}  // namespace

std::span<const Row> SpecialRows() { return kRows; }

}  // namespace floe::aten
