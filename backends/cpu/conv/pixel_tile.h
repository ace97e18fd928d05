// The micro-kernel of convolutions with few output channels (pixel_plan.h): `kSlots` vectors of
// pixels, kOutputs accumulators for each, over the whole of K; then pixels' channels are brought
// together again and stored. Included by conv/'s ISA files only.
#ifndef FLOE_BACKENDS_CPU_CONV_PIXEL_TILE_H_
#define FLOE_BACKENDS_CPU_CONV_PIXEL_TILE_H_

#include "backends/cpu/conv/pixel_plan.h"
#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

inline constexpr int kMaxOutputs = static_cast<int>(families::kFewOutputs);
inline constexpr int kMaxSlots = 8;

// Slots of a tile: as many as leave registers for the slots' pixels and a weight.
constexpr int SlotsFor(int outputs) {
#if defined(FLOE_ISA_AVX512)
  return outputs <= 6 ? 4 : 3;
#else
  return outputs == 1 ? 8 : outputs == 2 ? 4 : outputs == 3 ? 3 : outputs <= 6 ? 2 : 1;
#endif
}
static_assert(SlotsFor(1) <= kMaxSlots);
inline constexpr int kMaxRaw =
    kMaxSlots * kMaxOutputs * kWidth;  // Floats of a tile's accumulators.

struct PixelArgs {
  const float* x[kMaxSlots];  // Of a slot's first pixel.
  float* y[kMaxSlots];
  const int64_t* taps;
  int64_t k;
  const float* w;  // Rows of a panel.
  // As in TileArgs. With `raw`, output o of slot s goes to raw + (s * outputs + o) * kWidth, and
  // nothing else happens.
  const float* bias;
  bool has_scale, has_low, has_high;
  float scale, low, high;
  float* raw;
};
using PixelFn = void (*)(const PixelArgs& args);

// Channels of one pixel, at most 4 or at most 8, together.
#if defined(FLOE_ISA_SSE2)
struct Eight {
  __m128 low, high;
};
FLOE_INLINE Eight Join(__m128 low, __m128 high) { return {low, high}; }
FLOE_INLINE __m128 Low(Eight x) { return x.low; }
FLOE_INLINE __m128 High(Eight x) { return x.high; }
FLOE_INLINE void StoreEight(float* p, Eight x) {
  _mm_storeu_ps(p, x.low);
  _mm_storeu_ps(p + 4, x.high);
}
#else
using Eight = __m256;
FLOE_INLINE __m128 Low(Eight x) { return _mm256_castps256_ps128(x); }
FLOE_INLINE __m128 High(Eight x) { return _mm256_extractf128_ps(x, 1); }
FLOE_INLINE void StoreEight(float* p, Eight x) { _mm256_storeu_ps(p, x); }
#endif

// Within each 128-bit quarter, 4 vectors of pixels become 4 vectors with a pixel's 4 channels in
// each quarter: quarter q of quads[p] is pixel 4 * q + p.
FLOE_INLINE void TransposeQuarters(F32 a, F32 b, F32 c, F32 d, F32 (&quads)[4]) {
#if defined(FLOE_ISA_AVX512)
  const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
  const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
  const __m512d ab2 = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
  const __m512d cd2 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
  quads[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
  quads[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
  quads[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab2, cd2));
  quads[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab2, cd2));
#elif defined(FLOE_ISA_AVX2)
  const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
  const __m256d cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
  const __m256d ab2 = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
  const __m256d cd2 = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
  quads[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
  quads[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
  quads[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab2, cd2));
  quads[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab2, cd2));
#else
  const __m128 ab = _mm_unpacklo_ps(a, b), cd = _mm_unpacklo_ps(c, d);
  const __m128 ab2 = _mm_unpackhi_ps(a, b), cd2 = _mm_unpackhi_ps(c, d);
  quads[0] = _mm_movelh_ps(ab, cd);
  quads[1] = _mm_movehl_ps(cd, ab);
  quads[2] = _mm_movelh_ps(ab2, cd2);
  quads[3] = _mm_movehl_ps(cd2, ab2);
#endif
}

