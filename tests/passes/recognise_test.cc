// recognise-norms, recognise-activations.
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

struct Case {
  const char* nodes;  // Define %y.
  const char* ops;
};

const char kNormHead[] = R"(
    %x = input f32[N,T,6]
    %two = constant f32[] = [2]
    %one = constant f32[] = [1]
    %eps = constant f32[1] = [1e-3]
    %g = constant f32[6] = random 1
    %b = constant f32[6] = random 2
)";
#define FLOE_MEAN(x) "reduce(" x ") {kind=1, axes=[2], keepdims=1}\n"
#define FLOE_CENTRE "%m = " FLOE_MEAN("%x") "%d = sub(%x, %m)\n"

TEST(RecogniseNorms, Patterns) {
  const Case kCases[] = {
      {FLOE_CENTRE
       "%p = pow(%d, %two) %v = " FLOE_MEAN("%p") "%a = add(%v, %eps) %s = sqrt(%a) %n = div(%d, "
                                                  "%s) %q = mul(%n, %g) %y = add(%q, %b)",
       "layer_norm"},
      {FLOE_CENTRE
       "%p = mul(%d, %d) %v = " FLOE_MEAN("%p") "%a = add(%eps, %v) %s = sqrt(%a) %n = div(%d, %s) "
                                                "%q = mul(%g, %n) %y = add(%b, %q)",
       "layer_norm"},
      {FLOE_CENTRE "%p = mul(%d, %d) %v = " FLOE_MEAN(
           "%p") "%a = add(%v, %eps) %s = rsqrt(%a) %y = mul(%s, %d)",
       "layer_norm"},
      {FLOE_CENTRE
       "%p = mul(%d, %d) %v = " FLOE_MEAN("%p") "%a = add(%v, %eps) %s = sqrt(%a) %r = "
                                                "reciprocal(%s) %n = mul(%d, %r) %y = add(%n, %b)",
       "layer_norm"},
      {FLOE_CENTRE "%p = mul(%d, %d) %v = " FLOE_MEAN(
           "%p") "%a = add(%v, %eps) %s = sqrt(%a) %r = div(%one, %s) %y = mul(%d, %r)",
       "layer_norm"},
      {"%p = pow(%x, %two) %v = " FLOE_MEAN(
           "%p") "%a = add(%v, %eps) %s = rsqrt(%a) %n = mul(%x, %s) %y = mul(%n, %g)",
       "rms_norm"},
      {"%p = mul(%x, %x) %v = " FLOE_MEAN("%p") "%a = add(%v, %eps) %s = sqrt(%a) %y = div(%x, %s)",
       "rms_norm"},
      {"%m = reduce(%x) {kind=1, axes=[1,2], keepdims=1} %d = sub(%x, %m) %p = mul(%d, %d)"
       "%v = reduce(%p) {kind=1, axes=[1,2], keepdims=1}"
       "%a = add(%v, %eps) %s = sqrt(%a) %y = div(%d, %s)",
       "layer_norm"},
      // Not the last axes; a sum; another variable; a variable epsilon.
      {"%m = reduce(%x) {kind=1, axes=[1], keepdims=1} %d = sub(%x, %m) %p = mul(%d, %d)"
       "%v = reduce(%p) {kind=1, axes=[1], keepdims=1}"
       "%a = add(%v, %eps) %s = sqrt(%a) %y = div(%d, %s)",
       "add div mul reduce*2 sqrt sub"},
      {"%p = mul(%x, %x) %v = reduce(%p) {kind=0, axes=[2], keepdims=1}"
       "%a = add(%v, %eps) %s = sqrt(%a) %y = div(%x, %s)",
       "add div mul reduce sqrt"},
      {"%z = exp(%x) %p = mul(%x, %x) %v = " FLOE_MEAN(
           "%p") "%a = add(%v, %eps) %s = sqrt(%a) %y = div(%z, %s)",
       "add div exp mul reduce sqrt"},
  };
  for (const Case& c : kCases) {
    const std::string head = kNormHead;
    const auto t =
        Transform(Graph(head + c.nodes + "\noutput %y as \"y\""), {"recognise-norms"}, 1e-4);
    EXPECT_EQ(t.ops(), c.ops) << c.nodes;
  }
}

