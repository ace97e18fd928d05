// matmul and gemm. Floats accumulate in double, integers modulo 2^64.
#include <algorithm>

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

constexpr int64_t kColumns = 64;  // Accumulators of a row at a time.

// A matrix inside a tensor.
template <class E>
struct Matrix {
  const E* data;
  int64_t row, column;  // Strides.
};

template <class E>
using Accumulator = std::conditional_t<kIsFloatElement<E>, double, uint64_t>;

template <class E>
Accumulator<E> Dot(int64_t k, const E* a, int64_t a_step, const E* b) {
  using C = Accumulator<E>;
  constexpr int64_t kParts = 8;
  C parts[kParts] = {};
  int64_t i = 0;
  for (; i + kParts <= k; i += kParts) {
    for (int64_t p = 0; p < kParts; ++p) {
      parts[p] += Get<C>(a[(i + p) * a_step]) * Get<C>(b[i + p]);
    }
  }
  for (; i < k; ++i) parts[0] += Get<C>(a[i * a_step]) * Get<C>(b[i]);
  C sum = 0;
  for (C p : parts) sum += p;
  return sum;
}

// Calls emit(m, n, columns, sums) for runs of columns of the product [M,K] x [K,N].
template <class E, class F>
void Multiply(int64_t m, int64_t n, int64_t k, const Matrix<E>& a, const Matrix<E>& b, F&& emit) {
  using C = Accumulator<E>;
  for (int64_t n0 = 0; n0 < n; n0 += kColumns) {
    const int64_t columns = std::min(kColumns, n - n0);
    for (int64_t i = 0; i < m; ++i) {
      C sums[kColumns] = {};
      const E* row = a.data + i * a.row;
      if (b.row == 1 && b.column != 1) {
        for (int64_t j = 0; j < columns; ++j) {
          sums[j] = Dot(k, row, a.column, b.data + (n0 + j) * b.column);
        }
      } else {
        for (int64_t p = 0; p < k; ++p) {
          const C x = Get<C>(row[p * a.column]);
          const E* y = b.data + p * b.row + n0 * b.column;
          if (b.column == 1) {
            for (int64_t j = 0; j < columns; ++j) sums[j] += x * Get<C>(y[j]);
          } else {
            for (int64_t j = 0; j < columns; ++j) sums[j] += x * Get<C>(y[j * b.column]);
          }
        }
      }
      emit(i, n0, columns, sums);
    }
  }
}

// A matmul operand of rank 1 or more as a batch of matrices.
struct Operand {
  int batch_rank;
  int64_t rows, columns;

  Operand(const TensorInfo& t, bool left) {
    batch_rank = t.rank > 2 ? t.rank - 2 : 0;
    rows = t.rank == 1 ? (left ? 1 : t.dims[0]) : t.dims[t.rank - 2];
    columns = t.rank == 1 ? (left ? t.dims[0] : 1) : t.dims[t.rank - 1];
  }
};

// Strides of the batch axes of `t` in a result with `batch_rank` of them.
void BatchStrides(const TensorInfo& t, const TensorInfo& y, int batch_rank, int64_t* strides) {
  TensorInfo batch = t;
  batch.rank = static_cast<uint8_t>(t.rank > 2 ? t.rank - 2 : 0);
  BroadcastStrides(batch, y.dims, batch_rank, strides);
  const int64_t matrix = Product(t.dims + batch.rank, t.rank - batch.rank);
  for (int i = 0; i < batch_rank; ++i) strides[i] *= matrix;
}

}  // namespace

Status CheckMatMul(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, a.in(0).dtype));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(0).dtype));
  const TensorInfo &x = a.in(0), &w = a.in(1);
  if (x.rank < 1) return BadShape(0, -1, 1, 0);
  if (w.rank < 1) return BadShape(1, -1, 1, 0);
  const Operand p(x, true), q(w, false);
  if (p.columns != q.rows) return BadShape(1, w.rank > 1 ? w.rank - 2 : 0, p.columns, q.rows);
  const int batch = std::max(p.batch_rank, q.batch_rank);
  int64_t dims[kMaxRank];
  for (int i = 0; i < batch; ++i) {
    const int at_x = i - (batch - p.batch_rank), at_w = i - (batch - q.batch_rank);
    const int64_t d = at_x >= 0 ? x.dims[at_x] : 1, e = at_w >= 0 ? w.dims[at_w] : 1;
    if (d != e && d != 1 && e != 1) return BadShape(1, at_w, d, e);
    dims[i] = d == 1 ? e : d;
  }
  auto rank = static_cast<size_t>(batch);
  if (x.rank > 1) dims[rank++] = p.rows;
  if (w.rank > 1) dims[rank++] = q.columns;
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, rank}));
  a.footprint.flops = 2 * static_cast<double>(Count(a.out())) * static_cast<double>(p.columns);
  return CheckOpCode(a, a.out(), a.out().rank - 1);
}

