// recognise-rotary: the spellings of rotary embeddings, and what only looks like one.
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

struct Case {
  const char* name;
  const char* nodes;         // Define %y from %x [N,2,T,8] and the angles below.
  int64_t interleaved = -1;  // -1: it is no rotary embedding.
  int64_t rotated = 8;
};

// Whole rows of angles, and one for each pair.
const char kHead[] = R"(
    %x = input f32[N,2,T,8]
    %c = input f32[1,1,T,8]
    %s = input f32[1,1,T,8]
    %ch = input f32[T,4]
    %sh = input f32[T,4]
    %table = input f32[1,1,T,4,2]
    %wide = input f32[N,2,T,20]
    %square = input f32[2,2,8]
    %row_c = input f32[8]
    %row_s = input f32[8]
    %minus = constant f32[] = [-1]
    %i0 = constant i64[] = [0]
    %i1 = constant i64[] = [1]
)";
#define FLOE_HALVES(x)                                   \
  "%x1 = slice(" x                                       \
  ") {starts=[0,0,0,0], steps=[1,1,1,1]} : f32[N,2,T,4]" \
  "%x2 = slice(" x ") {starts=[0,0,0,4], steps=[1,1,1,1]} : f32[N,2,T,4]\n"
#define FLOE_NEIGHBOURS                                                \
  "%x1 = slice(%x) {starts=[0,0,0,0], steps=[1,1,1,2]} : f32[N,2,T,4]" \
  "%x2 = slice(%x) {starts=[0,0,0,1], steps=[1,1,1,2]} : f32[N,2,T,4]\n"
#define FLOE_PAIRS                    \
  "%p = reshape(%x) : f32[N,2,T,4,2]" \
  "%x1 = gather(%p, %i0) {axis=4} %x2 = gather(%p, %i1) {axis=4}\n"
#define FLOE_PRODUCTS                                       \
  "%a = mul(%x1, %ch) %b = mul(%x2, %sh) %re = sub(%a, %b)" \
  "%d = mul(%sh, %x1) %e = mul(%x2, %ch) %im = add(%d, %e)\n"
#define FLOE_STACK(u, v)                                   \
  "%u1 = reshape(" u ") : f32[N,2,T,4,1] %v1 = reshape(" v \
  ") : f32[N,2,T,4,1]"                                     \
  "%w = concat(%u1, %v1) {axis=4}\n"

