// Views of part of a tensor, splits, and the ops that write a part.
#include <algorithm>
#include <limits>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// --- where a slice lies --------------------------------------------------------------------------

struct Range {
  int64_t axis = 0;
  ir::Dim start = 0;
  ir::Dim length = 0;
  int64_t step = 1;
};

// min(max(at, 0), size) with negative positions counted from the end.
ir::Dim ClampPosition(OpBuilder& b, ir::Dim at, const ir::Dim& size) {
  if (b.Max(at) < 0) at = b.Add(size, at);
  if (b.Max(at) <= 0) return 0;
  const ir::Dim beyond = b.Sub(at, size);
  if (b.Min(beyond) >= 0) return size;
  if (b.Max(beyond) <= 0 && b.Min(at) >= 0) return at;
  if (b.Max(beyond) > 0) at = b.Smaller(at, size);
  return b.Min(at) >= 0 ? at : b.Larger(at, 0);
}

ir::Dim PositionArg(OpBuilder& b, const char* name, const ir::Dim& size, bool end) {
  if (!b.Given(name)) return end ? size : ir::Dim(0);
  const ir::Dim at = b.SymInt(name);
  // Exporters write an open end as the greatest int.
  if (at.is_constant() && at.constant() >= std::numeric_limits<int32_t>::max()) return size;
  return b.ok() ? ClampPosition(b, at, size) : ir::Dim(0);
}

Range SliceRange(OpBuilder& b, const Value* x) {
  Range r;
  r.axis = b.Axis(b.Int("dim"), b.Rank(x));
  const ir::Dim size = b.Dim(x, r.axis);
  r.step = b.Int("step");
  if (b.ok() && r.step < 1) b.Invalid("a step below 1");
  r.start = PositionArg(b, "start", size, false);
  const ir::Dim end = PositionArg(b, "end", size, true);
  ir::Dim length = b.Sub(end, r.start);
  if (b.Min(length) < 0) length = b.Larger(length, 0);
  if (r.step > 1) {
    const auto steps = ir::Dim::DivFloor(b.Add(length, r.step - 1), r.step);
    if (steps) {
      length = *steps;
    } else if (b.ok()) {
      b.Unsupported("every " + std::to_string(r.step) + "th of " + b.Text(length) +
                    " elements is no expression of the symbols; give them that multiple");
    }
  }
  r.length = length;
  return r;
}

Value* Read(OpBuilder& b, Value* x, const Range& r) {
  return b.ok() ? b.Slice(x, r.axis, r.start, r.length, r.step) : x;
}

// `base` in which the range holds `part`.
Value* Write(OpBuilder& b, Value* base, const Range& r, Value* part) {
  if (!b.ok()) return base;
  const ir::Dim size = b.Dim(base, r.axis);
  if (r.step == 1 && r.start.is_constant()) {
    std::vector<Value*> parts;
    if (!(r.start == ir::Dim(0))) parts.push_back(b.Slice(base, r.axis, 0, r.start));
    parts.push_back(part);
    const ir::Dim end = b.Add(r.start, r.length);
    if (!(end == size)) parts.push_back(b.Slice(base, r.axis, end, b.Sub(size, end)));
    return b.Concat(std::move(parts), r.axis);
  }
  Value* positions = b.Arange(r.length, DType::kI64);
  positions = b.Binary(OpId::kMul, positions, b.Scalar(DType::kI64, static_cast<double>(r.step)));
  positions = b.Binary(OpId::kAdd, positions, b.DimValue(r.start));
  Value* indices = b.Reshape(positions, {r.length, 1});
  Value* y = b.Emit(OpId::kScatterNd,
                    {SwapAxes(b, base, 0, r.axis), indices, SwapAxes(b, part, 0, r.axis)},
                    {{"reduction", static_cast<int64_t>(ScatterReduction::kNone)}});
  return SwapAxes(b, y, 0, r.axis);
}

// --- slice, narrow, select -----------------------------------------------------------------------

