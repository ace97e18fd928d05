// Shape arithmetic as exporters write it resolves to dims.
#include "tests/ir/ir_testing.h"

namespace floe::ir {
namespace {

struct Case {
  const char* lines;    // Define %y from %x: f32[N,T,8], %one, %two (scalars), %v: [4,-1,6].
  const char* content;  // "?" when it is not known.
};

const Case kCases[] = {
    {"%y = shape_of(%x) {start=0, end=3}", "[N,T,8]"},
    {"%s = shape_of(%x) {start=0, end=3} %y = gather(%s, %one) {axis=0}", "[T]"},
    {"%s = shape_of(%x) {start=0, end=3} %y = gather(%s, %minus) {axis=0}", "[8]"},
    {"%s = shape_of(%x) {start=0, end=3} %y = gather(%s, %v) {axis=0}", "?"},  // 4 is outside.
    {"%s = shape_of(%x) {start=1, end=2} %y = reshape(%s) : i64[]", "[T]"},
    {"%s = shape_of(%x) {start=0, end=3} %y = slice(%s) {starts=[2], steps=[-1]} : i64[2]",
     "[8,T]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = concat(%s, %v, %s) {axis=0}", "[N,T,4,-1,6,N,T]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = mul(%s, %two)", "[2*N,2*T]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = mul(%s, %s)", "[N*N,T*T]"},
    {"%s = shape_of(%x) {start=0, end=2} %t = mul(%s, %four) %y = div(%t, %two)", "[2*N,2*T]"},
    {"%s = shape_of(%x) {start=0, end=2} %t = mul(%s, %two) %u = add(%t, %one) %y = div(%u, %two)",
     "[N,T]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = div(%s, %two)", "[floor((N)/2),floor((T)/2)]"},
    {"%s = shape_of(%x) {start=0, end=2} %t = mul(%s, %two) %u = add(%t, %one) %y = mod(%u, %two) "
     "{fmod=0}",
     "[1,1]"},
    {"%y = div(%v, %two)", "[2,0,3]"},
    {"%y = floor_div(%v, %two)", "[2,-1,3]"},
    {"%m = neg(%four) %y = floor_div(%v, %m)", "[-1,0,-2]"},
    {"%s = shape_of(%x) {start=0, end=2} %t = mul(%s, %two) %u = sub(%t, %four) %w = sub(%u, %one) "
     "%y = floor_div(%w, %two)",
     "[N-3,T-3]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = floor_div(%s, %two)", "[floor((N)/2),floor((T)/2)]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = sub(%s, %one)", "[N-1,T-1]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = equal(%s, %minus)", "[0,0]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = equal(%s, %one)", "?"},  // N may be 1.
    {"%s = shape_of(%x) {start=1, end=2} %y = equal(%s, %one)", "[0]"},
    {"%s = shape_of(%x) {start=1, end=2} %y = greater(%s, %one)", "[1]"},
    {"%s = shape_of(%x) {start=0, end=1} %y = greater_equal(%s, %one)", "[1]"},
    {"%s = shape_of(%x) {start=0, end=1} %y = less(%s, %one)", "[0]"},
    {"%s = shape_of(%x) {start=0, end=1} %y = less_equal(%s, %one)", "?"},
    {"%m = equal(%v, %minus) %s = shape_of(%x) {start=0, end=3} %y = where(%m, %s, %v)", "[4,T,6]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = minimum(%s, %one)", "[1,1]"},
    {"%s = shape_of(%x) {start=1, end=2} %y = minimum(%s, %four)", "[min(T,4)]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = maximum(%s, %one)", "[N,T]"},
    {"%s = shape_of(%x) {start=0, end=1} %y = expand(%s) : i64[3]", "[N,N,N]"},
    {"%y = constant_of_shape() {value=3} : i64[2]", "[3,3]"},
    {"%y = constant_of_shape() {value=3} : f32[2]", "?"},
    {"%y = range(%one, %four, %one) : i64[3]", "[1,2,3]"},
    {"%s = shape_of(%x) {start=1, end=3} %y = reduce(%s) {kind=4, axes=[0], keepdims=0}", "[8*T]"},
    {"%s = shape_of(%x) {start=0, end=3} %y = reduce(%s) {kind=4, axes=[0], keepdims=0}",
     "[8*N*T]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = reduce(%s) {kind=0, axes=[0], keepdims=1}", "[N+T]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = cast(%s) {to=9}", "[N,T]"},
    {"%s = shape_of(%x) {start=0, end=2} %y = cast(%s) {to=13}", "[1,1]"},
    {"%y = cast(%v) {to=6}", "?"},                                     // -1 wraps in u8.
    {"%s = shape_of(%x) {start=1, end=2} %y = cast(%s) {to=6}", "?"},  // T may be 512.
    {"%s = shape_of(%x) {start=0, end=2} %y = cast(%s) {to=1}", "?"},
    {"%s = shape_of(%x) {start=0, end=2} %y = neg(%s)", "[-N,-T]"},
    {"%s = shape_of(%x) {start=0, end=2} %t = neg(%s) %y = abs(%t)", "[N,T]"},
    {"%s = shape_of(%x) {start=0, end=2} %t = reshape(%s) : i64[2,1] %u = concat(%t, %t) {axis=1} "
     "%y = transpose(%u) {perm=[1,0]}",
     "[N,T,N,T]"},
};

TEST(Content, ShapeArithmeticResolves) {
  for (const Case& c : kCases) {
    const auto graph = Parse(std::string("graph @g symbols(N: 1..8, T: 2..512) {\n"
                                         "%x = input f32[N,T,8]\n"
                                         "%one = constant i64[] = [1]\n"
                                         "%two = constant i64[] = [2]\n"
                                         "%four = constant i64[] = [4]\n"
                                         "%minus = constant i64[] = [-1]\n"
                                         "%v = constant i64[3] = [4, -1, 6]\n") +
                             c.lines + "\n}");
    const Value* y = graph->FindValue("y");
    ASSERT_NE(y, nullptr);
    EXPECT_EQ(y->content ? ShapeToString(*y->content, graph->symbols) : "?", c.content) << c.lines;
  }
}

// What content inference says is what the reference ops compute.
TEST(Content, AgreesWithTheReference) {
  int compared = 0;
  for (const Case& c : kCases) {
    if (std::string(c.content) == "?") continue;
    const auto graph = Parse(std::string("graph @g symbols(N: 1..8, T: 2..512) {\n"
                                         "%x = input f32[N,T,8]\n"
                                         "%one = constant i64[] = [1]\n"
                                         "%two = constant i64[] = [2]\n"
                                         "%four = constant i64[] = [4]\n"
                                         "%minus = constant i64[] = [-1]\n"
                                         "%v = constant i64[3] = [4, -1, 6]\n") +
                             c.lines + "\noutput %y as \"y\"\n}");
    const std::vector<int64_t> symbols = {3, 17};
    const auto outputs = Evaluate(*graph, RandomInputs(*graph, symbols, 1));
    ASSERT_TRUE(outputs.ok()) << outputs.status() << c.lines;
    const Value* y = graph->FindValue("y");
    for (size_t i = 0; i < y->content->size(); ++i) {
      EXPECT_EQ((*outputs)[0].IntAt(static_cast<int64_t>(i)), (*y->content)[i].Eval(symbols))
          << c.lines;
      ++compared;
    }
  }
  EXPECT_GT(compared, 40);
}

// Each line names the one before it twice, 60 times over: what is known ends, and soon.
TEST(Content, AChainOfMaximaAndMinimaEnds) {
  std::string lines = "%s0 = shape_of(%x) {start=1, end=2}\n";
  for (int i = 0; i < 60; ++i) {
    const std::string from = std::to_string(i), to = std::to_string(i + 1);
    lines += "%a" + to + " = add(%s" + from + ", %one)\n";
    lines += "%b" + to + " = sub(%far, %s" + from + ")\n";
    lines +=
        "%s" + to + (i % 2 == 0 ? " = maximum(%a" : " = minimum(%a") + to + ", %b" + to + ")\n";
  }
  const auto graph = Parse(
      "graph @g symbols(T: 2..512) {\n%x = input f32[3,T]\n%one = constant i64[1] = [1]\n"
      "%far = constant i64[1] = [300]\n" +
      lines + "}");
  EXPECT_EQ(ShapeToString(*graph->FindValue("s1")->content, graph->symbols), "[max(T+1,-T+300)]");
  EXPECT_FALSE(graph->FindValue("s60")->content);
}

// PyTorch's exporter: x.view(x.size(0), -1, heads, 64) and expand(-1, ...) chains.
TEST(Content, ExporterChains) {
  const auto graph = Parse(R"(graph @g symbols(N: 1..8, T: 2..512) {
    %x = input f32[N,T,768]
    %zero = constant i64[] = [0]
    %axis0 = constant i64[1] = [0]
    %heads = constant i64[2] = [12, 64]
    %minus = constant i64[1] = [-1]
    %s = shape_of(%x) {start=0, end=3}
    %n = gather(%s, %zero) {axis=0}
    %n1 = reshape(%n) : i64[1]
    %target = concat(%n1, %minus, %heads) {axis=0}
    %ones = constant_of_shape() {value=1} : i64[3]
    %shape = shape_of(%x) {start=0, end=3}
    %negative = mul(%ones, %minus)
    %test = equal(%shape, %negative)
    %expand = where(%test, %ones, %shape)
  })");
  EXPECT_EQ(ShapeToString(*graph->FindValue("target")->content, graph->symbols), "[N,-1,12,64]");
  EXPECT_EQ(ShapeToString(*graph->FindValue("expand")->content, graph->symbols), "[N,T,768]");
}

}  // namespace
}  // namespace floe::ir
