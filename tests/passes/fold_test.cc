// canonicalise, fold-batch-norm, decompose-batch-norm.
#include "absl/strings/str_format.h"
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

TEST(Canonicalise, EveryFormOfGemm) {
  int gemms = 0, matmuls = 0;
  for (int i = 0; i < 2 * 2 * 2 * 2 * 6; ++i) {
    const bool trans_a = i & 1, trans_b = i & 2, constant_b = i & 4, scaled = i & 8;
    const int form = i / 16;
    const char* const c_types[] = {"", "f32[5]", "f32[1,5]", "f32[]", "f32[1]", "f32[4,1]"};
    const std::string b_type = trans_b ? "f32[5,3]" : "f32[3,5]";
    std::string text = absl::StrFormat("%%a = input %s\n", trans_a ? "f32[3,4]" : "f32[4,3]");
    text +=
        "%b = " + (constant_b ? "constant " + b_type + " = random 1" : "input " + b_type) + "\n";
    if (form > 0) text += absl::StrFormat("%%c = constant %s = random 2\n", c_types[form]);
    text += absl::StrFormat(
        "%%y = gemm(%%a, %%b%s) {alpha=%s, beta=%s, trans_a=%d, trans_b=%d}\noutput %%y as \"y\"",
        form > 0 ? ", %c" : "", scaled ? "0.5" : "1.0", scaled ? "-2.0" : "1.0", trans_a, trans_b);
    const auto t = Transform(Graph(text), {"canonicalise", "fold-constants"});
    for (const auto& node : t.graph->nodes()) {
      if (node->op() == OpId::kMatMul) ++matmuls;
      if (node->op() != OpId::kGemm) continue;
      ++gemms;
      EXPECT_EQ(node->Float("alpha"), 1.0);
      EXPECT_EQ(node->Int("trans_a") + node->Int("trans_b"), 0);
      EXPECT_TRUE(node->input(1)->is_constant());
      EXPECT_TRUE(node->input(2) == nullptr || node->input(2)->rank() == 1) << t.text();
    }
  }
  EXPECT_EQ(gemms, 48);
  EXPECT_EQ(matmuls, 48);
}

// What may stand between x and y, and the ops that are left of it.
struct Case {
  const char* nodes;
  const char* ops;
};

void RunCases(const std::string& head, std::span<const Case> cases, double tolerance = 1e-5) {
  for (const Case& c : cases) {
    const auto t = Transform(Graph(head + c.nodes + "\noutput %y as \"y\""),
                             {"canonicalise", "fold-batch-norm"}, tolerance);
    EXPECT_EQ(t.ops(), c.ops) << c.nodes;
  }
}

const char kConvHead[] = R"(
    %x = input f32[N,4,5,6]
    %w = constant f32[6,2,3,3] = random 1
    %wt = constant f32[4,6,2,2] = random 9
    %b = constant f32[6] = random 2
    %scale = constant f32[6] = random 3
    %shift = constant f32[6] = random 4
    %mean = constant f32[6] = random 5
    %var = constant f32[6] = random 6 0.5 2
    %c = constant f32[6,1,1] = random 7 0.5 2
    %c4 = constant f32[1,6,1,1] = random 8
    %row = constant f32[6] = random 8
    %two = constant f32[] = [2]
)";
#define FLOE_CONV(args) \
  "%l = conv(" args ") {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=2}\n"
#define FLOE_BN(x) "batch_norm(" x ", %scale, %shift, %mean, %var) {epsilon=1e-3}\n"

TEST(FoldBatchNorm, Convolutions) {
  const Case kCases[] = {
      {FLOE_CONV("%x, %w") "%y = " FLOE_BN("%l"), "conv"},
      {FLOE_CONV("%x, %w, %b") "%y = " FLOE_BN("%l"), "conv"},
      {FLOE_CONV("%x, %w, %b") "%m = " FLOE_BN("%l") "%y = " FLOE_BN("%m"), "conv"},
      {FLOE_CONV("%x, %w") "%y = mul(%l, %c)", "conv"},
      {FLOE_CONV("%x, %w, %b") "%y = mul(%c4, %l)", "conv"},
      {FLOE_CONV("%x, %w, %b") "%y = div(%l, %c)", "conv"},
      {FLOE_CONV("%x, %w") "%y = add(%l, %c)", "conv"},
      {FLOE_CONV("%x, %w, %b") "%y = sub(%l, %c)", "conv"},
      {FLOE_CONV("%x, %w, %b") "%y = sub(%c, %l)", "conv"},
      {FLOE_CONV("%x, %w, %b") "%m = mul(%l, %two) %y = add(%m, %c)", "conv"},
      // Not foldable: division by it, another axis, a reader between.
      {FLOE_CONV("%x, %w") "%y = div(%c, %l)", "conv div"},
      {FLOE_CONV("%x, %w") "%y = mul(%l, %row)", "conv mul"},
      {FLOE_CONV("%x, %w") "%m = " FLOE_BN("%l") "%y = add(%m, %l)", "add batch_norm conv"},
      {FLOE_CONV("%x, %w") "%r = relu(%l) %y = " FLOE_BN("%r"), "batch_norm conv relu"},
      {"%l = conv_transpose(%x, %wt) {strides=[2,2], pads=[0,0,0,0], dilations=[1,1], groups=1, "
       "output_padding=[0,0]} %y = " FLOE_BN("%l"),
       "conv_transpose"},
  };
  RunCases(kConvHead, kCases);
}

