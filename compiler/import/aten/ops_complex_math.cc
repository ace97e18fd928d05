// Functions of complex tensors beyond arithmetic: exponential and circular ones, products and
// norms, sums of products, convolutions, systems of equations.
#include <cmath>

#include "compiler/import/aten/complex.h"
#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops_numeric.h"
#include "compiler/import/aten/promotion.h"
#include "compiler/import/compose_einsum.h"

namespace floe::aten {
namespace {

using ir::Value;

Value* Mul(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kMul, x, y); }
Value* Add(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kAdd, x, y); }
Value* Sub(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kSub, x, y); }
Value* Neg(OpBuilder& b, Value* x) { return b.Unary(OpId::kNeg, x); }

// --- functions of each element -------------------------------------------------------------------

// sinh(a) cos(b) + i cosh(a) sin(b); cosh(a) cos(b) + i sinh(a) sin(b).
Complex HyperbolicSine(OpBuilder& b, const Complex& z) {
  return {Mul(b, b.Unary(OpId::kSinh, z.re), b.Unary(OpId::kCos, z.im)),
          Mul(b, b.Unary(OpId::kCosh, z.re), b.Unary(OpId::kSin, z.im))};
}
Complex HyperbolicCosine(OpBuilder& b, const Complex& z) {
  return {Mul(b, b.Unary(OpId::kCosh, z.re), b.Unary(OpId::kCos, z.im)),
          Mul(b, b.Unary(OpId::kSinh, z.re), b.Unary(OpId::kSin, z.im))};
}

// (t + i u) / (1 + i t u) for t = tanh(a), u = tan(b): no part of it overflows.
Complex HyperbolicTangent(OpBuilder& b, const Complex& z) {
  Value* t = b.Unary(OpId::kTanh, z.re);
  Value* u = b.Unary(OpId::kTan, z.im);
  Value* tt = Mul(b, t, t);
  Value* uu = Mul(b, u, u);
  Value* one = b.ScalarLike(t, 1);
  Value* size = Add(b, one, Mul(b, tt, uu));
  return {b.Binary(OpId::kDiv, Mul(b, t, Add(b, one, uu)), size),
          b.Binary(OpId::kDiv, Mul(b, u, Sub(b, one, tt)), size)};
}

// f(z) = -i g(i z): sin and tan of sinh and tanh.
template <Complex (*kHyperbolic)(OpBuilder&, const Complex&)>
Complex Turned(OpBuilder& b, const Complex& z) {
  const Complex w = kHyperbolic(b, {Neg(b, z.im), z.re});
  return {w.im, Neg(b, w.re)};
}

Complex Cosine(OpBuilder& b, const Complex& z) { return HyperbolicCosine(b, {Neg(b, z.im), z.re}); }

// 1 / (1 + exp(-z))
Complex Logistic(OpBuilder& b, const Complex& z) {
  Complex e = Exponential(b, {Neg(b, z.re), Neg(b, z.im)});
  e.re = Add(b, e.re, b.ScalarLike(e.re, 1));
  return Quotient(b, {b.ScalarLike(e.re, 1), nullptr}, e);
}

Complex Square(OpBuilder& b, const Complex& z) { return Product(b, z, z); }

Complex LogarithmOfOneMore(OpBuilder& b, const Complex& z) {
  return Logarithm(b, {Add(b, z.re, b.ScalarLike(z.re, 1)), z.im});
}

Complex ExponentialLessOne(OpBuilder& b, const Complex& z) {
  const Complex e = Exponential(b, z);
  return {Sub(b, e.re, b.ScalarLike(e.re, 1)), e.im};
}

template <int kBase>
Complex LogarithmTo(OpBuilder& b, const Complex& z) {
  const Complex w = Logarithm(b, z);
  Value* factor = b.ScalarLike(w.re, 1 / std::log(static_cast<double>(kBase)));
  return {Mul(b, w.re, factor), Mul(b, w.im, factor)};
}

template <Complex (*kFunction)(OpBuilder&, const Complex&)>
void Elementwise(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  if (b.ok()) ReturnParts(b, kFunction(b, z));
}

// --- what depends on magnitudes or on being zero -------------------------------------------------

