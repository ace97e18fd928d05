// Constant folding: nodes without variable operands are computed now; integer tensors whose content
// is known become constants, or kDimsOf where it depends on symbols, so that the shape arithmetic
// behind them falls away.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/ir/evaluate.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// A result may be this much larger than its operands: a file should not grow by what a machine can
// expand in a moment.
constexpr int64_t kFreeBytes = 1 << 20;
constexpr int64_t kGrowth = 4;

bool AllConstant(const ir::Node& node) {
  return std::all_of(node.inputs().begin(), node.inputs().end(),
                     [](const ir::Value* v) { return v == nullptr || v->is_constant(); });
}

bool WorthFolding(const ir::Node& node) {
  int64_t in = 0, out = 0;
  for (const ir::Value* v : node.inputs()) in += v == nullptr ? 0 : v->constant().bytes();
  for (const ir::Value* v : node.outputs()) {
    if (v == nullptr) continue;
    if (!v->HasStaticShape()) return false;
    // In double: shapes in models can multiply to anything.
    double bytes = static_cast<double>(DTypeSize(v->dtype()));
    for (const ir::Dim& d : v->shape()) bytes *= static_cast<double>(d.constant());
    if (bytes > static_cast<double>(kFreeBytes + kGrowth * in - out)) return false;
    out += static_cast<int64_t>(bytes);
  }
  return true;
}

absl::StatusOr<std::vector<ir::Tensor>> Compute(const ir::Graph& graph, const ir::Node& node) {
  const ir::Value* x = node.input(0);
  if (node.op() == OpId::kTranspose && x->rank() == 2 && node.Ints("perm")[0] == 1) {
    return {{TransposedMatrix(x->constant())}};
  }
  if (node.op() == OpId::kReshape || node.op() == OpId::kIdentity) {
    return {{x->constant().WithDims(node.output()->StaticShape())}};
  }
  std::vector<ir::Tensor> operands;
  for (const ir::Value* v : node.inputs()) {
    operands.push_back(v == nullptr ? ir::Tensor() : v->constant());
  }
  return ir::EvaluateNode(graph, node, operands, std::vector<int64_t>(graph.symbols.size()));
}

// Replaces every output of the node by a constant. Keeps the node where an output of the graph
// would lose its value.
void ReplaceByConstants(ir::Graph& graph, ir::Node* node, std::vector<ir::Tensor> tensors) {
  std::vector<std::pair<ir::Value*, std::string>> constants;
  for (size_t i = 0; i < tensors.size(); ++i) {
    ir::Value* output = node->output(i);
    if (output == nullptr) continue;
    ir::Value* constant = graph.AddConstant(output->name(), std::move(tensors[i]));
    graph.ReplaceAllUses(output, constant);
    constants.emplace_back(constant, output->name());
  }
  EraseIfUnused(graph, node);
  for (auto& [constant, name] : constants) graph.Rename(constant, std::move(name));
}

// What the format can hold as dimensions: none is negative, whatever the symbols are.
bool AreSizes(const ir::Graph& graph, const std::vector<ir::Dim>& content) {
  return std::all_of(content.begin(), content.end(),
                     [&graph](const ir::Dim& d) { return d.Min(graph.symbols) >= 0; });
}

bool IsKnown(const std::vector<ir::Dim>& content) {
  return std::all_of(content.begin(), content.end(),
                     [](const ir::Dim& d) { return d.is_constant(); });
}

ir::Tensor TensorOf(const ir::Value& value) {
  ir::Tensor t(value.dtype(), value.StaticShape());
  for (size_t i = 0; i < value.content->size(); ++i) {
    t.SetInt(static_cast<int64_t>(i), (*value.content)[i].constant());
  }
  return t;
}

absl::Status ReplaceByDims(ir::Graph& graph, ir::Node* node) {
  ir::Value* old = node->output();
  ir::Node* dims = graph.AddNode(OpId::kDimsOf, {}, {old->name()}, node->provenance, node);
  dims->output()->set_type(DType::kI64, old->shape());
  dims->output()->content = old->content;
  Replace(graph, node, dims->output());
  return absl::OkStatus();
}

// Weights stay integers until integer-islands has seen them.
absl::Status Fold(ir::Graph& graph, bool keep_dequantize, Report& report) {
  size_t folded = 0, resolved = 0;
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (IsControlOp(node->op())) continue;  // See control.cc.
    if (keep_dequantize && node->op() == OpId::kDequantize) continue;
    const ir::Value* output = node->output();
    if (output != nullptr && output->content && node->outputs().size() == 1) {
      if (IsKnown(*output->content)) {
        ReplaceByConstants(graph, node, {TensorOf(*output)});
        ++folded;
        continue;
      }
      if (output->dtype() == DType::kI64 && node->op() != OpId::kDimsOf &&
          AreSizes(graph, *output->content)) {
        FLOE_TRY(ReplaceByDims(graph, node));
        ++resolved;
        continue;
      }
    }
    if (!AllConstant(*node) || node->op() == OpId::kDimsOf || !WorthFolding(*node)) continue;
    absl::StatusOr<std::vector<ir::Tensor>> tensors = Compute(graph, *node);
    if (!tensors.ok()) {
      // What cannot be computed here is left to the run, which reports it in its own terms.
      report.Add(absl::StrFormat("did not fold %s: %s", NameOf(*node),
                                 std::string(tensors.status().message())));
      continue;
    }
    ReplaceByConstants(graph, node, *std::move(tensors));
    ++folded;
  }
  graph.EraseUnusedConstants();
  if (folded > 0) report.Add(absl::StrFormat("folded %d constant nodes", folded));
  if (resolved > 0) {
    report.Add(absl::StrFormat("resolved %d shape computations to dimensions", resolved));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FoldConstants(ir::Graph& graph, Report& report) {
  return Fold(graph, /*keep_dequantize=*/true, report);
}

absl::Status FoldAllConstants(ir::Graph& graph, Report& report) {
  return Fold(graph, /*keep_dequantize=*/false, report);
}

}  // namespace floe::passes
