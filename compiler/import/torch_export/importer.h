// Walks a program's graph and calls the ATen layer for each node. Names of the file stand for
// aten::IValues in a scope; graphs within nodes have scopes of their own and see nothing of the
// outer one but their arguments.
//
// importer.cc has nodes and arguments, signature.cc inputs, weights, outputs and states,
// higher_order.cc the operators that take graphs.
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_IMPORTER_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_IMPORTER_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/aten/context.h"
#include "compiler/import/aten/ivalue.h"
#include "compiler/import/torch_export/import.h"
#include "compiler/import/torch_export/pt2_file.h"
#include "compiler/import/torch_export/symbols.h"
#include "compiler/ir/graph.h"

namespace floe::torch_export {

class Importer {
 public:
  using Values = std::vector<aten::IValue>;

  // All outlive this object.
  Importer(Pt2File& file, const ImportOptions& options);

  // Imports as much as can be; what has no mapping is in unsupported(). Other errors end it.
  absl::Status Run();
  std::unique_ptr<ir::Graph> TakeGraph() { return std::move(graph_); }
  const std::vector<Unsupported>& unsupported() const { return unsupported_; }
  const std::map<std::string, int64_t>& op_counts() const { return op_counts_; }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  // A weight that is not read until it is used.
  struct Weight {
    std::string name;
    bool constant = false;  // Where to look for it: constants or weights.
    bool complex = false;
  };
  struct Entry {
    aten::IValue value;
    bool unknown = false;  // What hangs on something unsupported.
    const Weight* weight = nullptr;
  };
  struct Scope {
    const Graph* graph = nullptr;
    std::string prefix;  // Of names: the nodes that lead here.
    int depth = 0;
    absl::flat_hash_map<std::string, Entry> names;
  };
  struct StateInput {
    std::string buffer;
    std::string argument;
    size_t index = 0;  // Of the graph's state.
    aten::VariablePtr variable;
  };
  // What a graph is applied to, row by row (scan, map).
  struct Steps {
    const Graph* body = nullptr;
    Values carry, xs, others;
    int64_t dim = 0;
    bool reverse = false;
  };
  struct MutatedInput {
    std::string name;      // The program's.
    std::string argument;  // The graph's.
    aten::VariablePtr variable;
  };

  // --- signature.cc ---
  absl::Status ReadSignature(Scope& scope);
  std::vector<LeafPath> InputPaths(size_t leaves) const;
  absl::Status BindUserInput(const InputSpec& spec, const TensorInput* input, Scope& scope);
  absl::Status BindWeight(const InputSpec& spec, bool mutated, Scope& scope);
  absl::Status CheckStatesShareNothing() const;
  absl::StatusOr<aten::IValue> WeightValue(const Weight& weight);
  absl::Status WriteOutputs(Scope& scope);
  absl::Status AddUserOutput(const Argument& arg, const std::string& name, Scope& scope);
  absl::Status WriteStates(Scope& scope);

  // --- importer.cc ---
  absl::Status RunNodes(Scope& scope);
  absl::Status RunNode(const Node& node, Scope& scope);
  absl::Status RunOperator(const Node& node, const std::string& name, Scope& scope);
  absl::Status RunSymOp(const Node& node, Scope& scope);
  // False if it is no such op.
  absl::StatusOr<bool> RunShapeOp(const Node& node, const std::string& name, Scope& scope);
  absl::StatusOr<Entry> Lookup(const std::string& name, Scope& scope);
  // *unknown is set where a part of it is; the value is then of no use.
  absl::StatusOr<aten::IValue> ToValue(const Argument& arg, Scope& scope, bool* unknown);
  absl::StatusOr<aten::CallArguments> ToCall(const Node& node, Scope& scope, bool* unknown);
  absl::Status Autocast(const Node& node, const Scope& scope, aten::CallArguments* call);
  absl::Status Define(const std::string& name, Entry entry, const Node& node, Scope& scope);
  absl::Status DefineResults(const Node& node, const Values& results, Scope& scope);
  absl::Status DefineUnknown(const Node& node, Scope& scope);
  absl::Status CheckStated(const Node& node, const std::string& name, const aten::IValue& value,
                           const Scope& scope);
  ir::Value* StatedValue(const std::string& name, const Scope& scope);
  void Refuse(const Node& node, const std::string& op, const std::string& reason,
              const Scope& scope);
  absl::Status At(const absl::Status& status, const Node& node, const Scope& scope) const;
  aten::CallSite SiteOf(const Node& node, const Scope& scope) const;

  // --- higher_order.cc ---
  absl::Status RunHigherOrder(const Node& node, const std::string& name, Scope& scope);
  absl::Status RunCond(const Node& node, Scope& scope);
  absl::Status RunWhileLoop(const Node& node, Scope& scope);
  // A number that a run finds (u0) as a size, if the file bounds it.
  absl::StatusOr<aten::IValue> AsSize(const Node& node, const std::string& name,
                                      const aten::IValue& value, const Scope& scope);
  absl::Status RunMap(const Node& node, Scope& scope);
  absl::Status RunScan(const Node& node, Scope& scope);
  absl::Status RunSteps(const Node& node, const Steps& steps, Scope& scope);
  absl::StatusOr<ir::Dim> StepCount(const Steps& steps);
  absl::Status RunStep(const Node& node, const Steps& steps, const aten::IValue& index,
                       Values* carry, Values* rows, Scope& scope);
  absl::Status RunUnrolled(const Node& node, const Steps& steps, int64_t count, Scope& scope);
  absl::Status RunStepLoop(const Node& node, const Steps& steps, const ir::Dim& count,
                           Scope& scope);
  absl::StatusOr<aten::IValue> StatedZeros(const std::string& name, const aten::CallSite& site,
                                           const Scope& scope);
  absl::Status RunInline(const Node& node, size_t graph_at, Scope& scope);
  absl::Status RunWithEffects(const Node& node, Scope& scope);
  absl::StatusOr<Values> RunGraph(const Graph& graph, const Values& arguments, const Node& node,
                                  Scope& outer);
  absl::StatusOr<Values> OperandList(const Node& node, size_t i, Scope& scope);
  absl::Status CheckByName(const Graph& graph, const Scope& scope);

  Pt2File& file_;
  const Program& program_;
  const ImportOptions& options_;
  std::unique_ptr<ir::Graph> graph_;
  aten::Context context_;
  Symbols symbols_;
  std::vector<TensorInput> inputs_;
  std::vector<std::unique_ptr<Weight>> weights_;
  std::map<std::string, aten::IValue> weight_values_;  // By name, and by layout for tied ones.
  std::vector<StateInput> states_;
  std::vector<MutatedInput> mutated_inputs_;
  bool in_autocast_ = false;  // Of the region that is being walked.
  int64_t nodes_left_ = 0;
  std::vector<Unsupported> unsupported_;
  absl::flat_hash_map<std::string, size_t> unsupported_index_;
  std::map<std::string, int64_t> op_counts_;
  std::vector<std::string> notes_;
};

// "model.py:12": the user's own line of a Python stack trace; else empty.
std::string SourceOf(const std::string& stack_trace);

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_IMPORTER_H_
