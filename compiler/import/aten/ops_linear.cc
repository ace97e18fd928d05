// Products of matrices and vectors.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// The product of the arguments `x` and `y`, computed in `out_dtype` where the overload has one.
Value* ProductOfArgs(OpBuilder& b, std::string_view x_name, std::string_view y_name) {
  Value* x = b.Tensor(x_name);
  Value* y = b.Tensor(y_name);
  if (b.Given("out_dtype") && b.ok()) {
    const DType t = b.DTypeArg("out_dtype", x->dtype());
    x = b.Cast(x, t);
    y = b.Cast(y, t);
  }
  return ProductOf(b, x, y);
}

void NeedRank(OpBuilder& b, std::string_view name, size_t rank) {
  const Value* x = b.Tensor(name);
  if (b.ok() && x->rank() != rank) {
    b.Invalid(absl::StrFormat("'%s' has rank %d; rank %d is expected", std::string(name), x->rank(),
                              rank));
  }
}

void Linear(OpBuilder& b) {
  Value* x = b.Tensor("input");
  Value* w = b.Tensor("weight");
  b.Return(LinearOf(b, x, w, b.OptTensor("bias")));
}

void MatMul(OpBuilder& b) { b.Return(ProductOfArgs(b, "self", "other")); }

// mm, bmm: both operands have rank `param`.
void MatrixProduct(OpBuilder& b) {
  const auto rank = static_cast<size_t>(b.row().param);
  NeedRank(b, "self", rank);
  NeedRank(b, "mat2", rank);
  b.Return(ProductOfArgs(b, "self", "mat2"));
}

void MatrixVector(OpBuilder& b) {
  NeedRank(b, "self", 2);
  NeedRank(b, "vec", 1);
  b.Return(ProductOfArgs(b, "self", "vec"));
}

void Dot(OpBuilder& b) {
  const char* other = b.HasArg("tensor") ? "tensor" : "other";
  NeedRank(b, "self", 1);
  NeedRank(b, other, 1);
  b.Return(ProductOfArgs(b, "self", other));
}

// Products of bytes with sums of 32 bits.
void IntProduct(OpBuilder& b) {
  Value* x = b.Cast(b.Tensor("self"), DType::kI32);
  b.Return(ProductOf(b, x, b.Cast(b.Tensor("mat2"), DType::kI32)));
}

// n * x; 1 changes nothing.
Value* ScaledBy(OpBuilder& b, Value* x, const Number& n) {
  if (!b.ok() || (n.tensor == nullptr && n.value == 1)) return x;
  return b.Binary(OpId::kMul, x, b.NumberAs(n, x->dtype()));
}

// beta * self + alpha * product. With beta = 0 self does not take part, not even with a NaN.
void AddScaled(OpBuilder& b, Value* product) {
  if (!b.ok()) return;
  const Number beta = b.Scalar("beta"), alpha = b.Scalar("alpha");
  product = ScaledBy(b, product, alpha);
  if (beta.tensor == nullptr && beta.value == 0) return b.Return(product);
  Value* self = b.Cast(b.Tensor("self"), product->dtype());
  b.Return(b.Binary(OpId::kAdd, ScaledBy(b, self, beta), product));
}

// addmm, baddbmm, addmv: the names of the factors are the schema's second and third.
void AddProduct(OpBuilder& b) {
  const std::vector<Argument>& names = b.schema().arguments;
  AddScaled(b, ProductOfArgs(b, names[1].name, names[2].name));
}

// addmm whose operands fit one gemm, which the passes and the kernels know as a linear layer.
void AddMatrixProduct(OpBuilder& b) {
  Value* self = b.Tensor("self");
  Value* x = b.Tensor("mat1");
  Value* w = b.Tensor("mat2");
  const Number beta = b.Scalar("beta"), alpha = b.Scalar("alpha");
  if (!b.ok()) return;
  const DType t = x->dtype();
  const bool fits = !b.Given("out_dtype") && IsFloat(t) && w->dtype() == t && self->dtype() == t &&
                    x->rank() == 2 && w->rank() == 2 && beta.tensor == nullptr &&
                    alpha.tensor == nullptr && beta.value != 0;
  if (!fits) return AddProduct(b);
  b.Return(b.Emit(OpId::kGemm, {x, w, self},
                  {{"alpha", alpha.value},
                   {"beta", beta.value},
                   {"trans_a", int64_t{0}},
                   {"trans_b", int64_t{0}}}));
}

// The products of a batch are summed.
void AddBatchSum(OpBuilder& b) {
  NeedRank(b, "batch1", 3);
  NeedRank(b, "batch2", 3);
  Value* product = ProductOfArgs(b, "batch1", "batch2");
  AddScaled(b, b.ok() ? b.Reduce(ReduceKind::kSum, product, {0}, false) : product);
}

