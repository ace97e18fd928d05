// Attention: for a block of queries of one head, the scores against a block of keys, their softmax
// and the weighted sum of values, without leaving L2. Keys that do not fit one block are walked
// with a running maximum and sum (Milakov and Gimelshein 2018; Dao et al. 2022), so memory does not
// grow with the length. The products are the GEMM tiles; keys and values are packed into panels,
// once for all blocks of queries that a worker runs one after the other. Single queries (decoding)
// read keys and values in place. Hidden keys have weight 0; where that may meet an infinite value,
// 0 is no factor but a reason to pass it over.
#include "backends/cpu/attention/plan.h"
#include "backends/cpu/gemm/pack.h"
#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/loops.h"
#include "backends/cpu/math.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

using families::AttentionShape;
using families::HeadsView;

// A matrix of panels and the rows that it is multiplied with.
struct PanelProduct {
  const float* a;  // Rows of k floats.
  int64_t a_row, rows, k;
  const float* b;  // Panels of panel_rows rows of 16, of which k are used.
  int64_t panel_rows, panels, tile_panels;
  float scale;
  bool accumulate;  // y += ..., else y = ...
  float* y;
  int64_t y_row;
};

void Multiply(const PanelProduct& p) {
  const int64_t taps[1] = {0};
  TileArgs t{};
  t.taps = taps;
  t.tap_count = 1;
  t.run = p.k;
  t.panel_stride = p.panel_rows * kPanel;
  t.has_scale = p.scale != 1.0f;
  t.scale = p.scale;
  t.has_residual = p.accumulate;
  t.last_columns = kPanel;
  const int64_t groups = (p.panels + p.tile_panels - 1) / p.tile_panels;
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t panel = p.panels * group / groups;
    const int64_t width = p.panels * (group + 1) / groups - panel;
    const int64_t most = Tiles().max_rows[width];
    const int64_t row_tiles = (p.rows + most - 1) / most;
    t.b = p.b + panel * t.panel_stride;
    t.prefetch = reinterpret_cast<const char*>(t.b);
    for (int64_t tile = 0; tile < row_tiles; ++tile) {
      const int64_t row = p.rows * tile / row_tiles;
      const int64_t count = p.rows * (tile + 1) / row_tiles - row;
      for (int64_t i = 0; i < count; ++i) {
        t.a[i] = p.a + (row + i) * p.a_row;
        t.y[i] = p.y + (row + i) * p.y_row + panel * kPanel;
        t.residual[i] = t.y[i];
      }
      FindTile(count, width)(t);
    }
  }
}

// One worker's memory, and which keys and values are packed in it.
struct AttentionWorker {
  const KernelArgs& args;
  const AttentionPlan& plan;
  float *scores, *keys, *values, *result, *max, *sum, *rescale;
  int64_t packed_head = -1, packed_key = -1;
  bool finite = true;  // The packed values, where keys may be hidden.

  AttentionWorker(const KernelArgs& a, const AttentionPlan& p, void* scratch)
      : args(a), plan(p), scores(static_cast<float*>(scratch)) {
    keys = scores + p.scratch.scores;
    values = keys + p.scratch.keys;
    result = values + p.scratch.values;
    max = result + p.scratch.result;
    sum = max + families::kAttentionQueries;
    rescale = sum + families::kAttentionQueries;
  }
  const float* in(uint32_t i) const { return static_cast<const float*>(args.inputs[i]); }
};

// Queries [query, query + rows) of head `head` against keys [key, key + keys).
struct AttentionBlock {
  int64_t batch, head;
  int64_t query, rows;
  int64_t key, keys;
  const float *q, *k, *v;  // The head's first query, key and value.
};

FLOE_INLINE float MaskAt(const AttentionWorker& w, int64_t at) {
  return w.plan.shape.bool_mask
             ? (static_cast<const uint8_t*>(w.args.inputs[3])[at] != 0 ? 0.0f : -__builtin_inff())
             : static_cast<const float*>(w.args.inputs[3])[at];
}

int64_t MaskStart(const AttentionShape& s, const AttentionBlock& b, int64_t row) {
  return b.batch * s.mask[0] + b.head * s.mask[1] + (b.query + row) * s.mask[2] + b.key * s.mask[3];
}

// Whether no query of the block sees any of its keys. Stops at the first that does.
bool IsMaskedOut(const AttentionWorker& w, const AttentionBlock& b) {
  const AttentionShape& s = w.plan.shape;
  if (!s.has_mask) return false;
  const int64_t rows = s.mask[2] == 0 ? 1 : b.rows, keys = s.mask[3] == 0 ? 1 : b.keys;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = MaskStart(s, b, row);
    for (int64_t j = 0; j < keys; ++j) {
      if (MaskAt(w, at + j * s.mask[3]) != -__builtin_inff()) return false;
    }
  }
  return true;
}

