// Normalisations.
#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/compose_nn.h"
#include "compiler/import/aten/ops.h"

namespace floe::aten {
namespace {

using ir::Value;

// x * scale + bias along `axis`; both may be null.
Value* ScaleAndShift(OpBuilder& b, Value* x, Value* scale, Value* bias, int64_t axis) {
  if (!b.ok()) return x;
  const int64_t rank = b.Rank(x);
  if (scale != nullptr) x = b.Binary(OpId::kMul, x, AlongAxis(b, scale, axis, rank));
  if (bias != nullptr) x = b.Binary(OpId::kAdd, x, AlongAxis(b, bias, axis, rank));
  return x;
}

// --- batch normalisation -------------------------------------------------------------------------

double EpsilonOf(OpBuilder& b) { return b.Float(b.HasArg("eps") ? "eps" : "epsilon"); }

bool IsTraining(OpBuilder& b) {
  return b.HasArg("training") ? b.Bool("training") : b.row().param != 0;
}

// With the statistics of the batch itself: layers that track none do so in evaluation as well.
void BatchStatistics(OpBuilder& b, Value* x, Value* scale, Value* bias) {
  if (b.ok() && x->rank() < 2) return b.Invalid("the input has no axis of channels");
  std::vector<int64_t> axes = AxesFrom(1, b.Rank(x));
  if (!axes.empty()) axes[0] = 0;
  std::sort(axes.begin(), axes.end());
  const Moments m = MomentsOver(b, x, axes, EpsilonOf(b));
  Value* y = b.Binary(OpId::kMul, m.centred, m.inverse);
  b.Return(ScaleAndShift(b, y, scale, bias, 1));
  const ir::Dim channels = b.Dim(x, 1);
  b.Return(b.Reshape(m.mean, {channels}));
  b.Return(b.Reshape(m.inverse, {channels}));
}

void BatchNorm(OpBuilder& b) {
  Value* x = b.Tensor("input");
  Value* scale = b.OptTensor("weight");
  Value* bias = b.OptTensor("bias");
  Value* mean = b.OptTensor("running_mean");
  Value* variance = b.OptTensor("running_var");
  const bool training = IsTraining(b);
  if (RefuseTraining(b, training && mean != nullptr)) return;
  if (!b.ok()) return;
  if (training || mean == nullptr || variance == nullptr) {
    BatchStatistics(b, x, scale, bias);
  } else {
    if (x->rank() < 2) return b.Invalid("the input has no axis of channels");
    const ir::Dim channels = b.Dim(x, 1);
    const DType t = mean->dtype();
    b.Return(b.Emit(
        OpId::kBatchNorm,
        {x, VectorOr(b, scale, channels, t, 1), VectorOr(b, bias, channels, t, 0), mean, variance},
        {{"epsilon", EpsilonOf(b)}}));
    // In evaluation there are no statistics to keep.
    b.Return(b.Full(t, {0}, 0));
    b.Return(b.Full(t, {0}, 0));
  }
  // Other results exist for the sake of gradients.
  b.results().resize(b.schema().results);
}

// --- layer normalisation -------------------------------------------------------------------------

// The first normalised axis; an error if x does not end in the normalised shape.
int64_t NormalisedAxis(OpBuilder& b, const Value* x) {
  const std::vector<ir::Dim> shape = b.SymInts("normalized_shape");
  if (!b.ok()) return 0;
  const int64_t axis = b.Rank(x) - static_cast<int64_t>(shape.size());
  if (shape.empty() || axis < 0 ||
      !std::equal(shape.begin(), shape.end(), x->shape().begin() + axis)) {
    b.Invalid(absl::StrFormat("an input of shape %s does not end in the normalised shape %s",
                              b.Text(x->shape()), b.Text(shape)));
    return 0;
  }
  return axis;
}

void LayerNorm(OpBuilder& b) {
  Value* x = b.Tensor("input");
  Value* scale = b.OptTensor("weight");
  Value* bias = b.OptTensor("bias");
  const int64_t axis = NormalisedAxis(b, x);
  std::vector<Value*> operands = {x};
  if (scale != nullptr) operands.push_back(scale);
  if (scale != nullptr && bias != nullptr) operands.push_back(bias);
  std::vector<Value*> y = b.EmitMany(OpId::kLayerNorm, std::move(operands), 3,
                                     {{"axis", axis}, {"epsilon", b.Float("eps")}});
  if (scale == nullptr && bias != nullptr) y[0] = b.Binary(OpId::kAdd, y[0], bias);
  for (size_t i = 0; i < b.schema().results; ++i) b.Return(y[i]);
}

// The default is that of the dtype that is computed in: f32 for f16 and bf16.
double MachineEpsilon(DType dtype) {
  return dtype == DType::kF64 ? std::numeric_limits<double>::epsilon()
                              : std::numeric_limits<float>::epsilon();
}

void RmsNorm(OpBuilder& b) {
  Value* x = b.Tensor("input");
  Value* scale = b.OptTensor("weight");
  const int64_t axis = NormalisedAxis(b, x);
  if (!b.ok()) return;
  const double epsilon = b.Float("eps", MachineEpsilon(x->dtype()));
  std::vector<Value*> operands = {x};
  if (scale != nullptr) operands.push_back(scale);
  b.Return(b.Emit(OpId::kRmsNorm, std::move(operands), {{"axis", axis}, {"epsilon", epsilon}}));
  if (b.schema().results < 2) return;
  Value* square = b.Binary(OpId::kMul, x, x);
  Value* mean = b.Reduce(ReduceKind::kMean, square, AxesFrom(axis, b.Rank(x)), true);
  b.Return(b.Unary(OpId::kRsqrt, Plus(b, mean, epsilon)));
}

// --- group and instance normalisation ------------------------------------------------------------

Value* GroupNormOf(OpBuilder& b, Value* x, int64_t groups) {
  Value* scale = b.OptTensor("weight");
  Value* bias = b.OptTensor("bias");
  if (!b.ok()) return x;
  if (x->rank() < 2) {
    b.Invalid("the input has no axis of channels");
    return x;
  }
  const ir::Dim channels = b.Dim(x, 1);
  const DType t = x->dtype();
  return b.Emit(OpId::kGroupNorm,
                {x, VectorOr(b, scale, channels, t, 1), VectorOr(b, bias, channels, t, 0)},
                {{"epsilon", b.Float("eps")}, {"groups", groups}});
}

void GroupNorm(OpBuilder& b) {
  Value* x = b.Tensor("input");
  b.Return(GroupNormOf(b, x, b.Int("num_groups")));
}

// The mean and 1 / deviation of each group are results, too.
void NativeGroupNorm(OpBuilder& b) {
  Value* x = b.Tensor("input");
  const int64_t groups = b.Int("group");
  b.Return(GroupNormOf(b, x, groups));
  if (!b.ok()) return;
  const std::optional<ir::Dim> channels = ir::Dim::DivExact(b.Dim(x, 1), groups);
  const std::optional<ir::Dim> run =
      channels ? ir::Dim::Mul(*channels, b.SymInt("HxW")) : std::nullopt;
  if (!run) return b.results().resize(3);  // No ir::Dim; hardly anything reads them.
  const ir::Dim batch = b.Dim(x, 0);
  const Moments m = MomentsOver(b, b.Reshape(x, {batch, groups, *run}), {2}, b.Float("eps"));
  b.Return(b.Reshape(m.mean, {batch, groups}));
  b.Return(b.Reshape(m.inverse, {batch, groups}));
}

void InstanceNorm(OpBuilder& b) {
  if (!b.Bool("use_input_stats")) return BatchNorm(b);
  if (RefuseTraining(b, b.Given("running_mean"))) return;
  Value* x = b.Tensor("input");
  Value* scale = b.OptTensor("weight");
  Value* bias = b.OptTensor("bias");
  if (!b.ok()) return;
  if (x->rank() < 2) return b.Invalid("the input has no axis of channels");
  const ir::Dim channels = b.Dim(x, 1);
  const DType t = x->dtype();
  b.Return(b.Emit(OpId::kInstanceNorm,
                  {x, VectorOr(b, scale, channels, t, 1), VectorOr(b, bias, channels, t, 0)},
                  {{"epsilon", b.Float("eps")}}));
}

// --- normalised weights --------------------------------------------------------------------------

// Norms over all axes but `dim`; over all axes for -1, as a scalar with every axis of size 1 gone.
Value* NormExceptDim(OpBuilder& b, Value* v, double p, int64_t dim) {
  if (!b.ok()) return v;
  if (dim == -1) return NormOver(b, v, p, AxesFrom(0, b.Rank(v)), false);
  const int64_t axis = b.Axis(dim, b.Rank(v));
  std::vector<int64_t> axes = AxesFrom(0, b.Rank(v));
  axes.erase(axes.begin() + axis);
  return NormOver(b, v, p, axes, true);
}

void WeightNorm(OpBuilder& b) {
  Value* v = b.Tensor("v");
  Value* g = b.Tensor("g");
  Value* norm = NormExceptDim(b, v, 2, b.Int("dim"));
  b.Return(b.Binary(OpId::kMul, v, b.Binary(OpId::kDiv, g, norm)));
  if (b.schema().results > 1) b.Return(norm);
}

void NormExcept(OpBuilder& b) {
  b.Return(NormExceptDim(b, b.Tensor("v"), b.Float("pow"), b.Int("dim")));
}

// What a slice with this p-norm is multiplied with so that the norm is at most `limit`.
Value* Shrinkage(OpBuilder& b, Value* norm, double limit) {
  Value* ratio = b.Binary(OpId::kDiv, b.ScalarLike(norm, limit), Plus(b, norm, 1e-7));
  Value* large = b.Binary(OpId::kGreater, norm, b.ScalarLike(norm, limit));
  return b.Where(large, ratio, b.ScalarLike(norm, 1));
}

void Renorm(OpBuilder& b) {
  Value* x = b.Tensor("self");
  const int64_t axis = b.Axis(b.Int("dim"), b.Rank(x));
  const double p = b.Float("p"), limit = b.Float("maxnorm");
  if (!b.ok()) return;
  std::vector<int64_t> axes = AxesFrom(0, b.Rank(x));
  axes.erase(axes.begin() + axis);
  Value* norm = NormOver(b, x, p, axes, true);
  b.Return(b.Binary(OpId::kMul, x, Shrinkage(b, norm, limit)));
}

// The rows of an embedding that `indices` name.
Value* RenormRows(OpBuilder& b, Value* weight, Value* indices) {
  const double p = b.Float("norm_type"), limit = b.Float("max_norm");
  if (!b.ok()) return weight;
  if (weight->rank() != 2) {
    b.Invalid("the weight is no matrix");
    return weight;
  }
  const ir::Dim rows = b.Dim(weight, 0);
  const ir::Dim count = b.Product(indices->shape(), 0, indices->rank());
  Value* named =
      b.Emit(OpId::kScatterElements,
             {b.Full(DType::kI32, {rows}, 0), b.Reshape(indices, {count}),
              b.Full(DType::kI32, {count}, 1)},
             {{"axis", int64_t{0}}, {"reduction", static_cast<int64_t>(ScatterReduction::kNone)}});
  Value* mask = b.Reshape(b.Cast(named, DType::kBool), {rows, 1});
  Value* factor = Shrinkage(b, NormOver(b, weight, p, {1}, true), limit);
  return b.Binary(OpId::kMul, weight, b.Where(mask, factor, b.ScalarLike(weight, 1)));
}

void EmbeddingRenorm(OpBuilder& b) {
  Value* weight = b.Tensor("self");
  b.Return(RenormRows(b, weight, b.Tensor("indices")));
}

// TorchScript's name for the same in place.
void EmbeddingRenormInPlace(OpBuilder& b) {
  Value* weight = b.Tensor("weight");
  weight = RenormRows(b, weight, b.Tensor("input"));
  if (b.ok()) b.WriteArg("weight", weight);
  b.Return(b.Arg("weight"));
}

constexpr Row kRows[] = {
    {"aten::batch_norm", BatchNorm},
    {"aten::native_batch_norm", BatchNorm},
    {"aten::cudnn_batch_norm", BatchNorm},
    {"aten::_batch_norm_impl_index", BatchNorm},
    {"aten::_batch_norm_no_update", BatchNorm},
    {"aten::_native_batch_norm_legit", BatchNorm},
    {"aten::_native_batch_norm_legit_functional", BatchNorm},
    {"aten::_native_batch_norm_legit_no_training", BatchNorm},
    {"aten::layer_norm", LayerNorm},
    {"aten::native_layer_norm", LayerNorm},
    {"aten::rms_norm", RmsNorm},
    {"aten::_fused_rms_norm", RmsNorm},
    {"aten::group_norm", GroupNorm},
    {"aten::native_group_norm", NativeGroupNorm},
    {"aten::instance_norm", InstanceNorm},
    {"aten::_weight_norm", WeightNorm},
    {"aten::_weight_norm_interface", WeightNorm},
    {"aten::norm_except_dim", NormExcept},
    {"aten::renorm", Renorm},
    {"aten::embedding_renorm", EmbeddingRenorm},
    {"aten::_no_grad_embedding_renorm_", EmbeddingRenormInPlace},
};

}  // namespace

std::span<const Row> NormRows() { return kRows; }

}  // namespace floe::aten
