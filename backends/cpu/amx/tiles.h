// The tile unit as kernels see it: eight tiles of at most 16 rows of 64 bytes, in two
// implementations with one interface. HardwareTiles are AMX; PlainTiles are a model in C++ by which
// every machine runs and tests the kernels' logic (ISA amx_plain). A kernel is a template over them
// and names tiles by constants; `Tiles` is the implementation of the ISA that a file is compiled
// for.
//
//   Configure(config)      first, once for each range of tasks; all tiles become zero
//   Zero<t>()
//   Load<t>(base, pitch)   row r from base + r * pitch; LoadOnce: what will not be read again soon
//   Store<t>(base, pitch)
//   DotBytes<c, a, b>()    c += a * b: s32 += u8 * s8, groups of four
//   DotPairs<c, a, b>()    c += a * b: f32 += bf16 * bf16, groups of two
//   Release()              last: the state that the operating system saves is gone, so that other
//                          code of this thread does not pay for it
//
// A panel of weights in a layout of groups (gemm_panels16x4, gemm_pairs16) is a stack of B tiles:
// row r is the r-th group, 64 bytes after the one before.
#ifndef FLOE_BACKENDS_CPU_AMX_TILES_H_
#define FLOE_BACKENDS_CPU_AMX_TILES_H_

#include <cstdint>
#include <cstring>

#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

inline constexpr int kTileRows = 16;
inline constexpr int kTileBytes = 64;  // Of a row.

// By convention tiles 0 to 3 are accumulators, 4 and 5 are of A, 6 and 7 of B.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// A tiles and accumulators of `rows` rows; A rows are `groups` groups of four bytes and B tiles as
// many rows of 16 columns.
FLOE_INLINE TileConfig MakeTileConfig(int rows, int groups) {
  TileConfig c;
  for (int t = 0; t < 8; ++t) {
    const bool a = t == 4 || t == 5, b = t >= 6;
    c.rows[t] = static_cast<uint8_t>(b ? groups : rows);
    c.row_bytes[t] = static_cast<uint16_t>(a ? 4 * groups : kTileBytes);
  }
  return c;
}

#if defined(FLOE_ISA_AVX512)

// (Instructions by hand: the compiler's intrinsics tell it of 8 of the configuration's 64 bytes and
// of no memory that a load reads, and need the assembler's flags.)
class HardwareTiles {
 public:
  FLOE_INLINE void Configure(const TileConfig& config) {
    __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }
  FLOE_INLINE void Release() { __asm__ volatile("tilerelease" ::: "memory"); }
  template <int t>
  FLOE_INLINE void Zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"i"(t));
  }
  template <int t>
  FLOE_INLINE void Load(const void* base, int64_t pitch) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(base), "r"(pitch), "i"(t) : "memory");
  }
  template <int t>
  FLOE_INLINE void LoadOnce(const void* base, int64_t pitch) {
    __asm__ volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(base), "r"(pitch), "i"(t) : "memory");
  }
  template <int t>
  FLOE_INLINE void Store(void* base, int64_t pitch) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(base), "r"(pitch), "i"(t) : "memory");
  }
  template <int c, int a, int b>
  FLOE_INLINE void DotBytes() {
    __asm__ volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(c), "i"(a), "i"(b));
  }
  template <int c, int a, int b>
  FLOE_INLINE void DotPairs() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(c), "i"(a), "i"(b));
  }
};
using Tiles = HardwareTiles;

#else

class PlainTiles {
 public:
  void Configure(const TileConfig& config) {
    config_ = config;
    memset(data_, 0, sizeof(data_));
  }
  void Release() { config_ = TileConfig{}; }
  template <int t>
  void Zero() {
    memset(data_[t], 0, sizeof(data_[t]));
  }
  template <int t>
  void Load(const void* base, int64_t pitch) {
    Zero<t>();
    for (int r = 0; r < config_.rows[t]; ++r) {
      memcpy(data_[t][r], static_cast<const char*>(base) + r * pitch, config_.row_bytes[t]);
    }
  }
  template <int t>
  void LoadOnce(const void* base, int64_t pitch) {
    Load<t>(base, pitch);
  }
  template <int t>
  void Store(void* base, int64_t pitch) {
    for (int r = 0; r < config_.rows[t]; ++r) {
      memcpy(static_cast<char*>(base) + r * pitch, data_[t][r], config_.row_bytes[t]);
    }
  }
  template <int c, int a, int b>
  void DotBytes() {
    for (int r = 0; r < config_.rows[c]; ++r) {
      uint32_t sums[kTileBytes / 4];
      memcpy(sums, data_[c][r], sizeof(sums));
      for (int k = 0; k < config_.row_bytes[a]; ++k) {
        const int32_t x = data_[a][r][k];
        for (int n = 0; n < kTileBytes / 4; ++n) {
          const auto w = static_cast<int8_t>(data_[b][k / 4][n * 4 + k % 4]);
          sums[n] += static_cast<uint32_t>(x * w);
        }
      }
      memcpy(data_[c][r], sums, sizeof(sums));
    }
  }
  // Even and odd products are summed on their own, then added, as the hardware does.
  template <int c, int a, int b>
  void DotPairs() {
    for (int r = 0; r < config_.rows[c]; ++r) {
      float sums[kTileBytes / 4];
      memcpy(sums, data_[c][r], sizeof(sums));
      for (int n = 0; n < kTileBytes / 4; ++n) {
        float even = 0, odd = 0;
        for (int k = 0; k < config_.row_bytes[a] / 4; ++k) {
          even += Brain(data_[a][r] + k * 4) * Brain(data_[b][k] + n * 4);
          odd += Brain(data_[a][r] + k * 4 + 2) * Brain(data_[b][k] + n * 4 + 2);
        }
        sums[n] += even + odd;
      }
      memcpy(data_[c][r], sums, sizeof(sums));
    }
  }

 private:
  static float Brain(const uint8_t* p) {
    uint16_t bits;
    memcpy(&bits, p, sizeof(bits));
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof(value));
    return value;
  }

  TileConfig config_;
  alignas(64) uint8_t data_[8][kTileRows][kTileBytes];
};
using Tiles = PlainTiles;

#endif

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_AMX_TILES_H_
