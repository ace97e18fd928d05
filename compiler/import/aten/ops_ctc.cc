// Connectionist temporal classification: the likelihood of a sequence of labels summed over all
// alignments, one step after the other (Graves et al., 2006).
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Dim;
using ir::Value;

constexpr double kMinusInf = -std::numeric_limits<double>::infinity();
constexpr int64_t kMostSteps = 2048;

// What an alignment passes through: blanks and labels in turn, as [N, S'] with S' = 2 S + 1.
struct Labels {
  Value* padded = nullptr;   // i64 [N, S]: what lies behind a sequence's end is any class.
  Value* lengths = nullptr;  // i64 [N]
  Value* states = nullptr;   // i64 [N, S']
  Value* skips = nullptr;    // bool [N, S']: may be reached from two states before.
  Dim batch;
  int64_t most = 0;  // S
};

// A list of numbers or a tensor, as i64 [N].
Value* Lengths(OpBuilder& b, const char* name, const Dim& batch) {
  const IValue& v = b.Arg(name);
  Value* lengths =
      v.is_sequence() ? b.IntVector(b.Ints(name)) : b.Cast(b.Tensor(name), DType::kI64);
  if (b.ok() && lengths->shape() != ir::Shape{batch}) {
    b.Invalid(absl::StrFormat("'%s' has not one number for each sequence", name));
  }
  return lengths;
}

Value* RowOf(OpBuilder& b, int64_t length) {
  return b.Reshape(b.Arange(length, DType::kI64), {1, length});
}

// Targets one behind the other, as rows of a matrix.
Value* Unpacked(OpBuilder& b, Value* targets, Value* lengths) {
  const int64_t total = b.StaticDim(targets, 0);
  Value* ends = b.Emit(OpId::kCumSum, {lengths},
                       {{"axis", int64_t{0}}, {"exclusive", int64_t{1}}, {"reverse", int64_t{0}}});
  Value* at = b.Binary(OpId::kAdd, b.Unsqueeze(ends, 1), RowOf(b, total));
  at = b.Binary(OpId::kMinimum, at, b.DimValue(total - 1));
  return b.Gather(targets, at, 0);
}

Labels ReadLabels(OpBuilder& b, const Dim& batch, int64_t blank) {
  Labels l;
  l.batch = batch;
  l.lengths = Lengths(b, "target_lengths", batch);
  l.padded = b.Cast(b.Tensor("targets"), DType::kI64);
  if (!b.ok()) return l;
  if (l.padded->rank() == 1 && b.StaticDim(l.padded, 0) > 0) {
    l.padded = Unpacked(b, l.padded, l.lengths);
  }
  if (!b.ok()) return l;
  if (l.padded->rank() != 2) {
    b.Invalid("the targets are neither a vector nor a matrix");
    return l;
  }
  l.most = b.StaticDim(l.padded, 1);
  if (l.most < 1 || l.most > kMostSteps) b.Unsupported("no targets, or over 2048 a sequence");
  if (!b.ok()) return l;
  // Padding may be any number; rows behind the end are not read, but must be classes.
  Value* inside = b.Binary(OpId::kLess, RowOf(b, l.most), b.Unsqueeze(l.lengths, 1));
  Value* blanks = b.DimValue(blank);
  l.padded = b.Where(inside, l.padded, blanks);
  Value* pairs = b.Concat({b.Expand(blanks, {batch, l.most, 1}), b.Unsqueeze(l.padded, 2)}, 2);
  pairs = b.Reshape(pairs, {batch, 2 * l.most});
  l.states = b.Concat({pairs, b.Expand(blanks, {batch, 1})}, 1);
  const int64_t width = 2 * l.most + 1;
  Value* differs = b.Binary(OpId::kNotEqual, b.Slice(l.states, 1, 2, width - 2),
                            b.Slice(l.states, 1, 0, width - 2));
  // A label is reached over a blank only from another label.
  Value* label = b.Binary(OpId::kNotEqual, b.Slice(l.states, 1, 2, width - 2), blanks);
  l.skips = b.Concat(
      {b.Full(DType::kBool, {batch, 2}, 0), b.Binary(OpId::kLogicalAnd, differs, label)}, 1);
  return l;
}

// x moved `by` states to the right; impossible states come in.
Value* Shifted(OpBuilder& b, Value* x, int64_t by) {
  const int64_t width = b.StaticDim(x, 1);
  if (!b.ok()) return x;
  Value* fill = b.Full(x->dtype(), {b.Dim(x, 0), by}, kMinusInf);
  return b.Concat({fill, b.Slice(x, 1, 0, width - by)}, 1);
}

