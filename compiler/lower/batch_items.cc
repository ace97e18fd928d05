#include "compiler/lower/batch_items.h"

#include <algorithm>

#include "compiler/ir/control.h"

namespace floe::lower {
namespace {

// A node and what is known of its operands. Operand numbers are those of the op: what an epilogue
// or a prologue reads is checked for all ops alike.
struct Items {
  const ir::Node& node;
  const BatchedValues& batched;
  const ir::Dim& batch;

  const ir::Value& y() const { return *node.output(); }
  size_t own() const {
    return node.code.empty() || node.op() == OpId::kPointwise ? node.inputs().size()
                                                              : node.epilogue_begin;
  }
  bool Batched(size_t i) const {
    return i < own() && node.input(i) != nullptr && batched.contains(node.input(i));
  }
  // Absent, or the same for all items.
  bool Shared(size_t i) const { return !Batched(i); }
  // Whether operand i, of any number, meets a result of this rank in axis 0 with its own batch, or
  // with nothing or a 1 there.
  bool Broadcasts(size_t i, size_t rank) const {
    const ir::Value* v = node.input(i);
    if (v == nullptr) return true;
    if (batched.contains(v)) return v->rank() == rank;
    return v->rank() < rank || (v->rank() == rank && v->shape()[0] == ir::Dim(1));
  }
  bool OnlyFirst() const {
    for (size_t i = 1; i < own(); ++i) {
      if (Batched(i)) return false;
    }
    return Batched(0);
  }
};

using Rule = bool (*)(const Items&);

bool Broadcasting(const Items& n) {
  for (size_t i = 0; i < n.own(); ++i) {
    if (!n.Broadcasts(i, n.y().rank())) return false;
  }
  return true;
}
// x is batched, the others are weights and the like.
bool First(const Items& n) { return n.OnlyFirst(); }
bool FirstAlongAxis(const Items& n) { return n.OnlyFirst() && n.node.Int("axis") > 0; }
// Its indices run over the whole tensor.
bool MaxPool(const Items& n) { return n.OnlyFirst() && n.node.output(1) == nullptr; }
bool Reduce(const Items& n) {
  const std::vector<int64_t>& axes = n.node.Ints("axes");
  return n.OnlyFirst() && std::count(axes.begin(), axes.end(), 0) == 0;
}
bool Transpose(const Items& n) { return n.OnlyFirst() && n.node.Ints("perm")[0] == 0; }
bool Slice(const Items& n) {
  return n.OnlyFirst() && n.node.Ints("starts")[0] == 0 && n.node.Ints("steps")[0] == 1;
}
bool Concat(const Items& n) {
  for (size_t i = 0; i < n.own(); ++i) {
    if (!n.Batched(i)) return false;
  }
  return n.node.Int("axis") > 0;
}
bool Pad(const Items& n) {
  return n.OnlyFirst() && n.node.Ints("before")[0] == 0 && n.node.Ints("after")[0] == 0;
}
bool Expand(const Items& n) { return n.OnlyFirst() && n.node.input(0)->rank() == n.y().rank(); }
bool Tile(const Items& n) { return n.OnlyFirst() && n.node.Ints("repeats")[0] == 1; }
// Rows of a, or matrices of both.
bool MatMul(const Items& n) {
  const size_t rank = n.y().rank();
  if (!n.Batched(0) || n.node.input(0)->rank() != rank) return false;
  const ir::Value& b = *n.node.input(1);
  if (n.Shared(1)) {
    return b.rank() == 2 || (b.rank() == rank && rank > 2 && b.shape()[0] == ir::Dim(1));
  }
  return b.rank() == rank && rank > 2;
}
bool Gemm(const Items& n) {
  return n.Batched(0) && n.Shared(1) && n.node.Int("trans_a") == 0 &&
         (n.own() < 3 || n.Broadcasts(2, 2));
}
// Scales are numbers for all, or run along another axis than that of the items.
bool Quantize(const Items& n) {
  const ir::Value& scale = *n.node.input(1);
  const bool one = scale.is_constant() && scale.constant().count() == 1;
  return n.OnlyFirst() && (one || n.node.Int("axis") > 0);
}
// x w scale bias? residual? ...: the residual is batched like the result.
bool QuantizedProduct(const Items& n) {
  for (size_t i = 1; i < n.own(); ++i) {
    if (i == 4 && n.node.input(i) != nullptr ? n.Shared(i) : n.Batched(i)) return false;
  }
  return n.Batched(0) && n.y().rank() >= 2;
}
bool Attention(const Items& n) {
  return n.Batched(0) && n.Batched(1) && n.Batched(2) && n.Broadcasts(3, 4);
}
bool Rotary(const Items& n) {
  return n.Batched(0) && n.Broadcasts(1, n.y().rank()) && n.Broadcasts(2, n.y().rank());
}

struct Row {
  OpId op;
  Rule rule;
};
constexpr Row kRows[] = {
    {OpId::kPointwise, Broadcasting},
    // What remains of single pointwise ops behind the passes.
    {OpId::kAdd, Broadcasting},
    {OpId::kSub, Broadcasting},
    {OpId::kMul, Broadcasting},
    {OpId::kDiv, Broadcasting},
    {OpId::kPow, Broadcasting},
    {OpId::kMinimum, Broadcasting},
    {OpId::kMaximum, Broadcasting},
    {OpId::kPRelu, Broadcasting},
    {OpId::kWhere, Broadcasting},
    {OpId::kNeg, Broadcasting},
    {OpId::kAbs, Broadcasting},
    {OpId::kSqrt, Broadcasting},
    {OpId::kExp, Broadcasting},
    {OpId::kLog, Broadcasting},
    {OpId::kCast, Broadcasting},
    {OpId::kRelu, Broadcasting},
    {OpId::kLeakyRelu, Broadcasting},
    {OpId::kElu, Broadcasting},
    {OpId::kSigmoid, Broadcasting},
    {OpId::kHardSigmoid, Broadcasting},
    {OpId::kHardSwish, Broadcasting},
    {OpId::kTanh, Broadcasting},
    {OpId::kSoftplus, Broadcasting},
    {OpId::kGelu, Broadcasting},
    {OpId::kSilu, Broadcasting},
    {OpId::kMish, Broadcasting},
    {OpId::kClamp, Broadcasting},
    {OpId::kIdentity, First},
    {OpId::kReshape, First},  // Axis 0 stays as long as it is: nothing else is asked of it.
    {OpId::kConv, First},
    {OpId::kConvInteger, First},
    {OpId::kConvTranspose, First},
    {OpId::kBatchNorm, First},
    {OpId::kInstanceNorm, First},
    {OpId::kGroupNorm, First},
    {OpId::kLrn, First},
    {OpId::kAvgPool, First},
    {OpId::kQAvgPool, First},
    {OpId::kLookup, First},
    {OpId::kDepthToSpace, First},
    {OpId::kSpaceToDepth, First},
    {OpId::kIm2Col, First},
    {OpId::kCol2Im, First},
    {OpId::kMaxPool, MaxPool},
    {OpId::kSoftmax, FirstAlongAxis},
    {OpId::kLogSoftmax, FirstAlongAxis},
    {OpId::kLayerNorm, FirstAlongAxis},
    {OpId::kRmsNorm, FirstAlongAxis},
    {OpId::kLpNorm, FirstAlongAxis},
    {OpId::kCumSum, FirstAlongAxis},
    {OpId::kArgReduce, FirstAlongAxis},
    {OpId::kGather, FirstAlongAxis},
    {OpId::kReduce, Reduce},
    {OpId::kTranspose, Transpose},
    {OpId::kSlice, Slice},
    {OpId::kConcat, Concat},
    {OpId::kPad, Pad},
    {OpId::kExpand, Expand},
    {OpId::kTile, Tile},
    {OpId::kMatMul, MatMul},
    {OpId::kGemm, Gemm},
    {OpId::kQuantize, Quantize},
    {OpId::kDequantize, Quantize},
    {OpId::kQConv, QuantizedProduct},
    {OpId::kQGemm, QuantizedProduct},
    {OpId::kAttention, Attention},
    {OpId::kRotary, Rotary},
};

}  // namespace

bool TreatsItemsAlone(const ir::Node& node, const BatchedValues& batched, const ir::Dim& batch) {
  if (node.output() == nullptr) return false;
  for (const ir::Value* y : node.outputs()) {
    // Content that is known speaks of the whole batch.
    if (y != nullptr && (y->rank() == 0 || y->shape()[0] != batch || y->content)) return false;
  }
  const auto row = std::find_if(std::begin(kRows), std::end(kRows),
                                [&](const Row& r) { return r.op == node.op(); });
  const Items items{node, batched, batch};
  if (row == std::end(kRows) || !row->rule(items)) return false;
  for (size_t i = items.own(); i < node.inputs().size(); ++i) {
    if (!items.Broadcasts(i, items.y().rank())) return false;
  }
  return true;
}

size_t CountItemwise(const ir::Graph& graph, const ir::Dim& batch, BatchedValues* batched) {
  size_t count = 0;
  for (const auto& node : graph.nodes()) {
    const bool reads_batch =
        std::any_of(node->inputs().begin(), node->inputs().end(),
                    [&](const ir::Value* v) { return v != nullptr && batched->contains(v); });
    if (reads_batch ? !TreatsItemsAlone(*node, *batched, batch)
                    : ir::HasBodies(*node) || ir::HasEffects(*node)) {
      break;
    }
    for (const ir::Value* y : node->outputs()) {
      if (reads_batch && y != nullptr) batched->insert(y);
    }
    ++count;
  }
  return count;
}

}  // namespace floe::lower
