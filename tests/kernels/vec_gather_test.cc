// Gather on every table, and the indices that it refuses.
#include <gtest/gtest.h>

#include "backends/registry.h"
#include "tests/kernels/harness.h"

namespace floe::testing {
namespace {

KernelCase Gather(const char* name, TensorSpec x, TensorSpec indices, int64_t axis,
                  std::vector<int64_t> y) {
  KernelCase c{.name = name, .kernel = KernelId::kGather, .inputs = {}, .outputs = {}};
  c.outputs = {Dense(y, x.info.dtype)};
  c.inputs = {std::move(x), std::move(indices)};
  c.attrs = {axis};
  return c;
}

TEST(GatherTest, EveryTableMatchesTheTwin) {
  const TensorSpec some = Values({2, 3}, DType::kI64, {0, 4, -1, -5, 2, 2});
  RunKernelCase(Gather("rows", Dense({5, 33}), some, 0, {2, 3, 33}));
  RunKernelCase(Gather("columns", Dense({7, 5}), some, 1, {7, 2, 3}));
  RunKernelCase(Gather("middle", Dense({3, 5, 4}, DType::kI8), some, 1, {3, 2, 3, 4}));
  RunKernelCase(Gather("i32", Dense({5, 9}, DType::kF64), Values({4}, DType::kI32, {4, -5, 0, 1}),
                       0, {4, 9}));
  RunKernelCase(Gather("scalar_index", Dense({5, 9}), Values({}, DType::kI64, {-2}), 0, {9}));
  RunKernelCase(Gather("no_indices", Dense({5, 9}), Dense({0}, DType::kI64), 0, {0, 9}));
  RunKernelCase(Gather("embedding", Dense({1000, 768}), Values({1, 128}, DType::kI64, {999, 0, 17}),
                       0, {1, 128, 768}));
}

TEST(GatherTest, RunRefusesIndicesOutsideTheAxis) {
  for (const int64_t wrong : {int64_t{5}, int64_t{-6}, int64_t{1} << 62}) {
    KernelCase c =
        Gather("out_of_range", Dense({5, 3}), Values({2}, DType::kI64, {1, wrong}), 0, {2, 3});
    c.rule = Rule::kRunIndex;
    RunKernelCase(c);
  }
}

TEST(GatherTest, CheckRefusesConstantIndicesOutsideTheAxis) {
  KernelCase c = Gather("constant", Dense({5, 3}), Values({2}, DType::kI64, {1, 0}), 0, {2, 3});
  const int64_t good[2] = {-5, 4};
  const int64_t bad[2] = {0, 5};
  for (const int64_t* table : {good, bad}) {
    const void* constants[2] = {nullptr, table};
    const TensorInfo inputs[2] = {c.inputs[0].info, c.inputs[1].info};
    OpInfo op;
    op.inputs = inputs;
    op.input_count = 2;
    op.outputs = &c.outputs[0].info;
    op.output_count = 1;
    op.attrs = c.attrs.data();
    op.attr_count = 1;
    op.constants = constants;
    Footprint f;
    const Status s = KernelFootprints().Check(static_cast<uint32_t>(KernelId::kGather), op, &f);
    EXPECT_EQ(s.rule, table == good ? Rule::kNone : Rule::kIndexConstant);
  }
}

}  // namespace
}  // namespace floe::testing
