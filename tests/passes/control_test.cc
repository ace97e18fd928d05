// Passes around and inside branches and loops: what is inlined, moved, dropped and kept.
#include "compiler/ir/control.h"

#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

// All ops of the graph and of its bodies, bodies in brackets: "if[add|mul] relu".
std::string NestedOps(const ir::Graph& graph) {
  std::string text;
  for (const auto& node : graph.nodes()) {
    text += (text.empty() ? "" : " ") + std::string(OpRow(node->op()).name);
    for (size_t i = 0; i < node->bodies.size(); ++i) {
      text += (i == 0 ? "[" : "|") + NestedOps(*node->bodies[i]);
    }
    if (!node->bodies.empty()) text += "]";
  }
  return text;
}

struct Case {
  const char* name;
  const char* lines;
  const char* ops;  // NestedOps after the passes.
};

constexpr Case kCases[] = {
    {"inlines_the_branch_that_is_taken", R"(
  %x = input f32[N,4]
  %no = constant bool[] = [0]
  %y = if(%no, %x) : f32[N,4] then {
    %x = input f32[N,4]
    %r = tanh(%x)
    output %r as "y"
  } else {
    %x = input f32[N,4]
    %r = exp(%x)
    output %r as "y"
  }
  output %y as "y")",
     "exp"},
    {"decides_conditions_that_dimensions_decide", R"(
  %x = input f32[N,4]
  %rows = shape_of(%x) {start=0, end=1}
  %flat = reshape(%rows) : i64[]
  %nine = constant i64[] = [9]
  %c = less(%flat, %nine)
  %y = if(%c, %x, %c) : f32[N,4] then {
    %x = input f32[N,4]
    %c = input bool[]
    %n = logical_not(%c)
    %i = if(%n, %x) : f32[N,4] then {
      %x = input f32[N,4]
      output %x as "i"
    } else {
      %x = input f32[N,4]
      %r = exp(%x)
      output %r as "i"
    }
    output %i as "y"
  } else {
    %x = input f32[N,4]
    %c = input bool[]
    output %x as "y"
  }
  output %y as "y")",
     "exp"},
    {"folds_weights_inside_bodies", R"(
  %x = input f32[N,4]
  %b = input bool[]
  %w = constant f32[4,4] = random 1
  %t = transpose(%w) {perm=[1,0]}
  %y = if(%b, %x, %t, %t) : f32[N,4] then {
    %x = input f32[N,4]
    %t = input f32[4,4]
    %t2 = input f32[4,4]
    %u = add(%t, %t2)
    %r = matmul(%x, %u)
    output %r as "y"
  } else {
    %x = input f32[N,4]
    %t = input f32[4,4]
    %t2 = input f32[4,4]
    %unused = tanh(%x)
    output %x as "y"
  }
  output %y as "y")",
     "if[matmul|]"},
    {"drops_results_and_captures_that_nobody_reads", R"(
  %x = input f32[N,4]
  %b = input bool[]
  %lost = exp(%x)
  %y, %z = if(%b, %x, %lost) : f32[N,4], f32[N,4] then {
    %x = input f32[N,4]
    %lost = input f32[N,4]
    %r = tanh(%x)
    output %r as "y"
    output %lost as "z"
  } else {
    %x = input f32[N,4]
    %lost = input f32[N,4]
    %s = add(%lost, %x)
    output %x as "y"
    output %s as "z"
  }
  output %y as "y")",
     "if[tanh|]"},
    {"drops_an_if_that_gives_what_it_was_given", R"(
  %x = input f32[N,4]
  %b = input bool[]
  %e = exp(%x)
  %y = if(%b, %e) : f32[N,4] then {
    %x = input f32[N,4]
    output %x as "y"
  } else {
    %x = input f32[N,4]
    output %x as "y"
  }
  %z = relu(%y)
  output %z as "z")",
     "exp relu"},
    {"keeps_an_if_for_its_check", R"(
  %x = input f32[N,4]
  %b = input bool[]
  if(%b, %x) then {
    %x = input f32[N,4]
    %nan = is_nan(%x)
    %fine = logical_not(%nan)
    check(%fine) "a number"
  } else {
    %x = input f32[N,4]
    %lost = exp(%x)
  }
  %y = tanh(%x)
  output %y as "y")",
     "if[is_nan logical_not check|] tanh"},
    {"drops_loops_that_never_run_and_inlines_those_that_run_once", R"(
  %x = input f32[N,4]
  %b = input bool[]
  %one = constant i64[] = [1]
  %none = constant i64[] = [-2]
  %yes = constant bool[] = [1]
  %y = loop(%one, %yes, %x) {carried=1, max_trips=5} : f32[N,4] body {
    %i = input i64[]
    %x = input f32[N,4]
    %b = constant bool[] = [1]
    %r = tanh(%x)
    output %b as "go"
    output %r as "x"
  }
  %z = loop(%none, %b, %y) {carried=1, max_trips=5} : f32[N,4] body {
    %i = input i64[]
    %x = input f32[N,4]
    %b = constant bool[] = [1]
    %r = exp(%x)
    output %b as "go"
    output %r as "x"
  }
  output %z as "z")",
     "tanh"},
    {"drops_carried_values_that_only_feed_themselves", R"(
  %x = input f32[N,4]
  %n = input i64[]
  %yes = constant bool[] = [1]
  %y, %a, %b, %c = loop(%n, %yes, %x, %x, %x, %x) {carried=4, max_trips=5} : f32[N,4], f32[N,4], f32[N,4], f32[N,4] body {
    %i = input i64[]
    %y = input f32[N,4]
    %a = input f32[N,4]
    %b = input f32[N,4]
    %c = input f32[N,4]
    %yes = constant bool[] = [1]
    %y2 = add(%y, %c)
    %a2 = exp(%b)
    %b2 = sin(%a)
    output %yes as "go"
    output %y2 as "y"
    output %a2 as "a"
    output %b2 as "b"
    output %c as "c"
  }
  output %y as "y")",
     "loop[add]"},
    {"keeps_carried_values_that_decide_the_condition", R"(
  %x = input f32[N,4]
  %n = input i64[]
  %yes = constant bool[] = [1]
  %y, %k = loop(%n, %yes, %x, %n) {carried=2, max_trips=5} : f32[N,4], i64[] body {
    %i = input i64[]
    %y = input f32[N,4]
    %k = input i64[]
    %three = constant i64[] = [3]
    %y2 = tanh(%y)
    %k2 = add(%k, %k)
    %go = less(%k2, %three)
    output %go as "go"
    output %y2 as "y"
    output %k2 as "k"
  }
  output %y as "y")",
     "loop[tanh add less]"},
    {"keeps_states_and_drops_checks_that_hold", R"(
  %x = input f32[2,4]
  %h = state "h" f32[2,4] = random 1
  %yes = constant bool[3] = [1, 1, 1]
  check(%yes) "always"
  %g = add(%x, %h)
  %t = tanh(%g)
  %lost = exp(%g)
  state "h" = %t
  output %g as "g")",
     "add tanh"},
};

