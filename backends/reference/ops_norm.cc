// Normalisations. Statistics are formed in double, in two passes.
#include <algorithm>
#include <cmath>

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

struct Stats {
  double mean = 0;
  double inverse = 1;  // 1 / sqrt(variance + epsilon), or of the mean square if not centred.
};

// Calls f(i, value) for `count` consecutive elements.
template <class F>
void ForRun(DType t, const void* x, int64_t start, int64_t count, F&& f) {
  double chunk[kChunk];
  for (int64_t i = 0; i < count; i += kChunk) {
    const int64_t n = std::min(kChunk, count - i);
    LoadRun<double>(t, x, start + i, n, chunk);
    for (int64_t k = 0; k < n; ++k) f(i + k, chunk[k]);
  }
}

Stats StatsOf(const RunArgs& a, int64_t start, int64_t count, double epsilon, bool centre) {
  Stats s;
  const DType t = a.in(0).dtype;
  const auto n = static_cast<double>(count);
  if (centre) {
    double sum = 0;
    ForRun(t, a.inputs[0], start, count, [&](int64_t, double v) { sum += v; });
    s.mean = sum / n;
  }
  double squares = 0;
  ForRun(t, a.inputs[0], start, count,
         [&](int64_t, double v) { squares += (v - s.mean) * (v - s.mean); });
  s.inverse = 1 / std::sqrt(squares / n + epsilon);
  return s;
}

// y = (x - mean) * inverse * scale + bias for a run; scale(i) and bias(i) give the i-th element's.
template <class ScaleFn, class BiasFn>
void Normalize(const RunArgs& a, int64_t start, int64_t count, const Stats& s, ScaleFn&& scale,
               BiasFn&& bias) {
  const DType t = a.out().dtype;
  ForRun(a.in(0).dtype, a.inputs[0], start, count, [&](int64_t i, double v) {
    StoreOne<double>(t, a.outputs[0], start + i, (v - s.mean) * s.inverse * scale(i) + bias(i));
  });
}

// Element i of optional input `input`, else `other`.
double Param(const RunArgs& a, uint32_t input, int64_t i, double other) {
  return a.HasInput(input) ? LoadOne<double>(a.in(input).dtype, a.inputs[input], i) : other;
}

// Inputs [first, end) are float vectors of one element per channel of x, whose rank is 2 or more.
Status CheckChannels(const CheckArgs& a, uint32_t first, uint32_t end) {
  FLOE_RETURN_IF_ERROR(LikeInput(a, kFloats));
  if (a.in(0).rank < 2) return BadShape(0, -1, 2, a.in(0).rank);
  for (uint32_t i = first; i < end; ++i) {
    FLOE_RETURN_IF_ERROR(InputIn(a, i, kFloats));
    FLOE_RETURN_IF_ERROR(InputDims(a, i, {a.in(0).dims + 1, 1}));
  }
  AllowInPlace(a, 0, 1);
  a.footprint.flops = 8 * static_cast<double>(Count(a.out()));
  return OkStatus();
}

// Elements of x per channel of one image.
int64_t PlaneSize(const TensorInfo& x) { return Product(x.dims + 2, x.rank - 2); }

}  // namespace

// --- batch_norm: scale, bias, mean and variance may have another float dtype than x --------------

Status CheckBatchNorm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  (void)attrs.Float();
  if (!attrs.Done()) return BadAttr();
  return CheckChannels(a, 1, 5);
}

Rule RunBatchNorm(const RunArgs& a) {
  const double epsilon = a.attrs().Float();
  const TensorInfo& x = a.in(0);
  const int64_t plane = PlaneSize(x);
  for (int64_t p = 0; p < x.dims[0] * x.dims[1]; ++p) {
    const int64_t c = p % x.dims[1];
    const Stats s{Param(a, 3, c, 0), 1 / std::sqrt(Param(a, 4, c, 1) + epsilon)};
    const double scale = Param(a, 1, c, 1), bias = Param(a, 2, c, 0);
    Normalize(
        a, p * plane, plane, s, [&](int64_t) { return scale; }, [&](int64_t) { return bias; });
  }
  return Rule::kNone;
}

// --- layer_norm and rms_norm ---------------------------------------------------------------------

