// The pointwise VM: runs a program over a tile of rows x cols elements in L1, one instruction at a
// time over the whole tile. Loads of f32 operands cost nothing (the register becomes a pointer), a
// constant is one value, and pairs of instructions whose intermediate value dies at once are run as
// one (no other value changes: both roundings stay). Per ISA; included by the VM's own ISA files:
// every family of an ISA calls the same code (tile_vm.h).
#ifndef FLOE_BACKENDS_CPU_POINTWISE_VM_H_
#define FLOE_BACKENDS_CPU_POINTWISE_VM_H_

#include <cstdint>

#include "backends/cpu/math.h"
#include "backends/cpu/narrow.h"
#include "backends/cpu/pointwise/map_tile.h"
#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/cpu/pointwise/vm_step.h"
#include "format/dtype.h"
#include "format/pointwise.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// --- functions without a vector form -------------------------------------------------------------

// sin or cos of n <= 64 values, in double: k = round(x 2/pi), r = x - k pi/2 with pi/2 in three
// parts of which the first two have 26 bits. Beyond 2^27 the C library does it.
FLOE_INLINE void SinCosChunk(const float* x, float* y, int64_t n, bool cosine) {
  // Always 64 values, and bits instead of branches, so that the compiler makes vectors of it.
  alignas(64) float in[64] = {};
  alignas(64) float out[64];
  for (int64_t i = 0; i < n; ++i) in[i] = x[i];
  const int64_t turn = cosine ? 1 : 0;
  for (int i = 0; i < 64; ++i) {
    const double v = in[i];
    const double shifted = v * 0x1.45f306dc9c883p-1 + 0x1.8p52;
    const double k = shifted - 0x1.8p52;
    const double r = ((v - k * 0x1.921fb5p+0) - k * 0x1.110b46p-26) - k * 0x1.1a62633145c07p-54;
    const int64_t quadrant = __builtin_bit_cast(int64_t, shifted) + turn;
    const double z = r * r;
    const double s =
        r + r * z *
                (-1.0 / 6 +
                 z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 + z * (-1.0 / 39916800)))));
    const double c =
        1 + z * (-0.5 + z * (1.0 / 24 +
                             z * (-1.0 / 720 + z * (1.0 / 40320 + z * (-1.0 / 3628800 +
                                                                       z * (1.0 / 479001600))))));
    const int64_t take_cosine = -(quadrant & 1);
    const int64_t value = (__builtin_bit_cast(int64_t, c) & take_cosine) |
                          (__builtin_bit_cast(int64_t, s) & ~take_cosine);
    const uint64_t sign = static_cast<uint64_t>(quadrant & 2) << 62;
    out[i] = static_cast<float>(
        __builtin_bit_cast(double, static_cast<int64_t>(static_cast<uint64_t>(value) ^ sign)));
  }
  for (int64_t i = 0; i < n; ++i) {
    if (in[i] > -0x1p27f && in[i] < 0x1p27f) continue;
    const double v = in[i];
    out[i] = static_cast<float>(cosine ? __builtin_cos(v) : __builtin_sin(v));
  }
  for (int64_t i = 0; i < n; ++i) y[i] = out[i];
}

template <class F>
FLOE_INLINE void MapRows(Destination d, const Source* s, int sources, int64_t rows, int64_t cols,
                         F f) {
  float lanes[2][64];
  for (int64_t r = rows - 1; r >= 0; --r) {  // As MapTile.
    const float* row[2] = {nullptr, nullptr};
    for (int k = 0; k < sources; ++k) {
      row[k] = s[k].p + r * s[k].row_stride;
      if (s[k].vector) continue;
      for (int64_t j = 0; j < 64; ++j) lanes[k][j] = *row[k];
    }
    for (int64_t i = 0; i < cols; i += 64) {
      const int64_t n = cols - i < 64 ? cols - i : 64;
      const float* p[2];
      for (int k = 0; k < 2; ++k) p[k] = k < sources && s[k].vector ? row[k] + i : lanes[k];
      f(p[0], p[1], d.p + r * d.row_stride + i, n);
    }
  }
}

FLOE_INLINE void PowChunk(const float* a, const float* b, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float e = b[i];
    // Exact cases that are common as constants.
    y[i] = e == 2.0f ? a[i] * a[i] : e == 1.0f ? a[i] : __builtin_powf(a[i], e);
  }
}

// --- one instruction -----------------------------------------------------------------------------

#define FLOE_MAP1(expr)                                                             \
  MapTile<1>(                                                                       \
      t.d, t.s, rows, cols, [&](const F32* x) __attribute__((always_inline))->F32 { \
        const F32 a = x[0];                                                         \
        return expr;                                                                \
      });                                                                           \
  break