const Case kCases[] = {
    {"rotate_half",
     FLOE_HALVES("%x") "%n = neg(%x2) %r = concat(%n, %x1) {axis=3}"
                       "%a = mul(%x, %c) %b = mul(%r, %s) %y = add(%a, %b)\n",
     0},
    {"rotate_half_by_minus_one",
     FLOE_HALVES("%x") "%n = mul(%x2, %minus) %r = concat(%n, %x1) {axis=3}"
                       "%a = mul(%c, %x) %b = mul(%s, %r) %y = add(%b, %a)\n",
     0},
    {"both_sums", FLOE_HALVES("%x") FLOE_PRODUCTS "%y = concat(%re, %im) {axis=3}\n", 0},
    {"rows_of_halves",
     "%p = reshape(%x) : f32[N,2,T,2,4]"
     "%p1 = slice(%p) {starts=[0,0,0,0,0], steps=[1,1,1,1,1]} : f32[N,2,T,1,4]"
     "%p2 = slice(%p) {starts=[0,0,0,1,0], steps=[1,1,1,1,1]} : f32[N,2,T,1,4]"
     "%x1 = reshape(%p1) : f32[N,2,T,4] %x2 = reshape(%p2) : f32[N,2,T,4]\n" FLOE_PRODUCTS
     "%q1 = reshape(%re) : f32[N,2,T,1,4] %q2 = reshape(%im) : f32[N,2,T,1,4]"
     "%q = concat(%q1, %q2) {axis=3} %y = reshape(%q) : f32[N,2,T,8]\n",
     0},
    {"a_part",
     "%part = slice(%x) {starts=[0,0,0,0], steps=[1,1,1,1]} : f32[N,2,T,4]"
     "%rest = slice(%x) {starts=[0,0,0,4], steps=[1,1,1,1]} : f32[N,2,T,4]"
     "%x1 = slice(%part) {starts=[0,0,0,0], steps=[1,1,1,1]} : f32[N,2,T,2]"
     "%x2 = slice(%part) {starts=[0,0,0,2], steps=[1,1,1,1]} : f32[N,2,T,2]"
     "%n = neg(%x2) %r = concat(%n, %x1) {axis=3}"
     "%a = mul(%part, %ch) %b = mul(%r, %sh) %t = add(%a, %b) %y = concat(%t, %rest) {axis=3}\n",
     0, 4},
    {"within_wider_rows",
     "%v = slice(%wide) {starts=[0,0,0,6], steps=[1,1,1,1]} : f32[N,2,T,8]\n" FLOE_HALVES("%v")
         FLOE_PRODUCTS "%y = concat(%re, %im) {axis=3}\n",
     0},
    {"rotate_every_two",
     FLOE_NEIGHBOURS
     "%n = neg(%x2)\n" FLOE_STACK("%n", "%x1") "%r = reshape(%w) : f32[N,2,T,8] %a = mul(%x, %c) "
                                               "%b = mul(%r, %s) %y = add(%a, %b)\n",
     1},
    {"neighbours",
     FLOE_NEIGHBOURS FLOE_PRODUCTS FLOE_STACK("%re", "%im") "%y = reshape(%w) : f32[N,2,T,8]\n", 1},
    {"pairs", FLOE_PAIRS FLOE_PRODUCTS FLOE_STACK("%re", "%im") "%y = reshape(%w) : f32[N,2,T,8]\n",
     1},
    {"pairs_whose_heads_are_joined",
     FLOE_PAIRS FLOE_PRODUCTS FLOE_STACK("%re", "%im") "%y = reshape(%w) : f32[2*N,T,8]\n", 1},
    {"pairs_by_a_table",
     FLOE_PAIRS "%cc = gather(%table, %i0) {axis=4} %ss = gather(%table, %i1) {axis=4}"
                "%a = mul(%x1, %cc) %b = mul(%x2, %ss) %re = sub(%a, %b)"
                "%d = mul(%x1, %ss) %e = mul(%x2, %cc) %im = add(%d, %e)\n" FLOE_STACK(
                    "%re", "%im") "%y = reshape(%w) : f32[N,2,T,8]\n",
     1},
    // The partner is of one batch, for all of them.
    {"partner_of_one_row",
     "%v = gather(%square, %i0) {axis=1}"
     "%v1 = slice(%v) {starts=[0,0], steps=[1,1]} : f32[2,4]"
     "%v2 = slice(%v) {starts=[0,4], steps=[1,1]} : f32[2,4]"
     "%n = neg(%v2) %r = concat(%n, %v1) {axis=1}"
     "%a = mul(%square, %row_c) %b = mul(%r, %row_s) %y = add(%a, %b)\n"},
    {"turned_the_other_way",
     FLOE_HALVES("%x") "%n = neg(%x1) %r = concat(%x2, %n) {axis=3}"
                       "%a = mul(%x, %c) %b = mul(%r, %s) %y = add(%a, %b)\n"},
    {"no_sign", FLOE_HALVES("%x") "%r = concat(%x2, %x1) {axis=3}"
                                  "%a = mul(%x, %c) %b = mul(%r, %s) %y = add(%a, %b)\n"},
    {"halves_in_place", FLOE_HALVES("%x") "%n = neg(%x1) %r = concat(%n, %x2) {axis=3}"
                                          "%a = mul(%x, %c) %b = mul(%r, %s) %y = add(%a, %b)\n"},
    {"neighbours_as_halves", FLOE_NEIGHBOURS FLOE_PRODUCTS "%y = concat(%re, %im) {axis=3}\n"},
    {"other_angles_for_one_half",
     FLOE_HALVES("%x") "%a = mul(%x1, %ch) %b = mul(%x2, %sh) %re = sub(%a, %b)"
                       "%d = mul(%sh, %x1) %e = mul(%x2, %sh) %im = add(%d, %e)"
                       "%y = concat(%re, %im) {axis=3}\n"},
};

