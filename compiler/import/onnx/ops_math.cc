// Element-by-element ops.
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

using ir::Value;

// One op of the IR, operands and all.
void Direct(NodeBuilder& b) {
  const auto arity = static_cast<size_t>(OpRow(b.row().op).min_inputs);
  std::vector<Value*> inputs;
  for (size_t i = 0; i < arity; ++i) inputs.push_back(b.In(i));
  b.Out(b.Emit(b.row().op, std::move(inputs)));
}

// Any number of operands, taken from left to right.
Value* Chain(NodeBuilder& b, OpId op) {
  Value* y = b.In(0);
  for (size_t i = 1; i < b.InputCount(); ++i) y = b.Binary(op, y, b.In(i));
  return y;
}

void Variadic(NodeBuilder& b) { b.Out(Chain(b, b.row().op)); }

void Mean(NodeBuilder& b) {
  Value* sum = Chain(b, OpId::kAdd);
  b.Out(b.Binary(OpId::kMul, sum, b.ScalarLike(sum, 1.0 / static_cast<double>(b.InputCount()))));
}

void Mod(NodeBuilder& b) {
  const int64_t fmod = b.Int("fmod", 0);
  if (fmod == 0 && IsFloat(b.In(0)->dtype())) {
    return b.Invalid("floats need attribute fmod = 1");
  }
  b.Out(b.Emit(OpId::kMod, {b.In(0), b.In(1)}, {{"fmod", fmod}}));
}

void BitShift(NodeBuilder& b) {
  const std::string direction = b.String("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    return b.Invalid("attribute 'direction' is '" + direction + "', not LEFT or RIGHT");
  }
  b.Out(b.Emit(OpId::kBitShift, {b.In(0), b.In(1)}, {{"right", int64_t{direction == "RIGHT"}}}));
}

void IsInf(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kIsInf, {b.In(0)},
               {{"detect_negative", b.Int("detect_negative", 1)},
                {"detect_positive", b.Int("detect_positive", 1)}}));
}

}  // namespace

DType TypeAttr(NodeBuilder& b, int64_t number) {
  const absl::StatusOr<DType> dtype = DTypeOf(static_cast<int32_t>(number));
  if (dtype.ok()) return *dtype;
  b.Unsupported(std::string(dtype.status().message()));
  return DType::kF32;
}

namespace {

void Cast(NodeBuilder& b) {
  b.IgnoreAttr("saturate");    // Of 8-bit floats only.
  b.IgnoreAttr("round_mode");  // Likewise.
  b.Out(b.Cast(b.In(0), TypeAttr(b, b.Int("to", 0))));
}

void CastLike(NodeBuilder& b) {
  b.IgnoreAttr("saturate");
  b.IgnoreAttr("round_mode");
  b.Out(b.Cast(b.In(0), b.In(1)->dtype()));
}

// --- activations ---------------------------------------------------------------------------------

// One float attribute `alpha`, whose default is the row's parameter in thousandths.
void WithAlpha(NodeBuilder& b) {
  const double alpha = b.Float("alpha", static_cast<double>(b.row().param) / 1000);
  b.Out(b.Emit(b.row().op, {b.In(0)}, {{"alpha", alpha}}));
}

void LeakyRelu(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kLeakyRelu, {b.In(0)}, {{"alpha", b.Float("alpha", 0.01f)}}));
}

void Selu(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kSelu, {b.In(0)},
               {{"alpha", b.Float("alpha", 1.67326319217681884765625)},
                {"gamma", b.Float("gamma", 1.05070102214813232421875)}}));
}

void HardSigmoid(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kHardSigmoid, {b.In(0)},
               {{"alpha", b.Float("alpha", 0.2f)}, {"beta", b.Float("beta", 0.5)}}));
}

void Shrink(NodeBuilder& b) {
  b.Out(b.Emit(OpId::kShrink, {b.In(0)},
               {{"bias", b.Float("bias", 0)}, {"lambd", b.Float("lambd", 0.5)}}));
}

