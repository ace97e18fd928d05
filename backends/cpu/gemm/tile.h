// The micro-kernel family tile<rows, panels>: accumulators in registers over the whole of K.
// Included by gemm/'s ISA files only.
#ifndef FLOE_BACKENDS_CPU_GEMM_TILE_H_
#define FLOE_BACKENDS_CPU_GEMM_TILE_H_

#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// FLOE_TILES(X): X(rows, panels, columns) for every tile of the ISA. Per panel count, all row
// counts from 1 up to what the register file holds: rows * panels accumulators, one panel row and a
// broadcast. More than 12 rows would not leave general registers for the row pointers.
#if defined(FLOE_ISA_AVX512)
#define FLOE_TILES(X)                                                                             \
  X(1, 1, 16)                                                                                     \
  X(2, 1, 16)                                                                                     \
  X(3, 1, 16)                                                                                     \
  X(4, 1, 16)                                                                                     \
  X(5, 1, 16)                                                                                     \
  X(6, 1, 16) X(7, 1, 16) X(8, 1, 16) X(9, 1, 16) X(10, 1, 16) X(11, 1, 16) X(12, 1, 16)          \
      X(1, 2, 32) X(2, 2, 32) X(3, 2, 32) X(4, 2, 32) X(5, 2, 32) X(6, 2, 32) X(7, 2, 32)         \
          X(8, 2, 32) X(9, 2, 32) X(10, 2, 32) X(1, 3, 48) X(2, 3, 48) X(3, 3, 48) X(4, 3, 48)    \
              X(5, 3, 48) X(6, 3, 48) X(7, 3, 48) X(8, 3, 48) X(1, 4, 64) X(2, 4, 64) X(3, 4, 64) \
                  X(4, 4, 64) X(5, 4, 64) X(6, 4, 64) X(1, 5, 80) X(1, 6, 96) X(1, 7, 112)        \
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

template <int kRows, int kVecs>
FLOE_INLINE void FinishInRegisters(const TileArgs& t, F32 (&c)[kRows][kVecs]) {
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
        c[i][j] = Add(c[i][j], LoadColumns<kVecs>(t, t.residual[i], j));
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
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) StoreColumns<kVecs>(t, t.y[i], j, c[i][j]);
  }
}

// The epilogue's lines of the residual and of y: they arrive while the tile is computed. Narrow
// tiles without a residual are too short for it to pay.
template <int kRows, int kVecs>
FLOE_INLINE void PrefetchRows(const TileArgs& t) {
  constexpr int kLine = 16;  // Floats.
  if (t.has_residual) {
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs * kWidth; j += kLine) __builtin_prefetch(t.residual[i] + j, 0, 3);
    }
  } else if (kWidth < kLine) {
    return;
  }
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs * kWidth; j += kLine) __builtin_prefetch(t.y[i] + j, 1, 3);
  }
}

template <int kRows, int kPanels>
void Tile(const TileArgs& t) {
  constexpr int kVecs = kPanels * kRowVecs;
  F32 c[kRows][kVecs];
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) c[i][j] = Zero();
  }
  const float* a[kRows];
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) a[i] = t.a[i];
  PrefetchRows<kRows, kVecs>(t);
  const float* b = t.b;
  const int64_t panel_stride = t.panel_stride;
  const char* prefetch = t.prefetch;
  const int64_t prefetch_step = t.prefetch_step;
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    int64_t k = t.taps[tap];
    const int64_t end = k + t.run;
    for (; k < end; ++k) {
      // One shared index for all rows: hidden from the compiler, which would otherwise advance
      // every row's pointer on its own.
      __asm__("" : "+r"(k));
      F32 panel[kVecs];
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        panel[j] = Load(b + (j / kRowVecs) * panel_stride + (j % kRowVecs) * kWidth);
      }
      b += kPanel;
      // A tile of one vector per row is bound by its loads, of which this would be one in 14.
      if (kVecs > 1) {
        __builtin_prefetch(prefetch, 0, 2);
        prefetch += prefetch_step;
      }
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) {
        F32 x = Broadcast(a[i][k]);
#if defined(FLOE_ISA_AVX512)
        // One broadcast into a register instead of one per FMA: a memory operand would take the
        // only 512-bit load port each time.
        if (kVecs > 1) __asm__("" : "+v"(x));
#endif
        FLOE_UNROLL
        for (int j = 0; j < kVecs; ++j) c[i][j] = MulAdd(x, panel[j], c[i][j]);
      }
    }
  }
  if (t.spill != nullptr) {
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        Store(t.spill + i * kPanels * kPanel + j * kWidth, c[i][j]);
      }
    }
    return;
  }
  FinishInRegisters<kRows, kVecs>(t, c);
}

struct TileRow {
  TileFn fn = nullptr;
  const char* names[3] = {};
};
struct TileTable {
  TileRow rows[kMaxTileRows + 1][kMaxTilePanels + 1];
};
constexpr TileTable MakeTileTable() {
  TileTable table{};
#define FLOE_TILE(rows_, panels_, columns)                                      \
  table.rows[rows_][panels_] = {&Tile<rows_, panels_>,                          \
                                {FLOE_VARIANT("f32_gemm_" #rows_ "x" #columns), \
                                 FLOE_VARIANT("f32_conv_" #rows_ "x" #columns), \
                                 FLOE_VARIANT("f32_matmul_" #rows_ "x" #columns)}};
  FLOE_TILES(FLOE_TILE)
#undef FLOE_TILE
  return table;
}
constinit const TileTable kTileTable = MakeTileTable();

}  // namespace

const TileSet& Tiles() { return kTileSet; }

TileFn FindTile(int64_t rows, int64_t panels) { return kTileTable.rows[rows][panels].fn; }

const char* VariantName(TileUser user, int64_t rows, int64_t panels) {
  return kTileTable.rows[rows][panels].names[static_cast<int>(user)];
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_TILE_H_
