// Products of bytes in the ISA's vectors: each 32-bit lane of an accumulator gains the sum of four
// products u8 * s8, exactly, modulo 2^32. With VNNI that is one instruction. Without, even and odd
// bytes are widened to 16 bits, where two products and their sum always fit (the instruction that
// multiplies bytes directly saturates).
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_DOT_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_DOT_H_

#include <cstring>

#include "backends/cpu/lanes.h"

namespace floe::cpu::FLOE_ISA {
namespace {

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
inline constexpr bool kVnni = true;
#else
inline constexpr bool kVnni = false;
#endif

inline constexpr int kBytes = 4 * kWidth;  // Of a vector.

#if defined(FLOE_ISA_AVX512)
FLOE_INLINE I32 LoadInts(const void* p) { return _mm512_loadu_si512(p); }
FLOE_INLINE void StoreInts(void* p, I32 v) { _mm512_storeu_si512(p, v); }
FLOE_INLINE I32 EvenSigned(I32 v) { return _mm512_srai_epi16(_mm512_slli_epi16(v, 8), 8); }
FLOE_INLINE I32 OddSigned(I32 v) { return _mm512_srai_epi16(v, 8); }
FLOE_INLINE I32 EvenUnsigned(I32 v) { return _mm512_and_si512(v, _mm512_set1_epi16(0xff)); }
FLOE_INLINE I32 OddUnsigned(I32 v) { return _mm512_srli_epi16(v, 8); }
FLOE_INLINE I32 MulAddPairs(I32 a, I32 b) { return _mm512_madd_epi16(a, b); }
#elif defined(FLOE_ISA_AVX2)
FLOE_INLINE I32 LoadInts(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
FLOE_INLINE void StoreInts(void* p, I32 v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
FLOE_INLINE I32 EvenSigned(I32 v) { return _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8); }
FLOE_INLINE I32 OddSigned(I32 v) { return _mm256_srai_epi16(v, 8); }
FLOE_INLINE I32 EvenUnsigned(I32 v) { return _mm256_and_si256(v, _mm256_set1_epi16(0xff)); }
FLOE_INLINE I32 OddUnsigned(I32 v) { return _mm256_srli_epi16(v, 8); }
FLOE_INLINE I32 MulAddPairs(I32 a, I32 b) { return _mm256_madd_epi16(a, b); }
#else
FLOE_INLINE I32 LoadInts(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
FLOE_INLINE void StoreInts(void* p, I32 v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }
FLOE_INLINE I32 EvenSigned(I32 v) { return _mm_srai_epi16(_mm_slli_epi16(v, 8), 8); }
FLOE_INLINE I32 OddSigned(I32 v) { return _mm_srai_epi16(v, 8); }
FLOE_INLINE I32 EvenUnsigned(I32 v) { return _mm_and_si128(v, _mm_set1_epi16(0xff)); }
FLOE_INLINE I32 OddUnsigned(I32 v) { return _mm_srli_epi16(v, 8); }
FLOE_INLINE I32 MulAddPairs(I32 a, I32 b) { return _mm_madd_epi16(a, b); }
#endif

// Bytes as Dot takes them.
struct Operand {
  I32 v;
#if !defined(__AVX512VNNI__) && !defined(__AVXVNNI__)
  I32 odd;
#endif
};

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
FLOE_INLINE Operand Unsigned(I32 v) { return {v}; }
FLOE_INLINE Operand Signed(I32 v) { return {v}; }
FLOE_INLINE I32 Dot(I32 sum, const Operand& x, const Operand& w) {
#if defined(FLOE_ISA_AVX512)
  // As the instruction and not as its function: g++ 12 may put a copy of the sum before each.
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x.v), "v"(w.v));
  return sum;
#else
  return _mm256_dpbusd_avx_epi32(sum, x.v, w.v);
#endif
}
#else
FLOE_INLINE Operand Unsigned(I32 v) { return {EvenUnsigned(v), OddUnsigned(v)}; }
FLOE_INLINE Operand Signed(I32 v) { return {EvenSigned(v), OddSigned(v)}; }
FLOE_INLINE I32 Dot(I32 sum, const Operand& x, const Operand& w) {
  return AddInt(AddInt(sum, MulAddPairs(x.v, w.v)), MulAddPairs(x.odd, w.odd));
}
#endif

// Four bytes in every lane.
FLOE_INLINE I32 BroadcastFour(const uint8_t* p) {
  int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return BroadcastInt(four);
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_DOT_H_
