#include <algorithm>
#include <cstdlib>
#include <numeric>

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

// A dimension expression in which the symbols that have one value only are replaced by it.
class Form {
 public:
  Form() = default;
  // False on overflow.
  bool Init(const ProgramView& p, const DimExpr& dim, const Box& box) {
    p_ = &p;
    dim_ = &dim;
    box_ = box;
    constant_ = dim.constant;
    uint64_t content = 0;
    for (const DimTerm& t : Terms(p, dim)) {
      int64_t product;
      if (Varies(t)) {
        content = std::gcd(content, static_cast<uint64_t>(std::abs(t.coefficient)));
        varies_ = true;
      } else if (!CheckedMul(t.coefficient, box.min[t.symbol], &product) ||
                 !CheckedAdd(constant_, product, &constant_)) {
        return false;
      }
    }
    // A dimension's value is not negative, but its constant may be.
    content = std::gcd(content, static_cast<uint64_t>(std::abs(constant_)));
    content_ = static_cast<int64_t>(content);
    return true;
  }

  bool varies() const { return varies_; }
  // The greatest common divisor of all its numbers; the value itself if it does not vary.
  int64_t content() const { return content_; }

  // Orders forms divided by their contents; 0 if equal.
  int ComparePrimitive(const Form& o) const {
    const auto order = [](int64_t a, int64_t b) { return a < b ? -1 : (a > b ? 1 : 0); };
    if (const int c = order(constant_ / content_, o.constant_ / o.content_); c != 0) return c;
    uint32_t i = Next(0);
    uint32_t j = o.Next(0);
    for (; i < dim_->term_count && j < o.dim_->term_count; i = Next(i + 1), j = o.Next(j + 1)) {
      const DimTerm& a = Term(i);
      const DimTerm& b = o.Term(j);
      if (const int c = order(a.symbol, b.symbol); c != 0) return c;
      if (const int c = order(a.coefficient / content_, b.coefficient / o.content_); c != 0) {
        return c;
      }
    }
    return (i < dim_->term_count ? 1 : 0) - (j < o.dim_->term_count ? 1 : 0);
  }

 private:
  bool Varies(const DimTerm& t) const { return box_.min[t.symbol] != box_.max[t.symbol]; }
  const DimTerm& Term(uint32_t i) const { return p_->terms[dim_->first_term + i]; }
  uint32_t Next(uint32_t i) const {
    while (i < dim_->term_count && !Varies(Term(i))) ++i;
    return i;
  }

  const ProgramView* p_ = nullptr;
  const DimExpr* dim_ = nullptr;
  Box box_;
  int64_t constant_ = 0;
  int64_t content_ = 0;
  bool varies_ = false;
};

// An element count as a product of numbers and of primitive affine forms, sorted.
struct Factors {
  uint64_t numbers[kMaxRank];
  int number_count = 0;
  Form forms[kMaxRank];
  int form_count = 0;
  bool zero = false;  // One of the numbers is.
};

bool FactorsOf(const ProgramView& p, uint32_t value, const Box& box, Factors* f) {
  const ValueDef& v = p.values[value];
  for (int a = 0; a < v.rank; ++a) {
    Form form;
    if (!form.Init(p, DimOf(p, v, a), box)) return false;
    f->numbers[f->number_count++] = static_cast<uint64_t>(form.content());
    if (form.content() == 0) f->zero = true;
    if (!form.varies()) continue;
    // Insertion sort: at most 8 of them.
    int at = f->form_count++;
    for (; at > 0 && f->forms[at - 1].ComparePrimitive(form) > 0; --at) {
      f->forms[at] = f->forms[at - 1];
    }
    f->forms[at] = form;
  }
  return true;
}

// Are the products of their numbers (not zero) equal? Cancels common divisors: no overflow.
bool SameNumbers(Factors* a, Factors* b) {
  for (int i = 0; i < a->number_count; ++i) {
    for (int j = 0; j < b->number_count; ++j) {
      const uint64_t g = std::gcd(a->numbers[i], b->numbers[j]);
      a->numbers[i] /= g;
      b->numbers[j] /= g;
    }
  }
  for (const Factors* f : {a, b}) {
    for (int i = 0; i < f->number_count; ++i) {
      if (f->numbers[i] != 1) return false;
    }
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
    if (!DimBounds(p, DimOf(p, v, a), box, &min, &info.dims[a])) {
      return c->Bad(Rule::kDimRange).ForValue(value).ForAxis(a);
    }
  }
  if (c->Passes(TensorBytes(info, bytes))) return true;
  return c->Again().ForValue(value);
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

static bool HasDerived(const ProgramView& p, uint32_t value) {
  const ValueDef& v = p.values[value];
  for (int a = 0; a < v.rank; ++a) {
    for (const DimTerm& t : Terms(p, DimOf(p, v, a))) {
      if (IsDerived(p.symbols[t.symbol])) return true;
    }
  }
  return false;
}

bool SameCount(const ProgramView& p, uint32_t a, uint32_t b, const Box& box) {
  if (HasDerived(p, a) || HasDerived(p, b)) return true;
  Factors x;
  Factors y;
  if (!FactorsOf(p, a, box, &x) || !FactorsOf(p, b, box, &y)) return false;
  if (x.zero || y.zero) return x.zero && y.zero;
  if (x.form_count != y.form_count || !SameNumbers(&x, &y)) return false;
  for (int i = 0; i < x.form_count; ++i) {
    if (x.forms[i].ComparePrimitive(y.forms[i]) != 0) return false;
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
