// The parameters of quantised layers, as files hold them and as models make them.
#include <utility>

#include "absl/strings/match.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/import/torchscript/quantized_call.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {

using aten::Kind;

namespace {

Result PrepackConv(const QuantizedCall& c, bool transposed) {
  // weight, bias, stride, padding, [output padding of transposed ones,] dilation, groups
  const size_t dilation_at = transposed ? 5 : 4;
  FLOE_TRY_ASSIGN(IValue stride, c.At(2));
  FLOE_TRY_ASSIGN(IValue padding, c.At(3));
  FLOE_TRY_ASSIGN(IValue dilation, c.At(dilation_at));
  FLOE_TRY_ASSIGN(IValue groups, c.At(dilation_at + 1));
  if (!stride.is_sequence() || !padding.is_sequence() || !dilation.is_sequence()) {
    return UnknownForm("a packed convolution without lists");
  }
  const size_t n = stride.items().size();
  std::vector<IValue> numbers;
  numbers.push_back(IValue::Int(static_cast<int64_t>(n)));
  for (const IValue& list : {stride, padding, dilation}) {
    if (list.items().size() != n) return UnknownForm("a packed convolution of an unknown rank");
    numbers.insert(numbers.end(), list.items().begin(), list.items().end());
  }
  for (size_t i = 0; i < n; ++i) {
    const bool given = transposed && c.args[4].is_sequence() && i < c.args[4].items().size();
    numbers.push_back(given ? c.args[4].items()[i] : IValue::Int(0));
  }
  numbers.push_back(groups);
  numbers.push_back(IValue::Int(transposed ? 1 : 0));
  std::vector<IValue> state;
  state.push_back(IValue::Int(3));
  state.push_back(IValue::ListOf(std::move(numbers), Kind::kInt));
  std::vector<IValue> tensors;
  tensors.emplace_back();
  tensors.push_back(c.args[0]);
  tensors.push_back(c.args[1]);
  state.push_back(IValue::ListOf(std::move(tensors)));
  return IValue::Of(
      std::make_shared<NativeObject>("ConvPackedParams", IValue::TupleOf(std::move(state))));
}

}  // namespace

absl::Status UnknownForm(const std::string& what) {
  return absl::UnimplementedError(
      what + "; quantise the model anew with a current PyTorch, or export it with torch.export");
}

absl::StatusOr<PackedLayer> Unpack(const QuantizedCall& c, const IValue& v) {
  const auto object = As<NativeObject>(v);
  if (object == nullptr) return UnknownForm("packed parameters of an unknown form");
  const IValue& state = object->state;
  PackedLayer packed;
  if (!state.is_sequence() || state.items().size() < 2) {
    return UnknownForm(object->cls + " has a state of an unknown form");
  }
  const std::vector<IValue>& items = state.items();
  if (absl::StrContains(object->cls, "Linear")) {
    FLOE_TRY_ASSIGN(packed.weight, Real(c, items[0]));
    FLOE_TRY_ASSIGN(packed.weight, c.Op("aten::to.dtype", {packed.weight, IValue::Int(kFloat32)}));
    packed.bias = items[1];
    return packed;
  }
  if (!absl::StrContains(object->cls, "Conv") || items.size() != 3) {
    return UnknownForm(object->cls + " is not supported");
  }
  if (!items[1].is_sequence() || !items[2].is_sequence()) {
    return UnknownForm(object->cls + " has a state of an unknown version");
  }
  std::vector<int64_t> numbers;
  const bool newest = items[0].is_constant_int();
  if (newest) {
    if (items[2].items().size() != 3) return UnknownForm(object->cls + " has an unknown state");
    for (const IValue& n : items[1].items()) {
      FLOE_TRY_ASSIGN(const int64_t number, ConstantInt(n, "a convolution's parameter"));
      numbers.push_back(number);
    }
    packed.weight = items[2].items()[1];
    packed.bias = items[2].items()[2];
  } else {
    if (items[1].items().size() != 2 || items[2].items().size() != 1 ||
        !items[1].items()[0].is_tensor()) {
      return UnknownForm(object->cls + " has an unknown state");
    }
    FLOE_TRY_ASSIGN(const ir::Value* tensor, c.in.context().Read(items[1].items()[0].variable()));
    if (!tensor->is_constant()) return UnknownForm(object->cls + " is changed by the model");
    for (int64_t i = 0; i < tensor->constant().count(); ++i) {
      numbers.push_back(tensor->constant().IntAt(i));
    }
    packed.weight = items[1].items()[1];
    packed.bias = items[2].items()[0];
  }
  if (numbers.empty() || numbers[0] < 1 || numbers[0] > 3 ||
      numbers.size() < 4 * static_cast<size_t>(numbers[0]) + 3) {
    return UnknownForm(object->cls + " has too few parameters");
  }
  const auto n = static_cast<size_t>(numbers[0]);
  const auto part = [&](size_t k) {
    const auto begin = numbers.begin() + static_cast<std::ptrdiff_t>(1 + k * n);
    return std::vector<int64_t>(begin, begin + static_cast<std::ptrdiff_t>(n));
  };
  packed.stride = part(0);
  packed.padding = part(1);
  packed.dilation = part(2);
  packed.output_padding = part(3);
  packed.groups = numbers[1 + 4 * n];
  packed.transposed = (numbers[2 + 4 * n] & 1) != 0;
  FLOE_TRY_ASSIGN(packed.weight, Real(c, packed.weight));
  return packed;
}

Result LinearUnpack(const QuantizedCall& c) {
  const auto object = As<NativeObject>(c.args[0]);
  if (object == nullptr || !object->state.is_sequence()) return UnknownForm("unknown parameters");
  return IValue::TupleOf(object->state.items());
}

Result LinearPrepack(const QuantizedCall& c) {
  FLOE_TRY_ASSIGN(IValue weight, c.At(0));
  return IValue::Of(std::make_shared<NativeObject>(
      "LinearPackedParams", IValue::TupleOf({weight, c.Has(1) ? c.args[1] : IValue()})));
}

Result ConvPrepack(const QuantizedCall& c) { return PrepackConv(c, false); }
Result TransposedConvPrepack(const QuantizedCall& c) { return PrepackConv(c, true); }

}  // namespace floe::torchscript
