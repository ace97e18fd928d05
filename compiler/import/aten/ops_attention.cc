// Attention, as the products and the softmax that the passes fuse.
#include <cmath>
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

// --- scaled dot products -------------------------------------------------------------------------

// Minus infinity where `forbidden` holds, else 0.
Value* Bias(OpBuilder& b, Value* forbidden, DType dtype) {
  return b.Where(forbidden, b.Scalar(dtype, kMinusInf), b.Scalar(dtype, 0));
}

// Query i sees keys 0 to i, whatever their number.
Value* CausalBias(OpBuilder& b, const Dim& queries, const Dim& keys, DType dtype) {
  Value* rows = b.Reshape(b.Arange(queries, DType::kI64), {queries, 1});
  return Bias(b, b.Binary(OpId::kLess, rows, b.Arange(keys, DType::kI64)), dtype);
}

// A bool mask says which keys take part; one of floats is added to the scores.
Value* MaskBias(OpBuilder& b, Value* mask, DType dtype) {
  if (mask->dtype() != DType::kBool) return b.Cast(mask, dtype);
  return Bias(b, b.Unary(OpId::kLogicalNot, mask), dtype);
}

// Heads of keys and values are shared by groups of queries' heads: each is repeated.
Value* RepeatHeads(OpBuilder& b, Value* x, const Value* like) {
  if (!b.ok()) return x;
  const int64_t rank = b.Rank(x);
  if (rank < 3 || like->rank() != x->rank()) {
    b.Invalid("grouped heads need operands of equal rank, 3 at least");
    return x;
  }
  const int64_t axis = rank - 3;
  const std::optional<Dim> times = Dim::DivExact(b.Dim(like, axis), b.Dim(x, axis));
  if (!times || !times->is_constant() || times->constant() < 1) {
    b.Invalid("the heads of queries are no multiple of those of keys");
    return x;
  }
  if (*times == Dim(1)) return x;
  ir::Shape wide = x->shape(), flat = x->shape();
  wide.insert(wide.begin() + axis + 1, *times);
  flat[static_cast<size_t>(axis)] = b.Dim(like, axis);
  return b.Reshape(b.Expand(b.Unsqueeze(x, axis + 1), std::move(wide)), std::move(flat));
}

struct Attended {
  Value* y = nullptr;
  Value* weights = nullptr;
  Value* scores = nullptr;  // Before the softmax.
};

// softmax(q k^T * scale + bias) v. Rows without any key give 0, which only a mask brings about.
Attended Attend(OpBuilder& b, Value* q, Value* k, Value* v, Value* bias, bool masked,
                double scale) {
  Attended a;
  // The scale is split between both factors, as PyTorch does, to keep f16 in range.
  const double root = std::sqrt(std::fabs(scale));
  Value* keys = Times(b, SwapLastAxes(b, k), scale < 0 ? -root : root);
  a.scores = b.MatMul(Times(b, q, root), keys);
  if (bias != nullptr) a.scores = b.Binary(OpId::kAdd, a.scores, bias);
  if (!b.ok()) return a;
  const int64_t last = b.Rank(a.scores) - 1;
  a.weights = b.Emit(OpId::kSoftmax, {a.scores}, {{"axis", last}});
  a.y = b.MatMul(a.weights, v);
  if (!masked || bias->rank() == 0 || !b.ok()) return a;
  Value* greatest = b.Reduce(ReduceKind::kMax, bias, {b.Rank(bias) - 1}, true);
  Value* empty = b.Binary(OpId::kEqual, greatest, b.ScalarLike(bias, kMinusInf));
  const std::optional<std::vector<int64_t>> known = b.IntsOf(empty);
  bool any = !known;
  if (known) {
    for (const int64_t row : *known) any = any || row != 0;
  }
  if (any) a.y = b.Where(empty, b.ScalarLike(a.y, 0), a.y);
  return a;
}

