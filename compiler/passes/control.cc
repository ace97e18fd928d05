// Control flow: what is decided now is inlined, what bodies need not be given is not given to them,
// what nobody reads of them is not computed, and checks that hold are dropped.
#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"
#include "compiler/ir/control.h"
#include "compiler/ir/verify.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

bool IsUsed(const ir::Graph& graph, const ir::Value* v) {
  return !v->users().empty() || graph.IsOutput(v);
}

// The first operand that is a capture; operand i is input i - 1 of every body.
size_t FirstCapture(const ir::Node& node) {
  return node.op() == OpId::kIf ? 1 : 2 + static_cast<size_t>(node.Int("carried"));
}

void RemoveCapture(ir::Graph& graph, ir::Node* node, size_t operand) {
  for (const auto& body : node->bodies) body->RemoveInput(operand - 1);
  graph.RemoveOperand(node, operand);
}

// Redirects a body's input, in every body, to what `make` gives for the body.
template <typename F>
void ReplaceCapture(ir::Graph& graph, ir::Node* node, size_t operand, F make) {
  for (const auto& body : node->bodies) {
    ir::Value* input = body->inputs()[operand - 1];
    if (IsUsed(*body, input)) body->ReplaceAllUses(input, make(*body));
  }
  RemoveCapture(graph, node, operand);
}

// Constants become the bodies' own, so that they fold and pack there; equal captures become one.
size_t PushCaptures(ir::Graph& graph, ir::Node* node) {
  size_t pushed = 0;
  const size_t first = FirstCapture(*node);
  for (size_t i = node->inputs().size(); i-- > first;) {
    ir::Value* v = node->inputs()[i];
    if (v->is_constant()) {
      ReplaceCapture(graph, node, i,
                     [v](ir::Graph& body) { return body.AddConstant(v->name(), v->constant()); });
      ++pushed;
      continue;
    }
    const auto begin = node->inputs().begin();
    const auto same =
        std::find(begin + static_cast<ptrdiff_t>(first), begin + static_cast<ptrdiff_t>(i), v);
    const auto twin = static_cast<size_t>(same - begin);
    if (twin == i) continue;
    ReplaceCapture(graph, node, i, [twin](ir::Graph& body) { return body.inputs()[twin - 1]; });
  }
  return pushed;
}

void TrimCaptures(ir::Graph& graph, ir::Node* node) {
  for (size_t i = node->inputs().size(); i-- > FirstCapture(*node);) {
    const bool used = std::any_of(node->bodies.begin(), node->bodies.end(), [i](const auto& body) {
      return IsUsed(*body, body->inputs()[i - 1]);
    });
    if (!used) RemoveCapture(graph, node, i);
  }
}

// Which of a loop's carried values decide a result that is read, the condition or an effect.
std::vector<bool> NeededCarried(const ir::Graph& graph, const ir::Node& loop) {
  const ir::Graph& body = *loop.bodies[0];
  std::vector<bool> needed;
  for (const ir::Value* v : loop.outputs()) needed.push_back(IsUsed(graph, v));
  std::set<const ir::Value*> live = {body.outputs()[0]};  // Looked up only.
  for (bool grown = true; grown;) {
    for (size_t i = 0; i < needed.size(); ++i) {
      if (needed[i]) live.insert(body.outputs()[i + 1]);
    }
    for (auto it = body.nodes().rbegin(); it != body.nodes().rend(); ++it) {
      const auto is_live = [&live](const ir::Value* v) { return live.contains(v); };
      const auto& outputs = (*it)->outputs();
      if (!ir::HasEffects(**it) && std::none_of(outputs.begin(), outputs.end(), is_live)) continue;
      live.insert((*it)->inputs().begin(), (*it)->inputs().end());
    }
    grown = false;
    for (size_t i = 0; i < needed.size(); ++i) {
      grown = grown || (!needed[i] && live.contains(body.inputs()[i + 1]));
      needed[i] = needed[i] || live.contains(body.inputs()[i + 1]);
    }
  }
  return needed;
}

