// Expressions of symbolic integers as PyTorch's files write them: sympy's srepr
// ("Add(Symbol('s0', integer=True), Integer(1))"), infix text ("s0 + 1", "2*s0"), and guards in
// Python ("L['x'].size()[0] % 8 == 0").
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYM_EXPR_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYM_EXPR_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::torch_export {

struct SymExpr {
  enum class Op {
    kInt,
    kSymbol,  // name: "s77", or a path into the inputs: "L['x'].size()[0]".
    kAdd,
    kSub,
    kMul,
    kNeg,
    kPow,
    kFloorDiv,
    kMod,
    kMax,
    kMin,
    kEq,
    kNe,
    kLt,
    kLe,
    kGt,
    kGe,
    kAnd,
    kOr,
    kNot,
  };
  Op op = Op::kInt;
  int64_t value = 0;
  std::string name;
  std::vector<SymExpr> args;
};

// Parses any of the forms. kInvalidArgument: no such text, or one of over 16 KiB or nested over 100
// deep; kUnimplemented names a function that integers of shapes do not use.
absl::StatusOr<SymExpr> ParseSymExpr(std::string_view text);

// The names of symbols in it.
void CollectSymbols(const SymExpr& e, std::set<std::string>* names);

using SymbolDims = std::function<std::optional<ir::Dim>(const std::string& name)>;

// The expression as a dimension: sums, products, floors, max and min of symbols (ir::Dim); bounds of
// `symbols` decide comparisons (0 or 1). kUnimplemented, with the text of the part, where the result
// cannot be written like that or is not decided.
absl::StatusOr<ir::Dim> ToDim(const SymExpr& e, const SymbolDims& dims,
                              const std::vector<ir::Symbol>& symbols);

// The value where symbols have these values; absent at an overflow, a division by zero or an
// unknown symbol. Comparisons give 0 or 1.
using SymbolValues = std::function<std::optional<int64_t>(const std::string& name)>;
std::optional<int64_t> EvaluateSym(const SymExpr& e, const SymbolValues& values);

// Infix text.
std::string ToText(const SymExpr& e);

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYM_EXPR_H_
