#include "compiler/lower/winograd_choice.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_format.h"
#include "backends/families/winograd.h"
#include "format/checked.h"

namespace floe::lower {
namespace {

// The cost table, in ns and bytes: one Zen 4 core, weights not in its caches.
struct CostTable {
  double flops;       // A ns, of direct convolutions and matrix products.
  double weights;     // Bytes a ns, streamed from memory beside the arithmetic.
  double overlap;     // What the shorter of these two adds to the longer.
  double transform2;  // Each element of a transformed input and of a product, in F(2x2,3x3) ...
  double transform4;  // ... and in F(4x4,3x3).
};
// Fitted to what floec --tune measured of 23 convolutions from 32 to 512 channels and 7 to 112
// pixels, which it predicts within 10 % (rms).
constexpr CostTable kF32Costs = {113, 16, 0.22, 0.13, 0.20};
constexpr CostTable kBf16Costs = {220, 18, 0.25, 0.09, 0.09};
constexpr double kWeightsStay = 512 << 10;  // In L2, while all blocks of tiles read them.
constexpr double kLayer = 1000;
constexpr double kLeastGain = 1.08;  // Else not worth the memory.
constexpr double kLeastMeasuredGain = 1.03;
// The errors below were measured from 64 channels on; a U-Net of narrow layers showed them to lose
// more.
constexpr int64_t kLeastChannels = 32;
constexpr int64_t kLeastOutputs = 12;

// Errors at 64 channels, and how they grow with the channels: near the worst of a few inputs, a
// quarter above the median.
constexpr double kErrorDirect = 6e-7;
constexpr double kError2 = 4.5e-7;
constexpr double kError4 = 1.6e-6;
constexpr double kErrorChannels = 64;
constexpr double kErrorExponent = 0.44;
// Of bf16, with any number of channels; direct products have 2.7e-3.
constexpr double kBf16Error2 = 4.2e-3;

// Costs that overlap in part: arithmetic and the weights' stream.
double Together(const CostTable& table, double a, double b) {
  return std::max(a, b) + table.overlap * std::min(a, b);
}

double Pixels(const ConvSize& c) {
  return static_cast<double>(c.images) * static_cast<double>(c.height) *
         static_cast<double>(c.width);
}
double Weights(const ConvSize& c) {
  return static_cast<double>(c.channels) * static_cast<double>(RoundUp(c.outputs, 16));
}

const CostTable& CostsOf(ConvNumbers numbers) {
  return numbers == ConvNumbers::kBf16 ? kBf16Costs : kF32Costs;
}
double Bytes(ConvNumbers numbers) { return numbers == ConvNumbers::kBf16 ? 2 : 4; }

// Blocks of tiles, each of which reads all transformed weights.
double Blocks(const ConvSize& c, int tile) {
  TensorInfo inputs[3], y;
  inputs[2].dims[0] = y.dims[1] = c.outputs;
  inputs[1].dims[1] = inputs[2].dims[1] = c.channels;
  inputs[2].dims[2] = inputs[2].dims[3] = tile;
  y.dims[0] = c.images;
  y.dims[2] = c.height;
  y.dims[3] = c.width;
  OpInfo op;
  op.inputs = inputs;
  op.outputs = &y;
  winograd::Blocking blocking;
  int64_t scratch_bytes;
  if (!winograd::PlanBlocks(op, &blocking, &scratch_bytes)) return 1;
  return static_cast<double>(CeilDiv(blocking.tiles, blocking.block));
}

bool IsPlain3x3(const ir::Node& node) {
  if (node.op() != OpId::kConv || !node.input(1)->is_constant() ||
      node.input(0)->dtype() != DType::kF32 || node.input(0)->rank() != 4 ||
      node.Int("groups") != 1) {
    return false;
  }
  const std::vector<int64_t>& w = node.input(1)->constant().dims();
  const auto ones = [&](const char* attribute) {
    const std::vector<int64_t>& v = node.Ints(attribute);
    return std::all_of(v.begin(), v.end(), [](int64_t i) { return i == 1; });
  };
  return w.size() == 4 && w[2] == 3 && w[3] == 3 && ones("strides") && ones("dilations");
}

// Of one image, the largest: a batch gains too, and choices that do not depend on it give the same
// numbers for every batch.
ConvSize SizeOf(const ir::Graph& graph, const ir::Node& node) {
  const ir::Shape& y = node.output()->shape();
  const std::vector<int64_t>& w = node.input(1)->constant().dims();
  constexpr int64_t kLargest = 1 << 16;  // Larger ones are chosen for alike.
  return {1, w[1], w[0], std::min(kLargest, y[2].Max(graph.symbols)),
          std::min(kLargest, y[3].Max(graph.symbols))};
}

// What a convolution may become, cheapest first; the last one is direct.
struct Candidate {
  const ir::Node* node;
  double direct;
  struct Option {
    int tile;
    double cost, error;
  };
  std::vector<Option> options;
  size_t chosen = 0;
};

ConvTimes Costs(const ConvSize& size) {
  ConvTimes costs;
  for (int i = 0; i < kConvWays; ++i) {
    const int tile = kConvTiles[i];
    costs.ns[i] = tile == 0 ? DirectCost(size) : WinogradCost(size, tile);
  }
  return costs;
}

std::vector<Candidate> FindCandidates(const ir::Graph& graph, const MeasuredConvs& measured,
                                      std::vector<ConvWeighing>* weighed) {
  std::vector<Candidate> candidates;
  for (const auto& node : graph.nodes()) {
    if (!MayBeInTiles(graph, *node)) continue;
    const ConvSize size = SizeOf(graph, *node);
    ConvWeighing w{node.get(), Costs(size), {}, 0};
    const auto found = measured.find(node.get());
    if (found != measured.end()) w.measured = found->second;
    const ConvTimes& times = found != measured.end() ? w.measured : w.cost;
    const double least_gain = found != measured.end() ? kLeastMeasuredGain : kLeastGain;
    weighed->push_back(w);
    Candidate c{node.get(), times.ns[0], {}};
    for (int i = 1; i < kConvWays; ++i) {
      if (times.ns[i] <= 0 || times.ns[i] * least_gain > c.direct) continue;
      c.options.push_back(
          {kConvTiles[i], times.ns[i], WinogradError(size.channels, kConvTiles[i])});
    }
    if (c.options.empty()) continue;
    c.options.push_back({0, c.direct, 0});
    std::stable_sort(c.options.begin(), c.options.end(),
                     [](const auto& x, const auto& y) { return x.cost < y.cost; });
    candidates.push_back(std::move(c));
  }
  return candidates;
}

double SquaredDirectError(const ir::Graph& graph) {
  double sum = 0;
  for (const auto& node : graph.nodes()) {
    if (node->op() != OpId::kConv || !node->input(1)->is_constant()) continue;
    const ir::Tensor& w = node->input(1)->constant();
    if (w.count() == 0) continue;
    const double error = DirectError(w.count() / w.dims()[0]);
    sum += error * error;
  }
  return sum * kErrorGrowth * kErrorGrowth;
}

// What the chosen tiles add to it.
double SquaredError(const std::vector<Candidate>& candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) {
    sum += c.options[c.chosen].error * c.options[c.chosen].error;
  }
  return sum * kErrorGrowth * kErrorGrowth;
}

// Makes one convolution more exact, where that costs the least time for the error that it saves.
// False: none can be.
bool GiveUpOne(std::vector<Candidate>* candidates) {
  Candidate* best = nullptr;
  size_t best_option = 0;
  double best_price = 0;
  for (Candidate& c : *candidates) {
    const Candidate::Option& now = c.options[c.chosen];
    for (size_t i = c.chosen + 1; i < c.options.size(); ++i) {
      const Candidate::Option& next = c.options[i];
      if (next.error >= now.error) continue;
      const double price =
          (next.cost - now.cost) / (now.error * now.error - next.error * next.error);
      if (best != nullptr && price >= best_price) continue;
      best = &c;
      best_option = i;
      best_price = price;
    }
  }
  if (best != nullptr) best->chosen = best_option;
  return best != nullptr;
}

}  // namespace

