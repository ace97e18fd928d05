// The loop nest around the micro-kernels of qgemm and qconv: gemm/driver.h's, with bytes for rows.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_BLOCK_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_BLOCK_H_

#include "backends/cpu/quantized/products_finish.h"
#include "backends/cpu/quantized/products_tile.h"

namespace floe::cpu::FLOE_ISA {
namespace {

inline constexpr int64_t kMaxTileColumns = kMaxTilePanels * kPanel;

// Columns [column, column + columns) of a group of panels.
struct QGroup {
  alignas(64) int32_t start[kMaxTileColumns];
  alignas(64) float scale[kMaxTileColumns];
  alignas(64) float float_bias[kMaxTileColumns];
  const float* bias;  // Null: none in f32.
  bool simple;        // As QTileArgs::simple.
  int64_t panel, panels, column, columns;
};

void FillGroup(const QProduct& p, const Tiling& tiling, int64_t group, QGroup* g) {
  g->panel = tiling.panels * group / tiling.groups;
  g->panels = tiling.panels * (group + 1) / tiling.groups - g->panel;
  g->column = g->panel * kPanel;
  const int64_t left = tiling.n - g->column;
  g->columns = left < g->panels * kPanel ? left : g->panels * kPanel;
  g->simple = FillColumns(p.columns, p.floats.channel + g->column, g->columns, g->panels * kPanel,
                          g->start, g->scale, g->float_bias) &&
              !p.state->residual;
  g->bias = p.columns.float_bias != nullptr ? g->float_bias : nullptr;
}

// The hot forms of an f32 result, in one pass over the accumulators.
// (Group: QGroup, or what tile_products.h has in its place.)
template <class Group>
void FinishHotFloats(const QProduct& p, const Group& g, const TileArgs& t, int64_t rows) {
  const int64_t ld = g.panels * kPanel;
  const float* tile = p.floats.tile_scratch;
  const F32 factor = Broadcast(t.has_scale ? t.scale : 1.0f);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < g.columns; j += kWidth) {
      const int64_t n = g.columns - j;
      F32 x = Mul(ToFloat(LoadInts(tile + i * ld + j)), Load(g.scale + j));
      if (t.has_scale) x = Mul(x, factor);
      if (t.bias != nullptr) x = Add(x, LoadPart(t.bias + j, n));
      if (t.has_residual) x = Add(x, LoadPart(t.residual[i] + j, n));
      if (t.has_low) x = MaxOrSecond(Broadcast(t.low), x);
      if (t.has_high) x = MinOrSecond(Broadcast(t.high), x);
      if (n >= kWidth) {
        Store(t.y[i] + j, x);
      } else {
        StoreTail(t.y[i] + j, n, x);
      }
    }
  }
}

// The f32 result of a tile whose accumulators lie in the scratch tile.
template <class Group>
void FinishFloats(const QProduct& p, const Group& g, TileArgs* finish, const Position& at,
                  int64_t rows) {
  if (p.state->product.epilogue.in_registers) {
    FinishHotFloats(p, g, *finish, rows);
    return;
  }
  const int64_t ld = g.panels * kPanel;
  float* tile = p.floats.tile_scratch;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < ld; j += kWidth) {
      const I32 sums = LoadInts(tile + i * ld + j);
      Store(tile + i * ld + j, Mul(ToFloat(sums), Load(g.scale + j)));
    }
  }
  FinishSpilledTile(p.floats, *finish, at, rows, g.column, g.columns, ld);
}

// The rows of a block that are worked on for one group of panels after the other, so that what they
// read and write stays in the nearest caches.
constexpr int64_t kRowChunk = 256;

void FillRows(const ProductState& s, const GridStrides& residual, int64_t row, int64_t count,
              QRow* rows) {
  Position at = PositionOf(s.grid, row);
  while (count > 0) {
    const int64_t left = s.grid.width - at.x;
    const int64_t run = count < left ? count : left;
    const QRow first = {OffsetOf(s.a, at), OffsetOf(s.y, at), OffsetOf(residual, at)};
    for (int64_t i = 0; i < run; ++i) {
      rows[i] = {first.a + i * s.a.x, first.y + i * s.y.x, first.residual + i * residual.x};
    }
    rows += run;
    count -= run;
    at.x = 0;
    if (++at.y == s.grid.height) {
      at.y = 0;
      ++at.image;
    }
  }
}