void AddmmActivation(OpBuilder& b) {
  AddMatrixProduct(b);
  if (!b.ok()) return;
  Value* y = b.AsTensor(b.results().back());
  b.results().clear();
  b.Return(b.Bool("use_gelu") ? b.Emit(OpId::kGelu, {y}, {{"tanh", int64_t{0}}})
                              : b.Unary(OpId::kRelu, y));
}

// --- products of vectors -------------------------------------------------------------------------

Value* OuterOf(OpBuilder& b, Value* x, Value* y) {
  if (!b.ok()) return x;
  if (x->rank() != 1 || y->rank() != 1) {
    b.Invalid("both operands must be vectors");
    return x;
  }
  const bool either = x->dtype() == DType::kBool && y->dtype() == DType::kBool;
  return b.Binary(either ? OpId::kLogicalAnd : OpId::kMul, AlongAxis(b, x, 0, 2),
                  AlongAxis(b, y, 1, 2));
}

void Outer(OpBuilder& b) {
  const DType t = b.ResultType({"self", "vec2"});
  Value* x = b.Operand("self", t);
  b.Return(OuterOf(b, x, b.Operand("vec2", t)));
}

void AddOuter(OpBuilder& b) {
  const DType t = b.ResultType({"self", "vec1", "vec2"});
  Value* x = b.Operand("vec1", t);
  AddScaled(b, OuterOf(b, x, b.Operand("vec2", t)));
}

// Sums over the last axes of both; a scalar multiplies.
void Inner(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* y = b.Tensor("other");
  if (!b.ok()) return;
  if (x->rank() == 0 || y->rank() == 0) return b.Return(b.Binary(OpId::kMul, x, y));
  if (y->rank() == 1) return b.Return(ProductOf(b, x, y));
  ir::Shape shape(x->shape().begin(), x->shape().end() - 1);
  shape.insert(shape.end(), y->shape().begin(), y->shape().end() - 1);
  const ir::Dim k = b.Dim(x, b.Rank(x) - 1);
  x = b.Reshape(x, {b.Product(x->shape(), 0, x->rank() - 1), k});
  y = b.Reshape(y, {b.Product(y->shape(), 0, y->rank() - 1), b.Dim(y, b.Rank(y) - 1)});
  b.Return(b.Reshape(ProductOf(b, x, SwapLastAxes(b, y)), std::move(shape)));
}

// --- products of more ----------------------------------------------------------------------------

// x with `summed` as its last axes (or its first), as a matrix; `kept` gets the other dimensions.
Value* Matricise(OpBuilder& b, Value* x, std::vector<int64_t> summed, bool last, ir::Shape* kept) {
  const int64_t rank = b.Rank(x);
  std::vector<int64_t> perm;
  for (int64_t i = 0; i < rank; ++i) {
    if (std::find(summed.begin(), summed.end(), i) == summed.end()) perm.push_back(i);
  }
  ir::Shape inner;
  for (const int64_t axis : perm) kept->push_back(b.Dim(x, axis));
  for (const int64_t axis : summed) inner.push_back(b.Dim(x, axis));
  perm.insert(last ? perm.end() : perm.begin(), summed.begin(), summed.end());
  const ir::Dim outside = b.Product(*kept, 0, kept->size());
  const ir::Dim inside = b.Product(inner, 0, inner.size());
  x = b.Transpose(x, std::move(perm));
  return b.Reshape(x, last ? ir::Shape{outside, inside} : ir::Shape{inside, outside});
}

void TensorDot(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* y = b.Tensor("other");
  std::vector<int64_t> x_axes = b.Ints("dims_self"), y_axes = b.Ints("dims_other");
  if (!b.ok()) return;
  if (x_axes.size() != y_axes.size()) return b.Invalid("the lists of axes differ in length");
  for (int64_t& axis : x_axes) axis = b.Axis(axis, b.Rank(x));
  for (int64_t& axis : y_axes) axis = b.Axis(axis, b.Rank(y));
  (void)b.Axes(x_axes, b.Rank(x));  // Refuses duplicates.
  (void)b.Axes(y_axes, b.Rank(y));
  if (!b.ok()) return;
  // An axis of size 1 stands for one of any size: it is summed on its own.
  for (size_t i = 0; i < x_axes.size(); ++i) {
    const ir::Dim p = b.Dim(x, x_axes[i]), q = b.Dim(y, y_axes[i]);
    if (p == q) continue;
    Value*& longer = p == ir::Dim(1) ? y : x;
    const int64_t axis = p == ir::Dim(1) ? y_axes[i] : x_axes[i];
    if (p != ir::Dim(1) && q != ir::Dim(1)) return b.Invalid("summed axes differ in size");
    longer = b.Reduce(ReduceKind::kSum, longer, {axis}, true);
  }
  ir::Shape shape, columns;
  x = Matricise(b, x, x_axes, true, &shape);
  y = Matricise(b, y, y_axes, false, &columns);
  shape.insert(shape.end(), columns.begin(), columns.end());
  b.Return(b.Reshape(ProductOf(b, x, y), std::move(shape)));
}

