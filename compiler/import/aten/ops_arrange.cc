// Joins, repetitions, rotations, diagonals: elements in a new arrangement.
#include <algorithm>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// --- joins ---------------------------------------------------------------------------------------

std::vector<Value*> Promoted(OpBuilder& b) {
  const DType t = b.ResultType({"tensors"});
  std::vector<Value*> values;
  for (Value* x : b.Tensors("tensors")) values.push_back(b.Cast(x, t));
  return values;
}

void Cat(OpBuilder& b) {
  std::vector<Value*> xs = Promoted(b);
  if (xs.empty()) return b.Invalid("no tensors");
  const DType t = xs[0]->dtype();
  // Empty vectors join anything, for the sake of old programs.
  const auto legacy = [](const Value* x) { return x->rank() == 1 && x->shape()[0] == ir::Dim(0); };
  std::vector<Value*> real;
  for (Value* x : xs) {
    if (!legacy(x)) real.push_back(x);
  }
  if (real.empty()) return b.Return(b.Full(t, {0}, 0));
  const int64_t axis = b.Axis(b.Int("dim"), b.Rank(real[0]));
  b.Return(b.Concat(std::move(real), axis));
}

Value* StackOf(OpBuilder& b, std::vector<Value*> xs, int64_t dim) {
  if (xs.empty()) {
    b.Invalid("no tensors");
    return b.Scalar(DType::kF32, 0);
  }
  const int64_t axis = b.Axis(dim, b.Rank(xs[0]) + 1);
  if (!b.ok()) return xs[0];
  for (Value*& x : xs) x = b.Unsqueeze(x, axis);
  return b.Concat(std::move(xs), axis);
}

void Stack(OpBuilder& b) { b.Return(StackOf(b, Promoted(b), b.Int("dim"))); }

// hstack, vstack, dstack, column_stack: param is the axis; vectors get a second axis for vstack.
void StackAlong(OpBuilder& b) {
  std::vector<Value*> xs = Promoted(b);
  int64_t axis = b.row().param;
  const bool columns = b.row().ir == OpId::kTranspose;
  for (Value*& x : xs) {
    if (columns) {
      if (x->rank() == 0) x = b.Reshape(x, {1, 1});
      if (x->rank() == 1) x = b.Unsqueeze(x, 1);
    } else if (axis == 0) {
      if (x->rank() == 0) x = b.Reshape(x, {1, 1});
      if (x->rank() == 1) x = b.Unsqueeze(x, 0);
    } else if (axis == 1) {
      if (x->rank() == 0) x = b.Reshape(x, {1});
    } else {
      if (x->rank() == 0) x = b.Reshape(x, {1, 1, 1});
      if (x->rank() == 1) x = b.Unsqueeze(b.Unsqueeze(x, 0), 2);
      if (x->rank() == 2) x = b.Unsqueeze(x, 2);
    }
  }
  if (xs.empty()) return b.Invalid("no tensors");
  if (!columns && axis == 1 && xs[0]->rank() == 1) axis = 0;
  b.Return(b.Concat(std::move(xs), axis));
}

void MeshGrid(OpBuilder& b) {
  const std::vector<Value*> xs = b.Tensors("tensors");
  const bool swap = b.HasArg("indexing") && b.String("indexing") == "xy" && xs.size() > 1;
  ir::Shape shape;
  for (const Value* x : xs) shape.push_back(x->rank() == 0 ? ir::Dim(1) : x->shape()[0]);
  if (swap) std::swap(shape[0], shape[1]);
  std::vector<Value*> grids;
  for (size_t i = 0; i < xs.size(); ++i) {
    const size_t axis = swap && i < 2 ? 1 - i : i;
    ir::Shape line(shape.size(), ir::Dim(1));
    line[axis] = shape[axis];
    grids.push_back(b.Expand(b.Reshape(xs[i], std::move(line)), shape));
  }
  b.ReturnList(grids);
}

// --- repetitions ---------------------------------------------------------------------------------

