// Epilogue programs of GEMM-like families, classified at Prepare. The hot forms
//   y = post(clamp(acc * scale + bias[channel] + residual, low, high))
// with any part absent run on the accumulators in registers; every other program runs over a tile
// in L1 by the pointwise VM.
#ifndef FLOE_BACKENDS_CPU_GEMM_EPILOGUE_H_
#define FLOE_BACKENDS_CPU_GEMM_EPILOGUE_H_

#include <cstdint>

#include "format/footprint.h"

namespace floe::cpu {

// A function of the finished result alone: it runs on the tile's rows of y while they are in L1.
enum class Post : uint8_t { kNone, kGelu, kGeluTanh, kSilu };

enum class OperandKind : uint8_t { kScalar, kChannel, kTensor };

struct Epilogue {
  bool in_registers = true;
  bool has_low = false;
  bool has_high = false;
  Post post = Post::kNone;
  int32_t scale_operand = -1;  // Operand number of the scalar that multiplies; -1: `scale`.
  int32_t bias = -1;           // Operand number of the channel operand that is added; -1: none.
  int32_t residual = -1;       // Operand number of the result-shaped one that is added; -1: none.
  float scale = 1;
  float low = 0;
  float high = 0;
};

// The kind of epilogue operand `operand` of a result with `channels` physical columns.
OperandKind EpilogueOperandKind(const TensorInfo& operand, int64_t channels);

// `op` has passed its family's Check; its epilogue operands start at input `extra`. `posts`:
// whether the kernel runs Epilogue::post.
Epilogue ClassifyEpilogue(const OpInfo& op, uint32_t extra, int64_t channels, bool posts = false);

}  // namespace floe::cpu

#endif  // FLOE_BACKENDS_CPU_GEMM_EPILOGUE_H_