// The quarters of quads as pixels; of two sets of quads side by side.
FLOE_INLINE void SplitQuads(const F32 (&quads)[4], __m128 (&pixels)[kWidth]) {
  FLOE_UNROLL
  for (int p = 0; p < 4; ++p) {
#if defined(FLOE_ISA_AVX512)
    pixels[p] = _mm512_castps512_ps128(quads[p]);
    pixels[p + 4] = _mm512_extractf32x4_ps(quads[p], 1);
    pixels[p + 8] = _mm512_extractf32x4_ps(quads[p], 2);
    pixels[p + 12] = _mm512_extractf32x4_ps(quads[p], 3);
#elif defined(FLOE_ISA_AVX2)
    pixels[p] = _mm256_castps256_ps128(quads[p]);
    pixels[p + 4] = _mm256_extractf128_ps(quads[p], 1);
#else
    pixels[p] = quads[p];
#endif
  }
}

FLOE_INLINE void SplitQuads(const F32 (&first)[4], const F32 (&second)[4],
                            Eight (&pixels)[kWidth]) {
  FLOE_UNROLL
  for (int p = 0; p < 4; ++p) {
#if defined(FLOE_ISA_AVX512)
    const __m512d a = _mm512_castps_pd(first[p]), b = _mm512_castps_pd(second[p]);
    const __m512i low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0);
    const __m512i high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    const F32 ab = _mm512_castpd_ps(_mm512_permutex2var_pd(a, low, b));
    const F32 cd = _mm512_castpd_ps(_mm512_permutex2var_pd(a, high, b));
    pixels[p] = _mm512_castps512_ps256(ab);
    pixels[p + 4] = _mm512_extractf32x8_ps(ab, 1);
    pixels[p + 8] = _mm512_castps512_ps256(cd);
    pixels[p + 12] = _mm512_extractf32x8_ps(cd, 1);
#elif defined(FLOE_ISA_AVX2)
    pixels[p] = _mm256_permute2f128_ps(first[p], second[p], 0x20);
    pixels[p + 4] = _mm256_permute2f128_ps(first[p], second[p], 0x31);
#else
    pixels[p] = Join(first[p], second[p]);
#endif
  }
}

// Exactly n of 4 channels.
template <int kCount>
FLOE_INLINE void StoreChannels(float* p, __m128 x) {
  if constexpr (kCount == 1) {
    _mm_store_ss(p, x);
  } else if constexpr (kCount == 4) {
    _mm_storeu_ps(p, x);
  } else {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), x);
    if constexpr (kCount == 3) _mm_store_ss(p + 2, _mm_movehl_ps(x, x));
  }
}
template <int kCount>
FLOE_INLINE void StoreChannels(float* p, Eight x) {
  if constexpr (kCount == 8) {
    StoreEight(p, x);
  } else {
    _mm_storeu_ps(p, Low(x));
    StoreChannels<kCount - 4>(p + 4, High(x));
  }
}
// At least kCount channels, into memory of which the next pixel's store overwrites the rest.
template <int kCount>
FLOE_INLINE void StoreAndBeyond(float* p, __m128 x) {
  if constexpr (kCount == 3) {
    _mm_storeu_ps(p, x);
  } else {
    StoreChannels<kCount>(p, x);
  }
}
template <int kCount>
FLOE_INLINE void StoreAndBeyond(float* p, Eight x) {
  StoreEight(p, x);
}

#if defined(FLOE_ISA_AVX512)
// A whole slot at once: kOutputs vectors of 16 channels are 16 pixels, made by permutations of two
// vectors.
struct alignas(64) Lanes32 {
  int32_t lane[16];
};
struct alignas(64) Lanes64 {
  int64_t lane[8];
};

// Elements of a and b in turn, the first or the second half.
constexpr Lanes32 InTurn32(int half) {
  Lanes32 l{};
  for (int i = 0; i < 16; ++i) l.lane[i] = half * 8 + i / 2 + (i % 2) * 16;
  return l;
}
constexpr Lanes64 InTurn64(int half) {
  Lanes64 l{};
  for (int i = 0; i < 8; ++i) l.lane[i] = half * 4 + i / 2 + (i % 2) * 8;
  return l;
}
constexpr Lanes64 InTurn128(int half) {
  Lanes64 l{};
  for (int i = 0; i < 8; ++i) l.lane[i] = half * 4 + i / 4 * 2 + i % 2 + (i / 2 % 2) * 8;
  return l;
}
// Vector `part` of a, b and c in turn: first those of a and b, then those of c between them.
constexpr Lanes32 ThreeInTurn32(int part, bool last) {
  Lanes32 l{};
  for (int i = 0; i < 16; ++i) {
    const int element = (16 * part + i) / 3, from = (16 * part + i) % 3;
    l.lane[i] = last ? (from == 2 ? 16 + element : i) : (from == 1 ? 16 + element : element);
  }
  return l;
}
constexpr Lanes64 ThreeInTurn64(int part, bool last) {
  Lanes64 l{};
  for (int i = 0; i < 8; ++i) {
    const int element = (8 * part + i) / 3, from = (8 * part + i) % 3;
    l.lane[i] = last ? (from == 2 ? 8 + element : i) : (from == 1 ? 8 + element : element);
  }
  return l;
}
constexpr Lanes32 kInTurn32[2] = {InTurn32(0), InTurn32(1)};
constexpr Lanes64 kInTurn64[2] = {InTurn64(0), InTurn64(1)};
constexpr Lanes64 kInTurn128[2] = {InTurn128(0), InTurn128(1)};
constexpr Lanes32 kThreeInTurn32[3][2] = {{ThreeInTurn32(0, false), ThreeInTurn32(0, true)},
                                          {ThreeInTurn32(1, false), ThreeInTurn32(1, true)},
                                          {ThreeInTurn32(2, false), ThreeInTurn32(2, true)}};
