// Control flow that is decided at import.
#include "compiler/import/onnx/importer.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

// Exporters write If where a shape decides; once the shape is known, one branch is left.
void If(NodeBuilder& b) {
  const std::optional<double> condition = b.ScalarOf(b.In(0));
  const GraphProto* then_branch = b.GraphAttr("then_branch");
  const GraphProto* else_branch = b.GraphAttr("else_branch");
  if (!b.ok()) return;
  if (!condition) return b.Unsupported("a condition that is computed at run time");
  const GraphProto* branch = *condition != 0 ? then_branch : else_branch;
  if (branch == nullptr) return b.Invalid("a branch is missing");
  std::vector<ir::Value*> results;
  if (absl::Status status = b.importer().RunBranch(*branch, &results); !status.ok()) {
    return b.Fail(std::move(status));
  }
  if (results.size() != b.OutputCount()) return b.Invalid("the branch has other outputs");
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i] == nullptr) return b.Unsupported("the branch that is taken has no mapping");
    b.Out(i, results[i]);
  }
}

constexpr Row kRows[] = {
    {"If", 1, If},
};

}  // namespace

std::span<const Row> ControlRows() { return kRows; }

}  // namespace floe::onnx
