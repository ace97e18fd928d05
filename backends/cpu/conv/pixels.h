// The loop nest around the micro-kernel of pixel_tile.h. Included by conv/'s ISA files only.
#ifndef FLOE_BACKENDS_CPU_CONV_PIXELS_H_
#define FLOE_BACKENDS_CPU_CONV_PIXELS_H_

#include "backends/cpu/conv/pixel_plan.h"
#include "backends/cpu/conv/pixel_tile.h"
#include "backends/cpu/gemm/driver.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// A block: output rows [line, line + lines) of one image, columns [column, column + width).
struct PixelBlock {
  int64_t image, line, lines, column, width;
  const float* x;  // Where the window of its first pixel starts, in x or in the planes.
};

// --- planes --------------------------------------------------------------------------------------

// Element j * kStride + r of `row` to planes[r * pitch + j]: `count` elements of each plane.
template <int kStride>
FLOE_INLINE void SplitRow(const float* row, int64_t count, float* planes, int64_t pitch) {
  for (int64_t j = 0; j < count; ++j) {
    FLOE_UNROLL
    for (int r = 0; r < kStride; ++r) planes[r * pitch + j] = row[j * kStride + r];
  }
}

// As SplitRow<6>, in two steps that the compiler makes vectors of.
void SplitRowBySix(const float* row, int64_t count, float* planes, int64_t pitch) {
  constexpr int64_t kChunk = 64;
  alignas(64) float thirds[3 * 2 * kChunk];
  for (int64_t j = 0; j < count; j += kChunk) {
    const int64_t n = count - j < kChunk ? count - j : kChunk;
    SplitRow<3>(row + j * 6, 2 * n, thirds, 2 * kChunk);
    for (int64_t c = 0; c < 3; ++c) {
      SplitRow<2>(thirds + c * 2 * kChunk, n, planes + c * pitch + j, 3 * pitch);
    }
  }
}

// Planes [0, 4 * quads) of SplitRow for any stride, in blocks of 4 x 4.
void SplitRowByQuads(const float* row, int64_t stride, int64_t quads, int64_t count, float* planes,
                     int64_t pitch) {
  for (int64_t q = 0; q < quads; ++q, row += 4, planes += 4 * pitch) {
    int64_t j = 0;
    for (; j + 4 <= count; j += 4) {
      __m128 a = _mm_loadu_ps(row + j * stride), b = _mm_loadu_ps(row + (j + 1) * stride);
      __m128 c = _mm_loadu_ps(row + (j + 2) * stride), d = _mm_loadu_ps(row + (j + 3) * stride);
      _MM_TRANSPOSE4_PS(a, b, c, d);
      _mm_storeu_ps(planes + j, a);
      _mm_storeu_ps(planes + pitch + j, b);
      _mm_storeu_ps(planes + 2 * pitch + j, c);
      _mm_storeu_ps(planes + 3 * pitch + j, d);
    }
    for (; j < count; ++j) {
      for (int64_t r = 0; r < 4; ++r) planes[r * pitch + j] = row[j * stride + r];
    }
  }
}

// The `elements` elements of `row` to the plan's planes.
void SplitRow(const PixelPlan& plan, const float* row, int64_t elements, float* planes) {
  const int64_t stride = plan.stride, pitch = plan.pitch;
  // Every plane has so many; some have one more.
  const int64_t count = (elements - plan.planes) / stride + 1;
  int64_t split = plan.planes;  // Planes that are done.
  if (plan.planes != stride || stride == 5 || stride > 6) {
    split = plan.planes / 4 * 4;
    SplitRowByQuads(row, stride, split / 4, count, planes, pitch);
  } else if (stride == 1) {
    SplitRow<1>(row, count, planes, pitch);
  } else if (stride == 2) {
    SplitRow<2>(row, count, planes, pitch);
  } else if (stride == 3) {
    SplitRow<3>(row, count, planes, pitch);
  } else if (stride == 4) {
    SplitRow<4>(row, count, planes, pitch);
  } else {
    SplitRowBySix(row, count, planes, pitch);
  }
  for (int64_t r = 0; r < plan.planes; ++r) {
    float* plane = planes + r * pitch;
    int64_t j = r < split ? count : 0;
    for (int64_t e = j * stride + r; e < elements; e += stride) plane[j++] = row[e];
  }
}

// The rows of x that the block needs; `x` is where its first pixel's window starts.
void MakePlanes(const PixelPlan& plan, const PixelBlock& block, const float* x, float* planes) {
  const int64_t rows = (block.lines - 1) * plan.x_step + plan.x_span;
  const int64_t elements = (block.width - 1) * plan.stride + plan.span;
  for (int64_t row = 0; row < rows; ++row) {
    SplitRow(plan, x + row * plan.x_pitch, elements, planes + row * plan.planes * plan.pitch);
  }
}

// --- blocks --------------------------------------------------------------------------------------

// The slots of a block in order, row by row.
struct SlotCursor {
  int64_t line = 0;  // Of the block.
  int64_t slot = 0;  // Of the line.
};

