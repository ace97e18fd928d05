// Internal to shape inference: what a rule sees of its node, and the families of rules.
#ifndef FLOE_COMPILER_IR_SHAPE_RULES_H_
#define FLOE_COMPILER_IR_SHAPE_RULES_H_

#include <span>
#include <string>

#include "absl/status/status.h"
#include "compiler/ir/graph.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/status_macros.h"

namespace floe::ir {

// One node that is being typed. Operand numbers exclude the operands of an epilogue.
struct Inference {
  Graph& graph;
  Node& node;

  size_t operand_count() const {
    return node.code.empty() || node.op() == OpId::kPointwise ? node.inputs().size()
                                                              : node.epilogue_begin;
  }
  bool has(size_t i) const { return i < operand_count() && node.inputs()[i] != nullptr; }
  const Value& in(size_t i) const { return *node.inputs()[i]; }
  const Shape& shape(size_t i) const { return in(i).shape(); }
  DType dtype(size_t i) const { return in(i).dtype(); }
  size_t rank(size_t i) const { return in(i).rank(); }
  std::string Text(const Shape& s) const { return ShapeToString(s, graph.symbols); }

  // InvalidArgument: the node with its operand types, then `what`.
  absl::Status Fail(const std::string& what) const;
  // Types output i, if it is there. Refuses dims that can be negative and ranks above the limit.
  absl::Status Set(size_t i, DType dtype, Shape shape) const;

  absl::Status NeedRank(size_t i, size_t rank) const;
  absl::Status NeedFloat(size_t i) const;
  absl::Status NeedAxis(int64_t axis, size_t rank) const;  // 0 <= axis < rank.
  // Operand i, if there, has exactly this shape.
  absl::Status NeedShape(size_t i, const Shape& shape) const;
  // One number for each axis.
  absl::Status NeedCount(const char* attr, size_t count) const;
};

using ShapeRule = absl::Status (*)(const Inference&);
struct ShapeRuleRow {
  OpId op;
  ShapeRule rule;
};

std::span<const ShapeRuleRow> PointwiseRules();  // shapes_pointwise.cc
std::span<const ShapeRuleRow> ReduceRules();     // shapes_reduce.cc
std::span<const ShapeRuleRow> MovementRules();   // shapes_movement.cc
std::span<const ShapeRuleRow> LinearRules();     // shapes_linear.cc
std::span<const ShapeRuleRow> NetworkRules();    // shapes_network.cc
std::span<const ShapeRuleRow> ControlRules();    // shapes_control.cc
std::span<const ShapeRuleRow> QuantizedRules();  // shapes_quantized.cc

// Of a convolution of x (operand 0) with the filter w (operand 1), whatever their dtypes.
absl::StatusOr<Shape> ConvShape(const Inference& n);
// Of numpy's matmul of operands 0 and 1, which have ranks of 2 at least.
absl::StatusOr<Shape> MatMulShape(const Inference& n);

// The content of the node's first output, whose type is set, where it is known (content.cc).
std::optional<std::vector<Dim>> InferContent(const Graph& graph, const Node& node);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_SHAPE_RULES_H_
