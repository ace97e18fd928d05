// Family winograd_conv. A task takes a block of tiles: it transforms their inputs into t * t
// matrices in scratch, and for each group of columns multiplies those by u's matrices on the GEMM
// micro-kernel and transforms the products back, finishing with the epilogue. Each element's sums
// run in one order whatever the blocks, groups and tasks. With x of bf16 the transformed inputs and
// u are bf16, too (pairs of channels, as in gemm/narrow_tile.h), and everything else is f32.
#ifndef FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_CONV_KERNEL_H_
#define FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_CONV_KERNEL_H_

#include "backends/cpu/gemm/operands.h"
#include "backends/cpu/gemm/tile_args.h"
#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/cpu/winograd_conv/winograd_plan.h"
#include "backends/cpu/winograd_conv/winograd_transform.h"
#include "backends/halo.h"
#include "backends/kernel.h"
#include "format/checked.h"

namespace floe::cpu::FLOE_ISA {

// conv's, for instructions without u.
Status PrepareConv(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule);
Rule RunConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);

namespace {

// The tiles of a task, one after the other.
class TileCursor {
 public:
  TileCursor(const winograd::Blocking& b, int64_t tile)
      : b_(b),
        x_(tile % b.tiles_x),
        y_(tile / b.tiles_x % b.tiles_y),
        image_(tile / b.tiles_x / b.tiles_y) {}
  void Next() {
    if (++x_ < b_.tiles_x) return;
    x_ = 0;
    if (++y_ < b_.tiles_y) return;
    y_ = 0;
    ++image_;
  }
  int64_t tile_x() const { return x_; }
  // Of the tile's first output.
  Position position() const { return {x_ * b_.m, y_ * b_.m, image_}; }

 private:
  const winograd::Blocking& b_;
  int64_t x_, y_, image_;
};

struct WinogradRun {
  const WinogradState* state;
  Product product;
  const float* u;        // Or pairs, as many bytes for a column.
  void* inputs;          // t * t matrices [block][channels], of x's type.
  float* outputs;        // t * t matrices [block][16 * group_panels].
  int64_t first, count;  // Tiles of the task.
  bool has_scale;
  float scale;
  const float* bias;      // Null: none.
  const float* residual;  // At logical index 0; null: none.
  GridStrides residual_strides;
};

template <int kTile, class X>
void TransformInputs(const WinogradRun& run, const X* x) {
  const WinogradState& s = *run.state;
  const winograd::Blocking& b = s.blocking;
  const ProductState& p = s.product;
  const int64_t channels = s.channels, line = p.a.y, pixel = p.a.x;
  TileCursor cursor(b, run.first);
  for (int64_t tile = 0; tile < run.count; ++tile, cursor.Next()) {
    const Position at = cursor.position();
    const X* from = x + OffsetOf(p.a, at);
    X* to = static_cast<X*>(run.inputs) + tile * b.input_pitch;
    // What the window reaches beyond the last outputs.
    const int64_t rows = p.grid.height + 2 - at.y, columns = p.grid.width + 2 - at.x;
    const bool edge = rows < kTile || columns < kTile;
    int64_t c = 0;
    if (edge) {
      for (; c + kWidth <= channels; c += kWidth) {
        TransformInputTile<kTile, true, false>(from + c, line, pixel, rows, columns, kWidth, to + c,
                                               b.input_matrix);
      }
    } else {
      for (; c + kWidth <= channels; c += kWidth) {
        TransformInputTile<kTile, false, false>(from + c, line, pixel, rows, columns, kWidth,
                                                to + c, b.input_matrix);
      }
    }
    if (c < channels) {
      TransformInputTile<kTile, true, true>(from + c, line, pixel, rows, columns, channels - c,
                                            to + c, b.input_matrix);
    }
  }
}

// All matrix products of the task's tiles with panels [panel, panel_end).
void MultiplyGroup(const WinogradRun& run, int64_t panel, int64_t panel_end) {
  const WinogradState& s = *run.state;
  const winograd::Blocking& b = s.blocking;
  const int64_t taps[1] = {0};
  TileArgs t;
  t.taps = taps;
  t.tap_count = 1;
  t.run = s.channels;
  t.panel_stride = s.panel_rows * kPanel;
  t.bias = nullptr;
  t.has_scale = t.has_residual = t.has_low = t.has_high = false;
  t.scale = t.low = t.high = 0;
  t.last_columns = kPanel;
  t.spill = nullptr;
  const int64_t matrix = b.panels * t.panel_stride;  // Of u.
  const int64_t panels = panel_end - panel;
  const int64_t parts = CeilDiv(panels, s.tile_panels);
  const int64_t matrices = b.t * b.t;
  const bool pairs = run.product.a16 != nullptr;
  const auto find = s.product.find != nullptr ? s.product.find : &FindTile;
  for (int64_t m = 0; m < matrices; ++m) {
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t begin = panels * part / parts, end = panels * (part + 1) / parts;
      t.b = run.u + m * matrix + (panel + begin) * t.panel_stride;
      float* to = run.outputs + m * b.output_matrix + begin * kPanel;
      // The same panels of the next matrix (of this group, or of the next one) arrive meanwhile.
      const bool more = m + 1 < matrices || panel_end < b.panels;
      const float* next =
          m + 1 < matrices ? t.b + matrix : run.u + (panel_end + begin) * t.panel_stride;
      const int64_t lines = CeilDiv((end - begin) * int64_t{64}, s.row_tiles);
      t.prefetch_step = !more ? 0 : lines < 64 ? lines : 64;
      int64_t row = 0;
      for (int64_t tile = 0; tile < s.row_tiles; ++tile) {
        const int64_t row_end = run.count * (tile + 1) / s.row_tiles;
        const int64_t rows = row_end - row;
        if (rows == 0) continue;
        const int64_t rows_at = m * b.input_matrix + row * b.input_pitch;
        for (int64_t i = 0; i < rows; ++i) {
          if (pairs) {
            t.a16[i] = static_cast<const uint16_t*>(run.inputs) + rows_at + i * b.input_pitch;
          } else {
            t.a[i] = static_cast<const float*>(run.inputs) + rows_at + i * b.input_pitch;
          }
          t.y[i] = to + (row + i) * b.output_pitch;
          t.residual[i] = nullptr;
        }
        t.prefetch =
            more ? reinterpret_cast<const char*>(next) + tile * t.prefetch_step * s.panel_rows
                 : reinterpret_cast<const char*>(t.b);
        find(rows, end - begin)(t);
        row = row_end;
      }
    }
  }
}

