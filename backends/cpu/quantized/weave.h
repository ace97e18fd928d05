// Weaving: from vectors of one byte of kBytes channels each to vectors of four bytes a channel, and
// back. It works within 128-bit lanes: of the four woven vectors, vector j holds channels 4j to
// 4j+3 of each lane's sixteen.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_WEAVE_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_WEAVE_H_

#include "backends/cpu/quantized/dot.h"

namespace floe::cpu::FLOE_ISA {
namespace {

inline constexpr int kWoven = 4;
inline constexpr int kLanes = kBytes / 16;

#if defined(FLOE_ISA_AVX512)
#define FLOE_WEAVE(name) _mm512_##name
#define FLOE_WEAVE_ZERO _mm512_setzero_si512()
#elif defined(FLOE_ISA_AVX2)
#define FLOE_WEAVE(name) _mm256_##name
#define FLOE_WEAVE_ZERO _mm256_setzero_si256()
#else
#define FLOE_WEAVE(name) _mm_##name
#define FLOE_WEAVE_ZERO _mm_setzero_si128()
#endif

// Of two pixels, then of two such pairs.
FLOE_INLINE void WeavePair(I32 x0, I32 x1, I32* low, I32* high) {
  *low = FLOE_WEAVE(unpacklo_epi8)(x0, x1);
  *high = FLOE_WEAVE(unpackhi_epi8)(x0, x1);
}
FLOE_INLINE void WeavePairs(I32 low01, I32 high01, I32 low23, I32 high23, I32 (&woven)[kWoven]) {
  woven[0] = FLOE_WEAVE(unpacklo_epi16)(low01, low23);
  woven[1] = FLOE_WEAVE(unpackhi_epi16)(low01, low23);
  woven[2] = FLOE_WEAVE(unpacklo_epi16)(high01, high23);
  woven[3] = FLOE_WEAVE(unpackhi_epi16)(high01, high23);
}
FLOE_INLINE void Weave(I32 x0, I32 x1, I32 x2, I32 x3, I32 (&woven)[kWoven]) {
  I32 low01, high01, low23, high23;
  WeavePair(x0, x1, &low01, &high01);
  WeavePair(x2, x3, &low23, &high23);
  WeavePairs(low01, high01, low23, high23, woven);
}

// Bytes of kBytes channels to integers in woven order, and back.
FLOE_INLINE void Widen(I32 bytes, I32 (&woven)[kWoven]) {
  Weave(bytes, FLOE_WEAVE_ZERO, FLOE_WEAVE_ZERO, FLOE_WEAVE_ZERO, woven);
}
FLOE_INLINE I32 Narrow(const I32 (&woven)[kWoven]) {
  return FLOE_WEAVE(packus_epi16)(FLOE_WEAVE(packs_epi32)(woven[0], woven[1]),
                                  FLOE_WEAVE(packs_epi32)(woven[2], woven[3]));
}
#undef FLOE_WEAVE
#undef FLOE_WEAVE_ZERO

// Element i of woven vector j is channel WovenChannel(j, i).
FLOE_INLINE constexpr int WovenChannel(int j, int i) { return i / 4 * 16 + j * 4 + i % 4; }

// Of 1 to kBytes bytes.
FLOE_INLINE I32 LoadChannels(const uint8_t* p, int64_t n) {
  if (n == kBytes) return LoadInts(p);
#if defined(FLOE_ISA_AVX512)
  return _mm512_maskz_loadu_epi8((uint64_t{1} << n) - 1, p);
#else
  alignas(64) uint8_t bytes[kBytes] = {};
  for (int64_t i = 0; i < n; ++i) bytes[i] = p[i];
  return LoadInts(bytes);
#endif
}
FLOE_INLINE void StoreChannels(uint8_t* p, int64_t n, I32 v) {
  if (n == kBytes) {
    StoreInts(p, v);
    return;
  }
#if defined(FLOE_ISA_AVX512)
  _mm512_mask_storeu_epi8(p, (uint64_t{1} << n) - 1, v);
#else
  alignas(64) uint8_t bytes[kBytes];
  StoreInts(bytes, v);
  for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
#endif
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_WEAVE_H_
