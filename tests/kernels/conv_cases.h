// Cases of convolutions and their oracle, for the tests of all families that compute them.
#ifndef FLOE_TESTS_KERNELS_CONV_CASES_H_
#define FLOE_TESTS_KERNELS_CONV_CASES_H_

#include <algorithm>
#include <string>
#include <vector>

#include "tests/kernels/conformance.h"
#include "tests/kernels/epilogues.h"

namespace floe::conformance {

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

inline double At(const Logical& l, int64_t a, int64_t b, int64_t c, int64_t d) {
  const int64_t* dims = l.info.dims;
  if (c < 0 || c >= dims[2] || d < 0 || d >= dims[3]) return 0;
  return l.values[static_cast<size_t>(((a * dims[1] + b) * dims[2] + c) * dims[3] + d)];
}

// The window's words of the case's attributes.
inline const int64_t* WindowOf(const KernelCase& c) {
  return c.attrs.data() + (c.kernel == KernelId::kDepthwiseConv ? 0 : 1);
}
// The first operand of the epilogue.
inline uint32_t EpilogueOf(const KernelCase& c) {
  return c.kernel == KernelId::kWinogradConv ? 3 : 2;
}

// The textbook sum at index `i` of the result; outside the image is zero.
inline double ConvSum(const KernelCase& c, const std::vector<Logical>& in,
                      const std::vector<int64_t>& i) {
  const bool depthwise = c.kernel == KernelId::kDepthwiseConv;
  const int64_t* a = WindowOf(c);
  const int64_t per_group = c.inputs[1].dims[1];
  const int64_t outputs_per_group = depthwise ? 1 : c.outputs[0].dims[1] / c.attrs[0];
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
  return sum;
}

inline void ConvOracle(const KernelCase& c, const std::vector<Logical>& in,
                       std::vector<Logical>* out) {
  std::vector<int64_t> i(4, 0);
  for (double& value : (*out)[0].values) {
    value = EvalEpilogue(c, in, EpilogueOf(c), 1, ConvSum(c, in, i), i);
    NextIndex(c.outputs[0], &i);
  }
}

inline KernelCase Conv(const std::string& name, const ConvShape& s, const std::string& epilogue) {
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

inline ConvShape Square(int64_t n, int64_t c, int64_t size, int64_t o, int64_t kernel,
                        int64_t stride, int64_t pad) {
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

}  // namespace floe::conformance

#endif  // FLOE_TESTS_KERNELS_CONV_CASES_H_
