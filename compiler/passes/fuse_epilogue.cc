// Epilogue fusion: the pointwise work behind a convolution or a matrix product becomes the
// product's epilogue, so that results are finished while they are in registers. The bias operand
// becomes part of it, so that kernels see x, w and the epilogue's operands only.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/passes/code_builder.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

// A product that takes an epilogue.
struct Target {
  ir::Node* node = nullptr;
  bool channels = false;    // Takes [C] and result-shaped operands; else scalars only.
  size_t channel_axis = 1;  // Of the result.
};

std::optional<Target> TargetOf(ir::Node* node) {
  const ir::Value* y = node->output();
  if (!node->code.empty() || y == nullptr || y->dtype() != DType::kF32) return std::nullopt;
  switch (node->op()) {
    case OpId::kConv:
      if (node->input(2) != nullptr && !node->input(2)->is_constant()) return std::nullopt;
      return Target{node, true, 1};
    case OpId::kGemm:
      if (node->Float("beta") != 1.0 ||
          (node->input(2) != nullptr && node->input(2)->rank() != 1)) {
        return std::nullopt;
      }
      return Target{node, true, 1};
    case OpId::kMatMul:
      return Target{node, HasConstantMatrix(*node), y->rank() - 1};
    default:
      return std::nullopt;
  }
}

// Whether `value` holds one number for each channel of `y`: [C], or [C] with ones around it.
bool IsChannelVector(const ir::Value& value, const ir::Value& y, size_t axis) {
  if (value.rank() == 0 || value.rank() > y.rank()) return false;
  const size_t offset = y.rank() - value.rank();
  bool found = false;
  for (size_t i = 0; i < value.rank(); ++i) {
    if (i + offset == axis && value.shape()[i] == y.shape()[axis]) {
      found = true;
    } else if (value.shape()[i] != ir::Dim(1)) {
      return false;
    }
  }
  return found;
}

class Fuser {
 public:
  Fuser(ir::Graph& graph, const Target& target)
      : graph_(graph), target_(target), y_(*target.node->output()) {}

  void Run(Report& report) {
    Collect();
    const size_t count = LongestFusable();
    if (count == 0 && Bias() == nullptr) return;
    Rewrite(count, report);
  }

 private:
  ir::Value* Bias() const { return target_.node->input(2); }

  // Whether the epilogue may read `value`, which is not computed inside.
  bool IsOperand(const ir::Value* value) const {
    if (ScalarOf(value)) return true;
    if (value->dtype() != DType::kF32 && value->dtype() != DType::kBool) return false;
    if (value->shape() == ir::Shape{1}) return true;
    if (!target_.channels || value->dtype() != DType::kF32) return false;
    // A convolution reads residuals in its own layout, which constants do not have.
    const bool conv = target_.node->op() == OpId::kConv;
    if (IsChannelVector(*value, y_, target_.channel_axis) &&
        (value->is_constant() || (value->rank() == 1 && !conv))) {
      return true;
    }
    return value->shape() == y_.shape() && !(conv && value->is_constant());
  }

  bool CanJoin(const ir::Node& node) const {
    if (!IsExpressible(node) || node.output()->shape() != y_.shape()) return false;
    bool reads_inside = false;
    for (const ir::Value* v : node.inputs()) {
      if (IsInside(v)) {
        reads_inside = true;
      } else if (!IsOperand(v)) {
        return false;
      }
    }
    return reads_inside;
  }

  bool IsInside(const ir::Value* v) const {
    return v == &y_ || (v->producer() != nullptr &&
                        std::find(nodes_.begin(), nodes_.end(), v->producer()) != nodes_.end());
  }

  // The pointwise nodes behind the product that may join, in the graph's order.
  void Collect() {
    constexpr size_t kMaxNodes = 64;
    std::vector<ir::Node*> frontier(y_.users());
    while (!frontier.empty() && nodes_.size() < kMaxNodes) {
      // The earliest first: its operands are then decided before it.
      ir::Node* next = Earliest(frontier);
      std::erase(frontier, next);
      if (!CanJoin(*next) || IsInside(next->output())) continue;
      nodes_.push_back(next);
      for (ir::Node* user : next->output()->users()) frontier.push_back(user);
    }
  }