namespace {

// Reads axis and epsilon; the optional operands from input 1 on have the normalised shape.
Status CheckOverAxes(const CheckArgs& a, int* axis) {
  AttrReader attrs = a.attrs();
  const int64_t word = attrs.Int();
  (void)attrs.Float();
  const TensorInfo& x = a.in(0);
  if (!attrs.Done() || !NormalizeAxis(word, x.rank, axis)) return BadAttr(x.rank, word);
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kFloats));
  for (uint32_t i = 1; i < a.info.input_count; ++i) {
    if (!a.HasInput(i)) continue;
    FLOE_RETURN_IF_ERROR(InputIn(a, i, kFloats));
    FLOE_RETURN_IF_ERROR(InputDims(a, i, {x.dims + *axis, static_cast<size_t>(x.rank - *axis)}));
  }
  if (!a.HasOutput(0)) return Error(Code::kInvalidFile, Rule::kInstructionResult);
  FLOE_RETURN_IF_ERROR(LikeInput(a, kFloats));
  AllowInPlace(a, 0, 1);
  a.footprint.flops = 8 * static_cast<double>(Count(x));
  return OkStatus();
}

Rule RunOverAxes(const RunArgs& a, bool centre) {
  AttrReader attrs = a.attrs();
  const TensorInfo& x = a.in(0);
  int axis = 0;
  (void)NormalizeAxis(attrs.Int(), x.rank, &axis);
  const double epsilon = attrs.Float();
  const int64_t run = Product(x.dims + axis, x.rank - axis);
  const int64_t rows = Product(x.dims, axis);
  // Without elements there is nothing to do but for the statistics of rows that exist.
  if (run == 0 && !a.HasOutput(1) && !a.HasOutput(2)) return Rule::kNone;
  for (int64_t r = 0; r < rows; ++r) {
    const Stats s = StatsOf(a, r * run, run, epsilon, centre);
    // Statistics first: y may overwrite x.
    if (a.HasOutput(1)) StoreOne<double>(a.out(1).dtype, a.outputs[1], r, s.mean);
    if (a.HasOutput(2)) StoreOne<double>(a.out(2).dtype, a.outputs[2], r, s.inverse);
    Normalize(
        a, r * run, run, s, [&](int64_t i) { return Param(a, 1, i, 1); },
        [&](int64_t i) { return Param(a, 2, i, 0); });
  }
  return Rule::kNone;
}

}  // namespace

Status CheckLayerNorm(const CheckArgs& a) {
  int axis;
  FLOE_RETURN_IF_ERROR(CheckOverAxes(a, &axis));
  int64_t dims[kMaxRank];
  std::copy_n(a.in(0).dims, axis, dims);
  std::fill(dims + axis, dims + a.in(0).rank, 1);
  for (uint32_t i = 1; i < a.info.output_count; ++i) {
    if (!a.HasOutput(i)) continue;
    if (!IsFloat(a.out(i).dtype)) return BadDType(a.OutputAt(i), DType::kF32, a.out(i).dtype);
    FLOE_RETURN_IF_ERROR(OutputDims(a, i, {dims, a.in(0).rank}));
  }
  return OkStatus();
}

Rule RunLayerNorm(const RunArgs& a) { return RunOverAxes(a, true); }

Status CheckRmsNorm(const CheckArgs& a) {
  int axis;
  return CheckOverAxes(a, &axis);
}

Rule RunRmsNorm(const RunArgs& a) { return RunOverAxes(a, false); }

// --- instance_norm and group_norm ----------------------------------------------------------------

namespace {

// Normalises runs of `channels` channels each; scale and bias are per channel.
Rule RunChannelGroups(const RunArgs& a, double epsilon, int64_t channels) {
  const TensorInfo& x = a.in(0);
  const int64_t plane = PlaneSize(x);
  const int64_t run = channels * plane, groups = x.dims[1] / channels;
  for (int64_t g = 0; g < x.dims[0] * groups; ++g) {
    const int64_t first = g % groups * channels;
    const Stats s = StatsOf(a, g * run, run, epsilon, true);
    Normalize(
        a, g * run, run, s, [&](int64_t i) { return Param(a, 1, first + i / plane, 1); },
        [&](int64_t i) { return Param(a, 2, first + i / plane, 0); });
  }
  return Rule::kNone;
}

}  // namespace