absl::Status TrimLoop(ir::Graph& graph, ir::Node* loop, Report& report) {
  ir::Graph& body = *loop->bodies[0];
  const std::vector<bool> needed = NeededCarried(graph, *loop);
  // Their results first: the params are free when nothing computes them any more.
  for (size_t i = needed.size(); i-- > 0;) {
    if (!needed[i]) body.RemoveOutput(i + 1);
  }
  FLOE_TRY(EliminateDead(body, report));
  for (size_t i = needed.size(); i-- > 0;) {
    if (needed[i]) continue;
    body.RemoveInput(i + 1);
    graph.RemoveOperand(loop, i + 2);
    graph.RemoveResult(loop, i);
    loop->attrs["carried"] = loop->Int("carried") - 1;
  }
  return absl::OkStatus();
}

absl::Status TrimIf(ir::Graph& graph, ir::Node* node, Report& report) {
  for (size_t i = node->outputs().size(); i-- > 0;) {
    if (IsUsed(graph, node->output(i))) continue;
    for (const auto& body : node->bodies) body->RemoveOutput(i);
    graph.RemoveResult(node, i);
  }
  for (const auto& body : node->bodies) FLOE_TRY(EliminateDead(*body, report));
  return absl::OkStatus();
}

// A carried value that the body passes on is a capture; a result that both branches pass on is
// what they were given.
void PassThrough(ir::Graph& graph, ir::Node* node) {
  const size_t shift = node->op() == OpId::kLoop ? 1 : 0;
  for (size_t i = node->outputs().size(); i-- > 0;) {
    const ir::Graph& first = *node->bodies[0];
    const auto at = std::find(first.inputs().begin() + static_cast<ptrdiff_t>(shift),
                              first.inputs().end(), first.outputs()[i + shift]);
    if (at == first.inputs().end()) continue;
    const auto input = static_cast<size_t>(at - first.inputs().begin());
    const auto passes = [&](const auto& body) {
      return body->outputs()[i + shift] == body->inputs()[input];
    };
    // A loop without iterations gives the initial value: only the same place will do.
    if (!std::all_of(node->bodies.begin(), node->bodies.end(), passes)) continue;
    if (shift == 1 && input != i + 1) continue;
    graph.ReplaceAllUses(node->output(i), node->input(input + 1));
    for (const auto& body : node->bodies) body->RemoveOutput(i + shift);
    graph.RemoveResult(node, i);
    if (shift == 0) continue;
    // It becomes the first capture.
    ir::Graph& body = *node->bodies[0];
    std::vector<ir::Value*> order = body.inputs();
    std::vector<ir::Value*> operands = node->inputs();
    const auto carried = static_cast<ptrdiff_t>(node->Int("carried"));
    const auto from = static_cast<ptrdiff_t>(i);
    std::rotate(order.begin() + 1 + from, order.begin() + 2 + from, order.begin() + 1 + carried);
    std::rotate(operands.begin() + 2 + from, operands.begin() + 3 + from,
                operands.begin() + 2 + carried);
    body.SetInputOrder(std::move(order));
    for (size_t k = 0; k < operands.size(); ++k) graph.SetInput(node, k, operands[k]);
    node->attrs["carried"] = int64_t{carried - 1};
  }
}

std::optional<int64_t> IntOf(const ir::Value* v) {
  if (v == nullptr || !v->is_constant() || v->constant().count() != 1) return std::nullopt;
  return v->constant().IntAt(0);
}

// Puts the outputs in the place of the node's results.
void Finish(ir::Graph& graph, ir::Node* node, const std::vector<ir::Value*>& outputs) {
  for (size_t i = 0; i < node->outputs().size(); ++i) {
    graph.ReplaceAllUses(node->output(i), outputs[i]);
  }
  std::vector<std::pair<ir::Value*, std::string>> names;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const bool made = outputs[i]->producer() != nullptr && outputs[i]->producer() != node;
    if (made) names.emplace_back(outputs[i], node->output(i)->name());
  }
  graph.Erase(node);
  for (auto& [value, name] : names) {
    if (graph.FindValue(name) == nullptr) graph.Rename(value, std::move(name));
  }
}

