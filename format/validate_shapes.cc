#include <utility>

#include "format/checked.h"
#include "format/validate.h"

namespace floe::validate {
namespace {

std::span<const DimTerm> Terms(const ProgramView& p, const DimExpr& dim) {
  return p.terms.subspan(dim.first_term, dim.term_count);
}
const DimExpr& DimOf(const ProgramView& p, const ValueDef& v, int axis) {
  return p.DimOf(v, static_cast<uint32_t>(axis));
}

// The element count at the symbols' values, modulo 2^64. False where there is no such shape.
bool CountAt(const ProgramView& p, uint32_t value, const int64_t* symbols, uint64_t* count) {
  const ValueDef& v = p.values[value];
  *count = 1;
  for (int a = 0; a < v.rank; ++a) {
    int64_t dim;
    if (!EvalDim(p, DimOf(p, v, a), symbols, &dim)) return false;
    *count *= static_cast<uint64_t>(dim);
  }
  return true;
}

}  // namespace

bool DimBounds(const ProgramView& p, const DimExpr& dim, const Box& box, int64_t* min,
               int64_t* max) {
  *min = *max = dim.constant;
  for (const DimTerm& t : Terms(p, dim)) {
    int64_t low, high;
    if (!CheckedMul(t.coefficient, box.min[t.symbol], &low) ||
        !CheckedMul(t.coefficient, box.max[t.symbol], &high)) {
      return false;
    }
    if (t.coefficient < 0) std::swap(low, high);
    if (!CheckedAdd(*min, low, min) || !CheckedAdd(*max, high, max)) return false;
  }
  return true;
}

bool UpperBytes(Context* c, uint32_t value, const Box& box, int64_t* bytes) {
  const ProgramView& p = c->p;
  const ValueDef& v = p.values[value];
  TensorInfo info = TypeOf(v);
  for (int a = 0; a < v.rank; ++a) {
    int64_t min;
    if (!DimBounds(p, DimOf(p, v, a), box, &min, &info.dims[a]) || min < 0) {
      return c->Bad(Rule::kDimRange).ForValue(value).ForAxis(a);
    }
  }
  if (c->Passes(TensorBytes(info, bytes))) return true;
  return c->Again().ForValue(value);
}

uint64_t SourcesOf(const Context& c, const DimExpr& dim) {
  uint64_t mask = 0;
  for (const DimTerm& t : Terms(c.p, dim)) mask |= c.sources[t.symbol];
  return mask;
}

bool SameDim(const ProgramView& p, uint32_t a, uint32_t b) {
  const DimExpr& x = p.dims[a];
  const DimExpr& y = p.dims[b];
  if (x.constant != y.constant || x.term_count != y.term_count) return false;
  for (uint32_t i = 0; i < x.term_count; ++i) {
    const DimTerm& s = p.terms[x.first_term + i];
    const DimTerm& t = p.terms[y.first_term + i];
    if (s.symbol != t.symbol || s.coefficient != t.coefficient) return false;
  }
  return true;
}

bool SameType(const ProgramView& p, uint32_t a, uint32_t b) {
  const ValueDef& x = p.values[a];
  const ValueDef& y = p.values[b];
  if (x.dtype != y.dtype || x.layout != y.layout || x.rank != y.rank || x.groups != y.groups ||
      x.halo_top != y.halo_top || x.halo_bottom != y.halo_bottom || x.halo_gap != y.halo_gap ||
      x.halo_fill != y.halo_fill) {
    return false;
  }
  for (uint32_t axis = 0; axis < x.rank; ++axis) {
    if (!SameDim(p, p.value_dims[x.first_dim + axis], p.value_dims[y.first_dim + axis])) {
      return false;
    }
  }
  return true;
}

bool SameCount(const ProgramView& p, uint32_t a, uint32_t b, const Box& box) {
  constexpr int kPoints = 8;
  uint64_t random = 0;
  for (int point = 0; point < kPoints; ++point) {
    int64_t at[kMaxSymbols];
    bool exists = true;
    for (size_t s = 0; s < p.symbols.size(); ++s) {
      random = random * 0x5851f42d4c957f2d + 0x14057b7ef767814f;
      const auto choices = static_cast<uint64_t>(box.max[s] - box.min[s]) + 1;
      at[s] = point == 0 ? box.max[s] : box.min[s] + static_cast<int64_t>((random >> 20) % choices);
      at[s] -= at[s] % p.symbols[s].multiple;
      if (IsDerived(p.symbols[s])) exists &= EvalDerived(p, p.symbols[s], at, &at[s]);
    }
    uint64_t x;
    uint64_t y;
    exists = exists && CountAt(p, a, at, &x) && CountAt(p, b, at, &y);
    if (exists && x != y) return false;
  }
  return true;
}

bool IsFixed(const ProgramView& p, uint32_t value) {
  const ValueDef& v = p.values[value];
  for (int a = 0; a < v.rank; ++a) {
    if (DimOf(p, v, a).term_count != 0) return false;
  }
  return true;
}

bool IsScalar(const ProgramView& p, uint32_t value) {
  const ValueDef& v = p.values[value];
  for (int a = 0; a < v.rank; ++a) {
    const DimExpr& dim = DimOf(p, v, a);
    if (dim.term_count != 0 || dim.constant != 1) return false;
  }
  return true;
}

}  // namespace floe::validate
