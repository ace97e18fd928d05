// Splitting the batch of a network's first part: which nodes treat items one by one, which cut is
// chosen, what the graph looks like afterwards, and that programs give the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "compiler/lower/split_batch.h"
#include "tests/ir/ir_testing.h"
#include "tests/lower/compile_testing.h"

namespace floe::lower {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

#define CONV3 " {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1} "
#define CONV1 " {strides=[1,1], pads=[0,0,0,0], dilations=[1,1], groups=1} "
#define POOL "kernel=[2,2], strides=[2,2], pads=[0,0,0,0], dilations=[1,1], ceil_mode=0"

std::string OpsOf(const ir::Graph& graph) {
  std::map<std::string, int> counts;
  for (const auto& node : graph.nodes()) ++counts[OpRow(node->op()).name];
  std::string text;
  for (const auto& [name, count] : counts) {
    text += (text.empty() ? "" : " ") + name + (count > 1 ? "*" + std::to_string(count) : "");
  }
  return text;
}

struct SplitGraph {
  std::unique_ptr<ir::Graph> graph;
  passes::Report report;
};
SplitGraph SplitText(const std::string& text, const SplitOptions& options) {
  SplitGraph s{ir::Parse(text), {}};
  WinogradPlan winograd;
  passes::WeightTypes types;
  const absl::Status status = SplitBatch(*s.graph, options, &winograd, &types, &s.report);
  EXPECT_TRUE(status.ok()) << status << text;
  EXPECT_TRUE(ir::Verify(*s.graph).ok()) << ir::Verify(*s.graph) << ir::ToText(*s.graph);
  return s;
}

// Splits off as much as can be, evaluates before and after and expects equal bits.
SplitGraph SplitSame(const std::string& text, int64_t items,
                     const std::vector<std::vector<int64_t>>& symbols = {{}}) {
  SplitOptions options;
  options.items = items;
  SplitGraph s = SplitText(text, options);
  const auto before = ir::Parse(text);
  for (const std::vector<int64_t>& values : symbols) {
    const std::vector<ir::Tensor> inputs = ir::RandomInputs(*before, values, 5);
    const auto expected = ir::Evaluate(*before, inputs), got = ir::Evaluate(*s.graph, inputs);
    EXPECT_TRUE(expected.ok()) << expected.status() << text;
    EXPECT_TRUE(got.ok()) << got.status() << ir::ToText(*s.graph);
    if (!expected.ok() || !got.ok()) continue;
    EXPECT_EQ(got->size(), expected->size());
    for (size_t i = 0; i < std::min(got->size(), expected->size()); ++i) {
      EXPECT_TRUE((*got)[i].BytesEqual((*expected)[i])) << text << ir::ToText(*s.graph);
    }
  }
  return s;
}

// --- which nodes ---------------------------------------------------------------------------------

struct RuleCase {
  const char* nodes;  // From %x f32[4,6,4,4], %b f32[4,6,4,4], %h f32[1,6,4,4] to %y.
  int nodes_split;    // Of these and the relu that makes %x.
};
const RuleCase kRuleCases[] = {
    {"%y = conv(%x, %w3)" CONV3, 2},
    {"%y = conv(%x, %w3 | %b) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1} epilogue "
     "{ r1 = load 0; r0 = add r0 r1 }",
     2},
    {"%y = conv(%h, %x) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1], groups=1}", 1},
    {"%y = pointwise(%x, %b) { r0 = load 0; r1 = load 1; r0 = mul r0 r1 }", 2},
    {"%y = pointwise(%x, %h) { r0 = load 0; r1 = load 1; r0 = mul r0 r1 }", 2},
    {"%y = pointwise(%x, %all) { r0 = load 0; r1 = load 1; r0 = mul r0 r1 }", 1},
    {"%v = reduce(%x) {kind=0, axes=[1,2], keepdims=0} %y = add(%x, %v)", 2},
    {"%y = relu(%x)", 2},
    {"%y = max_pool(%x) {" POOL "}", 2},
    {"%y, %i = max_pool(%x) {" POOL "}", 1},
    {"%y = avg_pool(%x) {" POOL ", count_include_pad=0}", 2},
    {"%y = reduce(%x) {kind=0, axes=[2,3], keepdims=0}", 2},
    {"%y = reduce(%x) {kind=0, axes=[0,2], keepdims=1}", 1},
    {"%y = softmax(%x) {axis=1}", 2},
    {"%y = softmax(%x) {axis=0}", 1},
    {"%y = cumsum(%x) {axis=3, exclusive=0, reverse=0}", 2},
    {"%y = cumsum(%x) {axis=0, exclusive=0, reverse=0}", 1},
    {"%y = transpose(%x) {perm=[0,2,3,1]}", 2},
    {"%y = transpose(%x) {perm=[2,1,0,3]}", 1},
    {"%y = reshape(%x) : f32[4,96]", 2},
    {"%y = reshape(%x) : f32[2,192]", 1},
    {"%y = slice(%x) {starts=[0,1,0,0], steps=[1,2,1,1]} : f32[4,3,4,4]", 2},
    {"%y = slice(%x) {starts=[3,0,0,0], steps=[-1,1,1,1]} : f32[4,6,4,4]", 1},
    {"%y = concat(%x, %b) {axis=1}", 2},
    {"%y = concat(%x, %b) {axis=0}", 1},
    {"%y = concat(%x, %all) {axis=1}", 1},
    {"%y = pad(%x) {mode=0, before=[0,1,0,2], after=[0,0,1,0], value=0.5}", 2},
    {"%y = pad(%x) {mode=0, before=[1,0,0,0], after=[-1,0,0,0], value=0.5}", 1},
    {"%y = expand(%x) : f32[2,4,6,4,4]", 1},
    {"%y = tile(%x) {repeats=[1,2,1,1]}", 2},
    {"%y = tile(%x) {repeats=[2,1,1,1]}", 1},
    {"%y = depth_to_space(%d) {block=2, crd=0}", 2},
    {"%y = gather(%x, %two) {axis=1}", 2},
    {"%y = gather(%x, %two) {axis=0}", 1},
    {"%y = matmul(%x, %b)", 2},
    {"%y = matmul(%x, %m)", 2},
    {"%y = matmul(%m, %x)", 1},
    {"%y = layer_norm(%x) {axis=1, epsilon=0.001}", 2},
    {"%y = layer_norm(%x) {axis=0, epsilon=0.001}", 1},
    {"%y = group_norm(%x, %c, %c) {epsilon=0.001, groups=2}", 2},
    {"%y = quantize(%x, %s) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}", 2},
    {"%y = quantize(%x, %s4) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}", 1},
    {"%q, %sc, %z = dynamic_quantize(%x) %y = relu(%x)", 1},
};

TEST(BatchItemsTest, RulesByOp) {
  for (const RuleCase& c : kRuleCases) {
    SCOPED_TRACE(c.nodes);
    // The relu before it can be split whatever comes behind.
    const std::string text = absl::StrFormat(
        "graph @g {\n"
        "%%x0 = input f32[4,6,4,4] %%b = input f32[4,6,4,4] %%h = input f32[1,6,4,4]\n"
        "%%d = input f32[4,8,2,2]\n"
        "%%w3 = constant f32[6,6,3,3] = random 1 %%m = constant f32[4,4] = random 2\n"
        "%%all = constant f32[4,6,4,4] = random 3 %%c = constant f32[6] = random 4\n"
        "%%two = constant i64[2] = [2, 0] %%s = constant f32[] = [0.1]\n"
        "%%s4 = constant f32[4] = [0.1, 0.2, 0.3, 0.4]\n"
        "%%x = relu(%%x0) %s\noutput %%y as \"y\"\n}",
        c.nodes);
    const SplitGraph s = SplitSame(text, 2);
    ASSERT_EQ(s.report.lines.size(), 1u);
    EXPECT_THAT(s.report.lines[0], HasSubstr(absl::StrFormat("the first %d nodes", c.nodes_split)));
  }
}

// --- what becomes of the graph -------------------------------------------------------------------

constexpr char kNet[] = R"(
  %%x = input f32[%s,3,9,8]
  %%w0 = constant f32[8,3,3,3] = random 1 -0.5 0.5
  %%w1 = constant f32[8,8,3,3] = random 2 -0.4 0.4
  %%w2 = constant f32[5,8] = random 3
  %%a = conv(%%x, %%w0) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
  %%b = relu(%%a)
  %%c = conv(%%b, %%w1) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
  %%d = add(%%c, %%b)
  %%m = reduce(%%d) {kind=1, axes=[2,3], keepdims=0}
  %%y = gemm(%%m, %%w2) {alpha=1.0, beta=1.0, trans_a=0, trans_b=1}
  %s
  output %%y as "y"
}
)";
std::string Net(const std::string& batch, const std::string& more = "") {
  return "graph @g " + std::string(batch == "N" ? "symbols(N: 1..8) {" : "{") +
         absl::StrFormat(kNet, batch, more);
}

