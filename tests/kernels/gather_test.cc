// Gather on every table, and the indices that it refuses.
#include <gtest/gtest.h>

#include "backends/registry.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

KernelCase Gather(const char* name, TensorInfo x, TensorInfo indices, std::vector<double> values,
                  int64_t axis, std::vector<int64_t> y) {
  KernelCase c{.name = name, .kernel = KernelId::kGather, .inputs = {}, .outputs = {}};
  c.outputs = {Dense(y, x.dtype)};
  c.inputs = {x, indices};
  c.fills = {{-125, 125}, {.values = std::move(values)}};
  c.attrs = {axis};
  return c;
}

TEST(GatherTest, EveryTableMatchesTheTwin) {
  const TensorInfo some = Dense({2, 3}, DType::kI64);
  const std::vector<double> five = {0, 4, -1, -5, 2, 2};
  RunCase(Gather("rows", Dense({5, 33}), some, five, 0, {2, 3, 33}));
  RunCase(Gather("columns", Dense({7, 5}), some, five, 1, {7, 2, 3}));
  RunCase(Gather("middle", Dense({3, 5, 4}, DType::kI8), some, five, 1, {3, 2, 3, 4}));
  RunCase(
      Gather("i32", Dense({5, 9}, DType::kF64), Dense({4}, DType::kI32), {4, -5, 0, 1}, 0, {4, 9}));
  RunCase(Gather("scalar_index", Dense({5, 9}), Dense({}, DType::kI64), {-2}, 0, {9}));
  RunCase(Gather("no_indices", Dense({5, 9}), Dense({0}, DType::kI64), {}, 0, {0, 9}));
  RunCase(Gather("embedding", Dense({1000, 768}), Dense({1, 128}, DType::kI64), {999, 0, 17}, 0,
                 {1, 128, 768}));
}

TEST(GatherTest, RunRefusesIndicesOutsideTheAxis) {
  for (const int64_t wrong : {int64_t{5}, int64_t{-6}, int64_t{1} << 62}) {
    KernelCase c = Gather("out_of_range", Dense({5, 3}), Dense({2}, DType::kI64),
                          {1, static_cast<double>(wrong)}, 0, {2, 3});
    c.rule = Rule::kRunIndex;
    RunCase(c);
  }
}

TEST(GatherTest, CheckRefusesConstantIndicesOutsideTheAxis) {
  const KernelCase c =
      Gather("constant", Dense({5, 3}), Dense({2}, DType::kI64), {1, 0}, 0, {2, 3});
  const int64_t good[2] = {-5, 4};
  const int64_t bad[2] = {0, 5};
  for (const int64_t* table : {good, bad}) {
    const std::vector<const void*> constants = {nullptr, table};
    const OpInfo op = OpOf(c, &constants);
    Footprint f;
    const Status s = KernelFootprints().Check(static_cast<uint32_t>(KernelId::kGather), op, &f);
    EXPECT_EQ(s.rule, table == good ? Rule::kNone : Rule::kIndexConstant);
  }
}

}  // namespace
}  // namespace floe::conformance
