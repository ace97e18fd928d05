// Products and convolutions of 8-bit integers. Sums are formed modulo 2^32, as the fast kernels
// form them: no operand makes them overflow in the sense of the language.
#include <algorithm>
#include <cmath>

#include "backends/reference/ops_internal.h"
#include "backends/reference/window.h"

namespace floe::reference {
namespace {

constexpr DTypeSet kBytes = SetOf({DType::kI8, DType::kU8});
constexpr int64_t kColumns = 64;  // Sums of a row at a time.

// f with the storage types of two operands of 8 bits.
template <class F>
auto WithBytes(DType a, DType b, F&& f) {
  const auto second = [&]<class A>() {
    if (b == DType::kI8) return f.template operator()<A, int8_t>();
    return f.template operator()<A, uint8_t>();
  };
  if (a == DType::kI8) return second.template operator()<int8_t>();
  return second.template operator()<uint8_t>();
}

// Zero points: one number, or one every `step` elements of a list. No operand: zeros.
struct Zeros {
  DType dtype = DType::kNone;
  const void* data = nullptr;
  int64_t step = 0;

  int32_t At(int64_t i) const {
    if (data == nullptr) return 0;
    const int64_t at = i * step;
    return dtype == DType::kI8 ? static_cast<const int8_t*>(data)[at]
                               : static_cast<const uint8_t*>(data)[at];
  }
};

Zeros ZerosOf(const RunArgs& a, uint32_t i) {
  if (!a.HasInput(i)) return {};
  return {a.in(i).dtype, a.inputs[i], Count(a.in(i)) == 1 ? 0 : 1};
}

// Zero points of operand `of` are input i: one number or `count` in a list or along `axis`.
Status CheckZeros(const CheckArgs& a, uint32_t i, uint32_t of, int axis) {
  if (!a.HasInput(i)) return OkStatus();
  const TensorInfo &zero = a.in(i), &x = a.in(of);
  FLOE_RETURN_IF_ERROR(InputIs(a, i, x.dtype));
  if (Count(zero) == 1 && zero.rank <= 1) return OkStatus();
  if (zero.rank == 1) {
    if (zero.dims[0] == x.dims[axis]) return OkStatus();
    return BadShape(i, 0, x.dims[axis], zero.dims[0]);
  }
  return BadShape(i, -1, 1, zero.rank);
}

int32_t Wrap(uint32_t v) { return static_cast<int32_t>(v); }

// sums[0, n) = row of a (k numbers, minus za) times columns of b (rows `pitch` apart).
template <class A, class B>
void Row(int64_t k, const A* a, int32_t za, const B* b, int64_t pitch, const int32_t* zb, int64_t n,
         uint32_t* sums) {
  std::fill(sums, sums + n, 0u);
  for (int64_t p = 0; p < k; ++p) {
    const int32_t x = static_cast<int32_t>(a[p]) - za;
    const B* row = b + p * pitch;
    for (int64_t j = 0; j < n; ++j) {
      sums[j] += static_cast<uint32_t>(x * (static_cast<int32_t>(row[j]) - zb[j]));
    }
  }
}

}  // namespace

// --- matmul_integer ------------------------------------------------------------------------------

// a [..., M, K] and b [K, N] or [..., K, N] with equal batch axes or ones.
Status CheckMatMulInteger(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kBytes));
  FLOE_RETURN_IF_ERROR(InputIn(a, 1, kBytes));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kI32));
  const TensorInfo &x = a.in(0), &w = a.in(1);
  if (x.rank < 2) return BadShape(0, -1, 2, x.rank);
  if (w.rank < 2) return BadShape(1, -1, 2, w.rank);
  const int64_t k = x.dims[x.rank - 1];
  if (w.dims[w.rank - 2] != k) return BadShape(1, w.rank - 2, k, w.dims[w.rank - 2]);
  const int xb = x.rank - 2, wb = w.rank - 2, batch = std::max(xb, wb);
  int64_t dims[kMaxRank];
  for (int i = 0; i < batch; ++i) {
    const int at_x = i - (batch - xb), at_w = i - (batch - wb);
    const int64_t d = at_x >= 0 ? x.dims[at_x] : 1, e = at_w >= 0 ? w.dims[at_w] : 1;
    if (d != e && d != 1 && e != 1) return BadShape(1, at_w, d, e);
    dims[i] = d == 1 ? e : d;
  }
  dims[batch] = x.dims[x.rank - 2];
  dims[batch + 1] = w.dims[w.rank - 1];
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, static_cast<size_t>(batch) + 2}));
  FLOE_RETURN_IF_ERROR(CheckZeros(a, 2, 0, x.rank - 2));
  FLOE_RETURN_IF_ERROR(CheckZeros(a, 3, 1, w.rank - 1));
  a.footprint.flops = 2 * static_cast<double>(Count(a.out())) * static_cast<double>(k);
  return OkStatus();
}

