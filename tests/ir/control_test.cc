// Branches, loops, states and checks: made, typed, printed, read back, verified and run.
#include "compiler/ir/control.h"

#include "absl/strings/str_format.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/verify.h"
#include "tests/ir/ir_testing.h"

namespace floe::ir {
namespace {

constexpr const char* kText = R"(graph @net symbols(N: 1..8) {
  %x = input f32[N,2]
  %go = input bool[]
  %trips = input i64[]
  %cache = state "cache" f32[1,2] = [0.5, -1.0]
  %step = state "step" i64[] = [0]
  %one = constant i64[] = [1]
  %sum = add(%x, %cache) : f32[N,2]
  %less = less(%trips, %trips) : bool[]
  %not = logical_not(%less) : bool[]
  check(%not) "no \"number\" is less than itself" loc("/check", "net.py:3")
  %y, %last = loop(%trips, %go, %sum, %cache, %x, %go) {carried=2, max_trips=7} : f32[N,2], f32[1,2] loc("/loop") body {
    %i = input i64[]
    %h = input f32[N,2]
    %c = input f32[1,2]
    %x = input f32[N,2]
    %go = input bool[]
    %two = constant i64[] = [2]
    %small = less(%i, %two) : bool[]
    %r = if(%small, %h, %x) : f32[N,2] loc("/loop/if") then {
      %h = input f32[N,2]
      %x = input f32[N,2]
      %hx = add(%h, %x) : f32[N,2]
      output %hx as "r"
    } else {
      %h = input f32[N,2]
      %x = input f32[N,2]
      output %h as "r"
    }
    %d = add(%c, %c) : f32[1,2]
    output %go as "condition"
    output %r as "h"
    output %d as "c"
  }
  %next = add(%step, %one) : i64[]
  if(%go, %x) then {
    %x = input f32[N,2]
    %nan = is_nan(%x) : bool[N,2]
    %fine = logical_not(%nan) : bool[N,2]
    check(%fine) "not a number"
  } else {
    %x = input f32[N,2]
  }
  state "cache" = %last
  state "step" = %next
  output %y as "y"
}
)";

TEST(Control, TextReadsBackWhatItPrints) {
  const auto graph = Parse(kText);
  EXPECT_EQ(ToText(*graph), kText);
  const Node* loop = graph->FindValue("y")->producer();
  ASSERT_EQ(loop->bodies.size(), 1u);
  EXPECT_TRUE(loop->bodies[0]->is_body);
  EXPECT_FALSE(HasEffects(*loop));
  EXPECT_TRUE(HasEffects(*graph->nodes().back()));
}

TEST(Control, DamagedTextsAreRefusedOrRead) {
  const std::string good = kText;
  int refused = 0;
  for (size_t n = 0; n < good.size(); n += 3) {
    refused += ParseText(std::string_view(good).substr(0, n)).ok() ? 0 : 1;
    for (const char c : {'9', '%', '}', '{'}) {
      std::string bad = good;
      bad[n] = c;
      refused += ParseText(bad).ok() ? 0 : 1;
    }
  }
  EXPECT_GT(refused, static_cast<int>(good.size()));
}

TEST(Control, BodiesNestOnlySoDeep) {
  const auto nested = [](uint32_t depth) {
    std::string text, end;
    for (uint32_t i = 0; i < depth; ++i) {
      text += "if(%c, %c) then { %c = input bool[] ";
      end += "} else { %c = input bool[] }";
    }
    return "graph @g { %c = input bool[] " + text + end + "}";
  };
  EXPECT_TRUE(ParseText(nested(kMaxBodyDepth)).ok());
  const auto deep = ParseText(nested(kMaxBodyDepth + 1));
  ASSERT_FALSE(deep.ok());
  EXPECT_NE(deep.status().message().find("nested too deeply"), std::string::npos);
  EXPECT_FALSE(ParseText(nested(100000)).ok());
}