void ReturnPart(OpBuilder& b, Value* y) {
  b.Return(y);
  b.results().back().variable()->contiguous = false;
}

void Slice(OpBuilder& b) {
  Value* x = b.Tensor("self");
  ReturnPart(b, Read(b, x, SliceRange(b, x)));
}

Value* WriteSlice(OpBuilder& b, Value* base, Value* view) {
  return Write(b, base, SliceRange(b, base), view);
}

void SliceScatter(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const Range r = SliceRange(b, x);
  Value* source = b.Cast(b.Tensor("src"), x->dtype());
  if (!b.ok()) return;
  ir::Shape shape = x->shape();
  shape[static_cast<size_t>(r.axis)] = r.length;
  b.Return(Write(b, x, r, b.Expand(source, std::move(shape))));
}

Range NarrowRange(OpBuilder& b, const Value* x) {
  Range r;
  r.axis = b.Axis(b.Int("dim"), b.Rank(x));
  r.start = b.SymInt("start");
  if (b.Max(r.start) < 0) r.start = b.Add(b.Dim(x, r.axis), r.start);
  r.length = b.SymInt("length");
  if (!b.ok()) return r;
  const ir::Dim room = b.Sub(b.Dim(x, r.axis), r.start);
  if (b.Max(b.Sub(r.length, room)) > 0 && b.Min(b.Sub(r.length, room)) <= 0) {
    b.Check(b.Binary(OpId::kLessEqual, b.DimValue(r.length), b.DimValue(room)),
            "narrow: start + length exceeds dimension " + std::to_string(r.axis));
    r.length = b.Smaller(r.length, room);
  } else if (b.Max(b.Sub(r.length, room)) > 0) {
    b.Invalid("start + length exceeds dimension " + std::to_string(r.axis));
  }
  return r;
}

void Narrow(OpBuilder& b) {
  Value* x = b.Tensor("self");
  ReturnPart(b, Read(b, x, NarrowRange(b, x)));
}

Value* WriteNarrow(OpBuilder& b, Value* base, Value* view) {
  return Write(b, base, NarrowRange(b, base), view);
}

Range SelectRange(OpBuilder& b, const Value* x) {
  Range r;
  r.axis = b.Axis(b.Int("dim"), b.Rank(x));
  r.start = b.SymInt("index");
  if (!b.ok()) return r;
  const ir::Dim size = b.Dim(x, r.axis);
  if (b.Max(r.start) < 0) r.start = b.Add(size, r.start);
  r.length = 1;
  if (b.ok() && (b.Min(r.start) < 0 || b.Max(b.Sub(r.start, size)) >= 0)) {
    b.Invalid("index " + b.Text(r.start) + " is out of range for dimension " +
              std::to_string(r.axis) + " of size " + b.Text(size));
  }
  return r;
}

// An index that is known at run time only reads through a gather.
bool RuntimeIndex(OpBuilder& b) {
  const IValue& index = b.Arg("index");
  return index.variable() != nullptr && !b.IntsOf(b.AsTensor(index)) && !b.AsTensor(index)->content;
}

void Select(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (RuntimeIndex(b)) {
    const int64_t axis = b.Axis(b.Int("dim"), b.Rank(x));
    Value* index = b.Reshape(b.AsTensor(b.Arg("index")), {});
    return ReturnPart(b, b.ok() ? b.Gather(x, index, axis) : x);
  }
  const Range r = SelectRange(b, x);
  Value* y = Read(b, x, r);
  if (b.ok()) ReturnPart(b, b.Squeeze(y, r.axis));
}

Value* WriteSelect(OpBuilder& b, Value* base, Value* view) {
  if (RuntimeIndex(b)) {
    b.Unsupported("an in-place write at an index that is computed at run time");
    return base;
  }
  const Range r = SelectRange(b, base);
  return b.ok() ? Write(b, base, r, b.Unsqueeze(view, r.axis)) : base;
}

