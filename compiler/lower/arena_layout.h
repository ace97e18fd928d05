// Offsets for blocks that live for a while: the packing problem inside plan.cc, alone.
#ifndef FLOE_COMPILER_LOWER_ARENA_LAYOUT_H_
#define FLOE_COMPILER_LOWER_ARENA_LAYOUT_H_

#include <cstdint>
#include <span>
#include <vector>

namespace floe::lower {

struct ArenaBlock {
  int64_t bytes = 0;   // At least 0.
  uint32_t first = 0;  // Lives from here ...
  uint32_t last = 0;   // ... to here, inclusive. first > last: never, but it has a place.
};

struct ArenaLayout {
  std::vector<int64_t> offsets;  // One for each block.
  int64_t bytes = 0;             // Of the arena.
};

// The most bytes that live at once: no arena is smaller (but for blocks that never live).
int64_t LivenessBound(std::span<const ArenaBlock> blocks);

// Gives blocks that live at the same time disjoint places. Several orders are tried, each block at
// the lowest place that is free during its whole life, until one meets the bound; the best of them
// is then tried again and again with the blocks that stick out moved to the front, and now and then
// two others exchanged.
// Equal blocks give an equal layout. Offsets are sums of blocks' sizes, so they are as aligned as
// those. O(n^2) for each try, of which there are fewer the more blocks there are.
ArenaLayout LayOutArena(std::span<const ArenaBlock> blocks);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_ARENA_LAYOUT_H_
