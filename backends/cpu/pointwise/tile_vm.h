// The pointwise VM over a tile of rows x cols floats in L1, for epilogues of GEMM-like kernels.
//
// One implementation per ISA, in floe::cpu::<isa>, defined by the pointwise family's ISA files and
// called by the GEMM-like families' files of the same ISA.
#ifndef FLOE_BACKENDS_CPU_POINTWISE_TILE_VM_H_
#define FLOE_BACKENDS_CPU_POINTWISE_TILE_VM_H_

#include <cstdint>

#include "format/pointwise.h"

namespace floe::cpu {

// One operand of the program, already moved to the tile's first row and column.
struct TileOperand {
  enum class Kind : uint8_t {
    kScalar,   // base[0] everywhere.
    kChannel,  // base[col].
    kTensor,   // base[row * row_stride + col].
  };
  Kind kind = Kind::kScalar;
  const float* base = nullptr;
  int64_t row_stride = 0;  // In elements.
};

// Runs a checked epilogue program: r0 of element (row, col) is tile[row * ld + col] before and
// after. Reads and writes columns [0, cols) only, of operands too. Any other register lives in
// the VM. The result of an element depends on that element's operands only, bit for bit, whatever
// the tile's size or its place in the tile.
#define FLOE_TILE_VM                                                                         \
  void RunTile(const PwInstr* code, uint32_t count, float* tile, int64_t rows, int64_t cols, \
               int64_t ld, const TileOperand* operands);
namespace sse2 {
FLOE_TILE_VM
}  // namespace sse2
namespace avx2 {
FLOE_TILE_VM
}  // namespace avx2
namespace avx512 {
FLOE_TILE_VM
}  // namespace avx512
#undef FLOE_TILE_VM

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_POINTWISE_TILE_VM_H_