void SelectScatter(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const Range r = SelectRange(b, x);
  if (!b.ok()) return;
  b.Return(Write(b, x, r, b.Unsqueeze(b.Cast(b.Tensor("src"), x->dtype()), r.axis)));
}

// --- splits --------------------------------------------------------------------------------------

// The parts that an op splits a dimension into, one after the other.
std::vector<Range> SplitRanges(OpBuilder& b, const Value* x) {
  enum { kSize, kChunks, kSections, kUnbind };
  std::vector<Range> ranges;
  const int64_t rank = b.Rank(x);
  const int64_t axis = b.Axis(b.Int("dim", 0), rank);
  const ir::Dim size = b.Dim(x, axis);
  if (!b.ok()) return ranges;
  const auto add = [&](ir::Dim start, ir::Dim length) {
    ranges.push_back({axis, std::move(start), std::move(length), 1});
  };
  const char* name = b.HasArg("split_sizes") ? "split_sizes" : "split_size";
  if (b.HasArg(name) && b.Arg(name).is_sequence()) {
    ir::Dim start = 0;
    for (const ir::Dim& length : b.SymInts(name)) {
      add(start, length);
      start = b.Add(start, length);
    }
    if (b.ok() && !(start == size)) b.Invalid("the sizes do not sum up to the dimension");
    return ranges;
  }
  if (b.row().param == kSize && b.SymInt("split_size") == size) {
    add(0, size);
    return ranges;
  }
  if (b.row().param == kChunks && !size.is_constant()) {
    // As many as asked for, if even the smallest dimension has something left for the last.
    const int64_t chunks = b.Int("chunks");
    if (b.ok() && (chunks < 1 || chunks > 4096)) b.Invalid("fewer than one chunk, or too many");
    if (!b.ok()) return ranges;
    const ir::Dim length = ir::Dim::DivFloor(b.Add(size, chunks - 1), chunks).value_or(ir::Dim(0));
    const ir::Dim last = b.Sub(size, b.Mul(length, chunks - 1));
    if (b.ok() && b.Min(last) < 1) b.Unsupported("chunks whose number depends on a dimension");
    for (int64_t i = 0; b.ok() && i < chunks; ++i) {
      add(b.Mul(length, i), i + 1 < chunks ? length : last);
    }
    return ranges;
  }
  const int64_t n = b.StaticDim(x, axis);
  if (!b.ok()) return ranges;
  int64_t step = 1;
  if (b.row().param == kSize) step = b.Int("split_size");
  if (b.row().param == kChunks) {
    const int64_t chunks = b.Int("chunks");
    if (b.ok() && chunks < 1) b.Invalid("fewer than one chunk");
    if (b.ok()) step = std::max<int64_t>(1, (n + chunks - 1) / chunks);
  }
  if (b.row().param == kSections) {
    if (b.HasArg("indices")) {
      int64_t start = 0;
      std::vector<int64_t> ends = b.Ints("indices");
      ends.push_back(n);
      for (int64_t end : ends) {
        if (end < 0) end += n;
        end = std::clamp<int64_t>(end, start, n);
        add(start, end - start);
        start = end;
      }
      return ranges;
    }
    const int64_t sections = b.Int("sections");
    if (b.ok() && sections < 1) b.Invalid("fewer than one section");
    for (int64_t i = 0, start = 0; b.ok() && i < sections; ++i) {
      const int64_t length = n / sections + (i < n % sections ? 1 : 0);
      add(start, length);
      start += length;
    }
    return ranges;
  }
  if (b.ok() && step < 1) b.Invalid("parts of no elements");
  for (int64_t start = 0; b.ok() && start < n; start += step) add(start, std::min(step, n - start));
  if (n == 0 && b.row().param != kUnbind) add(0, 0);
  return ranges;
}

void Split(OpBuilder& b) {
  Value* x = b.Tensor("self");
  std::vector<Value*> parts;
  for (const Range& r : SplitRanges(b, x)) {
    Value* y = Read(b, x, r);
    if (b.row().param == 3 && b.ok()) y = b.Squeeze(y, r.axis);
    parts.push_back(y);
  }
  if (!b.ok()) return;
  b.ReturnList(parts);
  for (IValue& part : b.results().back().items()) part.variable()->contiguous = false;
}