class ControlPasses : public testing::TestWithParam<Case> {};

TEST_P(ControlPasses, MakeWhatTheyPromiseAndKeepTheNumbers) {
  std::vector<Pass> passes;  // Fusion would hide what the ops were.
  for (const Pass& pass : StandardPipeline()) {
    if (std::string_view(pass.name).substr(0, 4) != "fuse") passes.push_back(pass);
  }
  const Transformed t = TransformWith(Graph(GetParam().lines), std::move(passes));
  EXPECT_EQ(NestedOps(*t.graph), GetParam().ops) << t.text();
}

INSTANTIATE_TEST_SUITE_P(Cases, ControlPasses, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ControlPasses, FuseInsideBodies) {
  const Transformed t = TransformAll(Graph(R"(
  %x = input f32[N,4]
  %n = input i64[]
  %w = constant f32[4,4] = random 1 -0.5 0.5
  %v = constant f32[4] = random 2
  %yes = constant bool[] = [1]
  %y = loop(%n, %yes, %x, %w, %v) {carried=1, max_trips=3} : f32[N,4] body {
    %i = input i64[]
    %x = input f32[N,4]
    %w = input f32[4,4]
    %v = input f32[4]
    %yes = constant bool[] = [1]
    %m = matmul(%x, %w)
    %a = add(%m, %v)
    %r = relu(%a)
    output %yes as "go"
    output %r as "x"
  }
  output %y as "y")"));
  EXPECT_EQ(NestedOps(*t.graph), "loop[gemm]") << t.text();
}

TEST(ControlPasses, BoundLoopsByTheirTripsAndCaptureWhatTheyPassOn) {
  const Transformed t = TransformAll(Graph(R"(
  %x = input f32[N,4]
  %n = constant i64[] = [4]
  %yes = constant bool[] = [1]
  %y, %k = loop(%n, %yes, %x, %x) {carried=2, max_trips=500} : f32[N,4], f32[N,4] body {
    %i = input i64[]
    %y = input f32[N,4]
    %k = input f32[N,4]
    %yes = constant bool[] = [1]
    %y2 = sub(%k, %y)
    output %yes as "go"
    output %y2 as "y"
    output %k as "k"
  }
  %z = add(%y, %k)
  output %z as "z")"));
  const ir::Node* loop = t.first(OpId::kLoop);
  EXPECT_EQ(loop->Int("max_trips"), 4);
  EXPECT_EQ(loop->Int("carried"), 1);
  EXPECT_EQ(loop->inputs().size(), 4u) << t.text();
}

TEST(ControlPasses, AreRunInBodiesByName) {
  std::map<std::string, int> runs;
  static std::map<std::string, int>* counted = nullptr;
  counted = &runs;
  const Pass kPass = {"count", "counts the graphs that it sees", [](ir::Graph& g, Report&) {
                        ++(*counted)[g.is_body ? g.name : "outermost"];
                        return absl::OkStatus();
                      }};
  auto graph = ir::Parse(
      "graph @g { %b = input bool[] if(%b, %b) then { %b = input bool[] if(%b) then { } else { } } "
      "else { %b = input bool[] } }");
  Report report;
  ASSERT_TRUE(RunPasses(*graph, {&kPass, 1}, {}, report).ok());
  EXPECT_EQ(runs, (std::map<std::string, int>{{"outermost", 1}, {"then", 2}, {"else", 2}}));
}

}  // namespace
}  // namespace floe::passes
