// Stand-alone pointwise regions and the tile VM of epilogues, against the plain evaluator.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "backends/cpu/pointwise/tile_vm.h"
#include "backends/reference/pointwise.h"
#include "backends/registry.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

// Error limits of a single op in the vector math (backends/cpu/math.h), in units of 2^-23 relative.
constexpr double kUlp = 1.0 / (1 << 23);

KernelCase Region(std::string name, std::vector<TensorInfo> inputs, TensorInfo y,
                  std::vector<PwInstr> code) {
  KernelCase c;
  c.name = std::move(name);
  c.kernel = KernelId::kPointwise;
  c.inputs = std::move(inputs);
  c.outputs = {std::move(y)};
  c.code = std::move(code);
  for (const TensorInfo& t : c.inputs) {
    c.fills.push_back(IsFloat(t.dtype) ? Fill{-3, 3} : Fill{-125, 125});
  }
  c.relative = 8 * kUlp;
  c.absolute = 1e-38;
  return c;
}

KernelCase WithValues(std::vector<double> values, KernelCase c) {
  c.fills = {{.values = std::move(values)}};
  return c;
}

TEST(Pointwise, EveryOpOnSpecialValues) {
  for (uint32_t op = 0; op < static_cast<uint32_t>(PwOp::kCount); ++op) {
    if (static_cast<PwOp>(op) == PwOp::kLoad) continue;
    for (int64_t n : {1, 7, 16, 333}) {
      PwInstr last = Pw(static_cast<PwOp>(op), 0, 0, 1, 2);
      const int sources = PwOpSources(static_cast<PwOp>(op));
      if (sources < 3) last.c = 0;
      if (sources < 2) last.b = 0;
      last.imm = 1.5f;
      // SSE2 rounds fma twice, so a product may overflow where the sum would not.
      const bool fma = static_cast<PwOp>(op) == PwOp::kFma;
      const TensorInfo x = Dense({n});
      KernelCase c = Region(PwOpName(static_cast<PwOp>(op)), {x, x, x}, Dense({n}),
                            {PwLoad(0, 0), PwLoad(1, 1), PwLoad(2, 2), last});
      if (!fma) c.fills = {{.special = true}};
      if (fma) c.absolute = 1e-5;
      // The tail is as exact as the larger values.
      if (static_cast<PwOp>(op) == PwOp::kGeluTanh) c.absolute = 1e-7;
      RunCase(c);
    }
  }
}

TEST(Pointwise, Broadcasts) {
  const std::vector<PwInstr> add = {PwLoad(0, 0), PwLoad(1, 1), Pw(PwOp::kAdd, 0, 0, 1)};
  const std::vector<PwInstr> sub = {PwLoad(0, 0), PwLoad(1, 1), Pw(PwOp::kSub, 0, 1, 0)};
  struct Shape {
    std::vector<int64_t> a, b, y;
  };
  const Shape shapes[] = {
      {{3, 5}, {5}, {3, 5}},
      {{3, 5}, {3, 1}, {3, 5}},
      {{3, 1}, {1, 5}, {3, 5}},
      {{1}, {1}, {1}},
      {{}, {}, {}},
      {{2000}, {1}, {2000}},
      {{7, 300}, {7, 1}, {7, 300}},
      {{7, 1000}, {1000}, {7, 1000}},
      {{2, 3, 4, 5}, {3, 1, 5}, {2, 3, 4, 5}},
      {{2, 1, 4, 1}, {1, 3, 1, 5}, {2, 3, 4, 5}},
      {{128, 8}, {128, 1}, {128, 8}},
      {{64, 2, 3}, {64, 1, 1}, {64, 2, 3}},
      {{2, 1, 3, 1, 2, 1, 3, 1}, {1, 2, 1, 3, 1, 2, 1, 3}, {2, 2, 3, 3, 2, 2, 3, 3}},
      {{0, 5}, {5}, {0, 5}},
      {{3, 0}, {3, 1}, {3, 0}},
      {{40, 512}, {40, 512}, {40, 512}},
  };
  for (const Shape& s : shapes) {
    RunCase(Region("add", {Dense(s.a), Dense(s.b)}, Dense(s.y), add));
    RunCase(Region("sub swapped", {Dense(s.b), Dense(s.a)}, Dense(s.y), sub));
  }
}

