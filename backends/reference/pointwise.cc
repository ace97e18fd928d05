#include "backends/reference/pointwise.h"

#include <algorithm>

#include "backends/reference/functions.h"
#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

constexpr int64_t kLanes = 128;
static_assert(kLanes <= kChunk);

float Rounded(double v) { return static_cast<float>(v); }
float Truth(bool v) { return v ? 1.0f : 0.0f; }

// Applies one instruction to n lanes.
template <class F>
void Lanes(const PwInstr& pw, float (*r)[kLanes], int64_t n, F&& f) {
  for (int64_t i = 0; i < n; ++i) r[pw.dst][i] = f(r[pw.a][i], r[pw.b][i], r[pw.c][i]);
}

// Strides with which `t` is read in the order of result's logical dims, and where element 0 is.
void OperandStrides(const TensorInfo& t, const TensorInfo& result, int channel_axis,
                    int64_t* strides, int64_t* offset) {
  int64_t own[kMaxRank] = {};
  TensorStrides(t, own, offset);
  std::fill_n(strides, result.rank, 0);
  if (channel_axis >= 0 && t.rank == 1) {
    if (t.dims[0] == result.dims[channel_axis]) strides[channel_axis] = own[0];
    return;
  }
  const int shift = result.rank - t.rank;
  for (int i = 0; i < t.rank; ++i) {
    if (t.dims[i] == result.dims[i + shift]) strides[i + shift] = own[i];
  }
}

Reader OperandReader(const TensorInfo& t, const void* data, const TensorInfo& result,
                     int channel_axis) {
  int64_t strides[kMaxRank], offset;
  OperandStrides(t, result, channel_axis, strides, &offset);
  return Reader(t.dtype, data, Walk(result.dims, result.rank, strides, offset));
}

}  // namespace

float EvalPointwise(const PwInstr& instr, float a, float b, float c) {
  const float imm = instr.imm;
  switch (static_cast<PwOp>(instr.op)) {
    case PwOp::kLoad:
    case PwOp::kCount:
      return 0;
    case PwOp::kConst:
      return imm;
    case PwOp::kMove:
      return a;
    case PwOp::kAdd:
      return a + b;
    case PwOp::kSub:
      return a - b;
    case PwOp::kMul:
      return a * b;
    case PwOp::kDiv:
      return a / b;
    case PwOp::kMin:
      return Rounded(MinOf(a, b));
    case PwOp::kMax:
      return Rounded(MaxOf(a, b));
    case PwOp::kPow:
      return Rounded(std::pow(static_cast<double>(a), static_cast<double>(b)));
    case PwOp::kFma:
      return std::fma(a, b, c);
    case PwOp::kSelect:
      return a != 0 ? b : c;
    case PwOp::kEq:
      return Truth(a == b);
    case PwOp::kNe:
      return Truth(a != b);
    case PwOp::kLt:
      return Truth(a < b);
    case PwOp::kLe:
      return Truth(a <= b);
    case PwOp::kGt:
      return Truth(a > b);
    case PwOp::kGe:
      return Truth(a >= b);
    case PwOp::kAnd:
      return Truth(a != 0 && b != 0);
    case PwOp::kOr:
      return Truth(a != 0 || b != 0);
    case PwOp::kNot:
      return Truth(a == 0);
    case PwOp::kAddImm:
      return a + imm;
    case PwOp::kMulImm:
      return a * imm;
    case PwOp::kMinImm:
      return Rounded(MinOf(a, imm));
    case PwOp::kMaxImm:
      return Rounded(MaxOf(a, imm));
    case PwOp::kNeg:
      return -a;
    case PwOp::kAbs:
      return std::fabs(a);
    case PwOp::kSign:
      return Rounded(SignOf(a));
    case PwOp::kSqrt:
      return std::sqrt(a);
    case PwOp::kRsqrt:
      return Rounded(1 / std::sqrt(static_cast<double>(a)));
    case PwOp::kReciprocal:
      return 1 / a;
    case PwOp::kExp:
      return Rounded(std::exp(static_cast<double>(a)));
    case PwOp::kLog:
      return Rounded(std::log(static_cast<double>(a)));
    case PwOp::kSin:
      return Rounded(std::sin(static_cast<double>(a)));
    case PwOp::kCos:
      return Rounded(std::cos(static_cast<double>(a)));
    case PwOp::kTanh:
      return Rounded(std::tanh(static_cast<double>(a)));
    case PwOp::kErf:
      return Rounded(std::erf(static_cast<double>(a)));
    case PwOp::kSigmoid:
      return Rounded(SigmoidOf(a));
    case PwOp::kSilu:
      return Rounded(SiluOf(a));
    case PwOp::kGelu:
      return Rounded(GeluOf(a));
    case PwOp::kGeluTanh:
      return Rounded(GeluTanhOf(a));
    case PwOp::kRelu:
      return Rounded(ReluOf(a));
    case PwOp::kLeakyRelu:
      return a < 0 ? imm * a : a;
    case PwOp::kElu:
      return Rounded(EluOf(a, imm));
    case PwOp::kHardSwish:
      return Rounded(HardSwishOf(a));
    case PwOp::kSoftplus:
      return Rounded(SoftplusOf(a));
    case PwOp::kCeil:
      return std::ceil(a);
    case PwOp::kFloor:
      return std::floor(a);
    case PwOp::kRound:
      return std::nearbyint(a);
    case PwOp::kIsNan:
      return Truth(a != a);
  }
  return 0;
}

