// Microbenchmarks of the kernel families at the shapes of BERT-base, ResNet, MobileNetV2 and an
// LSTM language model: each kernel straight through its table, on one thread, for every ISA of this
// machine. Weights and activations are warm: a whole model also pays for fetching them.
//
//   kernels_bench --benchmark_filter='conv/.*avx512'
//
// FLOP/s counts useful operations only, not padding, over CPU time; "peak%" is their share of what
// the FMA probe (for integer products the byte probe, for bf16 its own) reached in this process
// just before; B/s is the size of all operands over the time.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "backends/registry.h"
#include "format/attrs.h"
#include "format/ops.h"
#include "tools/cli/roofline.h"

namespace floe::bench {
namespace {

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

TensorInfo Make(const Dims& dims, LayoutId layout = LayoutId::kDense, DType dtype = DType::kF32) {
  TensorInfo t;
  t.dtype = dtype;
  t.layout = layout;
  t.rank = static_cast<uint8_t>(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) t.dims[i] = dims[i];
  return t;
}

// [1, c, size, size] channels-last with `halo` border pixels.
TensorInfo Image(int64_t c, int64_t size, int64_t halo = 0) {
  TensorInfo t = Make({1, c, size, size}, LayoutId::kChannelsLast);
  const auto h = static_cast<uint8_t>(halo);
  t.halo = {h, h, h};
  return t;
}

PwInstr Instr(PwOp op, uint8_t dst, uint8_t a = 0, uint8_t b = 0, float imm = 0) {
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

// r0 + operand `operand`.
std::vector<PwInstr> AddOperand(uint8_t operand) {
  return {Load(1, operand), Instr(PwOp::kAdd, 0, 0, 1)};
}

std::vector<PwInstr> Then(std::vector<PwInstr> code, const std::vector<PwInstr>& more) {
  code.insert(code.end(), more.begin(), more.end());
  return code;
}

const std::vector<PwInstr> kRelu = {Instr(PwOp::kRelu, 0)};
const std::vector<PwInstr> kRelu6 = {Instr(PwOp::kMaxImm, 0, 0, 0, 0.0f),
                                     Instr(PwOp::kMinImm, 0, 0, 0, 6.0f)};
const std::vector<PwInstr> kGelu = {Instr(PwOp::kGelu, 0)};

// y = x w + bias, then `code`; with `residual`, y's shape is added first.
Case Gemm(const std::string& name, int64_t m, int64_t k, int64_t n,
          const std::vector<PwInstr>& code = {}, bool residual = false) {
  Case c{name, KernelId::kGemm, {}, {Make({m, n})}, {}, AddOperand(0)};
  c.inputs = {Make({m, k}), Make({k, n}, LayoutId::kGemmPanels16), Make({n})};
  if (residual) {
    c.inputs.push_back(Make({m, n}));
    c.code = Then(c.code, AddOperand(1));
  }
  c.code = Then(c.code, code);
  return c;
}

// A square convolution with bias and `code`; `residual` as for Gemm.
Case Conv(const std::string& name, int64_t in, int64_t out, int64_t size, int64_t kernel,
          int64_t stride, const std::vector<PwInstr>& code = kRelu, bool residual = false) {
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

// The same 3x3 convolution in tiles of t x t inputs.
Case Winograd(const std::string& name, int64_t t, int64_t in, int64_t out, int64_t size) {
  Case c = Conv(name, in, out, size, 3, 1);
  c.kernel = KernelId::kWinogradConv;
  c.inputs.insert(c.inputs.begin() + 2, Make({out, in, t, t}, LayoutId::kWinogradPanels16));
  return c;
}

// With bias and clamp to [0, 6].
Case Depthwise(const std::string& name, int64_t channels, int64_t size, int64_t stride,
               int64_t kernel = 3) {
  const int64_t pad = kernel / 2;
  Case c{name, KernelId::kDepthwiseConv, {}, {Image(channels, (size - 1) / stride + 1)}, {}, {}};
  c.inputs = {Image(channels, size, pad),
              Make({channels, 1, kernel, kernel}, LayoutId::kDepthwiseTaps16), Make({channels})};
  c.attrs = {kernel, kernel, stride, stride, pad, pad, pad, pad, 1, 1};
  c.code = Then(AddOperand(0), kRelu6);
  return c;
}

// Everything of an integer product but x, w, y and the first words: a static zero point, a u8
// result, bias.
void AddQuantized(int64_t columns, bool residual, Case* c) {
  TensorInfo none;
  none.dtype = DType::kNone;
  const auto ints = Make({columns}, LayoutId::kDense, DType::kI32);
  for (const TensorInfo& t : {ints, Make({columns}), ints, none, none}) c->inputs.push_back(t);
  TensorInfo other = c->outputs[0];
  c->inputs.push_back(residual ? other : none);
  const Words words = residual ? Words{7, 5, 5, 250, 9, 0, 255, 3, FloatWord(0.5), FloatWord(0.5)}
                               : Words{7, 5, 5, 250, 0, 0, 0, 0, FloatWord(0), FloatWord(0)};
  c->attrs.insert(c->attrs.end(), words.begin(), words.end());
}

TensorInfo OfBytes(TensorInfo t, uint8_t fill) {
  t.dtype = DType::kU8;
  if (!t.halo.empty()) t.halo.fill = fill;
  return t;
}

Case QGemm(const std::string& name, int64_t m, int64_t k, int64_t n) {
  Case c{name, KernelId::kQGemm, {}, {OfBytes(Make({m, n}), 0)}, {}, {}};
  c.inputs = {OfBytes(Make({m, k}), 0), Make({k, n}, LayoutId::kGemmPanels16x4, DType::kI8)};
  AddQuantized(n, false, &c);
  return c;
}

// As BERT's dynamic form has it: f32 result, scale and zero point of x at run time, f32 bias.
Case DynamicQGemm(const std::string& name, int64_t m, int64_t k, int64_t n) {
  Case c = QGemm(name, m, k, n);
  c.outputs[0].dtype = DType::kF32;
  c.inputs[5] = Make({1});
  c.inputs[6] = Make({1}, LayoutId::kDense, DType::kU8);
  c.inputs.push_back(Make({n}));
  c.attrs.assign(c.attrs.size(), 0);
  c.attrs[0] = -1;
  c.code = AddOperand(0);
  return c;
}

Case QConv(const std::string& name, int64_t in, int64_t out, int64_t size, int64_t kernel,
           int64_t stride, bool residual = false) {
  Case c = Conv(name, in, out, size, kernel, stride);
  c.kernel = KernelId::kQConv;
  c.code.clear();
  c.inputs = {OfBytes(c.inputs[0], 7),
              Make({out, in, kernel, kernel}, LayoutId::kConvPanels16x4, DType::kI8)};
  c.outputs = {OfBytes(c.outputs[0], 0)};
  AddQuantized(out, residual, &c);
  return c;
}

Case QDepthwise(const std::string& name, int64_t channels, int64_t size, int64_t stride) {
  Case c = Depthwise(name, channels, size, stride);
  c.kernel = KernelId::kQDepthwiseConv;
  c.code.clear();
  c.inputs = {OfBytes(c.inputs[0], 7),
              Make({channels, 1, 3, 3}, LayoutId::kDepthwiseTaps16x4, DType::kI8)};
  c.outputs = {OfBytes(c.outputs[0], 0)};
  AddQuantized(channels, false, &c);
  return c;
}

void AddIntegerProducts(std::vector<Case>* cases) {
  cases->push_back(QGemm("bert_projection_128x768x768", 128, 768, 768));
  cases->push_back(QGemm("bert_ffn_out_128x3072x768", 128, 3072, 768));
  cases->push_back(QGemm("bert_projection_32x768x768", 32, 768, 768));
  cases->push_back(DynamicQGemm("bert_dynamic_128x768x768", 128, 768, 768));
  cases->push_back(DynamicQGemm("bert_dynamic_128x768x3072", 128, 768, 3072));
  cases->push_back(QGemm("lstm_1x650x2600", 1, 650, 2600));
  cases->push_back(QConv("resnet_stem_7x7s2_3_64_224", 3, 64, 224, 7, 2));
  cases->push_back(QConv("resnet_3x3_64_64_56", 64, 64, 56, 3, 1));
  cases->push_back(QConv("resnet_3x3_128_128_28", 128, 128, 28, 3, 1));
  cases->push_back(QConv("resnet_3x3_256_256_14_residual", 256, 256, 14, 3, 1, true));
  cases->push_back(QConv("resnet_3x3_512_512_7", 512, 512, 7, 3, 1));
  cases->push_back(QConv("resnet_1x1_256_64_56", 256, 64, 56, 1, 1));
  cases->push_back(QConv("resnet_1x1_64_256_56_residual", 64, 256, 56, 1, 1, true));
  cases->push_back(QConv("resnet_1x1_256_1024_14", 256, 1024, 14, 1, 1));
  cases->push_back(QConv("resnet_1x1_2048_512_7", 2048, 512, 7, 1, 1));
  cases->push_back(QConv("mobilenet_expand_1x1_16_96_112", 16, 96, 112, 1, 1));
  cases->push_back(QConv("mobilenet_project_1x1_144_24_56", 144, 24, 56, 1, 1));
  cases->push_back(QDepthwise("mobilenet_96_112_s2", 96, 112, 2));
  cases->push_back(QDepthwise("mobilenet_144_56", 144, 56, 1));
  cases->push_back(QDepthwise("mobilenet_384_14", 384, 14, 1));
  cases->push_back(QDepthwise("mobilenet_960_7", 960, 7, 1));
  const TensorInfo one = Make({1}, LayoutId::kDense, DType::kU8);
  cases->push_back({"bert_128x3072",
                    KernelId::kDynamicQuantize,
                    {Make({128, 3072})},
                    {OfBytes(Make({128, 3072}), 0), Make({1}), one},
                    {},
                    {}});
}

bool MultipliesBytes(KernelId id) {
  return id == KernelId::kQGemm || id == KernelId::kQConv || id == KernelId::kQDepthwiseConv;
}

// The same with bf16 operands and weights and an f32 result, or with f16 weights.
Case AsBf16(Case c) {
  c.name += "_bf16";
  c.inputs[0].dtype = c.inputs[1].dtype = DType::kBF16;
  c.inputs[1].layout =
      c.kernel == KernelId::kGemm ? LayoutId::kGemmPairs16 : LayoutId::kConvPairs16;
  return c;
}
Case WithF16Weights(Case c) {
  c.name += "_f16w";
  c.inputs[1].dtype = DType::kF16;
  return c;
}

void AddNarrowProducts(std::vector<Case>* cases) {
  for (const Case& c : {Gemm("bert_projection_128x768x768", 128, 768, 768),
                        Gemm("bert_ffn_in_gelu_128x768x3072", 128, 768, 3072, kGelu),
                        Gemm("bert_ffn_out_residual_128x3072x768", 128, 3072, 768, {}, true),
                        Gemm("bert_projection_32x768x768", 32, 768, 768),
                        Gemm("lstm_logits_1x650x10000", 1, 650, 10000),
                        Conv("resnet_3x3_64_64_56", 64, 64, 56, 3, 1),
                        Conv("resnet_3x3_256_256_14_residual", 256, 256, 14, 3, 1, kRelu, true),
                        Conv("resnet_1x1_256_64_56", 256, 64, 56, 1, 1)}) {
    cases->push_back(AsBf16(c));
    cases->push_back(WithF16Weights(c));
  }
}

void AddProducts(std::vector<Case>* cases) {
  cases->push_back(Gemm("bert_projection_128x768x768", 128, 768, 768));
  cases->push_back(Gemm("bert_ffn_in_gelu_128x768x3072", 128, 768, 3072, kGelu));
  cases->push_back(Gemm("bert_ffn_out_residual_128x3072x768", 128, 3072, 768, {}, true));
  cases->push_back(Gemm("lstm_input_35x650x2600", 35, 650, 2600));
  cases->push_back(Gemm("lstm_logits_35x650x10000", 35, 650, 10000));
  cases->push_back(Gemm("resnet_classifier_1x2048x1000", 1, 2048, 1000));
  cases->push_back(Gemm("lenet_dense_1x400x120", 1, 400, 120, kRelu));
  cases->push_back(Gemm("lenet_dense_1x120x84", 1, 120, 84, kRelu));
  cases->push_back(Conv("resnet_stem_7x7s2_3_64_224", 3, 64, 224, 7, 2));
  cases->push_back(Conv("resnet_3x3_64_64_56", 64, 64, 56, 3, 1));
  cases->push_back(Conv("resnet_3x3_128_128_28", 128, 128, 28, 3, 1));
  cases->push_back(Conv("resnet_3x3_256_256_14_residual", 256, 256, 14, 3, 1, kRelu, true));
  cases->push_back(Conv("resnet_3x3_512_512_7", 512, 512, 7, 3, 1));
  cases->push_back(Conv("resnet_3x3s2_128_128_56", 128, 128, 56, 3, 2));
  cases->push_back(Conv("resnet_1x1_256_64_56", 256, 64, 56, 1, 1));
  cases->push_back(Conv("resnet_1x1_64_256_56_residual", 64, 256, 56, 1, 1, kRelu, true));
  cases->push_back(Conv("resnet_1x1_256_1024_14", 256, 1024, 14, 1, 1));
  cases->push_back(Conv("resnet_1x1_2048_512_7", 2048, 512, 7, 1, 1));
  cases->push_back(Conv("resnet_1x1s2_512_1024_28", 512, 1024, 28, 1, 2, {}));
  cases->push_back(Conv("mobilenet_stem_3x3s2_3_32_224", 3, 32, 224, 3, 2, kRelu6));
  cases->push_back(Conv("mobilenet_expand_1x1_16_96_112", 16, 96, 112, 1, 1, kRelu6));
  cases->push_back(Conv("mobilenet_project_1x1_144_24_56", 144, 24, 56, 1, 1, {}, true));
  cases->push_back(Conv("mobilenet_head_1x1_320_1280_7", 320, 1280, 7, 1, 1, kRelu6));
  cases->push_back(Conv("lenet_5x5_1_6_28", 1, 6, 28, 5, 1));
  cases->push_back(Conv("lenet_5x5_6_16_12", 6, 16, 12, 5, 1));
  cases->push_back(Conv("first_3x3_3_8_224", 3, 8, 224, 3, 1));
  cases->push_back(Conv("first_3x3s2_3_8_224", 3, 8, 224, 3, 2));
  cases->push_back(Conv("first_7x7s2_1_8_128", 1, 8, 128, 7, 2));
  cases->push_back(Conv("last_3x3_64_3_64", 64, 3, 64, 3, 1));
  cases->push_back(Conv("last_1x1_64_1_64", 64, 1, 64, 1, 1));
  for (const int64_t t : {4, 6}) {
    const std::string tile = "f" + std::to_string(t - 2) + "_resnet_";
    cases->push_back(Winograd(tile + "64_64_56", t, 64, 64, 56));
    cases->push_back(Winograd(tile + "128_128_28", t, 128, 128, 28));
    cases->push_back(Winograd(tile + "256_256_14", t, 256, 256, 14));
    cases->push_back(Winograd(tile + "512_512_7", t, 512, 512, 7));
  }
  cases->push_back(Depthwise("mobilenet_96_112_s2", 96, 112, 2));
  cases->push_back(Depthwise("mobilenet_144_56", 144, 56, 1));
  cases->push_back(Depthwise("mobilenet_384_14", 384, 14, 1));
  cases->push_back(Depthwise("mobilenet_960_7", 960, 7, 1));
  cases->push_back(Depthwise("efficientnet_5x5_240_28", 240, 28, 1, 5));
  cases->push_back(Depthwise("convnext_7x7_96_56", 96, 56, 1, 7));
}

// One layer's attention of BERT-base: 12 heads of 64, 128 tokens, read from [N, T, heads, 64].
void AddAttention(std::vector<Case>* cases) {
  const TensorInfo tokens = Make({1, 128, 12, 64});
  const TensorInfo scores = Make({1, 12, 128, 128});
  cases->push_back({"bert_scores_12x128x64x128",
                    KernelId::kMatMul,
                    {tokens, tokens},
                    {scores},
                    {4, 0, 2, 1, 3, 4, 0, 2, 3, 1, 4, 0, 1, 2, 3},
                    {Instr(PwOp::kMulImm, 0, 0, 0, 0.125f)}});
  cases->push_back({"bert_context_12x128x128x64",
                    KernelId::kMatMul,
                    {scores, tokens},
                    {tokens},
                    {4, 0, 1, 2, 3, 4, 0, 2, 1, 3, 4, 0, 2, 1, 3},
                    {}});
  cases->push_back({"bert_12x128x128_mask",
                    KernelId::kSoftmax,
                    {scores, Make({1, 1, 1, 128})},
                    {scores},
                    {3, 0},
                    AddOperand(0)});
}

void AddOthers(std::vector<Case>* cases) {
  const TensorInfo hidden = Make({1, 128, 768});
  cases->push_back({"bert_128x768",
                    KernelId::kNorm,
                    {hidden, Make({768}), Make({768})},
                    {hidden},
                    {0, 2, FloatWord(1e-12)},
                    {}});
  const TensorInfo ffn = Make({1, 128, 3072});
  cases->push_back({"gelu_128x3072",
                    KernelId::kPointwise,
                    {ffn},
                    {ffn},
                    {},
                    {Load(0, 0), Instr(PwOp::kGelu, 0)}});
  cases->push_back({"add_128x768",
                    KernelId::kPointwise,
                    {hidden, hidden},
                    {hidden},
                    {},
                    {Load(0, 0), Load(1, 1), Instr(PwOp::kAdd, 0, 0, 1)}});
  const TensorInfo deep = Image(256, 56);
  cases->push_back({"add_relu_56x56x256",
                    KernelId::kPointwise,
                    {deep, deep},
                    {deep},
                    {},
                    {Load(0, 0), Load(1, 1), Instr(PwOp::kAdd, 0, 0, 1), kRelu[0]}});
  cases->push_back({"nchw_to_nhwc_halo_3x224x224",
                    KernelId::kCopy,
                    {Make({1, 3, 224, 224})},
                    {Image(3, 224, 3)},
                    {},
                    {}});
  cases->push_back({"nhwc_to_nchw_256x14x14",
                    KernelId::kCopy,
                    {Image(256, 14)},
                    {Make({1, 256, 14, 14})},
                    {},
                    {}});
  cases->push_back({"max_3x3s2_64x112x112",
                    KernelId::kPool,
                    {Image(64, 112)},
                    {Image(64, 56)},
                    {0, 0, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
                    {}});
  cases->push_back({"max_2x2s2_6x28x28",
                    KernelId::kPool,
                    {Image(6, 28)},
                    {Image(6, 14)},
                    {0, 0, 2, 2, 2, 2, 0, 0, 0, 0, 1, 1},
                    {}});
  cases->push_back({"mean_2048x7x7",
                    KernelId::kReduce,
                    {Image(2048, 7)},
                    {Make({1, 2048})},
                    {static_cast<int64_t>(ReduceKind::kMean), 0b1100},
                    {}});
  cases->push_back({"embedding_128_of_30522x768",
                    KernelId::kGather,
                    {Make({30522, 768}), Make({1, 128}, LayoutId::kDense, DType::kI64)},
                    {hidden},
                    {0},
                    {}});
  cases->push_back({"heads_128x12x64",
                    KernelId::kTranspose,
                    {Make({1, 128, 12, 64})},
                    {Make({1, 12, 128, 64})},
                    {0, 2, 1, 3},
                    {}});
  const TensorInfo state = Make({1, 650});
  cases->push_back({"650_35_steps",
                    KernelId::kLstmRecurrence,
                    {Make({35, 1, 2600}), Make({650, 2600}, LayoutId::kLstmGates16), state, state},
                    {Make({35, 1, 650}), state, state},
                    {0},
                    {}});
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  AddProducts(&cases);
  AddIntegerProducts(&cases);
  AddNarrowProducts(&cases);
  AddAttention(&cases);
  AddOthers(&cases);
  return cases;
}

struct Free {
  void operator()(char* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<char, Free>;

Buffer Allocate(int64_t bytes) {
  const auto size = static_cast<size_t>((bytes + kReadSlack + kAlignment) & -kAlignment);
  Buffer buffer(static_cast<char*>(std::aligned_alloc(kAlignment, size)));
  if (buffer != nullptr) std::fill_n(buffer.get(), size, '\0');
  return buffer;
}

// A case with its memory, prepared on one table.
class Instance {
 public:
  Instance(const Case& c, const KernelTable& table)
      : case_(c), kernel_(table.kernels[static_cast<uint32_t>(c.kernel)]) {}

  // What went wrong, or empty.
  std::string Prepare() {
    op_.inputs = case_.inputs.data();
    op_.outputs = case_.outputs.data();
    op_.input_count = static_cast<uint32_t>(case_.inputs.size());
    op_.output_count = static_cast<uint32_t>(case_.outputs.size());
    op_.attrs = case_.attrs.data();
    op_.attr_count = static_cast<uint32_t>(case_.attrs.size());
    op_.code = case_.code.data();
    op_.code_count = static_cast<uint32_t>(case_.code.size());
    const Status checked =
        KernelFootprints().Check(static_cast<uint32_t>(case_.kernel), op_, &footprint);
    if (!checked.ok()) return "refused by the family's check";
    for (const TensorInfo& t : case_.inputs) pointers_in_.push_back(Add(t, true));
    for (const TensorInfo& t : case_.outputs) pointers_out_.push_back(Add(t, false));
    state_ = Allocate(footprint.state_bytes);
    scratch_ = Allocate(footprint.scratch_bytes);
    if (state_ == nullptr || scratch_ == nullptr || failed_) return "out of memory";
    if (!kernel_.prepare(op_, PrepareContext{}, state_.get(), &schedule).ok()) {
      return "refused by Prepare";
    }
    return "";
  }

  // False if the kernel failed.
  bool Run() {
    const KernelArgs args{&op_, pointers_in_.data(), pointers_out_.data(), state_.get()};
    for (uint32_t p = 0; p < schedule.phases; ++p) {
      if (kernel_.run(args, p, 0, schedule.tasks, scratch_.get()) != Rule::kNone) return false;
    }
    return true;
  }

  Footprint footprint;
  Schedule schedule;

 private:
  void* Add(const TensorInfo& t, bool fill) {
    int64_t bytes = 0;
    if (!TensorBytes(t, &bytes).ok()) bytes = 0;
    Buffer buffer = Allocate(bytes);
    failed_ = failed_ || buffer == nullptr;
    if (fill && !failed_ && t.dtype == DType::kF32) {
      auto* f = reinterpret_cast<float*>(buffer.get());
      for (int64_t i = 0; i < bytes / 4; ++i) f[i] = uniform_(random_);
    } else if (fill && !failed_ && (t.dtype == DType::kBF16 || t.dtype == DType::kF16)) {
      // Normal numbers of either type: the sign, and some bits of exponent and mantissa.
      auto* half = reinterpret_cast<uint16_t*>(buffer.get());
      const int top = t.dtype == DType::kBF16 ? 0x3d00 : 0x2800;
      for (int64_t i = 0; i < bytes / 2; ++i) {
        half[i] = static_cast<uint16_t>(top | (random_() & 0x80ff));
      }
    } else if (fill && !failed_ && t.dtype == DType::kI64) {
      auto* n = reinterpret_cast<int64_t*>(buffer.get());
      for (int64_t i = 0; i < bytes / 8; ++i) n[i] = static_cast<int64_t>(random_() % 30522);
    }
    buffers_.push_back(std::move(buffer));
    return buffers_.back().get();
  }

  const Case& case_;
  const KernelImpl& kernel_;
  OpInfo op_;
  std::vector<Buffer> buffers_;
  std::vector<const void*> pointers_in_;
  std::vector<void*> pointers_out_;
  Buffer state_, scratch_;
  bool failed_ = false;
  std::minstd_rand random_{1};
  std::uniform_real_distribution<float> uniform_{-0.05f, 0.05f};
};

// As Google Benchmark's CPU column: a neighbour on the core does not count.
double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

void Measure(benchmark::State& state, const Case& c, const KernelTable& table, double peak) {
  Instance instance(c, table);
  const std::string error = instance.Prepare();
  if (!error.empty()) {
    state.SkipWithError(error.c_str());
    return;
  }
  const double start = ThreadSeconds();
  for (auto _ : state) {
    if (!instance.Run()) {
      state.SkipWithError("the kernel failed");
      return;
    }
    benchmark::ClobberMemory();
  }
  const double seconds = ThreadSeconds() - start;
  using benchmark::Counter;
  constexpr auto kRate = Counter::kIsIterationInvariantRate;
  if (instance.footprint.flops > 0) {
    state.counters["FLOP/s"] = Counter(instance.footprint.flops, kRate);
    const double flops = instance.footprint.flops * static_cast<double>(state.iterations());
    state.counters["peak%"] = seconds > 0 ? 100 * flops / (seconds * peak * 1e9) : 0;
  }
  state.counters["B/s"] = Counter(instance.footprint.bytes, kRate);
  state.SetLabel(instance.schedule.variant);
}

bool IsBf16(const Case& c) { return c.inputs[0].dtype == DType::kBF16; }

void Register(const std::vector<Case>& cases) {
  for (const KernelTable* table : AllKernelTables()) {
    if (std::string(table->backend) == "reference" || !table->available()) continue;
    const double peak = cli::ProbeGflops(table->isa);
    benchmark::AddCustomContext(std::string("probe_gflops_") + table->isa, std::to_string(peak));
    const double bytes = cli::ProbeByteGops(table->isa);
    benchmark::AddCustomContext(std::string("probe_byte_gops_") + table->isa,
                                std::to_string(bytes));
    const double bf16_peak = cli::ProbeBf16Gflops(table->isa);
    if (bf16_peak > 0) {
      benchmark::AddCustomContext(std::string("probe_bf16_gflops_") + table->isa,
                                  std::to_string(bf16_peak));
    }
    for (const Case& c : cases) {
      const auto id = static_cast<uint32_t>(c.kernel);
      if (table->kernels[id].prepare == nullptr) continue;
      const std::string name = std::string(FindKernel(id)->name) + "/" + c.name + "/" + table->isa;
      benchmark::RegisterBenchmark(name.c_str(), Measure, std::cref(c), std::cref(*table),
                                   MultipliesBytes(c.kernel)    ? bytes
                                   : IsBf16(c) && bf16_peak > 0 ? bf16_peak
                                                                : peak)
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace floe::bench

int main(int argc, char** argv) {
  // Before Initialize: the context is printed with the first result.
  const std::vector<floe::bench::Case> cases = floe::bench::AllCases();
  floe::bench::Register(cases);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  std::fprintf(
      stderr,
      "Note: Debian's libbenchmark always says \"Library was built as DEBUG\". That is the "
      "timing loop only, not the kernels: harmless.\n");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