TEST(Pointwise, ChannelsLastWithHalos) {
  const std::vector<PwInstr> code = {PwLoad(0, 0),
                                     PwLoad(1, 1),
                                     Pw(PwOp::kMul, 0, 0, 1),
                                     PwLoad(2, 2),
                                     Pw(PwOp::kAdd, 0, 0, 2),
                                     Pw(PwOp::kRelu, 0, 0)};
  const Halo halos[] = {{}, {1, 1, 1}, {3, 2, 4}, {0, 1, 0}, {0, 0, 2}};
  const std::vector<int64_t> shapes[] = {{2, 3, 5, 7},  {1, 16, 9, 4}, {1, 1, 6, 5},
                                         {2, 33, 1, 1}, {1, 1, 6, 1},  {1, 40, 7, 30},
                                         {2, 5, 0, 3},  {2, 4, 3, 0},  {1, 130, 3, 3}};
  for (const auto& s : shapes) {
    for (const Halo& h : halos) {
      RunCase(Region(
          "scale shift relu",
          {ChannelsLast(s, h), ChannelsLast({1, s[1], 1, 1}), ChannelsLast({s[0], s[1], 1, 1}, h)},
          ChannelsLast(s, h), code));
      RunCase(Region("other halos",
                     {ChannelsLast(s, {1, 1, 1}), Dense({1}), ChannelsLast(s, {2, 0, 1})},
                     ChannelsLast(s, h), code));
      RunCase(Region("dense operands", {ChannelsLast(s), Dense({s[1], 1, 1}), Dense(s)},
                     ChannelsLast(s, h), code));
      RunCase(Region("per pixel",
                     {ChannelsLast(s), ChannelsLast({s[0], 1, s[2], s[3]}), Dense({s[3]})},
                     ChannelsLast(s, h), code));
    }
  }
}

TEST(Pointwise, ConvertsLoads) {
  for (DType t : {DType::kF16, DType::kBF16, DType::kI32, DType::kI64, DType::kU8, DType::kI8,
                  DType::kBool}) {
    for (const std::vector<int64_t>& dims :
         {std::vector<int64_t>{37, 45}, {45}, {1}, {37, 1}, {1, 1}}) {
      const std::vector<PwInstr> code = {PwLoad(0, 0), PwLoad(1, 1), Pw(PwOp::kSub, 0, 0, 1)};
      RunCase(Region("convert", {Dense(dims, t), Dense({37, 45})}, Dense({37, 45}), code));
      RunCase(Region("only", {Dense(dims, t)}, Dense({37, 45}), {PwLoad(0, 0)}));
      RunCase(Region("constant too", {Dense(dims, t)}, Dense({37, 45}),
                     {PwLoad(1, 0), PwImm(PwOp::kMulImm, 1, 1, 0.5f),
                      PwImm(PwOp::kConst, 2, 0, 3.0f), Pw(PwOp::kAdd, 0, 1, 2)}));
    }
  }
  RunCase(WithValues({16777217, -33554435, 1}, Region("i64 beyond 2^24", {Dense({3}, DType::kI64)},
                                                      Dense({3}), {PwLoad(0, 0)})));
}

