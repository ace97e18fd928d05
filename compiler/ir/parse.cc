// Reads the textual form back.
#include <cctype>
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/ir/attributes.h"
#include "compiler/ir/control.h"
#include "compiler/ir/scanner.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/text.h"
#include "compiler/ir/text_words.h"
#include "compiler/ir/verify.h"
#include "format/pointwise.h"
#include "format/tensor_info.h"

namespace floe::ir {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 28;  // Of a constant that is made from text.

struct Type {
  DType dtype = DType::kNone;
  Shape shape;
  std::optional<std::vector<Dim>> content;
};

// Uniform numbers in [0, 1) from a seed: the same on every machine.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  double Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

class Parser {
 public:
  explicit Parser(std::string_view text) : in_(text) {}

  absl::StatusOr<std::unique_ptr<Graph>> Run() {
    auto outermost = std::make_unique<Graph>();
    graph_ = outermost.get();
    in_.Expect("graph");
    in_.Expect("@");
    graph_->name = in_.Name();
    if (in_.Accept("symbols")) ParseSymbols();
    in_.Expect("{");
    while (in_.ok() && !in_.Accept("}")) ParseLine();
    if (in_.ok() && !in_.AtEnd()) in_.Fail("expected nothing after the graph");
    if (!in_.ok()) return in_.status();
    if (absl::Status s = Verify(*graph_); !s.ok()) return s;
    return outermost;
  }

 private:
  void ParseSymbols() {
    in_.Expect("(");
    do {
      Symbol s;
      s.name = SymbolName();
      in_.Expect(":");
      s.min = in_.Int();
      in_.Expect("..");
      s.max = in_.Int();
      if (in_.Accept(":")) {
        s.data = in_.Accept("data");
        if (!s.data) s.multiple = in_.Int();
      }
      graph_->symbols.push_back(std::move(s));
    } while (in_.Accept(","));
    in_.Expect(")");
  }

  std::string SymbolName() { return in_.Peek("\"") ? in_.QuotedString() : in_.Identifier(); }

  static constexpr int kMaxDimDepth = 32;

  // A number, a symbol, floor((a)/n), max(a,b) or min(a,b).
  Dim ParseFactor() {
    if (in_.PeekNumber()) return in_.Int();
    const std::string name = SymbolName();
    for (SymbolId id = 0; id < graph_->symbols.size(); ++id) {
      if (graph_->symbols[id].name == name) return Dim::OfSymbol(id);
    }
    const bool floor = name == "floor";
    if ((!floor && name != "max" && name != "min") || ++dim_depth_ > kMaxDimDepth) {
      in_.Fail(absl::StrFormat("'%s' is no symbol", name));
      return 0;
    }
    in_.Expect("(");
    if (floor) in_.Expect("(");
    const Dim a = ParseDim();
    in_.Expect(floor ? ")" : ",");
    if (floor) in_.Expect("/");
    const Dim b = floor ? Dim(in_.Int()) : ParseDim();
    in_.Expect(")");
    --dim_depth_;
    if (!in_.ok()) return 0;
    return Checked(floor           ? Dim::DivFloor(a, b.constant())
                   : name == "max" ? Dim::Larger(a, b)
                                   : Dim::Smaller(a, b));
  }

  Dim ParseTerm(bool negative) {
    Dim product(negative ? -1 : 1);
    do {
      product = Checked(Dim::Mul(product, ParseFactor()));
    } while (in_.ok() && in_.Accept("*"));
    return product;
  }

  Dim Checked(std::optional<Dim> d) {
    if (!d) in_.Fail("the dimension overflows");
    return d.value_or(Dim(0));
  }

  Dim ParseDim() {
    Dim sum = ParseTerm(in_.Accept("-"));
    while (in_.ok()) {
      if (in_.Accept("+")) {
        sum = Checked(Dim::Add(sum, ParseTerm(false)));
      } else if (in_.Accept("-")) {
        sum = Checked(Dim::Add(sum, ParseTerm(true)));
      } else {
        break;
      }
    }
    return sum;
  }

