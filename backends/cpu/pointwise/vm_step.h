// What the files of the pointwise VM hand each other.
#ifndef FLOE_BACKENDS_CPU_POINTWISE_VM_STEP_H_
#define FLOE_BACKENDS_CPU_POINTWISE_VM_STEP_H_

#include <cstdint>

#include "backends/cpu/pointwise/tile_vm.h"
#include "format/pointwise.h"

namespace floe::cpu {

// An instruction with its operands found.
struct Step {
  PwOp op;
  uint8_t dst;
  bool second;  // The step's value is the next one's b, not its a (pairs only).
  float imm;
  Source s[3];
  Destination d;
};

// Runs `t` and `next`, which reads t's value once and overwrites it, as one: no other value
// changes, both roundings stay. False if the pair has no joint form; then nothing has happened.
#define FLOE_VM_PAIRS bool RunPair(const Step& t, const Step& next, int64_t rows, int64_t cols);
namespace sse2 {
FLOE_VM_PAIRS
}  // namespace sse2
namespace avx2 {
FLOE_VM_PAIRS
}  // namespace avx2
namespace avx512 {
FLOE_VM_PAIRS
}  // namespace avx512
#undef FLOE_VM_PAIRS

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_POINTWISE_VM_STEP_H_
