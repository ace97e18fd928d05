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

#include "backends/kernel.h"
#include "format/footprint.h"

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

// Where x and w are bf16, u is gemm_pairs16 [C, columns], its t * t matrices side by side, each
// filled up to whole panels: element (o, c) of matrix m is column m * RoundUp(O, 16) + o of row c.
// False on overflow.
[[nodiscard]] bool PairColumns(int64_t outputs, int64_t* columns);
inline constexpr int64_t kPairTile = 4;  // Such u are of this t.

// The instruction without u: a plain conv. `inputs` has room for kMaxOperands and must outlive it.
OpInfo ConvOf(const OpInfo& op, TensorInfo* inputs);
// The same at Run. `args`' state is that conv's.
struct PlainConv {
  TensorInfo infos[kMaxOperands];
  const void* inputs[kMaxOperands];
  OpInfo op;
  KernelArgs args;

  explicit PlainConv(const KernelArgs& winograd);
  PlainConv(const PlainConv&) = delete;
  PlainConv& operator=(const PlainConv&) = delete;
};

// How kernels cut the work: the same for every ISA, since the scratch depends on it. Tiles of all
// images are one line of `tiles`; a block of up to `block` of them is transformed into `t * t`
// matrices of [block][channels], which are multiplied by those of u for `group_panels` panels at a
// time, and the products [block][16 * group_panels] are transformed back.
struct Blocking {
  int64_t t = 0;
  int64_t m = 0;
  int64_t tiles_y = 0, tiles_x = 0, tiles = 0;
  int64_t block = 0;
  int64_t panels = 0, group_panels = 0;
  int64_t input_pitch = 0;   // Numbers between tiles of a matrix of transformed inputs,
  int64_t input_matrix = 0;  // and between such matrices.
  int64_t input_bytes = 0;   // Of all of them.
  int64_t output_pitch = 0;  // Floats, the same of the products.
  int64_t output_matrix = 0;
};

// `op` has all its operands, a result that is not empty, and passed the checks of their shapes.
// False if the scratch's size overflows.
[[nodiscard]] bool PlanBlocks(const OpInfo& op, Blocking* blocking, int64_t* scratch_bytes);

}  // namespace floe::winograd

#endif  // FLOE_BACKENDS_FAMILIES_WINOGRAD_H_
