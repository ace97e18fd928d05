// Softmax (with prologues) on every table.
#include <gtest/gtest.h>

#include "tests/kernels/harness.h"

namespace floe::testing {
namespace {

KernelCase Softmax(const std::vector<int64_t>& dims, int64_t axis, bool log) {
  KernelCase c{.name = "softmax", .kernel = KernelId::kSoftmax, .inputs = {}, .outputs = {}};
  c.inputs = {Dense(dims)};
  c.outputs = {Dense(dims)};
  c.attrs = {axis, log};
  c.relative = 1e-5;
  c.absolute = log ? 2e-6 : 1e-12;
  return c;
}

TEST(SoftmaxTest, EveryAxisOnEveryTableMatchesTheTwin) {
  for (const bool log : {false, true}) {
    for (const int64_t n : {1, 2, 15, 16, 17, 64, 128, 333}) {
      RunKernelCase(Softmax({3, n}, 1, log));
      RunKernelCase(Softmax({2, n, 5}, 1, log));
      RunKernelCase(Softmax({n, 3, 37}, 0, log));
    }
    RunKernelCase(Softmax({2, 12, 40, 128}, 3, log));
    RunKernelCase(Softmax({7}, 0, log));
    RunKernelCase(Softmax({0, 8}, 1, log));
    RunKernelCase(Softmax({8, 0}, 1, log));
  }
}

TEST(SoftmaxTest, PrologueScalesAndMasks) {
  for (const int64_t axis : {1, 2, 3}) {
    KernelCase c = Softmax({2, 3, 6, 700}, axis, false);
    c.inputs.push_back(Dense({2, 1, 1, 700}));
    c.inputs.push_back(Dense({1}));
    c.code = {PwImm(PwOp::kMulImm, 0, 0, 0.125f), PwLoad(1, 0), Pw(PwOp::kAdd, 0, 0, 1),
              PwLoad(1, 1), Pw(PwOp::kMul, 0, 0, 1)};
    RunKernelCase(c);
  }
  KernelCase rows = Softmax({4, 6, 31}, 2, true);
  rows.inputs.push_back(Dense({6, 1}));
  rows.code = {PwLoad(3, 0), Pw(PwOp::kSub, 0, 0, 3)};
  RunKernelCase(rows);
}

TEST(SoftmaxTest, LargeAndMaskedNumbersStayFinite) {
  KernelCase c = Softmax({9, 50}, 1, false);
  c.inputs[0].values = {0, -1000000, 3, 100000, 2, -5, 100000};
  RunKernelCase(c);
}

TEST(SoftmaxTest, RefusesWhatDoesNotFit) {
  const KernelCase good = Softmax({3, 4}, 1, false);
  Footprint f;
  ASSERT_TRUE(CheckKernelCase(good, &f).ok());
  KernelCase bad = good;
  bad.attrs[0] = 2;
  EXPECT_EQ(CheckKernelCase(bad, &f).rule, Rule::kInstructionAttr);
  bad = good;
  bad.outputs[0].info.dims[1] = 5;
  EXPECT_EQ(CheckKernelCase(bad, &f).rule, Rule::kInstructionShape);
  bad = good;
  bad.inputs.push_back(Dense({4}));
  EXPECT_EQ(CheckKernelCase(bad, &f).rule, Rule::kInstructionArity);
}

}  // namespace
}  // namespace floe::testing
