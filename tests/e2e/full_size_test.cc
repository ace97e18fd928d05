// The full-size models once, in Release: compiled, run on the best kernels with one and two
// threads, and compared with the reference ops on the graph as it was imported.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "compiler/import/onnx/import.h"
#include "compiler/ir/evaluate.h"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"

namespace floe {
namespace {

struct FullSize {
  const char* name;
  double tolerance;  // Of the error relative to max|y|.
};

ir::Tensor RandomInput(const ir::Value& v, std::mt19937* random) {
  ir::Tensor t(v.dtype(), v.StaticShape());
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < t.count(); ++i) {
    if (v.dtype() == DType::kF32) {
      t.mutable_as<float>()[i] = normal(*random);
    } else if (v.name().find("mask") != std::string::npos ||
               v.name().find("type") != std::string::npos) {
      t.mutable_as<int64_t>()[i] = static_cast<int64_t>((*random)() % 2);
    } else {
      t.mutable_as<int64_t>()[i] = static_cast<int64_t>((*random)() % 10000);
    }
  }
  return t;
}

std::vector<std::string> RunOnce(const Model& model, uint32_t threads,
                                 const std::vector<Tensor>& inputs) {
  auto pool = ThreadPool::Make(threads);
  EXPECT_TRUE(pool.ok());
  SessionOptions options;
  options.pool = pool->get();
  auto session = Session::Make(model, options);
  EXPECT_TRUE(session.ok());
  const Outcome bound = session->Bind(inputs);
  EXPECT_TRUE(bound.ok()) << bound.Message();
  auto outputs = lower::BindPoisonedOutputs(&*session, model.Method().outputs);
  const Outcome ran = session->Run();
  EXPECT_TRUE(ran.ok()) << ran.Message();
  return outputs;
}

class FullSizeTest : public testing::TestWithParam<FullSize> {};

TEST_P(FullSizeTest, MeetsTheReferenceOps) {
  const char* folder = std::getenv("FLOE_FULL_SIZE");
  const std::string path =
      std::string(folder == nullptr ? "." : folder) + "/" + GetParam().name + ".onnx";
  auto graph = onnx::ImportOnnx(path);
  ASSERT_TRUE(graph.ok()) << graph.status();
  std::mt19937 random(17);
  std::vector<ir::Tensor> inputs;
  for (const ir::Value* v : (*graph)->inputs()) inputs.push_back(RandomInput(*v, &random));
  const std::vector<Tensor> bindings = lower::BindingsOf(inputs);
  auto expected = ir::Evaluate(**graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();

  const auto program = lower::CompileGraph(*std::move(graph));
  ASSERT_TRUE(program.ok()) << program.status();
  lower::ExpectTightArenas(program->report);
  EXPECT_TRUE(program->report.fallbacks.empty()) << program->report.fallbacks[0];
  auto model = lower::Open(*program);
  ASSERT_TRUE(model.ok()) << model.outcome().Message();
  const auto one = RunOnce(*model, 1, bindings);
  const auto two = RunOnce(*model, 2, bindings);
  EXPECT_TRUE(one == two) << "thread counts differ";
  ASSERT_EQ(one.size(), expected->size());
  for (size_t i = 0; i < one.size(); ++i) {
    Tensor got = lower::BindingOf((*expected)[i]);
    got.data = const_cast<char*>(one[i].data());
    double max = 0;
    const double error = cli::MaxRelativeError(got, lower::BindingOf((*expected)[i]), &max);
    EXPECT_LE(error, GetParam().tolerance) << "output " << i;
    EXPECT_GT(max, 1e-3);
    RecordProperty("max_relative_error_" + std::to_string(i), std::to_string(error));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, FullSizeTest,
                         testing::Values(FullSize{"resnet18", 1e-5}, FullSize{"resnet50", 1e-5},
                                         FullSize{"mobilenetv2", 1e-5}, FullSize{"bert-base", 1e-4},
                                         FullSize{"lstm-lm", 1e-5}),
                         [](const testing::TestParamInfo<FullSize>& info) {
                           std::string name = info.param.name;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace floe
