// How an op of the reference is written: a Check function that is total (it is the validator of
// untrusted files) and a Run function that trusts what Check accepted, side by side in the file of
// the op's family, and one row in ops.cc.
#ifndef FLOE_BACKENDS_REFERENCE_OPS_INTERNAL_H_
#define FLOE_BACKENDS_REFERENCE_OPS_INTERNAL_H_

#include <cstdint>
#include <initializer_list>
#include <span>

#include "backends/reference/walk.h"
#include "format/attrs.h"
#include "format/checked.h"
#include "format/footprint.h"
#include "format/ops.h"
#include "format/tensor_info.h"

namespace floe::reference {

// --- what Check functions get --------------------------------------------------------------------

// CheckOp has seen to it that: operand counts fit the op's row; required operands are present;
// every present tensor is dense and has a valid size; there is no code unless the op takes it.
struct CheckArgs {
  OpId op;
  const OpInfo& info;
  Footprint& footprint;

  bool HasInput(uint32_t i) const { return i < info.input_count && info.inputs[i].present(); }
  bool HasOutput(uint32_t i) const { return i < info.output_count && info.outputs[i].present(); }
  const TensorInfo& in(uint32_t i) const { return info.inputs[i]; }
  const TensorInfo& out(uint32_t i = 0) const { return info.outputs[i]; }
  AttrReader attrs() const { return AttrReader(info.attrs, info.attr_count); }
  // Position of output i in Status::operand.
  uint32_t OutputAt(uint32_t i = 0) const { return info.input_count + i; }
};

// --- what Run functions get ----------------------------------------------------------------------

struct RunArgs {
  OpId op;
  const OpInfo& info;
  const void* const* inputs;
  void* const* outputs;
  void* scratch;

