// Checks that a graph is well formed: run after import, after every pass and before lowering.
#ifndef FLOE_COMPILER_IR_VERIFY_H_
#define FLOE_COMPILER_IR_VERIFY_H_

#include <string>

#include "absl/status/status.h"
#include "compiler/ir/graph.h"

namespace floe::ir {

// Definitions come before uses; use lists are exact; names are unique; every node has the operands
// and exactly the attributes of its row in ops.def; every value is typed; constants and contents
// fit their types; symbols are in range and bounds are sane; pointwise code is well formed; bodies
// are well formed, fit their nodes and have the graph's symbols; states keep their types. Does
// not re-infer shapes. The error names the node, its op and the value. O(nodes + operands).
absl::Status Verify(const Graph& graph);

// Exactly the attributes of the op's row, each of its type. Part of Verify and of InferNode.
absl::Status CheckAttributes(const Graph& graph, const Node& node);

// "f32[N,3,224,224]".
std::string TypeToString(const Graph& graph, const Value& value);

// "conv '/layer1/conv1' (f32[N,3,8,8], f32[4,3,3,3], -)": how messages name a node.
std::string Describe(const Graph& graph, const Node& node);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_VERIFY_H_
