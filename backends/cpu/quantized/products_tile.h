// The micro-kernels of qgemm and qconv: tiles of rows x panels whose accumulators live in registers
// over the whole of K, as gemm/tile.h. Included by products' ISA files only.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_TILE_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_TILE_H_

#include "backends/cpu/gemm/tile_parts.h"
#include "backends/cpu/gemm/tiling.h"
#include "backends/cpu/quantized/requantize.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Where a row of the product lies in x, y and the residual, in their elements.
struct QRow {
  int64_t a, y, residual;
};

// The A descriptor is that of gemm/tile_args.h, in bytes; a run is `run_groups` groups of four.
struct QTileArgs {
  // The rows of `tiles` tiles of the function's height, one after the other.
  const QRow* rows;
  int64_t tiles;
  const uint8_t* a;
  uint8_t* y;
  const uint8_t* residual;  // Only if the requantizer has one.
  const int64_t* taps;
  int64_t tap_count;
  int64_t run_groups;
  const int8_t* b;       // First panel; a panel's groups are 64 bytes apart.
  int64_t panel_stride;  // Bytes from one panel to the next.
  const int32_t* start;  // Where accumulators start, and their factors: whole panels of columns.
  const float* scale;
  const float* bias;  // Likewise, added after the factor; null: none. Only of bytes.
  const Requantizer* requantizer;
  bool simple;           // No residual, no bias, and every factor below 1 in magnitude.
  int64_t last_columns;  // Valid columns of the last panel, 1 to 16.
  // A cache line to prefetch for each group, and how far to move on (0: stay on one line).
  const char* prefetch;
  int64_t prefetch_step;
  // If one of these is not null, there is one tile, `y` is not written, and the accumulators go, in
  // f32 and through this epilogue, to where it says, or as they are to rows of 16 * panels.
  const TileArgs* floats;
  int32_t* spill;
};
using QTileFn = void (*)(const QTileArgs& args);

// FLOE_QTILES(X): X(rows, panels, columns). What the register file holds: accumulators, one panel's
// row of weights and a row's four bytes, in halves where bytes are multiplied as 16-bit numbers.
// clang-format off
#define FLOE_QTILES_OF_ONE(X) X(1, 1, 16) X(2, 1, 16)
#if defined(FLOE_ISA_AVX512)
#define FLOE_QTILES_SHARED(X)                                                                 \
  FLOE_QTILES_OF_ONE(X)                                                                       \
  X(3, 1, 16)                                                                                 \
  X(4, 1, 16)                                                                                 \
  X(5, 1, 16)                                                                                 \
  X(6, 1, 16)                                                                                 \
  X(7, 1, 16)                                                                                 \
  X(8, 1, 16)                                                                                 \
  X(9, 1, 16) X(10, 1, 16) X(11, 1, 16) X(12, 1, 16) X(1, 2, 32) X(2, 2, 32) X(3, 2, 32)      \
      X(4, 2, 32) X(5, 2, 32) X(6, 2, 32) X(7, 2, 32) X(8, 2, 32) X(9, 2, 32) X(10, 2, 32)    \
          X(1, 3, 48) X(2, 3, 48) X(3, 3, 48) X(4, 3, 48) X(5, 3, 48) X(6, 3, 48) X(7, 3, 48) \
              X(1, 4, 64) X(2, 4, 64) X(3, 4, 64) X(4, 4, 64) X(5, 4, 64) X(1, 6, 96) X(1, 5, 80)
#if defined(__AVX512VNNI__)
#define FLOE_QTILES(X)                                                                  \
  FLOE_QTILES_SHARED(X)                                                                 \
  X(8, 3, 48) X(6, 4, 64) X(2, 6, 96) X(3, 6, 96) X(4, 6, 96) X(1, 7, 112) X(1, 8, 128)
