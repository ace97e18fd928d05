#include "compiler/ir/text.h"

#include "absl/strings/str_format.h"
#include "tests/ir/ir_testing.h"

namespace floe::ir {
namespace {

TEST(Text, ReadsBackWhatItPrints) {
  const std::string text = R"(graph @net symbols(N: 1..8, "past 1": 1..512:8) {
  %image = input f32[N,1,6,6]
  %"a b\"c" = input i64[2*"past 1"+1]
  %w = constant f32[2,1,1,1] = [0.1, -inf]
  %t = constant f32[1] = [0.333333343]
  %flags = constant bool[2] = [1, 0]
  %half = constant f16[3] = [0.0999755859, nan, 65504.0]
  %big = constant i64[] = [-9223372036854775808]
  %/conv1/out.0 = conv(%image, %w | %image) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1], groups=1} epilogue { r1 = load 0; r0 = add r0 r1; r2 = const 1e-05; r0 = leaky_relu r0 0.01 } : f32[N,2,6,6] loc("/conv1/Conv", "net.py:12")
  %p = pointwise(%/conv1/out.0, %t) { r0 = load 0; r3 = load 1; r0 = lt r0 r3 } : bool[N,2,6,6]
  %soft = softmax(%/conv1/out.0 |) {axis=3} prologue { r0 = mul_imm r0 0.5 } : f32[N,2,6,6]
  %s = shape_of(%image) {start=0, end=2} : i64[2] = [N,1]
  %d = dims() : i64[2] = [N,2*N-1]
  %pool, _ = max_pool(%image) {kernel=[2,2], strides=[2,2], pads=[0,0,0,0], dilations=[1,1], ceil_mode=0} : f32[N,1,3,3], _
  _, %h = lstm(%x, %wx, %r, _, _, %h0) {hidden=2, direction=0} : _, f32[1,N,2]
  %clamp = clamp(%image) {min=-inf, max=6.0} : f32[N,1,6,6]
  output %p as "less"
  output %p as "again \x0a"
}
)";
  // The recurrent line needs operands of its own.
  std::string full = text;
  const std::string inputs =
      "  %x = input f32[3,N,4]\n  %wx = input f32[1,8,4]\n  %r = input f32[1,8,2]\n"
      "  %h0 = input f32[1,N,2]\n";
  full.insert(full.find("  %w = constant"), inputs);
  const std::unique_ptr<Graph> graph = Parse(full);
  EXPECT_EQ(ToText(*graph), full);
  EXPECT_EQ(graph->symbols[1].name, "past 1");
  EXPECT_EQ(graph->symbols[1].multiple, 8);
  EXPECT_EQ(graph->FindValue("p")->producer()->code[1].dst, 3);
}

TEST(Text, LargeConstantsAreGivenByHash) {
  const auto graph = Parse("graph @g { %c = constant f32[65] = random 3 output %c as \"c\" }");
  const std::string text = ToText(*graph);
  EXPECT_NE(text.find("%c = constant f32[65] #0x"), std::string::npos) << text;
  const auto back = ParseText(text);
  ASSERT_FALSE(back.ok());
  EXPECT_NE(back.status().message().find("cannot be read back"), std::string::npos);
  EXPECT_NE(ToText(*graph, {.max_constant_elements = 65}).find("= ["), std::string::npos);
}

TEST(Text, RandomConstantsStayInTheirRange) {
  const auto graph = Parse(R"(graph @g {
    %a = constant f32[1000] = random 3 0.5 2
    %b = constant f32[1000] = random 4 0.5 2
    %i = constant i64[1000] = random 5 -3 4
  })");
  const Tensor& a = graph->FindValue("a")->constant();
  const Tensor& i = graph->FindValue("i")->constant();
  double low = 9, high = -9;
  int64_t least = 99, most = -99;
  for (int64_t k = 0; k < 1000; ++k) {
    low = std::min(low, a.DoubleAt(k));
    high = std::max(high, a.DoubleAt(k));
    least = std::min(least, i.IntAt(k));
    most = std::max(most, i.IntAt(k));
  }
  EXPECT_GE(low, 0.5);
  EXPECT_LT(low, 0.51);
  EXPECT_LT(high, 2.0);
  EXPECT_GT(high, 1.99);
  EXPECT_EQ(least, -3);
  EXPECT_EQ(most, 3);
  EXPECT_FALSE(a.BytesEqual(graph->FindValue("b")->constant()));
}

