// Passes rewrite a graph in place and keep its meaning: Evaluate gives the same numbers before and
// after (tests check each pass so). The pipeline is one list, in pipeline.cc. A pass rewrites one
// graph; RunPasses runs it on the bodies of control flow too (ir/control.h), outer graphs first.
#ifndef FLOE_COMPILER_PASSES_PASS_H_
#define FLOE_COMPILER_PASSES_PASS_H_

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "compiler/ir/graph.h"

namespace floe::passes {

// What passes decided, for --explain: one line each, in order.
struct Report {
  std::vector<std::string> lines;
  void Add(std::string line) { lines.push_back(std::move(line)); }
};

struct Pass {
  const char* name;         // "fold-batch-norm": kebab case, used by --print-after.
  const char* description;  // One line.
  absl::Status (*run)(ir::Graph& graph, Report& report);
};

// The standard pipeline in order: infer-shapes, widen-half, fold-constants, remove-identities,
// simplify-shapes, fold-batch-norm, cse, dce, fuse-pointwise, fuse-epilogue, ...
std::span<const Pass> StandardPipeline();

struct PassOptions {
  // Called with the pass's name and the graph after it; for --print-after.
  std::function<void(const char* pass, const ir::Graph&)> after;
  // Names of passes that do not run. {"widen-half"}: f16 and bf16 models round after every op, as
  // they are written, on the reference kernels.
  std::vector<std::string> skip;
};

// Runs the passes in order, on bodies too; verifies the graph (ir/verify.h) after each. An error
// names the pass.
absl::Status RunPasses(ir::Graph& graph, std::span<const Pass> passes, const PassOptions& options,
                       Report& report);

}  // namespace floe::passes

#endif  // FLOE_COMPILER_PASSES_PASS_H_
