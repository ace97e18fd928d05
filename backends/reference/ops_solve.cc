// Triangular factors, linear equations and determinants.
#include <cmath>
#include <limits>

#include "backends/reference/matrices.h"

namespace floe::reference {
namespace {

double Cube(int64_t n) { return std::pow(static_cast<double>(n), 3); }

// Factors the n x n matrix into L and U in place, rows exchanged so that the pivot is the largest;
// `rows` gets the order of the rows. The sign of that order.
double FactorLu(double* a, int64_t n, int64_t* rows) {
  double sign = 1;
  for (int64_t i = 0; i < n; ++i) rows[i] = i;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    }
    if (pivot != k) {
      std::swap_ranges(a + k * n, a + (k + 1) * n, a + pivot * n);
      std::swap(rows[k], rows[pivot]);
      sign = -sign;
    }
    const double top = a[k * n + k];
    for (int64_t i = k + 1; top != 0 && i < n; ++i) {
      const double factor = a[i * n + k] /= top;
      for (int64_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return sign;
}

// Solves a triangle in place: b [n, m] becomes y with a y = b.
void SolveTriangle(const double* a, int64_t n, bool upper, bool unit, double* b, int64_t m) {
  for (int64_t step = 0; step < n; ++step) {
    const int64_t i = upper ? n - 1 - step : step;
    const int64_t begin = upper ? i + 1 : 0, end = upper ? n : i;
    for (int64_t j = begin; j < end; ++j) {
      const double factor = a[i * n + j];
      for (int64_t c = 0; c < m; ++c) b[i * m + c] -= factor * b[j * m + c];
    }
    for (int64_t c = 0; !unit && c < m; ++c) b[i * m + c] /= a[i * n + i];
  }
}

// a [..., n, n] and b [..., n, m] with equal leading axes and dtypes; the result is like b.
Status CheckEquations(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NeedSquare(a, 0));
  FLOE_RETURN_IF_ERROR(NeedMatrices(a, 1));
  const TensorInfo &left = a.in(0), &right = a.in(1);
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, left.dtype));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, left.dtype));
  if (right.rank != left.rank) return BadShape(1, -1, left.rank, right.rank);
  for (int i = 0; i + 1 < left.rank; ++i) {
    if (right.dims[i] != left.dims[i]) return BadShape(1, i, left.dims[i], right.dims[i]);
  }
  const Matrices l(left), r(right);
  const double work = static_cast<double>(l.rows) * static_cast<double>(l.rows);
  a.footprint.flops = static_cast<double>(l.count) * (Cube(l.rows) + 2 * work * r.columns);
  FLOE_RETURN_IF_ERROR(
      NeedDoubles(a, {{l.rows, l.rows}, {r.rows, r.columns}, {r.rows, r.columns}, {l.rows, 1}}));
  return OutputDims(a, 0, Dims(right));
}

}  // namespace

// --- cholesky ------------------------------------------------------------------------------------

Status CheckCholesky(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t upper = attrs.Int();
  if (!attrs.Done() || upper < 0 || upper > 1) return BadAttr(1, upper);
  FLOE_RETURN_IF_ERROR(NeedSquare(a, 0));
  const Matrices m(a.in(0));
  a.footprint.flops = static_cast<double>(m.count) * Cube(m.rows);
  FLOE_RETURN_IF_ERROR(NeedDoubles(a, {{m.rows, m.rows}, {m.rows, m.rows}}));
  return LikeInput(a, kFloats);
}

Rule RunCholesky(const RunArgs& a) {
  const bool upper = a.attrs().Int() != 0;
  const Matrices m(a.in(0));
  const int64_t n = m.rows;
  auto* x = static_cast<double*>(a.scratch);
  double* y = x + m.size();
  for (int64_t index = 0; index < m.count; ++index) {
    LoadMatrix(a.in(0), a.inputs[0], index, m.size(), x);
    std::fill_n(y, m.size(), 0.0);
    // Element (i, j) of the lower factor; an upper one is its mirror image.
    const auto at = [&](int64_t i, int64_t j) { return upper ? j * n + i : i * n + j; };
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = j; i < n; ++i) {
        double v = x[at(i, j)];
        for (int64_t k = 0; k < j; ++k) v -= y[at(i, k)] * y[at(j, k)];
        if (i > j) {
          y[at(i, j)] = v / y[at(j, j)];
        } else {
          y[at(j, j)] = v > 0 ? std::sqrt(v) : std::numeric_limits<double>::quiet_NaN();
        }
      }
    }
    StoreMatrix(a.out(), a.outputs[0], index, m.size(), y);
  }
  return Rule::kNone;
}

