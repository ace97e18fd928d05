// The vector of floats of the ISA that this file is compiled for, as the compiler's own type with
// one spelling of the few operations that kernels need.
//
// Only ISA files (floe_cpu_family in CMakeLists.txt) include this. FLOE_ISA, which CMake
// defines, is the namespace of the ISA: everything here is in its unnamed namespace, so nothing can
// be shared between ISAs. A row of a 16-column panel is kRowVecs vectors.
#ifndef FLOE_BACKENDS_CPU_SIMD_H_
#define FLOE_BACKENDS_CPU_SIMD_H_

#include <immintrin.h>

#include <cstdint>

#if defined(__AVX512F__)
#define FLOE_ISA_AVX512 1
#elif defined(__AVX2__) && defined(__FMA__)
#define FLOE_ISA_AVX2 1
#else
#define FLOE_ISA_SSE2 1
#endif

// A file for an ISA with a base calls what the base's files export.
#if defined(FLOE_BASE_ISA)
namespace floe::cpu {
namespace FLOE_BASE_ISA {}
namespace FLOE_ISA {
using namespace FLOE_BASE_ISA;
}  // namespace FLOE_ISA
}  // namespace floe::cpu
#endif

#define FLOE_STR_(x) #x
#define FLOE_STR(x) FLOE_STR_(x)
#define FLOE_ISA_NAME FLOE_STR(FLOE_ISA)
// Variant names in profiles: FLOE_VARIANT("f32_gemm_6x64") is "f32_gemm_6x64__avx512".
#define FLOE_VARIANT(text) text "__" FLOE_ISA_NAME
#define FLOE_INLINE [[gnu::always_inline, maybe_unused]] inline

// Before a loop with a constant trip count whose arrays must become registers. Not for the address
// sanitizer: it looks at every access in memory, and unrolled files take minutes to compile.
#if defined(__SANITIZE_ADDRESS__)
#define FLOE_UNROLL
#elif defined(__clang__)
#define FLOE_UNROLL _Pragma("unroll")
#else
#define FLOE_UNROLL _Pragma("GCC unroll 16")
#endif

namespace floe::cpu::FLOE_ISA {
namespace {

inline constexpr int kPanel = 16;  // Columns of a weight panel.

#if defined(FLOE_ISA_AVX512)

using F32 = __m512;
inline constexpr int kWidth = 16;
inline constexpr int kVectorRegisters = 32;
inline constexpr bool kFusedMulAdd = true;

FLOE_INLINE __mmask16 TailMask(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
FLOE_INLINE F32 Zero() { return _mm512_setzero_ps(); }
FLOE_INLINE F32 Broadcast(float x) { return _mm512_set1_ps(x); }
FLOE_INLINE F32 Load(const float* p) { return _mm512_loadu_ps(p); }
FLOE_INLINE F32 LoadAligned(const float* p) { return _mm512_load_ps(p); }
FLOE_INLINE void Store(float* p, F32 x) { _mm512_storeu_ps(p, x); }
FLOE_INLINE F32 LoadTail(const float* p, int64_t n) {
  return _mm512_maskz_loadu_ps(TailMask(n), p);
}
FLOE_INLINE void StoreTail(float* p, int64_t n, F32 x) { _mm512_mask_storeu_ps(p, TailMask(n), x); }
FLOE_INLINE F32 Add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
FLOE_INLINE F32 Sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
FLOE_INLINE F32 Mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
FLOE_INLINE F32 MulAdd(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }
FLOE_INLINE F32 MinOrSecond(F32 a, F32 b) { return _mm512_min_ps(a, b); }
FLOE_INLINE F32 MaxOrSecond(F32 a, F32 b) { return _mm512_max_ps(a, b); }

#elif defined(FLOE_ISA_AVX2)

using F32 = __m256;
inline constexpr int kWidth = 8;
inline constexpr int kVectorRegisters = 16;
inline constexpr bool kFusedMulAdd = true;

alignas(32) inline constexpr int32_t kTailMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                       0,  0,  0,  0,  0,  0,  0,  0};
FLOE_INLINE __m256i TailMask(int64_t n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kTailMasks + 8 - n));
}
FLOE_INLINE F32 Zero() { return _mm256_setzero_ps(); }
FLOE_INLINE F32 Broadcast(float x) { return _mm256_set1_ps(x); }
FLOE_INLINE F32 Load(const float* p) { return _mm256_loadu_ps(p); }
FLOE_INLINE F32 LoadAligned(const float* p) { return _mm256_load_ps(p); }
FLOE_INLINE void Store(float* p, F32 x) { _mm256_storeu_ps(p, x); }
FLOE_INLINE F32 LoadTail(const float* p, int64_t n) { return _mm256_maskload_ps(p, TailMask(n)); }
FLOE_INLINE void StoreTail(float* p, int64_t n, F32 x) { _mm256_maskstore_ps(p, TailMask(n), x); }
FLOE_INLINE F32 Add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
FLOE_INLINE F32 Sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
FLOE_INLINE F32 Mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
FLOE_INLINE F32 MulAdd(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }
FLOE_INLINE F32 MinOrSecond(F32 a, F32 b) { return _mm256_min_ps(a, b); }
FLOE_INLINE F32 MaxOrSecond(F32 a, F32 b) { return _mm256_max_ps(a, b); }

#else

using F32 = __m128;
inline constexpr int kWidth = 4;
inline constexpr int kVectorRegisters = 16;
inline constexpr bool kFusedMulAdd = false;

FLOE_INLINE F32 Zero() { return _mm_setzero_ps(); }
FLOE_INLINE F32 Broadcast(float x) { return _mm_set1_ps(x); }
FLOE_INLINE F32 Load(const float* p) { return _mm_loadu_ps(p); }
FLOE_INLINE F32 LoadAligned(const float* p) { return _mm_load_ps(p); }
FLOE_INLINE void Store(float* p, F32 x) { _mm_storeu_ps(p, x); }
FLOE_INLINE F32 LoadTail(const float* p, int64_t n) {
  alignas(16) float x[4] = {};
  for (int64_t i = 0; i < n; ++i) x[i] = p[i];
  return _mm_load_ps(x);
}
FLOE_INLINE void StoreTail(float* p, int64_t n, F32 v) {
  alignas(16) float x[4];
  _mm_store_ps(x, v);
  for (int64_t i = 0; i < n; ++i) p[i] = x[i];
}
FLOE_INLINE F32 Add(F32 a, F32 b) { return _mm_add_ps(a, b); }
FLOE_INLINE F32 Sub(F32 a, F32 b) { return _mm_sub_ps(a, b); }
FLOE_INLINE F32 Mul(F32 a, F32 b) { return _mm_mul_ps(a, b); }
FLOE_INLINE F32 MulAdd(F32 a, F32 b, F32 c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
FLOE_INLINE F32 MinOrSecond(F32 a, F32 b) { return _mm_min_ps(a, b); }
FLOE_INLINE F32 MaxOrSecond(F32 a, F32 b) { return _mm_max_ps(a, b); }

#endif
// Above: LoadAligned needs the vector's own alignment. LoadTail and StoreTail touch n elements,
// 0 <= n <= kWidth; the rest of the loaded vector is zero. MulAdd rounds once where the ISA has FMA
// (kFusedMulAdd). MinOrSecond and MaxOrSecond give b if either is NaN: with b the data and a
// a number, NaN passes through.

inline constexpr int kRowVecs = kPanel / kWidth;

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_SIMD_H_
