// The micro-kernel family tile<rows, panels>: accumulators in registers over the whole of K.
// Included by gemm/'s ISA files only.
#ifndef FLOE_BACKENDS_CPU_GEMM_TILE_H_
#define FLOE_BACKENDS_CPU_GEMM_TILE_H_

#include "backends/cpu/gemm/tile_parts.h"

namespace floe::cpu::FLOE_ISA {
namespace {

template <int kRows, int kPanels>
void Tile(const TileArgs& t) {
  constexpr int kVecs = kPanels * kRowVecs;
  F32 c[kRows][kVecs];
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) {
    FLOE_UNROLL
    for (int j = 0; j < kVecs; ++j) c[i][j] = Zero();
  }
  const float* a[kRows];
  FLOE_UNROLL
  for (int i = 0; i < kRows; ++i) a[i] = t.a[i];
  PrefetchRows<kRows, kVecs>(t);
  const float* b = t.b;
  const int64_t panel_stride = t.panel_stride;
  const char* prefetch = t.prefetch;
  const int64_t prefetch_step = t.prefetch_step;
  for (int64_t tap = 0; tap < t.tap_count; ++tap) {
    int64_t k = t.taps[tap];
    const int64_t end = k + t.run;
    for (; k < end; ++k) {
      // One shared index for all rows: hidden from the compiler, which would otherwise advance
      // every row's pointer on its own.
      __asm__("" : "+r"(k));
      F32 panel[kVecs];
      FLOE_UNROLL
      for (int j = 0; j < kVecs; ++j) {
        panel[j] = Load(b + (j / kRowVecs) * panel_stride + (j % kRowVecs) * kWidth);
      }
      b += kPanel;
      // A tile of one vector per row is bound by its loads, of which this would be one in 14.
      if (kVecs > 1) {
        __builtin_prefetch(prefetch, 0, 2);
        prefetch += prefetch_step;
      }
      FLOE_UNROLL
      for (int i = 0; i < kRows; ++i) {
        F32 x = Broadcast(a[i][k]);
#if defined(FLOE_ISA_AVX512)
        // One broadcast into a register instead of one per FMA: a memory operand would take the
        // only 512-bit load port each time.
        if (kVecs > 1) __asm__("" : "+v"(x));
#endif
        FLOE_UNROLL
        for (int j = 0; j < kVecs; ++j) c[i][j] = MulAdd(x, panel[j], c[i][j]);
      }
    }
  }
  if (t.spill != nullptr) {
    Spill<kRows, kVecs>(t, c);
    return;
  }
  FinishInRegisters<kRows, kVecs>(t, c);
}

constexpr TileTable MakeTileTable() {
  TileTable table{};
#define FLOE_TILE(rows_, panels_, columns) \
  table.rows[rows_][panels_] = {&Tile<rows_, panels_>, FLOE_TILE_NAMES("f32", rows_, columns)};
  FLOE_TILES(FLOE_TILE)
#undef FLOE_TILE
  return table;
}
constinit const TileTable kTileTable = MakeTileTable();

}  // namespace

const TileSet& Tiles() { return kTileSet; }

TileFn FindTile(int64_t rows, int64_t panels) { return kTileTable.rows[rows][panels].fn; }

const char* VariantName(TileUser user, int64_t rows, int64_t panels) {
  return kTileTable.rows[rows][panels].names[static_cast<int>(user)];
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_TILE_H_
