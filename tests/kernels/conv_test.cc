// conv and depthwise_conv.
#include "tests/kernels/conformance.h"
#include "tests/kernels/epilogues.h"

namespace floe::conformance {
namespace {

struct ConvShape {
  int64_t n = 1, c = 1, h = 1, w = 1, o = 1;
  int64_t groups = 1;  // 0: depthwise_conv (o is ignored).
  int64_t kh = 1, kw = 1, sh = 1, sw = 1;
  int64_t pt = 0, pl = 0, pb = 0, pr = 0;
  int64_t dh = 1, dw = 1;
  Halo y_halo;
  int extra_halo = 0;  // x's halo beyond what the window needs.
  Halo residual_halo;
};

double At(const Logical& l, int64_t a, int64_t b, int64_t c, int64_t d) {
  const int64_t* dims = l.info.dims;
  if (c < 0 || c >= dims[2] || d < 0 || d >= dims[3]) return 0;
  return l.values[static_cast<size_t>(((a * dims[1] + b) * dims[2] + c) * dims[3] + d)];
}

// The textbook sum; outside the image is zero.
void ConvOracle(const KernelCase& c, const std::vector<Logical>& in, std::vector<Logical>* out) {
  const bool depthwise = c.kernel == KernelId::kDepthwiseConv;
  const int64_t* a = c.attrs.data() + (depthwise ? 0 : 1);
  const TensorInfo& y = c.outputs[0];
  const int64_t per_group = c.inputs[1].dims[1];
  const int64_t outputs_per_group = depthwise ? 1 : y.dims[1] / c.attrs[0];
  std::vector<int64_t> i(4, 0);
  for (double& value : (*out)[0].values) {
    double sum = 0;
    for (int64_t ch = 0; ch < per_group; ++ch) {
      for (int64_t ky = 0; ky < a[0]; ++ky) {
        for (int64_t kx = 0; kx < a[1]; ++kx) {
          sum += At(in[1], i[1], ch, ky, kx) *
                 At(in[0], i[0], i[1] / outputs_per_group * per_group + ch,
                    i[2] * a[2] + ky * a[8] - a[4], i[3] * a[3] + kx * a[9] - a[5]);
        }
      }
    }
    value = EvalEpilogue(c, in, 2, 1, sum, i);
    NextIndex(y, &i);
  }
}

KernelCase Conv(const std::string& name, const ConvShape& s, const std::string& epilogue) {
  KernelCase c;
  const bool depthwise = s.groups == 0;
  const int64_t outputs = depthwise ? s.c : s.o;
  const auto positions = [](int64_t size, int64_t kernel, int64_t stride, int64_t pads,
                            int64_t dilation) {
    const int64_t reach = dilation * (kernel - 1) + 1;
    return size + pads < reach ? 0 : (size + pads - reach) / stride + 1;
  };
  const int64_t oh = positions(s.h, s.kh, s.sh, s.pt + s.pb, s.dh);
  const int64_t ow = positions(s.w, s.kw, s.sw, s.pl + s.pr, s.dw);
  c.kernel = depthwise ? KernelId::kDepthwiseConv : KernelId::kConv;
  c.name = name;
  Halo halo{static_cast<uint8_t>(s.pt + s.extra_halo), static_cast<uint8_t>(s.pb + s.extra_halo),
            static_cast<uint8_t>(std::max(s.pl, s.pr) + s.extra_halo)};
  c.inputs.push_back(ChannelsLast({s.n, s.c, s.h, s.w}, halo));
  if (depthwise) {
    c.inputs.push_back(Packed(LayoutId::kDepthwiseTaps16, {s.c, 1, s.kh, s.kw}));
  } else {
    c.inputs.push_back(Packed(LayoutId::kConvPanels16, {s.o, s.c / s.groups, s.kh, s.kw},
                              static_cast<int32_t>(s.groups)));
    c.attrs.push_back(s.groups);
  }
  for (int64_t v : {s.kh, s.kw, s.sh, s.sw, s.pt, s.pl, s.pb, s.pr, s.dh, s.dw}) {
    c.attrs.push_back(v);
  }
  c.outputs = {ChannelsLast({s.n, outputs, oh, ow}, s.y_halo)};
  TensorInfo residual = c.outputs[0];
  residual.halo = s.residual_halo;
  AddEpilogue(EpilogueNamed(epilogue), outputs, residual, &c);
  c.reads_input_halo = true;
  c.oracle = ConvOracle;
  return c;
}

ConvShape Square(int64_t n, int64_t c, int64_t size, int64_t o, int64_t kernel, int64_t stride,
                 int64_t pad) {
  ConvShape s;
  s.n = n;
  s.c = c;
  s.h = s.w = size;
  s.o = o;
  s.kh = s.kw = kernel;
  s.sh = s.sw = stride;
  s.pt = s.pl = s.pb = s.pr = pad;
  return s;
}

void AddShapes(int64_t groups, std::vector<KernelCase>* cases) {
  const std::string kind = groups == 0 ? "depthwise_" : "conv_";
  const auto add = [&](const std::string& name, ConvShape s, const std::string& epilogue) {
    s.groups = groups;
    cases->push_back(Conv(kind + name, s, epilogue));
  };
  for (const EpilogueProgram& e : EpiloguePrograms()) {
    ConvShape s = Square(2, 18, 7, 21, 3, 1, 1);
    s.y_halo = {1, 2, 1};
    s.residual_halo = {1, 2, 1};
    add("halo", s, e.name);
    s.residual_halo = {0, 1, 2};
    s.y_halo = {};
    add("other_residual_halo", s, e.name);
    add("pointwise", Square(1, 16, 5, 48, 1, 1, 0), e.name);
  }
  for (int64_t size : {1, 2, 3, 6, 7, 8, 9, 13, 15, 16, 22}) {
    ConvShape s = Square(1, 5, size, 19, 3, 1, 1);
    s.y_halo = {1, 1, 1};
    add("s1_" + std::to_string(size), s, "bias_relu");
    add("s2_" + std::to_string(size), Square(1, 33, size, 7, 3, 2, 1), "bias");
    add("k5_" + std::to_string(size), Square(1, 4, size, 16, 5, 1, 2), "none");
    add("k5s2_" + std::to_string(size), Square(2, 17, size, 3, 5, 2, 2), "residual");
  }
  add("first_layer", Square(1, 3, 21, 24, 7, 2, 3), "bias_relu");
  add("k7", Square(1, 9, 10, 5, 7, 1, 3), "bias_gelu");
  add("strided_1x1", Square(3, 20, 9, 35, 1, 2, 0), "bias");
  add("images", Square(5, 8, 4, 33, 1, 1, 0), "bias_residual_relu");
  ConvShape d = Square(1, 6, 11, 20, 3, 1, 2);
  d.dh = d.dw = 2;
  add("dilated", d, "bias_relu");
  d.dw = 1;
  add("dilated_rows", d, "bias");
  ConvShape a;
  a.n = 2, a.c = 7, a.h = 6, a.w = 19, a.o = 18, a.kh = 2, a.kw = 4, a.sh = 1, a.sw = 3;
  a.pt = 0, a.pl = 2, a.pb = 1, a.pr = 0, a.extra_halo = 1, a.y_halo = {0, 3, 2};
  add("asymmetric", a, "bias_residual");
  add("asymmetric", a, "bias_sigmoid");
  a.kh = 1, a.kw = 3, a.sw = 1, a.pb = 0, a.pl = a.pr = 1;
  add("row_window", a, "bias");
  add("no_images", Square(0, 4, 5, 6, 3, 1, 1), "bias");
  ConvShape empty = Square(1, 4, 2, 6, 3, 1, 0);
  empty.y_halo = {2, 1, 1};
  add("window_too_large", empty, "bias");
  ConvShape channels = Square(1, 0, 4, 6, 3, 1, 1);
  channels.y_halo = {1, 1, 1};
  add("no_channels", channels, "bias");
  add("bigger", Square(1, 64, 28, 96, 3, 1, 1), "bias_relu");
  add("wide_program", Square(1, 40, 70, 8, 3, 1, 1), "bias_gelu");
}

std::vector<KernelCase> ConvCases() {
  std::vector<KernelCase> cases;
  AddShapes(1, &cases);
  for (int64_t groups : {2, 3, 4}) {
    for (const char* epilogue : {"bias_residual_relu", "affine_silu_residual"}) {
      ConvShape s = Square(2, 12, 9, 12 * groups + groups, 3, 1, 1);
      s.groups = groups;
      s.y_halo = {1, 1, 1};
      cases.push_back(Conv("groups" + std::to_string(groups), s, epilogue));
    }
  }
  ConvShape own = Square(1, 10, 5, 20, 3, 1, 1);
  own.groups = 10;
  cases.push_back(Conv("group_per_channel", own, "bias"));
  cases.push_back(Conv("no_outputs", Square(1, 3, 4, 0, 3, 1, 1), "none"));
  return cases;
}

std::vector<KernelCase> DepthwiseCases() {
  std::vector<KernelCase> cases;
  AddShapes(0, &cases);
  // Channel tails of every vector width.
  for (int64_t channels : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 48, 50}) {
    ConvShape s = Square(1, channels, 14, 0, 3, 1, 1);
    s.groups = 0;
    s.y_halo = {1, 1, 1};
    cases.push_back(Conv("channels" + std::to_string(channels), s, "bias_relu6"));
    s.sh = s.sw = 2;
    cases.push_back(Conv("channels_s2_" + std::to_string(channels), s, "affine_silu_residual"));
  }
  return cases;
}

FLOE_KERNEL_TESTS(ConvConformance, ConvCases());
FLOE_KERNEL_TESTS(DepthwiseConformance, DepthwiseCases());

}  // namespace
}  // namespace floe::conformance
