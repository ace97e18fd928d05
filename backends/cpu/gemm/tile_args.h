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
  // a16: with weights in pairs. y16: those, if narrow_y.
  union {
    const float* a[kMaxTileRows];
    const uint16_t* a16[kMaxTileRows];
  };
  union {
    float* y[kMaxTileRows];
    uint16_t* y16[kMaxTileRows];
  };
  const float* residual[kMaxTileRows];  // Only if has_residual.
  const int64_t* taps;
  int64_t tap_count;
  int64_t run;
  // First panel, row 0. A panel's rows are 16 floats, 16 f16, or 16 pairs of bf16.
  const float* b;
  int64_t panel_stride;  // From one panel to the next, in 16ths of a row.
  const float* bias;     // Of the tile's first column; null: none.
  bool has_scale;
  bool has_residual;
  bool has_low, has_high;
  bool narrow_y = false;  // The result is bf16. Only with weights in pairs.
  float scale, low, high;
  uint32_t last_columns;  // Valid columns of the last panel, 1 to 16.
  // A cache line to prefetch at each k step, and how far to move on (0: stay on one line).
  const char* prefetch;
  int64_t prefetch_step;
  // If not null, the raw accumulators go here, rows of 16 * panels floats, and nothing else
  // happens.
  float* spill;
  // With f32 weights one call can compute several tiles of the same panels: instead of a, y and
  // residual above, tables of tiles * rows pointers.
  int64_t tiles = 1;
  const float* const* a_rows = nullptr;
  float* const* y_rows = nullptr;
  const float* const* residual_rows = nullptr;
  // The weights come from beyond L2.
  bool far_weights = false;
};
using TileFn = void (*)(const TileArgs& args);

enum class TileUser : uint8_t { kGemm, kConv, kMatMul };

// The micro-kernels for one kind of weights.
struct TileKind {
  TileSet set;
  TileFn (*find)(int64_t rows, int64_t panels);  // 1 <= rows <= set.max_rows[panels].
  const char* (*name)(TileUser user, int64_t rows, int64_t panels);
};

// Defined by gemm/'s ISA files for all families of the same ISA.
//   Tiles:    the tile set of the ISA.
//   FindTile: the micro-kernel; 1 <= rows <= max_rows[panels].
//   FindTileOf: the same where the last panel has `last_columns` valid columns: maybe one that
//     computes no others. It gives the same numbers.
//   VariantName: "f32_conv_8x48__avx512".
//   HalfTiles: for f16 weights, which are widened as they are loaded; all else is f32.
//   PairTiles: for products of bf16 pairs: a is bf16, k runs over pairs (the last one of a tap's
//     run may be half a one), each tap starts a row of the panels.
#define FLOE_TILE_FUNCTIONS                                              \
  const TileSet& Tiles();                                                \
  TileFn FindTile(int64_t rows, int64_t panels);                         \
  TileFn FindTileOf(int64_t rows, int64_t panels, int64_t last_columns); \
  const char* VariantName(TileUser user, int64_t rows, int64_t panels);  \
  const TileKind& HalfTiles();                                           \
  const TileKind& PairTiles();
namespace sse2 {
FLOE_TILE_FUNCTIONS
}  // namespace sse2
namespace avx2 {
FLOE_TILE_FUNCTIONS
}  // namespace avx2
namespace avx512 {
FLOE_TILE_FUNCTIONS
}  // namespace avx512
namespace avx512bf16 {
const TileKind& PairTiles();
}  // namespace avx512bf16
#undef FLOE_TILE_FUNCTIONS

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_GEMM_TILE_ARGS_H_
