// Arithmetic of complex tensors, written out in terms of their parts, and what leads from reals to
// them and back. What acts on both parts alone is in ops_complex_parts.cc.
#include <cmath>
#include <numbers>

#include "compiler/import/aten/complex.h"
#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/aten/promotion.h"

namespace floe::aten {
namespace {

using ir::Value;

// --- arithmetic ----------------------------------------------------------------------------------

Value* Mul(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kMul, x, y); }
Value* Add(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kAdd, x, y); }
Value* Neg(OpBuilder& b, Value* x) { return b.Unary(OpId::kNeg, x); }

// A sum whose operands may have other shapes: both parts get the common one.
Complex Sum(OpBuilder& b, OpId op, const Complex& x, const Complex& y) {
  Complex z;
  z.re = b.Binary(op, x.re, y.re);
  Value* left = x.im == nullptr ? ZeroLike(b, x.re) : x.im;
  Value* right = y.im == nullptr ? ZeroLike(b, y.re) : y.im;
  z.im = b.Binary(op, left, right);
  return z;
}

// add, sub, rsub (param 1) with alpha.
void AddOp(OpBuilder& b) {
  const DType t = PartType(b, {"self", "other"});
  Complex x = PartsOf(b, "self", t), y = PartsOf(b, "other", t);
  if (b.row().param != 0) std::swap(x, y);
  if (b.HasArg("alpha")) {
    if (IsComplex(b.Arg("alpha"))) return b.Unsupported("a complex alpha");
    const Number alpha = b.Scalar("alpha");
    if (alpha.tensor != nullptr || alpha.value != 1) {
      y = Product(b, y, {b.NumberAs(alpha, t), nullptr});
    }
  }
  ReturnParts(b, Sum(b, b.row().ir, x, y));
}

void MulOp(OpBuilder& b) {
  const DType t = PartType(b, {"self", "other"});
  ReturnParts(b, Product(b, PartsOf(b, "self", t), PartsOf(b, "other", t)));
}

void DivOp(OpBuilder& b) {
  if (b.Given("rounding_mode")) return b.Invalid("a rounded quotient of complex numbers");
  const DType t = PartType(b, {"self", "other"});
  ReturnParts(b, Quotient(b, PartsOf(b, "self", t), PartsOf(b, "other", t)));
}

void NegOp(OpBuilder& b) { b.ReturnComplex(Neg(b, b.Tensor("self"))); }

void Conj(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  ReturnParts(b, {z.re, Neg(b, z.im)});
}

Value* WriteConj(OpBuilder& b, Value*, Value* view) {
  return JoinParts(b, {ComplexPart(b, view, 0), Neg(b, ComplexPart(b, view, 1))});
}

void Reciprocal(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  if (b.ok()) ReturnParts(b, Quotient(b, {b.ScalarLike(z.re, 1), nullptr}, z));
}

void Exp(OpBuilder& b) { ReturnParts(b, Exponential(b, PartsOf(b, "self"))); }
void Log(OpBuilder& b) { ReturnParts(b, Logarithm(b, PartsOf(b, "self"))); }

// The greater part is sqrt((|z| + |re|) / 2), the other one |im| / (2 greater), which does not
// cancel.
void Sqrt(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  if (!b.ok()) return;
  Value* size = Magnitude(b, z);
  const auto root = [&](Value* x) {
    Value* half = Mul(b, x, b.ScalarLike(x, 0.5));
    return b.Unary(OpId::kSqrt, b.Binary(OpId::kMaximum, half, b.ScalarLike(x, 0)));
  };
  Value* greater = root(Add(b, size, b.Unary(OpId::kAbs, z.re)));
  Value* none = b.Binary(OpId::kEqual, greater, b.ScalarLike(greater, 0));
  Value* divisor = b.Where(none, b.ScalarLike(greater, 1), greater);
  Value* other =
      b.Binary(OpId::kDiv, Mul(b, b.Unary(OpId::kAbs, z.im), b.ScalarLike(greater, 0.5)), divisor);
  Value* right = b.Binary(OpId::kGreaterEqual, z.re, b.ScalarLike(z.re, 0));
  ReturnParts(b, {b.Where(right, greater, other),
                  b.Binary(OpId::kCopySign, b.Where(right, other, greater), z.im)});
}

