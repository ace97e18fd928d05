// Max and average pooling, in any number of spatial axes.
#include <cmath>
#include <limits>

#include "backends/reference/ops_internal.h"
#include "backends/reference/window.h"

namespace floe::reference {
namespace {

struct PoolAttrs {
  std::span<const int64_t> kernel;
  WindowAttrs window;
  int64_t ceil_mode = 0;
};

PoolAttrs ReadPool(AttrReader* attrs) {
  PoolAttrs p;
  p.kernel = attrs->Ints();
  p.window.strides = attrs->Ints();
  p.window.pads = attrs->Ints();
  p.window.dilations = attrs->Ints();
  p.ceil_mode = attrs->Int();
  return p;
}

// With ceil_mode a last window that would start in the padding after the input may be left out (as
// ONNX and PyTorch do now) or kept (as ONNX once did).
Status CheckPool(const CheckArgs& a, const PoolAttrs& p) {
  const TensorInfo& x = a.in(0);
  if (p.ceil_mode < 0 || p.ceil_mode > 1) return BadAttr(1, p.ceil_mode);
  if (x.rank < 3) return BadShape(0, -1, 3, x.rank);
  const int spatial = x.rank - 2;
  if (p.kernel.size() != static_cast<size_t>(spatial)) return BadAttr(spatial);
  for (int64_t k : p.kernel) {
    if (k < 1 || k > kMaxWindowWord) return BadAttr(1, k);
  }
  WindowAxis axes[kMaxSpatial];
  FLOE_RETURN_IF_ERROR(MakeWindow(x, p.kernel.data(), p.window, axes));
  int64_t dims[kMaxRank] = {x.dims[0], x.dims[1]};
  double taps = 1;
  for (int i = 0; i < spatial; ++i) {
    int64_t& out = dims[i + 2];
    if (!WindowPositions(axes[i], p.ceil_mode != 0, &out)) return TooLarge();
    const bool droppable = p.ceil_mode != 0 && out > 0 && axes[i].Start(out - 1) >= axes[i].in;
    if (droppable && i + 2 < a.out().rank && a.out().dims[i + 2] == out - 1) --out;
    taps *= static_cast<double>(p.kernel[i]);
  }
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, x.dtype));
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, x.rank}));
  a.footprint.flops = taps * static_cast<double>(Count(a.out()));
  return OkStatus();
}

// Walks the windows of an accepted pool.
struct Windows {
  int spatial;
  WindowAxis axes[kMaxSpatial];
  int64_t x_size = 1, y_size = 1;

  Windows(const RunArgs& a, const PoolAttrs& p) : spatial(a.in(0).rank - 2) {
    (void)MakeWindow(a.in(0), p.kernel.data(), p.window, axes);
    for (int i = 0; i < spatial; ++i) axes[i].out = a.out().dims[i + 2];
    x_size = Product(a.in(0).dims + 2, spatial);
    y_size = Product(a.out().dims + 2, spatial);
  }

  // The position of window number `index`, one number per axis.
  void Position(int64_t index, int64_t* position) const {
    for (int i = spatial; i-- > 0; index /= axes[i].out) position[i] = index % axes[i].out;
  }

  // Calls f(offset) for every tap of the window that lies inside the image.
  template <class F>
  void ForTaps(const int64_t* position, F&& f, int axis = 0, int64_t at = 0) const {
    if (axis >= std::min(spatial, kMaxSpatial)) {  // As a bound that the compiler sees, too.
      f(at);
      return;
    }
    const WindowAxis& v = axes[axis];
    const int64_t start = v.Start(position[axis]), end = v.EndTap(position[axis]);
    for (int64_t k = v.FirstTap(position[axis]); k < end; ++k) {
      ForTaps(position, f, axis + 1, at * v.in + start + k * v.dilation);
    }
  }
};

// Elements of the window at `position`; padding counts as far as it was declared, if at all
// (ceil_mode may reach beyond it).
double CountOf(const Windows& windows, const int64_t* position, bool include_pad) {
  double elements = 1;
  for (int k = 0; k < windows.spatial; ++k) {
    const WindowAxis& v = windows.axes[k];
    const int64_t o = position[k];
    elements *=
        static_cast<double>(include_pad ? v.TapsBelow(o, v.in + v.pad_end)
                                        : std::max<int64_t>(0, v.EndTap(o) - v.FirstTap(o)));
  }
  return elements;
}

}  // namespace

// A NaN in the window gives NaN. A window without any element gives the least value, index -1.
Status CheckMaxPool(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const PoolAttrs p = ReadPool(&attrs);
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  if (!a.HasOutput(0)) return Error(Code::kInvalidFile, Rule::kInstructionResult);
  FLOE_RETURN_IF_ERROR(CheckPool(a, p));
  if (a.HasOutput(1)) {
    FLOE_RETURN_IF_ERROR(OutputIs(a, 1, DType::kI64));
    FLOE_RETURN_IF_ERROR(OutputDims(a, 1, Dims(a.out())));
  }
  return OkStatus();
}

