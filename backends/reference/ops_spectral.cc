// Orthogonal factors: QR by Householder's reflections, eigenvalues and singular values by Jacobi's
// rotations, which are short and as exact as any.
#include <cmath>

#include "backends/reference/matrices.h"

namespace floe::reference {
namespace {

// Rotations converge quadratically: far fewer sweeps are needed.
constexpr int kMaxSweeps = 40;
constexpr double kNegligible = 1e-15;

// The rotation that makes two directions independent, from the difference of their weights and
// twice what they share.
struct Rotation {
  double c, s;

  Rotation(double difference, double shared) {
    const double z = difference / shared;
    const double t = std::copysign(1 / (std::fabs(z) + std::hypot(z, 1)), z);
    c = 1 / std::hypot(t, 1);
    s = c * t;
  }
  void Turn(double* p, double* q, int64_t n, int64_t stride) const {
    for (int64_t i = 0; i < n; ++i) {
      const double x = p[i * stride], y = q[i * stride];
      p[i * stride] = c * x - s * y;
      q[i * stride] = s * x + c * y;
    }
  }
};

// The order of n values; insertion sort is safe where some are NaN.
void OrderOf(const double* values, int64_t n, bool descending, int64_t* order) {
  for (int64_t i = 0; i < n; ++i) {
    int64_t at = i;
    for (; at > 0; --at) {
      const double before = values[order[at - 1]];
      if (!(descending ? before < values[i] : before > values[i])) break;
      order[at] = order[at - 1];
    }
    order[at] = i;
  }
}

double Flops(const Matrices& m, double rounds) {
  return rounds * static_cast<double>(m.count) * static_cast<double>(m.rows) *
         static_cast<double>(m.columns) * static_cast<double>(m.least());
}

double Dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

// --- qr ------------------------------------------------------------------------------------------

Status CheckQr(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(NeedAnyOutput(a));
  FLOE_RETURN_IF_ERROR(NeedMatrices(a, 0));
  const Matrices m(a.in(0));
  const int64_t k = m.least();
  a.footprint.flops = Flops(m, 4);
  FLOE_RETURN_IF_ERROR(NeedDoubles(a, {{m.rows, m.columns}, {m.rows, k}, {k, 1}}));
  FLOE_RETURN_IF_ERROR(OutputTail(a, 0, {m.rows, k}));
  return OutputTail(a, 1, {k, m.columns});
}

namespace {

// Applies I - tau v v' from row j on to columns [first, end) of `a`, v's first element being 1 and
// the others standing below the diagonal of column j of `x`.
void Reflect(const double* x, int64_t columns, int64_t rows, int64_t j, double tau, double* a,
             int64_t a_columns, int64_t first) {
  for (int64_t c = first; c < a_columns; ++c) {
    double dot = a[j * a_columns + c];
    for (int64_t i = j + 1; i < rows; ++i) dot += x[i * columns + j] * a[i * a_columns + c];
    dot *= tau;
    a[j * a_columns + c] -= dot;
    for (int64_t i = j + 1; i < rows; ++i) a[i * a_columns + c] -= dot * x[i * columns + j];
  }
}

// R above the diagonal of x, the reflections below it and in tau.
void FactorQr(double* x, const Matrices& m, double* tau) {
  for (int64_t j = 0; j < m.least(); ++j) {
    double tail = 0;
    for (int64_t i = j + 1; i < m.rows; ++i) tail = std::hypot(tail, x[i * m.columns + j]);
    tau[j] = 0;
    if (tail == 0) continue;
    const double alpha = x[j * m.columns + j];
    const double beta = -std::copysign(std::hypot(alpha, tail), alpha);
    tau[j] = (beta - alpha) / beta;
    for (int64_t i = j + 1; i < m.rows; ++i) x[i * m.columns + j] /= alpha - beta;
    x[j * m.columns + j] = beta;
    Reflect(x, m.columns, m.rows, j, tau[j], x, m.columns, j + 1);
  }
}

}  // namespace

Rule RunQr(const RunArgs& a) {
  const Matrices m(a.in(0));
  const int64_t k = m.least();
  auto* x = static_cast<double*>(a.scratch);
  double* q = x + m.size();
  double* tau = q + m.rows * k;
  for (int64_t index = 0; index < m.count; ++index) {
    LoadMatrix(a.in(0), a.inputs[0], index, m.size(), x);
    FactorQr(x, m, tau);
    if (a.HasOutput(0)) {
      std::fill_n(q, m.rows * k, 0.0);
      for (int64_t i = 0; i < k; ++i) q[i * k + i] = 1;
      for (int64_t j = k; j-- > 0;) Reflect(x, m.columns, m.rows, j, tau[j], q, k, j);
      StoreMatrix(a.out(0), a.outputs[0], index, m.rows * k, q);
    }
    if (!a.HasOutput(1)) continue;
    for (int64_t i = 1; i < k; ++i) std::fill_n(x + i * m.columns, std::min(i, m.columns), 0.0);
    StoreMatrix(a.out(1), a.outputs[1], index, k * m.columns, x);
  }
  return Rule::kNone;
}

// --- eigh ----------------------------------------------------------------------------------------

Status CheckEigh(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t upper = attrs.Int();
  if (!attrs.Done() || upper < 0 || upper > 1) return BadAttr(1, upper);
  FLOE_RETURN_IF_ERROR(NeedAnyOutput(a));
  FLOE_RETURN_IF_ERROR(NeedSquare(a, 0));
  const Matrices m(a.in(0));
  a.footprint.flops = Flops(m, 6 * kMaxSweeps);
  FLOE_RETURN_IF_ERROR(NeedDoubles(a, {{m.rows, m.rows}, {m.rows, m.rows}, {m.rows, 2}}));
  FLOE_RETURN_IF_ERROR(OutputTail(a, 0, {m.rows}));
  return OutputTail(a, 1, {m.rows, m.rows});
}

namespace {

// Makes the symmetric x diagonal; the rows of v become its eigenvectors.
void Diagonalise(double* x, double* v, int64_t n) {
  std::fill_n(v, n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) v[i * n + i] = 1;
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < kMaxSweeps; ++sweep) {
    rotated = false;
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        const double shared = x[p * n + q];
        const double weight = std::fabs(x[p * n + p]) + std::fabs(x[q * n + q]);
        // Beside nothing, nothing is negligible but zero.
        if (!(std::fabs(shared) > kNegligible * weight)) continue;
        rotated = true;
        const Rotation r(x[q * n + q] - x[p * n + p], 2 * shared);
        r.Turn(x + p, x + q, n, n);
        r.Turn(x + p * n, x + q * n, n, 1);
        r.Turn(v + p * n, v + q * n, n, 1);
        x[p * n + q] = x[q * n + p] = 0;
      }
    }
  }
}

}  // namespace

