// Ops of domain com.microsoft against ONNX Runtime (make_microsoft_cases.py), as they are imported
// and after the passes, which must find attention in them again.
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "compiler/import/onnx/import.h"
#include "compiler/ir/evaluate.h"
#include "compiler/passes/pass.h"
#include "tests/onnx/backend_case.h"

namespace floe::onnx {
namespace {

const Tolerance kTolerance = {.rtol = 1e-4, .atol = 1e-5};

const std::vector<Case>& Cases() {
  static const std::vector<Case>* cases = [] {
    auto read = ReadPack("tests/onnx/microsoft.pack");
    EXPECT_TRUE(read.ok()) << read.status();
    return new std::vector<Case>(read.ok() ? *std::move(read) : std::vector<Case>());
  }();
  return *cases;
}

TEST(MicrosoftOps, EveryCaseEqualsOnnxRuntime) {
  EXPECT_GE(Cases().size(), 60u);
  for (const Case& c : Cases()) {
    const CaseResult r = RunCase(c, kTolerance);
    EXPECT_EQ(r.verdict, Verdict::kPass) << c.name << ": " << r.detail;
    EXPECT_FALSE(r.frozen) << c.name;
  }
}

int CountOf(const ir::Graph& graph, OpId op) {
  return static_cast<int>(std::count_if(graph.nodes().begin(), graph.nodes().end(),
                                        [op](const auto& node) { return node->op() == op; }));
}

TEST(MicrosoftOps, PassesFindAttentionInThem) {
  int found = 0;
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const bool attention = absl::StartsWith(c.name, "attention") ||
                           absl::StartsWith(c.name, "mha") || absl::StartsWith(c.name, "gqa");
    // A cap lies between the scores and the softmax, which the op does not have.
    if (!attention || c.name == "gqa_cap") continue;
    auto graph = ImportOnnxFromMemory(c.model, nullptr, {});
    ASSERT_TRUE(graph.ok()) << graph.status();
    passes::Report report;
    const absl::Status status = passes::RunPasses(**graph, passes::StandardPipeline(), {}, report);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(CountOf(**graph, OpId::kAttention), 1);
    EXPECT_EQ(CountOf(**graph, OpId::kSoftmax), 0);
    std::vector<ir::Tensor> inputs;
    for (const std::string& bytes : c.sets[0].inputs) {
      const auto t = ParseTensor(bytes);
      ASSERT_TRUE(t.ok()) << t.status();
      inputs.push_back(*t);
    }
    const auto outputs = ir::Evaluate(**graph, inputs);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    ASSERT_EQ(outputs->size(), c.sets[0].outputs.size());
    for (size_t i = 0; i < outputs->size(); ++i) {
      const auto want = ParseTensor(c.sets[0].outputs[i]);
      ASSERT_TRUE(want.ok()) << want.status();
      EXPECT_EQ(Difference((*outputs)[i], *want, kTolerance), "") << "output " << i;
    }
    ++found;
  }
  EXPECT_GE(found, 35);
}

}  // namespace
}  // namespace floe::onnx
