// AVX512_BF16: only these tiles are compiled for it; everything around them is avx512's.
#include "backends/cpu/gemm/narrow_tile.h"
#include "backends/cpu/gemm/product.h"

namespace floe::cpu::avx512bf16 {
#define FLOE_TILE(rows_, panels_, columns) \
  table.rows[rows_][panels_] = {&PairTile<rows_, panels_>, FLOE_TILE_NAMES("bf16", rows_, columns)};
namespace {
// A chain of products takes 6 cycles.
constexpr TileSet PairCosts() {
  TileSet set = kTileSet;
  set.min_step = 6.0f;
  return set;
}
}  // namespace
FLOE_TILE_KIND(Pair, PairCosts())
}  // namespace floe::cpu::avx512bf16

namespace floe::cpu::avx512 {
Status PrepareGemm(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule);
Status PrepareConv(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule);
Rule RunGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
Rule RunConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
}  // namespace floe::cpu::avx512

namespace floe::cpu::avx512bf16 {

// The families' kernels differ from avx512's in the micro-kernels that Prepare chooses.
Status PrepareGemm(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  if (op.inputs[1].dtype != DType::kBF16) {
    return avx512::PrepareGemm(op, context, state, schedule);
  }
  PrepareNarrowGemm(op, context, PairTiles(), static_cast<ProductState*>(state), schedule);
  return OkStatus();
}

Status PrepareConv(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  const Status status = avx512::PrepareConv(op, context, state, schedule);
  if (op.inputs[1].dtype == DType::kBF16) {
    // In front of what avx512's has written: conv's state begins with the product's.
    PrepareNarrowConv(op, context, PairTiles(), static_cast<ProductState*>(state), schedule);
  }
  return status;
}

Rule RunGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  return avx512::RunGemm(args, phase, begin, end, scratch);
}

Rule RunConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  return avx512::RunConv(args, phase, begin, end, scratch);
}

}  // namespace floe::cpu::avx512bf16