// The plain op on another tensor in the place of the first argument.
void CallOn(OpBuilder& b, Value* x) {
  std::vector<IValue> arguments;
  for (const Argument& a : b.schema().arguments) arguments.push_back(b.Arg(a.name));
  arguments[0] = b.Wrap(x);
  for (IValue& result : b.CallPlain(std::move(arguments))) b.Return(std::move(result));
}

void OfMagnitude(OpBuilder& b) {
  const std::string& name = b.schema().arguments[0].name;
  if (b.Given("dtype")) return b.Unsupported("a norm of complex numbers with a result type");
  Value* size = Magnitude(b, PartsOf(b, name.c_str()));
  if (b.ok()) CallOn(b, size);
}

void OfNonzero(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  if (!b.ok()) return;
  const auto set = [&](Value* x) { return b.Binary(OpId::kNotEqual, x, b.ScalarLike(x, 0)); };
  CallOn(b, b.Binary(OpId::kLogicalOr, set(z.re), set(z.im)));
}

// var is the sum of the parts' variances; std (param 1) its root.
void Variance(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  if (!b.ok()) return;
  const bool root = b.row().param != 0;
  const auto of = [&](Value* x) {
    std::vector<IValue> arguments;
    for (const Argument& a : b.schema().arguments) arguments.push_back(b.Arg(a.name));
    arguments[0] = b.Wrap(x);
    const std::vector<IValue> y = b.CallPlain(std::move(arguments));
    Value* v = y.empty() ? x : b.AsTensor(y[0]);
    return root ? Mul(b, v, v) : v;
  };
  Value* y = Add(b, of(z.re), of(z.im));
  if (b.ok()) b.Return(root ? b.Unary(OpId::kSqrt, y) : y);
}

// |x - y| <= atol + rtol |y|, or equal.
void IsClose(OpBuilder& b) {
  const DType t = PartType(b, {"self", "other"});
  Complex x = PartsOf(b, "self", t), y = PartsOf(b, "other", t);
  if (!b.ok()) return;
  if (b.Bool("equal_nan")) return b.Unsupported("isclose of complex numbers with equal_nan");
  if (x.im == nullptr) x.im = ZeroLike(b, x.re);
  if (y.im == nullptr) y.im = ZeroLike(b, y.re);
  Value* distance = Magnitude(b, {Sub(b, x.re, y.re), Sub(b, x.im, y.im)});
  Value* limit = Mul(b, Magnitude(b, y), b.ScalarLike(y.re, b.Float("rtol")));
  limit = Add(b, limit, b.ScalarLike(y.re, b.Float("atol")));
  Value* near = b.Binary(OpId::kLogicalAnd, IsFinite(b, distance),
                         b.Binary(OpId::kLessEqual, distance, limit));
  Value* same = b.Binary(OpId::kLogicalAnd, b.Binary(OpId::kEqual, x.re, y.re),
                         b.Binary(OpId::kEqual, x.im, y.im));
  b.Return(b.Binary(OpId::kLogicalOr, near, same));
}

// --- products ------------------------------------------------------------------------------------

// Along an axis, or of all elements: halves are multiplied with one another.
void Prod(OpBuilder& b) {
  const int64_t code = b.Given("dtype") ? b.Int("dtype") : -1;
  DType t = PartType(b, {"self"});
  if (code >= 0) t = RealPartOfScalarType(code);
  if (b.ok() && t == DType::kNone) return b.Unsupported("a real product of complex numbers");
  Complex z = PartsOf(b, "self", t);
  if (!b.ok()) return;
  int64_t axis = 0;
  const bool all = !b.HasArg("dim");
  if (all) {
    const ir::Dim count = CountOf(b, z.re);
    z = {b.Reshape(z.re, {count}), b.Reshape(z.im, {count})};
  } else {
    if (z.re->rank() == 0) return b.Return(b.Arg("self"));
    axis = b.Axis(b.Int("dim"), b.Rank(z.re));
  }
  int64_t n = b.StaticDim(z.re, axis);
  if (!b.ok()) return;
  const auto cut = [&](const Complex& x, int64_t start, int64_t length) -> Complex {
    return {b.SliceAxis(x.re, axis, start, length), b.SliceAxis(x.im, axis, start, length)};
  };
  if (n == 0) {
    ir::Shape shape = z.re->shape();
    shape[static_cast<size_t>(axis)] = 1;
    z = {b.Full(t, shape, 1), b.Full(t, shape, 0)};
    n = 1;
  }
  while (n > 1 && b.ok()) {
    const int64_t half = n / 2;
    const Complex product = Product(b, cut(z, 0, half), cut(z, half, half));
    if (n % 2 == 0) {
      z = product;
    } else {
      const Complex rest = cut(z, n - 1, 1);
      z = {b.Concat({product.re, rest.re}, axis), b.Concat({product.im, rest.im}, axis)};
    }
    n = half + n % 2;
  }
  if (!b.ok()) return;
  if (all || !b.Bool("keepdim")) z = {b.Squeeze(z.re, axis), b.Squeeze(z.im, axis)};
  ReturnParts(b, z);
}

