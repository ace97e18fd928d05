// recognise-attention, merge-projections, unflatten-products.
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

struct Case {
  const char* name;
  const char* nodes;  // Define %y from %q %kt %v [N,2,T,..] and the constants below.
  const char* ops;    // What stays, if it is not recognised; empty: it is.
  int64_t causal = 0;
  int64_t zero_empty = 0;
  const char* report = "recognised attention";
};

const char kHead[] = R"(
    %q = input f32[N,2,T,4]
    %kt = input f32[N,2,4,T]
    %v = input f32[N,2,T,3]
    %mask = input f32[N,1,1,T]
    %keep = input bool[N,1,1,T]
    %half = constant f32[] = [0.5]
    %two = constant f32[1] = [2]
    %zero = constant f32[] = [0]
    %small = constant f32[] = [-1e4]
    %none = constant f32[] = [-inf]
    %lowest = constant f32[] = [-3e38]
    %bias = input f32[2,1,T]
    %i0 = constant i64[] = [0]
    %i1 = constant i64[] = [1]
    %t = dims() : i64[] = [T]
    %cols = range(%i0, %t, %i1) : i64[T]
    %rows = reshape(%cols) : i64[T,1]
)";
#define FLOE_SCORES "%s = matmul(%q, %kt)\n"
#define FLOE_WEIGHTS(x) "%p = softmax(" x ") {axis=3} %y = matmul(%p, %v)\n"

const Case kCases[] = {
    {"plain", FLOE_SCORES FLOE_WEIGHTS("%s"), ""},
    {"scaled", FLOE_SCORES "%a = div(%s, %two) %b = mul(%half, %a)\n" FLOE_WEIGHTS("%b"), ""},
    {"added_mask", FLOE_SCORES "%a = mul(%s, %half) %b = add(%mask, %a)\n" FLOE_WEIGHTS("%b"), ""},
    {"mask_inside_the_scale",
     FLOE_SCORES "%a = add(%s, %mask) %b = mul(%a, %half)\n" FLOE_WEIGHTS("%b"), ""},
    {"chosen", FLOE_SCORES "%a = where(%keep, %s, %none)\n" FLOE_WEIGHTS("%a"), ""},
    {"chosen_the_other_way", FLOE_SCORES "%a = where(%keep, %none, %s)\n" FLOE_WEIGHTS("%a"), ""},
    // A row whose keys are all masked weighs them alike.
    {"chosen_by_a_finite_number", FLOE_SCORES "%a = where(%keep, %s, %lowest)\n" FLOE_WEIGHTS("%a"),
     ""},
    {"finite_number_beside_a_mask",
     FLOE_SCORES "%a = where(%keep, %s, %lowest) %b = add(%a, %mask)\n" FLOE_WEIGHTS("%b"),
     "add matmul*2 softmax where", 0, 0, "beside another mask"},
    {"bias_of_each_head", FLOE_SCORES "%a = add(%s, %bias)\n" FLOE_WEIGHTS("%a"), ""},
    {"causal_choice",
     FLOE_SCORES "%c = less_equal(%cols, %rows) %a = where(%c, %s, %none)\n" FLOE_WEIGHTS("%a"), "",
     1},
    {"causal_term",
     FLOE_SCORES
     "%c = less(%rows, %cols) %b = where(%c, %none, %zero) %a = add(%s, %b)\n" FLOE_WEIGHTS("%a"),
     "", 1},
    {"causal_term_and_mask",
     FLOE_SCORES
     "%c = greater_equal(%rows, %cols) %n = logical_not(%c)"
     "%b = where(%n, %none, %zero) %a = add(%s, %b) %d = add(%a, %mask)\n" FLOE_WEIGHTS("%d"),
     "", 1},
    {"causal_bool_and_mask",
     FLOE_SCORES
     "%c = greater(%cols, %rows) %n = where(%c, %none, %s) %d = add(%n, %mask)\n" FLOE_WEIGHTS(
         "%d"),
     "", 1},
    {"anti_causal_stays_a_mask",
     FLOE_SCORES "%c = less_equal(%rows, %cols) %a = where(%c, %s, %none)\n" FLOE_WEIGHTS("%a"),
     ""},
    {"empty_rows_give_zero",
     FLOE_SCORES "%b = where(%keep, %zero, %none) %a = add(%s, %b)"
                 "%p = softmax(%a) {axis=3} %m = matmul(%p, %v)"
                 "%g = reduce(%b) {kind=2, axes=[3], keepdims=1} %e = equal(%g, %none)"
                 "%y = where(%e, %zero, %m)\n",
     "", 0, 1},
    {"nan_rows_give_zero",
     FLOE_SCORES "%a = where(%keep, %s, %none) %p = softmax(%a) {axis=3} %nan = is_nan(%p)"
                 "%w = where(%nan, %zero, %p) %y = matmul(%w, %v)\n",
     "", 0, 1},
    {"small_fill", FLOE_SCORES "%a = where(%keep, %s, %small)\n" FLOE_WEIGHTS("%a"),
     "matmul*2 softmax where", 0, 0, "not minus infinity"},
    {"soft_cap", FLOE_SCORES "%a = tanh(%s)\n" FLOE_WEIGHTS("%a"), "matmul*2 softmax tanh", 0, 0,
     ""},
    {"factor_tensor", FLOE_SCORES "%a = mul(%s, %mask)\n" FLOE_WEIGHTS("%a"),
     "matmul*2 mul softmax", 0, 0, "a factor of its scores is no number"},
    {"scores_used_elsewhere", FLOE_SCORES FLOE_WEIGHTS("%s") "output %s as \"s\"\n",
     "matmul*2 softmax", 0, 0, "its scores are used elsewhere"},
    {"weights_used_elsewhere", FLOE_SCORES FLOE_WEIGHTS("%s") "output %p as \"p\"\n",
     "matmul*2 softmax", 0, 0, "its weights are used elsewhere"},
    {"other_axis", FLOE_SCORES "%p = softmax(%s) {axis=2} %y = matmul(%p, %v)\n",
     "matmul*2 softmax", 0, 0, ""},
};

