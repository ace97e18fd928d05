// Rows of a product as tiles: which rows of an image or a matrix a tile holds, and how they get
// into it, as they stand or copied. blocks.h multiplies them. Included by ISA files only.
#ifndef FLOE_BACKENDS_CPU_AMX_ROWS_H_
#define FLOE_BACKENDS_CPU_AMX_ROWS_H_

#include "backends/cpu/amx/tiles.h"
#include "backends/cpu/gemm/operands.h"
#include "backends/cpu/gemm/product.h"
#include "backends/families/tile_scratch.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Rounded up. CeilDiv, always inlined: an unoptimised copy would be shared with other ISAs' files.
FLOE_INLINE int64_t Pieces(int64_t whole, int64_t piece) { return (whole + piece - 1) / piece; }

// What is multiplied. kSize: bytes of one element of A.
struct TileOfBytes {
  static constexpr int64_t kSize = 1;
  template <int c, int a, int b>
  FLOE_INLINE static void Dot(Tiles* tiles) {
    tiles->DotBytes<c, a, b>();
  }
};
struct TileOfPairs {
  static constexpr int64_t kSize = 2;
  template <int c, int a, int b>
  FLOE_INLINE static void Dot(Tiles* tiles) {
    tiles->DotPairs<c, a, b>();
  }
};

constexpr int64_t kChunk = 16;  // Groups of four bytes in a tile's row; rows of a B tile.
constexpr int kMaxSet = 4;      // Row tiles of a block.

// --- rows ---------------------------------------------------------------------------------------

// One row tile: rows [0, RowTiles::rows) are computed, [skip, end) are wanted (but for gaps).
struct RowTile {
  int64_t a;    // Element offset of row 0.
  Position at;  // Of row `skip`.
  int64_t skip, end;
};

// The row tiles of a product: all of a line have the same number of rows; the last ones of a line
// overlap, so that nothing beyond its end is read.
class RowTiles {
 public:
  explicit RowTiles(const ProductState& s)
      : s_(s), length_(s.grid.width), pitch_(s.grid.width), lines_(s.grid.height) {
    const Grid& g = s.grid;
    const int64_t images = s.tiling.m / (g.width * g.height);
    if (g.height > 1 && s.a.x > 0 && s.a.y % s.a.x == 0 && s.a.y / s.a.x >= g.width) {
      const int64_t pitch = s.a.y / s.a.x, flat = (g.height - 1) * pitch + g.width;
      if (Pieces(flat, int64_t{kTileRows}) < g.height * Pieces(g.width, int64_t{kTileRows})) {
        length_ = flat;
        pitch_ = pitch;
        lines_ = 1;
      }
    }
    parts_ = Pieces(length_, int64_t{kTileRows});
    rows_ = Pieces(length_, parts_);
    count_ = images * lines_ * parts_;
  }

  int64_t count() const { return count_; }
  int64_t rows() const { return rows_; }
  int64_t pitch() const { return pitch_; }
  bool flat() const { return lines_ != s_.grid.height; }

  RowTile At(int64_t index) const {
    const int64_t line = index / parts_, part = index % parts_;
    const int64_t begin = length_ * part / parts_, end = length_ * (part + 1) / parts_;
    const int64_t start = begin + rows_ > length_ ? length_ - rows_ : begin;
    RowTile t;
    const Position first{start, line % lines_, line / lines_};
    t.a = OffsetOf(s_.a, first);
    t.at = {begin % pitch_, first.y + begin / pitch_, first.image};
    t.skip = begin - start;
    t.end = end - start;
    return t;
  }

 private:
  const ProductState& s_;
  int64_t length_, pitch_, lines_;  // Rows of a line; from an image's line to the next; lines.
  int64_t parts_, rows_, count_;
};

// The wanted rows of a tile one after the other.
struct RowWalk {
  int64_t row, end;
  Position at;

  explicit RowWalk(const RowTile& t) : row(t.skip), end(t.end), at(t.at) {}
  FLOE_INLINE void Next(int64_t pitch) {
    ++row;
    if (++at.x == pitch) [[unlikely]] {
      at.x = 0;
      ++at.y;
    }
  }
};

