// fuse-epilogue, fuse-softmax, fuse-pointwise.
#include "compiler/ir/shapes.h"
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

const char kConvHead[] = R"(
    %x = input f32[N,4,5,6]
    %res = input f32[N,6,5,6]
    %w = constant f32[6,4,3,3] = random 1
    %b = constant f32[6] = random 2
    %c = constant f32[6,1,1] = random 3
    %slope = constant f32[1,6,1,1] = random 4
    %two = constant f32[] = [2]
    %one = constant f32[1] = random 5
    %full = constant f32[1,6,5,6] = random 6
)";
#define FLOE_CONV \
  "%l = conv(%x, %w, %b) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}\n"

struct Case {
  const char* nodes;
  const char* ops;
};

TEST(FuseEpilogue, Convolutions) {
  const Case kCases[] = {
      {"%y = identity(%l)", "conv identity"},  // Not pointwise, but the bias is an epilogue.
      {"%y = relu(%l)", "conv"},
      {"%y = clamp(%l) {min=0.0, max=6.0}", "conv"},
      {"%y = add(%l, %res)", "conv"},
      {"%a = add(%res, %l) %y = relu(%a)", "conv"},
      {"%y = mul(%l, %c)", "conv"},
      {"%y = prelu(%l, %slope)", "conv"},
      {"%s = sigmoid(%l) %y = mul(%l, %s)", "conv"},  // Both readers are inside.
      {"%a = mul(%l, %two) %d = sub(%one, %a) %y = hard_swish(%d)", "conv"},
      {"%g = greater(%l, %res) %y = where(%g, %l, %res)", "conv"},
      {"%a = relu(%l) %y = softmax(%a) {axis=1}", "conv softmax"},
      {"%p = relu(%l) %q = neg(%p) %r = exp(%p) %y = add(%q, %r)", "conv"},
      // A constant of the result's size, a smaller operand that is not channels, a bool result.
      {"%r = sin(%l) %e = tanh(%r) %y = add(%e, %full)", "add conv"},
      {"%g = greater(%l, %two) %y = cast(%g) {to=1}", "conv"},
  };
  for (const Case& c : kCases) {
    std::string text = std::string(kConvHead) + FLOE_CONV + c.nodes + "\noutput %y as \"y\"";
    if (std::string(c.nodes).find("%full") != std::string::npos) {
      text.replace(text.find("input f32[N,4"), 9, "input f32");
      for (size_t at = text.find("[N,"); at != std::string::npos; at = text.find("[N,")) {
        text.replace(at, 3, "[1,");
      }
    }
    const auto t = Transform(Graph(text), {"fuse-epilogue"});
    EXPECT_EQ(t.ops(), c.ops) << c.nodes;
    const ir::Node* conv = t.first(OpId::kConv);
    EXPECT_EQ(conv->epilogue_begin, 2u);
    EXPECT_EQ(conv->input(2)->shape(), ir::Shape{6}) << t.text();
    EXPECT_FALSE(t.report.lines.empty() && conv->code.size() > 2);
  }
}

TEST(FuseEpilogue, StopsWhereSomethingElseReads) {
  const auto t = Transform(Graph(std::string(kConvHead) + FLOE_CONV + R"(
    %a = relu(%l)
    %d = exp(%a)
    %e = max_pool(%a) {kernel=[1,1], strides=[1,1], pads=[0,0,0,0], dilations=[1,1], ceil_mode=0}
    %y = add(%d, %e)
    output %y as "y"
    output %d as "d")"),
                           {"fuse-epilogue"});
  EXPECT_EQ(t.ops(), "add conv exp max_pool");
}

TEST(FuseEpilogue, AnOutputEndsTheChain) {
  const auto t = Transform(Graph(std::string(kConvHead) + FLOE_CONV + R"(
    %a = relu(%l)
    %y = exp(%a)
    output %a as "a"
    output %y as "y")"),
                           {"fuse-epilogue"});
  EXPECT_EQ(t.ops(), "conv exp");
  EXPECT_EQ(t.graph->outputs()[0]->name(), "a");
}

// A residual block: the first product takes the sum, and moves behind the second one.
TEST(FuseEpilogue, ResidualOfALaterProduct) {
  const auto t = Transform(Graph(std::string(kConvHead) + FLOE_CONV + R"(
    %w1 = constant f32[6,4,1,1] = random 9
    %d = conv(%x, %w1) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1], groups=1}
    %s = add(%l, %d)
    %y = relu(%s)
    output %y as "y")"),
                           {"fuse-epilogue"});
  EXPECT_EQ(t.ops(), "conv*2");
  EXPECT_EQ(t.graph->nodes().front()->code.size(), 0u);
  EXPECT_EQ(t.graph->nodes().back()->inputs().size(), 4u);
}

