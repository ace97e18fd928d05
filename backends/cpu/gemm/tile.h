// The micro-kernel family tile<rows, panels>: accumulators in registers, all of K in one call.
// Included by gemm/'s ISA files only.
#ifndef FLOE_BACKENDS_CPU_GEMM_TILE_H_
#define FLOE_BACKENDS_CPU_GEMM_TILE_H_

#include "backends/cpu/gemm/tile_parts.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// So many products are summed in a register before they are added to the sum of those before: what
// a chain of additions rounds grows with its length. Whole models come closer to fp64 by a fifth
// than without, for less than 1 % of the time.
inline constexpr int64_t kChain = 128;

template <int kRows, int kVecs>
FLOE_INLINE void AddChains(const float* sums, F32 (&c)[kRows][kVecs]) {
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) {
      c[i][j] = Add(c[i][j], LoadAligned(sums + (i * kVecs + j) * kWidth));
    }
  }
}

// Moves the accumulators to the sums and starts anew.
template <int kRows, int kVecs>
FLOE_INLINE void EndChain(bool chained, float* sums, F32 (&c)[kRows][kVecs]) {
  if (chained) AddChains<kRows, kVecs>(sums, c);
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) {
      Store(sums + (i * kVecs + j) * kWidth, c[i][j]);
      c[i][j] = Zero();
    }
  }
}

// All of K for one tile.
template <int kRows, int kVecs>
FLOE_INLINE void MultiplyTile(const TileArgs& t, const float* const (&a)[kRows],
                              F32 (&c)[kRows][kVecs], const char** prefetch_at) {
  const float* b = t.b;
  const int64_t panel_stride = t.panel_stride;
  const char* prefetch = *prefetch_at;
  int64_t prefetch_step = t.prefetch_step;
  alignas(64) float sums[kRows * kVecs * kWidth];
  bool chained = false;
  int64_t chain = kChain;
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    int64_t k = t.taps[tap];
    const int64_t tap_end = k + t.run;
    while (k < tap_end) {
      if (chain == 0) {
        EndChain<kRows, kVecs>(chained, sums, c);
        chained = true;
        chain = kChain;
      }
      const int64_t end = tap_end - k < chain ? tap_end : k + chain;
      chain -= end - k;
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
          prefetch = Advance(prefetch, &prefetch_step);
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
  }
  if (chained) AddChains<kRows, kVecs>(sums, c);
  *prefetch_at = prefetch;
}

#if defined(FLOE_ISA_AVX512)
// As MultiplyTile where the last panel has at most 8 columns: its vectors are half as wide, which
// takes half the time on CPUs whose multipliers are.
template <int kRows, int kVecs>
FLOE_INLINE void MultiplyHalfTile(const TileArgs& t, const float* const (&a)[kRows],
                                  F32 (&c)[kRows][kVecs]) {
  const float* b = t.b;
  const int64_t panel_stride = t.panel_stride;
  alignas(64) float sums[kRows * kVecs * kWidth];
  bool chained = false;
  int64_t chain = kChain;
  __m256 half[kRows];
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) half[i] = _mm256_setzero_ps();
  const auto widen = [&] {
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) c[i][kVecs - 1] = _mm512_zextps256_ps512(half[i]);
  };
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    int64_t k = t.taps[tap];
    const int64_t tap_end = k + t.run;
    while (k < tap_end) {
      if (chain == 0) {
        widen();
        EndChain<kRows, kVecs>(chained, sums, c);
        FLOE_UNROLL
        for (int i = 0; i < kRows; ++i) half[i] = _mm256_setzero_ps();
        chained = true;
        chain = kChain;
      }
      const int64_t end = tap_end - k < chain ? tap_end : k + chain;
      chain -= end - k;
      for (; k < end; ++k) {
        __asm__("" : "+r"(k));  // One shared index, as above.
        F32 panel[kVecs - 1];
        FLOE_UNROLL
        for (int j = 0; j < kVecs - 1; ++j) panel[j] = Load(b + j * panel_stride);
        const __m256 last = _mm256_loadu_ps(b + (kVecs - 1) * panel_stride);
        b += kPanel;
        FLOE_UNROLL
        for (int i = 0; i < kRows; ++i) {
          F32 x = Broadcast(a[i][k]);
          __asm__("" : "+v"(x));
          FLOE_UNROLL
          for (int j = 0; j < kVecs - 1; ++j) c[i][j] = MulAdd(x, panel[j], c[i][j]);
          half[i] = _mm256_fmadd_ps(_mm512_castps512_ps256(x), last, half[i]);
        }
      }
    }
  }
  widen();
  if (chained) AddChains<kRows, kVecs>(sums, c);
}
#endif

