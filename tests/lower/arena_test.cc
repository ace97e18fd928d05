// Arena layouts: blocks that live at once never overlap, and little is wasted.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "compiler/lower/arena_layout.h"

namespace floe::lower {
namespace {

using Blocks = std::vector<ArenaBlock>;

bool Meet(const ArenaBlock& a, const ArenaBlock& b) {
  return a.first <= b.last && b.first <= a.last && a.first <= a.last && b.first <= b.last;
}

// The bound, moment by moment.
int64_t SlowBound(const Blocks& blocks) {
  int64_t most = 0;
  for (const ArenaBlock& at : blocks) {
    int64_t live = 0;
    for (const ArenaBlock& b : blocks) {
      if (b.first <= at.first && at.first <= b.last) live += b.bytes;
    }
    most = std::max({most, live, at.bytes});
  }
  return most;
}

ArenaLayout Check(const Blocks& blocks) {
  const ArenaLayout layout = LayOutArena(blocks);
  EXPECT_EQ(layout.offsets.size(), blocks.size());
  if (layout.offsets.size() != blocks.size()) return layout;
  int64_t end = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_GE(layout.offsets[i], 0);
    EXPECT_EQ(layout.offsets[i] % 64, 0);
    end = std::max(end, layout.offsets[i] + blocks[i].bytes);
    for (size_t k = 0; k < i; ++k) {
      const bool apart = layout.offsets[i] + blocks[i].bytes <= layout.offsets[k] ||
                         layout.offsets[k] + blocks[k].bytes <= layout.offsets[i];
      EXPECT_TRUE(apart || !Meet(blocks[i], blocks[k])) << i << " and " << k;
    }
  }
  EXPECT_EQ(layout.bytes, end);
  EXPECT_EQ(LivenessBound(blocks), SlowBound(blocks));
  EXPECT_GE(layout.bytes, SlowBound(blocks));
  return layout;
}

TEST(ArenaTest, Edges) {
  struct Case {
    const char* what;
    Blocks blocks;
    int64_t bytes;
  };
  constexpr uint32_t kMax = UINT32_MAX;
  const Case cases[] = {
      {"nothing", {}, 0},
      {"one", {{64, 3, 3}}, 64},
      {"no bytes", {{0, 0, 9}, {64, 0, 9}, {0, 2, 2}}, 64},
      {"one after the other", {{64, 0, 1}, {128, 2, 3}}, 128},
      {"touching at one moment", {{64, 0, 2}, {128, 2, 3}}, 192},
      {"never alive", {{640, kMax, 0}, {64, 0, 1}}, 640},
      {"the last moment that there is", {{64, 0, kMax}, {64, kMax, kMax}}, 128},
      {"largest first is not best", {{192, 0, 0}, {128, 0, 1}, {128, 1, 2}, {192, 2, 2}}, 320},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(Check(c.blocks).bytes, c.bytes);
  }
}

Blocks RandomBlocks(std::mt19937* random, size_t count, uint32_t times, uint32_t longest) {
  Blocks blocks;
  for (size_t i = 0; i < count; ++i) {
    const auto first = static_cast<uint32_t>((*random)() % times);
    const uint32_t last = std::min(times - 1, first + static_cast<uint32_t>((*random)() % longest));
    const int64_t size = int64_t{1} << ((*random)() % 6);
    blocks.push_back({64 * (size + static_cast<int64_t>((*random)() % 3)), first, last});
  }
  return blocks;
}

TEST(ArenaTest, RandomBlocksNeverOverlapAndLayoutsAreEqual) {
  std::mt19937 random(1);
  for (int i = 0; i < 400; ++i) {
    const Blocks blocks =
        RandomBlocks(&random, random() % 40, static_cast<uint32_t>(1 + random() % 30),
                     static_cast<uint32_t>(1 + random() % 12));
    const ArenaLayout layout = Check(blocks);
    EXPECT_EQ(LayOutArena(blocks).offsets, layout.offsets);
  }
}

// The least over all orders of placing each block as low as possible, which some order of reaches
// the optimum.
int64_t Optimum(const Blocks& blocks) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), 0u);
  int64_t best = INT64_MAX;
  do {
    std::vector<int64_t> offsets(blocks.size());
    std::vector<size_t> placed;
    int64_t end = 0;
    for (const size_t i : order) {
      std::sort(placed.begin(), placed.end(),
                [&](size_t a, size_t b) { return offsets[a] < offsets[b]; });
      int64_t at = 0;
      for (const size_t p : placed) {
        if (!Meet(blocks[p], blocks[i])) continue;
        if (offsets[p] - at >= blocks[i].bytes) break;
        at = std::max(at, offsets[p] + blocks[p].bytes);
      }
      offsets[i] = at;
      placed.push_back(i);
      end = std::max(end, at + blocks[i].bytes);
    }
    best = std::min(best, end);
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

TEST(ArenaTest, SmallProblemsAreSolvedBest) {
  std::mt19937 random(2);
  int64_t sum = 0, best = 0;
  for (int i = 0; i < 100; ++i) {
    const Blocks blocks = RandomBlocks(&random, 6, 6, 4);
    sum += Check(blocks).bytes;
    best += Optimum(blocks);
  }
  EXPECT_GE(sum, best);
  EXPECT_LE(static_cast<double>(sum), 1.005 * static_cast<double>(best));
}

TEST(ArenaTest, ManyBlocksStayNearTheBound) {
  std::mt19937 random(3);
  const Blocks blocks = RandomBlocks(&random, 2000, 2000, 6);
  EXPECT_LE(static_cast<double>(Check(blocks).bytes),
            1.3 * static_cast<double>(LivenessBound(blocks)));
}

}  // namespace
}  // namespace floe::lower