double ErrorBudget(Accuracy accuracy) {
  switch (accuracy) {
    case Accuracy::kStrict:
      break;
    case Accuracy::kDefault:
      return 1e-5;
    case Accuracy::kFast:
      return 1e-4;
  }
  return 0;
}

double DirectCost(const ConvSize& conv, ConvNumbers numbers) {
  const double weights = Weights(conv);
  const CostTable& table = CostsOf(numbers);
  return kLayer + Together(table, 18 * weights * Pixels(conv) / table.flops,
                           9 * Bytes(numbers) * weights / table.weights);
}

double WinogradCost(const ConvSize& conv, int tile, ConvNumbers numbers) {
  const int64_t m = tile - 2;
  const double elements = static_cast<double>(conv.images * CeilDiv(conv.height, m)) *
                          static_cast<double>(CeilDiv(conv.width, m)) *
                          static_cast<double>(tile * tile);
  const double weights = Weights(conv);
  const CostTable& table = CostsOf(numbers);
  const double transforms = elements * (tile == 4 ? table.transform2 : table.transform4) *
                            static_cast<double>(conv.channels + RoundUp(conv.outputs, 16));
  const double bytes = Bytes(numbers) * tile * tile * weights;
  const bool again = numbers == ConvNumbers::kF32 && bytes > kWeightsStay;
  return kLayer + Together(table, 2 * weights * elements / table.flops + transforms,
                           bytes * (again ? Blocks(conv, tile) : 1) / table.weights);
}

