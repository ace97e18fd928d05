// The LSTM's recurrence: h' = o * tanh(c'), c' = f * c + i * g, gates = xw + h R (Hochreiter and
// Schmidhuber 1997, with the forget gate of Gers et al. 2000; ONNX LSTM's equations).
//
// A phase is a time step. A task is a share of the groups of 16 units: all four gates of a group
// lie side by side in the packed R, so one pass over its rows gives all gates and the cell update
// happens in registers. The running cell state is the output c; h of a step is the step's row of y.
#include "backends/cpu/loops.h"
#include "backends/cpu/lstm/steps.h"
#include "backends/cpu/math.h"
#include "backends/cpu/narrow.h"
#include "backends/cpu/recurrence/units.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

struct LstmStep : StepOperands {
  const void* r;
};

// R as it is stored. Narrow numbers are widened exactly: all arithmetic is f32.
struct WholeWeights {
  using Stored = float;
  FLOE_INLINE static F32 Read(const float* p) { return LoadAligned(p); }
};
struct HalfWeights {
  using Stored = uint16_t;
  FLOE_INLINE static F32 Read(const uint16_t* p) { return LoadHalf(p); }
};
struct BrainWeights {
  using Stored = uint16_t;
  FLOE_INLINE static F32 Read(const uint16_t* p) { return LoadBrain(p); }
};

// kRows batch rows from n on, kParts vectors of the 16 units of `group` from vector `part` on.
template <class Weights, int kRows, int kParts>
FLOE_INLINE void LstmUnits(const LstmStep& s, int64_t group, int part, int64_t n) {
  const int64_t unit = group * kPanel + part * kWidth;
  if (unit >= s.hidden) return;
  const auto units_left = [&](int p) __attribute__((always_inline)) {
    const int64_t left = s.hidden - unit - p * kWidth;
    return left < 0 ? 0 : left;
  };
  const auto* r = static_cast<const typename Weights::Stored*>(s.r) +
                  group * s.hidden * 4 * kPanel + part * kWidth;
  F32 gates[kRows][4][kParts];
  for (int b = 0; b < kRows; ++b) {
    for (int g = 0; g < 4; ++g) {
      for (int p = 0; p < kParts; ++p) {
        const float* from = s.xw + ((n + b) * 4 + g) * s.hidden + unit + p * kWidth;
        gates[b][g][p] = units_left(p) > 0 ? LoadUnits(from, units_left(p)) : Zero();
      }
    }
  }
  if (s.h != nullptr) {
    const float* h = s.h + n * s.hidden;
    for (int64_t k = 0; k < s.hidden; ++k, r += 4 * kPanel) {
      for (int b = 0; b < kRows; ++b) {
        const F32 hk = Broadcast(h[b * s.hidden + k]);
        for (int g = 0; g < 4; ++g) {
          for (int p = 0; p < kParts; ++p) {
            const F32 w = Weights::Read(r + g * kPanel + p * kWidth);
            gates[b][g][p] = MulAdd(hk, w, gates[b][g][p]);
          }
        }
      }
    }
  }
  for (int b = 0; b < kRows; ++b) {
    for (int p = 0; p < kParts; ++p) {
      const int64_t count = units_left(p);
      if (count == 0) break;
      const int64_t at = (n + b) * s.hidden + unit + p * kWidth;
      const F32 c = s.c == nullptr ? Zero() : LoadUnits(s.c + at, count);
      const F32 next =
          MulAdd(Sigmoid(gates[b][2][p]), c, Mul(Sigmoid(gates[b][0][p]), Tanh(gates[b][3][p])));
      const F32 h = Mul(Sigmoid(gates[b][1][p]), Tanh(next));
      StoreUnits(s.c_out + at, count, next);
      StoreUnits(s.y + at, count, h);
      if (s.h_out != nullptr) StoreUnits(s.h_out + at, count, h);
    }
  }
}

template <class Weights>
void LstmGroup(const LstmStep& s, int64_t group) {
  // The registers hold 16 accumulators with AVX-512 (four rows), else 8: two rows of one vector, or
  // one row of two, so that a single row uses the cache lines of R as a whole.
  constexpr int kMost = kVectorRegisters >= 32 ? 4 : 2;
  constexpr int kParts = kRowVecs > 1 ? 2 : 1;
  int64_t n = 0;
  for (; n + kMost <= s.batch; n += kMost) {
    for (int part = 0; part < kRowVecs; ++part) LstmUnits<Weights, kMost, 1>(s, group, part, n);
  }
  for (; n < s.batch; ++n) {
    for (int part = 0; part < kRowVecs; part += kParts)
      LstmUnits<Weights, 1, kParts>(s, group, part, n);
  }
}

}  // namespace

Status PrepareLstmRecurrence(const OpInfo& op, const PrepareContext& context, void* state,
                             Schedule* schedule) {
  const int64_t steps = op.inputs[0].dims[0];
  const int64_t hidden = op.inputs[1].dims[0];
  const int64_t groups = (hidden + kPanel - 1) / kPanel;
  schedule->phases = steps == 0 ? 1u : static_cast<uint32_t>(steps);
  // A group reads 256 bytes for each hidden unit; a task should be worth some microseconds. Two
  // tasks a worker, since every step ends with a barrier.
  const int64_t grain = 65536 / (hidden * 256) + 1;
  int64_t tasks = context.workers <= 1 ? 1 : 2 * static_cast<int64_t>(context.workers);
  if (tasks > groups / grain) tasks = groups / grain;
  schedule->tasks = tasks < 1 || steps == 0 ? 1u : static_cast<uint32_t>(tasks);
  const DType weights = op.inputs[1].dtype;
  schedule->variant = weights == DType::kF16    ? FLOE_VARIANT("f16w_lstm_16u")
                      : weights == DType::kBF16 ? FLOE_VARIANT("bf16w_lstm_16u")
                                                : FLOE_VARIANT("f32_lstm_16u");
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunLstmRecurrence(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                       void*) {
  if (args.op->inputs[0].dims[0] == 0) {
    CopyInitialStates(args, 2);
    return Rule::kNone;
  }
  LstmStep step;
  SetOperands(args, phase, 2, &step);
  step.r = args.inputs[1];
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  const int64_t groups = (step.hidden + kPanel - 1) / kPanel;
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(groups, task, tasks, &first, &last);
    for (int64_t i = first; i < last; ++i) {
      // Back and forth: what the step before read last is still in the cache.
      const int64_t group = phase % 2 == 0 ? i : first + last - 1 - i;
      switch (args.op->inputs[1].dtype) {
        case DType::kF16:
          LstmGroup<HalfWeights>(step, group);
          break;
        case DType::kBF16:
          LstmGroup<BrainWeights>(step, group);
          break;
        default:
          LstmGroup<WholeWeights>(step, group);
      }
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