Attended DotProductAttention(OpBuilder& b) {
  Value* q = b.Tensor("query");
  Value* k = b.Tensor("key");
  Value* v = b.Tensor("value");
  if (b.Float("dropout_p", 0) != 0) RefuseTraining(b, true);
  if (!b.ok()) return {};
  if (q->rank() < 2 || k->rank() < 2 || v->rank() < 2) {
    b.Invalid("an operand has a rank below 2");
    return {};
  }
  if (b.Bool("enable_gqa", false)) {
    k = RepeatHeads(b, k, q);
    v = RepeatHeads(b, v, q);
  }
  const DType dtype = q->dtype();
  const int64_t rank = b.Rank(q);
  const char* mask_name = b.HasArg("attn_mask") ? "attn_mask" : "attn_bias";
  Value* mask = b.OptTensor(mask_name);
  Value* bias = nullptr;
  if (mask != nullptr) bias = MaskBias(b, mask, dtype);
  if (b.Bool("is_causal", false)) {
    Value* causal = CausalBias(b, b.Dim(q, rank - 2), b.Dim(k, b.Rank(k) - 2), dtype);
    bias = bias == nullptr ? causal : b.Binary(OpId::kAdd, bias, causal);
  }
  double scale = b.Float("scale", 0);
  if (!b.Given("scale")) {
    scale = 1 / std::sqrt(static_cast<double>(b.StaticDim(q, rank - 1)));
  }
  return Attend(b, q, k, v, bias, mask != nullptr, scale);
}

void Attention(OpBuilder& b) { b.Return(DotProductAttention(b).y); }

// The second result is the weights, or the logarithm of each row's sum of exponentials; what
// follows exists for gradients.
void AttentionWithWeights(OpBuilder& b) {
  const Attended a = DotProductAttention(b);
  if (!b.ok()) return;
  b.Return(a.y);
  b.Return(a.weights);
}

void AttentionWithSums(OpBuilder& b) {
  const Attended a = DotProductAttention(b);
  if (!b.ok()) return;
  b.Return(a.y);
  b.Return(b.Reduce(ReduceKind::kLogSumExp, a.scores, {b.Rank(a.scores) - 1}, false));
  b.results().resize(b.schema().results);
}

// --- multi-head attention as one op --------------------------------------------------------------

// [B,S,H*D] to [B,H,S,D].
Value* SplitHeads(OpBuilder& b, Value* x, int64_t heads) {
  if (!b.ok()) return x;
  const std::optional<Dim> width = Dim::DivExact(b.Dim(x, 2), heads);
  if (!width) {
    b.Invalid("the number of heads does not divide the width");
    return x;
  }
  return b.Transpose(b.Reshape(x, {b.Dim(x, 0), b.Dim(x, 1), heads, *width}), {0, 2, 1, 3});
}

struct HeadsLayer {
  int64_t width = 0, heads = 0;
  Value *qkv_weight = nullptr, *qkv_bias = nullptr, *proj_weight = nullptr, *proj_bias = nullptr;
  Value* mask = nullptr;  // True: takes no part.
  int64_t mask_type = 2;  // 0: [L,S], 1: [B,S], 2: [B,H,L,S].
};

HeadsLayer ReadHeads(OpBuilder& b, const char* heads) {
  HeadsLayer h;
  h.width = b.Int("embed_dim");
  h.heads = b.Int(heads);
  h.qkv_weight = b.Tensor("qkv_weight");
  h.qkv_bias = b.OptTensor("qkv_bias");
  h.proj_weight = b.Tensor("proj_weight");
  h.proj_bias = b.OptTensor("proj_bias");
  h.mask = b.OptTensor("mask");
  h.mask_type = b.Int("mask_type", 2);
  if (b.ok() && (h.heads < 1 || h.width < 1 || h.width % h.heads != 0)) {
    b.Invalid("num_heads does not divide embed_dim");
  }
  return h;
}

// Rows [part, part + parts) * width of the joint weights.
Value* Project(OpBuilder& b, const HeadsLayer& h, Value* x, int64_t part, int64_t parts) {
  const int64_t begin = part * h.width;
  const int64_t rows = parts * h.width;
  Value* w = b.Slice(h.qkv_weight, 0, begin, rows);
  Value* bias = h.qkv_bias == nullptr ? nullptr : b.Slice(h.qkv_bias, 0, begin, rows);
  return LinearOf(b, x, w, bias);
}

// The mask as a bias for scores [B,H,L,S].
Value* HeadsBias(OpBuilder& b, const HeadsLayer& h, DType dtype) {
  Value* mask = h.mask;
  if (mask->dtype() != DType::kBool) mask = b.Cast(mask, DType::kBool);
  if (h.mask_type == 1 && mask->rank() == 2) {
    mask = b.Reshape(mask, {b.Dim(mask, 0), 1, 1, b.Dim(mask, 1)});
  }
  return Bias(b, mask, dtype);
}

