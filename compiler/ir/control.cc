#include "compiler/ir/control.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/status_macros.h"

namespace floe::ir {
namespace {

// The node with its bodies, typed; on an error it stays in the graph, which is lost anyway.
absl::StatusOr<Node*> Infer(Graph& graph, Node* node) {
  FLOE_TRY(InferNode(graph, *node));
  return node;
}

Tensor Scalar(DType dtype, int64_t v) {
  Tensor t(dtype, {});
  t.SetInt(0, v);
  return t;
}

// What the symbols' bounds say about `a compare b`: 1, 0, or nothing.
std::optional<bool> Decide(const Graph& graph, const Dim& a, OpId compare, const Dim& b) {
  const std::optional<Dim> difference = Dim::Sub(a, b);
  if (!difference) return std::nullopt;
  const int64_t min = difference->Min(graph.symbols);
  const int64_t max = difference->Max(graph.symbols);
  const auto decide = [](bool yes, bool no) -> std::optional<bool> {
    return yes ? std::optional(true) : no ? std::optional(false) : std::nullopt;
  };
  const bool equal = min == 0 && max == 0;
  const bool apart = min > 0 || max < 0;
  switch (compare) {
    case OpId::kEqual:
      return decide(equal, apart);
    case OpId::kNotEqual:
      return decide(apart, equal);
    case OpId::kLess:
      return decide(max < 0, min >= 0);
    case OpId::kLessEqual:
      return decide(max <= 0, min > 0);
    case OpId::kGreater:
      return decide(min > 0, max <= 0);
    default:
      return decide(min >= 0, max < 0);
  }
}

absl::StatusOr<Value*> AddBinary(Graph& graph, OpId op, Value* a, Value* b, std::string name,
                                 const Provenance& provenance, Node* before) {
  Node* node = graph.AddNode(op, {a, b}, {std::move(name)}, provenance, before);
  if (op == OpId::kMod) node->attrs["fmod"] = int64_t{0};
  FLOE_TRY(InferNode(graph, *node));
  return node->output();
}

}  // namespace

bool HasEffects(const Node& node) {
  if (node.op() == OpId::kCheck || node.op() == OpId::kSize) return true;
  return std::any_of(node.bodies.begin(), node.bodies.end(), [](const auto& body) {
    return std::any_of(body->nodes().begin(), body->nodes().end(),
                       [](const auto& inner) { return HasEffects(*inner); });
  });
}

BodyBuilder::BodyBuilder(const Graph& outer, std::string name)
    : outer_(&outer), graph_(std::make_unique<Graph>()) {
  graph_->name = std::move(name);
  graph_->symbols = outer.symbols;
  graph_->is_body = true;
}

Value* BodyBuilder::AddParam(std::string name, DType dtype, Shape shape) {
  params_.push_back(graph_->AddInput(std::move(name), dtype, std::move(shape)));
  return params_.back();
}

Value* BodyBuilder::Capture(Value* outer_value) {
  if (outer_value == nullptr) return nullptr;
  assert(outer_->FindValue(outer_value->name()) == outer_value);
  Value*& inside = inside_[outer_value];
  if (inside != nullptr) return inside;
  if (outer_value->is_constant()) {
    return inside = graph_->AddConstant(outer_value->name(), outer_value->constant());
  }
  // A symbol may have come up since the body was begun.
  graph_->symbols = outer_->symbols;
  inside = graph_->AddInput(outer_value->name(), outer_value->dtype(), outer_value->shape());
  inside->content = outer_value->content;
  captures_.push_back(outer_value);
  return inside;
}

absl::StatusOr<Node*> AddIf(Graph& graph, Value* condition, BodyBuilder then_body,
                            BodyBuilder else_body, std::vector<std::string> output_names,
                            Provenance provenance, Node* before) {
  // Both bodies get all captures, in one order.
  std::vector<Value*> captures = then_body.captures_;
  for (Value* v : else_body.captures_) {
    if (std::find(captures.begin(), captures.end(), v) == captures.end()) captures.push_back(v);
  }
  std::vector<Value*> operands = {condition};
  operands.insert(operands.end(), captures.begin(), captures.end());
  Node* node = graph.AddNode(OpId::kIf, std::move(operands), std::move(output_names),
                             std::move(provenance), before);
  for (BodyBuilder* body : {&then_body, &else_body}) {
    std::vector<Value*> order;
    for (Value* v : captures) order.push_back(body->Capture(v));
    body->graph_->SetInputOrder(std::move(order));
    node->bodies.push_back(std::move(body->graph_));
  }
  return Infer(graph, node);
}

absl::StatusOr<Node*> AddLoop(Graph& graph, LoopOperands operands, BodyBuilder body,
                              std::vector<std::string> output_names, Provenance provenance,
                              Node* before) {
  const std::string base = output_names.empty() ? "loop" : output_names[0];
  if (operands.trips == nullptr) {
    operands.trips = AddInt(graph, base + "/trips", std::numeric_limits<int64_t>::max());
  } else if (operands.max_trips == 0 && operands.trips->content &&
             operands.trips->content->size() == 1) {
    const int64_t most = (*operands.trips->content)[0].Max(graph.symbols);
    if (most <= kMaxTrips) operands.max_trips = std::max<int64_t>(most, 1);
  }
  if (operands.max_trips == 0) operands.max_trips = kDefaultMaxTrips;
  if (operands.condition == nullptr) {
    operands.condition = AddBool(graph, base + "/condition", true);
  }
  std::vector<Value*> inputs = {operands.trips, operands.condition};
  inputs.insert(inputs.end(), operands.carried.begin(), operands.carried.end());
  inputs.insert(inputs.end(), body.captures_.begin(), body.captures_.end());
  Node* node = graph.AddNode(OpId::kLoop, std::move(inputs), std::move(output_names),
                             std::move(provenance), before);
  std::vector<Value*> order = body.params_;
  for (Value* v : body.captures_) order.push_back(body.Capture(v));
  body.graph_->SetInputOrder(std::move(order));
  node->attrs["carried"] = static_cast<int64_t>(operands.carried.size());
  node->attrs["max_trips"] = operands.max_trips;
  node->bodies.push_back(std::move(body.graph_));
  return Infer(graph, node);
}

Value* AddBool(Graph& graph, std::string name, bool v) {
  return graph.AddConstant(std::move(name), Scalar(DType::kBool, v ? 1 : 0));
}

Value* AddInt(Graph& graph, std::string name, int64_t v) {
  return graph.AddConstant(std::move(name), Scalar(DType::kI64, v));
}

absl::StatusOr<Value*> AddDim(Graph& graph, const Dim& dim, std::string name, Provenance provenance,
                              Node* before) {
  if (dim.is_constant()) return AddInt(graph, std::move(name), dim.constant());
  // Sizes are not negative: what can be is computed from one that cannot.
  const int64_t min = std::min<int64_t>(dim.Min(graph.symbols), 0);
  const std::optional<Dim> size = Dim::Sub(dim, min);
  if (!size) {
    return absl::UnimplementedError(
        "a size overflows; lower the bounds of the dimensions that it is made of with --dim");
  }
  Node* node = graph.AddNode(OpId::kDimsOf, {}, {name}, provenance, before);
  node->output()->set_type(DType::kI64, {});
  node->output()->content = {*size};
  FLOE_TRY(InferNode(graph, *node));
  if (min == 0) return node->output();
  Value* shift = AddInt(graph, name + "/shift", -min);
  return AddBinary(graph, OpId::kSub, node->output(), shift, std::move(name), provenance, before);
}

absl::StatusOr<Value*> AddSize(Graph& graph, Value* count, std::string symbol_name, int64_t min,
                               int64_t max, Provenance provenance, Node* before) {
  if (graph.is_body) {
    return absl::UnimplementedError("a size that depends on data, inside of a branch or a loop");
  }
  const auto taken = [&graph](const std::string& name) {
    return std::any_of(graph.symbols.begin(), graph.symbols.end(),
                       [&name](const Symbol& s) { return s.name == name; });
  };
  const std::string wanted = symbol_name;
  for (int n = 2; taken(symbol_name); ++n) symbol_name = wanted + "_" + std::to_string(n);
  const SymbolId symbol = graph.GetSymbol(symbol_name, min, max);
  graph.symbols[symbol].data = true;
  Node* node = graph.AddNode(OpId::kSize, {count}, {symbol_name}, std::move(provenance), before);
  node->output()->set_type(DType::kI64, {});
  node->output()->content = {Dim::OfSymbol(symbol)};
  FLOE_TRY(InferNode(graph, *node));
  return node->output();
}

absl::Status BoundSizes(Graph& graph, const std::map<std::string, int64_t>& bounds) {
  std::string known, open;
  const auto list = [](const std::string& name, std::string* to) {
    *to += (to->empty() ? "'" : ", '") + name + "'";
  };
  std::map<std::string, int64_t> left = bounds;
  for (Symbol& s : graph.symbols) {
    if (!s.data) continue;
    list(s.name, &known);
    if (const auto it = left.find(s.name); it != left.end()) {
      if (it->second < s.min) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "the bound of '%s' is %d, below its minimum of %d", s.name, it->second, s.min));
      }
      s.max = std::min(s.max, it->second);
      left.erase(it);
    }
    if (s.max >= kUnboundedSize) list(s.name, &open);
  }
  SyncSymbols(graph);
  if (!left.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("a bound is given for '%s', but no size of that name depends on data; %s",
                        left.begin()->first, known.empty() ? "none does" : "there are " + known));
  }
  if (open.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "these sizes depend on data and have no upper bound: %s; give each one with --bound NAME=MAX",
      open));
}

