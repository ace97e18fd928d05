#include "compiler/ir/graph.h"

#include <algorithm>
#include <cassert>

#include "compiler/ir/attributes.h"
#include "format/attrs.h"

namespace floe::ir {
namespace {

// Shape arithmetic works on tensors of at most this many elements.
constexpr int64_t kMaxContent = 64;

void RemoveOne(std::vector<Node*>& users, const Node* node) {
  const auto it = std::find(users.begin(), users.end(), node);
  assert(it != users.end());
  users.erase(it);
}

std::optional<std::vector<Dim>> ContentOf(const Tensor& tensor) {
  if (!IsInt(tensor.dtype()) && tensor.dtype() != DType::kBool) return std::nullopt;
  if (tensor.count() > kMaxContent) return std::nullopt;
  std::vector<Dim> content;
  for (int64_t i = 0; i < tensor.count(); ++i) content.push_back(tensor.IntAt(i));
  return content;
}

}  // namespace

Node::Node() = default;
Node::~Node() = default;

bool Value::HasStaticShape() const {
  return std::all_of(shape_.begin(), shape_.end(), [](const Dim& d) { return d.is_constant(); });
}

std::vector<int64_t> Value::StaticShape() const {
  assert(HasStaticShape());
  std::vector<int64_t> dims;
  for (const Dim& d : shape_) dims.push_back(d.constant());
  return dims;
}

int64_t Node::Int(std::string_view attr_name) const {
  const auto it = attrs.find(attr_name);
  assert(it != attrs.end());
  return std::get<int64_t>(it->second);
}

double Node::Float(std::string_view attr_name) const {
  const auto it = attrs.find(attr_name);
  assert(it != attrs.end());
  return std::get<double>(it->second);
}

const std::vector<int64_t>& Node::Ints(std::string_view attr_name) const {
  const auto it = attrs.find(attr_name);
  assert(it != attrs.end());
  return std::get<std::vector<int64_t>>(it->second);
}

SymbolId Graph::GetSymbol(std::string_view symbol_name, int64_t min, int64_t max) {
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].name == symbol_name) return static_cast<SymbolId>(i);
  }
  symbols.push_back({std::string(symbol_name), min, max, 1});
  return static_cast<SymbolId>(symbols.size() - 1);
}

std::string Graph::UniqueName(std::string wanted) {
  if (wanted.empty()) wanted = "v";
  if (!by_name_.contains(wanted)) return wanted;
  int& suffix = next_suffix_[wanted];
  std::string candidate;
  do {
    candidate = wanted + "_" + std::to_string(++suffix);
  } while (by_name_.contains(candidate));
  return candidate;
}

Value* Graph::NewValue(std::string value_name) {
  values_.push_back(std::make_unique<Value>());
  Value* value = values_.back().get();
  value->self_ = std::prev(values_.end());
  value->name_ = UniqueName(std::move(value_name));
  by_name_.emplace(value->name_, value);
  return value;
}

void Graph::EraseValue(Value* value) {
  assert(value->users_.empty());
  by_name_.erase(value->name_);
  values_.erase(value->self_);
}

Value* Graph::AddInput(std::string input_name, DType dtype, Shape shape) {
  Value* value = NewValue(std::move(input_name));
  value->set_type(dtype, std::move(shape));
  inputs_.push_back(value);
  return value;
}

Value* Graph::AddConstant(std::string constant_name, Tensor tensor) {
  Value* value = NewValue(std::move(constant_name));
  value->set_type(tensor.dtype(), Shape(tensor.dims().begin(), tensor.dims().end()));
  value->content = ContentOf(tensor);
  value->constant_ = std::move(tensor);
  return value;
}

void Graph::AddOutput(Value* value, std::string output_name) {
  outputs_.push_back(value);
  output_names.push_back(std::move(output_name));
}

void Graph::SetOutput(size_t index, Value* value) { outputs_[index] = value; }

void Graph::RemoveInput(size_t index) {
  Value* value = inputs_[index];
  assert(!IsOutput(value));
  inputs_.erase(inputs_.begin() + static_cast<ptrdiff_t>(index));
  EraseValue(value);
}

void Graph::RemoveOutput(size_t index) {
  outputs_.erase(outputs_.begin() + static_cast<ptrdiff_t>(index));
  output_names.erase(output_names.begin() + static_cast<ptrdiff_t>(index));
}

void Graph::SetInputOrder(std::vector<Value*> order) {
  assert(std::is_permutation(order.begin(), order.end(), inputs_.begin(), inputs_.end()));
  inputs_ = std::move(order);
}

Value* Graph::AddState(std::string state_name, Tensor initial) {
  assert(!is_body);
  Value* value = NewValue(state_name);
  value->set_type(initial.dtype(), Shape(initial.dims().begin(), initial.dims().end()));
  states_.push_back({std::move(state_name), std::move(initial), value, nullptr});
  return value;
}

void Graph::SetStateResult(size_t index, Value* value) {
  states_[index].result = value == states_[index].value ? nullptr : value;
}

Node* Graph::AddNode(OpId op, std::vector<Value*> inputs, std::vector<std::string> names,
                     Provenance provenance, Node* before) {
  const auto at =
      nodes_.insert(before == nullptr ? nodes_.end() : before->self_, std::make_unique<Node>());
  Node* node = at->get();
  node->self_ = at;
  node->op_ = op;
  node->inputs_ = std::move(inputs);
  node->provenance = std::move(provenance);
  for (Value* input : node->inputs_) {
    if (input != nullptr) input->users_.push_back(node);
  }
  for (size_t i = 0; i < names.size(); ++i) {
    Value* output = nullptr;
    if (!names[i].empty()) {
      output = NewValue(std::move(names[i]));
      output->producer_ = node;
      output->output_index_ = static_cast<int>(i);
    }
    node->outputs_.push_back(output);
  }
  return node;
}

