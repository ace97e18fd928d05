#include "backends/families.h"
#include "backends/families/check.h"
#include "backends/families/product.h"
#include "format/checked.h"

namespace floe::families {
namespace {

// One operand seen through its permutation: axis i of the view is axis perm[i] of the tensor.
struct View {
  int rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t strides[kMaxRank] = {};
};

// Reads "rank perm[rank]" at words[*at] and moves on.
Status ReadPerm(const OpInfo& op, uint32_t* at, int perm[kMaxRank], int* rank) {
  if (*at >= op.attr_count) return Bad(Rule::kInstructionAttr, *at + 1, op.attr_count);
  const int64_t r = op.attrs[(*at)++];
  if (r < 2 || r > kMaxRank) return Bad(Rule::kInstructionAttr, 2, r);
  if (op.attr_count - *at < static_cast<uint32_t>(r)) {
    return Bad(Rule::kInstructionAttr, *at + r, op.attr_count);
  }
  uint32_t seen = 0;
  for (int64_t i = 0; i < r; ++i) {
    const int64_t axis = op.attrs[(*at)++];
    if (axis < 0 || axis >= r || (seen >> axis & 1) != 0) {
      return Bad(Rule::kInstructionAttr, r, axis);
    }
    seen |= 1u << axis;
    perm[i] = static_cast<int>(axis);
  }
  *rank = static_cast<int>(r);
  return OkStatus();
}

Status ReadView(const OpInfo& op, uint32_t operand, uint32_t* at, View* view) {
  int perm[kMaxRank];
  FLOE_RETURN_IF_ERROR(ReadPerm(op, at, perm, &view->rank));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, operand, DType::kF32, LayoutId::kDense, view->rank));
  const TensorInfo& t = Operand(op, operand);
  int64_t strides[kMaxRank], offset;
  TensorStrides(t, strides, &offset);
  for (int i = 0; i < view->rank; ++i) {
    view->dims[i] = t.dims[perm[i]];
    view->strides[i] = strides[perm[i]];
  }
  return OkStatus();
}

// y through its permutation is the result: axis perm[i] of the result is axis i of y.
Status ReadResult(const OpInfo& op, uint32_t* at, View* view) {
  int perm[kMaxRank];
  FLOE_RETURN_IF_ERROR(ReadPerm(op, at, perm, &view->rank));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, op.input_count, DType::kF32, LayoutId::kDense, view->rank));
  const TensorInfo& t = op.outputs[0];
  int64_t strides[kMaxRank], offset;
  TensorStrides(t, strides, &offset);
  for (int i = 0; i < view->rank; ++i) {
    view->dims[perm[i]] = t.dims[i];
    view->strides[perm[i]] = strides[i];
  }
  return OkStatus();
}

Status BadDim(uint32_t operand, int64_t expected, int64_t got) {
  return Bad(Rule::kInstructionShape, expected, got).ForOperand(operand);
}

// Batch axes broadcast as in numpy: right-aligned, 1 stretches.
Status ReadBatch(const View& a, const View& b, const View& y, uint32_t y_operand, MatMulShape* s) {
  s->batch_axes = y.rank - 2;
  for (int i = 0; i < s->batch_axes; ++i) {
    const int ia = i - (y.rank - a.rank), ib = i - (y.rank - b.rank);
    const int64_t da = ia >= 0 ? a.dims[ia] : 1, db = ib >= 0 ? b.dims[ib] : 1;
    if (da != db && da != 1 && db != 1) return BadDim(1, da, db);
    const int64_t d = da == 1 ? db : da;
    if (y.dims[i] != d) return BadDim(y_operand, d, y.dims[i]);
    s->batch_dims[i] = d;
    s->a_batch[i] = da == 1 ? 0 : a.strides[ia];
    s->b_batch[i] = db == 1 ? 0 : b.strides[ib];
    s->y_batch[i] = y.strides[i];
    if (!CheckedMul(s->batch, d, &s->batch)) return Bad(Rule::kValueTooLarge);
  }
  return OkStatus();
}

}  // namespace

Status ReadMatMul(const OpInfo& op, MatMulShape* s) {
  View a, b, y;
  uint32_t at = 0;
  FLOE_RETURN_IF_ERROR(ReadView(op, 0, &at, &a));
  FLOE_RETURN_IF_ERROR(ReadView(op, 1, &at, &b));
  FLOE_RETURN_IF_ERROR(ReadResult(op, &at, &y));
  if (at != op.attr_count) return Bad(Rule::kInstructionAttr, at, op.attr_count);
  const uint32_t y_operand = op.input_count;
  if (y.rank != (a.rank > b.rank ? a.rank : b.rank)) {
    return Bad(Rule::kInstructionShape, a.rank, y.rank).ForOperand(y_operand);
  }
  s->m = a.dims[a.rank - 2];
  s->k = a.dims[a.rank - 1];
  s->n = b.dims[b.rank - 1];
  if (b.dims[b.rank - 2] != s->k) return BadDim(1, s->k, b.dims[b.rank - 2]);
  if (y.dims[y.rank - 2] != s->m) return BadDim(y_operand, s->m, y.dims[y.rank - 2]);
  if (y.dims[y.rank - 1] != s->n) return BadDim(y_operand, s->n, y.dims[y.rank - 1]);
  s->a_m = a.strides[a.rank - 2];
  s->a_k = a.strides[a.rank - 1];
  s->b_k = b.strides[b.rank - 2];
  s->b_n = b.strides[b.rank - 1];
  s->y_m = y.strides[y.rank - 2];
  s->y_n = y.strides[y.rank - 1];
  return ReadBatch(a, b, y, y_operand, s);
}

int64_t MatMulColumnBlock(const MatMulShape& s) {
  // About a megabyte of packed B, but whole tiles: the widest has 128 columns.
  constexpr int64_t kFloats = 256 << 10, kLeast = 128;
  const int64_t fit = s.k > 0 ? kFloats / s.k / kLeast * kLeast : kFloats;
  return fit < kLeast ? kLeast : fit;
}

// a, b, scalar epilogue operands -> y, all dense.
Status CheckMatMul(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 2 + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  MatMulShape s;
  FLOE_RETURN_IF_ERROR(ReadMatMul(op, &s));
  FLOE_RETURN_IF_ERROR(CheckEpilogue(op, 2, -1, false));
  footprint->scratch_bytes = kTileScratchBytes;
  footprint->state_bytes = kProductStateBytes;
  if (s.batch > 0 && s.m > 0 && s.n > 0) {
    const int64_t block = MatMulColumnBlock(s);
    // Packed columns of B, and packed rows of A where its k axis is not contiguous.
    int64_t floats = s.n < block ? RoundUp(s.n, 16) : block;
    if (s.a_k != 1) floats += kMatMulRowBlock;
    int64_t bytes;
    if (!CheckedMul(floats, s.k, &bytes) || !CheckedMul(bytes, 4, &bytes) ||
        !CheckedRoundUp(bytes, 64, &bytes) ||
        !CheckedAdd(footprint->scratch_bytes, bytes, &footprint->scratch_bytes)) {
      return Bad(Rule::kValueTooLarge);
    }
  }
  FLOE_RETURN_IF_ERROR(CheckRows(static_cast<double>(s.m)));
  footprint->flops = 2.0 * static_cast<double>(s.batch) * static_cast<double>(s.m) *
                     static_cast<double>(s.n) * static_cast<double>(s.k);
  return OkStatus();
}

}  // namespace floe::families
