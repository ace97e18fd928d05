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
  int64_t panel, panels, column, columns;
};

void FillGroup(const QProduct& p, const Tiling& tiling, int64_t group, QGroup* g) {
  g->panel = tiling.panels * group / tiling.groups;
  g->panels = tiling.panels * (group + 1) / tiling.groups - g->panel;
  g->column = g->panel * kPanel;
  const int64_t left = tiling.n - g->column;
  g->columns = left < g->panels * kPanel ? left : g->panels * kPanel;
  FillColumns(p.columns, p.floats.channel + g->column, g->columns, g->panels * kPanel, g->start,
              g->scale);
}

// The hot forms of an f32 result, in one pass over the accumulators.
void FinishHotFloats(const QProduct& p, const QGroup& g, const TileArgs& t, int64_t rows) {
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
void FinishFloats(const QProduct& p, const QGroup& g, TileArgs* finish, const Position& at,
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

// The next group's weights, a line for each step of the tiles before it.
PrefetchPlan PlanQPrefetch(const QProduct& p, const TaskBlock& block, int64_t group) {
  PrefetchPlan plan;
  const Tiling& t = p.state->product.tiling;
  if (!t.prefetch || group + 1 >= t.groups) return plan;
  const int64_t begin = t.panels * (group + 1) / t.groups;
  const int64_t end = t.panels * (group + 2) / t.groups;
  const int64_t step =
      CeilDiv((end - begin) * 4 * kPanel, block.row_tile_end - block.row_tile_begin);
  plan.base = reinterpret_cast<const char*>(p.b + begin * t.k * 4 * kPanel);
  plan.step = step < 64 ? step : 64;
  return plan;
}

// Computes the block's part of y.
[[maybe_unused]] void RunQBlock(const QProduct& p, const TaskBlock& block) {
  const ProductState& s = p.state->product;
  const Tiling& tiling = s.tiling;
  const bool bytes = p.state->bytes;
  FloatEpilogue floats(p);
  QGroup g;
  QTileArgs t;
  t.taps = p.taps;
  t.tap_count = s.tap_count;
  t.run_groups = p.state->run_groups;
  t.panel_stride = tiling.k * 4 * kPanel;
  t.start = g.start;
  t.scale = g.scale;
  t.requantizer = &p.requantizer;
  t.spill = bytes ? nullptr : reinterpret_cast<int32_t*>(p.floats.tile_scratch);
  for (int64_t group = block.group_begin; group < block.group_end; ++group) {
    FillGroup(p, tiling, group, &g);
    floats.MoveTo(g.column);
    t.b = p.b + g.panel * t.panel_stride;
    const uint8_t* residual =
        p.residual != nullptr ? p.residual + p.floats.channel + g.column : nullptr;
    const float* float_residual = floats.residual != nullptr ? floats.residual + g.column : nullptr;
    t.last_columns = g.columns - (g.panels - 1) * kPanel;
    const PrefetchPlan prefetch = PlanQPrefetch(p, block, group);
    t.prefetch_step = prefetch.step;
    int64_t row = tiling.m * block.row_tile_begin / tiling.row_tiles;
    RowCursor cursor(s, floats.residual_strides, row);
    for (int64_t tile = block.row_tile_begin; tile < block.row_tile_end; ++tile) {
      const int64_t row_end = tiling.m * (tile + 1) / tiling.row_tiles;
      const int64_t rows = row_end - row;
      const Position at = cursor.position();
      for (int64_t i = 0; i < rows; ++i) {
        int64_t a, y, r;
        cursor.Next(&a, &y, &r);
        t.a[i] = p.a + a;
        if (bytes) {
          t.y[i] = p.y + g.column + y;
          t.residual[i] = residual + r;
        } else {
          floats.finish.y[i] = p.floats.y + g.column + y;
          floats.finish.residual[i] = float_residual + r;
        }
      }
      t.prefetch = prefetch.base != nullptr
                       ? prefetch.base + (tile - block.row_tile_begin) * prefetch.step * tiling.k
                       : reinterpret_cast<const char*>(t.b);
      kQTileTable.rows[rows][g.panels].fn(t);
      if (!bytes) FinishFloats(p, g, &floats.finish, at, rows);
      row = row_end;
    }
  }
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_BLOCK_H_
