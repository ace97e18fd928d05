// Pooling. PyTorch's indices count within the plane of one channel; the IR's within the tensor.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

struct Window {
  std::vector<int64_t> kernel, strides, pads, dilations;  // pads: begins, then ends.
  int64_t ceil_mode = 0;

  AttrList Attrs() const {
    return {{"kernel", kernel},
            {"strides", strides},
            {"pads", pads},
            {"dilations", dilations},
            {"ceil_mode", ceil_mode}};
  }
};

Window ReadWindow(OpBuilder& b, size_t n) {
  Window w;
  w.kernel = PerAxis(b, "kernel_size", n, 1, 1);
  w.strides = w.kernel;
  if (b.Given("stride") && !b.Arg("stride").items().empty())
    w.strides = PerAxis(b, "stride", n, 1, 1);
  const std::vector<int64_t> sides = PerAxis(b, "padding", n, 0, 0);
  w.pads = sides;
  w.pads.insert(w.pads.end(), sides.begin(), sides.end());
  w.dilations = PerAxis(b, "dilation", n, 1, 1);
  w.ceil_mode = b.Bool("ceil_mode", false) ? 1 : 0;
  for (size_t i = 0; i < n && b.ok(); ++i) {
    if (sides[i] > w.kernel[i] / 2) b.Invalid("padding is more than half of the window");
  }
  return w;
}

// `param` of a row: the number of spatial axes.
size_t SpatialOf(const OpBuilder& b) { return static_cast<size_t>(b.row().param); }

// --- max pooling ---------------------------------------------------------------------------------

// Positions in the tensor [N,C,...] as positions in the plane of a channel of `x`.
Value* InPlane(OpBuilder& b, Value* indices, const Value* x) {
  if (!b.ok()) return indices;
  Value* plane = b.DimValue(b.Product(x->shape(), 2, x->rank()));
  return b.Emit(OpId::kMod, {indices, plane}, {{"fmod", int64_t{0}}});
}

void MaxPool(OpBuilder& b) {
  const size_t n = SpatialOf(b);
  const Image image = BatchedImage(b, b.Tensor("self"), n);
  const Window w = ReadWindow(b, n);
  if (b.schema().results == 1) {
    return b.Return(Unbatch(b, image, b.Emit(OpId::kMaxPool, {image.x}, w.Attrs())));
  }
  const std::vector<Value*> y = b.EmitMany(OpId::kMaxPool, {image.x}, 2, w.Attrs());
  b.Return(Unbatch(b, image, y[0]));
  b.Return(Unbatch(b, image, InPlane(b, y[1], image.x)));
}

// --- average pooling -----------------------------------------------------------------------------

// Pads at the end as far as windows of ceil_mode reach, so that every window has all its elements.
void PadToWindows(OpBuilder& b, const Value* x, Window* w) {
  const size_t n = w->kernel.size();
  for (size_t i = 0; i < n && w->ceil_mode != 0; ++i) {
    const int64_t size = b.StaticDim(x, static_cast<int64_t>(i) + 2);
    const int64_t begin = w->pads[i], stride = w->strides[i];
    const int64_t room = size + 2 * begin - w->kernel[i];
    if (room < 0) return b.Invalid("the window is larger than the padded image");
    int64_t count = (room + stride - 1) / stride + 1;
    if ((count - 1) * stride >= size + begin) --count;
    w->pads[i + n] = std::max<int64_t>(begin, (count - 1) * stride + w->kernel[i] - size - begin);
  }
  w->ceil_mode = 0;
}

void AvgPool(OpBuilder& b) {
  const size_t n = SpatialOf(b);
  const Image image = BatchedImage(b, b.Tensor("self"), n);
  Window w = ReadWindow(b, n);
  bool include_pad = b.Bool("count_include_pad", true);
  double factor = 1;
  if (b.Given("divisor_override")) {
    const int64_t divisor = b.Int("divisor_override");
    if (divisor == 0 && b.ok()) return b.Invalid("divisor_override is 0");
    PadToWindows(b, image.x, &w);
    include_pad = true;
    for (const int64_t k : w.kernel) factor *= static_cast<double>(k);
    factor /= static_cast<double>(divisor);
  }
  AttrList attrs = w.Attrs();
  attrs.emplace_back("count_include_pad", int64_t{include_pad});
  Value* y = b.Emit(OpId::kAvgPool, {image.x}, std::move(attrs));
  b.Return(Unbatch(b, image, Times(b, y, factor)));
}