std::string Lines(const Report& report) {
  std::string text;
  for (const std::string& line : report.lines) text += line + "\n";
  return text;
}

class RecogniseAttentionTest : public testing::TestWithParam<Case> {};

TEST_P(RecogniseAttentionTest, KeepsTheNumbers) {
  const Case& c = GetParam();
  const auto t = Transform(Graph(std::string(kHead) + c.nodes + "output %y as \"y\""),
                           {"recognise-attention", "dce"});
  if (*c.ops != '\0') {
    EXPECT_EQ(t.ops(), c.ops) << t.text();
  } else {
    EXPECT_EQ(t.ops().find("softmax"), std::string::npos) << t.text();
    EXPECT_EQ(t.ops().find("matmul"), std::string::npos) << t.text();
    const ir::Node* node = t.first(OpId::kAttention);
    ASSERT_NE(node, nullptr);
    EXPECT_EQ(node->Int("causal"), c.causal) << t.text();
    EXPECT_EQ(node->Int("zero_empty"), c.zero_empty) << t.text();
  }
  EXPECT_NE(Lines(t.report).find(c.report), std::string::npos) << Lines(t.report);
}

INSTANTIATE_TEST_SUITE_P(Patterns, RecogniseAttentionTest, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case>& info) {
                           return std::string(info.param.name);
                         });

TEST(RecogniseAttention, HeadsAsOneAxisOfRankThree) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,T,12]
    %h = reshape(%x) : f32[N,T,3,4]
    %c = transpose(%h) {perm=[0,2,1,3]}
    %q = reshape(%c) : f32[3*N,T,4]
    %kt = transpose(%q) {perm=[0,2,1]}
    %s = matmul(%q, %kt)
    %p = softmax(%s) {axis=2}
    %y = matmul(%p, %q)
    output %y as "y")"),
                           {"recognise-attention", "dce"});
  const ir::Node* node = t.first(OpId::kAttention);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->input(0)->rank(), 4u);
  EXPECT_EQ(node->input(0)->shape()[1], ir::Dim(3)) << t.text();
}