Rule RunMatMul(const RunArgs& a) {
  const TensorInfo &x = a.in(0), &w = a.in(1), &y = a.out();
  const Operand p(x, true), q(w, false);
  const int batch = std::max(p.batch_rank, q.batch_rank);
  int64_t x_strides[kMaxAxes], w_strides[kMaxAxes];
  BatchStrides(x, y, batch, x_strides);
  BatchStrides(w, y, batch, w_strides);
  Walk x_walk(y.dims, batch, x_strides), w_walk(y.dims, batch, w_strides);
  const int64_t batches = Product(y.dims, batch), matrix = p.rows * q.columns;
  WithElement(y.dtype, [&]<class E>() {
    for (int64_t i = 0; i < batches; ++i) {
      int64_t x_at, w_at;
      x_walk.Next(1, &x_at);
      w_walk.Next(1, &w_at);
      E* out = static_cast<E*>(a.outputs[0]) + i * matrix;
      const Matrix<E> left{static_cast<const E*>(a.inputs[0]) + x_at, p.columns, 1};
      const Matrix<E> right{static_cast<const E*>(a.inputs[1]) + w_at, q.columns, 1};
      Multiply<E>(p.rows, q.columns, p.columns, left, right,
                  [&](int64_t m, int64_t n, int64_t columns, const auto* sums) {
                    for (int64_t j = 0; j < columns; ++j) {
                      out[m * q.columns + n + j] = Put<E>(sums[j]);
                    }
                  });
    }
  });
  return RunEpilogue(a, y.rank - 1);
}

// --- gemm ----------------------------------------------------------------------------------------

namespace {

struct GemmAttrs {
  double alpha, beta;
  int64_t trans_a, trans_b;
};

GemmAttrs ReadGemm(AttrReader* attrs) {
  GemmAttrs g;
  g.alpha = attrs->Float();
  g.beta = attrs->Float();
  g.trans_a = attrs->Int();
  g.trans_b = attrs->Int();
  return g;
}

bool IsSmallInteger(double v) { return v == std::trunc(v) && std::fabs(v) <= 1 << 30; }

}  // namespace

// Integers take integral alpha and beta only.
Status CheckGemm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const GemmAttrs g = ReadGemm(&attrs);
  if (!attrs.Done() || g.trans_a < 0 || g.trans_a > 1 || g.trans_b < 0 || g.trans_b > 1) {
    return BadAttr();
  }
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, a.in(0).dtype));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(0).dtype));
  if (!IsFloat(a.in(0).dtype) && (!IsSmallInteger(g.alpha) || !IsSmallInteger(g.beta))) {
    return BadAttr();
  }
  const TensorInfo &x = a.in(0), &w = a.in(1);
  if (x.rank != 2) return BadShape(0, -1, 2, x.rank);
  if (w.rank != 2) return BadShape(1, -1, 2, w.rank);
  const int64_t k = x.dims[1 - g.trans_a];
  if (w.dims[g.trans_b] != k) return BadShape(1, static_cast<int>(g.trans_b), k, w.dims[g.trans_b]);
  const int64_t dims[2] = {x.dims[g.trans_a], w.dims[1 - g.trans_b]};
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, dims));
  if (HasBias(a)) {
    FLOE_RETURN_IF_ERROR(InputIs(a, 2, x.dtype));
    FLOE_RETURN_IF_ERROR(BroadcastsTo(a, 2, 1, a.out(), false));
  }
  a.footprint.flops = 2 * static_cast<double>(Count(a.out())) * static_cast<double>(k);
  return CheckOpCode(a, a.out(), 1);
}

Rule RunGemm(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const GemmAttrs g = ReadGemm(&attrs);
  const TensorInfo &x = a.in(0), &y = a.out();
  const int64_t k = x.dims[1 - g.trans_a];
  int64_t c_strides[kMaxAxes] = {};
  const bool has_c = HasBias(a) && g.beta != 0;
  if (has_c) BroadcastStrides(a.in(2), y.dims, 2, c_strides);
  WithElement(y.dtype, [&]<class E>() {
    using C = Accumulator<E>;
    const auto number = [](double v) {
      if constexpr (std::is_floating_point_v<C>)
        return v;
      else
        return static_cast<C>(static_cast<int64_t>(v));
    };
    const C alpha = number(g.alpha), beta = number(g.beta);
    const auto* c = static_cast<const E*>(a.data(2));
    auto* out = static_cast<E*>(a.outputs[0]);
    const Matrix<E> left{static_cast<const E*>(a.inputs[0]), g.trans_a ? 1 : k,
                         g.trans_a ? x.dims[1] : 1};
    const Matrix<E> right{static_cast<const E*>(a.inputs[1]), g.trans_b ? 1 : y.dims[1],
                          g.trans_b ? k : 1};
    Multiply<E>(y.dims[0], y.dims[1], k, left, right,
                [&](int64_t m, int64_t n, int64_t columns, const C* sums) {
                  for (int64_t j = 0; j < columns; ++j) {
                    C v = alpha * sums[j];
                    if (has_c) v += beta * Get<C>(c[m * c_strides[0] + (n + j) * c_strides[1]]);
                    out[m * y.dims[1] + n + j] = Put<E>(v);
                  }
                });
  });
  return RunEpilogue(a, 1);
}

}  // namespace floe::reference