// The sum over which operands give their imaginary parts: each such product is a plain einsum.
void Einsum(OpBuilder& b) {
  constexpr size_t kMost = 5;
  const std::string equation = b.String("equation");
  std::vector<Complex> operands;
  ResultTypeState types;
  for (const IValue& v : b.Arg("tensors").items()) {
    Value* x = b.AsTensor(v);
    if (!b.ok()) return;
    types.AddTensor(x->dtype(), x->rank());
    if (IsComplex(v)) {
      operands.push_back({ComplexPart(b, x, 0), ComplexPart(b, x, 1)});
    } else {
      operands.push_back({x, nullptr});
    }
  }
  if (operands.size() > kMost) {
    return b.Unsupported("einsum of more than 5 tensors of which some are complex");
  }
  const DType t = IsFloat(types.Result()) ? types.Result() : DType::kF32;
  Complex sum;
  for (size_t mask = 0; mask < size_t{1} << operands.size(); ++mask) {
    std::vector<Value*> parts;
    int turns = 0;
    for (size_t i = 0; i < operands.size(); ++i) {
      const bool imaginary = (mask >> i & 1) != 0;
      Value* part = imaginary ? operands[i].im : operands[i].re;
      if (part == nullptr) break;
      turns += imaginary ? 1 : 0;
      parts.push_back(b.Cast(part, t));
    }
    if (parts.size() < operands.size()) continue;
    Value* product = import::EmitEinsum(b, equation, parts);
    if (!b.ok()) return;
    Value*& to = turns % 2 == 0 ? sum.re : sum.im;
    const OpId op = turns % 4 < 2 ? OpId::kAdd : OpId::kSub;  // i^turns
    to = to == nullptr ? (op == OpId::kAdd ? product : Neg(b, product)) : b.Binary(op, to, product);
  }
  ReturnParts(b, sum);
}

// beta * self + alpha * (mat1 @ mat2)
void AddProduct(OpBuilder& b) {
  const bool matrices = b.HasArg("mat1");
  const bool batches = b.HasArg("batch1");
  const char* left = matrices ? "mat1" : batches ? "batch1" : "mat";
  const char* right = matrices ? "mat2" : batches ? "batch2" : "vec";
  IValue product = b.CallMany("aten::matmul", {b.Arg(left), b.Arg(right)})[0];
  product = b.CallMany("aten::mul.Scalar", {product, b.Arg("alpha")})[0];
  const IValue& beta = b.Arg("beta");
  if (beta.is_number() && beta.is_known() && b.Scalar("beta").value == 0) return b.Return(product);
  const IValue rest = b.CallMany("aten::mul.Scalar", {b.Arg("self"), beta})[0];
  b.Return(b.CallMany("aten::add.Tensor", {rest, product})[0]);
}

void Linear(OpBuilder& b) {
  const IValue weight = b.CallMany("aten::mT", {b.Arg("weight")})[0];
  IValue y = b.CallMany("aten::matmul", {b.Arg("input"), weight})[0];
  if (b.Given("bias")) y = b.CallMany("aten::add.Tensor", {y, b.Arg("bias")})[0];
  b.Return(std::move(y));
}