// repeat(), tile(): dims of a tensor's own count from the right; fewer repeats than dims (tile) are
// filled with 1.
void Repeat(OpBuilder& b) {
  Value* x = b.Tensor("self");
  std::vector<ir::Dim> repeats = b.SymInts(b.HasArg("repeats") ? "repeats" : "dims");
  while (repeats.size() < x->rank()) repeats.insert(repeats.begin(), ir::Dim(1));
  ir::Shape shape = x->shape();
  while (shape.size() < repeats.size()) shape.insert(shape.begin(), ir::Dim(1));
  if (!b.ok()) return;
  // Every axis as (repeat, size), expanded and joined: symbolic counts work where the result does.
  ir::Shape split, full, joined;
  for (size_t i = 0; i < shape.size(); ++i) {
    split.insert(split.end(), {ir::Dim(1), shape[i]});
    full.insert(full.end(), {repeats[i], shape[i]});
    joined.push_back(b.Mul(repeats[i], shape[i]));
  }
  b.Return(b.Reshape(b.Expand(b.Reshape(x, std::move(split)), std::move(full)), std::move(joined)));
}

// Counts that only the run knows: result i comes from the first element whose counts, summed up,
// are above i.
Value* RepeatByData(OpBuilder& b, Value* x, Value* counts, int64_t axis) {
  counts = b.Cast(b.Reshape(counts, {CountOf(b, counts)}), DType::kI64);
  if (!b.ok()) return counts;
  if (x != nullptr && counts->shape()[0] != b.Dim(x, axis)) {
    counts = b.Expand(counts, {b.Dim(x, axis)});
  }
  Value* ends = b.Emit(OpId::kCumSum, {counts},
                       {{"axis", int64_t{0}}, {"exclusive", int64_t{0}}, {"reverse", int64_t{0}}});
  ir::Value* total = b.Reduce(ReduceKind::kSum, counts, {0}, /*keepdims=*/false);
  Value* positions = nullptr;
  if (b.Given("output_size")) {
    const ir::Dim size = b.SymInt("output_size");
    if (!b.ok()) return counts;
    b.Check(b.Binary(OpId::kEqual, total, b.DimValue(size)),
            "repeat_interleave: the repeats do not sum up to output_size");
    positions = b.Arange(size, DType::kI64);
  } else {
    total = b.SizeOf(total, 0, OpBuilder::kNoBound);
    if (!b.ok()) return total;
    const ir::Dim size = total->content ? total->content->front() : ir::Dim(0);
    positions = b.Emit(OpId::kRange, {b.Scalar(DType::kI64, 0), total, b.Scalar(DType::kI64, 1)},
                       {}, TensorType{DType::kI64, {size}});
  }
  Value* index = b.Emit(OpId::kSearchSorted, {ends, positions}, {{"right", int64_t{1}}});
  return x == nullptr ? index : b.Gather(x, index, axis);
}

// Every element `repeats` times in a row; a constant vector of counts gathers.
void RepeatInterleave(OpBuilder& b) {
  const bool from_counts = !b.HasArg("self");  // repeat_interleave(repeats): positions alone.
  Value* x = from_counts ? nullptr : b.Tensor("self");
  if (x != nullptr && !b.Given("dim")) x = b.Reshape(x, {CountOf(b, x)});
  const int64_t axis = x == nullptr || !b.Given("dim") ? 0 : b.Axis(b.Int("dim"), b.Rank(x));
  if (!b.ok()) return;
  const IValue& repeats = b.Arg("repeats");
  if (repeats.kind() == Kind::kInt) {
    const ir::Dim n = b.SymInt("repeats");
    ir::Shape split = x->shape(), full, joined = x->shape();
    split.insert(split.begin() + axis + 1, ir::Dim(1));
    full = split;
    full[static_cast<size_t>(axis) + 1] = n;
    joined[static_cast<size_t>(axis)] = b.Mul(b.Dim(x, axis), n);
    return b.Return(
        b.Reshape(b.Expand(b.Reshape(x, std::move(split)), std::move(full)), std::move(joined)));
  }
  const auto counts = b.IntsOf(b.AsTensor(repeats));
  if (!counts) return b.Return(RepeatByData(b, x, b.AsTensor(repeats), axis));
  std::vector<int64_t> positions;
  const int64_t size = x == nullptr ? static_cast<int64_t>(counts->size()) : b.StaticDim(x, axis);
  constexpr size_t kMost = size_t{1} << 24;
  for (int64_t i = 0; b.ok() && i < size; ++i) {
    const int64_t n = counts->size() == 1 ? counts->front() : (*counts)[static_cast<size_t>(i)];
    if (n < 0 || positions.size() + static_cast<size_t>(n) > kMost) {
      return b.Invalid("negative or too many repeats");
    }
    positions.insert(positions.end(), static_cast<size_t>(n), i);
  }
  Value* index = b.IntVector(positions);
  b.Return(x == nullptr ? index : b.Gather(x, index, axis));
}

