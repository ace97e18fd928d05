// Quantize, dequantize and dynamic quantise: between floats and the integers that stand for them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/reference/dynamic_range.h"
#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

constexpr DTypeSet kQuantized =
    SetOf({DType::kI8, DType::kU8, DType::kI16, DType::kU16, DType::kI32});

// x as [outer, length, inner], where `length` is the axis of the scales. The scale of an element is
// at ((outer * groups) + index / group) * scale_inner + (inner if scale_inner > 1).
struct Scales {
  int64_t outer = 1, length = 1, inner = 1;
  int64_t group = 1;       // Indices along the axis that share a scale.
  int64_t outer_step = 0;  // Scales from one outer index to the next.
  int64_t group_step = 0;  // From one group to the next.
  int64_t inner_step = 0;  // From one inner index to the next: 0 or 1.
};

// Reads axis and block and checks the scale's shape against x's. x and scale are inputs 0 and 1.
Status ReadScales(const CheckArgs& a, int64_t axis_word, int64_t block, Scales* s) {
  const TensorInfo &x = a.in(0), &scale = a.in(1);
  if (block < 0) return BadAttr(0, block);
  if (Count(scale) == 1 && block == 0) {
    if (scale.rank > 1) return BadShape(1, -1, 1, scale.rank);
    s->inner = Count(x);
    return OkStatus();
  }
  int axis = 0;
  if (!NormalizeAxis(axis_word, x.rank, &axis)) return BadAttr(x.rank, axis_word);
  const AxisView view = ViewAt(x, axis);
  s->outer = view.outer;
  s->length = view.length;
  s->inner = view.inner;
  if (block == 0) {
    s->group_step = 1;
    if (scale.rank != 1) return BadShape(1, -1, 1, scale.rank);
    if (scale.dims[0] != view.length) return BadShape(1, 0, view.length, scale.dims[0]);
    return OkStatus();
  }
  if (scale.rank != x.rank) return BadShape(1, -1, x.rank, scale.rank);
  const int64_t groups = view.length == 0 ? 0 : (view.length - 1) / block + 1;
  for (int i = 0; i < x.rank; ++i) {
    const int64_t wanted = i == axis ? groups : x.dims[i];
    if (scale.dims[i] != wanted) return BadShape(1, i, wanted, scale.dims[i]);
  }
  s->group = block;
  s->inner_step = 1;
  s->group_step = view.inner;
  int64_t per_outer = 0;
  if (!CheckedMul(groups, view.inner, &per_outer)) return TooLarge();
  s->outer_step = per_outer;
  return OkStatus();
}

// A zero point per scale.
Status CheckZero(const CheckArgs& a, DType dtype) {
  if (!a.HasInput(2)) return OkStatus();
  FLOE_RETURN_IF_ERROR(InputIs(a, 2, dtype));
  return InputDims(a, 2, Dims(a.in(1)));
}

// Calls run(start, n, scale_at, step) for runs of at most kChunk elements of x; the scale of
// element start + i is at scale_at + i * step.
template <class F>
void ForRuns(const Scales& s, F&& run) {
  for (int64_t o = 0; o < s.outer; ++o) {
    for (int64_t i = 0; i < s.length; ++i) {
      const int64_t first = (o * s.length + i) * s.inner;
      const int64_t scale = o * s.outer_step + i / s.group * s.group_step;
      for (int64_t j = 0; j < s.inner; j += kChunk) {
        run(first + j, std::min(kChunk, s.inner - j), scale + j * s.inner_step, s.inner_step);
      }
    }
  }
}

struct QuantizeWords {
  int64_t axis, block, reciprocal, min, max, to;
};

QuantizeWords ReadQuantize(AttrReader* attrs) {
  QuantizeWords w;
  w.axis = attrs->Int();
  w.block = attrs->Int();
  w.reciprocal = attrs->Int();
  w.min = attrs->Int();
  w.max = attrs->Int();
  w.to = attrs->Int();
  return w;
}

// The least and largest number of a quantised dtype.
int64_t Lowest(DType t) {
  if (IsUnsignedInt(t)) return 0;
  return -(int64_t{1} << (8 * DTypeSize(t) - 1));
}
int64_t Highest(DType t) { return (int64_t{1} << (8 * DTypeSize(t) - !IsUnsignedInt(t))) - 1; }

// round_half_even(v) + zero within [low, high]; NaN gives zero as far as the range allows.
int64_t RoundTo(float v, int64_t zero, int64_t low, int64_t high) {
  const double r = v == v ? std::nearbyint(static_cast<double>(v)) : 0.0;
  const double y = r + static_cast<double>(zero);
  if (!(y > static_cast<double>(low))) return low;
  return y < static_cast<double>(high) ? static_cast<int64_t>(y) : high;
}

}  // namespace

Status CheckQuantize(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const QuantizeWords w = ReadQuantize(&attrs);
  const DType y = a.out().dtype;
  if (!attrs.Done() || w.to != static_cast<int64_t>(y) || w.reciprocal < 0 || w.reciprocal > 1) {
    return BadAttr(static_cast<int64_t>(y), w.to);
  }
  if (!Contains(kQuantized, y)) return BadDType(a.OutputAt(), DType::kU8, y);
  if (w.min < Lowest(y) || w.max > Highest(y) || w.min > w.max) return BadAttr(w.min, w.max);
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kFloats));
  FLOE_RETURN_IF_ERROR(InputIn(a, 1, kFloats));
  FLOE_RETURN_IF_ERROR(CheckZero(a, y));
  Scales s;
  FLOE_RETURN_IF_ERROR(ReadScales(a, w.axis, w.block, &s));
  return OutputDims(a, 0, Dims(a.in(0)));
}

