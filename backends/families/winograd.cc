#include "backends/families/winograd.h"

#include <algorithm>

#include "backends/families.h"
#include "backends/families/check.h"
#include "backends/families/product.h"
#include "format/checked.h"

namespace floe {
namespace winograd {
namespace {

constexpr int64_t kPanel = 16;
constexpr int64_t kLineBytes = 64;
constexpr int64_t kLine = 16;  // Floats of a cache line.
// Both kinds of matrices should stay in a core's L2 (1 MiB on the smallest server cores) while u
// streams through it; fewer tiles than kLeastBlock would read all of u for too few rows.
constexpr int64_t kInputBytes = 640 << 10;
constexpr int64_t kOutputBytes = 288 << 10;
constexpr int64_t kLeastBlock = 8;
constexpr int64_t kGroupPanels = 4;

}  // namespace

bool PairColumns(int64_t outputs, int64_t* columns) {
  return CheckedRoundUp(outputs, kPanel, columns) &&
         CheckedMul(*columns, kPairTile * kPairTile, columns);
}

OpInfo ConvOf(const OpInfo& op, TensorInfo* inputs) {
  OpInfo conv = op;
  for (uint32_t i = 0, n = 0; i < op.input_count; ++i) {
    if (i != 2) inputs[n++] = op.inputs[i];
  }
  conv.inputs = inputs;
  conv.input_count = op.input_count - 1;
  conv.constants = nullptr;
  return conv;
}

PlainConv::PlainConv(const KernelArgs& winograd)
    : op(ConvOf(*winograd.op, infos)), args{&op, inputs, winograd.outputs, winograd.state} {
  for (uint32_t i = 0, n = 0; i < winograd.op->input_count; ++i) {
    if (i != 2) inputs[n++] = winograd.inputs[i];
  }
}

bool PlanBlocks(const OpInfo& op, Blocking* blocking, int64_t* scratch_bytes) {
  const TensorInfo& w = op.inputs[1];
  const TensorInfo& u = op.inputs[2];
  const TensorInfo& y = op.outputs[0];
  const bool pairs = u.dtype == DType::kBF16;
  const int64_t size = pairs ? 2 : 4;
  Blocking b;
  b.t = pairs ? kPairTile : u.dims[2];
  b.m = b.t - 2;
  b.tiles_y = CeilDiv(y.dims[2], b.m);
  b.tiles_x = CeilDiv(y.dims[3], b.m);
  b.tiles = y.dims[0] * b.tiles_y * b.tiles_x;  // At most the pixels of y.
  b.panels = CeilDiv(y.dims[1], kPanel);
  b.group_panels = std::min(b.panels, kGroupPanels);
  // Rows a multiple of 1 KiB apart would fall into few sets of the L1 cache; so would matrices.
  if (!CheckedRoundUp(w.dims[1], kPanel, &b.input_pitch)) return false;
  if (b.input_pitch % (1024 / size) == 0) b.input_pitch += kLineBytes / size;
  b.output_pitch = b.group_panels * kPanel;
  int64_t tile_bytes;
  if (!CheckedMul(b.input_pitch, b.t * b.t * size, &tile_bytes)) return false;
  const int64_t most = std::min(kInputBytes / std::max<int64_t>(tile_bytes, 1),
                                kOutputBytes / (b.t * b.t * 4 * b.output_pitch));
  b.block = std::min(b.tiles, std::max(most, kLeastBlock));
  b.output_matrix = b.block * b.output_pitch + kLine;
  if (!CheckedMul(b.block, b.input_pitch, &b.input_matrix) ||
      !CheckedAdd(b.input_matrix, kLineBytes / size, &b.input_matrix) ||
      !CheckedMul(b.input_matrix, b.t * b.t * size, &b.input_bytes) ||
      !CheckedMul(b.output_matrix, b.t * b.t * 4, scratch_bytes) ||
      !CheckedAdd(*scratch_bytes, b.input_bytes, scratch_bytes) ||
      !CheckedAdd(*scratch_bytes, families::kTileScratchBytes, scratch_bytes)) {
    return false;
  }
  *blocking = b;
  return true;
}

}  // namespace winograd

namespace families {

// u [O, C, t, t] winograd_panels16, or with bf16 as PairColumns says.
Status CheckTransformedWeights(const OpInfo& op) {
  const TensorInfo& w = op.inputs[1];
  if (w.dtype != DType::kBF16) {
    FLOE_RETURN_IF_ERROR(CheckOperand(op, 2, DType::kF32, LayoutId::kWinogradPanels16, 4));
    FLOE_RETURN_IF_ERROR(CheckDim(op, 2, 0, w.dims[0]));
    return CheckDim(op, 2, 1, w.dims[1]);
  }
  int64_t columns = 0;
  if (!winograd::PairColumns(w.dims[0], &columns)) return Bad(Rule::kValueTooLarge).ForOperand(2);
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 2, DType::kBF16, LayoutId::kGemmPairs16, 2));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 2, 0, w.dims[1]));
  return CheckDim(op, 2, 1, columns);
}

// Attributes as conv. x, w [O, C, 3, 3] and y as conv's; u is w's transform, or absent.
Status CheckWinogradConv(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 3, 3 + kPwMaxOperands, 1));
  TensorInfo inputs[kMaxOperands];
  const OpInfo conv = winograd::ConvOf(op, inputs);
  if (Status s = CheckConv(conv, footprint); !s.ok()) {
    if (s.operand != kNoIndex && s.operand >= 2) ++s.operand;
    return s;
  }
  // The operands after u, as bits.
  constexpr uint64_t kBeforeU = 3;
  footprint->in_place_inputs =
      (footprint->in_place_inputs & ~kBeforeU) << 1 | (footprint->in_place_inputs & kBeforeU);
  constexpr int64_t kAttrs[] = {1, 3, 3, 1, 1};  // groups kh kw sh sw
  for (uint32_t i = 0; i < 5; ++i) {
    if (op.attrs[i] != kAttrs[i]) return Bad(Rule::kInstructionAttr, kAttrs[i], op.attrs[i]);
  }
  for (uint32_t i = 9; i < 11; ++i) {
    if (op.attrs[i] != 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[i]);
  }
  const TensorInfo& u = op.inputs[2];
  if (!u.present()) return OkStatus();
  FLOE_RETURN_IF_ERROR(CheckTransformedWeights(op));
  int64_t bytes;
  if (Status s = TensorBytes(u, &bytes); !s.ok()) return s.ForOperand(2);
  const TensorInfo& y = op.outputs[0];
  if (y.dims[0] == 0 || y.dims[1] == 0 || y.dims[2] == 0 || y.dims[3] == 0) return OkStatus();
  winograd::Blocking blocking;
  int64_t scratch_bytes = 0;
  if (!winograd::PlanBlocks(op, &blocking, &scratch_bytes)) {
    return Bad(Rule::kValueTooLarge).ForOperand(2);
  }
  // (A kernel may prefer the conv.)
  footprint->scratch_bytes = std::max(footprint->scratch_bytes, scratch_bytes);
  footprint->bytes += static_cast<double>(bytes);
  return OkStatus();
}

}  // namespace families
}  // namespace floe
