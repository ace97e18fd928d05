#include "compiler/lower/arena_layout.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <tuple>

namespace floe::lower {
namespace {

using Blocks = std::span<const ArenaBlock>;
using Order = std::vector<uint32_t>;

bool Lives(const ArenaBlock& b) { return b.first <= b.last; }
bool Meet(const ArenaBlock& a, const ArenaBlock& b) {
  return Lives(a) && Lives(b) && a.first <= b.last && b.first <= a.last;
}

// Bytes that live at each time that a block begins or just after it ends, by time.
std::map<uint64_t, int64_t> LiveBytes(Blocks blocks) {
  std::map<uint64_t, int64_t> change;
  for (const ArenaBlock& b : blocks) {
    if (!Lives(b)) continue;
    change[b.first] += b.bytes;
    change[uint64_t{b.last} + 1] -= b.bytes;
  }
  int64_t live = 0;
  for (auto& [time, bytes] : change) bytes = live += bytes;
  return change;
}

// Each block at the lowest place that is free during its life, in the order given. Gives up once
// the arena would reach `limit`: then bytes is at least that.
ArenaLayout Place(Blocks blocks, const Order& order, int64_t limit) {
  ArenaLayout layout;
  layout.offsets.assign(blocks.size(), 0);
  Order placed;  // By offset.
  placed.reserve(blocks.size());
  for (const uint32_t i : order) {
    const ArenaBlock& block = blocks[i];
    int64_t at = 0;
    for (const uint32_t p : placed) {
      if (!Meet(blocks[p], block)) continue;
      if (layout.offsets[p] - at >= block.bytes) break;
      at = std::max(at, layout.offsets[p] + blocks[p].bytes);
    }
    layout.offsets[i] = at;
    layout.bytes = std::max(layout.bytes, at + block.bytes);
    if (layout.bytes >= limit) return layout;
    placed.insert(std::upper_bound(placed.begin(), placed.end(), at,
                                   [&](int64_t v, uint32_t p) { return v < layout.offsets[p]; }),
                  i);
  }
  return layout;
}

template <typename Rank>
Order OrderBy(Blocks blocks, Rank rank) {
  Order order(blocks.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return rank(blocks[a]) < rank(blocks[b]); });
  return order;
}

// How full it is at the fullest moment of a block's life.
std::vector<int64_t> Pressure(Blocks blocks) {
  const std::map<uint64_t, int64_t> live = LiveBytes(blocks);
  std::vector<int64_t> pressure(blocks.size(), 0);
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (!Lives(blocks[i])) continue;
    for (auto t = live.find(blocks[i].first); t != live.end() && t->first <= blocks[i].last; ++t) {
      pressure[i] = std::max(pressure[i], t->second);
    }
  }
  return pressure;
}

double Area(const ArenaBlock& b) {
  return static_cast<double>(b.bytes) *
         (Lives(b) ? static_cast<double>(b.last - b.first) + 1 : 0.0);
}
uint32_t Length(const ArenaBlock& b) { return Lives(b) ? b.last - b.first : 0; }

std::vector<Order> Orders(Blocks blocks) {
  std::vector<Order> orders;
  orders.push_back(OrderBy(blocks, [](const ArenaBlock& b) { return -b.bytes; }));
  const std::vector<int64_t> pressure = Pressure(blocks);
  orders.push_back(OrderBy(blocks, [&](const ArenaBlock& b) {
    return std::make_tuple(-pressure[static_cast<size_t>(&b - blocks.data())], -b.bytes);
  }));
  orders.push_back(OrderBy(blocks, [](const ArenaBlock& b) { return -Area(b); }));
  orders.push_back(OrderBy(blocks, [](const ArenaBlock& b) {
    return std::make_tuple(-static_cast<int64_t>(Length(b)), -b.bytes);
  }));
  orders.push_back(
      OrderBy(blocks, [](const ArenaBlock& b) { return std::make_tuple(b.first, -b.bytes); }));
  orders.push_back(OrderBy(blocks, [](const ArenaBlock& b) {
    return std::make_tuple(-static_cast<int64_t>(b.last), -b.bytes);
  }));
  return orders;
}

// Blocks that reach the arena's end go first, then the others in their order.
void MoveTopToFront(Blocks blocks, const ArenaLayout& layout, Order* order) {
  std::stable_partition(order->begin(), order->end(), [&](uint32_t i) {
    return layout.offsets[i] + blocks[i].bytes == layout.bytes;
  });
}

}  // namespace

int64_t LivenessBound(Blocks blocks) {
  int64_t most = 0;
  for (const auto& [time, bytes] : LiveBytes(blocks)) most = std::max(most, bytes);
  for (const ArenaBlock& b : blocks) most = std::max(most, b.bytes);
  return most;
}

ArenaLayout LayOutArena(Blocks blocks) {
  constexpr double kMostSteps = 1e8;  // Pairs of blocks that are looked at.
  constexpr double kMostTries = 400;
  const int64_t bound = LivenessBound(blocks);
  ArenaLayout best;
  Order best_order;
  for (const Order& order : Orders(blocks)) {
    ArenaLayout layout = Place(blocks, order, best_order.empty() ? INT64_MAX : best.bytes);
    if (!best_order.empty() && layout.bytes >= best.bytes) continue;
    best = std::move(layout);
    best_order = order;
    if (best.bytes <= bound) return best;
  }
  const double pairs = static_cast<double>(blocks.size()) * static_cast<double>(blocks.size());
  const int tries = static_cast<int>(std::min(kMostTries, kMostSteps / std::max(pairs, 1.0)));
  Order order = best_order;
  ArenaLayout last = best;
  std::minstd_rand random(1);  // The same numbers everywhere.
  const auto any = [&] { return static_cast<size_t>(random()) % order.size(); };
  for (int i = 0; i < tries && best.bytes > bound; ++i) {
    MoveTopToFront(blocks, last, &order);
    // Moving alone soon comes around to orders that were tried: leave the circle.
    if (i % 4 == 3) std::swap(order[any()], order[any()]);
    last = Place(blocks, order, INT64_MAX);
    if (last.bytes < best.bytes) {
      best = last;
      best_order = order;
    } else if (i % 16 == 15) {
      order = best_order;
      last = best;
    }
  }
  return best;
}

}  // namespace floe::lower