#define FLOE_MAP2(expr)                                                             \
  MapTile<2>(                                                                       \
      t.d, t.s, rows, cols, [&](const F32* x) __attribute__((always_inline))->F32 { \
        const F32 a = x[0], b = x[1];                                               \
        return expr;                                                                \
      });                                                                           \
  break
#define FLOE_MAP3(expr)                                                             \
  MapTile<3>(                                                                       \
      t.d, t.s, rows, cols, [&](const F32* x) __attribute__((always_inline))->F32 { \
        const F32 a = x[0], b = x[1], c = x[2];                                     \
        return expr;                                                                \
      });                                                                           \
  break

[[gnu::noinline]] void RunStep(const Step& t, int64_t rows, int64_t cols) {
  const F32 imm = Broadcast(t.imm), one = Broadcast(1.0f), zero = Zero();
  switch (t.op) {
    case PwOp::kLoad:
    case PwOp::kConst:
    case PwOp::kCount:
      break;
    case PwOp::kMove:
      FLOE_MAP1(a);
    case PwOp::kAdd:
      FLOE_MAP2(Add(a, b));
    case PwOp::kSub:
      FLOE_MAP2(Sub(a, b));
    case PwOp::kMul:
      FLOE_MAP2(Mul(a, b));
    case PwOp::kDiv:
      FLOE_MAP2(Div(a, b));
    case PwOp::kMin:
      FLOE_MAP2(Minimum(a, b));
    case PwOp::kMax:
      FLOE_MAP2(Maximum(a, b));
    case PwOp::kPow:
      MapRows(
          t.d, t.s, 2, rows, cols,
          [](const float* a, const float* b, float* y, int64_t n)
              __attribute__((always_inline)) { PowChunk(a, b, y, n); });
      break;
    case PwOp::kFma:
      FLOE_MAP3(MulAdd(a, b, c));
    case PwOp::kSelect:
      FLOE_MAP3(Choose(NotEqual(a, zero), b, c));
    case PwOp::kEq:
      FLOE_MAP2(Truth(Equal(a, b)));
    case PwOp::kNe:
      FLOE_MAP2(Truth(NotEqual(a, b)));
    case PwOp::kLt:
      FLOE_MAP2(Truth(Less(a, b)));
    case PwOp::kLe:
      FLOE_MAP2(Truth(LessEqual(a, b)));
    case PwOp::kGt:
      FLOE_MAP2(Truth(Less(b, a)));
    case PwOp::kGe:
      FLOE_MAP2(Truth(LessEqual(b, a)));
    case PwOp::kAnd:
      FLOE_MAP2(Truth(Both(NotEqual(a, zero), NotEqual(b, zero))));
    case PwOp::kOr:
      FLOE_MAP2(Truth(Either(NotEqual(a, zero), NotEqual(b, zero))));
    case PwOp::kNot:
      FLOE_MAP1(Truth(Equal(a, zero)));
    case PwOp::kAddImm:
      FLOE_MAP1(Add(a, imm));
    case PwOp::kMulImm:
      FLOE_MAP1(Mul(a, imm));
    case PwOp::kMinImm:
      FLOE_MAP1(Minimum(a, imm));
    case PwOp::kMaxImm:
      FLOE_MAP1(Maximum(a, imm));
    case PwOp::kNeg:
      FLOE_MAP1(Neg(a));
    case PwOp::kAbs:
      FLOE_MAP1(Abs(a));
    case PwOp::kSign:
      FLOE_MAP1(SignOf(a));
    case PwOp::kSqrt:
      FLOE_MAP1(Sqrt(a));
    case PwOp::kRsqrt:
      FLOE_MAP1(Div(one, Sqrt(a)));
    case PwOp::kReciprocal:
      FLOE_MAP1(Div(one, a));
    case PwOp::kExp:
      FLOE_MAP1(Exp(a));
    case PwOp::kLog:
      FLOE_MAP1(Log(a));
    case PwOp::kSin:
    case PwOp::kCos: {
      const bool cosine = t.op == PwOp::kCos;
      MapRows(
          t.d, t.s, 1, rows, cols,
          [cosine](const float* a, const float*, float* y, int64_t n)
              __attribute__((always_inline)) { SinCosChunk(a, y, n, cosine); });
      break;
    }
    case PwOp::kTanh:
      FLOE_MAP1(Tanh(a));
    case PwOp::kErf:
      FLOE_MAP1(Erf(a));
    case PwOp::kSigmoid:
      FLOE_MAP1(Sigmoid(a));
    case PwOp::kSilu:
      FLOE_MAP1(Silu(a));
    case PwOp::kGelu:
      FLOE_MAP1(Gelu(a));
    case PwOp::kGeluTanh:
      FLOE_MAP1(GeluTanh(a));
    case PwOp::kRelu:
      FLOE_MAP1(Relu(a));
    case PwOp::kLeakyRelu:
      FLOE_MAP1(Choose(Less(a, zero), Mul(a, imm), a));
    case PwOp::kElu:
      FLOE_MAP1(Elu(a, imm));
    case PwOp::kHardSwish:
      FLOE_MAP1(HardSwish(a));
    case PwOp::kSoftplus:
      FLOE_MAP1(Softplus(a));
    case PwOp::kCeil:
      FLOE_MAP1(Ceil(a));
    case PwOp::kFloor:
      FLOE_MAP1(Floor(a));
    case PwOp::kRound:
      FLOE_MAP1(Round(a));
    case PwOp::kIsNan:
      FLOE_MAP1(Truth(IsNan(a)));
  }
}
#undef FLOE_MAP1
#undef FLOE_MAP2
#undef FLOE_MAP3

