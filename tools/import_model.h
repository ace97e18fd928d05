// Reads a traced model of any format that Floe knows, told apart by content. Used by floec.
#ifndef FLOE_TOOLS_IMPORT_MODEL_H_
#define FLOE_TOOLS_IMPORT_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::tools {

enum class ModelFormat { kOnnx, kTorchExport, kTorchScript };

// kNotFound, kPermissionDenied; kInvalidArgument where the content is no traced model, which says
// what it seems to be.
absl::StatusOr<ModelFormat> DetectFormat(const std::string& path);

// The flags about inputs, as they stand on the command line.
struct InputFlags {
  std::vector<std::string> shapes;  // "ids=[N,T]"
  std::vector<std::string> dims;    // "N=1..8"
  std::string like;                 // An .npz; empty: none.
};

// `notes` gets what else the user should know. Errors are those of the format's front end.
absl::StatusOr<std::unique_ptr<ir::Graph>> ImportModel(const std::string& path,
                                                       const InputFlags& flags,
                                                       std::vector<std::string>* notes);

// The example inputs that a .pt2 file holds, in the order of the graph's inputs; empty for other
// formats and for files without any.
absl::StatusOr<std::vector<ir::Tensor>> ReadSampleInputs(const std::string& path);

// What `floec check` prints.
struct ModelCheck {
  std::map<std::string, int64_t> ops;
  std::string unsupported;         // One line each; empty: every op can be compiled.
  std::vector<std::string> notes;  // What else the user should know.
};
absl::StatusOr<ModelCheck> CheckModel(const std::string& path, const InputFlags& flags);

}  // namespace floe::tools

#endif  // FLOE_TOOLS_IMPORT_MODEL_H_
