// Views, and what writes through them.
#include <numeric>

#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// The target of view(), reshape(): one dimension may be -1.
ir::Shape TargetShape(OpBuilder& b, const Value* x, std::vector<ir::Dim> dims) {
  int64_t open = -1;
  ir::Shape rest;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == ir::Dim(-1)) {
      if (open >= 0) b.Invalid("two dimensions are -1");
      open = static_cast<int64_t>(i);
    } else {
      rest.push_back(dims[i]);
    }
  }
  if (open < 0 || !b.ok()) return dims;
  const std::optional<ir::Dim> quotient = ir::CountQuotient(x->shape(), rest);
  if (!quotient) {
    b.Invalid("a shape that does not divide " + b.Text(x->shape()));
    return dims;
  }
  dims[static_cast<size_t>(open)] = *quotient;
  return dims;
}

void View(OpBuilder& b) {
  Value* x = b.Tensor("self");
  ir::Shape shape = TargetShape(b, x, b.SymInts(b.HasArg("size") ? "size" : "shape"));
  b.Return(b.Reshape(x, std::move(shape)));
}

Value* WriteReshaped(OpBuilder& b, Value* base, Value* view) {
  return b.Reshape(view, base->shape());
}

std::vector<int64_t> Permutation(OpBuilder& b, int64_t rank) {
  std::vector<int64_t> perm = b.Ints("dims");
  for (int64_t& axis : perm) axis = b.Axis(axis, rank);
  return perm;
}

void Permute(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(b.Transpose(x, Permutation(b, b.Rank(x))));
  b.results().back().variable()->contiguous = false;
}

Value* WritePermuted(OpBuilder& b, Value* base, Value* view) {
  const std::vector<int64_t> perm = Permutation(b, b.Rank(base));
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) {
    inverse[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
  }
  return b.Transpose(view, std::move(inverse));
}

constexpr Row kRows[] = {
    {"aten::permute", Permute, OpId::kIdentity, 0, true, WritePermuted},
    {"aten::view", View, OpId::kIdentity, 0, true, WriteReshaped},
};

}  // namespace

std::span<const Row> ViewRows() { return kRows; }

}  // namespace floe::aten