TEST(FuseEpilogue, AnOperandThatDependsOnTheProductIsNoOperand) {
  const auto t = Transform(Graph(std::string(kConvHead) + FLOE_CONV + R"(
    %m = reduce(%l) {kind=1, axes=[2,3], keepdims=1}
    %e = expand(%m) : f32[N,6,5,6]
    %y = sub(%l, %e)
    output %y as "y")"),
                           {"fuse-epilogue"});
  EXPECT_EQ(t.ops(), "conv expand reduce sub");
}

TEST(FuseEpilogue, Products) {
  const std::string head = R"(
    %x = input f32[N,T,4]
    %x2 = input f32[N,4]
    %k = input f32[N,4,T]
    %res = input f32[N,T,6]
    %mask = input f32[N,1,T]
    %w = constant f32[4,6] = random 1
    %b = constant f32[6] = random 2
    %eight = constant f32[] = [8]
    %c3 = constant f32[1,1,6] = random 3
    %v = input f32[6]
)";
  const Case kCases[] = {
      {"%l = matmul(%x, %w) %a = add(%l, %b) %y = gelu(%a) {tanh=0}", "matmul"},
      {"%l = matmul(%x, %w) %a = add(%b, %l) %y = add(%res, %a)", "matmul"},
      {"%l = matmul(%x, %w) %y = mul(%l, %c3)", "matmul"},
      {"%l = matmul(%x, %w) %y = mul(%l, %v)", "matmul"},
      {"%l = gemm(%x2, %w, %b) {alpha=1.0, beta=1.0, trans_a=0, trans_b=0} %y = tanh(%l)", "gemm"},
      {"%l = gemm(%x2, %w, %v) {alpha=1.0, beta=1.0, trans_a=0, trans_b=0} %y = tanh(%l)", "gemm"},
      {"%l = matmul(%x, %k) %y = div(%l, %eight)", "matmul"},
      {"%l = matmul(%x, %k) %s = div(%l, %eight) %y = add(%s, %mask)", "add matmul"},
  };
  for (const Case& c : kCases) {
    const auto t = Transform(Graph(head + c.nodes + "\noutput %y as \"y\""), {"fuse-epilogue"});
    EXPECT_EQ(t.ops(), c.ops) << c.nodes;
    EXPECT_FALSE(t.graph->nodes().front()->code.empty());
  }
}

TEST(FuseSoftmax, ScaleAndMask) {
  const auto t = Transform(Graph(R"(
    %q = input f32[N,2,T,4]
    %k = input f32[N,2,4,T]
    %mask = input f32[N,1,1,T]
    %bias = input f32[N,2,T,T]
    %eight = constant f32[] = [8]
    %s = matmul(%q, %k)
    %d = div(%s, %eight)
    %m = add(%mask, %d)
    %n = add(%bias, %m)
    %p = softmax(%n) {axis=3}
    output %p as "p")"),
                           {"fuse-epilogue", "fuse-softmax"});
  EXPECT_EQ(t.ops(), "matmul softmax");
  const ir::Node* softmax = t.first(OpId::kSoftmax);
  EXPECT_EQ(softmax->input(0)->producer()->op(), OpId::kMatMul);
  EXPECT_EQ(softmax->inputs().size(), 3u);
}

TEST(FuseSoftmax, KeepsWhatOthersRead) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,T]
    %m = input f32[1,T]
    %a = add(%x, %m)
    %b = neg(%a)
    %p = softmax(%b) {axis=1}
    %y = mul(%p, %a)
    output %y as "y")"),
                           {"fuse-softmax"});
  EXPECT_EQ(t.ops(), "add mul softmax");
}

// The kernel reads f32 only: the mask stays in front.
TEST(FuseSoftmax, LeavesMasksOfBools) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,2,T,T]
    %m = input bool[N,1,1,T]
    %low = constant f32[] = [-10000]
    %a = where(%m, %x, %low)
    %p = softmax(%a) {axis=3}
    %y = log_softmax(%a) {axis=3}
    output %p as "p")"),
                           {"dce", "fuse-softmax"});
  EXPECT_EQ(t.ops(), "softmax where");
}

