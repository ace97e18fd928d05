#include "compiler/ir/dim.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "format/checked.h"

namespace floe::ir {
namespace {

constexpr int64_t kMin64 = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax64 = std::numeric_limits<int64_t>::max();
// Sizes of real models are far below these; hostile ones end here.
constexpr size_t kMaxTerms = 64;
constexpr size_t kMaxDegree = 8;
// Bounds look at a function's operands several times on each level.
constexpr int kMaxDepth = 8;
constexpr int kMaxFunctions = 256;
constexpr size_t kMaxCornerAtoms = 6;

int64_t Saturate(__int128 v) {
  if (v < kMin64) return kMin64;
  if (v > kMax64) return kMax64;
  return static_cast<int64_t>(v);
}

// Sums and products of clamped numbers stay far inside of 128 bits.
constexpr __int128 kWide = static_cast<__int128>(1) << 100;
__int128 ClampWide(__int128 v) { return std::clamp<__int128>(v, -kWide, kWide); }
__int128 MulWide(__int128 a, __int128 b) {
  __int128 r;
  if (__builtin_mul_overflow(a, b, &r)) return (a < 0) == (b < 0) ? kWide : -kWide;
  return ClampWide(r);
}

int64_t FloorQuotient(int64_t a, int64_t d) {
  const int64_t q = a / d;
  return a % d < 0 ? q - 1 : q;
}
__int128 FloorQuotientWide(__int128 a, __int128 d) { return a / d - (a % d < 0 ? 1 : 0); }

int Order(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

int CompareAtoms(const DimAtom& a, const DimAtom& b) {
  if (a.function == b.function) return a.function == nullptr ? Order(a.symbol, b.symbol) : 0;
  if (a.function == nullptr || b.function == nullptr) return a.function == nullptr ? -1 : 1;
  if (a.function->kind != b.function->kind) return a.function->kind < b.function->kind ? -1 : 1;
  const int first = Dim::Compare(a.function->a, b.function->a);
  return first != 0 ? first : Dim::Compare(a.function->b, b.function->b);
}

// By degree, the highest first, then by factors: graded lexicographic, which division relies on.
int CompareFactors(const std::vector<DimAtom>& a, const std::vector<DimAtom>& b) {
  if (a.size() != b.size()) return a.size() > b.size() ? -1 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    if (const int c = CompareAtoms(a[i], b[i]); c != 0) return c;
  }
  return 0;
}

bool AtomLess(const DimAtom& a, const DimAtom& b) { return CompareAtoms(a, b) < 0; }

std::vector<DimAtom> Merge(const std::vector<DimAtom>& a, const std::vector<DimAtom>& b) {
  std::vector<DimAtom> r;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(r), AtomLess);
  return r;
}

// The factors of a without those of b. Absent if b has one that a lacks.
std::optional<std::vector<DimAtom>> Without(const std::vector<DimAtom>& a,
                                            const std::vector<DimAtom>& b) {
  std::vector<DimAtom> r;
  size_t j = 0;
  for (const DimAtom& atom : a) {
    if (j < b.size() && CompareAtoms(atom, b[j]) == 0) {
      ++j;
    } else {
      r.push_back(atom);
    }
  }
  if (j != b.size()) return std::nullopt;
  return r;
}

// Functions in it, those of their operands too.
int FunctionsOf(const Dim& d) {
  int count = 0;
  for (const DimTerm& t : d.terms()) {
    for (const DimAtom& f : t.factors) {
      if (f.function != nullptr) count = std::min(count + f.function->functions, kMaxFunctions);
    }
  }
  return count;
}

int DepthOf(const Dim& d) {
  int depth = 0;
  for (const DimTerm& t : d.terms()) {
    for (const DimAtom& f : t.factors) {
      if (f.function != nullptr) depth = std::max(depth, f.function->depth);
    }
  }
  return depth;
}

}  // namespace

Dim Dim::OfSymbol(SymbolId symbol) {
  Dim d;
  d.terms_.push_back({{{symbol, nullptr}}, 1});
  return d;
}

bool Dim::is_affine() const {
  return std::all_of(terms_.begin(), terms_.end(),
                     [](const DimTerm& t) { return t.symbol() != nullptr; });
}