Rule RunMatMulInteger(const RunArgs& a) {
  const TensorInfo &x = a.in(0), &w = a.in(1), &y = a.out();
  const int batch = y.rank - 2;
  const int64_t m = y.dims[batch], n = y.dims[batch + 1], k = x.dims[x.rank - 1];
  const auto walk_of = [&](TensorInfo t) {
    t.rank = static_cast<uint8_t>(t.rank - 2);
    int64_t strides[kMaxAxes];
    BroadcastStrides(t, y.dims, batch, strides);
    const int64_t matrix = t.dims[t.rank] * t.dims[t.rank + 1];
    for (int i = 0; i < batch; ++i) strides[i] *= matrix;
    return Walk(y.dims, batch, strides);
  };
  Walk x_walk = walk_of(x), w_walk = walk_of(w);
  const Zeros row_zero = ZerosOf(a, 2), column_zero = ZerosOf(a, 3);
  auto* out = static_cast<int32_t*>(a.outputs[0]);
  WithBytes(x.dtype, w.dtype, [&]<class A, class B>() {
    for (int64_t i = 0; i < Product(y.dims, batch); ++i, out += m * n) {
      int64_t x_at, w_at;
      x_walk.Next(1, &x_at);
      w_walk.Next(1, &w_at);
      for (int64_t j = 0; j < n; j += kColumns) {
        const int64_t columns = std::min(kColumns, n - j);
        int32_t zero[kColumns];
        for (int64_t c = 0; c < columns; ++c) zero[c] = column_zero.At(j + c);
        for (int64_t r = 0; r < m; ++r) {
          uint32_t sums[kColumns];
          Row(k, static_cast<const A*>(a.inputs[0]) + x_at + r * k, row_zero.At(r),
              static_cast<const B*>(a.inputs[1]) + w_at + j, n, zero, columns, sums);
          for (int64_t c = 0; c < columns; ++c) out[r * n + j + c] = Wrap(sums[c]);
        }
      }
    }
  });
  return Rule::kNone;
}

// --- convolution ---------------------------------------------------------------------------------

namespace {

int64_t FloorDiv(int64_t a, int64_t b) { return a >= 0 ? a / b : -CeilDiv(-a, b); }
int64_t CeilDivAny(int64_t a, int64_t b) { return a >= 0 ? CeilDiv(a, b) : -(-a / b); }

struct ConvShape {
  int spatial = 0;
  int64_t groups = 1, group_inputs = 0, group_outputs = 0;
  WindowAxis axes[kMaxSpatial];
  int64_t x_size = 0, y_size = 0, taps = 0;  // Spatial products.

