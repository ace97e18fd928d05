// Packing against the plain decoder of format/tensor_info.h: two formulas, written independently.
#include "compiler/lower/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "backends/reference/element.h"

namespace floe::lower {
namespace {

struct PackCase {
  const char* name;
  LayoutId layout;
  int groups;
  bool transposed;
  std::vector<int64_t> dims;
};

template <class Case>
TensorInfo InfoOf(const Case& c, DType dtype) {
  TensorInfo info;
  info.dtype = dtype;
  info.layout = c.layout;
  info.groups = c.groups;
  info.rank = static_cast<uint8_t>(c.dims.size());
  std::copy(c.dims.begin(), c.dims.end(), info.dims);
  return info;
}

int64_t ElementCount(const TensorInfo& info) {
  return std::accumulate(info.dims, info.dims + info.rank, int64_t{1}, std::multiplies<>());
}

// `packed` has value(i) of every element i of the source where the layout says, and zeros
// elsewhere.
template <class T, class Value>
void ExpectPacked(const TensorInfo& info, bool transposed, const std::vector<T>& packed,
                  const Value& value) {
  std::vector<bool> used(packed.size(), false);
  std::vector<int64_t> index(info.rank, 0);
  for (int64_t i = 0; i < ElementCount(info); ++i) {
    int64_t rest = i;
    for (size_t axis = info.rank; axis-- > 0;) {
      index[axis] = rest % info.dims[axis];
      rest /= info.dims[axis];
    }
    const auto from = static_cast<size_t>(transposed ? index[1] * info.dims[0] + index[0] : i);
    const auto at = static_cast<size_t>(ElementOffset(info, index.data()));
    ASSERT_LT(at, packed.size());
    EXPECT_EQ(packed[at], value(from)) << "element " << i;
    EXPECT_FALSE(used[at]) << "two elements at " << at;
    used[at] = true;
  }
  for (size_t i = 0; i < packed.size(); ++i) {
    if (!used[i]) {
      EXPECT_EQ(packed[i], T{0}) << "padding at " << i;
    }
  }
}

class PackTest : public testing::TestWithParam<PackCase> {};

TEST_P(PackTest, EveryElementIsWhereTheLayoutSays) {
  const PackCase& c = GetParam();
  const TensorInfo info = InfoOf(c, DType::kF32);
  std::vector<float> source(static_cast<size_t>(ElementCount(info)));
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(0.5f, 1.5f);  // Never the padding's zero.
  for (float& f : source) f = uniform(random);
  int64_t bytes = 0;
  ASSERT_TRUE(TensorBytes(info, &bytes).ok());
  std::vector<float> packed(static_cast<size_t>(bytes) / sizeof(float), -1.0f);
  PackWeights(info, source.data(), c.transposed, packed.data());

  ExpectPacked(info, c.transposed, packed, [&](size_t i) { return source[i]; });
}

struct NarrowCase {
  const char* name;
  LayoutId layout;
  DType dtype;
  int groups;
  bool transposed;
  std::vector<int64_t> dims;
};

class PackNarrowTest : public testing::TestWithParam<NarrowCase> {};

// The nearest f16 or bf16 by search: numbers of the type in order, ties to even.
uint16_t Nearest(float v, DType dtype) {
  const auto wide = [dtype](uint16_t bits) {
    return dtype == DType::kF16 ? reference::F16::ToDouble(bits) : reference::BF16::ToDouble(bits);
  };
  const double size = std::fabs(static_cast<double>(v));
  uint16_t low = 0, high = dtype == DType::kF16 ? 0x7c00 : 0x7f80;
  while (high - low > 1) {
    const auto middle = static_cast<uint16_t>((low + high) / 2);
    (wide(middle) <= size ? low : high) = middle;
  }
  const double below = size - wide(low), above = wide(high) - size;
  const uint16_t near = below < above || (below == above && low % 2 == 0) ? low : high;
  return static_cast<uint16_t>(near | (std::signbit(v) ? 0x8000 : 0));
}

TEST_P(PackNarrowTest, EveryElementIsRoundedAndWhereTheLayoutSays) {
  const NarrowCase& c = GetParam();
  const TensorInfo info = InfoOf(c, c.dtype);
  std::vector<float> source(static_cast<size_t>(ElementCount(info)));
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  for (float& f : source) f = normal(random);
  source[0] = 0x1.01p0f;   // A tie of bf16: to even, down.
  source.back() = -3e-6f;  // Subnormal in f16.
  int64_t bytes = 0;
  ASSERT_TRUE(TensorBytes(info, &bytes).ok());
  std::vector<uint16_t> packed(static_cast<size_t>(bytes) / 2, 0xffff);
  PackNarrowWeights(info, source.data(), c.transposed, packed.data());

  ExpectPacked(info, c.transposed, packed, [&](size_t i) { return Nearest(source[i], c.dtype); });
}

constexpr DType kHalf = DType::kF16;
constexpr DType kBrain = DType::kBF16;
constexpr LayoutId kGemmPairs = LayoutId::kGemmPairs16;
constexpr LayoutId kConvPairs = LayoutId::kConvPairs16;
INSTANTIATE_TEST_SUITE_P(
    Layouts, PackNarrowTest,
    testing::Values(NarrowCase{"gemm", kGemmPairs, kBrain, 1, false, {7, 33}},
                    NarrowCase{"gemm_even", kGemmPairs, kBrain, 1, false, {8, 16}},
                    NarrowCase{"gemm_one", kGemmPairs, kBrain, 1, false, {1, 2}},
                    NarrowCase{"gemm_transposed", kGemmPairs, kBrain, 1, true, {9, 17}},
                    NarrowCase{"conv", kConvPairs, kBrain, 1, false, {18, 5, 3, 2}},
                    NarrowCase{"conv_groups", kConvPairs, kBrain, 3, false, {51, 4, 1, 3}},
                    NarrowCase{"f16_gemm", LayoutId::kGemmPanels16, kHalf, 1, true, {9, 17}},
                    NarrowCase{"f16_conv", LayoutId::kConvPanels16, kHalf, 2, false, {6, 3, 2, 2}},
                    NarrowCase{"bf16_lstm", LayoutId::kLstmGates16, kBrain, 1, true, {5, 20}},
                    NarrowCase{"f16_lstm", LayoutId::kLstmGates16, kHalf, 1, true, {18, 72}}),
    [](const testing::TestParamInfo<NarrowCase>& info) { return std::string(info.param.name); });

constexpr LayoutId kGemm = LayoutId::kGemmPanels16;
constexpr LayoutId kConv = LayoutId::kConvPanels16;
constexpr LayoutId kDepthwise = LayoutId::kDepthwiseTaps16;
constexpr LayoutId kLstm = LayoutId::kLstmGates16;

INSTANTIATE_TEST_SUITE_P(Layouts, PackTest,
                         testing::Values(PackCase{"gemm", kGemm, 1, false, {7, 33}},
                                         PackCase{"gemm_exact", kGemm, 1, false, {5, 32}},
                                         PackCase{"gemm_one", kGemm, 1, false, {1, 1}},
                                         PackCase{"gemm_transposed", kGemm, 1, true, {9, 17}},
                                         PackCase{"conv", kConv, 1, false, {18, 5, 3, 2}},
                                         PackCase{"conv_groups", kConv, 3, false, {51, 4, 1, 3}},
                                         PackCase{"conv_1x1", kConv, 1, false, {16, 16, 1, 1}},
                                         PackCase{"depthwise", kDepthwise, 1, false, {19, 1, 3, 3}},
                                         PackCase{"lstm", kLstm, 1, false, {5, 20}},
                                         PackCase{"lstm_transposed", kLstm, 1, true, {33, 132}}),
                         [](const testing::TestParamInfo<PackCase>& info) {
                           return std::string(info.param.name);
                         });

// A tile of outputs by Winograd's formula from a packed filter, against the sum that it stands for.
// The transforms are built from the points as winograd.h describes them.
struct Transforms {
  std::vector<std::vector<double>> input;   // B^T
  std::vector<std::vector<double>> output;  // A^T
};

Transforms TransformsOf(const std::vector<double>& points) {
  const size_t t = points.size() + 1;
  const auto product_without = [&](size_t skipped) {
    std::vector<double> c = {1};  // Coefficients, ascending.
    for (size_t j = 0; j < points.size(); ++j) {
      if (j == skipped) continue;
      c.insert(c.begin(), 0);
      for (size_t k = 0; k + 1 < c.size(); ++k) c[k] -= points[j] * c[k + 1];
    }
    c.resize(t);
    return c;
  };
  Transforms result;
  for (size_t i = 0; i < t; ++i) result.input.push_back(product_without(i));
  for (size_t k = 0; k + 2 < t; ++k) {
    std::vector<double> row;
    for (const double p : points) row.push_back(std::pow(p, static_cast<double>(k)));
    row.push_back(k + 3 == t ? 1 : 0);
    result.output.push_back(row);
  }
  return result;
}

TEST(WinogradPackTest, FiltersGiveTheConvolution) {
  const std::vector<double> points[] = {{0, 1, -1}, {0, 0.625, -0.625, 1.5, -1.5}};
  for (const std::vector<double>& of : points) {
    const Transforms transforms = TransformsOf(of);
    const auto t = static_cast<int64_t>(of.size()) + 1;
    TensorInfo info;
    info.dtype = DType::kF32;
    info.layout = LayoutId::kWinogradPanels16;
    info.rank = 4;
    info.dims[0] = 19;
    info.dims[1] = 3;
    info.dims[2] = info.dims[3] = t;
    std::mt19937 random(3);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> source(static_cast<size_t>(19 * 3 * 9));
    for (float& f : source) f = uniform(random);
    std::vector<float> packed(static_cast<size_t>(32 * 3 * t * t), -1.0f);
    PackWeights(info, source.data(), /*transposed=*/false, packed.data());
    std::vector<double> d(static_cast<size_t>(t * t));
    for (double& v : d) v = uniform(random);
    const auto at = [&](const auto& v, int64_t y, int64_t x) {
      return static_cast<double>(v[static_cast<size_t>(y * t + x)]);
    };
    for (int64_t o = 0; o < 19; ++o) {
      for (int64_t c = 0; c < 3; ++c) {
        const float* filter = source.data() + (o * 3 + c) * 9;
        for (int64_t oy = 0; oy < t - 2; ++oy) {
          for (int64_t ox = 0; ox < t - 2; ++ox) {
            double want = 0, got = 0;
            for (int64_t i = 0; i < 9; ++i) {
              want += static_cast<double>(filter[i]) * at(d, oy + i / 3, ox + i % 3);
            }
            for (int64_t y = 0; y < t; ++y) {
              for (int64_t x = 0; x < t; ++x) {
                double v = 0;
                for (int64_t i = 0; i < t; ++i) {
                  for (int64_t j = 0; j < t; ++j) {
                    v += transforms.input[static_cast<size_t>(y)][static_cast<size_t>(i)] *
                         at(d, i, j) *
                         transforms.input[static_cast<size_t>(x)][static_cast<size_t>(j)];
                  }
                }
                const int64_t index[4] = {o, c, y, x};
                got +=
                    transforms.output[static_cast<size_t>(oy)][static_cast<size_t>(y)] * v *
                    static_cast<double>(packed[static_cast<size_t>(ElementOffset(info, index))]) *
                    transforms.output[static_cast<size_t>(ox)][static_cast<size_t>(x)];
              }
            }
            EXPECT_NEAR(got, want, 1e-5) << t << " filter " << o << ',' << c;
          }
        }
      }
    }
    // The lanes beyond the last output.
    for (int64_t m = 0; m < t * t; ++m) {
      for (int64_t c = 0; c < 3; ++c) {
        for (int64_t lane = 3; lane < 16; ++lane) {
          EXPECT_EQ(packed[static_cast<size_t>(((m * 2 + 1) * 3 + c) * 16 + lane)], 0.0f);
        }
      }
    }
  }
}

}  // namespace
}  // namespace floe::lower