void Dim::AppendSymbols(std::vector<SymbolId>* symbols) const {
  for (const DimTerm& t : terms_) {
    for (const DimAtom& f : t.factors) {
      if (f.function == nullptr) {
        symbols->push_back(f.symbol);
      } else {
        f.function->a.AppendSymbols(symbols);
        f.function->b.AppendSymbols(symbols);
      }
    }
  }
}

bool Dim::Uses(SymbolId symbol) const {
  std::vector<SymbolId> all;
  AppendSymbols(&all);
  return std::find(all.begin(), all.end(), symbol) != all.end();
}

int Dim::Compare(const Dim& a, const Dim& b) {
  if (const int c = Order(a.constant_, b.constant_); c != 0) return c;
  if (a.terms_.size() != b.terms_.size()) return a.terms_.size() < b.terms_.size() ? -1 : 1;
  for (size_t i = 0; i < a.terms_.size(); ++i) {
    const DimTerm& s = a.terms_[i];
    const DimTerm& t = b.terms_[i];
    if (const int c = Order(s.coefficient, t.coefficient); c != 0) return c;
    if (const int c = CompareFactors(s.factors, t.factors); c != 0) return c;
  }
  return 0;
}

std::optional<Dim> Dim::Add(const Dim& a, const Dim& b) {
  Dim r;
  if (!CheckedAdd(a.constant_, b.constant_, &r.constant_)) return std::nullopt;
  size_t i = 0, j = 0;
  while (i < a.terms_.size() || j < b.terms_.size()) {
    const int order = j == b.terms_.size() ? -1
                      : i == a.terms_.size()
                          ? 1
                          : CompareFactors(a.terms_[i].factors, b.terms_[j].factors);
    if (order < 0) {
      r.terms_.push_back(a.terms_[i++]);
    } else if (order > 0) {
      r.terms_.push_back(b.terms_[j++]);
    } else {
      int64_t sum;
      if (!CheckedAdd(a.terms_[i].coefficient, b.terms_[j].coefficient, &sum)) return std::nullopt;
      if (sum != 0) r.terms_.push_back({a.terms_[i].factors, sum});
      ++i;
      ++j;
    }
  }
  if (r.terms_.size() > kMaxTerms) return std::nullopt;
  return r;
}

std::optional<Dim> Dim::Sub(const Dim& a, const Dim& b) {
  std::optional<Dim> negative = Mul(b, Dim(-1));
  if (!negative) return std::nullopt;
  return Add(a, *negative);
}

std::optional<Dim> Dim::Mul(const Dim& a, const Dim& b) {
  Dim sum;
  // One row of the product for each summand of a; multiplying keeps a row's order.
  for (size_t i = 0; i <= a.terms_.size(); ++i) {
    const bool last = i == a.terms_.size();
    const int64_t factor = last ? a.constant_ : a.terms_[i].coefficient;
    if (factor == 0) continue;
    const std::vector<DimAtom> atoms = last ? std::vector<DimAtom>() : a.terms_[i].factors;
    Dim row;
    for (size_t j = 0; j <= b.terms_.size(); ++j) {
      const bool end = j == b.terms_.size();
      int64_t product;
      if (!CheckedMul(factor, end ? b.constant_ : b.terms_[j].coefficient, &product)) {
        return std::nullopt;
      }
      if (product == 0) continue;
      std::vector<DimAtom> factors = end ? atoms : Merge(atoms, b.terms_[j].factors);
      if (factors.size() > kMaxDegree) return std::nullopt;
      if (factors.empty()) {
        row.constant_ = product;
      } else {
        row.terms_.push_back({std::move(factors), product});
      }
    }
    std::optional<Dim> next = Add(sum, row);
    if (!next) return std::nullopt;
    sum = *std::move(next);
  }
  return sum;
}

