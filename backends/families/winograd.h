// Winograd's minimal filtering F(m x m, 3 x 3), for m = 2 and 4: what the compiler's packing and
// the kernels agree on. A tile of t x t inputs, t = m + 2, gives m x m outputs:
//
//   Y = A^T [ (G g G^T) * (B^T d B) ] A        (* is element by element)
//
// G, B and A follow from t - 1 interpolation points and infinity by Toom and Cook's construction:
// row i of G is (1, p, p^2) / prod(p - q) over the other points q, row i of B^T has the
// coefficients of prod(x - q), row k of A^T is p^k; infinity gives (0, 0, 1), the coefficients of
// prod(x - q) over all points, and 1 in the last row. The points are file format (layout
// winograd_panels16).
//
// For m = 4 they are 0, +-5/8 and +-3/2: all coefficients of A and B are exact in fp32, and the
// error is a third of the usual points 0, +-1, +-2 (in units of 1e-7 of max|y|, 256 channels: 23
// against 84; F(2,3) 5, a direct sum 8).
#ifndef FLOE_BACKENDS_FAMILIES_WINOGRAD_H_
#define FLOE_BACKENDS_FAMILIES_WINOGRAD_H_

#include <cstdint>

namespace floe::winograd {

inline constexpr int kMaxTile = 6;
inline constexpr double kA = 0.625;  // The points of m = 4 beside 0.
inline constexpr double kB = 1.5;

// u = G g G^T, row-major t x t, of a row-major 3 x 3 filter. t is 4 or 6.
inline void TransformFilter(int t, const float* filter, double* u) {
  constexpr double kPoints2[3] = {0, 1, -1};
  constexpr double kPoints4[5] = {0, kA, -kA, kB, -kB};
  const double* points = t == 4 ? kPoints2 : kPoints4;
  double g[kMaxTile][3] = {};
  for (int i = 0; i + 1 < t; ++i) {
    double scale = 1;
    for (int j = 0; j + 1 < t; ++j) {
      if (j != i) scale *= points[i] - points[j];
    }
    g[i][0] = 1 / scale;
    g[i][1] = points[i] / scale;
    g[i][2] = points[i] * points[i] / scale;
  }
  g[t - 1][2] = 1;
  for (int y = 0; y < t; ++y) {
    for (int x = 0; x < t; ++x) {
      double sum = 0;
      for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) {
          sum += g[y][i] * static_cast<double>(filter[i * 3 + j]) * g[x][j];
        }
      }
      u[y * t + x] = sum;
    }
  }
}

}  // namespace floe::winograd

#endif  // FLOE_BACKENDS_FAMILIES_WINOGRAD_H_
