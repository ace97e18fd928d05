// Attention against its twin on every table, and the twin against plain loops: blocks of keys,
// strided heads, shared heads, masks and causality.
#include <algorithm>
#include <cmath>
#include <limits>

#include "format/attrs.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();

struct Heads {
  std::vector<int64_t> axes = {0, 1, 2, 3};  // Of batch, head, position, feature.
  int64_t first = 0, step = 1;
  int64_t extra = 0;  // Heads of the tensor beyond what the view needs.
};
const Heads kHeadMajor{};
const Heads kPositionMajor{.axes = {0, 2, 1, 3}};
const Heads kTransposed{.axes = {0, 1, 3, 2}};
const Heads kSequenceFirst{.axes = {1, 2, 0, 3}};
Heads Part(int64_t first, int64_t extra) { return {{0, 2, 1, 3}, first, 1, extra}; }
Heads Interleaved(int64_t first, int64_t step) { return {{0, 2, 1, 3}, first, step, 0}; }

struct Attention {
  const char* name;
  int64_t batch = 1, heads = 2, kv_heads = 2, queries = 5, keys = 5, width = 8, out = 8;
  int64_t causal = 0, zero_empty = 0;
  Heads q = kHeadMajor, k = kHeadMajor, v = kHeadMajor, y = kHeadMajor;
  TensorInfo mask = Absent();
  double scale = 0.5;
  Fill mask_fill = {-2, 2};
  bool unread = false;  // Every fifth key is hidden, and holds no numbers.
};

// Keys and values (operands 1 and 2, head-major) that are hidden are NaN and infinite; the mask
// hides them where causality does not.
double UnreadElement(const Attention& a, size_t input, const std::vector<int64_t>& index,
                     double drawn) {
  // Mutations of a case have other ranks.
  if (input == 0 || index.size() < (input == 3 ? 1u : 4u)) return drawn;
  const int64_t key = input == 3 ? index.back() : index[2];
  const bool is_bool = a.mask.dtype == DType::kBool;
  if (key % 5 != 3) return input == 3 && is_bool ? 1 : drawn;
  if (input == 1) return std::nan("");
  if (input == 2)
    return index[3] % 3 == 0 ? std::nan("") : index[3] % 3 == 1 ? kMinusInf : -kMinusInf;
  if (a.causal == 1 && index.size() > 1 && key > index[index.size() - 2])
    return is_bool ? 1 : drawn;
  return is_bool ? 0 : kMinusInf;
}

// The operand's dims as stored.
TensorInfo Stored(const Heads& h, int64_t batch, int64_t heads, int64_t positions, int64_t width) {
  std::vector<int64_t> dims(4);
  const int64_t all = heads == 0 ? 0 : h.first + (heads - 1) * h.step + 1 + h.extra;
  const int64_t logical[4] = {batch, all, positions, width};
  for (size_t i = 0; i < 4; ++i) dims[static_cast<size_t>(h.axes[i])] = logical[i];
  return Dense(dims);
}

double HeadAt(const Logical& t, const int64_t* words, int64_t b, int64_t h, int64_t s, int64_t d) {
  const int64_t logical[4] = {b, words[4] + h * words[5], s, d};
  int64_t index[4], at = 0;
  for (int i = 0; i < 4; ++i) index[words[i]] = logical[i];
  for (int i = 0; i < 4; ++i) at = at * t.info.dims[i] + index[i];
  return t.values[static_cast<size_t>(at)];
}

double MaskAt(const Logical& mask, const int64_t at[4]) {
  int64_t p = 0;
  for (int i = 0; i < mask.info.rank; ++i) {
    const int64_t d = mask.info.dims[i];
    p = p * d + (d == 1 ? 0 : at[4 - mask.info.rank + i]);
  }
  return mask.values[static_cast<size_t>(p)];
}

void Oracle(const KernelCase& c, const std::vector<Logical>& in, std::vector<Logical>* out) {
  const int64_t* words = c.attrs.data();
  const int64_t *q = words + 4, *k = q + 6, *v = k + 6, *y = v + 6;
  const double scale = WordFloat(words[0]);
  const int64_t keys = in[1].info.dims[k[2]], width = in[0].info.dims[q[3]];
  const int64_t queries = in[0].info.dims[q[2]];
  std::vector<int64_t> index(4, 0);
  for (double& value : (*out)[0].values) {
    const int64_t b = index[static_cast<size_t>(y[0])], h = index[static_cast<size_t>(y[1])];
    const int64_t i = index[static_cast<size_t>(y[2])], e = index[static_cast<size_t>(y[3])];
    std::vector<double> scores(static_cast<size_t>(keys));
    double max = kMinusInf;
    for (int64_t j = 0; j < keys; ++j) {
      double s = 0;
      for (int64_t d = 0; d < width; ++d) {
        s += HeadAt(in[0], q, b, h, i, d) * HeadAt(in[1], k, b, h / words[3], j, d);
      }
      s *= scale;
      const int64_t at[4] = {b, h, i, j};
      if (!in[3].values.empty()) {
        const double m = MaskAt(in[3], at);
        if (in[3].info.dtype == DType::kBool) {
          s = m != 0 ? s : kMinusInf;
        } else {
          s = m == kMinusInf ? m : s + m;
        }
      }
      if (words[1] != 0 && j > i + (words[1] == 2 ? keys - queries : 0)) s = kMinusInf;
      scores[static_cast<size_t>(j)] = s;
      max = std::max(max, s);
    }
    double sum = 0, total = 0;
    for (int64_t j = 0; j < keys && max > kMinusInf; ++j) {
      const double w = std::exp(scores[static_cast<size_t>(j)] - max);
      total += w;
      if (w != 0) sum += w * HeadAt(in[2], v, b, h / words[3], j, e);
    }
    value = max > kMinusInf ? sum / total : words[2] != 0 ? 0 : std::nan("");
    NextIndex(c.outputs[0], &index);
  }
}

