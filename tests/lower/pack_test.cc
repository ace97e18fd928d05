// Packing against the plain decoder of format/tensor_info.h: two formulas, written independently.
#include "compiler/lower/pack.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace floe::lower {
namespace {

struct PackCase {
  const char* name;
  LayoutId layout;
  int groups;
  bool transposed;
  std::vector<int64_t> dims;
};

class PackTest : public testing::TestWithParam<PackCase> {};

TEST_P(PackTest, EveryElementIsWhereTheLayoutSays) {
  const PackCase& c = GetParam();
  TensorInfo info;
  info.dtype = DType::kF32;
  info.layout = c.layout;
  info.groups = c.groups;
  info.rank = static_cast<uint8_t>(c.dims.size());
  int64_t count = 1;
  for (size_t i = 0; i < c.dims.size(); ++i) {
    info.dims[i] = c.dims[i];
    count *= c.dims[i];
  }
  std::vector<float> source(static_cast<size_t>(count));
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(0.5f, 1.5f);  // Never the padding's zero.
  for (float& f : source) f = uniform(random);
  int64_t bytes = 0;
  ASSERT_TRUE(TensorBytes(info, &bytes).ok());
  std::vector<float> packed(static_cast<size_t>(bytes) / sizeof(float), -1.0f);
  PackWeights(info, source.data(), c.transposed, packed.data());

  std::vector<bool> used(packed.size(), false);
  std::vector<int64_t> index(c.dims.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    for (size_t axis = c.dims.size(); axis-- > 0;) {
      index[axis] = rest % c.dims[axis];
      rest /= c.dims[axis];
    }
    const int64_t from = c.transposed ? index[1] * c.dims[0] + index[0] : i;
    const int64_t at = ElementOffset(info, index.data());
    ASSERT_LT(at, static_cast<int64_t>(packed.size()));
    EXPECT_EQ(packed[static_cast<size_t>(at)], source[static_cast<size_t>(from)])
        << "element " << i;
    EXPECT_FALSE(used[static_cast<size_t>(at)]) << "two elements at " << at;
    used[static_cast<size_t>(at)] = true;
  }
  for (size_t i = 0; i < packed.size(); ++i) {
    if (!used[i]) {
      EXPECT_EQ(packed[i], 0.0f) << "padding at " << i;
    }
  }
}

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

}  // namespace
}  // namespace floe::lower
