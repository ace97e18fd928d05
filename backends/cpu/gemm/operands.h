// The operands of one Run of a GEMM-like instruction, as its ISA files see them.
#ifndef FLOE_BACKENDS_CPU_GEMM_OPERANDS_H_
#define FLOE_BACKENDS_CPU_GEMM_OPERANDS_H_

#include "backends/cpu/gemm/product.h"
#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/cpu/simd.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Only AVX-512 tiles store a partial last panel themselves; the others spill such tiles.
inline constexpr bool kMasksTails = kWidth == kPanel;

// A product with the pointers of one Run.
struct Product {
  const ProductState* state = nullptr;
  const float* a = nullptr;       // Of row first_row (other than 0 only in a grid of one line).
  const uint16_t* a16 = nullptr;  // Instead of a, with weights in pairs.
  int64_t first_row = 0;
  const int64_t* taps = nullptr;
  const float* b = nullptr;  // Panels of `k` rows, from panel first_panel on.
  int64_t first_panel = 0;
  float* y = nullptr;
  uint16_t* y16 = nullptr;  // Instead of y, where the result is bf16; columns are neighbours then.
  int64_t y_column = 1;  // Elements between columns of y; other than 1 only with scalar operands.
  const PwInstr* code = nullptr;
  uint32_t code_count = 0;
  const void* const* operands = nullptr;  // Epilogue operands, as the state describes them.
  int64_t channel = 0;                    // Of column 0 (the group's first output channel).
  float* tile_scratch = nullptr;
};

struct Position {
  int64_t x, y, image;
};
inline Position PositionOf(const Grid& grid, int64_t row) {
  const int64_t line = row / grid.width;
  return {row % grid.width, line % grid.height, line / grid.height};
}
inline int64_t OffsetOf(const GridStrides& s, const Position& p) {
  return s.x * p.x + s.y * p.y + s.image * p.image;
}

// Operand i of the program at row `at` and column `column`.
TileOperand OperandAt(const Product& p, uint32_t i, const Position& at, int64_t column) {
  const EpilogueOperandInfo& info = p.state->operands[i];
  TileOperand o;
  o.base = static_cast<const float*>(p.operands[i]);
  switch (info.kind) {
    case OperandKind::kScalar:
      break;
    case OperandKind::kChannel:
      o.kind = TileOperand::Kind::kChannel;
      o.base += p.channel + column;
      break;
    case OperandKind::kTensor:
      o.kind = TileOperand::Kind::kTensor;
      o.base += info.offset + OffsetOf(info.strides, at) + p.channel + column;
      o.row_stride = info.strides.x;
      break;
  }
  return o;
}

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_GEMM_OPERANDS_H_
