// Which convolutions are lowered to Winograd tiles, and that programs with and without the optional
// section of transformed weights compute what the graph means.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/registry.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/shapes.h"
#include "compiler/lower/winograd_choice.h"
#include "format/reader.h"
#include "format/writer.h"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"

namespace floe::lower {
namespace {

// A chain of 3x3 convolutions from `channels` to `channels`, each with a relu.
std::unique_ptr<ir::Graph> Chain(int layers, int64_t channels, int64_t size,
                                 int64_t max_batch = 1) {
  auto graph = std::make_unique<ir::Graph>();
  graph->name = "chain";
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0.0f, 1 / std::sqrt(9.0f * static_cast<float>(channels)));
  ir::Dim batch(1);
  if (max_batch > 1) batch = ir::Dim::OfSymbol(graph->GetSymbol("N", 1, max_batch));
  ir::Value* x = graph->AddInput("x", DType::kF32, {batch, channels, size, size});
  for (int i = 0; i < layers; ++i) {
    ir::Tensor w(DType::kF32, {channels, channels, 3, 3});
    for (int64_t k = 0; k < w.count(); ++k) w.mutable_as<float>()[k] = normal(random);
    const std::string name = "conv" + std::to_string(i);
    ir::Node* conv =
        graph->AddNode(OpId::kConv, {x, graph->AddConstant("w", w)}, {name}, {name, ""});
    conv->attrs = {{"strides", std::vector<int64_t>{1, 1}},
                   {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                   {"dilations", std::vector<int64_t>{1, 1}},
                   {"groups", int64_t{1}}};
    EXPECT_TRUE(ir::InferNode(*graph, *conv).ok());
    ir::Node* relu = graph->AddNode(OpId::kRelu, {conv->output()}, {name + "/relu"}, {name, ""});
    EXPECT_TRUE(ir::InferNode(*graph, *relu).ok());
    x = relu->output();
  }
  graph->AddOutput(x, "y");
  return graph;
}

TEST(WinogradChoiceTest, StrictHasNone) {
  const auto graph = Chain(3, 64, 28);
  const WinogradPlan plan = PlanWinograd(*graph, Accuracy::kStrict);
  EXPECT_TRUE(plan.choices.empty());
  EXPECT_EQ(plan.error, 0);
  EXPECT_EQ(plan.Describe(Accuracy::kStrict), "");
}

// Their errors are larger than the table, which was measured on wide ones, would say.
TEST(WinogradChoiceTest, NarrowConvolutionsStayDirect) {
  EXPECT_TRUE(PlanWinograd(*Chain(3, 31, 56), Accuracy::kFast).choices.empty());
  EXPECT_EQ(PlanWinograd(*Chain(3, 32, 56), Accuracy::kFast).choices.size(), 3u);
}

TEST(WinogradChoiceTest, AShallowModelGetsTheLargerTiles) {
  const auto graph = Chain(3, 64, 28);
  const WinogradPlan plan = PlanWinograd(*graph, Accuracy::kDefault);
  ASSERT_EQ(plan.choices.size(), 3u);
  for (const auto& [node, choice] : plan.choices) {
    EXPECT_EQ(choice.tile, 6);
    EXPECT_GT(choice.gain, 1.5);
  }
  EXPECT_EQ(plan.given_up, 0u);
  EXPECT_NEAR(plan.direct, kErrorGrowth * std::sqrt(3) * DirectError(9 * 64), 1e-12);
  EXPECT_NEAR(plan.error,
              kErrorGrowth * std::sqrt(3) * std::hypot(DirectError(9 * 64), WinogradError(64, 6)),
              1e-12);
}

TEST(WinogradChoiceTest, ADeepModelKeepsTheBudget) {
  const auto graph = Chain(60, 64, 14);
  const WinogradPlan plan = PlanWinograd(*graph, Accuracy::kDefault);
  EXPECT_LE(plan.error, ErrorBudget(Accuracy::kDefault));
  EXPECT_GT(plan.error, 0.9 * ErrorBudget(Accuracy::kDefault));
  EXPECT_GT(plan.given_up, 0u);
  EXPECT_GT(plan.choices.size(), 30u);
  const WinogradPlan fast = PlanWinograd(*graph, Accuracy::kFast);
  EXPECT_EQ(fast.choices.size(), 60u);
  EXPECT_EQ(fast.given_up, 0u);
  EXPECT_GT(fast.error, ErrorBudget(Accuracy::kDefault));
}

// What direct sums round counts too: here it is the whole budget.
TEST(WinogradChoiceTest, AModelThatRoundsTooMuchWithoutTilesGetsNone) {
  const auto graph = Chain(150, 64, 14);
  const WinogradPlan plan = PlanWinograd(*graph, Accuracy::kDefault);
  EXPECT_TRUE(plan.choices.empty());
  EXPECT_EQ(plan.given_up, 150u);
  EXPECT_EQ(plan.error, plan.direct);
  EXPECT_EQ(PlanWinograd(*graph, Accuracy::kFast).choices.size(), 150u);
}

// The larger tiles' weights would take four times as long to come from memory as the direct ones.
TEST(WinogradChoiceTest, CountsTheWayOfTheWeightsFromMemory) {
  const ConvSize late = {1, 512, 512, 7, 7};
  EXPECT_LT(WinogradCost(late, 4), WinogradCost(late, 6));
  const ConvSize early = {1, 64, 64, 56, 56};
  EXPECT_LT(WinogradCost(early, 6), WinogradCost(early, 4));
  // Every block of tiles reads them again.
  const ConvSize wide = {1, 512, 512, 28, 28};
  EXPECT_LT(WinogradCost(wide, 4), WinogradCost(wide, 6));
}

Compiled CompileWith(std::unique_ptr<ir::Graph> graph, Accuracy accuracy,
                     passes::Precision precision = passes::Precision::kF32) {
  CompileOptions options;
  options.accuracy = accuracy;
  options.precision = precision;
  auto compiled = CompileGraph(std::move(graph), options);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return compiled.ok() ? *std::move(compiled) : Compiled();
}

// The program without its optional sections.
Compiled WithoutAlternatives(const Compiled& compiled) {
  const size_t size = (compiled.bytes.size() + 63) / 64 * 64;
  const std::unique_ptr<void, decltype(&std::free)> aligned(std::aligned_alloc(64, size),
                                                            &std::free);
  std::memcpy(aligned.get(), compiled.bytes.data(), compiled.bytes.size());
  Program program;
  EXPECT_TRUE(Program::Read(aligned.get(), compiled.bytes.size(), ReadOptions{}, KernelFootprints(),
                            DefaultAllocator(), &program)
                  .ok());
  ProgramView view = program.view();
  auto& section = view.sections[static_cast<uint32_t>(SectionKind::kAlternatives)];
  EXPECT_FALSE(section.empty());
  section = {};
  Compiled result;
  EXPECT_TRUE(WriteProgram(view, &result.bytes).ok());
  EXPECT_LT(result.bytes.size(), compiled.bytes.size());
  return result;
}

std::vector<float> RunOn(const Compiled& program, const floe_backend_info& backend,
                         const ir::Tensor& input, const std::vector<ir::Tensor>& expected,
                         double tolerance = 1e-5) {
  auto model = Open(program, On(backend));
  EXPECT_TRUE(model.ok()) << model.outcome().Message();
  auto session = Session::Make(*model);
  EXPECT_TRUE(session.ok() && session->Bind({BindingOf(input)}).ok());
  const auto buffers = BindPoisonedOutputs(&*session, 1);
  EXPECT_TRUE(session->Run().ok());
  auto got = session->Output(0);
  double max = 0;
  EXPECT_LE(cli::MaxRelativeError(*got, BindingOf(expected[0]), &max), tolerance)
      << backend.backend << "/" << backend.isa;
  std::vector<float> values(buffers[0].size() / sizeof(float));
  std::memcpy(values.data(), buffers[0].data(), buffers[0].size());
  return values;
}

TEST(WinogradProgramTest, RunsWithAndWithoutTheTransformedWeights) {
  const auto graph = Chain(3, 40, 13, 4);
  const Compiled direct = CompileWith(Chain(3, 40, 13, 4), Accuracy::kStrict);
  const Compiled tiles = CompileWith(Chain(3, 40, 13, 4), Accuracy::kDefault);
  const Compiled stripped = WithoutAlternatives(tiles);
  std::string lines;
  for (const std::string& line : tiles.report.kernels) lines += line + "\n";
  for (const std::string& line : tiles.report.passes.lines) lines += line + "\n";
  EXPECT_THAT(lines, testing::HasSubstr("winograd_conv"));
  EXPECT_THAT(lines, testing::HasSubstr("F(4x4,3x3)"));
  EXPECT_THAT(lines, testing::HasSubstr("winograd: 3 convolutions in tiles, predicted error"));
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const int64_t n : {1, 3, 4}) {
    ir::Tensor x(DType::kF32, {n, 40, 13, 13});
    for (int64_t i = 0; i < x.count(); ++i) x.mutable_as<float>()[i] = normal(random);
    const auto expected = ir::Evaluate(*graph, std::span<const ir::Tensor>(&x, 1));
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (const floe_backend_info& backend : AvailableBackends()) {
      SCOPED_TRACE(backend.isa);
      const std::vector<float> by_tiles = RunOn(tiles, backend, x, *expected);
      const std::vector<float> by_sums = RunOn(direct, backend, x, *expected);
      EXPECT_EQ(RunOn(stripped, backend, x, *expected), by_sums);
      if (std::string(backend.backend) == "cpu") {
        EXPECT_NE(by_tiles, by_sums) << "the tiles were not used";
      } else {
        EXPECT_EQ(by_tiles, by_sums);
      }
    }
  }
}

// The same in bf16, whose tiles round more than direct products; a tile unit uses direct ones.
TEST(WinogradProgramTest, RunsInPairsWithAndWithoutTheTransformedWeights) {
  constexpr auto kBrain = passes::Precision::kBF16;
  const auto graph = Chain(2, 40, 13, 4);
  const Compiled direct = CompileWith(Chain(2, 40, 13, 4), Accuracy::kStrict, kBrain);
  const Compiled tiles = CompileWith(Chain(2, 40, 13, 4), Accuracy::kDefault, kBrain);
  const Compiled stripped = WithoutAlternatives(tiles);
  std::string lines;
  for (const std::string& line : tiles.report.kernels) lines += line + "\n";
  for (const std::string& line : tiles.report.passes.lines) lines += line + "\n";
  EXPECT_THAT(lines, testing::HasSubstr("F(2x2,3x3)"));
  EXPECT_THAT(lines, testing::HasSubstr("winograd: 2 convolutions of bf16 in tiles"));
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (const int64_t n : {1, 4}) {
    ir::Tensor x(DType::kF32, {n, 40, 13, 13});
    for (int64_t i = 0; i < x.count(); ++i) x.mutable_as<float>()[i] = normal(random);
    const auto expected = ir::Evaluate(*graph, std::span<const ir::Tensor>(&x, 1));
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (const floe_backend_info& backend : AvailableBackends()) {
      SCOPED_TRACE(backend.isa);
      const std::vector<float> by_tiles = RunOn(tiles, backend, x, *expected, 1.6e-2);
      const std::vector<float> by_sums = RunOn(direct, backend, x, *expected, 8e-3);
      EXPECT_EQ(RunOn(stripped, backend, x, *expected, 8e-3), by_sums);
      const bool tile_unit = std::string(backend.isa).starts_with("amx");
      if (std::string(backend.backend) == "cpu" && !tile_unit) {
        EXPECT_NE(by_tiles, by_sums) << "the tiles were not used";
      } else {
        EXPECT_EQ(by_tiles, by_sums);
      }
    }
  }
}

}  // namespace
}  // namespace floe::lower
