// Views that keep all elements: reshapes, permutations, expansions.
#include <algorithm>

#include "compiler/import/aten/compose.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// x as view() and reshape() want it: one dimension may be -1.
Value* Viewed(OpBuilder& b, Value* x, std::vector<ir::Dim> dims) {
  size_t open = dims.size();
  for (size_t i = 0; i < dims.size(); ++i) {
    if (!(dims[i] == ir::Dim(-1))) continue;
    if (open != dims.size()) b.Invalid("two dimensions are -1");
    open = i;
  }
  return open == dims.size() ? b.ReshapeChecked(x, std::move(dims))
                             : b.ReshapeRest(x, std::move(dims), open);
}

void ReturnNonContiguous(OpBuilder& b, Value* y) {
  b.Return(y);
  b.results().back().variable()->contiguous = false;
}

// --- reshapes ------------------------------------------------------------------------------------

// param 1: reshape(), which copies what does not lie in order.
void View(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const char* name = b.HasArg("size") ? "size" : "shape";
  b.is_copy = b.row().param != 0 && !b.Arg("self").variable()->contiguous;
  b.Return(Viewed(b, x, b.SymInts(name)));
}

void ViewAs(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.is_copy = b.row().param != 0 && !b.Arg("self").variable()->contiguous;
  b.Return(b.Reshape(x, b.Tensor("other")->shape()));
}

Value* WriteReshaped(OpBuilder& b, Value* base, Value* view) {
  return b.Reshape(view, base->shape());
}

// ravel too: the whole range.
void Flatten(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.is_copy = !b.Arg("self").variable()->contiguous;
  const int64_t rank = b.Rank(x);
  if (rank == 0) return b.Return(b.Reshape(x, {1}));
  const int64_t first = b.HasArg("start_dim") ? b.Axis(b.Int("start_dim"), rank) : 0;
  const int64_t last = b.HasArg("end_dim") ? b.Axis(b.Int("end_dim"), rank) : rank - 1;
  if (!b.ok()) return;
  if (last < first) return b.Invalid("end_dim is before start_dim");
  ir::Shape shape(x->shape().begin(), x->shape().begin() + first);
  shape.push_back(b.Product(x->shape(), static_cast<size_t>(first), static_cast<size_t>(last) + 1));
  shape.insert(shape.end(), x->shape().begin() + last + 1, x->shape().end());
  b.Return(b.Reshape(x, std::move(shape)));
}

void Unflatten(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t axis = b.Axis(b.Int("dim"), b.Rank(x));
  std::vector<ir::Dim> sizes = b.SymInts("sizes");
  if (!b.ok()) return;
  const auto open = std::find(sizes.begin(), sizes.end(), ir::Dim(-1));
  if (open != sizes.end()) {
    ir::Shape rest;
    for (const ir::Dim& d : sizes) {
      if (!(d == ir::Dim(-1))) rest.push_back(d);
    }
    const auto quotient = ir::CountQuotient({b.Dim(x, axis)}, rest);
    if (!quotient) return b.Invalid("sizes that do not divide the dimension");
    *open = *quotient;
  }
  ir::Shape shape = x->shape();
  shape.erase(shape.begin() + axis);
  shape.insert(shape.begin() + axis, sizes.begin(), sizes.end());
  b.Return(b.Reshape(x, std::move(shape)));
}

// squeeze(), squeeze(dim), squeeze(dims): a dimension that may be more than 1 stays.
void Squeeze(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t rank = b.Rank(x);
  std::vector<bool> drop(static_cast<size_t>(rank), !b.HasArg("dim"));
  if (b.HasArg("dim") && rank > 0) {
    for (const int64_t axis : b.Ints("dim")) drop[static_cast<size_t>(b.Axis(axis, rank))] = true;
  }
  ir::Shape shape;
  for (size_t i = 0; i < drop.size(); ++i) {
    if (!drop[i] || !(x->shape()[i] == ir::Dim(1))) shape.push_back(x->shape()[i]);
  }
  b.Return(b.Reshape(x, std::move(shape)));
}

void Unsqueeze(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t axis = b.Axis(b.Int("dim"), b.Rank(x) + 1);
  if (b.ok()) b.Return(b.Unsqueeze(x, axis));
}

