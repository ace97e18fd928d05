// The micro-kernels for 16-bit weights. Sums, epilogues and residuals are f32.
//   Half: f16 weights, widened as they are loaded; otherwise as tile.h's.
//   Pairs: products of bf16 pairs, by the ISA's own instruction or widened to f32 FMAs.
// Included by gemm/'s ISA files only.
#ifndef FLOE_BACKENDS_CPU_GEMM_NARROW_TILE_H_
#define FLOE_BACKENDS_CPU_GEMM_NARROW_TILE_H_

#include "backends/cpu/gemm/tile_parts.h"
#include "backends/cpu/narrow.h"

namespace floe::cpu::FLOE_ISA {
namespace {

template <int kRows, int kVecs>
FLOE_INLINE void ClearTile(F32 (&c)[kRows][kVecs]) {
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) c[i][j] = Zero();
  }
}

// Stays in a register: as a memory operand it would take the load port for each use.
FLOE_INLINE F32 Held(F32 x) {
#if defined(FLOE_ISA_AVX512)
  __asm__("" : "+v"(x));
#endif
  return x;
}

template <int kRows, int kPanels>
void HalfTile(const TileArgs& t) {
  constexpr int kVecs = kPanels * kRowVecs;
  F32 c[kRows][kVecs];
  ClearTile<kRows, kVecs>(c);
  const float* a[kRows];
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) a[i] = t.a[i];
  PrefetchRows<kRows, kVecs>(t);
  const auto* b = reinterpret_cast<const uint16_t*>(t.b);
  const char* prefetch = t.prefetch;
  int64_t prefetch_step = t.prefetch_step;
  PrefetchPages(prefetch, prefetch_step * t.tap_count * t.run);
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    int64_t k = t.taps[tap];
    const int64_t end = k + t.run;
    for (; k < end; ++k) {
      __asm__("" : "+r"(k));  // One shared index: see tile.h.
      F32 panel[kVecs];
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        panel[j] = LoadHalf(b + (j / kRowVecs) * t.panel_stride + (j % kRowVecs) * kWidth);
      }
      b += kPanel;
      __builtin_prefetch(prefetch, 0, 2);
      prefetch = Advance(prefetch, &prefetch_step);
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) {
        const F32 x = Held(Broadcast(a[i][k]));
        FLOE_UNROLL
        for (int j = 0; j < kVecs; ++j) c[i][j] = MulAdd(x, panel[j], c[i][j]);
      }
    }
  }
  if (t.spill != nullptr) {
    Spill<kRows, kVecs>(t, c);
    return;
  }
  FinishInRegisters<kRows, kVecs>(t, c);
}

// A pair of a's numbers in every lane; of the last one of an odd run only the first.
template <bool kSingle>
FLOE_INLINE F32 BroadcastPair(const uint16_t* p) {
  uint32_t bits = *p;
  if (!kSingle) __builtin_memcpy(&bits, p, sizeof bits);
  return Broadcast(__builtin_bit_cast(float, bits));
}

// One row of the panels.
template <int kRows, int kVecs, bool kSingle>
FLOE_INLINE void PairStep(const uint16_t* const (&a)[kRows], int64_t k, const float* b,
                          int64_t panel_stride, F32 (&c)[kRows][kVecs]) {
  F32 panel[kVecs];
  FLOE_UNROLL
  for (int j = 0; j < kVecs; ++j) {
    panel[j] = Load(b + (j / kRowVecs) * panel_stride + (j % kRowVecs) * kWidth);
  }
#if defined(__AVX512BF16__)
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const F32 x = Held(BroadcastPair<kSingle>(a[i] + k));
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) {
      c[i][j] = _mm512_dpbf16_ps(c[i][j], (__m512bh)x, (__m512bh)panel[j]);
    }
  }
#else
  // The even numbers of the pairs, then the odd ones, for few live registers.
  F32 half[kVecs];
  FLOE_UNROLL
  for (int j = 0; j < kVecs; ++j) half[j] = EvenOf(panel[j]);
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const F32 x = EvenOf(BroadcastPair<kSingle>(a[i] + k));
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) c[i][j] = MulAdd(x, half[j], c[i][j]);
  }
  if (kSingle) return;
  FLOE_UNROLL
  for (int j = 0; j < kVecs; ++j) half[j] = OddOf(panel[j]);
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const F32 x = OddOf(BroadcastPair<kSingle>(a[i] + k));
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) c[i][j] = MulAdd(x, half[j], c[i][j]);
  }
