// widen-half: f16 and bf16 models compute in f32 and show their own types.
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

bool IsHalf(DType t) { return t == DType::kF16 || t == DType::kBF16; }

// Every half value is an input, a state, an output, or stands between the two casts that round it.
void ExpectWide(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* v : node->outputs()) {
      if (v != nullptr && IsHalf(v->dtype())) {
        EXPECT_EQ(node->op(), OpId::kCast) << v->name();
      }
    }
    for (const ir::Value* v : node->inputs()) {
      if (v != nullptr && IsHalf(v->dtype())) {
        EXPECT_EQ(node->op(), OpId::kCast) << v->name();
      }
    }
    for (const auto& body : node->bodies) {
      ExpectWide(*body);
      for (const ir::Value* v : body->inputs()) EXPECT_FALSE(IsHalf(v->dtype())) << v->name();
      for (const ir::Value* v : body->outputs()) EXPECT_FALSE(IsHalf(v->dtype())) << v->name();
    }
  }
}

TEST(WidenHalf, CastsAtTheEdgesOnly) {
  for (const char* type : {"f16", "bf16"}) {
    const std::string t = type;
    const auto wide =
        Transform(Graph("%x = input " + t + "[N,6]\n" +  //
                        "%w = constant " + t + "[6,5] = random 1\n" + "%b = constant " + t +
                        "[5] = random 2\n" +
                        "%p = matmul(%x, %w)\n"
                        "%s = add(%p, %b)\n"
                        "%y = softmax(%s) {axis=1}\n"
                        "%best = arg_reduce(%y) {max=1, axis=1, keepdims=0, "
                        "select_last_index=0}\n"
                        "output %y as \"y\" output %s as \"s\" output %y as \"again\""),
                  {"widen-half"}, t == "f16" ? 2e-3 : 2e-2);
    EXPECT_EQ(wide.ops(), "add arg_reduce cast*3 matmul softmax");  // One in, two out.
    ExpectWide(*wide.graph);
    EXPECT_EQ(wide.graph->FindValue("w"), nullptr);  // Only the f32 weights are left.
    EXPECT_EQ(wide.graph->outputs()[0], wide.graph->outputs()[2]);
    ASSERT_EQ(wide.report.lines.size(), 1u);
    EXPECT_EQ(wide.report.lines[0],
              "widened 3 nodes and 2 constants from f16 or bf16 to f32, with 3 casts at inputs, "
              "outputs, states and the model's own casts");
  }
}

TEST(WidenHalf, RoundsNowhereBetween) {
  // 2048 + 1 is no f16; the sum is kept until it is shown.
  auto graph = ir::Parse(
      "graph @g { %x = input f16[1] %one = constant f16[] = [1] %a = add(%x, %one) "
      "%b = sub(%a, %x) output %b as \"b\" }");
  const ir::Tensor x = ir::MakeTensor<uint16_t>(DType::kF16, {1}, {0x6800});
  EXPECT_EQ((*ir::Evaluate(*graph, {{x}}))[0].DoubleAt(0), 0.0);
  Report report;
  ASSERT_TRUE(FindPass("widen-half").run(*graph, report).ok());
  EXPECT_EQ((*ir::Evaluate(*graph, {{x}}))[0].DoubleAt(0), 1.0);
}

TEST(WidenHalf, KeepsTheModelsOwnCasts) {
  const auto t = Transform(Graph(R"(
    %x = input f32[N,4]
    %h = cast(%x) {to=3}
    %s = mul(%h, %h)
    %b = cast(%s) {to=4}
    %back = cast(%b) {to=1}
    %i = cast(%s) {to=9}
    output %back as "back"
    output %b as "b"
    output %i as "i")"),
                           {"widen-half"}, 1e-2);
  // to f16 and back, to bf16 and back, the former to f32 (idle now), to i32.
  EXPECT_EQ(t.ops(), "cast*6 mul");
  ExpectWide(*t.graph);
  EXPECT_EQ(t.graph->outputs()[1]->name(), "b");
  EXPECT_EQ(t.graph->FindValue("b")->dtype(), DType::kBF16);
}

TEST(WidenHalf, CastsToTheSameTypeRoundNothing) {
  const auto t = Transform(Graph(R"(
    %x = input f16[N,4]
    %s = exp(%x)
    %same = cast(%s) {to=3}
    %y = neg(%same)
    output %y as "y")"),
                           {"widen-half"}, 1e-2);
  EXPECT_EQ(t.ops(), "cast*2 exp neg");
}

TEST(WidenHalf, PassesOnWhatItDoesNotCompute) {
  const auto t = Transform(Graph(R"(
    %x = input f16[N,4]
    %c = constant bf16[2] = [1, 2]
    %d = constant f16[4] = random 3
    %y = add(%x, %d)
    output %x as "x"
    output %c as "c"
    output %d as "d"
    output %y as "y")"),
                           {"widen-half"}, 1e-2);
  EXPECT_EQ(t.ops(), "add cast*2");
  EXPECT_EQ(t.graph->outputs()[0], t.graph->inputs()[0]);
  EXPECT_TRUE(t.graph->outputs()[1]->is_constant());
  EXPECT_EQ(t.graph->outputs()[2]->dtype(), DType::kF16);
}

