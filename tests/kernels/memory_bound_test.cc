// The memory-bound families in the conformance suite: operands that end at unmapped pages, and
// mutants of every case. Their numerics are tested further in the files of the families.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "format/attrs.h"
#include "format/ops.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

using Dims = std::vector<int64_t>;

KernelCase Make(std::string name, KernelId kernel, std::vector<TensorInfo> inputs,
                std::vector<TensorInfo> outputs, Dims attrs = {}, std::vector<PwInstr> code = {}) {
  KernelCase c;
  c.name = std::move(name);
  c.kernel = kernel;
  c.inputs = std::move(inputs);
  c.outputs = std::move(outputs);
  c.attrs = std::move(attrs);
  c.code = std::move(code);
  return c;
}

std::vector<KernelCase> PointwiseCases() {
  const std::vector<PwInstr> chain = {PwLoad(0, 0),
                                      PwLoad(1, 1),
                                      Pw(PwOp::kMul, 0, 0, 1),
                                      PwLoad(2, 2),
                                      Pw(PwOp::kAdd, 0, 0, 2),
                                      Pw(PwOp::kGelu, 0, 0)};
  const Halo halo{1, 2, 1};
  return {
      Make("dense", KernelId::kPointwise, {Dense({5, 37}), Dense({37}), Dense({5, 1})},
           {Dense({5, 37})}, {}, chain),
      Make("flat", KernelId::kPointwise, {Dense({2051}), Dense({2051}), Dense({1})},
           {Dense({2051})}, {}, chain),
      Make("halo", KernelId::kPointwise,
           {ChannelsLast({2, 19, 5, 6}, {3, 0, 2}), Dense({19, 1, 1}),
            ChannelsLast({2, 19, 5, 6}, halo)},
           {ChannelsLast({2, 19, 5, 6}, halo)}, {}, chain),
      Make("integers", KernelId::kPointwise,
           {Dense({4, 9}, DType::kI64), Dense({9}, DType::kU8), Dense({4, 1}, DType::kI32)},
           {Dense({4, 9})}, {}, chain),
      Make("to_bool", KernelId::kPointwise, {Dense({3, 33}), Dense({33})},
           {Dense({3, 33}, DType::kBool)}, {},
           {PwLoad(0, 0), PwLoad(1, 1), Pw(PwOp::kLt, 0, 0, 1)}),
      Make("scalar", KernelId::kPointwise, {Dense({})}, {Dense({})}, {},
           {PwLoad(0, 0), Pw(PwOp::kExp, 0, 0)}),
  };
}

std::vector<KernelCase> MovementCases() {
  const Halo halo{1, 0, 2};
  std::vector<KernelCase> cases = {
      Make("to_nhwc_3", KernelId::kCopy, {Dense({2, 3, 5, 21})},
           {ChannelsLast({2, 3, 5, 21}, halo)}),
      Make("to_nhwc_2", KernelId::kCopy, {Dense({1, 2, 5, 19})}, {ChannelsLast({1, 2, 5, 19})}),
      Make("to_nhwc_17", KernelId::kCopy, {Dense({1, 17, 3, 9})}, {ChannelsLast({1, 17, 3, 9})}),
      Make("to_nchw", KernelId::kCopy, {ChannelsLast({2, 11, 5, 7}, halo)}, {Dense({2, 11, 5, 7})}),
      Make("bytes", KernelId::kCopy, {Dense({1, 5, 3, 4}, DType::kU8)},
           {ChannelsLast({1, 5, 3, 4}, halo, DType::kU8)}),
      Make("transpose", KernelId::kTranspose, {Dense({3, 13, 18})}, {Dense({18, 3, 13})},
           {2, 0, 1}),
      Make("transpose64", KernelId::kTranspose, {Dense({7, 9}, DType::kI64)},
           {Dense({9, 7}, DType::kI64)}, {1, 0}),
      Make("slice", KernelId::kSlice, {Dense({6, 9})}, {Dense({3, 4})}, {5, 1, -2, 2}),
      Make("slice_halo", KernelId::kSlice, {ChannelsLast({1, 4, 6, 7}, halo)},
           {ChannelsLast({1, 3, 2, 7}, halo)}, {0, 1, 5, 0, 1, 1, -3, 1}),
      Make("concat", KernelId::kConcat, {Dense({3, 4}), Dense({3, 0}), Dense({3, 9})},
           {Dense({3, 13})}, {1}),
      Make("concat_channels", KernelId::kConcat,
           {ChannelsLast({1, 5, 3, 4}, halo), ChannelsLast({1, 16, 3, 4})},
           {ChannelsLast({1, 21, 3, 4}, halo)}, {1}),
      Make("expand", KernelId::kExpand, {Dense({3, 1, 5})}, {Dense({2, 3, 4, 5})}),
  };
  for (int64_t mode = 0; mode < 4; ++mode) {
    const std::string name = "pad" + std::to_string(mode);
    cases.push_back(Make(name, KernelId::kPad, {Dense({4, 6})}, {Dense({7, 8})},
                         {mode, FloatWord(1.5), 1, 3, 2, -1}));
    cases.push_back(Make(name + "_halo", KernelId::kPad, {ChannelsLast({1, 3, 4, 5}, halo)},
                         {ChannelsLast({1, 3, 6, 6}, halo)},
                         {mode, FloatWord(-2), 0, 0, 1, 0, 0, 0, 1, 1}));
  }
  return cases;
}

