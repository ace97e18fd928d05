// f16 and bf16 in memory, f32 in registers. Included by ISA files only (see simd.h).
#ifndef FLOE_BACKENDS_CPU_NARROW_H_
#define FLOE_BACKENDS_CPU_NARROW_H_

#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// LoadHalf:   kWidth f16, exactly widened.
// LoadBrain:  kWidth bf16, exactly widened.
// StoreBrain: kWidth bf16, rounded to nearest even whatever MXCSR says; NaN stays NaN. Where the
// ISA
//             has an instruction for it, subnormal numbers become zero.
// EvenOf, OddOf: of kWidth pairs of bf16, as their bits were loaded, the first or second numbers.
#if defined(FLOE_ISA_AVX512)

FLOE_INLINE F32 LoadHalf(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
FLOE_INLINE F32 EvenOf(F32 pairs) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}
FLOE_INLINE F32 OddOf(F32 pairs) {
  const __m512i high = _mm512_set1_epi32(static_cast<int32_t>(0xffff0000u));
  return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), high));
}
FLOE_INLINE F32 LoadBrain(const uint16_t* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
FLOE_INLINE __m256i ToBrain(F32 x) {
#if defined(__AVX512BF16__)
  return (__m256i)_mm512_cvtneps_pbh(x);
#else
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i up = _mm512_add_epi32(_mm512_set1_epi32(0x7fff), odd);
  const __m512i rounded =
      _mm512_mask_or_epi32(_mm512_add_epi32(bits, up), _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), bits,
                           _mm512_set1_epi32(0x400000));
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
#endif
}
FLOE_INLINE void StoreBrain(uint16_t* p, F32 x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), ToBrain(x));
}
FLOE_INLINE void StoreBrainTail(uint16_t* p, int64_t n, F32 x) {
  _mm256_mask_storeu_epi16(p, TailMask(n), ToBrain(x));
}

#else

#if defined(FLOE_ISA_AVX2)

FLOE_INLINE F32 LoadHalf(const uint16_t* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
FLOE_INLINE F32 EvenOf(F32 pairs) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
}
FLOE_INLINE F32 OddOf(F32 pairs) {
  const __m256i high = _mm256_set1_epi32(static_cast<int32_t>(0xffff0000u));
  return _mm256_castsi256_ps(_mm256_and_si256(_mm256_castps_si256(pairs), high));
}
FLOE_INLINE F32 LoadBrain(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
FLOE_INLINE void StoreBrain(uint16_t* p, F32 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(_mm256_set1_epi32(0x7fff), odd);
  const __m256 quiet = _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x400000)));
  const __m256 rounded = _mm256_castsi256_ps(_mm256_add_epi32(bits, up));
  const __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
  const __m256i top =
      _mm256_srli_epi32(_mm256_castps_si256(_mm256_blendv_ps(rounded, quiet, nan)), 16);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm_packus_epi32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1)));
}

#else

FLOE_INLINE __m128i Either(__m128i mask, __m128i yes, __m128i no) {
  return _mm_or_si128(_mm_and_si128(mask, yes), _mm_andnot_si128(mask, no));
}
FLOE_INLINE F32 LoadHalf(const uint16_t* p) {
  const __m128i h =
      _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128());
  const __m128i size = _mm_and_si128(h, _mm_set1_epi32(0x7fff));
  const __m128i sign = _mm_slli_epi32(_mm_and_si128(h, _mm_set1_epi32(0x8000)), 16);
  // The exponent's bias is 127 instead of 15; infinity and NaN move by the same again.
  const __m128i special = _mm_cmpgt_epi32(size, _mm_set1_epi32(0x7bff));
  const __m128i bias = Either(special, _mm_set1_epi32(224 << 23), _mm_set1_epi32(112 << 23));
  const __m128i normal = _mm_add_epi32(_mm_slli_epi32(size, 13), bias);
  // Subnormal numbers count in steps of 2^-24, which does not depend on MXCSR's denormal modes.
  const __m128i small =
      _mm_castps_si128(_mm_mul_ps(_mm_cvtepi32_ps(size), _mm_set1_ps(1.0f / 16777216)));
  const __m128i subnormal = _mm_cmplt_epi32(size, _mm_set1_epi32(0x400));
  return _mm_castsi128_ps(_mm_or_si128(Either(subnormal, small, normal), sign));
}
FLOE_INLINE F32 EvenOf(F32 pairs) {
  return _mm_castsi128_ps(_mm_slli_epi32(_mm_castps_si128(pairs), 16));
}
FLOE_INLINE F32 OddOf(F32 pairs) {
  const __m128i high = _mm_set1_epi32(static_cast<int32_t>(0xffff0000u));
  return _mm_castsi128_ps(_mm_and_si128(_mm_castps_si128(pairs), high));
}
FLOE_INLINE F32 LoadBrain(const uint16_t* p) {
  const __m128i bits = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), bits));
}
FLOE_INLINE void StoreBrain(uint16_t* p, F32 x) {
  const __m128i bits = _mm_castps_si128(x);
  const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
  const __m128i rounded = _mm_add_epi32(bits, _mm_add_epi32(_mm_set1_epi32(0x7fff), odd));
  const __m128i quiet = _mm_or_si128(bits, _mm_set1_epi32(0x400000));
  const __m128i nan = _mm_castps_si128(_mm_cmpunord_ps(x, x));
  // Arithmetic, so that packing with signed saturation changes nothing.
  const __m128i top = _mm_srai_epi32(Either(nan, quiet, rounded), 16);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi32(top, top));
}

#endif

FLOE_INLINE void StoreBrainTail(uint16_t* p, int64_t n, F32 x) {
  uint16_t all[kWidth];
  StoreBrain(all, x);
  for (int64_t i = 0; i < n; ++i) p[i] = all[i];
}

#endif

// Of n < kWidth; the rest is zero.
FLOE_INLINE F32 LoadHalfTail(const uint16_t* p, int64_t n) {
  uint16_t all[kWidth] = {};
  for (int64_t i = 0; i < n; ++i) all[i] = p[i];
  return LoadHalf(all);
}
FLOE_INLINE F32 LoadBrainTail(const uint16_t* p, int64_t n) {
  uint16_t all[kWidth] = {};
  for (int64_t i = 0; i < n; ++i) all[i] = p[i];
  return LoadBrain(all);
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_NARROW_H_