// --- adaptive pooling: window o of an axis is [floor(o * in / out), ceil((o + 1) * in / out))
// -----

struct Range {
  int64_t begin, end;
};

Range AdaptiveWindow(int64_t o, int64_t in, int64_t out) {
  return {o * in / out, ((o + 1) * in + out - 1) / out};
}

std::vector<Dim> AdaptiveSizes(OpBuilder& b, size_t n) {
  std::vector<Dim> sizes = b.SymInts("output_size");
  if (sizes.size() == 1) sizes.assign(n, sizes[0]);
  if (sizes.size() != n) {
    if (b.ok()) b.Invalid("output_size does not fit the image");
    return std::vector<Dim>(n, Dim(1));
  }
  for (const Dim& d : sizes) {
    if (d.is_constant() && (d.constant() < 0 || d.constant() > (int64_t{1} << 30))) {
      b.Invalid("output_size is out of range");
    }
  }
  return sizes;
}

// in / out where that is a number for every axis: an ordinary pool. Empty if it is not.
std::vector<int64_t> WholeRatios(OpBuilder& b, const Value* x, const std::vector<Dim>& sizes) {
  std::vector<int64_t> ratios;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const Dim in = b.Dim(x, static_cast<int64_t>(i) + 2);
    const bool some = b.Min(sizes[i]) > 0 && b.Min(in) > 0;
    const std::optional<Dim> q = some ? Dim::DivExact(in, sizes[i]) : std::nullopt;
    if (!q || !q->is_constant() || q->constant() < 1 || q->constant() > (int64_t{1} << 30)) {
      return {};
    }
    ratios.push_back(q->constant());
  }
  return ratios;
}

Window WholeWindow(const std::vector<int64_t>& ratios) {
  Window w;
  w.kernel = w.strides = ratios;
  w.pads.assign(2 * ratios.size(), 0);
  w.dilations.assign(ratios.size(), 1);
  return w;
}

// x times the matrix of averages along one axis.
Value* AverageAxis(OpBuilder& b, Value* x, int64_t axis, const Dim& size) {
  if (size == b.Dim(x, axis)) return x;
  if (size == Dim(1)) return b.Reduce(ReduceKind::kMean, x, {axis}, true);
  const int64_t in = b.StaticDim(x, axis);
  if (!size.is_constant()) b.Unsupported("an adaptive pool of dynamic size");
  if (!b.ok()) return x;
  const int64_t out = size.constant();
  if (in > (int64_t{1} << 20) || out > (int64_t{1} << 20) || in * out > (int64_t{1} << 24)) {
    b.Unsupported(absl::StrFormat("an adaptive pool from %d to %d elements", in, out));
    return x;
  }
  ir::Tensor matrix(x->dtype(), {in, out});
  for (int64_t o = 0; o < out; ++o) {
    const Range r = AdaptiveWindow(o, in, out);
    for (int64_t i = r.begin; i < r.end; ++i) {
      matrix.SetDouble(i * out + o, 1 / static_cast<double>(r.end - r.begin));
    }
  }
  std::vector<int64_t> perm = AxesFrom(0, b.Rank(x));
  std::swap(perm[static_cast<size_t>(axis)], perm.back());  // Its own inverse.
  Value* rows = b.Transpose(x, perm);
  return b.Transpose(b.MatMul(rows, b.Constant(std::move(matrix))), perm);
}

void AdaptiveAvgPool(OpBuilder& b) {
  const size_t n = SpatialOf(b);
  const Image image = BatchedImage(b, b.Tensor("self"), n);
  if (!b.ok()) return;
  const std::vector<Dim> sizes = AdaptiveSizes(b, n);
  if (!b.ok()) return;
  Value* y = image.x;
  if (std::all_of(sizes.begin(), sizes.end(), [](const Dim& d) { return d == Dim(1); })) {
    y = b.Reduce(ReduceKind::kMean, y, AxesFrom(2, b.Rank(y)), true);
    return b.Return(Unbatch(b, image, y));
  }
  if (const std::vector<int64_t> ratios = WholeRatios(b, y, sizes); !ratios.empty()) {
    AttrList attrs = WholeWindow(ratios).Attrs();
    attrs.emplace_back("count_include_pad", int64_t{0});
    const bool same = std::all_of(ratios.begin(), ratios.end(), [](int64_t r) { return r == 1; });
    if (!same) y = b.Emit(OpId::kAvgPool, {y}, std::move(attrs));
    return b.Return(Unbatch(b, image, y));
  }
  for (size_t i = 0; i < n; ++i) y = AverageAxis(b, y, static_cast<int64_t>(i) + 2, sizes[i]);
  b.Return(Unbatch(b, image, y));
}

