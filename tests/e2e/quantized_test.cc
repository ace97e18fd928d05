// Models that ONNX Runtime's tool quantised (models/quantized), against its own integer kernels:
// evaluated on the reference ops before and after the passes, and compiled and run on every kernel
// table that this machine has. What is rounded to integers may differ by a step where float sums
// round differently; the tests bound how many numbers do.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "compiler/import/onnx/import.h"
#include "compiler/ir/evaluate.h"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"
#include "tools/cli/npy.h"

namespace floe {
namespace {

struct Twin {
  const char* name;
  int products;        // Integer products that the passes make.
  const char* gone;    // An op that none is left of.
  double most_steps;   // Of a static form: the largest difference in steps of the result.
  double least_equal;  // The share of numbers that are equal to within half a step.
  double tolerance;    // Of a dynamic form: relative to the largest number.
};

constexpr Twin kTwins[] = {
    {"resnet18.qdq", 21, "conv", 1, 0.98, 0},
    {"resnet18.qoperator", 21, "conv", 1, 0.98, 0},
    {"resnet18.i8", 21, "conv", 1, 0.98, 0},
    {"resnet50.qdq", 54, "conv", 1, 0.98, 0},
    {"mobilenetv2.qdq", 53, "conv", 1, 0.98, 0},
    {"mobilenetv2.qoperator", 53, "conv", 1, 0.98, 0},
    {"bert.dynamic", 13, "matmul_integer", 0, 0, 2e-2},
    {"lstm.dynamic", 1, "lstm", 0, 0, 5e-3},
    // Functions between conversions: ONNX Runtime computes them from bytes to bytes and rounds
    // once, the graph as it is written twice. Evaluated as written, too, no more numbers are equal.
    {"functions.qdq", 4, "avg_pool", 1, 0.85, 0},
    {"functions.qoperator", 4, "sigmoid", 1, 0.95, 0},
    {"attention.dynamic", 3, "matmul_integer", 0, 0, 2e-2},
};

std::string PathOf(const Twin& twin, const char* extension) {
  const char* folder = std::getenv("FLOE_QUANTIZED");
  return std::string(folder == nullptr ? "models/quantized" : folder) + "/" + twin.name + extension;
}

cli::NamedArrays ReadGolden(const Twin& twin) {
  auto arrays = cli::ReadNpz(PathOf(twin, ".npz"), uint64_t{1} << 26);
  EXPECT_TRUE(arrays.ok()) << arrays.status();
  return arrays.ok() ? *std::move(arrays) : cli::NamedArrays();
}

const cli::Array* Find(const cli::NamedArrays& arrays, const std::string& name) {
  for (const auto& [key, array] : arrays) {
    if (key == name) return &array;
  }
  ADD_FAILURE() << "the golden has no " << name;
  return nullptr;
}

// Compares f32 numbers with a golden output.
void ExpectLike(const Twin& twin, const cli::NamedArrays& golden, const std::string& name,
                const float* got, size_t count, const std::string& what) {
  const cli::Array* want = Find(golden, "out/" + name);
  const cli::Array* quantum = Find(golden, "quantum");
  if (want == nullptr || quantum == nullptr) return;
  ASSERT_EQ(want->bytes.size(), count * sizeof(float)) << what;
  float step = 0;
  std::memcpy(&step, quantum->bytes.data(), sizeof(step));
  double largest = 0, worst = 0;
  size_t equal = 0;
  for (size_t i = 0; i < count; ++i) {
    float w = 0;
    std::memcpy(&w, want->bytes.data() + i * sizeof(float), sizeof(w));
    const double difference = std::fabs(static_cast<double>(got[i]) - static_cast<double>(w));
    largest = std::max(largest, std::fabs(static_cast<double>(w)));
    worst = std::max(worst, difference);
    if (difference <= 0.5 * static_cast<double>(step)) ++equal;
    ASSERT_FALSE(std::isnan(got[i])) << what;
  }
  EXPECT_GT(largest, 1e-2) << what << ": the golden itself is near zero";
  if (step == 0) {
    EXPECT_LE(worst, twin.tolerance * largest) << what;
    return;
  }
  const auto percent = 100.0 * static_cast<double>(equal) / static_cast<double>(count);
  testing::Test::RecordProperty("equal_percent, " + what, std::to_string(percent));
  EXPECT_LE(worst, (twin.most_steps + 0.01) * static_cast<double>(step)) << what;
  EXPECT_GE(static_cast<double>(equal), twin.least_equal * static_cast<double>(count)) << what;
}

std::unique_ptr<ir::Graph> Import(const Twin& twin) {
  auto graph = onnx::ImportOnnx(PathOf(twin, ".onnx"), {});
  EXPECT_TRUE(graph.ok()) << graph.status();
  return graph.ok() ? *std::move(graph) : nullptr;
}

class QuantizedTest : public testing::TestWithParam<Twin> {};

TEST_P(QuantizedTest, EvaluatesLikeOnnxRuntimeBeforeAndAfterThePasses) {
  const Twin& twin = GetParam();
  const cli::NamedArrays golden = ReadGolden(twin);
  auto graph = Import(twin);
  ASSERT_NE(graph, nullptr);
  std::vector<ir::Tensor> inputs;
  for (const ir::Value* v : graph->inputs()) {
    const cli::Array* a = Find(golden, "in/" + v->name());
    ASSERT_NE(a, nullptr);
    ir::Tensor t(a->dtype, a->dims);
    std::memcpy(t.mutable_data(), a->bytes.data(), a->bytes.size());
    inputs.push_back(t);
  }
  for (const bool after : {false, true}) {
    if (after) {
      passes::Report report;
      const absl::Status s = passes::RunPasses(*graph, passes::StandardPipeline(), {}, report);
      ASSERT_TRUE(s.ok()) << s;
      int products = 0;
      for (const auto& node : graph->nodes()) {
        products += node->op() == OpId::kQConv || node->op() == OpId::kQGemm;
        EXPECT_STRNE(OpRow(node->op()).name, twin.gone) << node->provenance.node;
      }
      EXPECT_EQ(products, twin.products);
    }
    auto outputs = ir::Evaluate(*graph, inputs);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    for (size_t i = 0; i < outputs->size(); ++i) {
      const ir::Tensor& y = (*outputs)[i];
      ASSERT_EQ(y.dtype(), DType::kF32);
      ExpectLike(twin, golden, graph->output_names[i], y.as<float>(),
                 static_cast<size_t>(y.count()), after ? "after the passes" : "before the passes");
    }
  }
}

TEST_P(QuantizedTest, RunsLikeOnnxRuntimeOnEveryTable) {
  const Twin& twin = GetParam();
  const cli::NamedArrays golden = ReadGolden(twin);
  auto graph = Import(twin);
  ASSERT_NE(graph, nullptr);
  auto program = lower::CompileGraph(std::move(graph));
  ASSERT_TRUE(program.ok()) << program.status();
  lower::ExpectTightArenas(program->report);
  for (const floe_backend_info& backend : lower::AvailableBackends()) {
    const std::string what = std::string(backend.backend) + "/" + backend.isa;
    auto model = lower::Open(*program, lower::On(backend));
    ASSERT_TRUE(model.ok()) << what << ": " << model.outcome().Message();
    auto session = Session::Make(*model);
    ASSERT_TRUE(session.ok()) << what;
    std::vector<Tensor> inputs;
    for (uint32_t i = 0; i < model->Method().inputs; ++i) {
      const cli::Array* a = Find(golden, "in/" + model->Name(FLOE_INPUT, i));
      ASSERT_NE(a, nullptr);
      inputs.push_back(cli::TensorOfArray(*a));
    }
    const Outcome bound = session->Bind(inputs);
    ASSERT_TRUE(bound.ok()) << what << ": " << bound.Message();
    const std::vector<std::string> outputs =
        lower::BindPoisonedOutputs(&*session, model->Method().outputs);
    const Outcome ran = session->Run();
    ASSERT_TRUE(ran.ok()) << what << ": " << ran.Message();
    for (uint32_t i = 0; i < outputs.size(); ++i) {
      std::vector<float> y(outputs[i].size() / sizeof(float));
      std::memcpy(y.data(), outputs[i].data(), y.size() * sizeof(float));
      ExpectLike(twin, golden, model->Name(FLOE_OUTPUT, i), y.data(), y.size(), what);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Twins, QuantizedTest, testing::ValuesIn(kTwins), [](const auto& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (c == '.') c = '_';
  }
  return name;
});

}  // namespace
}  // namespace floe
