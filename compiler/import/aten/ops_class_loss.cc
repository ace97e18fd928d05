// Losses of classes: the target names one class, several, or a probability for each.
#include <limits>
#include <optional>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

Value* Mul(OpBuilder& b, Value* x, Value* y) { return b.Binary(OpId::kMul, x, y); }

Value* SumAll(OpBuilder& b, Value* x) {
  return x->rank() == 0 ? x : b.Reduce(ReduceKind::kSum, x, AxesFrom(0, b.Rank(x)), false);
}

int64_t ReductionOf(OpBuilder& b) {
  const int64_t reduction = b.Int("reduction", kReductionMean);
  if (reduction < kReductionNone || reduction > kReductionSum) b.Invalid("no such reduction");
  return reduction;
}

// --- the class that the target names -------------------------------------------------------------

// What a target says: classes (0 where it is ignored), which count, and their weights.
struct Named {
  Value* classes = nullptr;  // i64
  Value* counts = nullptr;   // bool
  Value* weights = nullptr;  // 0 where ignored.
};

Named ReadTarget(OpBuilder& b, DType dtype) {
  Named n;
  Value* target = b.Cast(b.Tensor("target"), DType::kI64);
  n.counts = b.Binary(OpId::kNotEqual, target, b.DimValue(b.Int("ignore_index", -100)));
  n.classes = b.Where(n.counts, target, b.DimValue(0));
  Value* weight = b.OptTensor("weight");
  n.weights = weight == nullptr ? b.Cast(n.counts, dtype)
                                : b.Where(n.counts, b.Gather(b.Cast(weight, dtype), n.classes, 0),
                                          b.Scalar(dtype, 0));
  return n;
}

// x [N, C, ...] at the named classes, as [N, ...]; the classes' axis is 1, or 0 of a vector.
Value* AtClasses(OpBuilder& b, Value* x, const Named& n) {
  if (!b.ok()) return x;
  const int64_t axis = x->rank() == 1 ? 0 : 1;
  if (n.classes->rank() + 1 != x->rank()) {
    b.Invalid("the target must have one axis less than the input");
    return x;
  }
  Value* index = b.Unsqueeze(n.classes, axis);
  return b.Squeeze(b.Emit(OpId::kGatherElements, {x, index}, {{"axis", axis}}), axis);
}

// The loss and the weight that a mean divides by.
struct Loss {
  Value* each = nullptr;
  Value* total_weight = nullptr;
};

Loss NegativeLikelihood(OpBuilder& b, Value* x, const Named& n) {
  Value* taken = b.Unary(OpId::kNeg, Mul(b, AtClasses(b, x, n), n.weights));
  // A product would keep the NaN of an element that is ignored.
  return {b.Where(n.counts, taken, b.ScalarLike(x, 0)), SumAll(b, n.weights)};
}

Value* Reduced(OpBuilder& b, const Loss& loss, int64_t reduction) {
  if (reduction == kReductionNone || !b.ok()) return loss.each;
  Value* sum = SumAll(b, loss.each);
  return reduction == kReductionSum ? sum : b.Binary(OpId::kDiv, sum, loss.total_weight);
}

void NllLoss(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t reduction = ReductionOf(b);
  if (!b.ok()) return;
  const Loss loss = NegativeLikelihood(b, x, ReadTarget(b, x->dtype()));
  b.Return(Reduced(b, loss, reduction));
  if (b.schema().results < 2) return;
  b.Return(reduction == kReductionNone ? b.Scalar(x->dtype(), 0) : loss.total_weight);
}

// --- cross entropy -------------------------------------------------------------------------------

// The classes' weights along the axis of classes; null without weights.
Value* WeightsAlong(OpBuilder& b, const Value* x, int64_t axis) {
  Value* weight = b.OptTensor("weight");
  if (weight == nullptr) return nullptr;
  return AlongAxis(b, b.Cast(weight, x->dtype()), axis, b.Rank(x));
}

double ClassCount(OpBuilder& b, const Value* x, int64_t axis) {
  return static_cast<double>(b.StaticDim(x, axis));
}

// The target gives each class a probability.
void CrossEntropyOfProbabilities(OpBuilder& b, Value* log, int64_t axis, int64_t reduction) {
  Value* target = b.Cast(b.Tensor("target"), log->dtype());
  const double smoothing = b.Float("label_smoothing");
  if (smoothing > 0) {
    target = Plus(b, Times(b, target, 1 - smoothing), smoothing / ClassCount(b, log, axis));
  }
  Value* product = Mul(b, log, target);
  if (Value* weights = WeightsAlong(b, log, axis)) product = Mul(b, product, weights);
  Value* each = b.Unary(OpId::kNeg, b.Reduce(ReduceKind::kSum, product, {axis}, false));
  if (reduction == kReductionNone || !b.ok()) return b.Return(each);
  if (reduction == kReductionSum || each->rank() == 0) return b.Return(SumAll(b, each));
  b.Return(b.Reduce(ReduceKind::kMean, each, AxesFrom(0, b.Rank(each)), false));
}