// The same for one row and weights that come from main memory, where each panel is a stream of its
// own: fetching the next group's panels one after the other would not keep up.
template <int kVecs>
FLOE_INLINE void MultiplyRow(const TileArgs& t, const float* a, F32 (&c)[1][kVecs]) {
  constexpr int64_t kAhead = 16;  // Panel rows, a line each.
  const float* b = t.b;
  const int64_t panel_stride = t.panel_stride;
  int64_t ahead = kAhead * kPanel;
  int64_t left = t.tap_count * t.run - kAhead;  // Until what is ahead belongs to the next group.
  alignas(64) float sums[kVecs * kWidth];
  bool chained = false;
  int64_t chain = kChain;
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    int64_t k = t.taps[tap];
    const int64_t end = k + t.run;
    for (; k < end; ++k) {
      if (chain-- == 0) {
        EndChain<1, kVecs>(chained, sums, c);
        chained = true;
        chain = kChain - 1;
      }
      if (left-- == 0) ahead += (kVecs / kRowVecs - 1) * panel_stride;
      const F32 x = Broadcast(a[k]);
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        const float* p = b + (j / kRowVecs) * panel_stride + (j % kRowVecs) * kWidth;
        if (j % kRowVecs == 0) __builtin_prefetch(p + ahead, 0, 2);
        c[0][j] = MulAdd(x, Load(p), c[0][j]);
      }
      b += kPanel;
    }
  }
  if (chained) AddChains<1, kVecs>(sums, c);
}

// kHalf: with a last panel of at most 8 columns.
template <int kRows, int kPanels, bool kHalf = false>
void Tile(const TileArgs& t) {
  constexpr int kVecs = kPanels * kRowVecs;
  const float* const* a_rows = t.a_rows != nullptr ? t.a_rows : t.a;
  float* const* y = t.y_rows != nullptr ? t.y_rows : t.y;
  const float* const* residual = t.residual_rows != nullptr ? t.residual_rows : t.residual;
  const char* prefetch = t.prefetch;
  for (int64_t tile = 0; tile < t.tiles; ++tile) {
    F32 c[kRows][kVecs];
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) {
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) c[i][j] = Zero();
    }
    const float* a[kRows];
    FLOE_UNROLL
    for (int i = 0; i < kRows; ++i) a[i] = a_rows[i];
    PrefetchRows<kRows, kVecs>(t, y, residual);
    if constexpr (kHalf) {
      MultiplyHalfTile<kRows, kVecs>(t, a, c);
    } else if constexpr (kRows == 1) {
      if (t.far_weights) {
        MultiplyRow<kVecs>(t, a[0], c);
      } else {
        MultiplyTile<kRows, kVecs>(t, a, c, &prefetch);
      }
    } else {
      PrefetchPages(prefetch, t.prefetch_step * t.tap_count * t.run);
      MultiplyTile<kRows, kVecs>(t, a, c, &prefetch);
    }
    if (t.spill != nullptr) {
      Spill<kRows, kVecs>(t, c);
      return;
    }
    FinishInRegisters<kRows, kVecs>(t, y, residual, c);
    a_rows += kRows;
    y += kRows;
    residual += kRows;
  }
}

constexpr TileTable MakeTileTable() {
  TileTable table{};
#define FLOE_TILE(rows_, panels_, columns) \
  table.rows[rows_][panels_] = {&Tile<rows_, panels_>, FLOE_TILE_NAMES("f32", rows_, columns)};
  FLOE_TILES(FLOE_TILE)
#undef FLOE_TILE
  return table;
}
constinit const TileTable kTileTable = MakeTileTable();
#if defined(FLOE_ISA_AVX512)
// Of two panels, by rows: 24 columns are many networks' narrowest layers.
constexpr TileFn kHalfTiles[kMaxTileRows + 1] = {
    nullptr,           nullptr,           &Tile<2, 2, true>, &Tile<3, 2, true>,
    &Tile<4, 2, true>, &Tile<5, 2, true>, &Tile<6, 2, true>, &Tile<7, 2, true>,
    &Tile<8, 2, true>, &Tile<9, 2, true>, &Tile<10, 2, true>};
#endif

}  // namespace

const TileSet& Tiles() { return kTileSet; }

TileFn FindTile(int64_t rows, int64_t panels) { return kTileTable.rows[rows][panels].fn; }

TileFn FindTileOf(int64_t rows, int64_t panels, int64_t last_columns) {
#if defined(FLOE_ISA_AVX512)
  if (panels == 2 && last_columns <= kPanel / 2 && rows > 1) return kHalfTiles[rows];
#endif
  static_cast<void>(last_columns);
  return FindTile(rows, panels);
}

const char* VariantName(TileUser user, int64_t rows, int64_t panels) {
  return kTileTable.rows[rows][panels].names[static_cast<int>(user)];
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_TILE_H_
