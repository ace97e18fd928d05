// Hidden units of recurrences in vectors: those of the last vector may be fewer. Included by ISA
// files only.
#ifndef FLOE_BACKENDS_CPU_RECURRENCE_UNITS_H_
#define FLOE_BACKENDS_CPU_RECURRENCE_UNITS_H_

#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// `count` numbers, at least 1; a vector's others are zero.
FLOE_INLINE F32 LoadUnits(const float* p, int64_t count) {
  return count >= kWidth ? Load(p) : LoadTail(p, count);
}
FLOE_INLINE void StoreUnits(float* p, int64_t count, F32 v) {
  if (count >= kWidth) {
    Store(p, v);
  } else {
    StoreTail(p, count, v);
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_RECURRENCE_UNITS_H_
