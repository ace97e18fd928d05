// Expressions of sizes: every spelling, as dimensions and as numbers.
#include "compiler/import/torch_export/sym_expr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

namespace floe::torch_export {
namespace {

using ::testing::HasSubstr;

// a is 1..8, b is 2..100 and even.
const std::vector<ir::Symbol> kSymbols = {{"a", 1, 8, 1}, {"b", 2, 100, 2}};

std::optional<ir::Dim> Lookup(const std::string& name) {
  if (name == "a" || name == "L['x'][0].size()[1]") return ir::Dim::OfSymbol(0);
  if (name == "b") return ir::Dim::OfSymbol(1);
  return std::nullopt;
}

std::string DimText(const std::string& text) {
  const auto e = ParseSymExpr(text);
  if (!e.ok()) return std::string(e.status().message());
  const auto dim = ToDim(*e, Lookup, kSymbols);
  return dim.ok() ? dim->ToString(kSymbols) : std::string(dim.status().message());
}

TEST(SymExpr, BecomesADimension) {
  const struct {
    const char* text;
    const char* dim;
  } kCases[] = {
      {"4", "4"},
      {"Integer(-3)", "-3"},
      {"a", "a"},
      {"Symbol('a', positive=True, integer=True)", "a"},
      {"Symbol(\"a\")", "a"},
      {"Add(Symbol('a', integer=True), Integer(1))", "a+1"},
      {"Add(Mul(Integer(2), Symbol('a')), Symbol('b'), Integer(-1))", "2*a+b-1"},
      {"a + 1", "a+1"},
      {"1 + a - a", "1"},
      {"2*a + 3*b", "2*a+3*b"},
      {"-(a - b)", "-a+b"},
      {"(4*a)//2", "2*a"},
      {"FloorDiv(4*a + 1, 2)", "2*a"},
      {"CeilDiv(4*a + 1, 2)", "2*a+1"},
      {"(6*a)//(3*a)", "2"},
      {"Mod(4*a + 7, 2)", "1"},
      {"PythonMod(4*a, 4)", "0"},
      {"ModularIndexing(8*a, 2, 4)", "0"},
      {"a**1", "a"},
      {"2**3", "8"},
      {"Pow(Integer(3), Integer(2))", "9"},
      {"a*b", "a*b"},
      {"a**2", "a*a"},
      {"(a + 1)**2 - a**2", "2*a+1"},
      {"a**0", "1"},
      {"b//3", "floor((b)/3)"},
      {"CeilDiv(b, 3)", "floor((b+2)/3)"},
      {"-((-b)//3)", "floor((b+2)/3)"},
      {"-((1 - 2*b)//4) + a", "a+floor((b+1)/2)"},
      {"a % 2", "a-2*floor((a)/2)"},
      {"Max(a, 4)", "max(a,4)"},
      {"Min(a, 4) + 1", "min(a,4)+1"},
      {"Max(1, a)", "a"},
      {"Max(a, 8)", "8"},
      {"Min(a, 8, b + 100)", "a"},
      {"CeilToInt(a)", "a"},
      {"TruncToInt(a)", "a"},
      {"TruncToInt(Mul(Float('1.5', precision=53), ToFloat(Symbol('a', integer=True))))",
       "a+floor((a)/2)"},
      {"TruncToInt(2.0*ToFloat(a + 1))", "2*a+2"},
      {"FloorToInt(0.5*ToFloat(TruncToInt(1.5*ToFloat(4))))", "3"},
      {"a >= 1", "1"},
      {"a < 1", "0"},
      {"a == 9", "0"},
      {"1 <= a <= 8", "1"},
      {"Eq(a, a)", "1"},
      {"Ne(a, 9) and not (a > 8)", "1"},
      {"L['x'][0].size()[1] + 1", "a+1"},
      {"True", "1"},
  };
  for (const auto& c : kCases) EXPECT_EQ(DimText(c.text), c.dim) << c.text;
}

TEST(SymExpr, RefusesByName) {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"", "a number or a name is missing"},
      {"a +", "column 4: a number or a name is missing"},
      {"(a", "')' is missing"},
      {"a b", "something follows its end"},
      {"a/2", "true division"},
      {"1.5", "no integer"},
      {"TruncToInt(0.3*ToFloat(a))", "no short binary fraction"},
      {"TruncToInt(1e300*ToFloat(a))", "')' is missing"},
      {"TruncToInt(Mul(Float('-1.5', precision=53), ToFloat(a)))", "no short binary fraction"},
      {"TruncToInt(Mul(Float('nan', precision=53), ToFloat(a)))", "no short binary fraction"},
      {"TruncToInt(Mul(Float('1.5', precision=53), ToFloat(a))", "')' is missing"},
      {"TruncToInt(Mul(Float(1.5), ToFloat(a)))", "a quoted name is missing"},
      {"TruncToInt(1.5*a)", "no integer"},
      {"Rational(1, 2)", "the function Rational is not known"},
      {"Symbol(a)", "a quoted name is missing"},
      {"Symbol('a", "has no end"},
      {"Integer(x)", "a number is missing"},
      {"99999999999999999999", "more than 64 bits"},
      {"Pow(2)", "Pow of 1 arguments"},
      {"u0 + 1", "'u0' depends on data"},
      {"9//a", "the size '(9//a)' cannot be written"},
      {"9 % a", "cannot be written"},
      {"a**b", "cannot be written"},
      {"a**9", "cannot be written"},
      {"a == 3", "cannot be written"},
      {"1 // 0", "cannot be written"},
      {"2**63", "cannot be written"},
  };
  for (const auto& c : kCases) EXPECT_THAT(DimText(c.text), HasSubstr(c.message)) << c.text;
  EXPECT_THAT(DimText(std::string(200, '(') + "a" + std::string(200, ')')), HasSubstr("too deep"));
  EXPECT_THAT(DimText(std::string(200, '-') + "a"), HasSubstr("too deep"));
  std::string sum = "a";
  for (int i = 0; i < 600; ++i) sum += "+1";
  EXPECT_THAT(DimText(sum), HasSubstr("too many operators"));
  EXPECT_THAT(DimText(std::string(20000, '1')), HasSubstr("20000 characters"));
  // Maxima in one another, in one argument and in both.
  std::string chain = "b", tree = "b";
  for (int i = 0; i < 40; ++i) chain = "Max(" + chain + " - 1, 50 - a)";
  EXPECT_THAT(DimText(chain), HasSubstr("cannot be written"));
  for (int i = 0; i < 9; ++i) tree = "Max(" + tree + " - a, 50 - " + tree + ")";
  EXPECT_THAT(DimText(tree), HasSubstr("too many operators"));
}