void AddMask(const AttentionWorker& w, const AttentionBlock& b, int64_t row, float* x, int64_t n) {
  const AttentionShape& s = w.plan.shape;
  const int64_t at = MaskStart(s, b, row);
  int64_t j = 0;
  // A hidden score may be anything, NaN too: minus infinity takes its place.
  if (!s.bool_mask && s.mask[3] == 1) {
    const float* mask = w.in(3) + at;
    const F32 hidden = Broadcast(-__builtin_inff());
    for (; j + kWidth <= n; j += kWidth) {
      const F32 m = Load(mask + j);
      Store(x + j, Choose(Equal(m, hidden), hidden, Add(Load(x + j), m)));
    }
  }
  for (; j < n; ++j) {
    const float m = MaskAt(w, at + j * s.mask[3]);
    x[j] = m == -__builtin_inff() ? m : x[j] + m;
  }
}

// The maximum of numbers; NaN is passed over, the sum of exponentials carries it.
float MaxOf(const float* x, int64_t n) {
  F32 m[2] = {Broadcast(-__builtin_inff()), Broadcast(-__builtin_inff())};
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    m[0] = MaxOrSecond(Load(x + i), m[0]);
    m[1] = MaxOrSecond(Load(x + i + kWidth), m[1]);
  }
  for (; i + kWidth <= n; i += kWidth) m[0] = MaxOrSecond(Load(x + i), m[0]);
  float max = MaxNumberLanes(MaxOrSecond(m[0], m[1]));
  for (; i < n; ++i) max = x[i] > max ? x[i] : max;
  return max;
}

// x = e^(x - shift); their sum.
float Exponentials(float* x, int64_t n, float shift) {
  const F32 s = Broadcast(shift);
  F32 sum = Zero();
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    const F32 e = Exp(Sub(Load(x + i), s));
    Store(x + i, e);
    sum = Add(sum, e);
  }
  if (i < n) {
    // Lanes past the end hold e^-shift and must not count.
    alignas(64) float rest[kWidth];
    Store(rest, Exp(Sub(LoadTail(x + i, n - i), s)));
    for (int64_t k = n - i; k < kWidth; ++k) rest[k] = 0.0f;
    StoreTail(x + i, n - i, Load(rest));
    sum = Add(sum, Load(rest));
  }
  return SumLanes(sum);
}

// Turns the scores into weights relative to the running maximum, and moves maximum and sum on.
void SoftmaxRows(AttentionWorker& w, const AttentionBlock& b, bool first) {
  const AttentionShape& s = w.plan.shape;
  for (int64_t row = 0; row < b.rows; ++row) {
    float* x = w.scores + row * w.plan.key_block;
    int64_t n = b.keys;
    if (s.causal) {
      const int64_t visible = b.query + row + s.causal_offset + 1 - b.key;
      n = visible < 0 ? 0 : visible < n ? visible : n;
      for (int64_t j = n; j < b.keys; ++j) x[j] = 0.0f;
    }
    if (s.has_mask) AddMask(w, b, row, x, n);
    const float before = first ? -__builtin_inff() : w.max[row];
    const float here = MaxOf(x, n);
    const float max = here > before ? here : before;
    // Where nothing has been seen yet, any shift keeps the exponentials 0.
    const float shift = max == -__builtin_inff() ? 0.0f : max;
    const float sum = Exponentials(x, n, shift);
    w.max[row] = max;
    if (first) {
      w.sum[row] = sum;
      continue;
    }
    alignas(64) float factor[kWidth];
    Store(factor, Exp(Broadcast(before - shift)));
    w.rescale[row] = factor[0];
    w.sum[row] = w.sum[row] * factor[0] + sum;
  }
}

// What is summed so far, to the new maximum.
void RescaleRows(AttentionWorker& w, int64_t rows, int64_t pitch) {
  for (int64_t row = 0; row < rows; ++row) {
    const F32 factor = Broadcast(w.rescale[row]);
    float* x = w.result + row * pitch;
    for (int64_t e = 0; e < pitch; e += kWidth) Store(x + e, Mul(Load(x + e), factor));
  }
}

