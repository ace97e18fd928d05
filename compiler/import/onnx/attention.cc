#include "compiler/import/onnx/attention.h"

#include <limits>

namespace floe::onnx {
namespace {

using ir::Dim;
using ir::Shape;
using ir::Value;

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();

}  // namespace

Value* SplitHeads(NodeBuilder& b, Value* x, int64_t heads) {
  if (x->rank() == 4 || !b.ok()) return x;
  if (x->rank() != 3) {
    b.Invalid("an operand has neither rank 3 nor rank 4");
    return x;
  }
  const int64_t width = b.StaticDim(x, 2);
  if (heads < 1 || width % heads != 0) {
    b.Invalid("the number of heads is missing or does not divide the last axis");
    return x;
  }
  x = b.Reshape(x, {b.Dim(x, 0), b.Dim(x, 1), heads, width / heads});
  return b.Transpose(x, {0, 2, 1, 3});
}

Value* JoinHeads(NodeBuilder& b, Value* x) {
  if (!b.ok()) return x;
  const Dim joined = b.Mul(b.Dim(x, 1), b.Dim(x, 3));
  x = b.Transpose(x, {0, 2, 1, 3});
  return b.Reshape(x, {b.Dim(x, 0), b.Dim(x, 1), joined});
}

Value* RepeatHeads(NodeBuilder& b, Value* x, int64_t heads) {
  const int64_t have = b.StaticDim(x, 1);
  if (!b.ok() || have == heads) return x;
  if (have < 1 || heads % have != 0) {
    b.Invalid("the heads of queries are no multiple of those of keys");
    return x;
  }
  const Dim batch = b.Dim(x, 0), length = b.Dim(x, 2), width = b.Dim(x, 3);
  x = b.Reshape(x, {batch, have, 1, length, width});
  x = b.Expand(x, {batch, have, heads / have, length, width});
  return b.Reshape(x, {batch, heads, length, width});
}

Value* Positions(NodeBuilder& b, const Dim& length) {
  return b.Emit(OpId::kRange, {b.DimValue(0), b.DimValue(length), b.DimValue(1)}, {},
                TensorType{DType::kI64, {length}});
}

Value* Bias(NodeBuilder& b, Value* forbidden, DType dtype, double hidden) {
  return b.Emit(OpId::kWhere, {forbidden, b.Scalar(dtype, hidden), b.Scalar(dtype, 0)});
}

Value* Bias(NodeBuilder& b, Value* forbidden, DType dtype) {
  return Bias(b, forbidden, dtype, kMinusInf);
}

Value* AddBias(NodeBuilder& b, Value* sum, Value* bias) {
  return sum == nullptr ? bias : b.Binary(OpId::kAdd, sum, bias);
}

Value* CausalBias(NodeBuilder& b, const Dim& queries, const Dim& past, const Dim& keys,
                  DType dtype) {
  Value* rows = b.Binary(OpId::kAdd, Positions(b, queries), b.DimValue(past));
  rows = b.Reshape(rows, {queries, 1});
  return Bias(b, b.Binary(OpId::kLess, rows, Positions(b, keys)), dtype);
}

Value* SoftCap(NodeBuilder& b, Value* scores, double cap) {
  if (cap == 0) return scores;
  Value* small = b.Unary(OpId::kTanh, b.Binary(OpId::kDiv, scores, b.ScalarLike(scores, cap)));
  return b.Binary(OpId::kMul, small, b.ScalarLike(scores, cap));
}

Value* Angles(NodeBuilder& b, Value* cache, Value* positions, int64_t half) {
  if (positions != nullptr) {
    cache = b.Emit(OpId::kGather, {cache, positions}, {{"axis", int64_t{0}}});
  }
  if (b.ok() && cache->rank() != 3) b.Invalid("the cache has another rank");
  if (!b.ok()) return cache;
  if (b.StaticDim(cache, 2) < half) {
    b.Invalid("the cache is narrower than what it rotates");
    return cache;
  }
  cache = b.SliceAxis(cache, 2, 0, half);
  return b.Reshape(cache, {b.Dim(cache, 0), 1, b.Dim(cache, 1), half});
}

Value* Rotate(NodeBuilder& b, Value* x, const Rotation& r) {
  if (!b.ok()) return x;
  const int64_t width = b.StaticDim(x, 3), rotated = 2 * r.half;
  // Pairs are neighbours or lie half apart: as [.., half, 2] or [.., 2, half].
  const Shape lead(x->shape().begin(), x->shape().end() - 1);
  const auto with = [&lead](std::vector<int64_t> tail) {
    Shape s = lead;
    s.insert(s.end(), tail.begin(), tail.end());
    return s;
  };
  const int64_t axis = r.interleaved ? 4 : 3;
  Value* pairs = b.Reshape(b.SliceAxis(x, 3, 0, rotated),
                           r.interleaved ? with({r.half, 2}) : with({2, r.half}));
  Value* first = b.Reshape(b.SliceAxis(pairs, axis, 0, 1), with({r.half}));
  Value* second = b.Reshape(b.SliceAxis(pairs, axis, 1, 1), with({r.half}));
  const auto mul = [&b](Value* u, Value* w) { return b.Binary(OpId::kMul, u, w); };
  Value* real = b.Binary(OpId::kSub, mul(r.cos, first), mul(r.sin, second));
  Value* imaginary = b.Binary(OpId::kAdd, mul(r.sin, first), mul(r.cos, second));
  const Shape single = r.interleaved ? with({r.half, 1}) : with({1, r.half});
  Value* y = b.Emit(OpId::kConcat, {b.Reshape(real, single), b.Reshape(imaginary, single)},
                    {{"axis", axis}});
  y = b.Reshape(y, with({rotated}));
  if (rotated < width) {
    y = b.Emit(OpId::kConcat, {y, b.SliceAxis(x, 3, rotated, width - rotated)},
               {{"axis", int64_t{3}}});
  }
  return y;
}

}  // namespace floe::onnx
