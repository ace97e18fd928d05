// Transformer ops of domain com.microsoft, as ONNX Runtime's optimiser and its model builders write
// them, in terms of plain ops: passes find attention, norms and rotary embeddings in those again.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/attention.h"
#include "compiler/import/onnx/ops.h"
#include "compiler/ir/control.h"

namespace floe::onnx {
namespace {

using ir::Dim;
using ir::Value;

// --- what the attention ops share ----------------------------------------------------------------

// The keys that take part, by number: `hidden` is added to the others. lengths [B] say where the
// keys of each sequence end; or [2B] where they end and, behind that, where they begin.
Value* LengthBias(NodeBuilder& b, Value* lengths, const Dim& batch, const Dim& keys, DType dtype,
                  double hidden) {
  const Dim count = b.Dim(lengths, 0);
  const Dim both = b.Mul(batch, 2);
  if (!b.ok()) return lengths;
  if (count != batch && count != both) {
    b.Unsupported(
        absl::StrFormat("a mask of %s numbers for a batch of %s", b.Text(count), b.Text(batch)));
    return lengths;
  }
  lengths = b.Cast(lengths, DType::kI64);
  const auto part = [&](int64_t first) {
    Value* at = count == batch ? lengths : b.SliceAxis(lengths, 0, first, batch);
    return b.Reshape(at, {batch, 1, 1, 1});
  };
  Value* forbidden = b.Binary(OpId::kGreaterEqual, Positions(b, keys), part(0));
  if (count != batch) {
    if (!batch.is_constant()) {
      b.Unsupported("a mask of ends and beginnings for a dynamic batch; fix its size");
      return lengths;
    }
    Value* early = b.Binary(OpId::kLess, Positions(b, keys), part(batch.constant()));
    forbidden = b.Binary(OpId::kLogicalOr, forbidden, early);
  }
  return Bias(b, forbidden, dtype, hidden);
}

// A mask of any of the ops' forms, added to scores [B,H,S,L]: lengths, [B,L] or [B,S,L] with 1 for
// keys that take part.
Value* MaskBias(NodeBuilder& b, Value* mask, const Dim& batch, const Dim& keys, DType dtype) {
  const double hidden = b.Float("mask_filter_value", -10000.0f);
  if (!b.ok()) return mask;
  if (mask->rank() == 1) return LengthBias(b, mask, batch, keys, dtype, hidden);
  if (mask->rank() != 2 && mask->rank() != 3) {
    b.Unsupported(absl::StrFormat("a mask of rank %d", mask->rank()));
    return mask;
  }
  if (b.Dim(mask, b.Rank(mask) - 1) != keys) {
    b.Unsupported(absl::StrFormat("a mask for %s keys of %s", b.Text(b.Dim(mask, b.Rank(mask) - 1)),
                                  b.Text(keys)));
    return mask;
  }
  Value* forbidden = b.Binary(OpId::kLessEqual, mask, b.ScalarLike(mask, 0));
  if (mask->rank() == 2) {
    forbidden = b.Reshape(forbidden, {b.Dim(mask, 0), 1, 1, keys});
  } else {
    forbidden = b.Reshape(forbidden, {b.Dim(mask, 0), 1, b.Dim(mask, 1), keys});
  }
  return Bias(b, forbidden, dtype, hidden);
}

// What ONNX Runtime computes of q, k and v, [B,H,S,D] each.
struct Scores {
  Value *q = nullptr, *k = nullptr, *v = nullptr;
  Value* bias = nullptr;  // Added behind scale and cap; null: nothing.
  double cap = 0;
};

double ScaleOf(NodeBuilder& b, const Value* q) {
  const double scale = b.Float("scale", 0);
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(b.StaticDim(q, 3)));
}

// [B,S,H*E]; *scores gets scale * q k^T + bias, what qk outputs hold.
Value* Attend(NodeBuilder& b, const Scores& s, Value** scores = nullptr) {
  if (!b.ok()) return s.q;
  const int64_t heads = b.StaticDim(s.q, 1);
  Value* keys = b.Transpose(RepeatHeads(b, s.k, heads), {0, 1, 3, 2});
  Value* x = b.Binary(OpId::kMatMul, s.q, keys);
  x = b.Binary(OpId::kMul, x, b.ScalarLike(x, ScaleOf(b, s.q)));
  x = SoftCap(b, x, s.cap);
  if (s.bias != nullptr) x = b.Binary(OpId::kAdd, x, s.bias);
  if (scores != nullptr) *scores = x;
  Value* weights = b.Emit(OpId::kSoftmax, {x}, {{"axis", int64_t{3}}});
  return JoinHeads(b, b.Binary(OpId::kMatMul, weights, RepeatHeads(b, s.v, heads)));
}

Value* Behind(NodeBuilder& b, Value* past, Value* x) {
  return past == nullptr ? x : b.Emit(OpId::kConcat, {past, x}, {{"axis", int64_t{2}}});
}

// --- Attention: with its own projections ---------------------------------------------------------

// The widths of queries, keys and values in the columns of the weights.
std::vector<int64_t> ProjectionWidths(NodeBuilder& b, const Value* weights) {
  std::vector<int64_t> widths = b.Ints("qkv_hidden_sizes");
  const int64_t all = b.StaticDim(weights, 1);
  if (widths.empty()) widths.assign(3, all / 3);
  if (b.ok() &&
      (widths.size() != 3 ||
       std::any_of(widths.begin(), widths.end(), [](int64_t w) { return w < 1 || w > kFar; }) ||
       widths[0] + widths[1] + widths[2] != all)) {
    b.Invalid("attribute 'qkv_hidden_sizes' does not fit the weights");
  }
  return widths;
}

}  // namespace

