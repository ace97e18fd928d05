#include "compiler/lower/select.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"

namespace floe::lower {

std::string DescribeCode(const std::vector<PwInstr>& code) {
  std::string text;
  for (const PwInstr& i : code) {
    const auto op = static_cast<PwOp>(i.op);
    if (op == PwOp::kLoad || op == PwOp::kConst || op == PwOp::kMove) continue;
    if (!text.empty()) text += "+";
    text += PwOpName(op);
  }
  return text;
}

absl::StatusOr<std::unique_ptr<LoweredProgram>> SelectKernels(const ir::Graph& graph,
                                                              const std::string& method_name,
                                                              const WinogradPlan& winograd,
                                                              const passes::WeightTypes& types) {
  auto program = std::make_unique<LoweredProgram>(graph);
  Selector selector(graph, winograd, types, program.get());
  if (absl::Status s = selector.Run(method_name); !s.ok()) return s;
  return program;
}

absl::Status Selector::Run(const std::string& method_name) {
  FindHalos(*graph_);
  FindAbsorbedTransposes(*graph_);
  FindAttentionViews(*graph_);
  FindNarrow(*graph_);
  std::vector<ValueId> inputs;
  for (const ir::Value* input : graph_->inputs()) {
    const ValueId id = program_.AddValue(input->name(), input->dtype(), input->shape());
    program_.value(id).storage = static_cast<uint8_t>(Storage::kInput);
    homes_[input].dense = id;
    inputs.push_back(id);
  }
  AddStates();
  for (const auto& node : graph_->nodes()) {
    current_ = node->provenance.node;
    if (absl::Status s = SelectNode(*node); !s.ok()) return s;
  }
  return Finish(method_name, std::move(inputs));
}

void Selector::FindHalos(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) FindHalos(*body);
    // A captured value has the halo that the bodies need: they read it where it is.
    const size_t captures =
        node->op() == OpId::kLoop ? 2 + static_cast<size_t>(node->Int("carried")) : 1;
    for (const auto& body : node->bodies) {
      for (size_t i = captures; i < node->inputs().size(); ++i) {
        const auto inside = halos_.find(body->inputs()[i - 1]);
        if (inside == halos_.end()) continue;
        const Halo wanted = inside->second;
        Halo& halo = halos_[node->input(i)];
        halo.top = std::max(halo.top, wanted.top);
        halo.bottom = std::max(halo.bottom, wanted.bottom);
        halo.gap = std::max(halo.gap, wanted.gap);
        if (wanted.fill != 0) halo.fill = wanted.fill;
      }
    }
    const bool integers = node->op() == OpId::kQConv && CanLowerQConv(*node);
    if (!integers && (node->op() != OpId::kConv || !CanLowerConv(*node, nullptr))) continue;
    const std::vector<int64_t>& pads = node->Ints("pads");
    Halo& halo = halos_[node->input(0)];
    if (integers && *std::max_element(pads.begin(), pads.end()) > 0) {
      halo.fill = static_cast<uint8_t>(node->Int("x_zero"));
    }
    halo.top = std::max(halo.top, static_cast<uint8_t>(pads[0]));
    halo.bottom = std::max(halo.bottom, static_cast<uint8_t>(pads[2]));
    halo.gap = std::max(halo.gap, static_cast<uint8_t>(std::max(pads[1], pads[3])));
  }
}

// A Transpose whose every user is a MatMul of two activations is read through; one that is the only
// user of such a MatMul is written through.
void Selector::FindAbsorbedTransposes(const ir::Graph& graph) {
  const auto is_batched = [this](const ir::Node& node) {
    return node.op() == OpId::kMatMul && node.output()->dtype() == DType::kF32 &&
           !HasConstantMatrix(node) && node.input(0)->rank() >= 2 && node.input(1)->rank() >= 2;
  };
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) FindAbsorbedTransposes(*body);
    if (node->op() != OpId::kTranspose) continue;
    const ir::Value* out = node->output();
    const ir::Node* producer = node->input(0)->producer();
    const bool all_matmul =
        !out->users().empty() && !graph.IsOutput(out) &&
        std::all_of(out->users().begin(), out->users().end(), [&](const ir::Node* user) {
          return is_batched(*user) && (user->input(0) == out || user->input(1) == out);
        });
    const bool after_matmul = producer != nullptr && is_batched(*producer) &&
                              node->input(0)->users().size() == 1 &&
                              !graph.IsOutput(node->input(0));
    if (all_matmul || after_matmul) absorbed_.insert(node.get());
  }
}

