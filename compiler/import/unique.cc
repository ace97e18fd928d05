#include "compiler/import/unique.h"

namespace floe::import {
namespace {

using ir::Value;

Value* Gather(Emitter& b, Value* x, Value* indices) {
  return b.Emit(OpId::kGather, {x, indices}, {{"axis", int64_t{0}}});
}

// x[from, from + length) of a vector.
Value* Part(Emitter& b, Value* x, int64_t from, const ir::Dim& length) {
  return b.SliceAxis(x, 0, from, length);
}

Value* Join(Emitter& b, Value* a, Value* c) {
  return b.Emit(OpId::kConcat, {a, c}, {{"axis", int64_t{0}}});
}

// Whether each element differs from the one before; the first one does.
Value* Starts(Emitter& b, Value* x, const ir::Dim& n) {
  const ir::Dim rest = b.Sub(n, 1);
  Value* differs = b.Binary(OpId::kNotEqual, Part(b, x, 1, rest), Part(b, x, 0, rest));
  return Join(b, b.Cast(b.IntVector({1}), DType::kBool), differs);
}

// Of [count, 1] positions, ascending, the distance to the next one, the last one's to n.
Value* Distances(Emitter& b, Value* positions, const ir::Dim& n) {
  const ir::Dim rest = b.Sub(b.Dim(positions, 0), 1);
  if (!b.ok()) return positions;
  Value* end = b.Reshape(b.DimValue(n), {1});
  return b.Binary(OpId::kSub, Join(b, Part(b, positions, 1, rest), end), positions);
}

}  // namespace

UniqueElements Unique(Emitter& b, Value* x, bool sort) {
  UniqueElements u;
  const ir::Dim n = b.Dim(x, 0);
  if (b.ok() && b.Min(n) < 1) b.Unsupported("the unique elements of a tensor that may be empty");
  if (!b.ok()) return u;
  Value* sorted = x;
  Value* order = nullptr;
  if (sort) {
    const std::vector<Value*> both =
        b.EmitMany(OpId::kSort, {x}, 2, {{"axis", int64_t{0}}, {"descending", int64_t{0}}});
    sorted = both[0];
    order = both[1];
  }
  Value* starts = Starts(b, sorted, n);
  Value* indices = b.Nonzero(starts, /*least=*/1);
  if (!b.ok()) return u;
  Value* positions = b.Reshape(indices, {b.Dim(indices, 0)});
  u.values = Gather(b, sorted, positions);
  u.counts = Distances(b, positions, n);
  Value* rank = b.Emit(OpId::kCumSum, {b.Cast(starts, DType::kI64)},
                       {{"axis", int64_t{0}}, {"exclusive", int64_t{0}}, {"reverse", int64_t{0}}});
  rank = b.Binary(OpId::kSub, rank, b.Scalar(DType::kI64, 1));
  if (!sort) {
    u.first = positions;
    u.inverse = rank;
    return u;
  }
  u.first = Gather(b, order, positions);
  u.inverse =
      b.Emit(OpId::kScatterElements, {order, order, rank},
             {{"axis", int64_t{0}}, {"reduction", static_cast<int64_t>(ScatterReduction::kNone)}});
  return u;
}

}  // namespace floe::import
