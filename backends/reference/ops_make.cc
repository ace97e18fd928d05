// Ops that make tensors from shapes, scalars or indices.
#include <algorithm>

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

int64_t ClampAxis(int64_t axis, int rank) {
  return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
}

}  // namespace

// start and end are as in ONNX: negative ones count from the end, both are clamped.
Status CheckShapeOf(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t start = ClampAxis(attrs.Int(), a.in(0).rank);
  const int64_t end = ClampAxis(attrs.Int(), a.in(0).rank);
  if (!attrs.Done()) return BadAttr();
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, DType::kI64));
  const int64_t length = std::max<int64_t>(end - start, 0);
  return OutputDims(a, 0, {&length, 1});
}

Rule RunShapeOf(const RunArgs& a) {
  const int64_t start = ClampAxis(a.attrs().Int(), a.in(0).rank);
  std::copy_n(a.in(0).dims + start, a.out().dims[0], static_cast<int64_t*>(a.outputs[0]));
  return Rule::kNone;
}

Status CheckConstantOfShape(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  (void)attrs.Float();
  return attrs.Done() ? OkStatus() : BadAttr();
}

Rule RunConstantOfShape(const RunArgs& a) {
  double chunk[kChunk];
  std::fill_n(chunk, kChunk, a.attrs().Float());
  const int64_t count = Count(a.out());
  for (int64_t i = 0; i < count; i += kChunk) {
    StoreRun<double>(a.out().dtype, a.outputs[0], i, std::min(kChunk, count - i), chunk);
  }
  return Rule::kNone;
}

// The result's length is its type's; start + i * delta is not compared with the limit.
Status CheckRange(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  for (uint32_t i = 0; i < 3; ++i) {
    FLOE_RETURN_IF_ERROR(InputIs(a, i, a.out().dtype));
    if (Count(a.in(i)) != 1) return BadShape(i, -1, 1, Count(a.in(i)));
  }
  return a.out().rank == 1 ? OkStatus() : BadShape(a.OutputAt(), -1, 1, a.out().rank);
}

Rule RunRange(const RunArgs& a) {
  const DType t = a.out().dtype;
  return WithCompute(t, [&](auto zero) {
    using C = decltype(zero);
    const C start = LoadOne<C>(t, a.inputs[0], 0);
    const C delta = LoadOne<C>(t, a.inputs[2], 0);
    for (int64_t i = 0; i < a.out().dims[0]; ++i) {
      C v;
      if constexpr (std::is_floating_point_v<C>) {
        v = start + static_cast<C>(i) * delta;
      } else {
        v = static_cast<C>(static_cast<uint64_t>(start) +
                           static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
      }
      StoreOne<C>(t, a.outputs[0], i, v);
    }
    return Rule::kNone;
  });
}

// Indices in [-depth, depth); any other index gives a row of off values.
Status CheckOneHot(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t axis_word = attrs.Int();
  const int64_t depth = attrs.Int();
  const TensorInfo& indices = a.in(0);
  int axis;
  if (!attrs.Done() || depth < 0 || !NormalizeAxis(axis_word, indices.rank + 1, &axis)) {
    return BadAttr(indices.rank, axis_word);
  }
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kNumbers));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, a.in(1).dtype));
  constexpr int64_t kPair = 2;
  FLOE_RETURN_IF_ERROR(InputDims(a, 1, {&kPair, 1}));
  if (indices.rank == kMaxRank) return BadShape(0, -1, kMaxRank - 1, kMaxRank);
  int64_t dims[kMaxRank];
  std::copy_n(indices.dims, axis, dims);
  dims[axis] = depth;
  std::copy_n(indices.dims + axis, indices.rank - axis, dims + axis + 1);
  return OutputDims(a, 0, {dims, static_cast<size_t>(indices.rank) + 1});
}

Rule RunOneHot(const RunArgs& a) {
  AttrReader attrs = a.attrs();
  int axis = 0;
  (void)NormalizeAxis(attrs.Int(), a.out().rank, &axis);
  const AxisView v = ViewAt(a.out(), axis);
  WithSize(DTypeSize(a.out().dtype), [&]<class U>() {
    const auto* values = static_cast<const U*>(a.inputs[1]);
    auto* out = static_cast<U*>(a.outputs[0]);
    std::fill_n(out, Count(a.out()), values[0]);
    for (int64_t lane = 0; lane < v.outer * v.inner; ++lane) {
      int64_t hot = LoadOne<int64_t>(a.in(0).dtype, a.inputs[0], lane);
      if (hot < 0 && a.in(0).dtype != DType::kU64) hot += v.length;
      if (hot < 0 || hot >= v.length) continue;
      out[(lane / v.inner * v.length + hot) * v.inner + lane % v.inner] = values[1];
    }
  });
  return Rule::kNone;
}

}  // namespace floe::reference