  // The bound is for the compiler, which unrolls recursions over axes and cannot know it.
  bool IsLast(int axis) const { return axis >= std::min(spatial, kMaxSpatial) - 1; }
};

// Reads the four words of a convolution and checks x [N, C, ...], w [O, C / groups, ...] and y.
Status CheckConvShapes(const CheckArgs& a, AttrReader* attrs) {
  const TensorInfo &x = a.in(0), &w = a.in(1);
  const WindowAttrs window{attrs->Ints(), attrs->Ints(), attrs->Ints()};
  const int64_t groups = attrs->Int();
  if (!attrs->ok()) return BadAttr();
  if (x.rank < 3) return BadShape(0, -1, 3, x.rank);
  if (w.rank != x.rank) return BadShape(1, -1, x.rank, w.rank);
  WindowAxis axes[kMaxSpatial];
  FLOE_RETURN_IF_ERROR(MakeWindow(x, w.dims + 2, window, axes));
  if (groups < 1) return BadAttr(1, groups);
  if (x.dims[1] % groups != 0 || x.dims[1] / groups != w.dims[1]) {
    return BadShape(1, 1, x.dims[1] / groups, w.dims[1]);
  }
  if (w.dims[0] % groups != 0) return BadShape(1, 0, groups, w.dims[0]);
  int64_t dims[kMaxRank] = {x.dims[0], w.dims[0]};
  for (int i = 0; i + 2 < x.rank; ++i) {
    if (!WindowPositions(axes[i], false, &dims[i + 2])) return TooLarge();
  }
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, x.rank}));
  double products = static_cast<double>(w.dims[1]) * static_cast<double>(Count(a.out()));
  for (int i = 2; i < w.rank; ++i) products *= static_cast<double>(w.dims[i]);
  a.footprint.flops = 2 * products;
  return OkStatus();
}

ConvShape ShapeOf(const RunArgs& a, AttrReader* attrs) {
  ConvShape s;
  const TensorInfo &x = a.in(0), &w = a.in(1), &y = a.out();
  const WindowAttrs window{attrs->Ints(), attrs->Ints(), attrs->Ints()};
  s.groups = attrs->Int();
  (void)MakeWindow(x, w.dims + 2, window, s.axes);
  s.spatial = x.rank - 2;
  s.group_inputs = x.dims[1] / s.groups;
  s.group_outputs = y.dims[1] / s.groups;
  for (int i = 0; i < s.spatial; ++i) s.axes[i].out = y.dims[i + 2];
  s.x_size = Product(x.dims + 2, s.spatial);
  s.y_size = Product(y.dims + 2, s.spatial);
  s.taps = Product(w.dims + 2, s.spatial);
  return s;
}

// Adds the products of one input channel with one filter to the sums of outputs [column, column +
// columns) of the row at `position` of the outer axes. Padding is not read: it stands for zero.
template <class X, class W>
struct RowAdder {
  const ConvShape& s;
  const int64_t* position;
  int64_t column, columns;
  int32_t x_zero, w_zero;
  uint32_t* sums;

  void Add(int axis, const X* x, const W* w, int64_t x_at, int64_t w_at) const {
    const WindowAxis& v = s.axes[axis];
    if (!s.IsLast(axis)) {
      const int64_t start = v.Start(position[axis]), end = v.EndTap(position[axis]);
      for (int64_t k = v.FirstTap(position[axis]); k < end; ++k) {
        Add(axis + 1, x, w, x_at * v.in + start + k * v.dilation, w_at * v.kernel + k);
      }
      return;
    }
    for (int64_t k = 0; k < v.kernel; ++k) {
      const int64_t shift = k * v.dilation - v.pad;  // Column j reads input j * stride + shift.
      const int64_t first = std::max(column, CeilDivAny(-shift, v.stride));
      const int64_t last = std::min(column + columns - 1, FloorDiv(v.in - 1 - shift, v.stride));
      const int32_t f = static_cast<int32_t>(w[w_at * v.kernel + k]) - w_zero;
      for (int64_t j = first; j <= last; ++j) {
        const auto e = static_cast<int32_t>(x[x_at * v.in + j * v.stride + shift]) - x_zero;
        sums[j - column] += static_cast<uint32_t>(f * e);
      }
    }
  }
};