TEST(RecogniseNorms, KeepsWhatOthersRead) {
  const auto t = Transform(Graph(std::string(R"(
    %x = input f32[N,T,6]
    %eps = constant f32[1] = [1e-3]
    %g = constant f32[6] = random 1
)") + FLOE_CENTRE "%p = mul(%d, %d) %v = " FLOE_MEAN("%p") R"(
    %a = add(%v, %eps)
    %s = sqrt(%a)
    %n = div(%d, %s)
    %y = mul(%n, %g)
    %z = add(%n, %d)
    output %y as "y"
    output %z as "z")"),
                           {"recognise-norms"}, 1e-4);
  EXPECT_EQ(t.ops(), "add layer_norm mul reduce sub");
}

const char kActivationHead[] = R"(
    %x = input f32[N,3]
    %z = input f32[N,3]
    %half = constant f32[] = [0.5]
    %one = constant f32[] = [1]
    %two = constant f32[] = [2]
    %three = constant f32[] = [3]
    %six = constant f32[] = [6]
    %sixth = constant f32[] = [0.16666667]
    %root2 = constant f32[] = [1.41421354]
    %rroot2 = constant f32[] = [0.70710677]
    %k = constant f32[] = [0.044715]
    %c = constant f32[] = [0.7978846]
)";

TEST(RecogniseActivations, Patterns) {
  const Case kCases[] = {
      {"%a = div(%x, %root2) %e = erf(%a) %o = add(%e, %one) %p = mul(%x, %o) %y = mul(%p, %half)",
       "gelu"},
      {"%h = mul(%x, %half) %a = mul(%x, %rroot2) %e = erf(%a) %o = add(%one, %e) %y = mul(%h, %o)",
       "gelu"},
      {"%a = mul(%rroot2, %x) %e = erf(%a) %o = add(%e, %one) %h = mul(%half, %o) %y = mul(%x, %h)",
       "gelu"},
      {"%a = mul(%rroot2, %x) %e = erf(%a) %o = add(%e, %one) %h = mul(%x, %o) %y = div(%h, %two)",
       "gelu"},
      {"%q = pow(%x, %three) %r = mul(%q, %k) %s = add(%x, %r) %u = mul(%s, %c) %t = tanh(%u)"
       "%o = add(%t, %one) %h = mul(%half, %x) %y = mul(%h, %o)",
       "gelu"},
      {"%q = mul(%x, %x) %q3 = mul(%q, %x) %r = mul(%k, %q3) %s = add(%x, %r) %u = mul(%c, %s)"
       "%t = tanh(%u) %o = add(%one, %t) %h = mul(%half, %o) %y = mul(%x, %h)",
       "gelu"},
      {"%kx = mul(%k, %x) %kxx = mul(%kx, %x) %i = add(%one, %kxx) %cx = mul(%c, %x)"
       "%u = mul(%cx, %i) %t = tanh(%u) %o = add(%t, %one) %p = mul(%x, %o) %y = mul(%p, %half)",
       "gelu"},
      {"%s = sigmoid(%x) %y = mul(%x, %s)", "silu"},
      {"%s = sigmoid(%x) %y = mul(%s, %x)", "silu"},
      {"%a = add(%x, %three) %r = clamp(%a) {min=0.0, max=6.0} %p = mul(%x, %r) %y = div(%p, %six)",
       "hard_swish"},
      {"%a = add(%three, %x) %r = clamp(%a) {min=0.0, max=6.0} %p = mul(%r, %sixth) %y = mul(%x, "
       "%p)",
       "hard_swish"},
      {"%h = hard_sigmoid(%x) {alpha=0.16666666666666666, beta=0.5} %y = mul(%x, %h)",
       "hard_swish"},
      {"%s = softplus(%x) %t = tanh(%s) %y = mul(%x, %t)", "mish"},
      // Another variable, another number, a reader inside.
      {"%s = sigmoid(%z) %y = mul(%x, %s)", "mul sigmoid"},
      {"%s = sigmoid(%x) %p = mul(%x, %s) %y = mul(%p, %two)", "mul silu"},
      {"%a = div(%x, %two) %e = erf(%a) %o = add(%e, %one) %p = mul(%x, %o) %y = mul(%p, %half)",
       "add div erf mul*2"},
      {"%a = add(%x, %three) %r = clamp(%a) {min=0.0, max=5.0} %p = mul(%x, %r) %y = div(%p, %six)",
       "add clamp div mul"},
  };
  for (const Case& c : kCases) {
    const auto t = Transform(Graph(std::string(kActivationHead) + c.nodes + "\noutput %y as \"y\""),
                             {"recognise-activations"}, 1e-5);
    EXPECT_EQ(t.ops(), c.ops) << c.nodes;
    const bool tanh = std::string(c.nodes).find("tanh(%u)") != std::string::npos;
    if (t.ops() == "gelu") {
      EXPECT_EQ(t.first(OpId::kGelu)->Int("tanh"), tanh ? 1 : 0) << c.nodes;
    }
  }
}

}  // namespace
}  // namespace floe::passes
