// Selection of data movement, pointwise regions and the generic fallback.
#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "compiler/lower/select.h"
#include "format/attrs.h"

namespace floe::lower {
namespace {

// The dims of `value` aligned right in `rank` axes, with ones in front.
ir::Shape RightAligned(const ir::Value& value, size_t rank) {
  ir::Shape shape(rank - value.rank(), ir::Dim(1));
  shape.insert(shape.end(), value.shape().begin(), value.shape().end());
  return shape;
}

bool SameShape(const ir::Value& a, const ir::Value& b) { return a.shape() == b.shape(); }

}  // namespace

absl::Status Selector::SelectMovement(const ir::Node& node) {
  const ir::Value* x = node.input(0);
  const ir::Value* y = node.output();
  switch (node.op()) {
    case OpId::kDimsOf:
      if (!y->content.has_value()) return absl::InternalError("dims without content");
      homes_[y].dense = program_.AddDims(y->name(), y->shape(), *y->content);
      return absl::OkStatus();
    case OpId::kIdentity:
    case OpId::kReshape:
      homes_[y].dense = program_.AddAlias(y->name(), Dense(x), y->shape());
      return absl::OkStatus();
    case OpId::kTranspose: {
      Spec spec = SpecFor(node, KernelId::kTranspose, "strided move");
      spec.attrs = node.Ints("perm");
      spec.inputs = {Dense(x)};
      spec.outputs = {DefineDense(y)};
      Emit(std::move(spec));
      return absl::OkStatus();
    }
    case OpId::kExpand: {
      Spec spec = SpecFor(node, KernelId::kExpand, "strided move");
      spec.inputs = {Dense(x)};
      spec.outputs = {DefineDense(y)};
      Emit(std::move(spec));
      return absl::OkStatus();
    }
    case OpId::kGather: {
      Spec spec = SpecFor(node, KernelId::kGather, "row gather");
      spec.attrs = {node.Int("axis")};
      const ir::Value* indices = node.input(1);
      if (indices->dtype() != DType::kI32 && indices->dtype() != DType::kI64) {
        return SelectGeneric(node, "indices are neither i32 nor i64");
      }
      const ValueId index_id =
          indices->is_constant()
              ? program_.AddConstant(indices->name(), indices->constant(), /*index=*/true)
              : Dense(indices);
      const DType type = WeightsOf(node);
      const bool narrow = type != DType::kF32 && x->dtype() == DType::kF32;
      const ValueId table = narrow ? NarrowConstant(x, type) : Dense(x);
      const ValueId rows =
          narrow ? NewArenaValue(y->name() + "/narrow", type, y->shape()) : DefineDense(y);
      spec.inputs = {table, index_id};
      spec.outputs = {rows};
      Emit(std::move(spec));
      if (narrow) EmitConvert(rows, DefineDense(y), "the table's rows in f32");
      return absl::OkStatus();
    }
    default:
      break;
  }
  // Slice, Concat and Pad work in either layout: stay where the data is. A slice also brings it
  // into the layout of a convolution that reads it.
  const bool channels_last =
      y->rank() == 4 && (std::any_of(node.inputs().begin(), node.inputs().end(),
                                     [&](const ir::Value* v) { return PrefersChannelsLast(v); }) ||
                         (node.op() == OpId::kSlice && halos_.contains(y)));
  Spec spec = SpecFor(node, KernelId::kConcat, channels_last ? "channels-last" : "dense");
  if (node.op() == OpId::kConcat) {
    spec.attrs = {node.Int("axis")};
    if (node.inputs().size() + 1 > kMaxOperands) {
      return SelectGeneric(node, "more operands than an instruction holds");
    }
  } else if (node.op() == OpId::kSlice) {
    spec.kernel = static_cast<uint32_t>(KernelId::kSlice);
    spec.attrs = node.Ints("starts");
    const std::vector<int64_t>& steps = node.Ints("steps");
    spec.attrs.insert(spec.attrs.end(), steps.begin(), steps.end());
  } else {
    spec.kernel = static_cast<uint32_t>(KernelId::kPad);
    spec.attrs = {node.Int("mode"), FloatWord(node.Float("value"))};
    for (const char* side : {"before", "after"}) {
      spec.attrs.insert(spec.attrs.end(), node.Ints(side).begin(), node.Ints(side).end());
    }
  }
  for (const ir::Value* v : node.inputs()) {
    const bool convert = channels_last && (node.op() != OpId::kSlice || PrefersChannelsLast(v));
    spec.inputs.push_back(convert ? ChannelsLast(v) : Dense(v));
  }
  spec.outputs = {channels_last ? DefineChannelsLast(y) : DefineDense(y)};
  Emit(std::move(spec));
  return absl::OkStatus();
}

absl::Status Selector::SelectPointwise(const ir::Node& node) {
  const ir::Value* y = node.output();
  const bool channels_last =
      y->rank() == 4 &&
      std::any_of(node.inputs().begin(), node.inputs().end(),
                  [&](const ir::Value* v) { return SameShape(*v, *y) && PrefersChannelsLast(v); });
  Spec spec = SpecFor(node, KernelId::kPointwise, DescribeCode(node.code));
  spec.code = node.code;
  for (const ir::Value* v : node.inputs()) {
    // Operands that broadcast keep their dense form: strides are logical, so any layout reads them.
    const bool full = SameShape(*v, *y);
    const bool convert =
        channels_last && !v->is_constant() && v->rank() == 4 && (full || PrefersChannelsLast(v));
    spec.inputs.push_back(convert ? ChannelsLast(v) : Dense(v));
  }
  spec.outputs = {channels_last ? DefineChannelsLast(y) : DefineDense(y)};
  Emit(std::move(spec));
  return absl::OkStatus();
}

// The reference kernel on dense tensors; an epilogue becomes a pointwise region behind it.
absl::Status Selector::SelectGeneric(const ir::Node& node, const std::string& why) {
  for (const ir::Value* v : node.outputs()) narrow_.erase(v);  // It stores what the op says.
  Spec spec = SpecFor(node, KernelId::kGeneric, "falls back to the reference kernel: " + why);
  spec.attrs = {static_cast<int64_t>(node.op())};
  const std::vector<int64_t> words = ir::AttrWords(node);
  spec.attrs.insert(spec.attrs.end(), words.begin(), words.end());
  const size_t own = node.code.empty() ? node.inputs().size() : node.epilogue_begin;
  if (own + node.outputs().size() > kMaxOperands) {
    return absl::UnimplementedError(
        absl::StrFormat("%s '%s' has %d operands, more than the %d of an instruction",
                        OpRow(node.op()).name, node.provenance.node, own, kMaxOperands));
  }
  for (size_t i = 0; i < own; ++i) spec.inputs.push_back(Dense(node.input(i)));
  const ir::Value* y = node.output();
  if (node.code.empty()) {
    for (const ir::Value* v : node.outputs()) {
      spec.outputs.push_back(v == nullptr ? kNoIndex : DefineDense(v));
    }
    Emit(std::move(spec));
    return absl::OkStatus();
  }
  const ValueId raw = NewArenaValue(y->name() + "/raw", y->dtype(), y->shape());
  spec.outputs = {raw};
  Emit(std::move(spec));

  Spec after = SpecFor(node, KernelId::kPointwise, "epilogue of a reference kernel");
  after.code.push_back({static_cast<uint8_t>(PwOp::kLoad), 0, 0, 0, 0, 0, 0, 0.0f});
  for (PwInstr i : node.code) {
    if (static_cast<PwOp>(i.op) == PwOp::kLoad) ++i.operand;
    after.code.push_back(i);
  }
  after.inputs = {raw};
  for (size_t i = own; i < node.inputs().size(); ++i) {
    const ir::Value* v = node.input(i);
    // A convolution's channel operand runs along the logical axis 1.
    if (node.op() == OpId::kConv && v->rank() == 1 && y->rank() > 2 && v->is_constant()) {
      std::vector<int64_t> dims(y->rank() - 1, 1);
      dims[0] = v->constant().dims()[0];
      after.inputs.push_back(ConstantAs(v, dims));
    } else if (v->rank() < y->rank() && !v->is_constant()) {
      after.inputs.push_back(
          program_.AddAlias(v->name() + "/aligned", Dense(v), RightAligned(*v, y->rank())));
    } else {
      after.inputs.push_back(Dense(v));
    }
  }
  after.outputs = {DefineDense(y)};
  Emit(std::move(after));
  return absl::OkStatus();
}

}  // namespace floe::lower
