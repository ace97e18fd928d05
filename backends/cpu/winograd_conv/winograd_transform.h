// The transforms of F(2x2, 3x3) and F(4x4, 3x3) on vectors of channels, one dimension at a time;
// the matrices follow from the points in backends/families/winograd.h. Included by winograd_conv's
// ISA files only.
#ifndef FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_TRANSFORM_H_
#define FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_TRANSFORM_H_

#include "backends/cpu/lanes.h"
#include "backends/cpu/narrow.h"
#include "backends/cpu/simd.h"
#include "backends/families/winograd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

inline constexpr auto kPointA = static_cast<float>(winograd::kA);
inline constexpr auto kPointB = static_cast<float>(winograd::kB);
inline constexpr float kSquareA = kPointA * kPointA;
inline constexpr float kSquareB = kPointB * kPointB;

// o = B^T d.
template <int kTile>
FLOE_INLINE void TransformInput(const F32* d, F32* o) {
  if constexpr (kTile == 4) {
    o[0] = Sub(d[2], d[0]);
    o[1] = Add(d[1], d[2]);
    o[2] = Sub(d[2], d[1]);
    o[3] = Sub(d[3], d[1]);
  } else {
    const F32 square_a = Broadcast(kSquareA), square_b = Broadcast(kSquareB);
    const F32 sum = Broadcast(kSquareA + kSquareB), product = Broadcast(kSquareA * kSquareB);
    const F32 a = Broadcast(kPointA), b = Broadcast(kPointB);
    o[0] = MulAdd(product, d[0], NegMulAdd(sum, d[2], d[4]));
    const F32 even_a = NegMulAdd(square_b, d[2], d[4]), odd_a = NegMulAdd(square_b, d[1], d[3]);
    o[1] = MulAdd(a, odd_a, even_a);
    o[2] = NegMulAdd(a, odd_a, even_a);
    const F32 even_b = NegMulAdd(square_a, d[2], d[4]), odd_b = NegMulAdd(square_a, d[1], d[3]);
    o[3] = MulAdd(b, odd_b, even_b);
    o[4] = NegMulAdd(b, odd_b, even_b);
    o[5] = MulAdd(product, d[1], NegMulAdd(sum, d[3], d[5]));
  }
}

// o = A^T m.
template <int kTile>
FLOE_INLINE void TransformOutput(const F32* m, F32* o) {
  const F32 sum_1 = Add(m[1], m[2]), difference_1 = Sub(m[1], m[2]);
  if constexpr (kTile == 4) {
    o[0] = Add(m[0], sum_1);
    o[1] = Add(difference_1, m[3]);
  } else {
    const F32 sum_2 = Add(m[3], m[4]), difference_2 = Sub(m[3], m[4]);
    o[0] = Add(m[0], Add(sum_1, sum_2));
    o[1] = MulAdd(Broadcast(kPointB), difference_2, Mul(Broadcast(kPointA), difference_1));
    o[2] = MulAdd(Broadcast(kSquareB), sum_2, Mul(Broadcast(kSquareA), sum_1));
    o[3] = Add(m[5], MulAdd(Broadcast(kSquareB * kPointB), difference_2,
                            Mul(Broadcast(kSquareA * kPointA), difference_1)));
  }
}

// Inputs and their transforms are float or, as uint16_t, bf16.
FLOE_INLINE F32 LoadNumbers(const float* p) { return Load(p); }
FLOE_INLINE F32 LoadNumbers(const uint16_t* p) { return LoadBrain(p); }
FLOE_INLINE F32 LoadSomeNumbers(const float* p, int64_t n) { return LoadTail(p, n); }
FLOE_INLINE F32 LoadSomeNumbers(const uint16_t* p, int64_t n) { return LoadBrainTail(p, n); }
FLOE_INLINE void StoreNumbers(float* p, F32 x) { Store(p, x); }
FLOE_INLINE void StoreNumbers(uint16_t* p, F32 x) { StoreBrain(p, x); }

// One vector of channels of one tile: the pixel (y, x) of it is x[y * line + x * pixel], and zero
// from row `rows` or column `columns` on (kEdge only). Element (y, x) of the result goes to matrix
// y * kTile + x.
template <int kTile, bool kEdge, bool kTail, class X>
FLOE_INLINE void TransformInputTile(const X* from, int64_t line, int64_t pixel, int64_t rows,
                                    int64_t columns, int64_t channels, X* to, int64_t matrix) {
  F32 half[kTile][kTile];
  FLOE_UNROLL
  for (int x = 0; x < kTile; ++x) {
    F32 d[kTile], o[kTile];
    FLOE_UNROLL
    for (int y = 0; y < kTile; ++y) {
      const X* p = from + y * line + x * pixel;
      if (kEdge && (y >= rows || x >= columns)) {
        d[y] = Zero();
      } else {
        d[y] = kTail ? LoadSomeNumbers(p, channels) : LoadNumbers(p);
      }
    }
    TransformInput<kTile>(d, o);
    FLOE_UNROLL
    for (int y = 0; y < kTile; ++y) half[y][x] = o[y];
  }
  FLOE_UNROLL
  for (int y = 0; y < kTile; ++y) {
    F32 o[kTile];
    TransformInput<kTile>(half[y], o);
    FLOE_UNROLL
    for (int x = 0; x < kTile; ++x) StoreNumbers(to + (y * kTile + x) * matrix, o[x]);
  }
}

// One vector of columns of one tile: outputs, row-major.
template <int kTile>
FLOE_INLINE void TransformOutputTile(const float* from, int64_t matrix, F32* out) {
  constexpr int kOutputs = kTile - 2;
  F32 half[kOutputs][kTile];
  FLOE_UNROLL
  for (int x = 0; x < kTile; ++x) {
    F32 m[kTile], o[kOutputs];
    FLOE_UNROLL
    for (int y = 0; y < kTile; ++y) m[y] = Load(from + (y * kTile + x) * matrix);
    TransformOutput<kTile>(m, o);
    FLOE_UNROLL
    for (int y = 0; y < kOutputs; ++y) half[y][x] = o[y];
  }
  FLOE_UNROLL
  for (int y = 0; y < kOutputs; ++y) TransformOutput<kTile>(half[y], out + y * kOutputs);
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_TRANSFORM_H_