// --- A ------------------------------------------------------------------------------------------

// How A gets into tiles: `chunks` of each tap as they stand, then a copied one.
struct TilePlan {
  int64_t groups = 0;     // Of K, for all taps: rows of a panel.
  int64_t run_bytes = 0;  // Of a tap.
  int64_t chunks = 0;
  int64_t least = 0;      // Groups of a tile: kChunk or all.
  bool whole = false;     // Rows are copied before.
  bool tail = false;      // There is a copied chunk.
  int64_t row_pitch = 0;  // Of whole rows.
};

// Of `run` elements of kSize bytes for each tap.
template <class Kind>
TilePlan PlanTiles(const ProductState& s) {
  TilePlan p;
  p.groups = s.tiling.k;
  p.run_bytes = s.run * Kind::kSize;
  p.least = p.groups < kChunk ? p.groups : kChunk;
  p.whole = s.tap_count > 1 && p.run_bytes % kTileBytes != 0;
  p.chunks = (p.whole ? p.groups * 4 : p.run_bytes) / kTileBytes;
  p.tail = s.tap_count == 1 || p.whole ? p.chunks * kChunk != p.groups : false;
  p.row_pitch = families::TileRowPitch(p.groups);
  return p;
}

// Where a set of row tiles is read: after copying, if it must.
struct TileSource {
  const char* a[kMaxSet];
  int64_t pitch;
  const char* tail[kMaxSet];  // Rows of kTileBytes.
};

// The last groups of a row of which `bytes` are left at `from`: behind zeros.
FLOE_INLINE void CopyTail(const TilePlan& plan, const char* from, int64_t bytes, char* to) {
  const int64_t zeros = 4 * (plan.least - (plan.groups - plan.chunks * kChunk));
  __builtin_memset(to, 0, kTileBytes);
  __builtin_memcpy(to + zeros, from, static_cast<size_t>(bytes));
}

// The few channels of a first layer are not worth a call.
template <class Kind>
FLOE_INLINE void CopyTap(const char* from, int64_t bytes, char* to) {
  if (bytes > 16) {
    __builtin_memcpy(to, from, static_cast<size_t>(bytes));
    return;
  }
  for (int64_t i = 0; i < bytes; i += Kind::kSize) __builtin_memcpy(to + i, from + i, Kind::kSize);
}

// Copies row tiles: their last groups, or all.
template <class Kind>
void CopyRows(const TilePlan& plan, const ProductState& s, const int64_t* taps, int64_t rows,
              int64_t count, char* scratch, TileSource* source) {
  char* tails = scratch;
  char* whole = scratch + count * kTileRows * kTileBytes;
  const int64_t tap_bytes = Pieces(plan.run_bytes, int64_t{4}) * 4;
  for (int64_t t = 0; t < count; ++t) {
    const char* from = source->a[t];
    char* tail = tails + t * kTileRows * kTileBytes;
    char* row_of = whole + t * kTileRows * plan.row_pitch;
    source->tail[t] = tail;
    if (plan.whole) source->a[t] = row_of;
    for (int64_t r = 0; r < rows; ++r) {
      if (!plan.whole) {
        const int64_t at = plan.chunks * kTileBytes;
        CopyTail(plan, from + at, plan.run_bytes - at, tail);
      } else {
        char* to = row_of;
        for (int64_t tap = 0; tap < s.tap_count; ++tap, to += tap_bytes) {
          __builtin_memset(to + tap_bytes - 4, 0, 4);
          CopyTap<Kind>(from + taps[tap] * Kind::kSize, plan.run_bytes, to);
        }
        const int64_t at = plan.chunks * kTileBytes;
        if (plan.tail) CopyTail(plan, row_of + at, plan.groups * 4 - at, tail);
        row_of += plan.row_pitch;
      }
      tail += kTileBytes;
      from += s.a.x * Kind::kSize;
    }
  }
  if (plan.whole) source->pitch = plan.row_pitch;
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_AMX_ROWS_H_