void AttendMerged(NodeBuilder& b, Value* all, const AttentionOperands& operands) {
  const DType dtype = all->dtype();
  const int64_t heads = b.Int("num_heads", 0);
  if (b.Int("do_rotary", 0) != 0) return b.Unsupported("do_rotary = 1");
  if (b.Int("past_present_share_buffer", 0) != 0) {
    return b.Unsupported("past_present_share_buffer = 1");
  }
  b.IgnoreAttr("rotary_embedding_dim");
  const std::vector<int64_t> widths = ProjectionWidths(b, operands.weights);
  if (!b.ok()) return;
  if (all->rank() != 3) return b.Invalid("the input is no [batch, positions, features]");
  Value* parts[3];
  int64_t at = 0;
  for (size_t i = 0; i < 3; ++i) {
    parts[i] = SplitHeads(b, b.SliceAxis(all, 2, at, widths[i]), heads);
    at += widths[i];
  }
  Dim past = 0;
  const Dim batch = b.Dim(all, 0), queries = b.Dim(all, 1);
  if (Value* cache = operands.past) {
    past = b.Dim(cache, 3);
    for (size_t i = 1; i < 3 && b.ok(); ++i) {
      Value* half = b.SliceAxis(cache, 0, static_cast<int64_t>(i) - 1, 1);
      half = b.Reshape(half, {b.Dim(cache, 1), b.Dim(cache, 2), past, b.Dim(cache, 4)});
      parts[i] = Behind(b, half, parts[i]);
    }
  }
  if (b.WantsOutput(1) && b.ok()) {
    Value* present[2];
    for (size_t i = 0; i < 2; ++i) {
      ir::Shape shape = parts[i + 1]->shape();
      shape.insert(shape.begin(), Dim(1));
      present[i] = b.Reshape(parts[i + 1], std::move(shape));
    }
    b.Out(1, b.Emit(OpId::kConcat, {present[0], present[1]}, {{"axis", int64_t{0}}}));
  }
  if (!b.ok()) return;
  const Dim keys = b.Dim(parts[1], 2);
  Scores s{parts[0], parts[1], parts[2]};
  if (Value* mask = operands.mask) s.bias = MaskBias(b, mask, batch, keys, dtype);
  b.IgnoreAttr("mask_filter_value");
  if (Value* bias = operands.bias) s.bias = AddBias(b, s.bias, bias);
  if (b.Int("unidirectional", 0) != 0) {
    s.bias = AddBias(b, s.bias, CausalBias(b, queries, past, keys, dtype));
  }
  b.Out(0, Attend(b, s));
}

