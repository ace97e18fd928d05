// Ops of domain com.microsoft against ONNX Runtime (make_microsoft_cases.py), as they are imported
// and after the passes, which must find attention in them again.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

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

// Imports a case, runs the passes, and compares what the graph gives then.
void RunOptimised(const Case& c, const Tolerance& tolerance,
                  std::unique_ptr<ir::Graph>* optimised) {
  auto graph = ImportOnnxFromMemory(c.model, nullptr, {});
  ASSERT_TRUE(graph.ok()) << graph.status();
  passes::Report report;
  const absl::Status status = passes::RunPasses(**graph, passes::StandardPipeline(), {}, report);
  ASSERT_TRUE(status.ok()) << status;
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
    EXPECT_EQ(Difference((*outputs)[i], *want, tolerance), "") << "output " << i;
  }
  *optimised = *std::move(graph);
}

TEST(MicrosoftOps, PassesFindAttentionAndRotaryEmbeddingsInThem) {
  int attentions = 0, rotaries = 0;
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    const bool attention = absl::StartsWith(c.name, "attention") ||
                           absl::StartsWith(c.name, "mha") || absl::StartsWith(c.name, "gqa");
    const bool rotary =
        absl::StartsWith(c.name, "rotary") || absl::StartsWith(c.name, "gqa_rotary");
    if (c.name == "bert") continue;  // Of dynamic sizes.
    std::unique_ptr<ir::Graph> graph;
    RunOptimised(c, kTolerance, &graph);
    if (graph == nullptr) continue;
    // A cap lies between the scores and the softmax, which the op does not have.
    const bool capped = c.name == "gqa_cap";
    EXPECT_EQ(CountOf(*graph, OpId::kAttention), attention && !capped ? 1 : 0);
    EXPECT_EQ(CountOf(*graph, OpId::kSoftmax), capped ? 1 : 0);
    attentions += attention ? 1 : 0;
    if (rotary) {
      EXPECT_EQ(CountOf(*graph, OpId::kRotary), attention ? 2 : 1);
    }
    rotaries += rotary ? 1 : 0;
  }
  EXPECT_GE(attentions, 35);
  EXPECT_GE(rotaries, 10);
}

// Attention and RotaryEmbedding of opset 23, from the ONNX project's own cases.
TEST(OnnxOps, PassesFindAttentionAndRotaryEmbeddingsInThem) {
  const auto cases = ReadPack("tests/onnx/backend_subset.pack");
  ASSERT_TRUE(cases.ok()) << cases.status();
  int attentions = 0, rotaries = 0;
  for (const Case& c : *cases) {
    SCOPED_TRACE(c.name);
    const bool rotary = absl::StartsWith(c.name, "test_rotary_embedding");
    // Those written out are the project's own functions, 16-bit types keep what they round, and a
    // cap lies between the scores and the softmax.
    if ((!rotary && !absl::StartsWith(c.name, "test_attention")) ||
        absl::StrContains(c.name, "expanded") || absl::StrContains(c.name, "16") ||
        absl::StrContains(c.name, "softcap")) {
      continue;
    }
    std::unique_ptr<ir::Graph> graph;
    RunOptimised(c, Tolerance{}, &graph);
    if (graph == nullptr) continue;
    if (rotary) {
      EXPECT_EQ(CountOf(*graph, OpId::kRotary), 1);
    }
    if (!rotary) {
      EXPECT_EQ(CountOf(*graph, OpId::kAttention), 1);
    }
    ++(rotary ? rotaries : attentions);
  }
  EXPECT_GE(attentions, 4);
  EXPECT_GE(rotaries, 1);
}

}  // namespace
}  // namespace floe::onnx