  std::vector<Dim> ParseDims() {
    std::vector<Dim> dims;
    in_.Expect("[");
    if (in_.Accept("]")) return dims;
    do {
      dims.push_back(ParseDim());
    } while (in_.Accept(","));
    in_.Expect("]");
    return dims;
  }

  Type ParseType() {
    Type type;
    const std::string word = in_.Identifier();
    for (uint8_t i = 1; i < kDTypeCount; ++i) {
      if (word == DTypeName(static_cast<DType>(i))) type.dtype = static_cast<DType>(i);
    }
    if (type.dtype == DType::kNone) in_.Fail(absl::StrFormat("'%s' is no dtype", word));
    type.shape = ParseDims();
    if (type.shape.size() > static_cast<size_t>(kMaxRank)) in_.Fail("the rank is above 8");
    return type;
  }

  Type ParseTypeWithContent() {
    Type type = ParseType();
    if (in_.Accept("=")) type.content = ParseDims();
    return type;
  }

  // The value that is named next; null for _.
  Value* ParseValue() {
    if (in_.Accept("_")) return nullptr;
    in_.Expect("%");
    const std::string name = in_.Name();
    Value* value = graph_->FindValue(name);
    if (value == nullptr && in_.ok()) in_.Fail(absl::StrFormat("there is no value '%s' yet", name));
    return value;
  }

  void ParseLine() {
    if (!in_.Peek("%") && !in_.Peek("_")) return ParseWordLine();
    std::vector<std::string> results;
    do {
      results.push_back(ParseResultName());
    } while (in_.Accept(","));
    in_.Expect("=");
    if (in_.Accept("input")) return ParseInput(results[0]);
    if (in_.Accept("constant")) return ParseConstant(results[0]);
    if (in_.Accept("state")) return ParseState(results[0]);
    ParseNode(std::move(results));
  }

  // A line that names no new value.
  void ParseWordLine() {
    if (in_.Accept("output")) {
      Value* value = ParseValue();
      in_.Expect("as");
      const std::string name = in_.QuotedString();
      if (value == nullptr) in_.Fail("an output needs a value");
      if (in_.ok()) graph_->AddOutput(value, name);
      return;
    }
    if (!in_.Accept("state")) return ParseNode({});
    const std::string name = in_.QuotedString();
    in_.Expect("=");
    Value* value = ParseValue();
    if (!in_.ok()) return;
    for (size_t i = 0; i < graph_->states().size(); ++i) {
      if (graph_->states()[i].name == name && value != nullptr) {
        return graph_->SetStateResult(i, value);
      }
    }
    in_.Fail(absl::StrFormat("there is no state '%s', or no value for it", name));
  }

  std::string ParseResultName() {
    if (in_.Accept("_")) return "";
    in_.Expect("%");
    std::string name = in_.Name();
    if (name.empty()) in_.Fail("a value needs a name");
    if (graph_->FindValue(name) != nullptr) {
      in_.Fail(absl::StrFormat("value '%s' is defined twice", name));
    }
    return name;
  }

  void ParseInput(const std::string& name) {
    Type type = ParseTypeWithContent();
    if (name.empty()) in_.Fail("an input needs a name");
    if (!in_.ok()) return;
    graph_->AddInput(name, type.dtype, std::move(type.shape))->content = std::move(type.content);
  }

  void ParseConstant(const std::string& name) {
    if (name.empty()) in_.Fail("a constant needs a name");
    Tensor tensor = ParseTensor();
    if (in_.ok()) graph_->AddConstant(name, std::move(tensor));
  }

  void ParseState(const std::string& name) {
    const std::string state = in_.QuotedString();
    if (name.empty() || graph_->is_body) in_.Fail("a state needs a name, and is not in a body");
    Tensor tensor = ParseTensor();
    if (!in_.ok()) return;
    graph_->Rename(graph_->AddState(state, std::move(tensor)), name);
  }