absl::StatusOr<Node*> AddCheck(Graph& graph, Value* condition, std::string message,
                               Provenance provenance, Node* before) {
  Node* node = graph.AddNode(OpId::kCheck, {condition}, {}, std::move(provenance), before);
  node->message = std::move(message);
  return Infer(graph, node);
}

absl::Status AddDimCheck(Graph& graph, const Dim& a, OpId compare, const Dim& b,
                         std::string message, Provenance provenance, Node* before) {
  if (Decide(graph, a, compare, b).value_or(false)) return absl::OkStatus();
  FLOE_TRY_ASSIGN(Value * left, AddDim(graph, a, "dim", provenance, before));
  FLOE_TRY_ASSIGN(Value * right, AddDim(graph, b, "dim", provenance, before));
  FLOE_TRY_ASSIGN(Value * holds,
                  AddBinary(graph, compare, left, right, "holds", provenance, before));
  return AddCheck(graph, holds, std::move(message), std::move(provenance), before).status();
}

absl::Status AddMultipleCheck(Graph& graph, const Dim& a, int64_t divisor, std::string message,
                              Provenance provenance, Node* before) {
  assert(divisor > 0);
  const auto divides = [&](const DimTerm& term) {
    return term.coefficient % divisor == 0 ||
           (term.symbol() != nullptr && graph.symbols[*term.symbol()].multiple % divisor == 0);
  };
  if (a.constant() % divisor == 0 && std::all_of(a.terms().begin(), a.terms().end(), divides)) {
    return absl::OkStatus();
  }
  FLOE_TRY_ASSIGN(Value * dim, AddDim(graph, a, "dim", provenance, before));
  FLOE_TRY_ASSIGN(Value * rest, AddBinary(graph, OpId::kMod, dim, AddInt(graph, "divisor", divisor),
                                          "rest", provenance, before));
  FLOE_TRY_ASSIGN(Value * holds, AddBinary(graph, OpId::kEqual, rest, AddInt(graph, "zero", 0),
                                           "holds", provenance, before));
  return AddCheck(graph, holds, std::move(message), std::move(provenance), before).status();
}

