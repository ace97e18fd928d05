// Convolutions: every overload is one window over an image of any number of axes.
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// What the overloads call their image.
Value* InputOf(OpBuilder& b) { return b.Tensor(b.HasArg("input") ? "input" : "self"); }

size_t SpatialOf(OpBuilder& b, const Value* w) {
  if (!b.ok()) return 1;
  if (w->rank() >= 3) return w->rank() - 2;
  b.Invalid(absl::StrFormat("the filter has rank %d; it has no spatial axes", w->rank()));
  return 1;
}

// Begins, then ends. A string pads by name: 'valid' not at all, 'same' keeps the image's size.
std::vector<int64_t> PadsOf(OpBuilder& b, const Value* w, size_t n,
                            const std::vector<int64_t>& strides,
                            const std::vector<int64_t>& dilations) {
  std::vector<int64_t> pads(2 * n, 0);
  if (b.Arg("padding").kind() != Kind::kString) {
    const std::vector<int64_t> sides = PerAxis(b, "padding", n, 0, 0);
    for (size_t i = 0; i < n; ++i) pads[i] = pads[i + n] = sides[i];
    return pads;
  }
  const std::string name = b.String("padding");
  if (name == "valid") return pads;
  if (name != "same") {
    b.Invalid("padding is '" + name + "', not 'same' or 'valid'");
    return pads;
  }
  for (size_t i = 0; i < n && b.ok(); ++i) {
    if (strides[i] != 1) b.Invalid("padding 'same' needs a stride of 1");
    const int64_t kernel = b.StaticDim(w, static_cast<int64_t>(i) + 2);
    const int64_t total = dilations[i] * (kernel - 1);
    pads[i] = total / 2;
    pads[i + n] = total - total / 2;
  }
  return pads;
}

void Conv(OpBuilder& b) {
  Value* w = b.Tensor("weight");
  Value* bias = b.OptTensor("bias");
  const size_t n = SpatialOf(b, w);
  const Image image = BatchedImage(b, InputOf(b), n);
  const std::vector<int64_t> strides = PerAxis(b, "stride", n, 1, 1);
  const std::vector<int64_t> dilations = PerAxis(b, "dilation", n, 1, 1);
  const std::vector<int64_t> pads = PadsOf(b, w, n, strides, dilations);
  const int64_t groups = b.Int("groups", 1);
  const bool transposed = b.row().ir == OpId::kConvTranspose || b.Bool("transposed", false);
  AttrList attrs = {
      {"strides", strides}, {"pads", pads}, {"dilations", dilations}, {"groups", groups}};
  if (transposed) attrs.emplace_back("output_padding", PerAxis(b, "output_padding", n, 0, 0));
  std::vector<Value*> operands = {image.x, w};
  if (bias != nullptr) operands.push_back(bias);
  Value* y = b.Emit(transposed ? OpId::kConvTranspose : OpId::kConv, std::move(operands),
                    std::move(attrs));
  b.Return(Unbatch(b, image, y));
}

// The filter of a depthwise layer is [C * multiplier, 1, ...]: one group for each channel.
void DepthwiseConv(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* w = b.Tensor("weight");
  Value* bias = b.OptTensor("bias");
  const size_t n = SpatialOf(b, w);
  const std::vector<int64_t> strides = PerAxis(b, "stride", n, 1, 1);
  const std::vector<int64_t> dilations = PerAxis(b, "dilation", n, 1, 1);
  std::vector<Value*> operands = {x, w};
  if (bias != nullptr) operands.push_back(bias);
  b.Return(b.Emit(OpId::kConv, std::move(operands),
                  {{"strides", strides},
                   {"pads", PadsOf(b, w, n, strides, dilations)},
                   {"dilations", dilations},
                   {"groups", b.StaticDim(x, 1)}}));
}

// Time, batch, channels; the filter is [kernel, in, out].
void ConvTbc(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* w = b.Tensor("weight");
  Value* bias = b.Tensor("bias");
  const int64_t pad = b.Int("pad");
  if (!b.ok()) return;
  if (x->rank() != 3 || w->rank() != 3) return b.Invalid("operands must have rank 3");
  Value* y = b.Emit(OpId::kConv, {b.Transpose(x, {1, 2, 0}), b.Transpose(w, {2, 1, 0}), bias},
                    {{"strides", std::vector<int64_t>{1}},
                     {"pads", std::vector<int64_t>{pad, pad}},
                     {"dilations", std::vector<int64_t>{1}},
                     {"groups", int64_t{1}}});
  b.Return(b.Transpose(y, {2, 0, 1}));
}

constexpr Row kRows[] = {
    {"aten::conv1d", Conv},
    {"aten::conv2d", Conv},
    {"aten::conv3d", Conv},
    {"aten::convolution", Conv},
    {"aten::convolution_overrideable", Conv},
    {"aten::_convolution", Conv},
    {"aten::_convolution_mode", Conv},
    {"aten::conv_transpose1d", Conv, OpId::kConvTranspose},
    {"aten::conv_transpose2d", Conv, OpId::kConvTranspose},
    {"aten::conv_transpose3d", Conv, OpId::kConvTranspose},
    {"aten::slow_conv_transpose2d", Conv, OpId::kConvTranspose},
    {"aten::slow_conv_transpose3d", Conv, OpId::kConvTranspose},
    {"aten::thnn_conv2d", Conv},
    {"aten::_slow_conv2d_forward", Conv},
    {"aten::slow_conv3d", Conv},
    {"aten::slow_conv3d_forward", Conv},
    {"aten::slow_conv_dilated2d", Conv},
    {"aten::slow_conv_dilated3d", Conv},
    {"aten::_nnpack_spatial_convolution", Conv},
    {"aten::_conv_depthwise2d", DepthwiseConv},
    {"aten::conv_depthwise3d", DepthwiseConv},
    {"aten::conv_tbc", ConvTbc},
};

}  // namespace

std::span<const Row> ConvRows() { return kRows; }

}  // namespace floe::aten