bool IsPointwiseOperand(DType t) {
  return Contains(
      SetOf({DType::kF32, DType::kI32, DType::kI64, DType::kU8, DType::kI8, DType::kBool}), t);
}

bool ReadsAs(const TensorInfo& operand, const TensorInfo& result, int channel_axis) {
  if (channel_axis >= 0 && operand.rank == 1) {
    return channel_axis < result.rank &&
           (operand.dims[0] == result.dims[channel_axis] || operand.dims[0] == 1);
  }
  if (operand.rank > result.rank) return false;
  const int shift = result.rank - operand.rank;
  for (int i = 0; i < operand.rank; ++i) {
    if (operand.dims[i] != result.dims[i + shift] && operand.dims[i] != 1) return false;
  }
  return true;
}

namespace {

// To the nearest integer of a byte, ties to even; NaN gives the least.
void Saturate(bool is_signed, float* values, int64_t count) {
  const float low = is_signed ? -128.0f : 0.0f, high = is_signed ? 127.0f : 255.0f;
  for (int64_t i = 0; i < count; ++i) {
    const float v = values[i] > low ? values[i] : low;
    values[i] = std::nearbyint(v < high ? v : high);
  }
}

}  // namespace

Rule RunPointwiseProgram(const PwInstr* code, uint32_t count, const TensorInfo* operand_infos,
                         const void* const* operands, uint32_t operand_count,
                         const TensorInfo& result_info, void* result, const TensorInfo* r0_info,
                         const void* r0_data, int channel_axis) {
  const int64_t total = Count(result_info);
  if (total == 0) return Rule::kNone;
  float r[kPwRegisters][kLanes];
  std::fill_n(&r[0][0], kPwRegisters * kLanes, 0.0f);
  operand_count = std::min(operand_count, kPwMaxOperands);  // No instruction names a further one.
  Reader readers[kPwMaxOperands], accumulator;
  for (uint32_t i = 0; i < operand_count; ++i) {
    readers[i] = OperandReader(operand_infos[i], operands[i], result_info, channel_axis);
  }
  if (r0_info != nullptr) accumulator = OperandReader(*r0_info, r0_data, result_info, -1);
  int64_t strides[kMaxRank] = {}, offset;
  TensorStrides(result_info, strides, &offset);
  Walk walk(result_info.dims, result_info.rank, strides, offset);
  float loaded[kPwMaxOperands][kLanes];
  for (int64_t done = 0; done < total; done += kLanes) {
    const int64_t n = std::min(kLanes, total - done);
    if (r0_info != nullptr) accumulator.Next(n, r[0]);
    for (uint32_t i = 0; i < operand_count; ++i) readers[i].Next(n, loaded[i]);
    for (uint32_t k = 0; k < count; ++k) {
      const PwInstr& pw = code[k];
      if (static_cast<PwOp>(pw.op) == PwOp::kLoad) {
        std::copy_n(loaded[pw.operand], n, r[pw.dst]);
      } else {
        Lanes(pw, r, n, [&](float a, float b, float c) { return EvalPointwise(pw, a, b, c); });
      }
    }
    const DType dtype = result_info.dtype;
    if (dtype == DType::kU8 || dtype == DType::kI8) Saturate(dtype == DType::kI8, r[0], n);
    if (walk.consecutive()) {
      StoreRun<float>(result_info.dtype, result, offset + done, n, r[0]);
    } else {
      int64_t offsets[kLanes];
      walk.Next(n, offsets);
      StoreAt<float>(result_info.dtype, result, offsets, n, r[0]);
    }
  }
  return Rule::kNone;
}