void Gelu(NodeBuilder& b) {
  const std::string approximate = b.String("approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    return b.Invalid("attribute 'approximate' is '" + approximate + "', not none or tanh");
  }
  b.Out(b.Emit(OpId::kGelu, {b.In(0)}, {{"tanh", int64_t{approximate == "tanh"}}}));
}

Value* ScaledSilu(NodeBuilder& b, Value* x, double alpha) {
  if (alpha == 1) return b.Unary(OpId::kSilu, x);
  Value* scaled = b.Binary(OpId::kMul, x, b.ScalarLike(x, alpha));
  return b.Binary(OpId::kMul, x, b.Unary(OpId::kSigmoid, scaled));
}

void Swish(NodeBuilder& b) { b.Out(ScaledSilu(b, b.In(0), b.Float("alpha", 1))); }

void QuickGelu(NodeBuilder& b) { b.Out(ScaledSilu(b, b.In(0), b.Float("alpha", 1.702f))); }

Value* Clamp(NodeBuilder& b, Value* x, double min, double max) {
  return b.Emit(OpId::kClamp, {x}, {{"min", min}, {"max", max}});
}

void Clip6(NodeBuilder& b) {
  constexpr double kMax = std::numeric_limits<float>::max();
  b.Out(Clamp(b, b.In(0), b.Float("min", -kMax), b.Float("max", kMax)));
}

// Bounds are scalars, constant or not.
void Clip(NodeBuilder& b) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  Value* x = b.In(0);
  Value* min = b.OptIn(1);
  Value* max = b.OptIn(2);
  const std::optional<double> low = min == nullptr ? -kInf : b.ScalarOf(min);
  const std::optional<double> high = max == nullptr ? kInf : b.ScalarOf(max);
  // A double does not hold every 64-bit integer, and bounds that cross mean "max wins".
  if (IsFloat(x->dtype()) && low && high && *low <= *high) {
    return b.Out(Clamp(b, x, *low, *high));
  }
  if (min != nullptr) x = b.Binary(OpId::kMaximum, x, b.Reshape(min, {}));
  if (max != nullptr) x = b.Binary(OpId::kMinimum, x, b.Reshape(max, {}));
  b.Out(x);
}

// --- com.microsoft -------------------------------------------------------------------------------

void BiasGelu(NodeBuilder& b) {
  Value* x = b.Binary(OpId::kAdd, b.In(0), b.In(1));
  b.Out(b.Emit(OpId::kGelu, {x}, {{"tanh", int64_t{0}}}));
}

void FastGelu(NodeBuilder& b) {
  Value* x = b.In(0);
  if (Value* bias = b.OptIn(1)) x = b.Binary(OpId::kAdd, x, bias);
  b.Out(b.Emit(OpId::kGelu, {x}, {{"tanh", int64_t{1}}}));
}

