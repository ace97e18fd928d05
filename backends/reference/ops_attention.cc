// attention: products, softmax and products again, all in double.
#include <cmath>
#include <limits>

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

// Element strides of a mask in [B,H,S,L]; 0 along axes on which it is one.
void MaskStrides(const TensorInfo& mask, const int64_t* scores, int64_t strides[4]) {
  BroadcastStrides(mask, scores, 4, strides);
}

struct Row {
  const RunArgs& args;
  int64_t keys, visible, width, out;  // L, keys that causality leaves, D, E.
  double scale;
  bool zero_empty;
};

// One query: q [D], k [L,D], v [L,E], the mask's row with its stride -> y [E].
void AttendRow(const Row& r, const float* q, const float* k, const float* v, int64_t mask_at,
               int64_t mask_step, double* weights, float* y) {
  constexpr double kMinusInf = -std::numeric_limits<double>::infinity();
  const bool masked = r.args.HasInput(3);
  const bool added = masked && r.args.in(3).dtype == DType::kF32;
  double max = kMinusInf;
  bool nan = false;
  for (int64_t j = 0; j < r.visible; ++j) {
    double s = 0;
    for (int64_t d = 0; d < r.width; ++d) s += static_cast<double>(q[d]) * k[j * r.width + d];
    s *= r.scale;
    const int64_t at = mask_at + j * mask_step;
    if (added) {
      const float m = static_cast<const float*>(r.args.inputs[3])[at];
      s = m == kMinusInf ? kMinusInf : s + m;
    }
    if (masked && !added && static_cast<const uint8_t*>(r.args.inputs[3])[at] == 0) s = kMinusInf;
    weights[j] = s;
    nan = nan || std::isnan(s);
    if (s > max) max = s;
  }
  double sum = 0;
  const bool empty = max == kMinusInf && !nan;
  for (int64_t j = 0; j < r.visible && !empty; ++j) sum += weights[j] = std::exp(weights[j] - max);
  for (int64_t e = 0; e < r.out; ++e) {
    double acc = 0;
    for (int64_t j = 0; j < r.visible && !empty; ++j) {
      // Hidden values may be anything, infinite too.
      if (weights[j] != 0) acc += weights[j] * v[j * r.out + e];
    }
    const double nothing = r.zero_empty ? 0.0 : std::numeric_limits<double>::quiet_NaN();
    y[e] = static_cast<float>(empty ? nothing : acc / sum);
  }
}

struct Attrs {
  double scale;
  int64_t causal, zero_empty;
};

bool ReadAttrs(AttrReader attrs, Attrs* a) {
  a->scale = attrs.Float();
  a->causal = attrs.Int();
  a->zero_empty = attrs.Int();
  return attrs.Done() && a->causal >= 0 && a->causal <= 2 && a->zero_empty >= 0 &&
         a->zero_empty <= 1;
}

}  // namespace

Status CheckAttention(const CheckArgs& a) {
  Attrs attrs;
  if (!ReadAttrs(a.attrs(), &attrs)) return BadAttr();
  for (uint32_t i = 0; i < 3; ++i) {
    FLOE_RETURN_IF_ERROR(InputIs(a, i, DType::kF32));
    if (a.in(i).rank != 4) return BadShape(i, -1, 4, a.in(i).rank);
  }
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kF32));
  const int64_t* q = a.in(0).dims;
  const int64_t* k = a.in(1).dims;
  if (k[1] < 1 || q[1] % k[1] != 0) return BadShape(1, 1, q[1], k[1]);
  const int64_t k_dims[4] = {q[0], k[1], k[2], q[3]};
  const int64_t v_dims[4] = {q[0], k[1], k[2], a.in(2).dims[3]};
  const int64_t y_dims[4] = {q[0], q[1], q[2], a.in(2).dims[3]};
  FLOE_RETURN_IF_ERROR(InputDims(a, 1, k_dims));
  FLOE_RETURN_IF_ERROR(InputDims(a, 2, v_dims));
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, y_dims));
  if (a.HasInput(3)) {
    FLOE_RETURN_IF_ERROR(InputIn(a, 3, SetOf({DType::kF32, DType::kBool})));
    const TensorInfo& m = a.in(3);
    const int64_t scores[4] = {q[0], q[1], q[2], k[2]};
    if (m.rank > 4) return BadShape(3, -1, 4, m.rank);
    for (int i = 0; i < m.rank; ++i) {
      const int64_t d = scores[4 - m.rank + i];
      if (m.dims[i] != 1 && m.dims[i] != d) return BadShape(3, i, d, m.dims[i]);
    }
  }
  if (!CheckedMul(k[2], 8, &a.footprint.scratch_bytes)) return TooLarge();  // A row of weights.
  a.footprint.flops = 2.0 * static_cast<double>(Count(a.out())) * static_cast<double>(k[2]) +
                      2.0 * static_cast<double>(Count(a.in(0))) * static_cast<double>(k[2]);
  return OkStatus();
}

Rule RunAttention(const RunArgs& a) {
  Attrs attrs;
  ReadAttrs(a.attrs(), &attrs);
  const int64_t batch = a.in(0).dims[0], heads = a.in(0).dims[1], queries = a.in(0).dims[2];
  const int64_t groups = a.in(1).dims[1], keys = a.in(1).dims[2];
  Row row{a, keys, keys, a.in(0).dims[3], a.in(2).dims[3], attrs.scale, attrs.zero_empty != 0};
  const int64_t scores[4] = {batch, heads, queries, keys};
  int64_t mask[4] = {};
  if (a.HasInput(3)) MaskStrides(a.in(3), scores, mask);
  const auto* q = static_cast<const float*>(a.inputs[0]);
  auto* y = static_cast<float*>(a.outputs[0]);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t group = b * groups + h / (heads / groups);
      const float* k = static_cast<const float*>(a.inputs[1]) + group * keys * row.width;
      const float* v = static_cast<const float*>(a.inputs[2]) + group * keys * row.out;
      for (int64_t i = 0; i < queries; ++i) {
        if (attrs.causal != 0) {
          const int64_t last = i + (attrs.causal == 2 ? keys - queries : 0);
          row.visible = last < 0 ? 0 : last + 1 < keys ? last + 1 : keys;
        }
        const int64_t at = (b * heads + h) * queries + i;
        AttendRow(row, q + at * row.width, k, v, b * mask[0] + h * mask[1] + i * mask[2], mask[3],
                  static_cast<double*>(a.scratch), y + at * row.out);
      }
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference
