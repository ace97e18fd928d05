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

int64_t Saturate(__int128 v) {
  if (v < kMin64) return kMin64;
  if (v > kMax64) return kMax64;
  return static_cast<int64_t>(v);
}

// Sums of at most a few thousand products of 63-bit numbers: partial sums are clamped so that
// hostile sizes saturate instead of overflowing.
__int128 ClampWide(__int128 v) {
  constexpr __int128 kLimit = static_cast<__int128>(1) << 126;
  return std::clamp<__int128>(v, -kLimit, kLimit);
}

}  // namespace

std::optional<Dim> Dim::Add(const Dim& a, const Dim& b) {
  Dim r;
  if (!CheckedAdd(a.constant_, b.constant_, &r.constant_)) return std::nullopt;
  size_t i = 0, j = 0;
  while (i < a.terms_.size() || j < b.terms_.size()) {
    if (j == b.terms_.size() || (i < a.terms_.size() && a.terms_[i].first < b.terms_[j].first)) {
      r.terms_.push_back(a.terms_[i++]);
    } else if (i == a.terms_.size() || b.terms_[j].first < a.terms_[i].first) {
      r.terms_.push_back(b.terms_[j++]);
    } else {
      int64_t sum;
      if (!CheckedAdd(a.terms_[i].second, b.terms_[j].second, &sum)) return std::nullopt;
      if (sum != 0) r.terms_.emplace_back(a.terms_[i].first, sum);
      ++i;
      ++j;
    }
  }
  return r;
}

std::optional<Dim> Dim::Sub(const Dim& a, const Dim& b) {
  std::optional<Dim> negative = Mul(b, Dim(-1));
  if (!negative) return std::nullopt;
  return Add(a, *negative);
}

std::optional<Dim> Dim::Mul(const Dim& a, const Dim& b) {
  if (!a.is_constant() && !b.is_constant()) return std::nullopt;
  const Dim& expression = a.is_constant() ? b : a;
  const int64_t factor = a.is_constant() ? a.constant_ : b.constant_;
  if (factor == 0) return Dim(0);
  Dim r;
  if (!CheckedMul(expression.constant_, factor, &r.constant_)) return std::nullopt;
  for (const auto& [symbol, coefficient] : expression.terms_) {
    int64_t product;
    if (!CheckedMul(coefficient, factor, &product)) return std::nullopt;
    r.terms_.emplace_back(symbol, product);
  }
  return r;
}

std::optional<Dim> Dim::DivExact(const Dim& a, const Dim& b) {
  if (b.is_constant()) {
    const int64_t d = b.constant_;
    if (d == 0 || (d == -1 && a.constant_ == kMin64)) return std::nullopt;
    if (a.constant_ % d != 0) return std::nullopt;
    Dim r(a.constant_ / d);
    for (const auto& [symbol, coefficient] : a.terms_) {
      if ((d == -1 && coefficient == kMin64) || coefficient % d != 0) return std::nullopt;
      r.terms_.emplace_back(symbol, coefficient / d);
    }
    return r;
  }
  if (a == Dim(0)) return Dim(0);
  if (a.terms_.size() != b.terms_.size()) return std::nullopt;
  const int64_t first = b.terms_[0].second;
  if (first == -1 && a.terms_[0].second == kMin64) return std::nullopt;
  const int64_t quotient = a.terms_[0].second / first;
  std::optional<Dim> product = Mul(b, Dim(quotient));
  if (!product || *product != a) return std::nullopt;
  return Dim(quotient);
}

std::optional<Dim> Dim::DivFloor(const Dim& a, int64_t divisor) {
  if (divisor <= 0) return std::nullopt;
  int64_t quotient = a.constant_ / divisor;
  if (a.constant_ % divisor < 0) --quotient;
  Dim r(quotient);
  for (const auto& [symbol, coefficient] : a.terms_) {
    if (coefficient % divisor != 0) return std::nullopt;
    r.terms_.emplace_back(symbol, coefficient / divisor);
  }
  return r;
}

int64_t Dim::Min(const std::vector<Symbol>& symbols) const {
  __int128 v = constant_;
  for (const auto& [symbol, coefficient] : terms_) {
    const Symbol& s = symbols[symbol];
    v = ClampWide(v + static_cast<__int128>(coefficient) * (coefficient > 0 ? s.min : s.max));
  }
  return Saturate(v);
}