std::optional<Dim> Dim::DivExact(const Dim& a, const Dim& b) {
  if (b == Dim(0)) return std::nullopt;
  // Division of polynomials by their leading terms; a constant is the term without factors.
  const auto leading = [](const Dim& d) {
    return d.terms_.empty() ? DimTerm{{}, d.constant_} : d.terms_[0];
  };
  const DimTerm divisor = leading(b);
  Dim rest = a, quotient;
  for (size_t step = 0; rest != Dim(0); ++step) {
    if (step > kMaxTerms) return std::nullopt;
    const DimTerm top = leading(rest);
    std::optional<std::vector<DimAtom>> factors = Without(top.factors, divisor.factors);
    if (!factors || (divisor.coefficient == -1 && top.coefficient == kMin64) ||
        top.coefficient % divisor.coefficient != 0) {
      return std::nullopt;
    }
    const int64_t coefficient = top.coefficient / divisor.coefficient;
    Dim part;
    if (factors->empty()) {
      part.constant_ = coefficient;
    } else {
      part.terms_.push_back({*std::move(factors), coefficient});
    }
    const std::optional<Dim> product = Mul(part, b);
    std::optional<Dim> next = product ? Sub(rest, *product) : std::nullopt;
    std::optional<Dim> sum = Add(quotient, part);
    if (!next || !sum) return std::nullopt;
    rest = *std::move(next);
    quotient = *std::move(sum);
  }
  return quotient;
}

std::optional<Dim> Dim::Function(DimFunction function) {
  function.depth = 1 + std::max(DepthOf(function.a), DepthOf(function.b));
  function.functions = 1 + FunctionsOf(function.a) + FunctionsOf(function.b);
  if (function.depth > kMaxDepth || function.functions > kMaxFunctions) return std::nullopt;
  Dim d;
  d.terms_.push_back({{{0, std::make_shared<const DimFunction>(std::move(function))}}, 1});
  return d;
}

// whole + floor(rest / divisor), where rest's numbers lie in [0, divisor) and have no common
// divisor with it; a floor of a floor is one floor.
std::optional<Dim> Dim::DivFloor(const Dim& a, int64_t divisor) {
  if (divisor <= 0) return std::nullopt;
  Dim whole(FloorQuotient(a.constant_, divisor));
  Dim rest(a.constant_ - whole.constant_ * divisor);
  int64_t common = divisor;
  for (const DimTerm& t : a.terms_) {
    const int64_t quotient = FloorQuotient(t.coefficient, divisor);
    const int64_t left = t.coefficient - quotient * divisor;
    if (quotient != 0) whole.terms_.push_back({t.factors, quotient});
    if (left != 0) rest.terms_.push_back({t.factors, left});
    common = std::gcd(common, left);
  }
  if (rest.terms_.empty()) return whole;
  divisor /= common;
  rest.constant_ /= common;
  for (DimTerm& t : rest.terms_) t.coefficient /= common;
  if (rest.terms_.size() == 1 && rest.terms_[0].coefficient == 1 &&
      rest.terms_[0].factors.size() == 1) {
    const DimFunction* inner = rest.terms_[0].factors[0].function.get();
    int64_t product, shift;
    if (inner != nullptr && inner->kind == DimFunction::Kind::kFloorDiv &&
        CheckedMul(inner->b.constant_, divisor, &product) &&
        CheckedMul(rest.constant_, inner->b.constant_, &shift)) {
      const std::optional<Dim> inside = Add(inner->a, shift);
      const std::optional<Dim> once = inside ? DivFloor(*inside, product) : std::nullopt;
      return once ? Add(whole, *once) : std::nullopt;
    }
  }
  const std::optional<Dim> floor =
      Function({DimFunction::Kind::kFloorDiv, std::move(rest), Dim(divisor)});
  return floor ? Add(whole, *floor) : std::nullopt;
}

std::optional<Dim> Dim::Larger(const Dim& a, const Dim& b) {
  const int order = Compare(a, b);
  if (order == 0) return a;
  if (a.is_constant() && b.is_constant()) return Dim(std::max(a.constant_, b.constant_));
  return Function({DimFunction::Kind::kMax, order < 0 ? a : b, order < 0 ? b : a});
}

std::optional<Dim> Dim::Smaller(const Dim& a, const Dim& b) {
  const int order = Compare(a, b);
  if (order == 0) return a;
  if (a.is_constant() && b.is_constant()) return Dim(std::min(a.constant_, b.constant_));
  return Function({DimFunction::Kind::kMin, order < 0 ? a : b, order < 0 ? b : a});
}

