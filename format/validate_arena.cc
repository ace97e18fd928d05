// The memory plan of each bucket: a sweep over the instructions' numbers. Values that are alive
// together are disjoint, so the live ones are ordered by offset and a new one needs to be compared
// with its two neighbours only.
#include <algorithm>
#include <bit>

#include "format/sort.h"
#include "format/validate.h"

namespace floe::validate {
namespace {

// A set of numbers below n with neighbour search in O(log n): a tree of bitmaps, 64 to one.
class OrderedSet {
 public:
  OrderedSet(uint64_t* words, uint32_t n) {
    do {
      levels_[depth_++] = words;
      n = (n + 63) / 64;
      std::fill_n(words, n, 0);
      words += n;
    } while (n > 1);
  }

  void Insert(uint32_t x) {
    for (uint32_t d = 0; d < depth_; ++d, x /= 64) levels_[d][x / 64] |= Bit(x);
  }
  void Remove(uint32_t x) {
    for (uint32_t d = 0; d < depth_; ++d, x /= 64) {
      levels_[d][x / 64] &= ~Bit(x);
      if (levels_[d][x / 64] != 0) return;
    }
  }
  bool Contains(uint32_t x) const { return (levels_[0][x / 64] & Bit(x)) != 0; }
  // The largest member below x, kNoIndex if none.
  uint32_t Before(uint32_t x) const {
    for (uint32_t d = 0; d < depth_; ++d, x /= 64) {
      const uint64_t lower = levels_[d][x / 64] & (Bit(x) - 1);
      if (lower == 0) continue;
      x = x / 64 * 64 + Highest(lower);
      while (d-- > 0) x = x * 64 + Highest(levels_[d][x]);
      return x;
    }
    return kNoIndex;
  }
  // The smallest member above x, kNoIndex if none.
  uint32_t After(uint32_t x) const {
    for (uint32_t d = 0; d < depth_; ++d, x /= 64) {
      const uint64_t upper = levels_[d][x / 64] & ~(Bit(x) - 1) & ~Bit(x);
      if (upper == 0) continue;
      x = x / 64 * 64 + static_cast<uint32_t>(std::countr_zero(upper));
      while (d-- > 0) x = x * 64 + static_cast<uint32_t>(std::countr_zero(levels_[d][x]));
      return x;
    }
    return kNoIndex;
  }

 private:
  static uint64_t Bit(uint32_t x) { return uint64_t{1} << (x % 64); }
  static uint32_t Highest(uint64_t word) {
    return 63 - static_cast<uint32_t>(std::countl_zero(word));
  }

  uint64_t* levels_[6] = {};
  uint32_t depth_ = 0;
};

class ArenaSweep {
 public:
  ArenaSweep(Context* c, const BucketDef& bucket)
      : c_(*c), p_(c->p), bucket_(bucket), set_(c->active_bits, c->arena_count) {}

  bool Run() {
    if (!Place()) return false;
    Sort();
    uint32_t retired = 0;
    for (uint32_t k = 0; k < c_.arena_count; ++k) {
      const uint32_t v = c_.arena_values[k];
      const uint32_t now = c_.ranges[v].first;
      for (; retired < c_.arena_count; ++retired) {
        const uint32_t old = c_.by_last[retired];
        if (c_.ranges[old].last >= now) break;
        if (set_.Contains(c_.rank[old])) set_.Remove(c_.rank[old]);
      }
      if (c_.arena_begin[v] == c_.arena_end[v]) continue;
      ReleaseInPlace(v, now);
      if (!Insert(v)) return false;
    }
    return true;
  }

 private:
  // Every slot lies inside the arena, aligned, with readable slack behind it.
  bool Place() {
    for (uint32_t k = 0; k < c_.arena_count; ++k) {
      const uint32_t v = c_.arena_values[k];
      const uint64_t slot = bucket_.first_offset + p_.values[v].link;
      if (slot < bucket_.first_offset || slot >= p_.arena_offsets.size()) {
        return c_
            .Bad(Rule::kArenaRange, static_cast<int64_t>(p_.arena_offsets.size()),
                 static_cast<int64_t>(slot))
            .ForValue(v);
      }
      const uint64_t offset = p_.arena_offsets[slot];
      if (offset % kAlignment != 0) {
        return c_.Bad(Rule::kArenaAlignment, kAlignment, static_cast<int64_t>(offset)).ForValue(v);
      }
      int64_t bytes;
      if (!UpperBytes(&c_, v, BoxOf(c_, bucket_), &bytes)) return false;
      // TensorBytes stays far enough below 2^63 for the slack.
      const uint64_t needed = static_cast<uint64_t>(bytes) + kReadSlack;
      if (!InTable(offset, needed, bucket_.arena_bytes)) {
        return c_
            .Bad(Rule::kArenaRange, static_cast<int64_t>(bucket_.arena_bytes),
                 static_cast<int64_t>(offset))
            .ForValue(v);
      }
      c_.arena_begin[v] = static_cast<int64_t>(offset);
      c_.arena_end[v] = static_cast<int64_t>(offset) + bytes;
    }
    return true;
  }

