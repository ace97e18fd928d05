// The conformance suite: what every kernel of every backend must pass.
//
// A family's test file is a table of KernelCases and one FLOE_KERNEL_TESTS line. For each case and
// each available KernelTable that has the family, the suite
//   - runs Check, Prepare and Run with operands that end at unmapped pages, with canaries in front
//     of them, outputs and scratch filled with NaN, and (where the family does not read them) halos
//     of inputs filled with NaN;
//   - does so as 1 worker in order, as 2 workers with shuffled tasks, and on 3 threads, each with
//     its own Prepare: all must give the same bits;
//   - compares with the plain twin: |difference| <= tolerance * max|twin|, or as the case says;
//     integers exactly;
//   - checks that halos of outputs are zero, that inputs, canaries and padding are untouched;
//   - repeats with every in-place choice that the footprint allows.
// The twin itself is compared with the case's oracle (the op reference), if it has one.
// A further test mutates the cases' shapes, attributes and code: whatever Check accepts must run.
#ifndef FLOE_TESTS_KERNELS_CONFORMANCE_H_
#define FLOE_TESTS_KERNELS_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "backends/kernel.h"
#include "format/pointwise.h"
#include "format/tensor_info.h"

namespace floe::conformance {

// How an input is filled. Floats are uniform in [low, high), integers uniform in [low, high].
struct Fill {
  double low = -1;
  double high = 1;
  std::vector<double> values = {};  // If not empty: these instead, in a cycle.
  bool special = false;  // Floats: many zeros, infinities, NaN, greatest and subnormal numbers.
};

// A tensor as plain numbers in row-major logical order: what oracles work on.
struct Logical {
  TensorInfo info;             // The kernel's operand; dims are logical.
  std::vector<double> values;  // Empty for an absent operand.
};

struct KernelCase {
  std::string name;
  KernelId kernel{};
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<int64_t> attrs = {};
  std::vector<PwInstr> code = {};
  std::vector<Fill> fills = {};  // For inputs; the last one repeats, empty: Fill{}.
  // What element `index` of input `input` is, for which `drawn` was drawn; null: that.
  std::function<double(size_t input, const std::vector<int64_t>& index, double drawn)> element = {};
  std::vector<uint32_t> constants = {};  // Inputs that Check may read (index tables).
  double tolerance = 1e-5;
  // If not both 0: |difference| <= absolute + relative * |twin| of each element instead.
  double relative = 0;
  double absolute = 0;
  Rule rule = Rule::kNone;        // What Run must return (from some task).
  bool reads_input_halo = false;  // Else halos of inputs hold NaN.
  bool same_bits = false;         // Of every table that multiplies and adds in one rounding.
  // Fills the outputs' values from the inputs', independently of backends/families and twins.
  std::function<void(const KernelCase&, const std::vector<Logical>&, std::vector<Logical>*)>
      oracle = {};
  // Where kernels may round what the twin does not: fills the least and the greatest value of each
  // element from the inputs. The tolerance then counts from these.
  std::function<void(const KernelCase&, const std::vector<Logical>&, std::vector<Logical>* least,
                     std::vector<Logical>* most)>
      range = {};
};

void PrintTo(const KernelCase& c, std::ostream* os);

// Makers of operand descriptions. All f32 unless said.
TensorInfo Dense(std::vector<int64_t> dims, DType dtype = DType::kF32);
TensorInfo ChannelsLast(std::vector<int64_t> dims, Halo halo = {}, DType dtype = DType::kF32);
TensorInfo Packed(LayoutId layout, std::vector<int64_t> dims, int32_t groups = 1);
TensorInfo Absent();
TensorInfo InLayout(TensorInfo t, LayoutId layout);

// The same products with f16 weights, and of bf16 with weights in pairs and a result of type `y`.
// `c` is a case of gemm or conv.
KernelCase WithHalfWeights(KernelCase c);
KernelCase WithPairs(KernelCase c, DType y);

// Bytecode.
PwInstr PwLoad(uint8_t dst, uint8_t operand);
PwInstr Pw(PwOp op, uint8_t dst, uint8_t a = 0, uint8_t b = 0, uint8_t c = 0, float imm = 0);
PwInstr PwImm(PwOp op, uint8_t dst, uint8_t a, float imm);

// What the kernel sees of the case, which must outlive it; `constants`: of every input, null where
// Check may not read it.
OpInfo OpOf(const KernelCase& c, const std::vector<const void*>* constants = nullptr);
// Check of the case's family, without constants.
Status CheckCase(const KernelCase& c, Footprint* footprint);

// What the kernel of `table` calls itself for the case.
std::string VariantOf(const KernelTable& table, const KernelCase& c);
// The table that runs the tile unit's kernels on a plain model of it, on every machine.
const KernelTable& PlainTileTable();

// Runs the case as described above and reports through gtest.
void RunCase(const KernelCase& c);
// Mutates `c` `rounds` times; what Check accepts and is small must run cleanly in every table.
void RunMutations(const KernelCase& c, uint32_t seed, int rounds);
// Expects that some mutants have run since the last call, if there were many.
void ExpectMutantsRan();

// Applies the case's code to `value` (the accumulator) at logical index `index` of output 0, with
// epilogue operands from input `extra` on: for oracles.
double EvalEpilogue(const KernelCase& c, const std::vector<Logical>& inputs, uint32_t extra,
                    int channel_axis, double value, const std::vector<int64_t>& index);
// Steps a row-major index; false after the last. Start with all zeros; false at once if empty.
bool NextIndex(const TensorInfo& info, std::vector<int64_t>* index);

class KernelConformance : public testing::TestWithParam<KernelCase> {
 public:
  static void TearDownTestSuite() { ExpectMutantsRan(); }
};
std::string CaseName(const testing::TestParamInfo<KernelCase>& info);

// suite: a test suite name; cases: an expression of type std::vector<KernelCase>.
#define FLOE_KERNEL_TESTS(suite, cases)                                                         \
  class suite : public ::floe::conformance::KernelConformance {};                               \
  TEST_P(suite, EqualsTwin) { ::floe::conformance::RunCase(GetParam()); }                       \
  TEST_P(suite, MutantsRunIfAccepted) { ::floe::conformance::RunMutations(GetParam(), 1, 40); } \
  INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(cases), ::floe::conformance::CaseName)

}  // namespace floe::conformance

#endif  // FLOE_TESTS_KERNELS_CONFORMANCE_H_
