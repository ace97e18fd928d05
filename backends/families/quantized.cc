#include "backends/families/quantized.h"

#include "backends/families.h"
#include "backends/families/check.h"
#include "backends/families/product.h"
#include "backends/families/tile_scratch.h"
#include "format/attrs.h"
#include "format/checked.h"

namespace floe::families {
namespace {

double Elements(const TensorInfo& t) {
  double count = 1;
  for (int i = 0; i < t.rank; ++i) count *= static_cast<double>(t.dims[i]);
  return count;
}

// One element, as a scalar or a vector of one.
Status CheckOneElement(const OpInfo& op, uint32_t i, DType dtype) {
  FLOE_RETURN_IF_ERROR(CheckOperand(op, i, dtype, LayoutId::kDense));
  const TensorInfo& t = Operand(op, i);
  if (t.rank > 1) return Bad(Rule::kInstructionShape, 1, t.rank).ForOperand(i);
  if (t.rank == 1) return CheckDim(op, i, 0, 1);
  return OkStatus();
}

Status CheckVector(const OpInfo& op, uint32_t i, DType dtype, int64_t size) {
  FLOE_RETURN_IF_ERROR(CheckOperand(op, i, dtype, LayoutId::kDense, 1));
  return CheckDim(op, i, 0, size);
}

Status CheckAbsent(const OpInfo& op, uint32_t i) {
  if (op.inputs[i].present()) return Bad(Rule::kInstructionOperand).ForOperand(i);
  return OkStatus();
}

// The words for a result of `dtype`.
Status CheckWords(const int64_t* w, DType dtype, bool residual) {
  const auto check = [](int64_t word, int64_t low, int64_t high) {
    return word < low || word > high ? Bad(Rule::kInstructionAttr, high, word) : OkStatus();
  };
  const bool bytes = dtype == DType::kU8;
  FLOE_RETURN_IF_ERROR(check(w[0], -1, 255));
  for (int i = 1; i < 4; ++i) FLOE_RETURN_IF_ERROR(check(w[i], 0, bytes ? 255 : 0));
  FLOE_RETURN_IF_ERROR(check(w[2], 0, w[3]));
  for (int i = 4; i < 8; ++i) FLOE_RETURN_IF_ERROR(check(w[i], 0, residual ? 255 : 0));
  FLOE_RETURN_IF_ERROR(check(w[5], 0, w[6]));
  for (int i = 8; i < 10; ++i) {
    // Finite floats only: what is beyond has no conversion.
    const double ratio = WordFloat(w[i]);
    constexpr double kMostFloat = 3.4028234663852886e38;
    const double most = residual ? kMostFloat : 0;
    if (!(ratio >= -most && ratio <= most)) return Bad(Rule::kInstructionAttr, 0, w[i]);
  }
  return OkStatus();
}

// All but x, w and the shape of y. `words` are the requantising ones.
Status CheckQuantized(const OpInfo& op, const int64_t* words, int64_t columns,
                      Footprint* footprint) {
  const TensorInfo& y = op.outputs[0];
  const bool bytes = y.dtype == DType::kU8;
  if (!bytes && y.dtype != DType::kF32) {
    return Bad(Rule::kInstructionDType, static_cast<int64_t>(DType::kU8),
               static_cast<int64_t>(y.dtype))
        .ForOperand(op.input_count);
  }
  const TensorInfo& residual = op.inputs[kQuantizedResidual];
  FLOE_RETURN_IF_ERROR(CheckWords(words, y.dtype, residual.present()));
  FLOE_RETURN_IF_ERROR(CheckVector(op, kQuantizedColumnSums, DType::kI32, columns));
  FLOE_RETURN_IF_ERROR(CheckVector(op, kQuantizedScale, DType::kF32, columns));
  if (op.inputs[kQuantizedBias].present()) {
    const bool floats = bytes && op.inputs[kQuantizedBias].dtype == DType::kF32;
    FLOE_RETURN_IF_ERROR(
        CheckVector(op, kQuantizedBias, floats ? DType::kF32 : DType::kI32, columns));
  }
  if (words[0] == -1) {
    FLOE_RETURN_IF_ERROR(CheckOneElement(op, kQuantizedXScale, DType::kF32));
    FLOE_RETURN_IF_ERROR(CheckOneElement(op, kQuantizedXZeroPoint, DType::kU8));
  } else {
    FLOE_RETURN_IF_ERROR(CheckAbsent(op, kQuantizedXScale));
    FLOE_RETURN_IF_ERROR(CheckAbsent(op, kQuantizedXZeroPoint));
  }
  if (residual.present()) {
    FLOE_RETURN_IF_ERROR(CheckOperand(op, kQuantizedResidual, DType::kU8, y.layout, y.rank));
    if (!bytes) return Bad(Rule::kInstructionOperand).ForOperand(kQuantizedResidual);
    for (int a = 0; a < y.rank; ++a) {
      FLOE_RETURN_IF_ERROR(CheckDim(op, kQuantizedResidual, a, y.dims[a]));
    }
    // (An equal halo in every byte: the result writes it anew.)
    if (residual.halo == y.halo) footprint->in_place_inputs |= uint64_t{1} << kQuantizedResidual;
  }
  if (bytes && op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckEpilogue(op, kQuantizedExtra, columns, true));
  AllowEpilogueInPlace(op, kQuantizedExtra, footprint);
  footprint->slack_inputs = uint64_t{1} << kQuantizedX;
  footprint->scratch_bytes = kQuantizedScratchBytes;
  return OkStatus();
}

// As CheckConvWeights, for taps that are joined.
Status CheckJoinedWeights(const OpInfo& op, const WindowAttrs& window) {
  const TensorInfo& w = op.inputs[1];
  int64_t run = 0;
  FLOE_RETURN_IF_ERROR(CheckImageRows(op.outputs[0]));
  if (op.attrs[0] != 1 || w.groups != 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[0]);
  if (window.dw != 1) return Bad(Rule::kInstructionAttr, 1, window.dw);
  if (!CheckedMul(op.inputs[0].dims[1], window.kw, &run)) return Bad(Rule::kInstructionAttr);
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 0, op.outputs[0].dims[1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, run));
  return CheckDim(op, 1, 2, window.kh);
}

// x u8 and y, channels-last; the window at attrs[first]; the halo that it reads holds x_zp.
Status CheckImages(const OpInfo& op, uint32_t first, WindowAttrs* window) {
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kU8, LayoutId::kChannelsLast, 4));
  FLOE_RETURN_IF_ERROR(
      CheckOperand(op, op.input_count, op.outputs[0].dtype, LayoutId::kChannelsLast, 4));
  FLOE_RETURN_IF_ERROR(CheckWindow(op, first, window));
  const int64_t x_zp = op.attrs[first + 10];
  const bool padded = (window->pt | window->pl | window->pb | window->pr) != 0;
  if (padded && x_zp != op.inputs[0].halo.fill) {
    return Bad(Rule::kInstructionLayout, x_zp, op.inputs[0].halo.fill).ForOperand(0);
  }
  return OkStatus();
}

}  // namespace

