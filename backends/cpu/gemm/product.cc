#include "backends/cpu/gemm/product.h"

#include <algorithm>
#include <new>

#include "backends/halo.h"
#include "format/checked.h"

namespace floe::cpu {

GridStrides ImageStrides(const TensorInfo& t, int64_t* offset) {
  int64_t strides[kMaxRank];
  TensorStrides(t, strides, offset);
  return {strides[3], strides[2], strides[0]};
}

bool IsEmptyImage(const TensorInfo& y) {
  return y.dims[0] == 0 || y.dims[1] == 0 || y.dims[2] == 0 || y.dims[3] == 0;
}

int64_t LineStep(const OpInfo& op, const families::WindowAttrs& window) {
  int64_t unused = 0;
  return window.kh > 1 ? window.dh * ImageStrides(op.inputs[0], &unused).y : 0;
}

void DescribeOperands(const OpInfo& op, uint32_t extra, int64_t channels, ProductState* s) {
  s->epilogue = ClassifyEpilogue(op, extra, channels);
  s->operand_count = op.input_count - extra;
  for (uint32_t i = 0; i < s->operand_count; ++i) {
    const TensorInfo& t = op.inputs[extra + i];
    EpilogueOperandInfo& o = s->operands[i];
    o.kind = EpilogueOperandKind(t, channels);
    if (o.kind != OperandKind::kTensor) continue;
    if (t.layout == LayoutId::kChannelsLast) {
      o.strides = ImageStrides(t, &o.offset);
    } else {
      o.strides.x = channels;
    }
  }
}

void DescribeImages(const OpInfo& op, const families::WindowAttrs& window, ProductState* s) {
  const TensorInfo& y = op.outputs[0];
  const GridStrides pixels = ImageStrides(op.inputs[0], &s->a_offset);
  s->a_offset -= window.pt * pixels.y + window.pl * pixels.x;
  s->a = {y.dims[3] > 1 ? window.sw * pixels.x : 0, y.dims[2] > 1 ? window.sh * pixels.y : 0,
          pixels.image};
  s->y = ImageStrides(y, &s->y_offset);
  s->grid = {y.dims[3], y.dims[2]};
}

void ShareLines(const OpInfo& op, const families::WindowAttrs& window, uint32_t workers,
                double least_work, ProductState* s) {
  constexpr int64_t kTasksPerWorker = 4;
  const TensorInfo& y = op.outputs[0];
  s->tiling.m = y.dims[0] * y.dims[2];
  const double work = static_cast<double>(s->tiling.m) *
                      static_cast<double>(y.dims[3] * y.dims[1]) * static_cast<double>(window.kh) *
                      static_cast<double>(window.kw);
  int64_t tasks = workers > 1 ? workers * kTasksPerWorker : 1;
  tasks = std::min(tasks, s->tiling.m);
  if (work < static_cast<double>(tasks) * least_work) {
    tasks = static_cast<int64_t>(work / least_work) + 1;
  }
  s->tiling.row_blocks = std::min(tasks, s->tiling.m);
}

void CollapseGrid(int64_t images, ProductState* s) {
  const auto lines_join = [&](const GridStrides& g) { return g.y == g.x * s->grid.width; };
  const auto images_join = [&](const GridStrides& g) { return g.image == g.x * s->grid.width; };
  const auto all = [&](auto joins) {
    if (!joins(s->a) || !joins(s->y)) return false;
    for (uint32_t i = 0; i < s->operand_count; ++i) {
      if (s->operands[i].kind == OperandKind::kTensor && !joins(s->operands[i].strides)) {
        return false;
      }
    }
    return true;
  };
  if (s->grid.height > 1 && !all(lines_join)) return;
  s->grid.width *= s->grid.height;
  s->grid.height = 1;
  if (images > 1 && !all(images_join)) return;
  s->grid.width *= images;
}

namespace {

void FillTaps(const families::WindowAttrs& w, const GridStrides& x, int64_t channels,
              bool whole_pixels, ProductState* s) {
  int64_t* taps = TapTable(static_cast<void*>(s));
  // Neighbouring pixels are one run when every channel of them is read.
  const bool join = whole_pixels && w.dw == 1;
  s->run = join ? w.kw * channels : channels;
  for (int64_t ky = 0; ky < w.kh; ++ky) {
    for (int64_t kx = 0; kx < (join ? 1 : w.kw); ++kx) {
      taps[s->tap_count++] = ky * w.dh * x.y + kx * w.dw * x.x;
    }
  }
}

// Rows of the panels for `depth` numbers of one tap, and the size of a row's column.
int64_t PanelRows(const TensorInfo& w, int64_t depth) {
  const bool pairs = w.layout == LayoutId::kGemmPairs16 || w.layout == LayoutId::kConvPairs16;
  return pairs ? CeilDiv(depth, 2) : depth;
}
int64_t ColumnBytes(const TensorInfo& w) { return w.dtype == DType::kF16 ? 2 : 4; }

// Schedules register tiles of `kind`.
void UseTiles(const TileKind& kind, TileUser user, ProductState* s, Schedule* schedule) {
  s->find = kind.find;
  if (s->empty) return;
  schedule->tasks = static_cast<uint32_t>(s->tiling.tasks());
  schedule->variant = kind.name(user, s->tiling.tile_rows, s->tiling.tile_panels);
}

}  // namespace

void PrepareGemmProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                        ProductState* state) {
  ProductState* s = new (state) ProductState{};
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& w = op.inputs[1];
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) rows *= x.dims[i];
  const int64_t k = w.dims[0], n = w.dims[1];
  s->empty = rows == 0 || n == 0;
  if (s->empty) return;
  s->grid = {rows, 1};
  s->a.x = k;
  s->y.x = n;
  s->tap_count = 1;
  s->run = k;
  s->column_bytes = ColumnBytes(w);
  DescribeOperands(op, 2, n, s);
  // Of all products, gemm's drivers alone run functions of the finished result.
  const DType y = op.outputs[0].dtype;
  s->epilogue = ClassifyEpilogue(op, 2, n, /*posts=*/y == DType::kF32 || y == DType::kBF16);
  s->tiling = ChooseTiling({.outer = 1,
                            .m = rows,
                            .n = n,
                            .k = PanelRows(w, k),
                            .row_bytes = k * DTypeSize(x.dtype),
                            .workers = context.workers},
                           set);
}

void PrepareConvProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                        ProductState* state) {
  ProductState* s = new (state) ProductState{};
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& w = op.inputs[1];
  const TensorInfo& y = op.outputs[0];
  const families::WindowAttrs window = families::ReadWindow(op.attrs + 1);
  const int64_t groups = op.attrs[0];
  const int64_t images = y.dims[0], height = y.dims[2], width = y.dims[3];
  s->empty = IsEmptyImage(y);
  if (s->empty) return;
  const int64_t channels = w.dims[1], outputs = y.dims[1] / groups;
  int64_t unused = 0;
  DescribeImages(op, window, s);
  const GridStrides pixels = ImageStrides(x, &unused);
  // With pairs, a tap's odd channel has a row of its own.
  const int64_t tap_rows = PanelRows(w, channels);
  const bool whole = w.layout != LayoutId::kConvPairs16 || channels % 2 == 0;
  if (channels > 0) FillTaps(window, pixels, channels, groups == 1 && whole, s);
  const int64_t k = tap_rows * window.kh * window.kw;
  s->column_bytes = ColumnBytes(w);
  s->a_group = channels;
  s->y_group = outputs;
  s->b_group = CeilDiv(outputs, 16) * 16 * k;
  DescribeOperands(op, 2, y.dims[1], s);
  CollapseGrid(images, s);
  s->tiling = ChooseTiling({.outer = groups,
                            .m = images * height * width,
                            .n = outputs,
                            .k = k,
                            .row_bytes = channels * DTypeSize(x.dtype) *
                                         (height > 1 ? window.sh : 1) * (width > 1 ? window.sw : 1),
                            .workers = context.workers},
                           set);
}

void PrepareNarrowGemm(const OpInfo& op, const PrepareContext& context, const TileKind& kind,
                       ProductState* state, Schedule* schedule) {
  PrepareGemmProduct(op, context, kind.set, state);
  schedule->tasks = 0;
  UseTiles(kind, TileUser::kGemm, state, schedule);
}

void PrepareNarrowConv(const OpInfo& op, const PrepareContext& context, const TileKind& kind,
                       ProductState* state, Schedule* schedule) {
  PrepareConvProduct(op, context, kind.set, state);
  schedule->tasks = op.outputs[0].halo.empty() ? 0 : 1;  // Only the halo of an empty result.
  UseTiles(kind, TileUser::kConv, state, schedule);
}

void PrepareDepthwiseProduct(const OpInfo& op, const PrepareContext& context, ProductState* state) {
  ProductState* s = new (state) ProductState{};
  const TensorInfo& y = op.outputs[0];
  const families::WindowAttrs window = families::ReadWindow(op.attrs);
  constexpr double kTaskWork = 1 << 16;
  s->empty = IsEmptyImage(y);
  if (s->empty) return;
  DescribeImages(op, window, s);
  s->depthwise_line = LineStep(op, window);
  DescribeOperands(op, 2, y.dims[1], s);
  ShareLines(op, window, context.workers, kTaskWork, s);
}

void PrepareWinogradProduct(const OpInfo& op, ProductState* state) {
  ProductState* s = new (state) ProductState{};
  const TensorInfo& y = op.outputs[0];
  const families::WindowAttrs window = families::ReadWindow(op.attrs + 1);
  s->empty = IsEmptyImage(y);
  if (s->empty) return;
  s->a = ImageStrides(op.inputs[0], &s->a_offset);
  s->a_offset -= window.pt * s->a.y + window.pl * s->a.x;
  s->y = ImageStrides(y, &s->y_offset);
  s->grid = {y.dims[3], y.dims[2]};
  DescribeOperands(op, 3, y.dims[1], s);
}

void ZeroLinesHalo(const TensorInfo& y, void* base, int64_t begin, int64_t end) {
  if (y.halo.empty()) return;
  const int64_t height = y.dims[2];
  for (int64_t line = begin; line < end;) {
    const int64_t image = line / height, row = line % height;
    const int64_t count = std::min(end - line, height - row);
    ZeroHaloRows(y, base, image, row, row + count);
    line += count;
  }
}

void ZeroBlockHalo(const ProductState& s, const TaskBlock& block, const TensorInfo& y, void* base) {
  if (y.halo.empty() || !block.first_group_block || block.outer != 0) return;
  const Tiling& t = s.tiling;
  // A line's halo goes with the block that has its first row.
  ZeroLinesHalo(y, base, CeilDiv(RowOfTile(t, block.row_tile_begin), y.dims[3]),
                CeilDiv(RowOfTile(t, block.row_tile_end), y.dims[3]));
}

}  // namespace floe::cpu
