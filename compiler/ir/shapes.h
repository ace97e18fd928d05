// Shape, dtype and content inference: one rule per op.
#ifndef FLOE_COMPILER_IR_SHAPES_H_
#define FLOE_COMPILER_IR_SHAPES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::ir {

// Types the outputs of `node` from its (typed) inputs and, for integer tensors of at most 64
// elements, their contents; sets Value::content where it is known (ShapeOf, constants, Concat,
// Gather, Slice, Reshape, Add, Sub, Mul, Div, Cast, Where, Equal, Minimum, Maximum, ... of known
// contents). Reshape, Expand, Slice, ConstantOfShape, Range and DimsOf (content too) have their
// result's type set by their maker; the rule checks it. The error names op, node, operand shapes
// and what does not fit.
// Bodies are typed from the operands, node by node, and get the graph's symbols.
absl::Status InferNode(Graph& graph, Node& node);

// InferNode over all nodes in order.
absl::Status InferShapes(Graph& graph);

// numpy broadcasting of two shapes; a symbol equals only itself and 1 broadcasts to anything.
absl::StatusOr<Shape> BroadcastShapes(const Graph& graph, const Shape& a, const Shape& b);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_SHAPES_H_
