#include "backends/families.h"
#include "backends/families/check.h"
#include "backends/families/quantized.h"
#include "format/attrs.h"

namespace floe::families {
namespace {

constexpr int64_t kMaxWord = int64_t{1} << 20;  // Bounds every product below far from overflow.

// `out` positions of a window over `in` pixels: at least one pixel or padding lies below each.
Status CheckWindow(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t before,
                   int64_t after, int64_t dilation, int axis) {
  const int64_t span = in + before + after - dilation * (kernel - 1) - 1;
  const int64_t most = span < 0 ? 0 : (span + stride - 1) / stride + 1;  // With ceil_mode.
  if (out > most) return Bad(Rule::kInstructionShape, most, out).ForOperand(1, axis);
  return OkStatus();
}

// x and y of `dtype`, and the twelve words.
Status CheckPooling(const OpInfo& op, DType dtype, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 1, 1, 1));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 0, dtype, LayoutId::kChannelsLast, 4));
  FLOE_RETURN_IF_ERROR(CheckOperand(op, 1, dtype, LayoutId::kChannelsLast, 4));
  const int64_t* a = op.attrs;
  if (op.code_count != 0) return Bad(Rule::kInstructionCode, 0, op.code_count);
  for (int i = 0; i < 12; ++i) {
    const bool flag = i < 2;
    const bool pad = i >= 6 && i < 10;
    const int64_t low = flag || pad ? 0 : 1;
    const int64_t high = flag ? 1 : kMaxWord;
    if (a[i] < low || a[i] > high) return Bad(Rule::kInstructionAttr, high, a[i]);
  }
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& y = op.outputs[0];
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 0, x.dims[0]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 1, x.dims[1]));
  for (int axis = 2; axis < 4; ++axis) {
    // Byte counts bound dims only if no other dim is 0.
    if (x.dims[axis] > (int64_t{1} << 40)) return Bad(Rule::kValueTooLarge).ForOperand(0, axis);
  }
  FLOE_RETURN_IF_ERROR(CheckWindow(x.dims[2], y.dims[2], a[2], a[4], a[6], a[8], a[10], 2));
  FLOE_RETURN_IF_ERROR(CheckWindow(x.dims[3], y.dims[3], a[3], a[5], a[7], a[9], a[11], 3));
  int64_t count = 0;
  if (!ElementCount(y, &count)) return Bad(Rule::kValueTooLarge).ForOperand(1);
  footprint->flops = static_cast<double>(count) * static_cast<double>(a[2] * a[3]);
  footprint->state_bytes = kAlignment;  // The number of tasks.
  return OkStatus();
}

}  // namespace

Status CheckPool(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 12));
  return CheckPooling(op, DType::kF32, footprint);
}

// Words: the twelve, x_zp, y_zp, ratio.
Status CheckQPool(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 15));
  FLOE_RETURN_IF_ERROR(CheckPooling(op, DType::kU8, footprint));
  const int64_t* a = op.attrs;
  for (int i = 12; i < 14; ++i) {
    if (a[i] < 0 || a[i] > 255) return Bad(Rule::kInstructionAttr, 255, a[i]);
  }
  const double ratio = WordFloat(a[14]);
  constexpr double kMostFloat = 3.4028234663852886e38;
  if (!(ratio > 0 && ratio <= kMostFloat)) return Bad(Rule::kInstructionAttr, 0, a[14]);
  if (a[0] == 0 && (a[12] != a[13] || ratio != 1)) return Bad(Rule::kInstructionAttr, a[12], a[13]);
  if (a[2] * a[3] > kMostQPoolTaps) {
    return Bad(Rule::kInstructionAttr, kMostQPoolTaps, a[2] * a[3]);
  }
  return OkStatus();
}

}  // namespace floe::families
