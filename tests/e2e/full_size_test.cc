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
#include "compiler/lower/compile.h"
#include "runtime/floe.hpp"
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

Tensor BindingOf(const ir::Tensor& t) {
  Tensor b;
  b.data = const_cast<void*>(t.data());
  b.bytes = static_cast<size_t>(t.bytes());
  b.dtype = static_cast<int32_t>(t.dtype());
  b.rank = static_cast<uint32_t>(t.dims().size());
  for (size_t i = 0; i < t.dims().size(); ++i) b.dims[i] = t.dims()[i];
  return b;
}

std::vector<std::string> RunOnce(const Model& model, uint32_t threads,
                                 const std::vector<Tensor>& inputs,
                                 const std::vector<ir::Tensor>& expected) {
  auto pool = ThreadPool::Make(threads);
  EXPECT_TRUE(pool.ok());
  SessionOptions options;
  options.pool = pool->get();
  auto session = Session::Make(model, options);
  EXPECT_TRUE(session.ok());
  const Outcome bound = session->Bind(inputs);
  EXPECT_TRUE(bound.ok()) << bound.Message();
  std::vector<std::string> outputs;
  for (uint32_t i = 0; i < expected.size(); ++i) {
    outputs.emplace_back(static_cast<size_t>(expected[i].bytes()), '\xff');
    EXPECT_TRUE(session->SetOutput(i, outputs.back().data(), outputs.back().size()).ok());
  }
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
  std::vector<Tensor> bindings;
  for (const ir::Value* v : (*graph)->inputs()) inputs.push_back(RandomInput(*v, &random));
  for (const ir::Tensor& t : inputs) bindings.push_back(BindingOf(t));
  auto expected = ir::Evaluate(**graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();

  std::vector<uint8_t> bytes;
  const auto sink = [](void* self, const void* data, size_t n) {
    auto* to = static_cast<std::vector<uint8_t>*>(self);
    const auto* from = static_cast<const uint8_t*>(data);
    to->insert(to->end(), from, from + n);
    return true;
  };
  lower::CompileReport report;
  const absl::Status s = lower::Compile(*std::move(graph), {}, sink, &bytes, &report);
  ASSERT_TRUE(s.ok()) << s;
  EXPECT_TRUE(report.fallbacks.empty()) << report.fallbacks[0];
  OpenOptions options;
  options.copy = 1;  // The bytes are not aligned.
  auto model = Model::Open(bytes.data(), bytes.size(), options);
  ASSERT_TRUE(model.ok()) << model.outcome().Message();
  const auto one = RunOnce(*model, 1, bindings, *expected);
  const auto two = RunOnce(*model, 2, bindings, *expected);
  EXPECT_TRUE(one == two) << "thread counts differ";
  for (size_t i = 0; i < one.size(); ++i) {
    Tensor got = BindingOf((*expected)[i]);
    got.data = const_cast<char*>(one[i].data());
    double max = 0;
    const double error = cli::MaxRelativeError(got, BindingOf((*expected)[i]), &max);
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