TEST(FoldBatchNorm, Products) {
  const std::string head = R"(
    %x = input f32[N,4]
    %x3 = input f32[N,T,4]
    %w = constant f32[4,6] = random 1
    %b = constant f32[6] = random 2
    %scale = constant f32[6] = random 3
    %shift = constant f32[6] = random 4
    %mean = constant f32[6] = random 5
    %var = constant f32[6] = random 6 0.5 2
    %row = constant f32[1,6] = random 8
    %column = constant f32[6,1] = random 8
)";
  const Case kCases[] = {
      {"%l = gemm(%x, %w, %b) {alpha=1.0, beta=1.0, trans_a=0, trans_b=0} %y = " FLOE_BN("%l"),
       "gemm"},
      {"%l = matmul(%x, %w) %y = " FLOE_BN("%l"), "gemm"},
      {"%l = matmul(%x, %w) %y = add(%l, %b)", "gemm"},
      {"%l = matmul(%x3, %w) %y = mul(%l, %row)", "matmul"},
      {"%l = matmul(%x3, %w) %y = add(%l, %b)", "add matmul"},  // An epilogue takes it.
  };
  RunCases(head, kCases);
}

TEST(FoldBatchNorm, SharedWeightsAreNotChangedForOthers) {
  const auto t =
      Transform(Graph(std::string(kConvHead) + FLOE_CONV("%x, %w, %b") "%p = " FLOE_BN("%l") R"(
    %l2 = conv(%x, %w, %b) {strides=[2,2], pads=[0,0,0,0], dilations=[1,1], groups=2}
    output %p as "p"
    output %l2 as "l2")"),
                {"fold-batch-norm"});
  EXPECT_EQ(t.ops(), "conv*2");
}

TEST(SinkScales, FactorsOfBothOperandsMoveBehind) {
  const std::string head = R"(
    %q = input f32[N,T,4]
    %k = input f32[N,4,T]
    %s = constant f32[] = [0.3]
    %t = constant f32[1] = [1.7]
    %zero = constant f32[] = [0]
    %w = constant f32[4,5] = random 1
)";
  const Case kCases[] = {
      {"%a = mul(%q, %s) %b = div(%k, %t) %y = matmul(%a, %b)", "matmul mul"},
      {"%a = mul(%s, %q) %y = matmul(%a, %k)", "matmul mul"},
      {"%a = mul(%q, %s) %y = matmul(%a, %w)", "matmul"},  // Into the weights.
      {"%a = mul(%q, %zero) %y = matmul(%a, %k)", "matmul mul"},
      {"%a = div(%s, %q) %y = matmul(%a, %k)", "div matmul"},
      {"%a = mul(%q, %s) %b = matmul(%a, %k) %y = matmul(%b, %a)", "matmul*2 mul"},
  };
  for (const Case& c : kCases) {
    const auto t = Transform(Graph(head + c.nodes + "\noutput %y as \"y\""),
                             {"sink-scales", "fold-batch-norm"}, 1e-5);
    EXPECT_EQ(t.ops(), c.ops) << c.nodes;
  }
  const auto t = Transform(Graph(head + "%a = mul(%q, %zero) %y = matmul(%a, %k)"
                                        "\noutput %y as \"y\""),
                           {"sink-scales"});
  EXPECT_EQ(t.graph->nodes().front()->op(), OpId::kMul);  // 0 * inf is not 0: it stays in front.
}

TEST(DecomposeBatchNorm, BecomesFactorAndTerm) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,3,T]
    %scale = constant f32[3] = random 3
    %shift = constant f32[3] = random 4
    %mean = constant f32[3] = random 5
    %var = constant f32[3] = random 6 0.5 2
    %v = input f32[3]
    %y = batch_norm(%x, %scale, %shift, %mean, %var) {epsilon=1e-3}
    %z = batch_norm(%x, %v, %shift, %mean, %var) {epsilon=1e-3}
    output %y as "y"
    output %z as "z")"),
                           {"decompose-batch-norm"});
  EXPECT_EQ(t.ops(), "add batch_norm mul");
}

}  // namespace
}  // namespace floe::passes
