#include "compiler/import/aten/complex.h"

#include "compiler/import/aten/promotion.h"

namespace floe::aten {

using ir::Value;

bool IsComplex(const IValue& v) { return v.is_tensor() && v.variable()->form == Form::kComplex; }

Value* Part(OpBuilder& b, Value* pairs, int64_t which) {
  if (!b.ok()) return pairs;
  const int64_t last = b.Rank(pairs) - 1;
  Value* part = b.SliceAxis(pairs, last, which, 1);
  return b.ok() ? b.Squeeze(part, last) : pairs;
}

Value* ZeroLike(OpBuilder& b, const Value* x) { return b.Full(x->dtype(), x->shape(), 0); }

Value* Join(OpBuilder& b, const Complex& z) {
  Value* im = z.im == nullptr ? ZeroLike(b, z.re) : z.im;
  if (!b.ok()) return z.re;
  const int64_t rank = b.Rank(z.re);
  return b.Concat({b.Unsqueeze(z.re, rank), b.Unsqueeze(im, rank)}, rank);
}

void Give(OpBuilder& b, const Complex& z) {
  if (b.ok()) b.ReturnComplex(Join(b, z));
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
    return {Part(b, pairs, 0), Part(b, pairs, 1)};
  }
  return {b.Operand(name, t), nullptr};
}

Complex PartsOf(OpBuilder& b, const char* name) { return PartsOf(b, name, PartType(b, {name})); }

Value* WritePairs(OpBuilder&, Value*, Value* view) { return view; }

}  // namespace floe::aten