// The next group's weights, a line for each step of the `tiles` before it.
PrefetchPlan PlanQPrefetch(const QProduct& p, int64_t group, int64_t tiles) {
  PrefetchPlan plan;
  const Tiling& t = p.state->product.tiling;
  if (!t.prefetch || group + 1 >= t.groups) return plan;
  const int64_t begin = t.panels * (group + 1) / t.groups;
  const int64_t end = t.panels * (group + 2) / t.groups;
  const int64_t step = CeilDiv((end - begin) * 4 * kPanel, tiles);
  plan.base = reinterpret_cast<const char*>(p.b + begin * t.k * 4 * kPanel);
  plan.step = step < 64 ? step : 64;
  return plan;
}

// One tile of an f32 result; `t` has all but what is the result's.
void RunFloatTile(const QProduct& p, const QGroup& g, FloatEpilogue* floats, QTileFn fn,
                  int64_t row, int64_t height, QTileArgs* t) {
  const Epilogue& e = p.state->product.epilogue;
  TileArgs* finish = &floats->finish;
  const bool partial = g.columns != g.panels * kPanel;
  const bool spill = !e.in_registers || (partial && !kMasksTails);
  for (int64_t i = 0; i < height; ++i) {
    finish->y[i] = p.floats.y + g.column + t->rows[i].y;
    finish->residual[i] =
        floats->residual != nullptr ? floats->residual + g.column + t->rows[i].residual : nullptr;
  }
  finish->last_columns = static_cast<uint32_t>(t->last_columns);
  t->floats = spill ? nullptr : finish;
  t->spill = spill ? reinterpret_cast<int32_t*>(p.floats.tile_scratch) : nullptr;
  fn(*t);
  if (spill) FinishFloats(p, g, finish, PositionOf(p.state->product.grid, row), height);
}

// All row tiles of a chunk, for one group of panels: the first are one row higher than the others.
void RunQChunk(const QProduct& p, const QGroup& g, FloatEpilogue* floats, int64_t row,
               int64_t count, const QRow* rows, QTileArgs* t) {
  const Tiling& tiling = p.state->product.tiling;
  const int64_t tiles = CeilDiv(count, int64_t{tiling.tile_rows});
  const int64_t low = count / tiles, higher = count % tiles;
  const char* prefetch = t->prefetch;
  for (int64_t tile = 0; tile < tiles; tile += t->tiles) {
    const int64_t height = tile < higher ? low + 1 : low;
    const QTileFn fn = kQTileTable.rows[height][g.panels].fn;
    t->rows = rows;
    t->prefetch = prefetch + tile * t->prefetch_step * tiling.k;
    if (p.state->bytes) {
      t->tiles = tile < higher ? higher : tiles - tile;
      fn(*t);
    } else {
      t->tiles = 1;
      RunFloatTile(p, g, floats, fn, row, height, t);
    }
    rows += t->tiles * height;
    row += t->tiles * height;
  }
}

// Computes the block's part of y.
[[maybe_unused]] void RunQBlock(const QProduct& p, const TaskBlock& block) {
  const ProductState& s = p.state->product;
  const Tiling& tiling = s.tiling;
  FloatEpilogue floats(p);
  QGroup g;
  QTileArgs t = {};
  t.a = p.a;
  t.taps = p.taps;
  t.tap_count = s.tap_count;
  t.run_groups = p.state->run_groups;
  t.panel_stride = tiling.k * 4 * kPanel;
  t.start = g.start;
  t.scale = g.scale;
  t.requantizer = &p.requantizer;
  const int64_t begin = tiling.m * block.row_tile_begin / tiling.row_tiles;
  const int64_t end = tiling.m * block.row_tile_end / tiling.row_tiles;
  const int64_t chunks = CeilDiv(end - begin, kRowChunk / tiling.tile_rows * tiling.tile_rows);
  QRow rows[kRowChunk];
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int64_t row = begin + (end - begin) * chunk / chunks;
    const int64_t count = begin + (end - begin) * (chunk + 1) / chunks - row;
    FillRows(s, floats.residual_strides, row, count, rows);
    for (int64_t group = block.group_begin; group < block.group_end; ++group) {
      FillGroup(p, tiling, group, &g);
      floats.MoveTo(g.column);
      t.b = p.b + g.panel * t.panel_stride;
      t.bias = g.bias;
      t.simple = g.simple;
      t.last_columns = g.columns - (g.panels - 1) * kPanel;
      if (p.state->bytes) t.y = p.y + g.column;
      if (p.residual != nullptr) t.residual = p.residual + p.floats.channel + g.column;
      const PrefetchPlan prefetch =
          PlanQPrefetch(p, group, CeilDiv(count, int64_t{tiling.tile_rows}));
      t.prefetch_step = prefetch.step;
      t.prefetch = prefetch.base != nullptr ? prefetch.base : reinterpret_cast<const char*>(t.b);
      RunQChunk(p, g, &floats, row, count, rows, &t);
    }
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_BLOCK_H_