// One node of every op that code expresses, from x, z (f32), p, q (bool) and i (i64).
TEST(FusePointwise, EveryOp) {
  const char* const kNodes[] = {
      "add(%x, %z)",
      "sub(%x, %z)",
      "mul(%x, %z)",
      "div(%x, %z)",
      "minimum(%x, %z)",
      "maximum(%x, %z)",
      "equal(%x, %z)",
      "not_equal(%x, %z)",
      "less(%x, %z)",
      "less_equal(%x, %z)",
      "greater(%x, %z)",
      "greater_equal(%x, %z)",
      "logical_and(%p, %q)",
      "logical_or(%p, %q)",
      "logical_xor(%p, %q)",
      "equal(%p, %q)",
      "prelu(%x, %row)",
      "where(%p, %x, %z)",
      "neg(%x)",
      "abs(%x)",
      "sign(%x)",
      "sqrt(%pos)",
      "rsqrt(%pos)",
      "reciprocal(%pos)",
      "exp(%x)",
      "log(%pos)",
      "sin(%x)",
      "cos(%x)",
      "tan(%x)",
      "tanh(%x)",
      "erf(%x)",
      "ceil(%x)",
      "floor(%x)",
      "round(%x)",
      "logical_not(%p)",
      "is_nan(%x)",
      "is_inf(%weird) {detect_negative=1, detect_positive=1}",
      "is_inf(%weird) {detect_negative=0, detect_positive=1}",
      "is_inf(%weird) {detect_negative=1, detect_positive=0}",
      "is_inf(%weird) {detect_negative=0, detect_positive=0}",
      "is_nan(%weird)",
      "cast(%i) {to=1}",
      "cast(%p) {to=1}",
      "cast(%x) {to=13}",
      "cast(%weird) {to=13}",
      "relu(%weird)",
      "relu(%x)",
      "leaky_relu(%x) {alpha=0.01}",
      "elu(%x) {alpha=1.5}",
      "selu(%x) {alpha=1.67326, gamma=1.0507}",
      "celu(%x) {alpha=0.7}",
      "sigmoid(%x)",
      "hard_sigmoid(%x) {alpha=0.2, beta=0.5}",
      "hard_swish(%x)",
      "softplus(%x)",
      "softsign(%x)",
      "gelu(%x) {tanh=0}",
      "gelu(%x) {tanh=1}",
      "silu(%x)",
      "mish(%x)",
      "thresholded_relu(%x) {alpha=0.5}",
      "shrink(%x) {bias=0.25, lambd=0.5}",
      "clamp(%x) {min=-0.5, max=1.0}",
      "clamp(%x) {min=0.0, max=inf}",
      "clamp(%x) {min=-inf, max=0.5}",
      "add(%x, %c)",
      "add(%c, %x)",
      "sub(%x, %c)",
      "sub(%c, %x)",
      "sub(%zero, %x)",
      "mul(%x, %c)",
      "mul(%minus, %x)",
      "div(%x, %c)",
      "div(%x, %eight)",
      "div(%c, %pos)",
      "div(%one, %pos)",
      "minimum(%x, %c)",
      "maximum(%c, %x)",
      "maximum(%x, %zero)",
      "less(%x, %c)",
      "less(%c, %x)",
      "pow(%x, %two)",
      "pow(%x, %three)",
      "pow(%pos, %half)",
      "pow(%pos, %minushalf)",
      "pow(%pos, %minus)",
      "pow(%pos, %c)",
      "pow(%c, %x)",
      "pow(%pos, %z)",
      "pow(%x, %itwo)",
      "where(%p, %zero, %x)",
      "where(%p, %c, %c)",
  };
  for (const char* node : kNodes) {
    const auto t = Transform(Graph(std::string(R"(
    %x = input f32[N,T]
    %z = input f32[T]
    %p = input bool[N,T]
    %q = input bool[N,1]
    %i = input i64[N,T]
    %raw = input f32[N,T]
    %pos = softmax(%raw) {axis=0}
    %specials = constant f32[8,1] = [inf, -inf, nan, 0, -0.0, 1, -1, 3e38]
    %weird = identity(%specials)
    %row = constant f32[1] = [0.3]
    %c = constant f32[] = [0.7]
    %zero = constant f32[] = [0]
    %one = constant f32[] = [1]
    %minus = constant f32[] = [-1]
    %half = constant f32[] = [0.5]
    %minushalf = constant f32[] = [-0.5]
    %two = constant f32[] = [2]
    %three = constant f32[] = [3]
    %eight = constant f32[] = [8]
    %itwo = constant i64[] = [2]
    %y = )") + node + "\noutput %y as \"y\""),
                             {"fuse-pointwise", "dce"}, 2e-6);
    EXPECT_EQ(OpRow(t.graph->outputs()[0]->producer()->op()).name, std::string("pointwise"))
        << node << t.text();
  }
}

