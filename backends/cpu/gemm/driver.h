// The loop nest around the micro-kernel: panel groups outside, row tiles inside, for one block of a
// task. Included by the ISA files of gemm, conv and matmul.
#ifndef FLOE_BACKENDS_CPU_GEMM_DRIVER_H_
#define FLOE_BACKENDS_CPU_GEMM_DRIVER_H_

#include "backends/cpu/gemm/operands.h"
#include "backends/cpu/gemm/product.h"
#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/math.h"
#include "backends/cpu/narrow.h"
#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/cpu/simd.h"
#include "format/checked.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Walks rows, keeping the offsets into A, y and the residual without divisions.
class RowCursor {
 public:
  RowCursor(const ProductState& s, const GridStrides& residual, int64_t row)
      : s_(s), residual_(residual), at_(PositionOf(s.grid, row)) {
    Locate();
  }

  // Appends the next row's offsets and moves on.
  FLOE_INLINE void Next(int64_t* a, int64_t* y, int64_t* r) {
    *a = a_;
    *y = y_;
    *r = r_;
    a_ += s_.a.x;
    y_ += s_.y.x;
    r_ += residual_.x;
    if (++at_.x == s_.grid.width) [[unlikely]] {
      at_.x = 0;
      if (++at_.y == s_.grid.height) {
        at_.y = 0;
        ++at_.image;
      }
      Locate();
    }
  }
  const Position& position() const { return at_; }

 private:
  void Locate() {
    a_ = OffsetOf(s_.a, at_);
    y_ = OffsetOf(s_.y, at_);
    r_ = OffsetOf(residual_, at_);
  }

  const ProductState& s_;
  GridStrides residual_;
  Position at_;
  int64_t a_, y_, r_;
};

// Runs the program over the spilled accumulators, in runs of rows that lie in one image line: only
// within a line do tensor operands have one row stride.
void RunProgramOnTile(const Product& p, Position at, int64_t rows, int64_t column, int64_t columns,
                      int64_t ld) {
  const Grid& grid = p.state->grid;
  TileOperand operands[kPwMaxOperands];
  float* tile = p.tile_scratch;
  while (rows > 0) {
    const int64_t left = grid.width - at.x;
    const int64_t run = rows < left ? rows : left;
    for (uint32_t i = 0; i < p.state->operand_count; ++i) {
      operands[i] = OperandAt(p, i, at, column);
    }
    RunTile(p.code, p.code_count, tile, run, columns, ld, operands);
    tile += run * ld;
    rows -= run;
    at.x = 0;
    if (++at.y == grid.height) {
      at.y = 0;
      ++at.image;
    }
  }
}

FLOE_INLINE F32 LoadPart(const float* p, int64_t n) {
  return n >= kWidth ? Load(p) : LoadTail(p, n);
}

// The hot epilogue forms for a spilled tile with a partial last panel.
void FinishSpilledRow(const TileArgs& t, const Epilogue& e, float* row, const float* residual,
                      int64_t columns) {
  for (int64_t j = 0; j < columns; j += kWidth) {
    const int64_t n = columns - j;
    F32 x = Load(row + j);  // Spilled rows are whole panels.
    if (t.has_scale) x = Mul(x, Broadcast(t.scale));
    if (t.bias != nullptr) x = Add(x, LoadPart(t.bias + j, n));
    if (t.has_residual) x = Add(x, LoadPart(residual + j, n));
    if (e.has_low) x = MaxOrSecond(Broadcast(e.low), x);
    if (e.has_high) x = MinOrSecond(Broadcast(e.high), x);
    Store(row + j, x);
  }
}

void StoreNarrowRow(const float* row, int64_t columns, uint16_t* y) {
  int64_t j = 0;
  for (; j + kWidth <= columns; j += kWidth) StoreBrain(y + j, Load(row + j));
  if (j < columns) StoreBrainTail(y + j, columns - j, Load(row + j));
}

