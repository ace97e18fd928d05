// Helpers shared by the tests of the IR and of the passes.
#ifndef FLOE_TESTS_IR_IR_TESTING_H_
#define FLOE_TESTS_IR_IR_TESTING_H_

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "compiler/ir/evaluate.h"
#include "compiler/ir/graph.h"
#include "compiler/ir/text.h"
#include "gtest/gtest.h"

namespace floe::ir {

// Parses, or fails the test and gives an empty graph.
inline std::unique_ptr<Graph> Parse(const std::string& text) {
  auto graph = ParseText(text);
  EXPECT_TRUE(graph.ok()) << graph.status() << "\n" << text;
  return graph.ok() ? *std::move(graph) : std::make_unique<Graph>();
}

template <typename T>
Tensor MakeTensor(DType dtype, std::vector<int64_t> dims, std::vector<T> values) {
  return Tensor::Of<T>(dtype, std::move(dims), values);
}

// Inputs for the graph: floats in [low, high), integers in [0, 3), bools, all from the seed.
// Symbols take the given values.
inline std::vector<Tensor> RandomInputs(const Graph& graph, const std::vector<int64_t>& symbols,
                                        uint32_t seed, double low = -2.0, double high = 2.0) {
  std::mt19937 random(seed);
  std::vector<Tensor> inputs;
  for (const Value* input : graph.inputs()) {
    std::vector<int64_t> dims;
    for (const Dim& d : input->shape()) dims.push_back(d.Eval(symbols));
    Tensor t(input->dtype(), dims);
    std::uniform_real_distribution<double> real(low, high);
    for (int64_t i = 0; i < t.count(); ++i) {
      if (IsFloat(t.dtype())) {
        t.SetDouble(i, real(random));
      } else {
        t.SetInt(i, static_cast<int64_t>(random() % (t.dtype() == DType::kBool ? 2 : 3)));
      }
    }
    inputs.push_back(std::move(t));
  }
  return inputs;
}

// Equal types; elements within tolerance * max(1, max|expected|); NaN equals NaN.
inline void ExpectClose(const Tensor& got, const Tensor& expected, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(DTypeName(got.dtype()), std::string(DTypeName(expected.dtype()))) << what;
  ASSERT_EQ(got.dims(), expected.dims()) << what;
  double scale = 1.0;
  for (int64_t i = 0; i < expected.count(); ++i) {
    if (std::isfinite(expected.DoubleAt(i)))
      scale = std::max(scale, std::fabs(expected.DoubleAt(i)));
  }
  for (int64_t i = 0; i < expected.count(); ++i) {
    const double g = got.DoubleAt(i), e = expected.DoubleAt(i);
    if (g == e || (std::isnan(g) && std::isnan(e))) continue;
    ASSERT_LE(std::fabs(g - e), tolerance * scale)
        << what << " element " << i << ": " << g << " instead of " << e;
  }
}

}  // namespace floe::ir

#endif  // FLOE_TESTS_IR_IR_TESTING_H_
