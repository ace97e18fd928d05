// Products on the tile unit: the loop nest that gemm/ (pairs of bf16) and quantized/ (bytes) share.
// Rows are those of gemm/product.h, weights its panels, which are stacks of B tiles as they stand.
//
//   Blocks of 2 x 2 tiles: every tile is used twice. Where all rows fit four tiles and the weights
//   do not fit L2, 4 x 1: weights pass once.
//   Rows outside, panels inside: a row set stays in L1, weights come from L2, and once, so they are
//   loaded as such. Panels are cut so that a cut stays in L2 for all row sets; while one is used,
//   the next one is fetched. With a K so long that a row set does not stay in L1, panels outside.
//   A block's sums go to scratch, of which there are two: its rows are finished between the k steps
//   of the next block.
//   Rows of an image with a gap between its lines are one flat line: tiles cross line ends, and the
//   rows of the gaps are computed and dropped.
//   A depth that is no multiple of a tile's row ends with a chunk that repeats some of the one
//   before, with zeros in the copied A. Where taps are like that, rows are copied whole.
//
// Tiles have as many rows for all of a product: one configuration.
#ifndef FLOE_BACKENDS_CPU_AMX_BLOCKS_H_
#define FLOE_BACKENDS_CPU_AMX_BLOCKS_H_

#include "backends/cpu/amx/rows.h"
#include "backends/families/tile_scratch.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// For ChooseTiling. Two panels wide; what a step costs does not depend on its rows.
inline constexpr TileSet kAmxTileSet = {
    .max_rows = {0, 0, 16, 0, 0, 0, 0, 0, 0},
    .vectors_per_panel = 1,
    .broadcast_cost = 0.0f,
    .load_cost = 0.0f,
    .min_step = 32.0f,
};

constexpr int64_t kChunkBytes = kChunk * kTileBytes;
// Less leaves the tiles nearly empty: vectors are the better way, for a single row first of all.
constexpr int64_t kLeastRows = 4, kLeastGroups = 8;
constexpr int64_t kCutBytes = 768 << 10;    // Of weights that stay in L2.
constexpr int64_t kWeightsInL2 = 1 << 20;   // Of all weights: fewer pass L2 for free.
constexpr int64_t kLongRow = 2048;          // Bytes of a row of A; a set of these fills L1.
constexpr int64_t kPrefetchTiles = 8;       // Fewer row tiles have no time to fetch a cut.
constexpr int64_t kTileTaskWork = 1 << 22;  // Multiply-adds of a task, at least.
constexpr int64_t kCutUnits = 16;           // Of panels that are computed side by side.
constexpr int64_t kUnitColumns = 2 * kPanel;

// --- one block ----------------------------------------------------------------------------------

// Columns that are computed side by side, one or two panels of them: where sums start (f32 or s32,
// whole panels) and, for bytes, what they are multiplied with and what is added then.
struct TileColumns {
  alignas(64) int32_t start[kUnitColumns];
  alignas(64) float scale[kUnitColumns];
  alignas(64) float bias[kUnitColumns];
  int64_t panel, panels, column, columns;

  // From panel `first` on, of n columns in all; what they start from comes apart.
  void Place(int64_t first, int64_t count, int64_t n) {
    panel = first;
    panels = count;
    column = first * kPanel;
    columns = n - column < count * kPanel ? n - column : count * kPanel;
  }
};

struct TileBlock {
  const TileColumns* columns;
  RowTile rows[kMaxSet];
  int64_t count;  // Of them.
  int32_t* sums;  // Tile after tile, rows of 16 * panels.
  // Where the sums of each row tile go, and bytes between its rows.
  void* to[kMaxSet];
  int64_t pitch;
};

// The block before the one that is being summed. Finish::Row finishes one row of it.
template <class Finish>
class PendingRows {
 public:
  PendingRows(const Finish& finish, const ProductState& s, int64_t pitch)
      : finish_(finish), width_(s.grid.width), pitch_(pitch) {}