TEST(Pointwise, BrainResults) {
  for (int64_t n : {1, 5, 16, 100, 4099}) {
    RunCase(Region("copy", {Dense({2, n})}, Dense({2, n}, DType::kBF16), {PwLoad(0, 0)}));
    RunCase(Region("from f16", {Dense({n}, DType::kF16)}, Dense({n}, DType::kBF16),
                   {PwLoad(0, 0), Pw(PwOp::kNeg, 0, 0)}));
    RunCase(Region("in place", {Dense({3, n}, DType::kBF16), Dense({3, n})},
                   Dense({3, n}, DType::kBF16),
                   {PwLoad(0, 0), PwLoad(1, 1), Pw(PwOp::kAdd, 0, 0, 1)}));
  }
  // Ties go to even, and the greatest numbers to infinity.
  RunCase(WithValues({257, 259, -257, -259, 65793, 65791},
                     Region("ties", {Dense({6})}, Dense({6}, DType::kBF16), {PwLoad(0, 0)})));
  RunCase(Region("overflow", {Dense({5})}, Dense({5}, DType::kBF16),
                 {PwLoad(1, 0), PwImm(PwOp::kConst, 0, 0, 3.4e38f)}));
  RunCase(Region("halo", {ChannelsLast({2, 5, 3, 4}, {2, 1, 1})},
                 ChannelsLast({2, 5, 3, 4}, {1, 1, 1}, DType::kBF16), {PwLoad(0, 0)}));
}

TEST(Pointwise, BoolResults) {
  for (int64_t n : {1, 5, 100, 4099}) {
    RunCase(Region("less", {Dense({2, n}), Dense({n})}, Dense({2, n}, DType::kBool),
                   {PwLoad(0, 0), PwLoad(1, 1), Pw(PwOp::kLt, 0, 0, 1)}));
    RunCase(Region("not", {Dense({n}, DType::kBool)}, Dense({n}, DType::kBool),
                   {PwLoad(0, 0), Pw(PwOp::kNot, 0, 0)}));
  }
  TensorInfo y = ChannelsLast({2, 5, 3, 4}, {1, 1, 1}, DType::kBool);
  RunCase(Region("halo", {ChannelsLast({2, 5, 3, 4}, {2, 1, 1})}, y,
                 {PwLoad(0, 0), PwImm(PwOp::kConst, 1, 0, 0), Pw(PwOp::kGe, 0, 0, 1)}));
}

// Rounded to even, saturating; NaN gives the least: the same bytes in every table.
TEST(Pointwise, ByteResults) {
  const std::vector<PwInstr> quantize = {PwLoad(0, 0), PwImm(PwOp::kMulImm, 0, 0, 40.5f),
                                         PwImm(PwOp::kAddImm, 0, 0, 3)};
  for (const DType t : {DType::kU8, DType::kI8}) {
    for (const int64_t n : {1, 15, 16, 33, 3000}) {
      RunCase(Region("quantize", {Dense({3, n})}, Dense({3, n}, t), quantize));
      KernelCase special = Region("special", {Dense({n})}, Dense({n}, t), {PwLoad(0, 0)});
      special.fills = {{.special = true}};
      RunCase(special);
      RunCase(Region("in place", {Dense({n}, DType::kU8)}, Dense({n}, t), {PwLoad(0, 0)}));
    }
    RunCase(WithValues({-3, -1, 1, 3, 5, 509, 511, 513, -257},
                       Region("halves", {Dense({9})}, Dense({9}, t),
                              {PwLoad(0, 0), PwImm(PwOp::kMulImm, 0, 0, 0.5f)})));
    RunCase(Region("halo of a zero point", {ChannelsLast({2, 5, 3, 4}, {2, 1, 1})},
                   ChannelsLast({2, 5, 3, 4}, {1, 1, 2, 131}, t), quantize));
    RunCase(Region("from dense", {Dense({2, 5, 3, 4})}, ChannelsLast({2, 5, 3, 4}, {1, 1, 2, 7}, t),
                   quantize));
  }
}