Requantize ReadRequantize(const int64_t* w) {
  const auto word = [w](int i) { return static_cast<int32_t>(w[i]); };
  Requantize r;
  r.dynamic = w[0] < 0;
  r.x_zp = r.dynamic ? 0 : word(0);
  r.y_zp = word(1);
  r.low = word(2);
  r.high = word(3);
  r.t_zp = word(4);
  r.t_low = word(5);
  r.t_high = word(6);
  r.r_zp = word(7);
  r.t_ratio = static_cast<float>(WordFloat(w[8]));
  r.r_ratio = static_cast<float>(WordFloat(w[9]));
  return r;
}

Status CheckQGemm(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, kQuantizedExtra, kQuantizedExtra + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, kRequantizeWords));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& w = op.inputs[1];
  const uint32_t y = op.input_count;
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kU8, LayoutId::kDense));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kI8, LayoutId::kGemmPanels16x4, 2));
  if (x.rank < 1) return Bad(Rule::kInstructionShape, 1, x.rank).ForOperand(0);
  FLOE_RETURN_IF_ERROR(CheckOperand(op, y, op.outputs[0].dtype, LayoutId::kDense, x.rank));
  double rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) {
    FLOE_RETURN_IF_ERROR(CheckDim(op, y, i, x.dims[i]));
    rows *= static_cast<double>(x.dims[i]);
  }
  FLOE_RETURN_IF_ERROR(CheckRows(rows));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 0, x.dims[x.rank - 1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, y, x.rank - 1, w.dims[1]));
  FLOE_RETURN_IF_ERROR(CheckQuantized(op, op.attrs, w.dims[1], footprint));
  footprint->state_bytes = kProductStateBytes;
  footprint->flops = 2 * rows * static_cast<double>(w.dims[0]) * static_cast<double>(w.dims[1]);
  return OkStatus();
}