  void Start(const TileBlock& block) {
    block_ = block;
    tile_ = 0;
    left_ = 0;
    for (int64_t i = 0; i < block.count; ++i) left_ += block.rows[i].end - block.rows[i].skip;
    if (left_ > 0) walk_ = RowWalk(block.rows[0]);
  }
  int64_t left() const { return left_; }
  void Some(int64_t count) {
    if (count > left_) count = left_;
    if (count == 0) return;
    left_ -= count;
    const int64_t ld = block_.columns->panels * kPanel;
    for (; count > 0; --count) {
      if (walk_.at.x < width_) {
        finish_.Row(*block_.columns, block_.sums + (tile_ * kTileRows + walk_.row) * ld, walk_.at);
      }
      walk_.Next(pitch_);
      if (walk_.row == walk_.end && ++tile_ < block_.count) walk_ = RowWalk(block_.rows[tile_]);
    }
  }

 private:
  const Finish& finish_;
  const int64_t width_, pitch_;
  TileBlock block_ = {};
  int64_t tile_ = 0, left_ = 0;
  RowWalk walk_ = RowWalk(RowTile{});
};

// The next cut of the weights, some lines for each step.
struct CutPrefetch {
  const char* next = nullptr;
  const char* end = nullptr;
  int64_t lines = 0;

  FLOE_INLINE void Step() {
    for (int64_t i = 0; i < lines && next < end; ++i, next += kTileBytes) {
      __builtin_prefetch(next, 0, 2);
    }
  }
};

// What a block is summed from.
struct BlockSource {
  const TileSource* rows;
  const int64_t* taps;
  int64_t tap_count;
  const char* b;  // First panel.
  int64_t panel_bytes;
  bool preload;  // Sums start from the columns' `start`, not from zero.
};

// One k step.
template <class Kind, int kRowTiles, int kPanels>
FLOE_INLINE void TileStep(Tiles* tiles, const char* const (&a)[kMaxSet], int64_t at, int64_t pitch,
                          const char* b, int64_t panel_bytes) {
  tiles->LoadOnce<6>(b, kTileBytes);
  tiles->Load<4>(a[0] + at, pitch);
  Kind::template Dot<0, 4, 6>(tiles);
  if constexpr (kPanels == 2) {
    tiles->LoadOnce<7>(b + panel_bytes, kTileBytes);
    Kind::template Dot<1, 4, 7>(tiles);
    if constexpr (kRowTiles == 2) {
      tiles->Load<5>(a[1] + at, pitch);
      Kind::template Dot<2, 5, 6>(tiles);
      Kind::template Dot<3, 5, 7>(tiles);
    }
  } else {
    if constexpr (kRowTiles > 1) {
      tiles->Load<5>(a[1] + at, pitch);
      Kind::template Dot<1, 5, 6>(tiles);
    }
    if constexpr (kRowTiles > 2) {
      tiles->Load<4>(a[2] + at, pitch);
      Kind::template Dot<2, 4, 6>(tiles);
    }
    if constexpr (kRowTiles > 3) {
      tiles->Load<5>(a[3] + at, pitch);
      Kind::template Dot<3, 5, 6>(tiles);
    }
  }
}

template <int t>
FLOE_INLINE void StartTile(Tiles* tiles, bool preload, const int32_t* start) {
  if (preload) {
    tiles->Load<t>(start, 0);
  } else {
    tiles->Zero<t>();
  }
}

