#include "backends/families.h"
#include "backends/families/check.h"
#include "backends/families/product.h"
#include "backends/families/tile_scratch.h"

namespace floe::families {

// x [..., K] dense, w [K, N] gemm_panels16 or gemm_pairs16, epilogue operands, y [..., N] dense.
Status CheckGemm(const OpInfo& op, Footprint* footprint) {
  FLOE_RETURN_IF_ERROR(CheckArity(op, 2, 2 + kPwMaxOperands, 1));
  FLOE_RETURN_IF_ERROR(CheckAttrCount(op, 0));
  FLOE_RETURN_IF_ERROR(CheckOperands(op, footprint));
  const uint32_t y_operand = op.input_count;
  DType y_dtype = DType::kF32;
  FLOE_RETURN_IF_ERROR(CheckProductTypes(op, LayoutId::kGemmPanels16, LayoutId::kGemmPairs16, 2,
                                         LayoutId::kDense, &y_dtype));
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& w = op.inputs[1];
  if (x.rank < 1) return Bad(Rule::kInstructionShape, 1, x.rank).ForOperand(0);
  FLOE_RETURN_IF_ERROR(CheckOperand(op, y_operand, y_dtype, LayoutId::kDense, x.rank));
  double rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) {
    FLOE_RETURN_IF_ERROR(CheckDim(op, y_operand, i, x.dims[i]));
    rows *= static_cast<double>(x.dims[i]);
  }
  FLOE_RETURN_IF_ERROR(CheckRows(rows));
  FLOE_RETURN_IF_ERROR(CheckDim(op, 1, 0, x.dims[x.rank - 1]));
  FLOE_RETURN_IF_ERROR(CheckDim(op, y_operand, x.rank - 1, w.dims[1]));
  FLOE_RETURN_IF_ERROR(CheckEpilogue(op, 2, w.dims[1], true));
  AllowEpilogueInPlace(op, 2, footprint);
  footprint->scratch_bytes = kTileScratchBytes;
  if (w.dtype == DType::kBF16) footprint->scratch_bytes = TileScratchBytes(w.dims[0] * 2, 1, 0);
  footprint->state_bytes = kProductStateBytes;
  footprint->flops = 2 * rows * static_cast<double>(w.dims[0]) * static_cast<double>(w.dims[1]);
  return OkStatus();
}

}  // namespace floe::families
