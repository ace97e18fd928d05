// Scratch of products on a tile unit (cpu/amx/blocks.h), the same for every backend.
#ifndef FLOE_BACKENDS_FAMILIES_TILE_SCRATCH_H_
#define FLOE_BACKENDS_FAMILIES_TILE_SCRATCH_H_

#include <cstdint>

namespace floe::families {

// Sums and columns of blocks; the ends of copied rows of A; a block's rows of A, copied whole.
inline constexpr int64_t kTileWorkBytes = 24 << 10;
inline constexpr int64_t kTileEndBytes = 4 * 16 * 64;
inline constexpr int64_t kMostCopiedBytes = 64 << 10;
// (An odd number of cache lines, so that rows fall into different sets of the L1 cache.)
inline constexpr int64_t TileRowPitch(int64_t groups) { return ((groups / 16 + 1) | 1) * 64; }
inline constexpr bool TileRowsFit(int64_t groups) {
  return groups <= kMostCopiedBytes && 2 * 16 * TileRowPitch(groups) <= kMostCopiedBytes;
}
inline constexpr int64_t TileScratchBytes(int64_t tap_bytes, int64_t taps, int64_t groups) {
  if (tap_bytes % 64 == 0) return kTileWorkBytes;
  const bool rows = taps > 1 && TileRowsFit(groups);
  return kTileWorkBytes + kTileEndBytes + (rows ? 4 * 16 * TileRowPitch(groups) : 0);
}

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_TILE_SCRATCH_H_