  bool HasInput(uint32_t i) const { return i < info.input_count && info.inputs[i].present(); }
  bool HasOutput(uint32_t i) const { return i < info.output_count && info.outputs[i].present(); }
  const TensorInfo& in(uint32_t i) const { return info.inputs[i]; }
  const TensorInfo& out(uint32_t i = 0) const { return info.outputs[i]; }
  const void* data(uint32_t i) const { return HasInput(i) ? inputs[i] : nullptr; }
  AttrReader attrs() const { return AttrReader(info.attrs, info.attr_count); }
};

// --- errors --------------------------------------------------------------------------------------

inline Status BadAttr(int64_t expected = 0, int64_t got = 0) {
  return Error(Code::kInvalidFile, Rule::kInstructionAttr, expected, got);
}
inline Status BadShape(uint32_t operand, int axis = -1, int64_t expected = 0, int64_t got = 0) {
  return Error(Code::kInvalidFile, Rule::kInstructionShape, expected, got)
      .ForOperand(operand, axis);
}
inline Status BadDType(uint32_t operand, DType expected, DType got) {
  return Error(Code::kUnsupported, Rule::kInstructionDType, static_cast<int64_t>(expected),
               static_cast<int64_t>(got))
      .ForOperand(operand);
}
inline Status TooLarge() { return Error(Code::kInvalidFile, Rule::kValueTooLarge); }

// --- dtype sets ----------------------------------------------------------------------------------

using DTypeSet = uint32_t;
constexpr DTypeSet SetOf(std::initializer_list<DType> types) {
  DTypeSet s = 0;
  for (DType t : types) s |= 1u << static_cast<uint32_t>(t);
  return s;
}
inline constexpr DTypeSet kFloats = SetOf({DType::kF32, DType::kF64, DType::kF16, DType::kBF16});
inline constexpr DTypeSet kInts = SetOf({DType::kI8, DType::kU8, DType::kI16, DType::kU16,
                                         DType::kI32, DType::kU32, DType::kI64, DType::kU64});
inline constexpr DTypeSet kNumbers = kFloats | kInts;
inline constexpr DTypeSet kBools = SetOf({DType::kBool});
inline constexpr DTypeSet kAnyDType = kNumbers | kBools;
inline constexpr DTypeSet kIndexTypes = SetOf({DType::kI32, DType::kI64});

constexpr bool Contains(DTypeSet set, DType t) {
  return static_cast<uint32_t>(t) < kDTypeCount && (set >> static_cast<uint32_t>(t) & 1) != 0;
}

// --- checks that many ops share ------------------------------------------------------------------

// The dtype of input i is in the set / equals t.
Status InputIn(const CheckArgs& a, uint32_t i, DTypeSet set);
Status InputIs(const CheckArgs& a, uint32_t i, DType t);
Status OutputIs(const CheckArgs& a, uint32_t i, DType t);
// Exact dims.
Status InputDims(const CheckArgs& a, uint32_t i, std::span<const int64_t> dims);
Status OutputDims(const CheckArgs& a, uint32_t i, std::span<const int64_t> dims);
inline std::span<const int64_t> Dims(const TensorInfo& t) { return {t.dims, t.rank}; }
// Input 0 has a dtype of the set, output 0 has its dtype and dims.
Status LikeInput(const CheckArgs& a, DTypeSet set);
// No attribute words.
Status NoAttrs(const CheckArgs& a);
// An axis in [-rank, rank), as one in [0, rank).
bool NormalizeAxis(int64_t axis, int rank, int* out);
// Every input broadcasts to `dims`, and dims is exactly the broadcast shape of them all.
Status BroadcastsTo(const CheckArgs& a, uint32_t first, uint32_t count, const TensorInfo& result,
                    bool exactly);
// Marks the inputs that may share storage with output 0: same element count and size.
void AllowInPlace(const CheckArgs& a, uint32_t first, uint32_t count);
// dims' product, checked; 0 if one is 0.
[[nodiscard]] bool CheckedProduct(std::span<const int64_t> dims, int64_t* out);

// `t` seen as [outer, axis, inner].
struct AxisView {
  int64_t outer, length, inner;
};
inline AxisView ViewAt(const TensorInfo& t, int axis) {
  return {Product(t.dims, axis), t.dims[axis], Product(t.dims + axis + 1, t.rank - axis - 1)};
}

// The first input that belongs to the code of an op that takes an epilogue or a prologue: what
// comes after the required ones.
inline uint32_t FirstCodeInput(OpId op) { return static_cast<uint32_t>(OpRow(op).min_inputs); }
// Does a convolution or gemm have input 2 as a bias? With code a bias is one of its operands.
template <class Args>
bool HasBias(const Args& a) {
  return a.info.code_count == 0 && a.HasInput(2);
}
// Checks the code of conv, gemm, matmul and softmax against the shape of `result`: f32 operands
// that broadcast to it, rank-1 ones along channel_axis.
Status CheckOpCode(const CheckArgs& a, const TensorInfo& result, int channel_axis);
// Runs it on the f32 result in place.
Rule RunEpilogue(const RunArgs& a, int channel_axis);

// --- the ops, by family --------------------------------------------------------------------------

#define FLOE_REFERENCE_OP(name)           \
  Status Check##name(const CheckArgs& a); \
  Rule Run##name(const RunArgs& a);
// ops_pointwise.cc
FLOE_REFERENCE_OP(Elementwise)
FLOE_REFERENCE_OP(Pow)
FLOE_REFERENCE_OP(Where)
FLOE_REFERENCE_OP(Cast)
FLOE_REFERENCE_OP(Region)
// ops_reduce.cc
FLOE_REFERENCE_OP(Reduce)
FLOE_REFERENCE_OP(ArgReduce)
FLOE_REFERENCE_OP(Softmax)
// ops_scan.cc
FLOE_REFERENCE_OP(Scan)
FLOE_REFERENCE_OP(CumExtreme)
FLOE_REFERENCE_OP(LogCumSumExp)
// ops_sort.cc
FLOE_REFERENCE_OP(Sort)
FLOE_REFERENCE_OP(TopK)
FLOE_REFERENCE_OP(SearchSorted)
// ops_movement.cc
FLOE_REFERENCE_OP(Reshape)
FLOE_REFERENCE_OP(Transpose)
FLOE_REFERENCE_OP(Expand)
FLOE_REFERENCE_OP(Slice)
FLOE_REFERENCE_OP(Concat)
FLOE_REFERENCE_OP(Pad)
FLOE_REFERENCE_OP(Tile)
FLOE_REFERENCE_OP(Trilu)
FLOE_REFERENCE_OP(DepthToSpace)
FLOE_REFERENCE_OP(SpaceToDepth)
// ops_make.cc
FLOE_REFERENCE_OP(ShapeOf)
FLOE_REFERENCE_OP(ConstantOfShape)
FLOE_REFERENCE_OP(Range)
FLOE_REFERENCE_OP(OneHot)
// ops_index.cc
FLOE_REFERENCE_OP(Gather)
FLOE_REFERENCE_OP(GatherElements)
FLOE_REFERENCE_OP(GatherNd)
FLOE_REFERENCE_OP(ScatterElements)
FLOE_REFERENCE_OP(ScatterNd)
FLOE_REFERENCE_OP(MaskedScatter)
FLOE_REFERENCE_OP(NonzeroStatic)
FLOE_REFERENCE_OP(Nonzero)
// ops_linear.cc
FLOE_REFERENCE_OP(MatMul)
FLOE_REFERENCE_OP(Gemm)
// ops_solve.cc
FLOE_REFERENCE_OP(Cholesky)
FLOE_REFERENCE_OP(TriangularSolve)
FLOE_REFERENCE_OP(Solve)
FLOE_REFERENCE_OP(Det)
// ops_spectral.cc
FLOE_REFERENCE_OP(Qr)
FLOE_REFERENCE_OP(Eigh)
FLOE_REFERENCE_OP(Svd)
// ops_conv.cc
FLOE_REFERENCE_OP(Conv)
FLOE_REFERENCE_OP(ConvTranspose)
// ops_norm.cc
FLOE_REFERENCE_OP(BatchNorm)
FLOE_REFERENCE_OP(LayerNorm)
FLOE_REFERENCE_OP(RmsNorm)
FLOE_REFERENCE_OP(InstanceNorm)
FLOE_REFERENCE_OP(GroupNorm)
FLOE_REFERENCE_OP(LpNorm)
FLOE_REFERENCE_OP(Lrn)
// ops_pool.cc
FLOE_REFERENCE_OP(MaxPool)
FLOE_REFERENCE_OP(AvgPool)
FLOE_REFERENCE_OP(QAvgPool)
// ops_sample.cc
FLOE_REFERENCE_OP(GridSample)
// ops_columns.cc
FLOE_REFERENCE_OP(Im2Col)
FLOE_REFERENCE_OP(Col2Im)
// ops_recurrent.cc
FLOE_REFERENCE_OP(Lstm)
FLOE_REFERENCE_OP(Gru)
FLOE_REFERENCE_OP(Rnn)
// ops_quantize.cc
FLOE_REFERENCE_OP(Quantize)
FLOE_REFERENCE_OP(Dequantize)
FLOE_REFERENCE_OP(DynamicQuantize)
FLOE_REFERENCE_OP(Lookup)
// ops_quantized.cc
FLOE_REFERENCE_OP(MatMulInteger)
FLOE_REFERENCE_OP(ConvInteger)
FLOE_REFERENCE_OP(QGemm)
FLOE_REFERENCE_OP(QConv)
// ops_quantized_lstm.cc
FLOE_REFERENCE_OP(QLstm)
// ops_attention.cc
FLOE_REFERENCE_OP(Attention)
// ops_rotary.cc
FLOE_REFERENCE_OP(Rotary)
#undef FLOE_REFERENCE_OP

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_OPS_INTERNAL_H_