Value* WriteSplit(OpBuilder& b, Value* base, Value* view) {
  const std::vector<Range> ranges = SplitRanges(b, base);
  const auto i = static_cast<size_t>(b.view_index);
  if (!b.ok() || i >= ranges.size()) return base;
  if (b.row().param == 3) view = b.Unsqueeze(view, ranges[i].axis);
  return Write(b, base, ranges[i], view);
}

// hsplit, vsplit, dsplit: tensor_split along a fixed axis.
void SplitAlong(OpBuilder& b) {
  const IValue& x = b.Arg("self");
  int64_t axis = b.row().param;
  if (axis == 1 && b.Tensor("self")->rank() == 1) axis = 0;
  const bool sections = b.HasArg("sections");
  std::vector<IValue> results =
      b.CallMany(sections ? "aten::tensor_split.sections" : "aten::tensor_split.indices",
                 {x, b.Arg(sections ? "sections" : "indices"), IValue::Int(axis)});
  b.Return(std::move(results[0]));
}

// --- diagonals, windows --------------------------------------------------------------------------

struct Diagonal {
  std::vector<int64_t> perm;       // Brings the two axes last.
  std::vector<int64_t> positions;  // In the two axes, flattened.
  int64_t rows = 0, columns = 0;
};

Diagonal DiagonalOf(OpBuilder& b, const Value* x) {
  Diagonal d;
  const int64_t rank = b.Rank(x);
  const int64_t p = b.Axis(b.Int("dim1", 0), rank), q = b.Axis(b.Int("dim2", 1), rank);
  if (!b.ok() || p == q) {
    if (b.ok()) b.Invalid("dim1 and dim2 are the same axis");
    return d;
  }
  for (int64_t axis = 0; axis < rank; ++axis) {
    if (axis != p && axis != q) d.perm.push_back(axis);
  }
  d.perm.push_back(p);
  d.perm.push_back(q);
  d.rows = b.StaticDim(x, p);
  d.columns = b.StaticDim(x, q);
  const int64_t offset = b.Int("offset", b.Int("diagonal", 0));
  if (!b.ok()) return d;
  for (int64_t r = std::max<int64_t>(0, -offset); r < d.rows && r + offset < d.columns; ++r) {
    d.positions.push_back(r * d.columns + r + offset);
  }
  return d;
}

Value* Flattened(OpBuilder& b, Value* x, const Diagonal& d) {
  x = b.Transpose(x, d.perm);
  ir::Shape shape = x->shape();
  shape.pop_back();
  shape.back() = d.rows * d.columns;
  return b.Reshape(x, std::move(shape));
}

void DiagonalView(OpBuilder& b) {
  Value* x = b.Tensor(b.HasArg("A") ? "A" : "self");
  const Diagonal d = DiagonalOf(b, x);
  if (!b.ok()) return;
  ReturnPart(b, b.Gather(Flattened(b, x, d), b.IntVector(d.positions), b.Rank(x) - 2));
}

Value* WriteDiagonal(OpBuilder& b, Value* base, Value* view) {
  const Diagonal d = DiagonalOf(b, base);
  if (!b.ok() || d.positions.empty()) return base;
  Value* flat = Flattened(b, base, d);
  const int64_t count = d.rows * d.columns;
  std::vector<int64_t> from(static_cast<size_t>(count), 0);
  ir::Tensor on(DType::kBool, {count});
  for (size_t i = 0; i < d.positions.size(); ++i) {
    from[static_cast<size_t>(d.positions[i])] = static_cast<int64_t>(i);
    on.SetInt(d.positions[i], 1);
  }
  Value* spread = b.Gather(view, b.IntVector(from), b.Rank(view) - 1);
  Value* y = b.Where(b.Constant(std::move(on)), spread, flat);
  ir::Shape shape = y->shape();
  shape.back() = d.rows;
  shape.emplace_back(d.columns);
  y = b.Reshape(y, std::move(shape));
  std::vector<int64_t> inverse(d.perm.size());
  for (size_t i = 0; i < d.perm.size(); ++i) {
    inverse[static_cast<size_t>(d.perm[i])] = static_cast<int64_t>(i);
  }
  return b.Transpose(y, std::move(inverse));
}

