// What the registry promises, and what the checks of GEMM-like families refuse.
#include <functional>
#include <string>

#include "backends/registry.h"
#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

constexpr KernelId kFamilies[] = {
#define FLOE_KERNEL(id, name, text, attrs, operands, meaning) KernelId::k##name,
#include "backends/kernels.def"
#undef FLOE_KERNEL
};
bool IsControl(KernelId id) {
  return id == KernelId::kIf || id == KernelId::kLoop || id == KernelId::kSize;
}

TEST(Registry, EveryFamilyHasACheckATwinAndAKernelInEveryTable) {
  for (KernelId family : kFamilies) {
    const auto id = static_cast<uint32_t>(family);
    SCOPED_TRACE(FindKernel(id)->name);
    Footprint footprint;
    const Status status = KernelFootprints().Check(id, OpInfo{}, &footprint);
    EXPECT_FALSE(status.ok());
    // The executor's own have no kernels; Size has no block either, and so a check like others'.
    EXPECT_EQ(status.rule == Rule::kInstructionKernel,
              IsControl(family) && family != KernelId::kSize);
    for (const KernelTable* table : AllKernelTables()) {
      EXPECT_EQ(table->kernels[id].prepare == nullptr, IsControl(family)) << table->isa;
      EXPECT_EQ(table->kernels[id].run == nullptr, IsControl(family)) << table->isa;
    }
  }
}

TEST(Registry, UnknownFamiliesAreRefused) {
  for (uint32_t id : {0u, 5u, 9u, 41u, kMaxKernelId, 0xffffffffu}) {
    EXPECT_EQ(FindKernel(id), nullptr);
    Footprint footprint;
    EXPECT_EQ(KernelFootprints().Check(id, OpInfo{}, &footprint).rule, Rule::kInstructionKernel);
  }
}

TEST(Registry, FindsTheBestTableUpToTheCap) {
  const KernelTable* best = FindKernelTable("cpu", "");
  ASSERT_NE(best, nullptr);
  EXPECT_TRUE(best->available());
  EXPECT_EQ(FindKernelTable("cpu", best->isa), best);
  EXPECT_STREQ(FindKernelTable("cpu", "sse2")->isa, "sse2");
  EXPECT_STREQ(FindKernelTable("reference", "")->isa, "plain");
  EXPECT_EQ(FindKernelTable("cuda", ""), nullptr);
  EXPECT_EQ(FindKernelTable("cpu", "sse9"), nullptr);
  // A cap never raises: with it, the table is the cap's or a lesser one.
  const KernelTable* capped = FindKernelTable("cpu", "avx2");
  ASSERT_NE(capped, nullptr);
  EXPECT_TRUE(std::string(capped->isa) == "avx2" || std::string(capped->isa) == "sse2");
  EXPECT_STRNE(best->isa, "amx_plain");
}

// --- refusals -----------------------------------------------------------------------------------

KernelCase Gemm() {
  KernelCase c;
  c.kernel = KernelId::kGemm;
  c.inputs = {Dense({2, 3, 8}), Packed(LayoutId::kGemmPanels16, {8, 20}), Dense({20})};
  c.outputs = {Dense({2, 3, 20})};
  c.code = {PwLoad(1, 0), Pw(PwOp::kAdd, 0, 0, 1)};
  return c;
}