// PyTorch's decomposition: factors before reshapes, products of rank 3, a softmax of rank 4 whose
// rows without keys become 0.
TEST(RecogniseAttention, DecomposedWithSafeSoftmax) {
  const auto t = Transform(Graph(R"(
    %q = input f32[N,2,T,4]
    %k = input f32[N,2,T,4]
    %v = input f32[N,2,T,3]
    %keep = input bool[N,1,1,T]
    %c = constant f32[] = [0.7]
    %zero = constant f32[] = [0]
    %none = constant f32[] = [-inf]
    %bias = where(%keep, %zero, %none)
    %q0 = mul(%q, %c)
    %q1 = reshape(%q0) : f32[2*N,T,4]
    %k0 = transpose(%k) {perm=[0,1,3,2]}
    %k1 = mul(%k0, %c)
    %k2 = reshape(%k1) : f32[2*N,4,T]
    %s0 = matmul(%q1, %k2)
    %s1 = reshape(%s0) : f32[N,2,T,T]
    %s2 = add(%s1, %bias)
    %p0 = softmax(%s2) {axis=3}
    %e0 = equal(%s2, %none)
    %e1 = logical_not(%e0)
    %e2 = cast(%e1) {to=6}
    %e3 = reduce(%e2) {kind=2, axes=[3], keepdims=1}
    %e4 = cast(%e3) {to=13}
    %e5 = logical_not(%e4)
    %p1 = where(%e5, %zero, %p0)
    %p2 = reshape(%p1) : f32[2*N,T,T]
    %v2 = reshape(%v) : f32[2*N,T,3]
    %y0 = matmul(%p2, %v2)
    %y = reshape(%y0) : f32[N,2,T,3]
    output %y as "y")"),
                           {"sink-scales", "recognise-attention", "remove-identities", "dce"});
  EXPECT_EQ(t.ops(), "attention where") << t.text();
  EXPECT_NEAR(t.first(OpId::kAttention)->Float("scale"), 0.49, 1e-6);
  EXPECT_EQ(t.first(OpId::kAttention)->Int("zero_empty"), 1);
}

TEST(RecogniseAttention, RepeatedHeadsAreShared) {
  const auto t = Transform(Graph(R"(
    %q = input f32[N,6,T,4]
    %k = input f32[N,2,T,4]
    %k1 = reshape(%k) : f32[N,2,1,T,4]
    %k2 = expand(%k1) : f32[N,2,3,T,4]
    %k3 = reshape(%k2) : f32[N,6,T,4]
    %kt = transpose(%k3) {perm=[0,1,3,2]}
    %s = matmul(%q, %kt)
    %p = softmax(%s) {axis=3}
    %y = matmul(%p, %k3)
    output %y as "y")"),
                           {"recognise-attention", "dce"});
  const ir::Node* node = t.first(OpId::kAttention);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->input(1)->shape()[1], ir::Dim(2)) << t.text();
  EXPECT_EQ(t.ops().find("expand"), std::string::npos) << t.ops();
}

TEST(RecogniseAttention, ConstantTriangles) {
  for (const char* mask : {"constant f32[3,3] = [0, -inf, -inf, 0, 0, -1e38, 0, 0, 0]",
                           "constant f32[1,1,3,3] = [0, -inf, -inf, 0, 0, -1e38, 0, 0, 0]"}) {
    const auto t = Transform(
        "graph @g symbols(N: 1..8) { %q = input f32[N,2,3,4]"
        "%kt = input f32[N,2,4,3] %v = input f32[N,2,3,4] %m = " +
            std::string(mask) + R"(
    %s = matmul(%q, %kt) %a = add(%s, %m) %p = softmax(%a) {axis=3} %y = matmul(%p, %v)
    output %y as "y" })",
        {"recognise-attention", "dce"});
    EXPECT_EQ(t.first(OpId::kAttention)->Int("causal"), 1);
    EXPECT_EQ(t.first(OpId::kAttention)->inputs().size(), 3u);
  }
}