namespace {

using Interval = std::pair<__int128, __int128>;

// What one call of Min or Max has found already, the calls inside of it included: each level of
// functions looks at the one below several times.
using Intervals = std::map<const DimFunction*, Interval>;
thread_local Intervals* known_intervals = nullptr;  // Of the outermost call.

class OutermostCall {
 public:
  OutermostCall() : is_outermost_(known_intervals == nullptr) {
    if (is_outermost_) known_intervals = &intervals_;
  }
  OutermostCall(const OutermostCall&) = delete;
  OutermostCall& operator=(const OutermostCall&) = delete;
  ~OutermostCall() {
    if (is_outermost_) known_intervals = nullptr;
  }

 private:
  const bool is_outermost_;
  Intervals intervals_;
};

Interval IntervalOfFunction(const DimFunction& f, const std::vector<Symbol>& symbols) {
  const int64_t low = f.a.Min(symbols), high = f.a.Max(symbols);
  switch (f.kind) {
    case DimFunction::Kind::kFloorDiv:
      return {FloorQuotient(low, f.b.constant()), FloorQuotient(high, f.b.constant())};
    case DimFunction::Kind::kMax:
      return {std::max(low, f.b.Min(symbols)), std::max(high, f.b.Max(symbols))};
    default:
      return {std::min(low, f.b.Min(symbols)), std::min(high, f.b.Max(symbols))};
  }
}

Interval IntervalOf(const DimAtom& atom, const std::vector<Symbol>& symbols) {
  if (atom.function == nullptr) return {symbols[atom.symbol].min, symbols[atom.symbol].max};
  const auto known = known_intervals->find(atom.function.get());
  if (known != known_intervals->end()) return known->second;
  const Interval interval = IntervalOfFunction(*atom.function, symbols);
  known_intervals->emplace(atom.function.get(), interval);
  return interval;
}

Interval Times(const Interval& a, const Interval& b) {
  const __int128 p[] = {MulWide(a.first, b.first), MulWide(a.first, b.second),
                        MulWide(a.second, b.first), MulWide(a.second, b.second)};
  return {*std::min_element(p, p + 4), *std::max_element(p, p + 4)};
}

// The atoms of a sum of products of different atoms: each one to the first power only. Empty
// otherwise, and where there are too many.
std::vector<DimAtom> MultilinearAtoms(const Dim& d) {
  std::vector<DimAtom> atoms;
  for (const DimTerm& t : d.terms()) {
    for (size_t i = 0; i < t.factors.size(); ++i) {
      if (i > 0 && CompareAtoms(t.factors[i - 1], t.factors[i]) == 0) return {};
      const auto it = std::lower_bound(atoms.begin(), atoms.end(), t.factors[i], AtomLess);
      if (it != atoms.end() && CompareAtoms(*it, t.factors[i]) == 0) continue;
      atoms.insert(it, t.factors[i]);
      if (atoms.size() > kMaxCornerAtoms) return {};
    }
  }
  return atoms;
}

}  // namespace

// Where every atom varies on its own, a multilinear sum is least and greatest at corners.
std::pair<__int128, __int128> Dim::Range(const std::vector<Symbol>& symbols) const {
  Interval sum = {constant_, constant_};
  bool products = false;
  for (const DimTerm& t : terms_) {
    Interval product = {1, 1};
    for (const DimAtom& f : t.factors) product = Times(product, IntervalOf(f, symbols));
    product = Times(product, {t.coefficient, t.coefficient});
    sum = {ClampWide(sum.first + product.first), ClampWide(sum.second + product.second)};
    products = products || t.factors.size() > 1;
  }
  const std::vector<DimAtom> atoms = products ? MultilinearAtoms(*this) : std::vector<DimAtom>();
  if (atoms.empty()) return sum;
  std::vector<Interval> ranges;
  for (const DimAtom& a : atoms) ranges.push_back(IntervalOf(a, symbols));
  Interval best = {kWide, -kWide};
  for (uint32_t corner = 0; corner < 1u << atoms.size(); ++corner) {
    __int128 v = constant_;
    for (const DimTerm& t : terms_) {
      __int128 product = t.coefficient;
      for (const DimAtom& f : t.factors) {
        const auto at = std::lower_bound(atoms.begin(), atoms.end(), f, AtomLess) - atoms.begin();
        const Interval& r = ranges[static_cast<size_t>(at)];
        product = MulWide(product, (corner >> at & 1) != 0 ? r.second : r.first);
      }
      v = ClampWide(v + product);
    }
    best = {std::min(best.first, v), std::max(best.second, v)};
  }
  return best;
}

