#include "compiler/ir/shapes.h"

#include <array>

#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"
#include "compiler/ir/verify.h"
#include "format/tensor_info.h"

namespace floe::ir {
namespace {

using RuleTable = std::array<ShapeRule, static_cast<size_t>(OpId::kCount)>;

const RuleTable& Rules() {
  static const RuleTable* table = [] {
    auto* t = new RuleTable{};
    for (const auto rows : {PointwiseRules(), ReduceRules(), MovementRules(), LinearRules(),
                            NetworkRules(), ControlRules(), QuantizedRules()}) {
      for (const ShapeRuleRow& row : rows) (*t)[static_cast<size_t>(row.op)] = row.rule;
    }
    return t;
  }();
  return *table;
}

}  // namespace

absl::Status Inference::Fail(const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrFormat("%s: %s", Describe(graph, node), what));
}

absl::Status Inference::Set(size_t i, DType dtype, Shape shape) const {
  Value* output = node.output(i);
  if (output == nullptr) return absl::OkStatus();
  if (shape.size() > static_cast<size_t>(kMaxRank)) {
    return Fail(absl::StrFormat("the result's rank %d is above %d", shape.size(), kMaxRank));
  }
  for (const Dim& d : shape) {
    if (d.Min(graph.symbols) < 0) {
      return Fail(absl::StrFormat("the result's shape %s can be negative", Text(shape)));
    }
  }
  output->set_type(dtype, std::move(shape));
  return absl::OkStatus();
}

absl::Status Inference::NeedRank(size_t i, size_t rank) const {
  if (in(i).rank() == rank) return absl::OkStatus();
  return Fail(absl::StrFormat("operand %d has rank %d, not %d", i, in(i).rank(), rank));
}

absl::Status Inference::NeedFloat(size_t i) const {
  if (IsFloat(dtype(i))) return absl::OkStatus();
  return Fail(absl::StrFormat("operand %d is %s, not a float", i, DTypeName(dtype(i))));
}

absl::Status Inference::NeedAxis(int64_t axis, size_t rank) const {
  if (axis >= 0 && axis < static_cast<int64_t>(rank)) return absl::OkStatus();
  return Fail(absl::StrFormat("axis %d is outside a tensor of rank %d", axis, rank));
}

absl::Status Inference::NeedShape(size_t i, const Shape& expected) const {
  if (!has(i) || shape(i) == expected) return absl::OkStatus();
  return Fail(
      absl::StrFormat("operand %d has shape %s, not %s", i, Text(shape(i)), Text(expected)));
}

absl::Status Inference::NeedCount(const char* attr, size_t count) const {
  const size_t got = node.Ints(attr).size();
  if (got == count) return absl::OkStatus();
  return Fail(absl::StrFormat("attribute '%s' has %d numbers, not %d", attr, got, count));
}

absl::Status InferNode(Graph& graph, Node& node) {
  const Inference inference{graph, node};
  const OpInfoRow& row = OpRow(node.op());
  if (inference.operand_count() > node.inputs().size() ||
      inference.operand_count() < static_cast<size_t>(row.min_inputs)) {
    return inference.Fail("has too few operands");
  }
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    const Value* input = node.inputs()[i];
    const bool optional = row.max_inputs >= 0 && i >= static_cast<size_t>(row.min_inputs) &&
                          i < inference.operand_count();
    if (input == nullptr && !optional) {
      return inference.Fail(absl::StrFormat("operand %d is absent", i));
    }
    if (input != nullptr && input->dtype() == DType::kNone) {
      return inference.Fail(absl::StrFormat("operand '%s' has no type yet", input->name()));
    }
  }
  if (!IsControlOp(node.op()) &&
      (node.outputs().empty() || (row.max_outputs == 1 && node.output() == nullptr))) {
    return inference.Fail("has no result");
  }
  FLOE_TRY(CheckAttributes(graph, node));
  const ShapeRule rule = Rules()[static_cast<size_t>(node.op())];
  if (rule == nullptr) return inference.Fail("has no shape rule");
  FLOE_TRY(rule(inference));
  // The contents of these are their maker's and their bodies'.
  if (node.op() == OpId::kDimsOf || IsControlOp(node.op())) return absl::OkStatus();
  if (Value* output = node.output(); output != nullptr) {
    output->content = InferContent(graph, node);
  }
  return absl::OkStatus();
}

absl::Status InferShapes(Graph& graph) {
  for (const auto& node : graph.nodes()) FLOE_TRY(InferNode(graph, *node));
  return absl::OkStatus();
}

absl::StatusOr<Shape> BroadcastShapes(const Graph& graph, const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  for (size_t i = 0; i < shorter.size(); ++i) {
    const size_t at = longer.size() - shorter.size() + i;
    const Dim& x = longer[at];
    const Dim& y = shorter[i];
    if (x == y || y == Dim(1)) continue;
    if (x == Dim(1)) {
      result[at] = y;
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrFormat("shapes %s and %s do not broadcast: %s against %s on axis %d",
                        ShapeToString(a, graph.symbols), ShapeToString(b, graph.symbols),
                        x.ToString(graph.symbols), y.ToString(graph.symbols), at));
  }
  return result;
}

}  // namespace floe::ir
