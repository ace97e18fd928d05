// Attention and rotary embedding of opsets 23 and up, as the ops that define them.
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/attention.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

using ir::Dim;
using ir::Shape;
using ir::Value;

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();

// The mask operand as a bias for keys of the given number. A shorter one forbids the rest.
Value* MaskBias(NodeBuilder& b, Value* mask, const Dim& keys, DType dtype) {
  Value* bias = mask->dtype() == DType::kBool ? Bias(b, b.Unary(OpId::kLogicalNot, mask), dtype)
                                              : b.Cast(mask, dtype);
  const Dim have = b.Dim(mask, b.Rank(mask) - 1);
  if (!b.ok() || have == keys || have == Dim(1)) return bias;
  const Dim missing = b.Sub(keys, have);
  if (!missing.is_constant() || missing.constant() < 0) {
    b.Unsupported(absl::StrFormat("a mask for %s keys of %s", b.Text(have), b.Text(keys)));
    return bias;
  }
  std::vector<int64_t> before(bias->rank(), 0), after(bias->rank(), 0);
  after.back() = missing.constant();
  return b.Emit(OpId::kPad, {bias},
                {{"mode", static_cast<int64_t>(PadMode::kConstant)},
                 {"before", std::move(before)},
                 {"after", std::move(after)},
                 {"value", kMinusInf}});
}

// Everything that is added to the scores [B,H,S,L]; null if nothing is.
Value* ScoreBias(NodeBuilder& b, const Value* q, const Value* k, const Dim& past, DType dtype) {
  const Dim queries = b.Dim(q, 2), keys = b.Dim(k, 2);
  Value* bias = nullptr;
  if (Value* mask = b.OptIn(3)) bias = MaskBias(b, mask, keys, dtype);
  const bool causal = b.Int("is_causal", 0) != 0;
  Value* lengths = b.OptIn(6);
  if (causal && lengths != nullptr) {
    b.Unsupported("is_causal together with nonpad_kv_seqlen");
    return bias;
  }
  if (causal && b.ok()) {
    bias = AddBias(b, bias, CausalBias(b, queries, past, keys, dtype));
  }
  if (lengths != nullptr && b.ok()) {
    Value* limit = b.Reshape(b.Cast(lengths, DType::kI64), {b.Dim(lengths, 0), 1, 1, 1});
    Value* beyond = b.Binary(OpId::kGreaterEqual, Positions(b, keys), limit);
    bias = AddBias(b, bias, Bias(b, beyond, dtype));
  }
  return bias;
}

DType SoftmaxType(NodeBuilder& b, DType fallback) {
  const int64_t number = b.Int("softmax_precision", 0);
  if (number == 0) return fallback;
  const absl::StatusOr<DType> dtype = DTypeOf(static_cast<int32_t>(number));
  if (dtype.ok() && IsFloat(*dtype)) return *dtype;
  b.Unsupported(absl::StrFormat("softmax_precision = %d", number));
  return fallback;
}

void Attention(NodeBuilder& b) {
  Value* input = b.In(0);
  const DType dtype = input->dtype();
  const int64_t q_heads = b.Int("q_num_heads", 0), kv_heads = b.Int("kv_num_heads", 0);
  Value* q = SplitHeads(b, input, q_heads);
  Value* k = SplitHeads(b, b.In(1), kv_heads);
  Value* v = SplitHeads(b, b.In(2), kv_heads);
  Dim past = 0;
  Value* past_k = b.OptIn(4);
  Value* past_v = b.OptIn(5);
  if (past_k != nullptr) {
    past = b.Dim(past_k, 2);
    k = b.Emit(OpId::kConcat, {past_k, k}, {{"axis", int64_t{2}}});
  }
  if (past_v != nullptr) v = b.Emit(OpId::kConcat, {past_v, v}, {{"axis", int64_t{2}}});
  b.Out(1, k);
  b.Out(2, v);
  if (b.ok() && (q->rank() != 4 || k->rank() != 4 || v->rank() != 4)) {
    return b.Invalid("an operand has neither rank 3 nor rank 4");
  }
  const int64_t heads = b.StaticDim(q, 1);
  const auto width = static_cast<double>(b.StaticDim(q, 3));
  // The scale is split between both factors, as the definition does, to keep fp16 in range.
  const double scale = std::sqrt(b.Float("scale", 1 / std::sqrt(width)));
  const auto scaled = [&](Value* x) { return b.Binary(OpId::kMul, x, b.ScalarLike(x, scale)); };
  Value* keys = b.Transpose(RepeatHeads(b, k, heads), {0, 1, 3, 2});
  Value* scores = b.Binary(OpId::kMatMul, scaled(q), scaled(keys));
  const int64_t wanted = b.Int("qk_matmul_output_mode", 0);
  if (wanted == 0) b.Out(3, scores);
  scores = SoftCap(b, scores, b.Float("softcap", 0));
  if (wanted == 1) b.Out(3, scores);
  if (Value* bias = ScoreBias(b, q, k, past, dtype)) scores = b.Binary(OpId::kAdd, scores, bias);
  if (wanted == 2) b.Out(3, scores);
  Value* weights =
      b.Emit(OpId::kSoftmax, {b.Cast(scores, SoftmaxType(b, dtype))}, {{"axis", int64_t{3}}});
  weights = b.Cast(weights, dtype);
  if (wanted == 3) b.Out(3, weights);
  Value* y = b.Binary(OpId::kMatMul, weights, RepeatHeads(b, v, heads));
  b.Out(0, input->rank() == 3 ? JoinHeads(b, y) : y);
}

void RotaryEmbedding(NodeBuilder& b) {
  Value* input = b.In(0);
  const bool interleaved = b.Int("interleaved", 0) != 0;
  Value* x = SplitHeads(b, input, b.Int("num_heads", 0));
  if (!b.ok() || x->rank() != 4) return b.Invalid("x has neither rank 3 nor rank 4");
  const int64_t width = b.StaticDim(x, 3);
  int64_t rotated = b.Int("rotary_embedding_dim", 0);
  if (rotated == 0) rotated = width;
  if (rotated < 2 || rotated > width || rotated % 2 != 0) {
    return b.Invalid("attribute 'rotary_embedding_dim' does not fit x");
  }
  const int64_t half = rotated / 2;
  Value* positions = b.OptIn(3);
  Value* cos = Angles(b, b.In(1), positions, half);
  Value* sin = Angles(b, b.In(2), positions, half);
  if (!b.ok()) return;
  Value* y = Rotate(b, x, {cos, sin, half, interleaved});
  if (input->rank() == 3) y = b.Transpose(y, {0, 2, 1, 3});
  if (b.ok()) b.Out(b.Reshape(y, input->shape()));
}

constexpr Row kRows[] = {
    {"Attention", 23, Attention},
    {"RotaryEmbedding", 23, RotaryEmbedding},
};

}  // namespace

std::span<const Row> AttentionRows() { return kRows; }

}  // namespace floe::onnx
