// matmul(s * a, t * b) = (s * t) * matmul(a, b): factors in front of a product move behind it,
// where they are part of its epilogue or of its constant weights, and where they no longer hide a
// transpose from it. Exporters write attention's 1 / sqrt(d) as a factor of both operands.
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// The other operand of x * number or x / number; *factor is multiplied by the number. Null if the
// value is none of these or something else reads it.
ir::Value* Unscaled(const ir::Graph& graph, const ir::Value* value, double* factor) {
  const ir::Node* node = value->producer();
  if (node == nullptr || !HasOneUse(graph, value)) return nullptr;
  const bool division = node->op() == OpId::kDiv;
  if (!division && node->op() != OpId::kMul) return nullptr;
  for (size_t i = 0; i < (division ? 1u : 2u); ++i) {
    const std::optional<double> number = ScalarOf(node->input(1 - i));
    ir::Value* x = node->input(i);
    if (!number || x->is_constant() || x->shape() != value->shape()) continue;
    const double scaled = division ? *factor / *number : *factor * *number;
    if (!std::isnormal(static_cast<float>(scaled))) continue;
    *factor = scaled;
    return x;
  }
  return nullptr;
}

// What reshapes and transposes show, as far as nothing else reads it.
ir::Value* BelowMoves(const ir::Graph& graph, ir::Value* value) {
  constexpr int kMost = 6;
  for (int i = 0; i < kMost && HasOneUse(graph, value); ++i) {
    const ir::Node* node = value->producer();
    if (node == nullptr || (node->op() != OpId::kReshape && node->op() != OpId::kTranspose)) break;
    value = node->input(0);
  }
  return value;
}

}  // namespace

absl::Status SinkScales(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->op() != OpId::kMatMul || node->output()->dtype() != DType::kF32) continue;
    double factor = 1.0;
    bool changed = false;
    for (size_t i = 0; i < 2; ++i) {
      ir::Value* scaled = BelowMoves(graph, node->input(i));
      ir::Node* scale = scaled->producer();
      ir::Value* x = Unscaled(graph, scaled, &factor);
      if (x == nullptr) continue;
      report.Add("moved " + NameOf(*scale) + " behind " + NameOf(*node));
      graph.ReplaceAllUses(scaled, x);
      EraseIfUnused(graph, scale);
      changed = true;
    }
    if (!changed || factor == 1.0) continue;
    ir::Value* y = node->output();
    ir::Value* number = AddFloats(graph, y->name() + "_factor", {factor}, {});
    ir::Node* next = it == graph.nodes().end() ? nullptr : it->get();
    FLOE_TRY_ASSIGN(ir::Value * scaled, Insert(graph, next, OpId::kMul, {number, number}, {},
                                               y->name() + "_scaled", node->provenance));
    scaled->set_type(y->dtype(), y->shape());
    graph.ReplaceAllUses(y, scaled);
    graph.SetInput(scaled->producer(), 0, y);
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
