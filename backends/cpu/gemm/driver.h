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

// The same, Epilogue::post and rounding to bf16, in one pass.
template <class F>
FLOE_INLINE void FinishRowInto(const TileArgs& t, const Epilogue& e, const float* row,
                               const float* residual, int64_t columns, uint16_t* y, F post) {
  for (int64_t j = 0; j < columns; j += kWidth) {
    const int64_t n = columns - j;
    F32 x = Load(row + j);
    if (t.has_scale) x = Mul(x, Broadcast(t.scale));
    if (t.bias != nullptr) x = Add(x, LoadPart(t.bias + j, n));
    if (t.has_residual) x = Add(x, LoadPart(residual + j, n));
    if (e.has_low) x = MaxOrSecond(Broadcast(e.low), x);
    if (e.has_high) x = MinOrSecond(Broadcast(e.high), x);
    x = post(x);
    if (n >= kWidth) {
      StoreBrain(y + j, x);
    } else {
      StoreBrainTail(y + j, n, x);
    }
  }
}

void FinishNarrowRow(const TileArgs& t, const Epilogue& e, const float* row, const float* residual,
                     int64_t columns, uint16_t* y) {
  const auto finish = [&](auto post) { FinishRowInto(t, e, row, residual, columns, y, post); };
  switch (e.post) {
    case Post::kNone:
      return finish([](F32 x) { return x; });
    case Post::kGelu:
      return finish([](F32 x) { return GeluForBrain(x); });
    case Post::kGeluTanh:
      return finish([](F32 x) { return GeluTanh(x); });
    case Post::kSilu:
      return finish([](F32 x) { return Silu(x); });
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
    if (e.in_registers && t.narrow_y) {
      FinishNarrowRow(t, e, row, t.residual[i], columns, t.y16[i]);
      continue;
    }
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

  // Where tile `tile` of the block starts; `b` without a plan, for one line again and again.
  const char* At(int64_t tile, int64_t k, const float* b) const {
    return base != nullptr ? base + tile * step * k : reinterpret_cast<const char*>(b);
  }
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

// The rows of several tiles: what the A descriptor, y and the residual have for each.
struct RowTable {
  static constexpr int64_t kRows = 256;
  const float* a[kRows];
  float* y[kRows];
  const float* residual[kRows];
};

// What is the same for all rows of a panel group.
struct RowBases {
  const float* a;
  float* y;
  const float* residual;  // Null: none.
  GridStrides residual_strides;
};

// rows[i] = base + i * step.
template <class T>
FLOE_INLINE void FillRows(T* base, int64_t step, int64_t count, T** rows) {
  for (int64_t i = 0; i < count; ++i) rows[i] = base + i * step;
}

// The table for `count` rows from *at on, which moves behind them.
void FillRowTable(const ProductState& s, const RowBases& bases, int64_t count, Position* at,
                  RowTable* table) {
  for (int64_t done = 0; done < count;) {
    const int64_t left = s.grid.width - at->x;
    const int64_t run = count - done < left ? count - done : left;
    FillRows(bases.a + OffsetOf(s.a, *at), s.a.x, run, table->a + done);
    FillRows(bases.y + OffsetOf(s.y, *at), s.y.x, run, table->y + done);
    if (bases.residual != nullptr) {
      FillRows(bases.residual + OffsetOf(bases.residual_strides, *at), bases.residual_strides.x,
               run, table->residual + done);
    }
    done += run;
    at->x += run;
    if (at->x == s.grid.width) {
      at->x = 0;
      if (++at->y == s.grid.height) {
        at->y = 0;
        ++at->image;
      }
    }
  }
}

// All row tiles of a block for the panels of *t, whose epilogue happens in registers: several
// tiles for each call, so that the loop over them is the micro-kernel's own.
void RunTileRuns(const ProductState& s, const TaskBlock& block, const RowBases& bases,
                 int64_t panels, const PrefetchPlan& prefetch, TileArgs* t) {
  const Tiling& tiling = s.tiling;
  RowTable table;
  t->a_rows = table.a;
  t->y_rows = table.y;
  t->residual_rows = table.residual;
  int64_t row = RowOfTile(tiling, block.row_tile_begin);
  Position at = PositionOf(s.grid, row);
  for (int64_t tile = block.row_tile_begin; tile < block.row_tile_end;) {
    const int64_t rows = RowOfTile(tiling, tile + 1) - row;
    const int64_t end = EndOfEqualTiles(tiling, tile);
    int64_t tiles = (end < block.row_tile_end ? end : block.row_tile_end) - tile;
    if (tiles > RowTable::kRows / rows) tiles = RowTable::kRows / rows;
    FillRowTable(s, bases, tiles * rows, &at, &table);
    t->tiles = tiles;
    t->prefetch = prefetch.At(tile - block.row_tile_begin, tiling.k, t->b);
    FindTileOf(rows, panels, t->last_columns)(*t);
    tile += tiles;
    row += tiles * rows;
  }
}
// A panel group of a block.
struct GroupRange {
  int64_t column, columns, panels;
  bool spill;  // The epilogue runs over the scratch tile.
};

GroupRange GroupAt(const Product& p, int64_t group) {
  const Tiling& t = p.state->tiling;
  const int64_t panel = t.panels * group / t.groups;
  GroupRange g;
  g.panels = t.panels * (group + 1) / t.groups - panel;
  g.column = panel * kPanel;
  g.columns = t.n - g.column < g.panels * kPanel ? t.n - g.column : g.panels * kPanel;
  const bool partial = g.columns != g.panels * kPanel;
  const Epilogue& e = p.state->epilogue;
  g.spill = !e.in_registers || p.y_column != 1 || (partial && !kMasksTails) ||
            (p.y16 != nullptr && e.post != Post::kNone);
  return g;
}

// As RunTileRuns one tile at a time, for everything that happens after each or that takes other
// pointers than f32's.
void RunSingleTiles(const Product& p, const TaskBlock& block, const RowBases& bases,
                    const GroupRange& group, const PrefetchPlan& prefetch, TileArgs* t) {
  const ProductState& s = *p.state;
  const Tiling& tiling = s.tiling;
  const Epilogue& e = s.epilogue;
  const auto find = s.find != nullptr ? s.find : &FindTile;
  const int64_t first_row_offset = p.first_row * s.a.x;
  t->tiles = 1;
  t->a_rows = nullptr;
  t->y_rows = nullptr;
  t->residual_rows = nullptr;
  int64_t row = RowOfTile(tiling, block.row_tile_begin);
  RowCursor cursor(s, bases.residual_strides, row);
  for (int64_t tile = block.row_tile_begin; tile < block.row_tile_end; ++tile) {
    const int64_t row_end = RowOfTile(tiling, tile + 1);
    const int64_t rows = row_end - row;
    const Position at = cursor.position();
    for (int64_t i = 0; i < rows; ++i) {
      int64_t a, y, r;
      cursor.Next(&a, &y, &r);
      if (p.a16 != nullptr) {
        t->a16[i] = p.a16 + (a - first_row_offset);
      } else {
        t->a[i] = bases.a + a;
      }
      if (p.y16 != nullptr) {
        t->y16[i] = p.y16 + group.column + y;
      } else {
        t->y[i] = bases.y + y;
      }
      t->residual[i] = bases.residual + r;
    }
    t->prefetch = prefetch.At(tile - block.row_tile_begin, tiling.k, t->b);
    find(rows, group.panels)(*t);
    if (group.spill) {
      FinishSpilledTile(p, *t, at, rows, group.column, group.columns, group.panels * kPanel);
    } else if (e.post != Post::kNone) {
      FinishRows(e.post, t->y, rows, group.columns);
    }
    row = row_end;
  }
}

// Computes the block's part of y.
[[maybe_unused]] void RunBlock(const Product& p, const TaskBlock& block) {
  const ProductState& s = *p.state;
  const Epilogue& e = s.epilogue;
  TileArgs t;
  t.taps = p.taps;
  t.tap_count = s.tap_count;
  t.run = s.run;
  t.panel_stride = s.tiling.k * kPanel;
  t.far_weights = s.tiling.prefetch;
  t.narrow_y = p.y16 != nullptr;
  SetEpilogue(p, &t);
  const float* bias = nullptr;
  if (e.bias >= 0) bias = static_cast<const float*>(p.operands[e.bias]) + p.channel;
  const float* residual = nullptr;
  RowBases bases{};
  if (p.a != nullptr) bases.a = p.a - p.first_row * s.a.x;
  if (e.residual >= 0) {
    const EpilogueOperandInfo& info = s.operands[e.residual];
    residual = static_cast<const float*>(p.operands[e.residual]) + info.offset + p.channel;
    bases.residual_strides = info.strides;
  }
  const bool runs = s.find == nullptr && p.y16 == nullptr && e.post == Post::kNone;
  for (int64_t group = block.group_begin; group < block.group_end; ++group) {
    const GroupRange g = GroupAt(p, group);
    t.b = reinterpret_cast<const float*>(reinterpret_cast<const char*>(p.b) +
                                         (g.column / kPanel - p.first_panel) * t.panel_stride *
                                             s.column_bytes);
    t.bias = bias != nullptr ? bias + g.column : nullptr;
    t.last_columns = static_cast<uint32_t>(g.columns - (g.panels - 1) * kPanel);
    t.spill = g.spill ? p.tile_scratch : nullptr;
    const PrefetchPlan prefetch = PlanPrefetch(p, block, group);
    t.prefetch_step = prefetch.step;
    if (residual != nullptr) bases.residual = residual + g.column;
    if (p.y != nullptr) bases.y = p.y + g.column * p.y_column;
    if (runs && !g.spill) {
      RunTileRuns(s, block, bases, g.panels, prefetch, &t);
    } else {
      RunSingleTiles(p, block, bases, g, prefetch, &t);
    }
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_DRIVER_H_
