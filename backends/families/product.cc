#include "backends/families/product.h"

#include "backends/families/check.h"
#include "format/checked.h"

namespace floe::families {

Status CheckProductTypes(const OpInfo& op, LayoutId panels, LayoutId pairs, int w_rank,
                         LayoutId x_layout, DType* y_dtype) {
  const TensorInfo& w = op.inputs[1];
  const bool in_pairs = w.dtype == DType::kBF16;
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1,
                                    in_pairs || w.dtype == DType::kF16 ? w.dtype : DType::kF32,
                                    in_pairs ? pairs : panels, w_rank));
  *y_dtype = in_pairs && op.outputs[0].dtype == DType::kBF16 ? DType::kBF16 : DType::kF32;
  return CheckOperand(op, 0, in_pairs ? DType::kBF16 : DType::kF32, x_layout);
}

void AllowEpilogueInPlace(const OpInfo& op, uint32_t extra, Footprint* footprint) {
  const TensorInfo& y = op.outputs[0];
  for (uint32_t i = extra; i < op.input_count; ++i) {
    const TensorInfo& t = op.inputs[i];
    if (t.dtype == y.dtype && t.layout == y.layout && t.halo == y.halo && SameDims(t, y)) {
      footprint->in_place_inputs |= uint64_t{1} << i;
    }
  }
}

WindowAttrs ReadWindow(const int64_t* words) {
  return {words[0], words[1], words[2], words[3], words[4],
          words[5], words[6], words[7], words[8], words[9]};
}

namespace {

// The number of window positions along one axis: 0 if the window is larger than the padded axis.
// False on overflow.
bool WindowPositions(int64_t size, int64_t kernel, int64_t stride, int64_t before, int64_t after,
                     int64_t dilation, int64_t* positions) {
  int64_t reach, padded;
  if (!CheckedMul(kernel - 1, dilation, &reach) || !CheckedAdd(size, before, &padded) ||
      !CheckedAdd(padded, after, &padded)) {
    return false;
  }
  *positions = padded <= reach ? 0 : (padded - reach - 1) / stride + 1;
  return true;
}

}  // namespace

Status CheckConvWeights(const OpInfo& op, const WindowAttrs& window) {
  constexpr int64_t kMaxGroups = 1 << 20;
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& w = op.inputs[1];
  const TensorInfo& y = op.outputs[0];
  FLOE_RETURN_IF_ERROR(CheckImageRows(y));
  const int64_t groups = op.attrs[0];
  if (groups < 1 || groups > kMaxGroups || x.dims[1] % groups != 0 || w.groups != groups) {
    return Bad(Rule::kInstructionAttr, w.groups, groups);
  }
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 0, y.dims[1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, x.dims[1] / groups));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 2, window.kh));
  return CheckDim(op, 1, 3, window.kw);
}

Status CheckWindow(const OpInfo& op, uint32_t first, WindowAttrs* window) {
  const WindowAttrs w = ReadWindow(op.attrs + first);
  *window = w;
  for (uint32_t i = 0; i < 10; ++i) {
    const bool pad = i >= 4 && i < 8;
    const int64_t least = pad ? 0 : 1;
    if (op.attrs[first + i] < least) {
      return Bad(Rule::kInstructionAttr, least, op.attrs[first + i]);
    }
  }
  const TensorInfo& x = op.inputs[0];
  if (w.pt > x.halo.top) return Bad(Rule::kInstructionLayout, w.pt, x.halo.top).ForOperand(0, 2);
  if (w.pb > x.halo.bottom) {
    return Bad(Rule::kInstructionLayout, w.pb, x.halo.bottom).ForOperand(0, 2);
  }
  const int64_t side = w.pl > w.pr ? w.pl : w.pr;
  if (side > x.halo.gap) return Bad(Rule::kInstructionLayout, side, x.halo.gap).ForOperand(0, 3);
  int64_t oh, ow;
  if (!WindowPositions(x.dims[2], w.kh, w.sh, w.pt, w.pb, w.dh, &oh) ||
      !WindowPositions(x.dims[3], w.kw, w.sw, w.pl, w.pr, w.dw, &ow)) {
    return Bad(Rule::kInstructionAttr);
  }
  const uint32_t y = op.input_count;
  FLOE_RETURN_IF_ERROR(CheckDim(op, y, 0, x.dims[0]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, y, 2, oh));
  return CheckDim(op, y, 3, ow);
}

}  // namespace floe::families
