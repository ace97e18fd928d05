// Every kind of reduction over many axes, in both layouts, on every table.
#include <gtest/gtest.h>

#include "format/ops.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

constexpr int kKinds = static_cast<int>(ReduceKind::kSumSquare) + 1;

struct Shape {
  const char* name;
  TensorInfo x;
  int64_t mask;
};

KernelCase Reduce(const Shape& s, int kind, bool keep) {
  KernelCase c{.name = std::string(s.name) + " kind " + std::to_string(kind),
               .kernel = KernelId::kReduce,
               .inputs = {},
               .outputs = {}};
  c.inputs = {s.x};
  c.fills = {{-2, 2}};
  if (kind == static_cast<int>(ReduceKind::kLogSum) ||
      kind == static_cast<int>(ReduceKind::kProd)) {
    c.fills = {{0.01, 2}};
  }
  std::vector<int64_t> dims;
  for (int axis = 0; axis < s.x.rank; ++axis) {
    const bool reduced = (s.mask >> axis & 1) != 0;
    if (reduced && !keep) continue;
    dims.push_back(reduced ? 1 : s.x.dims[axis]);
  }
  c.outputs = {Dense(dims)};
  c.attrs = {kind, s.mask};
  c.same_bits = true;
  c.relative = 2e-5;
  c.absolute = 2e-5;
  return c;
}

std::vector<Shape> Shapes() {
  return {
      {"rows", Dense({5, 7, 37}), 0b100},
      {"lanes", Dense({6, 70}), 0b01},
      {"lanes_with_tail", Dense({3, 4, 19}), 0b010},
      {"middle_and_last", Dense({3, 5, 4, 33}), 0b1010},
      {"all", Dense({3, 5, 11}), 0b111},
      {"none", Dense({4, 9}), 0},
      {"scalar", Dense({}), 0},
      {"one_element", Dense({1, 1}), 0b10},
      {"pixels_of_channels_last", ChannelsLast({2, 70, 7, 5}, {1, 1, 1}), 0b1100},
      {"channels_of_channels_last", ChannelsLast({2, 21, 4, 5}, {0, 1, 2}), 0b0010},
      {"rows_of_channels_last", ChannelsLast({2, 18, 4, 5}), 0b0100},
      {"empty_results", Dense({0, 8}), 0b10},
  };
}

TEST(ReduceTest, EveryKindOnEveryTableMatchesTheTwin) {
  for (const Shape& s : Shapes()) {
    for (int kind = 0; kind < kKinds; ++kind) {
      RunCase(Reduce(s, kind, /*keep=*/true));
      RunCase(Reduce(s, kind, /*keep=*/false));
    }
  }
}

TEST(ReduceTest, SumsManyElementsAccurately) {
  KernelCase c = Reduce({"long", Dense({3, 100003}), 0b10}, 1, true);
  c.fills = {{0.01, 2}};
  RunCase(c);
}

// Numbers of one size: in one chain of additions each would round the same way, by 1e-4 in all.
TEST(ReduceTest, LongSumsRoundInShortChains) {
  const Shape shapes[] = {{"rows", Dense({1, 500001}), 0b10},
                          {"strided_rows", ChannelsLast({1, 2, 501, 303}), 0b1100},
                          {"short_rows", Dense({20001, 2, 5}), 0b101},
                          {"lanes", Dense({8001, 69}), 0b01},
                          {"pixels", ChannelsLast({1, 21, 101, 103}, {1, 0, 2}), 0b1100}};
  for (const Shape& s : shapes) {
    for (const ReduceKind kind :
         {ReduceKind::kMean, ReduceKind::kSumSquare, ReduceKind::kLogSumExp}) {
      KernelCase c = Reduce(s, static_cast<int>(kind), false);
      c.fills = {{.values = {1.0 / 3}}};
      c.relative = 3e-6;
      c.absolute = 0;
      RunCase(c);
    }
  }
}

TEST(ReduceTest, NanAndInfinityComeThrough) {
  for (const int kind : {2, 3}) {  // A sum of the largest numbers may overflow on the way.
    KernelCase c = Reduce({"special", Dense({40, 33}), 0b10}, kind, false);
    c.fills = {{.special = true}};
    RunCase(c);
  }
}

TEST(ReduceTest, RefusesWhatDoesNotFit) {
  const KernelCase good = Reduce(Shapes()[0], 0, true);
  Footprint f;
  ASSERT_TRUE(CheckCase(good, &f).ok());
  KernelCase bad = good;
  bad.attrs[0] = kKinds;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr);
  bad = good;
  bad.attrs[1] = 8;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr);
  bad = good;
  bad.outputs[0].dims[0] = 4;
  EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionShape);
}

}  // namespace
}  // namespace floe::conformance