inline constexpr TileSet kQTileSet = {
    .max_rows = {0, 12, 10, 8, 6, 1, 1, 1, 1},
    .vectors_per_panel = 1,
    .broadcast_cost = 0.55f,
    .load_cost = 1.0f,
    .min_step = 4.0f,
};
// For a short K and a multiple of six panels: what counts there is that rows of y are written at
// once and as a whole.
#define FLOE_WIDE_QTILES
inline constexpr TileSet kWideQTileSet = {
    .max_rows = {0, 0, 0, 0, 0, 0, 4, 0, 0},
    .vectors_per_panel = 1,
    .broadcast_cost = 0.55f,
    .load_cost = 1.0f,
    .min_step = 4.0f,
};
#else
#define FLOE_QTILES(X) FLOE_QTILES_SHARED(X)
inline constexpr TileSet kQTileSet = {
    .max_rows = {0, 12, 10, 7, 5, 1, 1, 0, 0},
    .vectors_per_panel = 4,  // Instructions for each product.
    .broadcast_cost = 2.5f,
    .load_cost = 1.0f,
    .min_step = 4.0f,
};
#endif
#elif defined(__AVXVNNI__)
#define FLOE_QTILES(X)  \
  FLOE_QTILES_OF_ONE(X) \
  X(3, 1, 16) X(4, 1, 16) X(5, 1, 16) X(6, 1, 16) X(1, 2, 32) X(2, 2, 32) X(1, 3, 48) X(1, 4, 64)
inline constexpr TileSet kQTileSet = {
    .max_rows = {0, 6, 2, 1, 1, 0, 0, 0, 0},
    .vectors_per_panel = 2,
    .broadcast_cost = 1.0f,
    .load_cost = 1.0f,
    .min_step = 8.0f,
};
#elif defined(FLOE_ISA_AVX2)
#define FLOE_QTILES(X) FLOE_QTILES_OF_ONE(X) X(3, 1, 16) X(4, 1, 16) X(1, 2, 32)
inline constexpr TileSet kQTileSet = {
    .max_rows = {0, 4, 1, 0, 0, 0, 0, 0, 0},
    .vectors_per_panel = 8,
    .broadcast_cost = 3.0f,
    .load_cost = 1.0f,
    .min_step = 4.0f,
};
#else
#define FLOE_QTILES(X) FLOE_QTILES_OF_ONE(X)
inline constexpr TileSet kQTileSet = {
    .max_rows = {0, 2, 0, 0, 0, 0, 0, 0, 0},
    .vectors_per_panel = 16,
    .broadcast_cost = 4.0f,
    .load_cost = 1.0f,
    .min_step = 8.0f,
};
#endif
// clang-format on

// Panels [kFirst, kPanels) of every row, four at a time.
template <int kFirst, int kRows, int kPanels, bool kSimple>
FLOE_INLINE void RequantizeTile(const QTileArgs& t, const QRow* rows,
                                I32 (&c)[kRows][kPanels * kRowVecs]) {
  constexpr int kCount = kPanels - kFirst < 4 ? kPanels - kFirst : 4;
  constexpr bool kAll = kFirst + kCount == kPanels;
  // A copy: what is behind the pointer might lie in y, as far as the compiler knows.
  const Requantizer r = *t.requantizer;
  const float* scale = t.scale + kFirst * kPanel;
  const float* bias = t.bias != nullptr ? t.bias + kFirst * kPanel : nullptr;
  const int64_t last = kAll ? t.last_columns : kPanel;
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    I32 sums[kCount * kRowVecs];
    FLOE_UNROLL
    for (int v = 0; v < kCount * kRowVecs; ++v) sums[v] = c[i][kFirst * kRowVecs + v];
    uint8_t* y = t.y + rows[i].y + kFirst * kPanel;
    if constexpr (kSimple) {
      RequantizeSimpleRow<kCount>(r, sums, scale, last, y);
    } else {
      const uint8_t* residual =
          r.residual ? t.residual + rows[i].residual + kFirst * kPanel : nullptr;
      RequantizeRow<kCount>(r, sums, scale, bias, residual, last, y);
    }
  }
  if constexpr (!kAll) RequantizeTile<kFirst + kCount, kRows, kPanels, kSimple>(t, rows, c);
}