void CrossEntropy(OpBuilder& b) {
  Value* x = b.Tensor("self");
  Value* target = b.Tensor("target");
  const int64_t reduction = ReductionOf(b);
  if (!b.ok()) return;
  if (x->rank() == 0) return b.Invalid("the input has no axis of classes");
  const int64_t axis = x->rank() == 1 ? 0 : 1;
  Value* log = b.Emit(OpId::kLogSoftmax, {x}, {{"axis", axis}});
  if (x->shape() == target->shape() && IsFloat(target->dtype())) {
    return CrossEntropyOfProbabilities(b, log, axis, reduction);
  }
  const Named n = ReadTarget(b, x->dtype());
  Loss loss = NegativeLikelihood(b, log, n);
  Value* y = Reduced(b, loss, reduction);
  const double smoothing = b.Float("label_smoothing");
  if (smoothing > 0) {
    Value* weighted = log;
    if (Value* weights = WeightsAlong(b, log, axis)) weighted = Mul(b, log, weights);
    Value* sum = b.Unary(OpId::kNeg, b.Reduce(ReduceKind::kSum, weighted, {axis}, false));
    loss.each = b.Where(n.counts, sum, b.ScalarLike(sum, 0));
    Value* smooth = Times(b, Reduced(b, loss, reduction), smoothing / ClassCount(b, x, axis));
    y = b.Binary(OpId::kAdd, Times(b, y, 1 - smoothing), smooth);
  }
  b.Return(y);
}

// --- margins -------------------------------------------------------------------------------------

// A sample without batch axis as a batch of one.
Value* AsBatch(OpBuilder& b, Value* x, size_t rank) {
  while (b.ok() && x->rank() < rank) x = b.Unsqueeze(x, 0);
  return x;
}

// Sum over the other classes of max(0, margin - x[y] + x[i])^p * w[y] / C.
void MultiMargin(OpBuilder& b) {
  Value* input = b.Tensor("self");
  Value* target = b.Cast(b.Tensor("target"), DType::kI64);
  const double p = b.Float("p"), margin = b.Float("margin");
  if (!b.ok()) return;
  const bool batched = input->rank() == 2;
  Value* x = AsBatch(b, input, 2);
  const Dim batch = b.Dim(x, 0);
  Value* classes = b.Reshape(target, {batch, 1});
  Value* taken = b.Emit(OpId::kGatherElements, {x, classes}, {{"axis", int64_t{1}}});
  Value* gap = b.Unary(OpId::kRelu, Plus(b, b.Binary(OpId::kSub, x, taken), margin));
  if (p == 2) gap = Mul(b, gap, gap);
  if (Value* weight = b.OptTensor("weight")) {
    gap = Mul(b, gap, b.Gather(b.Cast(weight, x->dtype()), classes, 0));
  }
  Value* numbers = b.Reshape(b.Arange(b.Dim(x, 1), DType::kI64), {1, b.Dim(x, 1)});
  Value* others = b.Binary(OpId::kNotEqual, numbers, classes);
  gap = b.Where(others, gap, b.ScalarLike(gap, 0));
  Value* loss = b.Reduce(ReduceKind::kMean, gap, {1}, false);
  b.Return(ReduceLoss(b, batched && target->rank() > 0 ? loss : b.Squeeze(loss, 0)));
}

// The target lists classes up to the first -1. Sum over listed j and unlisted i of
// max(0, 1 - x[j] + x[i]) / C.
void MultiLabelMargin(OpBuilder& b) {
  Value* input = b.Tensor("self");
  Value* target = AsBatch(b, b.Cast(b.Tensor("target"), DType::kI64), 2);
  if (!b.ok()) return;
  Value* x = AsBatch(b, input, 2);
  const Dim batch = b.Dim(x, 0), classes = b.Dim(x, 1);
  Value* zero = b.DimValue(0);
  Value* ends = b.Cast(b.Binary(OpId::kLess, target, zero), DType::kI64);
  Value* ended = b.Emit(OpId::kCumSum, {ends},
                        {{"axis", int64_t{1}}, {"exclusive", int64_t{0}}, {"reverse", int64_t{0}}});
  Value* listed = b.Binary(OpId::kEqual, ended, zero);
  Value* named = b.Where(listed, target, b.DimValue(-1));
  // [batch, j, i]: whether entry j of the list is class i.
  Value* numbers = b.Reshape(b.Arange(classes, DType::kI64), {1, 1, classes});
  Value* same = b.Binary(OpId::kEqual, b.Unsqueeze(named, 2), numbers);
  Value* is_target = b.Reduce(ReduceKind::kMax, b.Cast(same, DType::kI32), {1}, true);
  Value* unlisted = b.Unary(OpId::kLogicalNot, b.Cast(is_target, DType::kBool));
  Value* taken =
      b.Emit(OpId::kGatherElements, {x, b.Where(listed, target, zero)}, {{"axis", int64_t{1}}});
  Value* gap = b.Binary(OpId::kSub, b.Unsqueeze(x, 1), b.Unsqueeze(taken, 2));
  gap = b.Unary(OpId::kRelu, Plus(b, gap, 1));
  Value* both = b.Binary(OpId::kLogicalAnd, b.Unsqueeze(listed, 2), unlisted);
  gap = b.Where(both, gap, b.ScalarLike(gap, 0));
  Value* loss = b.Reduce(ReduceKind::kSum, gap, {1, 2}, false);
  loss = Times(b, loss, 1 / ClassCount(b, x, 1));
  b.Return(ReduceLoss(b, input->rank() == 2 ? loss : b.Squeeze(loss, 0)));
  if (b.schema().results < 2) return;
  b.Return(b.Reshape(b.Cast(is_target, x->dtype()), input->shape()));
}

constexpr Row kRows[] = {
    {"aten::nll_loss", NllLoss},
    {"aten::nll_loss2d", NllLoss},
    {"aten::nll_loss_nd", NllLoss},
    {"aten::nll_loss_forward", NllLoss},
    {"aten::nll_loss2d_forward", NllLoss},
    {"aten::cross_entropy_loss", CrossEntropy},
    {"aten::multi_margin_loss", MultiMargin},
    {"aten::multilabel_margin_loss", MultiLabelMargin},
    {"aten::multilabel_margin_loss_forward", MultiLabelMargin},
};

}  // namespace

std::span<const Row> ClassLossRows() { return kRows; }

}  // namespace floe::aten
