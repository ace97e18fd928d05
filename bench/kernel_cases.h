// The cases of kernels_bench: instructions at the shapes of real models. kernel_cases.cc has what
// they are made of, a file for each kind of kernel adds its own.
#ifndef FLOE_BENCH_KERNEL_CASES_H_
#define FLOE_BENCH_KERNEL_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "backends/kernel.h"
#include "format/ops.h"

namespace floe::bench {

using Dims = std::vector<int64_t>;
using Words = std::vector<int64_t>;

struct Case {
  std::string name;
  KernelId kernel;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  Words attrs;
  std::vector<PwInstr> code;
};
// Layouts and shapes: of rank dims.size(); Image is [1, c, size, size], channels-last with `halo`
// border pixels.
TensorInfo Make(const Dims& dims, LayoutId layout = LayoutId::kDense, DType dtype = DType::kF32);
TensorInfo Image(int64_t c, int64_t size, int64_t halo = 0);

// Epilogue programs. AddOperand: r0 + operand `operand`.
PwInstr Instr(PwOp op, uint8_t dst, uint8_t a = 0, uint8_t b = 0, float imm = 0);
PwInstr Load(uint8_t dst, uint8_t operand);
std::vector<PwInstr> AddOperand(uint8_t operand);
std::vector<PwInstr> Then(std::vector<PwInstr> code, const std::vector<PwInstr>& more);
std::vector<PwInstr> Relu();
std::vector<PwInstr> Relu6();
std::vector<PwInstr> Gelu();

// Products in f32, from which the others are made.
//   Gemm: y = x w + bias, then `code`; with `residual`, y's shape is added first.
//   Conv: a square convolution with bias and `code`; `residual` as for Gemm.
//   Depthwise: with bias and clamp to [0, 6].
Case Gemm(const std::string& name, int64_t m, int64_t k, int64_t n,
          const std::vector<PwInstr>& code = {}, bool residual = false);
Case Conv(const std::string& name, int64_t in, int64_t out, int64_t size, int64_t kernel,
          int64_t stride, const std::vector<PwInstr>& code = Relu(), bool residual = false);
Case Depthwise(const std::string& name, int64_t channels, int64_t size, int64_t stride,
               int64_t kernel = 3);

// kernel_cases_products.cc: f32, then 16-bit weights and operands.
void AddProducts(std::vector<Case>* cases);
void AddNarrowProducts(std::vector<Case>* cases);
// kernel_cases_integer.cc
void AddIntegerProducts(std::vector<Case>* cases);
// kernel_cases_memory.cc: attention, and the families that memory binds.
void AddAttention(std::vector<Case>* cases);
void AddOthers(std::vector<Case>* cases);

}  // namespace floe::bench

#endif  // FLOE_BENCH_KERNEL_CASES_H_