// What kText computes, in plain numbers.
struct Expected {
  std::vector<float> y;
  float cache[2];
};
Expected Reference(const std::vector<float>& x, const float* cache, int64_t trips, bool go) {
  Expected e{x, {cache[0], cache[1]}};
  for (size_t i = 0; i < x.size(); ++i) e.y[i] = x[i] + cache[i % 2];
  for (int64_t t = 0; go && t < trips; ++t) {
    for (size_t i = 0; i < x.size() && t < 2; ++i) e.y[i] += x[i];
    for (float& c : e.cache) c += c;
  }
  return e;
}

TEST(Control, RunsBranchesLoopsAndStates) {
  const auto graph = Parse(kText);
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  std::vector<Tensor> states;
  float cache[2] = {0.5f, -1.0f};
  int64_t step = 0;
  for (const auto& [trips, go] : {std::pair<int64_t, bool>{3, true},
                                  {0, true},
                                  {1, true},
                                  {5, false},
                                  {-3, true},
                                  {7, true}}) {
    const Tensor inputs[] = {MakeTensor<float>(DType::kF32, {3, 2}, x),
                             MakeTensor<uint8_t>(DType::kBool, {}, {go ? uint8_t{1} : uint8_t{0}}),
                             MakeTensor<int64_t>(DType::kI64, {}, {trips})};
    const auto outputs = Evaluate(*graph, inputs, &states);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    const Expected e = Reference(x, cache, trips, go);
    ExpectClose((*outputs)[0], MakeTensor<float>(DType::kF32, {3, 2}, e.y), 0, "y");
    ASSERT_EQ(states.size(), 2u);
    ExpectClose(states[0], MakeTensor<float>(DType::kF32, {1, 2}, {e.cache[0], e.cache[1]}), 0,
                "cache");
    EXPECT_EQ(states[1].IntAt(0), ++step);
    cache[0] = e.cache[0];
    cache[1] = e.cache[1];
  }
}

TEST(Control, RunsThatFailSayWhy) {
  const auto graph = Parse(kText);
  const Tensor x = MakeTensor<float>(DType::kF32, {1, 2}, {1, NAN});
  const Tensor no = MakeTensor<uint8_t>(DType::kBool, {}, {0});
  const Tensor yes = MakeTensor<uint8_t>(DType::kBool, {}, {1});
  const auto trips = [](int64_t n) { return MakeTensor<int64_t>(DType::kI64, {}, {n}); };
  // The check in a branch that is not taken says nothing.
  EXPECT_TRUE(Evaluate(*graph, std::vector<Tensor>{x, no, trips(3)}).ok());
  const auto failed = Evaluate(*graph, std::vector<Tensor>{x, yes, trips(3)});
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.status().message().find("not a number"), std::string::npos) << failed.status();
  const auto long_loop = Evaluate(*graph, std::vector<Tensor>{x, yes, trips(8)});
  ASSERT_FALSE(long_loop.ok());
  EXPECT_NE(long_loop.status().message().find("more than 7 iterations"), std::string::npos)
      << long_loop.status();
}