// The layer's result and, if `weights` is not null, each head's weights.
Value* AttendHeads(OpBuilder& b, const HeadsLayer& h, Value* query, Value* key, Value* value,
                   Value** weights) {
  if (!b.ok()) return query;
  if (query->rank() != 3 || key->rank() != 3 || value->rank() != 3) {
    b.Invalid("queries, keys and values must be [batch, length, width]");
    return query;
  }
  if (h.qkv_weight->rank() != 2 || b.Dim(h.qkv_weight, 0) != Dim(3 * h.width)) {
    b.Invalid("qkv_weight does not fit embed_dim");
    return query;
  }
  Value *q, *k, *v;
  if (query == key && key == value) {
    Value* joint = Project(b, h, query, 0, 3);
    q = b.Slice(joint, 2, 0, h.width);
    k = b.Slice(joint, 2, h.width, h.width);
    v = b.Slice(joint, 2, 2 * h.width, h.width);
  } else {
    q = Project(b, h, query, 0, 1);
    k = Project(b, h, key, 1, 1);
    v = Project(b, h, value, 2, 1);
  }
  q = SplitHeads(b, q, h.heads);
  k = SplitHeads(b, k, h.heads);
  v = SplitHeads(b, v, h.heads);
  const double scale = 1 / std::sqrt(static_cast<double>(h.width / h.heads));
  Value* bias = h.mask == nullptr ? nullptr : HeadsBias(b, h, query->dtype());
  const Attended a = Attend(b, q, k, v, bias, false, scale);
  if (!b.ok()) return query;
  if (weights != nullptr) *weights = a.weights;
  Value* y = b.Transpose(a.y, {0, 2, 1, 3});
  y = b.Reshape(y, {b.Dim(query, 0), b.Dim(query, 1), h.width});
  return LinearOf(b, y, h.proj_weight, h.proj_bias);
}

void MultiHeadAttention(OpBuilder& b) {
  const HeadsLayer h = ReadHeads(b, "num_head");
  Value* weights = nullptr;
  Value* y = AttendHeads(b, h, b.Tensor("query"), b.Tensor("key"), b.Tensor("value"), &weights);
  if (!b.ok()) return;
  b.Return(y);
  if (!b.Bool("need_weights")) return b.Return(IValue());
  if (b.Bool("average_attn_weights")) weights = b.Reduce(ReduceKind::kMean, weights, {1}, false);
  b.Return(weights);
}

// One of the layer's two normalisations.
Value* LayerNormOf(OpBuilder& b, Value* x, const char* weight, const char* bias) {
  return b.Emit(OpId::kLayerNorm, {x, b.Tensor(weight), b.Tensor(bias)},
                {{"axis", b.Axis(-1, b.Rank(x))}, {"epsilon", b.Float("eps")}});
}

void TransformerEncoderLayer(OpBuilder& b) {
  Value* x = b.Tensor("src");
  const HeadsLayer h = ReadHeads(b, "num_heads");
  const bool norm_first = b.Bool("norm_first");
  const auto norm = [&](Value* v, bool second) {
    return second ? LayerNormOf(b, v, "norm_weight_2", "norm_bias_2")
                  : LayerNormOf(b, v, "norm_weight_1", "norm_bias_1");
  };
  Value* inner = norm_first ? norm(x, false) : x;
  inner = AttendHeads(b, h, inner, inner, inner, nullptr);
  x = b.Binary(OpId::kAdd, x, inner);
  if (!norm_first) x = norm(x, false);
  inner = norm_first ? norm(x, true) : x;
  inner = LinearOf(b, inner, b.Tensor("ffn_weight_1"), b.Tensor("ffn_bias_1"));
  inner = b.Bool("use_gelu") ? b.Emit(OpId::kGelu, {inner}, {{"tanh", int64_t{0}}})
                             : b.Unary(OpId::kRelu, inner);
  inner = LinearOf(b, inner, b.Tensor("ffn_weight_2"), b.Tensor("ffn_bias_2"));
  x = b.Binary(OpId::kAdd, x, inner);
  b.Return(norm_first ? x : norm(x, true));
}

constexpr Row kRows[] = {
    {"aten::scaled_dot_product_attention", Attention},
    {"aten::_scaled_dot_product_attention_math", AttentionWithWeights},
    {"aten::_scaled_dot_product_flash_attention_for_cpu", AttentionWithSums},
    {"aten::_scaled_dot_product_flash_attention", AttentionWithSums},
    {"aten::_scaled_dot_product_efficient_attention", AttentionWithSums},
    {"aten::_scaled_dot_product_cudnn_attention", AttentionWithSums},
    {"aten::_scaled_dot_product_fused_attention_overrideable", AttentionWithSums},
    {"aten::_native_multi_head_attention", MultiHeadAttention},
    {"aten::_transformer_encoder_layer_fwd", TransformerEncoderLayer},
};

}  // namespace

std::span<const Row> AttentionRows() { return kRows; }

}  // namespace floe::aten