KernelCase Conv() {
  KernelCase c;
  c.kernel = KernelId::kConv;
  c.inputs = {ChannelsLast({2, 6, 9, 9}, {1, 1, 1}),
              Packed(LayoutId::kConvPanels16, {8, 3, 3, 3}, 2),
              ChannelsLast({2, 8, 9, 9}, {0, 2, 1})};
  c.attrs = {2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
  c.outputs = {ChannelsLast({2, 8, 9, 9})};
  c.code = {PwLoad(1, 0), Pw(PwOp::kAdd, 0, 0, 1)};
  return c;
}

KernelCase Depthwise() {
  KernelCase c;
  c.kernel = KernelId::kDepthwiseConv;
  c.inputs = {ChannelsLast({1, 6, 9, 9}, {1, 1, 1}),
              Packed(LayoutId::kDepthwiseTaps16, {6, 1, 3, 3}), Dense({6})};
  c.attrs = {3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
  c.outputs = {ChannelsLast({1, 6, 5, 5})};
  c.code = {PwLoad(1, 0), Pw(PwOp::kAdd, 0, 0, 1)};
  return c;
}

KernelCase Winograd() {
  KernelCase c;
  c.kernel = KernelId::kWinogradConv;
  c.inputs = {ChannelsLast({2, 6, 9, 9}, {2, 2, 2}), Packed(LayoutId::kConvPanels16, {8, 6, 3, 3}),
              Packed(LayoutId::kWinogradPanels16, {8, 6, 6, 6}),
              ChannelsLast({2, 8, 9, 9}, {0, 2, 1})};
  c.attrs = {1, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1};
  c.outputs = {ChannelsLast({2, 8, 9, 9})};
  c.code = {PwLoad(1, 0), Pw(PwOp::kAdd, 0, 0, 1)};
  return c;
}

KernelCase MatMul() {
  KernelCase c;
  c.kernel = KernelId::kMatMul;
  c.inputs = {Dense({4, 5, 6}), Dense({6, 7}), Dense({1})};
  c.attrs = {3, 0, 1, 2, 2, 0, 1, 3, 0, 1, 2};
  c.outputs = {Dense({4, 5, 7})};
  c.code = {PwLoad(1, 0), Pw(PwOp::kMul, 0, 0, 1)};
  return c;
}

KernelCase Check() {
  KernelCase c;
  c.kernel = KernelId::kCheck;
  c.inputs = {Dense({4, 5})};
  c.inputs[0].dtype = DType::kBool;
  c.attrs = {0};
  return c;
}

KernelCase Size() {
  KernelCase c;
  c.kernel = KernelId::kSize;
  c.inputs = {Dense({})};
  c.inputs[0].dtype = DType::kI64;
  c.attrs = {0};
  return c;
}

struct Refusal {
  std::string what;
  KernelCase (*base)();
  std::function<void(KernelCase*)> damage;
  Rule rule;
};
void PrintTo(const Refusal& r, std::ostream* os) { *os << r.what; }

constexpr int64_t kHuge = int64_t{1} << 62;

std::vector<Refusal> Refusals() {
  using C = KernelCase*;
  return {
      {"gemm: no weights", Gemm, [](C c) { c->inputs.resize(1); }, Rule::kInstructionArity},
      {"gemm: two results", Gemm, [](C c) { c->outputs.push_back(c->outputs[0]); },
       Rule::kInstructionArity},
      {"gemm: an attribute", Gemm, [](C c) { c->attrs = {1}; }, Rule::kInstructionAttr},
      {"gemm: absent input", Gemm, [](C c) { c->inputs[0] = Absent(); }, Rule::kInstructionOperand},
      {"gemm: double input", Gemm, [](C c) { c->inputs[0].dtype = DType::kF64; },
       Rule::kInstructionDType},
      {"gemm: bf16 weights that are not in pairs", Gemm,
       [](C c) { c->inputs[0].dtype = c->inputs[1].dtype = DType::kBF16; },
       Rule::kInstructionLayout},
      {"gemm: f32 weights in pairs", Gemm,
       [](C c) { c->inputs[1].layout = LayoutId::kGemmPairs16; }, Rule::kInstructionLayout},
      {"gemm: f32 times bf16", Gemm,
       [](C c) {
         c->inputs[1].dtype = DType::kBF16;
         c->inputs[1].layout = LayoutId::kGemmPairs16;
       },
       Rule::kInstructionDType},
      {"gemm: f16 x", Gemm, [](C c) { c->inputs[0].dtype = c->inputs[1].dtype = DType::kF16; },
       Rule::kInstructionDType},
      {"gemm: bf16 result of f32", Gemm, [](C c) { c->outputs[0].dtype = DType::kBF16; },
       Rule::kInstructionDType},
      {"gemm: f16 result", Gemm,
       [](C c) {
         c->inputs[1].dtype = DType::kF16;
         c->outputs[0].dtype = DType::kF16;
       },
       Rule::kInstructionDType},
      {"gemm: bf16 bias", Gemm, [](C c) { c->inputs[2].dtype = DType::kBF16; },
       Rule::kInstructionDType},
      {"gemm: plain weights", Gemm, [](C c) { c->inputs[1].layout = LayoutId::kDense; },
       Rule::kInstructionLayout},
      {"gemm: other depth", Gemm, [](C c) { c->inputs[1].dims[0] = 9; }, Rule::kInstructionShape},
      {"gemm: other columns", Gemm, [](C c) { c->outputs[0].dims[2] = 21; },
       Rule::kInstructionShape},
      {"gemm: other rows", Gemm, [](C c) { c->outputs[0].dims[0] = 3; }, Rule::kInstructionShape},
      {"gemm: scalar x", Gemm, [](C c) { c->inputs[0].rank = c->outputs[0].rank = 0; },
       Rule::kInstructionShape},
      {"gemm: negative rows", Gemm, [](C c) { c->inputs[0].dims[0] = c->outputs[0].dims[0] = -1; },
       Rule::kDimRange},
      {"gemm: too many rows", Gemm,
       [](C c) { c->inputs[0].dims[0] = c->outputs[0].dims[0] = kHuge; }, Rule::kValueTooLarge},
      {"gemm: short bias", Gemm, [](C c) { c->inputs[2].dims[0] = 19; }, Rule::kInstructionShape},
      {"gemm: int bias", Gemm, [](C c) { c->inputs[2].dtype = DType::kI32; },
       Rule::kInstructionDType},
      {"gemm: bias without code", Gemm, [](C c) { c->code.clear(); }, Rule::kInstructionArity},
      {"gemm: operand out of range", Gemm, [](C c) { c->code[0].operand = 1; },
       Rule::kInstructionCode},
      {"gemm: register out of range", Gemm, [](C c) { c->code[1].b = 16; }, Rule::kInstructionCode},
      {"gemm: register not written", Gemm, [](C c) { c->code[1].b = 2; }, Rule::kInstructionCode},
      {"size: an output", Size, [](C c) { c->outputs = c->inputs; }, Rule::kInstructionArity},
      {"size: no count", Size, [](C c) { c->inputs.clear(); }, Rule::kInstructionArity},
      {"size: no symbol", Size, [](C c) { c->attrs.clear(); }, Rule::kInstructionAttr},
      {"size: a float", Size, [](C c) { c->inputs[0].dtype = DType::kF64; },
       Rule::kInstructionDType},
      {"size: a vector", Size,
       [](C c) {
         c->inputs[0] = Dense({1});
         c->inputs[0].dtype = DType::kI64;
       },
       Rule::kInstructionShape},
      {"size: code", Size, [](C c) { c->code = {PwLoad(1, 0)}; }, Rule::kInstructionCode},
      {"check: an output", Check, [](C c) { c->outputs = c->inputs; }, Rule::kInstructionArity},
      {"check: two conditions", Check, [](C c) { c->inputs.push_back(c->inputs[0]); },
       Rule::kInstructionArity},
      {"check: no message", Check, [](C c) { c->attrs.clear(); }, Rule::kInstructionAttr},
      {"check: a number", Check, [](C c) { c->inputs[0].dtype = DType::kU8; },
       Rule::kInstructionDType},
      {"check: code", Check, [](C c) { c->code = {PwLoad(1, 0)}; }, Rule::kInstructionCode},
      {"check: channels-last", Check,
       [](C c) {
         c->inputs[0] = ChannelsLast({1, 2, 3, 4});
       },
       Rule::kInstructionDType},
      {"conv: attribute missing", Conv, [](C c) { c->attrs.pop_back(); }, Rule::kInstructionAttr},
      {"conv: groups", Conv, [](C c) { c->attrs[0] = 1; }, Rule::kInstructionAttr},
      {"conv: no groups", Conv, [](C c) { c->attrs[0] = 0; }, Rule::kInstructionAttr},
      {"conv: window", Conv, [](C c) { c->attrs[1] = 0; }, Rule::kInstructionAttr},
      {"conv: stride", Conv, [](C c) { c->attrs[3] = 0; }, Rule::kInstructionAttr},
      {"conv: negative padding", Conv, [](C c) { c->attrs[5] = -1; }, Rule::kInstructionAttr},
      {"conv: dilation overflows", Conv, [](C c) { c->attrs[9] = kHuge; }, Rule::kInstructionAttr},
      {"conv: dilation changes the result", Conv, [](C c) { c->attrs[9] = 2; },
       Rule::kInstructionShape},
      {"conv: top halo too small", Conv, [](C c) { c->inputs[0].halo.top = 0; },
       Rule::kInstructionLayout},
      {"conv: bottom halo too small", Conv, [](C c) { c->inputs[0].halo.bottom = 0; },
       Rule::kInstructionLayout},
      {"conv: gap too small", Conv, [](C c) { c->inputs[0].halo.gap = 0; },
       Rule::kInstructionLayout},
      {"conv: plain input", Conv,
       [](C c) {
         c->inputs[0] = Dense({2, 6, 9, 9});
       },
       Rule::kInstructionLayout},
      {"conv: plain result", Conv,
       [](C c) {
         c->outputs[0] = Dense({2, 8, 9, 9});
       },
       Rule::kInstructionLayout},
      {"conv: result height", Conv, [](C c) { c->outputs[0].dims[2] = 8; },
       Rule::kInstructionShape},
      {"conv: result channels", Conv, [](C c) { c->outputs[0].dims[1] = 10; },
       Rule::kInstructionShape},
      {"conv: window differs from weights", Conv, [](C c) { c->inputs[1].dims[2] = 2; },
       Rule::kInstructionShape},
      {"conv: plain residual", Conv,
       [](C c) {
         c->inputs[2] = Dense({2, 8, 9, 9});
       },
       Rule::kInstructionShape},
      {"depthwise: weights of other channels", Depthwise, [](C c) { c->inputs[1].dims[0] = 5; },
       Rule::kInstructionShape},
      {"depthwise: result channels", Depthwise, [](C c) { c->outputs[0].dims[1] = 12; },
       Rule::kInstructionShape},
      {"depthwise: gemm weights", Depthwise,
       [](C c) {
         c->inputs[1] = Packed(LayoutId::kConvPanels16, {6, 1, 3, 3});
       },
       Rule::kInstructionLayout},
      {"winograd: no u", Winograd, [](C c) { c->inputs.resize(2); }, Rule::kInstructionArity},
      {"winograd: direct weights absent", Winograd, [](C c) { c->inputs[1] = Absent(); },
       Rule::kInstructionOperand},
      {"winograd: stride", Winograd,
       [](C c) {
         c->attrs[3] = 2;
         c->outputs[0].dims[2] = c->inputs[3].dims[2] = 5;
       },
       Rule::kInstructionAttr},
      {"winograd: dilation", Winograd, [](C c) { c->attrs[9] = c->attrs[5] = c->attrs[7] = 2; },
       Rule::kInstructionAttr},
      {"winograd: groups", Winograd,
       [](C c) {
         c->attrs[0] = c->inputs[1].groups = 2;
         c->inputs[1].dims[1] = 3;
       },
       Rule::kInstructionAttr},
      {"winograd: window", Winograd,
       [](C c) {
         c->attrs[1] = c->inputs[1].dims[2] = 1;
         c->attrs[5] = c->attrs[7] = 0;
       },
       Rule::kInstructionAttr},
      {"winograd: u of other channels", Winograd, [](C c) { c->inputs[2].dims[1] = 5; },
       Rule::kInstructionShape},
      {"winograd: u of other outputs", Winograd, [](C c) { c->inputs[2].dims[0] = 16; },
       Rule::kInstructionShape},
      {"winograd: u of another tile", Winograd,
       [](C c) { c->inputs[2].dims[2] = c->inputs[2].dims[3] = 5; }, Rule::kValueLayout},
      {"winograd: u as conv's", Winograd, [](C c) { c->inputs[2] = c->inputs[1]; },
       Rule::kInstructionLayout},
      {"winograd: u of integers", Winograd, [](C c) { c->inputs[2].dtype = DType::kI32; },
       Rule::kInstructionDType},
      {"winograd: x and w of bf16, but not u", Winograd,
       [](C c) {
         c->inputs[0].dtype = DType::kBF16;
         c->inputs[1] = Packed(LayoutId::kConvPairs16, {8, 6, 3, 3});
         c->inputs[1].dtype = DType::kBF16;
       },
       Rule::kInstructionDType},
      {"winograd: u of pairs with too few columns", Winograd,
       [](C c) {
         c->inputs[0].dtype = DType::kBF16;
         c->inputs[1] = Packed(LayoutId::kConvPairs16, {8, 6, 3, 3});
         c->inputs[2] = Packed(LayoutId::kGemmPairs16, {6, 8 * 16});
         c->inputs[1].dtype = c->inputs[2].dtype = DType::kBF16;
       },
       Rule::kInstructionShape},
      {"winograd: gap too small", Winograd, [](C c) { c->inputs[0].halo.gap = 0; },
       Rule::kInstructionLayout},
      {"gemm: too many rows", Gemm,
       [](C c) { c->inputs[0].dims[0] = c->outputs[0].dims[0] = int64_t{1} << 31; },
       Rule::kValueTooLarge},
      {"matmul: no attributes", MatMul, [](C c) { c->attrs.clear(); }, Rule::kInstructionAttr},
      {"matmul: attribute too many", MatMul, [](C c) { c->attrs.push_back(0); },
       Rule::kInstructionAttr},
      {"matmul: axis twice", MatMul, [](C c) { c->attrs[2] = 0; }, Rule::kInstructionAttr},
      {"matmul: axis out of range", MatMul, [](C c) { c->attrs[1] = 3; }, Rule::kInstructionAttr},
      {"matmul: rank below two", MatMul, [](C c) { c->attrs[0] = 1; }, Rule::kInstructionAttr},
      {"matmul: huge rank", MatMul, [](C c) { c->attrs[0] = kHuge; }, Rule::kInstructionAttr},
      {"matmul: depths differ", MatMul, [](C c) { c->inputs[1].dims[0] = 5; },
       Rule::kInstructionShape},
      {"matmul: permuted depth differs", MatMul, [](C c) { std::swap(c->attrs[5], c->attrs[6]); },
       Rule::kInstructionShape},
      {"matmul: result batch", MatMul, [](C c) { c->outputs[0].dims[0] = 3; },
       Rule::kInstructionShape},
      {"matmul: permuted result", MatMul, [](C c) { std::swap(c->attrs[9], c->attrs[10]); },
       Rule::kInstructionShape},
      {"matmul: channel operand", MatMul, [](C c) { c->inputs[2].dims[0] = 7; },
       Rule::kInstructionShape},
  };
}

class CheckRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(CheckRefuses, WithItsRule) {
  KernelCase c = GetParam().base();
  Footprint footprint;
  ASSERT_TRUE(CheckCase(c, &footprint).ok());
  GetParam().damage(&c);
  const Status status = CheckCase(c, &footprint);
  EXPECT_EQ(status.code, Code::kInvalidFile);
  EXPECT_STREQ(RuleName(status.rule), RuleName(GetParam().rule));
}

INSTANTIATE_TEST_SUITE_P(, CheckRefuses, testing::ValuesIn(Refusals()));

}  // namespace
}  // namespace floe::conformance
