// What the LSTM recurrences of floats and of bytes share: operands of a time step, and the states
// without any. Included by ISA files only.
#ifndef FLOE_BACKENDS_CPU_LSTM_STEPS_H_
#define FLOE_BACKENDS_CPU_LSTM_STEPS_H_

#include "backends/cpu/lanes.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// One step's operands but for the weights.
struct StepOperands {
  int64_t batch, hidden;
  const float* xw;  // [N,4H] of this step.
  const float* h;   // [N,H] or null (zeros).
  const float* c;   // [N,H] or null (zeros).
  float* y;         // [N,H] of this step.
  float* c_out;     // [N,H].
  float* h_out;     // [N,H] on the last step, else null.
};

// Of kernels with inputs xw, r, ... and, from `states` on, h0? and c0?; outputs y, h, c; and the
// attribute `reverse`.
FLOE_INLINE void SetOperands(const KernelArgs& args, uint32_t phase, int states, StepOperands* s) {
  const OpInfo& op = *args.op;
  const int64_t steps = op.inputs[0].dims[0];
  s->batch = op.inputs[0].dims[1];
  s->hidden = op.inputs[1].dims[0];
  const bool reverse = op.attrs[0] != 0;
  const int64_t t = reverse ? steps - 1 - phase : phase;
  const int64_t before = reverse ? t + 1 : t - 1;
  const int64_t plane = s->batch * s->hidden;
  auto* y = static_cast<float*>(args.outputs[0]);
  auto* c = static_cast<float*>(args.outputs[2]);
  s->xw = static_cast<const float*>(args.inputs[0]) + t * 4 * plane;
  s->h = phase == 0 ? static_cast<const float*>(args.inputs[states]) : y + before * plane;
  s->c = phase == 0 ? static_cast<const float*>(args.inputs[states + 1]) : c;
  s->y = y + t * plane;
  s->c_out = c;
  s->h_out = phase + 1 == steps ? static_cast<float*>(args.outputs[1]) : nullptr;
}

// Without steps the final states are the initial ones.
FLOE_INLINE void CopyInitialStates(const KernelArgs& args, int states) {
  const int64_t n = args.op->inputs[0].dims[1] * args.op->inputs[1].dims[0];
  for (int i = 0; i < 2; ++i) {
    const auto* from = static_cast<const float*>(args.inputs[states + i]);
    auto* to = static_cast<float*>(args.outputs[1 + i]);
    for (int64_t k = 0; k < n; ++k) to[k] = from == nullptr ? 0.0f : from[k];
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_LSTM_STEPS_H_
