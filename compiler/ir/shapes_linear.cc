// Shape rules of matrix products, convolutions, pooling, what else reads windows, and
// dense linear algebra.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"

namespace floe::ir {
namespace {

absl::Status SameFloat(const Inference& n, size_t count) {
  FLOE_TRY(n.NeedFloat(0));
  for (size_t i = 1; i < count; ++i) {
    if (n.has(i) && n.dtype(i) != n.dtype(0)) {
      return n.Fail(absl::StrFormat("operand %d is %s, x is %s", i, DTypeName(n.dtype(i)),
                                    DTypeName(n.dtype(0))));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Shape> MatMulShape(const Inference& n) {
  if (n.rank(0) < 2 || n.rank(1) < 2) return n.Fail("an operand has a rank below 2");
  const Shape& a = n.shape(0);
  const Shape& b = n.shape(1);
  if (a[a.size() - 1] != b[b.size() - 2]) {
    return n.Fail(absl::StrFormat("inner sizes %s and %s differ",
                                  a[a.size() - 1].ToString(n.graph.symbols),
                                  b[b.size() - 2].ToString(n.graph.symbols)));
  }
  absl::StatusOr<Shape> shape =
      BroadcastShapes(n.graph, Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2));
  if (!shape.ok()) return n.Fail("batch axes: " + std::string(shape.status().message()));
  shape->push_back(a[a.size() - 2]);
  shape->push_back(b[b.size() - 1]);
  return shape;
}

namespace {

absl::Status MatMul(const Inference& n) {
  if (n.dtype(0) != n.dtype(1)) return n.Fail("operands have two dtypes");
  FLOE_TRY_ASSIGN(Shape shape, MatMulShape(n));
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status Gemm(const Inference& n) {
  FLOE_TRY(n.NeedRank(0, 2));
  FLOE_TRY(n.NeedRank(1, 2));
  const size_t ta = n.node.Int("trans_a") != 0 ? 1 : 0;
  const size_t tb = n.node.Int("trans_b") != 0 ? 1 : 0;
  if (n.dtype(0) != n.dtype(1)) return n.Fail("operands have two dtypes");
  if (n.shape(0)[1 - ta] != n.shape(1)[tb]) return n.Fail("inner sizes differ");
  Shape shape = {n.shape(0)[ta], n.shape(1)[1 - tb]};
  if (n.has(2)) {
    absl::StatusOr<Shape> both = BroadcastShapes(n.graph, shape, n.shape(2));
    if (n.dtype(2) != n.dtype(0) || !both.ok() || *both != shape) {
      return n.Fail("c does not broadcast to " + n.Text(shape));
    }
  }
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status Attention(const Inference& n) {
  for (size_t i = 0; i < 3; ++i) {
    FLOE_TRY(n.NeedRank(i, 4));
    if (n.dtype(i) != DType::kF32) return n.Fail("operands are not f32");
  }
  const Shape &q = n.shape(0), &k = n.shape(1), &v = n.shape(2);
  const std::optional<Dim> group = Dim::DivExact(q[1], k[1]);
  if (k[0] != q[0] || v[0] != q[0] || k[1] != v[1] || k[2] != v[2] || k[3] != q[3]) {
    return n.Fail("q, k and v do not fit each other");
  }
  if (!group || !group->is_constant() || group->constant() < 1) {
    return n.Fail("the heads of q are no multiple of those of k");
  }
  if (n.has(3)) {
    const Shape scores = {q[0], q[1], q[2], k[2]};
    const absl::StatusOr<Shape> both = BroadcastShapes(n.graph, scores, n.shape(3));
    if (!both.ok() || *both != scores || n.rank(3) > 4 ||
        (n.dtype(3) != DType::kF32 && n.dtype(3) != DType::kBool)) {
      return n.Fail("the mask is neither f32 nor bool or does not broadcast to " + n.Text(scores));
    }
  }
  return n.Set(0, DType::kF32, {q[0], q[1], q[2], v[3]});
}

absl::Status Rotary(const Inference& n) {
  FLOE_TRY(SameFloat(n, 3));
  const Shape& x = n.shape(0);
  const int64_t rotated = n.node.Int("rotated");
  if (x.empty() || !x.back().is_constant() || rotated < 2 || rotated % 2 != 0 ||
      rotated > x.back().constant()) {
    return n.Fail(absl::StrFormat("x has no %d features", rotated));
  }
  for (const size_t i : {1u, 2u}) {
    Shape table = n.shape(i);
    if (table.empty() || table.back() != n.shape(1).back() ||
        (table.back() != Dim(rotated) && table.back() != Dim(rotated / 2))) {
      return n.Fail(absl::StrFormat("cos or sin has no %d or %d numbers", rotated, rotated / 2));
    }
    table.back() = x.back();
    const absl::StatusOr<Shape> both = BroadcastShapes(n.graph, x, table);
    if (!both.ok() || *both != x) return n.Fail("cos or sin does not broadcast to x");
  }
  return n.Set(0, n.dtype(0), x);
}

// Numbers of a sliding window on one axis, all checked.
struct Window {
  int64_t kernel, stride, begin, end, dilation;
};

absl::StatusOr<Window> WindowOf(const Inference& n, size_t axis, const Dim& kernel) {
  const size_t spatial = n.node.Ints("strides").size();
  if (!kernel.is_constant()) return n.Fail("the kernel's size is no number");
  const Window w = {kernel.constant(), n.node.Ints("strides")[axis], n.node.Ints("pads")[axis],
                    n.node.Ints("pads")[axis + spatial], n.node.Ints("dilations")[axis]};
  constexpr int64_t kLimit = 1 << 30;
  if (w.kernel < 1 || w.stride < 1 || w.dilation < 1 || w.begin < 0 || w.end < 0 ||
      std::max({w.kernel, w.stride, w.dilation, w.begin, w.end}) > kLimit) {
    return n.Fail(absl::StrFormat("axis %d: kernel %d, stride %d, dilation %d, pads %d and %d",
                                  axis, w.kernel, w.stride, w.dilation, w.begin, w.end));
  }
  return w;
}

absl::Status NeedSpatialCounts(const Inference& n, size_t spatial) {
  FLOE_TRY(n.NeedCount("strides", spatial));
  FLOE_TRY(n.NeedCount("pads", 2 * spatial));
  return n.NeedCount("dilations", spatial);
}

// Number of windows on an axis of `size`.
absl::StatusOr<Dim> WindowCount(const Inference& n, const Dim& size, const Window& w, bool ceil) {
  const int64_t extent = (w.kernel - 1) * w.dilation + 1;
  const std::optional<Dim> room = Dim::Add(size, w.begin + w.end - extent);
  const std::optional<Dim> rounded = room ? Dim::Add(*room, ceil ? w.stride - 1 : 0) : std::nullopt;
  const std::optional<Dim> quotient = rounded ? Dim::DivFloor(*rounded, w.stride) : std::nullopt;
  std::optional<Dim> count = quotient ? Dim::Add(*quotient, 1) : std::nullopt;
  if (count && ceil) {
    // A last window that would start behind the image and its left padding is dropped.
    const std::optional<Dim> start = Dim::Mul(*quotient, w.stride);
    const std::optional<Dim> over = start ? Dim::Sub(*start, size) : std::nullopt;
    if (!over) {
      count = std::nullopt;
    } else if ((over->Min(n.graph.symbols) >= w.begin) != (over->Max(n.graph.symbols) >= w.begin)) {
      const std::optional<Dim> end = Dim::Add(size, w.begin + w.stride - 1);
      const std::optional<Dim> starts = end ? Dim::DivFloor(*end, w.stride) : std::nullopt;
      count = starts ? Dim::Smaller(*count, *starts) : std::nullopt;
    } else if (over->Min(n.graph.symbols) >= w.begin) {
      count = quotient;
    }
  }
  if (!count) {
    return n.Fail(absl::StrFormat("the result's size overflows for size %s and stride %d",
                                  size.ToString(n.graph.symbols), w.stride));
  }
  if (room->Max(n.graph.symbols) < 0) {
    return n.Fail(absl::StrFormat("the window (%d) is larger than the padded image (%s)", extent,
                                  size.ToString(n.graph.symbols)));
  }
  return *count;
}

absl::Status NeedChannels(const Inference& n, size_t spatial) {
  FLOE_TRY(SameFloat(n, 3));
  FLOE_TRY(n.NeedRank(1, n.rank(0)));
  return NeedSpatialCounts(n, spatial);
}

}  // namespace

absl::StatusOr<Shape> ConvShape(const Inference& n) {
  if (n.rank(0) < 3) return n.Fail("x has a rank below 3");
  const size_t spatial = n.rank(0) - 2;
  FLOE_TRY(n.NeedRank(1, n.rank(0)));
  FLOE_TRY(NeedSpatialCounts(n, spatial));
  const Shape& x = n.shape(0);
  const Shape& w = n.shape(1);
  const int64_t groups = n.node.Int("groups");
  const std::optional<Dim> channels = groups < 1 ? std::nullopt : Dim::Mul(w[1], groups);
  if (!channels || x[1] != *channels || !Dim::DivExact(w[0], groups)) {
    return n.Fail(absl::StrFormat("x has %s channels, the filter %s takes %s in %d groups",
                                  x[1].ToString(n.graph.symbols), n.Text(w),
                                  w[1].ToString(n.graph.symbols), groups));
  }
  Shape shape = {x[0], w[0]};
  for (size_t i = 0; i < spatial; ++i) {
    FLOE_TRY_ASSIGN(const Window window, WindowOf(n, i, w[i + 2]));
    FLOE_TRY_ASSIGN(const Dim size, WindowCount(n, x[i + 2], window, false));
    shape.push_back(size);
  }
  return shape;
}

namespace {

absl::Status Conv(const Inference& n) {
  FLOE_TRY(SameFloat(n, 3));
  FLOE_TRY_ASSIGN(Shape shape, ConvShape(n));
  FLOE_TRY(n.NeedShape(2, {n.shape(1)[0]}));
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status ConvTranspose(const Inference& n) {
  if (n.rank(0) < 3) return n.Fail("x has a rank below 3");
  const size_t spatial = n.rank(0) - 2;
  FLOE_TRY(NeedChannels(n, spatial));
  FLOE_TRY(n.NeedCount("output_padding", spatial));
  const Shape& x = n.shape(0);
  const Shape& w = n.shape(1);
  const int64_t groups = n.node.Int("groups");
  const std::optional<Dim> channels = groups < 1 ? std::nullopt : Dim::Mul(w[1], groups);
  if (!channels || x[1] != w[0] || !Dim::DivExact(w[0], groups)) {
    return n.Fail("the filter does not fit x's channels");
  }
  FLOE_TRY(n.NeedShape(2, {*channels}));
  Shape shape = {x[0], *channels};
  for (size_t i = 0; i < spatial; ++i) {
    FLOE_TRY_ASSIGN(const Window window, WindowOf(n, i, w[i + 2]));
    const std::optional<Dim> steps = Dim::Sub(x[i + 2], 1);
    const std::optional<Dim> way = steps ? Dim::Mul(*steps, window.stride) : std::nullopt;
    const int64_t rest = (window.kernel - 1) * window.dilation + 1 - window.begin - window.end +
                         n.node.Ints("output_padding")[i];
    const std::optional<Dim> size = way ? Dim::Add(*way, rest) : std::nullopt;
    if (!size) return n.Fail("the result is too large");
    shape.push_back(*size);
  }
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status Pool(const Inference& n) {
  if (n.rank(0) < 3) return n.Fail("x has a rank below 3");
  const size_t spatial = n.rank(0) - 2;
  FLOE_TRY(NeedSpatialCounts(n, spatial));
  FLOE_TRY(n.NeedCount("kernel", spatial));
  const bool ceil = n.node.Int("ceil_mode") != 0;
  Shape shape = {n.shape(0)[0], n.shape(0)[1]};
  for (size_t i = 0; i < spatial; ++i) {
    FLOE_TRY_ASSIGN(const Window window, WindowOf(n, i, n.node.Ints("kernel")[i]));
    FLOE_TRY_ASSIGN(const Dim size, WindowCount(n, n.shape(0)[i + 2], window, ceil));
    shape.push_back(size);
  }
  FLOE_TRY(n.Set(1, DType::kI64, shape));
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status BytePool(const Inference& n) {
  if (n.dtype(0) != DType::kU8) return n.Fail("x is no u8");
  return Pool(n);
}

// Windows over an image: how many elements each has, and how many there are.
struct Columns {
  int64_t taps;
  Dim positions;
};

absl::StatusOr<Columns> ColumnsOf(const Inference& n, const Shape& spatial) {
  FLOE_TRY(NeedSpatialCounts(n, spatial.size()));
  FLOE_TRY(n.NeedCount("kernel", spatial.size()));
  Dim taps(1), positions(1);
  for (size_t i = 0; i < spatial.size(); ++i) {
    FLOE_TRY_ASSIGN(const Window window, WindowOf(n, i, n.node.Ints("kernel")[i]));
    FLOE_TRY_ASSIGN(const Dim count, WindowCount(n, spatial[i], window, false));
    const std::optional<Dim> t = Dim::Mul(taps, window.kernel);
    const std::optional<Dim> p = Dim::Mul(positions, count);
    if (!t || !p) return n.Fail("the number of windows is too large");
    taps = *t;
    positions = *p;
  }
  return Columns{taps.constant(), positions};
}

absl::Status Im2Col(const Inference& n) {
  if (n.rank(0) < 3) return n.Fail("x has a rank below 3");
  const Shape& x = n.shape(0);
  FLOE_TRY_ASSIGN(const Columns c, ColumnsOf(n, Shape(x.begin() + 2, x.end())));
  const std::optional<Dim> rows = Dim::Mul(x[1], c.taps);
  if (!rows) return n.Fail("the result is too large");
  return n.Set(0, n.dtype(0), {x[0], *rows, c.positions});
}

absl::Status Col2Im(const Inference& n) {
  FLOE_TRY(n.NeedRank(0, 3));
  const std::vector<int64_t>& image = n.node.Ints("image");
  if (image.empty()) return n.Fail("image has no axis");
  FLOE_TRY_ASSIGN(const Columns c, ColumnsOf(n, Shape(image.begin(), image.end())));
  const Shape& x = n.shape(0);
  const std::optional<Dim> channels = Dim::DivExact(x[1], c.taps);
  if (!channels || x[2] != c.positions) {
    return n.Fail(absl::StrFormat("x is no [N, channels * %d, %s]", c.taps,
                                  c.positions.ToString(n.graph.symbols)));
  }
  Shape shape = {x[0], *channels};
  shape.insert(shape.end(), image.begin(), image.end());
  return n.Set(0, n.dtype(0), std::move(shape));
}

absl::Status GridSample(const Inference& n) {
  constexpr size_t kLeast = 3, kMost = 5;
  const Shape &x = n.shape(0), &grid = n.shape(1);
  if (x.size() < kLeast || x.size() > kMost) return n.Fail("x has a rank outside 3..5");
  FLOE_TRY(n.NeedFloat(0));
  FLOE_TRY(n.NeedFloat(1));
  FLOE_TRY(n.NeedRank(1, x.size()));
  if (n.node.Int("mode") < 0 || n.node.Int("mode") > static_cast<int64_t>(GridMode::kBicubic) ||
      n.node.Int("padding") < 0 ||
      n.node.Int("padding") > static_cast<int64_t>(GridPadding::kReflection)) {
    return n.Fail("mode or padding is unknown");
  }
  if (grid[0] != x[0] || grid.back() != Dim(static_cast<int64_t>(x.size()) - 2)) {
    return n.Fail(absl::StrFormat("the grid is no [%s, ..., %d]", x[0].ToString(n.graph.symbols),
                                  x.size() - 2));
  }
  Shape shape = {x[0], x[1]};
  shape.insert(shape.end(), grid.begin() + 1, grid.end() - 1);
  return n.Set(0, n.dtype(0), std::move(shape));
}

// --- dense linear algebra ------------------------------------------------------------------------

// The leading axes of a batch of matrices, and `tail`.
Shape WithTail(const Shape& x, Shape tail) {
  Shape shape(x.begin(), x.end() - 2);
  shape.insert(shape.end(), tail.begin(), tail.end());
  return shape;
}

absl::Status NeedMatrices(const Inference& n) {
  FLOE_TRY(n.NeedFloat(0));
  return n.rank(0) >= 2 ? absl::OkStatus() : n.Fail("x has a rank below 2");
}

absl::Status NeedSquare(const Inference& n) {
  FLOE_TRY(NeedMatrices(n));
  const Shape& x = n.shape(0);
  return x[x.size() - 2] == x.back() ? absl::OkStatus() : n.Fail("the matrices are not square");
}

absl::Status Cholesky(const Inference& n) {
  FLOE_TRY(NeedSquare(n));
  return n.Set(0, n.dtype(0), n.shape(0));
}

absl::Status Solve(const Inference& n) {
  FLOE_TRY(NeedSquare(n));
  FLOE_TRY(SameFloat(n, 2));
  FLOE_TRY(n.NeedRank(1, n.rank(0)));
  for (size_t i = 0; i + 1 < n.rank(0); ++i) {
    if (n.shape(0)[i] != n.shape(1)[i]) {
      return n.Fail(absl::StrFormat("a and b differ on axis %d", i));
    }
  }
  return n.Set(0, n.dtype(0), n.shape(1));
}

absl::Status Det(const Inference& n) {
  FLOE_TRY(NeedSquare(n));
  for (size_t i = 0; i < 3; ++i) FLOE_TRY(n.Set(i, n.dtype(0), WithTail(n.shape(0), {})));
  return absl::OkStatus();
}

absl::Status Eigh(const Inference& n) {
  FLOE_TRY(NeedSquare(n));
  FLOE_TRY(n.Set(0, n.dtype(0), WithTail(n.shape(0), {n.shape(0).back()})));
  return n.Set(1, n.dtype(0), n.shape(0));
}

// The smaller side of the matrices, if it is the same one for all sizes.
absl::StatusOr<Dim> LeastSide(const Inference& n) {
  FLOE_TRY(NeedMatrices(n));
  const Dim &rows = n.shape(0)[n.rank(0) - 2], &columns = n.shape(0).back();
  const std::optional<Dim> more = Dim::Sub(rows, columns);
  if (more && more->Min(n.graph.symbols) >= 0) return columns;
  if (more && more->Max(n.graph.symbols) <= 0) return rows;
  return n.Fail("whether rows or columns are more depends on the symbols");
}

absl::Status Qr(const Inference& n) {
  FLOE_TRY_ASSIGN(const Dim k, LeastSide(n));
  const Shape& x = n.shape(0);
  FLOE_TRY(n.Set(0, n.dtype(0), WithTail(x, {x[x.size() - 2], k})));
  return n.Set(1, n.dtype(0), WithTail(x, {k, x.back()}));
}

absl::Status Svd(const Inference& n) {
  FLOE_TRY_ASSIGN(const Dim k, LeastSide(n));
  const Shape& x = n.shape(0);
  FLOE_TRY(n.Set(0, n.dtype(0), WithTail(x, {x[x.size() - 2], k})));
  FLOE_TRY(n.Set(1, n.dtype(0), WithTail(x, {k})));
  return n.Set(2, n.dtype(0), WithTail(x, {k, x.back()}));
}

constexpr ShapeRuleRow kRows[] = {
    {OpId::kMatMul, MatMul},
    {OpId::kGemm, Gemm},
    {OpId::kAttention, Attention},
    {OpId::kRotary, Rotary},
    {OpId::kConv, Conv},
    {OpId::kConvTranspose, ConvTranspose},
    {OpId::kMaxPool, Pool},
    {OpId::kAvgPool, Pool},
    {OpId::kQAvgPool, BytePool},
    {OpId::kIm2Col, Im2Col},
    {OpId::kCol2Im, Col2Im},
    {OpId::kGridSample, GridSample},
    {OpId::kCholesky, Cholesky},
    {OpId::kTriangularSolve, Solve},
    {OpId::kSolve, Solve},
    {OpId::kDet, Det},
    {OpId::kQr, Qr},
    {OpId::kEigh, Eigh},
    {OpId::kSvd, Svd},
};

}  // namespace

std::span<const ShapeRuleRow> LinearRules() { return kRows; }

}  // namespace floe::ir
