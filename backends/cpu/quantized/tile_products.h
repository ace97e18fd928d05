// qgemm and qconv on the tile unit (amx/blocks.h): sums start from the bias and the zero point's
// part and go through scratch to the same epilogue as everywhere. What tiles do not suit runs on
// the vectors of FLOE_VECTOR_ISA.
#ifndef FLOE_BACKENDS_CPU_QUANTIZED_TILE_PRODUCTS_H_
#define FLOE_BACKENDS_CPU_QUANTIZED_TILE_PRODUCTS_H_

#include "backends/cpu/amx/blocks.h"
#include "backends/cpu/quantized/products_block.h"
#include "backends/kernel.h"

namespace floe::cpu {
namespace FLOE_VECTOR_ISA {
Status PrepareQGemm(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule);
Rule RunQGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
Status PrepareQConv(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule);
Rule RunQConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch);
}  // namespace FLOE_VECTOR_ISA

namespace FLOE_ISA {
namespace {

// See RunTileBlock. Sums are s32.
class ByteFinish {
 public:
  explicit ByteFinish(QProduct* p) : by_rows(p->state->bytes), p_(*p), floats_(*p) {}

  bool preload = true;
  bool by_rows;
  int64_t direct_pitch = 0;

  void Fill(int64_t panel, int64_t panels, TileColumns* c) const {
    c->Place(panel, panels, p_.state->product.tiling.n);
    FillColumns(p_.columns, p_.floats.channel + c->column, c->columns, panels * kPanel, c->start,
                c->scale, c->bias);
  }

  void* Direct(const TileColumns&, const RowTile&, int64_t) const { return nullptr; }

  void Row(const TileColumns& c, const int32_t* sums, const Position& at) const {
    if (c.panels == 2) {
      RequantizeSums<2>(c, sums, at);
    } else {
      RequantizeSums<1>(c, sums, at);
    }
  }

  // f32 results.
  void Rows(const TileColumns& c, int32_t* sums, const Position& first, int64_t count) {
    const ProductState& s = p_.state->product;
    floats_.MoveTo(c.column);
    const float* residual = floats_.residual != nullptr ? floats_.residual + c.column : nullptr;
    for (int64_t i = 0; i < count; ++i) {
      Position at = first;
      at.x += i;
      floats_.finish.y[i] = p_.floats.y + OffsetOf(s.y, at) + c.column;
      floats_.finish.residual[i] =
          residual != nullptr ? residual + OffsetOf(floats_.residual_strides, at) : nullptr;
    }
    p_.floats.tile_scratch = reinterpret_cast<float*>(sums);
    FinishFloats(p_, c, &floats_.finish, first, count);
  }

 private:
  template <int kPanels>
  FLOE_INLINE void RequantizeSums(const TileColumns& c, const int32_t* sums,
                                  const Position& at) const {
    const ProductState& s = p_.state->product;
    const uint8_t* residual =
        p_.residual != nullptr
            ? p_.residual + OffsetOf(floats_.residual_strides, at) + p_.floats.channel + c.column
            : nullptr;
    I32 row[kPanels * kRowVecs];
    FLOE_UNROLL
    for (int v = 0; v < kPanels * kRowVecs; ++v) row[v] = LoadInts(sums + v * kWidth);
    RequantizeRow<kPanels>(p_.requantizer, row, c.scale,
                           p_.columns.float_bias != nullptr ? c.bias : nullptr, residual,
                           c.columns - (kPanels - 1) * kPanel, p_.y + OffsetOf(s.y, at) + c.column);
  }

  QProduct p_;
  FloatEpilogue floats_;
};

void RunByteTasks(const KernelArgs& args, const int64_t* taps, uint32_t begin, uint32_t end,
                  void* scratch) {
  const ProductState& s = static_cast<const QProductState*>(args.state)->product;
  QProduct p(args, scratch);
  RunTileTasks<TileOfBytes>(args, s, taps, begin, end, scratch,
                            [&](int64_t group, const char** a, const char** b) {
                              p.MoveTo(group, args);
                              *a = reinterpret_cast<const char*>(p.a);
                              *b = reinterpret_cast<const char*>(p.b);
                              return ByteFinish(&p);
                            });
}

bool UseByteTiles(QProductState* state, Schedule* schedule, const char* variant) {
  if (!UseTiles<TileOfBytes>(&state->product)) return false;
  state->tiles = true;
  schedule->tasks = static_cast<uint32_t>(state->product.tiling.tasks());
  schedule->variant = variant;
  return true;
}

}  // namespace

Status PrepareQGemm(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule) {
  auto* s = static_cast<QProductState*>(state);
  PrepareQGemmProduct(op, context, kAmxTileSet, s);
  if (UseByteTiles(s, schedule, FLOE_VARIANT("u8_gemm_tiles"))) return OkStatus();
  return FLOE_VECTOR_ISA::PrepareQGemm(op, context, state, schedule);
}

Rule RunQGemm(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  if (!static_cast<const QProductState*>(args.state)->tiles) {
    return FLOE_VECTOR_ISA::RunQGemm(args, phase, begin, end, scratch);
  }
  const int64_t taps[1] = {0};
  RunByteTasks(args, taps, begin, end, scratch);
  return Rule::kNone;
}

Status PrepareQConv(const OpInfo& op, const PrepareContext& context, void* state,
                    Schedule* schedule) {
  auto* s = static_cast<QProductState*>(state);
  PrepareQConvProduct(op, context, kAmxTileSet, s);
  if (UseByteTiles(s, schedule, FLOE_VARIANT("u8_conv_tiles"))) return OkStatus();
  return FLOE_VECTOR_ISA::PrepareQConv(op, context, state, schedule);
}

Rule RunQConv(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void* scratch) {
  if (!static_cast<const QProductState*>(args.state)->tiles) {
    return FLOE_VECTOR_ISA::RunQConv(args, phase, begin, end, scratch);
  }
  RunByteTasks(args, TapTable(args.state), begin, end, scratch);
  return Rule::kNone;
}

}  // namespace FLOE_ISA
}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_QUANTIZED_TILE_PRODUCTS_H_
