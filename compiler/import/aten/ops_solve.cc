// Linear algebra on top of factors and solutions: ranks, conditions, least squares, inverses of
// tensors, products of reflections, and the names that older models use.
#include <algorithm>
#include <cmath>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops_numeric.h"

namespace floe::aten {
namespace {

using ir::Value;

Value* SingularValues(OpBuilder& b, Value* x) { return b.EmitMany(OpId::kSvd, {x}, 3)[1]; }

double Epsilon(DType t) { return t == DType::kF64 ? 2.220446049250313e-16 : 1.1920928955078125e-7; }

// A tolerance, a number or a tensor of the batch's shape, beside [..., k]; null if none is given.
Value* Tolerance(OpBuilder& b, const char* name, DType t) {
  if (!b.Given(name)) return nullptr;
  Value* v = b.Cast(b.AsTensor(b.Arg(name)), t);
  return v->rank() == 0 ? v : b.Unsqueeze(v, b.Rank(v));
}

// How many singular values are above a tolerance: absolute, or relative to the largest.
Value* RankOf(OpBuilder& b, Value* values, Value* absolute, Value* relative, double fallback) {
  const DType t = values->dtype();
  const int64_t axis = b.Rank(values) - 1;
  if (absolute == nullptr && relative == nullptr) relative = b.Scalar(t, fallback);
  Value* limit = absolute;
  if (relative != nullptr) {
    limit = b.Binary(OpId::kMul, b.Reduce(ReduceKind::kMax, values, {axis}, true), relative);
    if (absolute != nullptr) limit = b.Binary(OpId::kMaximum, limit, absolute);
  }
  Value* above = b.Cast(b.Binary(OpId::kGreater, values, limit), DType::kI64);
  return b.Reduce(ReduceKind::kSum, above, {axis}, false);
}

double DefaultTolerance(OpBuilder& b, const Value* x) {
  const int64_t rank = b.Rank(x);
  const int64_t side = std::max(b.Max(b.Dim(x, rank - 1)), b.Max(b.Dim(x, rank - 2)));
  return static_cast<double>(side) * Epsilon(x->dtype());
}

void MatrixRank(OpBuilder& b) {
  Value* x = b.Tensor(b.HasArg("input") ? "input" : "self");
  if (b.ok() && x->rank() < 2) b.Invalid("the rank of what is no matrix");
  if (!b.ok()) return;
  const DType t = x->dtype();
  Value* values =
      b.Bool("hermitian")
          ? b.Unary(OpId::kAbs, b.EmitMany(OpId::kEigh, {x}, 2, {{"upper", int64_t{0}}})[0])
          : SingularValues(b, x);
  Value* absolute = Tolerance(b, b.HasArg("tol") ? "tol" : "atol", t);
  Value* relative = b.HasArg("rtol") ? Tolerance(b, "rtol", t) : nullptr;
  if (b.ok()) b.Return(RankOf(b, values, absolute, relative, DefaultTolerance(b, x)));
}

// The ratio of extreme singular values, or the product of the norms of A and of its inverse.
void Condition(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const IValue& p = b.Arg("p");
  if (!b.ok()) return;
  const double order = p.is_none() ? 2 : p.is_number() ? b.Scalar("p").value : 0;
  if (std::abs(order) == 2) {
    Value* values = SingularValues(b, x);
    const std::vector<int64_t> last = {b.Rank(values) - 1};
    Value* most = b.Reduce(ReduceKind::kMax, values, last, false);
    Value* least = b.Reduce(ReduceKind::kMin, values, last, false);
    return b.Return(b.Binary(OpId::kDiv, order > 0 ? most : least, order > 0 ? least : most));
  }
  const auto norm = [&](Value* v) { return b.Call("aten::linalg_matrix_norm", {b.Wrap(v), p}); };
  b.Return(b.Binary(OpId::kMul, norm(x), norm(b.Call("aten::linalg_inv", {b.Wrap(x)}))));
}

// The sum of the singular values.
void NuclearNorm(OpBuilder& b) {
  const IValue order = IValue::String("nuc");
  const IValue dim = b.HasArg("dim") ? b.Arg("dim") : IValue::Ints({-2, -1});
  b.Return(b.Call("aten::linalg_matrix_norm.str_ord",
                  {b.Arg("self"), order, dim, IValue::Bool(b.Bool("keepdim"))}));
}

// --- tensors as matrices -------------------------------------------------------------------------

void TensorInverse(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t first = b.Int("ind");
  if (b.ok() && (first < 1 || first >= b.Rank(x))) b.Invalid("ind lies outside of the tensor");
  if (!b.ok()) return;
  const auto at = static_cast<size_t>(first);
  const ir::Dim rows = b.Product(x->shape(), 0, at), columns = b.Product(x->shape(), at, x->rank());
  ir::Shape shape(x->shape().begin() + first, x->shape().end());
  shape.insert(shape.end(), x->shape().begin(), x->shape().begin() + first);
  Value* y = b.Call("aten::linalg_inv", {b.Wrap(b.Reshape(x, {rows, columns}))});
  b.Return(b.Reshape(y, std::move(shape)));
}

void TensorSolve(OpBuilder& b) {
  Value* a = b.Tensor("self");
  Value* y = b.Tensor("other");
  if (b.Given("dims")) {
    std::vector<int64_t> back = b.Ints("dims"), perm;
    for (int64_t& axis : back) axis = b.Axis(axis, b.Rank(a));
    for (int64_t i = 0; i < b.Rank(a); ++i) {
      if (std::find(back.begin(), back.end(), i) == back.end()) perm.push_back(i);
    }
    perm.insert(perm.end(), back.begin(), back.end());
    a = b.Transpose(a, std::move(perm));
  }
  if (b.ok() && a->rank() < y->rank()) b.Invalid("the tensor has fewer axes than the right side");
  if (!b.ok()) return;
  ir::Shape shape(a->shape().begin() + b.Rank(y), a->shape().end());
  const ir::Dim n = CountOf(b, y), columns = b.Product(shape, 0, shape.size());
  Value* x = b.Call("aten::linalg_solve",
                    {b.Wrap(b.Reshape(a, {n, columns})), b.Wrap(b.Reshape(y, {n, 1}))});
  b.Return(b.Reshape(x, std::move(shape)));
}

// --- least squares -------------------------------------------------------------------------------

// The least solution, by the pseudo-inverse; what is left over where A has more rows than columns;
// the rank; the singular values.
void LeastSquares(OpBuilder& b) {
  Value* a = b.Tensor("self");
  Value* y = b.Tensor("b");
  if (b.ok() && a->rank() < 2) b.Invalid("least squares without a matrix");
  if (!b.ok()) return;
  const DType t = a->dtype();
  const bool vector = y->rank() + 1 == a->rank();
  if (vector) y = b.Unsqueeze(y, b.Rank(y));
  const int64_t rows = b.StaticDim(a, b.Rank(a) - 2), columns = b.StaticDim(a, b.Rank(a) - 1);
  const double given = b.Float("rcond", DefaultTolerance(b, a));
  Value* inverse = b.Call("aten::linalg_pinv", {b.Wrap(a), IValue::Float(given)});
  Value* x = b.MatMul(inverse, y);
  if (!b.ok()) return;
  b.Return(vector ? b.Squeeze(x, b.Rank(x) - 1) : x);
  // Which of the other results there are is up to LAPACK's driver.
  const std::string driver = b.Given("driver") ? b.String("driver") : "gelsy";
  const auto none = [&](DType type) { return b.Full(type, {0}, 0); };
  Value* rest = nullptr;
  if (rows > columns && driver != "gelsy") {
    Value* gap = b.Binary(OpId::kSub, b.MatMul(a, x), y);
    rest = b.Reduce(ReduceKind::kSumSquare, gap, {b.Rank(gap) - 2}, false);
    if (vector && b.ok()) rest = b.Squeeze(rest, b.Rank(rest) - 1);
  }
  b.Return(rest == nullptr ? none(t) : rest);
  Value* values = SingularValues(b, a);
  b.Return(driver == "gels" ? none(DType::kI64) : RankOf(b, values, nullptr, nullptr, given));
  b.Return(driver == "gelsd" || driver == "gelss" ? values : none(t));
}

// --- factors under older names -------------------------------------------------------------------

// svd(some): V instead of its transpose.
void OldSvd(OpBuilder& b) {
  if (!b.Bool("some")) return b.Unsupported("svd with some=False");
  if (!b.Bool("compute_uv")) return b.Unsupported("svd with compute_uv=False; use linalg.svdvals");
  const std::vector<Value*> y = b.EmitMany(OpId::kSvd, {b.Tensor("self")}, 3);
  b.Return(y[0]);
  b.Return(y[1]);
  b.Return(SwapLastAxes(b, y[2]));
}

void OldQr(OpBuilder& b) {
  if (!b.Bool("some")) return b.Unsupported("qr with some=False");
  for (Value* v : b.EmitMany(OpId::kQr, {b.Tensor("self")}, 2)) b.Return(v);
}

void OldTriangularSolve(OpBuilder& b) {
  Value* a = b.Tensor("A");
  const bool turned = b.Bool("transpose"), upper = b.Bool("upper");
  if (!b.ok()) return;
  Value* factor = turned ? SwapLastAxes(b, a) : a;
  b.Return(b.Emit(
      OpId::kTriangularSolve, {factor, b.Tensor("self")},
      {{"upper", int64_t{upper != turned}}, {"unit_diagonal", int64_t{b.Bool("unitriangular")}}}));
  b.Return(a);
}

// The inverse of the matrix that has this Cholesky factor.
void CholeskyInverse(OpBuilder& b) {
  Value* factor = b.Tensor("self");
  Value* eye = b.Call("aten::eye", {IValue::Int(b.Dim(factor, b.Rank(factor) - 1))});
  eye = b.Expand(b.Cast(eye, factor->dtype()), factor->shape());
  b.Return(b.Call("aten::cholesky_solve", {b.Wrap(eye), b.Wrap(factor), b.Arg("upper")}));
}

// The first columns of H_1 H_2 ... for the reflections 1 - tau v v^T, v being the columns of
// `input` below a diagonal of ones: what the orthogonal parametrisation makes its weights of.
void Reflections(OpBuilder& b) {
  constexpr int64_t kMost = 1024;
  Value* v = b.Tensor(b.HasArg("input") ? "input" : "self");
  Value* tau = b.Tensor(b.HasArg("tau") ? "tau" : "input2");
  if (b.ok() && (v->rank() < 2 || tau->rank() + 1 != v->rank())) b.Invalid("no reflections");
  if (!b.ok()) return;
  const int64_t rank = b.Rank(v);
  const int64_t rows = b.StaticDim(v, rank - 2), columns = b.StaticDim(v, rank - 1);
  const int64_t count = b.StaticDim(tau, rank - 2);
  if (b.ok() && count > kMost) b.Unsupported("a product of more than 1,024 reflections");
  if (!b.ok()) return;
  const auto eye = [&](int64_t m, int64_t n) {
    return b.Cast(b.Call("aten::eye", {IValue::Int(m), IValue::Int(n)}), v->dtype());
  };
  Value* below = b.Emit(OpId::kTrilu, {v}, {{"upper", int64_t{0}}, {"k", int64_t{-1}}});
  below = b.Binary(OpId::kAdd, below, eye(rows, columns));
  Value* q = b.Expand(eye(rows, columns), v->shape());
  for (int64_t i = count; i-- > 0 && b.ok();) {
    Value* column = b.SliceAxis(below, rank - 1, i, 1);
    Value* factor = b.Unsqueeze(b.SliceAxis(tau, rank - 2, i, 1), rank - 1);
    Value* row = b.MatMul(SwapLastAxes(b, column), q);
    Value* change = b.MatMul(b.Binary(OpId::kMul, column, factor), row);
    q = b.Binary(OpId::kSub, q, change);
  }
  b.Return(q);
}

constexpr Row kRows[] = {
    {"aten::linalg_matrix_rank", MatrixRank},
    {"aten::linalg_cond", Condition},
    {"aten::nuclear_norm", NuclearNorm},
    {"aten::linalg_tensorinv", TensorInverse},
    {"aten::linalg_tensorsolve", TensorSolve},
    {"aten::linalg_lstsq", LeastSquares},
    {"aten::svd", OldSvd},
    {"aten::qr", OldQr},
    {"aten::triangular_solve", OldTriangularSolve},
    {"aten::cholesky_inverse", CholeskyInverse},
    {"aten::linalg_householder_product", Reflections},
    {"aten::orgqr", Reflections},
};

}  // namespace

std::span<const Row> SolveRows() { return kRows; }

}  // namespace floe::aten
