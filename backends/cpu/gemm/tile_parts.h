// What the micro-kernels of all kinds of weights share: which tiles there are, the epilogue in
// registers, prefetching. Included by gemm/'s ISA files only.
#ifndef FLOE_BACKENDS_CPU_GEMM_TILE_PARTS_H_
#define FLOE_BACKENDS_CPU_GEMM_TILE_PARTS_H_

#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// FLOE_TILES(X): X(rows, panels, columns) for every tile of the ISA. Per panel count, all row
// counts from 1 up to what the register file holds: rows * panels accumulators, one panel row and a
// broadcast. More than 12 rows would not leave general registers for the row pointers.
#if defined(FLOE_ISA_AVX512)
#define FLOE_TILES(X)                                                                              \
  X(1, 1, 16)                                                                                      \
  X(2, 1, 16)                                                                                      \
  X(3, 1, 16)                                                                                      \
  X(4, 1, 16)                                                                                      \
  X(5, 1, 16)                                                                                      \
  X(6, 1, 16)                                                                                      \
  X(7, 1, 16)                                                                                      \
  X(8, 1, 16)                                                                                      \
  X(9, 1, 16)                                                                                      \
  X(10, 1, 16)                                                                                     \
  X(11, 1, 16)                                                                                     \
  X(12, 1, 16) X(1, 2, 32) X(2, 2, 32) X(3, 2, 32) X(4, 2, 32) X(5, 2, 32) X(6, 2, 32) X(7, 2, 32) \
      X(8, 2, 32) X(9, 2, 32) X(10, 2, 32) X(1, 3, 48) X(2, 3, 48) X(3, 3, 48) X(4, 3, 48)         \
          X(5, 3, 48) X(6, 3, 48) X(7, 3, 48) X(8, 3, 48) X(1, 4, 64) X(2, 4, 64) X(3, 4, 64)      \
              X(4, 4, 64) X(5, 4, 64) X(6, 4, 64) X(1, 5, 80) X(1, 6, 96) X(1, 7, 112)             \
                  X(1, 8, 128)
inline constexpr TileSet kTileSet = {
    .max_rows = {0, 12, 10, 8, 6, 1, 1, 1, 1},
    .vectors_per_panel = 1,
    .broadcast_cost = 0.55f,
    .load_cost = 1.0f,
    .min_step = 4.0f,
};
#elif defined(FLOE_ISA_AVX2)
#define FLOE_TILES(X) \
  X(1, 1, 16)         \
  X(2, 1, 16)         \
  X(3, 1, 16) X(4, 1, 16) X(5, 1, 16) X(6, 1, 16) X(1, 2, 32) X(2, 2, 32) X(1, 3, 48) X(1, 4, 64)
inline constexpr TileSet kTileSet = {
    .max_rows = {0, 6, 2, 1, 1, 0, 0, 0, 0},
    .vectors_per_panel = 2,
    .broadcast_cost = 1.0f,
    .load_cost = 1.0f,
    .min_step = 8.0f,
};
#else
#define FLOE_TILES(X) X(1, 1, 16) X(2, 1, 16) X(1, 2, 32)
inline constexpr TileSet kTileSet = {
    .max_rows = {0, 2, 1, 0, 0, 0, 0, 0, 0},
    .vectors_per_panel = 4,
    .broadcast_cost = 1.0f,
    .load_cost = 0.5f,
    .min_step = 8.0f,
};
#endif

// Vector j of a tile's row covers columns [j * kWidth, (j + 1) * kWidth). Only the last panel can
// be partial; AVX-512 masks it, the other ISAs spill such tiles.
template <int kVecs>
FLOE_INLINE F32 LoadColumns(const TileArgs& t, const float* row, int j) {
#if defined(FLOE_ISA_AVX512)
  if (j == kVecs - 1) return LoadTail(row + j * kWidth, t.last_columns);
#endif
  static_cast<void>(t);
  return Load(row + j * kWidth);
}

template <int kVecs>
FLOE_INLINE void StoreColumns(const TileArgs& t, float* row, int j, F32 x) {
#if defined(FLOE_ISA_AVX512)
  if (j == kVecs - 1) {
    StoreTail(row + j * kWidth, t.last_columns, x);
    return;
  }
#endif
  static_cast<void>(t);
  Store(row + j * kWidth, x);
}

