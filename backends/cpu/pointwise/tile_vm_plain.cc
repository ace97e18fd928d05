// RunTile one element at a time. Weak: an ISA file of the pointwise family takes its place.
#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/reference/pointwise.h"

namespace floe::cpu {
namespace {

float Load(const TileOperand& o, int64_t row, int64_t column) {
  switch (o.kind) {
    case TileOperand::Kind::kScalar:
      return o.base[0];
    case TileOperand::Kind::kChannel:
      return o.base[column];
    case TileOperand::Kind::kTensor:
      return o.base[row * o.row_stride + column];
  }
  return 0;
}

void RunPlainTile(const PwInstr* code, uint32_t count, float* tile, int64_t rows, int64_t cols,
                  int64_t ld, const TileOperand* operands) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < cols; ++column) {
      float r[kPwRegisters] = {};
      r[0] = tile[row * ld + column];
      for (uint32_t i = 0; i < count; ++i) {
        const PwInstr& instr = code[i];
        r[instr.dst] = static_cast<PwOp>(instr.op) == PwOp::kLoad
                           ? Load(operands[instr.operand], row, column)
                           : reference::EvalPointwise(instr, r[instr.a], r[instr.b], r[instr.c]);
      }
      tile[row * ld + column] = r[0];
    }
  }
}

}  // namespace

#define FLOE_PLAIN_TILE_VM(isa)                                                              \
  namespace isa {                                                                            \
  [[gnu::weak]] void RunTile(const PwInstr* code, uint32_t count, float* tile, int64_t rows, \
                             int64_t cols, int64_t ld, const TileOperand* operands) {        \
    RunPlainTile(code, count, tile, rows, cols, ld, operands);                               \
  }                                                                                          \
  }
FLOE_PLAIN_TILE_VM(sse2)
FLOE_PLAIN_TILE_VM(avx2)
FLOE_PLAIN_TILE_VM(avx512)
#undef FLOE_PLAIN_TILE_VM

}  // namespace floe::cpu
