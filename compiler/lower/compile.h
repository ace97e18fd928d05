// The compiler's front door: a graph from any front end becomes the bytes of a .floe file.
#ifndef FLOE_COMPILER_LOWER_COMPILE_H_
#define FLOE_COMPILER_LOWER_COMPILE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "compiler/ir/graph.h"
#include "compiler/lower/plan.h"
#include "compiler/lower/split_batch.h"
#include "compiler/lower/tune_layers.h"
#include "compiler/lower/winograd_choice.h"
#include "compiler/passes/pass.h"
#include "compiler/passes/weight_types.h"
#include "format/writer.h"

namespace floe::lower {

// One set of inputs and expected outputs, in the method's order, embedded in the file.
struct Golden {
  std::vector<ir::Tensor> inputs;
  std::vector<ir::Tensor> outputs;
  double rtol = 1e-5;
  double atol = 1e-6;
};

struct CompileOptions {
  std::string method = "forward";
  passes::Precision precision = passes::Precision::kF32;
  PlanOptions plan;
  passes::PassOptions passes;
  Accuracy accuracy = Accuracy::kDefault;
  TuneOptions tune;
  SplitOptions split;
  std::vector<Golden> goldens;
  // Upper bounds of sizes that depend on data, by name (ir::BoundSizes).
  std::map<std::string, int64_t> bounds;
};

// What the compiler decided, as lines for --explain, and sizes.
struct CompileReport {
  passes::Report passes;             // What the graph passes did.
  std::vector<std::string> tuning;   // Layers with several ways: their costs and times.
  std::vector<std::string> kernels;  // One line for each instruction.
  std::vector<std::string>
      fallbacks;                     // The instructions that run on the reference kernel, and why.
  std::vector<BucketMemory> memory;  // Of each bucket.
  std::vector<std::string> memory_lines;
  uint64_t arena_bytes = 0;  // Of the largest bucket.
  uint64_t scratch_bytes = 0;
  uint64_t constant_bytes = 0;
  size_t instructions = 0;
};

// Runs the standard passes, lowers, plans, validates the result with the runtime's own validator
// and streams the file to `sink`. Consumes the graph, so that weights are freed as they are packed:
// peak memory is about twice the weights. Equal graphs and options, of which the tune record is
// one, give equal bytes.
// kUnimplemented: the model needs something that no kernel does. kInternal: a bug in Floe.
absl::Status Compile(std::unique_ptr<ir::Graph> graph, const CompileOptions& options,
                     WriteSink sink, void* self, CompileReport* report);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_COMPILE_H_
