#include "bench/kernel_cases.h"

namespace floe::bench {

TensorInfo Make(const Dims& dims, LayoutId layout, DType dtype) {
  TensorInfo t;
  t.dtype = dtype;
  t.layout = layout;
  t.rank = static_cast<uint8_t>(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) t.dims[i] = dims[i];
  return t;
}

TensorInfo Image(int64_t c, int64_t size, int64_t halo) {
  TensorInfo t = Make({1, c, size, size}, LayoutId::kChannelsLast);
  const auto h = static_cast<uint8_t>(halo);
  t.halo = {h, h, h};
  return t;
}

PwInstr Instr(PwOp op, uint8_t dst, uint8_t a, uint8_t b, float imm) {
  PwInstr i;
  i.op = static_cast<uint8_t>(op);
  i.dst = dst;
  i.a = a;
  i.b = b;
  i.imm = imm;
  return i;
}

PwInstr Load(uint8_t dst, uint8_t operand) {
  PwInstr i = Instr(PwOp::kLoad, dst);
  i.operand = operand;
  return i;
}

std::vector<PwInstr> AddOperand(uint8_t operand) {
  return {Load(1, operand), Instr(PwOp::kAdd, 0, 0, 1)};
}

std::vector<PwInstr> Then(std::vector<PwInstr> code, const std::vector<PwInstr>& more) {
  code.insert(code.end(), more.begin(), more.end());
  return code;
}
std::vector<PwInstr> Relu() { return {Instr(PwOp::kRelu, 0)}; }
std::vector<PwInstr> Relu6() {
  return {Instr(PwOp::kMaxImm, 0, 0, 0, 0.0f), Instr(PwOp::kMinImm, 0, 0, 0, 6.0f)};
}
std::vector<PwInstr> Gelu() { return {Instr(PwOp::kGelu, 0)}; }

Case Gemm(const std::string& name, int64_t m, int64_t k, int64_t n,
          const std::vector<PwInstr>& code, bool residual) {
  Case c{name, KernelId::kGemm, {}, {Make({m, n})}, {}, AddOperand(0)};
  c.inputs = {Make({m, k}), Make({k, n}, LayoutId::kGemmPanels16), Make({n})};
  if (residual) {
    c.inputs.push_back(Make({m, n}));
    c.code = Then(c.code, AddOperand(1));
  }
  c.code = Then(c.code, code);
  return c;
}

Case Conv(const std::string& name, int64_t in, int64_t out, int64_t size, int64_t kernel,
          int64_t stride, const std::vector<PwInstr>& code, bool residual) {
  const int64_t pad = kernel / 2;
  const int64_t out_size = (size + 2 * pad - kernel) / stride + 1;
  Case c{name, KernelId::kConv, {}, {Image(out, out_size)}, {}, AddOperand(0)};
  c.inputs = {Image(in, size, pad), Make({out, in, kernel, kernel}, LayoutId::kConvPanels16),
              Make({out})};
  c.attrs = {1, kernel, kernel, stride, stride, pad, pad, pad, pad, 1, 1};
  if (residual) {
    c.inputs.push_back(Image(out, out_size));
    c.code = Then(c.code, AddOperand(1));
  }
  c.code = Then(c.code, code);
  return c;
}

Case Depthwise(const std::string& name, int64_t channels, int64_t size, int64_t stride,
               int64_t kernel) {
  const int64_t pad = kernel / 2;
  Case c{name, KernelId::kDepthwiseConv, {}, {Image(channels, (size - 1) / stride + 1)}, {}, {}};
  c.inputs = {Image(channels, size, pad),
              Make({channels, 1, kernel, kernel}, LayoutId::kDepthwiseTaps16), Make({channels})};
  c.attrs = {kernel, kernel, stride, stride, pad, pad, pad, pad, 1, 1};
  c.code = Then(AddOperand(0), Relu6());
  return c;
}

}  // namespace floe::bench
