// The data-moving families: exact, for every element size, layout and halo.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "format/attrs.h"
#include "format/ops.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

using Dims = std::vector<int64_t>;

constexpr DType kSizes[] = {DType::kU8, DType::kF16, DType::kF32, DType::kI64};

KernelCase Move(KernelId kernel, std::vector<TensorInfo> inputs, TensorInfo y, Dims attrs = {}) {
  KernelCase c;
  c.name = "move";
  c.kernel = kernel;
  c.inputs = std::move(inputs);
  c.outputs = {std::move(y)};
  c.attrs = std::move(attrs);
  const bool wide = !c.inputs.empty() && DTypeSize(c.inputs[0].dtype) == 8;
  c.fills = {wide ? Fill{-1e15, 1e15} : Fill{-125, 125}};  // Every byte of a number counts.
  return c;
}

TEST(Copy, BetweenLayouts) {
  const Dims shapes[] = {{1, 3, 17, 19}, {2, 64, 8, 8},  {1, 1, 5, 7},  {3, 2, 9, 4},
                         {1, 4, 6, 33},  {2, 31, 3, 5},  {1, 70, 1, 1}, {2, 5, 0, 3},
                         {0, 5, 4, 3},   {1, 9, 40, 40}, {1, 3, 224, 9}};
  const Halo halos[] = {{}, {1, 1, 1}, {3, 2, 3}};
  for (const Dims& s : shapes) {
    for (DType t : kSizes) {
      for (const Halo& h : halos) {
        RunCase(Move(KernelId::kCopy, {Dense(s, t)}, ChannelsLast(s, h, t)));
        RunCase(Move(KernelId::kCopy, {ChannelsLast(s, h, t)}, Dense(s, t)));
        RunCase(Move(KernelId::kCopy, {ChannelsLast(s, {1, 0, 2}, t)}, ChannelsLast(s, h, t)));
      }
      RunCase(Move(KernelId::kCopy, {Dense(s, t)}, Dense(s, t)));
    }
  }
  RunCase(Move(KernelId::kCopy, {Dense({2, 7, 9})}, ChannelsLast({2, 7, 9})));
  RunCase(Move(KernelId::kCopy, {ChannelsLast({2, 7, 3, 4, 5})}, Dense({2, 7, 3, 4, 5})));
  RunCase(Move(KernelId::kCopy, {Dense({})}, Dense({})));
}

TEST(Transpose, Permutations) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 150; ++trial) {
    const size_t rank = 1 + random() % 6;
    Dims perm(rank), dims(rank), y(rank);
    for (size_t a = 0; a < rank; ++a) {
      perm[a] = static_cast<int64_t>(a);
      dims[a] = 1 + static_cast<int64_t>(random() % (rank > 3 ? 5 : 40));
    }
    std::shuffle(perm.begin(), perm.end(), random);
    for (size_t a = 0; a < rank; ++a) y[a] = dims[static_cast<size_t>(perm[a])];
    const DType t = kSizes[random() % 4];
    RunCase(Move(KernelId::kTranspose, {Dense(dims, t)}, Dense(y, t), perm));
  }
  RunCase(
      Move(KernelId::kTranspose, {Dense({1, 64, 12, 32})}, Dense({1, 12, 64, 32}), {0, 2, 1, 3}));
  RunCase(Move(KernelId::kTranspose, {Dense({300, 200})}, Dense({200, 300}), {1, 0}));
}

