#include "compiler/ir/text.h"

#include <cctype>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_format.h"
#include "compiler/ir/attributes.h"
#include "compiler/ir/text_words.h"
#include "format/pointwise.h"

namespace floe::ir {
namespace {

std::string Quoted(std::string_view text) {
  std::string r = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      r += '\\';
      r += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      r += absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
    } else {
      r += c;
    }
  }
  return r + '"';
}

std::string Name(char sigil, std::string_view name) {
  bool plain = !name.empty();
  for (const char c : name) plain = plain && IsNameChar(c);
  return sigil + (plain ? std::string(name) : Quoted(name));
}

// Shortest of the usual precisions that reads back as the same number (a float if `single`); always
// looks like a float.
std::string FloatText(double v, bool single) {
  if (std::isnan(v)) return "nan";
  if (std::isinf(v)) return v > 0 ? "inf" : "-inf";
  std::string text = absl::StrFormat("%.6g", v);
  const double back = std::strtod(text.c_str(), nullptr);
  if (single ? static_cast<float>(back) != static_cast<float>(v) : back != v) {
    text = absl::StrFormat("%.*g", single ? 9 : 17, v);
  }
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

class Printer {
 public:
  Printer(const Graph& graph, const TextOptions& options)
      : graph_(graph), options_(options), symbols_(graph.symbols) {
    for (Symbol& s : symbols_) {
      if (!IsIdentifier(s.name)) s.name = Quoted(s.name);
    }
  }

  std::string Run() {
    text_ = "graph " + Name('@', graph_.name);
    PrintSymbols();
    text_ += " {\n";
    PrintLines(graph_);
    return std::move(text_) + "}\n";
  }

 private:
  // What stands between the braces of a graph or a body.
  void PrintLines(const Graph& graph) {
    indent_ += "  ";
    for (const Value* input : graph.inputs()) {
      text_ += indent_ + Ref(input) + " = input " + Type(*input) + Content(*input) + "\n";
    }
    for (const State& state : graph.states()) {
      text_ += indent_ + Ref(state.value) + " = state " + Quoted(state.name) + " ";
      PrintTensor(*state.value, state.initial);
    }
    for (const auto& value : graph.values()) {
      if (!value->is_constant()) continue;
      text_ += indent_ + Ref(value.get()) + " = constant ";
      PrintTensor(*value, value->constant());
    }
    for (const auto& node : graph.nodes()) PrintNode(*node);
    for (const State& state : graph.states()) {
      if (state.result == nullptr) continue;
      text_ += indent_ + "state " + Quoted(state.name) + " = " + Ref(state.result) + "\n";
    }
    for (size_t i = 0; i < graph.outputs().size(); ++i) {
      text_ += indent_ + "output " + Ref(graph.outputs()[i]) + " as " +
               Quoted(graph.output_names[i]) + "\n";
    }
    indent_.resize(indent_.size() - 2);
  }

  static std::string Ref(const Value* value) {
    return value == nullptr ? "_" : Name('%', value->name());
  }
  std::string Type(const Value& value) const {
    return DTypeName(value.dtype()) + ShapeToString(value.shape(), symbols_);
  }
  std::string Content(const Value& value) const {
    return value.content ? " = " + ShapeToString(*value.content, symbols_) : "";
  }

  void PrintSymbols() {
    if (symbols_.empty()) return;
    text_ += " symbols(";
    for (size_t i = 0; i < symbols_.size(); ++i) {
      const Symbol& s = symbols_[i];
      text_ += absl::StrFormat("%s%s: %d..%d", i > 0 ? ", " : "", s.name, s.min, s.max);
      if (s.multiple != 1) text_ += absl::StrFormat(":%d", s.multiple);
      if (s.data) text_ += ":data";
    }
    text_ += ")";
  }

  void PrintTensor(const Value& value, const Tensor& t) {
    text_ += Type(value);
    if (t.count() > options_.max_constant_elements) {
      text_ += absl::StrFormat(" #0x%016x\n", t.ContentHash());
      return;
    }
    text_ += " = [";
    const bool single = t.dtype() != DType::kF64;
    for (int64_t i = 0; i < t.count(); ++i) {
      if (i > 0) text_ += ", ";
      text_ += IsFloat(t.dtype()) ? FloatText(t.DoubleAt(i), single) : std::to_string(t.IntAt(i));
    }
    text_ += "]\n";
  }

  static std::string AttrText(const Attr& attr) {
    if (const auto* v = std::get_if<int64_t>(&attr)) return std::to_string(*v);
    if (const auto* v = std::get_if<double>(&attr)) return FloatText(*v, false);
    std::string text;
    if (const auto* list = std::get_if<std::vector<int64_t>>(&attr)) {
      for (const int64_t v : *list) text += (text.empty() ? "" : ",") + std::to_string(v);
    } else {
      for (const double v : std::get<std::vector<double>>(attr)) {
        text += (text.empty() ? "" : ",") + FloatText(v, false);
      }
    }
    return "[" + text + "]";
  }

  void PrintOperands(const Node& node) {
    const bool epilogue = !node.code.empty() && node.op() != OpId::kPointwise;
    text_ += "(";
    for (size_t i = 0; i < node.inputs().size(); ++i) {
      if (epilogue && i == node.epilogue_begin) {
        text_ += i > 0 ? " | " : "| ";
      } else if (i > 0) {
        text_ += ", ";
      }
      text_ += Ref(node.inputs()[i]);
    }
    if (epilogue && node.epilogue_begin == node.inputs().size()) text_ += " |";
    text_ += ")";
  }

  void PrintAttrs(const Node& node) {
    if (node.attrs.empty()) return;
    std::string list;
    for (const AttrSpec& spec : AttrSpecs(node.op())) {
      const auto it = node.attrs.find(spec.name);
      if (it == node.attrs.end()) continue;
      list += (list.empty() ? "" : ", ") + it->first + "=" + AttrText(it->second);
    }
    text_ += " {" + list + "}";
  }

  void PrintCode(const Node& node) {
    if (node.code.empty()) return;
    if (node.op() == OpId::kSoftmax) text_ += " prologue";
    if (node.op() != OpId::kPointwise && node.op() != OpId::kSoftmax) text_ += " epilogue";
    text_ += " { " + CodeToText(node.code) + " }";
  }

  void PrintBodies(const Node& node) {
    static constexpr const char* kWords[] = {" then {\n", " else {\n"};
    for (size_t i = 0; i < node.bodies.size(); ++i) {
      text_ += node.bodies.size() == 2 ? kWords[i] : " body {\n";
      PrintLines(*node.bodies[i]);
      text_ += indent_ + "}";
    }
  }

  void PrintNode(const Node& node) {
    text_ += indent_;
    for (size_t i = 0; i < node.outputs().size(); ++i) {
      text_ += (i > 0 ? ", " : "") + Ref(node.outputs()[i]);
    }
    if (!node.outputs().empty()) text_ += " = ";
    text_ += OpRow(node.op()).name;
    PrintOperands(node);
    PrintAttrs(node);
    PrintCode(node);
    if (node.op() == OpId::kCheck) text_ += " " + Quoted(node.message);
    if (!node.outputs().empty()) text_ += " : ";
    for (size_t i = 0; i < node.outputs().size(); ++i) {
      const Value* output = node.outputs()[i];
      text_ += i > 0 ? ", " : "";
      text_ += output == nullptr ? "_" : Type(*output) + Content(*output);
    }
    const Provenance& from = node.provenance;
    if (!from.node.empty() || !from.source.empty()) {
      text_ += " loc(" + Quoted(from.node);
      if (!from.source.empty()) text_ += ", " + Quoted(from.source);
      text_ += ")";
    }
    PrintBodies(node);
    text_ += "\n";
  }

  const Graph& graph_;
  const TextOptions options_;
  std::vector<Symbol> symbols_;  // Names quoted where they are no identifiers.
  std::string indent_;
  std::string text_;
};

}  // namespace