// Whole exponents of moderate size by repeated products, others through exp and log.
void Pow(OpBuilder& b) {
  const char* exponent = b.HasArg("exponent") ? "exponent" : "other";
  const DType t = PartType(b, {"self", exponent});
  const Complex z = PartsOf(b, "self", t);
  if (!b.ok()) return;
  if (b.Arg(exponent).is_number() && b.Arg(exponent).is_known()) {
    const Number n = b.Scalar(exponent);
    if (n.value == std::trunc(n.value) && std::fabs(n.value) <= 64) {
      int64_t rest = std::abs(n.integer);
      Complex power = z, result{b.ScalarLike(z.re, 1), nullptr};
      bool is_one = true;
      for (; rest > 0; rest >>= 1) {
        if ((rest & 1) != 0) result = is_one ? power : Product(b, result, power);
        is_one = is_one && (rest & 1) == 0;
        if (rest > 1) power = Product(b, power, power);
      }
      if (is_one) result = {b.Full(t, z.re->shape(), 1), nullptr};
      if (n.value < 0) result = Quotient(b, {b.ScalarLike(z.re, 1), nullptr}, result);
      return ReturnParts(b, result);
    }
  }
  Complex base = z;
  if (base.im == nullptr) base.im = ZeroLike(b, base.re);
  const Complex w = PartsOf(b, exponent, t);
  ReturnParts(b, Exponential(b, Product(b, Logarithm(b, base), w)));
}

void Abs(OpBuilder& b) { b.Return(Magnitude(b, PartsOf(b, "self"))); }

void Angle(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  b.Return(b.Binary(OpId::kAtan2, z.im, z.re));
}

// z / |z|; 0 for 0.
void Sgn(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  if (!b.ok()) return;
  Value* size = Magnitude(b, z);
  Value* zero = b.Binary(OpId::kEqual, size, b.ScalarLike(size, 0));
  Value* divisor = b.Where(zero, b.ScalarLike(size, 1), size);
  ReturnParts(b, {b.Binary(OpId::kDiv, z.re, divisor), b.Binary(OpId::kDiv, z.im, divisor)});
}

// eq; ne (param 1).
void Equal(OpBuilder& b) {
  const DType t = PartType(b, {"self", "other"});
  const Complex x = PartsOf(b, "self", t), y = PartsOf(b, "other", t);
  if (!b.ok()) return;
  const auto part = [&](Value* v, Value* like) { return v == nullptr ? b.ScalarLike(like, 0) : v; };
  Value* same = b.Binary(OpId::kLogicalAnd, b.Binary(OpId::kEqual, x.re, y.re),
                         b.Binary(OpId::kEqual, part(x.im, x.re), part(y.im, y.re)));
  b.Return(b.row().param == 0 ? same : b.Unary(OpId::kLogicalNot, same));
}

void IsNan(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  b.Return(b.Binary(OpId::kLogicalOr, b.Unary(OpId::kIsNan, z.re), b.Unary(OpId::kIsNan, z.im)));
}

void IsFiniteOp(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  b.Return(b.Binary(OpId::kLogicalAnd, IsFinite(b, z.re), IsFinite(b, z.im)));
}

void IsReal(OpBuilder& b) {
  const Complex z = PartsOf(b, "self");
  if (b.ok()) b.Return(b.Binary(OpId::kEqual, z.im, b.ScalarLike(z.im, 0)));
}

// Products: the plain op for each pair of parts. param 1: of the first operand's conjugate.
void Bilinear(OpBuilder& b) {
  std::vector<IValue> re, im, args;
  std::vector<size_t> tensors;
  for (const Argument& a : b.schema().arguments) {
    args.push_back(b.Arg(a.name));
    if (args.back().is_tensor()) tensors.push_back(args.size() - 1);
  }
  if (tensors.size() != 2) return b.Unsupported("this product of complex numbers");
  const char* left = b.schema().arguments[tensors[0]].name.c_str();
  const char* right = b.schema().arguments[tensors[1]].name.c_str();
  const DType t = PartType(b, {left, right});
  const Complex x = PartsOf(b, left, t), y = PartsOf(b, right, t);
  if (!b.ok()) return;
  const auto product = [&](Value* p, Value* q) {
    std::vector<IValue> call = args;
    call[tensors[0]] = b.Wrap(p);
    call[tensors[1]] = b.Wrap(q);
    const std::vector<IValue> result = b.CallPlain(std::move(call));
    return result.empty() ? p : b.AsTensor(result[0]);
  };
  const bool conjugated = b.row().param != 0;
  Complex z{product(x.re, y.re), nullptr};
  if (x.im != nullptr && y.im != nullptr) {
    Value* both = product(x.im, y.im);
    z.re = b.Binary(conjugated ? OpId::kAdd : OpId::kSub, z.re, both);
  }
  if (y.im != nullptr) z.im = product(x.re, y.im);
  if (x.im != nullptr) {
    Value* cross = product(x.im, y.re);
    if (conjugated) cross = Neg(b, cross);
    z.im = z.im == nullptr ? cross : Add(b, z.im, cross);
  }
  ReturnParts(b, z);
}

