#include "backends/families/recurrence.h"

#include <cmath>

#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

using families::Cell;
using families::RecurrenceShape;

double Sigmoid(double v) { return 1.0 / (1.0 + std::exp(-v)); }

struct Step {
  const OpInfo& op;
  RecurrenceShape s;
  const float* r;
  const float* bias;
  const float* xw;  // [G*H] of this step and sequence.
  const float* h;   // [H] before the step.

  double Input(int64_t gate, int64_t u) const { return xw[gate * s.hidden + u]; }
  double Recurrent(const float* x, int64_t gate, int64_t u) const {
    double sum = 0;
    for (int64_t k = 0; k < s.hidden; ++k) {
      const int64_t at[2] = {k, families::RecurrenceColumn(s.gates, gate, u)};
      sum += static_cast<double>(x[k]) * r[ElementOffset(op.inputs[1], at)];
    }
    return sum;
  }
  double Activated(double v) const {
    return s.cell == Cell::kTanh      ? std::tanh(v)
           : s.cell == Cell::kSigmoid ? Sigmoid(v)
           : v < 0                    ? 0.0
                                      : v;
  }
};

// work: [2H], for the cell whose reset comes before the product.
void Advance(const Step& t, float* work, float* y) {
  const int64_t hidden = t.s.hidden;
  if (t.s.gates == 1) {
    for (int64_t u = 0; u < hidden; ++u) {
      y[u] = static_cast<float>(t.Activated(t.Input(0, u) + t.Recurrent(t.h, 0, u)));
    }
    return;
  }
  const bool after = t.s.cell == Cell::kGruResetAfter;
  for (int64_t u = 0; u < hidden && !after; ++u) {
    const double reset = Sigmoid(t.Input(1, u) + t.Recurrent(t.h, 1, u));
    work[u] = static_cast<float>(reset * t.h[u]);
    work[hidden + u] = static_cast<float>(Sigmoid(t.Input(0, u) + t.Recurrent(t.h, 0, u)));
  }
  for (int64_t u = 0; u < hidden; ++u) {
    double z, candidate;
    if (after) {
      z = Sigmoid(t.Input(0, u) + t.Recurrent(t.h, 0, u));
      const double reset = Sigmoid(t.Input(1, u) + t.Recurrent(t.h, 1, u));
      const double product = t.Recurrent(t.h, 2, u) + (t.bias == nullptr ? 0.0 : t.bias[u]);
      candidate = t.Input(2, u) + reset * product;
    } else {
      z = work[hidden + u];
      candidate = t.Input(2, u) + t.Recurrent(work, 2, u);
    }
    y[u] = static_cast<float>((1 - z) * std::tanh(candidate) + z * t.h[u]);
  }
}

}  // namespace

Status PrepareGatedRecurrence(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "gated_recurrence_plain";
  return OkStatus();
}

Rule RunGatedRecurrence(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  const OpInfo& op = *args.op;
  const RecurrenceShape s = families::ReadRecurrence(op);
  const auto* h0 = static_cast<const float*>(args.inputs[3]);
  auto* y = static_cast<float*>(args.outputs[0]);
  auto* last = static_cast<float*>(args.outputs[1]);
  auto* work = static_cast<float*>(args.outputs[2]);
  const int64_t plane = s.batch * s.hidden;
  for (int64_t i = 0; i < plane; ++i) last[i] = h0 == nullptr ? 0.0f : h0[i];
  const float* before = last;
  for (int64_t step = 0; step < s.steps; ++step) {
    const int64_t t = s.reverse ? s.steps - 1 - step : step;
    for (int64_t n = 0; n < s.batch; ++n) {
      Step at{op,
              s,
              static_cast<const float*>(args.inputs[1]),
              static_cast<const float*>(args.inputs[2]),
              static_cast<const float*>(args.inputs[0]) + (t * s.batch + n) * s.gates * s.hidden,
              before + n * s.hidden};
      Advance(at, work == nullptr ? nullptr : work + n * 2 * s.hidden,
              y + (t * s.batch + n) * s.hidden);
    }
    before = y + t * plane;
  }
  for (int64_t i = 0; s.steps > 0 && i < plane; ++i) last[i] = before[i];
  return Rule::kNone;
}

}  // namespace floe::reference::twins