std::vector<KernelCase> RowCases() {
  const std::vector<PwInstr> mask = {Pw(PwOp::kMulImm, 0, 0, 0, 0, 0.125f), PwLoad(1, 0),
                                     Pw(PwOp::kAdd, 0, 0, 1)};
  return {
      Make("softmax", KernelId::kSoftmax, {Dense({3, 5, 37})}, {Dense({3, 5, 37})}, {2, 0}),
      Make("softmax_columns", KernelId::kSoftmax, {Dense({3, 5, 37})}, {Dense({3, 5, 37})}, {1, 0}),
      Make("log_softmax", KernelId::kSoftmax, {Dense({7, 19})}, {Dense({7, 19})}, {1, 1}),
      Make("softmax_mask", KernelId::kSoftmax, {Dense({2, 3, 9, 40}), Dense({2, 1, 1, 40})},
           {Dense({2, 3, 9, 40})}, {3, 0}, mask),
      Make("softmax_long_mask", KernelId::kSoftmax, {Dense({2, 3000}), Dense({2, 1})},
           {Dense({2, 3000})}, {1, 0}, mask),
      Make("softmax_columns_mask", KernelId::kSoftmax, {Dense({4, 6, 20}), Dense({6, 1})},
           {Dense({4, 6, 20})}, {1, 1}, mask),
      Make("layer_norm", KernelId::kNorm, {Dense({5, 77}), Dense({77}), Dense({77})},
           {Dense({5, 77})}, {0, 1, FloatWord(1e-5)}),
      Make("rms_norm", KernelId::kNorm, {Dense({2, 3, 16}), Dense({3, 16}), Absent()},
           {Dense({2, 3, 16})}, {1, 1, FloatWord(1e-5)}),
  };
}

std::vector<KernelCase> OtherCases() {
  const Halo halo{1, 1, 1};
  std::vector<KernelCase> cases = {
      Make("max_pool", KernelId::kPool, {ChannelsLast({1, 21, 7, 8}, halo)},
           {ChannelsLast({1, 21, 4, 4}, halo)}, {0, 0, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1}),
      Make("average_pool", KernelId::kPool, {ChannelsLast({2, 5, 6, 6})},
           {ChannelsLast({2, 5, 6, 6}, halo)}, {1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1}),
      Make("mean_pixels", KernelId::kReduce, {ChannelsLast({2, 35, 3, 4}, halo)}, {Dense({2, 35})},
           {static_cast<int64_t>(ReduceKind::kMean), 0b1100}),
      Make("log_sum_exp_rows", KernelId::kReduce, {Dense({6, 45})}, {Dense({6, 1})},
           {static_cast<int64_t>(ReduceKind::kLogSumExp), 0b10}),
      Make("max_mixed", KernelId::kReduce, {Dense({4, 5, 6, 7})}, {Dense({5, 7})},
           {static_cast<int64_t>(ReduceKind::kMax), 0b0101}),
      Make("lstm", KernelId::kLstmRecurrence,
           {Dense({3, 2, 84}), Packed(LayoutId::kLstmGates16, {21, 84}), Dense({2, 21}),
            Dense({2, 21})},
           {Dense({3, 2, 21}), Dense({2, 21}), Dense({2, 21})}, {0}),
      Make("lstm_reverse", KernelId::kLstmRecurrence,
           {Dense({2, 5, 64}), Packed(LayoutId::kLstmGates16, {16, 64}), Absent(), Absent()},
           {Dense({2, 5, 16}), Dense({5, 16}), Dense({5, 16})}, {1}),
  };
  KernelCase gather = Make("gather", KernelId::kGather, {Dense({3, 9, 5}), Dense({4}, DType::kI64)},
                           {Dense({3, 4, 5})}, {1});
  gather.fills = {Fill{}, Fill{-9, 8}};
  cases.push_back(gather);
  return cases;
}

FLOE_KERNEL_TESTS(PointwiseConformance, PointwiseCases());
FLOE_KERNEL_TESTS(MovementConformance, MovementCases());
FLOE_KERNEL_TESTS(RowConformance, RowCases());
FLOE_KERNEL_TESTS(OtherConformance, OtherCases());

// More mutants of the cases with the richest attributes.
TEST(MemoryBoundMutants, RunIfAccepted) {
  uint32_t seed = 100;
  for (const auto& cases : {PointwiseCases(), MovementCases(), RowCases(), OtherCases()}) {
    for (const KernelCase& c : cases) RunMutations(c, ++seed, 200);
    ExpectMutantsRan();
  }
}

}  // namespace
}  // namespace floe::conformance
