#include "bench/kernel_cases.h"

#include "format/attrs.h"

namespace floe::bench {
namespace {

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

}  // namespace

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

}  // namespace floe::bench
