// What the parts of integer-islands share: conversions with known numbers, and values as u8.
#ifndef FLOE_COMPILER_PASSES_INTEGER_EDGES_H_
#define FLOE_COMPILER_PASSES_INTEGER_EDGES_H_

#include <optional>
#include <vector>

#include "compiler/passes/rewrite.h"

namespace floe::passes {

// A quantize or dequantize of a whole tensor with constant numbers, between f32 and 8 bits.
struct Edge {
  ir::Node* node = nullptr;
  ir::Value* integers = nullptr;  // What dequantize reads or quantize makes.
  DType dtype = DType::kNone;     // Of the integers: u8 or i8.
  float scale = 0;
  int32_t zero = 0;
  int32_t min = 0, max = 0;  // Of quantize; the dtype's range for dequantize.

  // Equal numbers stand for equal floats.
  bool SameNumbers(const Edge& other) const {
    return dtype == other.dtype && scale == other.scale && zero == other.zero;
  }
};

// The edge that `node` is, if it is one.
std::optional<Edge> EdgeOf(ir::Node* node);
// The dequantize that makes `value`.
std::optional<Edge> DequantizedBy(const ir::Value* value);

// Moves every i8 tensor that only conversions, moves and pools see to u8, zero points by 128: what
// kernels take.
absl::Status MakeUnsigned(ir::Graph& graph, Report& report);
// Lets moves, joins and maxima work on the integers: dequantize, op, quantize with the same numbers
// becomes the op.
absl::Status SinkIntoIntegers(ir::Graph& graph, Report& report);
// Means and pointwise functions between a dequantize and a quantize, on bytes.
absl::Status FuseByteFunctions(ir::Graph& graph, Report& report);
// Integer products of dynamically quantised activations, with their scales.
absl::Status FuseDynamicProducts(ir::Graph& graph, Report& report);

// Weights as i8 without zero point: their numbers and the scale of each output channel.
struct IntegerWeights {
  ir::Tensor numbers;         // In the layout of the value.
  std::vector<float> scales;  // One per channel.
};
// Of a dequantize (or of constant integers with given scales and zeros) whose channels lie on
// `axis`. Absent if they are not constant or not symmetric; *why says which.
std::optional<IntegerWeights> WeightsOf(const ir::Value* integers, const ir::Value* scale,
                                        const ir::Value* zero, size_t axis, const char** why);

}  // namespace floe::passes

#endif  // FLOE_COMPILER_PASSES_INTEGER_EDGES_H_