class RecogniseRotaryTest : public testing::TestWithParam<Case> {};

TEST_P(RecogniseRotaryTest, KeepsTheNumbers) {
  const Case& c = GetParam();
  const auto t = Transform(Graph(std::string(kHead) + c.nodes + "output %y as \"y\""),
                           {"recognise-rotary", "dce"});
  if (c.interleaved < 0) {
    EXPECT_EQ(t.ops().find("rotary"), std::string::npos) << t.text();
    return;
  }
  const ir::Node* node = t.first(OpId::kRotary);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->Int("interleaved"), c.interleaved) << t.text();
  EXPECT_EQ(node->Int("rotated"), c.rotated) << t.text();
  for (const char* op : {"mul", "add", "sub", "neg", "concat"}) {
    EXPECT_EQ(t.ops().find(op), std::string::npos) << t.text();
  }
}

INSTANTIATE_TEST_SUITE_P(Spellings, RecogniseRotaryTest, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<Case>& info) {
                           return std::string(info.param.name);
                         });

// cos(cat(a, a)): what stands in both halves is read once, if moves are all that lies between.
TEST(RecogniseRotary, OneNumberForBothHalves) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,2,T,8]
    %ch = input f32[1,1,T,4]
    %sh = input f32[1,1,T,4]
    %c = concat(%ch, %ch) {axis=3}
    %s = concat(%sh, %sh) {axis=3}
    %x1 = slice(%x) {starts=[0,0,0,0], steps=[1,1,1,1]} : f32[N,2,T,4]
    %x2 = slice(%x) {starts=[0,0,0,4], steps=[1,1,1,1]} : f32[N,2,T,4]
    %n = neg(%x2)
    %r = concat(%n, %x1) {axis=3}
    %a = mul(%x, %c)
    %b = mul(%r, %s)
    %y = add(%a, %b)
    output %y as "y")"),
                           {"recognise-rotary", "dce"});
  const ir::Node* node = t.first(OpId::kRotary);
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(t.ops(), "rotary") << t.text();
}

// Queries and keys are turned, values are not: all three are still one product.
TEST(RecogniseRotary, ProjectionsAreJoinedBeforeIt) {
  std::string text = R"(
    %x = input f32[N,T,8]
    %c = input f32[1,1,T,4]
    %s = input f32[1,1,T,4]
)";
  for (const char* p : {"q", "k", "v"}) {
    const std::string name = p;
    text += "%w" + name + " = constant f32[8,8] = [";
    for (int i = 0; i < 64; ++i) {
      text += (i > 0 ? ", " : "") + std::to_string((i * 7 + p[0]) % 11 * 0.1 - 0.5);
    }
    text += "]\n%" + name + "0 = matmul(%x, %w" + name + ")\n%" + name + "1 = reshape(%" + name +
            "0) : f32[N,T,2,4]\n%" + name + "2 = transpose(%" + name + "1) {perm=[0,2,1,3]}\n";
  }
  text += R"(
    %q3 = rotary(%q2, %c, %s) {interleaved=1, rotated=4}
    %k3 = rotary(%k2, %c, %s) {interleaved=1, rotated=4}
    %y = attention(%q3, %k3, %v2) {scale=0.5, causal=1, zero_empty=0}
    output %y as "y"
)";
  const auto t = Transform(Graph(text), {"merge-projections", "dce"});
  EXPECT_EQ(t.ops(), "attention matmul reshape*3 rotary*2 slice*3 transpose*3") << t.text();
}

}  // namespace
}  // namespace floe::passes