TEST(Control, TypesThatDoNotFitAreNamed) {
  const struct {
    const char* lines;
    const char* error;
  } kCases[] = {
      {"%y = if(%x) : f32[2] then { } else { }", "the condition is f32[2]"},
      {"%y = if(%c, %x) : f32[2] then { output %x as \"y\" } else { }", "no value 'x' yet"},
      {"%y = if(%c, %x) : f32[2] then { %x = input f32[2] output %x as \"y\" } else { }",
       "'else' has 0 inputs for 1"},
      {"%y = if(%c, %x) : f32[2] then { %x = input f32[2] output %x as \"y\" } else "
       "{ %x = input f32[2] }",
       "'else' has 0 outputs for 1"},
      {"%y = if(%c, %x) : f32[2] then { %x = input f32[2] output %x as \"y\" } else "
       "{ %x = input f32[2] %z = concat(%x, %x) {axis=0} output %z as \"y\" }",
       "result 0 is f32[2] in one branch and f32[4] in the other"},
      {"%y = if(%c, %x) : f32[2] then { %x = input f32[2] %z = concat(%x, %x) {axis=1} "
       "output %z as \"y\" } else { %x = input f32[2] output %x as \"y\" }",
       "axis 1 is outside"},
      {"loop(%t, %x) {carried=0, max_trips=2} body { %i = input i64[] }",
       "the condition is f32[2]"},
      {"loop(%c, %c) {carried=0, max_trips=2} body { %i = input i64[] }",
       "the number of trips is bool[]"},
      {"loop(%t, %c) {carried=1, max_trips=2} body { %i = input i64[] }", "cannot carry 1"},
      {"loop(%t, %c) {carried=0, max_trips=0} body { %i = input i64[] }", "max_trips is 0"},
      {"loop(%t, %c) {carried=0, max_trips=2} body { %i = input i64[] output %i as \"c\" }",
       "the condition that the body gives is i64[]"},
      {"%y = loop(%t, %c, %x, %c) {carried=1, max_trips=2} : f32[2] body { %i = input i64[] "
       "%x = input f32[2] %c = input bool[] %z = concat(%x, %x) {axis=0} output %c as \"c\" "
       "output %z as \"x\" }",
       "carried value 0 ('x') is f32[2] before an iteration and f32[4] after it"},
      {"check(%x) \"a\"", "the condition is not bool"},
      {"%s = state \"s\" f32[2] = [0, 0] %b = add(%c, %c)  state \"s\" = %c", ""},
      {"%s = state \"s\" f32[2] = [0, 0] %r = state \"s\" f32[2] = [0, 0]", "is there twice"},
      {"state \"s\" = %x", "there is no state 's'"},
  };
  for (const auto& c : kCases) {
    const auto graph = ParseText(absl::StrFormat(
        "graph @g { %%x = input f32[2] %%c = input bool[] %%t = input i64[] %s }", c.lines));
    ASSERT_FALSE(graph.ok()) << c.lines;
    EXPECT_NE(std::string(graph.status().message()).find(c.error), std::string::npos)
        << c.lines << "\n"
        << graph.status();
  }
}

// --- builders --------------------------------------------------------------------------------

Value* Add(Graph& graph, Value* a, Value* b, const char* name) {
  Node* node = graph.AddNode(OpId::kAdd, {a, b}, {name}, {});
  EXPECT_TRUE(InferNode(graph, *node).ok());
  return node->output();
}

// y = c ? a + b : b + b, where the branches capture in different orders.
TEST(Control, BranchesShareTheirCaptures) {
  Graph graph;
  Value* c = graph.AddInput("c", DType::kBool, {});
  Value* a = graph.AddInput("a", DType::kF32, {2});
  Value* b = graph.AddInput("b", DType::kF32, {2});
  Value* ten = graph.AddConstant("ten", MakeTensor<float>(DType::kF32, {}, {10}));
  BodyBuilder yes(graph, "then"), no(graph, "else");
  Value* sum = Add(yes.graph(), yes.Capture(a), yes.Capture(b), "sum");
  EXPECT_EQ(yes.Capture(a), yes.Capture(a));
  yes.graph().AddOutput(sum, "y");
  Value* inner = Add(no.graph(), no.Capture(b), no.Capture(b), "sum");
  no.graph().AddOutput(Add(no.graph(), inner, no.Capture(ten), "y"), "y");
  EXPECT_TRUE(no.Capture(ten)->is_constant());
  const auto node = AddIf(graph, c, std::move(yes), std::move(no), {"y"}, {"/if", ""});
  ASSERT_TRUE(node.ok()) << node.status();
  graph.AddOutput((*node)->output(), "y");
  ASSERT_TRUE(Verify(graph).ok()) << Verify(graph);
  EXPECT_EQ((*node)->inputs().size(), 3u);
  for (const bool condition : {true, false}) {
    const auto outputs = Evaluate(
        graph, std::vector<Tensor>{
                   MakeTensor<uint8_t>(DType::kBool, {}, {static_cast<uint8_t>(condition)}),
                   MakeTensor<float>(DType::kF32, {2}, {1, 2}),
                   MakeTensor<float>(DType::kF32, {2}, {30, 40})});
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ((*outputs)[0].DoubleAt(0), condition ? 31 : 70);
    EXPECT_EQ((*outputs)[0].DoubleAt(1), condition ? 42 : 90);
  }
}