// Straight-line programs of random instructions over random operand shapes.
TEST(Pointwise, RandomPrograms) {
  std::mt19937 random(7);
  const PwOp kOps[] = {PwOp::kAdd,    PwOp::kSub,    PwOp::kMul,     PwOp::kMin,  PwOp::kMax,
                       PwOp::kAddImm, PwOp::kMulImm, PwOp::kMaxImm,  PwOp::kAbs,  PwOp::kRelu,
                       PwOp::kSelect, PwOp::kMove,   PwOp::kConst,   PwOp::kNeg,  PwOp::kLt,
                       PwOp::kLoad,   PwOp::kLoad,   PwOp::kSigmoid, PwOp::kTanh, PwOp::kAdd};
  const std::vector<int64_t> kShapes[] = {{6, 50}, {50}, {6, 1}, {1}, {1, 1}, {6, 50}};
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<TensorInfo> inputs;
    const uint32_t operands = 1 + random() % 4;
    for (uint32_t i = 0; i < operands; ++i) {
      const DType dtype = random() % 4 == 0 ? DType::kI32 : DType::kF32;
      inputs.push_back(Dense(kShapes[random() % std::size(kShapes)], dtype));
    }
    std::vector<PwInstr> code = {PwLoad(0, 0)};
    const uint32_t registers = 2 + random() % 4;
    for (uint32_t i = 1; i < registers; ++i) {
      code.push_back(PwLoad(static_cast<uint8_t>(i), static_cast<uint8_t>(random() % operands)));
    }
    const uint32_t length = 1 + random() % 12;
    for (uint32_t i = 0; i < length; ++i) {
      const PwOp op = kOps[random() % std::size(kOps)];
      const auto r = [&] { return static_cast<uint8_t>(random() % registers); };
      PwInstr pw = Pw(op, r(), r(), r(), r());
      const int sources = PwOpSources(op);
      if (sources < 3) pw.c = 0;
      if (sources < 2) pw.b = 0;
      if (sources < 1) pw.a = 0;
      if (op == PwOp::kLoad) pw.operand = static_cast<uint8_t>(random() % operands);
      if (op == PwOp::kConst || op == PwOp::kAddImm || op == PwOp::kMulImm || op == PwOp::kMaxImm) {
        pw.imm = 0.5f;
      }
      code.push_back(pw);
    }
    KernelCase c = Region("random " + std::to_string(trial), inputs, Dense({6, 50}), code);
    c.fills.clear();
    for (const TensorInfo& t : inputs) {
      c.fills.push_back(t.dtype == DType::kI32 ? Fill{.values = {1, -2, 0, 3}}
                                               : Fill{.values = {0, 2, -1, 1, -2, 0, 1}});
    }
    c.relative = 1e-4;  // Rounding differences of sigmoid and tanh grow in what follows.
    c.absolute = 1e-4;
    RunCase(c);
  }
}

using RunTileFn = void (*)(const PwInstr*, uint32_t, float*, int64_t, int64_t, int64_t,
                           const cpu::TileOperand*);

