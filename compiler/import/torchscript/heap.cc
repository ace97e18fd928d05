#include "compiler/import/torchscript/heap.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "compiler/import/torchscript/parser.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::IValue;
using torch_file::PickleDocument;
using torch_file::PickleValue;
using PKind = PickleValue::Kind;

std::string Join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// The kind of a list's elements, from a tag like "List[int]".
aten::Kind ElementKind(const std::string& tag) {
  if (tag.empty()) return aten::Kind::kNone;
  const absl::StatusOr<ExprPtr> expr = ParseExpression(tag, "data.pkl");
  if (!expr.ok()) return aten::Kind::kNone;
  const absl::StatusOr<TypePtr> type = TypeOf(**expr);
  if (!type.ok() || (*type)->kind != Type::Kind::kList || (*type)->parts.empty()) {
    return aten::Kind::kNone;
  }
  return KindOf(*(*type)->parts[0]);
}

bool IsLeaf(const IValue& v) { return v.is_tensor() || v.is_number(); }

bool SameNumber(const IValue& a, const IValue& b) {
  if (a.kind() != b.kind() || !a.is_known() || !b.is_known()) return false;
  switch (a.kind()) {
    case aten::Kind::kInt:
      return a.dim() == b.dim();
    case aten::Kind::kBool:
      return a.bool_value() == b.bool_value();
    // NaN stays NaN.
    default:
      return a.float_value() == b.float_value() || a.float_value() != a.float_value();
  }
}

// A known number as a rank-0 tensor.
ir::Tensor TensorOf(const IValue& number) {
  if (number.kind() == aten::Kind::kFloat) {
    ir::Tensor t(DType::kF64, {});
    t.SetDouble(0, number.float_value());
    return t;
  }
  const bool is_bool = number.kind() == aten::Kind::kBool;
  ir::Tensor t(is_bool ? DType::kBool : DType::kI64, {});
  t.SetInt(0, is_bool ? number.bool_value() : number.int_value());
  return t;
}

}  // namespace

absl::StatusOr<ObjectPtr> Heap::LoadRoot() {
  FLOE_TRY_ASSIGN(IValue value, Convert(*program_.data().root(), program_.data(), ""));
  root_ = As<Object>(value);
  if (root_ == nullptr) {
    return absl::InvalidArgumentError(
        "data.pkl holds no module: is this a file of torch.save? Save torch.jit.trace's or "
        "torch.jit.script's result with its method save()");
  }
  std::set<const void*> seen;
  FLOE_TRY(Collect(value, "", &before_, &seen));
  return root_;
}

absl::StatusOr<IValue> Heap::Constant(size_t index) {
  const PickleValue* table = program_.constants().root();
  if (!table->is(PKind::kTuple) && !table->is(PKind::kList)) {
    return absl::InvalidArgumentError("constants.pkl holds no tuple");
  }
  if (index >= table->items().size()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "CONSTANTS.c%d does not exist: the file has %d constants", index, table->items().size()));
  }
  return Convert(*table->items()[index], program_.constants(),
                 absl::StrFormat("CONSTANTS.c%d", index));
}

absl::StatusOr<IValue> Heap::Convert(const PickleValue& value, const PickleDocument& document,
                                     const std::string& path) {
  if (const auto it = memo_.find(&value); it != memo_.end()) return it->second;
  FLOE_TRY_ASSIGN(IValue converted, ConvertNew(value, document, path));
  // Numbers have no identity.
  if (!converted.is_number()) memo_[&value] = converted;
  return converted;
}

