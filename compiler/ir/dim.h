// Symbolic dimensions: a number, or a polynomial in named symbols and in floors, maxima and minima
// of such: "N*T", "2*N+1", "floor((T+1)/2)", "max(T-8,0)".
#ifndef FLOE_COMPILER_IR_DIM_H_
#define FLOE_COMPILER_IR_DIM_H_

#include <cstdint>
#include <memory>
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
  // Known only in the middle of a run: a Size node says what it is (control.h).
  bool data = false;
};

struct DimFunction;

// What a dimension multiplies: a symbol, or a function of other dimensions.
struct DimAtom {
  SymbolId symbol = 0;
  std::shared_ptr<const DimFunction> function;  // Null: it is the symbol.
};

// coefficient * product of the factors, which are sorted; one that is there twice is a square.
struct DimTerm {
  std::vector<DimAtom> factors;
  int64_t coefficient = 0;

  // The term's only factor if that is a symbol, else null.
  const SymbolId* symbol() const {
    return factors.size() == 1 && factors[0].function == nullptr ? &factors[0].symbol : nullptr;
  }
};

// constant + sum of terms, in a normal form: terms sorted by degree (highest first), then by
// factors; no zero coefficient; floors reduced. A value type; equality is structural, which for
// sums of products is semantic equality.
class Dim {
 public:
  Dim() = default;
  Dim(int64_t constant) : constant_(constant) {}  // NOLINT: implicit by intent, a number is a Dim.
  static Dim OfSymbol(SymbolId symbol);

  bool is_constant() const { return terms_.empty(); }
  int64_t constant() const { return constant_; }
  const std::vector<DimTerm>& terms() const { return terms_; }
  // Whether every term is a multiple of one symbol.
  bool is_affine() const;
  // Whether the symbol occurs in it, within functions too.
  bool Uses(SymbolId symbol) const;
  // Appends the symbols that occur in it, in no order, with repetitions.
  void AppendSymbols(std::vector<SymbolId>* symbols) const;

  // Absent when the result overflows or is unreasonably long.
  static std::optional<Dim> Add(const Dim& a, const Dim& b);
  static std::optional<Dim> Sub(const Dim& a, const Dim& b);
  static std::optional<Dim> Mul(const Dim& a, const Dim& b);
  // Exact division only: the polynomial q with a == q * b; absent if there is none.
  static std::optional<Dim> DivExact(const Dim& a, const Dim& b);
  // floor(a / divisor); divisor > 0, else absent.
  static std::optional<Dim> DivFloor(const Dim& a, int64_t divisor);
  // Callers that know which one is greater (Min and Max below) should take that one.
  static std::optional<Dim> Larger(const Dim& a, const Dim& b);
  static std::optional<Dim> Smaller(const Dim& a, const Dim& b);

  // Bounds of the value over the symbols' bounds, saturating. Exact for sums of products of
  // different symbols, and safe otherwise.
  int64_t Min(const std::vector<Symbol>& symbols) const;
  int64_t Max(const std::vector<Symbol>& symbols) const;
  int64_t Eval(const std::vector<int64_t>& symbol_values) const;
  // "4", "N", "2*N+1", "N*T", "floor((T+1)/2)".
  std::string ToString(const std::vector<Symbol>& symbols) const;

  // A total order, for tables: negative, 0 or positive.
  static int Compare(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b) { return Compare(a, b) == 0; }

 private:
  static std::optional<Dim> Function(DimFunction function);
  std::pair<__int128, __int128> Range(const std::vector<Symbol>& symbols) const;
  std::optional<__int128> RelaxedBound(const std::vector<Symbol>& symbols, bool upper) const;
  std::optional<__int128> ChoiceBound(const std::vector<Symbol>& symbols, bool upper) const;

  int64_t constant_ = 0;
  std::vector<DimTerm> terms_;
};

struct DimFunction {
  enum class Kind : uint8_t { kFloorDiv, kMax, kMin };
  Kind kind;
  Dim a;
  Dim b;              // kFloorDiv: a number above 0.
  int depth = 1;      // Of functions in one another, this one included.
  int functions = 1;  // This one and all of its operands', written out.
};

using Shape = std::vector<Dim>;

// Whether the products of all dims are equal for every value of the symbols.
bool SameCount(const Shape& a, const Shape& b);
// The dim q with product(a) == q * product(b): what a Reshape's -1 stands for. Absent when it is
// not whole, or product(b) is 0.
std::optional<Dim> CountQuotient(const Shape& a, const Shape& b);
// "[N,3,224,224]".
std::string ShapeToString(const Shape& shape, const std::vector<Symbol>& symbols);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_DIM_H_
