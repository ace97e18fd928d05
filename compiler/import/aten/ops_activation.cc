// Activations, softmax and dropout. ReLU, sigmoid and tanh are with the other functions of one
// operand.
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// --- functions of one operand --------------------------------------------------------------------

// Functions without parameters.
void Plain(OpBuilder& b) { b.Return(b.Unary(b.row().ir, b.Tensor("self"))); }

Value* Clamp(OpBuilder& b, Value* x, double min, double max) {
  return b.Emit(OpId::kClamp, {x}, {{"min", min}, {"max", max}});
}

void Relu6(OpBuilder& b) { b.Return(Clamp(b, b.Tensor("self"), 0, 6)); }

void HardTanh(OpBuilder& b) {
  b.Return(Clamp(b, b.Tensor("self"), b.Float("min_val"), b.Float("max_val")));
}

void HardSigmoid(OpBuilder& b) {
  b.Return(b.Emit(OpId::kHardSigmoid, {b.Tensor("self")}, {{"alpha", 1.0 / 6}, {"beta", 0.5}}));
}

void LeakyRelu(OpBuilder& b) {
  b.Return(b.Emit(OpId::kLeakyRelu, {b.Tensor("self")}, {{"alpha", b.Float("negative_slope")}}));
}

// In evaluation the slope is the middle of the range.
void RandomRelu(OpBuilder& b) {
  if (RefuseTraining(b, b.Bool("training"))) return;
  const double slope = (b.Float("lower") + b.Float("upper")) / 2;
  b.Return(b.Emit(OpId::kLeakyRelu, {b.Tensor("self")}, {{"alpha", slope}}));
  if (b.schema().results > 1) b.Return(b.Tensor("noise"));  // Written in training only.
}

// scale * (x > 0 ? x : alpha * (exp(input_scale * x) - 1))
void Elu(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const double scale = b.Float("scale"), input_scale = b.Float("input_scale");
  const AttrList attrs = {{"alpha", b.Float("alpha")}};
  if (input_scale == 1) return b.Return(Times(b, b.Emit(OpId::kElu, {x}, attrs), scale));
  if (!(input_scale > 0)) return b.Unsupported("an input_scale that is not positive");
  Value* low = b.Emit(OpId::kElu, {Times(b, x, input_scale)}, attrs);
  Value* positive = b.Binary(OpId::kGreater, x, b.ScalarLike(x, 0));
  b.Return(Times(b, b.Where(positive, x, low), scale));
}

void Selu(OpBuilder& b) {
  b.Return(b.Emit(OpId::kSelu, {b.Tensor("self")},
                  {{"alpha", 1.6732632423543772848170429916717},
                   {"gamma", 1.0507009873554804934193349852946}}));
}

void Celu(OpBuilder& b) {
  const double alpha = b.Float("alpha");
  if (alpha == 0) return b.Invalid("alpha is 0");
  b.Return(b.Emit(OpId::kCelu, {b.Tensor("self")}, {{"alpha", alpha}}));
}

void Gelu(OpBuilder& b) {
  const std::string form = b.String("approximate");
  if (form != "none" && form != "tanh") return b.Invalid("approximate is '" + form + "'");
  b.Return(b.Emit(OpId::kGelu, {b.Tensor("self")}, {{"tanh", int64_t{form == "tanh"}}}));
}

// log(1 + exp(beta x)) / beta, and x where beta x is above the threshold.
void Softplus(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const double beta = b.Float("beta"), threshold = b.Float("threshold");
  Value* scaled = Times(b, x, beta);
  Value* y = Times(b, b.Unary(OpId::kSoftplus, scaled), 1 / beta);
  // Above 20 both agree to the last bit of an f32.
  if (!(threshold >= 20 && b.ok() && x->dtype() != DType::kF64)) {
    y = b.Where(b.Binary(OpId::kGreater, scaled, b.ScalarLike(x, threshold)), x, y);
  }
  b.Return(y);
}

// x - clamp(x, -lambda, lambda) keeps NaN, as PyTorch does.
void SoftShrink(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const double lambda = b.Float("lambd");
  b.Return(b.Binary(OpId::kSub, x, Clamp(b, x, -lambda, lambda)));
}

void HardShrink(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* small =
      b.Binary(OpId::kLessEqual, b.Unary(OpId::kAbs, x), b.ScalarLike(x, b.Float("lambd")));
  b.Return(b.Where(small, b.ScalarLike(x, 0), x));
}

void Threshold(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* low = b.Binary(OpId::kLessEqual, x, b.NumberAs(b.Scalar("threshold"), x->dtype()));
  b.Return(b.Where(low, b.NumberAs(b.Scalar("value"), x->dtype()), x));
}

void LogSigmoid(OpBuilder& b) {
  Value* x = b.Tensor("self");
  b.Return(b.Unary(OpId::kNeg, b.Unary(OpId::kSoftplus, b.Unary(OpId::kNeg, x))));
  if (b.schema().results == 1) return;
  b.Return(b.Unary(OpId::kExp, b.Unary(OpId::kNeg, b.Unary(OpId::kAbs, x))));
}

// One slope, or one for each channel (axis 1).
void PRelu(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* slope = b.Tensor("weight");
  if (!b.ok()) return;
  const int64_t rank = b.Rank(x);
  if (slope->rank() == 0 || slope->shape() == ir::Shape{1}) {
    slope = b.Reshape(slope, {});
  } else if (slope->rank() == 1) {
    if (rank < 2 || slope->shape()[0] != b.Dim(x, 1)) {
      return b.Invalid("the slopes are not as many as the channels");
    }
    slope = AlongAxis(b, slope, 1, rank);
  }
  b.Return(b.Emit(OpId::kPRelu, {x, slope}));
}