Status CheckQConv(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, kQuantizedExtra, kQuantizedExtra + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 11 + kRequantizeWords));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kI8, LayoutId::kConvPanels16x4, 4));
  WindowAttrs window;
  FLOE_RETURN_IF_ERROR(CheckImages(op, 1, &window));
  const TensorInfo& w = op.inputs[1];
  const TensorInfo& y = op.outputs[0];
  const bool joined = JoinsTaps(w, window.kw);
  FLOE_RETURN_IF_ERROR(joined ? CheckJoinedWeights(op, window) : CheckConvWeights(op, window));
  FLOE_RETURN_IF_ERROR(CheckQuantized(op, op.attrs + 11, y.dims[1], footprint));
  // w's size bounds kh * kw unless w is empty, when there are no taps.
  int64_t tap_bytes = 0;
  if (w.dims[0] != 0 && w.dims[1] != 0 &&
      (!CheckedMul(window.kh, window.kw, &tap_bytes) || !CheckedMul(tap_bytes, 8, &tap_bytes))) {
    return Bad(Rule::kInstructionAttr);
  }
  if (!CheckedAdd(tap_bytes, kProductStateBytes, &footprint->state_bytes)) {
    return Bad(Rule::kInstructionAttr);
  }
  if (tap_bytes > 0) {
    // The taps of a row are one where they are joined: as cpu/amx/blocks.h counts them.
    const int64_t taps = joined ? window.kh : tap_bytes / 8;
    const int64_t groups = w.dims[1] / 4 + (w.dims[1] % 4 != 0);
    const int64_t tiles = TileScratchBytes(w.dims[1], taps, groups * taps);
    if (footprint->scratch_bytes < tiles) footprint->scratch_bytes = tiles;
  }
  footprint->flops = 2 * Elements(y) * static_cast<double>(w.dims[1]) *
                     static_cast<double>(window.kh) * static_cast<double>(joined ? 1 : window.kw);
  return OkStatus();
}

Status CheckQDepthwiseConv(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, kQuantizedExtra, kQuantizedExtra + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 10 + kRequantizeWords));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kI8, LayoutId::kDepthwiseTaps16x4, 4));
  WindowAttrs window;
  FLOE_RETURN_IF_ERROR(CheckImages(op, 0, &window));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  FLOE_RETURN_IF_ERROR(CheckDim(op, op.input_count, 1, x.dims[1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 0, x.dims[1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, 1));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 2, window.kh));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 3, window.kw));
  FLOE_RETURN_IF_ERROR(CheckQuantized(op, op.attrs + 10, x.dims[1], footprint));
  footprint->state_bytes = kProductStateBytes;
  footprint->flops =
      2 * Elements(y) * static_cast<double>(window.kh) * static_cast<double>(window.kw);
  return OkStatus();
}

// x f32 -> y u8, scale, zero point.
Status CheckDynamicQuantize(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 3));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 0));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const TensorInfo& x = op.inputs[0];
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kF32, LayoutId::kDense));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kU8, LayoutId::kDense, x.rank));
  for (int a = 0; a < x.rank; ++a) FLOE_RETURN_IF_ERROR(CheckDim(op, 1, a, x.dims[a]));
  FLOE_RETURN_IF_ERROR(CheckOneElement(op, 2, DType::kF32));
  FLOE_RETURN_IF_ERROR(CheckOneElement(op, 3, DType::kU8));
  footprint->state_bytes = kAlignment;  // The number of tasks.
  footprint->flops = 4 * Elements(x);
  return OkStatus();
}

// x u8 and y u8 of equal dims and layout, table u8 [256].
Status CheckLookup(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 2, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 0));
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const TensorInfo& x = op.inputs[0];
  const LayoutId layout =
      x.layout == LayoutId::kChannelsLast ? LayoutId::kChannelsLast : LayoutId::kDense;
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kU8, layout));
  FLOE_RETURN_IF_ERROR(CheckVector(op, 1, DType::kU8, 256));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 2, DType::kU8, layout, x.rank));
  for (int a = 0; a < x.rank; ++a) FLOE_RETURN_IF_ERROR(CheckDim(op, 2, a, x.dims[a]));
  footprint->flops = Elements(x);
  return OkStatus();
}

// xw [T,N,4H], r [H,P * 64], colsum and scale [P * 64], h0 and c0 [N,H] or absent -> y [T,N,H],
// h [N,H], c [N,H]: lstm_recurrence's operands, with P = H / 16 rounded up.
Status CheckQLstmRecurrence(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 6, 6, 3));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 1));
  if (op.attrs[0] != 0 && op.attrs[0] != 1) return Bad(Rule::kInstructionAttr, 1, op.attrs[0]);
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, DType::kF32, LayoutId::kDense, 3));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kI8, LayoutId::kGemmPanels16x4, 2));
  const int64_t steps = op.inputs[0].dims[0];
  const int64_t batch = op.inputs[0].dims[1];
  const int64_t hidden = op.inputs[1].dims[0];
  if (hidden < 1 || hidden > (int64_t{1} << 40)) {
    return Bad(Rule::kInstructionShape, 1, hidden).ForOperand(1, 0);
  }
  const int64_t columns = CeilDiv(hidden, 16) * 64;
  FLOE_RETURN_IF_ERROR(CheckDim(op, 0, 2, 4 * hidden));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, columns));
  FLOE_RETURN_IF_ERROR(CheckVector(op, 2, DType::kI32, columns));
  FLOE_RETURN_IF_ERROR(CheckVector(op, 3, DType::kF32, columns));
  for (const uint32_t i : {4u, 5u, 6u, 7u, 8u}) {
    if (i < 6 && !Operand(op, i).present()) continue;
    const int state = i == 6 ? 1 : 0;  // y has the steps before the state's axes.
    FLOE_RETURN_IF_ERROR(CheckOperand(op, i, DType::kF32, LayoutId::kDense, 2 + state));
    if (i == 6) FLOE_RETURN_IF_ERROR(CheckDim(op, i, 0, steps));
    FLOE_RETURN_IF_ERROR(CheckDim(op, i, state, batch));
    FLOE_RETURN_IF_ERROR(CheckDim(op, i, state + 1, hidden));
  }
  // A phase is a step, and the last one (or the only one, without steps) writes h.
  if (steps >= (int64_t{1} << 31)) return Bad(Rule::kInstructionShape, 0, steps).ForOperand(0, 0);
  if (!CheckedMul(batch, QLstmPitch(hidden), &footprint->scratch_bytes)) {
    return Bad(Rule::kValueTooLarge);
  }
  footprint->flops = 8.0 * static_cast<double>(hidden) * static_cast<double>(hidden) *
                     static_cast<double>(steps) * static_cast<double>(batch);
  footprint->state_bytes = kAlignment;  // The number of tasks.
  return OkStatus();
}

}  // namespace floe::families