void StoreSpilledRow(const float* row, int64_t columns, float* y, int64_t y_column) {
  if (y_column != 1) {
    for (int64_t j = 0; j < columns; ++j) y[j * y_column] = row[j];
    return;
  }
  int64_t j = 0;
  for (; j + kWidth <= columns; j += kWidth) Store(y + j, Load(row + j));
  if (j < columns) StoreTail(y + j, columns - j, Load(row + j));
}

template <class F>
FLOE_INLINE void MapRowsOfTile(float* const* y, int64_t rows, int64_t columns, F f) {
  for (int64_t i = 0; i < rows; ++i) {
    int64_t j = 0;
    for (; j + kWidth <= columns; j += kWidth) Store(y[i] + j, f(Load(y[i] + j)));
    if (j < columns) StoreTail(y[i] + j, columns - j, f(LoadTail(y[i] + j, columns - j)));
  }
}

// Epilogue::post on rows that have been stored.
[[gnu::noinline, maybe_unused]] void FinishRows(Post post, float* const* y, int64_t rows,
                                                int64_t columns) {
  switch (post) {
    case Post::kNone:
      return;
    case Post::kGelu:
      return MapRowsOfTile(y, rows, columns, [](F32 x) { return Gelu(x); });
    case Post::kGeluTanh:
      return MapRowsOfTile(y, rows, columns, [](F32 x) { return GeluTanh(x); });
    case Post::kSilu:
      return MapRowsOfTile(y, rows, columns, [](F32 x) { return Silu(x); });
  }
}

void FinishSpilledTile(const Product& p, const TileArgs& t, const Position& at, int64_t rows,
                       int64_t column, int64_t columns, int64_t ld) {
  const Epilogue& e = p.state->epilogue;
  if (!e.in_registers) RunProgramOnTile(p, at, rows, column, columns, ld);
  for (int64_t i = 0; i < rows; ++i) {
    float* row = p.tile_scratch + i * ld;
    if (e.in_registers) FinishSpilledRow(t, e, row, t.residual[i], columns);
    if (e.post != Post::kNone) FinishRows(e.post, &row, 1, columns);
    if (t.narrow_y) {
      StoreNarrowRow(row, columns, t.y16[i]);
    } else {
      StoreSpilledRow(row, columns, t.y[i], p.y_column);
    }
  }
}

// The next group's weights, spread evenly over the k steps of the tiles that run before it.
struct PrefetchPlan {
  const char* base = nullptr;
  int64_t step = 0;  // Bytes for each k step, at most a line.
};

PrefetchPlan PlanPrefetch(const Product& p, const TaskBlock& block, int64_t group) {
  PrefetchPlan plan;
  const Tiling& t = p.state->tiling;
  if (!t.prefetch || group + 1 >= t.groups) return plan;
  const int64_t begin = t.panels * (group + 1) / t.groups;
  const int64_t end = t.panels * (group + 2) / t.groups;
  const int64_t tiles = block.row_tile_end - block.row_tile_begin;
  const int64_t row_bytes = kPanel * p.state->column_bytes;
  const int64_t step = CeilDiv((end - begin) * row_bytes, tiles);
  plan.base = reinterpret_cast<const char*>(p.b) + begin * t.k * row_bytes;
  plan.step = step < 64 ? step : 64;
  return plan;
}

// The epilogue's part of the arguments.
FLOE_INLINE void SetEpilogue(const Product& p, TileArgs* t) {
  const Epilogue& e = p.state->epilogue;
  t->has_residual = e.residual >= 0;
  t->has_scale = e.scale != 1.0f || e.scale_operand >= 0;
  t->scale = e.scale;
  if (e.scale_operand >= 0) t->scale = *static_cast<const float*>(p.operands[e.scale_operand]);
  t->has_low = e.has_low;
  t->has_high = e.has_high;
  t->low = e.low;
  t->high = e.high;
}