// --- rotations -----------------------------------------------------------------------------------

Value* FlipAxis(OpBuilder& b, Value* x, int64_t axis) {
  const ir::Dim size = b.Dim(x, axis);
  if (!b.ok() || size == ir::Dim(0)) return x;
  if (size.is_constant()) return b.Slice(x, axis, size.constant() - 1, size, -1);
  // size - 1 - i.
  Value* last = b.DimValue(b.Sub(size, 1));
  return b.Gather(x, b.Binary(OpId::kSub, last, b.Arange(size, DType::kI64)), axis);
}

// flip; fliplr and flipud with the axis as param - 1.
void Flip(OpBuilder& b) {
  Value* x = b.Tensor("self");
  std::vector<int64_t> axes = {b.row().param - 1};
  if (b.HasArg("dims")) axes = b.Axes(b.Ints("dims"), std::max<int64_t>(b.Rank(x), 1));
  if (x->rank() == 0) return b.Return(x);
  for (const int64_t axis : axes) x = FlipAxis(b, x, axis);
  b.Return(x);
}

Value* RollAxis(OpBuilder& b, Value* x, int64_t shift, int64_t axis) {
  const ir::Dim size = b.Dim(x, axis);
  if (!b.ok()) return x;
  int64_t first = -shift;  // The element that comes first.
  if (size.is_constant()) {
    if (size.constant() == 0) return x;
    first = (first % size.constant() + size.constant()) % size.constant();
  } else if (std::abs(shift) > b.Min(size)) {
    b.Unsupported("a roll by more than a dynamic dimension");
    return x;
  }
  if (first == 0) return x;
  const ir::Dim start = first < 0 ? b.Add(size, first) : ir::Dim(first);
  return b.Concat({b.Slice(x, axis, start, b.Sub(size, start)), b.Slice(x, axis, 0, start)}, axis);
}

void Roll(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const std::vector<int64_t> shifts = b.Ints("shifts");
  const std::vector<int64_t> dims = b.Ints("dims");
  if (!b.ok() || x->rank() == 0) return b.Return(x);
  if (dims.empty()) {
    if (shifts.size() != 1) return b.Invalid("several shifts need dims");
    const ir::Shape shape = x->shape();
    Value* flat = b.Reshape(x, {CountOf(b, x)});
    return b.Return(b.Reshape(RollAxis(b, flat, shifts[0], 0), shape));
  }
  if (dims.size() != shifts.size()) return b.Invalid("shifts and dims differ in length");
  for (size_t i = 0; i < dims.size(); ++i) {
    x = RollAxis(b, x, shifts[i], b.Axis(dims[i], b.Rank(x)));
  }
  b.Return(x);
}

void Rot90(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const std::vector<int64_t> dims = b.Ints("dims");
  const int64_t k = ((b.Int("k") % 4) + 4) % 4;
  if (b.ok() && dims.size() != 2) b.Invalid("rot90 needs two dims");
  if (!b.ok()) return;
  const int64_t p = b.Axis(dims[0], b.Rank(x)), q = b.Axis(dims[1], b.Rank(x));
  if (!b.ok()) return;
  if (k == 2) x = FlipAxis(b, FlipAxis(b, x, p), q);
  if (k == 1) x = SwapAxes(b, FlipAxis(b, x, q), p, q);
  if (k == 3) x = FlipAxis(b, SwapAxes(b, x, p, q), q);
  b.Return(x);
}

