// winograd_conv: with both sizes of tiles, and without the transformed weights.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/registry.h"
#include "format/checked.h"
#include "tests/kernels/conv_cases.h"

namespace floe::conformance {
namespace {

// The same as winograd_conv with tiles of t x t inputs; 0: without u.
KernelCase Winograd(KernelCase c, int64_t t) {
  c.kernel = KernelId::kWinogradConv;
  c.name = "winograd" + std::to_string(t) + "_" + c.name;
  const TensorInfo& w = c.inputs[1];
  c.inputs.insert(
      c.inputs.begin() + 2,
      t == 0 ? Absent() : Packed(LayoutId::kWinogradPanels16, {w.dims[0], w.dims[1], t, t}));
  // Relative to results that an epilogue may have clamped to a part of their range.
  c.tolerance = 1e-4;
  return c;
}

// What rounding to bf16 does to sums: each product of F(2x2,3x3) has two factors that are off by at
// most 2^-8 of themselves, evenly.
class PairRounding {
 public:
  PairRounding(const KernelCase& c, const std::vector<Logical>& in)
      : channels_(c.inputs[1].dims[1]),
        tiles_y_((c.outputs[0].dims[2] + 1) / 2),
        tiles_x_((c.outputs[0].dims[3] + 1) / 2) {
    constexpr double kG[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
    constexpr double kB[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
    const int64_t* a = WindowOf(c);
    for (int64_t o = 0; o < c.outputs[0].dims[1]; ++o) {
      for (int64_t ch = 0; ch < channels_; ++ch) {
        AppendSquares<3>(
            kG, [&](int64_t y, int64_t x) { return At(in[1], o, ch, y, x); }, &u_);
      }
    }
    for (int64_t tile = 0; tile < c.outputs[0].dims[0] * tiles_y_ * tiles_x_; ++tile) {
      const int64_t n = tile / tiles_x_ / tiles_y_;
      const int64_t top = tile / tiles_x_ % tiles_y_ * 2 - a[4], left = tile % tiles_x_ * 2 - a[5];
      for (int64_t ch = 0; ch < channels_; ++ch) {
        const auto x = [&](int64_t y, int64_t x) { return At(in[0], n, ch, top + y, left + x); };
        AppendSquares<4>(kB, x, &v_);
      }
    }
  }

  // The standard deviation of the sum at index `i` of the result.
  double At(const std::vector<int64_t>& i) const {
    constexpr bool kUsed[2][4] = {{true, true, true, false}, {false, true, true, true}};
    const int64_t tile = (i[0] * tiles_y_ + i[2] / 2) * tiles_x_ + i[3] / 2;
    const double* u = u_.data() + i[1] * channels_ * 16;
    const double* v = v_.data() + tile * channels_ * 16;
    double squares = 0;
    for (int64_t k = 0; k < channels_ * 16; ++k) {
      if (kUsed[i[2] % 2][k / 4 % 4] && kUsed[i[3] % 2][k % 4]) squares += u[k] * v[k];
    }
    return std::sqrt(squares * 2 / 3) / 256;
  }

 private:
  // The squares of the elements of m x m^T.
  template <int kSize, class X>
  static void AppendSquares(const double (&m)[4][kSize], const X& x, std::vector<double>* to) {
    for (int at = 0; at < 16; ++at) {
      double sum = 0;
      for (int k = 0; k < kSize * kSize; ++k) {
        const int y = k / kSize;
        sum += m[at / 4][y] * x(y, k % kSize) * m[at % 4][k % kSize];
      }
      to->push_back(sum * sum);
    }
  }
  static double At(const Logical& l, int64_t a, int64_t b, int64_t c, int64_t d) {
    return conformance::At(l, a, b, c, d);
  }

  const int64_t channels_, tiles_y_, tiles_x_;
  std::vector<double> u_, v_;  // Squares, of 16 products for each channel.
};

// Where u and the transformed inputs are rounded: results of sums within five deviations.
void PairRange(const KernelCase& c, const std::vector<Logical>& in, std::vector<Logical>* least,
               std::vector<Logical>* most) {
  constexpr int kSteps = 8;  // To each side: some epilogues have their extremes inside.
  const PairRounding rounding(c, in);
  std::vector<int64_t> i(4, 0);
  for (size_t n = 0; n < (*least)[0].values.size(); ++n, NextIndex(c.outputs[0], &i)) {
    const double sum = ConvSum(c, in, i);
    const double reach = c.inputs[2].present() ? 5 * rounding.At(i) : 0;
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (int step = -kSteps; step <= kSteps; ++step) {
      const double y = EvalEpilogue(c, in, EpilogueOf(c), 1, sum + reach * step / kSteps, i);
      low = std::min(low, y);
      high = std::max(high, y);
    }
    (*least)[0].values[n] = low;
    (*most)[0].values[n] = high;
  }
}

// The same with x, w and u of bf16.
KernelCase PairWinograd(const KernelCase& conv, DType y, bool with_u) {
  KernelCase c = Winograd(WithPairs(conv, y), 0);
  if (with_u) {
    const int64_t* w = c.inputs[1].dims;
    c.name += "_u";
    c.inputs[2] = Packed(LayoutId::kGemmPairs16, {w[1], CeilDiv(w[0], int64_t{16}) * 16 * 16});
    c.inputs[2].dtype = DType::kBF16;
    c.range = PairRange;
  }
  if (y == DType::kBF16) c.tolerance = 1.0 / 128;
  return c;
}

std::vector<KernelCase> WinogradCases() {
  std::vector<KernelCase> cases;
  for (const int64_t t : {0, 4, 6}) {
    const auto add = [&](const std::string& name, const ConvShape& s, const std::string& epilogue) {
      const KernelCase conv = Conv(name, s, epilogue);
      cases.push_back(Winograd(conv, t));
      if (t == 6 || (t == 0 && cases.size() % 4 != 1)) return;
      const DType y = cases.size() % 4 < 2 ? DType::kF32 : DType::kBF16;
      cases.push_back(PairWinograd(conv, y, t != 0));
    };
    for (const EpilogueProgram& e : EpiloguePrograms()) {
      ConvShape s = Square(2, 18, 7, 21, 3, 1, 1);
      s.y_halo = {1, 2, 1};
      s.residual_halo = {1, 2, 1};
      add("halo", s, e.name);
      s.residual_halo = {0, 1, 2};
      s.y_halo = {};
      s.o = 32;
      add("whole_panels", s, e.name);
    }
    if (t == 0) continue;  // The rest is conv's own.
    for (int64_t size : {1, 2, 3, 4, 5, 6, 8, 9, 13, 15, 16, 22}) {
      ConvShape s = Square(1 + size % 3, 5, size, 19, 3, 1, 1);
      s.y_halo = {1, 1, 1};
      add("size" + std::to_string(size), s, "bias_relu");
    }
    for (int64_t channels : {1, 3, 4, 15, 16, 17, 33, 64, 250, 256}) {
      add("channels" + std::to_string(channels), Square(1, channels, 6, 33, 3, 1, 1), "bias");
    }
    for (int64_t outputs : {1, 8, 15, 16, 17, 64, 65, 100, 144}) {
      add("outputs" + std::to_string(outputs), Square(1, 6, 9, outputs, 3, 1, 1),
          "bias_residual_relu");
    }
    // No padding, more halo than needed, one line, one column, many blocks of tiles.
    ConvShape a;
    a.n = 2, a.c = 7, a.h = 11, a.w = 19, a.o = 18, a.kh = 3, a.kw = 3;
    a.extra_halo = 1, a.y_halo = {0, 3, 2};
    add("no_padding", a, "bias_residual");
    a.pt = 2, a.pl = 1, a.pr = 3;
    add("asymmetric", a, "bias_sigmoid");
    ConvShape line = Square(3, 4, 1, 20, 3, 1, 1);
    line.w = 37;
    add("line", line, "bias_relu");
    line.h = 37, line.w = 1;
    add("column", line, "bias_relu");
    add("many_tiles", Square(3, 24, 40, 40, 3, 1, 1), "bias_relu");
    add("many_tiles", Square(3, 24, 40, 40, 3, 1, 1), "bias_gelu");
    add("large", Square(2, 130, 15, 150, 3, 1, 1), "bias_residual_relu");
    add("no_images", Square(0, 4, 5, 6, 3, 1, 1), "bias");
    ConvShape empty = Square(1, 4, 2, 6, 3, 1, 0);
    empty.y_halo = {2, 1, 1};
    add("window_too_large", empty, "bias");
    ConvShape channels = Square(1, 0, 4, 6, 3, 1, 1);
    channels.y_halo = {1, 1, 1};
    add("no_channels", channels, "bias");
    add("no_outputs", Square(1, 3, 4, 0, 3, 1, 1), "none");
  }
  return cases;
}

FLOE_KERNEL_TESTS(WinogradConformance, WinogradCases());

// Where there are tiles they multiply directly, so that the cases above test both ways.
TEST(WinogradTest, PairsAreTransformedUnlessTilesMultiplyThem) {
  const KernelCase conv = Conv("conv", Square(2, 18, 7, 21, 3, 1, 1), "bias_relu");
  const KernelCase pairs = PairWinograd(conv, DType::kBF16, true);
  EXPECT_EQ(VariantOf(PlainTileTable(), pairs), "bf16_conv_tiles__amx_plain");
  for (const KernelTable* table : AllKernelTables()) {
    const std::string isa = table->isa;
    if (std::string(table->backend) != "cpu" || !table->available() || isa.starts_with("amx")) {
      continue;
    }
    EXPECT_EQ(VariantOf(*table, pairs).rfind("bf16_winograd_2x2", 0), 0u) << isa;
    EXPECT_EQ(VariantOf(*table, Winograd(conv, 6)).rfind("f32_winograd_4x4", 0), 0u) << isa;
  }
}

}  // namespace
}  // namespace floe::conformance