TEST(SplitBatchTest, AFixedBatchIsWrittenOut) {
  const SplitGraph whole = SplitSame(Net("8"), 2);
  EXPECT_EQ(OpsOf(*whole.graph), "add*4 concat conv*8 gemm*4 reduce*4 relu*4 slice*4");
  EXPECT_EQ(whole.graph->outputs()[0]->name(), "y");
  EXPECT_EQ(OpsOf(*SplitSame(Net("3"), 1).graph),
            "add*3 concat conv*6 gemm*3 reduce*3 relu*3 slice*3");
  // No two threes in eight, and an item is an item.
  EXPECT_THAT(SplitSame(Net("8"), 3).report.lines, ElementsAre());
  EXPECT_THAT(SplitSame(Net("1"), 1).report.lines, ElementsAre());
}

TEST(SplitBatchTest, ABatchThatIsASymbolIsALoop) {
  const SplitGraph s = SplitSame(Net("N"), 1, {{1}, {3}, {8}});
  EXPECT_EQ(OpsOf(*s.graph), "constant_of_shape dims loop");
  const ir::Node& loop = *s.graph->nodes().back();
  EXPECT_EQ(loop.Int("max_trips"), 8);
  EXPECT_EQ(OpsOf(*loop.bodies[0]), "add conv*2 gather gemm reduce relu reshape*2 scatter_nd");
  EXPECT_THAT(s.report.lines[0], HasSubstr("a loop over the batch"));
}