// Calls emit(output channel, element of y, columns, sums) for all runs of a row of y.
template <class X, class W, class F>
void ConvRows(const RunArgs& a, const ConvShape& s, const Zeros& x_zero, const Zeros& w_zero,
              F&& emit) {
  const TensorInfo &x = a.in(0), &y = a.out();
  const auto* image = static_cast<const X*>(a.inputs[0]);
  const auto* filters = static_cast<const W*>(a.inputs[1]);
  const int outer = s.spatial - 1;
  const WindowAxis& last = s.axes[outer];
  const int64_t rows = last.out == 0 ? 0 : s.y_size / last.out;
  for (int64_t plane = 0; plane < y.dims[0] * y.dims[1]; ++plane) {
    const int64_t n = plane / y.dims[1], o = plane % y.dims[1], g = o / s.group_outputs;
    const X* group = image + (n * x.dims[1] + g * s.group_inputs) * s.x_size;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t position[kMaxSpatial] = {};
      for (int64_t i = outer, rest = row; i-- > 0; rest /= s.axes[i].out) {
        position[i] = rest % s.axes[i].out;
      }
      for (int64_t column = 0; column < last.out; column += kColumns) {
        uint32_t sums[kColumns] = {};
        const RowAdder<X, W> adder{s,
                                   position,
                                   column,
                                   std::min(kColumns, last.out - column),
                                   x_zero.At(0),
                                   w_zero.At(o),
                                   sums};
        for (int64_t c = 0; c < s.group_inputs; ++c) {
          adder.Add(0, group + c * s.x_size, filters + (o * s.group_inputs + c) * s.taps, 0, 0);
        }
        emit(o, (plane * rows + row) * last.out + column, adder.columns, sums);
      }
    }
  }
}

}  // namespace

Status CheckConvInteger(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kBytes));
  FLOE_RETURN_IF_ERROR(InputIn(a, 1, kBytes));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kI32));
  FLOE_RETURN_IF_ERROR(CheckConvShapes(a, &attrs));
  if (!attrs.Done()) return BadAttr();
  if (a.HasInput(2) && Count(a.in(2)) != 1) return BadShape(2, -1, 1, Count(a.in(2)));
  FLOE_RETURN_IF_ERROR(CheckZeros(a, 2, 0, 0));
  return CheckZeros(a, 3, 1, 0);
}

Rule RunConvInteger(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const ConvShape s = ShapeOf(a, &attrs);
  auto* y = static_cast<int32_t*>(a.outputs[0]);
  WithBytes(a.in(0).dtype, a.in(1).dtype, [&]<class X, class W>() {
    ConvRows<X, W>(a, s, ZerosOf(a, 2), ZerosOf(a, 3),
                   [&](int64_t, int64_t at, int64_t n, const uint32_t* sums) {
                     for (int64_t i = 0; i < n; ++i) y[at + i] = Wrap(sums[i]);
                   });
  });
  return Rule::kNone;
}

// --- what integer-islands makes ------------------------------------------------------------------

namespace {

constexpr int64_t kByteMax = 255;
constexpr size_t kPlainWords = 3;     // requant without a residual: zero min max.
constexpr size_t kResidualWords = 7;  // And: sum_zero sum_min sum_max residual_zero.

// How sums become results.
struct Epilogue {
  bool to_u8 = false;
  int32_t zero = 0, min = 0, max = 0;  // Of the product's own rounding.
  bool residual = false;
  int32_t sum_zero = 0, sum_min = 0, sum_max = 0, residual_zero = 0;
  float product_ratio = 0, residual_ratio = 0;
};

// The words after the shape's: x_zero to requant ratios.
struct QWords {
  int64_t x_zero, to;
  std::span<const int64_t> requant, ratios;