// --- loads ---------------------------------------------------------------------------------------

template <class T>
FLOE_INLINE void ConvertRows(const TileView& v, float* to, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* p = static_cast<const T*>(v.base) + r * v.row_stride;
    float* q = to + r * cols;
    if (v.col_stride == 1) {
      for (int64_t i = 0; i < cols; ++i) q[i] = static_cast<float>(p[i]);
    } else {
      for (int64_t i = 0; i < cols; ++i) q[i] = static_cast<float>(p[i * v.col_stride]);
    }
  }
}

template <bool kBrain>
FLOE_INLINE void ConvertHalves(const TileView& v, float* to, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    const auto* p = static_cast<const uint16_t*>(v.base) + r * v.row_stride;
    float* q = to + r * cols;
    int64_t i = 0;
    for (; v.col_stride == 1 && i + kWidth <= cols; i += kWidth) {
      Store(q + i, kBrain ? LoadBrain(p + i) : LoadHalf(p + i));
    }
    for (; i < cols; ++i) {
      const uint16_t* one = p + i * v.col_stride;
      StoreTail(q + i, 1, kBrain ? LoadBrainTail(one, 1) : LoadHalfTail(one, 1));
    }
  }
}

// The register that holds the view: a pointer into the operand if it is f32 and contiguous, else a
// converted copy in `buffer`.
[[gnu::noinline]] Source LoadView(const TileView& v, float* buffer, int64_t rows, int64_t cols) {
  if (v.dtype == DType::kF32 && v.col_stride <= 1 && v.col_stride >= 0) {
    return {static_cast<const float*>(v.base), v.row_stride, v.col_stride == 1};
  }
  const bool per_row = v.col_stride == 0;
  const int64_t copied_cols = per_row ? 1 : cols;
  const int64_t copied_rows = v.row_stride == 0 ? 1 : rows;
  switch (v.dtype) {
    case DType::kF32:
      ConvertRows<float>(v, buffer, copied_rows, copied_cols);
      break;
    case DType::kF16:
      ConvertHalves<false>(v, buffer, copied_rows, copied_cols);
      break;
    case DType::kBF16:
      ConvertHalves<true>(v, buffer, copied_rows, copied_cols);
      break;
    case DType::kI32:
      ConvertRows<int32_t>(v, buffer, copied_rows, copied_cols);
      break;
    case DType::kI64:
      ConvertRows<int64_t>(v, buffer, copied_rows, copied_cols);
      break;
    case DType::kI8:
      ConvertRows<int8_t>(v, buffer, copied_rows, copied_cols);
      break;
    default:  // u8 and bool.
      ConvertRows<uint8_t>(v, buffer, copied_rows, copied_cols);
      break;
  }
  return {buffer, v.row_stride == 0 ? 0 : copied_cols, !per_row};
}

}  // namespace

// --- programs ------------------------------------------------------------------------------------