// (x + i y) * (v + i w) by the plain convolution of each pair of parts; the bias is added at last.
void Convolution(OpBuilder& b) {
  const DType t = PartType(b, {"input", "weight"});
  const Complex x = PartsOf(b, "input", t), w = PartsOf(b, "weight", t);
  if (!b.ok()) return;
  const auto convolve = [&](Value* input, Value* weight) {
    std::vector<IValue> arguments;
    for (const Argument& a : b.schema().arguments) {
      arguments.push_back(a.name == "input"    ? b.Wrap(input)
                          : a.name == "weight" ? b.Wrap(weight)
                          : a.name == "bias"   ? IValue()
                                               : b.Arg(a.name));
    }
    const std::vector<IValue> y = b.CallPlain(std::move(arguments));
    return y.empty() ? input : b.AsTensor(y[0]);
  };
  Complex z = {convolve(x.re, w.re), nullptr};
  if (w.im != nullptr) z.im = convolve(x.re, w.im);
  if (x.im != nullptr) {
    Value* cross = convolve(x.im, w.re);
    z.im = z.im == nullptr ? cross : Add(b, z.im, cross);
    if (w.im != nullptr) z.re = Sub(b, z.re, convolve(x.im, w.im));
  }
  if (b.ok() && b.Given("bias")) {
    const Complex bias = PartsOf(b, "bias", t);
    const auto spread = [&](Value* v) {
      ir::Shape shape(v->shape());
      for (int64_t i = b.Rank(w.re); i > 2; --i) shape.push_back(ir::Dim(1));
      return b.Reshape(v, std::move(shape));
    };
    if (!b.ok()) return;
    z.re = Add(b, z.re, spread(bias.re));
    if (bias.im != nullptr) z.im = Add(b, z.im, spread(bias.im));
  }
  ReturnParts(b, z);
}

// --- systems of equations ------------------------------------------------------------------------

// [[A, -B], [B, A]] for A + i B.
Value* RealMatrix(OpBuilder& b, const Complex& a) {
  const int64_t rank = b.Rank(a.re);
  Value* im = a.im == nullptr ? ZeroLike(b, a.re) : a.im;
  Value* top = b.Concat({a.re, Neg(b, im)}, rank - 1);
  return b.Concat({top, b.Concat({im, a.re}, rank - 1)}, rank - 2);
}

// The two halves of the rows as parts.
void GiveHalves(OpBuilder& b, Value* y, int64_t n) {
  if (!b.ok()) return;
  const int64_t axis = b.Rank(y) - 2;
  ReturnParts(b, {b.SliceAxis(y, axis, 0, n), b.SliceAxis(y, axis, n, n)});
}

// solve (param 0) and inv (param 1) through the real system of twice the size.
void Solve(OpBuilder& b) {
  const bool inverse = b.row().param == 1;
  const char* matrix = b.HasArg("A") ? "A" : "self";
  const DType t = inverse ? PartType(b, {matrix}) : PartType(b, {matrix, "B"});
  const Complex a = PartsOf(b, matrix, t);
  if (b.ok() && a.re->rank() < 2) b.Invalid("a system without a matrix");
  if (!b.ok()) return;
  if (!inverse && !b.Bool("left", true)) return b.Unsupported("X A = B of complex numbers");
  const int64_t n = b.StaticDim(a.re, b.Rank(a.re) - 1);
  Complex y;
  if (inverse) {
    Value* eye = b.Cast(b.Call("aten::eye", {IValue::Int(n)}), t);
    y.re = b.Expand(eye, a.re->shape());
  } else {
    y = PartsOf(b, "B", t);
  }
  const bool vector = !inverse && b.ok() && y.re->rank() == 1;
  if (b.ok() && y.re->rank() + 1 == a.re->rank() && !vector) {
    return b.Unsupported("a batch of vectors as the right side of complex systems");
  }
  if (y.im == nullptr) y.im = ZeroLike(b, y.re);
  if (vector) y = {b.Unsqueeze(y.re, 1), b.Unsqueeze(y.im, 1)};
  if (!b.ok()) return;
  Value* right = b.Concat({y.re, y.im}, b.Rank(y.re) - 2);
  Value* z = b.Call("aten::linalg_solve", {b.Wrap(RealMatrix(b, a)), b.Wrap(right)});
  if (!b.ok()) return;
  if (!vector) return GiveHalves(b, z, n);
  ReturnParts(b, {b.Squeeze(b.SliceAxis(z, 0, 0, n), 1), b.Squeeze(b.SliceAxis(z, 0, n, n), 1)});
}

