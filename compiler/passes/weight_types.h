// --precision: which weights are stored, and which products computed, in less than f32. An analysis
// of the finished graph: the graph does not change, kernel selection reads the answer.
//
//   bf16          weights and operands of products are bf16 (rounded to nearest even where a
//   product
//                 reads them), sums are f32; everything else computes in f32.
//   fp16-weights  weights are stored as f16 and widened as they are read; all arithmetic is f32.
//
// What each op becomes is a table in weight_types.cc: products and look-ups get smaller; softmax,
// norms, losses and reductions, whose sums would suffer, stay f32.
#ifndef FLOE_COMPILER_PASSES_WEIGHT_TYPES_H_
#define FLOE_COMPILER_PASSES_WEIGHT_TYPES_H_

#include <map>
#include <optional>
#include <string_view>

#include "compiler/ir/graph.h"
#include "compiler/passes/pass.h"

namespace floe::passes {

enum class Precision { kF32, kBF16, kF16Weights };

// "fp32", "bf16", "fp16-weights"; nothing for other names.
std::optional<Precision> PrecisionNamed(std::string_view name);

// The nodes whose weights are not f32, bodies' nodes included. Nodes are borrowed.
using WeightTypes = std::map<const ir::Node*, DType>;

// One line in `report` for each node that the table knows.
WeightTypes ChooseWeightTypes(const ir::Graph& graph, Precision precision, Report& report);

}  // namespace floe::passes

#endif  // FLOE_COMPILER_PASSES_WEIGHT_TYPES_H_