// y[e...] (+)= the sum of weights[j] * v[j * step + e] over kVecs vectors; the last may be partial.
// What has no weight is not looked at.
template <int kVecs>
FLOE_INLINE void SumValues(const float* weights, int64_t n, const float* v, int64_t step,
                           int64_t columns, bool add, float* y) {
  F32 acc[kVecs];
  const int64_t tail = columns - (kVecs - 1) * kWidth;
  const auto load = [&](const float* p, int c) __attribute__((always_inline)) {
    return c == kVecs - 1 && tail < kWidth ? LoadTail(p + c * kWidth, tail) : Load(p + c * kWidth);
  };
  for (int c = 0; c < kVecs; ++c) acc[c] = add ? load(y, c) : Zero();
  for (int64_t j = 0; j < n; ++j) {
    if (weights[j] == 0.0f) continue;
    const F32 x = Broadcast(weights[j]);
    for (int c = 0; c < kVecs; ++c) acc[c] = MulAdd(x, load(v + j * step, c), acc[c]);
  }
  for (int c = 0; c < kVecs; ++c) {
    if (c == kVecs - 1 && tail < kWidth) {
      StoreTail(y + c * kWidth, tail, acc[c]);
    } else {
      Store(y + c * kWidth, acc[c]);
    }
  }
}

// The weighted sums of the values where they lie.
void WeighValues(const AttentionWorker& w, const AttentionBlock& b, int64_t pitch, bool first) {
  const AttentionShape& s = w.plan.shape;
  for (int64_t row = 0; row < b.rows; ++row) {
    const float* weights = w.scores + row * w.plan.key_block;
    for (int64_t e = 0; e < s.out; e += 4 * kWidth) {
      const float* v = b.v + b.key * s.v.position + e;
      float* y = w.result + row * pitch + e;
      const int64_t left = s.out - e;
      if (left > 3 * kWidth) {
        SumValues<4>(weights, b.keys, v, s.v.position, left < 4 * kWidth ? left : 4 * kWidth,
                     !first, y);
        continue;
      }
      for (int64_t c = 0; c < left; c += kWidth) {
        SumValues<1>(weights, b.keys, v + c, s.v.position, left - c < kWidth ? left - c : kWidth,
                     !first, y + c);
      }
    }
  }
}

// --- many queries: packed keys and values --------------------------------------------------------

// Whether no value of the keys [key, key + keys) is infinite or NaN.
bool AreFinite(const AttentionShape& s, const float* v, int64_t keys) {
  F32 zeros = Zero();
  for (int64_t j = 0; j < keys; ++j, v += s.v.position) {
    int64_t e = 0;
    for (; e + kWidth <= s.out; e += kWidth) zeros = MulAdd(Load(v + e), Zero(), zeros);
    if (e < s.out) zeros = MulAdd(LoadTail(v + e, s.out - e), Zero(), zeros);
  }
  return !AnyLane(NotEqual(zeros, Zero()));
}

void PackKeysAndValues(AttentionWorker& w, const AttentionBlock& b) {
  const AttentionShape& s = w.plan.shape;
  const int64_t head = b.batch * s.heads + b.head / s.group;
  if (w.packed_head == head && w.packed_key == b.key) return;
  w.packed_head = head;
  w.packed_key = b.key;
  // All keys of the block, whatever causality lets this block of queries see.
  const int64_t left = s.keys - b.key;
  const int64_t keys = left < w.plan.key_block ? left : w.plan.key_block;
  for (int64_t j = 0; j < keys; j += kPanel) {
    PackPanel(b.k + (b.key + j) * s.k.position, s.k.feature, s.k.position, s.width,
              keys - j < kPanel ? keys - j : kPanel, w.keys + j * s.width);
  }
  if (s.causal || s.has_mask) w.finite = AreFinite(s, b.v + b.key * s.v.position, keys);
  for (int64_t e = 0; e < s.out; e += kPanel) {
    PackPanel(b.v + b.key * s.v.position + e, s.v.position, 1, keys,
              s.out - e < kPanel ? s.out - e : kPanel, w.values + e * w.plan.key_block);
  }
}

void PackedBlock(AttentionWorker& w, const AttentionBlock& b, int64_t pitch, bool first) {
  const AttentionShape& s = w.plan.shape;
  PackKeysAndValues(w, b);
  Multiply({b.q + b.query * s.q.position, s.q.position, b.rows, s.width, w.keys, s.width,
            (b.keys + kPanel - 1) / kPanel, w.plan.score_panels, static_cast<float>(s.scale), false,
            w.scores, w.plan.key_block});
  SoftmaxRows(w, b, first);
  if (!first) RescaleRows(w, b.rows, pitch);
  if (!w.finite) return WeighValues(w, b, pitch, first);
  Multiply({w.scores, w.plan.key_block, b.rows, b.keys, w.values, w.plan.key_block, pitch / kPanel,
            w.plan.result_panels, 1.0f, !first, w.result, pitch});
}

// --- few queries: keys and values in place -------------------------------------------------------

