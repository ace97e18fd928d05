// Runs IR on concrete tensors with the reference ops: constant folding, pass tests, and the oracle
// before lowering. Slow and plain.
#ifndef FLOE_COMPILER_IR_EVALUATE_H_
#define FLOE_COMPILER_IR_EVALUATE_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::ir {

// One node. Absent operands are tensors of dtype kNone. Handles `code` (regions, epilogues,
// prologues) and bodies as well. A check that fails gives its message, with provenance.
absl::StatusOr<std::vector<Tensor>> EvaluateNode(const Graph& graph, const Node& node,
                                                 std::span<const Tensor> inputs,
                                                 const std::vector<int64_t>& symbol_values);

// The whole graph: inputs in the graph's order. Symbols are solved from the inputs' shapes; shapes
// that do not fit or lie outside a symbol's bounds are refused by name. `states`, if given, holds
// what the graph's states hold before the run, and afterwards what they hold then; empty means
// initially. If not given, the run starts with the initial contents.
absl::StatusOr<std::vector<Tensor>> Evaluate(const Graph& graph, std::span<const Tensor> inputs,
                                             std::vector<Tensor>* states = nullptr);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_EVALUATE_H_