template <bool kTail>
FLOE_INLINE F32 LoadColumns(const float* p, int64_t n) {
  return kTail ? LoadTail(p, n) : Load(p);
}

// The hot epilogue forms on one vector of columns, and the stores.
template <int kTile, bool kTail>
FLOE_INLINE void FinishTile(const WinogradRun& run, const Position& at, int64_t column, int64_t n,
                            F32* out) {
  constexpr int kOutputs = kTile - 2;
  constexpr int kCount = kOutputs * kOutputs;
  const ProductState& p = run.state->product;
  const Epilogue& e = p.epilogue;
  const int64_t rows = p.grid.height - at.y, columns = p.grid.width - at.x;
  if (run.has_scale) {
    const F32 scale = Broadcast(run.scale);
    FLOE_UNROLL
    for (int i = 0; i < kCount; ++i) out[i] = Mul(out[i], scale);
  }
  if (run.bias != nullptr) {
    const F32 bias = LoadColumns<kTail>(run.bias + column, n);
    FLOE_UNROLL
    for (int i = 0; i < kCount; ++i) out[i] = Add(out[i], bias);
  }
  if (run.residual != nullptr) {
    const GridStrides& strides = run.residual_strides;
    const float* r = run.residual + OffsetOf(strides, at) + column;
    FLOE_UNROLL
    for (int y = 0; y < kOutputs; ++y) {
      FLOE_UNROLL
      for (int x = 0; x < kOutputs; ++x) {
        if (y >= rows || x >= columns) continue;
        F32& v = out[y * kOutputs + x];
        v = Add(v, LoadColumns<kTail>(r + y * strides.y + x * strides.x, n));
      }
    }
  }
  if (e.has_low) {
    const F32 low = Broadcast(e.low);
    FLOE_UNROLL
    for (int i = 0; i < kCount; ++i) out[i] = MaxOrSecond(low, out[i]);
  }
  if (e.has_high) {
    const F32 high = Broadcast(e.high);
    FLOE_UNROLL
    for (int i = 0; i < kCount; ++i) out[i] = MinOrSecond(high, out[i]);
  }
  const int64_t to = OffsetOf(p.y, at) + column;
  FLOE_UNROLL
  for (int y = 0; y < kOutputs; ++y) {
    FLOE_UNROLL
    for (int x = 0; x < kOutputs; ++x) {
      if (y >= rows || x >= columns) continue;
      const int64_t pixel = to + y * p.y.y + x * p.y.x;
      const F32 value = out[y * kOutputs + x];
      if (run.product.y16 != nullptr) {
        if (kTail) {
          StoreBrainTail(run.product.y16 + pixel, n, value);
        } else {
          StoreBrain(run.product.y16 + pixel, value);
        }
      } else if (kTail) {
        StoreTail(run.product.y + pixel, n, value);
      } else {
        Store(run.product.y + pixel, value);
      }
    }
  }
}