// --- diagonals -----------------------------------------------------------------------------------

// The last axis of x on a diagonal of two new axes.
Value* DiagonalMatrix(OpBuilder& b, Value* x, int64_t offset, int64_t p, int64_t q) {
  const int64_t n = b.StaticDim(x, b.Rank(x) - 1);
  const int64_t size = n + std::abs(offset);
  ir::Shape shape(x->shape().begin(), x->shape().end() - 1);
  shape.insert(shape.end(), {ir::Dim(size), ir::Dim(size)});
  Value* zero = b.Full(x->dtype(), shape, 0);
  Value* y = b.Call("aten::diagonal_scatter", {b.Wrap(zero), b.Wrap(x), IValue::Int(offset),
                                               IValue::Int(-2), IValue::Int(-1)});
  if (!b.ok()) return x;
  const int64_t rank = b.Rank(y);
  std::vector<int64_t> perm(static_cast<size_t>(rank), -1);
  perm[static_cast<size_t>(b.Axis(p, rank))] = rank - 2;
  perm[static_cast<size_t>(b.Axis(q, rank))] = rank - 1;
  int64_t next = 0;
  for (int64_t& axis : perm) {
    if (axis < 0) axis = next++;
  }
  return perm == AllAxes(rank) ? y : b.Transpose(y, std::move(perm));
}

void DiagEmbed(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(DiagonalMatrix(b, x, b.Int("offset"), b.Int("dim1"), b.Int("dim2")));
}

// diag: a vector on a diagonal, or the diagonal of a matrix. diagflat (param 1) flattens first.
void Diag(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t offset = b.Int(b.HasArg("offset") ? "offset" : "diagonal");
  if (b.row().param != 0) x = b.Reshape(x, {CountOf(b, x)});
  if (!b.ok()) return;
  if (x->rank() == 1) return b.Return(DiagonalMatrix(b, x, offset, -2, -1));
  b.Return(b.Call("aten::diagonal", {b.Wrap(x), IValue::Int(offset)}));
}

void BlockDiag(OpBuilder& b) {
  std::vector<Value*> xs = Promoted(b);
  ir::Dim columns = 0;
  for (Value*& x : xs) {
    if (x->rank() == 0) x = b.Reshape(x, {1, 1});
    if (x->rank() == 1) x = b.Unsqueeze(x, 0);
    columns = b.Add(columns, b.Dim(x, 1));
  }
  std::vector<Value*> rows;
  ir::Dim before = 0;
  for (Value* x : xs) {
    const ir::Dim height = b.Dim(x, 0), width = b.Dim(x, 1);
    const ir::Dim after = b.Sub(b.Sub(columns, before), width);
    if (!b.ok()) return;
    std::vector<Value*> parts;
    if (!(before == ir::Dim(0))) parts.push_back(b.Full(x->dtype(), {height, before}, 0));
    parts.push_back(x);
    if (!(after == ir::Dim(0))) parts.push_back(b.Full(x->dtype(), {height, after}, 0));
    rows.push_back(b.Concat(std::move(parts), 1));
    before = b.Add(before, width);
  }
  if (rows.empty()) return b.Invalid("no tensors");
  b.Return(b.Concat(std::move(rows), 0));
}

// Positions of a triangle, [2, count]: tril_indices, triu_indices (param 1).
void TriangleIndices(OpBuilder& b) {
  const int64_t rows = b.Int("row"), columns = b.Int("col"), offset = b.Int("offset");
  constexpr int64_t kMost = 1 << 12;
  if (b.ok() && (rows < 0 || columns < 0 || rows > kMost || columns > kMost)) {
    b.Invalid("a matrix of a bad size");
  }
  if (!b.ok()) return;
  std::vector<int64_t> is, js;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      if (b.row().param != 0 ? j - i < offset : j - i > offset) continue;
      is.push_back(i);
      js.push_back(j);
    }
  }
  const auto count = static_cast<int64_t>(is.size());
  is.insert(is.end(), js.begin(), js.end());
  Value* y = b.Reshape(b.IntVector(is), {2, count});
  b.Return(b.Cast(y, b.DTypeArg("dtype", DType::kI64)));
}

