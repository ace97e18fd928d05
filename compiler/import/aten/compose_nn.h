// Compositions of IR ops that the families of neural networks' layers share. REQUIRES everywhere:
// b.ok(), or operands that are valid placeholders; errors stay in the builder.
#ifndef FLOE_COMPILER_IMPORT_ATEN_COMPOSE_NN_H_
#define FLOE_COMPILER_IMPORT_ATEN_COMPOSE_NN_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "compiler/import/aten/op_builder.h"

namespace floe::aten {

// x * factor, x + term; nothing is emitted for 1 and 0.
ir::Value* Times(OpBuilder& b, ir::Value* x, double factor);
ir::Value* Plus(OpBuilder& b, ir::Value* x, double term);

// torch.matmul: vectors become matrices, and their axis goes away afterwards.
ir::Value* ProductOf(OpBuilder& b, ir::Value* x, ir::Value* y);
ir::Value* SwapLastAxes(OpBuilder& b, ir::Value* x);
// x w^T + bias over x's last axis; w is [out, in]; `bias` may be null.
ir::Value* LinearOf(OpBuilder& b, ir::Value* x, ir::Value* w, ir::Value* bias);

// A vector as [1, ..., n, ..., 1], to broadcast along `axis` of a tensor of rank `rank`.
ir::Value* AlongAxis(OpBuilder& b, ir::Value* v, int64_t axis, int64_t rank);
// An optional vector of `length`, or that many times `fallback`.
ir::Value* VectorOr(OpBuilder& b, ir::Value* v, const ir::Dim& length, DType dtype,
                    double fallback);

// The axes from `begin` on.
std::vector<int64_t> AxesFrom(int64_t begin, int64_t rank);
// The p-norm over `axes`, as torch.linalg.vector_norm gives it for floats.
ir::Value* NormOver(OpBuilder& b, ir::Value* x, double p, const std::vector<int64_t>& axes,
                    bool keepdims);

// x / sqrt(mean(x^2) + epsilon) and friends need the mean and the biased variance over `axes`.
struct Moments {
  ir::Value* centred = nullptr;  // x - mean
  ir::Value* mean = nullptr;     // Reduced axes are kept as 1.
  ir::Value* inverse = nullptr;  // 1 / sqrt(variance + epsilon), likewise.
};
Moments MomentsOver(OpBuilder& b, ir::Value* x, const std::vector<int64_t>& axes, double epsilon);

// The list argument `name`, one number for each of `n` axes; a list of one number counts for all,
// an empty one gives `fallback`s. Numbers outside [least, 2^30] are refused.
std::vector<int64_t> PerAxis(OpBuilder& b, std::string_view name, size_t n, int64_t fallback,
                             int64_t least);

// A layer's image [N, C, spatial...]: an input without batch axis gets one, which Unbatch() drops.
struct Image {
  ir::Value* x = nullptr;
  bool unbatched = false;
};
Image BatchedImage(OpBuilder& b, ir::Value* x, size_t spatial);
ir::Value* Unbatch(OpBuilder& b, const Image& image, ir::Value* y);

// What becomes of a loss for each element: c10's numbers of argument "reduction".
constexpr int64_t kReductionNone = 0, kReductionMean = 1, kReductionSum = 2;
ir::Value* ReduceLoss(OpBuilder& b, ir::Value* each);

// Fails the call if a layer that differs in training is in training mode.
bool RefuseTraining(OpBuilder& b, bool training);

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_COMPOSE_NN_H_