// linalg_solve_ex, linalg_inv_ex (param 1) and what solve decomposes to (param 2, with factors that
// only gradients need) also say 0 for "no error".
void SolveUnchecked(OpBuilder& b) {
  const bool inverse = b.row().param == 1;
  const char* matrix = b.HasArg("A") ? "A" : "self";
  std::vector<IValue> arguments = {b.Arg(matrix)};
  if (!inverse) arguments.push_back(b.Arg("B"));
  if (!inverse && !b.Bool("left", true)) return b.Unsupported("X A = B of complex numbers");
  Value* a = b.AsTensor(b.Arg(matrix));
  if (b.ok() && a->rank() < 3) b.Invalid("a system without a matrix");
  if (!b.ok()) return;
  const std::vector<IValue> y =
      b.CallMany(inverse ? "aten::linalg_inv" : "aten::linalg_solve", std::move(arguments));
  if (!b.ok()) return;
  b.Return(y.at(0));
  for (int64_t i = 0; i < b.row().param - (inverse ? 1 : 0); ++i) b.Return(IValue());
  ir::Shape batch(a->shape().begin(), a->shape().end() - 3);
  b.Return(b.Full(DType::kI32, std::move(batch), 0));
}

// The conjugate of the transposed matrix.
void Adjoint(OpBuilder& b) {
  const IValue turned = b.CallMany("aten::mT", {b.Arg("self")})[0];
  b.Return(b.CallMany("aten::conj_physical", {turned})[0]);
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::sinh", Elementwise<HyperbolicSine>},
    {"aten::cosh", Elementwise<HyperbolicCosine>},
    {"aten::tanh", Elementwise<HyperbolicTangent>},
    {"aten::sin", Elementwise<Turned<HyperbolicSine>>},
    {"aten::cos", Elementwise<Cosine>},
    {"aten::tan", Elementwise<Turned<HyperbolicTangent>>},
    {"aten::sigmoid", Elementwise<Logistic>},
    {"aten::square", Elementwise<Square>},
    {"aten::log1p", Elementwise<LogarithmOfOneMore>},
    {"aten::expm1", Elementwise<ExponentialLessOne>},
    {"aten::log2", Elementwise<LogarithmTo<2>>},
    {"aten::log10", Elementwise<LogarithmTo<10>>},
    {"aten::linalg_vector_norm", OfMagnitude},
    {"aten::norm", OfMagnitude},
    {"aten::frobenius_norm", OfMagnitude},
    {"aten::any", OfNonzero},
    {"aten::all", OfNonzero},
    {"aten::logical_not", OfNonzero},
    {"aten::count_nonzero", OfNonzero},
    {"aten::isclose", IsClose},
    {"aten::var", Variance},
    {"aten::std", Variance, kNoIr, 1},
    {"aten::prod", Prod},
    {"aten::einsum", Einsum},
    {"aten::addmm", AddProduct},
    {"aten::addmv", AddProduct},
    {"aten::baddbmm", AddProduct},
    {"aten::linear", Linear},
    {"aten::conv1d", Convolution},
    {"aten::conv2d", Convolution},
    {"aten::conv3d", Convolution},
    {"aten::convolution", Convolution},
    {"aten::linalg_solve", Solve},
    {"aten::linalg_inv", Solve, kNoIr, 1},
    {"aten::inverse", Solve, kNoIr, 1},
    {"aten::linalg_inv_ex", SolveUnchecked, kNoIr, 1},
    {"aten::linalg_solve_ex", SolveUnchecked},
    {"aten::_linalg_solve_ex", SolveUnchecked, kNoIr, 2},
    {"aten::adjoint", Adjoint, kNoIr, 0, true},
    {"aten::mH", Adjoint, kNoIr, 0, true},
    {"aten::matrix_H", Adjoint, kNoIr, 0, true},
};

}  // namespace

std::span<const Row> ComplexMathRows() { return kRows; }

}  // namespace floe::aten
