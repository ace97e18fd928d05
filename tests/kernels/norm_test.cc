// Layer norm and RMS norm on every table.
#include <gtest/gtest.h>

#include "format/attrs.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

KernelCase Norm(const std::vector<int64_t>& dims, int64_t axis, bool rms, bool scale, bool bias) {
  KernelCase c{.name = "norm", .kernel = KernelId::kNorm, .inputs = {}, .outputs = {}};
  const std::vector<int64_t> normalised(dims.begin() + axis, dims.end());
  c.inputs = {Dense(dims), scale ? Dense(normalised) : Absent(),
              bias ? Dense(normalised) : Absent()};
  c.outputs = {Dense(dims)};
  c.attrs = {rms, axis, FloatWord(1e-5)};
  c.fills = {{-2, 2}};
  c.same_bits = true;
  c.relative = 1e-5;
  c.absolute = 1e-5;
  return c;
}

TEST(NormTest, EveryTableMatchesTheTwin) {
  for (const bool rms : {false, true}) {
    for (const int64_t n : {2, 7, 16, 33, 64, 65, 768}) {
      RunCase(Norm({5, n}, 1, rms, true, true));
      RunCase(Norm({3, 2, n}, 2, rms, true, false));
      RunCase(Norm({2, 3, n}, 1, rms, false, true));
    }
    RunCase(Norm({4, 128, 768}, 2, rms, true, true));
    RunCase(Norm({6, 9}, 0, rms, false, false));
    RunCase(Norm({0, 9}, 1, rms, true, true));
  }
}

// A mean far from zero: E[x^2] - E[x]^2 would lose all digits.
TEST(NormTest, SmallVarianceAroundALargeMean) {
  KernelCase c = Norm({3, 200}, 1, false, false, false);
  c.fills = {{.values = {10001, 10002, 10003, 10001, 10000}}};
  c.relative = 1e-3;
  c.absolute = 1e-3;
  RunCase(c);
}

// Numbers of one size: in one chain of additions each would round the same way, by 1e-4 in all.
TEST(NormTest, LongRowsRoundInShortChains) {
  for (const bool rms : {false, true}) {
    KernelCase c = Norm({1, 500001}, 1, rms, false, false);
    c.fills = {{.values = {1.0 / 3, 2.0 / 3}}};
    c.relative = 3e-6;
    c.absolute = 0;
    RunCase(c);
  }
}

TEST(NormTest, RefusesWhatDoesNotFit) {
  const KernelCase good = Norm({3, 4}, 1, false, true, true);
  Footprint f;
  ASSERT_TRUE(CheckCase(good, &f).ok());
  KernelCase bad = good;
  bad.attrs[2] = FloatWord(-1.0);
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr);
  bad = good;
  bad.attrs[1] = 2;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr);
  bad = good;
  bad.inputs[1] = Dense({5});
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionShape);
}

}  // namespace
}  // namespace floe::conformance
