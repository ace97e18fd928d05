// Validation is linear: four times the program takes about four times as long.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "tests/format/rules_test.h"

namespace floe::testing {
namespace {

// A chain of n pointwise instructions; value i is read by instructions i + 1 and i + 3 and takes
// over slot i % 5. ProgramBuilder's own plan would be quadratic.
ProgramData Chain(uint32_t n) {
  ProgramData d;
  d.string_offsets = {0, 0};
  d.symbols.push_back({0, 0, 1, 64, 1, 0, 0});
  d.terms.push_back({0, 0, 1});
  d.dims = {{0, 0, 1}, {64, 0, 0}};
  d.value_dims = {0, 1};
  const auto add = [&](Storage storage, uint32_t link) {
    ValueDef v;
    v.dtype = static_cast<uint8_t>(DType::kF32);
    v.rank = 2;
    v.storage = static_cast<uint8_t>(storage);
    v.link = link;
    d.values.push_back(v);
    return static_cast<uint32_t>(d.values.size() - 1);
  };
  const uint32_t x = add(Storage::kInput, 0);
  const uint32_t y = add(Storage::kOutput, 0);
  d.code = PwAdd();
  std::vector<uint32_t> chain(3, x);
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t out = i + 1 == n ? y : add(Storage::kArena, i % 5);
    Instruction ins;
    ins.kernel = static_cast<uint16_t>(KernelId::kPointwise);
    ins.input_count = 2;
    ins.output_count = 1;
    ins.first_operand = static_cast<uint32_t>(d.operands.size());
    ins.code_count = 3;
    d.operands.insert(d.operands.end(), {chain[chain.size() - 1], chain[chain.size() - 3], out});
    d.instructions.push_back(ins);
    chain.push_back(out);
  }
  d.block_values = {x, y};
  d.blocks.push_back({0, n, 0, 1, 1, 1});
  d.methods.push_back({0, 0, 0, 2});
  const uint64_t slot = 64 * 64 * 4;
  d.buckets = {{0, 0, 5 * slot + 1024, 0, 0}, {1, 0, 5 * slot + 1024, 0, 0}};
  d.bucket_max = {8, 64};
  for (uint64_t i = 0; i < 5; ++i) d.arena_offsets.push_back(i * slot);
  return d;
}

double Seconds(const ProgramData& data) {
  const AlignedFile file = Written(data.View());
  double best = 1e9;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_OK(ReadFile(file));
    const std::chrono::duration<double> d = std::chrono::steady_clock::now() - start;
    best = std::min(best, d.count());
  }
  return best;
}

TEST(ScaleTest, ReadingIsLinear) {
  const double resnet = Seconds(Chain(1000));
  const double small = Seconds(Chain(20000));
  const double large = Seconds(Chain(80000));
  std::printf("1,000 instructions: %.3f ms, 20,000: %.3f ms, 80,000: %.3f ms\n", resnet * 1e3,
              small * 1e3, large * 1e3);
  EXPECT_LT(large / small, 4 * 3);
}

// Many symbols, buckets and methods at their limits, all small otherwise.
TEST(ScaleTest, LimitsTogetherAreHarmless) {
  ProgramBuilder b;
  std::vector<uint32_t> symbols;
  for (int s = 0; s < 64; ++s) symbols.push_back(b.AddSymbol("s" + std::to_string(s), 1, 1000));
  for (int m = 0; m < 64; ++m) {
    const Shape shape = {Dim::Of(symbols[static_cast<size_t>(m)])};
    const uint32_t x = b.AddInput("x", DType::kBool, shape);
    const uint32_t y = b.AddOutput("y", DType::kBool, shape);
    std::vector<std::vector<int64_t>> buckets;
    for (int k = 1; k <= 128; ++k) buckets.emplace_back(64, k == 128 ? 1000 : k);
    b.AddMethod(
        "m" + std::to_string(m), {x}, {y}, [&] { b.AddInstruction(KernelId::kCopy, {x}, {y}); },
        buckets);
  }
  EXPECT_LT(Seconds(b.Build()), 10.0);
}

}  // namespace
}  // namespace floe::testing