std::vector<Value*> InlineBody(Graph& graph, Graph& body, std::span<Value* const> arguments,
                               Node* before) {
  assert(arguments.size() == body.inputs().size());
  std::map<const Value*, Value*> outside = {{nullptr, nullptr}};  // Only looked up.
  for (size_t i = 0; i < arguments.size(); ++i) outside[body.inputs()[i]] = arguments[i];
  for (const auto& value : body.values()) {
    if (!value->is_constant()) continue;
    outside[value.get()] = graph.AddConstant(value->name(), value->constant());
  }
  for (const auto& inner : body.nodes()) {
    std::vector<Value*> inputs;
    for (const Value* v : inner->inputs()) inputs.push_back(outside.at(v));
    std::vector<std::string> names;
    for (const Value* v : inner->outputs()) names.push_back(v == nullptr ? "" : v->name());
    Node* node = graph.AddNode(inner->op(), std::move(inputs), std::move(names),
                               std::move(inner->provenance), before);
    node->attrs = std::move(inner->attrs);
    node->code = std::move(inner->code);
    node->epilogue_begin = inner->epilogue_begin;
    node->message = std::move(inner->message);
    node->bodies = std::move(inner->bodies);
    for (size_t i = 0; i < inner->outputs().size(); ++i) {
      const Value* from = inner->outputs()[i];
      if (from == nullptr) continue;
      node->output(i)->set_type(from->dtype(), from->shape());
      node->output(i)->content = from->content;
      outside[from] = node->output(i);
    }
  }
  std::vector<Value*> outputs;
  for (const Value* v : body.outputs()) outputs.push_back(outside.at(v));
  while (!body.outputs().empty()) body.RemoveOutput(body.outputs().size() - 1);
  const std::vector<Node*> moved = body.NodeList();
  for (auto it = moved.rbegin(); it != moved.rend(); ++it) body.Erase(*it);
  return outputs;
}

void SyncSymbols(Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) {
      body->symbols = graph.symbols;
      SyncSymbols(*body);
    }
  }
}

}  // namespace floe::ir
