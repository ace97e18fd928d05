// Reductions: sums, extremes, moments, norms.
#include <algorithm>
#include <cmath>
#include <limits>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// The axes of argument `dim`: an int, a list, None or an empty list for all of them. A rank-0
// tensor has the axis 0.
std::vector<int64_t> AxesArg(OpBuilder& b, const Value* x) {
  const int64_t rank = b.Rank(x);
  if (!b.HasArg("dim") || !b.Given("dim")) return AllAxes(rank);
  std::vector<int64_t> axes = b.Ints("dim");
  if (axes.empty()) return AllAxes(rank);
  if (rank == 0) return {};
  return b.Axes(std::move(axes), rank);
}

bool KeepDim(OpBuilder& b) { return b.Bool("keepdim", false); }

Value* Reduced(OpBuilder& b, ReduceKind kind, Value* x, const std::vector<int64_t>& axes,
               bool keep) {
  return axes.empty() ? x : b.Reduce(kind, x, axes, keep);
}

// The number of elements that a reduction over the axes takes together, as a scalar of dtype `t`.
Value* CountAlong(OpBuilder& b, const Value* x, const std::vector<int64_t>& axes, DType t) {
  ir::Dim count = 1;
  for (const int64_t axis : axes) count = b.Mul(count, b.Dim(x, axis));
  if (!b.ok()) return b.Scalar(t, 1.0);
  if (count.is_constant()) return b.Scalar(t, static_cast<double>(count.constant()));
  return b.Cast(b.DimValue(count), t);
}

// --- sums ----------------------------------------------------------------------------------------

// sum, prod, nansum (param 1): integers accumulate in i64.
void Sum(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const DType natural = IsFloat(x->dtype()) ? x->dtype() : DType::kI64;
  x = b.Cast(x, b.DTypeArg("dtype", natural));
  const std::vector<int64_t> axes = AxesArg(b, x);
  if (b.row().param != 0 && IsFloat(x->dtype())) {
    x = b.Where(b.Unary(OpId::kIsNan, x), b.ScalarLike(x, 0), x);
  }
  const ReduceKind kind = b.row().ir == OpId::kMul ? ReduceKind::kProd : ReduceKind::kSum;
  b.Return(Reduced(b, kind, x, axes, KeepDim(b)));
}

void Mean(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const DType t = b.DTypeArg("dtype", x->dtype());
  if (!IsFloat(t)) return b.Invalid("the mean of integers needs a float dtype");
  x = b.Cast(x, t);
  b.Return(Reduced(b, ReduceKind::kMean, x, AxesArg(b, x), KeepDim(b)));
}

void NanMean(OpBuilder& b) {
  Value* x = b.Tensor("self");
  x = b.Cast(x, b.DTypeArg("dtype", x->dtype()));
  const std::vector<int64_t> axes = AxesArg(b, x);
  Value* nan = b.Unary(OpId::kIsNan, x);
  Value* number = b.Cast(b.Unary(OpId::kLogicalNot, nan), x->dtype());
  Value* sum = Reduced(b, ReduceKind::kSum, b.Where(nan, b.ScalarLike(x, 0), x), axes, KeepDim(b));
  b.Return(b.Binary(OpId::kDiv, sum, Reduced(b, ReduceKind::kSum, number, axes, KeepDim(b))));
}

void CountNonZero(OpBuilder& b) {
  Value* x = b.Cast(b.Cast(b.Tensor("self"), DType::kBool), DType::kI64);
  b.Return(Reduced(b, ReduceKind::kSum, x, AxesArg(b, x), false));
}

void LogSumExp(OpBuilder& b) {
  Value* x = b.Operand("self", b.FloatType({"self"}));
  const std::vector<int64_t> axes = AxesArg(b, x);
  if (axes.empty()) return b.Return(x);
  b.Return(b.Reduce(ReduceKind::kLogSumExp, x, axes, KeepDim(b)));
}

// --- extremes ------------------------------------------------------------------------------------

ReduceKind Extreme(OpBuilder& b) {
  return b.row().param != 0 ? ReduceKind::kMax : ReduceKind::kMin;
}

Value* ExtremeOf(OpBuilder& b, Value* x, const std::vector<int64_t>& axes, bool keep,
                 ReduceKind kind) {
  if (x->dtype() != DType::kBool) return Reduced(b, kind, x, axes, keep);
  return b.Cast(Reduced(b, kind, b.Cast(x, DType::kU8), axes, keep), DType::kBool);
}