template <int kRows, int kPanels>
FLOE_INLINE void FinishQTile(const QTileArgs& t, const QRow* rows,
                             I32 (&c)[kRows][kPanels * kRowVecs]) {
  constexpr int kVecs = kPanels * kRowVecs;
  if (t.spill != nullptr) {
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        StoreInts(t.spill + i * kPanels * kPanel + j * kWidth, c[i][j]);
      }
    }
  } else if (t.floats != nullptr) {
    F32 f[kRows][kVecs];
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) {
      const F32 scale = Load(t.scale + j * kWidth);
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) f[i][j] = Mul(ToFloat(c[i][j]), scale);
    }
    FinishInRegisters<kRows, kVecs>(*t.floats, f);
  } else if (t.simple) {
    RequantizeTile<0, kRows, kPanels, true>(t, rows, c);
  } else {
    RequantizeTile<0, kRows, kPanels, false>(t, rows, c);
  }
}

template <int kRows, int kPanels>
void QTile(const QTileArgs& t) {
  constexpr int kVecs = kPanels * kRowVecs;
  const char* prefetch = t.prefetch;
  const int64_t prefetch_step = t.prefetch_step;
  const QRow* rows = t.rows;
  const QRow* const end_row = rows + t.tiles * kRows;
  for (; rows != end_row; rows += kRows) {
    I32 c[kRows][kVecs];
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) {
      const I32 start = LoadInts(t.start + j * kWidth);
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) c[i][j] = start;
    }
    const uint8_t* a[kRows];
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) a[i] = t.a + rows[i].a;
    if (t.y != nullptr && kWidth == kPanel) {
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) __builtin_prefetch(t.y + rows[i].y, 1, 3);
    }
    const int8_t* b = t.b;
    const int64_t panel_stride = t.panel_stride;
    for (int64_t tap = 0; tap < t.tap_count; ++tap) {
      int64_t k = t.taps[tap];
      const int64_t end = k + 4 * t.run_groups;
      for (; k < end; k += 4) {
        // One shared index for all rows, as in gemm/tile.h.
        __asm__("" : "+r"(k));
        Operand panel[kVecs];
        FLOE_UNROLL
        for (int j = 0; j < kVecs; ++j) {
          const int64_t at = (j / kRowVecs) * panel_stride + (j % kRowVecs) * kBytes;
          panel[j] = Signed(LoadInts(b + at));
        }
        b += 4 * kPanel;
        if (kVecs > 1) {
          __builtin_prefetch(prefetch, 0, 2);
          prefetch += prefetch_step;
        }
        FLOE_UNROLL
        for (int i = 0; i < kRows; ++i) {
          I32 four = BroadcastFour(a[i] + k);
#if defined(FLOE_ISA_AVX512)
          // One broadcast into a register instead of one with each product.
          if (kVecs > 1) __asm__("" : "+v"(four));
#endif
          const Operand x = Unsigned(four);
          FLOE_UNROLL
          for (int j = 0; j < kVecs; ++j) c[i][j] = Dot(c[i][j], x, panel[j]);
        }
      }
    }
    // What follows loads its operands then: not before the sums, whose registers they would take.
    __asm__ volatile("" ::: "memory");
    FinishQTile<kRows, kPanels>(t, rows, c);
  }
}

// The tiles for a product of `k` by `n`.
[[maybe_unused]] const TileSet& QTileSetFor(int64_t k, int64_t n) {
#if defined(FLOE_WIDE_QTILES)
  constexpr int64_t kShort = 32, kWide = 6 * kPanel;
  if (k <= kShort && n % kWide == 0) return kWideQTileSet;
#endif
  static_cast<void>(k);
  static_cast<void>(n);
  return kQTileSet;
}

struct QTileRow {
  QTileFn fn = nullptr;
  const char* names[2] = {};  // qgemm, qconv.
};
struct QTileTable {
  QTileRow rows[kMaxTileRows + 1][kMaxTilePanels + 1];
};
constexpr QTileTable MakeQTileTable() {
  QTileTable table{};
#define FLOE_QTILE(rows_, panels_, columns)                                    \
  table.rows[rows_][panels_] = {&QTile<rows_, panels_>,                        \
                                {FLOE_VARIANT("u8_gemm_" #rows_ "x" #columns), \
                                 FLOE_VARIANT("u8_conv_" #rows_ "x" #columns)}};
  FLOE_QTILES(FLOE_QTILE)
#undef FLOE_QTILE
  return table;
}
constinit const QTileTable kQTileTable = MakeQTileTable();

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_TILE_H_
