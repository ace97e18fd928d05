// qgemm and qconv on the tile unit (amx/tiles.h): blocks of up to 2 x 2 tiles of 16 rows and 16
// columns. A panel of weights is a stack of B tiles as it stands, and so is every run of rows of A
// that are equally far apart, as the pixels of an image line are. Weights pass once for two tiles
// of rows and are loaded as such; accumulators start from memory and go through scratch to the same
// epilogue as everywhere.
//
// Shapes that would leave the tiles nearly empty, a single row first of all, run on the ISA's
// vectors: FLOE_VECTOR_ISA's kernels.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_TILE_PRODUCTS_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_TILE_PRODUCTS_H_

#include "backends/cpu/amx/tiles.h"
#include "backends/cpu/quantized/products_block.h"
#include "backends/halo.h"
#include "backends/kernel.h"

namespace floe::cpu {
namespace FLOE_VECTOR_ISA {
Status PrepareQGemm(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule);
Rule RunQGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
Status PrepareQConv(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule);
Rule RunQConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
}  // namespace FLOE_VECTOR_ISA

namespace FLOE_ISA {
namespace {

// Two panels wide; what a step costs does not depend on its rows.
inline constexpr TileSet kAmxTileSet = {
    .max_rows = {0, 0, 16, 0, 0, 0, 0, 0, 0},
    .vectors_per_panel = 1,
    .broadcast_cost = 0.0f,
    .load_cost = 0.0f,
    .min_step = 32.0f,
};
constexpr int64_t kChunk = 16;  // Groups of four in a tile's row.
constexpr int64_t kLeastRows = 4, kLeastGroups = 8;

// Row tile t of a product: part t % parts of grid line t / parts.
struct RowTiles {
  int64_t width, parts, rows;  // Of a line; `rows` are those of the tile configuration.

