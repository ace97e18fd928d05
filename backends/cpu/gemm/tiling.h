// How a product of M rows and N columns is cut: into register tiles, and into tasks.
//
// Everything GEMM-like (gemm, conv and matmul, of f32, bf16 and bytes) is a loop nest around a
// micro-kernel: a tile of `rows` rows and `panels` 16-column weight panels whose accumulators live
// in registers and which walks the whole of K. All tiles of a kernel sum K in the same order, so an
// element's value depends on neither tile shape nor task grid. On the tile unit (amx/blocks.h) a
// Tiling's row tiles are parts of lines instead. This header and its .cc are compiled once, for the
// baseline.
#ifndef FLOE_BACKENDS_CPU_GEMM_TILING_H_
#define FLOE_BACKENDS_CPU_GEMM_TILING_H_

#include <cstdint>

namespace floe::cpu {

inline constexpr int kMaxTileRows = 16;
inline constexpr int kMaxTilePanels = 8;
// Floats of the largest accumulator tile of any ISA, with room for growth: the size of the scratch
// tile for epilogues that do not fit in registers. The same for every ISA: footprints are.
inline constexpr int64_t kTileScratchFloats = 1024;

// The tiles that an ISA has: of p panels, every row count from 1 to max_rows[p] (0: none).
struct TileSet {
  uint8_t max_rows[kMaxTilePanels + 1];
  // Cost of one k step, in units of one vector FMA: a row's broadcast, a panel row's loads, and
  // what the chain latency makes of a tile with too few accumulators.
  uint8_t vectors_per_panel;
  float broadcast_cost;
  float load_cost;
  float min_step;
};

struct Problem {
  int64_t outer = 1;  // Independent products (groups of a convolution, batch of a matmul).
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;          // Rows of a panel: of numbers, of pairs or of groups of four.
  int64_t row_bytes = 0;  // Distinct bytes of A for each row.
  uint32_t workers = 1;
};

// Row tiles differ by at most one row, the higher ones first, and no row is computed twice. Panel
// group g covers panels [panels * g / groups, panels * (g + 1) / groups). Tasks are a grid of
// blocks of tiles.
struct Tiling {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t panels = 0;
  int64_t row_tiles = 0;
  int64_t groups = 0;
  int64_t outer = 1;
  int64_t row_blocks = 1;
  int64_t group_blocks = 1;
  bool rows_outer = true;  // Consecutive tasks share rows' blocks (else panel groups).
  bool prefetch = false;   // Weights come from beyond L2: fetch the next group while computing.
  uint8_t tile_rows = 1;   // Of the largest tile; for the variant's name.
  uint8_t tile_panels = 1;

  int64_t tasks() const { return outer * row_blocks * group_blocks; }
};

// One task: row tiles [row_tile_begin, row_tile_end) of panel groups [group_begin, group_end).
struct TaskBlock {
  int64_t outer;
  int64_t row_tile_begin, row_tile_end;
  int64_t group_begin, group_end;
  bool first_group_block;
};

// `problem` with m, n > 0 and any k >= 0. The same problem and set give the same tiling.
Tiling ChooseTiling(const Problem& problem, const TileSet& set);

TaskBlock BlockOfTask(const Tiling& tiling, int64_t task);

// The first row of a row tile, 0 <= tile <= row_tiles.
int64_t RowOfTile(const Tiling& tiling, int64_t tile);

// The end of the tiles from `tile` on that have as many rows as it.
int64_t EndOfEqualTiles(const Tiling& tiling, int64_t tile);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_GEMM_TILING_H_
