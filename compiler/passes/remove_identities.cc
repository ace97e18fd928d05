// Nodes that change nothing go; moves of moves become one; a move of axes of length 1 is a reshape.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/ir/shapes.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

bool AllEqual(const std::vector<int64_t>& list, int64_t v) {
  return std::all_of(list.begin(), list.end(), [v](int64_t x) { return x == v; });
}

bool IsIdentityReduction(const ir::Node& node) {
  const auto kind = static_cast<ReduceKind>(node.Int("kind"));
  return node.Ints("axes").empty() &&
         (kind == ReduceKind::kSum || kind == ReduceKind::kMean || kind == ReduceKind::kMax ||
          kind == ReduceKind::kMin || kind == ReduceKind::kProd);
}

// The operand that the node passes on unchanged, or null.
ir::Value* PassedOn(const ir::Node& node) {
  ir::Value* x = node.input(0);
  const ir::Value* y = node.output();
  const auto scalar = [&node](size_t i, double v) { return ScalarOf(node.input(i)) == v; };
  bool idle = false;
  switch (node.op()) {
    case OpId::kIdentity:
      idle = true;
      break;
    case OpId::kCast:
    case OpId::kReshape:
    case OpId::kExpand:
      idle = true;  // If the types are equal, see below.
      break;
    case OpId::kTranspose:
      idle = std::is_sorted(node.Ints("perm").begin(), node.Ints("perm").end());
      break;
    case OpId::kSlice:
      idle = AllEqual(node.Ints("starts"), 0) && AllEqual(node.Ints("steps"), 1);
      break;
    case OpId::kPad:
      idle = AllEqual(node.Ints("before"), 0) && AllEqual(node.Ints("after"), 0);
      break;
    case OpId::kTile:
      idle = AllEqual(node.Ints("repeats"), 1);
      break;
    case OpId::kConcat:
      idle = node.inputs().size() == 1;
      break;
    case OpId::kReduce:
      idle = IsIdentityReduction(node);
      break;
    case OpId::kClamp:
      idle = node.Float("min") == -std::numeric_limits<double>::infinity() &&
             node.Float("max") == std::numeric_limits<double>::infinity();
      break;
    case OpId::kAdd:
      if (scalar(0, 0)) x = node.input(1);
      idle = scalar(0, 0) || scalar(1, 0);
      break;
    case OpId::kMul:
      if (scalar(0, 1)) x = node.input(1);
      idle = scalar(0, 1) || scalar(1, 1);
      break;
    case OpId::kSub:
      idle = scalar(1, 0);
      break;
    case OpId::kDiv:
    case OpId::kPow:
      idle = scalar(1, 1);
      break;
    default:
      break;
  }
  return idle && x->dtype() == y->dtype() && x->shape() == y->shape() ? x : nullptr;
}