// Two values cross, one of them an output, too; what mixes items stays whole.
TEST(SplitBatchTest, JoinsWhatCrossesTheCut) {
  const std::string text = Net("4", R"(
    %s = softmax(%d) {axis=0}
    %z = add(%s, %b)
    output %z as "z" output %d as "d")");
  const SplitGraph s = SplitSame(text, 1);
  // y, d and b.
  EXPECT_EQ(OpsOf(*s.graph), "add*5 concat*3 conv*8 gemm*4 reduce*4 relu*4 slice*4 softmax");
  EXPECT_EQ(SplitSame("graph @g symbols(N: 1..8) {" + absl::StrFormat(kNet, "N", R"(
    %s = softmax(%d) {axis=0}
    %z = add(%s, %b)
    output %z as "z" output %d as "d")"),
                      1, {{1}, {5}})
                .report.lines.size(),
            1u);
}

TEST(SplitBatchTest, InputsOfTheBatchAndOthers) {
  const SplitGraph s = SplitSame(R"(graph @g {
    %x = input f32[4,3] %t = input f32[4,3] %k = input f32[3] %n = input f32[1,3]
    %r = relu(%k)
    %a = add(%x, %r) %b = mul(%a, %t) %c = add(%b, %n)
    output %c as "c" output %r as "r" })",
                                 1);
  EXPECT_EQ(OpsOf(*s.graph), "add*8 concat mul*4 relu slice*8");
}

TEST(SplitBatchTest, StatesAndDataStayWhole) {
  const SplitGraph s = SplitSame(R"(graph @g {
    %x = input f32[4,3]
    %s = state "s" f32[4,1] = [0.0, 1.0, 2.0, 3.0]
    %a = relu(%x)
    %b = add(%a, %s)
    %n = neg(%s)
    output %b as "b"
    state "s" = %n })",
                                 1);
  EXPECT_THAT(s.report.lines, ElementsAre());
}

// --- which cut -----------------------------------------------------------------------------------

struct CutCase {
  const char* what;
  const char* nodes;           // From %x f32[8,16,128,128] (8 MiB) to %y.
  int64_t nodes_split, items;  // 0: none.
};
// Behind it 96 channels, 48 MiB.
#define WIDEN \
  "%wide = conv(%x, %widen)" CONV1 "%mid = relu(%wide) %thin = conv(%mid, %narrow)" CONV1
#define SHRINK                                                              \
  "%small = max_pool(%thin) {kernel=[8,8], strides=[8,8], pads=[0,0,0,0], " \
  "dilations=[1,1], ceil_mode=0} "