  explicit QWords(AttrReader* attrs)
      : x_zero(attrs->Int()), to(attrs->Int()), requant(attrs->Ints()), ratios(attrs->Ints()) {}
};

Epilogue EpilogueOf(const QWords& w) {
  Epilogue e;
  e.to_u8 = w.to == static_cast<int64_t>(DType::kU8);
  if (!e.to_u8) return e;
  e.zero = static_cast<int32_t>(w.requant[0]);
  e.min = static_cast<int32_t>(w.requant[1]);
  e.max = static_cast<int32_t>(w.requant[2]);
  e.residual = w.requant.size() == kResidualWords;
  if (!e.residual) return e;
  e.sum_zero = static_cast<int32_t>(w.requant[3]);
  e.sum_min = static_cast<int32_t>(w.requant[4]);
  e.sum_max = static_cast<int32_t>(w.requant[5]);
  e.residual_zero = static_cast<int32_t>(w.requant[6]);
  e.product_ratio = static_cast<float>(WordFloat(w.ratios[0]));
  e.residual_ratio = static_cast<float>(WordFloat(w.ratios[1]));
  return e;
}

// Inputs: x w scale bias? residual? from number 0 on; `channels` outputs.
Status CheckRequantised(const CheckArgs& a, const QWords& w, int64_t channels, bool dynamic) {
  FLOE_RETURN_IF_ERROR(InputIs(a, 0, DType::kU8));
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, DType::kI8));
  FLOE_RETURN_IF_ERROR(InputIs(a, 2, DType::kF32));
  FLOE_RETURN_IF_ERROR(InputDims(a, 2, {&channels, 1}));
  const DType y = a.out().dtype;
  if (y != DType::kU8 && y != DType::kF32) return BadDType(a.OutputAt(), DType::kU8, y);
  if (w.to != static_cast<int64_t>(y)) return BadAttr(static_cast<int64_t>(y), w.to);
  if (w.x_zero < (dynamic ? -1 : 0) || w.x_zero > kByteMax) return BadAttr(0, w.x_zero);
  if (a.HasInput(3)) {
    if (a.in(3).dtype != DType::kF32) FLOE_RETURN_IF_ERROR(InputIs(a, 3, DType::kI32));
    FLOE_RETURN_IF_ERROR(InputDims(a, 3, {&channels, 1}));
  }
  const size_t words = y == DType::kF32 ? 0 : a.HasInput(4) ? kResidualWords : kPlainWords;
  if (w.requant.size() != words || w.ratios.size() != (words == kResidualWords ? 2u : 0u)) {
    return BadAttr(static_cast<int64_t>(words), static_cast<int64_t>(w.requant.size()));
  }
  for (const int64_t v : w.requant) {
    if (v < 0 || v > kByteMax) return BadAttr(kByteMax, v);
  }
  if (!a.HasInput(4)) return OkStatus();
  if (y != DType::kU8) return BadDType(a.OutputAt(), DType::kU8, y);
  FLOE_RETURN_IF_ERROR(InputIs(a, 4, DType::kU8));
  return InputDims(a, 4, Dims(a.out()));
}

// round_half_even(v) + zero within [min, max].
int32_t Requantise(float v, int32_t zero, int32_t min, int32_t max) {
  const auto low = static_cast<float>(min - zero), high = static_cast<float>(max - zero);
  v = v > low ? v : low;  // NaN: the least.
  v = v < high ? v : high;
  return static_cast<int32_t>(std::nearbyint(v)) + zero;
}

// Finishes one sum. A function of its own, so that every family does it in these roundings.
struct Finisher {
  Epilogue e;
  const float* scale;
  const int32_t* int_bias;
  const float* float_bias;
  const uint8_t* residual;
  float x_scale = 1.0f;

  Finisher(const RunArgs& a, const QWords& w) : e(EpilogueOf(w)) {
    scale = static_cast<const float*>(a.inputs[2]);
    const bool bias = a.HasInput(3), integer = bias && a.in(3).dtype == DType::kI32;
    int_bias = integer ? static_cast<const int32_t*>(a.inputs[3]) : nullptr;
    float_bias = bias && !integer ? static_cast<const float*>(a.inputs[3]) : nullptr;
    residual = static_cast<const uint8_t*>(a.data(4));
  }

  // Of channel n, to element `at` of y.
  void Store(uint32_t sum, int64_t n, int64_t at, void* y) const {
    if (int_bias != nullptr) sum += static_cast<uint32_t>(int_bias[n]);
    float v = static_cast<float>(Wrap(sum)) * (x_scale * scale[n]);
    if (float_bias != nullptr) v += float_bias[n];
    if (!e.to_u8) {
      static_cast<float*>(y)[at] = v;
      return;
    }
    int32_t q = Requantise(v, e.zero, e.min, e.max);
    if (e.residual) {
      const float product = static_cast<float>(q - e.zero) * e.product_ratio;
      const float other = static_cast<float>(residual[at] - e.residual_zero) * e.residual_ratio;
      q = Requantise(product + other, e.sum_zero, e.sum_min, e.sum_max);
    }
    static_cast<uint8_t*>(y)[at] = static_cast<uint8_t>(q);
  }
};

