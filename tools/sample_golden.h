// The example inputs of a model file as a golden. A .pt2 file holds the inputs that the model was
// exported with, but no outputs. floec runs the imported graph on them with the plain op reference,
// before any pass, and embeds inputs and results: `floe-bench --check` then compares what passes,
// kernels and the machine at hand make of the model. That PyTorch computes the same, only outputs
// that PyTorch has computed can tell (--golden).
#ifndef FLOE_TOOLS_SAMPLE_GOLDEN_H_
#define FLOE_TOOLS_SAMPLE_GOLDEN_H_

#include <optional>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/lower/compile.h"

namespace floe::tools {

// Multiply-adds that a run of the graph takes, about: products exactly, other ops by the elements
// that they write. `inputs` decide the dynamic sizes; loops count as often as they may run.
double EstimateWork(const ir::Graph& graph, const std::vector<ir::Tensor>& inputs);

// The golden, or nothing, with the reason in `note`; `note` also says what the golden is. Inputs
// that do not fit the graph, that one of the model's checks refuses, or that take more than
// `max_work` multiply-adds or `max_bytes` are no golden; floec goes on without one. Deterministic.
std::optional<lower::Golden> MakeSampleGolden(const ir::Graph& graph,
                                              std::vector<ir::Tensor> inputs, double max_work,
                                              int64_t max_bytes, std::string* note);

}  // namespace floe::tools

#endif  // FLOE_TOOLS_SAMPLE_GOLDEN_H_