absl::Status Selector::SelectNode(const ir::Node& node) {
  if (absorbed_.count(&node) > 0) return absl::OkStatus();
  if (node.op() == OpId::kIf) return SelectIf(node);
  if (node.op() == OpId::kLoop) return SelectLoop(node);
  if (node.op() == OpId::kCheck) return SelectCheck(node);
  if (node.op() == OpId::kSize) return SelectSize(node);
  const ir::Value* x = node.input(0);
  // A recurrent layer may have no first result, only its last state.
  const ir::Value* y = node.output();
  const bool f32 =
      (y == nullptr || y->dtype() == DType::kF32) && x != nullptr && x->dtype() == DType::kF32;
  switch (node.op()) {
    case OpId::kConv:
      return SelectConv(node);
    case OpId::kQConv:
      return SelectQConv(node);
    case OpId::kQGemm:
      return SelectQGemm(node);
    case OpId::kDynamicQuantize:
      return SelectDynamicQuantize(node);
    case OpId::kQAvgPool:
      if (x->rank() == 4) return SelectQPool(node);
      break;
    case OpId::kLookup:
      return SelectLookup(node);
    case OpId::kQLstm:
      return SelectQLstm(node);
    case OpId::kMaxPool:
      if (y->dtype() == DType::kU8 && y->rank() == 4 && node.output(1) == nullptr) {
        return SelectQPool(node);
      }
      return SelectPool(node);
    case OpId::kAvgPool:
      return SelectPool(node);
    case OpId::kMatMul:
    case OpId::kGemm:
      if (f32) return SelectMatMul(node);
      break;
    case OpId::kSoftmax:
    case OpId::kLogSoftmax:
      if (f32) return SelectSoftmax(node);
      break;
    case OpId::kLayerNorm:
    case OpId::kRmsNorm:
      if (f32) return SelectNorm(node);
      break;
    case OpId::kReduce:
      if (f32) return SelectReduce(node);
      break;
    case OpId::kLstm:
    case OpId::kGru:
    case OpId::kRnn:
      if (f32) return SelectRecurrent(node);
      break;
    case OpId::kAttention:
      return SelectAttention(node);
    case OpId::kRotary:
      if (f32) return SelectRotary(node);
      break;
    case OpId::kPointwise:
      return SelectPointwise(node);
    case OpId::kIdentity:
    case OpId::kReshape:
    case OpId::kTranspose:
    case OpId::kSlice:
    case OpId::kConcat:
    case OpId::kPad:
    case OpId::kExpand:
    case OpId::kGather:
    case OpId::kDimsOf:
      return SelectMovement(node);
    default:
      break;
  }
  return SelectGeneric(node, absl::StrFormat("no fast kernel for %s of %s", OpRow(node.op()).name,
                                             DTypeName(y != nullptr ? y->dtype() : x->dtype())));
}

ValueId Selector::NewArenaValue(const std::string& name, DType dtype, const ir::Shape& shape,
                                LayoutId layout, Halo halo) {
  const ValueId id = program_.AddValue(name, dtype, shape, layout, halo);
  program_.value(id).storage = static_cast<uint8_t>(Storage::kArena);
  program_.value(id).link = program_.arena_slots++;
  return id;
}

void Selector::EmitCopy(ValueId from, ValueId to, const std::string& why) {
  Spec spec;
  spec.kernel = static_cast<uint32_t>(KernelId::kCopy);
  spec.op = OpId::kIdentity;
  spec.inputs = {from};
  spec.outputs = {to};
  spec.name = current_;
  spec.why = why;
  Emit(std::move(spec));
}

ValueId Selector::ConstantAs(const ir::Value* value, const std::vector<int64_t>& dims) {
  const auto key = std::make_pair(value, dims);
  const auto found = constants_.find(key);
  if (found != constants_.end()) return found->second;
  const ir::Tensor& t = value->constant();
  const auto keep = std::make_shared<ir::Tensor>(t);
  const ir::Tensor shaped(t.dtype(), dims, t.data(), keep);
  return constants_[key] = program_.AddConstant(value->name(), shaped, /*index=*/false);
}