TEST(SymExpr, EvaluatesAsPythonDoes) {
  const auto value = [](const char* text, int64_t a, int64_t b) {
    const auto e = ParseSymExpr(text);
    EXPECT_TRUE(e.ok()) << e.status();
    return EvaluateSym(*e, [&](const std::string& name) -> std::optional<int64_t> {
      return name == "a" ? std::optional(a) : name == "b" ? std::optional(b) : std::nullopt;
    });
  };
  EXPECT_EQ(value("a // b", -7, 2), -4);
  EXPECT_EQ(value("a % b", -7, 2), 1);
  EXPECT_EQ(value("a % b", 7, -2), -1);
  EXPECT_EQ(value("a // b", 1, 0), std::nullopt);
  EXPECT_EQ(value("a // b", INT64_MIN, -1), std::nullopt);
  EXPECT_EQ(value("a % b", INT64_MIN, 3), std::nullopt);
  EXPECT_EQ(value("a * b", INT64_MAX, 2), std::nullopt);
  EXPECT_EQ(value("a - b", INT64_MIN, 1), std::nullopt);
  EXPECT_EQ(value("a**b", 3, 4), 81);
  EXPECT_EQ(value("c", 3, 4), std::nullopt);
  EXPECT_EQ(value("max(a, b, 5) * min(a, b)", 3, 4), 15);
  EXPECT_EQ(value("a < b or a == 3", 3, 3), 1);
}

// Text that was printed reads back as the same function.
TEST(SymExpr, TextReadsBack) {
  std::mt19937 random(5);
  const std::function<std::string(int)> make = [&](int depth) -> std::string {
    const unsigned pick = random() % (depth == 0 ? 3 : 9);
    if (pick == 0) return "a";
    if (pick == 1) return "b";
    if (pick == 2) return std::to_string(random() % 9);
    const std::string x = make(depth - 1), y = make(depth - 1);
    static const char* const kForms[] = {"(%+%)",  "(%-%)",    "(%*%)",
                                         "(%//%)", "Mod(%,%)", "Max(%, %)"};
    std::string form = kForms[pick - 3];
    form.replace(form.rfind('%'), 1, y);
    form.replace(form.find('%'), 1, x);
    return form;
  };
  for (int i = 0; i < 300; ++i) {
    const std::string text = make(4);
    const auto first = ParseSymExpr(text);
    ASSERT_TRUE(first.ok()) << text << first.status();
    const auto second = ParseSymExpr(ToText(*first));
    ASSERT_TRUE(second.ok()) << ToText(*first) << second.status();
    for (int64_t a = 1; a < 5; ++a) {
      const auto values = [&](const std::string& name) -> std::optional<int64_t> {
        return name == "a" ? a : 2 * a + 1;
      };
      EXPECT_EQ(EvaluateSym(*first, values), EvaluateSym(*second, values)) << text;
    }
  }
}

// A dimension, where there is one, has the expression's value.
TEST(SymExpr, DimensionsAgreeWithValues) {
  const char* const kTexts[] = {"3*a + b//2", "(8*a + 5)//4", "Mod(b, 2)", "Max(a + 8, b - 200)",
                                "(2*a + 2)//2 * 3 - b"};
  for (const char* text : kTexts) {
    const auto e = ParseSymExpr(text);
    ASSERT_TRUE(e.ok());
    const auto dim = ToDim(*e, Lookup, kSymbols);
    if (!dim.ok()) continue;
    for (int64_t a = 1; a <= 8; ++a) {
      for (int64_t b = 2; b <= 100; b += 2) {
        const auto v = EvaluateSym(*e, [&](const std::string& name) -> std::optional<int64_t> {
          return name == "a" ? a : b;
        });
        ASSERT_EQ(v, dim->Eval({a, b})) << text << " a=" << a << " b=" << b;
      }
    }
  }
}

}  // namespace
}  // namespace floe::torch_export
