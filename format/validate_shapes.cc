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
  return p.dims[p.value_dims[v.first_dim + static_cast<uint32_t>(axis)]];
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
};

bool FactorsOf(const ProgramView& p, uint32_t value, const Box& box, Factors* f) {
  const ValueDef& v = p.values[value];
  for (int a = 0; a < v.rank; ++a) {
    Form form;
    if (!form.Init(p, DimOf(p, v, a), box)) return false;
    f->numbers[f->number_count++] = static_cast<uint64_t>(form.content());
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

// Equality of two products of numbers, by cancelling common divisors: no overflow.
bool SameProduct(const Factors& a, const Factors& b) {
  uint64_t x[kMaxRank];
  uint64_t y[kMaxRank];
  std::copy_n(a.numbers, a.number_count, x);
  std::copy_n(b.numbers, b.number_count, y);
  const auto has_zero = [](const uint64_t* n, int count) {
    return std::find(n, n + count, uint64_t{0}) != n + count;
  };
  const bool zero_a = has_zero(x, a.number_count);
  const bool zero_b = has_zero(y, b.number_count);
  if (zero_a || zero_b) return zero_a && zero_b;
  for (int i = 0; i < a.number_count; ++i) {
    for (int j = 0; j < b.number_count; ++j) {
      const uint64_t g = std::gcd(x[i], y[j]);
      x[i] /= g;
      y[j] /= g;
    }
  }
  const auto all_one = [](const uint64_t* n, int count) {
    return std::all_of(n, n + count, [](uint64_t v) { return v == 1; });
  };
  return all_one(x, a.number_count) && all_one(y, b.number_count);
}

bool HasZero(const Factors& f) {
  return std::find(f.numbers, f.numbers + f.number_count, uint64_t{0}) !=
         f.numbers + f.number_count;
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

Status UpperBytes(const ProgramView& p, uint32_t value, const Box& box, int64_t* bytes) {
  const ValueDef& v = p.values[value];
  TensorInfo info;
  info.dtype = static_cast<DType>(v.dtype);
  info.layout = static_cast<LayoutId>(v.layout);
  info.rank = v.rank;
  info.halo = {v.halo_top, v.halo_bottom, v.halo_gap};
  info.groups = v.groups;
  for (int a = 0; a < v.rank; ++a) {
    int64_t min;
    if (!DimBounds(p, DimOf(p, v, a), box, &min, &info.dims[a])) {
      return Bad(Rule::kDimRange).ForValue(value).ForOperand(kNoIndex, a);
    }
  }
  if (Status s = TensorBytes(info, bytes); !s.ok()) return s.ForValue(value);
  return OkStatus();
}

bool SameDim(const ProgramView& p, uint32_t a, uint32_t b) {
  if (a == b) return true;
  const DimExpr& x = p.dims[a];
  const DimExpr& y = p.dims[b];
  return x.constant == y.constant &&
         std::ranges::equal(Terms(p, x), Terms(p, y), [](const DimTerm& s, const DimTerm& t) {
           return s.symbol == t.symbol && s.coefficient == t.coefficient;
         });
}

bool SameType(const ProgramView& p, uint32_t a, uint32_t b) {
  const ValueDef& x = p.values[a];
  const ValueDef& y = p.values[b];
  if (x.dtype != y.dtype || x.layout != y.layout || x.rank != y.rank || x.groups != y.groups ||
      x.halo_top != y.halo_top || x.halo_bottom != y.halo_bottom || x.halo_gap != y.halo_gap) {
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
  Factors x;
  Factors y;
  if (!FactorsOf(p, a, box, &x) || !FactorsOf(p, b, box, &y) || !SameProduct(x, y)) return false;
  if (HasZero(x)) return true;
  if (x.form_count != y.form_count) return false;
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