Rule RunQuantize(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const QuantizeWords w = ReadQuantize(&attrs);
  Footprint unused;
  Scales s;
  (void)ReadScales(CheckArgs{a.op, a.info, unused}, w.axis, w.block, &s);
  ForRuns(s, [&](int64_t start, int64_t n, int64_t scale_at, int64_t step) {
    float x[kChunk], scale[kChunk];
    int64_t zero[kChunk] = {}, y[kChunk];
    const int64_t scales = step == 0 ? 1 : n;
    LoadRun<float>(a.in(0).dtype, a.inputs[0], start, n, x);
    LoadRun<float>(a.in(1).dtype, a.inputs[1], scale_at, scales, scale);
    if (a.HasInput(2)) LoadRun<int64_t>(a.in(2).dtype, a.inputs[2], scale_at, scales, zero);
    for (int64_t i = 0; i < n; ++i) {
      const float by = scale[i * step];
      const float v = w.reciprocal != 0 ? x[i] * (1.0f / by) : x[i] / by;
      y[i] = RoundTo(v, zero[i * step], w.min, w.max);
    }
    StoreRun<int64_t>(a.out().dtype, a.outputs[0], start, n, y);
  });
  return Rule::kNone;
}

Status CheckDequantize(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t axis = attrs.Int(), block = attrs.Int(), to = attrs.Int();
  const DType y = a.out().dtype;
  if (!attrs.Done() || to != static_cast<int64_t>(y)) return BadAttr(static_cast<int64_t>(y), to);
  if (!Contains(kFloats, y)) return BadDType(a.OutputAt(), DType::kF32, y);
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kQuantized));
  FLOE_RETURN_IF_ERROR(InputIn(a, 1, kFloats));
  FLOE_RETURN_IF_ERROR(CheckZero(a, a.in(0).dtype));
  Scales s;
  FLOE_RETURN_IF_ERROR(ReadScales(a, axis, block, &s));
  return OutputDims(a, 0, Dims(a.in(0)));
}

Rule RunDequantize(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t axis = attrs.Int(), block = attrs.Int();
  Footprint unused;
  Scales s;
  (void)ReadScales(CheckArgs{a.op, a.info, unused}, axis, block, &s);
  ForRuns(s, [&](int64_t start, int64_t n, int64_t scale_at, int64_t step) {
    float scale[kChunk], y[kChunk];
    int64_t x[kChunk], zero[kChunk] = {};
    const int64_t scales = step == 0 ? 1 : n;
    LoadRun<int64_t>(a.in(0).dtype, a.inputs[0], start, n, x);
    LoadRun<float>(a.in(1).dtype, a.inputs[1], scale_at, scales, scale);
    if (a.HasInput(2)) LoadRun<int64_t>(a.in(2).dtype, a.inputs[2], scale_at, scales, zero);
    for (int64_t i = 0; i < n; ++i) {
      y[i] = static_cast<float>(x[i] - zero[i * step]) * scale[i * step];
    }
    StoreRun<float>(a.out().dtype, a.outputs[0], start, n, y);
  });
  return Rule::kNone;
}

// --- dynamic -------------------------------------------------------------------------------------

Status CheckDynamicQuantize(const CheckArgs& a) {
  constexpr DType kTypes[3] = {DType::kU8, DType::kF32, DType::kU8};
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIs(a, 0, DType::kF32));
  for (uint32_t i = 0; i < 3; ++i) {
    if (!a.HasOutput(i)) {
      if (i == 0) return Error(Code::kInvalidFile, Rule::kInstructionResult).ForOperand(1);
      continue;
    }
    FLOE_RETURN_IF_ERROR(OutputIs(a, i, kTypes[i]));
    FLOE_RETURN_IF_ERROR(OutputDims(a, i, i == 0 ? Dims(a.in(0)) : std::span<const int64_t>()));
  }
  return OkStatus();
}

Rule RunDynamicQuantize(const RunArgs& a) {
  const auto* x = static_cast<const float*>(a.inputs[0]);
  const int64_t count = Count(a.in(0));
  const DynamicRange range(x, count);
  auto* y = static_cast<uint8_t*>(a.outputs[0]);
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<uint8_t>(range.Byte(x[i]));
  if (a.HasOutput(1)) *static_cast<float*>(a.outputs[1]) = range.scale;
  if (a.HasOutput(2)) *static_cast<uint8_t*>(a.outputs[2]) = static_cast<uint8_t>(range.zero);
  return Rule::kNone;
}

Status CheckLookup(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIs(a, 0, DType::kU8));
  FLOE_RETURN_IF_ERROR(InputIs(a, 1, DType::kU8));
  FLOE_RETURN_IF_ERROR(InputDims(a, 1, {{256}}));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kU8));
  return OutputDims(a, 0, Dims(a.in(0)));
}

Rule RunLookup(const RunArgs& a) {
  const auto* x = static_cast<const uint8_t*>(a.inputs[0]);
  const auto* table = static_cast<const uint8_t*>(a.inputs[1]);
  auto* y = static_cast<uint8_t*>(a.outputs[0]);
  for (int64_t i = 0, count = Count(a.in(0)); i < count; ++i) y[i] = table[x[i]];
  return Rule::kNone;
}

}  // namespace floe::reference