// A bound that sees how floors go with what else is there, as in T - floor(T / 2): a floor that
// stands alone in its term lies between (x - d + 1) / d and x / d. Absent if there is none.
std::optional<__int128> Dim::RelaxedBound(const std::vector<Symbol>& symbols, bool upper) const {
  const auto floor_of = [](const DimTerm& t) -> const DimFunction* {
    if (t.factors.size() != 1 || t.factors[0].function == nullptr) return nullptr;
    const DimFunction* f = t.factors[0].function.get();
    return f->kind == DimFunction::Kind::kFloorDiv ? f : nullptr;
  };
  int64_t scale = 1;
  for (const DimTerm& t : terms_) {
    const DimFunction* f = floor_of(t);
    if (f == nullptr) continue;
    const int64_t d = f->b.constant();
    if (!CheckedMul(scale, d / std::gcd(scale, d), &scale)) return std::nullopt;
  }
  if (scale == 1 || terms_.size() < 2) return std::nullopt;
  std::optional<Dim> sum = Mul(Dim(constant_), Dim(scale));
  for (const DimTerm& t : terms_) {
    Dim part;
    int64_t factor = scale;
    if (const DimFunction* f = floor_of(t); f == nullptr) {
      part.terms_.push_back({t.factors, t.coefficient});
    } else {
      const bool low = (t.coefficient > 0) != upper;
      const std::optional<Dim> inside = Add(f->a, low ? 1 - f->b.constant() : 0);
      const std::optional<Dim> all = inside ? Mul(*inside, t.coefficient) : std::nullopt;
      if (!all) return std::nullopt;
      part = *all;
      factor = scale / f->b.constant();
    }
    const std::optional<Dim> scaled = Mul(part, factor);
    sum = sum && scaled ? Add(*sum, *scaled) : std::nullopt;
    if (!sum) return std::nullopt;
  }
  const int64_t bound = upper ? sum->Max(symbols) : sum->Min(symbols);
  return upper ? FloorQuotientWide(bound, scale) : -FloorQuotientWide(-__int128{bound}, scale);
}

// T - min(T, 8) is the greater one of T - T and T - 8: a maximum or minimum that stands alone in
// its term gives way to its two sides.
std::optional<__int128> Dim::ChoiceBound(const std::vector<Symbol>& symbols, bool upper) const {
  constexpr int kMaxChoices = 3;
  if (terms_.size() < 2 && constant_ == 0) return std::nullopt;
  const DimTerm* chosen = nullptr;
  int choices = 0;
  for (const DimTerm& t : terms_) {
    const DimFunction* f = t.factors.size() == 1 ? t.factors[0].function.get() : nullptr;
    if (f == nullptr || f->kind == DimFunction::Kind::kFloorDiv) continue;
    chosen = &t;
    ++choices;
  }
  if (choices == 0 || choices > kMaxChoices) return std::nullopt;
  Dim alone;
  alone.terms_.push_back(*chosen);
  const std::optional<Dim> others = Sub(*this, alone);
  const DimFunction* f = chosen->factors[0].function.get();
  const bool greater = (f->kind == DimFunction::Kind::kMax) == (chosen->coefficient > 0);
  std::optional<__int128> best;
  for (const Dim* side : {&f->a, &f->b}) {
    const std::optional<Dim> part = Mul(*side, chosen->coefficient);
    const std::optional<Dim> sum = others && part ? Add(*others, *part) : std::nullopt;
    if (!sum) return std::nullopt;
    const __int128 bound = upper ? sum->Max(symbols) : sum->Min(symbols);
    if (!best || (greater ? bound > *best : bound < *best)) best = bound;
  }
  return best;
}

