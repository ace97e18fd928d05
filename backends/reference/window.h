// Sliding windows of convolutions and pools along one spatial axis.
#ifndef FLOE_BACKENDS_REFERENCE_WINDOW_H_
#define FLOE_BACKENDS_REFERENCE_WINDOW_H_

#include <algorithm>
#include <cstdint>

#include "backends/reference/ops_internal.h"

namespace floe::reference {

inline constexpr int kMaxSpatial = kMaxRank - 2;
// Strides, dilations, pads and pool kernels are at most this, so that sums with dims fit in 64
// bits.
inline constexpr int64_t kMaxWindowWord = (int64_t{1} << 31) - 1;

// Window position o covers inputs o * stride - pad + k * dilation for taps k in [0, kernel).
struct WindowAxis {
  int64_t in = 0, out = 0, kernel = 1, stride = 1, pad = 0, pad_end = 0, dilation = 1;

  int64_t Start(int64_t o) const { return o * stride - pad; }
  // Taps [FirstTap, EndTap) lie inside the input.
  int64_t FirstTap(int64_t o) const {
    const int64_t start = Start(o);
    return start < 0 ? std::min(kernel, CeilDiv(-start, dilation)) : 0;
  }
  int64_t EndTap(int64_t o) const { return TapsBelow(o, in); }
  // Taps at positions below `limit`.
  int64_t TapsBelow(int64_t o, int64_t limit) const {
    const int64_t room = limit - 1 - Start(o);
    return room < 0 ? 0 : std::min(kernel, room / dilation + 1);
  }
};

// Attribute words of a window op, one per spatial axis (pads: two), as they were given.
struct WindowAttrs {
  std::span<const int64_t> strides, pads, dilations;
};

// Fills axes from attributes and sizes: lengths of the lists, signs and magnitudes. x is
// [N, C, spatial...]; kernel has one size per spatial axis. Does not set `out`.
inline Status MakeWindow(const TensorInfo& x, const int64_t* kernel, const WindowAttrs& w,
                         WindowAxis* axes) {
  const auto n = static_cast<size_t>(x.rank - 2);
  if (w.strides.size() != n || w.dilations.size() != n || w.pads.size() != 2 * n) {
    return BadAttr(static_cast<int64_t>(n), static_cast<int64_t>(w.strides.size()));
  }
  for (size_t i = 0; i < n; ++i) {
    WindowAxis& a = axes[i];
    a.in = x.dims[i + 2];
    a.kernel = kernel[i];
    a.stride = w.strides[i];
    a.dilation = w.dilations[i];
    a.pad = w.pads[i];
    a.pad_end = w.pads[i + n];
    if (a.stride < 1 || a.stride > kMaxWindowWord) return BadAttr(1, a.stride);
    if (a.dilation < 1 || a.dilation > kMaxWindowWord) return BadAttr(1, a.dilation);
    for (int64_t pad : {a.pad, a.pad_end}) {
      if (pad < -kMaxWindowWord || pad > kMaxWindowWord) return BadAttr(kMaxWindowWord, pad);
    }
    if (a.kernel < 1) return BadAttr(1, a.kernel);
  }
  return OkStatus();
}

// Inputs from the first to the last tap. False on overflow.
[[nodiscard]] inline bool WindowExtent(const WindowAxis& a, int64_t* extent) {
  return CheckedMul(a.kernel - 1, a.dilation, extent) && CheckedAdd(*extent, 1, extent);
}

// Positions of the window in the padded input, 0 if it does not fit. False on overflow.
[[nodiscard]] inline bool WindowPositions(const WindowAxis& a, bool ceil_mode, int64_t* out) {
  int64_t extent;
  if (!WindowExtent(a, &extent)) return false;
  constexpr int64_t kLargest = int64_t{1} << 62;  // No dim is larger.
  extent = std::min(extent, kLargest);
  const int64_t room = a.in + a.pad + a.pad_end - extent + (ceil_mode ? a.stride - 1 : 0);
  *out = room < 0 ? 0 : room / a.stride + 1;
  return true;
}

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_WINDOW_H_
