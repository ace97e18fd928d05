// Finds layer normalisation and RMS normalisation in the arithmetic that exporters write:
//   d = x - mean(x); y = d / sqrt(mean(d^2) + epsilon) [* scale] [+ bias]
//   y = x / sqrt(mean(x^2) + epsilon) [* scale]
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// The first normalised axis of a mean over all last axes that keeps them as 1; -1 if it is none.
int64_t MeanAxis(const ir::Node* node) {
  if (node == nullptr || node->op() != OpId::kReduce || node->Int("keepdims") == 0 ||
      static_cast<ReduceKind>(node->Int("kind")) != ReduceKind::kMean ||
      node->Ints("axes").empty()) {
    return -1;
  }
  const std::vector<int64_t>& axes = node->Ints("axes");
  const auto rank = static_cast<int64_t>(node->input(0)->rank());
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != rank - static_cast<int64_t>(axes.size() - i)) return -1;
  }
  return axes[0];
}

// x if `value` is x * x or x ^ 2.
ir::Value* SquareOf(const ir::Value* value) {
  ir::Node* node = value->producer();
  if (node == nullptr) return nullptr;
  if (node->op() == OpId::kMul && node->input(0) == node->input(1)) return node->input(0);
  if (node->op() == OpId::kPow && ScalarOf(node->input(1)) == 2.0) return node->input(0);
  return nullptr;
}

// d / sqrt(mean(d^2) + epsilon): d and the numbers.
struct Normalised {
  ir::Value* d = nullptr;
  int64_t axis = -1;
  double epsilon = 0;
};

// If `value` is mean(d^2) + epsilon.
std::optional<Normalised> MeanSquare(const ir::Value* value) {
  ir::Node* add = ProducedBy(value, OpId::kAdd);
  if (add == nullptr) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    const std::optional<double> epsilon = ScalarOf(add->input(1 - i));
    ir::Node* mean = add->input(i)->producer();
    const int64_t axis = MeanAxis(mean);
    ir::Value* d = axis < 0 ? nullptr : SquareOf(mean->input(0));
    if (epsilon && d != nullptr) return Normalised{d, axis, *epsilon};
  }
  return std::nullopt;
}

std::optional<Normalised> NormalisedBy(const ir::Node& node) {
  std::optional<Normalised> n;
  if (node.op() == OpId::kDiv) {
    const ir::Node* root = ProducedBy(node.input(1), OpId::kSqrt);
    n = root == nullptr ? std::nullopt : MeanSquare(root->input(0));
    return n && n->d == node.input(0) ? n : std::nullopt;
  }
  if (node.op() != OpId::kMul) return std::nullopt;
  for (size_t i = 0; i < 2; ++i) {
    const ir::Value* inverse = node.input(i);
    if (const ir::Node* rsqrt = ProducedBy(inverse, OpId::kRsqrt)) {
      n = MeanSquare(rsqrt->input(0));
    } else {
      const ir::Node* outer = inverse->producer();
      const ir::Value* root = nullptr;
      if (outer != nullptr && outer->op() == OpId::kReciprocal) root = outer->input(0);
      if (outer != nullptr && outer->op() == OpId::kDiv && ScalarOf(outer->input(0)) == 1.0) {
        root = outer->input(1);
      }
      const ir::Node* sqrt = ProducedBy(root, OpId::kSqrt);
      n = sqrt == nullptr ? std::nullopt : MeanSquare(sqrt->input(0));
    }
    if (n && n->d == node.input(1 - i)) return n;
  }
  return std::nullopt;
}

// x if d is x - mean(x) over the same axes.
ir::Value* CentredFrom(const Normalised& n) {
  const ir::Node* sub = ProducedBy(n.d, OpId::kSub);
  if (sub == nullptr) return nullptr;
  const ir::Node* mean = sub->input(1)->producer();
  if (MeanAxis(mean) != n.axis || mean->input(0) != sub->input(0)) return nullptr;
  return sub->input(0);
}

absl::StatusOr<bool> RecogniseCore(ir::Graph& graph, ir::Node* node, Report& report) {
  const std::optional<Normalised> n = NormalisedBy(*node);
  if (!n || node->output()->dtype() != DType::kF32) return false;
  ir::Value* x = CentredFrom(*n);
  const bool rms = x == nullptr;
  if (rms) x = n->d;
  FLOE_TRY_ASSIGN(ir::Value * y, Insert(graph, node, rms ? OpId::kRmsNorm : OpId::kLayerNorm, {x},
                                        {{"axis", n->axis}, {"epsilon", n->epsilon}},
                                        node->output()->name(), node->provenance));
  report.Add(
      absl::StrFormat("recognised %s at %s", rms ? "an RMS norm" : "a layer norm", NameOf(*node)));
  Replace(graph, node, y);
  return true;
}

// Whether a constant has, or is one number for all of, the shape of the axes from `axis` on.
bool HasNormalisedShape(const ir::Value* v, const ir::Value& x, int64_t axis) {
  const ir::Shape normalised(x.shape().begin() + axis, x.shape().end());
  return v->is_constant() && v->dtype() == DType::kF32 && v->shape() == normalised;
}

// scale * norm(x), norm(x) + bias: into the norm's operands.
bool AbsorbParameter(ir::Graph& graph, ir::Node* node, Report& report) {
  const bool product = node->op() == OpId::kMul;
  if (!product && node->op() != OpId::kAdd) return false;
  for (size_t i = 0; i < 2; ++i) {
    ir::Value* y = node->input(i);
    ir::Value* parameter = node->input(1 - i);
    ir::Node* norm = y->producer();
    if (norm == nullptr || !HasOneUse(graph, y) ||
        (norm->op() != OpId::kLayerNorm && norm->op() != OpId::kRmsNorm)) {
      continue;
    }
    const bool layer = norm->op() == OpId::kLayerNorm;
    const bool free = product ? norm->inputs().size() == 1 : layer && norm->input(2) == nullptr;
    if (!free || !HasNormalisedShape(parameter, *norm->input(0), norm->Int("axis"))) continue;
    if (!product && norm->inputs().size() == 1) graph.AddOperand(norm, nullptr);
    if (norm->inputs().size() == 3) {
      graph.SetInput(norm, 2, parameter);
    } else {
      graph.AddOperand(norm, parameter);
    }
    report.Add("moved " + NameOf(*node) + " into " + NameOf(*norm));
    Replace(graph, node, y);
    return true;
  }
  return false;
}

}  // namespace

absl::Status RecogniseNorms(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    FLOE_TRY_ASSIGN(const bool recognised, RecogniseCore(graph, node, report));
    if (!recognised) AbsorbParameter(graph, node, report);
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