  ir::Node* Earliest(const std::vector<ir::Node*>& nodes) const {
    for (const auto& node : graph_.nodes()) {
      if (std::find(nodes.begin(), nodes.end(), node.get()) != nodes.end()) return node.get();
    }
    return nodes.front();
  }

  // Whether only the last of the first `count` nodes is read by anything else.
  bool HasOneResult(size_t count) const {
    const auto inside = [&](const ir::Node* user) {
      const auto end = nodes_.begin() + static_cast<ptrdiff_t>(count);
      return std::find(nodes_.begin(), end, user) != end;
    };
    const auto hidden = [&](const ir::Value& v) {
      return !graph_.IsOutput(&v) && std::all_of(v.users().begin(), v.users().end(), inside);
    };
    if (!hidden(y_)) return false;
    for (size_t i = 0; i + 1 < count; ++i) {
      if (!hidden(*nodes_[i]->output())) return false;
    }
    return nodes_[count - 1]->output()->dtype() == DType::kF32;
  }

  std::optional<std::vector<PwInstr>> CodeFor(size_t count, CodeBuilder& builder) const {
    if (ir::Value* bias = Bias()) builder.AddBias(bias);
    for (size_t i = 0; i < count; ++i) builder.Add(*nodes_[i]);
    return builder.Finish(count == 0 ? &y_ : nodes_[count - 1]->output());
  }

  size_t LongestFusable() const {
    for (size_t count = nodes_.size(); count > 0; --count) {
      if (!HasOneResult(count)) continue;
      CodeBuilder builder(&y_);
      if (CodeFor(count, builder)) return count;
    }
    return 0;
  }

  // [C] for a channel vector with ones around it, [1] for a scalar.
  ir::Value* InKernelForm(ir::Value* operand) {
    if (!operand->is_constant() || operand->rank() == 1 ||
        !IsChannelVector(*operand, y_, target_.channel_axis)) {
      return operand;
    }
    const ir::Tensor& t = operand->constant();
    return graph_.AddConstant(operand->name() + "_channels", t.WithDims({t.count()}));
  }

  void Rewrite(size_t count, Report& report) {
    ir::Node* node = target_.node;
    CodeBuilder builder(&y_);
    std::vector<PwInstr> code = *CodeFor(count, builder);
    for (size_t i = 0; i < count; ++i) {
      report.Add("fused " + NameOf(*nodes_[i]) + " into " + NameOf(*node));
    }
    graph_.RemoveOperandsFrom(node, 2);
    node->epilogue_begin = 2;
    node->code = std::move(code);
    for (ir::Value* operand : builder.operands()) graph_.AddOperand(node, InKernelForm(operand));
    if (count == 0) return;
    // The product moves to where its last reader was: there every operand is defined.
    ir::Node* last = nodes_[count - 1];
    graph_.MoveBefore(node, last);
    const std::string name = last->output()->name();
    graph_.ReplaceAllUses(last->output(), node->output());
    for (size_t i = count; i-- > 0;) graph_.Erase(nodes_[i]);
    graph_.Rename(node->output(), name);
  }

  ir::Graph& graph_;
  const Target target_;
  const ir::Value& y_;
  std::vector<ir::Node*> nodes_;
};

}  // namespace

absl::Status FuseEpilogues(ir::Graph& graph, Report& report) {
  // A list of its own: fusing erases and moves nodes, but never erases a product.
  std::vector<Target> targets;
  for (const auto& node : graph.nodes()) {
    if (const std::optional<Target> target = TargetOf(node.get())) targets.push_back(*target);
  }
  for (const Target& target : targets) Fuser(graph, target).Run(report);
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
