// Building cases: operand descriptions, bytecode, and what oracles need.
#include <algorithm>
#include <ostream>

#include "backends/reference/pointwise.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {

bool NextIndex(const TensorInfo& info, std::vector<int64_t>* index) {
  for (int a = info.rank - 1; a >= 0; --a) {
    auto& i = (*index)[static_cast<size_t>(a)];
    if (++i < info.dims[a]) return true;
    i = 0;
  }
  return false;
}

void PrintTo(const KernelCase& c, std::ostream* os) { *os << c.name; }

std::string CaseName(const testing::TestParamInfo<KernelCase>& info) {
  std::string name = info.param.name;
  for (char& ch : name) {
    if (!isalnum(static_cast<unsigned char>(ch))) ch = '_';
  }
  return name;
}

TensorInfo Dense(std::vector<int64_t> dims, DType dtype) {
  TensorInfo t;
  t.dtype = dtype;
  t.rank = static_cast<uint8_t>(dims.size());
  std::copy(dims.begin(), dims.end(), t.dims);
  return t;
}

TensorInfo ChannelsLast(std::vector<int64_t> dims, Halo halo, DType dtype) {
  TensorInfo t = Dense(std::move(dims), dtype);
  t.layout = LayoutId::kChannelsLast;
  t.halo = halo;
  return t;
}

TensorInfo Packed(LayoutId layout, std::vector<int64_t> dims, int32_t groups) {
  TensorInfo t = Dense(std::move(dims));
  t.layout = layout;
  t.groups = groups;
  return t;
}

TensorInfo Absent() { return TensorInfo{}; }

TensorInfo InLayout(TensorInfo t, LayoutId layout) {
  t.layout = layout;
  return t;
}

KernelCase WithHalfWeights(KernelCase c) {
  c.name += "_f16w";
  c.inputs[1].dtype = DType::kF16;
  return c;
}

KernelCase WithPairs(KernelCase c, DType y) {
  const bool gemm = c.inputs[1].layout == LayoutId::kGemmPanels16;
  c.name += y == DType::kBF16 ? "_bf16" : "_bf16_to_f32";
  c.inputs[0].dtype = DType::kBF16;
  c.inputs[1].dtype = DType::kBF16;
  if (c.kernel != KernelId::kDepthwiseConv) {
    c.inputs[1].layout = gemm ? LayoutId::kGemmPairs16 : LayoutId::kConvPairs16;
  } else {
    c.inputs[1].dtype = DType::kF32;
  }
  c.outputs[0].dtype = y;
  // A sum in another order may round to the neighbour.
  if (y == DType::kBF16) c.tolerance = 1.0 / 128;
  return c;
}

PwInstr PwLoad(uint8_t dst, uint8_t operand) {
  PwInstr i;
  i.op = static_cast<uint8_t>(PwOp::kLoad);
  i.dst = dst;
  i.operand = operand;
  return i;
}

PwInstr Pw(PwOp op, uint8_t dst, uint8_t a, uint8_t b, uint8_t c, float imm) {
  PwInstr i;
  i.op = static_cast<uint8_t>(op);
  i.dst = dst;
  i.a = a;
  i.b = b;
  i.c = c;
  i.imm = imm;
  return i;
}

PwInstr PwImm(PwOp op, uint8_t dst, uint8_t a, float imm) { return Pw(op, dst, a, 0, 0, imm); }

double EvalEpilogue(const KernelCase& c, const std::vector<Logical>& inputs, uint32_t extra,
                    int channel_axis, double value, const std::vector<int64_t>& index) {
  const auto load = [&](const Logical& operand) {
    const TensorInfo& t = operand.info;
    if (operand.values.size() == 1) return operand.values[0];
    if (t.rank == 1 && c.outputs[0].rank != 1) {
      return operand.values[static_cast<size_t>(index[static_cast<size_t>(channel_axis)])];
    }
    int64_t at = 0;
    for (int a = 0; a < t.rank; ++a) at = at * t.dims[a] + index[static_cast<size_t>(a)];
    return operand.values[static_cast<size_t>(at)];
  };
  float r[kPwRegisters] = {};
  r[0] = static_cast<float>(value);
  for (const PwInstr& i : c.code) {
    r[i.dst] = static_cast<PwOp>(i.op) == PwOp::kLoad
                   ? static_cast<float>(load(inputs[extra + i.operand]))
                   : reference::EvalPointwise(i, r[i.a], r[i.b], r[i.c]);
  }
  return r[0];
}

}  // namespace floe::conformance
