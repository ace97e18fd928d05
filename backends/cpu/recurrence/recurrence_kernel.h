// GRU (Cho et al. 2014; with the reset gate before or after the recurrent product) and plain RNN
// recurrences, ONNX's equations.
//
// A phase is a time step; where the reset gate comes before the product, every step has a second
// phase for the candidate. A task is a share of the groups of 16 units, whose gates are
// neighbouring panels of the packed weights: one GEMM tile gives all gates of a group for several
// sequences, and the cell is updated from its accumulators.
#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/loops.h"
#include "backends/cpu/math.h"
#include "backends/cpu/recurrence/units.h"
#include "backends/families/recurrence.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

using families::Cell;
using families::RecurrenceShape;

struct RecurrenceStep {
  RecurrenceShape s;
  const float* r;
  const float* bias;  // Null: 0.
  const float* xw;    // [N,G*H] of this step.
  const float* h;     // [N,H] before it; null: zeros.
  float* y;           // [N,H] of this step.
  float* last;        // [N,H] on the last step, else null.
  float* work;        // [N,2H]: reset * h, and z. Only if the reset comes before the product.
  float* sums;        // Scratch: recurrent products of a block.
};

// Products of rows [row, row + rows) of x with gates [first, first + count) of a group, into sums
// of 16 columns for each (gate, row).
struct GateSums {
  const float* sums;
  int64_t gate_step, row_step;
  FLOE_INLINE const float* at(int64_t gate, int64_t row) const {
    return sums + gate * gate_step + row * row_step;
  }
};

GateSums MultiplyGates(const RecurrenceStep& t, const float* x, int64_t x_row, int64_t group,
                       int64_t first, int64_t count, int64_t rows) {
  if (x == nullptr) {
    for (int64_t i = 0; i < rows * count * kPanel; i += kWidth) Store(t.sums + i, Zero());
    return {t.sums, kPanel, count * kPanel};
  }
  const int64_t taps[1] = {0};
  TileArgs args{};
  args.taps = taps;
  args.tap_count = 1;
  args.run = t.s.hidden;
  args.panel_stride = t.s.hidden * kPanel;
  args.last_columns = kPanel;
  for (int64_t i = 0; i < rows; ++i) {
    args.a[i] = x + i * x_row;
    args.y[i] = t.sums;
  }
  // All gates in one tile, where the ISA has it for so many rows.
  const int64_t together = Tiles().max_rows[count] >= rows ? count : 1;
  for (int64_t gate = 0; gate < count; gate += together) {
    args.b = t.r + (group * t.s.gates + first + gate) * args.panel_stride;
    args.prefetch = reinterpret_cast<const char*>(args.b);
    args.spill = t.sums + gate * rows * kPanel;
    FindTile(rows, together)(args);
  }
  if (together == count) return {t.sums, kPanel, count * kPanel};
  return {t.sums, rows * kPanel, kPanel};
}

// Some units of one sequence: `unit` is the first, `count` of them at most kWidth are there.
struct Units {
  int64_t row, unit, part, count;
};

FLOE_INLINE F32 InputOf(const RecurrenceStep& t, const Units& u, int64_t gate) {
  return LoadUnits(t.xw + (u.row * t.s.gates + gate) * t.s.hidden + u.unit, u.count);
}
FLOE_INLINE F32 HiddenOf(const RecurrenceStep& t, const Units& u) {
  return t.h == nullptr ? Zero() : LoadUnits(t.h + u.row * t.s.hidden + u.unit, u.count);
}
FLOE_INLINE void WriteHidden(const RecurrenceStep& t, const Units& u, F32 h) {
  StoreUnits(t.y + u.row * t.s.hidden + u.unit, u.count, h);
  if (t.last != nullptr) StoreUnits(t.last + u.row * t.s.hidden + u.unit, u.count, h);
}
// (1 - z) * candidate + z * h.
FLOE_INLINE F32 Blend(F32 z, F32 candidate, F32 h) {
  return MulAdd(z, h, Mul(Sub(Broadcast(1.0f), z), candidate));
}

void PlainUnits(const RecurrenceStep& t, const GateSums& sums, int64_t i, const Units& u) {
  const F32 v = Add(InputOf(t, u, 0), Load(sums.at(0, i) + u.part));
  const Cell cell = t.s.cell;
  WriteHidden(t, u, cell == Cell::kTanh ? Tanh(v) : cell == Cell::kSigmoid ? Sigmoid(v) : Relu(v));
}

void ResetAfterUnits(const RecurrenceStep& t, const GateSums& sums, int64_t i, const Units& u) {
  const F32 z = Sigmoid(Add(InputOf(t, u, 0), Load(sums.at(0, i) + u.part)));
  const F32 reset = Sigmoid(Add(InputOf(t, u, 1), Load(sums.at(1, i) + u.part)));
  F32 product = Load(sums.at(2, i) + u.part);
  if (t.bias != nullptr) product = Add(product, LoadUnits(t.bias + u.unit, u.count));
  const F32 candidate = Tanh(MulAdd(reset, product, InputOf(t, u, 2)));
  WriteHidden(t, u, Blend(z, candidate, HiddenOf(t, u)));
}

void GateUnits(const RecurrenceStep& t, const GateSums& sums, int64_t i, const Units& u) {
  const F32 z = Sigmoid(Add(InputOf(t, u, 0), Load(sums.at(0, i) + u.part)));
  const F32 reset = Sigmoid(Add(InputOf(t, u, 1), Load(sums.at(1, i) + u.part)));
  float* work = t.work + u.row * 2 * t.s.hidden + u.unit;
  StoreUnits(work, u.count, Mul(reset, HiddenOf(t, u)));
  StoreUnits(work + t.s.hidden, u.count, z);
}