double WinogradError(int64_t channels, int tile) {
  return (tile == 4 ? kError2 : kError4) *
         std::pow(std::max(1.0, static_cast<double>(channels) / kErrorChannels), kErrorExponent);
}

double DirectError(int64_t terms) {
  return kErrorDirect * std::pow(static_cast<double>(terms) / (9 * kErrorChannels), kErrorExponent);
}

bool MayBeInTiles(const ir::Graph& graph, const ir::Node& node) {
  if (!IsPlain3x3(node)) return false;
  const ConvSize size = SizeOf(graph, node);
  return size.channels >= kLeastChannels && size.outputs >= kLeastOutputs && Pixels(size) != 0;
}

WinogradPlan PlanWinograd(const ir::Graph& graph, Accuracy accuracy,
                          const MeasuredConvs& measured) {
  WinogradPlan plan;
  const double budget = ErrorBudget(accuracy);
  if (budget == 0) return plan;
  std::vector<Candidate> candidates = FindCandidates(graph, measured, &plan.weighed);
  const double direct = SquaredDirectError(graph);
  while (direct + SquaredError(candidates) > budget * budget && GiveUpOne(&candidates)) {
  }
  plan.direct = std::sqrt(direct);
  plan.error = std::sqrt(direct + SquaredError(candidates));
  for (const Candidate& c : candidates) {
    const Candidate::Option& option = c.options[c.chosen];
    plan.given_up += c.chosen != 0 ? 1 : 0;
    if (option.tile == 0) continue;
    plan.choices[c.node] = {option.tile, option.error, c.direct / option.cost};
  }
  for (ConvWeighing& w : plan.weighed) {
    const auto choice = plan.choices.find(w.node);
    if (choice != plan.choices.end()) w.tile = choice->second.tile;
  }
  return plan;
}

WinogradPlan PlanBf16Winograd(const ir::Graph& graph, Accuracy accuracy,
                              const passes::WeightTypes& types) {
  WinogradPlan plan;
  if (accuracy == Accuracy::kStrict) return plan;
  for (const auto& node : graph.nodes()) {
    const auto type = types.find(node.get());
    if (type == types.end() || type->second != DType::kBF16) continue;
    if (!MayBeInTiles(graph, *node)) continue;
    const ConvSize size = SizeOf(graph, *node);
    const double direct = DirectCost(size, ConvNumbers::kBf16);
    const double cost = WinogradCost(size, 4, ConvNumbers::kBf16);
    if (cost * kLeastGain > direct) continue;
    plan.choices[node.get()] = {4, kBf16Error2, direct / cost};
    plan.error = kBf16Error2;
  }
  return plan;
}

std::string DescribeBf16(const WinogradPlan& plan) {
  if (plan.choices.empty()) return "";
  return absl::StrFormat(
      "winograd: %d convolutions of bf16 in tiles of 2x2, predicted error %.1e of max|y| each "
      "instead of 2.7e-03 (--accuracy=strict: none)",
      plan.choices.size(), plan.error);
}

std::string WinogradPlan::Describe(Accuracy accuracy) const {
  if (choices.empty() && given_up == 0) return "";
  std::string line = absl::StrFormat(
      "winograd: %d convolutions in tiles, predicted error %.1e of max|y|, without tiles %.1e "
      "(--accuracy=%s allows %.0e)",
      choices.size(), error, direct, accuracy == Accuracy::kFast ? "fast" : "default",
      ErrorBudget(accuracy));
  if (given_up > 0) {
    line += absl::StrFormat("; %d would gain more with a larger error", given_up);
  }
  return line;
}

}  // namespace floe::lower
