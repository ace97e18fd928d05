#include "compiler/import/resample.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

namespace floe::import {
namespace {

using ir::Value;

// The k-th tap of every position; those that have fewer repeat their last.
Value* GatherTap(Emitter& e, Value* x, int64_t axis, const std::vector<Taps>& taps, size_t k) {
  std::vector<int64_t> index;
  for (const Taps& t : taps) index.push_back(t.index[std::min(k, t.index.size() - 1)]);
  return e.Emit(OpId::kGather, {x, e.IntVector(index)}, {{"axis", axis}});
}

// Sum over k of gather(x, index k) * weight k.
Value* SumOfGathers(Emitter& e, Value* x, int64_t axis, const std::vector<Taps>& taps,
                    size_t most) {
  std::vector<int64_t> dims(x->rank(), 1);
  dims[static_cast<size_t>(axis)] = static_cast<int64_t>(taps.size());
  Value* sum = nullptr;
  for (size_t k = 0; k < most; ++k) {
    ir::Tensor weight(x->dtype(), dims);
    for (size_t i = 0; i < taps.size(); ++i) {
      const double w = k < taps[i].weight.size() ? taps[i].weight[k] : 0;
      weight.SetDouble(static_cast<int64_t>(i), w);
    }
    Value* part =
        e.Binary(OpId::kMul, GatherTap(e, x, axis, taps, k), e.Constant(std::move(weight)));
    sum = sum == nullptr ? part : e.Binary(OpId::kAdd, sum, part);
  }
  return sum;
}

// The same as one product with the matrix of weights, along the last axis.
Value* MatrixOfTaps(Emitter& e, Value* x, int64_t axis, const std::vector<Taps>& taps) {
  const int64_t from = e.StaticDim(x, axis);
  const auto to = static_cast<int64_t>(taps.size());
  constexpr int64_t kLargest = int64_t{1} << 24;
  if (from > kLargest || to > kLargest || from * to > kLargest) {
    e.Unsupported("anti-aliasing between sizes this large");
  }
  if (!e.ok()) return x;
  ir::Tensor matrix(x->dtype(), {from, to});
  for (size_t i = 0; i < taps.size(); ++i) {
    for (size_t k = 0; k < taps[i].index.size(); ++k) {
      const int64_t at = taps[i].index[k] * to + static_cast<int64_t>(i);
      matrix.SetDouble(at, matrix.DoubleAt(at) + taps[i].weight[k]);
    }
  }
  std::vector<int64_t> perm(x->rank());
  std::iota(perm.begin(), perm.end(), 0);
  std::swap(perm[static_cast<size_t>(axis)], perm.back());  // Its own inverse.
  Value* rows = e.Transpose(x, perm);
  return e.Transpose(e.Binary(OpId::kMatMul, rows, e.Constant(std::move(matrix))), perm);
}

}  // namespace

double CubicWeight(double a, double distance) {
  const double d = std::fabs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

Value* Resample(Emitter& e, Value* x, int64_t axis, const std::vector<Taps>& taps) {
  if (!e.ok()) return x;
  size_t most = 0;
  bool whole = true;
  for (const Taps& t : taps) {
    most = std::max(most, t.index.size());
    whole = whole && t.weight.size() == 1 && t.weight[0] == 1;
  }
  if (whole) return GatherTap(e, x, axis, taps, 0);
  constexpr size_t kFew = 4;
  return most <= kFew ? SumOfGathers(e, x, axis, taps, most) : MatrixOfTaps(e, x, axis, taps);
}

namespace {

// Where the new positions lie among the old ones, from 0 to the last.
Value* SourcesOf(Emitter& e, const DynamicAxis& a, const ir::Dim& from, DType t) {
  const auto size = [&](const ir::Dim& d) { return e.Cast(e.DimValue(d), t); };
  Value* at = e.Emit(OpId::kRange, {e.DimValue(0), e.DimValue(a.to), e.DimValue(1)}, {},
                     TensorType{DType::kI64, {a.to}});
  at = e.Cast(at, t);
  if (a.corners) {
    Value* steps = size(e.Larger(e.Sub(a.to, 1), 1));
    at = e.Binary(OpId::kMul, at, e.Binary(OpId::kDiv, size(e.Sub(from, 1)), steps));
  } else {
    Value* step =
        a.scale > 0 ? e.Scalar(t, 1 / a.scale) : e.Binary(OpId::kDiv, size(from), size(a.to));
    if (a.before != 0) at = e.Binary(OpId::kAdd, at, e.Scalar(t, a.before));
    at = e.Binary(OpId::kMul, at, step);
    if (a.after != 0) at = e.Binary(OpId::kSub, at, e.Scalar(t, a.after));
  }
  at = e.Binary(OpId::kMaximum, at, e.Scalar(t, 0));
  return e.Binary(OpId::kMinimum, at, size(e.Sub(from, 1)));
}

}  // namespace

std::optional<ir::Dim> Scaled(Emitter& e, const ir::Dim& size, double scale) {
  constexpr int64_t kParts = 16;
  const double parts = scale * static_cast<double>(kParts);
  if (!(parts >= 1 && parts <= 1e7) || parts != std::nearbyint(parts)) return std::nullopt;
  return ir::Dim::DivFloor(e.Mul(size, static_cast<int64_t>(parts)), kParts);
}

Value* ResampleDynamic(Emitter& e, Value* x, const DynamicAxis& a) {
  const ir::Dim from = e.Dim(x, a.axis);
  if (e.ok() && e.Min(from) < 1) {
    e.Unsupported("resizes axis " + std::to_string(a.axis) +
                  ", which may have no elements; give it "
                  "a minimum of 1 with --dim");
  }
  if (!e.ok()) return x;
  const DType dtype = x->dtype();
  const DType t = dtype == DType::kF64 && !a.nearest ? DType::kF64 : DType::kF32;
  Value* at = SourcesOf(e, a, from, t);
  const auto gather = [&](Value* image, Value* index) {
    return e.Emit(OpId::kGather, {image, e.Cast(index, DType::kI64)}, {{"axis", a.axis}});
  };
  if (a.nearest) {
    if (a.shift != 0) at = e.Binary(OpId::kAdd, at, e.Scalar(t, a.shift));
    return gather(x, e.Unary(a.up ? OpId::kCeil : OpId::kFloor, at));
  }
  x = e.Cast(x, t);
  Value* low = e.Unary(OpId::kFloor, at);
  Value* high = e.Binary(OpId::kMinimum, e.Binary(OpId::kAdd, low, e.Scalar(t, 1)),
                         e.Cast(e.DimValue(e.Sub(from, 1)), t));
  ir::Shape along(x->rank() - static_cast<size_t>(a.axis), 1);
  along[0] = a.to;
  Value* weight = e.Reshape(e.Binary(OpId::kSub, at, low), along);
  Value* rest = e.Binary(OpId::kSub, e.Scalar(t, 1), weight);
  Value* sum = e.Binary(OpId::kAdd, e.Binary(OpId::kMul, gather(x, low), rest),
                        e.Binary(OpId::kMul, gather(x, high), weight));
  return e.Cast(sum, dtype);
}

}  // namespace floe::import
