#include "compiler/import/aten/compose_nn.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"

namespace floe::aten {

using ir::Value;

Value* Times(OpBuilder& b, Value* x, double factor) {
  return factor == 1 ? x : b.Binary(OpId::kMul, x, b.ScalarLike(x, factor));
}

Value* Plus(OpBuilder& b, Value* x, double term) {
  return term == 0 ? x : b.Binary(OpId::kAdd, x, b.ScalarLike(x, term));
}

// --- products ------------------------------------------------------------------------------------

Value* SwapLastAxes(OpBuilder& b, Value* x) {
  std::vector<int64_t> perm(x->rank());
  std::iota(perm.begin(), perm.end(), 0);
  if (perm.size() < 2) return x;
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return b.Transpose(x, std::move(perm));
}

Value* ProductOf(OpBuilder& b, Value* x, Value* y) {
  if (!b.ok()) return x;
  if (x->rank() == 0 || y->rank() == 0) {
    b.Invalid("a factor of the matrix product is a scalar");
    return x;
  }
  if (x->dtype() != y->dtype()) {
    b.Invalid(absl::StrFormat("the factors of the matrix product are %s and %s",
                              DTypeName(x->dtype()), DTypeName(y->dtype())));
    return x;
  }
  const bool row = x->rank() == 1, column = y->rank() == 1;
  if (row) x = b.Reshape(x, {1, b.Dim(x, 0)});
  if (column) y = b.Reshape(y, {b.Dim(y, 0), 1});
  Value* product = b.MatMul(x, y);
  if (!b.ok() || (!row && !column)) return product;
  ir::Shape shape = product->shape();
  if (column) shape.pop_back();
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  return b.Reshape(product, std::move(shape));
}

Value* LinearOf(OpBuilder& b, Value* x, Value* w, Value* bias) {
  if (!b.ok()) return x;
  // A product of matrices and a vector of floats is one op; the passes know the other forms.
  const bool gemm = x->rank() == 2 && w->rank() == 2 && IsFloat(x->dtype()) &&
                    x->dtype() == w->dtype() &&
                    (bias == nullptr || (bias->rank() == 1 && bias->dtype() == x->dtype()));
  if (gemm) {
    std::vector<Value*> operands = {x, w};
    if (bias != nullptr) operands.push_back(bias);
    return b.Emit(
        OpId::kGemm, std::move(operands),
        {{"alpha", 1.0}, {"beta", 1.0}, {"trans_a", int64_t{0}}, {"trans_b", int64_t{1}}});
  }
  Value* y = ProductOf(b, x, SwapLastAxes(b, w));
  return bias == nullptr ? y : b.Binary(OpId::kAdd, y, bias);
}

// --- shapes --------------------------------------------------------------------------------------

Value* AlongAxis(OpBuilder& b, Value* v, int64_t axis, int64_t rank) {
  if (!b.ok()) return v;
  ir::Shape shape(static_cast<size_t>(rank), ir::Dim(1));
  shape[static_cast<size_t>(axis)] = v->rank() == 0 ? ir::Dim(1) : b.Dim(v, 0);
  return b.Reshape(v, std::move(shape));
}

Value* VectorOr(OpBuilder& b, Value* v, const ir::Dim& length, DType dtype, double fallback) {
  return v != nullptr ? v : b.Full(dtype, {length}, fallback);
}

std::vector<int64_t> AxesFrom(int64_t begin, int64_t rank) {
  std::vector<int64_t> axes;
  for (int64_t i = begin; i < rank; ++i) axes.push_back(i);
  return axes;
}

std::vector<int64_t> PerAxis(OpBuilder& b, std::string_view name, size_t n, int64_t fallback,
                             int64_t least) {
  std::vector<int64_t> v;
  if (b.Given(name)) v = b.Ints(name);
  if (v.empty()) v.assign(n, fallback);
  if (v.size() == 1) v.assign(n, v[0]);
  constexpr int64_t kLimit = int64_t{1} << 30;
  bool fits = v.size() == n;
  for (const int64_t i : v) fits = fits && i >= least && i <= kLimit;
  if (fits) return v;
  if (b.ok()) {
    b.Invalid(absl::StrFormat("argument '%s' does not fit: it needs %d numbers from %d on",
                              std::string(name), n, least));
  }
  return std::vector<int64_t>(n, fallback);
}

Image BatchedImage(OpBuilder& b, Value* x, size_t spatial) {
  if (!b.ok()) return {x, false};
  if (x->rank() == spatial + 1) return {b.Unsqueeze(x, 0), true};
  if (x->rank() != spatial + 2) {
    b.Invalid(absl::StrFormat("the input has rank %d; %d or %d are expected", x->rank(),
                              spatial + 1, spatial + 2));
  }
  return {x, false};
}

Value* Unbatch(OpBuilder& b, const Image& image, Value* y) {
  return image.unbatched && b.ok() ? b.Squeeze(y, 0) : y;
}

Value* ReduceLoss(OpBuilder& b, Value* each) {
  const int64_t reduction = b.Int("reduction", kReductionMean);
  if (reduction == kReductionNone || !b.ok()) return each;
  if (reduction != kReductionMean && reduction != kReductionSum) {
    b.Invalid(absl::StrFormat("reduction is %d", reduction));
    return each;
  }
  if (each->rank() == 0) return each;
  return b.Reduce(reduction == kReductionMean ? ReduceKind::kMean : ReduceKind::kSum, each,
                  AxesFrom(0, b.Rank(each)), false);
}

bool RefuseTraining(OpBuilder& b, bool training) {
  if (!training) return false;
  b.Unsupported("it runs in training mode; call model.eval() before the export");
  return true;
}

// --- norms ---------------------------------------------------------------------------------------

Value* NormOver(OpBuilder& b, Value* x, double p, const std::vector<int64_t>& axes, bool keepdims) {
  if (p == 2) return b.Reduce(ReduceKind::kL2, x, axes, keepdims);
  if (p == 1) return b.Reduce(ReduceKind::kL1, x, axes, keepdims);
  if (p == 0) {
    Value* nonzero = b.Cast(b.Binary(OpId::kNotEqual, x, b.ScalarLike(x, 0)), x->dtype());
    return b.Reduce(ReduceKind::kSum, nonzero, axes, keepdims);
  }
  Value* size = b.Unary(OpId::kAbs, x);
  if (std::isinf(p)) {
    return b.Reduce(p > 0 ? ReduceKind::kMax : ReduceKind::kMin, size, axes, keepdims);
  }
  Value* power = b.Binary(OpId::kPow, size, b.ScalarLike(x, p));
  Value* sum = b.Reduce(ReduceKind::kSum, power, axes, keepdims);
  return b.Binary(OpId::kPow, sum, b.ScalarLike(x, 1 / p));
}

Moments MomentsOver(OpBuilder& b, Value* x, const std::vector<int64_t>& axes, double epsilon) {
  Moments m;
  m.mean = b.Reduce(ReduceKind::kMean, x, axes, true);
  m.centred = b.Binary(OpId::kSub, x, m.mean);
  Value* square = b.Binary(OpId::kMul, m.centred, m.centred);
  Value* variance = b.Reduce(ReduceKind::kMean, square, axes, true);
  m.inverse = b.Unary(OpId::kRsqrt, Plus(b, variance, epsilon));
  return m;
}

}  // namespace floe::aten