TEST(UnflattenProducts, RowsKeepTheirAxes) {
  const auto t = Transform(Graph(R"(
    %w = constant f32[8,6] = random 1
    %c = constant f32[6] = random 2
    %f = input f32[5,N,8]
    %f2 = reshape(%f) : f32[5*N,8]
    %g = gemm(%f2, %w, %c) {alpha=1.0, beta=1.0, trans_a=0, trans_b=0}
    %y = reshape(%g) : f32[5,N,6]
    %m = matmul(%f2, %w)
    %z = reshape(%m) : f32[5,N,2,3]
    output %y as "y"
    output %z as "z")"),
                           {"unflatten-products", "remove-identities", "dce"});
  EXPECT_EQ(t.first(OpId::kMatMul)->output()->rank(), 3u) << t.text();
  EXPECT_EQ(t.ops(), "add matmul*2 reshape*2") << t.text();  // z: its last axis is another one.
}

const char kProjections[] = R"(
    %x = input f32[N,T,8]
    %z = input f32[N,T,8]
    %wq = constant f32[8,12] = random 1
    %wk = constant f32[8,6] = random 2
    %wv = constant f32[8,6] = random 3
    %bq = constant f32[12] = random 4
    %bv = constant f32[6] = random 5
    %q0 = matmul(%x, %wq) %q1 = add(%q0, %bq)
    %q2 = reshape(%q1) : f32[N,T,4,3] %q = transpose(%q2) {perm=[0,2,1,3]}
)";

TEST(MergeProjections, OneProductOfThree) {
  const auto t = Transform(Graph(std::string(kProjections) + R"(
    %k0 = matmul(%x, %wk) %k2 = reshape(%k0) : f32[N,T,2,3] %k = transpose(%k2) {perm=[0,2,1,3]}
    %v0 = matmul(%x, %wv) %v1 = add(%bv, %v0)
    %v2 = reshape(%v1) : f32[N,T,2,3] %v = transpose(%v2) {perm=[0,2,1,3]}
    %y = attention(%q, %k, %v) {scale=0.5, causal=1, zero_empty=0}
    output %y as "y")"),
                           {"merge-projections", "dce"});
  EXPECT_EQ(t.ops(), "add attention matmul reshape*3 slice*3 transpose*3");
  EXPECT_EQ(t.first(OpId::kMatMul)->input(1)->constant().dims(), (std::vector<int64_t>{8, 24}));
}

TEST(MergeProjections, KeysAndValuesOfAnotherInput) {
  const auto t = Transform(Graph(std::string(kProjections) + R"(
    %k0 = matmul(%z, %wk) %k2 = reshape(%k0) : f32[N,T,2,3] %k = transpose(%k2) {perm=[0,2,1,3]}
    %v0 = matmul(%z, %wv) %v2 = reshape(%v0) : f32[N,T,2,3] %v = transpose(%v2) {perm=[0,2,1,3]}
    %y = attention(%q, %k, %v) {scale=0.5, causal=0, zero_empty=0}
    output %y as "y")"),
                           {"merge-projections", "dce"});
  EXPECT_EQ(t.ops(), "add attention matmul*2 reshape*3 slice*2 transpose*3");
}

TEST(MergeProjections, NotWhatIsReadElsewhere) {
  const auto t = Transform(Graph(std::string(kProjections) + R"(
    %k0 = matmul(%x, %wk) %k2 = reshape(%k0) : f32[N,T,2,3] %k = transpose(%k2) {perm=[0,2,1,3]}
    %y = attention(%q, %k, %k) {scale=0.5, causal=0, zero_empty=0}
    output %y as "y")"),
                           {"merge-projections", "dce"});
  EXPECT_EQ(t.ops(), "add attention matmul*2 reshape*2 transpose*2");
}

}  // namespace
}  // namespace floe::passes
