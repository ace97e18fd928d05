// Convolution and its transpose, in any number of spatial axes. A row of outputs along the last
// axis accumulates in double.
#include <algorithm>

#include "backends/reference/ops_internal.h"
#include "backends/reference/window.h"

namespace floe::reference {
namespace {

constexpr int64_t kColumns = 64;  // Accumulators of a row at a time.

int64_t FloorDiv(int64_t a, int64_t b) { return a >= 0 ? a / b : -CeilDiv(-a, b); }
int64_t CeilDivAny(int64_t a, int64_t b) { return a >= 0 ? CeilDiv(a, b) : -(-a / b); }

struct ConvShape {
  int spatial = 0;
  int64_t groups = 1;
  int64_t group_inputs = 0;   // Channels of x in a group.
  int64_t group_outputs = 0;  // Channels of y in a group.
  WindowAxis axes[kMaxSpatial];
  int64_t x_size = 0, y_size = 0, taps = 0;  // Spatial products.

  // The bound is for the compiler, which unrolls recursions over axes and cannot know it.
  bool IsLast(int axis) const { return axis >= std::min(spatial, kMaxSpatial) - 1; }
};

// What conv and conv_transpose share: dtypes, ranks, channels. `output_channels` is filled.
Status CheckConvOperands(const CheckArgs& a, bool transpose, AttrReader* attrs, ConvShape* s,
                         int64_t* output_channels) {
  const TensorInfo &x = a.in(0), &w = a.in(1);
  const WindowAttrs window{attrs->Ints(), attrs->Ints(), attrs->Ints()};
  s->groups = attrs->Int();
  if (!attrs->ok()) return BadAttr();
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kFloats));
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, x.dtype));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, x.dtype));
  if (x.rank < 3) return BadShape(0, -1, 3, x.rank);
  if (w.rank != x.rank) return BadShape(1, -1, x.rank, w.rank);
  FLOE_RETURN_IF_ERROR(MakeWindow(x, w.dims + 2, window, s->axes));
  s->spatial = x.rank - 2;
  const int64_t g = s->groups;
  if (g < 1) return BadAttr(1, g);
  if (transpose) {
    if (w.dims[0] != x.dims[1]) return BadShape(1, 0, x.dims[1], w.dims[0]);
    if (x.dims[1] % g != 0) return BadShape(0, 1, g, x.dims[1]);
    if (!CheckedMul(w.dims[1], g, output_channels)) return TooLarge();
  } else {
    if (x.dims[1] % g != 0 || x.dims[1] / g != w.dims[1]) {
      return BadShape(1, 1, x.dims[1] / g, w.dims[1]);
    }
    if (w.dims[0] % g != 0) return BadShape(1, 0, g, w.dims[0]);
    *output_channels = w.dims[0];
  }
  if (HasBias(a)) {
    FLOE_RETURN_IF_ERROR(InputIs(a, 2, x.dtype));
    FLOE_RETURN_IF_ERROR(InputDims(a, 2, {output_channels, 1}));
  }
  return OkStatus();
}

// The shape of an accepted instruction.
ConvShape ShapeOf(const RunArgs& a, bool transpose) {
  ConvShape s;
  AttrReader attrs = a.attrs();
  const TensorInfo &x = a.in(0), &w = a.in(1), &y = a.out();
  const WindowAttrs window{attrs.Ints(), attrs.Ints(), attrs.Ints()};
  s.groups = attrs.Int();
  (void)MakeWindow(x, w.dims + 2, window, s.axes);
  s.spatial = x.rank - 2;
  s.group_inputs = x.dims[1] / s.groups;
  s.group_outputs = y.dims[1] / s.groups;
  for (int i = 0; i < s.spatial; ++i) s.axes[i].out = y.dims[i + 2];
  s.x_size = Product(x.dims + 2, s.spatial);
  s.y_size = Product(y.dims + 2, s.spatial);
  s.taps = Product(w.dims + 2, s.spatial);
  if (transpose) return s;
  bool pointwise = true;
  for (int i = 0; i < s.spatial; ++i) {
    const WindowAxis& axis = s.axes[i];
    pointwise &= axis.kernel == 1 && axis.stride == 1 && axis.pad == 0 && axis.pad_end == 0;
  }
  if (pointwise) {  // One long row is faster than many short ones.
    s.spatial = 1;
    s.axes[0].in = s.axes[0].out = s.x_size;
  }
  return s;
}