// All pairs, triples, ... of elements of vectors, one in a row.
void CartesianProduct(OpBuilder& b) {
  const std::vector<Value*> xs = Promoted(b);
  if (xs.size() == 1) return b.Return(xs[0]);
  ir::Shape shape;
  for (const Value* x : xs) shape.push_back(b.Dim(x, 0));
  const auto last = static_cast<int64_t>(shape.size());
  std::vector<Value*> columns;
  for (size_t i = 0; i < xs.size() && b.ok(); ++i) {
    ir::Shape line(shape.size(), ir::Dim(1));
    line[i] = shape[i];
    columns.push_back(b.Unsqueeze(b.Expand(b.Reshape(xs[i], std::move(line)), shape), last));
  }
  const ir::Dim count = b.Product(shape, 0, shape.size());
  if (!b.ok() || columns.empty()) return;
  b.Return(b.Reshape(b.Concat(std::move(columns), last), {count, last}));
}

// Powers of x as columns; descending unless told otherwise.
void Vander(OpBuilder& b) {
  Value* x = b.Tensor("x");
  const ir::Dim size = b.Dim(x, b.Rank(x) - 1);
  const int64_t n = b.Given("N") ? b.Int("N") : b.StaticDim(x, b.Rank(x) - 1);
  const bool increasing = b.Bool("increasing", b.schema().name == "aten::linalg_vander");
  if (!b.ok()) return;
  if (!IsFloat(x->dtype())) x = b.Cast(x, DType::kI64);
  std::vector<Value*> columns;
  Value* power = nullptr;
  for (int64_t i = 0; i < n; ++i) {
    power = i == 0   ? b.Full(x->dtype(), x->shape(), 1)
            : i == 1 ? x
                     : b.Binary(OpId::kMul, power, x);
    columns.push_back(b.Unsqueeze(power, b.Rank(x)));
  }
  if (!increasing) std::reverse(columns.begin(), columns.end());
  if (columns.empty()) return b.Unsupported("a matrix without columns");
  b.Return(b.Concat(std::move(columns), b.Rank(x)));
}

constexpr Row kRows[] = {
    {"aten::cat", Cat},
    {"aten::concat", Cat},
    {"aten::concatenate", Cat},
    {"aten::stack", Stack},
    {"aten::_stack", Stack},
    {"aten::vstack", StackAlong, OpId::kIdentity, 0},
    {"aten::row_stack", StackAlong, OpId::kIdentity, 0},
    {"aten::hstack", StackAlong, OpId::kIdentity, 1},
    {"aten::dstack", StackAlong, OpId::kIdentity, 2},
    {"aten::column_stack", StackAlong, OpId::kTranspose, 1},
    {"aten::meshgrid", MeshGrid},
    {"aten::repeat", Repeat},
    {"aten::tile", Repeat},
    {"aten::repeat_interleave", RepeatInterleave},
    {"aten::flip", Flip},
    {"aten::flipud", Flip, OpId::kIdentity, 1},
    {"aten::fliplr", Flip, OpId::kIdentity, 2},
    {"aten::roll", Roll},
    {"aten::rot90", Rot90},
    {"aten::diag_embed", DiagEmbed},
    {"aten::diag", Diag},
    {"aten::diagflat", Diag, OpId::kIdentity, 1},
    {"aten::block_diag", BlockDiag},
    {"aten::tril_indices", TriangleIndices},
    {"aten::triu_indices", TriangleIndices, OpId::kIdentity, 1},
    {"aten::cartesian_prod", CartesianProduct},
    {"aten::vander", Vander},
    {"aten::linalg_vander", Vander},
};

}  // namespace

std::span<const Row> ArrangeRows() { return kRows; }

}  // namespace floe::aten