// amax, amin, max(), min().
void Amax(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(ExtremeOf(b, x, AxesArg(b, x), KeepDim(b), Extreme(b)));
}

void Aminmax(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const std::vector<int64_t> axes = AxesArg(b, x);
  b.Return(ExtremeOf(b, x, axes, KeepDim(b), ReduceKind::kMin));
  b.Return(ExtremeOf(b, x, axes, KeepDim(b), ReduceKind::kMax));
}

// The index of the extreme along one axis; for rank 0, and over all elements, of the flat tensor.
Value* IndexOf(OpBuilder& b, Value* x, int64_t axis, bool keep) {
  if (x->dtype() == DType::kBool) x = b.Cast(x, DType::kU8);
  const int64_t max = b.row().param;
  if (!IsFloat(x->dtype())) {
    return b.Emit(OpId::kArgReduce, {x},
                  {{"max", max},
                   {"axis", axis},
                   {"keepdims", int64_t{keep}},
                   {"select_last_index", int64_t{0}}});
  }
  // A NaN is the extreme, and the first one is found.
  Value* infinity = b.ScalarLike(x, max != 0 ? INFINITY : -INFINITY);
  Value* nan = b.Unary(OpId::kIsNan, x);
  const auto index = [&](Value* v, int64_t of_max) {
    return b.Emit(OpId::kArgReduce, {v},
                  {{"max", of_max},
                   {"axis", axis},
                   {"keepdims", int64_t{keep}},
                   {"select_last_index", int64_t{0}}});
  };
  Value* nans = b.Cast(nan, DType::kU8);
  Value* any = b.Cast(b.Reduce(ReduceKind::kMax, nans, {axis}, keep), DType::kBool);
  return b.Where(any, index(nans, 1), index(b.Where(nan, infinity, x), max));
}

void ArgMax(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!b.Given("dim")) {
    const int64_t rank = b.Rank(x);
    x = b.Reshape(x, {CountOf(b, x)});
    if (!b.ok()) return;
    Value* y = IndexOf(b, x, 0, false);
    if (KeepDim(b)) y = b.Reshape(y, ir::Shape(static_cast<size_t>(rank), ir::Dim(1)));
    return b.Return(y);
  }
  if (b.Rank(x) == 0) return b.Return(b.Scalar(DType::kI64, 0));
  const int64_t axis = b.Axis(b.Int("dim"), b.Rank(x));
  if (b.ok()) b.Return(IndexOf(b, x, axis, KeepDim(b)));
}

// max.dim, min.dim: values and indices.
void MaxDim(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (b.Rank(x) == 0) {
    b.Return(x);
    return b.Return(b.Scalar(DType::kI64, 0));
  }
  const int64_t axis = b.Axis(b.Int("dim"), b.Rank(x));
  if (!b.ok()) return;
  b.Return(ExtremeOf(b, x, {axis}, KeepDim(b), Extreme(b)));
  b.Return(IndexOf(b, x, axis, KeepDim(b)));
}

// any (param 1), all. Bytes give bytes, everything else bools.
void AnyAll(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const DType result = x->dtype() == DType::kU8 ? DType::kU8 : DType::kBool;
  const std::vector<int64_t> axes = AxesArg(b, x);
  Value* bytes = b.Cast(b.Cast(x, DType::kBool), DType::kU8);
  b.Return(b.Cast(Reduced(b, Extreme(b), bytes, axes, KeepDim(b)), result));
}

// --- moments -------------------------------------------------------------------------------------

struct Moments {
  Value* variance;
  Value* mean;
};

Moments MomentsOf(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const std::vector<int64_t> axes = AxesArg(b, x);
  double correction = 1;
  if (b.HasArg("correction")) {
    correction = b.Float("correction", 1);
  } else if (b.HasArg("unbiased")) {
    correction = b.Bool("unbiased") ? 1 : 0;
  }
  const bool keep = KeepDim(b);
  Value* mean = Reduced(b, ReduceKind::kMean, x, axes, true);
  Value* deviation = b.Binary(OpId::kSub, x, mean);
  Value* sum = Reduced(b, ReduceKind::kSum, b.Binary(OpId::kMul, deviation, deviation), axes, keep);
  Value* count =
      b.Binary(OpId::kSub, CountAlong(b, x, axes, x->dtype()), b.Scalar(x->dtype(), correction));
  count = b.Binary(OpId::kMaximum, count, b.Scalar(x->dtype(), 0));
  if (!keep && b.ok() && !axes.empty()) {
    ir::Shape shape;
    for (int64_t i = 0; i < b.Rank(x); ++i) {
      if (std::find(axes.begin(), axes.end(), i) == axes.end()) shape.push_back(b.Dim(x, i));
    }
    mean = b.Reshape(mean, std::move(shape));
  }
  return {b.Binary(OpId::kDiv, sum, count), mean};
}

