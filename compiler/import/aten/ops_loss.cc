// Losses of elements and of embeddings; those of classes are in ops_class_loss.cc.
#include <cmath>
#include <limits>
#include <numbers>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

Value* Mul(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kMul, x, y); }
Value* Add(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kAdd, x, y); }
Value* Sub(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kSub, x, y); }

// max(x, least); NaN stays.
Value* AtLeast(OpBuilder& b, Value* x, double least) {
  return b.Emit(OpId::kClamp, {x},
                {{"min", least}, {"max", std::numeric_limits<double>::infinity()}});
}

// Both operands in their common dtype.
struct Pair {
  Value *x, *y;
};
Pair Operands(OpBuilder& b, const char* x, const char* y) {
  const DType t = b.ResultType({x, y});
  Value* first = b.Operand(x, t);
  return {first, b.Operand(y, t)};
}

// --- losses of single elements -------------------------------------------------------------------

void Mse(OpBuilder& b) {
  const auto [x, y] = Operands(b, "self", "target");
  Value* d = Sub(b, x, y);
  b.Return(ReduceLoss(b, Mul(b, d, d)));
}

void L1(OpBuilder& b) {
  const auto [x, y] = Operands(b, "self", "target");
  b.Return(ReduceLoss(b, b.Unary(OpId::kAbs, Sub(b, x, y))));
}

void SmoothL1(OpBuilder& b) {
  const double beta = b.Float("beta");
  if (beta == 0) return L1(b);
  const auto [x, y] = Operands(b, "self", "target");
  Value* d = b.Unary(OpId::kAbs, Sub(b, x, y));
  Value* near = Times(b, Mul(b, d, d), 0.5 / beta);
  Value* is_near = b.Binary(OpId::kLess, d, b.ScalarLike(d, beta));
  b.Return(ReduceLoss(b, b.Where(is_near, near, Plus(b, d, -0.5 * beta))));
}

void Huber(OpBuilder& b) {
  const double delta = b.Float("delta");
  const auto [x, y] = Operands(b, "self", "target");
  Value* d = b.Unary(OpId::kAbs, Sub(b, x, y));
  Value* near = Times(b, Mul(b, d, d), 0.5);
  Value* far = Times(b, Plus(b, d, -0.5 * delta), delta);
  Value* is_near = b.Binary(OpId::kLessEqual, d, b.ScalarLike(d, delta));
  b.Return(ReduceLoss(b, b.Where(is_near, near, far)));
}

void SoftMargin(OpBuilder& b) {
  const auto [x, y] = Operands(b, "self", "target");
  Value* z = b.Unary(OpId::kNeg, Mul(b, y, x));
  b.Return(ReduceLoss(b, b.Unary(OpId::kLog1p, b.Unary(OpId::kExp, z))));
}

// (y - 1) * max(log(1 - x), -100) - y * max(log(x), -100)
void BinaryCrossEntropy(OpBuilder& b) {
  const auto [x, y] = Operands(b, "self", "target");
  constexpr double kLeast = -100;
  Value* log_not = AtLeast(b, b.Unary(OpId::kLog1p, b.Unary(OpId::kNeg, x)), kLeast);
  Value* log = AtLeast(b, b.Unary(OpId::kLog, x), kLeast);
  Value* loss = Sub(b, Mul(b, Plus(b, y, -1), log_not), Mul(b, y, log));
  if (Value* weight = b.OptTensor("weight")) loss = Mul(b, loss, b.Cast(weight, x->dtype()));
  b.Return(ReduceLoss(b, loss));
}

// (1 - y) x + (1 + (p - 1) y) log(1 + exp(-x))
void BinaryCrossEntropyOfLogits(OpBuilder& b) {
  const auto [x, y] = Operands(b, "self", "target");
  Value* softplus = b.Unary(OpId::kSoftplus, b.Unary(OpId::kNeg, x));
  if (Value* positive = b.OptTensor("pos_weight")) {
    Value* factor = Mul(b, Plus(b, b.Cast(positive, x->dtype()), -1), y);
    softplus = Mul(b, Plus(b, factor, 1), softplus);
  }
  Value* rest = Sub(b, b.ScalarLike(x, 1), y);
  Value* loss = Add(b, Mul(b, rest, x), softplus);
  if (Value* weight = b.OptTensor("weight")) loss = Mul(b, loss, b.Cast(weight, x->dtype()));
  b.Return(ReduceLoss(b, loss));
}

// y log(y), and 0 for 0.
Value* SelfInformation(OpBuilder& b, Value* y) {
  Value* is_zero = b.Binary(OpId::kEqual, y, b.ScalarLike(y, 0));
  return b.Where(is_zero, b.ScalarLike(y, 0), Mul(b, y, b.Unary(OpId::kLog, y)));
}

void KlDivergence(OpBuilder& b) {
  const auto [x, y] = Operands(b, "self", "target");
  if (b.Bool("log_target")) {
    return b.Return(ReduceLoss(b, Mul(b, b.Unary(OpId::kExp, y), Sub(b, y, x))));
  }
  b.Return(ReduceLoss(b, Sub(b, SelfInformation(b, y), Mul(b, y, x))));
}

