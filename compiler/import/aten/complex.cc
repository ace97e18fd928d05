#include "compiler/import/aten/complex.h"

#include "compiler/import/aten/promotion.h"

namespace floe::aten {

using ir::Value;

bool IsComplex(const IValue& v) { return v.is_tensor() && v.variable()->form == Form::kComplex; }

Value* ComplexPart(OpBuilder& b, Value* pairs, int64_t which) {
  if (!b.ok()) return pairs;
  const int64_t last = b.Rank(pairs) - 1;
  Value* part = b.SliceAxis(pairs, last, which, 1);
  return b.ok() ? b.Squeeze(part, last) : pairs;
}

Value* ZeroLike(OpBuilder& b, const Value* x) { return b.Full(x->dtype(), x->shape(), 0); }

Value* JoinParts(OpBuilder& b, const Complex& z) {
  Value* im = z.im == nullptr ? ZeroLike(b, z.re) : z.im;
  if (!b.ok()) return z.re;
  const int64_t rank = b.Rank(z.re);
  return b.Concat({b.Unsqueeze(z.re, rank), b.Unsqueeze(im, rank)}, rank);
}

void ReturnParts(OpBuilder& b, const Complex& z) {
  if (b.ok()) b.ReturnComplex(JoinParts(b, z));
}

DType PartType(OpBuilder& b, std::initializer_list<const char*> names) {
  ResultTypeState state;
  for (const char* name : names) {
    const IValue& v = b.Arg(name);
    if (v.is_number()) state.AddNumber(v.kind());
    if (!v.is_tensor()) continue;
    if (v.variable()->is_number) {
      state.AddNumber(Kind::kFloat);
      continue;
    }
    const Value* t = b.AsTensor(v);
    if (!b.ok()) return DType::kF32;
    state.AddTensor(t->dtype(), t->rank() - (IsComplex(v) ? 1 : 0));
  }
  const DType t = state.Result();
  return IsFloat(t) ? t : DType::kF32;
}

Complex PartsOf(OpBuilder& b, const char* name, DType t) {
  const IValue& v = b.Arg(name);
  if (IsComplex(v)) {
    Value* pairs = b.Cast(b.AsTensor(v), t);
    return {ComplexPart(b, pairs, 0), ComplexPart(b, pairs, 1)};
  }
  return {b.Operand(name, t), nullptr};
}

Complex PartsOf(OpBuilder& b, const char* name) { return PartsOf(b, name, PartType(b, {name})); }

Complex Product(OpBuilder& b, const Complex& x, const Complex& y) {
  if (x.im == nullptr && y.im == nullptr) return {b.Binary(OpId::kMul, x.re, y.re), nullptr};
  if (y.im == nullptr) return {b.Binary(OpId::kMul, x.re, y.re), b.Binary(OpId::kMul, x.im, y.re)};
  if (x.im == nullptr) return {b.Binary(OpId::kMul, x.re, y.re), b.Binary(OpId::kMul, x.re, y.im)};
  return {b.Binary(OpId::kSub, b.Binary(OpId::kMul, x.re, y.re), b.Binary(OpId::kMul, x.im, y.im)),
          b.Binary(OpId::kAdd, b.Binary(OpId::kMul, x.re, y.im), b.Binary(OpId::kMul, x.im, y.re))};
}

Complex Quotient(OpBuilder& b, const Complex& x, const Complex& y) {
  const auto over = [&](Value* v, Value* d) { return b.Binary(OpId::kDiv, v, d); };
  if (y.im == nullptr) return {over(x.re, y.re), x.im == nullptr ? nullptr : over(x.im, y.re)};
  Value* size =
      b.Binary(OpId::kAdd, b.Binary(OpId::kMul, y.re, y.re), b.Binary(OpId::kMul, y.im, y.im));
  const Complex z = Product(b, x, {y.re, b.Unary(OpId::kNeg, y.im)});
  return {over(z.re, size), over(z.im, size)};
}

Value* Magnitude(OpBuilder& b, const Complex& z) { return b.Binary(OpId::kHypot, z.re, z.im); }

Complex Exponential(OpBuilder& b, const Complex& z) {
  Value* size = b.Unary(OpId::kExp, z.re);
  return {b.Binary(OpId::kMul, size, b.Unary(OpId::kCos, z.im)),
          b.Binary(OpId::kMul, size, b.Unary(OpId::kSin, z.im))};
}

Complex Logarithm(OpBuilder& b, const Complex& z) {
  return {b.Unary(OpId::kLog, Magnitude(b, z)), b.Binary(OpId::kAtan2, z.im, z.re)};
}

Value* WritePairs(OpBuilder&, Value*, Value* view) { return view; }

}  // namespace floe::aten