TEST(WidenHalf, MadeTensorsHoldRoundedNumbers) {
  const auto t = Transform(Graph(R"(
    %x = input f16[N,4]
    %tenth = constant_of_shape() {value=0.1} : f16[4]
    %zero = constant f16[] = [0]
    %step = constant f16[] = [0.5]
    %end = constant f16[] = [2]
    %r = range(%zero, %end, %step) : f16[4]
    %a = mul(%x, %tenth)
    %y = add(%a, %r)
    output %y as "y")"),
                           {"widen-half"}, 2e-3);
  EXPECT_EQ(t.first(OpId::kConstantOfShape)->Float("value"), 0.0999755859375);
  ExpectWide(*t.graph);
}

TEST(WidenHalf, StatesKeepTheirTypes) {
  const auto t = Transform(Graph(R"(
    %x = input f16[1,2]
    %h = state "h" f16[1,2] = [0.5, -1.0]
    %kept = state "kept" bf16[1] = [2]
    %sum = add(%x, %h)
    %y = tanh(%sum)
    state "h" = %y
    output %sum as "y")"),
                           {"widen-half"}, 2e-3);
  EXPECT_EQ(t.ops(), "add cast*4 tanh");
  EXPECT_EQ(t.graph->states()[0].value->dtype(), DType::kF16);
  EXPECT_EQ(t.graph->states()[0].result->dtype(), DType::kF16);
  EXPECT_EQ(t.graph->states()[1].result, nullptr);
  ExpectWide(*t.graph);
}

TEST(WidenHalf, BodiesComputeInF32) {
  const auto t = Transform(Graph(R"(
    %x = input f16[N,3]
    %go = input bool[]
    %trips = constant i64[] = [3]
    %y = loop(%trips, %go, %x, %x) {carried=1, max_trips=3} : f16[N,3] body {
      %i = input i64[]
      %h = input f16[N,3]
      %x = input f16[N,3]
      %half = constant f16[] = [0.5]
      %yes = constant bool[] = [1]
      %a = mul(%h, %half)
      %s = add(%a, %x)
      %wide = cast(%s) {to=1}
      %e = tanh(%wide)
      %n = cast(%e) {to=3}
      output %yes as "condition"
      output %n as "h"
    }
    %z = if(%go, %y) : f16[N,3] then {
      %y = input f16[N,3]
      output %y as "z"
    } else {
      %y = input f16[N,3]
      %n = neg(%y)
      output %n as "z"
    }
    output %z as "z")"),
                           {"widen-half"}, 5e-3);
  ExpectWide(*t.graph);
  EXPECT_EQ(t.ops(), "cast*2 if loop");
  EXPECT_EQ(OpsOf(*t.first(OpId::kLoop)->bodies[0]), "add cast*3 mul tanh");
}

TEST(WidenHalf, LeavesOtherModelsAlone) {
  const auto t = Transform(Graph(R"(
    %x = input f64[N,4]
    %y = exp(%x)
    %z = cast(%y) {to=1}
    output %z as "z")"),
                           {"widen-half"});
  EXPECT_EQ(t.ops(), "cast exp");
  EXPECT_TRUE(t.report.lines.empty());
}

TEST(WidenHalf, WholeModelsReachTheF32Kernels) {
  const auto t = TransformAll(Graph(R"(
    %x = input f16[N,3,8,8]
    %w = constant f16[4,3,3,3] = random 1 -0.2 0.2
    %b = constant f16[4] = random 2
    %f = constant f16[4,5] = random 3
    %c = conv(%x, %w, %b) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
    %r = relu(%c)
    %m = reduce(%r) {kind=1, axes=[2,3], keepdims=0}
    %y = matmul(%m, %f)
    output %y as "y")"),
                              5e-3);
  EXPECT_EQ(t.ops(), "cast*2 conv matmul reduce");
  EXPECT_FALSE(t.first(OpId::kConv)->code.empty());  // The epilogue was fused, as for f32.
  ExpectWide(*t.graph);
}

TEST(WidenHalf, CanBeSkipped) {
  auto graph = ir::Parse("graph @g { %x = input f16[4] %y = exp(%x) output %y as \"y\" }");
  Report report;
  PassOptions options;
  options.skip = {"widen-half"};
  ASSERT_TRUE(RunPasses(*graph, StandardPipeline(), options, report).ok());
  EXPECT_EQ(OpsOf(*graph), "exp");
  EXPECT_EQ(graph->nodes().front()->output()->dtype(), DType::kF16);
}

}  // namespace
}  // namespace floe::passes
