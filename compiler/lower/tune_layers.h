// Layers whose kernel can be chosen by measurement: their keys in the tune record
// (compiler/tune/record.h), the programs that time their candidates, and what the record says of a
// graph. Today these are the convolutions that may be in Winograd tiles; everything else has one
// kernel on a given machine, whose tiles Prepare picks (within 1 % of the best forced ones over
// ResNet-18 and -50, MobileNetV2).
#ifndef FLOE_COMPILER_LOWER_TUNE_LAYERS_H_
#define FLOE_COMPILER_LOWER_TUNE_LAYERS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"
#include "compiler/lower/winograd_choice.h"
#include "compiler/tune/record.h"

namespace floe::lower {

// A program of one layer alone: its inputs and constants, edges converted as in a model.
struct LayerProgram {
  std::string candidate;
  std::vector<uint8_t> bytes;
};

// Times the candidates of the layer `key`, which has no entry yet. An error ends the compilation.
using MeasureLayer = std::function<absl::StatusOr<tune::Entry>(
    const tune::Key& key, const std::string& node, const std::vector<LayerProgram>& programs)>;

struct TuneOptions {
  // What is known; gets what is measured. Null: costs alone decide.
  tune::Record* record = nullptr;
  std::string cpu;       // Entries of this kind of CPU count.
  std::string kernels;   // Entries of this version of the kernels count.
  int64_t threads = 1;   // Entries for so many threads count.
  MeasureLayer measure;  // Null: nothing is measured.
};

// "direct", "F(2x2,3x3)" or "F(4x4,3x3)": the candidate's name in records.
std::string CandidateName(int tile);

// The layer as it is keyed: at one image and the upper bounds of its symbols, as PlanWinograd
// weighs it. `weights_bytes` are the whole model's.
tune::Key KeyOfConv(const ir::Graph& graph, const ir::Node& conv, int64_t weights_bytes,
                    const TuneOptions& options);

// Of all constants of the graph.
int64_t WeightBytes(const ir::Graph& graph);

// The layer's own program with the convolution in tiles of `tile` inputs a side (0: direct).
absl::StatusOr<std::vector<uint8_t>> CompileConv(const ir::Graph& graph, const ir::Node& conv,
                                                 int tile);

struct TuneResult {
  MeasuredConvs measured;
  size_t used = 0, missing = 0;    // Layers with and without an entry.
  std::vector<std::string> notes;  // For --explain: entries that do not count, and why.
};
// Looks up every layer of `graph` and measures those that the record lacks.
absl::StatusOr<TuneResult> LookUpLayers(const ir::Graph& graph, const TuneOptions& options);

// What was weighed, a line for each layer and a summary: the model's costs beside the record's
// times, and how much longer the choices of the cost model alone would take, where all is measured.
std::vector<std::string> ExplainChoices(const WinogradPlan& plan, const WinogradPlan& by_cost,
                                        const TuneResult& tuned);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_TUNE_LAYERS_H_
