// Linear layers and products of matrices; ops_linalg.cc has what is built of them.
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
  NeedRank(b, "self", 1);
  NeedRank(b, "tensor", 1);
  b.Return(ProductOfArgs(b, "self", "tensor"));
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

// --- bilinear layers
// -------------------------------------------------------------------------------

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

constexpr Row kRows[] = {
    {"aten::linear", Linear},
    {"aten::matmul", MatMul},
    {"aten::linalg_matmul", MatMul},
    {"aten::mm", MatrixProduct, OpId::kMatMul, 2},
    {"aten::bmm", MatrixProduct, OpId::kMatMul, 3},
    {"aten::mv", MatrixVector},
    {"aten::dot", Dot},
    {"aten::_int_mm", IntProduct},
    {"aten::addmm", AddMatrixProduct},
    {"aten::_addmm_activation", AddmmActivation},
    {"aten::addmv", AddProduct},
    {"aten::baddbmm", AddProduct},
    {"aten::addbmm", AddBatchSum},
    {"aten::bilinear", Bilinear},
};

}  // namespace

std::span<const Row> LinearRows() { return kRows; }

}  // namespace floe::aten