// Sums one block, while the one before is finished.
template <class Kind, int kRowTiles, int kPanels, class Finish>
void SumBlock(Tiles* tiles, const TilePlan& plan, const BlockSource& from, const TileBlock& block,
              PendingRows<Finish>* pending, CutPrefetch* prefetch) {
  constexpr int kTiles = kRowTiles * kPanels;
  const int32_t* start = block.columns->start;
  // Tile t has panel t % kPanels.
  StartTile<0>(tiles, from.preload, start);
  if constexpr (kTiles > 1) StartTile<1>(tiles, from.preload, start + 1 % kPanels * kPanel);
  if constexpr (kTiles > 2) StartTile<2>(tiles, from.preload, start);
  if constexpr (kTiles > 3) StartTile<3>(tiles, from.preload, start + 1 % kPanels * kPanel);
  const int64_t steps = from.tap_count * plan.chunks + (plan.tail ? 1 : 0);
  const int64_t share = steps > 0 ? Pieces(pending->left(), steps) : 0;
  const char* b = from.b;
  for (int64_t tap = 0; tap < from.tap_count; ++tap) {
    int64_t at = from.taps[tap] * Kind::kSize;
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk, at += kTileBytes, b += kChunkBytes) {
      TileStep<Kind, kRowTiles, kPanels>(tiles, from.rows->a, at, from.rows->pitch, b,
                                         from.panel_bytes);
      pending->Some(share);
      prefetch->Step();
    }
  }
  if (plan.tail) {
    TileStep<Kind, kRowTiles, kPanels>(tiles, from.rows->tail, 0, kTileBytes,
                                       from.b + (plan.groups - plan.least) * kTileBytes,
                                       from.panel_bytes);
  }
  pending->Some(pending->left());
  const auto to = [&](int t) __attribute__((always_inline)) {
    return static_cast<char*>(block.to[t / kPanels]) + t % kPanels * kTileBytes;
  };
  tiles->Store<0>(to(0), block.pitch);
  if constexpr (kTiles > 1) tiles->Store<1>(to(1), block.pitch);
  if constexpr (kTiles > 2) tiles->Store<2>(to(2), block.pitch);
  if constexpr (kTiles > 3) tiles->Store<3>(to(3), block.pitch);
}

template <class Kind, class Finish>
void SumAnyBlock(Tiles* tiles, const TilePlan& plan, const BlockSource& from,
                 const TileBlock& block, PendingRows<Finish>* pending, CutPrefetch* prefetch) {
  const auto sum = [&]<int kRowTiles, int kPanels>() {
    SumBlock<Kind, kRowTiles, kPanels>(tiles, plan, from, block, pending, prefetch);
  };
  if (block.columns->panels == 2) {
    return block.count == 2 ? sum.template operator()<2, 2>() : sum.template operator()<1, 2>();
  }
  switch (block.count) {
    case 1:
      return sum.template operator()<1, 1>();
    case 2:
      return sum.template operator()<2, 1>();
    case 3:
      return sum.template operator()<3, 1>();
    default:
      return sum.template operator()<4, 1>();
  }
}

// Decides where a block's sums go: true if that is the result itself.
template <class Finish>
bool PlaceSums(const Finish& finish, int64_t rows, TileBlock* block) {
  const TileColumns& columns = *block->columns;
  bool direct = columns.columns == columns.panels * kPanel;
  for (int64_t i = 0; direct && i < block->count; ++i) {
    block->to[i] = finish.Direct(columns, block->rows[i], rows);
    direct = block->to[i] != nullptr;
  }
  block->pitch = direct ? finish.direct_pitch : columns.panels * kTileBytes;
  for (int64_t i = 0; !direct && i < block->count; ++i) {
    block->to[i] = block->sums + i * kTileRows * columns.panels * kPanel;
  }
  return direct;
}

// The wanted rows of a block in runs of one image line.
template <class Finish>
void FinishRuns(Finish* finish, const TileBlock& block, int64_t width, int64_t pitch) {
  const int64_t ld = block.columns->panels * kPanel;
  for (int64_t i = 0; i < block.count; ++i) {
    RowWalk walk(block.rows[i]);
    while (walk.row < walk.end) {
      const int64_t line = (walk.at.x < width ? width : pitch) - walk.at.x;
      const int64_t rows = walk.end - walk.row < line ? walk.end - walk.row : line;
      if (walk.at.x < width) {
        finish->Rows(*block.columns, block.sums + (i * kTileRows + walk.row) * ld, walk.at, rows);
      }
      walk.row += rows;
      walk.at.x += rows;
      if (walk.at.x == pitch) {
        walk.at.x = 0;
        ++walk.at.y;
      }
    }
  }
}

// --- the loops ----------------------------------------------------------------------------------

// The operands of one task.
struct TileProduct {
  const ProductState* state;
  const char* a;  // Of row 0.
  const char* b;  // Of panel 0.
  const int64_t* taps;
};

// Two of each: a block is finished while the next one is summed.
struct TileScratch {
  int32_t* sums[2];
  TileColumns* cuts[2];
  char* rows;  // Copied ones.