  explicit RowTiles(const Grid& grid)
      : width(grid.width),
        parts(CeilDiv(grid.width, int64_t{kTileRows})),
        rows(CeilDiv(grid.width, parts)) {}
};

struct RowTile {
  const uint8_t* a;  // Of the first row that is computed.
  Position at;       // Of the first row that is wanted, `skip` rows later.
  int64_t skip, count;
};

RowTile RowTileAt(const QProduct& p, const RowTiles& tiles, int64_t index) {
  const ProductState& s = p.state->product;
  const int64_t line = index / tiles.parts, part = index % tiles.parts;
  const int64_t begin = tiles.width * part / tiles.parts;
  const int64_t end = tiles.width * (part + 1) / tiles.parts;
  // Surplus rows are the line's own: nothing beyond its end is read.
  const int64_t start = begin + tiles.rows > tiles.width ? tiles.width - tiles.rows : begin;
  RowTile t;
  t.at = {begin, line % s.grid.height, line / s.grid.height};
  t.a = p.a + OffsetOf(s.a, t.at) - (begin - start) * s.a.x;
  t.skip = begin - start;
  t.count = end - begin;
  return t;
}

// The sums of one block, into `sums[r]`, rows of 16 * kPanels.
template <int kRowTiles, int kPanels>
void SumBlock(Tiles* tiles, const QProduct& p, const RowTile (&rows)[2], const QGroup& g,
              int8_t* tail, int32_t* const (&sums)[2]) {
  const ProductState& s = p.state->product;
  const int64_t run_groups = p.state->run_groups;
  const int64_t panel_bytes = s.tiling.k * 4 * kPanel;
  const int8_t* b = p.b + g.panel * panel_bytes;
  tiles->Load<0>(g.start, 0);
  if constexpr (kPanels == 2) tiles->Load<1>(g.start + kPanel, 0);
  if constexpr (kRowTiles == 2) {
    tiles->Load<2>(g.start, 0);
    if constexpr (kPanels == 2) tiles->Load<3>(g.start + kPanel, 0);
  }
  for (int64_t tap = 0; tap < s.tap_count; ++tap) {
    for (int64_t k = 0; k < run_groups; k += kChunk) {
      const int64_t groups = run_groups - k < kChunk ? run_groups - k : kChunk;
      const int64_t a_at = p.taps[tap] + 4 * k;
      const int8_t* panels[2] = {b, b + panel_bytes};
      // Behind the last group there are others': zeros stand for them, and it does not matter what
      // of A they meet.
      for (int i = 0; groups < kChunk && i < kPanels; ++i) {
        int8_t* filled = tail + i * kTileRows * kTileBytes;
        __builtin_memset(filled, 0, kTileRows * kTileBytes);
        __builtin_memcpy(filled, panels[i], static_cast<size_t>(groups * kTileBytes));
        panels[i] = filled;
      }
      tiles->Load<4>(rows[0].a + a_at, s.a.x);
      tiles->LoadOnce<6>(panels[0], kTileBytes);
      tiles->DotBytes<0, 4, 6>();
      if constexpr (kPanels == 2) {
        tiles->LoadOnce<7>(panels[1], kTileBytes);
        tiles->DotBytes<1, 4, 7>();
      }
      if constexpr (kRowTiles == 2) {
        tiles->Load<5>(rows[1].a + a_at, s.a.x);
        tiles->DotBytes<2, 5, 6>();
        if constexpr (kPanels == 2) tiles->DotBytes<3, 5, 7>();
      }
      b += groups * kTileBytes;
    }
  }
  constexpr int64_t kPitch = kPanels * kPanel * 4;
  tiles->Store<0>(sums[0], kPitch);
  if constexpr (kPanels == 2) tiles->Store<1>(sums[0] + kPanel, kPitch);
  if constexpr (kRowTiles == 2) {
    tiles->Store<2>(sums[1], kPitch);
    if constexpr (kPanels == 2) tiles->Store<3>(sums[1] + kPanel, kPitch);
  }
}

// Bytes of one row tile from its sums.
void FinishByteTile(const QProduct& p, const GridStrides& residual_strides, const RowTile& t,
                    const QGroup& g, const int32_t* sums) {
  const ProductState& s = p.state->product;
  uint8_t* y = p.y + OffsetOf(s.y, t.at) + g.column;
  const uint8_t* residual = p.residual != nullptr ? p.residual + OffsetOf(residual_strides, t.at) +
                                                        p.floats.channel + g.column
                                                  : nullptr;
  const int64_t ld = g.panels * kPanel;
  for (int64_t i = 0; i < t.count; ++i) {
    const int32_t* row = sums + (t.skip + i) * ld;
    for (int64_t j = 0; j < ld; j += kPanel) {
      I32 panel[kRowVecs];
      FLOE_UNROLL
      for (int v = 0; v < kRowVecs; ++v) panel[v] = LoadInts(row + j + v * kWidth);
      const int64_t left = g.columns - j;
      RequantizeRow<1>(p.requantizer, panel, g.scale + j, g.bias != nullptr ? g.bias + j : nullptr,
                       residual != nullptr ? residual + j : nullptr, left < kPanel ? left : kPanel,
                       y + j);
    }
    y += s.y.x;
    if (residual != nullptr) residual += residual_strides.x;
  }
}

void FinishFloatTile(QProduct* p, FloatEpilogue* floats, const RowTile& t, const QGroup& g,
                     int32_t* sums) {
  const ProductState& s = p->state->product;
  floats->MoveTo(g.column);
  const float* residual = floats->residual != nullptr ? floats->residual + g.column : nullptr;
  for (int64_t i = 0; i < t.count; ++i) {
    Position at = t.at;
    at.x += i;
    floats->finish.y[i] = p->floats.y + OffsetOf(s.y, at) + g.column;
    floats->finish.residual[i] =
        residual != nullptr ? residual + OffsetOf(floats->residual_strides, at) : nullptr;
  }
  p->floats.tile_scratch = reinterpret_cast<float*>(sums + t.skip * g.panels * kPanel);
  FinishFloats(*p, g, &floats->finish, t.at, t.count);
}

// Computes the block's part of y; `p` is in its group.
void RunTileBlock(Tiles* tiles, QProduct* p, const TaskBlock& block, void* scratch) {
  const ProductState& s = p->state->product;
  const RowTiles row_tiles(s.grid);
  auto* bytes = static_cast<char*>(scratch);
  int32_t* const sums[2] = {reinterpret_cast<int32_t*>(bytes),
                            reinterpret_cast<int32_t*>(bytes + families::kTileScratchBytes)};
  auto* tail = reinterpret_cast<int8_t*>(bytes + 2 * families::kTileScratchBytes);
  FloatEpilogue floats(*p);
  QGroup g;
  for (int64_t group = block.group_begin; group < block.group_end; ++group) {
    FillGroup(*p, s.tiling, group, &g);
    for (int64_t tile = block.row_tile_begin; tile < block.row_tile_end; tile += 2) {
      const int64_t count = block.row_tile_end - tile < 2 ? 1 : 2;
      RowTile rows[2];
      for (int64_t i = 0; i < count; ++i) rows[i] = RowTileAt(*p, row_tiles, tile + i);
      if (count == 2 && g.panels == 2) {
        SumBlock<2, 2>(tiles, *p, rows, g, tail, sums);
      } else if (count == 2) {
        SumBlock<2, 1>(tiles, *p, rows, g, tail, sums);
      } else if (g.panels == 2) {
        SumBlock<1, 2>(tiles, *p, rows, g, tail, sums);
      } else {
        SumBlock<1, 1>(tiles, *p, rows, g, tail, sums);
      }
      for (int64_t i = 0; i < count; ++i) {
        if (p->state->bytes) {
          FinishByteTile(*p, floats.residual_strides, rows[i], g, sums[i]);
        } else {
          FinishFloatTile(p, &floats, rows[i], g, sums[i]);
        }
      }
    }
  }
}

// Turns the tiling's row tiles into those of lines. False if vectors are the better way.
bool UseTiles(QProductState* state) {
  ProductState* s = &state->product;
  if (s->empty || s->grid.width < kLeastRows || state->run_groups < kLeastGroups) return false;
  const RowTiles tiles(s->grid);
  Tiling* t = &s->tiling;
  t->row_tiles = t->m / tiles.width * tiles.parts;
  if (t->row_blocks > t->row_tiles) t->row_blocks = t->row_tiles;
  state->tiles = true;
  return true;
}

TileConfig ConfigOf(const QProductState& state) {
  return MakeTileConfig(static_cast<int>(RowTiles(state.product.grid).rows), kTileRows);
}

}  // namespace

Status PrepareQGemm(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule) {
  auto* s = static_cast<QProductState*>(state);
  PrepareQGemmProduct(op, context, kAmxTileSet, s);
  if (!UseTiles(s)) return FLOE_VECTOR_ISA::PrepareQGemm(op, context, state, schedule);
  schedule->tasks = static_cast<uint32_t>(s->product.tiling.tasks());
  schedule->variant = FLOE_VARIANT("u8_gemm_tiles");
  return OkStatus();
}

Rule RunQGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  const auto* state = static_cast<const QProductState*>(args.state);
  if (!state->tiles) return FLOE_VECTOR_ISA::RunQGemm(args, phase, begin, end, scratch);
  const int64_t taps[1] = {0};
  QProduct p(args, scratch);
  p.taps = taps;
  Tiles tiles;
  tiles.Configure(ConfigOf(*state));
  for (uint32_t task = begin; task < end; ++task) {
    RunTileBlock(&tiles, &p, BlockOfTask(state->product.tiling, task), scratch);
  }
  tiles.Release();
  return Rule::kNone;
}

Status PrepareQConv(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule) {
  auto* s = static_cast<QProductState*>(state);
  PrepareQConvProduct(op, context, kAmxTileSet, s);
  if (!UseTiles(s)) return FLOE_VECTOR_ISA::PrepareQConv(op, context, state, schedule);
  schedule->tasks = static_cast<uint32_t>(s->product.tiling.tasks());
  schedule->variant = FLOE_VARIANT("u8_conv_tiles");
  return OkStatus();
}

Rule RunQConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  const auto* state = static_cast<const QProductState*>(args.state);
  if (!state->tiles) return FLOE_VECTOR_ISA::RunQConv(args, phase, begin, end, scratch);
  QProduct p(args, scratch);
  p.taps = TapTable(args.state);
  Tiles tiles;
  tiles.Configure(ConfigOf(*state));
  for (uint32_t task = begin; task < end; ++task) {
    const TaskBlock block = BlockOfTask(state->product.tiling, task);
    p.MoveTo(block.outer, args);
    RunTileBlock(&tiles, &p, block, scratch);
    ZeroBlockHalo(state->product, block, args.op->outputs[0], args.outputs[0]);
  }
  tiles.Release();
  return Rule::kNone;
}

}  // namespace FLOE_ISA
}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_TILE_PRODUCTS_H_