const CutCase kCutCases[] = {
    {"nothing large", "%y = relu(%x)", 0, 0},
    // 8 + 48 MiB, 48 + 48, 48 + 8: an eighth is more than 10.7 MiB in the relu only.
    {"wide and narrow again", WIDEN SHRINK "%y = relu(%small)", 4, 1},
    {"more of it", WIDEN "%y = conv(%thin, %light)" CONV3, 4, 1},
    // Eight times 3.5 MiB of weights are more than 16 MiB of activations.
    {"weights that are read again",
     WIDEN
     "%y = conv(%thin, %heavy) {strides=[1,1], pads=[30,30,29,29], dilations=[1,1], groups=1}",
     3, 1},
    {"items mix at once", "%s = softmax(%x) {axis=0} %y = conv(%s, %widen)" CONV1, 0, 0},
};

TEST(SplitBatchTest, ChoosesTheCut) {
  for (const CutCase& c : kCutCases) {
    SCOPED_TRACE(c.what);
    const std::string text = absl::StrFormat(
        "graph @g {\n%%x = input f32[8,16,128,128]\n"
        "%%widen = constant f32[96,16,1,1] = random 1 %%narrow = constant f32[16,96,1,1] = random "
        "2\n"
        "%%light = constant f32[16,16,3,3] = random 3\n"
        "%%heavy = constant f32[16,16,60,60] = random 4\n%s output %%y as \"y\"\n}",
        c.nodes);
    const SplitGraph s = SplitText(text, {});
    if (c.nodes_split == 0) {
      EXPECT_THAT(s.report.lines, ElementsAre());
      continue;
    }
    ASSERT_EQ(s.report.lines.size(), 1u) << ir::ToText(*s.graph);
    EXPECT_THAT(s.report.lines[0], HasSubstr(absl::StrFormat("the first %d nodes", c.nodes_split)));
    EXPECT_THAT(s.report.lines[0], HasSubstr(absl::StrFormat("run on %d of", c.items)));
    SplitOptions none;
    none.cache_bytes = 0;
    EXPECT_THAT(SplitText(text, none).report.lines, ElementsAre());
    SplitOptions large;
    large.cache_bytes = int64_t{1} << 30;
    EXPECT_THAT(SplitText(text, large).report.lines, ElementsAre());
  }
}

// --- programs ------------------------------------------------------------------------------------

std::vector<std::vector<uint8_t>> RunOn(const Compiled& program, const floe_backend_info& backend,
                                        uint32_t threads, const ir::Tensor& input,
                                        uint32_t outputs) {
  auto model = Open(program, On(backend));
  EXPECT_TRUE(model.ok()) << model.outcome().Message();
  const ThreadPool pool = std::move(ThreadPool::Make(threads)).value();
  SessionOptions options;
  options.pool = pool.get();
  auto session = Session::Make(*model, options);
  EXPECT_TRUE(session.ok());
  const Outcome bound = session->Bind({BindingOf(input)});
  EXPECT_TRUE(bound.ok()) << bound.Message();
  const auto buffers = BindPoisonedOutputs(&*session, outputs);
  const Outcome ran = session->Run();
  EXPECT_TRUE(ran.ok()) << ran.Message();
  std::vector<std::vector<uint8_t>> results;
  for (const std::string& b : buffers) results.emplace_back(b.begin(), b.end());
  return results;
}

Compiled Program(const std::string& text, passes::Precision precision, int64_t items) {
  CompileOptions options;
  options.precision = precision;
  options.split.items = items;
  if (items == 0) options.split.cache_bytes = 0;
  auto compiled = CompileGraph(ir::Parse(text), options);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  bool split = false;
  for (const std::string& line : compiled->report.passes.lines) {
    split = split || line.find("batch: ") == 0;
  }
  EXPECT_EQ(split, items != 0);
  return *std::move(compiled);
}

// Convolutions that are direct, depthwise and in Winograd tiles, a residual, a pool, and a product
// that mixes nothing but comes behind an output, which ends nothing.
constexpr char kProgram[] = R"(
  %%x = input f32[%s,3,22,18]
  %%w0 = constant f32[32,3,3,3] = random 1 -0.4 0.4
  %%w1 = constant f32[32,1,3,3] = random 2 -0.5 0.5
  %%w2 = constant f32[40,32,1,1] = random 3 -0.3 0.3
  %%w3 = constant f32[40,40,3,3] = random 4 -0.1 0.1
  %%w4 = constant f32[40,7] = random 5 -0.3 0.3
  %%b3 = constant f32[40] = random 6
  %%a = conv(%%x, %%w0) {strides=[2,2], pads=[1,1,1,1], dilations=[1,1], groups=1}
  %%ar = clamp(%%a) {min=0.0, max=6.0}
  %%b = conv(%%ar, %%w1) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=32}
  %%br = relu(%%b)
  %%c = conv(%%br, %%w2) {strides=[1,1], pads=[0,0,0,0], dilations=[1,1], groups=1}
  %%d = conv(%%c, %%w3, %%b3) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
  %%e = add(%%d, %%c)
  %%f = relu(%%e)
  %%m = reduce(%%f) {kind=1, axes=[2,3], keepdims=0}
  %%y = matmul(%%m, %%w4)
  %%z = softmax(%%y) {axis=%d}
  output %%z as "z" output %%f as "f"
}
)";
std::string ProgramText(const std::string& batch, int axis) {
  return "graph @g " + std::string(batch == "N" ? "symbols(N: 1..8) {" : "{") +
         absl::StrFormat(kProgram, batch, axis);
}

