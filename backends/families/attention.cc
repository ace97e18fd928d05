#include "backends/families/attention.h"

#include "backends/families.h"
#include "backends/families/check.h"
#include "format/attrs.h"
#include "format/checked.h"

namespace floe::families {
namespace {

// Bound of each part of the scratch: 16 GiB are no attention.
constexpr int64_t kMaxScratchFloats = int64_t{1} << 32;
constexpr uint32_t kWords = 4 + 3 * 6 + 4;

// Reads "b h s d" at words[*at] and moves on. dims gets the operand's, in that order.
Status ReadAxes(const OpInfo& op, uint32_t operand, uint32_t* at, HeadsView* view,
                int64_t dims[4]) {
  FLOE_RETURN_IF_ERROR(CheckOperand(op, operand, DType::kF32, LayoutId::kDense, 4));
  const TensorInfo& t = Operand(op, operand);
  int64_t strides[kMaxRank], offset;
  TensorStrides(t, strides, &offset);
  int64_t* const to[4] = {&view->batch, &view->head, &view->position, &view->feature};
  uint32_t seen = 0;
  for (int i = 0; i < 4; ++i) {
    const int64_t axis = op.attrs[(*at)++];
    // Kernels read rows of features; only keys may lie transposed.
    if (i == 3 && operand != 1 && axis != 3) return Bad(Rule::kInstructionAttr, 3, axis);
    if (axis < 0 || axis > 3 || (seen >> axis & 1) != 0) {
      return Bad(Rule::kInstructionAttr, 3, axis);
    }
    seen |= 1u << axis;
    *to[i] = strides[axis];
    dims[i] = t.dims[axis];
  }
  return OkStatus();
}

Status ReadMask(const OpInfo& op, AttentionShape* s) {
  if (!op.inputs[3].present()) return OkStatus();
  const TensorInfo& m = op.inputs[3];
  s->has_mask = true;
  s->bool_mask = m.dtype == DType::kBool;
  FLOE_RETURN_IF_ERROR(
      CheckOperand(op, 3, s->bool_mask ? DType::kBool : DType::kF32, LayoutId::kDense));
  if (m.rank > 4) return Bad(Rule::kInstructionShape, 4, m.rank).ForOperand(3);
  const int64_t scores[4] = {s->batch, s->heads, s->queries, s->keys};
  int64_t strides[kMaxRank], offset;
  TensorStrides(m, strides, &offset);
  for (int i = 0; i < m.rank; ++i) {
    const int axis = 4 - m.rank + i;
    if (m.dims[i] != 1 && m.dims[i] != scores[axis]) {
      return Bad(Rule::kInstructionShape, scores[axis], m.dims[i]).ForOperand(3, i);
    }
    s->mask[axis] = m.dims[i] == 1 ? 0 : strides[i];
  }
  return OkStatus();
}

}  // namespace

Status ReadHeads(const OpInfo& op, uint32_t operand, uint32_t* at, HeadsView* view,
                 int64_t dims[4]) {
  FLOE_RETURN_IF_ERROR(ReadAxes(op, operand, at, view, dims));
  const int64_t first = op.attrs[(*at)++], step = op.attrs[(*at)++];
  if (first < 0 || first > dims[1]) return Bad(Rule::kInstructionAttr, dims[1], first);
  if (step < 1) return Bad(Rule::kInstructionAttr, 1, step);
  // Without an element strides mean nothing and may not be multiplied.
  bool empty = false;
  for (int i = 0; i < 4; ++i) empty = empty || dims[i] == 0;
  // Not CeilDiv: any step is allowed, and the sum with it might overflow.
  dims[1] = dims[1] == first ? 0 : (dims[1] - first - 1) / step + 1;
  if (empty || dims[1] == 0) return OkStatus();
  view->offset = first * view->head;
  // A single head needs no stride, and a long step might overflow.
  view->head = dims[1] > 1 ? step * view->head : 0;
  return OkStatus();
}

Status ReadAttention(const OpInfo& op, AttentionShape* s) {
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, kWords));
  s->scale = WordFloat(op.attrs[0]);
  if (!(s->scale >= -1e30 && s->scale <= 1e30)) {
    return Bad(Rule::kInstructionAttr, 0, op.attrs[0]);
  }
  if (op.attrs[1] < 0 || op.attrs[1] > 2) return Bad(Rule::kInstructionAttr, 2, op.attrs[1]);
  if (op.attrs[2] < 0 || op.attrs[2] > 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[2]);
  int64_t q[4], k[4], v[4], y[4];
  uint32_t at = 4;
  FLOE_RETURN_IF_ERROR(ReadHeads(op, 0, &at, &s->q, q));
  FLOE_RETURN_IF_ERROR(ReadHeads(op, 1, &at, &s->k, k));
  FLOE_RETURN_IF_ERROR(ReadHeads(op, 2, &at, &s->v, v));
  FLOE_RETURN_IF_ERROR(ReadAxes(op, op.input_count, &at, &s->y, y));
  const auto shape = [](uint32_t operand, int64_t expected, int64_t got) {
    return Bad(Rule::kInstructionShape, expected, got).ForOperand(operand);
  };
  for (const int64_t* t : {k, v, y}) {
    const uint32_t operand = t == k ? 1 : t == v ? 2 : op.input_count;
    if (t[0] != q[0]) return shape(operand, q[0], t[0]);
  }
  s->batch = q[0];
  s->heads = y[1];
  s->queries = q[2];
  s->keys = k[2];
  s->width = q[3];
  s->out = v[3];
  if (q[3] < 1) return shape(0, 1, q[3]);
  if (q[1] < y[1]) return shape(0, y[1], q[1]);
  if (k[3] != q[3]) return shape(1, q[3], k[3]);
  if (v[2] != k[2]) return shape(2, k[2], v[2]);
  if (y[2] != q[2]) return shape(op.input_count, q[2], y[2]);
  if (y[3] != v[3]) return shape(op.input_count, v[3], y[3]);
  s->group = op.attrs[3];
  if (s->group < 1 || s->heads % s->group != 0) {
    return Bad(Rule::kInstructionAttr, s->heads, s->group);
  }
  if (k[1] < s->heads / s->group) return shape(1, s->heads / s->group, k[1]);
  if (v[1] < s->heads / s->group) return shape(2, s->heads / s->group, v[1]);
  s->causal = op.attrs[1] != 0;
  s->causal_offset = op.attrs[1] == 2 ? s->keys - s->queries : 0;
  s->zero_empty = op.attrs[2] != 0;
  return ReadMask(op, s);
}

