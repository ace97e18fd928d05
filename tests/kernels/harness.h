// Runs one instruction on every available kernel table and compares with its plain twin. Used by
// the tests of the memory-bound families (vec_*_test.cc).
//
// For every table and for 1, 2 and 3 workers: outputs are poisoned and followed by canaries, inputs
// are allocated to the byte (so that AddressSanitizer sees reads past the end), input halos are
// poisoned unless the case says otherwise, tasks are dealt to workers with scratch of their own and
// run in reverse. Results must be bit-identical between worker counts and between separate and
// in-place storage, equal to the twin within the case's tolerance, with encoded zeros in halos.
#ifndef FLOE_TESTS_KERNELS_HARNESS_H_
#define FLOE_TESTS_KERNELS_HARNESS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backends/kernel.h"
#include "format/footprint.h"
#include "format/pointwise.h"
#include "format/tensor_info.h"

namespace floe::testing {

enum class Fill { kNormal, kSmallInts, kSpecial, kPositive, kTiny };

struct TensorSpec {
  TensorInfo info;
  Fill fill = Fill::kNormal;
  std::vector<int64_t> values = {};  // If not empty: the elements, cyclically, converted.
};

TensorSpec Dense(std::vector<int64_t> dims, DType dtype = DType::kF32, Fill fill = Fill::kNormal);
TensorSpec Nhwc(std::vector<int64_t> nchw, Halo halo = {}, DType dtype = DType::kF32);
TensorSpec Values(std::vector<int64_t> dims, DType dtype, std::vector<int64_t> values);
TensorSpec Absent();
// As `t`, in another layout of constants (lstm_gates16): padding is zero.
TensorSpec InLayout(TensorSpec t, LayoutId layout);

PwInstr Pw(PwOp op, int dst, int a = 0, int b = 0, int c = 0);
PwInstr PwLoad(int dst, int operand);
PwInstr PwImm(PwOp op, int dst, int a, float imm);

struct KernelCase {
  std::string name;
  KernelId kernel;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  std::vector<int64_t> attrs = {};
  std::vector<PwInstr> code = {};
  // |got - twin| <= absolute + relative * |twin|.
  double relative = 0;
  double absolute = 0;
  Rule rule = Rule::kNone;  // What Run must return (from some task).
};

// Reports failures through GoogleTest.
void RunKernelCase(const KernelCase& c);

// Check alone, for the tests of refusals.
Status CheckKernelCase(const KernelCase& c, Footprint* footprint);

}  // namespace floe::testing

#endif  // FLOE_TESTS_KERNELS_HARNESS_H_
