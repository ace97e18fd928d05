// GRU and RNN recurrences on every table: every cell, tails of 16 units, batches, both directions.
#include <gtest/gtest.h>

#include "backends/families/recurrence.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

KernelCase Recurrence(int64_t cell, int64_t steps, int64_t batch, int64_t hidden, bool reverse,
                      bool optional) {
  KernelCase c{.name = "cell " + std::to_string(cell) + " T" + std::to_string(steps) + " N" +
                       std::to_string(batch) + " H" + std::to_string(hidden) +
                       (reverse ? " reverse" : ""),
               .kernel = KernelId::kGatedRecurrence,
               .inputs = {},
               .outputs = {}};
  const int64_t gates = cell < 2 ? 3 : 1, padded = (hidden + 15) / 16 * 16;
  c.inputs = {Dense({steps, batch, gates * hidden}),
              InLayout(Dense({hidden, gates * padded}), LayoutId::kGemmPanels16),
              optional && cell == 1 ? Dense({hidden}) : Absent(),
              optional ? Dense({batch, hidden}) : Absent()};
  c.outputs = {Dense({steps, batch, hidden}), Dense({batch, hidden}),
               cell == 0 ? Dense({batch, 2 * hidden}) : Absent()};
  c.attrs = {cell, reverse ? 1 : 0};
  c.fills = {{-1.7, 1.7}};  // Weights of variance 1.
  c.relative = 2e-4;
  c.absolute = 2e-4;
  return c;
}

TEST(RecurrenceTest, EveryTableMatchesTheTwin) {
  for (int64_t cell = 0; cell < 5; ++cell) {
    for (const bool reverse : {false, true}) {
      for (const int64_t hidden : {1, 5, 16, 19, 40}) {
        for (const int64_t batch : {1, 2, 9}) {
          // ReLU's state grows with every step: its errors are relative to it.
          RunCase(Recurrence(cell, cell == 3 ? 2 : 3, batch, hidden, reverse, hidden != 16));
        }
      }
    }
    RunCase(Recurrence(cell, 2, 1, 130, false, true));
    RunCase(Recurrence(cell, 2, 17, 33, false, true));
  }
}

TEST(RecurrenceTest, WithoutStepsTheStateIsTheInitialOne) {
  for (int64_t cell = 1; cell < 5; ++cell) {
    RunCase(Recurrence(cell, 0, 3, 7, false, true));
    RunCase(Recurrence(cell, 0, 3, 7, false, false));
    RunCase(Recurrence(cell, 4, 0, 7, false, true));
  }
}

TEST(RecurrenceTest, RefusesWhatDoesNotFit) {
  Footprint f;
  for (int64_t cell = 0; cell < 3; ++cell) {
    const KernelCase good = Recurrence(cell, 3, 2, 19, false, true);
    ASSERT_TRUE(CheckCase(good, &f).ok());
    for (auto tensors : {&KernelCase::inputs, &KernelCase::outputs}) {
      for (size_t i = 0; i < (good.*tensors).size(); ++i) {
        for (int axis = 0; axis < (good.*tensors)[i].rank; ++axis) {
          KernelCase bad = good;
          ++(bad.*tensors)[i].dims[axis];
          EXPECT_FALSE(CheckCase(bad, &f).ok()) << cell << " " << i << " " << axis;
        }
      }
    }
    KernelCase bad = good;
    bad.attrs[0] = 5;
    EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr);
  }
  KernelCase bad = Recurrence(0, 3, 2, 19, false, true);
  bad.outputs[2] = Absent();
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionOperand);
  bad = Recurrence(2, 3, 2, 19, false, true);
  bad.inputs[2] = Dense({19});
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionOperand);
}

}  // namespace
}  // namespace floe::conformance