// y = clamp(c * scale + bias + residual, low, high) in registers.
template <int kRows, int kVecs>
FLOE_INLINE void ApplyEpilogue(const TileArgs& t, const float* const* residual,
                               F32 (&c)[kRows][kVecs]) {
  if (t.has_scale) {
    const F32 scale = Broadcast(t.scale);
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) c[i][j] = Mul(c[i][j], scale);
    }
  }
  if (t.bias != nullptr) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) {
      const F32 bias = LoadColumns<kVecs>(t, t.bias, j);
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) c[i][j] = Add(c[i][j], bias);
    }
  }
  if (t.has_residual) {
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        c[i][j] = Add(c[i][j], LoadColumns<kVecs>(t, residual[i], j));
      }
    }
  }
  if (t.has_low) {
    const F32 low = Broadcast(t.low);
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) c[i][j] = MaxOrSecond(low, c[i][j]);
    }
  }
  if (t.has_high) {
    const F32 high = Broadcast(t.high);
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) c[i][j] = MinOrSecond(high, c[i][j]);
    }
  }
}

template <int kRows, int kVecs>
FLOE_INLINE void ApplyEpilogue(const TileArgs& t, F32 (&c)[kRows][kVecs]) {
  ApplyEpilogue<kRows, kVecs>(t, t.residual, c);
}

template <int kRows, int kVecs>
FLOE_INLINE void FinishInRegisters(const TileArgs& t, float* const* y, const float* const* residual,
                                   F32 (&c)[kRows][kVecs]) {
  ApplyEpilogue<kRows, kVecs>(t, residual, c);
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    float* row = y[i];
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) StoreColumns<kVecs>(t, row, j, c[i][j]);
  }
}
template <int kRows, int kVecs>
FLOE_INLINE void FinishInRegisters(const TileArgs& t, F32 (&c)[kRows][kVecs]) {
  FinishInRegisters<kRows, kVecs>(t, t.y, t.residual, c);
}

// The raw accumulators into the scratch tile.
template <int kRows, int kVecs>
FLOE_INLINE void Spill(const TileArgs& t, const F32 (&c)[kRows][kVecs]) {
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) Store(t.spill + (i * kVecs + j) * kWidth, c[i][j]);
  }
}

// The epilogue's lines of the residual and of y: they arrive while the tile is computed. Narrow
// tiles without a residual are too short for it to pay.
template <int kRows, int kVecs>
FLOE_INLINE void PrefetchRows(const TileArgs& t, float* const* y, const float* const* residual) {
  constexpr int kLine = 16;  // Floats.
  if (t.has_residual) {
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs * kWidth; j += kLine) __builtin_prefetch(residual[i] + j, 0, 3);
    }
  } else if (kWidth < kLine) {
    return;
  }
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs * kWidth; j += kLine) __builtin_prefetch(y[i] + j, 1, 3);
  }
}
template <int kRows, int kVecs>
FLOE_INLINE void PrefetchRows(const TileArgs& t) {
  PrefetchRows<kRows, kVecs>(t, t.y, t.residual);
}

// One line of each page of what the tile will prefetch: the page walks run side by side instead of
// each stopping the k loop. The weights of a mapped file lie in small pages.
FLOE_INLINE void PrefetchPages(const char* p, int64_t bytes) {
  constexpr int64_t kPage = 4096;
  for (int64_t i = 0; i < bytes; i += kPage) __builtin_prefetch(p + i, 0, 2);
}

// p + *step, with *step in memory: the rows' pointers need the registers. Otherwise the compiler
// keeps one of them in a vector register and moves it out at each k step, which costs 4 %.
FLOE_INLINE const char* Advance(const char* p, int64_t* step) {
  __asm__("" : "+m"(*step));
  return p + *step;
}

// The tiles of one kind of weights, by rows and panels.
struct TileRow {
  TileFn fn = nullptr;
  const char* names[3] = {};
};
struct TileTable {
  TileRow rows[kMaxTileRows + 1][kMaxTilePanels + 1];
};
#define FLOE_TILE_NAMES(kind, rows_, columns)             \
  {                                                       \
    FLOE_VARIANT(kind "_gemm_" #rows_ "x" #columns),      \
        FLOE_VARIANT(kind "_conv_" #rows_ "x" #columns),  \
        FLOE_VARIANT(kind "_matmul_" #rows_ "x" #columns) \
  }

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_TILE_PARTS_H_
