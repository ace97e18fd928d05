// Which nodes treat the items of a batch one by one: those whose result number i along axis 0 is
// made of number i of their batched operands and of all of the others. A table by op (in the .cc)
// says under which conditions an op does; one that it lacks does not. What is true of every node of
// a part of a graph is true of the part: it may run on some of the items at a time.
#ifndef FLOE_COMPILER_LOWER_BATCH_ITEMS_H_
#define FLOE_COMPILER_LOWER_BATCH_ITEMS_H_

#include <cstddef>
#include <set>

#include "compiler/ir/graph.h"

namespace floe::lower {

// Values that have the batch as their axis 0. Looked up only.
using BatchedValues = std::set<const ir::Value*>;

// Whether the node treats items one by one, given which of its operands have the batch as their
// axis 0, `batch` items long: all of its results have it then, too.
// REQUIRES: an operand is in `batched`.
bool TreatsItemsAlone(const ir::Node& node, const BatchedValues& batched, const ir::Dim& batch);

// How many nodes of the graph, from the first, either treat items one by one or read nothing that
// is batched and have no effects. `batched` are the batched inputs; gets the batched results of
// these nodes.
size_t CountItemwise(const ir::Graph& graph, const ir::Dim& batch, BatchedValues* batched);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_BATCH_ITEMS_H_
