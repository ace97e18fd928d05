// Images sampled at coordinates, channels shuffled with pixels, windows as columns.
#include <algorithm>
#include <optional>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

// --- sampling ------------------------------------------------------------------------------------

// The numbers of both enumerations are the IR's.
void GridSample(OpBuilder& b) {
  const int64_t mode = b.Int("interpolation_mode"), padding = b.Int("padding_mode");
  if (mode < 0 || mode > 2 || padding < 0 || padding > 2) {
    return b.Invalid(absl::StrFormat("interpolation mode %d, padding mode %d", mode, padding));
  }
  b.Return(b.Emit(
      OpId::kGridSample, {b.Tensor("input"), b.Tensor("grid")},
      {{"mode", mode}, {"padding", padding}, {"align_corners", int64_t{b.Bool("align_corners")}}}));
}

// n positions from -1 to 1: of the outer pixels' centres, or of centres inside outer edges.
double Position(int64_t i, int64_t n, bool align_corners) {
  if (n <= 1) return 0;
  const double x = 2 * static_cast<double>(i) / static_cast<double>(n - 1) - 1;
  return align_corners ? x : x * static_cast<double>(n - 1) / static_cast<double>(n);
}

// theta [N, axes, axes + 1] times (x, y, [z,] 1) of every position of an image of `size`.
void AffineGrid(OpBuilder& b) {
  Value* theta = b.Tensor("theta");
  const std::vector<Dim> size = b.SymInts("size");
  const bool align_corners = b.Bool("align_corners");
  if (!b.ok()) return;
  if (size.size() != 4 && size.size() != 5) return b.Invalid("size must have 4 or 5 numbers");
  const size_t axes = size.size() - 2;
  std::vector<int64_t> dims;
  int64_t count = 1;
  for (size_t i = 2; i < size.size(); ++i) {
    if (!size[i].is_constant() || size[i].constant() < 1 || size[i].constant() > (1 << 20) ||
        (count *= size[i].constant()) > (1 << 26)) {
      return b.Unsupported("a grid of dynamic or huge size; fix these dimensions");
    }
    dims.push_back(size[i].constant());
  }
  const auto width = static_cast<int64_t>(axes) + 1;
  ir::Tensor base(theta->dtype(), {count, width});
  for (int64_t at = 0; at < count; ++at) {
    int64_t rest = at;
    for (size_t k = 0; k < axes; ++k) {  // x is the last axis.
      const int64_t n = dims[axes - 1 - k];
      base.SetDouble(at * width + static_cast<int64_t>(k), Position(rest % n, n, align_corners));
      rest /= n;
    }
    base.SetDouble(at * width + width - 1, 1);
  }
  Value* grid = b.MatMul(b.Constant(std::move(base)), SwapLastAxes(b, theta));
  ir::Shape shape = {size[0]};
  shape.insert(shape.end(), size.begin() + 2, size.end());
  shape.push_back(static_cast<int64_t>(axes));
  b.Return(b.Reshape(grid, std::move(shape)));
}

// --- shuffles ------------------------------------------------------------------------------------

// x [..., C, H, W] as [N, C, H, W]; `lead` gets the axes in front.
Value* AsImages(OpBuilder& b, Value* x, ir::Shape* lead) {
  if (!b.ok()) return x;
  if (x->rank() < 3) {
    b.Invalid("the input has a rank below 3");
    return x;
  }
  lead->assign(x->shape().begin(), x->shape().end() - 3);
  ir::Shape shape = {b.Product(*lead, 0, lead->size())};
  shape.insert(shape.end(), x->shape().end() - 3, x->shape().end());
  return b.Reshape(x, std::move(shape));
}

void ReturnImages(OpBuilder& b, Value* y, ir::Shape lead) {
  if (!b.ok()) return;
  lead.insert(lead.end(), y->shape().begin() + 1, y->shape().end());
  b.Return(b.Reshape(y, std::move(lead)));
}