absl::StatusOr<IValue> Heap::ConvertNew(const PickleValue& value, const PickleDocument& document,
                                        const std::string& path) {
  switch (value.kind()) {
    case PKind::kNone:
      return IValue();
    case PKind::kBool:
      return NewNumber(IValue::Bool(value.AsBool()), path);
    case PKind::kInt:
      return NewNumber(IValue::Int(value.AsInt()), path);
    case PKind::kFloat:
      return NewNumber(IValue::Float(value.AsFloat()), path);
    case PKind::kString:
      return IValue::String(value.text());
    case PKind::kDevice:
      return IValue::Device(value.text());
    case PKind::kTensor:
      return ConvertTensor(value, document, path);
    case PKind::kQuantizedTensor:
      return ConvertQuantized(value, document, path);
    case PKind::kObject:
      return ConvertObject(value, document, path);
    case PKind::kDType:
      return IValue::Int(static_cast<int64_t>(value.scalar_type()));
    case PKind::kList:
    case PKind::kTuple: {
      std::vector<IValue> items;
      for (size_t i = 0; i < value.items().size(); ++i) {
        FLOE_TRY_ASSIGN(IValue item,
                        Convert(*value.items()[i], document, Join(path, std::to_string(i))));
        items.push_back(std::move(item));
      }
      if (value.is(PKind::kTuple)) return IValue::TupleOf(std::move(items));
      aten::Kind element = ElementKind(value.type_tag());
      if (element == aten::Kind::kNone && !items.empty()) element = items[0].kind();
      return IValue::ListOf(std::move(items), element);
    }
    case PKind::kDict: {
      IValue dict = IValue::NewDict();
      for (size_t i = 0; i + 1 < value.items().size(); i += 2) {
        FLOE_TRY_ASSIGN(IValue key, Convert(*value.items()[i], document, path + ".key"));
        const std::string name =
            key.kind() == aten::Kind::kString ? key.string() : std::to_string(i / 2);
        FLOE_TRY_ASSIGN(IValue item, Convert(*value.items()[i + 1], document, Join(path, name)));
        dict.dict()->items.emplace_back(std::move(key), std::move(item));
      }
      return dict;
    }
    default:
      return IValue::Of(std::make_shared<Unreadable>(
          absl::StrFormat("'%s' holds %s, which is not supported", path, value.KindName())));
  }
}

absl::StatusOr<IValue> Heap::ConvertObject(const PickleValue& value, const PickleDocument& document,
                                           const std::string& path) {
  const std::string& name = value.text();
  FLOE_TRY_ASSIGN(ClassInfo * info, program_.FindClass(name));
  if (info == nullptr) {
    if (!absl::StartsWith(name, "__torch__.torch.classes.")) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "data.pkl holds a '%s', but the archive has no code of that class", name));
    }
    IValue state;
    if (value.state() != nullptr) {
      FLOE_TRY_ASSIGN(state, Convert(*value.state(), document, path));
    }
    return IValue::Of(std::make_shared<NativeObject>(name, std::move(state)));
  }
  if (info->def->base == "Enum") {
    if (value.items().size() != 1) {
      return absl::InvalidArgumentError(absl::StrFormat("'%s' is no member of an enum", path));
    }
    FLOE_TRY_ASSIGN(IValue member, Convert(*value.items()[0], document, path));
    return IValue::Of(std::make_shared<EnumMember>(name, path, std::move(member)));
  }
  auto object = std::make_shared<Object>(info, path);
  if (value.state() == nullptr) return IValue::Of(std::move(object));
  if (info->methods.contains("__setstate__")) {
    FLOE_TRY_ASSIGN(IValue state, Convert(*value.state(), document, path));
    if (!set_state) return absl::InternalError("no interpreter for __setstate__");
    FLOE_TRY(set_state(object, state));
    return IValue::Of(std::move(object));
  }
  const PickleValue& state = *value.state();
  if (!state.is(PKind::kDict)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the object '%s' of class %s has no attributes", path, name));
  }
  for (size_t i = 0; i + 1 < state.items().size(); i += 2) {
    if (!state.items()[i]->is(PKind::kString)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the object '%s' has an attribute without a name", path));
    }
    const std::string& attribute = state.items()[i]->text();
    FLOE_TRY_ASSIGN(object->attributes[attribute],
                    Convert(*state.items()[i + 1], document, Join(path, attribute)));
  }
  return IValue::Of(std::move(object));
}

