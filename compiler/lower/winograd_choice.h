// Which convolutions are computed in Winograd tiles (backends/families/winograd.h): those that
// gain, as long as the whole model's predicted error stays within what the user allows.
//
// The prediction: one convolution's error, relative to its largest result, comes from a table of
// measured errors, of its direct sums and of what tiles add to them; errors of different layers are
// independent, so they add up as squares, and later layers make them grow. The cost: arithmetic,
// transforms, and the way of the transformed weights from memory, which are 1.8 or 4 times as
// large. All of it depends on shapes only, so equal graphs
// give equal choices. Where a tune record has measured a layer (tune_layers.h), the measured times
// take the place of the predicted cost; the error's prediction and the budget stay.
#ifndef FLOE_COMPILER_LOWER_WINOGRAD_CHOICE_H_
#define FLOE_COMPILER_LOWER_WINOGRAD_CHOICE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "compiler/ir/graph.h"
#include "compiler/passes/weight_types.h"

namespace floe::lower {

// How much error may be traded for speed: none, or as long as the whole model's stays within 1e-5
// or 1e-4 of its largest result. What direct sums round is part of it: a model so deep that they
// alone take all of it gets no tiles.
enum class Accuracy { kStrict, kDefault, kFast };
double ErrorBudget(Accuracy accuracy);

struct WinogradChoice {
  int tile = 0;      // Inputs of a tile's side: 4 is F(2x2,3x3), 6 is F(4x4,3x3).
  double error = 0;  // Predicted, relative to max|y| of the layer.
  double gain = 1;   // Predicted time of the direct convolution by that of the tiles.
};

// A convolution's ways: direct sums, and tiles with 4 or 6 inputs to a side.
inline constexpr int kConvTiles[] = {0, 4, 6};
inline constexpr int kConvWays = 3;
struct ConvTimes {
  double ns[kConvWays] = {};  // By kConvTiles; 0: not measured.
};
using MeasuredConvs = std::map<const ir::Node*, ConvTimes>;

// What was weighed for one convolution, for --explain.
struct ConvWeighing {
  const ir::Node* node;
  ConvTimes cost;      // As the table predicts.
  ConvTimes measured;  // All zeros: nothing was.
  int tile = 0;        // What it became.
};

struct WinogradPlan {
  std::map<const ir::Node*, WinogradChoice> choices;
  std::vector<ConvWeighing> weighed;  // Every convolution that may be in tiles, in order.
  double error = 0;                   // Of the whole model, relative to its largest result.
  double direct = 0;    // The part of it that direct sums have too: error^2 = direct^2 + tiles'^2.
  size_t given_up = 0;  // Convolutions that would gain (more), but for the budget.
  std::string Describe(Accuracy accuracy) const;  // One line for --explain; empty without choices.
};

// As PlanWinograd, for the convolutions that multiply bf16 (`types`): in tiles of F(2x2,3x3) alone,
// whose rounding is half as much again as that of direct products of bf16 (F(4x4,3x3) has four
// times as much); kStrict has none. `error` of a choice is then relative to max|y| of its layer and
// stands for all of its rounding to bf16.
WinogradPlan PlanBf16Winograd(const ir::Graph& graph, Accuracy accuracy,
                              const passes::WeightTypes& types);
std::string DescribeBf16(const WinogradPlan& plan);  // As WinogradPlan::Describe.

// What later layers make of an error: whole models (ResNets, U-Nets) had 0.3 to 1.9.
inline constexpr double kErrorGrowth = 1.5;

// A plain 3x3 convolution's costs, in ns of one core that the table was measured on.
struct ConvSize {
  int64_t images, channels, outputs, height, width;  // Of the result.
};
// What weights and products are made of.
enum class ConvNumbers { kF32, kBf16 };
double DirectCost(const ConvSize& conv, ConvNumbers numbers = ConvNumbers::kF32);
double WinogradCost(const ConvSize& conv, int tile, ConvNumbers numbers = ConvNumbers::kF32);
double WinogradError(int64_t channels, int tile);  // What tiles add.
double DirectError(int64_t terms);                 // Of sums of so many products.

// Whether a convolution may be in tiles: a plain 3x3 one, f32, wide enough for the table of errors.
bool MayBeInTiles(const ir::Graph& graph, const ir::Node& node);

// For the nodes of `graph`; those inside bodies of control flow stay direct. Nodes that `measured`
// lacks go by the table.
WinogradPlan PlanWinograd(const ir::Graph& graph, Accuracy accuracy,
                          const MeasuredConvs& measured = {});

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_WINOGRAD_CHOICE_H_
