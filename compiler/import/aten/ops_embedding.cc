// Tables of vectors, looked up by row.
#include <limits>
#include <optional>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();

void Embedding(OpBuilder& b) {
  Value* weight = b.Tensor("weight");
  b.Return(b.Gather(weight, b.Tensor("indices"), 0));
}

void OneHot(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t classes = b.Int("num_classes");
  if (classes < 0) {
    return b.Unsupported("one_hot takes the number of classes from data; pass num_classes");
  }
  ir::Tensor values(DType::kI64, {2});
  values.SetInt(1, 1);
  b.Return(b.Emit(OpId::kOneHot, {x, b.Constant(std::move(values))},
                  {{"axis", b.Rank(x)}, {"depth", classes}}));
}

// --- bags: sums, means or maxima of several rows
// ---------------------------------------------------

enum Mode : int64_t { kSum, kMean, kMax };

struct Bags {
  Value* rows = nullptr;     // [n, D], what each index names.
  Value* counts = nullptr;   // bool [n], or null: which take part; the padding does not.
  Value* factors = nullptr;  // [n], or null.
  Dim length, bags;
  int64_t mode = kSum;
  int64_t uniform = -1;  // Every bag has as many indices; -1: not known.
};

// Indices in each bag where offsets are 0, k, 2 k, ... up to the end; else -1.
int64_t UniformSize(OpBuilder& b, const Value* offsets, const Dim& length, const Dim& bags) {
  if (!length.is_constant() || !bags.is_constant() || bags.constant() < 1) return -1;
  if (length.constant() % bags.constant() != 0) return -1;
  const int64_t size = length.constant() / bags.constant();
  const std::optional<std::vector<int64_t>> known = b.IntsOf(offsets);
  if (!known) return -1;
  for (int64_t i = 0; i < bags.constant(); ++i) {
    if ((*known)[static_cast<size_t>(i)] != i * size) return -1;
  }
  return size;
}

// What an index adds to its bag: [n, D].
Value* Contributions(OpBuilder& b, const Bags& bags) {
  Value* x = bags.rows;
  if (bags.factors != nullptr) {
    x = b.Binary(OpId::kMul, x, b.Reshape(bags.factors, {bags.length, 1}));
  }
  if (bags.counts == nullptr) return x;
  const double neutral = bags.mode == kMax ? kMinusInf : 0;
  return b.Where(b.Reshape(bags.counts, {bags.length, 1}), x, b.ScalarLike(x, neutral));
}

// The reduction over the indices of each bag, of [n, ...]. `ids` are the bags' numbers, [n].
Value* ReduceBags(OpBuilder& b, const Bags& bags, Value* x, Value* ids, bool max) {
  if (!b.ok()) return x;
  if (bags.uniform > 0) {
    ir::Shape shape = x->shape();
    shape[0] = bags.uniform;
    shape.insert(shape.begin(), bags.bags);
    return b.Reduce(max ? ReduceKind::kMax : ReduceKind::kSum, b.Reshape(x, std::move(shape)), {1},
                    false);
  }
  ir::Shape shape = x->shape();
  Value* where = b.Expand(AlongAxis(b, ids, 0, b.Rank(x)), shape);
  shape[0] = bags.bags;
  Value* start = b.Full(x->dtype(), std::move(shape), max ? kMinusInf : 0);
  const ScatterReduction kind = max ? ScatterReduction::kMax : ScatterReduction::kAdd;
  return b.Emit(OpId::kScatterElements, {start, where, x},
                {{"axis", int64_t{0}}, {"reduction", static_cast<int64_t>(kind)}});
}

Bags ReadBags(OpBuilder& b) {
  Bags bags;
  Value* weight = b.Tensor("weight");
  Value* indices = b.Tensor("indices");
  Value* offsets = b.Tensor("offsets");
  bags.mode = b.Int("mode");
  bags.factors = b.OptTensor("per_sample_weights");
  if (!b.ok()) return bags;
  if (indices->rank() != 1 || offsets->rank() != 1 || weight->rank() != 2 || bags.mode < kSum ||
      bags.mode > kMax) {
    b.Invalid("indices and offsets must be vectors, the weight a matrix, the mode 0, 1 or 2");
    return bags;
  }
  bags.length = b.Dim(indices, 0);
  bags.bags = b.Bool("include_last_offset") ? b.Sub(b.Dim(offsets, 0), 1) : b.Dim(offsets, 0);
  bags.rows = b.Gather(weight, indices, 0);
  bags.uniform = UniformSize(b, offsets, bags.length, bags.bags);
  const int64_t padding = b.Int("padding_idx", -1);
  if (padding >= 0 || (padding < -1 && b.Given("padding_idx"))) {
    const int64_t row = padding >= 0 ? padding : padding + b.StaticDim(weight, 0);
    Value* number = b.Cast(b.DimValue(row), indices->dtype());
    bags.counts = b.Binary(OpId::kNotEqual, indices, number);
  }
  return bags;
}

// Results after the first exist for gradients.
void EmbeddingBag(OpBuilder& b) {
  const Bags bags = ReadBags(b);
  Value* offsets = b.Tensor("offsets");
  if (!b.ok()) return;
  // The bag of position i is the last one that starts at or before it.
  Value* ids = nullptr;
  if (bags.uniform <= 0) {
    offsets = b.Cast(b.Slice(offsets, 0, 0, bags.bags), DType::kI64);
    Value* positions = b.Arange(bags.length, DType::kI64);
    ids = b.Emit(OpId::kSearchSorted, {offsets, positions}, {{"right", int64_t{1}}});
    ids = b.Binary(OpId::kSub, ids, b.DimValue(1));
  }
  Value* y = ReduceBags(b, bags, Contributions(b, bags), ids, bags.mode == kMax);
  if (bags.mode != kSum) {
    // Empty bags give 0.
    const DType t = bags.rows->dtype();
    Value* ones = bags.counts == nullptr ? b.Full(t, {bags.length}, 1) : b.Cast(bags.counts, t);
    Value* count = ReduceBags(b, bags, ones, ids, false);
    count = b.Reshape(count, {bags.bags, 1});
    Value* empty = b.Binary(OpId::kEqual, count, b.ScalarLike(count, 0));
    if (bags.mode == kMean) y = b.Binary(OpId::kDiv, y, count);
    y = b.Where(empty, b.ScalarLike(y, 0), y);
  }
  b.Return(y);
  if (b.ok()) b.results().resize(b.schema().results);
}

constexpr Row kRows[] = {
    {"aten::embedding", Embedding},
    {"aten::one_hot", OneHot},
    {"aten::embedding_bag", EmbeddingBag},
    {"aten::_embedding_bag", EmbeddingBag},
    {"aten::_embedding_bag_forward_only", EmbeddingBag},
};

}  // namespace

std::span<const Row> EmbeddingRows() { return kRows; }

}  // namespace floe::aten
