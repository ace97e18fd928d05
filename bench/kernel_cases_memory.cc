#include "bench/kernel_cases.h"

#include "format/attrs.h"

namespace floe::bench {

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
  // 32 heads of 128 at 128 positions, as projected: [N, T, heads, 128].
  for (const int64_t interleaved : {0, 1}) {
    cases->push_back({interleaved != 0 ? "llama_neighbours_128x32x128" : "llama_halves_128x32x128",
                      KernelId::kRotary,
                      {Make({1, 128, 32, 128}), Make({1, 1, 128, 64}), Make({1, 1, 128, 64})},
                      {Make({1, 32, 128, 128})},
                      {interleaved, 128, 0, 2, 1, 3, 0, 1},
                      {}});
  }
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
                    {Load(0, 0), Load(1, 1), Instr(PwOp::kAdd, 0, 0, 1), Instr(PwOp::kRelu, 0)}});
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
  // Long sums: of each channel, of each row.
  cases->push_back({"mean_64x112x112",
                    KernelId::kReduce,
                    {Image(64, 112)},
                    {Make({1, 64})},
                    {static_cast<int64_t>(ReduceKind::kMean), 0b1100},
                    {}});
  cases->push_back({"mean_16x50257",
                    KernelId::kReduce,
                    {Make({16, 50257})},
                    {Make({16, 1})},
                    {static_cast<int64_t>(ReduceKind::kMean), 0b10},
                    {}});
  cases->push_back({"average_56x56_64x56x56",
                    KernelId::kPool,
                    {Image(64, 56)},
                    {Image(64, 1)},
                    {1, 0, 56, 56, 1, 1, 0, 0, 0, 0, 1, 1},
                    {}});
  cases->push_back(
      {"logits_50257", KernelId::kSoftmax, {Make({1, 50257})}, {Make({1, 50257})}, {1, 0}, {}});
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

}  // namespace floe::bench