void PixelShuffle(OpBuilder& b) {
  ir::Shape lead;
  Value* x = AsImages(b, b.Tensor("self"), &lead);
  Value* y =
      b.Emit(OpId::kDepthToSpace, {x}, {{"block", b.Int("upscale_factor")}, {"crd", int64_t{1}}});
  ReturnImages(b, y, std::move(lead));
}

void PixelUnshuffle(OpBuilder& b) {
  ir::Shape lead;
  Value* x = AsImages(b, b.Tensor("self"), &lead);
  const int64_t r = b.Int("downscale_factor");
  if (!b.ok()) return;
  if (r < 1 || r > (1 << 15)) return b.Invalid("downscale_factor is out of range");
  const std::optional<Dim> h = Dim::DivExact(b.Dim(x, 2), r), w = Dim::DivExact(b.Dim(x, 3), r);
  if (!h || !w) return b.Invalid("the image's sides are no multiples of downscale_factor");
  const Dim n = b.Dim(x, 0), c = b.Dim(x, 1);
  x = b.Transpose(b.Reshape(x, {n, c, *h, r, *w, r}), {0, 1, 3, 5, 2, 4});
  ReturnImages(b, b.Reshape(x, {n, b.Mul(c, r * r), *h, *w}), std::move(lead));
}

void ChannelShuffle(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t groups = b.Int("groups");
  if (!b.ok()) return;
  const std::optional<Dim> rest =
      x->rank() >= 2 && groups > 0 ? Dim::DivExact(x->shape()[1], groups) : std::nullopt;
  if (!rest) return b.Invalid("channels are no multiple of groups");
  const ir::Shape shape = x->shape();
  ir::Shape split = shape;
  split[1] = groups;
  split.insert(split.begin() + 2, *rest);
  std::vector<int64_t> perm = AxesFrom(0, static_cast<int64_t>(split.size()));
  std::swap(perm[1], perm[2]);
  b.Return(b.Reshape(b.Transpose(b.Reshape(x, std::move(split)), std::move(perm)), shape));
}

// --- windows as columns --------------------------------------------------------------------------

AttrList WindowAttrs(OpBuilder& b) {
  std::vector<int64_t> pads = PerAxis(b, "padding", 2, 0, 0);
  pads.insert(pads.end(), {pads[0], pads[1]});
  return {{"kernel", PerAxis(b, "kernel_size", 2, 1, 1)},
          {"strides", PerAxis(b, "stride", 2, 1, 1)},
          {"pads", pads},
          {"dilations", PerAxis(b, "dilation", 2, 1, 1)}};
}

void Im2Col(OpBuilder& b) {
  const Image image = BatchedImage(b, b.Tensor("self"), 2);
  b.Return(Unbatch(b, image, b.Emit(OpId::kIm2Col, {image.x}, WindowAttrs(b))));
}

void Col2Im(OpBuilder& b) {
  const Image columns = BatchedImage(b, b.Tensor("self"), 1);
  AttrList attrs = {{"image", PerAxis(b, "output_size", 2, 1, 1)}};
  for (auto& attr : WindowAttrs(b)) attrs.push_back(std::move(attr));
  b.Return(Unbatch(b, columns, b.Emit(OpId::kCol2Im, {columns.x}, std::move(attrs))));
}

constexpr Row kRows[] = {
    {"aten::grid_sampler", GridSample},
    {"aten::grid_sampler_2d", GridSample},
    {"aten::grid_sampler_3d", GridSample},
    {"aten::affine_grid_generator", AffineGrid},
    {"aten::pixel_shuffle", PixelShuffle},
    {"aten::pixel_unshuffle", PixelUnshuffle},
    {"aten::channel_shuffle", ChannelShuffle},
    {"aten::native_channel_shuffle", ChannelShuffle},
    {"aten::im2col", Im2Col},
    {"aten::col2im", Col2Im},
};

}  // namespace

std::span<const Row> ImageRows() { return kRows; }

}  // namespace floe::aten
