// The lexer and the parser: what they make of code, and what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/lexer.h"
#include "compiler/import/torchscript/parser.h"
#include "compiler/import/torchscript/types.h"

namespace floe::torchscript {
namespace {

using ::testing::HasSubstr;

// A tree as text: (call f 1 k=2).
std::string Show(const Expr& e) {
  const auto parts = [&](const char* head) {
    std::string text = std::string("(") + head;
    for (size_t i = 0; i < e.parts.size(); ++i) {
      text += " ";
      if (i > 0 && !e.keywords.empty() && !e.keywords[i - 1].empty()) {
        text += e.keywords[i - 1] + "=";
      }
      text += Show(*e.parts[i]);
    }
    return text + ")";
  };
  switch (e.kind) {
    case Expr::Kind::kName:
      return e.text;
    case Expr::Kind::kInt:
      return std::to_string(e.integer);
    case Expr::Kind::kFloat:
      return absl::StrFormat("%gf", e.number);
    case Expr::Kind::kImaginary:
      return absl::StrFormat("%gj", e.number);
    case Expr::Kind::kString:
      return "'" + e.text + "'";
    case Expr::Kind::kTrue:
      return "True";
    case Expr::Kind::kFalse:
      return "False";
    case Expr::Kind::kNone:
      return "None";
    case Expr::Kind::kAttribute:
      return Show(*e.parts[0]) + "." + e.text;
    case Expr::Kind::kCall:
      return parts("call");
    case Expr::Kind::kSubscript:
      return parts("index");
    case Expr::Kind::kSlice:
      return parts("slice");
    case Expr::Kind::kTuple:
      return parts("tuple");
    case Expr::Kind::kList:
      return parts("list");
    case Expr::Kind::kDict:
      return parts("dict");
    case Expr::Kind::kNegate:
      return parts("neg");
    case Expr::Kind::kAdd:
      return parts("add");
    case Expr::Kind::kSub:
      return parts("sub");
  }
  return "?";
}

TEST(Parser, ReadsExpressions) {
  const std::pair<const char*, const char*> examples[] = {
      {"torch.add(x, 1, alpha=2)", "(call torch.add x 1 alpha=2)"},
      {"(self.a).forward(x, )", "(call self.a.forward x)"},
      {"f()", "(call f)"},
      {"x[0][-1]", "(index (index x 0) -1)"},
      {"(t)[0:2]", "(slice t 0 2)"},
      {"Dict[str, List[Tensor]]", "(index Dict str (index List Tensor))"},
      {"Tuple[()]", "(index Tuple (tuple))"},
      {"[]", "(list)"},
      {"[1, 2.5, -3.e-2, ]", "(list 1 2.5f -0.03f)"},
      {"(1,)", "(tuple 1)"},
      {"(1)", "1"},
      {"(1, (2, 3))", "(tuple 1 (tuple 2 3))"},
      {"{\"a\": 1, \"b\": [x]}", "(dict 'a' 1 'b' (list x))"},
      {"{}", "(dict)"},
      {"-x", "(neg x)"},
      {"-inf", "(neg inf)"},
      {"--1", "1"},
      {"(1.-2.j)", "(sub 1f 2j)"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"\"a\\\"b\\n\\x41\\101\"", "'a\"b\nAA'"},
      {"'single'", "'single'"},
      {"None", "None"},
      {"True", "True"},
      {"f(\n  a,\n\n  b)", "(call f a b)"},
      {"1e5", "100000f"},
  };
  for (const auto& [code, shown] : examples) {
    const auto e = ParseExpression(code, "t");
    ASSERT_TRUE(e.ok()) << code << ": " << e.status();
    EXPECT_EQ(Show(**e), shown) << code;
  }
}

TEST(Parser, ReadsFiles) {
  const auto file = ParseSource(
      "op_version_set = 1\n"
      "\n"
      "# a comment\n"
      "class Net(Module):\n"
      "  __parameters__ = [\"w\", ]\n"
      "  w : Tensor\n"
      "  __annotations__[\"0\"] = __torch__.Sub\n"
      "  n : Final[int] = 3\n"
      "  def forward(self: __torch__.Net,\n"
      "    x: Tensor,\n"
      "    k: Optional[int]=None) -> Tuple[Tensor, int]:\n"
      "    a, b, = torch.chunk(x, 2)\n"
      "    if torch.__is__(k, None):\n"
      "      y = a\n"
      "    else:\n"
      "\n"
      "      y = b  # trailing\n"
      "    while True:\n"
      "      pass\n"
      "    for i in range(3):\n"
      "      self.w = y\n"
      "    z : int = 1\n"
      "    with ctx as c:\n"
      "      print(c)\n"
      "    return a, b\n"
      "def free() -> NoneType:\n"
      "  return None",
      "t.py");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->classes.size(), 1u);
  const ClassDef& net = file->classes[0];
  EXPECT_EQ(net.name, "Net");
  EXPECT_EQ(net.base, "Module");
  EXPECT_EQ(net.fields.size(), 4u);
  ASSERT_EQ(net.methods.size(), 1u);
  const FunctionDef& forward = net.methods[0];
  EXPECT_EQ(forward.at.line, 9);
  ASSERT_EQ(forward.parameters.size(), 3u);
  EXPECT_EQ(forward.parameters[2].name, "k");
  EXPECT_NE(forward.parameters[2].default_value, nullptr);
  std::vector<Stmt::Kind> kinds;
  for (const auto& s : forward.body) kinds.push_back(s->kind);
  using K = Stmt::Kind;
  EXPECT_EQ(kinds, (std::vector<K>{K::kAssign, K::kIf, K::kWhile, K::kFor, K::kAssign, K::kWith,
                                   K::kReturn}));
  EXPECT_TRUE(forward.body[0]->unpack);
  EXPECT_EQ(forward.body[0]->targets.size(), 2u);
  EXPECT_EQ(forward.body[1]->at.line, 13);
  EXPECT_EQ(forward.body[1]->orelse.size(), 1u);
  EXPECT_EQ(Show(*forward.body[6]->value), "(tuple a b)");
  ASSERT_EQ(file->functions.size(), 1u);
  EXPECT_EQ(file->functions[0].name, "free");
}

TEST(Parser, RefusesWhatIsNoCode) {
  const std::pair<std::string, const char*> examples[] = {
      {"x = 1\n", "t.py:1: expected a class or a function"},
      {"def f(:):\n  pass\n", "t.py:1: expected a name"},
      {"def f():\n", "expected an indented block"},
      {"def f():\n  return (1\n", "ends inside of brackets"},
      {"def f():\n  return 1)\n", "closes nothing"},
      {"def f():\n  return \"abc\n", "a string does not end"},
      {"def f():\n  return \"\\q\"\n", "unknown escape"},
      {"def f():\n    x = 1\n  y = 2\n", "t.py:3: the indentation fits no outer block"},
      {"def f():\n  x = $\n", "t.py:2: unexpected character 0x24"},
      {"def f():\n  x = 99999999999999999999\n", "does not fit 64 bits"},
      {"def f():\n  x = 1.2.3\n", "is no number"},
      {"def f():\n  a, b\n", "not assigned"},
      {"def f():\n  x = a b\n", "expected the end of the statement"},
      {"def f():\n  x[] = 1\n", "an index is missing"},
      {"class C:\n  return 1\n", "declarations and methods only"},
      {"def f():\n  for x of y:\n    pass\n", "expected 'in'"},
      {"def f():\n  x = " + std::string(100000, '(') + "\n", "ends inside of brackets"},
      {"def f():\n  x = " + std::string(1000, '(') + "1" + std::string(1000, ')') + "\n",
       "nested over"},
      {"def f():\n  x = " + std::string(1000, '-') + "1\n", "nested over"},
      {"def f():\n  x = a" + std::string(1000, '.') + "\n", "expected a name"},
  };
  for (const auto& [code, message] : examples) {
    const auto file = ParseSource(code, "t.py");
    ASSERT_FALSE(file.ok()) << code.substr(0, 80);
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(message)) << code.substr(0, 80);
  }
  // Chains and blocks are bounded as well.
  std::string chain = "def f():\n  x = a", blocks = "def f():\n";
  for (int i = 0; i < 1000; ++i) chain += ".b";
  for (int i = 0; i < 300; ++i) {
    blocks += std::string(static_cast<size_t>(2 + i), ' ') + "if a:\n";
  }
  EXPECT_FALSE(ParseSource(chain + "\n", "t.py").ok());
  EXPECT_FALSE(ParseSource(blocks, "t.py").ok());
}

