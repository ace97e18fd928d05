// Packing activations into 16-column panels at run time: for products of two activations.
// Included by ISA files.
#ifndef FLOE_BACKENDS_CPU_GEMM_PACK_H_
#define FLOE_BACKENDS_CPU_GEMM_PACK_H_

#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// dst[c * dst_stride + r] = src[r * src_stride + c] for a block of rows x columns.
void TransposeBlock(const float* src, int64_t src_stride, int64_t rows, int64_t columns, float* dst,
                    int64_t dst_stride) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* s = src + r * src_stride;
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      __m128 x0 = _mm_loadu_ps(s + c);
      __m128 x1 = _mm_loadu_ps(s + src_stride + c);
      __m128 x2 = _mm_loadu_ps(s + 2 * src_stride + c);
      __m128 x3 = _mm_loadu_ps(s + 3 * src_stride + c);
      _MM_TRANSPOSE4_PS(x0, x1, x2, x3);
      float* d = dst + c * dst_stride + r;
      _mm_storeu_ps(d, x0);
      _mm_storeu_ps(d + dst_stride, x1);
      _mm_storeu_ps(d + 2 * dst_stride, x2);
      _mm_storeu_ps(d + 3 * dst_stride, x3);
    }
    for (; c < columns; ++c) {
      for (int64_t i = 0; i < 4; ++i) dst[c * dst_stride + r + i] = s[i * src_stride + c];
    }
  }
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) dst[c * dst_stride + r] = src[r * src_stride + c];
  }
}

// One panel: dst[kk * 16 + c] = src[kk * b_k + c * b_n], zero from column `columns` on.
void PackPanel(const float* src, int64_t b_k, int64_t b_n, int64_t k, int64_t columns, float* dst) {
  if (columns < kPanel) {
    for (int64_t kk = 0; kk < k; ++kk) {
      for (int j = 0; j < kRowVecs; ++j) Store(dst + kk * kPanel + j * kWidth, Zero());
    }
  }
  if (b_n == 1) {
    for (int64_t kk = 0; kk < k; ++kk) {
      const float* row = src + kk * b_k;
      float* to = dst + kk * kPanel;
      int64_t j = 0;
      for (; j + kWidth <= columns; j += kWidth) Store(to + j, Load(row + j));
      if (j < columns) Store(to + j, LoadTail(row + j, columns - j));
    }
  } else if (b_k == 1) {
    TransposeBlock(src, b_n, columns, k, dst, kPanel);
  } else {
    for (int64_t kk = 0; kk < k; ++kk) {
      for (int64_t c = 0; c < columns; ++c) dst[kk * kPanel + c] = src[kk * b_k + c * b_n];
    }
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_PACK_H_