// Adds to sums[0, columns) the products of one input channel, x, with one filter, w: outputs
// `column` on of the row at `position` of the outer axes.
template <class E>
struct RowAdder {
  const ConvShape& s;
  const int64_t* position;  // One index per outer axis.
  int64_t column, columns;
  double* sums;

  void Conv(int axis, const E* x, const E* w, int64_t x_at, int64_t w_at) const {
    const WindowAxis& v = s.axes[axis];
    if (!s.IsLast(axis)) {
      const int64_t start = v.Start(position[axis]), end = v.EndTap(position[axis]);
      for (int64_t k = v.FirstTap(position[axis]); k < end; ++k) {
        Conv(axis + 1, x, w, x_at * v.in + start + k * v.dilation, w_at * v.kernel + k);
      }
      return;
    }
    for (int64_t k = 0; k < v.kernel; ++k) {
      const int64_t shift = k * v.dilation - v.pad;  // Column j reads input j * stride + shift.
      const int64_t first = std::max(column, CeilDivAny(-shift, v.stride));
      const int64_t last = std::min(column + columns - 1, FloorDiv(v.in - 1 - shift, v.stride));
      if (first > last) continue;
      const double f = Get<double>(w[w_at * v.kernel + k]);
      const E* from = x + (x_at * v.in + first * v.stride + shift);
      double* to = sums + (first - column);
      const int64_t n = last - first + 1;
      if (v.stride == 1) {
        for (int64_t j = 0; j < n; ++j) to[j] += f * Get<double>(from[j]);
      } else {
        for (int64_t j = 0; j < n; ++j) to[j] += f * Get<double>(from[j * v.stride]);
      }
    }
  }

  void Transposed(int axis, const E* x, const E* w, int64_t x_at, int64_t w_at) const {
    const WindowAxis& v = s.axes[axis];
    if (!s.IsLast(axis)) {
      for (int64_t k = 0; k < v.kernel; ++k) {
        const int64_t q = position[axis] + v.pad - k * v.dilation;
        if (q < 0 || q % v.stride != 0 || q / v.stride >= v.in) continue;
        Transposed(axis + 1, x, w, x_at * v.in + q / v.stride, w_at * v.kernel + k);
      }
      return;
    }
    for (int64_t k = 0; k < v.kernel; ++k) {
      const int64_t shift = k * v.dilation - v.pad;  // Input i adds to output i * stride + shift.
      const int64_t first = std::max<int64_t>(0, CeilDivAny(column - shift, v.stride));
      const int64_t last = std::min(v.in - 1, FloorDiv(column + columns - 1 - shift, v.stride));
      const double f = first > last ? 0 : Get<double>(w[w_at * v.kernel + k]);
      for (int64_t i = first; i <= last; ++i) {
        sums[i * v.stride + shift - column] += f * Get<double>(x[x_at * v.in + i]);
      }
    }
  }
};