// --- triangular_solve and solve ------------------------------------------------------------------

Status CheckTriangularSolve(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t upper = attrs.Int();
  const int64_t unit = attrs.Int();
  if (!attrs.Done() || upper < 0 || upper > 1 || unit < 0 || unit > 1) return BadAttr();
  return CheckEquations(a);
}

Rule RunTriangularSolve(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const bool upper = attrs.Int() != 0;
  const bool unit = attrs.Int() != 0;
  const Matrices left(a.in(0)), right(a.in(1));
  auto* l = static_cast<double*>(a.scratch);
  double* r = l + left.size();
  for (int64_t index = 0; index < left.count; ++index) {
    LoadMatrix(a.in(0), a.inputs[0], index, left.size(), l);
    LoadMatrix(a.in(1), a.inputs[1], index, right.size(), r);
    SolveTriangle(l, left.rows, upper, unit, r, right.columns);
    StoreMatrix(a.out(), a.outputs[0], index, right.size(), r);
  }
  return Rule::kNone;
}

Status CheckSolve(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  return CheckEquations(a);
}

Rule RunSolve(const RunArgs& a) {
  const Matrices left(a.in(0)), right(a.in(1));
  const int64_t n = left.rows, m = right.columns;
  auto* l = static_cast<double*>(a.scratch);
  double* r = l + left.size();
  double* y = r + right.size();
  auto* rows = reinterpret_cast<int64_t*>(y + right.size());
  for (int64_t index = 0; index < left.count; ++index) {
    LoadMatrix(a.in(0), a.inputs[0], index, left.size(), l);
    LoadMatrix(a.in(1), a.inputs[1], index, right.size(), r);
    (void)FactorLu(l, n, rows);
    for (int64_t i = 0; i < n; ++i) std::copy_n(r + rows[i] * m, m, y + i * m);
    SolveTriangle(l, n, false, true, y, m);
    SolveTriangle(l, n, true, false, y, m);
    StoreMatrix(a.out(), a.outputs[0], index, right.size(), y);
  }
  return Rule::kNone;
}

// --- det -----------------------------------------------------------------------------------------

Status CheckDet(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(NeedAnyOutput(a));
  FLOE_RETURN_IF_ERROR(NeedSquare(a, 0));
  const Matrices m(a.in(0));
  a.footprint.flops = static_cast<double>(m.count) * Cube(m.rows);
  FLOE_RETURN_IF_ERROR(NeedDoubles(a, {{m.rows, m.rows}, {m.rows, 1}}));
  for (uint32_t i = 0; i < 3; ++i) FLOE_RETURN_IF_ERROR(OutputTail(a, i, {}));
  return OkStatus();
}

Rule RunDet(const RunArgs& a) {
  const Matrices m(a.in(0));
  auto* x = static_cast<double*>(a.scratch);
  auto* rows = reinterpret_cast<int64_t*>(x + m.size());
  for (int64_t index = 0; index < m.count; ++index) {
    LoadMatrix(a.in(0), a.inputs[0], index, m.size(), x);
    double sign = FactorLu(x, m.rows, rows), det = sign, log = 0;
    for (int64_t i = 0; i < m.rows; ++i) {
      const double v = x[i * m.rows + i];
      det *= v;
      sign *= v > 0 ? 1 : v < 0 ? -1 : v;  // Keeps zero and NaN.
      log += std::log(std::fabs(v));
    }
    const double results[] = {det, sign, log};
    for (uint32_t i = 0; i < 3; ++i) {
      if (a.HasOutput(i)) StoreOne<double>(a.out(i).dtype, a.outputs[i], index, results[i]);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference
