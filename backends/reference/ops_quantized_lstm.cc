// LSTM with 8-bit weights whose activations are quantised as they come: x over all of its steps at
// once, h before each step over all rows, both as dynamic_quantize does it. All else is f32 in the
// roundings of the kernels, but for the functions of the gates, which are double.
#include <algorithm>
#include <cmath>

#include "backends/reference/dynamic_range.h"
#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

constexpr int64_t kGates = 4;

struct Shape {
  int64_t hidden, direction;
  int64_t steps = 0, batch = 0, inputs = 0, directions = 1;

  Shape(AttrReader* attrs, const TensorInfo& x) : hidden(attrs->Int()), direction(attrs->Int()) {
    directions = direction == 2 ? 2 : 1;
    if (x.rank != 3) return;
    steps = x.dims[0];
    batch = x.dims[1];
    inputs = x.dims[2];
  }
  int64_t plane() const { return batch * hidden; }
};

// x - zero of each number, in bytes of the range.
void CentredBytes(const DynamicRange& range, const float* x, int64_t count, int32_t* y) {
  for (int64_t i = 0; i < count; ++i) y[i] = range.Byte(x[i]) - range.zero;
}

// One direction's weights, [K,4H] each.
struct Weights {
  const int8_t *w, *r;
  const float *w_scale, *r_scale, *b;

  Weights(const RunArgs& a, const Shape& s, int64_t d) {
    const int64_t columns = kGates * s.hidden;
    w = static_cast<const int8_t*>(a.inputs[1]) + d * s.inputs * columns;
    r = static_cast<const int8_t*>(a.inputs[2]) + d * s.hidden * columns;
    w_scale = static_cast<const float*>(a.inputs[3]) + d * columns;
    r_scale = static_cast<const float*>(a.inputs[4]) + d * columns;
    const auto* bias = static_cast<const float*>(a.data(5));
    b = bias == nullptr ? nullptr : bias + d * 2 * columns;
  }
};

float Product(const int32_t* x, const int8_t* w, int64_t depth, int64_t columns, int64_t column,
              float scale) {
  uint32_t sum = 0;
  for (int64_t k = 0; k < depth; ++k) {
    sum += static_cast<uint32_t>(x[k] * w[k * columns + column]);
  }
  return static_cast<float>(static_cast<int32_t>(sum)) * scale;
}

// Working memory.
struct State {
  int32_t *x, *h_bytes;  // One row of x, all of h.
  float *gates, *h, *c;

  State(void* scratch, const Shape& s)
      : x(static_cast<int32_t*>(scratch)),
        h_bytes(x + s.inputs),
        gates(reinterpret_cast<float*>(h_bytes + s.plane())),
        h(gates + kGates * s.hidden),
        c(h + s.plane()) {}
};

// Row n of a step, whose numbers of x are in state.x.
void RunRow(const Shape& s, const Weights& w, const DynamicRange& qx, const DynamicRange& qh,
            int64_t n, const State& state) {
  const int64_t columns = kGates * s.hidden;
  for (int64_t j = 0; j < columns; ++j) {
    float v = Product(state.x, w.w, s.inputs, columns, j, qx.scale * w.w_scale[j]);
    if (w.b != nullptr) v += w.b[j] + w.b[columns + j];
    v += Product(state.h_bytes + n * s.hidden, w.r, s.hidden, columns, j, qh.scale * w.r_scale[j]);
    state.gates[j] = v;
  }
  const auto gate = [&](int64_t g, int64_t u) {
    return static_cast<double>(state.gates[g * s.hidden + u]);
  };
  for (int64_t u = 0; u < s.hidden; ++u) {
    float& c = state.c[n * s.hidden + u];
    c = static_cast<float>(SigmoidOf(gate(2, u)) * static_cast<double>(c) +
                           SigmoidOf(gate(0, u)) * std::tanh(gate(3, u)));
    state.h[n * s.hidden + u] =
        static_cast<float>(SigmoidOf(gate(1, u)) * std::tanh(static_cast<double>(c)));
  }
}

void CopyPlane(const RunArgs& a, uint32_t i, int64_t d, int64_t plane, float* to) {
  const auto* from = static_cast<const float*>(a.data(i));
  if (from == nullptr) {
    std::fill_n(to, plane, 0.0f);
  } else {
    std::copy_n(from + d * plane, plane, to);
  }
}

}  // namespace

// x w r w_scale r_scale b? initial_h? initial_c? and outputs y, y_h, y_c.
Status CheckQLstm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  FLOE_RETURN_IF_ERROR(InputIs(a, 0, DType::kF32));
  const Shape s(&attrs, a.in(0));
  if (!attrs.Done()) return BadAttr();
  constexpr int64_t kMaxHidden = int64_t{1} << 31;
  if (s.hidden < 1 || s.hidden > kMaxHidden || s.direction < 0 || s.direction > 2) {
    return BadAttr(1, s.hidden);
  }
  if (a.in(0).rank != 3) return BadShape(0, -1, 3, a.in(0).rank);
  const int64_t columns = kGates * s.hidden;
  const auto input = [&](uint32_t i, DType t, std::initializer_list<int64_t> dims) {
    if (!a.HasInput(i)) return OkStatus();
    FLOE_RETURN_IF_ERROR(InputIs(a, i, t));
    return InputDims(a, i, {dims.begin(), dims.size()});
  };
  FLOE_RETURN_IF_ERROR(input(1, DType::kI8, {s.directions, s.inputs, columns}));
  FLOE_RETURN_IF_ERROR(input(2, DType::kI8, {s.directions, s.hidden, columns}));
  FLOE_RETURN_IF_ERROR(input(3, DType::kF32, {s.directions, columns}));
  FLOE_RETURN_IF_ERROR(input(4, DType::kF32, {s.directions, columns}));
  FLOE_RETURN_IF_ERROR(input(5, DType::kF32, {s.directions, 2 * columns}));
  FLOE_RETURN_IF_ERROR(input(6, DType::kF32, {s.directions, s.batch, s.hidden}));
  FLOE_RETURN_IF_ERROR(input(7, DType::kF32, {s.directions, s.batch, s.hidden}));
  bool any = false;
  for (uint32_t i = 0; i < a.info.output_count; ++i) {
    if (!a.HasOutput(i)) continue;
    any = true;
    FLOE_RETURN_IF_ERROR(OutputIs(a, i, DType::kF32));
    const int64_t y[4] = {s.steps, s.directions, s.batch, s.hidden};
    FLOE_RETURN_IF_ERROR(OutputDims(a, i, {y + (i > 0), static_cast<size_t>(i > 0 ? 3 : 4)}));
  }
  if (!any) return Error(Code::kInvalidFile, Rule::kInstructionResult);
  int64_t numbers;  // 3 planes, a row of x, the gates.
  if (!CheckedMul(s.batch, s.hidden, &numbers) || !CheckedMul(numbers, 3, &numbers) ||
      !CheckedAdd(numbers, s.inputs, &numbers) || !CheckedAdd(numbers, columns, &numbers) ||
      !CheckedMul(numbers, 4, &a.footprint.scratch_bytes)) {
    return TooLarge();
  }
  a.footprint.flops = 2.0 * static_cast<double>(s.steps) * static_cast<double>(s.batch) *
                      static_cast<double>(s.directions * columns) *
                      (static_cast<double>(s.inputs) + static_cast<double>(s.hidden));
  return OkStatus();
}

Rule RunQLstm(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const Shape s(&attrs, a.in(0));
  const State state(a.scratch, s);
  const auto* x = static_cast<const float*>(a.inputs[0]);
  const DynamicRange qx(x, s.steps * s.batch * s.inputs);
  for (int64_t d = 0; d < s.directions; ++d) {
    const Weights weights(a, s, d);
    CopyPlane(a, 6, d, s.plane(), state.h);
    CopyPlane(a, 7, d, s.plane(), state.c);
    for (int64_t i = 0; i < s.steps; ++i) {
      const int64_t t = s.direction == 1 || d == 1 ? s.steps - 1 - i : i;
      const DynamicRange qh(state.h, s.plane());
      CentredBytes(qh, state.h, s.plane(), state.h_bytes);
      for (int64_t n = 0; n < s.batch; ++n) {
        CentredBytes(qx, x + (t * s.batch + n) * s.inputs, s.inputs, state.x);
        RunRow(s, weights, qx, qh, n, state);
      }
      if (!a.HasOutput(0)) continue;
      std::copy_n(state.h, s.plane(),
                  static_cast<float*>(a.outputs[0]) + (t * s.directions + d) * s.plane());
    }
    for (uint32_t i = 1; i < 3; ++i) {
      if (!a.HasOutput(i)) continue;
      std::copy_n(i == 1 ? state.h : state.c, s.plane(),
                  static_cast<float*>(a.outputs[i]) + d * s.plane());
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference
