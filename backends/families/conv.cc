#include "backends/families.h"
#include "backends/families/check.h"
#include "backends/families/product.h"
#include "backends/families/tile_scratch.h"
#include "format/checked.h"

namespace floe::families {
namespace {

double Elements(const TensorInfo& t) {
  double count = 1;
  for (int i = 0; i < t.rank; ++i) count *= static_cast<double>(t.dims[i]);
  return count;
}

// x [N,C,H,W] and y [N,O,OH,OW] channels-last.
Status CheckImages(const OpInfo& op, DType x, DType y) {
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, x, LayoutId::kChannelsLast, 4));
  return CheckOperand(op, op.input_count, y, LayoutId::kChannelsLast, 4);
}

}  // namespace

// Attributes: groups, then the window. w [O, C/groups, kh, kw] conv_panels16 or conv_pairs16.
Status CheckConv(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 2 + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 11));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  DType y_dtype = DType::kF32;
  FLOE_RETURN_IF_ERROR(CheckProductTypes(op, LayoutId::kConvPanels16, LayoutId::kConvPairs16, 4,
                                         LayoutId::kChannelsLast, &y_dtype));
  FLOE_RETURN_IF_ERROR(CheckImages(op, op.inputs[0].dtype, y_dtype));
  WindowAttrs window;
  FLOE_RETURN_IF_ERROR(CheckWindow(op, 1, &window));
  const TensorInfo& w = op.inputs[1];
  const TensorInfo& y = op.outputs[0];
  FLOE_RETURN_IF_ERROR(CheckConvWeights(op, window));
  FLOE_RETURN_IF_ERROR(CheckEpilogue(op, 2, y.dims[1], true));
  AllowEpilogueInPlace(op, 2, footprint);
  // w's size bounds kh * kw unless w is empty, when there are no taps.
  int64_t taps = 0, tap_bytes = 0;
  if (w.dims[0] != 0 && w.dims[1] != 0 &&
      (!CheckedMul(window.kh, window.kw, &taps) ||
       !CheckedMul(IsFewOutputs(w) ? taps * w.dims[1] : taps, 8, &tap_bytes) ||
       !CheckedAdd(tap_bytes, kProductStateBytes, &tap_bytes))) {
    return Bad(Rule::kInstructionAttr);
  }
  footprint->scratch_bytes = kTileScratchBytes;
  if (w.dtype == DType::kBF16 && taps > 0) {
    const int64_t pairs = w.dims[1] / 2 + w.dims[1] % 2;
    footprint->scratch_bytes = TileScratchBytes(w.dims[1] * 2, taps, pairs * taps);
  }
  footprint->state_bytes = tap_bytes == 0 ? kProductStateBytes : tap_bytes;
  footprint->flops = 2 * Elements(y) * static_cast<double>(w.dims[1]) *
                     static_cast<double>(window.kh) * static_cast<double>(window.kw);
  return OkStatus();
}

// Attributes: the window. w [C, 1, kh, kw] depthwise_taps16. x and y are f32 or bf16.
Status CheckDepthwiseConv(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 2 + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 10));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const auto type_of = [](const TensorInfo& t) {
    return t.dtype == DType::kBF16 ? DType::kBF16 : DType::kF32;
  };
  FLOE_RETURN_IF_ERROR(CheckImages(op, type_of(op.inputs[0]), type_of(op.outputs[0])));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, DType::kF32, LayoutId::kDepthwiseTaps16, 4));
  WindowAttrs window;
  FLOE_RETURN_IF_ERROR(CheckWindow(op, 0, &window));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  FLOE_RETURN_IF_ERROR(CheckDim(op, op.input_count, 1, x.dims[1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 0, x.dims[1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, 1));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 2, window.kh));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 3, window.kw));
  FLOE_RETURN_IF_ERROR(CheckEpilogue(op, 2, x.dims[1], true));
  AllowEpilogueInPlace(op, 2, footprint);
  footprint->scratch_bytes = kTileScratchBytes;
  footprint->state_bytes = kProductStateBytes;
  footprint->flops =
      2 * Elements(y) * static_cast<double>(window.kh) * static_cast<double>(window.kw);
  return OkStatus();
}

}  // namespace floe::families