KernelCase Make(const Attention& a) {
  KernelCase c;
  c.kernel = KernelId::kAttention;
  c.name = a.name;
  c.inputs = {Stored(a.q, a.batch, a.heads, a.queries, a.width),
              Stored(a.k, a.batch, a.kv_heads, a.keys, a.width),
              Stored(a.v, a.batch, a.kv_heads, a.keys, a.out), a.mask};
  c.outputs = {Stored(a.y, a.batch, a.heads, a.queries, a.out)};
  c.attrs = {FloatWord(a.scale), a.causal, a.zero_empty,
             a.kv_heads == 0 ? 1 : std::max<int64_t>(1, a.heads / a.kv_heads)};
  for (const Heads* h : {&a.q, &a.k, &a.v}) {
    c.attrs.insert(c.attrs.end(), h->axes.begin(), h->axes.end());
    c.attrs.push_back(h->first);
    c.attrs.push_back(h->step);
  }
  c.attrs.insert(c.attrs.end(), a.y.axes.begin(), a.y.axes.end());
  c.fills = {Fill{}, Fill{}, Fill{}, a.mask_fill};
  c.oracle = Oracle;
  if (a.unread) {
    c.element = [a](size_t input, const std::vector<int64_t>& index, double drawn) {
      return UnreadElement(a, input, index, drawn);
    };
  }
  return c;
}

std::vector<KernelCase> Cases() {
  const TensorInfo keys_mask = Dense({3, 1, 1, 40});
  // Wide heads have short blocks of keys: 64 of width 512.
  std::vector<Attention> rows = {
      {.name = "one_query", .queries = 1, .keys = 37},
      {.name = "three_queries_wide", .queries = 3, .keys = 30, .width = 72, .out = 200},
      {.name = "one_of_each",
       .heads = 1,
       .kv_heads = 1,
       .queries = 1,
       .keys = 1,
       .width = 1,
       .out = 1},
      {.name = "odd", .queries = 7, .keys = 19, .width = 5, .out = 33},
      {.name = "bert",
       .heads = 3,
       .kv_heads = 3,
       .queries = 32,
       .keys = 32,
       .width = 16,
       .out = 16,
       .q = Part(0, 6),
       .k = Part(3, 3),
       .v = Part(6, 0),
       .y = kPositionMajor},
      {.name = "interleaved_parts",
       .queries = 9,
       .keys = 9,
       .q = Interleaved(0, 3),
       .k = Interleaved(1, 3),
       .v = Interleaved(2, 3),
       .y = kPositionMajor},
      {.name = "sequence_first",
       .batch = 3,
       .queries = 6,
       .keys = 6,
       .q = kSequenceFirst,
       .k = kSequenceFirst,
       .v = kSequenceFirst,
       .y = kSequenceFirst},
      {.name = "keys_transposed", .queries = 20, .keys = 35, .k = kTransposed},
      {.name = "keys_transposed_one_query", .queries = 1, .keys = 35, .k = kTransposed},
      {.name = "shared_heads", .batch = 2, .heads = 6, .kv_heads = 2, .queries = 8, .keys = 8},
      {.name = "shared_heads_one_query", .heads = 6, .kv_heads = 3, .queries = 1, .keys = 50},
      {.name = "several_query_blocks", .queries = 290, .keys = 20, .width = 4, .out = 4},
      {.name = "several_key_blocks", .queries = 9, .keys = 150, .width = 512, .out = 20},
      {.name = "several_key_blocks_wide",
       .heads = 1,
       .kv_heads = 1,
       .queries = 5,
       .keys = 70,
       .width = 3,
       .out = 600},
      {.name = "several_key_blocks_one_query", .queries = 1, .keys = 150, .width = 512, .out = 20},
      {.name = "causal", .queries = 90, .keys = 90, .causal = 1},
      {.name = "causal_long",
       .heads = 1,
       .kv_heads = 1,
       .queries = 140,
       .keys = 140,
       .width = 400,
       .out = 4,
       .causal = 1},
      {.name = "causal_past", .queries = 70, .keys = 90, .causal = 2},
      {.name = "causal_past_one", .queries = 1, .keys = 90, .causal = 2},
      {.name = "causal_short", .queries = 20, .keys = 6, .causal = 1},
      {.name = "causal_empty_rows", .queries = 20, .keys = 6, .causal = 2, .zero_empty = 1},
      {.name = "mask_keys", .batch = 3, .queries = 20, .keys = 40, .mask = keys_mask},
      {.name = "mask_full", .batch = 2, .queries = 6, .keys = 19, .mask = Dense({2, 2, 6, 19})},
      {.name = "mask_rank2", .queries = 6, .keys = 19, .mask = Dense({6, 19})},
      {.name = "mask_rows", .queries = 6, .keys = 19, .mask = Dense({2, 6, 1})},
      {.name = "mask_scalar", .queries = 6, .keys = 19, .mask = Dense({})},
      {.name = "mask_bool",
       .batch = 2,
       .queries = 6,
       .keys = 33,
       .zero_empty = 1,
       .mask = Dense({2, 1, 6, 33}, DType::kBool)},
      {.name = "mask_bool_one_key",
       .queries = 6,
       .keys = 1,
       .zero_empty = 1,
       .mask = Dense({6, 1}, DType::kBool)},
      // About half of the heads have no key at all: whole blocks are skipped.
      {.name = "mask_bool_heads",
       .heads = 8,
       .kv_heads = 8,
       .queries = 5,
       .keys = 100,
       .width = 512,
       .zero_empty = 1,
       .mask = Dense({8, 1, 1}, DType::kBool)},
      {.name = "unread_one_query",
       .queries = 1,
       .keys = 37,
       .mask = Dense({1, 37}),
       .unread = true},
      {.name = "unread_bool_one_query",
       .queries = 1,
       .keys = 150,
       .width = 512,
       .mask = Dense({2, 1, 150}, DType::kBool),
       .unread = true},
      {.name = "unread", .queries = 40, .keys = 41, .mask = Dense({40, 41}), .unread = true},
      {.name = "unread_several_key_blocks",
       .queries = 9,
       .keys = 150,
       .width = 512,
       .out = 20,
       .mask = Dense({150}),
       .unread = true},
      {.name = "unread_bool",
       .queries = 40,
       .keys = 41,
       .out = 70,
       .mask = Dense({1, 41}, DType::kBool),
       .unread = true},
      {.name = "unread_causal",
       .queries = 50,
       .keys = 50,
       .causal = 1,
       .mask = Dense({50, 50}),
       .unread = true},
      {.name = "no_keys", .keys = 0, .zero_empty = 1},
      {.name = "no_queries", .queries = 0},
      {.name = "no_batch", .batch = 0},
      {.name = "no_features", .out = 0},
  };
  std::vector<KernelCase> cases;
  for (const Attention& a : rows) cases.push_back(Make(a));
  return cases;
}