Status CheckInstanceNorm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  (void)attrs.Float();
  if (!attrs.Done()) return BadAttr();
  return CheckChannels(a, 1, 3);
}

Rule RunInstanceNorm(const RunArgs& a) { return RunChannelGroups(a, a.attrs().Float(), 1); }

Status CheckGroupNorm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  (void)attrs.Float();
  const int64_t groups = attrs.Int();
  if (!attrs.Done() || groups < 1) return BadAttr(1, groups);
  FLOE_RETURN_IF_ERROR(CheckChannels(a, 1, 3));
  return a.in(0).dims[1] % groups == 0 ? OkStatus() : BadShape(0, 1, groups, a.in(0).dims[1]);
}

Rule RunGroupNorm(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const double epsilon = attrs.Float();
  return RunChannelGroups(a, epsilon, a.in(0).dims[1] / attrs.Int());
}

// --- lp_norm: x / norm along an axis; a norm of 0 gives 0 ----------------------------------------

Status CheckLpNorm(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t word = attrs.Int();
  const int64_t p = attrs.Int();
  int axis;
  if (!attrs.Done() || p < 1 || p > 2 || !NormalizeAxis(word, a.in(0).rank, &axis)) {
    return BadAttr(a.in(0).rank, word);
  }
  FLOE_RETURN_IF_ERROR(LikeInput(a, kFloats));
  AllowInPlace(a, 0, 1);
  return OkStatus();
}

Rule RunLpNorm(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  int axis = 0;
  (void)NormalizeAxis(attrs.Int(), a.in(0).rank, &axis);
  const bool one = attrs.Int() == 1;
  const AxisView v = ViewAt(a.in(0), axis);
  const DType t = a.out().dtype;
  for (int64_t lane = 0; lane < v.outer * v.inner; ++lane) {
    const int64_t start = lane / v.inner * v.length * v.inner + lane % v.inner;
    double norm = 0;
    for (int64_t i = 0; i < v.length; ++i) {
      const double x = LoadOne<double>(t, a.inputs[0], start + i * v.inner);
      norm += one ? std::fabs(x) : x * x;
    }
    if (!one) norm = std::sqrt(norm);
    for (int64_t i = 0; i < v.length; ++i) {
      const int64_t at = start + i * v.inner;
      const double x = LoadOne<double>(t, a.inputs[0], at);
      StoreOne<double>(t, a.outputs[0], at, norm == 0 ? 0 : x / norm);
    }
  }
  return Rule::kNone;
}

// --- lrn -----------------------------------------------------------------------------------------

Status CheckLrn(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  (void)attrs.Float();
  (void)attrs.Float();
  (void)attrs.Float();
  const int64_t size = attrs.Int();
  if (!attrs.Done() || size < 1) return BadAttr(1, size);
  if (a.in(0).rank < 2) return BadShape(0, -1, 2, a.in(0).rank);
  return LikeInput(a, kFloats);
}

Rule RunLrn(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const double alpha = attrs.Float(), beta = attrs.Float(), bias = attrs.Float();
  const int64_t size = attrs.Int();
  const TensorInfo& x = a.in(0);
  const int64_t channels = x.dims[1], plane = PlaneSize(x);
  const DType t = x.dtype;
  // Channels c - before .. c + after, clipped.
  const int64_t before = std::min((size - 1) / 2, channels);
  const int64_t after = std::min(size - 1 - (size - 1) / 2, channels);
  for (int64_t i = 0; i < Count(x); ++i) {
    const int64_t c = i / plane % channels;
    const int64_t first = std::max<int64_t>(0, c - before);
    const int64_t last = std::min(channels - 1, c + after);
    double squares = 0;
    for (int64_t k = first; k <= last; ++k) {
      const double v = LoadOne<double>(t, a.inputs[0], i + (k - c) * plane);
      squares += v * v;
    }
    const double v = LoadOne<double>(t, a.inputs[0], i);
    const double base = bias + alpha / static_cast<double>(size) * squares;
    StoreOne<double>(t, a.outputs[0], i, v / std::pow(base, beta));
  }
  return Rule::kNone;
}

}  // namespace floe::reference