// --- parts and pairs -----------------------------------------------------------------------------

// param: which part.
void PartOp(OpBuilder& b) { b.Return(ComplexPart(b, b.Tensor("self"), b.row().param)); }

Value* WritePart(OpBuilder& b, Value* base, Value* view) {
  const bool real = b.row().param == 0;
  return JoinParts(b,
                   {real ? view : ComplexPart(b, base, 0), real ? ComplexPart(b, base, 1) : view});
}

void AsReal(OpBuilder& b) { b.Return(b.Tensor("self")); }

void Same(OpBuilder& b) { b.Return(b.Arg("self")); }

void Contiguous(OpBuilder& b) {
  if (b.Arg("self").variable()->contiguous) return Same(b);
  b.ReturnComplex(b.Tensor("self"));
}

// As it is, or under another complex type; a real type drops the imaginary part.
void To(OpBuilder& b) {
  const IValue& self = b.Arg("self");
  const int64_t code = b.Given("dtype") ? b.Int("dtype") : -1;
  Value* x = b.AsTensor(self);
  if (!b.ok()) return;
  const DType part = RealPartOfScalarType(code);
  if (!IsComplex(self)) {
    if (part == DType::kNone) return b.Unsupported("complex numbers here");
    return ReturnParts(b, {b.Cast(x, part), nullptr});
  }
  if (code < 0) {
    const IValue* other = b.FindArg("other");
    if (other != nullptr && other->is_tensor() && !IsComplex(*other)) {
      return b.Return(b.Cast(ComplexPart(b, x, 0), b.AsTensor(*other)->dtype()));
    }
    return b.Return(self);
  }
  if (part == x->dtype()) return b.Return(self);
  if (part != DType::kNone) return b.ReturnComplex(b.Cast(x, part));
  b.Return(b.Cast(ComplexPart(b, x, 0), b.DTypeArg("dtype", x->dtype())));
}

// One part of what Create makes, by the plain row; null if it fails. `fills` says whether a complex
// number is what is written.
Value* CreatePart(OpBuilder& b, int64_t which, bool* fills) {
  std::vector<IValue> arguments;
  for (const Argument& a : b.schema().arguments) {
    IValue v = b.Arg(a.name);
    if (IsComplex(v)) {
      const bool fill = a.name != "self";
      *fills = *fills || fill;
      v = b.Wrap(ComplexPart(b, b.AsTensor(v), fill ? which : 0));
    } else if (a.name == "dtype" && v.is_constant_int()) {
      const DType stated = RealPartOfScalarType(v.int_value());
      if (stated == DType::kNone) {
        b.Unsupported("a real tensor like a complex one");
        return nullptr;
      }
      v = IValue::Int(ScalarTypeOfDType(stated));
    }
    arguments.push_back(std::move(v));
  }
  const std::vector<IValue> made = b.CallPlain(std::move(arguments));
  return b.ok() && !made.empty() ? b.AsTensor(made[0]) : nullptr;
}

// zeros(), ones(), full() and the like: real ones beside zeros, or filled with a complex number.
void Create(OpBuilder& b) {
  bool fills = false;
  Value* re = CreatePart(b, 0, &fills);
  Value* im = fills && re != nullptr ? CreatePart(b, 1, &fills) : nullptr;
  if (b.ok() && re != nullptr) ReturnParts(b, {re, im});
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::add", AddOp, OpId::kAdd},
    {"aten::sub", AddOp, OpId::kSub},
    {"aten::rsub", AddOp, OpId::kSub, 1},
    {"aten::mul", MulOp},
    {"aten::multiply", MulOp},
    {"aten::div", DivOp},
    {"aten::divide", DivOp},
    {"aten::true_divide", DivOp},
    {"aten::neg", NegOp},
    {"aten::negative", NegOp},
    {"aten::resolve_neg", Same},
    {"aten::conj", Conj, kNoIr, 0, true, WriteConj},
    {"aten::_conj", Conj, kNoIr, 0, true, WriteConj},
    {"aten::conj_physical", Conj},
    {"aten::_conj_physical", Conj},
    {"aten::resolve_conj", Same},
    {"aten::reciprocal", Reciprocal},
    {"aten::exp", Exp},
    {"aten::log", Log},
    {"aten::sqrt", Sqrt},
    {"aten::pow", Pow},
    {"aten::abs", Abs},
    {"aten::absolute", Abs},
    {"aten::angle", Angle},
    {"aten::sgn", Sgn},
    {"aten::eq", Equal},
    {"aten::ne", Equal, kNoIr, 1},
    {"aten::isnan", IsNan},
    {"aten::isfinite", IsFiniteOp},
    {"aten::isreal", IsReal},
    {"aten::real", PartOp, kNoIr, 0, true, WritePart},
    {"aten::imag", PartOp, kNoIr, 1, true, WritePart},
    {"aten::view_as_real", AsReal, kNoIr, 0, true, WritePairs},
    {"aten::view_as_real_copy", AsReal},
    {"aten::contiguous", Contiguous},
    {"aten::to", To},
    {"aten::_to_copy", To},
    {"aten::zeros", Create},
    {"aten::ones", Create},
    {"aten::full", Create},
    {"aten::empty", Create},
    {"aten::scalar_tensor", Create},
    {"aten::full_like", Create},
    {"aten::new_full", Create},
    {"aten::zeros_like", Create},
    {"aten::ones_like", Create},
    {"aten::empty_like", Create},
    {"aten::new_zeros", Create},
    {"aten::new_ones", Create},
    {"aten::new_empty", Create},
    {"aten::matmul", Bilinear},
    {"aten::mm", Bilinear},
    {"aten::bmm", Bilinear},
    {"aten::mv", Bilinear},
    {"aten::dot", Bilinear},
    {"aten::vdot", Bilinear, kNoIr, 1},
    {"aten::outer", Bilinear},
    {"aten::ger", Bilinear},
    {"aten::inner", Bilinear},
    {"aten::tensordot", Bilinear},
    {"aten::kron", Bilinear},
};

// --- complex tensors of real ones ----------------------------------------------------------------

void AsComplex(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (b.ok() && (x->rank() == 0 || x->shape().back() != ir::Dim(2))) {
    b.Invalid("view_as_complex() needs a last axis of size 2");
  }
  b.ReturnComplex(x);
}

void FromParts(OpBuilder& b) {
  const DType t = b.ResultType({"real", "imag"});
  Value* re = b.Operand("real", t);
  Value* im = b.Operand("imag", t);
  if (!b.ok()) return;
  const ir::Shape shape = b.Broadcast(re->shape(), im->shape());
  ReturnParts(b, {b.Expand(re, shape), b.Expand(im, shape)});
}

void Polar(OpBuilder& b) {
  const DType t = b.ResultType({"abs", "angle"});
  Value* size = b.Operand("abs", t);
  Value* angle = b.Operand("angle", t);
  ReturnParts(b,
              {Mul(b, size, b.Unary(OpId::kCos, angle)), Mul(b, size, b.Unary(OpId::kSin, angle))});
}

// Of a real number: pi where it is negative.
void RealAngle(OpBuilder& b) {
  Value* x = b.Operand("self", b.FloatType({"self"}));
  Value* angle = b.Where(b.Binary(OpId::kLess, x, b.ScalarLike(x, 0)),
                         b.ScalarLike(x, std::numbers::pi), b.ScalarLike(x, 0));
  b.Return(b.Where(b.Unary(OpId::kIsNan, x), x, angle));
}

constexpr Row kFromReal[] = {
    {"aten::view_as_complex", AsComplex, kNoIr, 0, true, WritePairs},
    {"aten::view_as_complex_copy", AsComplex},
    {"aten::complex", FromParts},
    {"aten::polar", Polar},
    {"aten::angle", RealAngle},
    {"aten::resolve_conj", Same},
};

}  // namespace

std::span<const Row> ComplexRows() { return kRows; }
std::span<const Row> ComplexFromRealRows() { return kFromReal; }

}  // namespace floe::aten
