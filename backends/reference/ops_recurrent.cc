// LSTM, GRU and RNN in ONNX's layouts. Sums and the state between steps are double. Of a sequence
// that is shorter than T, steps beyond its length give 0 in y; y_h and y_c are its last state; the
// reverse direction starts at its last step.
#include <algorithm>

#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

constexpr int kMaxGates = 4;

struct Shape {
  int64_t steps = 0, batch = 0, inputs = 0, hidden = 0, directions = 1;
  int64_t direction = 0;  // 0 forward, 1 reverse, 2 both.
};

Shape ShapeOf(const TensorInfo& x, int64_t hidden, int64_t direction) {
  return {x.dims[0], x.dims[1], x.dims[2], hidden, direction == 2 ? 2 : 1, direction};
}

// x w r b? sequence_lens? initial_h? and outputs y, y_h, which the three ops share.
Status CheckRecurrent(const CheckArgs& a, int64_t hidden, int64_t direction, int gates,
                      Shape* shape) {
  constexpr int64_t kMaxHidden = int64_t{1} << 31;
  if (hidden < 1 || hidden > kMaxHidden || direction < 0 || direction > 2) {
    return BadAttr(1, hidden);
  }
  const TensorInfo& x = a.in(0);
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kFloats));
  if (x.rank != 3) return BadShape(0, -1, 3, x.rank);
  const Shape s = *shape = ShapeOf(x, hidden, direction);
  const int64_t rows = gates * hidden;
  const auto input = [&](uint32_t i, DType t, std::initializer_list<int64_t> dims) {
    if (!a.HasInput(i)) return OkStatus();
    FLOE_RETURN_IF_ERROR(InputIs(a, i, t));
    return InputDims(a, i, {dims.begin(), dims.size()});
  };
  FLOE_RETURN_IF_ERROR(input(1, x.dtype, {s.directions, rows, s.inputs}));
  FLOE_RETURN_IF_ERROR(input(2, x.dtype, {s.directions, rows, hidden}));
  FLOE_RETURN_IF_ERROR(input(3, x.dtype, {s.directions, 2 * rows}));
  FLOE_RETURN_IF_ERROR(input(4, DType::kI32, {s.batch}));
  FLOE_RETURN_IF_ERROR(input(5, x.dtype, {s.directions, s.batch, hidden}));
  FLOE_RETURN_IF_ERROR(input(6, x.dtype, {s.directions, s.batch, hidden}));
  FLOE_RETURN_IF_ERROR(input(7, x.dtype, {s.directions, 3 * hidden}));
  bool any = false;
  for (uint32_t i = 0; i < a.info.output_count; ++i) {
    if (!a.HasOutput(i)) continue;
    any = true;
    FLOE_RETURN_IF_ERROR(OutputIs(a, i, x.dtype));
    const int64_t y[4] = {s.steps, s.directions, s.batch, hidden};
    FLOE_RETURN_IF_ERROR(OutputDims(a, i, {y + (i > 0), static_cast<size_t>(i > 0 ? 3 : 4)}));
  }
  if (!any) return Error(Code::kInvalidFile, Rule::kInstructionResult);
  // State h and c, the gates, and one more vector.
  a.footprint.scratch_bytes = (kMaxGates + 3) * hidden * static_cast<int64_t>(sizeof(double));
  a.footprint.flops = 2.0 * static_cast<double>(s.steps) * static_cast<double>(s.batch) *
                      static_cast<double>(s.directions * rows) *
                      (static_cast<double>(s.inputs) + static_cast<double>(hidden));
  return OkStatus();
}

// Working memory of one sequence.
struct State {
  double *h, *c, *gates, *extra;
  State(void* scratch, int64_t hidden)
      : h(static_cast<double*>(scratch)),
        c(h + hidden),
        gates(c + hidden),
        extra(gates + kMaxGates * hidden) {}
};

// One direction's weights. Elements past the gates' biases of w are those of r.
template <class E>
struct Weights {
  const E *w, *r, *b, *p;
  int64_t inputs, hidden, rows;