// The first column of a slot, in the block.
FLOE_INLINE int64_t SlotColumn(int64_t width, int64_t slot) {
  const int64_t column = slot * kWidth;
  return column + kWidth <= width || width < kWidth ? column : width - kWidth;
}

// The epilogue over the raw accumulators of a slot, beginning with column `first` of the block:
// those before were the last slot's, and may have been overwritten if y is the residual.
void FinishRawSlot(const Product& p, TileArgs* t, const PixelBlock& block, const SlotCursor& at,
                   int64_t column, int64_t first, const float* raw) {
  static_assert(kWidth <= kMaxTileRows && kWidth * kPanel <= kTileScratchFloats);
  const ProductState& s = *p.state;
  const int64_t end = column + kWidth < block.width ? column + kWidth : block.width;
  const Position position{block.column + first, block.line + at.line, block.image};
  const float* residual = nullptr;
  GridStrides strides;
  if (s.epilogue.residual >= 0) {
    const EpilogueOperandInfo& info = s.operands[s.epilogue.residual];
    strides = info.strides;
    residual = static_cast<const float*>(p.operands[s.epilogue.residual]) + info.offset +
               OffsetOf(strides, position);
  }
  float* y = p.y + OffsetOf(s.y, position);
  for (int64_t i = 0; i < end - first; ++i) {
    t->y[i] = y + i * s.y.x;
    t->residual[i] = residual + i * strides.x;
    for (int64_t o = 0; o < s.tiling.n; ++o) {
      p.tile_scratch[i * kPanel + o] = raw[o * kWidth + first - column + i];
    }
  }
  FinishSpilledTile(p, *t, position, end - first, 0, s.tiling.n, kPanel);
}

void RunPixelBlock(const Product& p, const PixelPlan& plan, const PixelBlock& block, PixelArgs* t,
                   TileArgs* finish) {
  const ProductState& s = *p.state;
  const int64_t slots_of_line = CeilDiv(block.width, kWidth);
  const int64_t together = SlotsFor(static_cast<int>(plan.outputs));
  int64_t left = block.lines * slots_of_line;
  SlotCursor cursor;
  const float* x = block.x;
  float* y = p.y + OffsetOf(s.y, {block.column, block.line, block.image});
  while (left > 0) {
    const int64_t count = left < together ? left : together;
    const SlotCursor first = cursor;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t column = SlotColumn(block.width, cursor.slot);
      t->x[i] = x + column;
      t->y[i] = y + column * s.y.x;
      if (++cursor.slot == slots_of_line) {
        cursor.slot = 0;
        ++cursor.line;
        x += plan.line_step;
        y += s.y.y;
      }
    }
    for (int64_t i = count; i < together; ++i) {  // The last tile computes a slot repeatedly.
      t->x[i] = t->x[0];
      t->y[i] = t->y[0];
    }
    kPixelTiles[plan.outputs](*t);
    left -= count;
    if (t->raw == nullptr) continue;
    cursor = first;
    for (int64_t i = 0; i < count; ++i) {
      FinishRawSlot(p, finish, block, cursor, SlotColumn(block.width, cursor.slot),
                    cursor.slot * kWidth, t->raw + i * plan.outputs * kWidth);
      if (++cursor.slot == slots_of_line) {
        cursor.slot = 0;
        ++cursor.line;
      }
    }
  }
}

// Output rows [begin, end), counted over all images.
[[gnu::noinline]] void RunPixels(const Product& p, const PixelPlan& plan, int64_t begin,
                                 int64_t end) {
  alignas(64) float planes[kPlaneFloats];
  alignas(64) float raw[kMaxRaw];
  const ProductState& s = *p.state;
  const Epilogue& e = s.epilogue;
  TileArgs finish;
  SetEpilogue(p, &finish);
  finish.bias = e.bias >= 0 ? static_cast<const float*>(p.operands[e.bias]) : nullptr;
  PixelArgs t;
  t.taps = p.taps;
  t.k = plan.k;
  t.w = p.b;
  t.bias = finish.bias;
  t.has_scale = finish.has_scale;
  t.has_low = finish.has_low;
  t.has_high = finish.has_high;
  t.scale = finish.scale;
  t.low = finish.low;
  t.high = finish.high;
  PixelBlock block;
  for (int64_t line = begin; line < end; line += block.lines) {
    block.image = line / plan.height;
    block.line = line % plan.height;
    block.lines = plan.block_lines;
    if (block.lines > plan.height - block.line) block.lines = plan.height - block.line;
    if (block.lines > end - line) block.lines = end - line;
    for (block.column = 0; block.column < plan.width; block.column += block.width) {
      block.width = plan.block_width;
      if (block.width > plan.width - block.column) block.width = plan.width - block.column;
      const float* x = p.a + OffsetOf(s.a, {block.column, block.line, block.image});
      // Residuals and pixels that end within a vector are for the slower way.
      const bool whole = e.in_registers && !finish.has_residual && block.width >= kWidth;
      t.raw = whole ? nullptr : raw;
      block.x = plan.direct ? x : planes;
      if (!plan.direct) MakePlanes(plan, block, x, planes);
      RunPixelBlock(p, plan, block, &t, &finish);
    }
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_CONV_PIXELS_H_