// Row `from`'s n columns at element `to` of y.
void StoreFinished(const Product& product, int64_t to, const float* from, int64_t n) {
  int64_t j = 0;
  if (product.y16 != nullptr) {
    for (; j + kWidth <= n; j += kWidth) StoreBrain(product.y16 + to + j, Load(from + j));
    if (j < n) StoreBrainTail(product.y16 + to + j, n - j, Load(from + j));
    return;
  }
  for (; j + kWidth <= n; j += kWidth) Store(product.y + to + j, Load(from + j));
  if (j < n) StoreTail(product.y + to + j, n - j, Load(from + j));
}

// Other programs: over the tile's rows in scratch.
template <int kTile>
void RunProgram(const WinogradRun& run, const Position& at, const float* from, int64_t column,
                int64_t n) {
  constexpr int kOutputs = kTile - 2;
  const WinogradState& s = *run.state;
  const ProductState& p = s.product;
  const Product& product = run.product;
  const int64_t ld = s.blocking.output_pitch;
  float* scratch = product.tile_scratch;
  for (int64_t j = 0; j < n; j += kWidth) {
    F32 out[kOutputs * kOutputs];
    TransformOutputTile<kTile>(from + j, s.blocking.output_matrix, out);
    FLOE_UNROLL
    for (int i = 0; i < kOutputs * kOutputs; ++i) Store(scratch + i * ld + j, out[i]);
  }
  const int64_t rows = p.grid.height - at.y, columns = p.grid.width - at.x;
  const int64_t valid = columns < kOutputs ? columns : kOutputs;
  TileOperand operands[kPwMaxOperands];
  for (int64_t y = 0; y < kOutputs && y < rows; ++y) {
    const Position row_at{at.x, at.y + y, at.image};
    for (uint32_t i = 0; i < p.operand_count; ++i) {
      operands[i] = OperandAt(product, i, row_at, column);
    }
    float* row = scratch + y * kOutputs * ld;
    RunTile(product.code, product.code_count, row, valid, n, ld, operands);
    for (int64_t x = 0; x < valid; ++x) {
      StoreFinished(product, OffsetOf(p.y, row_at) + x * p.y.x + column, row + x * ld, n);
    }
  }
}

template <int kTile>
void TransformOutputs(const WinogradRun& run, int64_t panel, int64_t panel_end) {
  const WinogradState& s = *run.state;
  const winograd::Blocking& b = s.blocking;
  const int64_t column = panel * kPanel;
  const int64_t columns =
      (panel_end * kPanel < s.outputs ? panel_end * kPanel : s.outputs) - column;
  TileCursor cursor(b, run.first);
  for (int64_t tile = 0; tile < run.count; ++tile, cursor.Next()) {
    const Position at = cursor.position();
    const float* from = run.outputs + tile * b.output_pitch;
    if (!s.product.epilogue.in_registers) {
      RunProgram<kTile>(run, at, from, column, columns);
      continue;
    }
    F32 out[(kTile - 2) * (kTile - 2)];
    int64_t j = 0;
    for (; j + kWidth <= columns; j += kWidth) {
      TransformOutputTile<kTile>(from + j, b.output_matrix, out);
      FinishTile<kTile, false>(run, at, column + j, kWidth, out);
    }
    if (j < columns) {
      TransformOutputTile<kTile>(from + j, b.output_matrix, out);
      FinishTile<kTile, true>(run, at, column + j, columns - j, out);
    }
  }
}

template <int kTile>
void RunGroups(const WinogradRun& run, int64_t begin, int64_t end) {
  const WinogradState& s = *run.state;
  if (run.product.a16 != nullptr) {
    TransformInputs<kTile>(run, run.product.a16);
  } else {
    TransformInputs<kTile>(run, run.product.a);
  }
  for (int64_t group = begin; group < end; ++group) {
    const int64_t panel = s.blocking.panels * group / s.groups;
    const int64_t panel_end = s.blocking.panels * (group + 1) / s.groups;
    MultiplyGroup(run, panel, panel_end);
    TransformOutputs<kTile>(run, panel, panel_end);
  }
}

// The halo of the lines that the task's tiles begin.
void ZeroTilesHalo(const WinogradRun& run, const TensorInfo& y, void* base) {
  if (y.halo.empty()) return;
  const winograd::Blocking& b = run.state->blocking;
  TileCursor cursor(b, run.first);
  for (int64_t tile = 0; tile < run.count; ++tile, cursor.Next()) {
    if (cursor.tile_x() != 0) continue;
    const Position at = cursor.position();
    const int64_t end = at.y + b.m < y.dims[2] ? at.y + b.m : y.dims[2];
    ZeroHaloRows(y, base, at.image, at.y, end);
  }
}