void CandidateUnits(const RecurrenceStep& t, const GateSums& sums, int64_t i, const Units& u) {
  const F32 candidate = Tanh(Add(InputOf(t, u, 2), Load(sums.at(0, i) + u.part)));
  const float* work = t.work + u.row * 2 * t.s.hidden + u.unit;
  const F32 z = LoadUnits(work + t.s.hidden, u.count);
  WriteHidden(t, u, Blend(z, candidate, HiddenOf(t, u)));
}

using UnitsFn = void (*)(const RecurrenceStep&, const GateSums&, int64_t, const Units&);

// One group of 16 units for all sequences.
void RunGroup(const RecurrenceStep& t, int64_t group, const float* x, int64_t x_row, int64_t first,
              int64_t count, UnitsFn update) {
  // Many sequences: gate by gate, if that is what makes a tall tile.
  int64_t most = Tiles().max_rows[count];
  if (most == 0 || (t.s.batch > most && Tiles().max_rows[1] > 2 * most)) most = Tiles().max_rows[1];
  if (most > families::kRecurrenceRows) most = families::kRecurrenceRows;
  for (int64_t row = 0; row < t.s.batch; row += most) {
    const int64_t rows = t.s.batch - row < most ? t.s.batch - row : most;
    const GateSums sums = MultiplyGates(t, x == nullptr ? nullptr : x + row * x_row, x_row, group,
                                        first, count, rows);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t part = 0; part < kPanel; part += kWidth) {
        const int64_t unit = group * kPanel + part, left = t.s.hidden - unit;
        if (left <= 0) break;
        update(t, sums, i, {row + i, unit, part, left < kWidth ? left : kWidth});
      }
    }
  }
}

RecurrenceStep RecurrenceStepOf(const KernelArgs& args, const RecurrenceShape& s, int64_t step,
                                void* scratch) {
  const int64_t t = s.reverse ? s.steps - 1 - step : step, before = s.reverse ? t + 1 : t - 1;
  const int64_t plane = s.batch * s.hidden;
  float* y = static_cast<float*>(args.outputs[0]);
  RecurrenceStep r;
  r.s = s;
  r.r = static_cast<const float*>(args.inputs[1]);
  r.bias = static_cast<const float*>(args.inputs[2]);
  r.xw = static_cast<const float*>(args.inputs[0]) + t * s.gates * plane;
  r.h = step == 0 ? static_cast<const float*>(args.inputs[3]) : y + before * plane;
  r.y = y + t * plane;
  r.last = step + 1 == s.steps ? static_cast<float*>(args.outputs[1]) : nullptr;
  r.work = static_cast<float*>(args.outputs[2]);
  r.sums = static_cast<float*>(scratch);
  return r;
}

// Without steps the final state is the initial one.
void CopyInitialState(const KernelArgs& args, const RecurrenceShape& s) {
  const float* from = static_cast<const float*>(args.inputs[3]);
  float* to = static_cast<float*>(args.outputs[1]);
  for (int64_t k = 0; k < s.batch * s.hidden; ++k) to[k] = from == nullptr ? 0.0f : from[k];
}

}  // namespace

Status PrepareGatedRecurrence(const OpInfo& op, const PrepareContext& context, void* state,
                              Schedule* schedule) {
  const RecurrenceShape s = families::ReadRecurrence(op);
  const int64_t groups = (s.hidden + kPanel - 1) / kPanel;
  const int64_t phases = s.steps * (s.cell == Cell::kGruResetBefore ? 2 : 1);
  schedule->phases = phases == 0 ? 1u : static_cast<uint32_t>(phases);
  // As LSTM's: a task should be worth some microseconds, and every step ends with a barrier.
  const int64_t grain = 65536 / (s.hidden * s.gates * 64) + 1;
  int64_t tasks = context.workers <= 1 ? 1 : 2 * static_cast<int64_t>(context.workers);
  if (tasks > groups / grain) tasks = groups / grain;
  schedule->tasks = tasks < 1 || s.steps == 0 ? 1u : static_cast<uint32_t>(tasks);
  schedule->variant = s.gates == 3 ? FLOE_VARIANT("f32_gru_16u") : FLOE_VARIANT("f32_rnn_16u");
  *static_cast<uint32_t*>(state) = schedule->tasks;
  return OkStatus();
}

Rule RunGatedRecurrence(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                        void* scratch) {
  const RecurrenceShape s = families::ReadRecurrence(*args.op);
  if (s.steps == 0) {
    CopyInitialState(args, s);
    return Rule::kNone;
  }
  const bool two_phases = s.cell == Cell::kGruResetBefore;
  const int64_t step = two_phases ? phase / 2 : phase;
  const RecurrenceStep t = RecurrenceStepOf(args, s, step, scratch);
  const uint32_t tasks = *static_cast<const uint32_t*>(args.state);
  const int64_t groups = (s.hidden + kPanel - 1) / kPanel;
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(groups, task, tasks, &first, &last);
    for (int64_t i = first; i < last; ++i) {
      // Back and forth: what the step before read last is still in the cache.
      const int64_t group = step % 2 == 0 ? i : first + last - 1 - i;
      if (s.gates == 1) {
        RunGroup(t, group, t.h, s.hidden, 0, 1, PlainUnits);
      } else if (!two_phases) {
        RunGroup(t, group, t.h, s.hidden, 0, 3, ResetAfterUnits);
      } else if (phase % 2 == 0) {
        RunGroup(t, group, t.h, s.hidden, 0, 2, GateUnits);
      } else {
        RunGroup(t, group, t.work, 2 * s.hidden, 2, 1, CandidateUnits);
      }
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
