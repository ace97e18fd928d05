// Family qlstm_recurrence: lstm/lstm_kernel.h with 8-bit weights. Each step quantises the h before
// it by its own range, all rows together, and multiplies bytes; the rest is f32.
//
// A phase is a time step. A task is a share of the groups of 16 units, whose four gates are four
// panels side by side. Every worker quantises h for itself: that is far less than a share of the
// weights, and saves a barrier.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_RECURRENCE_KERNEL_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_RECURRENCE_KERNEL_H_

#include "backends/cpu/loops.h"
#include "backends/cpu/lstm/steps.h"
#include "backends/cpu/math.h"
#include "backends/cpu/quantized/dynamic.h"
#include "backends/cpu/recurrence/units.h"
#include "backends/families/quantized.h"
#include "backends/kernel.h"
#include "format/checked.h"

namespace floe::cpu::FLOE_ISA {
namespace {

constexpr int kGates = 4;  // Input, output, forget, cell.

struct QLstmStep : StepOperands {
  const int8_t* r;
  const int32_t* sums;
  const float* scale;
  // h in bytes, rows of QLstmPitch.
  const uint8_t* bytes;
  Quantizer quantizer;
};

// The gates' recurrent products of kRows batch rows from n on, and one vector of the 16 units of
// `group`, that from unit `part` on.
template <int kRows>
FLOE_INLINE void SumGates(const QLstmStep& s, int64_t group, int64_t part, int64_t n,
                          I32 (&sums)[kRows][kGates]) {
  const int64_t groups = CeilDiv(s.hidden, 4), panel = groups * 4 * kPanel;
  const int8_t* r = s.r + group * kGates * panel + part * 4;
  const int64_t column = group * kGates * kPanel + part;
  const auto zp = static_cast<uint32_t>(s.quantizer.zp);
  FLOE_UNROLL
  for (int g = 0; g < kGates; ++g) {
    alignas(64) int32_t start[kWidth];
    for (int i = 0; i < kWidth; ++i) {
      const uint32_t zero = zp * static_cast<uint32_t>(s.sums[column + g * kPanel + i]);
      start[i] = static_cast<int32_t>(0u - zero);
    }
    FLOE_UNROLL
    for (int b = 0; b < kRows; ++b) sums[b][g] = LoadInts(start);
  }
  const int64_t pitch = families::QLstmPitch(s.hidden);
  const uint8_t* h = s.bytes + n * pitch;
  for (int64_t k = 0; k < groups; ++k, r += 4 * kPanel) {
    Operand weights[kGates];
    FLOE_UNROLL
    for (int g = 0; g < kGates; ++g) weights[g] = Signed(LoadInts(r + g * panel));
    FLOE_UNROLL
    for (int b = 0; b < kRows; ++b) {
      const Operand four = Unsigned(BroadcastFour(h + b * pitch + 4 * k));
      FLOE_UNROLL
      for (int g = 0; g < kGates; ++g) sums[b][g] = Dot(sums[b][g], four, weights[g]);
    }
  }
}

template <int kRows>
FLOE_INLINE void QLstmUnits(const QLstmStep& s, int64_t group, int64_t part, int64_t n) {
  const int64_t unit = group * kPanel + part;
  const int64_t count = s.hidden - unit;
  if (count <= 0) return;
  I32 sums[kRows][kGates];
  if (s.h != nullptr) SumGates<kRows>(s, group, part, n, sums);
  for (int b = 0; b < kRows; ++b) {
    F32 gates[kGates];
    FLOE_UNROLL
    for (int g = 0; g < kGates; ++g) {
      gates[g] = LoadUnits(s.xw + ((n + b) * kGates + g) * s.hidden + unit, count);
      if (s.h == nullptr) continue;
      const F32 scale =
          Mul(Broadcast(s.quantizer.scale), Load(s.scale + (group * kGates + g) * kPanel + part));
      gates[g] = Add(gates[g], Mul(ToFloat(sums[b][g]), scale));
    }
    const int64_t at = (n + b) * s.hidden + unit;
    const F32 c = s.c == nullptr ? Zero() : LoadUnits(s.c + at, count);
    const F32 next = MulAdd(Sigmoid(gates[2]), c, Mul(Sigmoid(gates[0]), Tanh(gates[3])));
    const F32 h = Mul(Sigmoid(gates[1]), Tanh(next));
    StoreUnits(s.c_out + at, count, next);
    StoreUnits(s.y + at, count, h);
    if (s.h_out != nullptr) StoreUnits(s.h_out + at, count, h);
  }
}

void QLstmGroup(const QLstmStep& s, int64_t group) {
  constexpr int kMost = kVectorRegisters < 32 ? 1 : kVnni ? 6 : 3;
  for (int64_t part = 0; part < kPanel; part += kWidth) {
    int64_t n = 0;
    for (; n + kMost <= s.batch; n += kMost) QLstmUnits<kMost>(s, group, part, n);
    for (; n < s.batch; ++n) QLstmUnits<1>(s, group, part, n);
  }
}

QLstmStep StepOf(const KernelArgs& args, uint32_t phase) {
  QLstmStep s;
  SetOperands(args, phase, 4, &s);
  s.r = static_cast<const int8_t*>(args.inputs[1]);
  s.sums = static_cast<const int32_t*>(args.inputs[2]);
  s.scale = static_cast<const float*>(args.inputs[3]);
  return s;
}

// Bytes of h, and of the zeros that fill up rows to whole groups of four.
void QuantizeState(uint8_t* bytes, QLstmStep* s) {
  s->bytes = bytes;
  if (s->h == nullptr) return;
  const int64_t pitch = families::QLstmPitch(s->hidden);
  s->quantizer = QuantizerOf(RangeOf(s->h, s->batch * s->hidden));
  for (int64_t n = 0; n < s->batch; ++n) {
    QuantizeAll(s->h + n * s->hidden, s->hidden, s->quantizer, bytes + n * pitch);
    for (int64_t i = s->hidden; i < pitch; ++i) bytes[n * pitch + i] = 0;
  }
}

}  // namespace

Status PrepareQLstmRecurrence(const OpInfo& op, const PrepareContext& context, void* state,
                              Schedule* schedule) {
  const int64_t steps = op.inputs[0].dims[0];
  const int64_t hidden = op.inputs[1].dims[0];
  const int64_t groups = CeilDiv(hidden, kPanel);
  schedule->phases = steps == 0 ? 1u : static_cast<uint32_t>(steps);
  // A group reads 64 bytes for each hidden unit; a task should be worth some microseconds.
  const int64_t grain = 65536 / (hidden * 64) + 1;
  int64_t tasks = context.workers;
  if (tasks > groups / grain) tasks = groups / grain;
  schedule->tasks = tasks < 1 || steps == 0 ? 1u : static_cast<uint32_t>(tasks);
  schedule->variant = FLOE_VARIANT("u8_lstm_16u");
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunQLstmRecurrence(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                        void* scratch) {
  if (args.op->inputs[0].dims[0] == 0) {
    CopyInitialStates(args, 4);
    return Rule::kNone;
  }
  QLstmStep step = StepOf(args, phase);
  QuantizeState(static_cast<uint8_t*>(scratch), &step);
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(CeilDiv(step.hidden, kPanel), task, tasks, &first, &last);
    for (int64_t i = first; i < last; ++i) {
      // Back and forth: what the step before read last is still in the cache.
      QLstmGroup(step, phase % 2 == 0 ? i : first + last - 1 - i);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_RECURRENCE_KERNEL_H_