namespace {

void Attention(NodeBuilder& b) {
  Value *x = b.In(0), *weights = b.In(1);
  Value* all = MatMulOf(b, x, weights);
  if (Value* bias = b.OptIn(2)) all = b.Binary(OpId::kAdd, all, bias);
  AttendMerged(b, all, {weights, b.OptIn(3), b.OptIn(4), b.OptIn(5)});
}

// --- MultiHeadAttention: projections lie before it -----------------------------------------------

// Parts of packed heads: [B,S,H,n,D] to n tensors [B,H,S,D].
void Unpack(NodeBuilder& b, Value* packed, Value** parts, int64_t count) {
  if (b.ok() && b.StaticDim(packed, 3) != count) b.Invalid("packed heads of another number");
  for (int64_t i = 0; i < count && b.ok(); ++i) {
    Value* part = b.SliceAxis(packed, 3, i, 1);
    part =
        b.Reshape(part, {b.Dim(packed, 0), b.Dim(packed, 1), b.Dim(packed, 2), b.Dim(packed, 4)});
    parts[i] = b.Transpose(part, {0, 2, 1, 3});
  }
}

// The operands as heads, their biases added.
void ReadHeads(NodeBuilder& b, int64_t heads, Scores* s) {
  Value *q = b.In(0), *k = b.OptIn(1), *v = b.OptIn(2);
  Value* bias = b.OptIn(3);
  Value* parts[3] = {q, k, v};
  if (k == nullptr || v == nullptr) {
    if (bias != nullptr) return b.Unsupported("a bias for packed heads");
    if (b.ok() && q->rank() == 5 && k == nullptr) {
      Unpack(b, q, parts, 3);
    } else if (b.ok() && k != nullptr && k->rank() == 5) {
      parts[0] = SplitHeads(b, q, heads);
      Unpack(b, k, parts + 1, 2);
    } else {
      return b.Invalid("keys or values are missing, and the others are not packed");
    }
  } else {
    int64_t at = 0;
    for (Value*& part : parts) {
      if (!b.ok()) return;
      if (bias != nullptr && part->rank() == 3) {
        const int64_t width = b.StaticDim(part, 2);
        if (b.ok() && at + width > b.StaticDim(bias, 0)) return b.Invalid("the bias is too short");
        part = b.Binary(OpId::kAdd, part, b.SliceAxis(bias, 0, at, width));
        at += width;
      }
      part = SplitHeads(b, part, heads);
    }
  }
  *s = {parts[0], parts[1], parts[2]};
}

void MultiHeadAttention(NodeBuilder& b) {
  Value* x = b.In(0);
  const DType dtype = x->dtype();
  const int64_t heads = b.Int("num_heads", 0);
  Scores s;
  ReadHeads(b, heads, &s);
  if (!b.ok()) return;
  Dim past = 0;
  if (Value* cache = b.OptIn(6)) {
    past = b.Dim(cache, 2);
    s.k = Behind(b, cache, s.k);
  }
  s.v = Behind(b, b.OptIn(7), s.v);
  b.Out(1, s.k);
  b.Out(2, s.v);
  if (!b.ok()) return;
  const Dim batch = b.Dim(s.q, 0), queries = b.Dim(s.q, 2), keys = b.Dim(s.k, 2);
  if (Value* mask = b.OptIn(4)) s.bias = MaskBias(b, mask, batch, keys, dtype);
  b.IgnoreAttr("mask_filter_value");
  if (Value* bias = b.OptIn(5)) s.bias = AddBias(b, s.bias, bias);
  if (b.Int("unidirectional", 0) != 0) {
    s.bias = AddBias(b, s.bias, CausalBias(b, queries, past, keys, dtype));
  }
  Value* scores = nullptr;
  b.Out(0, Attend(b, s, &scores));
  b.Out(3, scores);
}

// --- GroupQueryAttention -------------------------------------------------------------------------

// Keys that lie more than `window` positions before the query's own.
Value* WindowBias(NodeBuilder& b, const Dim& queries, const Dim& past, const Dim& keys,
                  int64_t window, DType dtype) {
  Value* rows = b.Binary(OpId::kAdd, Positions(b, queries), b.DimValue(b.Sub(past, window)));
  rows = b.Reshape(rows, {queries, 1});
  return Bias(b, b.Binary(OpId::kLessEqual, Positions(b, keys), rows), dtype);
}

// The run fails unless every sequence has `past` + `queries` tokens: only then is the cache what
// was concatenated.
void CheckLengths(NodeBuilder& b, Value* lengths, const Dim& past, const Dim& queries) {
  if (past == Dim(0)) return;  // Padded prompts: causality hides what lies behind their ends.
  Value* last = b.DimValue(b.Sub(b.Add(past, queries), 1));
  Value* equal = b.Binary(OpId::kEqual, b.Cast(lengths, DType::kI64), last);
  if (!b.ok()) return;
  equal = b.Reduce(ReduceKind::kMin, b.Cast(equal, DType::kI32), {0}, false);
  equal = b.Cast(b.Reshape(equal, {}), DType::kBool);
  if (!b.ok()) return;
  const auto check = ir::AddCheck(
      b.graph(), equal,
      "GroupQueryAttention: sequences have other lengths than past and new tokens together",
      b.provenance());
  if (!check.ok()) b.Fail(check.status());
}

// Queries, keys and values, which may be packed side by side.
void ReadGroups(NodeBuilder& b, int64_t heads, int64_t groups, Scores* s) {
  Value *q = b.In(0), *k = b.OptIn(1), *v = b.OptIn(2);
  if (!b.ok()) return;
  if (heads < 1 || groups < 1 || heads > kFar || groups > kFar) {
    return b.Invalid("num_heads or kv_num_heads is missing");
  }
  if (k == nullptr && v == nullptr) {
    const int64_t width = b.StaticDim(q, 2), size = width / (heads + 2 * groups);
    if (b.ok() && size * (heads + 2 * groups) != width) return b.Invalid("the heads do not fit");
    Value* packed = q;
    q = b.SliceAxis(packed, 2, 0, heads * size);
    k = b.SliceAxis(packed, 2, heads * size, groups * size);
    v = b.SliceAxis(packed, 2, (heads + groups) * size, groups * size);
  }
  if (b.ok() && (k == nullptr || v == nullptr)) return b.Invalid("keys or values are missing");
  *s = {SplitHeads(b, q, heads), SplitHeads(b, k, groups), SplitHeads(b, v, groups)};
}

void GroupQueryAttention(NodeBuilder& b) {
  const DType dtype = b.In(0)->dtype();
  const int64_t groups = b.Int("kv_num_heads", 0);
  Scores s;
  ReadGroups(b, b.Int("num_heads", 0), groups, &s);
  if (b.Int("smooth_softmax", 0) > 0 || b.HasInput(11)) {
    return b.Unsupported("a sink in the softmax");
  }
  for (const char* name : {"k_quant_type", "v_quant_type"}) {
    const std::string type = b.String(name, "NONE");
    if (type != "NONE") return b.Unsupported(absl::StrFormat("%s = %s", name, type));
  }
  b.IgnoreAttr("kv_cache_bit_width");
  b.IgnoreAttr("qk_output");
  Value *past_k = b.OptIn(3), *past_v = b.OptIn(4), *lengths = b.In(5);
  b.IgnoreInput(6);  // What the shapes say already.
  if (!b.ok()) return;
  const Dim past = past_k == nullptr ? Dim(0) : b.Dim(past_k, 2), queries = b.Dim(s.q, 2);
  if (b.Int("do_rotary", 0) != 0) {
    Value* positions = b.OptIn(9);
    if (positions == nullptr) {
      positions = b.Binary(OpId::kAdd, Positions(b, queries), b.DimValue(past));
      positions = b.Reshape(positions, {1, queries});
    }
    Value* cos = b.In(7);
    if (!b.ok()) return;
    Rotation r;
    r.half = b.StaticDim(cos, 1);
    r.interleaved = b.Int("rotary_interleaved", 0) != 0;
    r.cos = Angles(b, cos, positions, r.half);
    r.sin = Angles(b, b.In(8), positions, r.half);
    if (b.ok() && 2 * r.half > b.StaticDim(s.q, 3)) return b.Invalid("the cache is too wide");
    s.q = Rotate(b, s.q, r);
    s.k = Rotate(b, s.k, r);
  } else {
    b.IgnoreAttr("rotary_interleaved");
    for (const size_t i : {7u, 8u, 9u}) b.IgnoreInput(i);
  }
  s.k = Behind(b, past_k, s.k);
  s.v = Behind(b, past_v, s.v);
  b.Out(1, s.k);
  b.Out(2, s.v);
  if (!b.ok()) return;
  CheckLengths(b, lengths, past, queries);
  const Dim keys = b.Dim(s.k, 2);
  s.bias = CausalBias(b, queries, past, keys, dtype);
  if (const int64_t window = b.Int("local_window_size", -1); window > 0) {
    if (window > kFar) return b.Invalid("local_window_size is too large");
    s.bias = AddBias(b, s.bias, WindowBias(b, queries, past, keys, window, dtype));
  }
  if (Value* bias = b.OptIn(10)) s.bias = AddBias(b, s.bias, bias);
  s.cap = b.Float("softcap", 0);
  b.Out(0, Attend(b, s));
}

// --- rotary embedding ----------------------------------------------------------------------------

void RotaryEmbedding(NodeBuilder& b) {
  Value *input = b.In(0), *positions = b.In(1), *cos = b.In(2);
  if (b.Int("is_packed_batching", 0) != 0) return b.Unsupported("is_packed_batching = 1");
  if (b.Float("scale", 1) != 1) return b.Unsupported("a scale other than 1");
  Rotation r;
  r.half = b.StaticDim(cos, 1);
  r.interleaved = b.Int("interleaved", 0) != 0;
  const int64_t rotated = b.Int("rotary_embedding_dim", 0);
  int64_t heads = b.Int("num_heads", 0);
  if (!b.ok()) return;
  if (input->rank() == 3 && rotated == 0) {
    // The cache is as wide as half a head.
    const int64_t width = b.StaticDim(input, 2);
    if (r.half < 1 || width % (2 * r.half) != 0)
      return b.Invalid("the cache does not fit the heads");
    heads = width / (2 * r.half);
  }
  if (rotated != 0 && rotated != 2 * r.half) {
    return b.Invalid("attribute 'rotary_embedding_dim' does not fit the cache");
  }
  Value* x = SplitHeads(b, input, heads);
  if (!b.ok()) return;
  if (2 * r.half > b.StaticDim(x, 3) || r.half < 1) return b.Invalid("the cache is too wide");
  positions = b.Cast(positions, DType::kI64);
  if (b.Rank(positions) == 1) {
    // One number: the first position of every sequence.
    positions = b.Binary(OpId::kAdd, Positions(b, b.Dim(x, 2)), b.Reshape(positions, {1, 1}));
  }
  r.cos = Angles(b, cos, positions, r.half);
  r.sin = Angles(b, b.In(3), positions, r.half);
  Value* y = Rotate(b, x, r);
  if (input->rank() == 3) y = b.Transpose(y, {0, 2, 1, 3});
  if (b.ok()) b.Out(b.Reshape(y, input->shape()));
}

// --- norms and embeddings ------------------------------------------------------------------------

// RmsNorm(x + skip + bias) * gamma; output 3 is the sum.
void SkipRmsNorm(NodeBuilder& b) {
  Value* sum = b.Binary(OpId::kAdd, b.In(0), b.In(1));
  Value* scale = b.In(2);
  if (Value* bias = b.OptIn(3)) sum = b.Binary(OpId::kAdd, sum, bias);
  b.Out(0, b.Emit(OpId::kRmsNorm, {sum, scale},
                  {{"axis", b.Axis(-1, b.Rank(sum))}, {"epsilon", b.Float("epsilon", 1e-12f)}}));
  b.Out(3, sum);
}

// LayerNorm(word[ids] + position[place] + segment[segments]); output 1 counts each row's mask,
// output 2 is the sum.
void EmbedLayerNorm(NodeBuilder& b) {
  Value *ids = b.In(0), *segments = b.OptIn(1), *table = b.In(3), *segment_table = b.OptIn(4);
  const auto rows = [&b](Value* from, Value* at) {
    return b.Emit(OpId::kGather, {from, at}, {{"axis", int64_t{0}}});
  };
  Value* sum = rows(b.In(2), ids);
  Value* place = b.OptIn(8);
  if (place != nullptr) {
    sum = b.Binary(OpId::kAdd, sum, rows(table, place));
  } else {
    sum = b.Binary(OpId::kAdd, sum, b.SliceAxis(table, 0, 0, b.Dim(ids, 1)));
  }
  if (segments != nullptr) {
    if (segment_table == nullptr) return b.Invalid("segments without a table");
    sum = b.Binary(OpId::kAdd, sum, rows(segment_table, segments));
  }
  Value *scale = b.In(5), *shift = b.In(6);
  b.Out(0, b.Emit(OpId::kLayerNorm, {sum, scale, shift},
                  {{"axis", b.Axis(-1, b.Rank(sum))}, {"epsilon", b.Float("epsilon", 1e-12f)}}));
  b.IgnoreAttr("mask_index_type");
  Value* mask = b.OptIn(7);
  if (b.WantsOutput(1) && b.ok()) {
    if (mask == nullptr) {
      b.Out(1, b.Emit(OpId::kConstantOfShape, {}, {{"value", 0.0}},
                      TensorType{DType::kI32, {b.Dim(ids, 0)}}));
    } else {
      Value* ones = b.Binary(OpId::kEqual, mask, b.ScalarLike(mask, 1));
      b.Out(1, b.Reduce(ReduceKind::kSum, b.Cast(ones, DType::kI32), {1}, false));
    }
  }
  b.Out(2, sum);
}

constexpr Row kRows[] = {
    {"Attention", 1, Attention, OpId::kAttention, 0, kMicrosoft},
    {"MultiHeadAttention", 1, MultiHeadAttention, OpId::kAttention, 0, kMicrosoft},
    {"GroupQueryAttention", 1, GroupQueryAttention, OpId::kAttention, 0, kMicrosoft},
    {"RotaryEmbedding", 1, RotaryEmbedding, OpId::kIdentity, 0, kMicrosoft},
    {"SkipSimplifiedLayerNormalization", 1, SkipRmsNorm, OpId::kRmsNorm, 0, kMicrosoft},
    {"EmbedLayerNormalization", 1, EmbedLayerNorm, OpId::kLayerNorm, 0, kMicrosoft},
};

}  // namespace

std::span<const Row> MicrosoftRows() { return kRows; }

}  // namespace floe::onnx