void PoissonNll(OpBuilder& b) {
  const auto [x, y] = Operands(b, "input", "target");
  Value* loss = nullptr;
  if (b.Bool("log_input")) {
    loss = Sub(b, b.Unary(OpId::kExp, x), Mul(b, y, x));
  } else {
    loss = Sub(b, x, Mul(b, y, b.Unary(OpId::kLog, Plus(b, x, b.Float("eps")))));
  }
  if (b.Bool("full")) {
    // Stirling's formula for log(y!), where y > 1.
    Value* log = b.Unary(OpId::kLog, y);
    Value* half = Times(b, b.Unary(OpId::kLog, Times(b, y, 2 * std::numbers::pi)), 0.5);
    Value* term = Add(b, Sub(b, Mul(b, y, log), y), half);
    Value* small = b.Binary(OpId::kLessEqual, y, b.ScalarLike(y, 1));
    loss = Add(b, loss, b.Where(small, b.ScalarLike(y, 0), term));
  }
  b.Return(ReduceLoss(b, loss));
}

// --- losses of pairs and triples -----------------------------------------------------------------

void HingeEmbedding(OpBuilder& b) {
  const auto [x, y] = Operands(b, "self", "target");
  Value* zero = b.ScalarLike(x, 0);
  Value* margin = AtLeast(b, Sub(b, b.ScalarLike(x, b.Float("margin")), x), 0);
  const auto unless = [&](double label, Value* v) {
    return b.Where(b.Binary(OpId::kNotEqual, y, b.ScalarLike(y, label)), v, zero);
  };
  b.Return(ReduceLoss(b, Add(b, unless(1, margin), unless(-1, x))));
}

void MarginRanking(OpBuilder& b) {
  const DType t = b.ResultType({"input1", "input2", "target"});
  Value* d = Sub(b, b.Operand("input1", t), b.Operand("input2", t));
  Value* z = b.Unary(OpId::kNeg, Mul(b, b.Operand("target", t), d));
  b.Return(ReduceLoss(b, AtLeast(b, Plus(b, z, b.Float("margin")), 0)));
}

void CosineEmbedding(OpBuilder& b) {
  const auto [x, y] = Operands(b, "input1", "input2");
  Value* target = b.Tensor("target");
  if (!b.ok()) return;
  const int64_t axis = b.Rank(target);
  if (axis >= b.Rank(x)) return b.Invalid("the target has as many axes as the embeddings");
  const auto dot = [&](Value* p, Value* q) {
    return b.Reduce(ReduceKind::kSum, Mul(b, p, q), {axis}, false);
  };
  constexpr double kEpsilon = 1e-12;
  Value* sizes = Mul(b, Plus(b, dot(x, x), kEpsilon), Plus(b, dot(y, y), kEpsilon));
  Value* cosine = b.Binary(OpId::kDiv, dot(x, y), b.Unary(OpId::kSqrt, sizes));
  Value* zero = b.ScalarLike(cosine, 0);
  Value* like = Sub(b, b.ScalarLike(cosine, 1), cosine);
  Value* unlike = AtLeast(b, Plus(b, cosine, -b.Float("margin")), 0);
  const auto where = [&](double label, Value* v) {
    return b.Where(b.Binary(OpId::kEqual, target, b.ScalarLike(target, label)), v, zero);
  };
  b.Return(ReduceLoss(b, Add(b, where(1, like), where(-1, unlike))));
}

void TripletMargin(OpBuilder& b) {
  const DType t = b.ResultType({"anchor", "positive", "negative"});
  Value* anchor = b.Operand("anchor", t);
  Value* positive = b.Operand("positive", t);
  Value* negative = b.Operand("negative", t);
  if (!b.ok()) return;
  const double p = b.Float("p"), eps = b.Float("eps");
  const auto distance = [&](Value* u, Value* v) {
    Value* d = Plus(b, Sub(b, u, v), eps);
    if (!b.ok()) return d;
    const int64_t last = b.Axis(-1, b.Rank(d));
    return NormOver(b, d, p, {last}, false);
  };
  Value* far = distance(anchor, negative);
  if (b.Bool("swap")) far = b.Binary(OpId::kMinimum, far, distance(positive, negative));
  Value* gap = Plus(b, Sub(b, distance(anchor, positive), far), b.Float("margin"));
  b.Return(ReduceLoss(b, AtLeast(b, gap, 0)));
}

constexpr Row kRows[] = {
    {"aten::mse_loss", Mse},
    {"aten::l1_loss", L1},
    {"aten::smooth_l1_loss", SmoothL1},
    {"aten::huber_loss", Huber},
    {"aten::soft_margin_loss", SoftMargin},
    {"aten::binary_cross_entropy", BinaryCrossEntropy},
    {"aten::binary_cross_entropy_with_logits", BinaryCrossEntropyOfLogits},
    {"aten::kl_div", KlDivergence},
    {"aten::poisson_nll_loss", PoissonNll},
    {"aten::hinge_embedding_loss", HingeEmbedding},
    {"aten::margin_ranking_loss", MarginRanking},
    {"aten::cosine_embedding_loss", CosineEmbedding},
    {"aten::triplet_margin_loss", TripletMargin},
};

}  // namespace

std::span<const Row> LossRows() { return kRows; }

}  // namespace floe::aten