float DotRow(const float* a, const float* b, int64_t n) {
  F32 acc[2] = {Zero(), Zero()};
  int64_t i = 0;
  for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
    acc[0] = MulAdd(Load(a + i), Load(b + i), acc[0]);
    acc[1] = MulAdd(Load(a + i + kWidth), Load(b + i + kWidth), acc[1]);
  }
  for (; i < n; i += kWidth) {
    const int64_t left = n - i < kWidth ? n - i : kWidth;
    acc[0] = MulAdd(LoadTail(a + i, left), LoadTail(b + i, left), acc[0]);
  }
  return SumLanes(Add(acc[0], acc[1]));
}

void DirectBlock(AttentionWorker& w, const AttentionBlock& b, int64_t pitch, bool first) {
  const AttentionShape& s = w.plan.shape;
  const auto scale = static_cast<float>(s.scale);
  for (int64_t j = 0; j < b.keys; ++j) {
    const float* key = b.k + (b.key + j) * s.k.position;
    for (int64_t row = 0; row < b.rows; ++row) {
      const float* q = b.q + (b.query + row) * s.q.position;
      w.scores[row * w.plan.key_block + j] = scale * DotRow(q, key, s.width);
    }
  }
  SoftmaxRows(w, b, first);
  if (!first) RescaleRows(w, b.rows, pitch);
  WeighValues(w, b, pitch, first);
}

// --- blocks --------------------------------------------------------------------------------------

void WriteRows(const AttentionWorker& w, const AttentionBlock& b, int64_t pitch, bool none) {
  const AttentionShape& s = w.plan.shape;
  float* y = static_cast<float*>(w.args.outputs[0]) + s.y.offset + b.batch * s.y.batch +
             b.head * s.y.head + b.query * s.y.position;
  for (int64_t row = 0; row < b.rows; ++row, y += s.y.position) {
    const bool empty = none || w.sum[row] == 0.0f;
    const F32 nothing = Broadcast(s.zero_empty ? 0.0f : __builtin_nanf(""));
    const F32 factor = empty ? nothing : Div(Broadcast(1.0f), Broadcast(w.sum[row]));
    for (int64_t e = 0; e < s.out; e += kWidth) {
      const F32 x = empty ? nothing : Mul(Load(w.result + row * pitch + e), factor);
      if (s.out - e >= kWidth) {
        Store(y + e, x);
      } else {
        StoreTail(y + e, s.out - e, x);
      }
    }
  }
}

void AttendUnit(AttentionWorker& w, int64_t unit) {
  const AttentionPlan& plan = w.plan;
  const AttentionShape& s = plan.shape;
  const int64_t block = unit % plan.query_blocks, head = unit / plan.query_blocks;
  AttentionBlock b{};
  b.batch = head / s.heads;
  b.head = head % s.heads;
  b.query = s.queries * block / plan.query_blocks;
  b.rows = s.queries * (block + 1) / plan.query_blocks - b.query;
  const int64_t shared = b.head / s.group;
  b.q = w.in(0) + s.q.offset + b.batch * s.q.batch + b.head * s.q.head;
  if (s.keys > 0) {
    b.k = w.in(1) + s.k.offset + b.batch * s.k.batch + shared * s.k.head;
    b.v = w.in(2) + s.v.offset + b.batch * s.v.batch + shared * s.v.head;
  }
  int64_t keys = s.keys;
  if (s.causal) {
    const int64_t visible = b.query + b.rows + s.causal_offset;
    keys = visible < 0 ? 0 : visible < keys ? visible : keys;
  }
  // Rows of the result are whole panels, whose surplus columns are never written out.
  const int64_t pitch = (s.out + kPanel - 1) / kPanel * kPanel;
  bool first = true;
  for (b.key = 0; b.key < keys; b.key += plan.key_block) {
    b.keys = keys - b.key < plan.key_block ? keys - b.key : plan.key_block;
    if (s.keys > plan.key_block && IsMaskedOut(w, b)) continue;
    if (plan.direct) {
      DirectBlock(w, b, pitch, first);
    } else {
      PackedBlock(w, b, pitch, first);
    }
    first = false;
  }
  WriteRows(w, b, pitch, first);
}

}  // namespace

Status PrepareAttention(const OpInfo& op, const PrepareContext& context, void* state,
                        Schedule* schedule) {
  auto* plan = static_cast<AttentionPlan*>(state);
  PlanAttention(op, context, Tiles(), plan);
  schedule->phases = 1;
  schedule->tasks = plan->tasks;
  schedule->variant =
      plan->direct ? FLOE_VARIANT("f32_attention_direct") : FLOE_VARIANT("f32_attention_packed");
  return OkStatus();
}

Rule RunAttention(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void* scratch) {
  const auto& plan = *static_cast<const AttentionPlan*>(args.state);
  AttentionWorker worker(args, plan, scratch);
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(plan.units, task, plan.tasks, &first, &last);
    for (int64_t unit = first; unit < last; ++unit) AttendUnit(worker, unit);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
