// Folds what scales and shifts whole channels behind a convolution or a product with constant
// weights into weights and bias, computed in double: batch norms, and multiplications, divisions,
// additions and subtractions of per-channel constants.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// y[..., c, ...] = x[..., c, ...] * factor[c] + term[c].
struct ChannelAffine {
  const ir::Value* x = nullptr;
  std::vector<double> factor, term;
};

// A product with constant weights: where its output channels are.
struct Linear {
  ir::Node* node = nullptr;
  size_t weight_axis = 0;   // Of the weights.
  size_t channel_axis = 0;  // Of the result.
  int64_t channels = 0;
};

std::optional<Linear> LinearOf(ir::Node* node) {
  if (node == nullptr || !node->code.empty() || node->output() == nullptr ||
      node->output()->dtype() != DType::kF32) {
    return std::nullopt;
  }
  Linear l{node, 0, 1, 0};
  switch (node->op()) {
    case OpId::kConv:
      break;
    case OpId::kConvTranspose:
      if (node->Int("groups") != 1) return std::nullopt;
      l.weight_axis = 1;
      break;
    case OpId::kGemm:
    case OpId::kMatMul:
      if (node->op() == OpId::kMatMul &&
          (!node->input(1)->is_constant() || !HasConstantMatrix(*node))) {
        return std::nullopt;
      }
      if (node->op() == OpId::kGemm && (node->Int("trans_b") != 0 || node->Float("alpha") != 1.0 ||
                                        node->Float("beta") != 1.0)) {
        return std::nullopt;
      }
      l.weight_axis = node->input(1)->rank() - 1;
      l.channel_axis = node->output()->rank() - 1;
      break;
    default:
      return std::nullopt;
  }
  const ir::Value* w = node->input(1);
  const ir::Value* b = node->input(2);
  if (!w->is_constant() || w->dtype() != DType::kF32) return std::nullopt;
  l.channels = w->constant().dims()[l.weight_axis];
  if (b != nullptr && !ChannelNumbers(b, 1, 0, l.channels)) return std::nullopt;
  return l;
}

std::optional<ChannelAffine> BatchNormAffine(const ir::Node& node, const Linear& l) {
  if (l.channel_axis != 1) return std::nullopt;
  std::vector<double> p[4];
  for (size_t i = 0; i < 4; ++i) {
    auto numbers = ChannelNumbers(node.input(i + 1), 1, 0, l.channels);
    if (!numbers) return std::nullopt;
    p[i] = *std::move(numbers);
  }
  ChannelAffine a{node.input(0), p[0], p[1]};
  for (size_t c = 0; c < a.factor.size(); ++c) {
    a.factor[c] = p[0][c] / std::sqrt(p[3][c] + node.Float("epsilon"));
    a.term[c] = p[1][c] - p[2][c] * a.factor[c];
  }
  return a;
}

// What `node` does to the result of `l`, which it reads as operand `at`, per channel.
std::optional<ChannelAffine> AffineOf(const ir::Node& node, const Linear& l, size_t at) {
  if (node.op() == OpId::kBatchNorm) return BatchNormAffine(node, l);
  const ir::Value* y = node.output();
  if (node.inputs().size() != 2 || y->shape() != l.node->output()->shape()) return std::nullopt;
  auto numbers = ChannelNumbers(node.input(1 - at), y->rank(), l.channel_axis, l.channels);
  if (!numbers) return std::nullopt;
  const auto n = static_cast<size_t>(l.channels);
  ChannelAffine a{node.input(at), std::vector<double>(n, 1.0), std::vector<double>(n, 0.0)};
  switch (node.op()) {
    case OpId::kAdd:
      a.term = *numbers;
      return a;
    case OpId::kSub:
      a.term = *numbers;
      if (at == 0) {
        for (double& t : a.term) t = -t;
      } else {
        a.factor.assign(n, -1.0);
      }
      return a;
    case OpId::kMul:
      a.factor = *numbers;
      return a;
    case OpId::kDiv:
      if (at != 0) return std::nullopt;
      for (size_t c = 0; c < n; ++c) {
        if ((*numbers)[c] == 0.0) return std::nullopt;
        a.factor[c] = 1.0 / (*numbers)[c];
      }
      return a;
    default:
      return std::nullopt;
  }
}