TEST(Text, ErrorsNameThePlace) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"graph", "line 1, column 6: expected '@'"},
      {"graph @g {", "line 1, column 11: expected a word"},
      {"graph @g {\n  %x = input f31[2]\n}", "line 2, column 17: 'f31' is no dtype"},
      {"graph @g {\n  %x = input f32[N]\n}", "'N' is no symbol"},
      {"graph @g {\n  %y = relu(%x)\n}", "there is no value 'x' yet"},
      {"graph @g {\n  %x = input f32[2]\n  %x = relu(%x)\n}", "'x' is defined twice"},
      {"graph @g {\n  %x = input f32[2]\n  %y = rolu(%x)\n}", "there is no op 'rolu'"},
      {"graph @g {\n  %x = input f32[2]\n  %y = relu(%x) : f32[3]\n}", "'y' is f32[2]"},
      {"graph @g {\n  %x = input f32[2]\n  %y = softmax(%x) {axs=0}\n}", "no attribute 'axs'"},
      {"graph @g {\n  %x = input f32[2]\n  %y = softmax(%x) {axis=1}\n}", "axis 1 is outside"},
      {"graph @g {\n  %x = input f32[2]\n  %y = reshape(%x)\n}", "type is not set"},
      {"graph @g {\n  %x = input f32[2]\n  %y = pointwise(%x) { r16 = load 0 }\n}", "no register"},
      {"graph @g {\n  %x = input f32[2]\n  %y = pointwise(%x) { r0 = laod 0 }\n}",
       "no instruction"},
      {"graph @g {\n  %x = constant f32[2] = [1]\n}", "expected ','"},
      {"graph @g {\n  %x = constant f32[99999999999] = [1]\n}", "must be small numbers"},
      {"graph @g {\n  %\"x = input f32[2]\n}", "does not end"},
      {"graph @g symbols(N: 1..8) {\n  %x = input f32[N*K]\n}", "no symbol"},
      {"graph @g { } x", "expected nothing"},
  };
  for (const auto& c : kCases) {
    const auto graph = ParseText(c.text);
    ASSERT_FALSE(graph.ok()) << c.text;
    EXPECT_NE(std::string(graph.status().message()).find(c.error), std::string::npos)
        << graph.status();
  }
}

// Every prefix of a good text and every text with one byte changed parses or gives an error.
TEST(Text, DamagedTextsAreRefusedOrRead) {
  const std::string good =
      "graph @g symbols(N: 1..8) {\n  %x = input f32[N,2]\n  %c = constant f32[2] = [1, 2]\n"
      "  %y = gemm(%x, %x) {alpha=1.0, beta=1.0, trans_a=0, trans_b=1}\n"
      "  %z = pointwise(%x, %c) { r1 = load 0; r0 = add_imm r1 1 } : f32[N,2]\n  output %z as "
      "\"z\"\n}\n";
  int refused = 0;
  for (size_t n = 0; n < good.size(); ++n) {
    refused += ParseText(std::string_view(good).substr(0, n)).ok() ? 0 : 1;
    for (const char c : {'\0', '9', '-', '"', '%', '[', 'x', '\xff'}) {
      std::string bad = good;
      bad[n] = c;
      refused += ParseText(bad).ok() ? 0 : 1;
    }
  }
  EXPECT_GT(refused, static_cast<int>(good.size()) * 5);
}

}  // namespace
}  // namespace floe::ir