Rule RunEigh(const RunArgs& a) {
  const bool upper = a.attrs().Int() != 0;
  const Matrices m(a.in(0));
  const int64_t n = m.rows;
  auto* x = static_cast<double*>(a.scratch);
  double* v = x + n * n;
  double* values = v + n * n;
  auto* order = reinterpret_cast<int64_t*>(values + n);
  for (int64_t index = 0; index < m.count; ++index) {
    LoadMatrix(a.in(0), a.inputs[0], index, m.size(), x);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < i; ++j) {
        (upper ? x[i * n + j] : x[j * n + i]) = upper ? x[j * n + i] : x[i * n + j];
      }
    }
    Diagonalise(x, v, n);
    for (int64_t i = 0; i < n; ++i) values[i] = x[i * n + i];
    OrderOf(values, n, false, order);
    for (int64_t j = 0; j < n; ++j) {
      if (a.HasOutput(0)) {
        StoreOne<double>(a.out(0).dtype, a.outputs[0], index * n + j, values[order[j]]);
      }
      for (int64_t i = 0; a.HasOutput(1) && i < n; ++i) {
        StoreOne<double>(a.out(1).dtype, a.outputs[1], (index * n + i) * n + j,
                         v[order[j] * n + i]);
      }
    }
  }
  return Rule::kNone;
}

