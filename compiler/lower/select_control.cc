// Selection of branches, loops, checks and states. A body becomes a block; what it captures is read
// where it is, in the layout that it has.
#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"
#include "compiler/lower/select.h"

namespace floe::lower {
namespace {

absl::Status CheckOperandCount(const ir::Node& node, size_t count) {
  if (count <= kMaxOperands) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrFormat(
      "%s '%s' has %d operands and results, more than the %d of an instruction; compute fewer "
      "values in it",
      OpRow(node.op()).name, node.provenance.node, count, kMaxOperands));
}

}  // namespace

absl::Status Selector::SelectBody(const ir::Node& node, const ir::Graph& body, size_t first,
                                  size_t first_operand, std::vector<ValueId> params,
                                  uint32_t* block) {
  for (size_t i = first_operand; i < node.inputs().size(); ++i) {
    const ir::Value* outer = node.inputs()[i];
    const ir::Value* inner = body.inputs()[first + i - first_operand];
    homes_[inner] = outer->is_constant() ? Home{Dense(outer), kNoIndex} : homes_[outer];
  }
  const ir::Graph* const around = graph_;
  graph_ = &body;
  program_.BeginBlock(std::move(params));
  for (const auto& inner : body.nodes()) {
    current_ = inner->provenance.node;
    FLOE_TRY(SelectNode(*inner));
  }
  current_ = node.provenance.node;
  std::vector<ValueId> results;
  for (const ir::Value* output : body.outputs()) results.push_back(Dense(output));
  *block = program_.EndBlock(std::move(results));
  graph_ = around;
  return absl::OkStatus();
}

absl::Status Selector::SelectIf(const ir::Node& node) {
  FLOE_TRY(CheckOperandCount(node, 1 + node.outputs().size()));
  Spec spec = SpecFor(node, KernelId::kIf, "branches share memory");
  spec.inputs = {Dense(node.input(0))};
  for (const auto& body : node.bodies) {
    spec.blocks.push_back(0);
    FLOE_TRY(SelectBody(node, *body, 0, 1, {}, &spec.blocks.back()));
  }
  for (const ir::Value* output : node.outputs()) spec.outputs.push_back(DefineDense(output));
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectLoop(const ir::Node& node) {
  const size_t carried = node.outputs().size();
  FLOE_TRY(CheckOperandCount(node, 2 + 2 * carried));
  Spec spec = SpecFor(node, KernelId::kLoop, "carried values are double-buffered");
  spec.attrs = {node.Int("max_trips")};
  for (size_t i = 0; i < 2 + carried; ++i) spec.inputs.push_back(Dense(node.input(i)));
  const ir::Graph& body = *node.bodies[0];
  std::vector<ValueId> params;
  for (size_t i = 0; i <= carried; ++i) {
    const ir::Value* param = body.inputs()[i];
    params.push_back(NewArenaValue(param->name(), param->dtype(), param->shape()));
    homes_[param].dense = params.back();
  }
  spec.blocks.push_back(0);
  FLOE_TRY(
      SelectBody(node, body, 1 + carried, 2 + carried, std::move(params), &spec.blocks.back()));
  for (const ir::Value* output : node.outputs()) spec.outputs.push_back(DefineDense(output));
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectCheck(const ir::Node& node) {
  Spec spec = SpecFor(node, KernelId::kCheck, "");
  std::string message = node.message;
  if (!node.provenance.source.empty()) message += " (" + node.provenance.source + ")";
  spec.attrs = {program_.String(message)};
  spec.inputs = {Dense(node.input(0))};
  Emit(std::move(spec));
  return absl::OkStatus();
}

// The result is a dimension; the instruction only says how large it is.
absl::Status Selector::SelectSize(const ir::Node& node) {
  const ir::Value& size = *node.output();
  Spec spec = SpecFor(node, KernelId::kSize, "");
  spec.attrs = {*(*size.content)[0].terms()[0].symbol()};
  spec.inputs = {Dense(node.input(0))};
  Emit(std::move(spec));
  homes_[&size].dense = program_.AddDims(size.name(), size.shape(), *size.content);
  return absl::OkStatus();
}

void Selector::AddStates() {
  for (const ir::State& state : graph_->states()) {
    homes_[state.value].dense = program_.AddState(state.name, state.initial);
  }
}

// The last thing that a run does: what reads a state reads what it held before. One that becomes
// what another held is read before any is written.
void Selector::WriteStates() {
  std::vector<std::pair<ValueId, ValueId>> copies;
  for (const ir::State& state : graph_->states()) {
    if (state.result == nullptr) continue;
    current_ = state.name;
    const ValueId to = homes_[state.value].dense;
    const auto home = homes_.find(state.result);
    const bool channels_last = home != homes_.end() && home->second.dense == kNoIndex;
    ValueId from = channels_last ? home->second.channels_last : Dense(state.result);
    const ValueId root = program_.Root(from);
    if (root == to) continue;  // The same elements in the same order.
    if (program_.value(root).storage == static_cast<uint8_t>(Storage::kState)) {
      const ValueId kept =
          NewArenaValue(state.name + "/kept", state.value->dtype(), state.value->shape());
      EmitCopy(from, kept, "before states are written");
      from = kept;
    }
    copies.emplace_back(from, to);
  }
  for (const auto& [from, to] : copies) EmitCopy(from, to, "into the state");
}

}  // namespace floe::lower