TEST(Slice, StartsAndSteps) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 150; ++trial) {
    const size_t rank = 1 + random() % 4;
    Dims dims(rank), y(rank), attrs(2 * rank);
    for (size_t a = 0; a < rank; ++a) {
      dims[a] = 1 + static_cast<int64_t>(random() % 12);
      const int64_t step = static_cast<int64_t>(random() % 3) + 1;
      y[a] = 1 + static_cast<int64_t>(random()) % ((dims[a] + step - 1) / step);
      const int64_t span = (y[a] - 1) * step;
      const int64_t low = static_cast<int64_t>(random()) % (dims[a] - span);
      const bool back = random() % 3 == 0;
      attrs[a] = back ? low + span : low;
      attrs[rank + a] = back ? -step : step;
    }
    const DType t = kSizes[random() % 4];
    RunCase(Move(KernelId::kSlice, {Dense(dims, t)}, Dense(y, t), attrs));
    if (rank == 4) {
      RunCase(Move(KernelId::kSlice, {ChannelsLast(dims, {1, 1, 1}, t)},
                   ChannelsLast(y, {2, 0, 1}, t), attrs));
      RunCase(Move(KernelId::kSlice, {ChannelsLast(dims, {}, t)}, Dense(y, t), attrs));
    }
  }
  RunCase(Move(KernelId::kSlice, {Dense({4, 5})}, Dense({0, 5}), {9, 9, 1, 1}));
  // A step that is never taken may be anything.
  RunCase(Move(KernelId::kSlice, {Dense({4})}, Dense({1}), {3, INT64_MAX}));
}

TEST(Concat, AlongEveryAxis) {
  for (int axis = 0; axis < 4; ++axis) {
    for (DType t : kSizes) {
      const auto with = [&](int64_t n) {
        Dims d = {2, 3, 4, 5};
        d[static_cast<size_t>(axis)] = n;
        return d;
      };
      RunCase(Move(KernelId::kConcat, {Dense(with(1), t), Dense(with(0), t), Dense(with(7), t)},
                   Dense(with(8), t), {axis}));
      RunCase(Move(KernelId::kConcat,
                   {ChannelsLast(with(2), {1, 1, 1}, t), ChannelsLast(with(3), {}, t)},
                   ChannelsLast(with(5), {1, 2, 1}, t), {axis}));
    }
  }
  RunCase(Move(KernelId::kConcat, {Dense({9})}, Dense({9}), {0}));
  RunCase(
      Move(KernelId::kConcat, std::vector<TensorInfo>(63, Dense({3, 2})), Dense({3, 126}), {1}));
  RunCase(Move(KernelId::kConcat, {Dense({64, 200, 3}), Dense({64, 300, 3})}, Dense({64, 500, 3}),
               {1}));
}

TEST(Pad, EveryMode) {
  for (int64_t mode = 0; mode < 4; ++mode) {
    for (DType t : kSizes) {
      const auto run = [&](Dims dims, Dims before, Dims after) {
        Dims attrs = {mode, FloatWord(3.0)}, y = dims;
        for (size_t a = 0; a < dims.size(); ++a) y[a] += before[a] + after[a];
        attrs.insert(attrs.end(), before.begin(), before.end());
        attrs.insert(attrs.end(), after.begin(), after.end());
        RunCase(Move(KernelId::kPad, {Dense(dims, t)}, Dense(y, t), attrs));
        if (dims.size() != 4) return;
        RunCase(Move(KernelId::kPad, {ChannelsLast(dims, {1, 1, 1}, t)},
                     ChannelsLast(y, {1, 2, 2}, t), attrs));
        RunCase(Move(KernelId::kPad, {ChannelsLast(dims, {}, t)}, ChannelsLast(y, {}, t), attrs));
      };
      run({5}, {2}, {3});
      run({5}, {9}, {14});
      run({1}, {2}, {1});
      run({4, 6}, {0, 1}, {2, 0});
      run({4, 6}, {-1, 2}, {2, -3});
      run({2, 3, 4, 5}, {0, 0, 1, 1}, {0, 0, 1, 1});
      run({2, 3, 4, 5}, {1, -1, 0, 2}, {0, 2, -2, 1});
      run({3, 7}, {0, 0}, {0, 0});
      run({3, 7}, {0, -7}, {0, 0});
      run({3, 70, 50}, {1, 2, 3}, {4, 5, 6});
      run({}, {}, {});
      if (mode == 0) run({0, 3}, {2, 1}, {1, 0});
      if (mode == 0) run({3, 4}, {9, 0}, {-8, 1});
      run({3, 4}, {-9, 0}, {8, 0});
    }
  }
}

