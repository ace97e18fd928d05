// Softmax (with prologues) on every table.
#include <gtest/gtest.h>

#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

KernelCase Softmax(const std::vector<int64_t>& dims, int64_t axis, bool log) {
  KernelCase c{.name = "softmax", .kernel = KernelId::kSoftmax, .inputs = {}, .outputs = {}};
  c.inputs = {Dense(dims)};
  c.outputs = {Dense(dims)};
  c.attrs = {axis, log};
  c.same_bits = true;
  c.fills = {{-3, 3}};
  c.relative = 1e-5;
  c.absolute = log ? 2e-6 : 1e-12;
  return c;
}

TEST(SoftmaxTest, EveryAxisOnEveryTableMatchesTheTwin) {
  for (const bool log : {false, true}) {
    for (const int64_t n : {1, 2, 15, 16, 17, 64, 128, 333}) {
      RunCase(Softmax({3, n}, 1, log));
      RunCase(Softmax({2, n, 5}, 1, log));
      RunCase(Softmax({n, 3, 37}, 0, log));
    }
    RunCase(Softmax({2, 12, 40, 128}, 3, log));
    RunCase(Softmax({7}, 0, log));
    RunCase(Softmax({0, 8}, 1, log));
    RunCase(Softmax({8, 0}, 1, log));
  }
}

TEST(SoftmaxTest, PrologueScalesAndMasks) {
  for (const int64_t axis : {1, 2, 3}) {
    KernelCase c = Softmax({2, 3, 6, 700}, axis, false);
    c.inputs.push_back(Dense({2, 1, 1, 700}));
    c.inputs.push_back(Dense({1}));
    c.code = {PwImm(PwOp::kMulImm, 0, 0, 0.125f), PwLoad(1, 0), Pw(PwOp::kAdd, 0, 0, 1),
              PwLoad(1, 1), Pw(PwOp::kMul, 0, 0, 1)};
    RunCase(c);
  }
  KernelCase rows = Softmax({4, 6, 31}, 2, true);
  rows.inputs.push_back(Dense({6, 1}));
  rows.code = {PwLoad(3, 0), Pw(PwOp::kSub, 0, 0, 3)};
  RunCase(rows);
}

TEST(SoftmaxTest, LargeAndMaskedNumbersStayFinite) {
  KernelCase c = Softmax({9, 50}, 1, false);
  c.fills = {{.values = {0, -1000000, 3, 100000, 2, -5, 100000}}};
  RunCase(c);
}

// Numbers of one size: in one chain of additions each would round the same way, by 1e-4 in all.
TEST(SoftmaxTest, LongSumsRoundInShortChains) {
  for (KernelCase c : {Softmax({1, 300001}, 1, false), Softmax({20001, 7}, 0, false)}) {
    c.fills = {{.values = {0, -0.5, -1.1}}};
    c.relative = 3e-6;
    c.absolute = 0;
    RunCase(c);
  }
}

TEST(SoftmaxTest, RefusesWhatDoesNotFit) {
  const KernelCase good = Softmax({3, 4}, 1, false);
  Footprint f;
  ASSERT_TRUE(CheckCase(good, &f).ok());
  KernelCase bad = good;
  bad.attrs[0] = 2;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr);
  bad = good;
  bad.outputs[0].dims[1] = 5;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionShape);
  bad = good;
  bad.inputs.push_back(Dense({4}));
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionArity);
}

}  // namespace
}  // namespace floe::conformance