// Inlines what is decided: the branch that is taken; a loop of no or of one iteration.
bool Inline(ir::Graph& graph, ir::Node* node, Report& report) {
  std::vector<ir::Value*> arguments(node->inputs().begin() + 1, node->inputs().end());
  if (node->op() == OpId::kIf) {
    const std::optional<int64_t> condition = IntOf(node->input(0));
    if (!condition) return false;
    report.Add(absl::StrFormat("inlined the branch of %s that is taken", NameOf(*node)));
    Finish(graph, node,
           ir::InlineBody(graph, *node->bodies[*condition != 0 ? 0 : 1], arguments, node));
    return true;
  }
  const std::optional<int64_t> trips = IntOf(node->input(0));
  const std::optional<int64_t> condition = IntOf(node->input(1));
  if ((trips && *trips <= 0) || (condition && *condition == 0)) {
    report.Add(absl::StrFormat("dropped %s, which never runs", NameOf(*node)));
    const auto first = node->inputs().begin() + 2;
    Finish(graph, node, {first, first + static_cast<ptrdiff_t>(node->outputs().size())});
    return true;
  }
  if (trips != 1 || !condition) return false;
  report.Add(absl::StrFormat("inlined %s, which runs once", NameOf(*node)));
  arguments[0] = ir::AddInt(graph, "iteration", 0);
  std::vector<ir::Value*> outputs = ir::InlineBody(graph, *node->bodies[0], arguments, node);
  outputs.erase(outputs.begin());
  Finish(graph, node, outputs);
  return true;
}

// Drops a check that holds. One that never holds ends the compilation, unless it may not be
// reached.
absl::Status DecideCheck(ir::Graph& graph, ir::Node* check, Report& report) {
  const ir::Value* condition = check->input(0);
  if (!condition->is_constant()) return absl::OkStatus();
  const ir::Tensor& t = condition->constant();
  for (int64_t i = 0; i < t.count(); ++i) {
    if (t.IntAt(i) != 0) continue;
    if (graph.is_body) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrFormat("%s: the check always fails: %s",
                                                      ir::Describe(graph, *check), check->message));
  }
  report.Add("dropped a check that holds: " + check->message);
  graph.Erase(check);
  return absl::OkStatus();
}

void BoundTrips(ir::Node* loop) {
  const std::optional<int64_t> trips = IntOf(loop->input(0));
  if (trips && *trips < loop->Int("max_trips")) loop->attrs["max_trips"] = *trips;
}

}  // namespace

absl::Status TrimControl(ir::Graph& graph, ir::Node* node, Report& report) {
  if (!ir::HasBodies(*node)) return absl::OkStatus();
  FLOE_TRY(node->op() == OpId::kIf ? TrimIf(graph, node, report) : TrimLoop(graph, node, report));
  TrimCaptures(graph, node);
  return absl::OkStatus();
}

absl::Status SimplifyControl(ir::Graph& graph, Report& report) {
  size_t pushed = 0;
  bool again = true;
  // A body that was inlined may decide what comes behind it.
  while (again) {
    again = false;
    for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
      ir::Node* node = (it++)->get();
      if (node->op() == OpId::kCheck) {
        FLOE_TRY(DecideCheck(graph, node, report));
        continue;
      }
      if (!ir::HasBodies(*node)) continue;
      if (Inline(graph, node, report)) {
        again = true;
        continue;
      }
      PassThrough(graph, node);
      pushed += PushCaptures(graph, node);
      TrimCaptures(graph, node);
      if (node->op() == OpId::kLoop) BoundTrips(node);
      for (const auto& body : node->bodies) {
        FLOE_TRY(FoldConstants(*body, report));
        FLOE_TRY(SimplifyControl(*body, report));
      }
    }
    if (again) FLOE_TRY(FoldConstants(graph, report));
  }
  graph.EraseUnusedConstants();
  if (pushed > 0) report.Add(absl::StrFormat("moved %d constants into bodies", pushed));
  return absl::OkStatus();
}

}  // namespace floe::passes
