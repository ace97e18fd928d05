// Symbolic dimensions: a number, or an affine expression of named symbols.
#ifndef FLOE_COMPILER_IR_DIM_H_
#define FLOE_COMPILER_IR_DIM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace floe::ir {

using SymbolId = uint32_t;

// A named size that is known at Bind only. Bounds are inclusive.
struct Symbol {
  std::string name;
  int64_t min = 1;
  int64_t max = 1;
  int64_t multiple = 1;
};

// constant + sum(coefficient * symbol), terms sorted by symbol, no zero coefficient. A value type;
// equality is structural, which for this normal form is semantic equality.
class Dim {
 public:
  Dim() = default;
  Dim(int64_t constant) : constant_(constant) {}  // NOLINT: implicit by intent, a number is a Dim.
  static Dim OfSymbol(SymbolId symbol) {
    Dim d;
    d.terms_.emplace_back(symbol, 1);
    return d;
  }

  bool is_constant() const { return terms_.empty(); }
  int64_t constant() const { return constant_; }
  const std::vector<std::pair<SymbolId, int64_t>>& terms() const { return terms_; }

  // Absent when the result is not affine (symbol * symbol, inexact division) or overflows.
  static std::optional<Dim> Add(const Dim& a, const Dim& b);
  static std::optional<Dim> Sub(const Dim& a, const Dim& b);
  static std::optional<Dim> Mul(const Dim& a, const Dim& b);
  // Exact division only: b is a constant that divides a's constant and every coefficient, or a is a
  // whole multiple of b (the result is that number).
  static std::optional<Dim> DivExact(const Dim& a, const Dim& b);
  // floor(a / divisor) where that is affine: every coefficient is a multiple of divisor > 0.
  static std::optional<Dim> DivFloor(const Dim& a, int64_t divisor);

  // Value range over the symbols' bounds, saturating.
  int64_t Min(const std::vector<Symbol>& symbols) const;
  int64_t Max(const std::vector<Symbol>& symbols) const;
  int64_t Eval(const std::vector<int64_t>& symbol_values) const;
  // "4", "N", "2*N+1".
  std::string ToString(const std::vector<Symbol>& symbols) const;

  friend bool operator==(const Dim&, const Dim&) = default;

 private:
  int64_t constant_ = 0;
  std::vector<std::pair<SymbolId, int64_t>> terms_;
};

using Shape = std::vector<Dim>;

// Whether the products of all dims are equal for every value of the symbols.
bool SameCount(const Shape& a, const Shape& b);
// The dim q with product(a) == q * product(b): what a Reshape's -1 stands for. Absent when it is
// not affine, not whole, or product(b) is 0.
std::optional<Dim> CountQuotient(const Shape& a, const Shape& b);
// "[N,3,224,224]".
std::string ShapeToString(const Shape& shape, const std::vector<Symbol>& symbols);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_DIM_H_
