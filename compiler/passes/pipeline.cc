// The standard pipeline: one list, in order.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/verify.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

constexpr Pass kPipeline[] = {
    {"infer-shapes", "types every value and resolves shape arithmetic", InferShapes},
    {"widen-half", "computes in f32 what the model computes in f16 or bf16", WidenHalf},
    {"fold-constants", "computes what does not depend on the inputs", FoldConstants},
    {"simplify-control", "inlines branches and loops that are decided, drops checks that hold",
     SimplifyControl},
    {"remove-identities", "drops nodes that change nothing and joins moves", RemoveIdentities},
    {"cse", "computes equal things once", EliminateCommon},
    {"dce", "drops what no output needs", EliminateDead},
    {"integer-islands", "makes integer products of what is quantised", FindIntegerIslands},
    {"fold-dequantised", "computes the weights that no integer product reads", FoldAllConstants},
    {"canonicalise", "brings gemms into the form x W + c", Canonicalise},
    {"unflatten-products", "gives products of flattened rows the rows' own axes",
     UnflattenProducts},
    {"recognise-activations", "finds GELU, SiLU, hard swish and mish in their arithmetic",
     RecogniseActivations},
    {"sink-scales", "moves factors of matrix products' operands behind the products", SinkScales},
    {"fold-batch-norm", "moves per-channel factors and terms into weights and biases",
     FoldBatchNorm},
    {"decompose-batch-norm", "writes the remaining batch norms as a factor and a term",
     DecomposeBatchNorm},
    {"recognise-norms", "finds layer and RMS norms in their arithmetic", RecogniseNorms},
    {"recognise-rotary", "finds rotary embeddings in their products, sums and moves",
     RecogniseRotary},
    {"recognise-attention", "finds attention in its products, masks and softmax",
     RecogniseAttention},
    {"merge-projections", "makes one product of those of attention's queries, keys and values",
     MergeProjections},
    {"fold-constants-2", "computes what the rewrites made constant", FoldAllConstants},
    {"remove-identities-2", "drops what the rewrites made idle", RemoveIdentities},
    {"cse-2", "computes equal things once", EliminateCommon},
    {"fuse-epilogue", "moves pointwise work behind products into their epilogues", FuseEpilogues},
    {"reduce-windows",
     "writes convolutions of other than two axes, and transposed ones, as plain 2-D",
     ReduceWindows},
    {"fuse-softmax", "moves pointwise work before a softmax into its prologue",
     FuseSoftmaxPrologues},
    {"fuse-pointwise", "joins the remaining pointwise work into regions", FusePointwise},
    {"dce-2", "drops what no output needs", EliminateDead},
};

// A body is part of its node: what runs on it keeps the types of its inputs and outputs.
absl::Status RunOn(ir::Graph& graph, const Pass& pass, Report& report) {
  FLOE_TRY(pass.run(graph, report));
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) FLOE_TRY(RunOn(*body, pass, report));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status InferShapes(ir::Graph& graph, Report&) { return ir::InferShapes(graph); }

std::span<const Pass> StandardPipeline() { return kPipeline; }

absl::Status RunPasses(ir::Graph& graph, std::span<const Pass> passes, const PassOptions& options,
                       Report& report) {
  for (const Pass& pass : passes) {
    if (std::count(options.skip.begin(), options.skip.end(), pass.name) > 0) continue;
    absl::Status status = RunOn(graph, pass, report);
    if (status.ok()) status = ir::Verify(graph);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrFormat("pass %s: %s", pass.name, std::string(status.message())));
    }
    if (options.after) options.after(pass.name, graph);
  }
  return absl::OkStatus();
}

}  // namespace floe::passes