template <class E>
void RunRows(const RunArgs& a, const ConvShape& s, bool transpose) {
  const auto* x = static_cast<const E*>(a.inputs[0]);
  const auto* w = static_cast<const E*>(a.inputs[1]);
  const auto* b = HasBias(a) ? static_cast<const E*>(a.inputs[2]) : nullptr;
  auto* y = static_cast<E*>(a.outputs[0]);
  const int64_t channels = s.groups * s.group_outputs;
  const WindowAxis& last = s.axes[s.spatial - 1];
  const int64_t rows = s.y_size / last.out;
  for (int64_t plane = 0; plane < a.out().dims[0] * channels; ++plane) {
    const int64_t n = plane / channels, o = plane % channels, g = o / s.group_outputs;
    const E* x_group = x + (n * s.groups + g) * s.group_inputs * s.x_size;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t position[kMaxSpatial] = {};
      for (int64_t i = s.spatial - 1, rest = row; i-- > 0; rest /= s.axes[i].out) {
        position[i] = rest % s.axes[i].out;
      }
      for (int64_t column = 0; column < last.out; column += kColumns) {
        double sums[kColumns];
        const RowAdder<E> adder{s, position, column, std::min(kColumns, last.out - column), sums};
        std::fill_n(sums, kColumns, b != nullptr ? Get<double>(b[o]) : 0.0);
        for (int64_t c = 0; c < s.group_inputs; ++c) {
          const E* channel = x_group + c * s.x_size;
          if (transpose) {
            const int64_t filter = (g * s.group_inputs + c) * s.group_outputs + o % s.group_outputs;
            adder.Transposed(0, channel, w + filter * s.taps, 0, 0);
          } else {
            adder.Conv(0, channel, w + (o * s.group_inputs + c) * s.taps, 0, 0);
          }
        }
        E* to = y + (plane * rows + row) * last.out + column;
        for (int64_t j = 0; j < adder.columns; ++j) to[j] = Put<E>(sums[j]);
      }
    }
  }
}

void SetFlops(const CheckArgs& a, int64_t channels, double per) {
  a.footprint.flops = 2 * per * static_cast<double>(channels);
}

}  // namespace

Status CheckConv(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  ConvShape s;
  int64_t dims[kMaxRank];
  FLOE_RETURN_IF_ERROR(CheckConvOperands(a, false, &attrs, &s, &dims[1]));
  if (!attrs.Done()) return BadAttr();
  dims[0] = a.in(0).dims[0];
  for (int i = 0; i < s.spatial; ++i) {
    if (!WindowPositions(s.axes[i], false, &dims[i + 2])) return TooLarge();
  }
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, a.in(0).rank}));
  const TensorInfo& w = a.in(1);
  double taps = 1;
  for (int i = 2; i < w.rank; ++i) taps *= static_cast<double>(w.dims[i]);
  SetFlops(a, w.dims[1], taps * static_cast<double>(Count(a.out())));
  return CheckOpCode(a, a.out(), 1);
}

Rule RunConv(const RunArgs& a) {
  const ConvShape s = ShapeOf(a, false);
  WithFloat(a.out().dtype, [&]<class E>() { RunRows<E>(a, s, false); });
  return RunEpilogue(a, 1);
}

Status CheckConvTranspose(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  ConvShape s;
  int64_t dims[kMaxRank];
  FLOE_RETURN_IF_ERROR(CheckConvOperands(a, true, &attrs, &s, &dims[1]));
  const std::span<const int64_t> output_padding = attrs.Ints();
  if (!attrs.Done() || output_padding.size() != static_cast<size_t>(s.spatial)) return BadAttr();
  dims[0] = a.in(0).dims[0];
  for (int i = 0; i < s.spatial; ++i) {
    const WindowAxis& v = s.axes[i];
    const int64_t extra = output_padding[i];
    if (extra < 0 || extra > kMaxWindowWord) return BadAttr(0, extra);
    int64_t extent, out;
    if (!WindowExtent(v, &extent) || !CheckedMul(v.in - 1, v.stride, &out) ||
        !CheckedAdd(out, extra - v.pad - v.pad_end, &out) || !CheckedAdd(out, extent, &out)) {
      return TooLarge();
    }
    if (out < 0) return BadShape(0, i + 2, 0, out);
    dims[i + 2] = out;
  }
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, a.in(0).rank}));
  const TensorInfo& w = a.in(1);
  double taps = 1;
  for (int i = 2; i < w.rank; ++i) taps *= static_cast<double>(w.dims[i]);
  SetFlops(a, w.dims[1], taps * static_cast<double>(Count(a.in(0))));
  return OkStatus();
}

Rule RunConvTranspose(const RunArgs& a) {
  const ConvShape s = ShapeOf(a, true);
  WithFloat(a.out().dtype, [&]<class E>() { RunRows<E>(a, s, true); });
  return Rule::kNone;
}

}  // namespace floe::reference
