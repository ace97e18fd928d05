// The ONNX front end: turns a .onnx file into IR. Read this header first; then builder.h (what a
// converter sees), any ops_*.cc (the op table, one row per op and version) and importer.h.
//
//   model_file.h   the file: wire format split so that weights stay where they are, external data
//   importer.h     graphs, functions and scopes; calls one converter per node
//   builder.h      the converter's view of one node: operands, attributes, constants, emission
//   ops_*.cc       rows and converters by family; table.cc collects them
//
// Every opset of the default domain from 7 to 27 is read, each node by the newest row of its op
// that is not newer than the model's opset. What cannot be mapped is refused, all of it at once.
#ifndef FLOE_COMPILER_IMPORT_ONNX_IMPORT_H_
#define FLOE_COMPILER_IMPORT_ONNX_IMPORT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/options.h"
#include "compiler/ir/graph.h"

namespace floe::onnx {

using import::DimBounds;
using import::DimSpec;

struct ImportOptions {
  // Replaces the shape that the file gives for an input, by input name. Needed where the file gives
  // none or leaves a dimension without a name.
  std::map<std::string, std::vector<DimSpec>> shapes;
  // Bounds by dimension name. A named dimension without bounds is refused: the compiler plans
  // memory for the upper bound and never guesses one.
  std::map<std::string, DimBounds> dims;
  // Inputs that are no inputs of the program: they always have this value. For shapes, axes and the
  // like, which must be known when the model is compiled.
  std::map<std::string, ir::Tensor> frozen;
  int64_t max_bytes = int64_t{64} << 30;  // Model and external data together.
  int64_t max_nodes = int64_t{1} << 20;   // Nodes after functions are inlined.
};

// Reads a model. Weights that are aligned for their type stay in the mapped file, which the graph's
// tensors keep alive; others are copied once and their pages given back. The file must not change
// while the graph lives. Types of all values are inferred, shape arithmetic on constants and input
// dimensions is resolved, constants that are small are folded; unused nodes are left to the passes.
//
// Errors: kNotFound, kPermissionDenied (the file); kInvalidArgument (no ONNX model, or one that
// contradicts itself, or options that do not fit it), kUnimplemented (lists every op, attribute and
// type that has no mapping, with node names), kResourceExhausted (a limit of the options).
absl::StatusOr<std::unique_ptr<ir::Graph>> ImportOnnx(const std::string& path,
                                                      const ImportOptions& options = {});

// The same from memory. Weights are borrowed for as long as `owner` lives; a null owner makes
// copies of them. External data is refused.
absl::StatusOr<std::unique_ptr<ir::Graph>> ImportOnnxFromMemory(std::string_view bytes,
                                                                std::shared_ptr<const void> owner,
                                                                const ImportOptions& options = {});

// Something that Floe cannot map, and every node that has it.
struct Unsupported {
  std::string op_type;
  std::string domain;  // "" is the default domain.
  int64_t opset = 0;
  std::string reason;              // "no such op here", "attribute auto_pad=... "
  std::vector<std::string> nodes;  // The user's node names, in file order, with source if known.
};

struct CheckReport {
  std::map<std::string, int64_t> ops;    // "Conv", "com.microsoft::Gelu": how many nodes of each.
  std::vector<Unsupported> unsupported;  // Empty: the model can be imported.
};

// For `floec check`: finds everything unsupported without stopping at the first. Nodes that hang on
// an unsupported one are judged too where the file states the type between them, else only by name.
// An error if the file is malformed or does not fit the options.
absl::StatusOr<CheckReport> CheckOnnx(const std::string& path, const ImportOptions& options = {});

// "Conv (opset 17): attribute ... at node '/conv1/Conv'", one line each.
std::string ToText(const std::vector<Unsupported>& unsupported);

// True if the bytes look like an ONNX model (the first fields parse as one), for telling formats
// apart by content.
bool LooksLikeOnnx(std::string_view first_bytes);

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_IMPORT_H_
