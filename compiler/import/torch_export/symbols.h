// The sizes of a model's inputs: the file's symbols under the user's names, with bounds; and the
// guards, which say for which sizes the exported graph is right.
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYMBOLS_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYMBOLS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torch_export/import.h"
#include "compiler/import/torch_export/pytree.h"
#include "compiler/import/torch_export/schema.h"
#include "compiler/import/torch_export/sym_expr.h"
#include "compiler/ir/graph.h"

namespace floe::torch_export {

// A tensor input of the program.
struct TensorInput {
  std::string name;      // The program's.
  std::string argument;  // The graph's: "x", "args_0".
  LeafPath path;         // "x", or "xs", "0": as guards spell it.
  const TensorMeta* meta = nullptr;
};

class Symbols {
 public:
  // All outlive this object.
  Symbols(ir::Graph& graph, const Program& program, const ImportOptions& options)
      : graph_(graph), program_(program), options_(options) {}

  // Makes the graph's symbols: those of the inputs' sizes. kInvalidArgument: options that do not
  // fit, or symbols without an upper bound, all of them.
  absl::Status Bind(const std::vector<TensorInput>& inputs);

  absl::StatusOr<ir::Shape> ShapeOf(const TensorInput& input) const;
  // A size anywhere in the graph; absent if it is not known or no ir::Dim.
  std::optional<ir::Dim> Find(const SymInt& size) const;
  // The dimension that stands for a symbol of the file.
  std::optional<ir::Dim> Lookup(const std::string& symbol) const;

  absl::StatusOr<SymExpr> ParseSize(const SymInt& size) const;
  // What a result's size says about a symbol of the file that no input gives (u0): it is `dim`.
  void Learn(const SymInt& size, const ir::Dim& dim);

  // Emits checks of the guards that the bounds do not prove, before anything else. What cannot be
  // checked is added to `notes`. kInvalidArgument: a guard that no size within the bounds meets.
  absl::Status EmitGuards(const std::vector<TensorInput>& inputs, std::vector<std::string>* notes);

 private:
  struct Use {
    std::string input;
    size_t axis = 0;
  };
  struct Symbol {
    std::string name;            // The user's, else the file's.
    std::optional<int64_t> fix;  // A number that the user gave for it.
    std::vector<Use> uses;
  };

  absl::Status Collect(const std::vector<TensorInput>& inputs);
  absl::Status ApplyShape(const TensorInput& input, const std::vector<DimSpec>& shape);
  absl::Status ApplyAxis(const TensorInput& input, size_t axis, const DimSpec& spec);
  void ReadRange(const std::string& symbol, int64_t* least, std::optional<int64_t>* most) const;
  absl::Status MakeSymbol(const std::string& symbol, Symbol& s, std::string* unbounded);
  absl::Status CheckOptionsUsed(const std::vector<TensorInput>& inputs) const;
  absl::Status EmitGuard(const std::string& text, const SymbolDims& lookup,
                         std::vector<std::string>* notes);

  ir::Graph& graph_;
  const Program& program_;
  const ImportOptions& options_;
  std::map<std::string, Symbol> symbols_;  // By the file's name.
  std::map<std::string, ir::Dim> dims_;    // By the file's name.
};

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYMBOLS_H_