ir::Tensor Images(int64_t n) {
  ir::Tensor t(DType::kF32, {n, 3, 22, 18});
  std::mt19937 random(9);
  for (int64_t i = 0; i < t.count(); ++i) {
    t.mutable_as<float>()[i] = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  }
  return t;
}

ir::Tensor OneOf(const ir::Tensor& images, int64_t i) {
  ir::Tensor t(DType::kF32, {1, 3, 22, 18});
  std::memcpy(t.mutable_data(), images.as<float>() + i * t.count(), static_cast<size_t>(t.bytes()));
  return t;
}

// The largest difference between results that are floats, relative to the largest.
double Difference(const std::vector<std::vector<uint8_t>>& got,
                  const std::vector<std::vector<uint8_t>>& expected) {
  double most = 0;
  for (size_t o = 0; o < expected.size(); ++o) {
    if (got[o].size() != expected[o].size()) return INFINITY;
    double difference = 0, largest = 0;
    for (size_t i = 0; i + sizeof(float) <= expected[o].size(); i += sizeof(float)) {
      float g, e;
      std::memcpy(&g, &got[o][i], sizeof(g));
      std::memcpy(&e, &expected[o][i], sizeof(e));
      if (!std::isfinite(g)) return INFINITY;
      difference = std::max(difference, std::fabs(double{g} - double{e}));
      largest = std::max(largest, std::fabs(double{e}));
    }
    most = std::max(most, difference / largest);
  }
  return most;
}

// Whatever is split, and whether the batch is fixed or not: every image gets the bits that it gets
// alone, on every backend and with every number of threads. (Each kernel sums each element in one
// order, whatever the batch. AMX alone sums pairs of bf16 in another order for few pixels.)
class SplitProgramTest : public testing::TestWithParam<passes::Precision> {};

TEST_P(SplitProgramTest, GivesTheBitsOfSingleImages) {
  const passes::Precision precision = GetParam();
  const Compiled one = Program(ProgramText("1", 1), precision, 0);
  const Compiled loop = Program(ProgramText("N", 1), precision, 1);
  for (const floe_backend_info& backend : AvailableBackends()) {
    SCOPED_TRACE(absl::StrFormat("%s/%s", backend.backend, backend.isa));
    const bool any_order = precision == passes::Precision::kBF16 &&
                           std::string(backend.isa).find("amx") != std::string::npos;
    for (const int64_t n : {1, 3, 8}) {
      SCOPED_TRACE(n);
      const ir::Tensor images = Images(n);
      std::vector<std::vector<uint8_t>> expected(2);
      for (int64_t i = 0; i < n; ++i) {
        const auto parts = RunOn(one, backend, 1, OneOf(images, i), 2);
        for (size_t o = 0; o < 2; ++o) {
          expected[o].insert(expected[o].end(), parts[o].begin(), parts[o].end());
        }
      }
      std::vector<const Compiled*> programs = {&loop};
      std::vector<Compiled> fixed;
      fixed.reserve(3);
      for (const int64_t items : {0, 1, 4}) {
        if (n == 1 || (items != 0 && (n % items != 0))) continue;
        fixed.push_back(Program(ProgramText(std::to_string(n), 1), precision, items));
        programs.push_back(&fixed.back());
      }
      for (const Compiled* program : programs) {
        for (const uint32_t threads : {1u, 2u, 3u}) {
          const auto got = RunOn(*program, backend, threads, images, 2);
          if (any_order) {
            EXPECT_LE(Difference(got, expected), 1e-5) << threads;
          } else {
            EXPECT_TRUE(got == expected) << threads << ": " << Difference(got, expected);
          }
        }
      }
    }
  }
}

