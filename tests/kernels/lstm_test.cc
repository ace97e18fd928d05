// The LSTM recurrence on every table: tails of 16 units, batches, both directions, absent states.
#include <gtest/gtest.h>

#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

KernelCase Lstm(int64_t steps, int64_t batch, int64_t hidden, bool reverse, bool states,
                DType weights = DType::kF32) {
  KernelCase c{.name = "T" + std::to_string(steps) + " N" + std::to_string(batch) + " H" +
                       std::to_string(hidden) + (reverse ? " reverse" : "") + " " +
                       DTypeName(weights),
               .kernel = KernelId::kLstmRecurrence,
               .inputs = {},
               .outputs = {}};
  const TensorInfo state = states ? Dense({batch, hidden}) : Absent();
  c.inputs = {Dense({steps, batch, 4 * hidden}),
              InLayout(Dense({hidden, 4 * hidden}, weights), LayoutId::kLstmGates16), state, state};
  c.outputs = {Dense({steps, batch, hidden}), Dense({batch, hidden}), Dense({batch, hidden})};
  c.attrs = {reverse ? 1 : 0};
  // Errors of a step grow over the following ones: weights of variance 1 are far from contracting.
  c.fills = {{-1.7, 1.7}};
  c.relative = 2e-4;
  c.absolute = 2e-4;
  return c;
}

TEST(LstmTest, EveryTableMatchesTheTwin) {
  for (const bool reverse : {false, true}) {
    for (const bool states : {false, true}) {
      for (const int64_t hidden : {1, 5, 16, 19, 40}) {
        for (const int64_t batch : {1, 2, 5}) RunCase(Lstm(3, batch, hidden, reverse, states));
      }
    }
  }
  RunCase(Lstm(2, 1, 130, false, true));
  for (const DType weights : {DType::kF16, DType::kBF16}) {
    for (const int64_t hidden : {1, 19, 40}) {
      for (const int64_t batch : {1, 2, 5}) RunCase(Lstm(3, batch, hidden, false, true, weights));
    }
  }
}

// Weights in bytes, whose scales make gates of about 1.
KernelCase QLstm(int64_t steps, int64_t batch, int64_t hidden, bool reverse, bool states,
                 std::vector<double> numbers = {-2, 3, 1, 2, -1, 0, 3, -3, 1, -2, 2}) {
  KernelCase c = Lstm(steps, batch, hidden, reverse, states);
  const int64_t columns = (hidden + 15) / 16 * 64;
  c.name += " bytes";
  c.kernel = KernelId::kQLstmRecurrence;
  const TensorInfo state = c.inputs[2];
  std::vector<double> sums;
  for (int64_t n = 0; n < columns; ++n) {
    double sum = 0;
    for (int64_t k = 0; k < hidden; ++k) {
      sum += numbers[static_cast<size_t>(k * columns + n) % numbers.size()];
    }
    sums.push_back(sum);
  }
  c.inputs = {c.inputs[0],
              InLayout(Dense({hidden, columns}, DType::kI8), LayoutId::kGemmPanels16x4),
              Dense({columns}, DType::kI32),
              Dense({columns}),
              state,
              state};
  c.fills = {{-1.7, 1.7}, {.values = std::move(numbers)}, {.values = std::move(sums)}, {-1.7, 1.7}};
  c.relative = 1e-3;
  c.absolute = 2e-2;
  return c;
}

TEST(LstmTest, EveryTableMatchesTheTwinInBytes) {
  for (const bool reverse : {false, true}) {
    for (const bool states : {false, true}) {
      for (const int64_t hidden : {1, 5, 16, 19, 40}) {
        for (const int64_t batch : {1, 2, 7}) {
          RunCase(QLstm(3, batch, hidden, reverse, states));
        }
      }
    }
  }
  RunCase(QLstm(2, 1, 131, false, true));
  // One step from given states: h becomes the same bytes everywhere, so nothing but the gates'
  // functions may differ. Weights as large as they get, against 16-bit sums.
  for (const int64_t hidden : {19, 40}) {
    for (const bool states : {false, true}) {
      KernelCase c = QLstm(1, 3, hidden, false, states, {127, -127, 126, -128, 3, 127, 127});
      c.fills = {
          c.fills[0], c.fills[1], c.fills[2], {-2e-4, 2e-4}, c.fills[0]};  // Gates of about 1.
      c.relative = 1e-5;
      c.absolute = 1e-5;
      RunCase(c);
    }
  }
  RunCase(QLstm(0, 3, 7, false, true));
  RunCase(QLstm(0, 3, 7, false, false));
  RunCase(QLstm(4, 0, 7, false, true));
}

TEST(LstmTest, RefusesBytesThatDoNotFit) {
  const KernelCase good = QLstm(3, 2, 19, false, true);
  Footprint f;
  ASSERT_TRUE(CheckCase(good, &f).ok());
  for (auto tensors : {&KernelCase::inputs, &KernelCase::outputs}) {
    for (size_t i = 0; i < (good.*tensors).size(); ++i) {
      for (int axis = 0; axis < (good.*tensors)[i].rank; ++axis) {
        KernelCase bad = good;
        ++(bad.*tensors)[i].dims[axis];
        EXPECT_FALSE(CheckCase(bad, &f).ok()) << i << " " << axis;
      }
    }
  }
  KernelCase bad = good;
  bad.attrs[0] = 2;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr);
}

TEST(LstmTest, WithoutStepsTheStatesAreTheInitialOnes) {
  RunCase(Lstm(0, 3, 7, false, true));
  RunCase(Lstm(0, 3, 7, false, false));
  RunCase(Lstm(4, 0, 7, false, true));
}

TEST(LstmTest, RefusesWhatDoesNotFit) {
  const KernelCase good = Lstm(3, 2, 19, false, true);
  Footprint f;
  ASSERT_TRUE(CheckCase(good, &f).ok());
  for (int output = 0; output < 3; ++output) {
    for (int axis = 0; axis < good.outputs[static_cast<size_t>(output)].rank; ++axis) {
      KernelCase bad = good;
      ++bad.outputs[static_cast<size_t>(output)].dims[axis];
      EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionShape);
    }
  }
  KernelCase bad = good;
  bad.inputs[1].dtype = DType::kI8;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionDType);
  bad = good;
  bad.outputs[2] = Absent();
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionOperand);
}

}  // namespace
}  // namespace floe::conformance