aten::VariablePtr Heap::NewTensor(ir::Tensor tensor, const std::string& path) {
  ir::Value* value = nullptr;
  if (states_.contains(path)) {
    state_index_[path] = context_.graph().states().size();
    value = context_.graph().AddState(path, std::move(tensor));
  } else {
    value = context_.graph().AddConstant(path.empty() ? "constant" : path, std::move(tensor));
  }
  aten::VariablePtr variable = context_.NewVariable(value);
  variable->name = path;
  return variable;
}

IValue Heap::NewNumber(IValue number, const std::string& path) {
  if (!states_.contains(path)) return number;
  return IValue::Scalar(number.kind(), NewTensor(TensorOf(number), path));
}

absl::StatusOr<IValue> Heap::ConvertTensor(const PickleValue& value, const PickleDocument& document,
                                           const std::string& path) {
  const torch_file::TensorRecord& record = value.tensor();
  const std::string memory = absl::StrFormat(
      "%s/%s/%d/%d/%s/%s", &document == &program_.data() ? "data" : "constants",
      record.storage->key, record.layout.offset, static_cast<int>(record.layout.dtype),
      absl::StrJoin(record.layout.sizes, ","), absl::StrJoin(record.layout.strides, ","));
  if (const auto it = by_memory_.find(memory); it != by_memory_.end()) return it->second;
  absl::StatusOr<ir::Tensor> tensor = document.ToTensor(value, path);
  if (!tensor.ok()) {
    // A type that Floe does not have matters only if the model uses it.
    if (!absl::IsUnimplemented(tensor.status())) return tensor.status();
    return IValue::Of(std::make_shared<Unreadable>(std::string(tensor.status().message())));
  }
  IValue converted = IValue::Tensor(NewTensor(*std::move(tensor), path));
  if (torch_file::PartOfComplex(record.layout.dtype) != torch_file::ScalarType::kUndefined) {
    converted.variable()->form = aten::Form::kComplex;
  }
  by_memory_[memory] = converted;
  return converted;
}

absl::StatusOr<IValue> Heap::ConvertQuantized(const PickleValue& value,
                                              const PickleDocument& document,
                                              const std::string& path) {
  const torch_file::TensorRecord& record = value.tensor();
  FLOE_TRY_ASSIGN(ir::Tensor tensor, document.ToTensor(value, path));
  auto q = std::make_shared<QuantizedTensor>();
  q->values = NewTensor(std::move(tensor), path);
  q->scalar_type = static_cast<int64_t>(record.layout.dtype);
  q->per_channel = record.qscheme == torch_file::TensorRecord::QScheme::kPerChannelAffine;
  if (q->per_channel) {
    if (record.scales == nullptr || record.zero_points == nullptr) {
      return absl::InvalidArgumentError(absl::StrFormat("'%s' has no scales", path));
    }
    FLOE_TRY_ASSIGN(q->scale, Convert(*record.scales, document, path + ".scales"));
    FLOE_TRY_ASSIGN(q->zero_point, Convert(*record.zero_points, document, path + ".zero_points"));
    q->axis = record.axis;
  } else {
    q->scale = IValue::Float(record.scale);
    q->zero_point = IValue::Int(record.zero_point);
  }
  return IValue::Of(std::move(q));
}

