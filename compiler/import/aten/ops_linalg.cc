// Products beyond matrices, and linear algebra.
#include <algorithm>
#include <cmath>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/compose_einsum.h"

namespace floe::aten {
namespace {

using ir::Value;

void Einsum(OpBuilder& b) {
  const DType t = b.ResultType({"tensors"});
  std::vector<Value*> operands;
  for (Value* x : b.Tensors("tensors")) operands.push_back(b.Cast(x, t));
  if (b.ok()) b.Return(import::EmitEinsum(b, b.String("equation"), operands));
}

void Outer(OpBuilder& b) {
  const char* other = b.HasArg("vec2") ? "vec2" : "other";
  const DType t = b.ResultType({"self", other});
  Value* x = b.Operand("self", t);
  Value* y = b.Operand(other, t);
  if (b.ok()) b.Return(b.Binary(OpId::kMul, b.Unsqueeze(x, 1), y));
}

// The product over the last axes of both.
void Inner(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* x = b.Operand("self", t);
  Value* y = b.Operand("other", t);
  if (!b.ok()) return;
  if (x->rank() == 0 || y->rank() == 0) return b.Return(b.Binary(OpId::kMul, x, y));
  const ir::Dim k = b.Dim(x, b.Rank(x) - 1);
  ir::Shape shape(x->shape().begin(), x->shape().end() - 1);
  shape.insert(shape.end(), y->shape().begin(), y->shape().end() - 1);
  const ir::Dim m = b.Product(x->shape(), 0, x->rank() - 1);
  const ir::Dim n = b.Product(y->shape(), 0, y->rank() - 1);
  Value* product = b.MatMul(b.Reshape(x, {m, k}), SwapAxes(b, b.Reshape(y, {n, k}), 0, 1));
  b.Return(b.Reshape(product, std::move(shape)));
}

void TensorDot(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* x = b.Operand("self", t);
  Value* y = b.Operand("other", t);
  const std::vector<int64_t> dx = b.Ints("dims_self"), dy = b.Ints("dims_other");
  if (b.ok() && (dx.size() != dy.size() || x->rank() + y->rank() > 26)) {
    b.Invalid("dims_self and dims_other differ in length");
  }
  if (!b.ok()) return;
  std::string left, right, result;
  for (size_t i = 0; i < x->rank() + y->rank(); ++i) {
    (i < x->rank() ? left : right) += static_cast<char>('a' + i);
  }
  for (size_t i = 0; i < dx.size(); ++i) {
    const auto p = static_cast<size_t>(b.Axis(dx[i], b.Rank(x)));
    const auto q = static_cast<size_t>(b.Axis(dy[i], b.Rank(y)));
    if (!b.ok()) return;
    right[q] = left[p];
  }
  for (const char c : left) {
    if (right.find(c) == std::string::npos) result += c;
  }
  for (const char c : right) {
    if (left.find(c) == std::string::npos) result += c;
  }
  b.Return(import::EmitEinsum(b, left + "," + right + "->" + result, {x, y}));
}

void Kron(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* x = b.Operand("self", t);
  Value* y = b.Operand("other", t);
  const size_t rank = std::max(x->rank(), y->rank());
  ir::Shape xs = x->shape(), ys = y->shape();
  while (xs.size() < rank) xs.insert(xs.begin(), ir::Dim(1));
  while (ys.size() < rank) ys.insert(ys.begin(), ir::Dim(1));
  ir::Shape left, right, joined;
  for (size_t i = 0; i < rank; ++i) {
    left.insert(left.end(), {xs[i], ir::Dim(1)});
    right.insert(right.end(), {ir::Dim(1), ys[i]});
    joined.push_back(b.Mul(xs[i], ys[i]));
  }
  if (!b.ok()) return;
  Value* product =
      b.Binary(OpId::kMul, b.Reshape(x, std::move(left)), b.Reshape(y, std::move(right)));
  b.Return(b.Reshape(product, std::move(joined)));
}

// The cross product along an axis of size 3: the first such axis, or the last (linalg_cross).
void Cross(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* x = b.Operand("self", t);
  Value* y = b.Operand("other", t);
  const ir::Shape shape = b.Broadcast(x->shape(), y->shape());
  x = b.Expand(x, shape);
  y = b.Expand(y, shape);
  int64_t axis = -1;
  if (b.Given("dim")) {
    axis = b.Axis(b.Int("dim"), b.Rank(x));
  } else {
    for (int64_t i = b.Rank(x); b.ok() && i-- > 0;) {
      if (b.Dim(x, i) == ir::Dim(3)) axis = i;
    }
  }
  if (b.ok() && (axis < 0 || !(b.Dim(x, axis) == ir::Dim(3)))) b.Invalid("no axis of size 3");
  if (!b.ok()) return;
  const auto part = [&](Value* v, int64_t i) { return b.Slice(v, axis, i, 1); };
  std::vector<Value*> parts;
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t p = (i + 1) % 3, q = (i + 2) % 3;
    parts.push_back(b.Binary(OpId::kSub, b.Binary(OpId::kMul, part(x, p), part(y, q)),
                             b.Binary(OpId::kMul, part(x, q), part(y, p))));
  }
  b.Return(b.Concat(std::move(parts), axis));
}

// vdot, vecdot: sums of products along an axis (the only one of vectors).
void VecDot(OpBuilder& b) {
  const bool general = b.HasArg("x");
  const char* left = general ? "x" : "self";
  const char* right = general ? "y" : "other";
  const DType t = b.ResultType({left, right});
  Value* product = b.Binary(OpId::kMul, b.Operand(left, t), b.Operand(right, t));
  const int64_t axis = b.Axis(b.Int("dim", -1), b.Rank(product));
  if (b.ok()) b.Return(b.Reduce(ReduceKind::kSum, product, {axis}, false));
}

// The product of a chain of matrices; the first and last may be vectors.
void MultiDot(OpBuilder& b) {
  std::vector<Value*> xs = b.Tensors(b.HasArg("tensors") ? "tensors" : "matrices");
  if (xs.empty()) return b.Invalid("no matrices");
  const bool row = xs.front()->rank() == 1, column = xs.back()->rank() == 1;
  if (row) xs.front() = b.Unsqueeze(xs.front(), 0);
  if (column) xs.back() = b.Unsqueeze(xs.back(), 1);
  Value* y = xs[0];
  for (size_t i = 1; i < xs.size(); ++i) y = b.MatMul(y, xs[i]);
  if (!b.ok()) return;
  if (column) y = b.Squeeze(y, 1);
  if (row) y = b.Squeeze(y, 0);
  b.Return(y);
}

void MatrixPower(OpBuilder& b) {
  Value* x = b.Tensor("self");
  int64_t n = b.Int("n");
  if (b.ok() && n < 0) b.Unsupported("a negative power of a matrix");
  if (!b.ok()) return;
  Value* y = nullptr;
  for (; n > 0; n >>= 1) {
    if ((n & 1) != 0) y = y == nullptr ? x : b.MatMul(y, x);
    if (n > 1) x = b.MatMul(x, x);
  }
  if (y != nullptr) return b.Return(y);
  Value* eye = b.Call("aten::eye", {IValue::Int(b.Dim(x, b.Rank(x) - 1))});
  b.Return(b.Expand(b.Cast(eye, x->dtype()), x->shape()));
}

// addr: beta * self + alpha * outer(vec1, vec2).
void AddR(OpBuilder& b) {
  const DType t = b.ResultType({"self", "vec1", "vec2"});
  Value* x = b.Operand("vec1", t);
  Value* y = b.Operand("vec2", t);
  if (!b.ok()) return;
  Value* product = b.Binary(OpId::kMul, b.Unsqueeze(x, 1), y);
  const Number alpha = b.Scalar("alpha"), beta = b.Scalar("beta");
  if (alpha.value != 1) product = b.Binary(OpId::kMul, product, b.NumberAs(alpha, t));
  if (beta.tensor == nullptr && beta.value == 0) return b.Return(product);
  Value* self = b.Operand("self", t);
  if (beta.value != 1) self = b.Binary(OpId::kMul, self, b.NumberAs(beta, t));
  b.Return(b.Binary(OpId::kAdd, self, product));
}

Value* Transposed(OpBuilder& b, Value* x) { return SwapAxes(b, x, b.Rank(x) - 2, b.Rank(x) - 1); }

// The rows of [variables, observations] around their means; a vector is one variable.
Value* Centred(OpBuilder& b) {
  Value* x = b.Operand("self", b.FloatType({"self"}));
  if (b.ok() && (x->rank() < 1 || x->rank() > 2)) b.Unsupported("covariances of a scalar");
  if (!b.ok()) return x;
  if (x->rank() == 1) x = b.Unsqueeze(x, 0);
  return b.Binary(OpId::kSub, x, b.Reduce(ReduceKind::kMean, x, {1}, true));
}

void Covariance(OpBuilder& b) {
  const bool vector = b.Tensor("self")->rank() == 1;
  if (b.Given("fweights") || b.Given("aweights")) return b.Unsupported("weighted covariances");
  const auto correction = static_cast<double>(b.Int("correction", 1));
  Value* x = Centred(b);
  if (!b.ok()) return;
  const DType t = x->dtype();
  Value* count = b.Cast(b.DimValue(b.Dim(x, 1)), t);
  Value* freedom = b.Binary(OpId::kMaximum, b.Binary(OpId::kSub, count, b.Scalar(t, correction)),
                            b.Scalar(t, 0));
  Value* y = b.Binary(OpId::kDiv, b.MatMul(x, Transposed(b, x)), freedom);
  b.Return(vector ? b.Reshape(y, {}) : y);
}

void Correlation(OpBuilder& b) {
  const bool vector = b.Tensor("self")->rank() == 1;
  Value* x = Centred(b);
  if (!b.ok()) return;
  Value* unit = b.Binary(OpId::kDiv, x, b.Reduce(ReduceKind::kL2, x, {1}, true));
  Value* y =
      b.Emit(OpId::kClamp, {b.MatMul(unit, Transposed(b, unit))}, {{"min", -1.0}, {"max", 1.0}});
  b.Return(vector ? b.Reshape(y, {}) : y);
}

// --- systems and factors -------------------------------------------------------------------------

Value* Matrix(OpBuilder& b) { return b.Tensor(b.HasArg("A") ? "A" : "self"); }

Value* Identity(OpBuilder& b, const Value* like) {
  Value* eye = b.Call("aten::eye", {IValue::Int(b.Dim(like, b.Rank(like) - 1))});
  return b.Expand(b.Cast(eye, like->dtype()), like->shape());
}

void NoError(OpBuilder& b, const Value* x) {
  ir::Shape shape(x->shape().begin(), x->shape().end() - 2);
  b.Return(b.Full(DType::kI32, std::move(shape), 0));
}

// linalg_inv, inverse; inv_ex (param 1) says 0 for "no error".
void Inverse(OpBuilder& b) {
  Value* x = Matrix(b);
  if (b.ok() && x->rank() < 2) b.Invalid("the inverse of what is no matrix");
  if (!b.ok()) return;
  b.Return(b.Binary(OpId::kSolve, x, Identity(b, x)));
  if (b.row().param != 0) NoError(b, x);
}

// Solves A X = B (or X A = B); B may be a vector, or a batch of vectors if its shape says so.
void Solve(OpBuilder& b) {
  const char* matrix = b.HasArg("A") ? "A" : "self";
  const DType t = b.ResultType({matrix, "B"});
  Value* a = b.Operand(matrix, t);
  Value* y = b.Operand("B", t);
  const bool left = b.Bool("left", true);
  const bool vector =
      y->rank() == 1 || (y->rank() + 1 == a->rank() && b.ok() &&
                         ir::Shape(a->shape().begin(), a->shape().end() - 1) == y->shape());
  if (vector) y = b.Unsqueeze(y, b.Rank(y));
  if (b.ok() && (a->rank() < 2 || y->rank() < 2)) b.Invalid("a system without a matrix");
  if (!b.ok()) return;
  ir::Shape batch = b.Broadcast({a->shape().begin(), a->shape().end() - 2},
                                {y->shape().begin(), y->shape().end() - 2});
  const auto spread = [&](Value* v) {
    ir::Shape shape = batch;
    shape.insert(shape.end(), v->shape().end() - 2, v->shape().end());
    return b.Expand(v, std::move(shape));
  };
  const auto turn = [&](Value* v) { return SwapAxes(b, v, b.Rank(v) - 2, b.Rank(v) - 1); };
  a = spread(a);
  y = spread(y);
  if (!b.ok()) return;
  Value* x = nullptr;
  if (b.HasArg("upper")) {
    // A transposed triangle is the other one.
    const bool upper = b.Bool("upper") == left;
    x = b.Emit(OpId::kTriangularSolve, {left ? a : turn(a), left ? y : turn(y)},
               {{"upper", int64_t{upper}}, {"unit_diagonal", int64_t{b.Bool("unitriangular")}}});
  } else {
    x = b.Binary(OpId::kSolve, left ? a : turn(a), left ? y : turn(y));
  }
  if (!left) x = turn(x);
  b.Return(vector && b.ok() ? b.Squeeze(x, b.Rank(x) - 1) : x);
  if (b.row().param != 0) NoError(b, a);
}

// det, slogdet (param 1: sign and logarithm), logdet (param 2).
void Determinant(OpBuilder& b) {
  const std::vector<Value*> y = b.EmitMany(OpId::kDet, {Matrix(b)}, 3);
  if (b.row().param == 0) return b.Return(y[0]);
  if (b.row().param == 1) {
    b.Return(y[1]);
    return b.Return(y[2]);
  }
  Value* negative = b.Binary(OpId::kLess, y[1], b.ScalarLike(y[1], 0));
  b.Return(b.Where(negative, b.ScalarLike(y[2], NAN), y[2]));
}

// The factor alone: zero in the other triangle. cholesky_ex (param 1) says 0 for "no error".
void Cholesky(OpBuilder& b) {
  Value* x = Matrix(b);
  const int64_t upper = b.Bool("upper", false) ? 1 : 0;
  Value* y = b.Emit(OpId::kCholesky, {x}, {{"upper", upper}});
  b.Return(b.Emit(OpId::kTrilu, {y}, {{"upper", upper}, {"k", int64_t{0}}}));
  if (b.row().param != 0) NoError(b, x);
}

// Solves (L L^T) X = self for the factor of input2.
void CholeskySolve(OpBuilder& b) {
  Value* y = b.Tensor("self");
  Value* factor = b.Tensor("input2");
  const bool upper = b.Bool("upper");
  if (!b.ok()) return;
  const auto solve = [&](Value* a, Value* right, bool up) {
    return b.Emit(OpId::kTriangularSolve, {a, right},
                  {{"upper", int64_t{up}}, {"unit_diagonal", int64_t{0}}});
  };
  Value* turned = SwapAxes(b, factor, b.Rank(factor) - 2, b.Rank(factor) - 1);
  Value* lower = upper ? turned : factor;
  Value* higher = upper ? factor : turned;
  b.Return(solve(higher, solve(lower, y, false), true));
}

void Qr(OpBuilder& b) {
  const std::string mode = b.HasArg("mode") ? b.String("mode") : "reduced";
  if (mode != "reduced") return b.Unsupported("linalg_qr in mode '" + mode + "'");
  for (Value* v : b.EmitMany(OpId::kQr, {Matrix(b)}, 2)) b.Return(v);
}

// eigh; eigvalsh (param 1) gives the values only.
void Eigh(OpBuilder& b) {
  const bool upper = b.String("UPLO") == "U" || b.String("UPLO") == "u";
  const std::vector<Value*> y =
      b.EmitMany(OpId::kEigh, {Matrix(b)}, 2, {{"upper", int64_t{upper}}});
  b.Return(y[0]);
  if (b.row().param == 0) b.Return(y[1]);
}

// svdvals (param 1) gives the values only.
void Svd(OpBuilder& b) {
  if (b.Bool("full_matrices", false)) return b.Unsupported("svd with full_matrices=True");
  const std::vector<Value*> y = b.EmitMany(OpId::kSvd, {Matrix(b)}, 3);
  if (b.row().param != 0) return b.Return(y[1]);
  for (Value* v : y) b.Return(v);
}

// A tolerance, a number or a tensor of the batch's shape, beside [..., k]; null if none is given.
Value* Tolerance(OpBuilder& b, const char* name, DType t) {
  if (!b.Given(name)) return nullptr;
  Value* v = b.Cast(b.AsTensor(b.Arg(name)), t);
  return v->rank() == 0 ? v : b.Unsqueeze(v, b.Rank(v));
}

// The pseudo-inverse: singular values that are small beside the largest count as 0.
void PseudoInverse(OpBuilder& b) {
  Value* x = Matrix(b);
  const std::vector<Value*> y = b.EmitMany(OpId::kSvd, {x}, 3);
  if (!b.ok()) return;
  const DType t = x->dtype();
  Value* absolute = Tolerance(b, "atol", t);
  Value* relative = Tolerance(b, b.HasArg("rcond") ? "rcond" : "rtol", t);
  if (relative == nullptr && absolute == nullptr) {
    const int64_t side = std::max(b.Max(b.Dim(x, b.Rank(x) - 1)), b.Max(b.Dim(x, b.Rank(x) - 2)));
    constexpr double kEpsilon64 = 2.220446049250313e-16, kEpsilon32 = 1.1920928955078125e-7;
    relative =
        b.Scalar(t, static_cast<double>(side) * (t == DType::kF64 ? kEpsilon64 : kEpsilon32));
  }
  Value* limit = absolute;
  if (relative != nullptr) {
    Value* largest = b.Reduce(ReduceKind::kMax, y[1], {b.Rank(y[1]) - 1}, true);
    limit = b.Binary(OpId::kMul, largest, relative);
    if (absolute != nullptr) limit = b.Binary(OpId::kMaximum, limit, absolute);
  }
  Value* inverse = b.Where(b.Binary(OpId::kGreater, y[1], limit), b.Unary(OpId::kReciprocal, y[1]),
                           b.Scalar(t, 0));
  Value* right =
      b.Binary(OpId::kMul, Transposed(b, y[2]), b.Unsqueeze(inverse, b.Rank(inverse) - 1));
  b.Return(b.MatMul(right, Transposed(b, y[0])));
}

// What decompositions call: the results of the plain op, then factors that only gradients need.
template <Converter kPlain>
void WithFactors(OpBuilder& b) {
  kPlain(b);
  b.Return(IValue());
  b.Return(IValue());
}

void SolveWithFactors(OpBuilder& b) {
  WithFactors<Solve>(b);
  if (b.ok()) NoError(b, b.Tensor("A"));
}

constexpr Row kRows[] = {
    {"aten::_linalg_det", WithFactors<Determinant>},
    {"aten::_linalg_slogdet", WithFactors<Determinant>, OpId::kDet, 1},
    {"aten::_linalg_eigh", Eigh},
    {"aten::_linalg_solve_ex", SolveWithFactors},
    {"aten::_linalg_svd", Svd},
    {"aten::linalg_pinv", PseudoInverse},
    {"aten::pinverse", PseudoInverse},
    {"aten::cov", Covariance},
    {"aten::corrcoef", Correlation},
    {"aten::linalg_inv", Inverse},
    {"aten::inverse", Inverse},
    {"aten::linalg_inv_ex", Inverse, OpId::kSolve, 1},
    {"aten::linalg_solve", Solve},
    {"aten::linalg_solve_ex", Solve, OpId::kSolve, 1},
    {"aten::linalg_solve_triangular", Solve},
    {"aten::linalg_det", Determinant},
    {"aten::det", Determinant},
    {"aten::linalg_slogdet", Determinant, OpId::kDet, 1},
    {"aten::slogdet", Determinant, OpId::kDet, 1},
    {"aten::logdet", Determinant, OpId::kDet, 2},
    {"aten::linalg_cholesky", Cholesky},
    {"aten::cholesky", Cholesky},
    {"aten::linalg_cholesky_ex", Cholesky, OpId::kCholesky, 1},
    {"aten::cholesky_solve", CholeskySolve},
    {"aten::linalg_qr", Qr},
    {"aten::linalg_eigh", Eigh},
    {"aten::linalg_eigvalsh", Eigh, OpId::kEigh, 1},
    {"aten::linalg_svd", Svd},
    {"aten::linalg_svdvals", Svd, OpId::kSvd, 1},
    {"aten::einsum", Einsum},
    {"aten::outer", Outer},
    {"aten::ger", Outer},
    {"aten::inner", Inner},
    {"aten::tensordot", TensorDot},
    {"aten::kron", Kron},
    {"aten::cross", Cross},
    {"aten::linalg_cross", Cross, OpId::kIdentity, 1},
    {"aten::vdot", VecDot},
    {"aten::linalg_vecdot", VecDot},
    {"aten::linalg_multi_dot", MultiDot},
    {"aten::chain_matmul", MultiDot},
    {"aten::matrix_power", MatrixPower},
    {"aten::linalg_matrix_power", MatrixPower},
    {"aten::addr", AddR},
};

}  // namespace

std::span<const Row> LinalgRows() { return kRows; }

}  // namespace floe::aten
