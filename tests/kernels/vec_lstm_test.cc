// The LSTM recurrence on every table: tails of 16 units, batches, both directions, absent states.
#include <gtest/gtest.h>

#include "tests/kernels/harness.h"

namespace floe::testing {
namespace {

KernelCase Lstm(int64_t steps, int64_t batch, int64_t hidden, bool reverse, bool states,
                DType weights = DType::kF32) {
  KernelCase c{.name = "T" + std::to_string(steps) + " N" + std::to_string(batch) + " H" +
                       std::to_string(hidden) + (reverse ? " reverse" : "") + " " +
                       DTypeName(weights),
               .kernel = KernelId::kLstmRecurrence,
               .inputs = {},
               .outputs = {}};
  const TensorSpec state = states ? Dense({batch, hidden}) : Absent();
  c.inputs = {Dense({steps, batch, 4 * hidden}),
              InLayout(Dense({hidden, 4 * hidden}, weights), LayoutId::kLstmGates16), state, state};
  c.outputs = {Dense({steps, batch, hidden}), Dense({batch, hidden}), Dense({batch, hidden})};
  c.attrs = {reverse ? 1 : 0};
  // Errors of a step grow over the following ones: weights of variance 1 are far from contracting.
  c.relative = 2e-4;
  c.absolute = 2e-4;
  return c;
}

TEST(LstmTest, EveryTableMatchesTheTwin) {
  for (const bool reverse : {false, true}) {
    for (const bool states : {false, true}) {
      for (const int64_t hidden : {1, 5, 16, 19, 40}) {
        for (const int64_t batch : {1, 2, 5})
          RunKernelCase(Lstm(3, batch, hidden, reverse, states));
      }
    }
  }
  RunKernelCase(Lstm(2, 1, 130, false, true));
  for (const DType weights : {DType::kF16, DType::kBF16}) {
    for (const int64_t hidden : {1, 19, 40}) {
      for (const int64_t batch : {1, 2, 5})
        RunKernelCase(Lstm(3, batch, hidden, false, true, weights));
    }
  }
}

TEST(LstmTest, WithoutStepsTheStatesAreTheInitialOnes) {
  RunKernelCase(Lstm(0, 3, 7, false, true));
  RunKernelCase(Lstm(0, 3, 7, false, false));
  RunKernelCase(Lstm(4, 0, 7, false, true));
}

TEST(LstmTest, RefusesWhatDoesNotFit) {
  const KernelCase good = Lstm(3, 2, 19, false, true);
  Footprint f;
  ASSERT_TRUE(CheckKernelCase(good, &f).ok());
  for (int output = 0; output < 3; ++output) {
    for (int axis = 0; axis < good.outputs[static_cast<size_t>(output)].info.rank; ++axis) {
      KernelCase bad = good;
      ++bad.outputs[static_cast<size_t>(output)].info.dims[axis];
      EXPECT_EQ(CheckKernelCase(bad, &f).rule, Rule::kInstructionShape);
    }
  }
  KernelCase bad = good;
  bad.inputs[1].info.dtype = DType::kI8;
  EXPECT_EQ(CheckKernelCase(bad, &f).rule, Rule::kInstructionDType);
  bad = good;
  bad.outputs[2] = Absent();
  EXPECT_EQ(CheckKernelCase(bad, &f).rule, Rule::kInstructionOperand);
}

}  // namespace
}  // namespace floe::testing