// The windows of every axis spread out behind the axes of the result, as positions in the plane:
// [out..., taps...]. Short windows repeat their last element, which changes no maximum.
struct Spread {
  std::vector<int64_t> sizes, taps;
  int64_t count = 1, window = 1;  // Of results and of taps, over all axes.
};

Spread SpreadWindows(OpBuilder& b, Value** x, const std::vector<Dim>& sizes) {
  Spread s;
  int64_t axis = 2;
  for (const Dim& size : sizes) {
    const int64_t in = b.StaticDim(*x, axis);
    if (!size.is_constant()) b.Unsupported("an adaptive pool of dynamic size");
    if (b.ok() && (in < 1 || in > (int64_t{1} << 20) || size.constant() > (int64_t{1} << 20))) {
      b.Unsupported("an adaptive pool of this size");
    }
    if (!b.ok()) return s;
    const int64_t out = size.constant();
    int64_t taps = 1;
    for (int64_t o = 0; o < out; ++o) {
      const Range r = AdaptiveWindow(o, in, out);
      taps = std::max(taps, r.end - r.begin);
    }
    std::vector<int64_t> index;
    for (int64_t o = 0; o < out; ++o) {
      const Range r = AdaptiveWindow(o, in, out);
      for (int64_t k = 0; k < taps; ++k) index.push_back(std::min(r.begin + k, r.end - 1));
    }
    Value* positions = b.Reshape(b.IntVector(index), {out, taps});
    *x = b.Gather(*x, positions, axis);
    axis += 2;
    s.sizes.push_back(out);
    s.taps.push_back(taps);
    s.count *= out;
    s.window *= taps;
    if (s.count > (int64_t{1} << 30) || s.window > (int64_t{1} << 30)) {
      b.Unsupported("an adaptive pool of this size");
      return s;
    }
  }
  return s;
}

// Brings [A, B, out0, taps0, out1, taps1, ...] to [A, B, out, taps].
Value* JoinWindows(OpBuilder& b, Value* x, const Spread& s) {
  if (!b.ok()) return x;
  std::vector<int64_t> perm = {0, 1};
  for (int64_t i = 2; i < b.Rank(x); i += 2) perm.push_back(i);
  for (int64_t i = 3; i < b.Rank(x); i += 2) perm.push_back(i);
  x = b.Transpose(x, std::move(perm));
  return b.Reshape(x, {b.Dim(x, 0), b.Dim(x, 1), s.count, s.window});
}

void AdaptiveMaxPool(OpBuilder& b) {
  const size_t n = SpatialOf(b);
  const Image image = BatchedImage(b, b.Tensor("self"), n);
  if (!b.ok()) return;
  const std::vector<Dim> sizes = AdaptiveSizes(b, n);
  if (!b.ok()) return;
  Value* x = image.x;
  if (const std::vector<int64_t> ratios = WholeRatios(b, x, sizes); !ratios.empty()) {
    const std::vector<Value*> y = b.EmitMany(OpId::kMaxPool, {x}, 2, WholeWindow(ratios).Attrs());
    b.Return(Unbatch(b, image, y[0]));
    return b.Return(Unbatch(b, image, InPlane(b, y[1], x)));
  }
  const Dim batch = b.Dim(x, 0), channels = b.Dim(x, 1);
  ir::Shape plane(x->shape().begin() + 2, x->shape().end());
  const int64_t elements = [&] {
    const Dim count = b.Product(plane, 0, plane.size());
    if (!count.is_constant()) b.Unsupported("an adaptive pool of a dynamic image");
    return count.constant();
  }();
  if (!b.ok()) return;
  Value* values = x;
  const Spread s = SpreadWindows(b, &values, sizes);
  values = JoinWindows(b, values, s);
  // The same for the positions in the plane, once for all channels.
  plane.insert(plane.begin(), {Dim(1), Dim(1)});
  Value* positions = b.Reshape(b.Arange(elements, DType::kI64), std::move(plane));
  if (b.ok()) (void)SpreadWindows(b, &positions, sizes);
  positions = b.Expand(JoinWindows(b, positions, s), {batch, channels, s.count, s.window});
  Value* best = b.Emit(OpId::kArgReduce, {values},
                       {{"max", int64_t{1}},
                        {"axis", int64_t{3}},
                        {"keepdims", int64_t{1}},
                        {"select_last_index", int64_t{0}}});
  Value* at = b.Emit(OpId::kGatherElements, {positions, best}, {{"axis", int64_t{3}}});
  ir::Shape shape = {batch, channels};
  for (const int64_t d : s.sizes) shape.push_back(d);
  Value* y = b.Reduce(ReduceKind::kMax, values, {3}, false);
  b.Return(Unbatch(b, image, b.Reshape(y, shape)));
  b.Return(Unbatch(b, image, b.Reshape(at, shape)));
}

