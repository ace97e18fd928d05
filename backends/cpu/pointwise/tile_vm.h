// The pointwise VM over a tile of rows x cols elements in L1: for regions, for epilogues of
// GEMM-like kernels and for prologues.
//
// One implementation per ISA, in floe::cpu::<isa>, in files of its own (vm_<isa>.cc,
// vm_pairs_<isa>.cc), called by the families' files of the same ISA.
#ifndef FLOE_BACKENDS_CPU_POINTWISE_TILE_VM_H_
#define FLOE_BACKENDS_CPU_POINTWISE_TILE_VM_H_

#include <cstdint>

#include "format/dtype.h"
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

// A tensor as a tile sees it: element (r, c) is base[r * row_stride + c * col_stride].
struct TileView {
  const void* base = nullptr;
  int64_t row_stride = 0;
  int64_t col_stride = 0;
  DType dtype = DType::kF32;
};

struct Source {
  const float* p = nullptr;
  int64_t row_stride = 0;
  bool vector = false;  // Else one value per row.
};

struct Destination {
  float* p;
  int64_t row_stride;
};

// Working memory of the VM, on the stack.
inline constexpr int64_t kVmFloats = 4096;
// The most elements of a tile, over all rows, for a program with `registers` registers. (Always
// inline, as all that ISA files share: see tables.h.)
[[gnu::always_inline]] inline int64_t TileCapacity(int registers) {
  return kVmFloats / registers / 16 * 16;
}
// Registers that the program names: r0 .. r(n-1).
[[gnu::always_inline]] inline int RegistersOf(const PwInstr* code, uint32_t count) {
  int n = 1;
  for (uint32_t i = 0; i < count; ++i) n = code[i].dst >= n ? code[i].dst + 1 : n;
  return n;
}

// RunTile: a checked epilogue program: r0 of element (row, col) is tile[row * ld + col] before and
// after. Reads and writes columns [0, cols) only, of operands too. Any other register lives in the
// VM.
//
// RunTileProgram: any checked program over a tile with rows * cols <= TileCapacity(registers),
// registers = RegistersOf(program). `r0`, if not null, is r0's value at the start. The result goes
// to `out`, which may be r0's or any operand's own memory (at equal strides).
//
// The result of an element depends on that element's operands only, bit for bit, whatever the
// tile's size or its place in the tile.
#define FLOE_TILE_VM                                                                          \
  void RunTile(const PwInstr* code, uint32_t count, float* tile, int64_t rows, int64_t cols,  \
               int64_t ld, const TileOperand* operands);                                      \
  void RunTileProgram(const PwInstr* code, uint32_t count, int registers,                     \
                      const TileView* operands, const Source* r0, int64_t rows, int64_t cols, \
                      Destination out);
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