// param: the least rank of atleast_1d, _2d, _3d.
Value* AtLeastOf(OpBuilder& b, Value* x) {
  ir::Shape shape = x->shape();
  const int64_t rank = b.row().param;
  if (rank == 3 && shape.size() == 2) {
    shape.push_back(1);
  } else if (rank == 3 && shape.size() == 1) {
    shape = {1, shape[0], 1};
  }
  while (static_cast<int64_t>(shape.size()) < rank) shape.insert(shape.begin(), ir::Dim(1));
  return b.Reshape(x, std::move(shape));
}

void AtLeast(OpBuilder& b) {
  if (b.HasArg("self")) return b.Return(AtLeastOf(b, b.Tensor("self")));
  std::vector<Value*> values;
  for (Value* x : b.Tensors("tensors")) values.push_back(AtLeastOf(b, x));
  b.ReturnList(values);
}

// --- permutations --------------------------------------------------------------------------------

// Every op below permutes; this is the permutation that it stands for.
std::vector<int64_t> Permutation(OpBuilder& b, int64_t rank) {
  std::vector<int64_t> perm = AllAxes(rank);
  const auto swap = [&](int64_t p, int64_t q) {
    if (rank > 0)
      std::swap(perm[static_cast<size_t>(b.Axis(p, rank))],
                perm[static_cast<size_t>(b.Axis(q, rank))]);
  };
  enum { kDims, kSwap, kMatrix, kReverse, kMove };
  switch (b.row().param) {
    case kDims: {
      std::vector<int64_t> dims = b.Ints("dims");
      for (int64_t& axis : dims) axis = b.Axis(axis, rank);
      std::vector<int64_t> sorted = dims;
      std::sort(sorted.begin(), sorted.end());
      if (b.ok() && sorted != perm) b.Invalid("dims is no permutation of the axes");
      return dims;
    }
    case kSwap:
      if (b.HasArg("axis0")) {
        swap(b.Int("axis0"), b.Int("axis1"));
      } else {
        swap(b.Int("dim0"), b.Int("dim1"));
      }
      return perm;
    case kMatrix:  // t(), mT: the last two.
      if (rank >= 2) swap(-1, -2);
      return perm;
    case kReverse:
      std::reverse(perm.begin(), perm.end());
      return perm;
    case kMove: {
      std::vector<int64_t> from = b.Ints("source");
      std::vector<int64_t> to = b.Ints("destination");
      if (from.size() != to.size()) b.Invalid("source and destination differ in length");
      if (!b.ok()) return perm;
      std::vector<int64_t> result(static_cast<size_t>(rank), -1);
      for (size_t i = 0; i < from.size(); ++i) {
        from[i] = b.Axis(from[i], rank);
        result[static_cast<size_t>(b.Axis(to[i], rank))] = from[i];
      }
      for (int64_t axis = 0, at = 0; axis < rank; ++axis) {
        if (std::find(from.begin(), from.end(), axis) != from.end()) continue;
        while (at < rank && result[static_cast<size_t>(at)] >= 0) ++at;
        if (at < rank) result[static_cast<size_t>(at)] = axis;
      }
      return result;
    }
  }
  return perm;
}

void Permute(OpBuilder& b) {
  Value* x = b.Tensor("self");
  std::vector<int64_t> perm = Permutation(b, b.Rank(x));
  if (!b.ok()) return;
  if (perm == AllAxes(b.Rank(x))) return b.Return(b.Unary(OpId::kIdentity, x));
  ReturnNonContiguous(b, b.Transpose(x, std::move(perm)));
}

Value* WritePermuted(OpBuilder& b, Value* base, Value* view) {
  const std::vector<int64_t> perm = Permutation(b, b.Rank(base));
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return b.Transpose(view, std::move(inverse));
}

// --- expansions ----------------------------------------------------------------------------------

void Expand(OpBuilder& b) {
  Value* x = b.Tensor("self");
  ir::Shape shape = b.HasArg("other") ? b.Tensor("other")->shape() : ir::Shape(b.SymInts("size"));
  if (!b.ok()) return;
  if (shape.size() < x->rank()) return b.Invalid("fewer dimensions than the tensor has");
  const size_t lead = shape.size() - x->rank();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == ir::Dim(-1)) {
      if (i < lead) return b.Invalid("-1 for a dimension that is new");
      shape[i] = x->shape()[i - lead];
    }
  }
  ReturnNonContiguous(b, b.Expand(x, std::move(shape)));
}