constexpr Row kRows[] = {
    {"Add", 7, Direct, OpId::kAdd},
    {"Sub", 7, Direct, OpId::kSub},
    {"Mul", 7, Direct, OpId::kMul},
    {"Div", 7, Direct, OpId::kDiv},
    {"Pow", 7, Direct, OpId::kPow},
    {"Mod", 10, Mod},
    {"Min", 6, Variadic, OpId::kMinimum},
    {"Max", 6, Variadic, OpId::kMaximum},
    {"Sum", 6, Variadic, OpId::kAdd},
    {"Mean", 6, Mean},
    {"Equal", 7, Direct, OpId::kEqual},
    {"Less", 7, Direct, OpId::kLess},
    {"LessOrEqual", 12, Direct, OpId::kLessEqual},
    {"Greater", 7, Direct, OpId::kGreater},
    {"GreaterOrEqual", 12, Direct, OpId::kGreaterEqual},
    {"And", 7, Direct, OpId::kLogicalAnd},
    {"Or", 7, Direct, OpId::kLogicalOr},
    {"Xor", 7, Direct, OpId::kLogicalXor},
    {"Not", 1, Direct, OpId::kLogicalNot},
    {"BitwiseAnd", 18, Direct, OpId::kBitwiseAnd},
    {"BitwiseOr", 18, Direct, OpId::kBitwiseOr},
    {"BitwiseXor", 18, Direct, OpId::kBitwiseXor},
    {"BitwiseNot", 18, Direct, OpId::kBitwiseNot},
    {"BitShift", 11, BitShift},
    {"PRelu", 7, Direct, OpId::kPRelu},
    {"Where", 9, Direct, OpId::kWhere},
    {"Neg", 6, Direct, OpId::kNeg},
    {"Abs", 6, Direct, OpId::kAbs},
    {"Sign", 9, Direct, OpId::kSign},
    {"Sqrt", 6, Direct, OpId::kSqrt},
    {"Reciprocal", 6, Direct, OpId::kReciprocal},
    {"Exp", 6, Direct, OpId::kExp},
    {"Log", 6, Direct, OpId::kLog},
    {"Sin", 7, Direct, OpId::kSin},
    {"Cos", 7, Direct, OpId::kCos},
    {"Tan", 7, Direct, OpId::kTan},
    {"Asin", 7, Direct, OpId::kAsin},
    {"Acos", 7, Direct, OpId::kAcos},
    {"Atan", 7, Direct, OpId::kAtan},
    {"Sinh", 9, Direct, OpId::kSinh},
    {"Cosh", 9, Direct, OpId::kCosh},
    {"Asinh", 9, Direct, OpId::kAsinh},
    {"Acosh", 9, Direct, OpId::kAcosh},
    {"Atanh", 9, Direct, OpId::kAtanh},
    {"Erf", 9, Direct, OpId::kErf},
    {"Ceil", 6, Direct, OpId::kCeil},
    {"Floor", 6, Direct, OpId::kFloor},
    {"Round", 11, Direct, OpId::kRound},
    {"IsNaN", 9, Direct, OpId::kIsNan},
    {"IsInf", 10, IsInf},
    {"Cast", 6, Cast},
    {"CastLike", 15, CastLike},
    {"Relu", 6, Direct, OpId::kRelu},
    {"Sigmoid", 6, Direct, OpId::kSigmoid},
    {"Tanh", 6, Direct, OpId::kTanh},
    {"Softplus", 1, Direct, OpId::kSoftplus},
    {"Softsign", 1, Direct, OpId::kSoftsign},
    {"HardSwish", 14, Direct, OpId::kHardSwish},
    {"Mish", 18, Direct, OpId::kMish},
    {"LeakyRelu", 6, LeakyRelu},
    {"Elu", 6, WithAlpha, OpId::kElu, 1000},
    {"Celu", 12, WithAlpha, OpId::kCelu, 1000},
    {"ThresholdedRelu", 10, WithAlpha, OpId::kThresholdedRelu, 1000},
    {"Selu", 6, Selu},
    {"HardSigmoid", 6, HardSigmoid},
    {"Shrink", 9, Shrink},
    {"Gelu", 20, Gelu},
    {"Swish", 24, Swish},
    {"Clip", 6, Clip6},
    {"Clip", 11, Clip},
    {"Gelu", 1, Gelu, OpId::kIdentity, 0, kMicrosoft},
    {"QuickGelu", 1, QuickGelu, OpId::kIdentity, 0, kMicrosoft},
    {"BiasGelu", 1, BiasGelu, OpId::kIdentity, 0, kMicrosoft},
    {"FastGelu", 1, FastGelu, OpId::kIdentity, 0, kMicrosoft},
};

}  // namespace

std::span<const Row> MathRows() { return kRows; }

}  // namespace floe::onnx