TEST(TileVm, EqualsTheEvaluator) {
  const std::vector<PwInstr> code = {
      PwLoad(1, 0), Pw(PwOp::kAdd, 0, 0, 1), PwLoad(2, 1),         Pw(PwOp::kMul, 0, 0, 2),
      PwLoad(3, 2), Pw(PwOp::kAdd, 0, 0, 3), Pw(PwOp::kSilu, 0, 0)};
  const struct {
    const char* isa;
    RunTileFn run;
  } kVms[] = {{"sse2", &cpu::sse2::RunTile},
              {"avx2", &cpu::avx2::RunTile},
              {"avx512", &cpu::avx512::RunTile}};
  for (const auto& vm : kVms) {
    const KernelTable* table = FindKernelTable("cpu", vm.isa);
    if (table == nullptr || std::strcmp(table->isa, vm.isa) != 0) continue;
    for (const auto& [rows, cols, ld] : std::vector<std::array<int64_t, 3>>{
             {1, 1, 16}, {6, 64, 64}, {14, 48, 48}, {5, 13, 16}, {3, 1000, 1000}, {300, 3, 16}}) {
      std::mt19937 random(1);
      std::normal_distribution<float> normal;
      const auto make = [&](int64_t n) {
        std::vector<float> v(static_cast<size_t>(n));
        for (float& x : v) x = normal(random);
        return v;
      };
      const int64_t residual_ld = cols + 3;
      const std::vector<float> channel = make(cols), scalar = make(1);
      const std::vector<float> residual = make(rows * residual_ld);
      std::vector<float> tile = make(rows * ld);
      const std::vector<float> before = tile;
      const cpu::TileOperand operands[] = {
          {cpu::TileOperand::Kind::kChannel, channel.data(), 0},
          {cpu::TileOperand::Kind::kScalar, scalar.data(), 0},
          {cpu::TileOperand::Kind::kTensor, residual.data(), residual_ld}};
      vm.run(code.data(), static_cast<uint32_t>(code.size()), tile.data(), rows, cols, ld,
             operands);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < ld; ++c) {
          const size_t i = static_cast<size_t>(r * ld + c);
          if (c >= cols) {
            ASSERT_EQ(tile[i], before[i]);
            continue;
          }
          const float v = (before[i] + channel[static_cast<size_t>(c)]) * scalar[0] +
                          residual[static_cast<size_t>(r * residual_ld + c)];
          const float want = reference::EvalPointwise(code.back(), v, 0, 0);
          ASSERT_NEAR(tile[i], want, 1e-6 + 1e-6 * std::fabs(want))
              << vm.isa << " " << r << " " << c;
        }
      }
    }
  }
}

TEST(Pointwise, RefusesWhatDoesNotFit) {
  const std::vector<PwInstr> load = {PwLoad(0, 0)};
  Footprint f;
  const auto rule = [&](const KernelCase& c) { return CheckCase(c, &f).rule; };
  EXPECT_EQ(rule(Region("", {Dense({3})}, Dense({4}), load)), Rule::kInstructionShape);
  EXPECT_EQ(rule(Region("", {Dense({2, 3})}, Dense({3}), load)), Rule::kInstructionShape);
  EXPECT_EQ(rule(Region("", {}, Dense({3}), load)), Rule::kInstructionArity);
  EXPECT_EQ(rule(Region("", {Dense({3}, DType::kF64)}, Dense({3}), load)), Rule::kInstructionDType);
  EXPECT_EQ(rule(Region("", {Dense({3})}, Dense({3}, DType::kI32), load)), Rule::kInstructionDType);
  EXPECT_EQ(rule(Region("", {Absent()}, Dense({3}), load)), Rule::kInstructionOperand);
  EXPECT_EQ(
      rule(Region("", {InLayout(Dense({3, 4}), LayoutId::kGemmPanels16)}, Dense({3, 4}), load)),
      Rule::kInstructionLayout);
  EXPECT_EQ(rule(Region("", {Dense({3})}, Dense({3}), {PwLoad(0, 1)})), Rule::kInstructionCode);
  EXPECT_EQ(rule(Region("", {Dense({3})}, Dense({3}), {PwLoad(1, 0)})), Rule::kInstructionCode);
  EXPECT_EQ(rule(Region("", {Dense({3})}, Dense({3}), {})), Rule::kInstructionCode);
  EXPECT_EQ(rule(Region("", {Dense({-3})}, Dense({3}), load)), Rule::kDimRange);
  EXPECT_EQ(rule(Region("", {Dense({1})}, Dense({int64_t{1} << 40, int64_t{1} << 40}), load)),
            Rule::kValueTooLarge);
  KernelCase attrs = Region("", {Dense({3})}, Dense({3}), load);
  attrs.attrs = {1};
  EXPECT_EQ(rule(attrs), Rule::kInstructionAttr);
}

}  // namespace
}  // namespace floe::conformance