void BroadcastTensors(OpBuilder& b) {
  const std::vector<Value*> xs = b.Tensors("tensors");
  ir::Shape shape;
  for (const Value* x : xs) shape = b.Broadcast(shape, x->shape());
  std::vector<Value*> values;
  for (Value* x : xs) values.push_back(b.Expand(x, shape));
  b.ReturnList(values);
}

void Alias(OpBuilder& b) {
  const IValue& self = b.Arg("self");
  if (self.is_tensor()) b.Return(self);
}

constexpr Row kRows[] = {
    {"aten::view", View, OpId::kIdentity, 0, true, WriteReshaped},
    {"aten::_unsafe_view", View},
    {"aten::view_copy", View},
    {"aten::reshape", View, OpId::kIdentity, 1, true, WriteReshaped},
    {"aten::_reshape_alias", View, OpId::kIdentity, 1, true, WriteReshaped},
    {"aten::_reshape_copy", View},
    {"aten::view_as", ViewAs, OpId::kIdentity, 0, true, WriteReshaped},
    {"aten::reshape_as", ViewAs, OpId::kIdentity, 1, true, WriteReshaped},
    {"aten::flatten", Flatten, OpId::kIdentity, 0, true, WriteReshaped},
    {"aten::ravel", Flatten, OpId::kIdentity, 0, true, WriteReshaped},
    {"aten::unflatten", Unflatten, OpId::kIdentity, 0, true, WriteReshaped},
    {"aten::squeeze", Squeeze, OpId::kIdentity, 0, true, WriteReshaped},
    {"aten::squeeze_copy", Squeeze},
    {"aten::unsqueeze", Unsqueeze, OpId::kIdentity, 0, true, WriteReshaped},
    {"aten::unsqueeze_copy", Unsqueeze},
    {"aten::atleast_1d", AtLeast, OpId::kIdentity, 1},
    {"aten::atleast_2d", AtLeast, OpId::kIdentity, 2},
    {"aten::atleast_3d", AtLeast, OpId::kIdentity, 3},
    {"aten::permute", Permute, OpId::kIdentity, 0, true, WritePermuted},
    {"aten::permute_copy", Permute},
    {"aten::transpose", Permute, OpId::kIdentity, 1, true, WritePermuted},
    {"aten::transpose_copy", Permute, OpId::kIdentity, 1},
    {"aten::swapaxes", Permute, OpId::kIdentity, 1, true, WritePermuted},
    {"aten::swapdims", Permute, OpId::kIdentity, 1, true, WritePermuted},
    {"aten::t", Permute, OpId::kIdentity, 2, true, WritePermuted},
    {"aten::t_copy", Permute, OpId::kIdentity, 2},
    {"aten::mT", Permute, OpId::kIdentity, 2, true, WritePermuted},
    {"aten::mH", Permute, OpId::kIdentity, 2, true, WritePermuted},
    {"aten::adjoint", Permute, OpId::kIdentity, 2, true, WritePermuted},
    {"aten::numpy_T", Permute, OpId::kIdentity, 3, true, WritePermuted},
    {"aten::matrix_H", Permute, OpId::kIdentity, 2, true, WritePermuted},
    {"aten::movedim", Permute, OpId::kIdentity, 4, true, WritePermuted},
    {"aten::moveaxis", Permute, OpId::kIdentity, 4, true, WritePermuted},
    {"aten::expand", Expand, OpId::kIdentity, 0, true},
    {"aten::expand_copy", Expand},
    {"aten::expand_as", Expand, OpId::kIdentity, 0, true},
    {"aten::broadcast_to", Expand, OpId::kIdentity, 0, true},
    {"aten::broadcast_tensors", BroadcastTensors},
    {"aten::alias", Alias},
    {"aten::detach", Alias},
    {"aten::data", Alias},
    {"aten::lift", Alias},
};

}  // namespace

std::span<const Row> ViewRows() { return kRows; }

}  // namespace floe::aten