// Computes the block's part of y.
[[maybe_unused]] void RunBlock(const Product& p, const TaskBlock& block) {
  const ProductState& s = *p.state;
  const Tiling& tiling = s.tiling;
  const Epilogue& e = s.epilogue;
  TileArgs t;
  t.taps = p.taps;
  t.tap_count = s.tap_count;
  t.run = s.run;
  t.panel_stride = tiling.k * kPanel;
  t.narrow_y = p.y16 != nullptr;
  SetEpilogue(p, &t);
  const auto find = s.find != nullptr ? s.find : &FindTile;
  const float* bias = nullptr;
  if (e.bias >= 0) bias = static_cast<const float*>(p.operands[e.bias]) + p.channel;
  const int64_t first_row_offset = p.first_row * s.a.x;
  const float* residual = nullptr;
  GridStrides residual_strides;
  if (e.residual >= 0) {
    const EpilogueOperandInfo& info = s.operands[e.residual];
    residual = static_cast<const float*>(p.operands[e.residual]) + info.offset + p.channel;
    residual_strides = info.strides;
  }
  for (int64_t group = block.group_begin; group < block.group_end; ++group) {
    const int64_t panel = tiling.panels * group / tiling.groups;
    const int64_t panel_end = tiling.panels * (group + 1) / tiling.groups;
    const int64_t panels = panel_end - panel;
    const int64_t column = panel * kPanel;
    const int64_t columns =
        tiling.n - column < panels * kPanel ? tiling.n - column : panels * kPanel;
    const bool partial = columns != panels * kPanel;
    const bool spill = !e.in_registers || p.y_column != 1 || (partial && !kMasksTails) ||
                       (t.narrow_y && e.post != Post::kNone);
    t.b = reinterpret_cast<const float*>(reinterpret_cast<const char*>(p.b) +
                                         (panel - p.first_panel) * t.panel_stride * s.column_bytes);
    t.bias = bias != nullptr ? bias + column : nullptr;
    t.last_columns = static_cast<uint32_t>(columns - (panels - 1) * kPanel);
    t.spill = spill ? p.tile_scratch : nullptr;
    const PrefetchPlan prefetch = PlanPrefetch(p, block, group);
    t.prefetch_step = prefetch.step;
    const float* residual_base = residual != nullptr ? residual + column : nullptr;
    float* y_base = p.y16 != nullptr ? nullptr : p.y + column * p.y_column;
    int64_t row = tiling.m * block.row_tile_begin / tiling.row_tiles;
    RowCursor cursor(s, residual_strides, row);
    for (int64_t tile = block.row_tile_begin; tile < block.row_tile_end; ++tile) {
      const int64_t row_end = tiling.m * (tile + 1) / tiling.row_tiles;
      const int64_t rows = row_end - row;
      const Position at = cursor.position();
      for (int64_t i = 0; i < rows; ++i) {
        int64_t a, y, r;
        cursor.Next(&a, &y, &r);
        if (p.a16 != nullptr) {
          t.a16[i] = p.a16 + (a - first_row_offset);
        } else {
          t.a[i] = p.a + (a - first_row_offset);
        }
        if (p.y16 != nullptr) {
          t.y16[i] = p.y16 + column + y;
        } else {
          t.y[i] = y_base + y;
        }
        t.residual[i] = residual_base + r;
      }
      t.prefetch = prefetch.base != nullptr
                       ? prefetch.base + (tile - block.row_tile_begin) * prefetch.step * tiling.k
                       : reinterpret_cast<const char*>(t.b);
      find(rows, panels)(t);
      if (spill) {
        FinishSpilledTile(p, t, at, rows, column, columns, panels * kPanel);
      } else if (e.post != Post::kNone) {
        FinishRows(e.post, t.y, rows, columns);
      }
      row = row_end;
    }
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_DRIVER_H_