void SetEpilogue(const ProductState& s, WinogradRun* run) {
  const Epilogue& e = s.epilogue;
  const void* const* operands = run->product.operands;
  run->has_scale = e.scale != 1.0f || e.scale_operand >= 0;
  run->scale =
      e.scale_operand >= 0 ? *static_cast<const float*>(operands[e.scale_operand]) : e.scale;
  run->bias = e.bias >= 0 ? static_cast<const float*>(operands[e.bias]) : nullptr;
  run->residual = nullptr;
  if (e.residual < 0) return;
  const EpilogueOperandInfo& info = s.operands[e.residual];
  run->residual = static_cast<const float*>(operands[e.residual]) + info.offset;
  run->residual_strides = info.strides;
}

}  // namespace

Status PrepareWinogradConv(const OpInfo& op, const PrepareContext& context, void* state,
                           Schedule* schedule) {
  if (!op.inputs[2].present()) {
    TensorInfo inputs[kMaxOperands];
    return PrepareConv(winograd::ConvOf(op, inputs), context, state, schedule);
  }
  auto* s = static_cast<WinogradState*>(state);
  const bool pairs = op.inputs[0].dtype == DType::kBF16;
  PrepareWinograd(op, context, pairs ? PairTiles().set : Tiles(), s);
  if (pairs) s->product.find = PairTiles().find;
  const bool has_halo = !op.outputs[0].halo.empty();
  schedule->tasks = s->product.empty ? static_cast<uint32_t>(has_halo)
                                     : static_cast<uint32_t>(s->tile_blocks * s->group_blocks);
  if (pairs) {
    schedule->variant = FLOE_VARIANT("bf16_winograd_2x2");
  } else {
    schedule->variant = op.inputs[2].dims[2] == 4 ? FLOE_VARIANT("f32_winograd_2x2")
                                                  : FLOE_VARIANT("f32_winograd_4x4");
  }
  return OkStatus();
}

Rule RunWinogradConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end,
                     void* scratch) {
  if (!args.op->inputs[2].present()) {
    const winograd::PlainConv conv(args);
    return RunConv(conv.args, phase, begin, end, scratch);
  }
  const auto* s = static_cast<const WinogradState*>(args.state);
  const TensorInfo& y = args.op->outputs[0];
  if (s->product.empty) {
    if (begin < end) ZeroHalo(y, args.outputs[0]);
    return Rule::kNone;
  }
  const winograd::Blocking& b = s->blocking;
  WinogradRun run;
  run.state = s;
  run.product.state = &s->product;
  if (args.op->inputs[0].dtype == DType::kBF16) {
    run.product.a16 = static_cast<const uint16_t*>(args.inputs[0]) + s->product.a_offset;
  } else {
    run.product.a = static_cast<const float*>(args.inputs[0]) + s->product.a_offset;
  }
  if (y.dtype == DType::kBF16) {
    run.product.y16 = static_cast<uint16_t*>(args.outputs[0]) + s->product.y_offset;
  } else {
    run.product.y = static_cast<float*>(args.outputs[0]) + s->product.y_offset;
  }
  run.product.code = args.op->code;
  run.product.code_count = args.op->code_count;
  run.product.operands = args.inputs + 3;
  run.product.tile_scratch = static_cast<float*>(scratch);
  run.u = static_cast<const float*>(args.inputs[2]);
  char* const matrices = static_cast<char*>(scratch) + families::kTileScratchBytes;
  run.inputs = matrices;
  run.outputs = reinterpret_cast<float*>(matrices + b.input_bytes);
  SetEpilogue(s->product, &run);
  for (uint32_t task = begin; task < end; ++task) {
    const int64_t tile_block = task / s->group_blocks, group_block = task % s->group_blocks;
    run.first = b.tiles * tile_block / s->tile_blocks;
    run.count = b.tiles * (tile_block + 1) / s->tile_blocks - run.first;
    const int64_t group = s->groups * group_block / s->group_blocks;
    const int64_t group_end = s->groups * (group_block + 1) / s->group_blocks;
    if (b.t == 4) {
      RunGroups<4>(run, group, group_end);
    } else {  // Only f32 has these.
      RunGroups<6>(run, group, group_end);
    }
    if (group_block == 0) ZeroTilesHalo(run, y, args.outputs[0]);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_WINOGRAD_CONV_WINOGRAD_CONV_KERNEL_H_