  Weights(const RunArgs& a, const Shape& s, int64_t d, int gates)
      : inputs(s.inputs), hidden(s.hidden), rows(gates * s.hidden) {
    const auto at = [&](uint32_t i, int64_t size) {
      const auto* data = static_cast<const E*>(a.data(i));
      return data == nullptr ? nullptr : data + d * size;
    };
    w = at(1, rows * inputs);
    r = at(2, rows * hidden);
    b = at(3, 2 * rows);
    p = at(7, 3 * hidden);
  }
  double Bias(int64_t row) const { return b == nullptr ? 0 : Get<double>(b[row]); }
  double BiasR(int64_t row) const { return b == nullptr ? 0 : Get<double>(b[rows + row]); }
  double Input(int64_t row, const E* x) const { return Dot(w + row * inputs, x, inputs); }
  double Recurrent(int64_t row, const double* h) const { return Dot(r + row * hidden, h, hidden); }
  // W x + R h + both biases.
  double Sum(int64_t row, const E* x, const double* h) const {
    return Input(row, x) + Recurrent(row, h) + Bias(row) + BiasR(row);
  }
  double Peephole(int64_t gate, int64_t unit, double c) const {
    return p == nullptr ? 0 : Get<double>(p[gate * hidden + unit]) * c;
  }

  template <class F>
  static double Dot(const E* a, const F* b, int64_t n) {
    constexpr int64_t kParts = 8;
    double parts[kParts] = {};
    int64_t i = 0;
    for (; i + kParts <= n; i += kParts) {
      for (int64_t k = 0; k < kParts; ++k) {
        parts[k] += Get<double>(a[i + k]) * Get<double>(b[i + k]);
      }
    }
    for (; i < n; ++i) parts[0] += Get<double>(a[i]) * Get<double>(b[i]);
    double sum = 0;
    for (double v : parts) sum += v;
    return sum;
  }
};

template <class E>
void StepLstm(const Weights<E>& w, const E* x, const State& s) {
  const int64_t hidden = w.hidden;
  for (int64_t row = 0; row < w.rows; ++row) s.gates[row] = w.Sum(row, x, s.h);
  for (int64_t u = 0; u < hidden; ++u) {
    const double i = SigmoidOf(s.gates[u] + w.Peephole(0, u, s.c[u]));
    const double f = SigmoidOf(s.gates[2 * hidden + u] + w.Peephole(2, u, s.c[u]));
    s.c[u] = f * s.c[u] + i * std::tanh(s.gates[3 * hidden + u]);
    const double o = SigmoidOf(s.gates[hidden + u] + w.Peephole(1, u, s.c[u]));
    s.h[u] = o * std::tanh(s.c[u]);
  }
}

template <class E>
void StepGru(const Weights<E>& w, const E* x, const State& s, bool linear_before_reset) {
  const int64_t hidden = w.hidden;
  for (int64_t row = 0; row < 2 * hidden; ++row) s.gates[row] = SigmoidOf(w.Sum(row, x, s.h));
  const double *z = s.gates, *r = s.gates + hidden;
  for (int64_t u = 0; u < hidden; ++u) s.extra[u] = r[u] * s.h[u];
  double* candidate = s.gates + 2 * hidden;
  for (int64_t u = 0; u < hidden; ++u) {
    const int64_t row = 2 * hidden + u;
    const double recurrent = linear_before_reset ? r[u] * (w.Recurrent(row, s.h) + w.BiasR(row))
                                                 : w.Recurrent(row, s.extra) + w.BiasR(row);
    candidate[u] = std::tanh(w.Input(row, x) + w.Bias(row) + recurrent);
  }
  for (int64_t u = 0; u < hidden; ++u) s.h[u] = (1 - z[u]) * candidate[u] + z[u] * s.h[u];
}

template <class E>
void StepRnn(const Weights<E>& w, const E* x, const State& s, int64_t activation) {
  for (int64_t u = 0; u < w.hidden; ++u) {
    const double v = w.Sum(u, x, s.h);
    s.gates[u] = activation == 0 ? std::tanh(v) : activation == 1 ? ReluOf(v) : SigmoidOf(v);
  }
  std::copy_n(s.gates, w.hidden, s.h);
}

