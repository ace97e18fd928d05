// RunPointwiseProgram on channels-last tensors, with and without a halo, against the same program
// on dense ones, whose numbers cases.bin checks.
#include "backends/reference/pointwise.h"

#include <cstring>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace floe::reference {
namespace {

struct Values {
  TensorInfo info;
  std::vector<float> data;

  Values(TensorInfo t, float fill) : info(t) {
    int64_t bytes = 0;
    EXPECT_TRUE(TensorBytes(t, &bytes).ok());
    data.assign(static_cast<size_t>(bytes) / sizeof(float), fill);
  }
};

// Calls f(index) for every logical index.
template <class F>
void ForIndices(const TensorInfo& t, F&& f) {
  int64_t count = 0;
  ASSERT_TRUE(ElementCount(t, &count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t index[kMaxRank];
    int64_t rest = i;
    for (int a = t.rank; a-- > 0; rest /= t.dims[a]) index[a] = rest % t.dims[a];
    f(index);
  }
}

TensorInfo Dense(std::initializer_list<int64_t> dims) {
  TensorInfo t;
  t.dtype = DType::kF32;
  t.rank = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), t.dims);
  return t;
}

// The same numbers in another layout; what is not an element holds `fill`.
Values Relaid(const Values& from, LayoutId layout, Halo halo, float fill) {
  TensorInfo t = from.info;
  t.layout = layout;
  t.halo = halo;
  Values to(t, fill);
  ForIndices(t, [&](const int64_t* index) {
    to.data[ElementOffset(t, index)] = from.data[ElementOffset(from.info, index)];
  });
  return to;
}

Values Random(std::initializer_list<int64_t> dims, std::mt19937* random) {
  Values v(Dense(dims), 0);
  std::uniform_real_distribution<float> uniform(-2, 2);
  for (float& x : v.data) x = uniform(*random);
  return v;
}

PwInstr Instr(PwOp op, uint8_t dst, uint8_t a, uint8_t b, uint8_t operand = 0) {
  PwInstr i;
  i.op = static_cast<uint8_t>(op);
  i.dst = dst;
  i.a = a;
  i.b = b;
  i.operand = operand;
  return i;
}

// r0 + operand 0, times operand 1, plus operand 2.
const PwInstr kCode[] = {
    Instr(PwOp::kLoad, 1, 0, 0, 0), Instr(PwOp::kAdd, 0, 0, 1),     Instr(PwOp::kLoad, 1, 0, 0, 1),
    Instr(PwOp::kMul, 0, 0, 1),     Instr(PwOp::kLoad, 1, 0, 0, 2), Instr(PwOp::kAdd, 0, 0, 1),
};

struct Layouts {
  LayoutId residual;
  Halo residual_halo;
  LayoutId result;
  Halo result_halo;
};

class PointwiseLayouts : public ::testing::TestWithParam<Layouts> {};

TEST_P(PointwiseLayouts, GiveTheNumbersOfDenseTensors) {
  std::mt19937 random(7);
  const Layouts& p = GetParam();
  const Values accumulator = Random({2, 5, 4, 7}, &random);
  const Values channel = Random({5}, &random), scalar = Random({1}, &random);
  const Values residual = Random({2, 5, 4, 7}, &random);
  constexpr float kPoison = -12345;
  const auto run = [&](const Values& other, Values* y) {
    const TensorInfo infos[3] = {channel.info, scalar.info, other.info};
    const void* data[3] = {channel.data.data(), scalar.data.data(), other.data.data()};
    EXPECT_EQ(RunPointwiseProgram(kCode, 6, infos, data, 3, y->info, y->data.data(),
                                  &accumulator.info, accumulator.data.data(), 1),
              Rule::kNone);
  };
  Values want(accumulator.info, kPoison);
  run(residual, &want);
  ForIndices(want.info, [&](const int64_t* index) {
    const int64_t at = ElementOffset(want.info, index);
    const float expected =
        (accumulator.data[at] + channel.data[index[1]]) * scalar.data[0] + residual.data[at];
    EXPECT_EQ(want.data[at], expected);
  });
  Values got = Relaid(Values(want.info, kPoison), p.result, p.result_halo, kPoison);
  run(Relaid(residual, p.residual, p.residual_halo, 99), &got);
  // Every element is right, and all between them is as it was.
  EXPECT_EQ(got.data, Relaid(want, p.result, p.result_halo, kPoison).data);
}

constexpr Halo kWide{2, 1, 3}, kThin{0, 1, 1};
INSTANTIATE_TEST_SUITE_P(
    Layouts, PointwiseLayouts,
    ::testing::Values(Layouts{LayoutId::kDense, {}, LayoutId::kChannelsLast, {}},
                      Layouts{LayoutId::kChannelsLast, {}, LayoutId::kDense, {}},
                      Layouts{LayoutId::kChannelsLast, kWide, LayoutId::kChannelsLast, {}},
                      Layouts{LayoutId::kChannelsLast, kThin, LayoutId::kChannelsLast, kWide}));

TEST(Pointwise, ResultMayBeTheAccumulator) {
  std::mt19937 random(8);
  Values x = Random({3, 200}, &random);
  const std::vector<float> before = x.data;
  const PwInstr code[] = {Instr(PwOp::kNeg, 0, 0, 0)};
  EXPECT_EQ(RunPointwiseProgram(code, 1, nullptr, nullptr, 0, x.info, x.data.data(), &x.info,
                                x.data.data(), -1),
            Rule::kNone);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(x.data[i], -before[i]);
}

TEST(Pointwise, ReadsAsFollowsTheChannelAxis) {
  const TensorInfo y = Dense({2, 5, 4, 7});
  EXPECT_TRUE(ReadsAs(Dense({5}), y, 1));
  EXPECT_TRUE(ReadsAs(Dense({1}), y, 1));
  EXPECT_FALSE(ReadsAs(Dense({7}), y, 1));
  EXPECT_TRUE(ReadsAs(Dense({7}), y, -1));
  EXPECT_FALSE(ReadsAs(Dense({5}), y, -1));
  EXPECT_TRUE(ReadsAs(Dense({5, 1, 7}), y, 1));
  EXPECT_TRUE(ReadsAs(Dense({}), y, 1));
  EXPECT_FALSE(ReadsAs(Dense({1, 2, 5, 4, 7}), y, -1));
  EXPECT_FALSE(ReadsAs(Dense({2, 5, 4, 6}), y, -1));
}

}  // namespace
}  // namespace floe::reference