int64_t AttentionKeyBlock(const AttentionShape& s) {
  // Packed keys and values of about 128 KiB each.
  constexpr int64_t kFloats = 32 << 10, kMost = 512, kLeast = 64;
  const int64_t widest = s.width > s.out ? s.width : s.out;
  int64_t block = widest > 0 ? kFloats / widest / 16 * 16 : kMost;
  block = block > kMost ? kMost : block < kLeast ? kLeast : block;
  return s.keys < block ? RoundUp(s.keys, 16) : block;
}

bool AttentionScratchOf(const AttentionShape& s, AttentionScratch* scratch) {
  const int64_t keys = AttentionKeyBlock(s);
  const int64_t rows = s.queries < kAttentionQueries ? s.queries : kAttentionQueries;
  int64_t out;
  if (!CheckedRoundUp(s.out, 16, &out) || !CheckedMul(keys, s.width, &scratch->keys) ||
      !CheckedMul(keys, out, &scratch->values) || !CheckedMul(rows, out, &scratch->result)) {
    return false;
  }
  scratch->scores = rows * keys;
  scratch->rows = 3 * kAttentionQueries;  // Maximum, sum and rescaling of each row.
  return scratch->keys <= kMaxScratchFloats && scratch->values <= kMaxScratchFloats &&
         scratch->result <= kMaxScratchFloats;
}

// q, k, v, mask or absent -> y.
Status CheckAttention(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 4, 4, 1));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  AttentionShape s;
  FLOE_RETURN_IF_ERROR(ReadAttention(op, &s));
  AttentionScratch scratch;
  if (!AttentionScratchOf(s, &scratch)) return Bad(Rule::kValueTooLarge);
  footprint->scratch_bytes = scratch.total() * 4;
  footprint->state_bytes = kAttentionStateBytes;
  footprint->flops = 2.0 * static_cast<double>(s.batch) * static_cast<double>(s.heads) *
                     static_cast<double>(s.queries) * static_cast<double>(s.keys) *
                     (static_cast<double>(s.width) + static_cast<double>(s.out)) *
                     (s.causal ? 0.5 : 1.0);
  return OkStatus();
}

}  // namespace floe::families