Rule RunMaxPool(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const Windows windows(a, ReadPool(&attrs));
  auto* indices = a.HasOutput(1) ? static_cast<int64_t*>(a.outputs[1]) : nullptr;
  const int64_t count = Count(a.out());
  WithElement(a.out().dtype, [&]<class E>() {
    using C = std::conditional_t<kIsFloatElement<E>, double, E>;
    if constexpr (!std::is_same_v<E, Bool>) {
      const auto* x = static_cast<const E*>(a.inputs[0]);
      auto* y = static_cast<E*>(a.outputs[0]);
      for (int64_t i = 0; i < count; ++i) {
        int64_t position[kMaxSpatial];
        windows.Position(i % windows.y_size, position);
        const int64_t plane = i / windows.y_size * windows.x_size;
        C best = std::numeric_limits<C>::lowest();
        if constexpr (kIsFloatElement<E>) best = -std::numeric_limits<C>::infinity();
        int64_t at = -1;
        windows.ForTaps(position, [&](int64_t offset) {
          const C v = Get<C>(x[plane + offset]);
          if (at < 0 || v > best || (v != v && best == best)) {
            best = v;
            at = plane + offset;
          }
        });
        y[i] = Put<E>(best);
        if (indices != nullptr) indices[i] = at;
      }
    }
  });
  return Rule::kNone;
}

// A window that counts no element gives NaN.
Status CheckAvgPool(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const PoolAttrs p = ReadPool(&attrs);
  const int64_t include_pad = attrs.Int();
  if (!attrs.Done() || include_pad < 0 || include_pad > 1) return BadAttr();
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kFloats));
  return CheckPool(a, p);
}

Rule RunAvgPool(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const Windows windows(a, ReadPool(&attrs));
  const bool include_pad = attrs.Int() != 0;
  const int64_t count = Count(a.out());
  WithFloat(a.out().dtype, [&]<class E>() {
    const auto* x = static_cast<const E*>(a.inputs[0]);
    auto* y = static_cast<E*>(a.outputs[0]);
    for (int64_t i = 0; i < count; ++i) {
      int64_t position[kMaxSpatial];
      windows.Position(i % windows.y_size, position);
      const int64_t plane = i / windows.y_size * windows.x_size;
      double sum = 0;
      windows.ForTaps(position, [&](int64_t offset) { sum += Get<double>(x[plane + offset]); });
      y[i] = Put<E>(sum / CountOf(windows, position, include_pad));
    }
  });
  return Rule::kNone;
}

namespace {

// The words after a pool's own.
struct ByteMean {
  int64_t include_pad, x_zero, y_zero;
  float ratio;

  explicit ByteMean(AttrReader* attrs)
      : include_pad(attrs->Int()),
        x_zero(attrs->Int()),
        y_zero(attrs->Int()),
        ratio(static_cast<float>(attrs->Float())) {}
};

}  // namespace

Status CheckQAvgPool(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const PoolAttrs p = ReadPool(&attrs);
  const ByteMean m(&attrs);
  if (!attrs.Done() || m.include_pad < 0 || m.include_pad > 1) return BadAttr();
  for (const int64_t zero : {m.x_zero, m.y_zero}) {
    if (zero < 0 || zero > 255) return BadAttr(255, zero);
  }
  FLOE_RETURN_IF_ERROR(InputIs(a, 0, DType::kU8));
  return CheckPool(a, p);
}

// In the roundings of the kernels. A window that counts no element gives 0.
Rule RunQAvgPool(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const Windows windows(a, ReadPool(&attrs));
  const ByteMean m(&attrs);
  const auto* x = static_cast<const uint8_t*>(a.inputs[0]);
  auto* y = static_cast<uint8_t*>(a.outputs[0]);
  const int64_t count = Count(a.out());
  const auto low = static_cast<float>(-m.y_zero), high = static_cast<float>(255 - m.y_zero);
  for (int64_t i = 0; i < count; ++i) {
    int64_t position[kMaxSpatial];
    windows.Position(i % windows.y_size, position);
    const int64_t plane = i / windows.y_size * windows.x_size;
    uint32_t sum = 0;
    windows.ForTaps(position, [&](int64_t offset) {
      sum += static_cast<uint32_t>(x[plane + offset]) - static_cast<uint32_t>(m.x_zero);
    });
    const auto elements = static_cast<float>(CountOf(windows, position, m.include_pad != 0));
    float v = static_cast<float>(static_cast<int32_t>(sum)) * (m.ratio / elements);
    v = v > low ? v : low;  // NaN: the least.
    v = v < high ? v : high;
    y[i] = static_cast<uint8_t>(static_cast<int64_t>(std::nearbyint(v)) + m.y_zero);
  }
  return Rule::kNone;
}

}  // namespace floe::reference
