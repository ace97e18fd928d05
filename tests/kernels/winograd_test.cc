// winograd_conv: with both sizes of tiles, and without the transformed weights.
#include <algorithm>

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

// The same with x, w and u of bf16.
KernelCase PairWinograd(const KernelCase& conv, DType y, bool with_u) {
  KernelCase c = Winograd(WithPairs(conv, y), 0);
  if (with_u) {
    const int64_t* w = c.inputs[1].dims;
    c.name += "_u";
    c.inputs[2] = Packed(LayoutId::kGemmPairs16, {w[1], CeilDiv(w[0], int64_t{16}) * 16 * 16});
    c.inputs[2].dtype = DType::kBF16;
  }
  // u and the transformed inputs are rounded where the oracle's are not: by that much of the sums,
  // of which some epilogues leave a small part.
  const bool bounded = std::any_of(c.code.begin(), c.code.end(), [](const PwInstr& i) {
    const auto op = static_cast<PwOp>(i.op);
    return op == PwOp::kMinImm || op == PwOp::kSigmoid;
  });
  c.tolerance = !with_u ? 1.0 / 128 : bounded ? 0.3 : 2e-2;
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

}  // namespace
}  // namespace floe::conformance