// A softmax over the batch: it stays whole, and what comes before it is the same.
TEST_P(SplitProgramTest, WhatMixesItemsStaysWhole) {
  const Compiled whole = Program(ProgramText("8", 0), GetParam(), 0);
  const Compiled split = Program(ProgramText("8", 0), GetParam(), 2);
  const ir::Tensor images = Images(8);
  for (const floe_backend_info& backend : AvailableBackends()) {
    // 1e-5: as above.
    EXPECT_LE(Difference(RunOn(split, backend, 2, images, 2), RunOn(whole, backend, 2, images, 2)),
              1e-5)
        << backend.isa;
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, SplitProgramTest,
                         testing::Values(passes::Precision::kF32, passes::Precision::kBF16,
                                         passes::Precision::kF16Weights));

TEST(BatchProgramTest, IntegersToo) {
  const auto text = [](const std::string& batch) {
    return "graph @g {\n%x = input f32[" + batch + R"(,3,22,18]
      %s = constant f32[] = [0.0213] %z = constant u8[] = [117]
      %sw = constant f32[] = [0.0101]
      %w0 = constant i8[16,3,3,3] = random 1 -127 127
      %w1 = constant i8[16,16,3,3] = random 2 -127 127
      %q = quantize(%x, %s, %z) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}
      %d = dequantize(%q, %s, %z) {axis=0, block=0, to=1}
      %f0 = dequantize(%w0, %sw) {axis=0, block=0, to=1}
      %f1 = dequantize(%w1, %sw) {axis=0, block=0, to=1}
      %a = conv(%d, %f0) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
      %qa = quantize(%a, %s, %z) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}
      %da = dequantize(%qa, %s, %z) {axis=0, block=0, to=1}
      %b = conv(%da, %f1) {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1}
      %c = add(%b, %da)
      %qc = quantize(%c, %s, %z) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}
      %y = dequantize(%qc, %s, %z) {axis=0, block=0, to=1}
      output %y as "y" })";
  };
  const Compiled one = Program(text("1"), passes::Precision::kF32, 0);
  const Compiled split = Program(text("6"), passes::Precision::kF32, 2);
  std::string kernels;
  for (const std::string& line : split.report.kernels) kernels += line + "\n";
  EXPECT_THAT(kernels, HasSubstr("qconv"));
  const ir::Tensor images = Images(6);
  for (const floe_backend_info& backend : AvailableBackends()) {
    std::vector<uint8_t> expected;
    for (int64_t i = 0; i < 6; ++i) {
      const auto part = RunOn(one, backend, 1, OneOf(images, i), 1)[0];
      expected.insert(expected.end(), part.begin(), part.end());
    }
    for (const uint32_t threads : {1u, 3u}) {
      EXPECT_EQ(RunOn(split, backend, threads, images, 1)[0], expected) << backend.isa << threads;
    }
  }
}

// Copies of a node keep what was decided for it, and are counted once.
TEST(BatchProgramTest, CopiesKeepTheirTiles) {
  const Compiled whole = Program(ProgramText("8", 1), passes::Precision::kF32, 0);
  const Compiled split = Program(ProgramText("8", 1), passes::Precision::kF32, 2);
  const auto count = [](const std::vector<std::string>& lines, const char* what) {
    return std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(what) != std::string::npos;
    });
  };
  ASSERT_EQ(count(whole.report.kernels, "winograd_conv"), 1);
  EXPECT_EQ(count(split.report.kernels, "winograd_conv"), 4);
  // But for the names of instructions, which are a section, too.
  EXPECT_LT(split.report.constant_bytes, whole.report.constant_bytes + 4096);
  EXPECT_EQ(count(split.report.passes.lines, "winograd: 1 convolutions"), 1);
  EXPECT_LT(split.report.arena_bytes, whole.report.arena_bytes);
}

TEST(BatchProgramTest, CanBeSkippedByName) {
  CompileOptions options;
  options.split.items = 1;
  std::vector<std::string> after;
  options.passes.after = [&](const char* pass, const ir::Graph&) { after.push_back(pass); };
  ASSERT_TRUE(CompileGraph(ir::Parse(ProgramText("2", 1)), options).ok());
  EXPECT_EQ(after.back(), kSplitBatch);
  options.passes.skip = {kSplitBatch};
  const auto skipped = CompileGraph(ir::Parse(ProgramText("2", 1)), options);
  ASSERT_TRUE(skipped.ok());
  EXPECT_THAT(skipped->report.passes.lines, Not(testing::Contains(HasSubstr("batch: "))));
}

}  // namespace
}  // namespace floe::lower
