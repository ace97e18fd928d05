// Sums of many numbers. Each addition rounds, and a chain of n of them is off by up to n roundings
// of its largest sum, all in one direction where the numbers are alike. So chains are kept short:
// at most kSumChain numbers are added one after the other, then as many of those sums, and so on.
// Numbers that lie along memory are dealt to kSumLanes chains whatever the vectors' width, so that
// every table adds the same numbers in the same order. Included by ISA files only.
#ifndef FLOE_BACKENDS_CPU_SUMS_H_
#define FLOE_BACKENDS_CPU_SUMS_H_

#include "backends/cpu/lanes.h"

namespace floe::cpu::FLOE_ISA {
namespace {

inline constexpr int64_t kSumChain = 128;
inline constexpr int kSumLanes = 64;
inline constexpr int kSumVecs = kSumLanes / kWidth;
inline constexpr int64_t kSumPiece = kSumChain * kSumLanes;  // Numbers of a chain in every lane.

// kVecs vectors of sums of blocks, each of which is a chain.
template <int kVecs>
class BlockSums {
 public:
  BlockSums() {
    for (int v = 0; v < kVecs; ++v) few_[v] = all_[v] = Zero();
  }
  // Takes a block's sums and starts the next one.
  FLOE_INLINE void Take(F32 (&block)[kVecs]) {
    F32 sums[kVecs];  // (So that block itself may stay in registers.)
    FLOE_UNROLL
    for (int v = 0; v < kVecs; ++v) {
      sums[v] = block[v];
      block[v] = Zero();
    }
    Keep(sums);
  }
  // Adds all that was taken to the last block.
  FLOE_INLINE void AddTo(F32 (&block)[kVecs]) const {
    FLOE_UNROLL
    for (int v = 0; v < kVecs; ++v) block[v] = Add(all_[v], Add(few_[v], block[v]));
  }

 private:
  // (Not inlined: the loops around it need the registers.)
  [[gnu::noinline]] void Keep(const F32 (&sums)[kVecs]) {
    for (int v = 0; v < kVecs; ++v) few_[v] = Add(few_[v], sums[v]);
    if (++count_ < kSumChain) return;
    count_ = 0;
    for (int v = 0; v < kVecs; ++v) {
      all_[v] = Add(all_[v], few_[v]);
      few_[v] = Zero();
    }
  }

  F32 few_[kVecs], all_[kVecs];
  int64_t count_ = 0;
};

// The first n lanes of `first`, 0 <= n < kWidth, and the others of `others`.
FLOE_INLINE F32 FirstLanes(F32 first, int64_t n, F32 others) {
  alignas(64) static constexpr float kIndex[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
  return Choose(Less(LoadAligned(kIndex), Broadcast(static_cast<float>(n))), first, others);
}

// acc = step(acc, x) for n neighbouring numbers, number i in lane i % kSumLanes of all.
template <class Step>
FLOE_INLINE void AccumulateRow(const float* x, int64_t n, F32 (&acc)[kSumVecs], Step&& step) {
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    FLOE_UNROLL
    for (int v = 0; v < kSumVecs; ++v) acc[v] = step(acc[v], Load(x + i + v * kWidth));
  }
  if (i == n) return;
  FLOE_UNROLL
  for (int v = 0; v < kSumVecs; ++v, i += kWidth) {  // (Unrolled, acc stays in registers.)
    const int64_t left = n - i;
    if (left >= kWidth) {
      acc[v] = step(acc[v], Load(x + i));
    } else if (left > 0) {
      acc[v] = FirstLanes(step(acc[v], LoadTail(x + i, left)), left, acc[v]);
    }
  }
}

// kCount vectors as one: halves are folded onto each other.
template <int kCount, class Merge>
FLOE_INLINE F32 FoldVectors(const F32* acc, Merge&& merge) {
  if constexpr (kCount == 1) {
    return acc[0];
  } else {
    F32 half[kCount / 2];
    FLOE_UNROLL
    for (int v = 0; v < kCount / 2; ++v) half[v] = merge(acc[v], acc[v + kCount / 2]);
    return FoldVectors<kCount / 2>(half, merge);
  }
}

template <int kCount>
FLOE_INLINE float SumAllLanes(const F32 (&acc)[kCount]) {
  return SumLanes(FoldVectors<kCount>(
      acc, [](F32 a, F32 b) __attribute__((always_inline)) { return Add(a, b); }));
}

// The sum of n numbers, which add(first, count, acc) adds to the lanes `acc` piece by piece.
template <class Piece>
FLOE_INLINE float SumPieces(int64_t n, Piece&& add) {
  F32 acc[kSumVecs];
  FLOE_UNROLL
  for (int v = 0; v < kSumVecs; ++v) acc[v] = Zero();
  if (n <= kSumPiece) {
    add(0, n, acc);
    return SumAllLanes(acc);
  }
  BlockSums<kSumVecs> sums;
  for (int64_t at = 0; at < n; at += kSumPiece) {
    add(at, n - at < kSumPiece ? n - at : kSumPiece, acc);
    sums.Take(acc);
  }
  sums.AddTo(acc);
  return SumAllLanes(acc);
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_SUMS_H_
