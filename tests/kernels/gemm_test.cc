#include "tests/kernels/conformance.h"
#include "tests/kernels/epilogues.h"

namespace floe::conformance {
namespace {

// y[..., n] = epilogue(sum_k x[..., k] w[k, n]).
void GemmOracle(const KernelCase& c, const std::vector<Logical>& in, std::vector<Logical>* out) {
  const TensorInfo& y = c.outputs[0];
  const int64_t depth = c.inputs[1].dims[0], columns = c.inputs[1].dims[1];
  std::vector<int64_t> index(y.rank, 0);
  for (size_t i = 0; i < (*out)[0].values.size(); ++i, NextIndex(y, &index)) {
    const auto row = static_cast<int64_t>(i) / columns, column = static_cast<int64_t>(i) % columns;
    double sum = 0;
    for (int64_t k = 0; k < depth; ++k) {
      sum += in[0].values[static_cast<size_t>(row * depth + k)] *
             in[1].values[static_cast<size_t>(k * columns + column)];
    }
    (*out)[0].values[i] = EvalEpilogue(c, in, 2, y.rank - 1, sum, index);
  }
}

KernelCase Gemm(std::vector<int64_t> rows, int64_t k, int64_t n, const std::string& epilogue) {
  KernelCase c;
  c.kernel = KernelId::kGemm;
  c.name = "m";
  for (int64_t d : rows) c.name += std::to_string(d) + "x";
  c.name += "_k" + std::to_string(k) + "_n" + std::to_string(n);
  std::vector<int64_t> x = rows, y = rows;
  x.push_back(k);
  y.push_back(n);
  c.inputs = {Dense(x), Packed(LayoutId::kGemmPanels16, {k, n})};
  c.outputs = {Dense(y)};
  AddEpilogue(EpilogueNamed(epilogue), n, c.outputs[0], &c);
  c.oracle = GemmOracle;
  return c;
}

std::vector<KernelCase> Cases() {
  std::vector<KernelCase> cases;
  // Every epilogue on a whole tile, on partial panels and on a single row.
  for (const EpilogueProgram& e : EpiloguePrograms()) {
    cases.push_back(Gemm({8}, 20, 48, e.name));
    cases.push_back(Gemm({2, 9}, 33, 37, e.name));
    cases.push_back(Gemm({1}, 7, 70, e.name));
  }
  // Every tile height, and column counts around panels and tiles.
  for (int64_t m = 1; m <= 26; ++m) cases.push_back(Gemm({m}, 5 + m % 3, 16 + 13 * m, "bias"));
  for (int64_t n : {1,  2,  3,  4,  5,  7,  8,  9,  12,  15,  16,  17,
                    31, 32, 33, 47, 49, 63, 64, 65, 127, 128, 129, 257}) {
    cases.push_back(Gemm({1}, 11, n, "bias_relu"));
    cases.push_back(Gemm({13}, 3, n, "residual"));
  }
  // Each addition of one long chain would round the same way here: 1e-4 in all.
  for (int64_t m : {1, 5, 26}) {
    cases.push_back(Gemm({m}, 8192 + m, 40, "none"));
    cases.back().fills = {{1, 1}, {1.0f / 3, 1.0f / 3}};
    cases.back().tolerance = 2e-6;
  }
  // Empty and tiny things, ranks, big things (prefetch and task grids).
  cases.push_back(Gemm({}, 5, 3, "bias"));
  cases.push_back(Gemm({0}, 5, 3, "bias"));
  cases.push_back(Gemm({3}, 5, 0, "relu"));
  cases.push_back(Gemm({3}, 0, 20, "bias"));
  cases.push_back(Gemm({1}, 1, 1, "none"));
  cases.push_back(Gemm({2, 3, 1, 4}, 6, 18, "bias_residual"));
  cases.push_back(Gemm({64}, 300, 640, "bias_gelu"));
  cases.push_back(Gemm({100}, 64, 200, "bias_residual_relu"));
  cases.push_back(Gemm({7}, 700, 400, "bias"));
  cases.push_back(Gemm({23}, 300, 24, "bias_residual_relu"));
  // More rows than a call of the micro-kernel takes; one row of more weights than L2 keeps.
  cases.push_back(Gemm({600}, 24, 40, "bias_relu6"));
  cases.push_back(Gemm({533}, 9, 100, "bias_residual_relu"));
  cases.push_back(Gemm({1}, 290, 700, "bias_residual"));
  cases.push_back(Gemm({1}, 12, 10000, "bias"));
  for (size_t i = 0, wide = cases.size(); i < wide; ++i) {
    cases.push_back(WithHalfWeights(cases[i]));
    cases.push_back(WithPairs(cases[i], i % 2 == 0 ? DType::kF32 : DType::kBF16));
  }
  cases.push_back(WithPairs(Gemm({9}, 129, 100, "bias_gelu"), DType::kBF16));
  cases.push_back(WithPairs(Gemm({16}, 64, 90, "bias_residual_relu"), DType::kBF16));
  // On tiles: results that are stored at once; several cuts of the panels; rows too long for L1;
  // weights that pass once for four row tiles, the last one of fewer rows.
  cases.push_back(WithPairs(Gemm({130}, 64, 1104, "bias"), DType::kF32));
  cases.push_back(WithPairs(Gemm({37}, 96, 600, "bias_gelu"), DType::kBF16));
  cases.push_back(WithPairs(Gemm({50}, 1100, 70, "bias_residual"), DType::kF32));
  cases.push_back(WithPairs(Gemm({59}, 2100, 270, "bias_relu"), DType::kF32));
  return cases;
}

FLOE_KERNEL_TESTS(GemmConformance, Cases());

// So that the cases above test what they are meant to.
TEST(GemmTest, MultipliesPairsOnTilesWhereTheyAreFull) {
  const auto variant = [](int64_t m, int64_t k, const std::string& epilogue, DType y) {
    return VariantOf(PlainTileTable(), WithPairs(Gemm({m}, k, 70, epilogue), y));
  };
  const std::string tiles = "bf16_gemm_tiles__amx_plain";
  for (const int64_t m : {4, 16, 37, 130}) {
    EXPECT_EQ(variant(m, 16, "none", DType::kF32), tiles) << m;
    EXPECT_EQ(variant(m, 1100, "bias_residual", DType::kF32), tiles) << m;
    EXPECT_EQ(variant(m, 129, "bias_gelu", DType::kBF16), tiles) << m;
  }
  EXPECT_NE(variant(1, 96, "bias", DType::kF32), tiles);
  EXPECT_NE(variant(37, 5, "bias", DType::kF32), tiles);
  EXPECT_NE(VariantOf(PlainTileTable(), Gemm({37}, 96, 70, "bias")), tiles);
}

}  // namespace
}  // namespace floe::conformance