  void Sort() {
    const uint32_t n = c_.arena_count;
    uint32_t* values = c_.arena_values;
    std::copy_n(values, n, c_.by_last);
    std::copy_n(values, n, c_.by_offset);
    SortIndices(values, n, &c_, [](const void* context, uint32_t a, uint32_t b) {
      const LiveRange* ranges = static_cast<const Context*>(context)->ranges;
      return ranges[a].first != ranges[b].first ? ranges[a].first < ranges[b].first : a < b;
    });
    SortIndices(c_.by_last, n, &c_, [](const void* context, uint32_t a, uint32_t b) {
      const LiveRange* ranges = static_cast<const Context*>(context)->ranges;
      return ranges[a].last < ranges[b].last;
    });
    SortIndices(c_.by_offset, n, &c_, [](const void* context, uint32_t a, uint32_t b) {
      const int64_t* begin = static_cast<const Context*>(context)->arena_begin;
      return begin[a] < begin[b];
    });
    for (uint32_t k = 0; k < n; ++k) c_.rank[c_.by_offset[k]] = k;
  }

  // If `v` is an instruction's first result and takes over exactly the storage of an input that
  // dies there, and the kernel works in place on every operand that reads this input, the input
  // makes room for it.
  void ReleaseInPlace(uint32_t v, uint32_t now) {
    const uint32_t writer = c_.writer[v];
    if (writer == kNoIndex || c_.in_place[writer] == 0) return;
    const Instruction& i = p_.instructions[writer];
    if (i.kernel == kKernelIf || i.kernel == kKernelLoop || p_.Outputs(i)[0] != v) return;
    const auto inputs = p_.Inputs(i);
    for (uint32_t n = 0; n < inputs.size(); ++n) {
      if (inputs[n] == kNoIndex) continue;
      const uint32_t root = p_.Root(inputs[n]);
      if (StorageOf(p_.values[root]) != Storage::kArena || c_.ranges[root].last != now ||
          c_.arena_begin[root] != c_.arena_begin[v] || c_.arena_end[root] != c_.arena_end[v] ||
          !set_.Contains(c_.rank[root])) {
        continue;
      }
      bool allowed = SameCount(p_, root, v, BoxOf(c_, bucket_));
      for (uint32_t m = 0; m < inputs.size(); ++m) {
        if (inputs[m] != kNoIndex && p_.Root(inputs[m]) == root) {
          allowed = allowed && (c_.in_place[writer] >> m & 1) != 0;
        }
      }
      if (allowed) set_.Remove(c_.rank[root]);
      return;
    }
  }

  bool Insert(uint32_t v) {
    const uint32_t rank = c_.rank[v];
    const uint32_t before = set_.Before(rank);
    if (before != kNoIndex && c_.arena_end[c_.by_offset[before]] > c_.arena_begin[v]) {
      return Overlap(v, c_.by_offset[before]);
    }
    const uint32_t after = set_.After(rank);
    if (after != kNoIndex && c_.arena_begin[c_.by_offset[after]] < c_.arena_end[v]) {
      return Overlap(v, c_.by_offset[after]);
    }
    set_.Insert(rank);
    return true;
  }

  // Two rules: with an operand of its own instruction, or with a bystander.
  bool Overlap(uint32_t v, uint32_t other) {
    const uint32_t writer = c_.writer[v];
    Rule rule = Rule::kArenaOverlap;
    if (writer != kNoIndex) {
      for (const uint32_t input : p_.Inputs(p_.instructions[writer])) {
        if (input != kNoIndex && p_.Root(input) == other) rule = Rule::kInstructionAlias;
      }
    }
    return c_.Bad(rule, other, c_.arena_begin[v]).ForValue(v).At(writer);
  }

  Context& c_;
  const ProgramView& p_;
  const BucketDef& bucket_;
  OrderedSet set_;
};

}  // namespace

bool CheckArena(Context* c, const BucketDef& bucket) { return ArenaSweep(c, bucket).Run(); }

}  // namespace floe::validate
