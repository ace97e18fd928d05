#include "backends/families/attention.h"

#include <cmath>
#include <limits>

#include "backends/reference/twins/twins.h"

namespace floe::reference::twins {
namespace {

using families::AttentionShape;
using families::HeadsView;

int64_t HeadAt(const HeadsView& v, int64_t b, int64_t head) {
  return v.offset + b * v.batch + head * v.head;
}

// One query's scores; minus infinity where a key takes no part.
double Score(const KernelArgs& args, const AttentionShape& s, const int64_t at[4], int64_t q,
             int64_t k) {
  constexpr double kMinusInf = -std::numeric_limits<double>::infinity();
  if (s.causal && at[3] > at[2] + s.causal_offset) return kMinusInf;
  float added = 0;
  if (s.has_mask) {
    const int64_t m = at[0] * s.mask[0] + at[1] * s.mask[1] + at[2] * s.mask[2] + at[3] * s.mask[3];
    if (s.bool_mask) {
      if (static_cast<const uint8_t*>(args.inputs[3])[m] == 0) return kMinusInf;
    } else {
      added = static_cast<const float*>(args.inputs[3])[m];
      if (added == kMinusInf) return kMinusInf;
    }
  }
  double sum = 0;
  for (int64_t d = 0; d < s.width; ++d) {
    sum += static_cast<double>(static_cast<const float*>(args.inputs[0])[q + d * s.q.feature]) *
           static_cast<const float*>(args.inputs[1])[k + d * s.k.feature];
  }
  return sum * s.scale + added;
}

// Two passes over the keys: the maximum, then the sums. Scores are computed again for each feature
// block, so that no memory is needed.
void AttendQuery(const KernelArgs& args, const AttentionShape& s, int64_t b, int64_t h, int64_t i) {
  constexpr int64_t kFeatures = 64;
  constexpr double kMinusInf = -std::numeric_limits<double>::infinity();
  const int64_t q = HeadAt(s.q, b, h) + i * s.q.position;
  const int64_t k = HeadAt(s.k, b, h / s.group), v = HeadAt(s.v, b, h / s.group);
  float* y = static_cast<float*>(args.outputs[0]) + HeadAt(s.y, b, h) + i * s.y.position;
  const auto score = [&](int64_t j) {
    const int64_t at[4] = {b, h, i, j};
    return Score(args, s, at, q, k + j * s.k.position);
  };
  double max = kMinusInf;
  bool nan = false;
  for (int64_t j = 0; j < s.keys; ++j) {
    const double value = score(j);
    nan = nan || value != value;
    if (value > max) max = value;
  }
  const bool empty = max == kMinusInf && !nan;
  for (int64_t e0 = 0; e0 < s.out; e0 += kFeatures) {
    double acc[kFeatures] = {}, sum = 0;
    const int64_t count = s.out - e0 < kFeatures ? s.out - e0 : kFeatures;
    for (int64_t j = 0; j < s.keys && !empty; ++j) {
      const double w = std::exp(score(j) - max);
      sum += w;
      // A key that takes no part may hold anything, NaN too.
      if (w == 0) continue;
      const float* row = static_cast<const float*>(args.inputs[2]) + v + j * s.v.position;
      for (int64_t e = 0; e < count; ++e) acc[e] += w * row[(e0 + e) * s.v.feature];
    }
    const double nothing = s.zero_empty ? 0.0 : std::numeric_limits<double>::quiet_NaN();
    for (int64_t e = 0; e < count; ++e) {
      y[(e0 + e) * s.y.feature] = static_cast<float>(empty ? nothing : acc[e] / sum);
    }
  }
}

}  // namespace

Status PrepareAttention(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "attention_plain";
  return OkStatus();
}

Rule RunAttention(const KernelArgs& args, uint32_t, uint32_t, uint32_t, void*) {
  AttentionShape s;
  if (!families::ReadAttention(*args.op, &s).ok()) return Rule::kInstructionAttr;
  if (s.out == 0) return Rule::kNone;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t i = 0; i < s.queries; ++i) AttendQuery(args, s, b, h, i);
    }
  }
  return Rule::kNone;
}

}  // namespace floe::reference::twins
