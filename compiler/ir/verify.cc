#include "compiler/ir/verify.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "compiler/ir/attributes.h"
#include "compiler/ir/control.h"
#include "format/tensor_info.h"

namespace floe::ir {
namespace {

absl::Status Bad(const Graph& graph, const Node& node, const std::string& what) {
  return absl::InternalError(absl::StrFormat("%s: %s", Describe(graph, node), what));
}

absl::Status CheckSymbols(const Graph& graph) {
  std::set<std::string> seen;
  for (const Symbol& s : graph.symbols) {
    if (s.name.empty() || !seen.insert(s.name).second) {
      return absl::InternalError(absl::StrFormat("symbol '%s' is unnamed or repeated", s.name));
    }
    if (s.min < 0 || s.min > s.max || s.multiple < 1) {
      return absl::InternalError(absl::StrFormat("symbol '%s' has bounds %d..%d, multiple %d",
                                                 s.name, s.min, s.max, s.multiple));
    }
  }
  return absl::OkStatus();
}

bool SymbolsInRange(const Graph& graph, const std::vector<Dim>& dims) {
  for (const Dim& d : dims) {
    std::vector<SymbolId> used;
    d.AppendSymbols(&used);
    for (const SymbolId s : used) {
      if (s >= graph.symbols.size()) return false;
    }
  }
  return true;
}

absl::Status CheckValue(const Graph& graph, const Value& value) {
  const auto bad = [&value](const std::string& what) {
    return absl::InternalError(absl::StrFormat("value '%s' %s", value.name(), what));
  };
  if (value.name().empty() || graph.FindValue(value.name()) != &value) {
    return bad("has no unique name");
  }
  if (value.dtype() == DType::kNone) return bad("has no type");
  if (value.rank() > static_cast<size_t>(kMaxRank)) return bad("has a rank above 8");
  if (!SymbolsInRange(graph, value.shape())) return bad("has an unknown symbol in its shape");
  if (value.is_constant()) {
    const Tensor& t = value.constant();
    if (value.producer() != nullptr) return bad("is a constant and a result");
    if (t.dtype() != value.dtype() || Shape(t.dims().begin(), t.dims().end()) != value.shape()) {
      return bad("differs in type from its constant");
    }
  }
  if (value.content) {
    if (!SymbolsInRange(graph, *value.content)) return bad("has an unknown symbol in its content");
    if (!SameCount(value.shape(), {static_cast<int64_t>(value.content->size())})) {
      return bad("has content of another size");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckArity(const Graph& graph, const Node& node) {
  const OpInfoRow& row = OpRow(node.op());
  const size_t plain = node.code.empty() || node.op() == OpId::kPointwise
                           ? node.inputs().size()
                           : std::min<size_t>(node.epilogue_begin, node.inputs().size());
  if (plain < static_cast<size_t>(row.min_inputs) ||
      (row.max_inputs >= 0 && plain > static_cast<size_t>(row.max_inputs))) {
    return Bad(graph, node, absl::StrFormat("has %d operands", plain));
  }
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    const bool optional =
        row.max_inputs >= 0 && i >= static_cast<size_t>(row.min_inputs) && i < plain;
    if (node.inputs()[i] == nullptr && !optional) {
      return Bad(graph, node, absl::StrFormat("operand %d is absent", i));
    }
  }
  const size_t outputs = node.outputs().size();
  if ((outputs == 0 && !IsControlOp(node.op())) ||
      (row.max_outputs >= 0 && outputs > static_cast<size_t>(row.max_outputs))) {
    return Bad(graph, node, absl::StrFormat("has %d results", outputs));
  }
  return absl::OkStatus();
}

bool SameType(const Value& a, const Value& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape();
}

bool SameSymbols(const Graph& a, const Graph& b) {
  return std::equal(a.symbols.begin(), a.symbols.end(), b.symbols.begin(), b.symbols.end(),
                    [](const Symbol& x, const Symbol& y) {
                      return x.name == y.name && x.min == y.min && x.max == y.max &&
                             x.multiple == y.multiple;
                    });
}

absl::Status VerifyAt(const Graph& graph, uint32_t depth);

// The body's inputs are like operands [first, ...), its outputs like the node's results.
absl::Status CheckBody(const Graph& graph, const Node& node, const Graph& body, uint32_t depth) {
  const bool loop = node.op() == OpId::kLoop;
  if (!body.is_body || !body.states().empty()) return Bad(graph, node, "has a body that is none");
  if (!SameSymbols(graph, body)) return Bad(graph, node, "has a body with other symbols");
  const size_t shift = loop ? 1 : 0;  // The iteration, the condition.
  bool fits = body.inputs().size() + 1 == node.inputs().size() &&
              body.outputs().size() == node.outputs().size() + shift;
  for (size_t i = shift; fits && i < body.inputs().size(); ++i) {
    fits = SameType(*body.inputs()[i], *node.inputs()[i + 1]);
  }
  for (size_t i = shift; fits && i < body.outputs().size(); ++i) {
    fits =
        node.output(i - shift) != nullptr && SameType(*body.outputs()[i], *node.output(i - shift));
  }
  if (!fits) return Bad(graph, node, "has a body whose inputs or outputs do not fit");
  return VerifyAt(body, depth);
}

absl::Status CheckBodies(const Graph& graph, const Node& node, uint32_t depth) {
  const size_t expected = node.op() == OpId::kIf ? 2 : node.op() == OpId::kLoop ? 1 : 0;
  if (node.bodies.size() != expected) {
    return Bad(graph, node, absl::StrFormat("has %d bodies", node.bodies.size()));
  }
  if (expected != 0 && depth >= kMaxBodyDepth) return Bad(graph, node, "is nested too deeply");
  for (const auto& body : node.bodies) {
    absl::Status s = CheckBody(graph, node, *body, depth + 1);
    if (!s.ok()) {
      return absl::Status(
          s.code(), absl::StrFormat("in body '%s' of %s: %s", body->name, Describe(graph, node),
                                    std::string(s.message())));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckStates(const Graph& graph, const std::set<const Value*>& defined) {
  std::set<std::string> names;
  for (const State& s : graph.states()) {
    const auto bad = [&s](const char* what) {
      return absl::InternalError(absl::StrFormat("state '%s' %s", s.name, what));
    };
    if (!names.insert(s.name).second) return bad("is there twice");
    if (s.value->dtype() != s.initial.dtype() ||
        s.value->shape() != Shape(s.initial.dims().begin(), s.initial.dims().end())) {
      return bad("differs in type from its initial content");
    }
    if (s.result == nullptr) continue;
    if (!defined.contains(s.result)) return bad("becomes a value that is not in the graph");
    if (!SameType(*s.result, *s.value)) return bad("becomes a value of another type");
  }
  return absl::OkStatus();
}

absl::Status CheckCode(const Graph& graph, const Node& node) {
  const bool region = node.op() == OpId::kPointwise;
  if (node.code.empty()) {
    return region ? Bad(graph, node, "has no code") : absl::OkStatus();
  }
  const OpId op = node.op();
  if (!region && op != OpId::kConv && op != OpId::kGemm && op != OpId::kMatMul &&
      op != OpId::kSoftmax) {
    return Bad(graph, node, "has code, which its op does not take");
  }
  // The required operands come first; an optional bias or c is part of the epilogue then.
  const auto begin = static_cast<uint32_t>(region ? 0 : OpRow(op).min_inputs);
  if (node.epilogue_begin != begin || begin > node.inputs().size()) {
    return Bad(graph, node, "has a wrong epilogue_begin");
  }
  const auto operands = static_cast<uint32_t>(node.inputs().size() - node.epilogue_begin);
  const floe::Status status =
      CheckPointwise(node.code.data(), static_cast<uint32_t>(node.code.size()), operands, !region);
  if (!status.ok() || operands > kPwMaxOperands) return Bad(graph, node, "has malformed code");
  return absl::OkStatus();
}

// Everything about one node but the order of definitions.
absl::Status CheckNode(const Graph& graph, const Node& node) {
  for (absl::Status (*check)(const Graph&, const Node&) :
       {CheckArity, CheckAttributes, CheckCode}) {
    if (absl::Status s = check(graph, node); !s.ok()) return s;
  }
  bool any_output = false;
  for (size_t i = 0; i < node.outputs().size(); ++i) {
    const Value* output = node.outputs()[i];
    if (output == nullptr) continue;
    any_output = true;
    if (output->producer() != &node || output->output_index() != static_cast<int>(i)) {
      return Bad(graph, node, absl::StrFormat("result %d does not point back", i));
    }
  }
  return any_output || IsControlOp(node.op()) ? absl::OkStatus()
                                              : Bad(graph, node, "has no result");
}

absl::Status VerifyAt(const Graph& graph, uint32_t depth) {
  if (absl::Status s = CheckSymbols(graph); !s.ok()) return s;
  for (const auto& value : graph.values()) {
    if (absl::Status s = CheckValue(graph, *value); !s.ok()) return s;
  }
  if (graph.outputs().size() != graph.output_names.size()) {
    return absl::InternalError("outputs and output names differ in number");
  }
  // Only looked up, never iterated, so that the pointers' order does not matter.
  std::set<const Value*> defined;
  std::map<const Value*, std::map<const Node*, int>> uses;
  for (const auto& value : graph.values()) {
    if (value->is_constant()) defined.insert(value.get());
  }
  for (const Value* input : graph.inputs()) defined.insert(input);
  for (const State& s : graph.states()) defined.insert(s.value);
  for (const auto& node : graph.nodes()) {
    if (absl::Status s = CheckNode(graph, *node); !s.ok()) return s;
    for (const Value* input : node->inputs()) {
      if (input == nullptr) continue;
      if (!defined.contains(input)) {
        return Bad(graph, *node, "operand '" + input->name() + "' is used before its definition");
      }
      ++uses[input][node.get()];
    }
    if (absl::Status s = CheckBodies(graph, *node, depth); !s.ok()) return s;
    for (const Value* output : node->outputs()) {
      if (output != nullptr) defined.insert(output);
    }
  }
  for (const auto& value : graph.values()) {
    if (!defined.contains(value.get())) {
      return absl::InternalError("value '" + value->name() + "' is never defined");
    }
    std::map<const Node*, int> listed;
    for (const Node* user : value->users()) ++listed[user];
    const auto it = uses.find(value.get());
    if (listed != (it == uses.end() ? std::map<const Node*, int>() : it->second)) {
      return absl::InternalError("value '" + value->name() + "' has a wrong list of users");
    }
  }
  for (const Value* output : graph.outputs()) {
    if (!defined.contains(output)) return absl::InternalError("an output is not in the graph");
  }
  return CheckStates(graph, defined);
}

}  // namespace

absl::Status CheckAttributes(const Graph& graph, const Node& node) {
  const auto specs = AttrSpecs(node.op());
  for (const AttrSpec& spec : specs) {
    const auto it = node.attrs.find(spec.name);
    if (it == node.attrs.end()) {
      return Bad(graph, node, absl::StrFormat("attribute '%s' is missing", spec.name));
    }
    if (it->second.index() != static_cast<size_t>(spec.type)) {
      return Bad(
          graph, node,
          absl::StrFormat("attribute '%s' is not of type %s", spec.name, AttrTypeName(spec.type)));
    }
  }
  if (node.attrs.size() != specs.size()) {
    for (const auto& [name, attr] : node.attrs) {
      const auto is_it = [&name = name](const AttrSpec& spec) { return spec.name == name; };
      if (std::none_of(specs.begin(), specs.end(), is_it)) {
        return Bad(graph, node, absl::StrFormat("attribute '%s' is unknown", name));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Verify(const Graph& graph) { return VerifyAt(graph, 0); }

std::string TypeToString(const Graph& graph, const Value& value) {
  return DTypeName(value.dtype()) + ShapeToString(value.shape(), graph.symbols);
}

std::string Describe(const Graph& graph, const Node& node) {
  std::string name = node.provenance.node;
  for (const Value* output : node.outputs()) {
    if (name.empty() && output != nullptr) name = output->name();
  }
  std::string text = absl::StrFormat("%s '%s' (", OpRow(node.op()).name, name);
  for (size_t i = 0; i < node.inputs().size(); ++i) {
    if (i > 0) text += ", ";
    text += node.inputs()[i] == nullptr ? "-" : TypeToString(graph, *node.inputs()[i]);
  }
  text += ")";
  if (!node.provenance.source.empty()) text += " at " + node.provenance.source;
  return text;
}

}  // namespace floe::ir