ValueId Selector::Dense(const ir::Value* value) {
  if (value == nullptr) return kNoIndex;
  if (value->is_constant()) return ConstantAs(value, value->constant().dims());
  Home& home = homes_[value];
  if (home.dense == kNoIndex && home.channels_last == kNoIndex) WidenHome(value);
  if (home.dense == kNoIndex) {
    home.dense = NewArenaValue(value->name() + "/dense", value->dtype(), value->shape());
    EmitCopy(home.channels_last, home.dense, "channels-last to dense");
  }
  return home.dense;
}

ValueId Selector::ChannelsLast(const ir::Value* value) {
  Home& home = homes_[value];
  if (home.dense == kNoIndex && home.channels_last == kNoIndex) WidenHome(value);
  if (home.channels_last == kNoIndex) {
    const ValueId dense = Dense(value);
    const auto halo = halos_.find(value);
    home.channels_last =
        NewArenaValue(value->name() + "/nhwc", value->dtype(), value->shape(),
                      LayoutId::kChannelsLast, halo == halos_.end() ? Halo{} : halo->second);
    EmitCopy(dense, home.channels_last, "dense to channels-last");
  }
  return home.channels_last;
}

ValueId Selector::DefineDense(const ir::Value* value) {
  if (narrow_.count(value) > 0) return DefineNarrow(value, LayoutId::kDense);
  ValueId id;
  const auto& outputs = graph_->outputs();
  const auto at = std::find(outputs.begin(), outputs.end(), value);
  if (at != outputs.end() && !graph_->is_body) {
    id = program_.AddValue(graph_->output_names[static_cast<size_t>(at - outputs.begin())],
                           value->dtype(), value->shape());
    program_.value(id).storage = static_cast<uint8_t>(Storage::kOutput);
  } else {
    id = NewArenaValue(value->name(), value->dtype(), value->shape());
  }
  homes_[value].dense = id;
  return id;
}

ValueId Selector::DefineChannelsLast(const ir::Value* value) {
  if (narrow_.count(value) > 0) return DefineNarrow(value, LayoutId::kChannelsLast);
  const auto halo = halos_.find(value);
  const ValueId id =
      NewArenaValue(value->name(), value->dtype(), value->shape(), LayoutId::kChannelsLast,
                    halo == halos_.end() ? Halo{} : halo->second);
  homes_[value].channels_last = id;
  return id;
}

bool Selector::PrefersChannelsLast(const ir::Value* value) const {
  if (value == nullptr || value->rank() != 4) return false;
  const auto home = homes_.find(value);
  return home != homes_.end() && home->second.channels_last != kNoIndex;
}

Selector::Spec Selector::SpecFor(const ir::Node& node, KernelId kernel, std::string why) const {
  Spec spec;
  spec.kernel = static_cast<uint32_t>(kernel);
  spec.op = node.op();
  spec.name = node.provenance.node;
  spec.source = node.provenance.source;
  spec.why = std::move(why);
  return spec;
}

absl::Status Selector::Finish(const std::string& method_name, std::vector<ValueId> inputs) {
  std::vector<ValueId> outputs;
  std::set<ValueId> taken;
  for (size_t i = 0; i < graph_->outputs().size(); ++i) {
    const ir::Value* value = graph_->outputs()[i];
    const auto home = homes_.find(value);
    ValueId id = home == homes_.end() ? kNoIndex : home->second.dense;
    const bool direct = id != kNoIndex &&
                        program_.value(id).storage == static_cast<uint8_t>(Storage::kOutput) &&
                        taken.insert(id).second &&
                        program_.value(id).name == program_.String(graph_->output_names[i]);
    if (!direct) {
      current_ = graph_->output_names[i];
      const ValueId from =
          id == kNoIndex && home != homes_.end() ? home->second.channels_last : Dense(value);
      id = program_.AddValue(graph_->output_names[i], value->dtype(), value->shape());
      program_.value(id).storage = static_cast<uint8_t>(Storage::kOutput);
      EmitCopy(from, id, "into the caller's output");
    }
    outputs.push_back(id);
  }
  WriteStates();
  program_.SetMethod(method_name, std::move(inputs), std::move(outputs));
  return absl::OkStatus();
}

}  // namespace floe::lower