void DiagonalScatter(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(WriteDiagonal(b, x, b.Cast(b.Tensor("src"), x->dtype())));
}

// fill_diagonal_ of a matrix; `wrap` goes on below tall ones.
void FillDiagonal(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (x->rank() != 2 || b.Bool("wrap")) {
    return b.Unsupported("fill_diagonal_ of more than two axes, or with wrap");
  }
  const int64_t n = std::min(b.StaticDim(x, 0), b.StaticDim(x, 1));
  Value* value = b.Operand("fill_value", x->dtype());
  if (!b.ok()) return;
  Value* y = b.Call("aten::diagonal_scatter", {b.Wrap(x), b.Wrap(b.Expand(value, {n}))});
  b.WriteArg("self", y);
  b.Return(b.Arg("self"));
}

// Sliding windows along an axis, as a new last axis.
void Unfold(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t rank = b.Rank(x);
  const int64_t axis = rank == 0 ? 0 : b.Axis(b.Int("dimension"), rank);
  if (rank == 0) x = b.Reshape(x, {1});
  const ir::Dim n = b.Dim(x, axis);
  const int64_t size = b.Int("size"), step = b.Int("step");
  if (!b.ok()) return;
  if (size < 0 || size > b.Min(n) || step < 1) return b.Invalid("a window that does not fit");
  Value* positions = nullptr;
  if (n.is_constant()) {
    const int64_t windows = (n.constant() - size) / step + 1;
    std::vector<int64_t> all;
    for (int64_t w = 0; w < windows; ++w) {
      for (int64_t i = 0; i < size; ++i) all.push_back(w * step + i);
    }
    positions = b.Reshape(b.IntVector(all), {windows, size});
  } else {
    const ir::Dim last = b.DivFloor(b.Sub(n, size), step);
    Value* starts = b.Binary(OpId::kMul, b.Arange(b.Add(last, 1), DType::kI64),
                             b.Scalar(DType::kI64, static_cast<double>(step)));
    positions = b.Binary(OpId::kAdd, b.Unsqueeze(starts, 1), b.Arange(size, DType::kI64));
  }
  Value* y = b.Gather(x, positions, axis);
  std::vector<int64_t> perm = AllAxes(b.Rank(y));
  perm.erase(perm.begin() + axis + 1);
  perm.push_back(axis + 1);
  y = b.Transpose(y, std::move(perm));
  ReturnPart(b, rank == 0 ? b.Reshape(y, {size}) : y);
}

// Where the elements of as_strided() lie in its base.
std::vector<int64_t> StridedPositions(OpBuilder& b, const std::vector<int64_t>& sizes) {
  const std::vector<int64_t> strides = b.Ints("stride");
  const int64_t offset = b.Int("storage_offset", 0);
  std::vector<int64_t> positions;
  if (!b.ok()) return positions;
  if (!b.Arg("self").variable()->contiguous || sizes.size() != strides.size() || offset < 0 ||
      offset > (int64_t{1} << 40)) {
    b.Unsupported("as_strided of a tensor whose memory is not in order");
    return positions;
  }
  constexpr int64_t kMost = int64_t{1} << 24;
  positions = {offset};
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    std::vector<int64_t> next;
    if (sizes[axis] < 0 || static_cast<int64_t>(positions.size()) * sizes[axis] > kMost ||
        strides[axis] < 0 || strides[axis] > (int64_t{1} << 32)) {
      b.Unsupported("as_strided of more than 2^24 elements, or far apart");
      return positions;
    }
    for (const int64_t p : positions) {
      for (int64_t i = 0; i < sizes[axis]; ++i) next.push_back(p + i * strides[axis]);
    }
    positions = std::move(next);
  }
  return positions;
}

