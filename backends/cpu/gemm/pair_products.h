// gemm and conv of bf16 on the tile unit (amx/blocks.h): sums start from the bias; where that is
// all, they are stored straight into y, and else finished by rows. What tiles do not suit, and
// weights of other types, run on the base ISA's vectors.
#ifndef FLOE_BACKENDS_CPU_GEMM_PAIR_PRODUCTS_H_
#define FLOE_BACKENDS_CPU_GEMM_PAIR_PRODUCTS_H_

#include "backends/cpu/amx/blocks.h"
#include "backends/cpu/gemm/driver.h"
#include "backends/kernel.h"

namespace floe::cpu {
namespace FLOE_BASE_ISA {
Status PrepareGemm(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule);
Rule RunGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
Status PrepareConv(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule);
Rule RunConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
}  // namespace FLOE_BASE_ISA

namespace FLOE_ISA {
namespace {

// See RunTileBlock. Sums are f32.
class PairFinish {
 public:
  explicit PairFinish(const Product& p)
      : preload(false),
        by_rows(p.state->epilogue.in_registers),
        direct_pitch(p.state->y.x * 4),
        p_(p),
        width_(p.state->grid.width) {
    const ProductState& s = *p.state;
    const Epilogue& e = s.epilogue;
    SetEpilogue(p, &t_);
    t_.narrow_y = p.y16 != nullptr;
    if (e.bias >= 0) bias_ = static_cast<const float*>(p.operands[e.bias]) + p.channel;
    if (e.residual >= 0) {
      const EpilogueOperandInfo& info = s.operands[e.residual];
      residual_ = static_cast<const float*>(p.operands[e.residual]) + info.offset + p.channel;
      residual_strides_ = info.strides;
    }
    preload = by_rows && !t_.has_scale && bias_ != nullptr;
    direct_ = by_rows && !t_.narrow_y && !t_.has_scale && !t_.has_residual && !t_.has_low &&
              !t_.has_high && e.post == Post::kNone;
  }

  bool preload, by_rows;
  int64_t direct_pitch;

  void Fill(int64_t panel, int64_t panels, TileColumns* c) const {
    c->Place(panel, panels, p_.state->tiling.n);
    __builtin_memset(c->start, 0, sizeof(c->start));
    if (!preload) return;
    __builtin_memcpy(c->start, bias_ + c->column, static_cast<size_t>(c->columns * 4));
  }

  void* Direct(const TileColumns& c, const RowTile& tile, int64_t rows) const {
    if (!direct_ || tile.skip != 0 || tile.end != rows || tile.at.x + rows > width_) return nullptr;
    return p_.y + OffsetOf(p_.state->y, tile.at) + c.column;
  }

  void Row(const TileColumns& c, int32_t* sums, const Position& at) const {
    auto* row = reinterpret_cast<float*>(sums);
    const Epilogue& e = p_.state->epilogue;
    const int64_t y = OffsetOf(p_.state->y, at) + c.column;
    const float* residual =
        residual_ != nullptr ? residual_ + OffsetOf(residual_strides_, at) + c.column : nullptr;
    TileArgs t = t_;
    t.bias = preload || bias_ == nullptr ? nullptr : bias_ + c.column;
    if (t.narrow_y) return FinishNarrowRow(t, e, row, residual, c.columns, p_.y16 + y);
    FinishSpilledRow(t, e, row, residual, c.columns);
    if (e.post != Post::kNone) FinishRows(e.post, &row, 1, c.columns);
    StoreSpilledRow(row, c.columns, p_.y + y, 1);
  }

  // Programs.
  void Rows(const TileColumns& c, int32_t* sums, const Position& at, int64_t count) {
    const int64_t y = OffsetOf(p_.state->y, at) + c.column, step = p_.state->y.x;
    for (int64_t i = 0; i < count; ++i) {
      if (t_.narrow_y) {
        t_.y16[i] = p_.y16 + y + i * step;
      } else {
        t_.y[i] = p_.y + y + i * step;
      }
    }
    p_.tile_scratch = reinterpret_cast<float*>(sums);
    FinishSpilledTile(p_, t_, at, count, c.column, c.columns, c.panels * kPanel);
  }