TEST(FusePointwise, RegionsStopAtOtherReadersOutputsAndSmallerShapes) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,T]
    %m = input f32[N,1]
    %n = neg(%m)
    %e = exp(%n)
    %a = add(%x, %e)
    %b = mul(%a, %x)
    %c = softmax(%b) {axis=1}
    %d = sub(%b, %c)
    %f = sqrt(%d)
    %g = abs(%d)
    %h = add(%f, %g)
    %i = mul(%h, %h)
    output %i as "i"
    output %d as "d")"),
                           {"fuse-pointwise"});
  // exp(-m); (x + e) * x; b - c; sqrt(d) + abs(d), squared.
  EXPECT_EQ(t.ops(), "pointwise*4 softmax");
}

TEST(FusePointwise, IntegerWorkStays) {
  const auto t = Transform(Graph(R"(
    %i = input i64[N,T]
    %j = input i64[T]
    %d = input f64[N,T]
    %a = add(%i, %j)
    %e = equal(%a, %i)
    %f = cast(%e) {to=1}
    %g = exp(%d)
    output %f as "f"
    output %g as "g")"),
                           {"fuse-pointwise"});
  EXPECT_EQ(t.ops(), "add equal exp pointwise");
}

TEST(FusePointwise, AShapeThatOnlyAScalarMakesStays) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N]
    %c = constant f32[1,1] = [2]
    %y = mul(%x, %c)
    %z = exp(%y)
    output %z as "z")"),
                           {"fuse-pointwise"});
  EXPECT_EQ(t.ops(), "mul pointwise");
}

// Long chains and wide sums are cut to the bytecode's limits, never refused.
TEST(FusePointwise, LimitsOfTheBytecode) {
  std::string chain = "%x = input f32[N,T]\n%v0 = sin(%x)\n";
  for (int i = 1; i < 200; ++i) {
    chain += "%v" + std::to_string(i) + " = " + (i % 2 == 0 ? "sin" : "cos") + "(%v" +
             std::to_string(i - 1) + ")\n";
  }
  const auto t = Transform(Graph(chain + "output %v199 as \"y\""), {"fuse-pointwise"});
  EXPECT_EQ(t.ops(), "pointwise*4");

  std::string sum = "%x0 = input f32[N,T]\n%s0 = neg(%x0)\n";
  for (int i = 1; i < 40; ++i) {
    const std::string n = std::to_string(i), p = std::to_string(i - 1);
    sum += "%x" + n + " = input f32[N,T]\n%s" + n + " = add(%s" + p + ", %x" + n + ")\n";
  }
  const auto u = Transform(Graph(sum + "output %s39 as \"y\""), {"fuse-pointwise"});
  EXPECT_EQ(u.ops(), "pointwise*4");
}

// Random expression trees over many operands: register allocation under pressure.
TEST(FusePointwise, RandomTrees) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    std::string text;
    const int inputs = 1 + static_cast<int>(random() % 14);
    for (int i = 0; i < inputs; ++i) text += "%v" + std::to_string(i) + " = input f32[N,T]\n";
    int count = inputs;
    const int nodes = 1 + static_cast<int>(random() % 60);
    const auto any = [&] {
      // Mostly recent values, some old ones: long lifetimes.
      const int back = random() % 3 == 0 ? count : std::min(count, 6);
      return "%v" +
             std::to_string(count - 1 - static_cast<int>(random() % static_cast<unsigned>(back)));
    };
    for (int i = 0; i < nodes; ++i) {
      const char* const kBinary[] = {"add", "sub", "minimum", "maximum"};
      const char* const kUnary[] = {"sin", "tanh", "abs", "neg"};
      const std::string y = "%v" + std::to_string(count);
      if (random() % 3 != 0) {
        const std::string a = any();
        text += y + " = " + kBinary[random() % 4] + "(" + a + ", " + any() + ")\n";
      } else {
        text += y + " = " + kUnary[random() % 4] + "(" + any() + ")\n";
      }
      ++count;
    }
    text += "output %v" + std::to_string(count - 1) + " as \"y\"";
    const auto t = Transform(Graph(text), {"dce", "fuse-pointwise"});
    for (const auto& node : t.graph->nodes()) EXPECT_EQ(node->op(), OpId::kPointwise);
  }
}

}  // namespace
}  // namespace floe::passes
