// What the passes share: looking at nodes, making typed ones, and replacing others.
//
// Passes walk the node list forwards and match a pattern at its last node, so that what they erase
// (that node and producers that became unused) lies behind them:
//
//   for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
//     ir::Node& node = **it++;
//     ...
//   }
#ifndef FLOE_COMPILER_PASSES_REWRITE_H_
#define FLOE_COMPILER_PASSES_REWRITE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"
#include "compiler/ir/status_macros.h"
#include "compiler/passes/pass.h"

namespace floe::passes {

using Attrs = std::map<std::string, ir::Attr, std::less<>>;

// The passes of the pipeline; each is described there and in its file. A pass sees one graph at a
// time: RunPasses calls it for a graph and then for the bodies of its nodes.
absl::Status InferShapes(ir::Graph& graph, Report& report);
absl::Status WidenHalf(ir::Graph& graph, Report& report);
absl::Status FoldConstants(ir::Graph& graph, Report& report);
absl::Status FoldAllConstants(ir::Graph& graph, Report& report);
absl::Status FindIntegerIslands(ir::Graph& graph, Report& report);
absl::Status SimplifyControl(ir::Graph& graph, Report& report);
absl::Status RemoveIdentities(ir::Graph& graph, Report& report);
absl::Status EliminateCommon(ir::Graph& graph, Report& report);
absl::Status EliminateDead(ir::Graph& graph, Report& report);
absl::Status Canonicalise(ir::Graph& graph, Report& report);
absl::Status UnflattenProducts(ir::Graph& graph, Report& report);
absl::Status SinkScales(ir::Graph& graph, Report& report);
absl::Status FoldBatchNorm(ir::Graph& graph, Report& report);
absl::Status DecomposeBatchNorm(ir::Graph& graph, Report& report);
absl::Status RecogniseNorms(ir::Graph& graph, Report& report);
absl::Status RecogniseActivations(ir::Graph& graph, Report& report);
absl::Status RecogniseRotary(ir::Graph& graph, Report& report);
absl::Status RecogniseAttention(ir::Graph& graph, Report& report);
absl::Status MergeProjections(ir::Graph& graph, Report& report);
absl::Status FuseEpilogues(ir::Graph& graph, Report& report);
absl::Status FuseSoftmaxPrologues(ir::Graph& graph, Report& report);
absl::Status ReduceWindows(ir::Graph& graph, Report& report);
absl::Status FusePointwise(ir::Graph& graph, Report& report);

// "relu '/layer1/relu'": how reports name a node.
std::string NameOf(const ir::Node& node);

// The number in a constant of one element, any rank and dtype.
std::optional<double> ScalarOf(const ir::Value* value);

// The producer of `value` if it is `op`.
ir::Node* ProducedBy(const ir::Value* value, OpId op);

// Whether `node` is the only reader of `value` (it may read it more than once).
bool OnlyUsedBy(const ir::Graph& graph, const ir::Value* value, const ir::Node* node);
// Whether `value` has one reader, reading once, and is no output.
bool HasOneUse(const ir::Graph& graph, const ir::Value* value);

// A new node before `before`, with one output, typed. `name` is the output's (made unique).
absl::StatusOr<ir::Value*> Insert(ir::Graph& graph, ir::Node* before, OpId op,
                                  std::vector<ir::Value*> inputs, Attrs attrs, std::string name,
                                  const ir::Provenance& provenance);
// The same for ops whose result's type is given.
absl::StatusOr<ir::Value*> InsertTyped(ir::Graph& graph, ir::Node* before, OpId op,
                                       std::vector<ir::Value*> inputs, Attrs attrs,
                                       std::string name, const ir::Provenance& provenance,
                                       DType dtype, ir::Shape shape);

// Redirects the uses of the node's first output to `value`, hands over its name if `value` is made
// by a node and is no graph output yet, and erases the node and every producer that it leaves
// without use (constants stay until EraseUnusedConstants).
void Replace(ir::Graph& graph, ir::Node* node, ir::Value* value);
// Erases `node` if nothing uses it, then the producers that this leaves without use.
void EraseIfUnused(ir::Graph& graph, ir::Node* node);

// Whether `value` may stand for the node's first output. It may not where that is a graph output
// and `value` is an input, a constant or an output already: outputs stay values of their own.
bool CanStandFor(const ir::Graph& graph, const ir::Node& node, const ir::Value* value);

// If `value` is an f32 constant that holds one number for each of `count` channels of a tensor of
// rank `rank`, channels on `axis` (or one number for all), these numbers.
std::optional<std::vector<double>> ChannelNumbers(const ir::Value* value, size_t rank, size_t axis,
                                                  int64_t count);
// An f32 constant of these dims; numbers are rounded once.
ir::Value* AddFloats(ir::Graph& graph, std::string name, const std::vector<double>& numbers,
                     std::vector<int64_t> dims);

// Drops results, carried values and captures of control flow that nothing needs, and what computes
// them in its bodies. Part of EliminateDead. Other nodes stay.
absl::Status TrimControl(ir::Graph& graph, ir::Node* node, Report& report);

// Whether a node is an f32 MatMul with one constant matrix on the right: what the Gemm kernel runs.
bool HasConstantMatrix(const ir::Node& matmul);

// A constant matrix with its axes swapped. REQUIRES: rank 2.
ir::Tensor TransposedMatrix(const ir::Tensor& matrix);

}  // namespace floe::passes

#endif  // FLOE_COMPILER_PASSES_REWRITE_H_