absl::Status Heap::Collect(const IValue& value, const std::string& path, Leaves* leaves,
                           std::set<const void*>* seen) {
  if (seen->size() > size_t{1} << 22) {
    return absl::ResourceExhaustedError("the model has too many attributes");
  }
  if (IsLeaf(value)) {
    Leaf leaf = {value, nullptr};
    if (value.variable() != nullptr) {
      FLOE_TRY_ASSIGN(leaf.tensor, context_.Read(value.variable()));
    }
    (*leaves)[path] = std::move(leaf);
  } else if (value.is_sequence()) {
    if (!seen->insert(value.list().get()).second) return absl::OkStatus();
    (*leaves)[path + ".len()"] = {IValue::Int(static_cast<int64_t>(value.items().size())), nullptr};
    for (size_t i = 0; i < value.items().size(); ++i) {
      FLOE_TRY(Collect(value.items()[i], Join(path, std::to_string(i)), leaves, seen));
    }
  } else if (value.kind() == aten::Kind::kDict) {
    if (!seen->insert(value.dict().get()).second) return absl::OkStatus();
    const auto& items = value.dict()->items;
    (*leaves)[path + ".len()"] = {IValue::Int(static_cast<int64_t>(items.size())), nullptr};
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string name = items[i].first.kind() == aten::Kind::kString
                                   ? items[i].first.string()
                                   : std::to_string(i);
      FLOE_TRY(Collect(items[i].second, Join(path, name), leaves, seen));
    }
  } else if (const ObjectPtr object = As<Object>(value)) {
    if (!seen->insert(object.get()).second) return absl::OkStatus();
    for (const auto& [name, attribute] : object->attributes) {
      FLOE_TRY(Collect(attribute, Join(path, name), leaves, seen));
    }
  } else {
    (*leaves)[path] = {value, nullptr};
  }
  return absl::OkStatus();
}

absl::StatusOr<std::set<std::string>> Heap::Changed() {
  Leaves after;
  std::set<const void*> seen;
  FLOE_TRY(Collect(IValue::Of(root_), "", &after, &seen));
  std::set<std::string> changed;
  for (const auto& [path, leaf] : after) {
    const auto it = before_.find(path);
    const bool was_leaf = it != before_.end() && IsLeaf(it->second.value);
    if (it != before_.end() && !was_leaf && !IsLeaf(leaf.value)) continue;
    const bool length = absl::EndsWith(path, ".len()");
    if (was_leaf && !length && it->second.value.kind() == leaf.value.kind()) {
      const bool same = leaf.tensor != nullptr || it->second.tensor != nullptr
                            ? leaf.tensor == it->second.tensor
                            : SameNumber(leaf.value, it->second.value);
      if (!same) changed.insert(path);
      continue;
    }
    if (was_leaf && length && SameNumber(leaf.value, it->second.value)) continue;
    if (IsUnknown(leaf.value)) continue;
    return absl::UnimplementedError(absl::StrFormat(
        "the model changes its attribute '%s' from run to run into something of another type or "
        "length; give it a tensor of its final shape and type from the beginning",
        length ? path.substr(0, path.size() - 6) : path));
  }
  return changed;
}

absl::Status Heap::FinishStates() {
  Leaves after;
  std::set<const void*> seen;
  FLOE_TRY(Collect(IValue::Of(root_), "", &after, &seen));
  ir::Graph& graph = context_.graph();
  for (const auto& [path, index] : state_index_) {
    const auto it = after.find(path);
    if (it == after.end()) continue;
    ir::Value* value = it->second.tensor;
    if (value == nullptr) {
      // A number that is the same after each run.
      if (!it->second.value.is_known() ||
          (it->second.value.kind() == aten::Kind::kInt && !it->second.value.is_constant_int())) {
        return absl::UnimplementedError(absl::StrFormat(
            "the attribute '%s' takes a value that depends on the input's shape", path));
      }
      value = graph.AddConstant(path + ".next", TensorOf(it->second.value));
    }
    const ir::Value* begin = graph.states()[index].value;
    if (value->dtype() != begin->dtype() || value->shape() != begin->shape()) {
      return absl::UnimplementedError(absl::StrFormat(
          "the attribute '%s' is %s%s at first and %s%s after a run; a state keeps its type", path,
          DTypeName(begin->dtype()), ir::ShapeToString(begin->shape(), graph.symbols),
          DTypeName(value->dtype()), ir::ShapeToString(value->shape(), graph.symbols)));
    }
    graph.SetStateResult(index, value);
  }
  return absl::OkStatus();
}

}  // namespace floe::torchscript