  explicit TileScratch(void* scratch) {
    char* at = static_cast<char*>(scratch);
    for (auto& s : sums) {
      s = reinterpret_cast<int32_t*>(at);
      at += kMaxSet * kTileRows * kTileBytes;
    }
    for (auto& c : cuts) {
      c = reinterpret_cast<TileColumns*>(at);
      at += kCutUnits * static_cast<int64_t>(sizeof(TileColumns));
    }
    rows = at;
  }
};
static_assert(2 * (kMaxSet * kTileRows * kTileBytes + kCutUnits * sizeof(TileColumns)) <=
              families::kTileWorkBytes);

// How the loops of a task are cut.
struct TileCuts {
  int64_t set;    // Row tiles of a block.
  int64_t unit;   // Panels of a block.
  int64_t units;  // Of a cut.
};
TileCuts CutsOf(const ProductState& s, const TilePlan& plan, int64_t row_tiles, int64_t panels) {
  const int64_t panel_bytes = plan.groups * kTileBytes;
  TileCuts c{2, 2, 1};
  if (row_tiles > 2 && row_tiles <= kMaxSet && panels * panel_bytes > kWeightsInL2) {
    c.set = kMaxSet;
    c.unit = 1;
  }
  if (s.tap_count > 1 || plan.run_bytes <= kLongRow) {
    c.units = kCutBytes / (c.unit * (panel_bytes > 0 ? panel_bytes : 1));
    c.units = c.units < 1 ? 1 : c.units > kCutUnits ? kCutUnits : c.units;
  }
  return c;
}

// Runs a task's block. Finish, for columns and rows that the loops give it:
//   Fill(panel, panels, columns)   everything of TileColumns
//   preload, by_rows               sums start from `start`; Row finishes, else Rows does
//   Direct(columns, tile, rows)    where y is, if the sums of a whole row tile are the result
//   direct_pitch                   and bytes from one of its rows to the next
//   Row(columns, sums, at)         one row of a block, its sums those of all its panels
//   Rows(columns, sums, at, n)     n rows of one image line, rows of 16 * panels sums
template <class Kind, class Finish>
void RunTileBlock(Tiles* tiles, const TilePlan& plan, const TileProduct& p, const TaskBlock& task,
                  Finish* finish, void* scratch_memory) {
  const ProductState& s = *p.state;
  const Tiling& tiling = s.tiling;
  const RowTiles row_tiles(s);
  TileScratch scratch(scratch_memory);
  const int64_t first = tiling.panels * task.group_begin / tiling.groups;
  const int64_t last = tiling.panels * task.group_end / tiling.groups;
  const int64_t tiles_of = task.row_tile_end - task.row_tile_begin;
  const TileCuts cuts = CutsOf(s, plan, tiles_of, last - first);
  const int64_t panel_bytes = plan.groups * kTileBytes;
  const int64_t no_taps[1] = {0};
  TileSource source;
  BlockSource from;
  from.rows = &source;
  from.taps = plan.whole ? no_taps : p.taps;
  from.tap_count = plan.whole ? 1 : s.tap_count;
  from.panel_bytes = panel_bytes;
  from.preload = finish->preload;
  PendingRows<Finish> pending(*finish, s, row_tiles.pitch());
  TileBlock block;
  int turn = 0;
  int cut_turn = 0;
  for (int64_t panel = first; panel < last; cut_turn ^= 1) {
    const int64_t cut_end =
        panel + cuts.units * cuts.unit < last ? panel + cuts.units * cuts.unit : last;
    TileColumns* columns = scratch.cuts[cut_turn];
    int64_t units = 0;
    for (int64_t at = panel; at < cut_end; at += cuts.unit, ++units) {
      finish->Fill(at, cut_end - at < cuts.unit ? cut_end - at : cuts.unit, &columns[units]);
    }
    CutPrefetch prefetch;
    if (tiles_of >= kPrefetchTiles && tiling.prefetch && cut_end < last) {
      const int64_t next = cut_end + (cut_end - panel) < last ? cut_end - panel : last - cut_end;
      prefetch.next = p.b + cut_end * panel_bytes;
      prefetch.end = prefetch.next + next * panel_bytes;
      const int64_t steps = Pieces(tiles_of, cuts.set) * units *
                            (from.tap_count * plan.chunks > 0 ? from.tap_count * plan.chunks : 1);
      prefetch.lines = Pieces(next * plan.groups, steps);
    }
    for (int64_t tile = task.row_tile_begin; tile < task.row_tile_end; tile += cuts.set) {
      const int64_t left = task.row_tile_end - tile;
      block.count = left < cuts.set ? left : cuts.set;
      source.pitch = s.a.x * Kind::kSize;
      for (int64_t i = 0; i < block.count; ++i) {
        block.rows[i] = row_tiles.At(tile + i);
        source.a[i] = p.a + block.rows[i].a * Kind::kSize;
      }
      if (plan.whole || plan.tail) {
        CopyRows<Kind>(plan, s, p.taps, row_tiles.rows(), block.count, scratch.rows, &source);
      }
      for (int64_t unit = 0; unit < units; ++unit, turn ^= 1) {
        block.columns = &columns[unit];
        block.sums = scratch.sums[turn];
        const bool direct = PlaceSums(*finish, row_tiles.rows(), &block);
        from.b = p.b + columns[unit].panel * panel_bytes;
        SumAnyBlock<Kind>(tiles, plan, from, block, &pending, &prefetch);
        if (direct) continue;
        if (finish->by_rows) {
          pending.Start(block);
        } else {
          FinishRuns(finish, block, s.grid.width, row_tiles.pitch());
        }
      }
    }
    panel = cut_end;
  }
  pending.Some(pending.left());
}

