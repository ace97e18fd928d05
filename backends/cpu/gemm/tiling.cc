#include "backends/cpu/gemm/tiling.h"

#include <algorithm>

#include "format/checked.h"

namespace floe::cpu {
namespace {

// Fixed work of a tile (prologue, epilogue, stores) in units of vector FMAs, per accumulator and
// per tile; it matters when K is short.
constexpr double kTileOverhead = 24;
constexpr double kAccumulatorOverhead = 2.5;
// Blocks of A and all of B that should stay in a core's L2 (1 MiB on the smallest server cores)
// beside each other.
constexpr int64_t kRowBlockBytes = 256 << 10;
constexpr int64_t kWeightsInL2 = 448 << 10;
constexpr int64_t kTasksPerWorker = 6;
// Multiply-adds below which a task costs more to hand over than to run.
constexpr int64_t kTaskWork = 1 << 18;

double TileCost(const TileSet& set, double rows, double panels, double k) {
  const double fma = rows * panels * set.vectors_per_panel;
  const double load = rows * set.broadcast_cost + panels * set.vectors_per_panel * set.load_cost;
  const double step = std::max({fma, load, static_cast<double>(set.min_step)});
  return step * k + kTileOverhead + fma * kAccumulatorOverhead;
}

double TilingCost(const TileSet& set, int64_t m, int64_t panels, int64_t k, int64_t row_tiles,
                  int64_t groups) {
  double cost = 0;
  const int64_t rows_low = m / row_tiles, rows_high = m % row_tiles;
  const int64_t panels_low = panels / groups, panels_high = panels % groups;
  const auto add = [&](int64_t rows, int64_t count_rows, int64_t width, int64_t count_width) {
    if (count_rows == 0 || count_width == 0) return;
    cost += TileCost(set, static_cast<double>(rows), static_cast<double>(width),
                     static_cast<double>(k)) *
            static_cast<double>(count_rows) * static_cast<double>(count_width);
  };
  add(rows_low, row_tiles - rows_high, panels_low, groups - panels_high);
  add(rows_low + 1, rows_high, panels_low, groups - panels_high);
  add(rows_low, row_tiles - rows_high, panels_low + 1, panels_high);
  add(rows_low + 1, rows_high, panels_low + 1, panels_high);
  return cost;
}

void ChooseTiles(const Problem& p, const TileSet& set, Tiling* t) {
  double best = 0;
  for (int width = 1; width <= kMaxTilePanels; ++width) {
    const int64_t max_rows = set.max_rows[width];
    if (max_rows == 0) continue;
    const int64_t groups = CeilDiv(t->panels, width);
    const int64_t row_tiles = CeilDiv(p.m, max_rows);
    const double cost = TilingCost(set, p.m, t->panels, p.k, row_tiles, groups);
    if (t->groups != 0 && cost >= best) continue;
    best = cost;
    t->groups = groups;
    t->row_tiles = row_tiles;
    t->tile_rows = static_cast<uint8_t>(CeilDiv(p.m, row_tiles));
    t->tile_panels = static_cast<uint8_t>(CeilDiv(t->panels, groups));
  }
}

int64_t SaturatingMul(int64_t a, int64_t b) {
  int64_t r;
  return CheckedMul(a, b, &r) ? r : INT64_MAX;
}

void ChooseTasks(const Problem& p, Tiling* t) {
  const int64_t work = SaturatingMul(SaturatingMul(p.m, p.n), std::max<int64_t>(p.k, 1));
  int64_t wanted = 1;
  if (p.workers > 1) {
    wanted = std::min<int64_t>(p.workers * kTasksPerWorker,
                               std::max<int64_t>(1, SaturatingMul(work, p.outer) / kTaskWork));
    wanted = CeilDiv(wanted, p.outer);
  }
  const int64_t row_bytes = SaturatingMul(p.m, p.row_bytes);
  const int64_t weight_bytes = SaturatingMul(t->panels * 64, p.k);
  const int64_t cache_blocks = std::min<int64_t>(t->row_tiles, row_bytes / kRowBlockBytes + 1);
  t->rows_outer = weight_bytes <= kWeightsInL2;
  t->prefetch = !t->rows_outer;
  if (t->rows_outer) {
    t->row_blocks = std::min(t->row_tiles, std::max(wanted, cache_blocks));
    t->group_blocks = std::min(t->groups, CeilDiv(wanted, t->row_blocks));
  } else {
    // Each worker reads its own weights once; rows are split only when the columns do not suffice.
    t->group_blocks = std::min(t->groups, wanted);
    t->row_blocks = std::min(t->row_tiles, CeilDiv(wanted, t->group_blocks));
  }
}

}  // namespace

Tiling ChooseTiling(const Problem& problem, const TileSet& set) {
  Tiling t;
  t.m = problem.m;
  t.n = problem.n;
  t.k = problem.k;
  t.outer = problem.outer;
  t.panels = CeilDiv(problem.n, 16);
  ChooseTiles(problem, set, &t);
  ChooseTasks(problem, &t);
  return t;
}

TaskBlock BlockOfTask(const Tiling& t, int64_t task) {
  const int64_t grid = t.row_blocks * t.group_blocks;
  const int64_t in_grid = task % grid;
  const int64_t row_block = t.rows_outer ? in_grid / t.group_blocks : in_grid % t.row_blocks;
  const int64_t group_block = t.rows_outer ? in_grid % t.group_blocks : in_grid / t.row_blocks;
  TaskBlock b;
  b.outer = task / grid;
  b.row_tile_begin = t.row_tiles * row_block / t.row_blocks;
  b.row_tile_end = t.row_tiles * (row_block + 1) / t.row_blocks;
  b.group_begin = t.groups * group_block / t.group_blocks;
  b.group_end = t.groups * (group_block + 1) / t.group_blocks;
  b.first_group_block = group_block == 0;
  return b;
}

int64_t RowOfTile(const Tiling& t, int64_t tile) {
  return tile * (t.m / t.row_tiles) + std::min(tile, t.m % t.row_tiles);
}

int64_t EndOfEqualTiles(const Tiling& t, int64_t tile) {
  const int64_t higher = t.m % t.row_tiles;
  return tile < higher ? higher : t.row_tiles;
}

}  // namespace floe::cpu
