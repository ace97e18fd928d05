// What vector functions need beyond simd.h: comparisons, masks, integers, rounding. Per ISA, as
// simd.h. A Mask has one truth value per lane; the comparisons are false for NaN, NotEqual is true.
#ifndef FLOE_BACKENDS_CPU_LANES_H_
#define FLOE_BACKENDS_CPU_LANES_H_

#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

#if defined(FLOE_ISA_AVX512)

using I32 = __m512i;
using Mask = __mmask16;

FLOE_INLINE F32 Div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
FLOE_INLINE F32 Sqrt(F32 a) { return _mm512_sqrt_ps(a); }
FLOE_INLINE Mask Equal(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
FLOE_INLINE Mask NotEqual(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ); }
FLOE_INLINE Mask Less(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
FLOE_INLINE Mask LessEqual(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
FLOE_INLINE Mask Both(Mask a, Mask b) { return static_cast<Mask>(a & b); }
FLOE_INLINE Mask Either(Mask a, Mask b) { return static_cast<Mask>(a | b); }
FLOE_INLINE bool AnyLane(Mask a) { return a != 0; }
FLOE_INLINE F32 Choose(Mask m, F32 yes, F32 no) { return _mm512_mask_blend_ps(m, no, yes); }
FLOE_INLINE F32 BitAnd(F32 a, F32 b) { return _mm512_and_ps(a, b); }
FLOE_INLINE F32 BitOr(F32 a, F32 b) { return _mm512_or_ps(a, b); }
FLOE_INLINE F32 BitXor(F32 a, F32 b) { return _mm512_xor_ps(a, b); }
FLOE_INLINE F32 BitAndNot(F32 mask, F32 a) { return _mm512_andnot_ps(mask, a); }
FLOE_INLINE F32 NegMulAdd(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }
FLOE_INLINE F32 Round(F32 a) { return _mm512_roundscale_ps(a, 8); }
FLOE_INLINE F32 Floor(F32 a) { return _mm512_roundscale_ps(a, 9); }
FLOE_INLINE F32 Ceil(F32 a) { return _mm512_roundscale_ps(a, 10); }
FLOE_INLINE I32 ToInt(F32 a) { return _mm512_cvtps_epi32(a); }
FLOE_INLINE F32 ToFloat(I32 a) { return _mm512_cvtepi32_ps(a); }
FLOE_INLINE I32 Bits(F32 a) { return _mm512_castps_si512(a); }
FLOE_INLINE F32 FromBits(I32 a) { return _mm512_castsi512_ps(a); }
FLOE_INLINE I32 BroadcastInt(int32_t a) { return _mm512_set1_epi32(a); }
FLOE_INLINE I32 AddInt(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
FLOE_INLINE I32 SubInt(I32 a, I32 b) { return _mm512_sub_epi32(a, b); }
FLOE_INLINE I32 AndInt(I32 a, I32 b) { return _mm512_and_si512(a, b); }
template <int kBits>
FLOE_INLINE I32 ShiftLeft(I32 a) {
  return _mm512_slli_epi32(a, kBits);
}
template <int kBits>
FLOE_INLINE I32 ShiftRight(I32 a) {  // Arithmetic.
  return _mm512_srai_epi32(a, kBits);
}

#elif defined(FLOE_ISA_AVX2)

using I32 = __m256i;
using Mask = __m256;

FLOE_INLINE F32 Div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
FLOE_INLINE F32 Sqrt(F32 a) { return _mm256_sqrt_ps(a); }
FLOE_INLINE Mask Equal(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
FLOE_INLINE Mask NotEqual(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_NEQ_UQ); }
FLOE_INLINE Mask Less(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
FLOE_INLINE Mask LessEqual(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
FLOE_INLINE Mask Both(Mask a, Mask b) { return _mm256_and_ps(a, b); }
FLOE_INLINE Mask Either(Mask a, Mask b) { return _mm256_or_ps(a, b); }
FLOE_INLINE bool AnyLane(Mask a) { return _mm256_movemask_ps(a) != 0; }
FLOE_INLINE F32 Choose(Mask m, F32 yes, F32 no) { return _mm256_blendv_ps(no, yes, m); }
FLOE_INLINE F32 BitAnd(F32 a, F32 b) { return _mm256_and_ps(a, b); }
FLOE_INLINE F32 BitOr(F32 a, F32 b) { return _mm256_or_ps(a, b); }
FLOE_INLINE F32 BitXor(F32 a, F32 b) { return _mm256_xor_ps(a, b); }
FLOE_INLINE F32 BitAndNot(F32 mask, F32 a) { return _mm256_andnot_ps(mask, a); }
FLOE_INLINE F32 NegMulAdd(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }
FLOE_INLINE F32 Round(F32 a) { return _mm256_round_ps(a, 8); }
FLOE_INLINE F32 Floor(F32 a) { return _mm256_round_ps(a, 9); }
FLOE_INLINE F32 Ceil(F32 a) { return _mm256_round_ps(a, 10); }
FLOE_INLINE I32 ToInt(F32 a) { return _mm256_cvtps_epi32(a); }
FLOE_INLINE F32 ToFloat(I32 a) { return _mm256_cvtepi32_ps(a); }
FLOE_INLINE I32 Bits(F32 a) { return _mm256_castps_si256(a); }
FLOE_INLINE F32 FromBits(I32 a) { return _mm256_castsi256_ps(a); }
FLOE_INLINE I32 BroadcastInt(int32_t a) { return _mm256_set1_epi32(a); }
FLOE_INLINE I32 AddInt(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
FLOE_INLINE I32 SubInt(I32 a, I32 b) { return _mm256_sub_epi32(a, b); }
FLOE_INLINE I32 AndInt(I32 a, I32 b) { return _mm256_and_si256(a, b); }
template <int kBits>
FLOE_INLINE I32 ShiftLeft(I32 a) {
  return _mm256_slli_epi32(a, kBits);
}
template <int kBits>
FLOE_INLINE I32 ShiftRight(I32 a) {  // Arithmetic.
  return _mm256_srai_epi32(a, kBits);
}

#else

using I32 = __m128i;
using Mask = __m128;

FLOE_INLINE F32 Div(F32 a, F32 b) { return _mm_div_ps(a, b); }
FLOE_INLINE F32 Sqrt(F32 a) { return _mm_sqrt_ps(a); }
FLOE_INLINE Mask Equal(F32 a, F32 b) { return _mm_cmpeq_ps(a, b); }
FLOE_INLINE Mask NotEqual(F32 a, F32 b) { return _mm_cmpneq_ps(a, b); }
FLOE_INLINE Mask Less(F32 a, F32 b) { return _mm_cmplt_ps(a, b); }
FLOE_INLINE Mask LessEqual(F32 a, F32 b) { return _mm_cmple_ps(a, b); }
FLOE_INLINE Mask Both(Mask a, Mask b) { return _mm_and_ps(a, b); }
FLOE_INLINE Mask Either(Mask a, Mask b) { return _mm_or_ps(a, b); }
FLOE_INLINE bool AnyLane(Mask a) { return _mm_movemask_ps(a) != 0; }
FLOE_INLINE F32 Choose(Mask m, F32 yes, F32 no) {
  return _mm_or_ps(_mm_and_ps(m, yes), _mm_andnot_ps(m, no));
}
FLOE_INLINE F32 BitAnd(F32 a, F32 b) { return _mm_and_ps(a, b); }
FLOE_INLINE F32 BitOr(F32 a, F32 b) { return _mm_or_ps(a, b); }
FLOE_INLINE F32 BitXor(F32 a, F32 b) { return _mm_xor_ps(a, b); }
FLOE_INLINE F32 BitAndNot(F32 mask, F32 a) { return _mm_andnot_ps(mask, a); }
FLOE_INLINE F32 NegMulAdd(F32 a, F32 b, F32 c) { return _mm_sub_ps(c, _mm_mul_ps(a, b)); }
// SSE2 has no rounding instruction: adding 2^23 to |a| rounds it, unless it is that large already.
FLOE_INLINE F32 Round(F32 a) {
  const F32 sign = _mm_and_ps(a, _mm_set1_ps(-0.0f));
  const F32 magnitude = _mm_xor_ps(a, sign), big = _mm_set1_ps(8388608.0f);
  const F32 rounded = _mm_or_ps(_mm_sub_ps(_mm_add_ps(magnitude, big), big), sign);
  return Choose(_mm_cmplt_ps(magnitude, big), rounded, a);
}
FLOE_INLINE F32 Floor(F32 a) {
  const F32 r = Round(a), sign = _mm_and_ps(a, _mm_set1_ps(-0.0f));
  const F32 down = _mm_sub_ps(r, _mm_and_ps(_mm_cmpgt_ps(r, a), _mm_set1_ps(1.0f)));
  return _mm_or_ps(down, sign);
}
FLOE_INLINE F32 Ceil(F32 a) {
  const F32 r = Round(a), sign = _mm_and_ps(a, _mm_set1_ps(-0.0f));
  const F32 up = _mm_add_ps(r, _mm_and_ps(_mm_cmplt_ps(r, a), _mm_set1_ps(1.0f)));
  return _mm_or_ps(up, sign);
}
FLOE_INLINE I32 ToInt(F32 a) { return _mm_cvtps_epi32(a); }
FLOE_INLINE F32 ToFloat(I32 a) { return _mm_cvtepi32_ps(a); }
FLOE_INLINE I32 Bits(F32 a) { return _mm_castps_si128(a); }
FLOE_INLINE F32 FromBits(I32 a) { return _mm_castsi128_ps(a); }
FLOE_INLINE I32 BroadcastInt(int32_t a) { return _mm_set1_epi32(a); }
FLOE_INLINE I32 AddInt(I32 a, I32 b) { return _mm_add_epi32(a, b); }
FLOE_INLINE I32 SubInt(I32 a, I32 b) { return _mm_sub_epi32(a, b); }
FLOE_INLINE I32 AndInt(I32 a, I32 b) { return _mm_and_si128(a, b); }
template <int kBits>
FLOE_INLINE I32 ShiftLeft(I32 a) {
  return _mm_slli_epi32(a, kBits);
}
template <int kBits>
FLOE_INLINE I32 ShiftRight(I32 a) {  // Arithmetic.
  return _mm_srai_epi32(a, kBits);
}

#endif
// Above: NegMulAdd is c - a * b, rounded as MulAdd. Round is half to even; Round, Floor and Ceil
// keep NaN, infinities and the sign of zero. ToInt rounds half to even.

FLOE_INLINE F32 SignBit() { return Broadcast(-0.0f); }
FLOE_INLINE F32 Abs(F32 a) { return BitAndNot(SignBit(), a); }
FLOE_INLINE F32 Neg(F32 a) { return BitXor(a, SignBit()); }
// |magnitude| with the sign of `sign`; magnitude must not be negative.
FLOE_INLINE F32 WithSign(F32 magnitude, F32 sign) {
  return BitOr(magnitude, BitAnd(sign, SignBit()));
}
FLOE_INLINE F32 Truth(Mask m) { return Choose(m, Broadcast(1.0f), Zero()); }
FLOE_INLINE Mask IsNan(F32 a) { return NotEqual(a, a); }
// IEEE 754-2019 minimum and maximum: NaN if either is (a sum carries it).
FLOE_INLINE F32 Minimum(F32 a, F32 b) { return Choose(IsNan(a), a, MinOrSecond(a, b)); }
FLOE_INLINE F32 Maximum(F32 a, F32 b) { return Choose(IsNan(a), a, MaxOrSecond(a, b)); }

// Horizontal results: halves are folded onto each other, so the order depends on kWidth only.
#if defined(FLOE_ISA_AVX512)
FLOE_INLINE __m256 LowHalf(__m512 a) { return _mm512_castps512_ps256(a); }
FLOE_INLINE __m256 HighHalf(__m512 a) { return _mm512_extractf32x8_ps(a, 1); }
FLOE_INLINE __m256 AddHalves(__m512 a) { return _mm256_add_ps(LowHalf(a), HighHalf(a)); }
FLOE_INLINE __m256 MaxHalves(__m512 a) { return _mm256_max_ps(LowHalf(a), HighHalf(a)); }
#endif
#if !defined(FLOE_ISA_SSE2)
FLOE_INLINE __m128 AddHalves(__m256 a) {
  return _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
}
FLOE_INLINE __m128 MaxHalves(__m256 a) {
  return _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
}
#endif
FLOE_INLINE float SumLanes(F32 a) {
#if defined(FLOE_ISA_AVX512)
  __m128 s = AddHalves(AddHalves(a));
#elif defined(FLOE_ISA_AVX2)
  __m128 s = AddHalves(a);
#else
  __m128 s = a;
#endif
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}
// Of lanes of which none is NaN.
FLOE_INLINE float MaxNumberLanes(F32 a) {
#if defined(FLOE_ISA_AVX512)
  __m128 m = MaxHalves(MaxHalves(a));
#elif defined(FLOE_ISA_AVX2)
  __m128 m = MaxHalves(a);
#else
  __m128 m = a;
#endif
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}
// NaN if any lane is.
FLOE_INLINE float MaxLanes(F32 a) {
  return AnyLane(IsNan(a)) ? __builtin_nanf("") : MaxNumberLanes(a);
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_LANES_H_