int64_t Dim::Min(const std::vector<Symbol>& symbols) const {
  const OutermostCall call;
  __int128 bound = Range(symbols).first;
  for (const auto& other : {RelaxedBound(symbols, false), ChoiceBound(symbols, false)}) {
    if (other) bound = std::max(bound, *other);
  }
  return Saturate(bound);
}

int64_t Dim::Max(const std::vector<Symbol>& symbols) const {
  const OutermostCall call;
  __int128 bound = Range(symbols).second;
  for (const auto& other : {RelaxedBound(symbols, true), ChoiceBound(symbols, true)}) {
    if (other) bound = std::min(bound, *other);
  }
  return Saturate(bound);
}

int64_t Dim::Eval(const std::vector<int64_t>& symbol_values) const {
  __int128 v = constant_;
  for (const DimTerm& t : terms_) {
    __int128 product = t.coefficient;
    for (const DimAtom& atom : t.factors) {
      int64_t factor;
      if (const DimFunction* f = atom.function.get(); f == nullptr) {
        factor = symbol_values[atom.symbol];
      } else {
        const int64_t a = f->a.Eval(symbol_values), b = f->b.Eval(symbol_values);
        factor = f->kind == DimFunction::Kind::kFloorDiv ? FloorQuotient(a, b)
                 : f->kind == DimFunction::Kind::kMax    ? std::max(a, b)
                                                         : std::min(a, b);
      }
      product = MulWide(product, factor);
    }
    v = ClampWide(v + product);
  }
  return Saturate(v);
}

namespace {

std::string AtomText(const DimAtom& atom, const std::vector<Symbol>& symbols) {
  if (atom.function == nullptr) {
    return atom.symbol < symbols.size() ? symbols[atom.symbol].name
                                        : "?" + std::to_string(atom.symbol);
  }
  const DimFunction& f = *atom.function;
  const std::string a = f.a.ToString(symbols), b = f.b.ToString(symbols);
  if (f.kind == DimFunction::Kind::kFloorDiv) return "floor((" + a + ")/" + b + ")";
  return (f.kind == DimFunction::Kind::kMax ? "max(" : "min(") + a + "," + b + ")";
}

}  // namespace

std::string Dim::ToString(const std::vector<Symbol>& symbols) const {
  if (terms_.empty()) return std::to_string(constant_);
  std::string text;
  for (const DimTerm& t : terms_) {
    if (t.coefficient < 0) text += '-';
    if (t.coefficient > 0 && !text.empty()) text += '+';
    if (t.coefficient != 1 && t.coefficient != -1) {
      const std::string number = std::to_string(t.coefficient);
      text += t.coefficient < 0 ? number.substr(1) : number;
      text += '*';
    }
    for (size_t i = 0; i < t.factors.size(); ++i) {
      if (i > 0) text += '*';
      text += AtomText(t.factors[i], symbols);
    }
  }
  if (constant_ > 0) text += '+';
  if (constant_ != 0) text += std::to_string(constant_);
  return text;
}

namespace {

std::optional<Dim> Product(const Shape& shape) {
  std::optional<Dim> product = Dim(1);
  for (const Dim& d : shape) {
    if (d == Dim(0)) return Dim(0);
  }
  for (const Dim& d : shape) {
    if (product) product = Dim::Mul(*product, d);
  }
  return product;
}

}  // namespace

bool SameCount(const Shape& a, const Shape& b) {
  if (a == b) return true;
  const std::optional<Dim> left = Product(a);
  const std::optional<Dim> right = Product(b);
  return left && right && *left == *right;
}

std::optional<Dim> CountQuotient(const Shape& a, const Shape& b) {
  // What stands on both sides cancels first: their products may be too long.
  Shape left = a, right;
  for (const Dim& d : b) {
    const auto it = d == Dim(0) ? left.end() : std::find(left.begin(), left.end(), d);
    if (it == left.end()) {
      right.push_back(d);
    } else {
      left.erase(it);
    }
  }
  const std::optional<Dim> numerator = Product(left);
  const std::optional<Dim> denominator = Product(right);
  return numerator && denominator ? Dim::DivExact(*numerator, *denominator) : std::nullopt;
}

std::string ShapeToString(const Shape& shape, const std::vector<Symbol>& symbols) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ',';
    text += shape[i].ToString(symbols);
  }
  return text + ']';
}

}  // namespace floe::ir