// --- svd -----------------------------------------------------------------------------------------

Status CheckSvd(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(NeedAnyOutput(a));
  FLOE_RETURN_IF_ERROR(NeedMatrices(a, 0));
  const Matrices m(a.in(0));
  const int64_t k = m.least();
  a.footprint.flops = Flops(m, 6 * kMaxSweeps);
  FLOE_RETURN_IF_ERROR(NeedDoubles(a, {{m.rows, m.columns}, {k, k}, {k, 2}}));
  FLOE_RETURN_IF_ERROR(OutputTail(a, 0, {m.rows, k}));
  FLOE_RETURN_IF_ERROR(OutputTail(a, 1, {k}));
  return OutputTail(a, 2, {k, m.columns});
}

namespace {

// Makes k vectors of `length` elements orthogonal; v gets the rotations as k rows.
void Orthogonalise(double* w, int64_t k, int64_t length, double* v) {
  std::fill_n(v, k * k, 0.0);
  for (int64_t i = 0; i < k; ++i) v[i * k + i] = 1;
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < kMaxSweeps; ++sweep) {
    rotated = false;
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t q = p + 1; q < k; ++q) {
        double *x = w + p * length, *y = w + q * length;
        const double xx = Dot(x, x, length), yy = Dot(y, y, length), xy = Dot(x, y, length);
        if (!(std::fabs(xy) > kNegligible * std::sqrt(xx) * std::sqrt(yy))) continue;
        rotated = true;
        const Rotation r(yy - xx, 2 * xy);
        r.Turn(x, y, length, 1);
        r.Turn(v + p * k, v + q * k, k, 1);
      }
    }
  }
}

}  // namespace

Rule RunSvd(const RunArgs& a) {
  const TensorInfo& in = a.in(0);
  const Matrices m(in);
  const int64_t k = m.least(), length = std::max(m.rows, m.columns);
  const bool tall = m.rows >= m.columns;  // Else the transposed matrix is decomposed.
  auto* w = static_cast<double*>(a.scratch);
  double* v = w + k * length;
  double* values = v + k * k;
  auto* order = reinterpret_cast<int64_t*>(values + k);
  for (int64_t index = 0; index < m.count; ++index) {
    for (int64_t i = 0; i < m.rows; ++i) {
      for (int64_t j = 0; j < m.columns; ++j) {
        w[tall ? j * length + i : i * length + j] =
            LoadOne<double>(in.dtype, a.inputs[0], (index * m.rows + i) * m.columns + j);
      }
    }
    Orthogonalise(w, k, length, v);
    for (int64_t j = 0; j < k; ++j) {
      double* x = w + j * length;
      values[j] = std::sqrt(Dot(x, x, length));
      for (int64_t i = 0; values[j] != 0 && i < length; ++i) x[i] /= values[j];
    }
    OrderOf(values, k, true, order);
    for (int64_t j = 0; j < k; ++j) {
      const double* left = tall ? w + order[j] * length : v + order[j] * k;
      const double* right = tall ? v + order[j] * k : w + order[j] * length;
      for (int64_t i = 0; a.HasOutput(0) && i < m.rows; ++i) {
        StoreOne<double>(a.out(0).dtype, a.outputs[0], (index * m.rows + i) * k + j, left[i]);
      }
      if (a.HasOutput(1)) {
        StoreOne<double>(a.out(1).dtype, a.outputs[1], index * k + j, values[order[j]]);
      }
      if (a.HasOutput(2)) {
        StoreRun<double>(a.out(2).dtype, a.outputs[2], (index * k + j) * m.columns, m.columns,
                         right);
      }
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference
