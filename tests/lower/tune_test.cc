// Choice by measurement: what a tune record changes in a program, and what it does not. Times are
// forged, so nothing here depends on the clock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "compiler/ir/evaluate.h"
#include "compiler/ir/shapes.h"
#include "compiler/lower/tune_layers.h"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"

namespace floe::lower {
namespace {

using testing::HasSubstr;

constexpr char kCpu[] = "a CPU";
constexpr char kKernels[] = "products-test";

ir::Node* AddConv(ir::Graph* graph, ir::Value* x, int64_t outputs, const std::string& name,
                  std::mt19937* random) {
  const int64_t channels = x->shape()[1].Max(graph->symbols);
  std::normal_distribution<float> normal(0.0f, 1 / std::sqrt(9.0f * static_cast<float>(channels)));
  ir::Tensor w(DType::kF32, {outputs, channels, 3, 3});
  for (int64_t k = 0; k < w.count(); ++k) w.mutable_as<float>()[k] = normal(*random);
  ir::Node* conv =
      graph->AddNode(OpId::kConv, {x, graph->AddConstant(name + "/w", w)}, {name}, {name, ""});
  conv->attrs = {{"strides", std::vector<int64_t>{1, 1}},
                 {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                 {"dilations", std::vector<int64_t>{1, 1}},
                 {"groups", int64_t{1}}};
  EXPECT_TRUE(ir::InferNode(*graph, *conv).ok());
  return conv;
}

ir::Value* Apply(ir::Graph* graph, OpId op, std::vector<ir::Value*> inputs,
                 const std::string& name) {
  ir::Node* node = graph->AddNode(op, std::move(inputs), {name}, {name, ""});
  EXPECT_TRUE(ir::InferNode(*graph, *node).ok());
  return node->output();
}

// y = relu(c2(relu(c1(x))) + x), then c3 with as many outputs as asked: c1 and c2 have different
// epilogues and c3 another shape, so they are three layers to measure.
std::unique_ptr<ir::Graph> Block(int64_t last = 48, int64_t size = 13, int64_t max_batch = 3) {
  auto graph = std::make_unique<ir::Graph>();
  graph->name = "block";
  std::mt19937 random(3);
  ir::Dim batch(1);
  if (max_batch > 1) batch = ir::Dim::OfSymbol(graph->GetSymbol("N", 1, max_batch));
  ir::Value* x = graph->AddInput("x", DType::kF32, {batch, 40, size, size});
  ir::Value* y = AddConv(graph.get(), x, 40, "c1", &random)->output();
  y = Apply(graph.get(), OpId::kRelu, {y}, "r1");
  y = AddConv(graph.get(), y, 40, "c2", &random)->output();
  y = Apply(graph.get(), OpId::kAdd, {y, x}, "a2");
  y = Apply(graph.get(), OpId::kRelu, {y}, "r2");
  y = AddConv(graph.get(), y, last, "c3", &random)->output();
  graph->AddOutput(y, "y");
  return graph;
}

// Forges the measurement of every layer: `fastest` takes 100 us, the others 200 and more.
class Forger {
 public:
  explicit Forger(std::string fastest) : fastest_(std::move(fastest)) {}

  CompileOptions Options(Accuracy accuracy = Accuracy::kDefault) {
    CompileOptions options;
    options.accuracy = accuracy;
    options.tune = {&record_, kCpu, kKernels, 1,
                    [this](const tune::Key& key, const std::string& node,
                           const std::vector<LayerProgram>& programs) {
                      nodes_.push_back(node);
                      keys_.insert(key);
                      return Forge(programs);
                    }};
    return options;
  }
  tune::Record& record() { return record_; }
  const std::vector<std::string>& nodes() const { return nodes_; }
  const std::set<tune::Key>& keys() const { return keys_; }
  std::map<std::string, std::vector<LayerProgram>> programs;

 private:
  absl::StatusOr<tune::Entry> Forge(const std::vector<LayerProgram>& candidates) {
    programs[nodes_.back()] = candidates;
    tune::Entry entry;
    entry.floe = "0.1.0";
    int64_t ns = 200000;
    for (const LayerProgram& p : candidates) {
      entry.timings.push_back({p.candidate, p.candidate == fastest_ ? 100000 : ns += 1000, 10, 11});
    }
    return entry;
  }

  std::string fastest_;
  tune::Record record_;
  std::vector<std::string> nodes_;
  std::set<tune::Key> keys_;
};

std::string Lines(const CompileReport& report) {
  std::string all;
  for (const std::string& line : report.tuning) all += line + "\n";
  for (const std::string& line : report.kernels) all += line + "\n";
  return all;
}

size_t Count(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

Compiled MustCompile(std::unique_ptr<ir::Graph> graph, const CompileOptions& options) {
  auto compiled = CompileGraph(std::move(graph), options);
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return compiled.ok() ? *std::move(compiled) : Compiled{};
}

ir::Tensor RandomImage(int64_t images, int64_t size) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  ir::Tensor x(DType::kF32, {images, 40, size, size});
  for (int64_t i = 0; i < x.count(); ++i) x.mutable_as<float>()[i] = normal(random);
  return x;
}

std::vector<float> RunOn(const Compiled& program, const floe_backend_info& backend,
                         const std::vector<Tensor>& inputs, const Tensor* expected) {
  auto model = Open(program, On(backend));
  EXPECT_TRUE(model.ok()) << model.outcome().Message();
  auto session = Session::Make(*model);
  EXPECT_TRUE(session.ok() && session->Bind(inputs).ok());
  const auto buffers = BindPoisonedOutputs(&*session, 1);
  EXPECT_TRUE(session->Run().ok());
  if (expected != nullptr) {
    auto got = session->Output(0);
    double max = 0;
    EXPECT_LE(cli::MaxRelativeError(*got, *expected, &max), 1e-5) << backend.isa;
  }
  std::vector<float> values(buffers[0].size() / sizeof(float));
  std::memcpy(values.data(), buffers[0].data(), buffers[0].size());
  return values;
}

TEST(TuneTest, AForgedRecordFlipsTheChoiceAndOutputsAgree) {
  const ir::Tensor x = RandomImage(2, 13);
  const auto expected = ir::Evaluate(*Block(), std::span<const ir::Tensor>(&x, 1));
  ASSERT_TRUE(expected.ok()) << expected.status();
  const Tensor y = BindingOf((*expected)[0]);
  const Compiled strict = MustCompile(Block(), [] {
    CompileOptions options;
    options.accuracy = Accuracy::kStrict;
    return options;
  }());
  std::set<std::vector<float>> results;
  for (const char* fastest : {"direct", "F(2x2,3x3)", "F(4x4,3x3)"}) {
    SCOPED_TRACE(fastest);
    Forger forger(fastest);
    const Compiled compiled = MustCompile(Block(), forger.Options());
    const std::string lines = Lines(compiled.report);
    const bool direct = std::string(fastest) == "direct";
    EXPECT_EQ(Count(lines, " winograd_conv "), direct ? 0u : 3u) << lines;
    EXPECT_EQ(Count(lines, std::string(" -> ") + fastest + "\n"), 3u) << lines;
    EXPECT_EQ(Count(lines, std::string("or ") + fastest), direct ? 0u : 3u) << lines;
    for (const floe_backend_info& backend : AvailableBackends()) {
      const std::vector<float> got = RunOn(compiled, backend, {BindingOf(x)}, &y);
      if (direct) {
        EXPECT_EQ(got, RunOn(strict, backend, {BindingOf(x)}, &y));
      }
      if (std::string(backend.backend) == "cpu") results.insert(got);
    }
  }
  EXPECT_GE(results.size(), 3u) << "the choices did not change what runs";
}

TEST(TuneTest, EqualRecordsGiveEqualBytesAndNothingIsMeasuredTwice) {
  Forger forger("F(2x2,3x3)");
  const Compiled first = MustCompile(Block(), forger.Options());
  EXPECT_THAT(forger.nodes(), testing::ElementsAre("c1", "c2", "c3"));
  const Compiled second = MustCompile(Block(), forger.Options());
  EXPECT_EQ(forger.nodes().size(), 3u);
  EXPECT_EQ(second.bytes, first.bytes);
  // Through text, without the clock.
  auto again = tune::Record::Parse(forger.record().ToText(), "r");
  ASSERT_TRUE(again.ok());
  CompileOptions options = forger.Options();
  options.tune.measure = nullptr;
  options.tune.record = &*again;
  EXPECT_EQ(MustCompile(Block(), options).bytes, first.bytes);
  // Merged with one that says otherwise of some layers, in any order.
  Forger other("direct");
  MustCompile(Block(64), other.Options());
  tune::Record one = *again, two = other.record();
  one.Merge(other.record());
  two.Merge(*again);
  options.tune.record = &one;
  const Compiled third = MustCompile(Block(), options);
  options.tune.record = &two;
  EXPECT_EQ(MustCompile(Block(), options).bytes, third.bytes);
}

TEST(TuneTest, EqualLayersAreMeasuredOnce) {
  auto graph = std::make_unique<ir::Graph>();
  std::mt19937 random(3);
  ir::Value* x =
      graph->AddInput("x", DType::kF32, {ir::Dim(1), ir::Dim(32), ir::Dim(9), ir::Dim(9)});
  for (int i = 0; i < 4; ++i) {
    x = AddConv(graph.get(), x, 32, "c" + std::to_string(i), &random)->output();
  }
  graph->AddOutput(x, "y");
  Forger forger("direct");
  const Compiled compiled = MustCompile(std::move(graph), forger.Options());
  EXPECT_THAT(forger.nodes(), testing::ElementsAre("c0"));
  EXPECT_THAT(Lines(compiled.report), HasSubstr("4 of 4 layers measured"));
}

TEST(TuneTest, KeysSayWhatTheLayerIs) {
  Forger forger("direct");
  MustCompile(Block(), forger.Options());
  ASSERT_EQ(forger.keys().size(), 3u);
  std::set<std::string> epilogues, shapes;
  for (const tune::Key& key : forger.keys()) {
    EXPECT_EQ(key.cpu, kCpu);
    EXPECT_EQ(key.kernels, kKernels);
    EXPECT_EQ(key.weights, "cache");
    EXPECT_EQ(key.family, "conv");
    EXPECT_EQ(key.types, "f32*f32");
    EXPECT_EQ(key.layout, "channels-last");
    epilogues.insert(key.epilogue);
    shapes.insert(key.shape);
  }
  EXPECT_THAT(epilogues, testing::ElementsAre("", "image+add+relu", "relu"));
  EXPECT_THAT(shapes, testing::Contains("x=1x40x13x13 w=48x40x3x3 strides=1,1 pads=1,1,1,1 "
                                        "dilations=1,1 groups=1"));
}

// A layer's programs compute the layer: all candidates the same, but for their rounding.
TEST(TuneTest, TheProgramsOfALayerAgree) {
  Forger forger("direct");
  MustCompile(Block(), forger.Options());
  ASSERT_EQ(forger.programs.size(), 3u);
  for (const auto& [node, programs] : forger.programs) {
    SCOPED_TRACE(node);
    ASSERT_EQ(programs.size(), 3u);
    for (const floe_backend_info& backend : AvailableBackends()) {
      std::vector<std::vector<float>> results;
      for (const LayerProgram& p : programs) {
        Compiled program;
        program.bytes = p.bytes;
        auto model = Open(program);
        ASSERT_TRUE(model.ok()) << model.outcome().Message();
        const auto inputs = cli::MakeInputs(*model, {});
        ASSERT_TRUE(inputs.ok()) << inputs.status();
        EXPECT_EQ(inputs->tensors.size(), node == "c2" ? 2u : 1u);
        EXPECT_EQ(inputs->tensors[0].dims[0], 1);
        results.push_back(RunOn(program, backend, inputs->tensors, nullptr));
      }
      float most = 0;
      for (const float v : results[0]) most = std::max(most, std::fabs(v));
      for (size_t i = 1; i < results.size(); ++i) {
        ASSERT_EQ(results[i].size(), results[0].size());
        for (size_t k = 0; k < results[0].size(); ++k) {
          ASSERT_NEAR(results[i][k], results[0][k], 1e-5f * most) << programs[i].candidate;
        }
      }
    }
  }
}

TEST(TuneTest, ForeignAndStaleEntriesAreIgnoredWithASentence) {
  Forger forger("direct");
  MustCompile(Block(), forger.Options());
  const Compiled plain = MustCompile(Block(), {});
  EXPECT_GT(Count(Lines(plain.report), " winograd_conv "), 0u);
  struct Case {
    const char* says;
    std::string cpu, kernels;
    int64_t threads;
  };
  const Case cases[] = {
      {"3 entries ignored: measured on another CPU ('a CPU'; this compile is for 'another')",
       "another", kKernels, 1},
      {"3 entries ignored: stale, measured with other kernels ('products-test'; these are 'new')",
       kCpu, "new", 1},
      {"3 entries ignored: measured for another number of threads than 4", kCpu, kKernels, 4},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.says);
    CompileOptions options;
    options.tune = {&forger.record(), c.cpu, c.kernels, c.threads, nullptr};
    const Compiled compiled = MustCompile(Block(), options);
    const std::string lines = Lines(compiled.report);
    EXPECT_THAT(lines, HasSubstr(c.says));
    EXPECT_THAT(lines, HasSubstr("0 of 3 layers measured"));
    EXPECT_EQ(compiled.bytes, plain.bytes);
  }
}

TEST(TuneTest, ExplainShowsBothWithAndWithoutARecord) {
  const Compiled plain = MustCompile(Block(), {});
  ASSERT_EQ(plain.report.tuning.size(), 3u);
  for (const std::string& line : plain.report.tuning) {
    EXPECT_THAT(line, HasSubstr("cost model in us: direct "));
    EXPECT_THAT(line, HasSubstr("not measured"));
  }
  Forger forger("F(2x2,3x3)");
  const Compiled tuned = MustCompile(Block(), forger.Options());
  ASSERT_EQ(tuned.report.tuning.size(), 4u);
  EXPECT_THAT(tuned.report.tuning[0],
              HasSubstr("measured: direct 201, F(2x2,3x3) 100, F(4x4,3x3) 202 -> F(2x2,3x3)"));
  EXPECT_THAT(tuned.report.tuning[3], HasSubstr("3 of 3 layers measured"));
  EXPECT_THAT(tuned.report.tuning[3], HasSubstr("these 0.300 ms"));
}

// However fast a record says that tiles are, the error's budget holds.
TEST(TuneTest, MeasuredTimesDoNotBuyAccuracy) {
  auto deep = [] {
    auto graph = std::make_unique<ir::Graph>();
    std::mt19937 random(3);
    ir::Value* x =
        graph->AddInput("x", DType::kF32, {ir::Dim(1), ir::Dim(64), ir::Dim(8), ir::Dim(8)});
    for (int i = 0; i < 60; ++i) {
      x = AddConv(graph.get(), x, 64, "c" + std::to_string(i), &random)->output();
    }
    graph->AddOutput(x, "y");
    return graph;
  };
  Forger forger("F(4x4,3x3)");
  const Compiled compiled = MustCompile(deep(), forger.Options());
  const std::string lines = Lines(compiled.report);
  EXPECT_LT(Count(lines, " -> F(4x4,3x3)\n"), 60u);
  EXPECT_GT(Count(lines, " -> direct\n"), 0u);
  Forger strict("F(4x4,3x3)");
  EXPECT_EQ(Count(Lines(MustCompile(deep(), strict.Options(Accuracy::kStrict)).report),
                  " winograd_conv "),
            0u);
  EXPECT_TRUE(strict.nodes().empty()) << "nothing to choose, but measured";
}

TEST(TuneTest, AGainWithinTheNoiseStaysDirect) {
  Forger forger("F(2x2,3x3)");
  MustCompile(Block(), forger.Options());
  tune::Record close;
  for (const auto& [key, entry] : forger.record().entries()) {
    tune::Entry e = entry;
    for (tune::Timing& t : e.timings) t.median_ns = t.candidate == "direct" ? 102 : 100;
    close.Add(e);
  }
  CompileOptions options;
  options.tune = {&close, kCpu, kKernels, 1, nullptr};
  EXPECT_EQ(Count(Lines(MustCompile(Block(), options).report), " winograd_conv "), 0u);
}

TEST(TuneTest, AnErrorOfTheClockEndsTheCompilation) {
  Forger forger("direct");
  CompileOptions options = forger.Options();
  options.tune.measure = [](const tune::Key&, const std::string&,
                            const std::vector<LayerProgram>&) -> absl::StatusOr<tune::Entry> {
    return absl::ResourceExhaustedError("no clock");
  };
  const auto compiled = CompileGraph(Block(), options);
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.status().message(), "no clock");
}

TEST(TuneTest, WhatIsTooLargeToMeasureGoesByCost) {
  Forger forger("direct");
  const Compiled compiled = MustCompile(Block(48, 1500, 1), forger.Options());
  EXPECT_THAT(forger.nodes(), testing::IsEmpty());
  EXPECT_THAT(Lines(compiled.report), HasSubstr("c2 is not measured: it is too large"));
}

}  // namespace
}  // namespace floe::lower