Zeros Constant(const uint8_t* zero) { return {DType::kU8, zero, 0}; }

}  // namespace

// x [..., K], w [K, N]. x_zero -1: x_scale and x_zero are operands of one element each.
Status CheckQGemm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const QWords w(&attrs);
  if (!attrs.Done()) return BadAttr();
  const TensorInfo &x = a.in(0), &b = a.in(1);
  if (x.rank < 1) return BadShape(0, -1, 1, x.rank);
  if (b.rank != 2) return BadShape(1, -1, 2, b.rank);
  if (b.dims[0] != x.dims[x.rank - 1]) return BadShape(1, 0, x.dims[x.rank - 1], b.dims[0]);
  FLOE_RETURN_IF_ERROR(CheckRequantised(a, w, b.dims[1], /*dynamic=*/true));
  const bool dynamic = w.x_zero < 0;
  if (dynamic != a.HasInput(5) || dynamic != a.HasInput(6)) return BadAttr(-1, w.x_zero);
  for (uint32_t i = 5; dynamic && i < 7; ++i) {
    FLOE_RETURN_IF_ERROR(InputIs(a, i, i == 5 ? DType::kF32 : DType::kU8));
    if (Count(a.in(i)) != 1) return BadShape(i, -1, 1, Count(a.in(i)));
  }
  int64_t dims[kMaxRank];
  std::copy_n(x.dims, x.rank, dims);
  dims[x.rank - 1] = b.dims[1];
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, x.rank}));
  a.footprint.flops = 2 * static_cast<double>(Count(a.out())) * static_cast<double>(b.dims[0]);
  return OkStatus();
}

Rule RunQGemm(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const QWords w(&attrs);
  Finisher finish(a, w);
  auto zero = static_cast<int32_t>(w.x_zero);
  if (w.x_zero < 0) {
    finish.x_scale = *static_cast<const float*>(a.inputs[5]);
    zero = *static_cast<const uint8_t*>(a.inputs[6]);
  }
  const int64_t k = a.in(1).dims[0], n = a.in(1).dims[1], m = n == 0 ? 0 : Count(a.out()) / n;
  constexpr int32_t kNoZeros[kColumns] = {};
  for (int64_t r = 0; r < m; ++r) {
    for (int64_t j = 0; j < n; j += kColumns) {
      const int64_t columns = std::min(kColumns, n - j);
      uint32_t sums[kColumns];
      Row(k, static_cast<const uint8_t*>(a.inputs[0]) + r * k, zero,
          static_cast<const int8_t*>(a.inputs[1]) + j, n, kNoZeros, columns, sums);
      for (int64_t c = 0; c < columns; ++c) {
        finish.Store(sums[c], j + c, r * n + j + c, a.outputs[0]);
      }
    }
  }
  return Rule::kNone;
}

Status CheckQConv(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  FLOE_RETURN_IF_ERROR(CheckConvShapes(a, &attrs));
  const QWords w(&attrs);
  if (!attrs.Done()) return BadAttr();
  return CheckRequantised(a, w, a.in(1).dims[0], /*dynamic=*/false);
}

Rule RunQConv(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const ConvShape s = ShapeOf(a, &attrs);
  const QWords w(&attrs);
  const Finisher finish(a, w);
  const auto zero = static_cast<uint8_t>(w.x_zero);
  ConvRows<uint8_t, int8_t>(a, s, Constant(&zero), Zeros{},
                            [&](int64_t o, int64_t at, int64_t n, const uint32_t* sums) {
                              for (int64_t i = 0; i < n; ++i) {
                                finish.Store(sums[i], o, at + i, a.outputs[0]);
                              }
                            });
  return Rule::kNone;
}

}  // namespace floe::reference