// The sum 0 + 1 + ... over N iterations, N being a dimension.
TEST(Control, LoopsRunAsOftenAsADimensionSays) {
  Graph graph;
  const SymbolId n = graph.GetSymbol("N", 0, 12);
  graph.AddInput("x", DType::kF32, {Dim::OfSymbol(n)});
  const auto trips = AddDim(graph, Dim::OfSymbol(n), "n", {});
  ASSERT_TRUE(trips.ok()) << trips.status();
  BodyBuilder body(graph, "body");
  Value* i = body.AddParam("i", DType::kI64, {});
  Value* sum = body.AddParam("sum", DType::kI64, {});
  body.graph().AddOutput(AddBool(body.graph(), "go", true), "go");
  body.graph().AddOutput(Add(body.graph(), sum, i, "next"), "sum");
  const auto node = AddLoop(graph, {.trips = *trips, .carried = {AddInt(graph, "zero", 0)}},
                            std::move(body), {"total"}, {});
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ((*node)->Int("max_trips"), 12);
  graph.AddOutput((*node)->output(), "total");
  ASSERT_TRUE(Verify(graph).ok()) << Verify(graph);
  for (const int64_t count : {0, 1, 2, 12}) {
    const auto outputs = Evaluate(graph, std::vector<Tensor>{Tensor(DType::kF32, {count})});
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ((*outputs)[0].IntAt(0), count * (count - 1) / 2);
  }
  // Symbols that change later reach the bodies with the next inference.
  graph.symbols[0].max = 20;
  EXPECT_FALSE(Verify(graph).ok());
  SyncSymbols(graph);
  EXPECT_TRUE(Verify(graph).ok());
}

TEST(Control, DimensionsThatCanBeNegativeAreComputed) {
  Graph graph;
  const Dim n = Dim::OfSymbol(graph.GetSymbol("N", 1, 12));
  graph.AddInput("x", DType::kF32, {n});
  const auto less = AddDim(graph, *Dim::Sub(n, 5), "less", {});
  ASSERT_TRUE(less.ok()) << less.status();
  EXPECT_EQ((*less)->content, std::vector<Dim>{*Dim::Sub(n, 5)});
  graph.AddOutput(*less, "less");
  for (const int64_t count : {1, 5, 12}) {
    const auto outputs = Evaluate(graph, std::vector<Tensor>{Tensor(DType::kF32, {count})});
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ((*outputs)[0].IntAt(0), count - 5);
  }
}

TEST(Control, ChecksOfDimensionsSpeakOnlyWhereTheyCanFail) {
  Graph graph;
  const Dim n = Dim::OfSymbol(graph.GetSymbol("N", 2, 12));
  graph.symbols.push_back({"T", 8, 64, 8});
  const Dim t = Dim::OfSymbol(1);
  graph.AddInput("x", DType::kF32, {n, t});
  ASSERT_TRUE(AddDimCheck(graph, n, OpId::kGreater, 1, "two or more", {}).ok());
  ASSERT_TRUE(AddDimCheck(graph, n, OpId::kLess, t, "shorter", {}).ok());
  EXPECT_EQ(graph.nodes().size(), 4u) << "only the second check can fail";
  ASSERT_TRUE(AddMultipleCheck(graph, t, 4, "whole words", {}).ok());
  EXPECT_EQ(graph.nodes().size(), 4u);
  ASSERT_TRUE(
      AddMultipleCheck(graph, *Dim::Add(n, t), 2, "N must be even", {"/guard", "m.py:4"}).ok());
  ASSERT_TRUE(Verify(graph).ok()) << Verify(graph);
  const auto run = [&graph](int64_t rows, int64_t columns) {
    return Evaluate(graph, std::vector<Tensor>{Tensor(DType::kF32, {rows, columns})}).status();
  };
  EXPECT_TRUE(run(4, 8).ok()) << run(4, 8);
  EXPECT_EQ(run(8, 8).message().find("shorter") != std::string::npos, true) << run(8, 8);
  EXPECT_NE(run(3, 16).message().find("N must be even"), std::string::npos) << run(3, 16);
  EXPECT_NE(run(3, 16).message().find("m.py:4"), std::string::npos);
}

}  // namespace
}  // namespace floe::ir