void Glu(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t axis = b.Axis(b.Int("dim"), b.Rank(x));
  const std::optional<ir::Dim> half = ir::Dim::DivExact(b.Dim(x, axis), 2);
  if (!half) return b.Invalid("the halved axis has an odd size");
  Value* value = b.Slice(x, axis, 0, *half);
  Value* gate = b.Slice(x, axis, *half, *half);
  b.Return(b.Binary(OpId::kMul, value, b.Unary(OpId::kSigmoid, gate)));
}

// --- softmax -------------------------------------------------------------------------------------

Value* SoftmaxOf(OpBuilder& b, OpId op, Value* x, int64_t axis) {
  if (!b.ok()) return x;
  if (!IsFloat(x->dtype())) {
    b.Invalid(absl::StrFormat("softmax of %s; give it a float dtype", DTypeName(x->dtype())));
    return x;
  }
  if (x->rank() > 0) return b.Emit(op, {x}, {{"axis", b.Axis(axis, b.Rank(x))}});
  return b.Reshape(b.Emit(op, {b.Reshape(x, {1})}, {{"axis", int64_t{0}}}), {});
}

void Softmax(OpBuilder& b) {
  Value* x = b.Tensor("self");
  if (b.HasArg("dtype")) x = b.Cast(x, b.DTypeArg("dtype", x->dtype()));
  if (b.Bool("half_to_float", false)) x = b.Cast(x, DType::kF32);
  b.Return(SoftmaxOf(b, b.row().ir, x, b.Int("dim")));
}

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();

// Rows of -inf alone give 0, not NaN.
void SafeSoftmax(OpBuilder& b) {
  Value* x = b.Tensor("self");
  x = b.Cast(x, b.DTypeArg("dtype", x->dtype()));
  Value* y = SoftmaxOf(b, OpId::kSoftmax, x, b.Int("dim"));
  std::vector<int64_t> axes;
  if (x->rank() > 0) axes.push_back(b.Axis(b.Int("dim"), b.Rank(x)));
  Value* greatest = b.Reduce(ReduceKind::kMax, x, axes, true);
  Value* empty = b.Binary(OpId::kEqual, greatest, b.ScalarLike(x, kMinusInf));
  b.Return(b.Where(empty, b.ScalarLike(x, 0), y));
}

// Elements where the mask holds take no part. mask_type 0: [L,L], 1: [B,L], 2: like self.
void MaskedSoftmax(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* mask = b.Cast(b.Tensor("mask"), DType::kBool);
  const int64_t axis = b.Int("dim", b.Rank(x) - 1);
  if (b.Int("mask_type", 2) == 1 && b.ok() && mask->rank() == 2 && x->rank() == 4) {
    mask = b.Reshape(mask, {b.Dim(mask, 0), 1, 1, b.Dim(mask, 1)});
  }
  Value* masked = b.Where(mask, b.ScalarLike(x, kMinusInf), x);
  b.Return(SoftmaxOf(b, OpId::kSoftmax, masked, axis));
}

// --- dropout -------------------------------------------------------------------------------------

// In evaluation the result is the input itself: writes to one are seen in the other.
void Dropout(OpBuilder& b) {
  if (RefuseTraining(b, b.Bool("train") && b.Float("p") != 0)) return;
  b.Return(b.Arg("input"));
}

void NativeDropout(OpBuilder& b) {
  if (RefuseTraining(b, b.Bool("train", true) && b.Float("p") != 0)) return;
  Value* x = b.Tensor("input");
  b.Return(x);
  b.Return(b.Full(DType::kBool, x->shape(), 1));
}

constexpr Row kRows[] = {
    {"aten::relu6", Relu6},
    {"aten::hardtanh", HardTanh},
    {"aten::hardswish", Plain, OpId::kHardSwish},
    {"aten::hardsigmoid", HardSigmoid},
    {"aten::elu", Elu},
    {"aten::selu", Selu},
    {"aten::celu", Celu},
    {"aten::gelu", Gelu},
    {"aten::silu", Plain, OpId::kSilu},
    {"aten::mish", Plain, OpId::kMish},
    {"aten::softplus", Softplus},
    {"aten::softshrink", SoftShrink},
    {"aten::hardshrink", HardShrink},
    {"aten::threshold", Threshold},
    {"aten::leaky_relu", LeakyRelu},
    {"aten::rrelu", RandomRelu},
    {"aten::rrelu_with_noise", RandomRelu},
    {"aten::rrelu_with_noise_functional", RandomRelu},
    {"aten::prelu", PRelu},
    {"aten::_prelu_kernel", PRelu},
    {"aten::glu", Glu},
    {"aten::log_sigmoid", LogSigmoid},
    {"aten::log_sigmoid_forward", LogSigmoid},
    {"aten::softmax.int", Softmax, OpId::kSoftmax},
    {"aten::_softmax", Softmax, OpId::kSoftmax},
    {"aten::special_softmax", Softmax, OpId::kSoftmax},
    {"aten::log_softmax.int", Softmax, OpId::kLogSoftmax},
    {"aten::_log_softmax", Softmax, OpId::kLogSoftmax},
    {"aten::special_log_softmax", Softmax, OpId::kLogSoftmax},
    {"aten::_safe_softmax", SafeSoftmax},
    {"aten::_masked_softmax", MaskedSoftmax},
    {"aten::dropout", Dropout},
    {"aten::feature_dropout", Dropout},
    {"aten::alpha_dropout", Dropout},
    {"aten::feature_alpha_dropout", Dropout},
    {"aten::native_dropout", NativeDropout},
};

}  // namespace

std::span<const Row> ActivationRows() { return kRows; }

}  // namespace floe::aten