TEST(Expand, Broadcasts) {
  for (DType t : kSizes) {
    RunCase(Move(KernelId::kExpand, {Dense({1}, t)}, Dense({2, 300}, t)));
    RunCase(Move(KernelId::kExpand, {Dense({}, t)}, Dense({7}, t)));
    RunCase(Move(KernelId::kExpand, {Dense({3, 1, 5}, t)}, Dense({2, 3, 4, 5}, t)));
    RunCase(Move(KernelId::kExpand, {Dense({3, 4, 1}, t)}, Dense({3, 4, 9}, t)));
    RunCase(Move(KernelId::kExpand, {Dense({1, 4}, t)}, Dense({0, 4}, t)));
    RunCase(Move(KernelId::kExpand, {Dense({5, 6}, t)}, Dense({5, 6}, t)));
  }
}

TEST(Movement, RefusesWhatDoesNotFit) {
  Footprint f;
  const auto rule = [&](KernelId k, std::vector<TensorInfo> in, TensorInfo y, Dims attrs) {
    return CheckCase(Move(k, std::move(in), std::move(y), std::move(attrs)), &f).rule;
  };
  constexpr int64_t kMax = INT64_MAX;
  EXPECT_EQ(rule(KernelId::kCopy, {Dense({3})}, Dense({4}), {}), Rule::kInstructionShape);
  EXPECT_EQ(rule(KernelId::kCopy, {Dense({3})}, Dense({3}, DType::kI32), {}),
            Rule::kInstructionDType);
  EXPECT_EQ(rule(KernelId::kTranspose, {Dense({3, 4})}, Dense({4, 3}), {1, 1}),
            Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kTranspose, {Dense({3, 4})}, Dense({4, 3}), {1, 2}),
            Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kTranspose, {Dense({3, 4})}, Dense({3, 4}), {1, 0}),
            Rule::kInstructionShape);
  EXPECT_EQ(rule(KernelId::kTranspose, {Dense({3, 4})}, Dense({4, 3}), {1}),
            Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kSlice, {Dense({4})}, Dense({2}), {3, 1}), Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kSlice, {Dense({4})}, Dense({2}), {0, -1}), Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kSlice, {Dense({4})}, Dense({2}), {0, 0}), Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kSlice, {Dense({4})}, Dense({2}), {-1, 1}), Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kSlice, {Dense({4})}, Dense({3}), {0, kMax}), Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kConcat, {Dense({4})}, Dense({4}), {1}), Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kConcat, {Dense({4}), Dense({3})}, Dense({8}), {0}),
            Rule::kInstructionShape);
  EXPECT_EQ(rule(KernelId::kConcat, {ChannelsLast({1, 2, 3, 4})}, Dense({1, 2, 3, 4}), {0}),
            Rule::kInstructionLayout);
  EXPECT_EQ(rule(KernelId::kPad, {Dense({4})}, Dense({6}), {0, 0, 1, 2}), Rule::kInstructionShape);
  EXPECT_EQ(rule(KernelId::kPad, {Dense({4})}, Dense({6}), {4, 0, 1, 1}), Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kPad, {Dense({4})}, Dense({4}), {0, 0, kMax, -kMax}),
            Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kPad, {Dense({0})}, Dense({2}), {1, 0, 1, 1}), Rule::kInstructionShape);
  EXPECT_EQ(rule(KernelId::kPad, {Dense({4}, DType::kI32)}, Dense({6}, DType::kI32),
                 {0, FloatWord(1e10), 1, 1}),
            Rule::kInstructionAttr);
  EXPECT_EQ(rule(KernelId::kExpand, {Dense({2})}, Dense({3}), {}), Rule::kInstructionShape);
}

}  // namespace
}  // namespace floe::conformance
