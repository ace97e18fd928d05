// A product of flattened rows becomes a product of the rows as they were: exporters flatten
// [N,T,K] to [N*T,K] for a Gemm and split its result again, which keeps residuals and activations
// of rank 3 away from the Gemm's epilogue. Reshapes cost nothing, epilogues save a pass.
#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// Whether the result is x W or x W + c for rows of x, with constant W.
bool IsProductOfRows(const ir::Node& node) {
  if (node.output()->dtype() != DType::kF32 || node.input(0)->rank() != 2) return false;
  const ir::Value* w = node.input(1);
  if (!w->is_constant() || w->rank() != 2 || w->dtype() != DType::kF32) return false;
  if (node.op() == OpId::kMatMul) return true;
  const ir::Value* c = node.input(2);
  return node.op() == OpId::kGemm && node.Float("alpha") == 1.0 && node.Float("beta") == 1.0 &&
         node.Int("trans_a") == 0 && node.Int("trans_b") == 0 &&
         (c == nullptr || (c->is_constant() && c->rank() == 1));
}

}  // namespace

absl::Status UnflattenProducts(ir::Graph& graph, Report& report) {
  size_t count = 0;
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    const ir::Value* y = node->output();
    if (node->op() != OpId::kReshape || y->rank() < 3 || !HasOneUse(graph, node->input(0))) {
      continue;
    }
    const ir::Node* product = node->input(0)->producer();
    if (product == nullptr || (product->op() != OpId::kGemm && product->op() != OpId::kMatMul) ||
        !IsProductOfRows(*product) || y->shape().back() != product->output()->shape()[1]) {
      continue;
    }
    ir::Shape rows = y->shape();
    rows.back() = product->input(0)->shape()[1];
    ir::Value* c = product->op() == OpId::kGemm ? product->input(2) : nullptr;
    const std::string name = product->output()->name();
    FLOE_TRY_ASSIGN(ir::Value * x,
                    InsertTyped(graph, node, OpId::kReshape, {product->input(0)}, {},
                                name + "_rows", product->provenance, DType::kF32, std::move(rows)));
    FLOE_TRY_ASSIGN(ir::Value * result, Insert(graph, node, OpId::kMatMul, {x, product->input(1)},
                                               {}, y->name(), product->provenance));
    if (c != nullptr) {
      FLOE_TRY_ASSIGN(
          result, Insert(graph, node, OpId::kAdd, {result, c}, {}, y->name(), product->provenance));
    }
    Replace(graph, node, result);
    ++count;
  }
  if (count > 0) report.Add(absl::StrFormat("gave %d products their rows' own axes", count));
  return absl::OkStatus();
}

}  // namespace floe::passes