TEST(Types, ReadAnnotations) {
  const std::pair<const char*, const char*> examples[] = {
      {"Tensor", "Tensor"},
      {"Optional[Dict[str, List[Tensor]]]", "Optional[Dict[str, List[Tensor]]]"},
      {"Tuple[int, float, bool]", "Tuple[int, float, bool]"},
      {"Tuple[()]", "Tuple"},
      {"__torch__.a.B", "__torch__.a.B"},
      {"Final[int]", "int"},
      {"Future[Tensor]", "Tensor"},
      {"NoneType", "NoneType"},
      {"number", "number"},
      {"Capsule", "Any"},
  };
  for (const auto& [code, shown] : examples) {
    const auto e = ParseExpression(code, "t");
    ASSERT_TRUE(e.ok()) << code;
    const auto type = TypeOf(**e);
    ASSERT_TRUE(type.ok()) << code << type.status();
    EXPECT_EQ((*type)->ToString(), shown);
  }
  for (const char* code : {"List[int, int]", "Dict[str]", "1", "f(x)"}) {
    const auto e = ParseExpression(code, "t");
    ASSERT_TRUE(e.ok()) << code;
    EXPECT_FALSE(TypeOf(**e).ok()) << code;
  }
}

}  // namespace
}  // namespace floe::torchscript