  // TYPE = [1, 2, 3], or = random SEED [LOW HIGH]: uniform in [LOW, HIGH), -1 and 1 if not given.
  Tensor ParseTensor() {
    const Type type = ParseType();
    if (in_.Peek("#")) in_.Fail("a constant that is given by its hash cannot be read back");
    in_.Expect("=");
    std::vector<int64_t> dims;
    int64_t count = 1;
    for (const Dim& d : type.shape) {
      if (!d.is_constant() || d.constant() < 0 || d.constant() > kMaxElements) {
        in_.Fail("a constant's shape must be small numbers");
      }
      dims.push_back(d.constant());
      if (in_.ok()) count *= std::max<int64_t>(d.constant(), 1);
      if (count > kMaxElements) in_.Fail("the constant is too large");
    }
    if (!in_.ok()) return Tensor();
    Tensor tensor(type.dtype, dims);
    in_.Accept("random") ? FillRandom(tensor) : FillListed(tensor);
    return tensor;
  }

  void FillRandom(Tensor& tensor) {
    Random random(static_cast<uint64_t>(in_.Int()));
    double low = -1, high = 1;
    if (in_.PeekNumber()) {
      low = in_.Float();
      high = in_.Float();
    }
    for (int64_t i = 0; i < tensor.count(); ++i) {
      const double v = low + (high - low) * random.Next();
      IsFloat(tensor.dtype()) ? tensor.SetDouble(i, v)
                              : tensor.SetInt(i, static_cast<int64_t>(std::floor(v)));
    }
  }

  void FillListed(Tensor& tensor) {
    in_.Expect("[");
    for (int64_t i = 0; in_.ok() && i < tensor.count(); ++i) {
      if (i > 0) in_.Expect(",");
      if (IsFloat(tensor.dtype())) {
        tensor.SetDouble(i, in_.Float());
      } else {
        tensor.SetInt(i, in_.Int());
      }
    }
    in_.Expect("]");
  }

  Attr ParseAttr(AttrType type) {
    if (type == AttrType::kInt) return in_.Int();
    if (type == AttrType::kFloat) return in_.Float();
    in_.Expect("[");
    std::vector<int64_t> ints;
    std::vector<double> floats;
    while (in_.ok() && !in_.Accept("]")) {
      if (!ints.empty() || !floats.empty()) in_.Expect(",");
      if (type == AttrType::kInts) {
        ints.push_back(in_.Int());
      } else {
        floats.push_back(in_.Float());
      }
    }
    if (type == AttrType::kInts) return ints;
    return floats;
  }

  void ParseAttrs(Node* node) {
    in_.Expect("{");
    while (in_.ok() && !in_.Accept("}")) {
      if (!node->attrs.empty()) in_.Expect(",");
      const std::string name = in_.Identifier();
      in_.Expect("=");
      const AttrSpec* spec = nullptr;
      for (const AttrSpec& s : AttrSpecs(node->op())) {
        if (s.name == name) spec = &s;
      }
      if (spec == nullptr) return in_.Fail(absl::StrFormat("the op has no attribute '%s'", name));
      node->attrs[name] = ParseAttr(spec->type);
    }
  }

  uint8_t ParseRegister() {
    const std::string word = in_.Identifier();
    int number = 0;
    for (size_t i = 1; i < word.size() && number < 1000; ++i) {
      number = std::isdigit(static_cast<unsigned char>(word[i])) != 0 ? number * 10 + word[i] - '0'
                                                                      : 1000;
    }
    if (word.size() < 2 || word[0] != 'r' || number >= static_cast<int>(kPwRegisters)) {
      in_.Fail(absl::StrFormat("'%s' is no register", word));
      return 0;
    }
    return static_cast<uint8_t>(number);
  }

  void ParseCode(Node* node) {
    in_.Expect("{");
    do {
      PwInstr pw;
      pw.dst = ParseRegister();
      in_.Expect("=");
      const std::string word = in_.Identifier();
      auto op = PwOp::kCount;
      for (uint8_t i = 0; i < static_cast<uint8_t>(PwOp::kCount); ++i) {
        if (word == PwOpName(static_cast<PwOp>(i))) op = static_cast<PwOp>(i);
      }
      if (op == PwOp::kCount) return in_.Fail(absl::StrFormat("'%s' is no instruction", word));
      pw.op = static_cast<uint8_t>(op);
      if (op == PwOp::kLoad) pw.operand = static_cast<uint8_t>(in_.Int() & 0xff);
      uint8_t* const sources[] = {&pw.a, &pw.b, &pw.c};
      for (int i = 0; i < PwOpSources(op); ++i) *sources[i] = ParseRegister();
      if (HasImmediate(op)) pw.imm = static_cast<float>(in_.Float());
      node->code.push_back(pw);
    } while (in_.Accept(";"));
    in_.Expect("}");
  }