// var, std (kSqrt); with the mean too (param 1).
void Variance(OpBuilder& b) {
  if (!IsFloat(b.Tensor("self")->dtype())) return b.Invalid("the variance of integers");
  const auto [variance, mean] = MomentsOf(b);
  b.Return(b.row().ir == OpId::kSqrt ? b.Unary(OpId::kSqrt, variance) : variance);
  if (b.row().param != 0) b.Return(mean);
}

// --- norms ---------------------------------------------------------------------------------------

// (sum |x|^p)^(1/p) over the axes, and its limits at 0 and infinity.
Value* NormOf(OpBuilder& b, Value* x, double p, const std::vector<int64_t>& axes, bool keep) {
  Value* magnitude = b.Unary(OpId::kAbs, x);
  if (p == 2) return Reduced(b, ReduceKind::kL2, magnitude, axes, keep);
  if (p == 1) return Reduced(b, ReduceKind::kL1, magnitude, axes, keep);
  if (std::isinf(p)) {
    return Reduced(b, p > 0 ? ReduceKind::kMax : ReduceKind::kMin, magnitude, axes, keep);
  }
  if (p == 0) {
    Value* on = b.Cast(b.Binary(OpId::kNotEqual, x, b.ScalarLike(x, 0)), x->dtype());
    return Reduced(b, ReduceKind::kSum, on, axes, keep);
  }
  Value* powers = b.Binary(OpId::kPow, magnitude, b.ScalarLike(x, p));
  return b.Binary(OpId::kPow, Reduced(b, ReduceKind::kSum, powers, axes, keep),
                  b.ScalarLike(x, 1 / p));
}

// linalg_vector_norm, norm: the order is `ord` or `p`, 2 if it is None.
void VectorNorm(OpBuilder& b) {
  Value* x = b.Tensor("self");
  x = b.Cast(x, b.DTypeArg("dtype", x->dtype()));
  if (!IsFloat(x->dtype())) return b.Invalid("the norm of integers needs a float dtype");
  const double p = b.HasArg("ord") ? b.Float("ord", 2) : b.Float("p", 2);
  if (b.ok()) b.Return(NormOf(b, x, p, AxesArg(b, x), KeepDim(b)));
}

// The sum or an extreme of the singular values of the matrices along two axes.
Value* SpectralNorm(OpBuilder& b, Value* x, std::vector<int64_t> axes, ReduceKind kind, bool keep) {
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < b.Rank(x); ++i) {
    if (i != axes[0] && i != axes[1]) perm.push_back(i);
  }
  perm.insert(perm.end(), axes.begin(), axes.end());
  Value* values = b.EmitMany(OpId::kSvd, {b.Transpose(x, std::move(perm))}, 3)[1];
  Value* y = b.Reduce(kind, values, {b.Rank(values) - 1}, false);
  if (!keep) return y;
  std::sort(axes.begin(), axes.end());
  return b.Unsqueeze(b.Unsqueeze(y, axes[0]), axes[1]);
}