// --- unpooling -----------------------------------------------------------------------------------

// Zeros but at the indices in each channel's plane.
void MaxUnpool(OpBuilder& b) {
  const size_t n = SpatialOf(b);
  const Image image = BatchedImage(b, b.Tensor("self"), n);
  Value* indices = b.Tensor("indices");
  std::vector<Dim> sizes = b.SymInts("output_size");
  if (!b.ok()) return;
  if (sizes.size() != n) return b.Invalid("output_size does not fit the image");
  const Dim batch = b.Dim(image.x, 0), channels = b.Dim(image.x, 1);
  const Dim taken = b.Product(image.x->shape(), 2, image.x->rank());
  const Dim plane = b.Product(sizes, 0, n);
  const auto flat = [&](Value* v) { return b.Reshape(v, {batch, channels, taken}); };
  Value* y =
      b.Emit(OpId::kScatterElements,
             {b.Full(image.x->dtype(), {batch, channels, plane}, 0), flat(indices), flat(image.x)},
             {{"axis", int64_t{2}}, {"reduction", static_cast<int64_t>(ScatterReduction::kNone)}});
  ir::Shape shape = {batch, channels};
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  b.Return(Unbatch(b, image, b.Reshape(y, std::move(shape))));
}

void Refused(OpBuilder& b) {
  b.Unsupported("fractional pooling chooses its windows at random; use adaptive_max_pool");
}

constexpr OpId kNoIr = OpId::kIdentity;
constexpr Row kRows[] = {
    {"aten::max_pool1d", MaxPool, OpId::kMaxPool, 1},
    {"aten::max_pool2d", MaxPool, OpId::kMaxPool, 2},
    {"aten::max_pool3d", MaxPool, OpId::kMaxPool, 3},
    {"aten::max_pool1d_with_indices", MaxPool, OpId::kMaxPool, 1},
    {"aten::max_pool2d_with_indices", MaxPool, OpId::kMaxPool, 2},
    {"aten::max_pool3d_with_indices", MaxPool, OpId::kMaxPool, 3},
    {"aten::avg_pool1d", AvgPool, OpId::kAvgPool, 1},
    {"aten::avg_pool2d", AvgPool, OpId::kAvgPool, 2},
    {"aten::avg_pool3d", AvgPool, OpId::kAvgPool, 3},
    {"aten::adaptive_avg_pool1d", AdaptiveAvgPool, kNoIr, 1},
    {"aten::adaptive_avg_pool2d", AdaptiveAvgPool, kNoIr, 2},
    {"aten::_adaptive_avg_pool2d", AdaptiveAvgPool, kNoIr, 2},
    {"aten::adaptive_avg_pool3d", AdaptiveAvgPool, kNoIr, 3},
    {"aten::_adaptive_avg_pool3d", AdaptiveAvgPool, kNoIr, 3},
    {"aten::adaptive_max_pool1d", AdaptiveMaxPool, kNoIr, 1},
    {"aten::adaptive_max_pool2d", AdaptiveMaxPool, kNoIr, 2},
    {"aten::adaptive_max_pool3d", AdaptiveMaxPool, kNoIr, 3},
    {"aten::max_unpool2d", MaxUnpool, kNoIr, 2},
    {"aten::max_unpool3d", MaxUnpool, kNoIr, 3},
    {"aten::fractional_max_pool2d", Refused},
    {"aten::fractional_max_pool3d", Refused},
};

}  // namespace

std::span<const Row> PoolRows() { return kRows; }

}  // namespace floe::aten