ir::Tensor ScaledWeights(const ir::Tensor& w, size_t axis, const std::vector<double>& factor) {
  ir::Tensor r(DType::kF32, w.dims());
  int64_t inner = 1;
  for (size_t i = axis + 1; i < w.dims().size(); ++i) inner *= w.dims()[i];
  const int64_t channels = w.dims()[axis];
  const int64_t outer = inner * channels == 0 ? 0 : w.count() / (inner * channels);
  const float* from = w.as<float>();
  float* to = r.mutable_as<float>();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t c = 0; c < channels; ++c) {
      const double f = factor[static_cast<size_t>(c)];
      for (int64_t i = 0; i < inner; ++i) *to++ = static_cast<float>(*from++ * f);
    }
  }
  return r;
}

bool AllEqual(const std::vector<double>& list, double v) {
  return std::all_of(list.begin(), list.end(), [v](double x) { return x == v; });
}

// A MatMul has no bias operand: of rank 2 it becomes a Gemm, which has one; else there is none.
absl::StatusOr<ir::Node*> WithBiasOperand(ir::Graph& graph, const Linear& l) {
  ir::Node* node = l.node;
  if (node->op() != OpId::kMatMul) return node;
  if (node->input(0)->rank() != 2) return nullptr;
  FLOE_TRY_ASSIGN(
      ir::Value * y,
      Insert(graph, node, OpId::kGemm, {node->input(0), node->input(1)},
             {{"alpha", 1.0}, {"beta", 1.0}, {"trans_a", int64_t{0}}, {"trans_b", int64_t{0}}},
             node->output()->name(), node->provenance));
  ir::Node* gemm = y->producer();
  Replace(graph, node, y);
  return gemm;
}

// Applies the affine to weights and bias. False if the node has no place for the term.
absl::StatusOr<bool> Apply(ir::Graph& graph, Linear l, const ChannelAffine& a) {
  const bool has_term = !AllEqual(a.term, 0.0);
  ir::Node* node = l.node;
  if (has_term) {
    FLOE_TRY_ASSIGN(node, WithBiasOperand(graph, l));
    if (node == nullptr) return false;
  }
  ir::Value* w = node->input(1);
  if (!AllEqual(a.factor, 1.0)) {
    graph.SetInput(node, 1,
                   graph.AddConstant(w->name() + "_folded",
                                     ScaledWeights(w->constant(), l.weight_axis, a.factor)));
  }
  std::vector<double> bias(static_cast<size_t>(l.channels), 0.0);
  ir::Value* b = node->input(2);
  if (b != nullptr) bias = *ChannelNumbers(b, 1, 0, l.channels);
  for (size_t c = 0; c < bias.size(); ++c) bias[c] = bias[c] * a.factor[c] + a.term[c];
  if (b == nullptr && !has_term) return true;
  ir::Value* folded = AddFloats(graph, (b == nullptr ? w->name() + "_bias" : b->name() + "_folded"),
                                bias, {l.channels});
  if (node->inputs().size() < 3) {
    graph.AddOperand(node, folded);
  } else {
    graph.SetInput(node, 2, folded);
  }
  return true;
}

}  // namespace

absl::Status FoldBatchNorm(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    for (size_t at = 0; at < std::min<size_t>(node->inputs().size(), 2); ++at) {
      ir::Value* x = node->input(at);
      if (x == nullptr || !HasOneUse(graph, x)) continue;
      const std::optional<Linear> linear = LinearOf(x->producer());
      if (!linear) continue;
      const std::optional<ChannelAffine> affine = AffineOf(*node, *linear, at);
      if (!affine) continue;
      const std::string what = NameOf(*node);
      const std::string into = NameOf(*linear->node);
      FLOE_TRY_ASSIGN(const bool applied, Apply(graph, *linear, *affine));
      if (!applied) break;
      report.Add("folded " + what + " into " + into);
      // Read the operand again: a MatMul may have become a Gemm.
      Replace(graph, node, node->input(at));
      break;
    }
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