// From left to right: the order of products changes rounding only.
void Chain(OpBuilder& b) {
  const std::vector<Value*> factors = b.Tensors(b.schema().arguments[0].name);
  if (factors.empty()) return b.Invalid("no matrices");
  Value* product = factors[0];
  for (size_t i = 1; i < factors.size(); ++i) product = ProductOf(b, product, factors[i]);
  b.Return(product);
}

// y[k] = sum over i, j of x1[i] w[k,i,j] x2[j]
void Bilinear(OpBuilder& b) {
  Value* x = b.Tensor("input1");
  Value* y = b.Tensor("input2");
  Value* w = b.Tensor("weight");
  Value* bias = b.OptTensor("bias");
  if (!b.ok()) return;
  if (x->rank() < 1 || y->rank() != x->rank() || w->rank() != 3) {
    return b.Invalid("operands of other ranks than the layer's");
  }
  const int64_t last = b.Rank(x) - 1;
  const ir::Dim outputs = b.Dim(w, 0), n = b.Dim(w, 1), m = b.Dim(w, 2);
  ir::Shape shape(x->shape().begin(), x->shape().end() - 1);
  const ir::Dim rows = b.Product(shape, 0, shape.size());
  x = b.Reshape(x, {rows, b.Dim(x, last)});
  y = b.Reshape(y, {rows, 1, b.Dim(y, last)});
  // [rows, i] x [i, k * j], then a sum over j.
  Value* matrix = b.Reshape(b.Transpose(w, {1, 0, 2}), {n, b.Mul(outputs, m)});
  Value* half = b.Reshape(ProductOf(b, x, matrix), {rows, outputs, m});
  Value* sum = b.Reduce(ReduceKind::kSum, b.Binary(OpId::kMul, half, y), {2}, false);
  if (bias != nullptr) sum = b.Binary(OpId::kAdd, sum, bias);
  shape.push_back(outputs);
  b.Return(b.Reshape(sum, std::move(shape)));
}

void Kronecker(OpBuilder& b) {
  const DType t = b.ResultType({"self", "other"});
  Value* x = b.Operand("self", t);
  Value* y = b.Operand("other", t);
  if (!b.ok()) return;
  const size_t rank = std::max(x->rank(), y->rank());
  ir::Shape p(rank - x->rank(), ir::Dim(1)), q(rank - y->rank(), ir::Dim(1)), shape;
  p.insert(p.end(), x->shape().begin(), x->shape().end());
  q.insert(q.end(), y->shape().begin(), y->shape().end());
  ir::Shape wide_p, wide_q;
  for (size_t i = 0; i < rank; ++i) {
    wide_p.insert(wide_p.end(), {p[i], ir::Dim(1)});
    wide_q.insert(wide_q.end(), {ir::Dim(1), q[i]});
    shape.push_back(b.Mul(p[i], q[i]));
  }
  Value* product =
      b.Binary(OpId::kMul, b.Reshape(x, std::move(wide_p)), b.Reshape(y, std::move(wide_q)));
  b.Return(b.Reshape(product, std::move(shape)));
}

constexpr Row kRows[] = {
    {"aten::linear", Linear},
    {"aten::matmul", MatMul},
    {"aten::linalg_matmul", MatMul},
    {"aten::mm", MatrixProduct, OpId::kMatMul, 2},
    {"aten::bmm", MatrixProduct, OpId::kMatMul, 3},
    {"aten::mv", MatrixVector},
    {"aten::dot", Dot},
    {"aten::vdot", Dot},
    {"aten::_int_mm", IntProduct},
    {"aten::addmm", AddMatrixProduct},
    {"aten::_addmm_activation", AddmmActivation},
    {"aten::addmv", AddProduct},
    {"aten::baddbmm", AddProduct},
    {"aten::addbmm", AddBatchSum},
    {"aten::addr", AddOuter},
    {"aten::outer", Outer},
    {"aten::ger", Outer},
    {"aten::inner", Inner},
    {"aten::tensordot", TensorDot},
    {"aten::chain_matmul", Chain},
    {"aten::linalg_multi_dot", Chain},
    {"aten::bilinear", Bilinear},
    {"aten::kron", Kronecker},
};

}  // namespace

std::span<const Row> LinearRows() { return kRows; }

}  // namespace floe::aten