// Elements at stated distances in the base's memory, which lies in order.
void AsStrided(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const std::vector<int64_t> sizes = b.Ints("size");
  const std::vector<int64_t> positions = StridedPositions(b, sizes);
  if (!b.ok()) return;
  const ir::Dim count = CountOf(b, x);
  Value* y = b.Gather(b.Reshape(x, {count}), b.IntVector(positions), 0);
  b.Return(b.Reshape(y, ir::Shape(sizes.begin(), sizes.end())));
}

// Elements that lie at one place would need the order of the writes.
Value* WriteStrided(OpBuilder& b, Value* base, Value* view) {
  const std::vector<int64_t> positions = StridedPositions(b, b.Ints("size"));
  std::vector<int64_t> sorted = positions;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    b.Unsupported("an in-place write through a view whose elements overlap");
  }
  if (!b.ok()) return base;
  const auto count = static_cast<int64_t>(positions.size());
  Value* flat = b.Reshape(base, {CountOf(b, base)});
  Value* written =
      b.Emit(OpId::kScatterElements, {flat, b.IntVector(positions), b.Reshape(view, {count})},
             {{"axis", int64_t{0}}, {"reduction", int64_t{0}}});
  return b.Reshape(written, base->shape());
}

void StridedScatter(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* src = b.Cast(b.Tensor("src"), x->dtype());
  b.Return(WriteStrided(b, x, src));
}

constexpr Row kRows[] = {
    {"aten::slice.Tensor", Slice, OpId::kIdentity, 0, true, WriteSlice},
    {"aten::slice_copy", Slice},
    {"aten::slice_scatter", SliceScatter},
    {"aten::narrow", Narrow, OpId::kIdentity, 0, true, WriteNarrow},
    {"aten::narrow_copy", Narrow},
    {"aten::select.int", Select, OpId::kIdentity, 0, true, WriteSelect},
    {"aten::select_copy", Select},
    {"aten::select_scatter", SelectScatter},
    {"aten::split", Split, OpId::kIdentity, 0, true, WriteSplit},
    {"aten::unsafe_split", Split},
    {"aten::split_copy", Split},

    {"aten::split_with_sizes", Split, OpId::kIdentity, 0, true, WriteSplit},
    {"aten::split_with_sizes_copy", Split},
    {"aten::unsafe_split_with_sizes", Split},
    {"aten::chunk", Split, OpId::kIdentity, 1, true, WriteSplit},
    {"aten::unsafe_chunk", Split, OpId::kIdentity, 1},
    {"aten::tensor_split", Split, OpId::kIdentity, 2, true, WriteSplit},
    {"aten::unbind", Split, OpId::kIdentity, 3, true, WriteSplit},
    {"aten::unbind_copy", Split, OpId::kIdentity, 3},
    {"aten::vsplit", SplitAlong, OpId::kIdentity, 0},
    {"aten::hsplit", SplitAlong, OpId::kIdentity, 1},
    {"aten::dsplit", SplitAlong, OpId::kIdentity, 2},
    {"aten::diagonal", DiagonalView, OpId::kIdentity, 0, true, WriteDiagonal},
    {"aten::linalg_diagonal", DiagonalView, OpId::kIdentity, 0, true, WriteDiagonal},
    {"aten::diagonal_copy", DiagonalView},
    {"aten::diagonal_scatter", DiagonalScatter},
    {"aten::fill_diagonal_", FillDiagonal},
    {"aten::unfold", Unfold, OpId::kIdentity, 0, true},
    {"aten::unfold_copy", Unfold},
    {"aten::as_strided", AsStrided, OpId::kIdentity, 0, true, WriteStrided},
    {"aten::as_strided_copy", AsStrided},
    {"aten::as_strided_scatter", StridedScatter},
};

}  // namespace

std::span<const Row> SliceRows() { return kRows; }

}  // namespace floe::aten