#endif
}

// (Masked stores of words take Zen 4 tens of cycles: only for a panel that is not whole.)
template <int kRows, int kVecs>
FLOE_INLINE void StoreNarrow(const TileArgs& t, const F32 (&c)[kRows][kVecs]) {
  constexpr int kLast = kWidth == kPanel ? kVecs - 1 : kVecs;  // Other ISAs spill such panels.
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kLast; ++j) StoreBrain(t.y16[i] + j * kWidth, c[i][j]);
  }
  if constexpr (kLast < kVecs) {
    if (t.last_columns == kPanel) {
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) StoreBrain(t.y16[i] + kLast * kWidth, c[i][kLast]);
    } else {
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) {
        StoreBrainTail(t.y16[i] + kLast * kWidth, t.last_columns, c[i][kLast]);
      }
    }
  }
}

// The bf16 rows of y that the epilogue stores arrive while the tile is computed.
template <int kRows, int kVecs>
FLOE_INLINE void PrefetchNarrowRows(const TileArgs& t) {
  constexpr int kLine = 32;
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs * kWidth; j += kLine) __builtin_prefetch(t.y16[i] + j, 1, 3);
  }
}

template <int kRows, int kPanels>
void PairTile(const TileArgs& t) {
  constexpr int kVecs = kPanels * kRowVecs;
  F32 c[kRows][kVecs];
  ClearTile<kRows, kVecs>(c);
  const uint16_t* a[kRows];
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) a[i] = t.a16[i];
  if (t.narrow_y && !t.has_residual && kWidth == kPanel) {
    PrefetchNarrowRows<kRows, kVecs>(t);
  } else {
    PrefetchRows<kRows, kVecs>(t);
  }
  const float* b = t.b;
  const int64_t panel_stride = t.panel_stride;
  const char* prefetch = t.prefetch;
  int64_t prefetch_step = t.prefetch_step;
  PrefetchPages(prefetch, prefetch_step * t.tap_count * (t.run / 2));
  const int64_t even = t.run & ~int64_t{1};
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    int64_t k = t.taps[tap];
    const int64_t end = k + even;
    for (; k < end; k += 2) {
      __asm__("" : "+r"(k));  // One shared index: see tile.h.
      PairStep<kRows, kVecs, false>(a, k, b, panel_stride, c);
      b += kPanel;
      if (kVecs > 1) {
        __builtin_prefetch(prefetch, 0, 2);
        prefetch = Advance(prefetch, &prefetch_step);
      }
    }
    if (even != t.run) {
      PairStep<kRows, kVecs, true>(a, k, b, panel_stride, c);
      b += kPanel;
    }
  }
  if (t.spill != nullptr) {
    Spill<kRows, kVecs>(t, c);
  } else if (t.narrow_y) {
    ApplyEpilogue<kRows, kVecs>(t, c);
    StoreNarrow<kRows, kVecs>(t, c);
  } else {
    FinishInRegisters<kRows, kVecs>(t, c);
  }
}

}  // namespace

// FLOE_TILE_KIND(Half, costs) defines `const TileKind& HalfTiles()` of the tiles that FLOE_TILE
// adds to a table; `costs` is the tile set.
#define FLOE_TILE_KIND(Kind, costs)                                                                \
  namespace {                                                                                      \
  constexpr TileTable Make##Kind##Tiles() {                                                        \
    TileTable table{};                                                                             \
    FLOE_TILES(FLOE_TILE)                                                                          \
    return table;                                                                                  \
  }                                                                                                \
  constinit const TileTable k##Kind##Table = Make##Kind##Tiles();                                  \
  TileFn Find##Kind(int64_t rows, int64_t panels) { return k##Kind##Table.rows[rows][panels].fn; } \
  const char* Name##Kind(TileUser user, int64_t rows, int64_t panels) {                            \
    return k##Kind##Table.rows[rows][panels].names[static_cast<int>(user)];                        \
  }                                                                                                \
  constinit const TileKind k##Kind##Kind = {costs, &Find##Kind, &Name##Kind};                      \
  }                                                                                                \
  const TileKind& Kind##Tiles() { return k##Kind##Kind; }

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_NARROW_TILE_H_