 private:
  Product p_;
  const int64_t width_;
  TileArgs t_ = {};
  bool direct_;
  const float* bias_ = nullptr;
  const float* residual_ = nullptr;
  GridStrides residual_strides_;
};

// The pointers of group `group`; a gemm is one.
Product ProductOf(const KernelArgs& args, const ProductState& s, int64_t group, void* scratch) {
  Product p;
  p.state = &s;
  p.a16 = static_cast<const uint16_t*>(args.inputs[0]) + s.a_offset + group * s.a_group;
  p.b = reinterpret_cast<const float*>(static_cast<const char*>(args.inputs[1]) +
                                       group * s.b_group * s.column_bytes);
  p.channel = group * s.y_group;
  if (args.op->outputs[0].dtype == DType::kBF16) {
    p.y16 = static_cast<uint16_t*>(args.outputs[0]) + s.y_offset + p.channel;
  } else {
    p.y = static_cast<float*>(args.outputs[0]) + s.y_offset + p.channel;
  }
  p.code = args.op->code;
  p.code_count = args.op->code_count;
  p.operands = args.inputs + 2;
  p.tile_scratch = static_cast<float*>(scratch);
  return p;
}

void RunPairTasks(const KernelArgs& args, const int64_t* taps, uint32_t begin, uint32_t end,
                  void* scratch) {
  const auto& s = *static_cast<const ProductState*>(args.state);
  RunTileTasks<TileOfPairs>(args, s, taps, begin, end, scratch,
                            [&](int64_t group, const char** a, const char** b) {
                              const Product p = ProductOf(args, s, group, scratch);
                              *a = reinterpret_cast<const char*>(p.a16);
                              *b = reinterpret_cast<const char*>(p.b);
                              return PairFinish(p);
                            });
}

// Vectors have micro-kernels for pairs.
bool OnTiles(const KernelArgs& args) {
  const auto* s = static_cast<const ProductState*>(args.state);
  return args.op->inputs[1].dtype == DType::kBF16 && !s->empty && s->find == nullptr;
}

bool UsePairTiles(ProductState* s, Schedule* schedule, const char* variant) {
  if (!UseTiles<TileOfPairs>(s)) return false;
  schedule->tasks = static_cast<uint32_t>(s->tiling.tasks());
  schedule->variant = variant;
  return true;
}

}  // namespace

Status PrepareGemm(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  auto* s = static_cast<ProductState*>(state);
  if (op.inputs[1].dtype == DType::kBF16) {
    PrepareGemmProduct(op, context, kAmxTileSet, s);
    if (UsePairTiles(s, schedule, FLOE_VARIANT("bf16_gemm_tiles"))) return OkStatus();
  }
  return FLOE_BASE_ISA::PrepareGemm(op, context, state, schedule);
}

Rule RunGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  if (!OnTiles(args)) {
    return FLOE_BASE_ISA::RunGemm(args, phase, begin, end, scratch);
  }
  const int64_t taps[1] = {0};
  RunPairTasks(args, taps, begin, end, scratch);
  return Rule::kNone;
}

Status PrepareConv(const OpInfo& op, const PrepareContext& context, void* state,
                   Schedule* schedule) {
  auto* s = static_cast<ProductState*>(state);
  if (op.inputs[1].dtype == DType::kBF16) {
    PrepareConvProduct(op, context, kAmxTileSet, s);
    if (UsePairTiles(s, schedule, FLOE_VARIANT("bf16_conv_tiles"))) return OkStatus();
  }
  return FLOE_BASE_ISA::PrepareConv(op, context, state, schedule);
}

Rule RunConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  if (!OnTiles(args)) {
    return FLOE_BASE_ISA::RunConv(args, phase, begin, end, scratch);
  }
  RunPairTasks(args, TapTable(args.state), begin, end, scratch);
  return Rule::kNone;
}

}  // namespace FLOE_ISA
}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_GEMM_PAIR_PRODUCTS_H_
