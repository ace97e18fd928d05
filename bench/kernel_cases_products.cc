#include "bench/kernel_cases.h"

namespace floe::bench {
namespace {

// The same 3x3 convolution in tiles of t x t inputs.
Case Winograd(const std::string& name, int64_t t, int64_t in, int64_t out, int64_t size) {
  Case c = Conv(name, in, out, size, 3, 1);
  c.kernel = KernelId::kWinogradConv;
  c.inputs.insert(c.inputs.begin() + 2, Make({out, in, t, t}, LayoutId::kWinogradPanels16));
  return c;
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

}  // namespace

void AddNarrowProducts(std::vector<Case>* cases) {
  for (const Case& c : {Gemm("bert_projection_128x768x768", 128, 768, 768),
                        Gemm("bert_ffn_in_gelu_128x768x3072", 128, 768, 3072, Gelu()),
                        Gemm("bert_ffn_out_residual_128x3072x768", 128, 3072, 768, {}, true),
                        Gemm("bert_projection_32x768x768", 32, 768, 768),
                        Gemm("lstm_logits_1x650x10000", 1, 650, 10000),
                        Conv("resnet_3x3_64_64_56", 64, 64, 56, 3, 1),
                        Conv("resnet_3x3_256_256_14_residual", 256, 256, 14, 3, 1, Relu(), true),
                        Conv("resnet_1x1_256_64_56", 256, 64, 56, 1, 1)}) {
    cases->push_back(AsBf16(c));
    cases->push_back(WithF16Weights(c));
  }
}

void AddProducts(std::vector<Case>* cases) {
  cases->push_back(Gemm("bert_projection_128x768x768", 128, 768, 768));
  cases->push_back(Gemm("bert_ffn_in_gelu_128x768x3072", 128, 768, 3072, Gelu()));
  cases->push_back(Gemm("bert_ffn_out_residual_128x3072x768", 128, 3072, 768, {}, true));
  cases->push_back(Gemm("bert_projection_32x768x768", 32, 768, 768));
  cases->push_back(Gemm("bert_ffn_in_gelu_32x768x3072", 32, 768, 3072, Gelu()));
  cases->push_back(Gemm("bert_ffn_out_residual_32x3072x768", 32, 3072, 768, {}, true));
  cases->push_back(Gemm("gpt2_qkv_1x768x2304", 1, 768, 2304));
  cases->push_back(Gemm("lstm_input_35x650x2600", 35, 650, 2600));
  cases->push_back(Gemm("lstm_logits_35x650x10000", 35, 650, 10000));
  cases->push_back(Gemm("resnet_classifier_1x2048x1000", 1, 2048, 1000));
  cases->push_back(Gemm("lenet_dense_1x400x120", 1, 400, 120, Relu()));
  cases->push_back(Gemm("lenet_dense_1x120x84", 1, 120, 84, Relu()));
  cases->push_back(Conv("resnet_stem_7x7s2_3_64_224", 3, 64, 224, 7, 2));
  cases->push_back(Conv("resnet_3x3_64_64_56", 64, 64, 56, 3, 1));
  cases->push_back(Conv("resnet_3x3_128_128_28", 128, 128, 28, 3, 1));
  cases->push_back(Conv("resnet_3x3_256_256_14_residual", 256, 256, 14, 3, 1, Relu(), true));
  cases->push_back(Conv("resnet_3x3_512_512_7", 512, 512, 7, 3, 1));
  cases->push_back(Conv("resnet_3x3s2_128_128_56", 128, 128, 56, 3, 2));
  cases->push_back(Conv("resnet_1x1_256_64_56", 256, 64, 56, 1, 1));
  cases->push_back(Conv("resnet_1x1_64_256_56_residual", 64, 256, 56, 1, 1, Relu(), true));
  cases->push_back(Conv("resnet_1x1_256_1024_14", 256, 1024, 14, 1, 1));
  cases->push_back(Conv("resnet_1x1_2048_512_7", 2048, 512, 7, 1, 1));
  cases->push_back(Conv("resnet_1x1s2_512_1024_28", 512, 1024, 28, 1, 2, {}));
  cases->push_back(Conv("mobilenet_stem_3x3s2_3_32_224", 3, 32, 224, 3, 2, Relu6()));
  cases->push_back(Conv("mobilenet_expand_1x1_16_96_112", 16, 96, 112, 1, 1, Relu6()));
  cases->push_back(Conv("mobilenet_project_1x1_144_24_56", 144, 24, 56, 1, 1, {}, true));
  cases->push_back(Conv("mobilenet_head_1x1_320_1280_7", 320, 1280, 7, 1, 1, Relu6()));
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

}  // namespace floe::bench