// log(exp(x0) + exp(x1) + ...) element by element.
Value* LogSum(OpBuilder& b, const std::vector<Value*>& xs) {
  std::vector<Value*> wide;
  for (Value* x : xs) wide.push_back(b.Unsqueeze(x, b.Rank(x)));
  const int64_t axis = b.Rank(xs[0]);
  Value* all = b.Concat(std::move(wide), axis);
  Value* most = b.Reduce(ReduceKind::kMax, all, {axis}, true);
  // Impossible in every way: exp(-inf - 0).
  Value* none = b.Binary(OpId::kEqual, most, b.ScalarLike(most, kMinusInf));
  most = b.Where(none, b.ScalarLike(most, 0), most);
  Value* sum = b.Reduce(ReduceKind::kSum, b.Unary(OpId::kExp, b.Binary(OpId::kSub, all, most)),
                        {axis}, true);
  return b.Squeeze(b.Binary(OpId::kAdd, b.Unary(OpId::kLog, sum), most), axis);
}

// The logarithm of the likelihood of each sequence: [N].
Value* LogLikelihood(OpBuilder& b, Value* log_probs, const Labels& l, Value* input_lengths) {
  const int64_t steps = b.StaticDim(log_probs, 0), width = 2 * l.most + 1;
  if (steps < 1 || steps > kMostSteps) b.Unsupported("no steps, or over 2048");
  if (!b.ok()) return log_probs;
  const Dim classes = b.Dim(log_probs, 2);
  Value* impossible = b.ScalarLike(log_probs, kMinusInf);
  Value* start = b.Binary(OpId::kLess, RowOf(b, width), b.DimValue(2));
  Value* limits = b.Unsqueeze(input_lengths, 1);
  Value* alpha = nullptr;
  for (int64_t t = 0; t < steps && b.ok(); ++t) {
    Value* now = b.Reshape(b.SliceAxis(log_probs, 0, t, 1), {l.batch, classes});
    now = b.Emit(OpId::kGatherElements, {now, l.states}, {{"axis", int64_t{1}}});
    if (t == 0) {
      alpha = b.Where(start, now, impossible);
      continue;
    }
    Value* skipped = b.Where(l.skips, Shifted(b, alpha, 2), impossible);
    Value* next = b.Binary(OpId::kAdd, LogSum(b, {alpha, Shifted(b, alpha, 1), skipped}), now);
    alpha = b.Where(b.Binary(OpId::kLess, b.DimValue(t), limits), next, alpha);
  }
  // The alignment ends in the last label or in the blank after it.
  Value* last = b.Unsqueeze(b.Binary(OpId::kMul, l.lengths, b.DimValue(2)), 1);
  const auto at = [&](Value* state) {
    return b.Emit(OpId::kGatherElements, {alpha, state}, {{"axis", int64_t{1}}});
  };
  Value* before =
      b.Binary(OpId::kMaximum, b.Binary(OpId::kSub, last, b.DimValue(1)), b.DimValue(0));
  Value* label = at(before);
  Value* empty = b.Binary(OpId::kEqual, last, b.DimValue(0));
  label = b.Where(empty, impossible, label);
  return b.Squeeze(LogSum(b, {at(last), label}), 1);
}

// log_probs [T, N, C]; without batch axis [T, C].
void CtcLoss(OpBuilder& b) {
  Value* x = b.Tensor("log_probs");
  const int64_t reduction = b.Int("reduction", kReductionNone), blank = b.Int("blank");
  if (!b.ok()) return;
  if (x->rank() != 3) return b.Unsupported("log_probs without an axis of sequences");
  const Dim batch = b.Dim(x, 1);
  const Labels labels = ReadLabels(b, batch, blank);
  Value* input_lengths = Lengths(b, "input_lengths", batch);
  if (!b.ok()) return;
  Value* loss = b.Unary(OpId::kNeg, LogLikelihood(b, x, labels, input_lengths));
  if (b.Bool("zero_infinity", false)) {
    Value* infinite =
        b.Binary(OpId::kEqual, loss, b.ScalarLike(loss, std::numeric_limits<double>::infinity()));
    loss = b.Where(infinite, b.ScalarLike(loss, 0), loss);
  }
  if (reduction == kReductionMean) {
    Value* count = b.Cast(labels.lengths, x->dtype());
    count = b.Binary(OpId::kMaximum, count, b.ScalarLike(count, 1));
    loss = b.Binary(OpId::kDiv, loss, count);
  }
  b.Return(b.HasArg("reduction") ? ReduceLoss(b, loss) : loss);
  b.results().resize(b.schema().results);
}

constexpr Row kRows[] = {
    {"aten::ctc_loss", CtcLoss},
    {"aten::_ctc_loss", CtcLoss},
};

}  // namespace

std::span<const Row> CtcRows() { return kRows; }

}  // namespace floe::aten