// linalg_matrix_norm, and linalg_norm which is one of vectors or of matrices.
void MatrixNorm(OpBuilder& b) {
  Value* x = b.Tensor(b.HasArg("A") ? "A" : "self");
  x = b.Cast(x, b.DTypeArg("dtype", x->dtype()));
  const bool general = b.row().param != 0;
  std::vector<int64_t> axes = b.Given("dim") ? b.Ints("dim")
                              : general      ? AllAxes(b.Rank(x))
                                             : std::vector<int64_t>{-2, -1};
  for (int64_t& axis : axes) axis = b.Axis(axis, b.Rank(x));
  if (!b.ok()) return;
  const bool keep = KeepDim(b);
  const IValue& order = b.Arg("ord");
  if (order.is_none() || (order.kind() == Kind::kString && order.string() == "fro")) {
    std::sort(axes.begin(), axes.end());
    return b.Return(NormOf(b, x, 2, axes, keep));
  }
  const bool nuclear = order.kind() == Kind::kString;
  const double p = nuclear ? 0 : b.ScalarOf(order).value;
  if (axes.size() == 1 && !nuclear) return b.Return(NormOf(b, x, p, axes, keep));
  if (axes.size() != 2 || (!nuclear && std::abs(p) != 1 && std::abs(p) != 2 && !std::isinf(p))) {
    return b.Invalid("a matrix norm of another order than fro, nuc, 1, 2 and inf");
  }
  if (nuclear || std::abs(p) == 2) {
    const ReduceKind kind = nuclear ? ReduceKind::kSum
                            : p > 0 ? ReduceKind::kMax
                                    : ReduceKind::kMin;
    return b.Return(SpectralNorm(b, x, axes, kind, keep));
  }
  // Sums along one axis, then the extreme along the other.
  const int64_t sum_axis = std::isinf(p) ? axes[1] : axes[0];
  const int64_t other = std::isinf(p) ? axes[0] : axes[1];
  Value* sums = b.Reduce(ReduceKind::kL1, x, {sum_axis}, true);
  Value* y = b.Reduce(p > 0 ? ReduceKind::kMax : ReduceKind::kMin, sums, {other}, true);
  if (!keep) {
    ir::Shape shape;
    for (int64_t i = 0; i < b.Rank(x); ++i) {
      if (i != axes[0] && i != axes[1]) shape.push_back(b.Dim(x, i));
    }
    y = b.Reshape(y, std::move(shape));
  }
  b.Return(y);
}

void Dist(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* gap = b.Binary(OpId::kSub, b.Operand("self", t), b.Operand("other", t));
  b.Return(NormOf(b, gap, b.Float("p"), AllAxes(b.Rank(gap)), false));
}

void Trace(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (!IsFloat(x->dtype())) x = b.Cast(x, DType::kI64);
  Value* diagonal = b.Call("aten::diagonal", {b.Wrap(x)});
  b.Return(b.Reduce(ReduceKind::kSum, diagonal, {0}, false));
}

void SumToSize(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const ir::Shape target = b.SymInts("size");
  std::vector<int64_t> axes;
  const size_t lead = x->rank() - std::min(x->rank(), target.size());
  for (size_t i = 0; i < x->rank(); ++i) {
    const bool one = i >= lead && target[i - lead] == ir::Dim(1) && !(x->shape()[i] == ir::Dim(1));
    if (i < lead || one) axes.push_back(static_cast<int64_t>(i));
  }
  b.Return(b.Reshape(Reduced(b, ReduceKind::kSum, x, axes, true), target));
}

constexpr Row kRows[] = {
    {"aten::sum", Sum, OpId::kAdd},
    {"aten::nansum", Sum, OpId::kAdd, 1},
    {"aten::prod", Sum, OpId::kMul},
    {"aten::mean", Mean},
    {"aten::nanmean", NanMean},
    {"aten::count_nonzero", CountNonZero},
    {"aten::logsumexp", LogSumExp},
    {"aten::special_logsumexp", LogSumExp},
    {"aten::amax", Amax, OpId::kReduce, 1},
    {"aten::amin", Amax, OpId::kReduce, 0},
    {"aten::max", Amax, OpId::kReduce, 1},
    {"aten::min", Amax, OpId::kReduce, 0},
    {"aten::max.dim", MaxDim, OpId::kReduce, 1},
    {"aten::min.dim", MaxDim, OpId::kReduce, 0},
    {"aten::aminmax", Aminmax},
    {"aten::_aminmax", Aminmax},
    {"aten::argmax", ArgMax, OpId::kArgReduce, 1},
    {"aten::argmin", ArgMax, OpId::kArgReduce, 0},
    {"aten::any", AnyAll, OpId::kReduce, 1},
    {"aten::all", AnyAll, OpId::kReduce, 0},
    {"aten::_is_any_true", AnyAll, OpId::kReduce, 1},
    {"aten::_is_all_true", AnyAll, OpId::kReduce, 0},
    {"aten::var", Variance},
    {"aten::std", Variance, OpId::kSqrt},
    {"aten::var_mean", Variance, OpId::kIdentity, 1},
    {"aten::std_mean", Variance, OpId::kSqrt, 1},
    {"aten::linalg_vector_norm", VectorNorm},
    {"aten::norm", VectorNorm},
    {"aten::frobenius_norm", VectorNorm},
    {"aten::linalg_matrix_norm", MatrixNorm},
    {"aten::linalg_norm", MatrixNorm, OpId::kIdentity, 1},
    {"aten::dist", Dist},
    {"aten::trace", Trace},
    {"aten::sum_to_size", SumToSize},
};

}  // namespace

std::span<const Row> ReduceRows() { return kRows; }

}  // namespace floe::aten