// Whether a transpose keeps the order of all axes that are longer than 1.
bool KeepsOrder(const ir::Node& transpose) {
  int64_t last = -1;
  for (const int64_t axis : transpose.Ints("perm")) {
    if (transpose.input(0)->shape()[static_cast<size_t>(axis)] == ir::Dim(1)) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

// The axes of `fine` that each axis of `coarse` is the product of, in order. Absent if some axis of
// `coarse` is no product of whole axes.
std::optional<std::vector<std::vector<int64_t>>> AxisGroups(const ir::Shape& fine,
                                                            const ir::Shape& coarse) {
  std::vector<std::vector<int64_t>> groups;
  size_t at = 0;
  for (const ir::Dim& d : coarse) {
    ir::Dim product(1);
    std::vector<int64_t> group;
    while (at < fine.size() && (product != d || group.empty())) {
      const std::optional<ir::Dim> next = ir::Dim::Mul(product, fine[at]);
      if (!next) return std::nullopt;
      product = *next;
      group.push_back(static_cast<int64_t>(at++));
    }
    if (product != d) return std::nullopt;
    groups.push_back(std::move(group));
  }
  if (at != fine.size()) return std::nullopt;
  return groups;
}

// A reshape that merges axes, a transpose of what it gives and a reshape that splits them again:
// one transpose of the parts. True if `node`, the last reshape, was replaced (by *made).
absl::StatusOr<bool> TransposeParts(ir::Graph& graph, ir::Node* node, ir::Node** made) {
  const ir::Node* transpose =
      node->op() == OpId::kReshape ? ProducedBy(node->input(0), OpId::kTranspose) : nullptr;
  const ir::Node* merge =
      transpose == nullptr ? nullptr : ProducedBy(transpose->input(0), OpId::kReshape);
  if (merge == nullptr) return false;
  ir::Value* x = merge->input(0);
  const auto groups = AxisGroups(x->shape(), merge->output()->shape());
  if (!groups) return false;
  std::vector<int64_t> perm;
  ir::Shape shape;
  for (const int64_t axis : transpose->Ints("perm")) {
    for (const int64_t part : (*groups)[static_cast<size_t>(axis)]) {
      perm.push_back(part);
      shape.push_back(x->shape()[static_cast<size_t>(part)]);
    }
  }
  if (shape != node->output()->shape()) return false;
  FLOE_TRY_ASSIGN(ir::Value * y,
                  Insert(graph, node, OpId::kTranspose, {x}, {{"perm", std::move(perm)}},
                         node->output()->name(), node->provenance));
  Replace(graph, node, y);
  *made = y->producer();
  return true;
}

// Reshape of a reshape, transpose of a transpose: reads the first one's operand.
absl::Status JoinMoves(ir::Graph& graph, ir::Node* node, bool* changed) {
  const ir::Node* first = ProducedBy(node->input(0), node->op());
  if (first == nullptr) return absl::OkStatus();
  Attrs attrs;
  if (node->op() == OpId::kTranspose) {
    std::vector<int64_t> perm;
    for (const int64_t axis : node->Ints("perm")) {
      perm.push_back(first->Ints("perm")[static_cast<size_t>(axis)]);
    }
    attrs["perm"] = std::move(perm);
  }
  const ir::Value* y = node->output();
  FLOE_TRY_ASSIGN(ir::Value * joined,
                  InsertTyped(graph, node, node->op(), {first->input(0)}, std::move(attrs),
                              y->name(), node->provenance, y->dtype(), y->shape()));
  ir::Node* made = joined->producer();
  Replace(graph, node, joined);
  *changed = true;
  if (ir::Value* x = PassedOn(*made); x != nullptr && CanStandFor(graph, *made, x)) {
    Replace(graph, made, x);
  }
  return absl::OkStatus();
}

bool Broadcasts(OpId op) {
  // The table starts with most of these.
  return (op <= OpId::kWhere && op != OpId::kPRelu) || op == OpId::kFloorDiv ||
         op == OpId::kHypot || op == OpId::kCopySign || op == OpId::kNextAfter || op == OpId::kGcd;
}

// An element-by-element op broadcasts by itself: it need not read an Expand.
size_t SkipExpands(ir::Graph& graph, ir::Node* node) {
  size_t skipped = 0;
  for (size_t i = 0; i < node->inputs().size(); ++i) {
    ir::Node* expand = ProducedBy(node->input(i), OpId::kExpand);
    if (expand == nullptr) continue;
    ir::Shape shape = expand->input(0)->shape();
    for (size_t k = 0; k < node->inputs().size(); ++k) {
      if (k == i) continue;
      const auto both = ir::BroadcastShapes(graph, shape, node->input(k)->shape());
      if (!both.ok()) return skipped;
      shape = *both;
    }
    if (shape != node->output()->shape()) continue;
    graph.SetInput(node, i, expand->input(0));
    EraseIfUnused(graph, expand);
    ++skipped;
  }
  return skipped;
}

}  // namespace

absl::Status RemoveIdentities(ir::Graph& graph, Report& report) {
  size_t removed = 0, joined = 0;
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->output() == nullptr) continue;
    if (ir::Value* x = PassedOn(*node); x != nullptr && CanStandFor(graph, *node, x)) {
      Replace(graph, node, x);
      ++removed;
      continue;
    }
    if (Broadcasts(node->op())) {
      joined += SkipExpands(graph, node);
      continue;
    }
    if (node->op() == OpId::kTranspose && KeepsOrder(*node)) {
      const ir::Value* y = node->output();
      FLOE_TRY_ASSIGN(ir::Value * reshaped,
                      InsertTyped(graph, node, OpId::kReshape, {node->input(0)}, {}, y->name(),
                                  node->provenance, y->dtype(), y->shape()));
      Replace(graph, node, reshaped);
      node = reshaped->producer();
      ++joined;
    }
    FLOE_TRY_ASSIGN(const bool split, TransposeParts(graph, node, &node));
    joined += split ? 1 : 0;
    if (node->op() == OpId::kTranspose || node->op() == OpId::kReshape) {
      bool changed = false;
      FLOE_TRY(JoinMoves(graph, node, &changed));
      joined += changed ? 1 : 0;
    }
  }
  graph.EraseUnusedConstants();
  if (removed > 0) report.Add(absl::StrFormat("removed %d nodes that change nothing", removed));
  if (joined > 0) report.Add(absl::StrFormat("joined or simplified %d moves", joined));
  return absl::OkStatus();
}

}  // namespace floe::passes
