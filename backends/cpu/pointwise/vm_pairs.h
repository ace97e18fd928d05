// Pairs of the VM's instructions that run as one (vm_step.h): half of the VM's code, so it has files
// of its own, vm_pairs_<isa>.cc, which alone include this.
#ifndef FLOE_BACKENDS_CPU_POINTWISE_VM_PAIRS_H_
#define FLOE_BACKENDS_CPU_POINTWISE_VM_PAIRS_H_

#include <cstdint>

#include "backends/cpu/math.h"
#include "backends/cpu/pointwise/map_tile.h"
#include "backends/cpu/pointwise/vm_step.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// The first of a pair.
struct AddF {
  FLOE_INLINE static F32 Do(F32 a, F32 b) { return Add(a, b); }
};
struct SubF {
  FLOE_INLINE static F32 Do(F32 a, F32 b) { return Sub(a, b); }
};
struct MulF {
  FLOE_INLINE static F32 Do(F32 a, F32 b) { return Mul(a, b); }
};

// first = F(a, b); second = G(first, c) or G(first). False if the pair has no joint form.
template <class F>
[[gnu::noinline]] bool RunPairOf(const Step& t, const Step& next, int64_t rows, int64_t cols) {
  const F32 imm = Broadcast(next.imm);
  Source s[3] = {t.s[0], t.s[1], next.s[next.second ? 0 : 1]};
#define FLOE_PAIR(sources, expr)                                                     \
  MapTile<sources>(                                                                  \
      next.d, s, rows, cols, [&](const F32* x) __attribute__((always_inline))->F32 { \
        const F32 v = F::Do(x[0], x[1]);                                             \
        return expr;                                                                 \
      });                                                                            \
  return true
  switch (next.op) {
    case PwOp::kAdd:
      FLOE_PAIR(3, Add(v, x[2]));
    case PwOp::kMul:
      FLOE_PAIR(3, Mul(v, x[2]));
    case PwOp::kSub:
      if (next.second) return false;
      FLOE_PAIR(3, Sub(v, x[2]));
    case PwOp::kMax:
      FLOE_PAIR(3, Maximum(v, x[2]));
    case PwOp::kMin:
      FLOE_PAIR(3, Minimum(v, x[2]));
    case PwOp::kAddImm:
      FLOE_PAIR(2, Add(v, imm));
    case PwOp::kMulImm:
      FLOE_PAIR(2, Mul(v, imm));
    case PwOp::kRelu:
      FLOE_PAIR(2, Relu(v));
    case PwOp::kSigmoid:
      FLOE_PAIR(2, Sigmoid(v));
    case PwOp::kSilu:
      FLOE_PAIR(2, Silu(v));
    case PwOp::kTanh:
      FLOE_PAIR(2, Tanh(v));
    case PwOp::kGelu:
      FLOE_PAIR(2, Gelu(v));
    default:
      return false;
  }
#undef FLOE_PAIR
}

}  // namespace

bool RunPair(const Step& t, const Step& next, int64_t rows, int64_t cols) {
  switch (t.op) {
    case PwOp::kAdd:
      return RunPairOf<AddF>(t, next, rows, cols);
    case PwOp::kSub:
      return RunPairOf<SubF>(t, next, rows, cols);
    case PwOp::kMul:
      return RunPairOf<MulF>(t, next, rows, cols);
    default:
      return false;
  }
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_POINTWISE_VM_PAIRS_H_
