// From accumulators to bytes, a panel of 16 columns at a time (kRowVecs vectors).
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_REQUANTIZE_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_REQUANTIZE_H_

#include "backends/cpu/quantized/dot.h"
#include "backends/families/quantized.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Sixteen bytes in columns' order from one panel's integers, which fit in a byte.
FLOE_INLINE __m128i PackPanel(const I32 (&q)[kRowVecs]) {
#if defined(FLOE_ISA_AVX512)
  return _mm512_cvtepi32_epi8(q[0]);
#elif defined(FLOE_ISA_AVX2)
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(q[0], q[1]), 0xd8);
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
#else
  return _mm_packus_epi16(_mm_packs_epi32(q[0], q[1]), _mm_packs_epi32(q[2], q[3]));
#endif
}

// The reverse.
FLOE_INLINE void UnpackPanel(__m128i bytes, I32 (&q)[kRowVecs]) {
#if defined(FLOE_ISA_AVX512)
  q[0] = _mm512_cvtepu8_epi32(bytes);
#elif defined(FLOE_ISA_AVX2)
  q[0] = _mm256_cvtepu8_epi32(bytes);
  q[1] = _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8));
#else
  const __m128i zero = _mm_setzero_si128();
  const __m128i low = _mm_unpacklo_epi8(bytes, zero), high = _mm_unpackhi_epi8(bytes, zero);
  q[0] = _mm_unpacklo_epi16(low, zero);
  q[1] = _mm_unpackhi_epi16(low, zero);
  q[2] = _mm_unpacklo_epi16(high, zero);
  q[3] = _mm_unpackhi_epi16(high, zero);
#endif
}

// Of 1 to 16 bytes; no others are touched.
FLOE_INLINE __m128i LoadSome(const uint8_t* p, int64_t n) {
  if (n == kPanel) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
#if defined(FLOE_ISA_AVX512)
  return _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << n) - 1u), p);
#else
  alignas(16) uint8_t bytes[kPanel] = {};
  for (int64_t i = 0; i < n; ++i) bytes[i] = p[i];
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
#endif
}
FLOE_INLINE void StoreSome(uint8_t* p, int64_t n, __m128i v) {
  if (n == kPanel) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
    return;
  }
#if defined(FLOE_ISA_AVX512)
  _mm_mask_storeu_epi8(p, static_cast<__mmask16>((1u << n) - 1u), v);
#else
  alignas(16) uint8_t bytes[kPanel];
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes), v);
  for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
#endif
}

// The constants of a Run, in vectors.
struct Requantizer {
  explicit Requantizer(const families::Requantize& w, bool with_residual)
      : residual(with_residual),
        low(Broadcast(static_cast<float>(w.low - w.y_zp))),
        high(Broadcast(static_cast<float>(w.high - w.y_zp))),
        zp(BroadcastInt(w.y_zp)),
        t_low(Broadcast(static_cast<float>(w.t_low - w.t_zp))),
        t_high(Broadcast(static_cast<float>(w.t_high - w.t_zp))),
        t_ratio(Broadcast(w.t_ratio)),
        r_ratio(Broadcast(w.r_ratio)),
        r_zp(BroadcastInt(w.r_zp)) {}

  bool residual;
  F32 low, high;
  I32 zp;
  F32 t_low, t_high, t_ratio, r_ratio;
  I32 r_zp;
};

// (The second of MaxOrSecond wins against NaN.)
FLOE_INLINE I32 RoundWithin(F32 v, F32 low, F32 high) {
  return ToInt(MinOrSecond(MaxOrSecond(v, low), high));
}

// One vector of columns; `other` is the residual's.
FLOE_INLINE I32 RequantizeVector(const Requantizer& r, I32 sums, F32 scale) {
  return AddInt(RoundWithin(Mul(ToFloat(sums), scale), r.low, r.high), r.zp);
}
FLOE_INLINE I32 RequantizeVector(const Requantizer& r, I32 sums, F32 scale, I32 other) {
  const I32 t = RoundWithin(Mul(ToFloat(sums), scale), r.t_low, r.t_high);
  const F32 scaled = Mul(ToFloat(t), r.t_ratio);
  const F32 added = Mul(ToFloat(SubInt(other, r.r_zp)), r.r_ratio);
  return AddInt(RoundWithin(Add(scaled, added), r.low, r.high), r.zp);
}

// One panel of one row: `n` columns of accumulators to bytes at y; `scale` has 16.
FLOE_INLINE void RequantizePanel(const Requantizer& r, const I32 (&sums)[kRowVecs],
                                 const F32 (&scale)[kRowVecs], const uint8_t* residual, int64_t n,
                                 uint8_t* y) {
  I32 q[kRowVecs];
  if (!r.residual) {
    FLOE_UNROLL
    for (int v = 0; v < kRowVecs; ++v) q[v] = RequantizeVector(r, sums[v], scale[v]);
  } else {
    I32 other[kRowVecs];
    UnpackPanel(LoadSome(residual, n), other);
    FLOE_UNROLL
    for (int v = 0; v < kRowVecs; ++v) q[v] = RequantizeVector(r, sums[v], scale[v], other[v]);
  }
  StoreSome(y, n, PackPanel(q));
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_REQUANTIZE_H_
