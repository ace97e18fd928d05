// What the micro-kernel gets: plain data, the same for every ISA.
//
// The A descriptor: row i of the tile starts at a[i]; the k-th element of a row is found by walking
// `taps` (element offsets from the row's start) with `run` consecutive elements at each. A dense
// matrix is one tap with run K; a convolution over a channels-last image with a halo is kh * kw
// taps (or kh, where kw neighbouring pixels are one run), and its rows are output pixels.
#ifndef FLOE_BACKENDS_CPU_GEMM_TILE_ARGS_H_
#define FLOE_BACKENDS_CPU_GEMM_TILE_ARGS_H_

#include <cstdint>

#include "backends/cpu/gemm/tiling.h"
#include "backends/kernel.h"

namespace floe::cpu {

struct TileArgs {
  const float* a[kMaxTileRows];
  float* y[kMaxTileRows];
  const float* residual[kMaxTileRows];  // Only if has_residual.
  const int64_t* taps;
  int64_t tap_count;
  int64_t run;
  const float* b;        // First panel, row 0; a panel's rows are 16 floats apart.
  int64_t panel_stride;  // Elements from one panel to the next.
  const float* bias;     // Of the tile's first column; null: none.
  bool has_scale;
  bool has_residual;
  bool has_low, has_high;
  float scale, low, high;
  uint32_t last_columns;  // Valid columns of the last panel, 1 to 16.
  // A cache line to prefetch at each k step, and how far to move on (0: stay on one line).
  const char* prefetch;
  int64_t prefetch_step;
  // If not null, the raw accumulators go here, rows of 16 * panels floats, and nothing else
  // happens.
  float* spill;
};
using TileFn = void (*)(const TileArgs& args);

enum class TileUser : uint8_t { kGemm, kConv, kMatMul };

// Defined by gemm/'s ISA files for all families of the same ISA.
//   Tiles:    the tile set of the ISA.
//   FindTile: the micro-kernel; 1 <= rows <= max_rows[panels].
//   VariantName: "f32_conv_8x48__avx512".
#define FLOE_TILE_FUNCTIONS                      \
  const TileSet& Tiles();                        \
  TileFn FindTile(int64_t rows, int64_t panels); \
  const char* VariantName(TileUser user, int64_t rows, int64_t panels);
namespace sse2 {
FLOE_TILE_FUNCTIONS
}  // namespace sse2
namespace avx2 {
FLOE_TILE_FUNCTIONS
}  // namespace avx2
namespace avx512 {
FLOE_TILE_FUNCTIONS
}  // namespace avx512
#undef FLOE_TILE_FUNCTIONS

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_GEMM_TILE_ARGS_H_
