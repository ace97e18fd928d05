// Selection of attention: its operands are read where their projections left them, its result is
// written in the order in which the next product reads it.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/lower/select.h"
#include "format/attrs.h"

namespace floe::lower {

namespace {

// How many operands, from the first on, the kernel of a node reads as heads of another tensor.
size_t HeadOperands(const ir::Node& node) {
  if (node.op() == OpId::kAttention) return 3;
  return node.op() == OpId::kRotary && node.input(0)->rank() == 4 ? 1 : 0;
}

// Four axes, those that are missing in front. REQUIRES: not more.
ir::Shape RightAligned(const ir::Value& value) {
  ir::Shape shape(4 - value.rank(), ir::Dim(1));
  shape.insert(shape.end(), value.shape().begin(), value.shape().end());
  return shape;
}

}  // namespace

void Selector::FindAttentionViews(const ir::Graph& graph) {
  std::set<const ir::Value*> bases;
  std::set<std::pair<const ir::Node*, const ir::Value*>> viewed;
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) FindAttentionViews(*body);
    const size_t count = HeadOperands(*node);
    if (count == 0) continue;
    for (size_t i = 0; i < count; ++i) {
      const ir::Value* operand = node->input(i);
      HeadView view = ViewOfHeads(operand, /*any_order=*/i == 1);
      bases.insert(view.base);
      if (view.base != operand) viewed.insert({node.get(), operand});
      head_views_[{node.get(), i}] = std::move(view);
    }
    // Masks and angles are read as tensors, whatever they are made of.
    for (size_t i = count; i < node->inputs().size(); ++i) {
      if (node->input(i) != nullptr) bases.insert(node->input(i));
    }
  }
  // What is read where it lies must lie there: its maker does not write it transposed.
  std::erase_if(absorbed_, [&](const ir::Node* n) {
    return n->op() == OpId::kTranspose && bases.count(n->input(0)) > 0;
  });
  for (const auto& node : graph.nodes()) {
    const ir::Value* y = node->output();
    if (node->op() != OpId::kAttention || y->users().size() != 1 || graph.IsOutput(y)) continue;
    const ir::Node* user = y->users()[0];
    if (user->op() == OpId::kTranspose && user->Ints("perm")[3] == 3 && bases.count(y) == 0) {
      absorbed_.insert(user);
    }
  }
  // A move that only such readers need does not run. Readers come after what they read.
  for (auto it = graph.nodes().rbegin(); it != graph.nodes().rend(); ++it) {
    const ir::Node* node = it->get();
    const ir::Value* y = node->output();
    const bool move = node->op() == OpId::kIdentity || node->op() == OpId::kTranspose ||
                      node->op() == OpId::kReshape || node->op() == OpId::kSlice ||
                      node->op() == OpId::kGather;
    if (!move || y->users().empty() || graph.IsOutput(y) || bases.count(y) > 0) continue;
    const bool unread = std::all_of(y->users().begin(), y->users().end(), [&](const ir::Node* u) {
      return HeadOperands(*u) > 0 ? viewed.count({u, y}) > 0 : read_through_.count(u) > 0;
    });
    if (!unread) continue;
    read_through_.insert(node);
    absorbed_.insert(node);
  }
}

absl::Status Selector::SelectAttention(const ir::Node& node) {
  Spec spec = SpecFor(node, KernelId::kAttention, "");
  const ir::Value* q = node.input(0);
  const ir::Value* k = node.input(1);
  const std::optional<ir::Dim> group = ir::Dim::DivExact(q->shape()[1], k->shape()[1]);
  if (!group || !group->is_constant()) return absl::InternalError("attention's heads do not fit");
  spec.attrs = {FloatWord(node.Float("scale")), node.Int("causal"), node.Int("zero_empty"),
                group->constant()};
  size_t in_place = 0;
  for (size_t i = 0; i < 3; ++i) {
    const HeadView& view = head_views_.at({&node, i});
    const ValueId base = Dense(view.base);
    const bool same = view.base->shape() == view.shape;
    spec.inputs.push_back(same ? base
                               : program_.AddAlias(view.base->name() + "/heads", base, view.shape));
    spec.attrs.insert(spec.attrs.end(), std::begin(view.axes), std::end(view.axes));
    spec.attrs.push_back(view.first);
    spec.attrs.push_back(view.step);
    in_place += view.moves.empty() ? 0 : 1;
  }
  spec.inputs.push_back(Dense(node.input(3)));
  const ir::Value* y = node.output();
  std::vector<int64_t> perm = {0, 1, 2, 3};
  std::string why =
      absl::StrFormat("products and softmax in one; %d operands read through moves", in_place);
  const ir::Node* user = y->users().size() == 1 && !graph_->IsOutput(y) ? y->users()[0] : nullptr;
  if (user != nullptr && user->op() == OpId::kTranspose && absorbed_.count(user) > 0 &&
      read_through_.count(user) == 0 && user->Ints("perm")[3] == 3) {
    perm = user->Ints("perm");
    y = user->output();
    why += ", result written transposed";
  }
  for (int64_t axis = 0; axis < 4; ++axis) {
    spec.attrs.push_back(std::find(perm.begin(), perm.end(), axis) - perm.begin());
  }
  if (node.Int("causal") != 0) why += ", causal";
  spec.why = why;
  spec.outputs = {DefineDense(y)};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectRotary(const ir::Node& node) {
  const ir::Value *x = node.input(0), *y = node.output();
  if (x->rank() > 4) return SelectGeneric(node, "more than 4 axes");
  Spec spec = SpecFor(node, KernelId::kRotary, "");
  spec.attrs = {node.Int("interleaved"), node.Int("rotated")};
  const auto widened = [&](const ir::Value* v) {
    return v->rank() == 4 ? Dense(v)
                          : program_.AddAlias(v->name() + "/rows", Dense(v), RightAligned(*v));
  };
  std::string why = node.Int("interleaved") != 0 ? "neighbours" : "halves";
  if (HeadOperands(node) > 0) {
    const HeadView& view = head_views_.at({&node, 0});
    const ValueId base = Dense(view.base);
    const bool same = view.base->shape() == view.shape;
    spec.inputs.push_back(same ? base
                               : program_.AddAlias(view.base->name() + "/heads", base, view.shape));
    spec.attrs.insert(spec.attrs.end(), std::begin(view.axes), std::end(view.axes));
    spec.attrs.push_back(view.first);
    spec.attrs.push_back(view.step);
    if (!view.moves.empty()) why += ", read through moves";
  } else {
    spec.inputs.push_back(widened(x));
    spec.attrs.insert(spec.attrs.end(), {0, 1, 2, 3, 0, 1});
  }
  for (const size_t i : {1u, 2u}) {
    spec.inputs.push_back(widened(node.input(i)));
  }
  spec.why = why;
  if (y->rank() == 4) {
    spec.outputs = {DefineDense(y)};
  } else {
    const ValueId rows = NewArenaValue(y->name() + "/rows", DType::kF32, RightAligned(*y));
    spec.outputs = {rows};
    homes_[y].dense = program_.AddAlias(y->name(), rows, y->shape());
  }
  Emit(std::move(spec));
  return absl::OkStatus();
}

}  // namespace floe::lower