  void ParseNode(std::vector<std::string> results) {
    const std::string word = in_.Identifier();
    const OpId op = FindOp(word.data(), word.size());
    if (op == OpId::kCount) in_.Fail(absl::StrFormat("there is no op '%s'", word));
    std::vector<Value*> operands;
    std::optional<uint32_t> bar;
    in_.Expect("(");
    while (in_.ok() && !in_.Accept(")")) {
      if (in_.Accept("|")) {
        bar = static_cast<uint32_t>(operands.size());
        if (in_.Accept(")")) break;
      } else if (!operands.empty()) {
        in_.Expect(",");
      }
      operands.push_back(ParseValue());
    }
    if (!in_.ok()) return;
    Node* node = graph_->AddNode(op, std::move(operands), std::move(results), {});
    node->epilogue_begin = bar.value_or(0);
    if (op != OpId::kPointwise && in_.Peek("{")) ParseAttrs(node);
    if (op == OpId::kPointwise || in_.Accept("epilogue") || in_.Accept("prologue")) ParseCode(node);
    if (op == OpId::kCheck) node->message = in_.QuotedString();
    std::vector<std::optional<Type>> types;
    if (in_.Accept(":")) {
      do {
        types.push_back(in_.Accept("_") ? std::nullopt
                                        : std::make_optional(ParseTypeWithContent()));
      } while (in_.Accept(","));
    }
    if (in_.Accept("loc")) {
      in_.Expect("(");
      node->provenance.node = in_.QuotedString();
      if (in_.Accept(",")) node->provenance.source = in_.QuotedString();
      in_.Expect(")");
    }
    if (op == OpId::kIf) {
      ParseBody(node, "then");
      ParseBody(node, "else");
    } else if (op == OpId::kLoop) {
      ParseBody(node, "body");
    }
    if (in_.ok()) TypeNode(node, types);
  }

  void ParseBody(Node* node, const char* word) {
    in_.Expect(word);
    in_.Expect("{");
    if (depth_ >= kMaxBodyDepth) in_.Fail("bodies are nested too deeply");
    node->bodies.push_back(std::make_unique<Graph>());
    Graph* const outer = graph_;
    graph_ = node->bodies.back().get();
    graph_->name = word;
    graph_->symbols = outer->symbols;
    graph_->is_body = true;
    ++depth_;
    while (in_.ok() && !in_.Accept("}")) ParseLine();
    --depth_;
    graph_ = outer;
  }

  // Infers the node's types and compares them with the written ones.
  void TypeNode(Node* node, const std::vector<std::optional<Type>>& types) {
    if (types.size() > node->outputs().size()) return in_.Fail("there are more types than results");
    for (size_t i = 0; i < types.size(); ++i) {
      Value* output = node->outputs()[i];
      if (types[i].has_value() != (output != nullptr))
        return in_.Fail("a result's type is missing");
      if (output == nullptr) continue;
      output->set_type(types[i]->dtype, types[i]->shape);
      output->content = types[i]->content;
    }
    if (absl::Status s = InferNode(*graph_, *node); !s.ok()) return in_.FailWith(s);
    for (size_t i = 0; i < types.size(); ++i) {
      const Value* output = node->outputs()[i];
      if (output == nullptr) continue;
      if (output->dtype() != types[i]->dtype || output->shape() != types[i]->shape) {
        return in_.Fail(
            absl::StrFormat("'%s' is %s", output->name(), TypeToString(*graph_, *output)));
      }
    }
  }

  Scanner in_;
  int dim_depth_ = 0;       // Of functions within a dimension.
  Graph* graph_ = nullptr;  // The graph or body that is being read.
  uint32_t depth_ = 0;      // Of bodies.
};

}  // namespace

absl::StatusOr<std::unique_ptr<Graph>> ParseText(std::string_view text) {
  return Parser(text).Run();
}

}  // namespace floe::ir
