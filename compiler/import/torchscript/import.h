// The TorchScript front end: turns a .pt file of torch.jit.save into IR, without PyTorch. Read this
// header first; then interpreter.h, which says how.
//
//   program.h        the archive: pickles, classes and functions of its code
//   lexer.h, parser.h, ast.h   the printed code as a tree
//   types.h, objects.h         annotations; modules, enums and other values
//   heap.h           the model's attributes as values; states
//   interpreter.h    evaluates the code: what is known is computed, tensors become IR
//   signature.h      the inputs and outputs of the program
//
// Files of torch.jit.trace, script and freeze are read, saved by PyTorch 1.4 and later.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_IMPORT_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_IMPORT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/options.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/ir/graph.h"

namespace floe::torchscript {

using import::DimBounds;
using import::DimSpec;

struct ImportOptions {
  // Shapes of the tensors that forward() takes: the file has none. A parameter `x` that is a list,
  // a tuple or a dict has tensors `x.0`, `x.1` or `x.key`. Optional parameters without a shape are
  // None; numbers without one have their default value.
  std::map<std::string, std::vector<DimSpec>> shapes;
  // Element types; those that are missing are as the trace's inputs were, else f32.
  std::map<std::string, DType> dtypes;
  // Bounds by dimension name. A named dimension without bounds is refused.
  std::map<std::string, DimBounds> dims;
  // Parameters that are no inputs of the program: they always have this value.
  std::map<std::string, ir::Tensor> frozen;
  int64_t max_bytes = int64_t{64} << 30;
  int64_t max_nodes = int64_t{1} << 20;     // After unrolling and inlining.
  int64_t max_steps = int64_t{1} << 24;     // Statements executed at import.
  int64_t max_elements = int64_t{1} << 24;  // Of lists and strings, made at import.
};

// Something that Floe cannot map, and every place that has it.
struct Unsupported {
  std::string op;      // "aten::fft_fft"
  std::string reason;  // "has no mapping"
  std::vector<std::string> places;
};

struct CheckReport {
  std::map<std::string, int64_t> ops;  // "aten::conv2d": how many calls.
  std::vector<Unsupported> unsupported;
};

// Reads a model. Weights that lie aligned in the file stay there, mapped, and are kept alive by the
// graph; the file must not change while the graph lives. The graph has one input for each tensor
// (and each number without a default) that forward() takes, in order, and one output for each
// tensor or number that it returns: "output", or "output.0", "output.key" for containers. An input
// that it writes gives the additional output "NAME.mutated". Complex outputs have a last axis of 2.
// Attributes that forward() changes become states, named after them ("rnn.hidden").
//
// Errors: kNotFound, kPermissionDenied (the file, or a pickle that wants to run code);
// kInvalidArgument (no TorchScript file, or one that contradicts itself; options that do not fit
// it; inputs without shapes, which the message lists; code that always raises); kUnimplemented
// (lists all operators that have no mapping, with the user's Python lines); kResourceExhausted (a
// limit).
absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchScript(const std::string& path,
                                                             const ImportOptions& options = {});
absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchScriptFromMemory(
    torch_file::Blob file, const ImportOptions& options = {});

// For `floec check`: finds everything unsupported without stopping at the first.
absl::StatusOr<CheckReport> CheckTorchScript(const std::string& path,
                                             const ImportOptions& options = {});

// "aten::fft_fft: has no mapping; 2 places: model.py:12, model.py:30", one line each.
std::string ToText(const std::vector<Unsupported>& unsupported);

// True if an open archive is a TorchScript file (not torch.save's, nor torch.export's).
bool LooksLikeTorchScript(const torch_file::Archive& archive);
// The same for a whole file in memory.
bool LooksLikeTorchScript(std::string_view bytes);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_IMPORT_H_