int64_t Dim::Max(const std::vector<Symbol>& symbols) const {
  __int128 v = constant_;
  for (const auto& [symbol, coefficient] : terms_) {
    const Symbol& s = symbols[symbol];
    v = ClampWide(v + static_cast<__int128>(coefficient) * (coefficient > 0 ? s.max : s.min));
  }
  return Saturate(v);
}

int64_t Dim::Eval(const std::vector<int64_t>& symbol_values) const {
  __int128 v = constant_;
  for (const auto& [symbol, coefficient] : terms_) {
    v = ClampWide(v + static_cast<__int128>(coefficient) * symbol_values[symbol]);
  }
  return Saturate(v);
}

std::string Dim::ToString(const std::vector<Symbol>& symbols) const {
  if (terms_.empty()) return std::to_string(constant_);
  std::string text;
  for (const auto& [symbol, coefficient] : terms_) {
    if (coefficient < 0) text += '-';
    if (coefficient > 0 && !text.empty()) text += '+';
    if (coefficient != 1 && coefficient != -1) {
      const std::string number = std::to_string(coefficient);
      text += coefficient < 0 ? number.substr(1) : number;
      text += '*';
    }
    text += symbol < symbols.size() ? symbols[symbol].name : "?" + std::to_string(symbol);
  }
  if (constant_ > 0) text += '+';
  if (constant_ != 0) text += std::to_string(constant_);
  return text;
}

namespace {

// A polynomial in the symbols: sorted symbol list (with repetition) -> coefficient.
using Polynomial = std::map<std::vector<SymbolId>, int64_t>;

std::optional<Polynomial> Times(const Polynomial& p, const Dim& d) {
  Polynomial r;
  const auto add = [&r](std::vector<SymbolId> key, int64_t a, int64_t b) {
    int64_t product, sum;
    if (!CheckedMul(a, b, &product)) return false;
    int64_t& slot = r[std::move(key)];
    if (!CheckedAdd(slot, product, &sum)) return false;
    slot = sum;
    return true;
  };
  for (const auto& [key, coefficient] : p) {
    if (d.constant() != 0 && !add(key, coefficient, d.constant())) return std::nullopt;
    for (const auto& [symbol, factor] : d.terms()) {
      std::vector<SymbolId> longer = key;
      longer.insert(std::upper_bound(longer.begin(), longer.end(), symbol), symbol);
      if (!add(std::move(longer), coefficient, factor)) return std::nullopt;
    }
  }
  std::erase_if(r, [](const auto& entry) { return entry.second == 0; });
  return r;
}

std::optional<Polynomial> Product(const Shape& shape) {
  Polynomial p = {{{}, 1}};
  for (const Dim& d : shape) {
    std::optional<Polynomial> next = Times(p, d);
    if (!next) return std::nullopt;
    p = *std::move(next);
  }
  return p;
}

// Splits d = *factor * primitive, with the primitive's numbers free of common factors and its
// leading coefficient positive.
Dim Primitive(const Dim& d, int64_t* factor) {
  int64_t g = d.constant();
  for (const auto& term : d.terms()) g = std::gcd(g, term.second);
  if (!d.is_constant() && d.terms()[0].second < 0) g = -g;
  *factor = g;
  std::optional<Dim> primitive = Dim::DivExact(d, Dim(g));
  return primitive.value_or(d);
}

}  // namespace

bool SameCount(const Shape& a, const Shape& b) {
  if (a == b) return true;
  const std::optional<Polynomial> pa = Product(a);
  const std::optional<Polynomial> pb = Product(b);
  return pa && pb && *pa == *pb;
}

std::optional<Dim> CountQuotient(const Shape& a, const Shape& b) {
  std::vector<Dim> left;
  int64_t numerator = 1, denominator = 1;
  for (const Dim& d : a) {
    int64_t factor = d.constant();
    if (!d.is_constant()) left.push_back(Primitive(d, &factor));
    if (!CheckedMul(numerator, factor, &numerator)) return std::nullopt;
  }
  for (const Dim& d : b) {
    int64_t factor = d.constant();
    if (!d.is_constant()) {
      const auto it = std::find(left.begin(), left.end(), Primitive(d, &factor));
      if (it == left.end()) return std::nullopt;
      left.erase(it);
    }
    if (!CheckedMul(denominator, factor, &denominator)) return std::nullopt;
  }
  if (denominator == 0 || numerator % denominator != 0) return std::nullopt;
  Dim quotient(numerator / denominator);
  for (const Dim& d : left) {
    std::optional<Dim> product = Dim::Mul(quotient, d);
    if (!product) return std::nullopt;
    quotient = *std::move(product);
  }
  return quotient;
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