FLOE_KERNEL_TESTS(AttentionConformance, Cases());

TEST(AttentionCheck, Refuses) {
  const Attention good{.name = "good", .heads = 4, .kv_heads = 2};
  Footprint f;
  ASSERT_TRUE(CheckCase(Make(good), &f).ok());
  const auto rule = [&](auto&& change) {
    KernelCase c = Make(good);
    change(&c);
    return CheckCase(c, &f).rule;
  };
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_NE(rule([i](KernelCase* c) { c->inputs[i].dims[0] = 3; }), Rule::kNone) << i;
    EXPECT_NE(rule([i](KernelCase* c) { c->inputs[i].dims[3] = 9; }), Rule::kNone) << i;
    EXPECT_NE(rule([i](KernelCase* c) { c->inputs[i] = Absent(); }), Rule::kNone) << i;
    EXPECT_EQ(rule([i](KernelCase* c) { c->attrs[4 + i * 6 + 4] = 1; }), Rule::kInstructionShape);
    EXPECT_EQ(rule([i](KernelCase* c) { c->attrs[4 + i * 6 + 5] = 0; }), Rule::kInstructionAttr);
    EXPECT_EQ(rule([i](KernelCase* c) { c->attrs[4 + i * 6] = 1; }), Rule::kInstructionAttr);
  }
  // A step beyond every head leaves one.
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[9] = std::numeric_limits<int64_t>::max(); }),
            Rule::kInstructionShape);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[3] = 3; }), Rule::kInstructionAttr);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[3] = 1; }), Rule::kInstructionShape);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[1] = 3; }), Rule::kInstructionAttr);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[0] = FloatWord(std::nan("")); }),
            Rule::kInstructionAttr);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs.pop_back(); }), Rule::kInstructionAttr);
  EXPECT_EQ(rule([](KernelCase* c) { c->inputs[3] = Dense({4}); }), Rule::kInstructionShape);
  EXPECT_EQ(rule([](KernelCase* c) { c->inputs[3] = Dense({5}, DType::kI64); }),
            Rule::kInstructionDType);
  EXPECT_EQ(rule([](KernelCase* c) { c->code.push_back(PwLoad(0, 0)); }), Rule::kInstructionCode);
}

}  // namespace
}  // namespace floe::conformance