constexpr Lanes64 kThreeInTurn64[3][2] = {{ThreeInTurn64(0, false), ThreeInTurn64(0, true)},
                                          {ThreeInTurn64(1, false), ThreeInTurn64(1, true)},
                                          {ThreeInTurn64(2, false), ThreeInTurn64(2, true)}};

FLOE_INLINE F32 Permute(F32 a, F32 b, const Lanes32& lanes) {
  return _mm512_permutex2var_ps(a, _mm512_load_si512(&lanes), b);
}
FLOE_INLINE F32 Permute(F32 a, F32 b, const Lanes64& lanes) {
  return _mm512_castpd_ps(
      _mm512_permutex2var_pd(_mm512_castps_pd(a), _mm512_load_si512(&lanes), _mm512_castps_pd(b)));
}

template <int kOutputs>
inline constexpr bool kInterleaves = kOutputs <= 4 || kOutputs == 6 || kOutputs == 8;

template <int kOutputs>
FLOE_INLINE void Interleave(const F32 (&c)[kOutputs], F32 (&out)[kOutputs]) {
  if constexpr (kOutputs == 1) {
    out[0] = c[0];
  } else if constexpr (kOutputs == 3) {
    FLOE_UNROLL
    for (int i = 0; i < 3; ++i) {
      out[i] = Permute(Permute(c[0], c[1], kThreeInTurn32[i][0]), c[2], kThreeInTurn32[i][1]);
    }
  } else {
    constexpr int kHalf = kOutputs / 2;
    FLOE_UNROLL
    for (int half = 0; half < 2; ++half) {
      F32 pairs[kHalf];  // Of 8 pixels.
      FLOE_UNROLL
      for (int i = 0; i < kHalf; ++i) {
        pairs[i] = Permute(c[2 * i], c[2 * i + 1], kInTurn32[half]);
      }
      F32* to = out + half * kHalf;
      if constexpr (kOutputs == 2) {
        to[0] = pairs[0];
      } else if constexpr (kOutputs == 4) {
        to[0] = Permute(pairs[0], pairs[1], kInTurn64[0]);
        to[1] = Permute(pairs[0], pairs[1], kInTurn64[1]);
      } else if constexpr (kOutputs == 6) {
        FLOE_UNROLL
        for (int i = 0; i < 3; ++i) {
          to[i] = Permute(Permute(pairs[0], pairs[1], kThreeInTurn64[i][0]), pairs[2],
                          kThreeInTurn64[i][1]);
        }
      } else {
        FLOE_UNROLL
        for (int i = 0; i < 2; ++i) {
          const F32 low = Permute(pairs[0], pairs[1], kInTurn64[i]);
          const F32 high = Permute(pairs[2], pairs[3], kInTurn64[i]);
          to[2 * i] = Permute(low, high, kInTurn128[0]);
          to[2 * i + 1] = Permute(low, high, kInTurn128[1]);
        }
      }
    }
  }
}

#endif