// Turns the tiling's row tiles into those of lines. False if vectors are the better way.
template <class Kind>
bool UseTiles(ProductState* s) {
  if (s->empty || s->grid.width * s->grid.height < kLeastRows || s->tiling.k < kLeastGroups ||
      s->tap_count == 0) {
    return false;
  }
  const RowTiles tiles(*s);
  const TilePlan plan = PlanTiles<Kind>(*s);
  if (tiles.rows() < kLeastRows) return false;
  if (plan.whole && !families::TileRowsFit(plan.groups)) return false;
  Tiling* t = &s->tiling;
  t->row_tiles = tiles.count();
  if (t->row_blocks > t->row_tiles) t->row_blocks = t->row_tiles;
  // Tiles are fast: tasks are larger than those of vectors.
  const double work = static_cast<double>(t->m) * static_cast<double>(t->n) *
                      static_cast<double>(t->k) * (4.0 / Kind::kSize);
  const auto wanted = static_cast<int64_t>(work / static_cast<double>(kTileTaskWork)) + 1;
  if (t->row_blocks * t->group_blocks > wanted) {
    if (t->group_blocks > wanted) t->group_blocks = wanted;
    if (t->row_blocks * t->group_blocks > wanted) t->row_blocks = wanted / t->group_blocks;
  }
  return true;
}

TileConfig ConfigOf(const ProductState& s, const TilePlan& plan) {
  return MakeTileConfig(static_cast<int>(RowTiles(s).rows()), static_cast<int>(plan.least));
}

// Tasks [begin, end) of a gemm or convolution. finish_of(outer, &a, &b): the Finish of independent
// product `outer`, and its operands.
template <class Kind, class FinishOf>
void RunTileTasks(const KernelArgs& args, const ProductState& s, const int64_t* taps,
                  uint32_t begin, uint32_t end, void* scratch, FinishOf&& finish_of) {
  const TensorInfo& y = args.op->outputs[0];
  const TilePlan plan = PlanTiles<Kind>(s);
  TileProduct product = {&s, nullptr, nullptr, taps};
  Tiles tiles;
  tiles.Configure(ConfigOf(s, plan));
  for (uint32_t task = begin; task < end; ++task) {
    const TaskBlock block = BlockOfTask(s.tiling, task);
    auto finish = finish_of(block.outer, &product.a, &product.b);
    RunTileBlock<Kind>(&tiles, plan, product, block, &finish, scratch);
    if (y.layout == LayoutId::kChannelsLast) ZeroBlockHalo(s, block, y, args.outputs[0]);
  }
  tiles.Release();
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_AMX_BLOCKS_H_