// Runs all sequences; step(weights, x, state) advances one by one step.
template <class E, class Step>
Rule RunSequences(const RunArgs& a, const Shape& s, int gates, Step&& step) {
  const State state(a.scratch, s.hidden);
  const DType t = a.in(0).dtype;
  const auto* x = static_cast<const E*>(a.inputs[0]);
  const auto* lengths = static_cast<const int32_t*>(a.data(4));
  for (int64_t i = 0; lengths != nullptr && i < s.batch; ++i) {
    if (lengths[i] < 0 || lengths[i] > s.steps) return Rule::kRunIndex;
  }
  for (int64_t sequence = 0; sequence < s.directions * s.batch; ++sequence) {
    const int64_t d = sequence / s.batch, n = sequence % s.batch;
    const Weights<E> weights(a, s, d, gates);
    const bool reverse = s.direction == 1 || d == 1;
    const int64_t length = lengths == nullptr ? s.steps : lengths[n];
    std::fill_n(state.h, 2 * s.hidden, 0.0);
    if (a.HasInput(5)) LoadRun<double>(t, a.inputs[5], sequence * s.hidden, s.hidden, state.h);
    if (a.HasInput(6)) LoadRun<double>(t, a.inputs[6], sequence * s.hidden, s.hidden, state.c);
    for (int64_t i = 0; i < s.steps; ++i) {
      const int64_t at = reverse && i < length ? length - 1 - i : i;
      const int64_t y_at = ((at * s.directions + d) * s.batch + n) * s.hidden;
      if (i < length) {
        step(weights, x + (at * s.batch + n) * s.inputs, state);
        if (a.HasOutput(0)) StoreRun<double>(t, a.outputs[0], y_at, s.hidden, state.h);
      } else if (a.HasOutput(0)) {
        std::fill_n(state.gates, s.hidden, 0.0);
        StoreRun<double>(t, a.outputs[0], y_at, s.hidden, state.gates);
      }
    }
    const int64_t at = sequence * s.hidden;
    if (a.HasOutput(1)) StoreRun<double>(t, a.outputs[1], at, s.hidden, state.h);
    if (a.HasOutput(2)) StoreRun<double>(t, a.outputs[2], at, s.hidden, state.c);
  }
  return Rule::kNone;
}

}  // namespace

Status CheckLstm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t hidden = attrs.Int();
  const int64_t direction = attrs.Int();
  if (!attrs.Done()) return BadAttr();
  Shape s;
  return CheckRecurrent(a, hidden, direction, 4, &s);
}

Rule RunLstm(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t hidden = attrs.Int();
  const Shape s = ShapeOf(a.in(0), hidden, attrs.Int());
  return WithFloat(a.in(0).dtype, [&]<class E>() {
    return RunSequences<E>(a, s, 4, [](const Weights<E>& w, const E* x, const State& state) {
      StepLstm(w, x, state);
    });
  });
}

Status CheckGru(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t hidden = attrs.Int();
  const int64_t direction = attrs.Int();
  const int64_t linear = attrs.Int();
  if (!attrs.Done() || linear < 0 || linear > 1) return BadAttr(1, linear);
  Shape s;
  return CheckRecurrent(a, hidden, direction, 3, &s);
}

Rule RunGru(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t hidden = attrs.Int();
  const Shape s = ShapeOf(a.in(0), hidden, attrs.Int());
  const bool linear = attrs.Int() != 0;
  return WithFloat(a.in(0).dtype, [&]<class E>() {
    return RunSequences<E>(a, s, 3, [=](const Weights<E>& w, const E* x, const State& state) {
      StepGru(w, x, state, linear);
    });
  });
}

// activation: 0 tanh, 1 relu, 2 sigmoid.
Status CheckRnn(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t hidden = attrs.Int();
  const int64_t direction = attrs.Int();
  const int64_t activation = attrs.Int();
  if (!attrs.Done() || activation < 0 || activation > 2) return BadAttr(2, activation);
  Shape s;
  return CheckRecurrent(a, hidden, direction, 1, &s);
}

Rule RunRnn(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t hidden = attrs.Int();
  const Shape s = ShapeOf(a.in(0), hidden, attrs.Int());
  const int64_t activation = attrs.Int();
  return WithFloat(a.in(0).dtype, [&]<class E>() {
    return RunSequences<E>(a, s, 1, [=](const Weights<E>& w, const E* x, const State& state) {
      StepRnn(w, x, state, activation);
    });
  });
}

}  // namespace floe::reference
