// The op table: families of rows, each in the file of its converters. To add an op, add a row
// there, and a converter unless one of the file's shared ones fits.
#ifndef FLOE_COMPILER_IMPORT_ONNX_OPS_H_
#define FLOE_COMPILER_IMPORT_ONNX_OPS_H_

#include <span>

#include "compiler/import/onnx/builder.h"
#include "compiler/import/onnx/model_file.h"

namespace floe::onnx {

inline constexpr char kMicrosoft[] = "com.microsoft";

std::span<const Row> MathRows();       // ops_math.cc: arithmetic, comparison, activations.
std::span<const Row> ReduceRows();     // ops_reduce.cc: reductions, scans, TopK, softmax.
std::span<const Row> ShapeRows();      // ops_shape.cc: reshapes, slices, joins, constants.
std::span<const Row> GenerateRows();   // ops_generate.cc: constants, ranges, triangles.
std::span<const Row> IndexRows();      // ops_index.cc: gather, scatter, one-hot.
std::span<const Row> NetworkRows();    // ops_nn.cc: products, convolutions, normalisations.
std::span<const Row> PoolRows();       // ops_pool.cc: pooling, Col2Im.
std::span<const Row> RecurrentRows();  // ops_recurrent.cc: LSTM, GRU, RNN.
std::span<const Row> ResizeRows();     // ops_resize.cc: Resize, Upsample, GridSample.
std::span<const Row> AttentionRows();  // ops_attention.cc: Attention, RotaryEmbedding.
std::span<const Row> ControlRows();    // ops_control.cc: If.
std::span<const Row> MicrosoftRows();  // ops_microsoft.cc: ONNX Runtime's transformer ops.
std::span<const Row> QuantizedRows();  // ops_quantized.cc: QDQ, QOperator, integer products.

// Numbers beyond this stand for "the end" in slices and are mistakes elsewhere; sums of a few that
// are not do not overflow.
inline constexpr int64_t kFar = int64_t{1} << 40;

// The padding of a sliding window: `pads` or auto_pad, begins then ends.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads;
};
// Reads strides, dilations, pads and auto_pad for the given kernel and the spatial axes of x.
Window ReadWindow(NodeBuilder& b, const ir::Value* x, std::vector<int64_t> kernel);

// The type of that number in TensorProto.DataType; an error of the node if there is none.
DType TypeAttr(NodeBuilder& b, int64_t data_type);
// numpy's matmul: vectors become matrices, and their axis goes away afterwards.
ir::Value* MatMulOf(NodeBuilder& b, ir::Value* a, ir::Value* c);
// com.microsoft's Attention behind its projection by `weights` [I,columns]: `all` is [B,S,columns].
// Reads the operator's attributes and writes its outputs; the other operands may be null.
struct AttentionOperands {
  ir::Value* weights = nullptr;
  ir::Value* mask = nullptr;
  ir::Value* past = nullptr;
  ir::Value* bias = nullptr;
};
void AttendMerged(NodeBuilder& b, ir::Value* all, const AttentionOperands& operands);
// The spatial sizes of the filter, which kernel_shape may repeat.
std::vector<int64_t> FilterSizes(NodeBuilder& b, const ir::Value* w);

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_OPS_H_
