#include "backends/cpu/quantized/qproduct.h"

#include <algorithm>
#include <new>

#include "format/checked.h"

namespace floe::cpu {
namespace {

constexpr int64_t kGroup = 4;

// Words, and the operands of the epilogue: `first_word` is that of the requantising words.
void Describe(const OpInfo& op, uint32_t first_word, int64_t columns, QProductState* state) {
  ProductState* s = &state->product;
  state->words = families::ReadRequantize(op.attrs + first_word);
  state->bytes = op.outputs[0].dtype == DType::kU8;
  if (!state->bytes) {
    DescribeOperands(op, families::kQuantizedExtra, columns, s);
    return;
  }
  const TensorInfo& residual = op.inputs[families::kQuantizedResidual];
  state->residual = residual.present();
  if (!state->residual) return;
  s->operand_count = 1;
  EpilogueOperandInfo& o = s->operands[0];
  o.kind = OperandKind::kTensor;
  if (residual.layout == LayoutId::kChannelsLast) {
    o.strides = ImageStrides(residual, &o.offset);
  } else {
    o.strides.x = columns;
  }
}

}  // namespace

void PrepareQGemmProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                         QProductState* state) {
  new (state) QProductState{};
  ProductState* s = &state->product;
  const TensorInfo& x = op.inputs[0];
  const TensorInfo& w = op.inputs[1];
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank; ++i) rows *= x.dims[i];
  const int64_t k = w.dims[0], n = w.dims[1];
  s->empty = rows == 0 || n == 0;
  if (s->empty) return;
  s->grid = {rows, 1};
  s->a.x = k;
  s->y.x = n;
  s->tap_count = 1;
  s->run = k;
  state->run_groups = CeilDiv(k, kGroup);
  Describe(op, 0, n, state);
  s->tiling = ChooseTiling({.outer = 1,
                            .m = rows,
                            .n = n,
                            .k = state->run_groups,
                            .row_bytes = k,
                            .workers = context.workers},
                           set);
}

void PrepareQConvProduct(const OpInfo& op, const PrepareContext& context, const TileSet& set,
                         QProductState* state) {
  new (state) QProductState{};
  ProductState* s = &state->product;
  const TensorInfo& w = op.inputs[1];
  const TensorInfo& y = op.outputs[0];
  const families::WindowAttrs window = families::ReadWindow(op.attrs + 1);
  const int64_t groups = op.attrs[0];
  s->empty = IsEmptyImage(y);
  if (s->empty) return;
  const bool joined = families::JoinsTaps(w, window.kw);
  const int64_t channels = joined ? w.dims[1] / window.kw : w.dims[1];
  const int64_t outputs = y.dims[1] / groups;
  DescribeImages(op, window, s);
  int64_t strides[kMaxRank], offset;
  TensorStrides(op.inputs[0], strides, &offset);
  // Neighbouring pixels are one run when every channel of them is read and no tap is filled up.
  const bool join = joined || (groups == 1 && window.dw == 1 && channels % kGroup == 0);
  s->run = join ? window.kw * channels : channels;
  state->run_groups = CeilDiv(s->run, kGroup);
  int64_t* taps = TapTable(static_cast<void*>(state));
  for (int64_t ky = 0; channels > 0 && ky < window.kh; ++ky) {
    for (int64_t kx = 0; kx < (join ? 1 : window.kw); ++kx) {
      taps[s->tap_count++] = ky * window.dh * strides[2] + kx * window.dw * strides[3];
    }
  }
  const int64_t k = s->tap_count * state->run_groups;
  s->a_group = channels;
  s->y_group = outputs;
  s->b_group = CeilDiv(outputs, 16) * 64 * k;
  Describe(op, 11, y.dims[1], state);
  CollapseGrid(y.dims[0], s);
  const bool tall = y.dims[2] > 1, wide = y.dims[3] > 1;
  s->tiling = ChooseTiling({.outer = groups,
                            .m = y.dims[0] * y.dims[2] * y.dims[3],
                            .n = outputs,
                            .k = k,
                            .row_bytes = channels * (tall ? window.sh : 1) * (wide ? window.sw : 1),
                            .workers = context.workers},
                           set);
}

void PrepareQDepthwiseProduct(const OpInfo& op, const PrepareContext& context,
                              QProductState* state) {
  new (state) QProductState{};
  ProductState* s = &state->product;
  const TensorInfo& y = op.outputs[0];
  const families::WindowAttrs window = families::ReadWindow(op.attrs);
  s->empty = IsEmptyImage(y);
  if (s->empty) return;
  DescribeImages(op, window, s);
  s->depthwise_line = LineStep(op, window);
  Describe(op, 10, y.dims[1], state);
  constexpr double kTaskWork = 1 << 18;
  ShareLines(op, window, context.workers, kTaskWork, s);
}

families::Requantize WordsOfRun(const QProductState& state, const KernelArgs& args,
                                float* x_scale) {
  families::Requantize words = state.words;
  *x_scale = 1;
  if (words.dynamic) {
    words.x_zp = *static_cast<const uint8_t*>(args.inputs[families::kQuantizedXZeroPoint]);
    *x_scale = *static_cast<const float*>(args.inputs[families::kQuantizedXScale]);
  }
  return words;
}

ColumnOperands ColumnsOf(const KernelArgs& args, const families::Requantize& words, float x_scale) {
  const void* bias = args.inputs[families::kQuantizedBias];
  const bool floats = args.op->inputs[families::kQuantizedBias].dtype == DType::kF32;
  return {.sums = static_cast<const int32_t*>(args.inputs[families::kQuantizedColumnSums]),
          .scale = static_cast<const float*>(args.inputs[families::kQuantizedScale]),
          .bias = floats ? nullptr : static_cast<const int32_t*>(bias),
          .float_bias = floats ? static_cast<const float*>(bias) : nullptr,
          .x_zp = words.x_zp,
          .x_scale = x_scale};
}

}  // namespace floe::cpu