// Channels c[o] of kWidth pixels to `y`, where pixels follow each other without gaps.
template <int kOutputs>
FLOE_INLINE void StoreSlot(const F32 (&c)[kOutputs], float* y) {
#if defined(FLOE_ISA_AVX512)
  if constexpr (kInterleaves<kOutputs>) {
    F32 out[kOutputs];
    Interleave(c, out);
    FLOE_UNROLL
    for (int i = 0; i < kOutputs; ++i) Store(y + i * kWidth, out[i]);
    return;
  }
#endif
  const auto channel = [&](int o) __attribute__((always_inline)) {
    return c[o < kOutputs ? o : kOutputs - 1];
  };
  const auto store = [&](const auto& pixels) __attribute__((always_inline)) {
    FLOE_UNROLL
    for (int p = 0; p < kWidth - 1; ++p) StoreAndBeyond<kOutputs>(y + p * kOutputs, pixels[p]);
    StoreChannels<kOutputs>(y + (kWidth - 1) * kOutputs, pixels[kWidth - 1]);
  };
  if constexpr (kOutputs == 1) {
    Store(y, c[0]);
  } else {
    F32 quads[4];
    TransposeQuarters(c[0], channel(1), channel(2), channel(3), quads);
    if constexpr (kOutputs <= 4) {
      __m128 pixels[kWidth];
      SplitQuads(quads, pixels);
      store(pixels);
    } else {
      F32 more[4];
      TransposeQuarters(c[4], channel(5), channel(6), channel(7), more);
      Eight pixels[kWidth];
      SplitQuads(quads, more, pixels);
      store(pixels);
    }
  }
}

template <int kOutputs, int kSlots>
FLOE_INLINE void FinishSlots(const PixelArgs& t, F32 (&c)[kSlots][kOutputs]) {
  FLOE_UNROLL
  for (int o = 0; o < kOutputs; ++o) {
    if (t.has_scale) {
      const F32 scale = Broadcast(t.scale);
      FLOE_UNROLL
      for (int s = 0; s < kSlots; ++s) c[s][o] = Mul(c[s][o], scale);
    }
    if (t.bias != nullptr) {
      const F32 bias = Broadcast(t.bias[o]);
      FLOE_UNROLL
      for (int s = 0; s < kSlots; ++s) c[s][o] = Add(c[s][o], bias);
    }
    if (t.has_low) {
      const F32 low = Broadcast(t.low);
      FLOE_UNROLL
      for (int s = 0; s < kSlots; ++s) c[s][o] = MaxOrSecond(low, c[s][o]);
    }
    if (t.has_high) {
      const F32 high = Broadcast(t.high);
      FLOE_UNROLL
      for (int s = 0; s < kSlots; ++s) c[s][o] = MinOrSecond(high, c[s][o]);
    }
  }
}

template <int kOutputs, int kSlots>
void PixelTile(const PixelArgs& t) {
  F32 c[kSlots][kOutputs];
  const float* x[kSlots];
  FLOE_UNROLL
  for (int s = 0; s < kSlots; ++s) {
    x[s] = t.x[s];
    FLOE_UNROLL
    for (int o = 0; o < kOutputs; ++o) c[s][o] = Zero();
  }
  const float* w = t.w;
  const int64_t* const end = t.taps + t.k;
  for (const int64_t* tap = t.taps; tap != end; ++tap, w += kPanel) {
    const int64_t at = *tap;
    F32 pixels[kSlots];
    FLOE_UNROLL
    for (int s = 0; s < kSlots; ++s) pixels[s] = Load(x[s] + at);
    FLOE_UNROLL
    for (int o = 0; o < kOutputs; ++o) {
      F32 weight = Broadcast(w[o]);
#if defined(FLOE_ISA_AVX512)
      // As in the GEMM tile: one load, not one for each FMA.
      if (kSlots > 1) __asm__("" : "+v"(weight));
#endif
      FLOE_UNROLL
      for (int s = 0; s < kSlots; ++s) c[s][o] = MulAdd(pixels[s], weight, c[s][o]);
    }
  }
  if (t.raw != nullptr) {
    FLOE_UNROLL
    for (int s = 0; s < kSlots; ++s) {
      FLOE_UNROLL
      for (int o = 0; o < kOutputs; ++o) Store(t.raw + (s * kOutputs + o) * kWidth, c[s][o]);
    }
    return;
  }
  FinishSlots<kOutputs, kSlots>(t, c);
  FLOE_UNROLL
  for (int s = 0; s < kSlots; ++s) StoreSlot<kOutputs>(c[s], t.y[s]);
}

template <int kOutputs>
inline constexpr PixelFn kPixelTile = &PixelTile<kOutputs, SlotsFor(kOutputs)>;
constinit const PixelFn kPixelTiles[kMaxOutputs + 1] = {
    nullptr,       kPixelTile<1>, kPixelTile<2>, kPixelTile<3>, kPixelTile<4>,
    kPixelTile<5>, kPixelTile<6>, kPixelTile<7>, kPixelTile<8>};

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_CONV_PIXEL_TILE_H_