bool IsNameChar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '/' ||
         c == '-' || c == '$';
}

bool IsIdentifier(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])) != 0) return false;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
  }
  return text != "_";
}

bool HasImmediate(PwOp op) {
  return op == PwOp::kConst || op == PwOp::kAddImm || op == PwOp::kMulImm || op == PwOp::kMinImm ||
         op == PwOp::kMaxImm || op == PwOp::kLeakyRelu || op == PwOp::kElu;
}

std::string CodeToText(std::span<const PwInstr> code) {
  std::string text;
  for (const PwInstr& pw : code) {
    const auto op = static_cast<PwOp>(pw.op);
    if (!text.empty()) text += "; ";
    text += absl::StrFormat("r%d = %s", pw.dst, PwOpName(op));
    if (op == PwOp::kLoad) text += absl::StrFormat(" %d", pw.operand);
    const uint8_t sources[] = {pw.a, pw.b, pw.c};
    for (int i = 0; i < PwOpSources(op); ++i) text += absl::StrFormat(" r%d", sources[i]);
    if (HasImmediate(op)) text += " " + FloatText(pw.imm, true);
  }
  return text;
}

std::string ToText(const Graph& graph, const TextOptions& options) {
  return Printer(graph, options).Run();
}

}  // namespace floe::ir