Status CheckOpCode(const CheckArgs& a, const TensorInfo& result, int channel_axis) {
  const uint32_t first = FirstCodeInput(a.op);
  const uint32_t operands = a.info.input_count > first ? a.info.input_count - first : 0;
  if (a.info.code_count == 0) return OkStatus();
  FLOE_RETURN_IF_ERROR(CheckPointwise(a.info.code, a.info.code_count, operands, true));
  if (result.dtype != DType::kF32) return BadDType(a.OutputAt(), DType::kF32, result.dtype);
  for (uint32_t i = first; i < a.info.input_count; ++i) {
    if (!IsPointwiseOperand(a.in(i).dtype)) return BadDType(i, DType::kF32, a.in(i).dtype);
    if (!ReadsAs(a.in(i), result, channel_axis)) return BadShape(i);
  }
  return OkStatus();
}

Rule RunEpilogue(const RunArgs& a, int channel_axis) {
  if (a.info.code_count == 0) return Rule::kNone;
  const uint32_t first = FirstCodeInput(a.op);
  const uint32_t operands = a.info.input_count > first ? a.info.input_count - first : 0;
  return RunPointwiseProgram(a.info.code, a.info.code_count, a.info.inputs + first,
                             a.inputs + first, operands, a.out(), a.outputs[0], &a.out(),
                             a.outputs[0], channel_axis);
}

// --- the op `pointwise`: a region ----------------------------------------------------------------

Status CheckRegion(const CheckArgs& a) {
  FLOE_RETURN_IF_ERROR(NoAttrs(a));
  FLOE_RETURN_IF_ERROR(CheckPointwise(a.info.code, a.info.code_count, a.info.input_count, false));
  if (!Contains(SetOf({DType::kF32, DType::kBool, DType::kU8, DType::kI8}), a.out().dtype)) {
    return BadDType(a.OutputAt(), DType::kF32, a.out().dtype);
  }
  for (uint32_t i = 0; i < a.info.input_count; ++i) {
    if (!IsPointwiseOperand(a.in(i).dtype)) return BadDType(i, DType::kF32, a.in(i).dtype);
  }
  FLOE_RETURN_IF_ERROR(BroadcastsTo(a, 0, a.info.input_count, a.out(), false));
  AllowInPlace(a, 0, a.info.input_count);
  a.footprint.flops = static_cast<double>(Count(a.out())) * a.info.code_count;
  return OkStatus();
}

Rule RunRegion(const RunArgs& a) {
  return RunPointwiseProgram(a.info.code, a.info.code_count, a.info.inputs, a.inputs,
                             a.info.input_count, a.out(), a.outputs[0], nullptr, nullptr, -1);
}

}  // namespace floe::reference
