// Softmax prologues: scaling and masking in front of a softmax runs while it reads its rows.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/passes/code_builder.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// The pointwise nodes that only lead to the softmax and have its shape, last one first.
std::vector<ir::Node*> NodesBefore(const ir::Graph& graph, const ir::Node* softmax) {
  std::vector<ir::Node*> nodes;
  const auto inside = [&](const ir::Node* n) {
    return n == softmax || std::find(nodes.begin(), nodes.end(), n) != nodes.end();
  };
  // The kernel reads f32 operands: a mask of bools stays with the region in front of it.
  const auto reads_f32 = [&](const ir::Node* n) {
    return std::all_of(n->inputs().begin(), n->inputs().end(),
                       [&](const ir::Value* v) { return v->dtype() == DType::kF32; });
  };
  const auto joins = [&](const ir::Value* v) {
    const ir::Node* p = v->producer();
    return p != nullptr && !inside(p) && IsExpressible(*p) && reads_f32(p) && !graph.IsOutput(v) &&
           v->shape() == softmax->output()->shape() &&
           std::all_of(v->users().begin(), v->users().end(), inside);
  };
  // A node can join only after all its readers: repeat until nothing joins.
  std::vector<const ir::Node*> readers = {softmax};
  for (size_t i = 0; i < readers.size() && nodes.size() < kPwMaxLength; ++i) {
    for (const ir::Value* v : readers[i]->inputs()) {
      if (!joins(v)) continue;
      nodes.push_back(v->producer());
      readers.push_back(v->producer());
    }
  }
  return nodes;
}

// The value that the softmax's rows are read from: of its shape and not computed inside. Products
// come first: they are what the prologue saves from being stored twice.
ir::Value* RowsOf(const std::vector<ir::Node*>& nodes, const ir::Node* softmax) {
  ir::Value* rows = nullptr;
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    for (ir::Value* v : (*it)->inputs()) {
      const bool inside = v->producer() != nullptr &&
                          std::find(nodes.begin(), nodes.end(), v->producer()) != nodes.end();
      if (inside || v->is_constant() || v->dtype() != DType::kF32 ||
          v->shape() != softmax->output()->shape()) {
        continue;
      }
      if (ProducedBy(v, OpId::kMatMul) != nullptr) return v;
      if (rows == nullptr) rows = v;
    }
  }
  return rows;
}

void Fuse(ir::Graph& graph, ir::Node* softmax, Report& report) {
  std::vector<ir::Node*> nodes = NodesBefore(graph, softmax);
  // Drop what was found last until the rest fits.
  for (; !nodes.empty(); nodes.pop_back()) {
    ir::Value* rows = RowsOf(nodes, softmax);
    if (rows == nullptr) continue;
    CodeBuilder builder(rows);
    for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) builder.Add(**it);
    std::optional<std::vector<PwInstr>> code = builder.Finish(softmax->input(0));
    if (!code) continue;
    graph.SetInput(softmax, 0, rows);
    for (ir::Value* operand : builder.operands()) graph.AddOperand(softmax, operand);
    softmax->code = *std::move(code);
    softmax->epilogue_begin = 1;
    for (ir::Node* node : nodes) {
      report.Add("fused " + NameOf(*node) + " into " + NameOf(*softmax));
      graph.Erase(node);
    }
    return;
  }
}

}  // namespace

absl::Status FuseSoftmaxPrologues(ir::Graph& graph, Report& report) {
  // Only earlier nodes are erased.
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->op() == OpId::kSoftmax && node->code.empty() &&
        node->output()->dtype() == DType::kF32) {
      Fuse(graph, node, report);
    }
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
