// The loops under the VM's instructions: a function of vectors over a tile. Per ISA; included by
// the VM's ISA files.
#ifndef FLOE_BACKENDS_CPU_POINTWISE_MAP_TILE_H_
#define FLOE_BACKENDS_CPU_POINTWISE_MAP_TILE_H_

#include <cstdint>

#include "backends/cpu/pointwise/vm_step.h"
#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// d[r][c] = f(s0[r][c], s1[r][c], ...).
template <int kSources, class F>
FLOE_INLINE void MapTile(Destination d, const Source* s, int64_t rows, int64_t cols, F f) {
  bool flat = rows > 1 && d.row_stride == cols;
  for (int k = 0; k < kSources; ++k) {
    flat &= s[k].vector ? s[k].row_stride == cols : s[k].row_stride == 0;
  }
  if (flat) {
    cols *= rows;
    rows = 1;
  }
  alignas(64) float lanes[kSources][kWidth];
  // From the last row back: a scalar source may be kept at the start of the buffer that is written.
  for (int64_t r = rows - 1; r >= 0; --r) {
    const float* p[kSources];
    int64_t mask[kSources];  // 0 keeps a scalar source at its lanes.
    for (int k = 0; k < kSources; ++k) {
      p[k] = s[k].p + r * s[k].row_stride;
      mask[k] = -1;
      if (!s[k].vector) {
        Store(lanes[k], Broadcast(*p[k]));
        p[k] = lanes[k];
        mask[k] = 0;
      }
    }
    float* out = d.p + r * d.row_stride;
    int64_t i = 0;
    for (; i + 2 * kWidth <= cols; i += 2 * kWidth) {
      F32 x[2][3];
      for (int k = 0; k < kSources; ++k) x[0][k] = Load(p[k] + (i & mask[k]));
      for (int k = 0; k < kSources; ++k) x[1][k] = Load(p[k] + ((i + kWidth) & mask[k]));
      const F32 y0 = f(x[0]), y1 = f(x[1]);
      Store(out + i, y0);
      Store(out + i + kWidth, y1);
    }
    for (; i < cols; i += kWidth) {
      const int64_t n = cols - i < kWidth ? cols - i : kWidth;
      F32 x[3];
      for (int k = 0; k < kSources; ++k) {
        x[k] = n == kWidth ? Load(p[k] + (i & mask[k])) : LoadTail(p[k] + (i & mask[k]), n);
      }
      const F32 y = f(x);
      if (n == kWidth) {
        Store(out + i, y);
      } else {
        StoreTail(out + i, n, y);
      }
    }
  }
}

}  // namespace

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_POINTWISE_MAP_TILE_H_
