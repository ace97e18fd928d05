// Walks graphs, functions and branches, keeps scopes, and calls the converter of each node.
#ifndef FLOE_COMPILER_IMPORT_ONNX_IMPORTER_H_
#define FLOE_COMPILER_IMPORT_ONNX_IMPORTER_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/onnx/builder.h"
#include "compiler/import/onnx/import.h"
#include "compiler/import/onnx/model_file.h"
#include "compiler/ir/control.h"
#include "compiler/ir/graph.h"

namespace floe::onnx {

// The newest default-domain opset whose meaning the table knows.
inline constexpr int64_t kNewestOpset = 27;
inline constexpr int64_t kOldestOpset = 7;

// The row that reads `op_type` at `opset`; null if there is none. `*known` tells whether some other
// opset has one. O(1).
const Row* FindRow(const std::string& domain, const std::string& op_type, int64_t opset,
                   bool* known);

// Versions by domain.
using Opsets = std::map<std::string, int64_t>;

// Names and what they stand for, in a graph, a branch or a function's body.
struct Scope {
  enum class Kind { kValue, kAbsent, kUnknown, kInitializer };
  struct Entry {
    Kind kind = Kind::kValue;
    ir::Value* value = nullptr;
    size_t initializer = 0;  // Index into ModelFile::initializers().
  };

  Scope* outer = nullptr;  // Branches see their graph's names.
  const Opsets* opsets = nullptr;
  std::string prefix;  // Of node and value names: the calls that lead here.
  absl::flat_hash_map<std::string, Entry> names;
  // In a function: the call's attributes, resolved, by name.
  absl::flat_hash_map<std::string, const AttributeProto*> attributes;
  bool is_function = false;
  // In the body of control flow that stays: what makes it. Values from around it are captured.
  ir::BodyBuilder* body = nullptr;
  uint32_t bodies = 0;  // Around this scope.
  int depth = 0;
};

// An error with the name and op of the node that it is about.
absl::Status At(const absl::Status& status, const NodeProto& node, const Scope& scope);

class Importer {
 public:
  Importer(std::shared_ptr<ModelFile> file, const ImportOptions& options);

  // Imports as much as can be; what has no mapping is in unsupported(). Other errors end it.
  absl::Status Run();
  std::unique_ptr<ir::Graph> TakeGraph() { return std::move(graph_); }
  const std::vector<Unsupported>& unsupported() const { return unsupported_; }
  const std::map<std::string, int64_t>& op_counts() const { return op_counts_; }

  // --- for NodeBuilder ---
  // The graph, or the body that is being read.
  ir::Graph& graph() { return *current_; }
  const ir::Graph& graph() const { return *current_; }
  ModelFile& file() { return *file_; }
  const std::string& prefix() const { return scope_->prefix; }
  // What an attribute stands for: itself, or the call's in a function; null if the call has none.
  const AttributeProto* Resolve(const AttributeProto& attribute) const;
  // Imports a body: its nodes go into `builder`'s graph or, if that is null, into the current one.
  // `params` stand for its inputs. Null entries of *results stand for unknown values.
  absl::Status RunBody(const GraphProto& body, ir::BodyBuilder* builder,
                       const std::vector<ir::Value*>& params, std::vector<ir::Value*>* results);

 private:
  absl::Status ReadOpsets();
  absl::Status ReadFunctions();
  absl::Status ReadInputs(Scope& scope);
  absl::Status ReadInput(const ValueInfoProto& input, Scope& scope);
  absl::Status Freeze(const ValueInfoProto& input, const ir::Tensor& value, Scope& scope);
  absl::StatusOr<ir::Shape> InputShape(const std::string& name, const TypeProto::Tensor& type);
  absl::StatusOr<ir::Dim> NamedDim(const std::string& input, const std::string& symbol);
  absl::Status CheckOptionsUsed() const;

  absl::Status RunNodes(const ::google::protobuf::RepeatedPtrField<NodeProto>& nodes, Scope& scope);
  absl::Status RunNode(const NodeProto& node, Scope& scope);
  absl::Status Convert(const NodeProto& node, const Row& row, int64_t opset, Scope& scope);
  absl::Status RunFunction(const NodeProto& call, const FunctionProto& function, Scope& scope);
  absl::StatusOr<Scope::Entry> Lookup(const std::string& name, const NodeProto& user, Scope& scope);
  absl::Status Define(const std::string& name, ir::Value* value, const NodeProto& node,
                      Scope& scope);
  absl::Status DefineUnknown(const NodeProto& node, Scope& scope);
  ir::Value* StatedValue(const std::string& name);
  void Refuse(const NodeProto& node, int64_t opset, const std::string& reason, const Scope& scope);
  ir::Provenance ProvenanceOf(const NodeProto& node, const Scope& scope) const;

  const std::shared_ptr<ModelFile> file_;
  const ImportOptions& options_;
  std::unique_ptr<ir::Graph> graph_;
  ir::Graph* current_ = nullptr;
  Opsets opsets_;
  std::map<std::string, Opsets> function_opsets_;  // By function key.
  absl::flat_hash_map<std::string, const FunctionProto*> functions_;
  absl::flat_hash_map<std::string, const ValueInfoProto*> stated_;  // The main graph's value_info.
  Scope* scope_ = nullptr;
  int64_t nodes_left_ = 0;
  std::vector<Unsupported> unsupported_;
  absl::flat_hash_map<std::string, size_t> unsupported_index_;
  std::map<std::string, int64_t> op_counts_;
};

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_IMPORTER_H_
