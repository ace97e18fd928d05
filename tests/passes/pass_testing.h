// Runs passes on graphs in text form and checks that the numbers stay.
#ifndef FLOE_TESTS_PASSES_PASS_TESTING_H_
#define FLOE_TESTS_PASSES_PASS_TESTING_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ir/verify.h"
#include "compiler/passes/pass.h"
#include "tests/ir/ir_testing.h"

namespace floe::passes {

// "conv pointwise*2 transpose": the ops of a graph in alphabetical order, with counts.
inline std::string OpsOf(const ir::Graph& graph) {
  std::map<std::string, int> counts;
  for (const auto& node : graph.nodes()) ++counts[OpRow(node->op()).name];
  std::string text;
  for (const auto& [name, count] : counts) {
    text += (text.empty() ? "" : " ") + name + (count > 1 ? "*" + std::to_string(count) : "");
  }
  return text;
}

inline const Pass& FindPass(std::string_view name) {
  for (const Pass& pass : StandardPipeline()) {
    if (pass.name == name) return pass;
  }
  ADD_FAILURE() << "there is no pass " << name;
  return StandardPipeline()[0];
}

struct Transformed {
  std::unique_ptr<ir::Graph> graph;
  Report report;
  std::string ops() const { return OpsOf(*graph); }
  std::string text() const { return ir::ToText(*graph); }
  const ir::Node* first(OpId op) const {
    for (const auto& node : graph->nodes()) {
      if (node->op() == op) return node.get();
    }
    ADD_FAILURE() << "there is no " << OpRow(op).name << " in\n" << text();
    return nullptr;
  }
};

// Parses `text`, evaluates it on random inputs, runs the passes, evaluates again and compares.
// Symbols take each of the given sets of values.
inline Transformed TransformWith(const std::string& text, std::vector<Pass> passes,
                                 double tolerance = 1e-5,
                                 std::vector<std::vector<int64_t>> symbols = {
                                     {2, 3}, {1, 1}, {7, 5}}) {
  Transformed t{ir::Parse(text), {}};
  const size_t count = t.graph->symbols.size();
  if (count == 0) symbols.resize(1);
  for (auto& s : symbols) s.resize(count, 1);
  std::vector<std::vector<ir::Tensor>> inputs, expected;
  for (size_t i = 0; i < symbols.size(); ++i) {
    inputs.push_back(ir::RandomInputs(*t.graph, symbols[i], static_cast<uint32_t>(i) + 1));
    auto outputs = ir::Evaluate(*t.graph, inputs.back());
    EXPECT_TRUE(outputs.ok()) << outputs.status() << text;
    expected.push_back(outputs.ok() ? *std::move(outputs) : std::vector<ir::Tensor>());
  }
  const absl::Status status = RunPasses(*t.graph, passes, {}, t.report);
  EXPECT_TRUE(status.ok()) << status << t.text();
  for (size_t i = 0; status.ok() && i < symbols.size(); ++i) {
    auto outputs = ir::Evaluate(*t.graph, inputs[i]);
    EXPECT_TRUE(outputs.ok()) << outputs.status() << t.text();
    if (!outputs.ok() || outputs->size() != expected[i].size()) {
      ADD_FAILURE() << "outputs are missing";
      continue;
    }
    for (size_t k = 0; k < outputs->size(); ++k) {
      ir::ExpectClose((*outputs)[k], expected[i][k], tolerance, t.graph->output_names[k]);
    }
  }
  return t;
}

inline Transformed Transform(const std::string& text, std::vector<const char*> names,
                             double tolerance = 1e-5) {
  std::vector<Pass> passes;
  for (const char* name : names) passes.push_back(FindPass(name));
  return TransformWith(text, std::move(passes), tolerance);
}

inline Transformed TransformAll(const std::string& text, double tolerance = 1e-5) {
  const auto all = StandardPipeline();
  return TransformWith(text, std::vector<Pass>(all.begin(), all.end()), tolerance);
}

// "N" and "T" for all tests.
inline std::string Graph(const std::string& body) {
  return "graph @g symbols(N: 1..8, T: 1..16) {\n" + body + "\n}";
}

}  // namespace floe::passes

#endif  // FLOE_TESTS_PASSES_PASS_TESTING_H_
