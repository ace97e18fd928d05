// Sliding windows as columns of a matrix (im2col) and their sum back into an image (col2im), in any
// number of spatial axes.
#include <algorithm>

#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"
#include "backends/reference/window.h"

namespace floe::reference {
namespace {

// The windows over an image [N, C, spatial...].
struct Columns {
  int spatial = 0;
  WindowAxis axes[kMaxSpatial];
  int64_t taps = 1;       // Elements of a window.
  int64_t positions = 1;  // Windows of an image.
};

struct ColumnAttrs {
  std::span<const int64_t> image;  // col2im only.
  std::span<const int64_t> kernel;
  WindowAttrs window;
};

ColumnAttrs ReadColumns(AttrReader* attrs, OpId op) {
  ColumnAttrs c;
  if (op == OpId::kCol2Im) c.image = attrs->Ints();
  c.kernel = attrs->Ints();
  c.window.strides = attrs->Ints();
  c.window.pads = attrs->Ints();
  c.window.dilations = attrs->Ints();
  return c;
}

Status MakeColumns(const TensorInfo& image, const ColumnAttrs& attrs, Columns* c) {
  c->spatial = image.rank - 2;
  if (attrs.kernel.size() != static_cast<size_t>(c->spatial)) return BadAttr(c->spatial);
  for (const int64_t k : attrs.kernel) {
    if (k < 1 || k > kMaxWindowWord) return BadAttr(1, k);
  }
  FLOE_RETURN_IF_ERROR(MakeWindow(image, attrs.kernel.data(), attrs.window, c->axes));
  int64_t positions[kMaxSpatial];
  for (int i = 0; i < c->spatial; ++i) {
    if (!WindowPositions(c->axes[i], false, &positions[i])) return TooLarge();
    c->axes[i].out = positions[i];
  }
  const auto n = static_cast<size_t>(c->spatial);
  if (!CheckedProduct(attrs.kernel, &c->taps)) return TooLarge();
  return CheckedProduct({positions, n}, &c->positions) ? OkStatus() : TooLarge();
}

// columns is [N, C * taps, positions] for the image's N and C.
Status NeedColumns(const TensorInfo& image, const Columns& c, const TensorInfo& columns,
                   uint32_t operand) {
  if (columns.rank != 3) return BadShape(operand, -1, 3, columns.rank);
  int64_t rows;
  if (!CheckedMul(image.dims[1], c.taps, &rows)) return TooLarge();
  const int64_t dims[] = {image.dims[0], rows, c.positions};
  for (int i = 0; i < 3; ++i) {
    if (columns.dims[i] != dims[i]) return BadShape(operand, i, dims[i], columns.dims[i]);
  }
  return OkStatus();
}

// `index` as one number for each axis of the given lengths.
template <class F>
void Unravel(int64_t index, int spatial, F&& length, int64_t* out) {
  for (int i = spatial; i-- > 0;) {
    out[i] = index % length(i);
    index /= length(i);
  }
}

}  // namespace

// --- im2col --------------------------------------------------------------------------------------

Status CheckIm2Col(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const ColumnAttrs words = ReadColumns(&attrs, a.op);
  if (!attrs.Done()) return BadAttr();
  if (a.in(0).rank < 3) return BadShape(0, -1, 3, a.in(0).rank);
  Columns c;
  FLOE_RETURN_IF_ERROR(MakeColumns(a.in(0), words, &c));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(0).dtype));
  return NeedColumns(a.in(0), c, a.out(), a.OutputAt());
}

Rule RunIm2Col(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const TensorInfo& x = a.in(0);
  Columns c;
  (void)MakeColumns(x, ReadColumns(&attrs, a.op), &c);
  const int64_t plane = Product(x.dims + 2, c.spatial), rows = x.dims[0] * x.dims[1] * c.taps;
  WithSize(DTypeSize(x.dtype), [&]<class U>() {
    const auto* in = static_cast<const U*>(a.inputs[0]);
    auto* out = static_cast<U*>(a.outputs[0]);
    for (int64_t row = 0; row < rows; ++row) {
      int64_t tap[kMaxSpatial];
      Unravel(
          row % c.taps, c.spatial, [&](int i) { return c.axes[i].kernel; }, tap);
      const U* image = in + row / c.taps * plane;
      for (int64_t p = 0; p < c.positions; ++p, ++out) {
        int64_t position[kMaxSpatial], at = 0;
        Unravel(
            p, c.spatial, [&](int i) { return c.axes[i].out; }, position);
        bool inside = true;
        for (int i = 0; i < c.spatial; ++i) {
          const WindowAxis& v = c.axes[i];
          const int64_t k = v.Start(position[i]) + tap[i] * v.dilation;
          inside = inside && k >= 0 && k < v.in;
          at = inside ? at * v.in + k : 0;
        }
        *out = inside ? image[at] : U{0};
      }
    }
  });
  return Rule::kNone;
}

// --- col2im --------------------------------------------------------------------------------------

Status CheckCol2Im(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const ColumnAttrs words = ReadColumns(&attrs, a.op);
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(0).dtype));
  const TensorInfo& y = a.out();
  if (y.rank < 3) return BadShape(a.OutputAt(), -1, 3, y.rank);
  if (words.image.size() != static_cast<size_t>(y.rank - 2)) return BadAttr(y.rank - 2);
  for (int i = 2; i < y.rank; ++i) {
    const int64_t size = words.image[static_cast<size_t>(i - 2)];
    if (y.dims[i] != size) return BadShape(a.OutputAt(), i, size, y.dims[i]);
  }
  Columns c;
  FLOE_RETURN_IF_ERROR(MakeColumns(y, words, &c));
  a.footprint.flops = static_cast<double>(c.taps) * static_cast<double>(Count(y));
  return NeedColumns(y, c, a.in(0), 0);
}

Rule RunCol2Im(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const TensorInfo& y = a.out();
  Columns c;
  (void)MakeColumns(y, ReadColumns(&attrs, a.op), &c);
  const int64_t plane = Product(y.dims + 2, c.spatial), count = Count(y);
  if (c.positions == 0) c.taps = 0;  // Nothing is added, however large the kernel is.
  WithCompute(y.dtype, [&](auto zero) {
    using C = decltype(zero);
    for (int64_t i = 0; i < count; ++i) {
      int64_t pixel[kMaxSpatial];
      Unravel(
          i % plane, c.spatial, [&](int axis) { return c.axes[axis].in; }, pixel);
      const int64_t rows = i / plane * c.taps;
      C sum = 0;
      for (int64_t t = 0; t < c.taps; ++t) {
        int64_t tap[kMaxSpatial], at = 0;
        Unravel(
            t, c.spatial, [&](int axis) { return c.axes[axis].kernel; }, tap);
        bool covers = true;
        for (int axis = 0; axis < c.spatial; ++axis) {
          const WindowAxis& v = c.axes[axis];
          const int64_t start = pixel[axis] + v.pad - tap[axis] * v.dilation;
          covers = covers && start >= 0 && start % v.stride == 0 && start / v.stride < v.out;
          at = covers ? at * v.out + start / v.stride : 0;
        }
        if (!covers) continue;
        sum = Plus(sum, LoadOne<C>(y.dtype, a.inputs[0], (rows + t) * c.positions + at));
      }
      StoreOne<C>(y.dtype, a.outputs[0], i, sum);
    }
  });
  return Rule::kNone;
}

}  // namespace floe::reference
