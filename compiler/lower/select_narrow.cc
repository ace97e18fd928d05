// Selection in less than f32 (passes/weight_types.h): weights' types, and which activations are
// stored as bf16. A product reads bf16; what it reads is stored so by its producer if that can and
// nothing else reads it, and else converted once. Either way only products' operands are rounded.
// (A depthwise convolution is a product that reads f32, too: for it nothing is converted.)
#include <algorithm>

#include "absl/strings/str_format.h"
#include "backends/reference/element.h"
#include "compiler/lower/select.h"

namespace floe::lower {

std::string WeightsText(DType dtype) {
  return dtype == DType::kF32 ? "" : absl::StrFormat(" of %s", DTypeName(dtype));
}

DType Selector::WeightsOf(const ir::Node& node) const {
  const auto found = weight_types_.find(&node);
  return found == weight_types_.end() ? DType::kF32 : found->second;
}

// Whether `node` multiplies its input 0 as bf16.
bool Selector::ReadsPairs(const ir::Node& node) const {
  return WeightsOf(node) == DType::kBF16 && node.op() != OpId::kGather;
}

// Whether `node` is a depthwise convolution of a program of bf16: its weights stay f32, but it
// reads and stores bf16 where that is how the other side has it.
bool Selector::IsNarrowDepthwise(const ir::Node& node) const {
  const bool brain = std::any_of(weight_types_.begin(), weight_types_.end(),
                                 [](const auto& type) { return type.second == DType::kBF16; });
  return brain && node.op() == OpId::kConv && CanLowerConv(node, nullptr) && IsDepthwise(node);
}

void Selector::FindNarrow(const ir::Graph& graph) {
  for (const auto& node : graph.nodes()) {
    for (const auto& body : node->bodies) FindNarrow(*body);
    const bool can_store = node->op() == OpId::kPointwise || IsNarrowDepthwise(*node) ||
                           (ReadsPairs(*node) && node->op() != OpId::kLstm);
    const ir::Value* y = node->output();
    if (!can_store || y->dtype() != DType::kF32 || y->users().empty() || graph.IsOutput(y)) {
      continue;
    }
    const bool only_products =
        std::all_of(y->users().begin(), y->users().end(), [&](const ir::Node* user) {
          return (ReadsPairs(*user) || IsNarrowDepthwise(*user)) && user->input(0) == y &&
                 std::count(user->inputs().begin(), user->inputs().end(), y) == 1;
        });
    if (only_products) narrow_.insert(y);
  }
}

void Selector::EmitConvert(ValueId from, ValueId to, const std::string& why) {
  Spec spec;
  spec.kernel = static_cast<uint32_t>(KernelId::kPointwise);
  spec.op = OpId::kCast;
  spec.code = {{static_cast<uint8_t>(PwOp::kLoad), 0, 0, 0, 0, 0, 0, 0.0f}};
  spec.inputs = {from};
  spec.outputs = {to};
  spec.name = current_;
  spec.why = why;
  Emit(std::move(spec));
}

ValueId Selector::DefineNarrow(const ir::Value* value, LayoutId layout) {
  const bool channels_last = layout == LayoutId::kChannelsLast;
  const auto halo = halos_.find(value);
  const ValueId id = NewArenaValue(value->name(), DType::kBF16, value->shape(), layout,
                                   channels_last && halo != halos_.end() ? halo->second : Halo{});
  (channels_last ? homes_[value].narrow_channels_last : homes_[value].narrow_dense) = id;
  return id;
}

ValueId Selector::NarrowDense(const ir::Value* value) {
  if (homes_[value].narrow_dense == kNoIndex) {
    if (const ValueId other = homes_[value].narrow_channels_last; other != kNoIndex) {
      EmitCopy(other, DefineNarrow(value, LayoutId::kDense), "channels-last to dense");
    } else {
      const ValueId wide = Dense(value);
      EmitConvert(wide, DefineNarrow(value, LayoutId::kDense), "bf16 for a product");
    }
  }
  return homes_[value].narrow_dense;
}

ValueId Selector::NarrowChannelsLast(const ir::Value* value) {
  if (homes_[value].narrow_channels_last == kNoIndex) {
    if (const ValueId other = homes_[value].narrow_dense; other != kNoIndex) {
      EmitCopy(other, DefineNarrow(value, LayoutId::kChannelsLast), "dense to channels-last");
    } else {
      const ValueId wide = ChannelsLast(value);
      EmitConvert(wide, DefineNarrow(value, LayoutId::kChannelsLast), "bf16 for a product");
    }
  }
  return homes_[value].narrow_channels_last;
}

// Where only bf16 is there: what reads it otherwise was not foreseen, but is right.
void Selector::WidenHome(const ir::Value* value) {
  Home& home = homes_[value];
  const bool channels_last = home.narrow_channels_last != kNoIndex;
  const ValueId from = channels_last ? home.narrow_channels_last : home.narrow_dense;
  if (from == kNoIndex) return;
  const auto halo = halos_.find(value);
  const bool has_halo = channels_last && halo != halos_.end();
  const ValueId to = NewArenaValue(value->name() + "/f32", DType::kF32, value->shape(),
                                   channels_last ? LayoutId::kChannelsLast : LayoutId::kDense,
                                   has_halo ? halo->second : Halo{});
  (channels_last ? home.channels_last : home.dense) = to;
  EmitConvert(from, to, "back to f32");
}

ValueId Selector::NarrowConstant(const ir::Value* value, DType dtype) {
  const auto found = narrow_constants_.find({value, dtype});
  if (found != narrow_constants_.end()) return found->second;
  const ir::Tensor& wide = value->constant();
  ir::Tensor narrow(dtype, wide.dims());
  if (wide.count() > 0) {
    reference::StoreRun<float>(dtype, narrow.mutable_data(), 0, wide.count(), wide.as<float>());
  }
  return narrow_constants_[{value, dtype}] =
             program_.AddConstant(value->name(), narrow, /*index=*/false);
}

}  // namespace floe::lower
