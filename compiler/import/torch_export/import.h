// The torch.export front end: turns a .pt2 file of torch.export.save into IR, without PyTorch. Read
// this header first; then importer.h, which says how.
//
//   pt2_file.h     the archive of any generation; weights, constants, example inputs
//   json_reader.h  JSON with bounds, errors with the path to the field
//   schema.h       the graph as C++ structs
//   sym_expr.h     expressions of symbolic sizes
//   symbols.h      sizes of the inputs: names, bounds, what the options say of them; guards
//   pytree.h       names of inputs and outputs that are containers
//   mutations.h    which buffers and inputs the graph writes
//   importer.h     walks the graph and calls the ATen layer for each node
//   sym_ops.h      arithmetic on sizes; higher_order.cc: branches, loops, wrapped regions
//
// Files of PyTorch 2.6 to 2.13 are read, exported in the default form or decomposed.
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_IMPORT_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_IMPORT_H_

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

namespace floe::torch_export {

using import::DimBounds;
using import::DimSpec;

struct ImportOptions {
  // By input name. The file knows the shapes; this names its dynamic dimensions (the file calls
  // them s0, s77, ...) or fixes them, and must agree with what the file fixed.
  std::map<std::string, std::vector<DimSpec>> shapes = {};
  // Bounds by dimension name, within those of the file. Needed where the file has no upper bound.
  std::map<std::string, DimBounds> dims = {};
  int64_t max_bytes = int64_t{64} << 30;
  int64_t max_nodes = int64_t{1} << 20;  // After loops are unrolled.
  // If not null: gets what else the user should know, such as guards that cannot be checked.
  std::vector<std::string>* notes = nullptr;
};

// Reads a model. Weights that lie aligned in the file stay there, mapped, and are kept alive by the
// graph; the file must not change while the graph lives. The graph has one input for each tensor
// that the module takes, in order, named after its parameters ("x"; tensors in containers "xs.0",
// "kw.key"), and one output for each tensor or size that it returns: "output", or "output.0",
// "output.key" for containers. Buffers that it writes become states of their names; an input that
// it writes gives the additional output "NAME.mutated". Complex tensors are pairs of reals: inputs
// and outputs have a last axis of 2 for them. Sizes that the export assumed are checked
// when the program runs, unless the bounds prove them.
//
// Errors: kNotFound, kPermissionDenied (the file, or a pickle that wants to run code);
// kInvalidArgument (no such file, or one that contradicts itself; options that do not fit it;
// dimensions without an upper bound, all of which the message lists); kUnimplemented (lists all
// operators that have no mapping, with the user's Python lines); kResourceExhausted (a limit).
absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchExport(const std::string& path,
                                                             const ImportOptions& options = {});
absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchExportFromMemory(
    torch_file::Blob file, const ImportOptions& options = {});

// Something that Floe cannot map, and every place that has it.
struct Unsupported {
  std::string op;      // "aten::fft_fft"
  std::string reason;  // "has no mapping"
  std::vector<std::string> places;
};

struct CheckReport {
  std::map<std::string, int64_t> ops;    // "aten::conv2d": how many nodes of each.
  std::vector<Unsupported> unsupported;  // Empty: the model can be imported.
  // What else the user should know, such as guards that cannot be checked.
  std::vector<std::string> notes;
};

// For `floec check`: finds everything unsupported without stopping at the first.
absl::StatusOr<CheckReport> CheckTorchExport(const std::string& path,
                                             const ImportOptions& options = {});
absl::StatusOr<CheckReport> CheckTorchExportFromMemory(torch_file::Blob file,
                                                       const ImportOptions& options = {});

// "aten::fft_fft: has no mapping; 2 places: 'fft' at model.py:12, ...", one line each.
std::string ToText(const std::vector<Unsupported>& unsupported);

// The example inputs that the model was exported with, in the order of the graph's inputs; empty
// if the file has none. They have no expected outputs: the file holds none.
absl::StatusOr<std::vector<ir::Tensor>> SampleInputs(torch_file::Blob file);

// True if an open archive is a file of torch.export (a package of AOTInductor too: importing it
// says what to do).
bool LooksLikeTorchExport(const torch_file::Archive& archive);
// The same for a whole file in memory.
bool LooksLikeTorchExport(std::string_view bytes);

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_IMPORT_H_
