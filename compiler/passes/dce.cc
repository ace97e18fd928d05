// Dead code elimination: nodes, results and constants that no output, state or check needs.
#include "absl/strings/str_format.h"
#include "compiler/ir/control.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {

absl::Status EliminateDead(ir::Graph& graph, Report& report) {
  size_t erased = 0;
  const auto used = [&graph](const ir::Value* v) {
    return v != nullptr && (!v->users().empty() || graph.IsOutput(v));
  };
  const std::vector<ir::Node*> nodes = graph.NodeList();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    ir::Node* node = *it;
    FLOE_TRY(TrimControl(graph, node, report));
    bool alive = ir::HasEffects(*node);
    for (const ir::Value* output : node->outputs()) alive = alive || used(output);
    if (!alive) {
      graph.Erase(node);
      ++erased;
      continue;
    }
    if (ir::HasBodies(*node)) continue;
    // Result 0 stays: lowering sizes kernels by it.
    for (size_t i = node->outputs().size(); i-- > 1;) {
      if (node->output(i) != nullptr && !used(node->output(i))) graph.EraseOutput(node, i);
    }
  }
  graph.EraseUnusedConstants();
  if (erased > 0) report.Add(absl::StrFormat("dropped %d nodes that no output needs", erased));
  return absl::OkStatus();
}

}  // namespace floe::passes
