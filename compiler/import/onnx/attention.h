// What the attention ops of both domains share: [B,S,H*D] as heads, what is added to scores, the
// products and softmax as plain ops (a pass makes one op of them), and rotary embeddings.
#ifndef FLOE_COMPILER_IMPORT_ONNX_ATTENTION_H_
#define FLOE_COMPILER_IMPORT_ONNX_ATTENTION_H_

#include "compiler/import/onnx/builder.h"

namespace floe::onnx {

// [B,S,H*D] to [B,H,S,D]; tensors of rank 4 are like that already. An error for other ranks.
ir::Value* SplitHeads(NodeBuilder& b, ir::Value* x, int64_t heads);
// [B,H,S,D] to [B,S,H*D].
ir::Value* JoinHeads(NodeBuilder& b, ir::Value* x);
// Repeats every head so that there are `heads` of them: grouped queries share keys and values.
ir::Value* RepeatHeads(NodeBuilder& b, ir::Value* x, int64_t heads);
// 0, 1, ..., length - 1 as i64.
ir::Value* Positions(NodeBuilder& b, const ir::Dim& length);
// `hidden` (minus infinity unless said) where `forbidden`, else 0.
ir::Value* Bias(NodeBuilder& b, ir::Value* forbidden, DType dtype);
ir::Value* Bias(NodeBuilder& b, ir::Value* forbidden, DType dtype, double hidden);
// sum + bias; `sum` may be null.
ir::Value* AddBias(NodeBuilder& b, ir::Value* sum, ir::Value* bias);
// Minus infinity for keys after the query, which is at `past` + its number: [queries, keys].
ir::Value* CausalBias(NodeBuilder& b, const ir::Dim& queries, const ir::Dim& past,
                      const ir::Dim& keys, DType dtype);
// cap * tanh(scores / cap); as they are for a cap of 0.
ir::Value* SoftCap(NodeBuilder& b, ir::Value* scores, double cap);

// Turns x [B,H,S,D]: the first 2 * half features, by cosines and sines [B or 1, 1, S, half].
struct Rotation {
  ir::Value *cos = nullptr, *sin = nullptr;
  int64_t half = 0;
  bool interleaved = false;
};
ir::Value* Rotate(NodeBuilder& b, ir::Value* x, const Rotation& r);
// The cosines or sines [B,1,S,half] out of a cache [positions, at least half], for positions [B,S].
ir::Value* Angles(NodeBuilder& b, ir::Value* cache, ir::Value* positions, int64_t half);

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_ATTENTION_H_