void RunTileProgram(const PwInstr* code, uint32_t count, int registers, const TileView* operands,
                    const Source* r0, int64_t rows, int64_t cols, Destination out) {
  alignas(64) float buffers[kVmFloats];
  float constants[kPwRegisters];
  Source reg[kPwRegisters];
  const int64_t pitch = TileCapacity(registers);
  if (r0 != nullptr) reg[0] = *r0;
  Step pending;  // A step whose value may still be joined with the next one's.
  bool has_pending = false;
  const auto flush = [&]() __attribute__((always_inline)) {
    if (has_pending) RunStep(pending, rows, cols);
    has_pending = false;
  };
  for (uint32_t i = 0; i < count; ++i) {
    const PwInstr& pw = code[i];
    const PwOp op = static_cast<PwOp>(pw.op);
    float* buffer = buffers + pw.dst * pitch;
    if (op == PwOp::kLoad) {
      // A load may replace a register that the pending step reads or writes.
      if (has_pending && (pending.dst == pw.dst || operands[pw.operand].dtype != DType::kF32 ||
                          operands[pw.operand].col_stride > 1)) {
        flush();
      }
      reg[pw.dst] = LoadView(operands[pw.operand], buffer, rows, cols);
      continue;
    }
    if (op == PwOp::kConst) {
      if (has_pending && (pending.dst == pw.dst || pending.s[0].p == &constants[pw.dst] ||
                          pending.s[1].p == &constants[pw.dst])) {
        flush();
      }
      constants[pw.dst] = pw.imm;
      reg[pw.dst] = {&constants[pw.dst], 0, false};
      continue;
    }
    Step step;
    step.op = op;
    step.dst = pw.dst;
    step.second = false;
    step.imm = pw.imm;
    const int sources = PwOpSources(op);
    const uint8_t from[3] = {pw.a, pw.b, pw.c};
    bool vector = false, per_row = false;
    for (int k = 0; k < sources; ++k) {
      step.s[k] = reg[from[k]];
      vector |= step.s[k].vector;
      per_row |= step.s[k].row_stride != 0;
    }
    const bool last = i + 1 == count && pw.dst == 0;
    if (last) {
      step.d = out;
    } else if (vector) {
      step.d = {buffer, cols};
    } else {
      step.d = {buffer, 1};
    }
    reg[pw.dst] = {step.d.p, vector || last ? step.d.row_stride : (per_row ? 1 : 0),
                   vector || last};
    // The pending value is read by this step only, and overwritten by it.
    if (has_pending) {
      const bool reads_a = sources >= 1 && pw.a == pending.dst;
      const bool reads_b = sources >= 2 && pw.b == pending.dst;
      const bool joins = pw.dst == pending.dst && sources <= 2 && reads_a != reads_b;
      step.second = reads_b;
      if (joins && RunPair(pending, step, rows, cols)) {
        has_pending = false;
        continue;
      }
      step.second = false;
      flush();
    }
    if (!vector && !last) {
      RunStep(step, per_row ? rows : 1, 1);
      continue;
    }
    if (!last && (op == PwOp::kAdd || op == PwOp::kSub || op == PwOp::kMul)) {
      pending = step;
      has_pending = true;
    } else {
      RunStep(step, rows, cols);
    }
  }
  flush();
  if (reg[0].p == out.p) return;
  Step copy;
  copy.op = PwOp::kMove;
  copy.imm = 0;
  copy.s[0] = reg[0];
  copy.d = out;
  RunStep(copy, rows, cols);
}

void RunTile(const PwInstr* code, uint32_t count, float* tile, int64_t rows, int64_t cols,
             int64_t ld, const TileOperand* operands) {
  const int registers = RegistersOf(code, count);
  const int64_t capacity = TileCapacity(registers) < 512 ? TileCapacity(registers) : 512;
  const int64_t col_step = cols < capacity ? cols : capacity;
  if (col_step == 0) return;
  const int64_t row_step = capacity / col_step;
  uint32_t operand_count = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (static_cast<PwOp>(code[i].op) == PwOp::kLoad && code[i].operand >= operand_count) {
      operand_count = code[i].operand + 1u;
    }
  }
  TileView views[kPwMaxOperands];
  for (int64_t r = 0; r < rows; r += row_step) {
    const int64_t n = rows - r < row_step ? rows - r : row_step;
    for (int64_t c = 0; c < cols; c += col_step) {
      const int64_t m = cols - c < col_step ? cols - c : col_step;
      for (uint32_t i = 0; i < operand_count; ++i) {
        const TileOperand& o = operands[i];
        const bool tensor = o.kind == TileOperand::Kind::kTensor;
        const bool vector = o.kind != TileOperand::Kind::kScalar;
        views[i] = {o.base + (tensor ? r * o.row_stride : 0) + (vector ? c : 0),
                    tensor ? o.row_stride : 0, vector ? 1 : 0, DType::kF32};
      }
      const Source r0{tile + r * ld + c, ld, true};
      RunTileProgram(code, count, registers, views, &r0, n, m, {tile + r * ld + c, ld});
    }
  }
}

}  // namespace floe::cpu::FLOE_ISA

#endif  // FLOE_BACKENDS_CPU_POINTWISE_VM_H_