void Graph::SetInput(Node* node, size_t index, Value* value) {
  Value*& slot = node->inputs_[index];
  if (slot != nullptr) RemoveOne(slot->users_, node);
  slot = value;
  if (value != nullptr) value->users_.push_back(node);
}

void Graph::AddOperand(Node* node, Value* value) {
  node->inputs_.push_back(value);
  if (value != nullptr) value->users_.push_back(node);
}

void Graph::RemoveOperandsFrom(Node* node, size_t index) {
  for (size_t i = index; i < node->inputs_.size(); ++i) SetInput(node, i, nullptr);
  node->inputs_.resize(std::min(index, node->inputs_.size()));
}

void Graph::RemoveOperand(Node* node, size_t index) {
  SetInput(node, index, nullptr);
  node->inputs_.erase(node->inputs_.begin() + static_cast<ptrdiff_t>(index));
}

Value* Graph::AddResult(Node* node, std::string value_name) {
  Value* value = NewValue(std::move(value_name));
  value->producer_ = node;
  value->output_index_ = static_cast<int>(node->outputs_.size());
  node->outputs_.push_back(value);
  return value;
}

void Graph::RemoveResult(Node* node, size_t index) {
  Value* value = node->outputs_[index];
  assert(value == nullptr || !IsOutput(value));
  if (value != nullptr) EraseValue(value);
  node->outputs_.erase(node->outputs_.begin() + static_cast<ptrdiff_t>(index));
  for (size_t i = index; i < node->outputs_.size(); ++i) {
    if (node->outputs_[i] != nullptr) node->outputs_[i]->output_index_ = static_cast<int>(i);
  }
}

void Graph::ReplaceAllUses(Value* from, Value* to) {
  if (from == to) return;
  for (Node* user : from->users_) {
    for (Value*& input : user->inputs_) {
      if (input == from) input = to;
    }
  }
  // A node that reads `from` twice is listed twice, which is what users() promises.
  to->users_.insert(to->users_.end(), from->users_.begin(), from->users_.end());
  from->users_.clear();
  for (Value*& output : outputs_) {
    if (output == from) output = to;
  }
  for (size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].result == from) SetStateResult(i, to);
  }
}

void Graph::Erase(Node* node) {
  RemoveOperandsFrom(node, 0);
  for (Value* output : node->outputs_) {
    assert(output == nullptr || !IsOutput(output));
    if (output != nullptr) EraseValue(output);
  }
  nodes_.erase(node->self_);
}

void Graph::EraseOutput(Node* node, size_t index) {
  Value*& slot = node->outputs_[index];
  if (slot == nullptr) return;
  assert(!IsOutput(slot));
  EraseValue(slot);
  slot = nullptr;
  while (!node->outputs_.empty() && node->outputs_.back() == nullptr) node->outputs_.pop_back();
}

void Graph::EraseUnusedConstants() {
  for (auto it = values_.begin(); it != values_.end();) {
    Value* value = (it++)->get();
    if (value->is_constant() && value->users_.empty() && !IsOutput(value)) EraseValue(value);
  }
}

void Graph::Rename(Value* value, std::string wanted) {
  by_name_.erase(value->name_);
  value->name_ = UniqueName(std::move(wanted));
  by_name_.emplace(value->name_, value);
}

bool Graph::IsOutput(const Value* value) const {
  return std::find(outputs_.begin(), outputs_.end(), value) != outputs_.end() ||
         std::any_of(states_.begin(), states_.end(),
                     [value](const State& s) { return s.result == value; });
}

void Graph::MoveBefore(Node* node, Node* before) {
  if (node != before) nodes_.splice(before->self_, nodes_, node->self_);
}

std::vector<Node*> Graph::NodeList() const {
  std::vector<Node*> list;
  list.reserve(nodes_.size());
  for (const auto& node : nodes_) list.push_back(node.get());
  return list;
}

Value* Graph::FindValue(std::string_view value_name) const {
  const auto it = by_name_.find(value_name);
  return it == by_name_.end() ? nullptr : it->second;
}

std::vector<int64_t> AttrWords(const Node& node) {
  std::vector<int64_t> words;
  for (const AttrSpec& spec : AttrSpecs(node.op())) {
    const auto it = node.attrs.find(spec.name);
    assert(it != node.attrs.end());
    const Attr& attr = it->second;
    switch (spec.type) {
      case AttrType::kInt:
        words.push_back(std::get<int64_t>(attr));
        break;
      case AttrType::kFloat:
        words.push_back(FloatWord(std::get<double>(attr)));
        break;
      case AttrType::kInts:
        words.push_back(static_cast<int64_t>(std::get<std::vector<int64_t>>(attr).size()));
        for (const int64_t v : std::get<std::vector<int64_t>>(attr)) words.push_back(v);
        break;
      case AttrType::kFloats:
        words.push_back(static_cast<int64_t>(std::get<std::vector<double>>(attr).size()));
        for (const double v : std::get<std::vector<double>>(attr)) words.push_back(FloatWord(v));
        break;
    }
  }
  return words;
}

}  // namespace floe::ir
