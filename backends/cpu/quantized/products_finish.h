// The operands of one Run of an integer product, and what follows the sums. Included by ISA files.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_FINISH_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_FINISH_H_

#include "backends/cpu/gemm/driver.h"
#include "backends/cpu/quantized/qproduct.h"
#include "backends/cpu/quantized/requantize.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// For `count` columns from `first` on: where accumulators start (bias - x_zp * column sum), what
// they are multiplied with and, if there is a bias in f32, what is added then; all filled up with
// zeros to `padded`. Returns whether that is simple: no addition, and factors below 1 in magnitude.
bool FillColumns(const ColumnOperands& c, int64_t first, int64_t count, int64_t padded,
                 int32_t* __restrict start, float* __restrict scale, float* __restrict bias) {
  const auto zp = static_cast<uint32_t>(c.x_zp);
  const int32_t* sums = c.sums + first;
  const float* factors = c.scale + first;
  int large = 0;
  for (int64_t j = 0; j < count; ++j) {
    start[j] = static_cast<int32_t>(0u - zp * static_cast<uint32_t>(sums[j]));
    scale[j] = c.x_scale * factors[j];
    large |= !(scale[j] < 1.0f) | !(scale[j] > -1.0f);
  }
  if (c.bias != nullptr) {
    const int32_t* add = c.bias + first;
    for (int64_t j = 0; j < count; ++j) {
      start[j] =
          static_cast<int32_t>(static_cast<uint32_t>(start[j]) + static_cast<uint32_t>(add[j]));
    }
  }
  for (int64_t j = count; j < padded; ++j) {
    start[j] = 0;
    scale[j] = 0;
  }
  if (c.float_bias == nullptr) return large == 0;
  const float* add = c.float_bias + first;
  for (int64_t j = 0; j < count; ++j) bias[j] = add[j];
  for (int64_t j = count; j < padded; ++j) bias[j] = 0;
  return false;
}

// A product with the pointers of one Run; those of a convolution move from group to group.
struct QProduct {
  QProduct(const KernelArgs& args, void* scratch)
      : state(static_cast<const QProductState*>(args.state)),
        words(WordsOfRun(*state, args, &x_scale)),
        columns(ColumnsOf(args, words, x_scale)),
        requantizer(words, state->residual),
        a(static_cast<const uint8_t*>(args.inputs[families::kQuantizedX]) +
          state->product.a_offset),
        b(static_cast<const int8_t*>(args.inputs[families::kQuantizedW])) {
    floats.state = &state->product;
    floats.code = args.op->code;
    floats.code_count = args.op->code_count;
    floats.tile_scratch = static_cast<float*>(scratch);
    if (state->bytes) {
      y = static_cast<uint8_t*>(args.outputs[0]) + state->product.y_offset;
      if (state->residual) {
        residual = static_cast<const uint8_t*>(args.inputs[families::kQuantizedResidual]) +
                   state->product.operands[0].offset;
      }
    } else {
      floats.operands = args.inputs + families::kQuantizedExtra;
      floats.y = static_cast<float*>(args.outputs[0]) + state->product.y_offset;
    }
  }

  // Moves to `group` of a convolution.
  void MoveTo(int64_t group, const KernelArgs& args) {
    const ProductState& s = state->product;
    a = static_cast<const uint8_t*>(args.inputs[families::kQuantizedX]) + s.a_offset +
        group * s.a_group;
    b = static_cast<const int8_t*>(args.inputs[families::kQuantizedW]) + group * s.b_group;
    floats.channel = group * s.y_group;
    if (state->bytes) {
      y = static_cast<uint8_t*>(args.outputs[0]) + s.y_offset + floats.channel;
    } else {
      floats.y = static_cast<float*>(args.outputs[0]) + s.y_offset + floats.channel;
    }
  }

  float x_scale = 1;
  const QProductState* state;
  families::Requantize words;
  ColumnOperands columns;
  Requantizer requantizer;
  const uint8_t* a;
  const int8_t* b;
  const int64_t* taps = nullptr;
  uint8_t* y = nullptr;
  const uint8_t* residual = nullptr;
  Product floats;  // With an f32 result: for the epilogue over a spilled tile.
};

// What an f32 result's epilogue takes from its operands.
struct FloatEpilogue {
  TileArgs finish = {};
  const float* bias = nullptr;
  const float* residual = nullptr;
  GridStrides residual_strides;

  explicit FloatEpilogue(const QProduct& p) {
    const ProductState& s = p.state->product;
    if (p.state->bytes) {
      if (p.state->residual) residual_strides = s.operands[0].strides;
      return;
    }
    const Epilogue& e = s.epilogue;
    SetEpilogue(p.floats, &finish);
    if (e.bias >= 0) {
      bias = static_cast<const float*>(p.floats.operands[e.bias]) + p.floats.channel;
    }
    if (e.residual >= 0) {
      const EpilogueOperandInfo& info = s.operands[e.residual];
      residual =
          static_cast<const float*>(p.floats.operands[e.residual]) + info.offset + p.floats.channel;
      residual_strides = info.strides;
    }
  }

  void MoveTo(int64_t column) { finish.bias = bias != nullptr ? bias + column : nullptr; }
};

}  // namespace
}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_PRODUCTS_FINISH_H_
