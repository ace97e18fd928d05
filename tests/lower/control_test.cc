// Branches, loops, states and checks from the IR to the runtime, against the IR evaluator.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

#include "compiler/ir/evaluate.h"
#include "compiler/ir/text.h"
#include "compiler/ir/verify.h"
#include "tests/lower/compile_testing.h"
#include "tests/lower/control_programs.h"
#include "tools/cli/inputs.h"

namespace floe::lower {
namespace {

using ::testing::HasSubstr;
using Tensors = std::vector<ir::Tensor>;

std::unique_ptr<ir::Graph> Parse(const std::string& text) {
  auto graph = ir::ParseText(text);
  EXPECT_TRUE(graph.ok()) << graph.status() << text;
  return *std::move(graph);
}

Model MustOpen(const Compiled& file, const floe_backend_info& backend) {
  auto model = Open(file, On(backend));
  EXPECT_TRUE(model.ok()) << model.outcome().Message();
  return std::move(model).value();
}

// Runs once on outputs that are poisoned before.
Outcome RunOnce(Session& session, const Tensors& inputs, const Tensors& like,
                std::vector<std::string>* outputs) {
  if (Outcome o = session.Bind(BindingsOf(inputs)); !o.ok()) return o;
  *outputs = BindPoisonedOutputs(&session, static_cast<uint32_t>(like.size()));
  return session.Run();
}

void ExpectClose(const Tensor& got, const ir::Tensor& expected, const std::string& what) {
  double max = 0;
  EXPECT_LE(cli::MaxRelativeError(got, BindingOf(expected), &max), 2e-5) << what;
}

// One run of the graph: inputs, what comes out, and the states afterwards.
struct Step {
  Tensors inputs;
  Tensors outputs;
  Tensors states;
};

// The states' contents in the session are what they should be.
void ExpectStates(const Model& model, Session& session, const ir::Graph& graph, const Step& step) {
  for (size_t i = 0; i < graph.states().size(); ++i) {
    const auto index = model.Find(FLOE_STATE, graph.states()[i].name.c_str());
    ASSERT_TRUE(index.has_value()) << graph.states()[i].name;
    const auto got = session.State(*index);
    ASSERT_TRUE(got.ok()) << got.outcome().Message();
    ExpectClose(*got, step.states[i], "state " + graph.states()[i].name);
  }
}

void ExpectSteps(const Compiled& file, const ir::Graph& graph, const std::vector<Step>& steps) {
  for (const floe_backend_info& backend : AvailableBackends()) {
    SCOPED_TRACE(backend.isa);
    const Model model = MustOpen(file, backend);
    auto session = Session::Make(model);
    ASSERT_TRUE(session.ok());
    for (const Step& step : steps) {
      std::vector<std::string> buffers;
      const Outcome ran = RunOnce(*session, step.inputs, step.outputs, &buffers);
      ASSERT_TRUE(ran.ok()) << ran.Message();
      for (uint32_t i = 0; i < step.outputs.size(); ++i) {
        ExpectClose(*session->Output(i), step.outputs[i], graph.output_names[i]);
      }
      ExpectStates(model, *session, graph, step);
    }
  }
}

Tensors RandomInputs(const ir::Graph& graph, int64_t n, std::mt19937* random) {
  Tensors inputs;
  for (const ir::Value* v : graph.inputs()) {
    std::vector<int64_t> dims;
    for (const ir::Dim& d : v->shape()) {
      dims.push_back(d.Eval(std::vector<int64_t>(graph.symbols.size(), n)));
    }
    ir::Tensor t(v->dtype(), dims);
    for (int64_t i = 0; i < t.count(); ++i) {
      const auto r = static_cast<int64_t>((*random)() % 1000);
      IsFloat(t.dtype()) ? t.SetDouble(i, static_cast<double>(r) / 250 - 2)
                         : t.SetInt(i, t.dtype() == DType::kBool ? r % 2 : r % 6 - 1);
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}

std::vector<Step> Steps(const ir::Graph& graph, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Step> steps;
  Tensors states;
  for (const int64_t n : {3, 1, 5, 2}) {
    Step step;
    step.inputs = RandomInputs(graph, n, &random);
    auto outputs = ir::Evaluate(graph, step.inputs, &states);
    EXPECT_TRUE(outputs.ok()) << outputs.status();
    if (!outputs.ok()) return {};
    step.outputs = *std::move(outputs);
    step.states = states;
    steps.push_back(std::move(step));
  }
  return steps;
}

// The same numbers before and after the passes, and from the compiled file.
void ExpectSame(const std::function<std::unique_ptr<ir::Graph>()>& make, uint32_t seed) {
  const auto graph = make();
  ASSERT_TRUE(ir::Verify(*graph).ok()) << ir::Verify(*graph);
  const std::vector<Step> steps = Steps(*graph, seed);
  ASSERT_FALSE(steps.empty());
  auto file = CompileGraph(make());
  ASSERT_TRUE(file.ok()) << file.status() << ir::ToText(*graph);
  ExpectSteps(*file, *graph, steps);
}

class RandomControl : public testing::TestWithParam<uint32_t> {};

TEST_P(RandomControl, TheFileComputesWhatTheGraphMeans) {
  for (uint32_t i = 0; i < 40; ++i) {
    const uint32_t seed = GetParam() * 1000 + i;
    SCOPED_TRACE(seed);
    ExpectSame([seed] { return RandomControlGraph(seed); }, seed);
    if (HasFailure()) return;
  }
}

TEST_P(RandomControl, TheTextReadsBack) {
  for (uint32_t i = 0; i < 40; ++i) {
    const std::string text = ir::ToText(*RandomControlGraph(GetParam() * 1000 + i));
    EXPECT_EQ(ir::ToText(*Parse(text)), text);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomControl, testing::Range(1u, 9u));

// --- by hand -------------------------------------------------------------------------------------

struct Case {
  const char* name;
  const char* lines;
};

constexpr Case kCases[] = {
    {"convolutions_read_what_they_capture_where_it_is", R"(
  %x = input f32[N,3,8,7]
  %b = input bool[]
  %w1 = constant f32[8,3,3,3] = random 1 -0.3 0.3
  %w2 = constant f32[8,8,3,3] = random 2 -0.3 0.3
  %w3 = constant f32[8,8,1,1] = random 3 -0.3 0.3
  %y = conv(%x, %w1) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
  %r = relu(%y)
  %z = if(%b, %r, %w2, %w3) : f32[N,8,8,7] then {
    %r = input f32[N,8,8,7]
    %w2 = input f32[8,8,3,3]
    %w3 = input f32[8,8,1,1]
    %c = conv(%r, %w2) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
    %a = add(%c, %r)
    %f = relu(%a)
    output %f as "z"
  } else {
    %r = input f32[N,8,8,7]
    %w2 = input f32[8,8,3,3]
    %w3 = input f32[8,8,1,1]
    %c = conv(%r, %w3) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1], groups=1}
    output %c as "z"
  }
  %s = add(%z, %r)
  output %s as "s"
  output %z as "z")"},
    {"states_swap_and_outputs_see_them_before", R"(
  %n = input i64[]
  %a = state "a" f32[2,3] = random 1
  %b = state "b" f32[2,3] = [1, 2, 3, 4, 5, 6]
  %c = state "c" f32[3,2] = [0, 0, 0, 0, 0, 0]
  %k = state "k" i64[] = [0]
  %d = reshape(%a) : f32[3,2]
  %m = add(%k, %n)
  state "a" = %b
  state "b" = %a
  state "c" = %d
  state "k" = %m
  output %a as "a"
  output %c as "c"
  output %k as "k")"},
    {"a_state_of_one_value_and_one_that_becomes_a_constant", R"(
  %x = input f32[2,2]
  %one = constant f32[2,2] = [1, 2, 3, 4]
  %a = state "a" f32[2,2] = random 1
  %b = state "b" f32[2,2] = random 2
  %c = state "c" f32[2,2] = random 3
  %y = add(%a, %b)
  state "a" = %one
  state "b" = %x
  state "c" = %y
  output %y as "y")"},
    {"results_that_are_given_constant_or_twice_the_same", R"(
  %x = input f32[N,4]
  %y = input f32[N,4]
  %b = input bool[]
  %p, %q, %r, %s = if(%b, %x, %y, %x) : f32[N,4], f32[N,4], f32[2], f32[N,4] then {
    %x = input f32[N,4]
    %y = input f32[N,4]
    %x2 = input f32[N,4]
    %c = constant f32[2] = [1, 2]
    output %x as "p"
    output %x2 as "q"
    output %c as "r"
    output %y as "s"
  } else {
    %x = input f32[N,4]
    %y = input f32[N,4]
    %x2 = input f32[N,4]
    %c = constant f32[2] = [3, 4]
    output %y as "p"
    output %y as "q"
    output %c as "r"
    output %y as "s"
  }
  output %p as "p"
  output %q as "q"
  output %r as "r"
  output %s as "s"
  output %p as "again")"},
    {"loops_rotate_their_values_and_keep_some", R"(
  %x = input f32[N,4]
  %y = input f32[N,4]
  %z = input f32[N,4]
  %n = input i64[]
  %yes = constant bool[] = [1]
  %a, %b, %c, %d, %e = loop(%n, %yes, %x, %y, %z, %x, %x) {carried=5, max_trips=9} : f32[N,4], f32[N,4], f32[N,4], f32[N,4], f32[N,4] body {
    %i = input i64[]
    %a = input f32[N,4]
    %b = input f32[N,4]
    %c = input f32[N,4]
    %d = input f32[N,4]
    %e = input f32[N,4]
    %yes = constant bool[] = [1]
    %unused = tanh(%e)
    %s = add(%d, %a)
    output %yes as "go"
    output %b as "a"
    output %c as "b"
    output %a as "c"
    output %d as "d"
    output %unused as "e"
  }
  output %a as "a"
  output %b as "b"
  output %c as "c"
  output %d as "d")"},
    {"an_rnn_written_as_a_loop_packs_its_weights", R"(
  %x = input f32[7,4]
  %h0 = constant f32[1,8] = random 1
  %w = constant f32[4,8] = random 2 -0.5 0.5
  %u = constant f32[8,8] = random 3 -0.5 0.5
  %seven = constant i64[] = [7]
  %yes = constant bool[] = [1]
  %h = loop(%seven, %yes, %h0, %x, %w, %u) {carried=1, max_trips=1000} : f32[1,8] body {
    %i = input i64[]
    %h = input f32[1,8]
    %x = input f32[7,4]
    %w = input f32[4,8]
    %u = input f32[8,8]
    %axis = reshape(%i) : i64[1]
    %row = gather(%x, %axis) {axis=0}
    %xw = matmul(%row, %w)
    %hu = matmul(%h, %u)
    %s = add(%xw, %hu)
    %t = tanh(%s)
    %yes = constant bool[] = [1]
    output %yes as "go"
    output %t as "h"
  }
  output %h as "h")"},
};

class ControlCases : public testing::TestWithParam<Case> {};

std::unique_ptr<ir::Graph> GraphOf(const Case& c) {
  return Parse(std::string("graph @g symbols(N: 1..5) {") + c.lines + "\n}");
}

TEST_P(ControlCases, TheFileComputesWhatTheGraphMeans) {
  ExpectSame([] { return GraphOf(GetParam()); }, 7);
}

INSTANTIATE_TEST_SUITE_P(Cases, ControlCases, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

std::string Kernels(const Compiled& file) {
  std::string all;
  for (const std::string& line : file.report.kernels) all += line + "\n";
  return all;
}

TEST(Control, WeightsOfBodiesArePacked) {
  const auto file = CompileGraph(GraphOf(kCases[5]));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(Kernels(*file), HasSubstr("constant weights 8x8 in 16-column panels"));
  EXPECT_THAT(Kernels(*file), testing::Not(HasSubstr("falls back")));
}

// Both branches need 64 kB at once; together they do not need more.
TEST(Control, BranchesShareMemory) {
  const auto body = [](const char* op) {
    return std::string("{ %x = input f32[4096] %a = expand(%x) : f32[4,4096] ") +
           "%r = reduce(%a) {kind=0, axes=[1], keepdims=0} %b = softmax(%a) {axis=0} %c = " + op +
           "(%b) %s = reduce(%c) {kind=0, axes=[1], keepdims=0} %t = add(%r, %s) output %t as "
           "\"t\" } ";
  };
  const auto bytes = [&](const std::string& otherwise) {
    const auto file = CompileGraph(
        Parse("graph @g { %x = input f32[4096] %b = input bool[] %y = if(%b, %x) : f32[4] then " +
              body("relu") + "else " + otherwise + "output %y as \"y\" }"));
    EXPECT_TRUE(file.ok()) << file.status();
    return file.ok() ? file->report.arena_bytes : 0;
  };
  const uint64_t one =
      bytes("{ %x = input f32[4096] %c = constant f32[4] = [0, 1, 2, 3] output %c as \"t\" } ");
  EXPECT_GT(one, 4u * 4096 * 4);
  EXPECT_LE(bytes(body("tanh")), one + 4096);
}

// --- failures --------------------------------------------------------------------------------

constexpr const char* kChecks = R"(graph @g symbols(N: 1..5) {
  %x = input f32[N,2]
  %n = input i64[]
  %sum = state "sum" i64[] = [0]
  %next = add(%sum, %n)
  %rows = dims() : i64[] = [N]
  %two = constant i64[] = [2]
  %zero = constant i64[] = [0]
  %rest = mod(%rows, %two) {fmod=0}
  %even = equal(%rest, %zero)
  check(%even) "N must be even" loc("/guard", "model.py:12")
  %nan = is_nan(%x)
  %fine = logical_not(%nan)
  check(%fine) "x must be finite"
  %yes = constant bool[] = [1]
  %y = loop(%n, %yes, %x) {carried=1, max_trips=3} : f32[N,2] loc("/loop") body {
    %i = input i64[]
    %x = input f32[N,2]
    %t = tanh(%x)
    %yes = constant bool[] = [1]
    output %yes as "go"
    output %t as "x"
  }
  state "sum" = %next
  output %y as "y"
})";

TEST(Control, RunsThatFailSayWhyAndLeaveTheStates) {
  const auto file = CompileGraph(Parse(kChecks));
  ASSERT_TRUE(file.ok()) << file.status();
  for (const floe_backend_info& backend : AvailableBackends()) {
    const Model model = MustOpen(*file, backend);
    auto session = Session::Make(model);
    ASSERT_TRUE(session.ok());
    const auto run = [&](int64_t rows, int64_t n, float last) {
      ir::Tensor x(DType::kF32, {rows, 2}), count(DType::kI64, {});
      x.mutable_as<float>()[rows * 2 - 1] = last;
      count.SetInt(0, n);
      std::vector<std::string> buffers;
      return RunOnce(*session, {x, count}, {x}, &buffers);
    };
    EXPECT_TRUE(run(2, 3, 0).ok());
    const Outcome odd = run(3, 2, 0);
    EXPECT_EQ(odd.code(), FLOE_INVALID_ARGUMENT);
    EXPECT_THAT(odd.Message(), HasSubstr("N must be even (model.py:12)"));
    EXPECT_THAT(odd.Message(), HasSubstr("check '/guard'"));
    EXPECT_THAT(odd.Message(), HasSubstr("kRunCheck"));
    EXPECT_THAT(run(4, 1, NAN).Message(), HasSubstr("x must be finite"));
    const Outcome long_loop = run(2, 4, 0);
    EXPECT_EQ(long_loop.code(), FLOE_OUT_OF_RANGE);
    EXPECT_THAT(long_loop.Message(), HasSubstr("loop '/loop'"));
    EXPECT_THAT(long_loop.Message(), HasSubstr("kRunTrips"));
    EXPECT_EQ(*session->State(0)->Data<int64_t>(), 3) << "failed runs change no state";
    EXPECT_TRUE(run(4, 2, 0).ok());
    EXPECT_EQ(*session->State(0)->Data<int64_t>(), 5);
  }
}

TEST(Control, StatesAreResetClonedSavedAndLoaded) {
  const auto file = CompileGraph(GraphOf(kCases[1]));
  ASSERT_TRUE(file.ok()) << file.status();
  const Model model = MustOpen(*file, AvailableBackends()[0]);
  auto session = Session::Make(model), other = Session::Make(model);
  ir::Tensor n(DType::kI64, {});
  n.SetInt(0, 4);
  std::vector<std::string> buffers;
  const Tensors like = {ir::Tensor(DType::kF32, {2, 3}), ir::Tensor(DType::kF32, {3, 2}), n};
  const auto k = [&](Session& s) {
    EXPECT_TRUE(RunOnce(s, {n}, like, &buffers).ok());
    return *reinterpret_cast<const int64_t*>(buffers[2].data());
  };
  EXPECT_EQ(k(*session), 0);
  EXPECT_EQ(k(*session), 4);
  EXPECT_TRUE(other->CopyStates(*session).ok());
  const std::string blob = session->SaveStates();
  EXPECT_EQ(k(*other), 8);
  session->ResetStates();
  EXPECT_EQ(k(*session), 0);
  EXPECT_TRUE(session->LoadStates(blob.data(), blob.size()).ok());
  EXPECT_EQ(k(*session), 8);
}

TEST(Control, ChecksThatNeverHoldEndTheCompilation) {
  const std::string text =
      "graph @g symbols(N: 1..5) { %x = input f32[N] %b = input bool[] %r = dims() : i64[] = [N] "
      "%six = constant i64[] = [6] %less = less(%r, %six) %more = greater(%r, %six) ";
  const auto status = [&](const std::string& rest) {
    return CompileGraph(Parse(text + rest + " output %x as \"y\" }")).status();
  };
  const std::string fails = "check(%more) \"seven rows\" loc(\"/guard\", \"model.py:3\")";
  const absl::Status failed = status(fails);
  EXPECT_EQ(failed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(failed.message()), HasSubstr("always fails: seven rows"));
  EXPECT_THAT(std::string(failed.message()), HasSubstr("model.py:3"));
  EXPECT_TRUE(status("check(%less) \"fewer than six\"").ok());
  // In a branch it may never be reached.
  EXPECT_TRUE(status("if(%b, %more) then { %more = input bool[] check(%more) \"seven\" } else { "
                     "%more = input bool[] }")
                  .ok());
}

TEST(Control, TooManyResultsAreRefusedByName) {
  std::string text = "graph @g { %x = input f32[1] %n = input i64[] %yes = constant bool[] = [1] ";
  std::string results, initial, types, params, outputs;
  for (int i = 0; i < 32; ++i) {
    const std::string name = "%v" + std::to_string(i);
    results += (i > 0 ? ", " : "") + name;
    initial += ", %x";
    types += i > 0 ? ", f32[1]" : "f32[1]";
    params += name + " = input f32[1] " + name + "_ = tanh(" + name + ") ";
    outputs += "output " + name + "_ as \"v\" ";
  }
  text += results + " = loop(%n, %yes" + initial + ") {carried=32, max_trips=9} : " + types +
          " loc(\"/big\") body { %i = input i64[] " + params +
          "%yes = constant bool[] = [1] output %yes as \"go\" " + outputs + "} ";
  for (int i = 0; i < 32; ++i) {
    text += "output %v" + std::to_string(i) + " as \"v" + std::to_string(i) + "\" ";
  }
  const auto file = CompileGraph(Parse(text + "}"));
  EXPECT_EQ(file.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("loop '/big' has 66 operands"));
}

}  // namespace
}  // namespace floe::lower
