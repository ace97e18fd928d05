#include "compiler/import/torchscript/signature.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "compiler/import/torchscript/objects.h"
#include "compiler/ir/control.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::IValue;
using aten::Kind;
using torch_file::PickleValue;

constexpr int kMaxDepth = 16;

// An optional's type is its value's: whether it is None is decided by the options.
const Type& Inner(const Type& type) {
  return type.kind == Type::Kind::kOptional ? Inner(*type.parts[0]) : type;
}

bool IsNumber(const Type& type) {
  return type.kind == Type::Kind::kInt || type.kind == Type::Kind::kFloat ||
         type.kind == Type::Kind::kBool || type.kind == Type::Kind::kNumber;
}

bool IsContainer(const Type& type) {
  return type.kind == Type::Kind::kList || type.kind == Type::Kind::kTuple ||
         type.kind == Type::Kind::kDict;
}

// A default value that is a constant; None for others, which printed code does not have.
IValue Literal(const Expr* expr) {
  if (expr == nullptr) return IValue();
  switch (expr->kind) {
    case Expr::Kind::kInt:
      return IValue::Int(expr->integer);
    case Expr::Kind::kFloat:
      return IValue::Float(expr->number);
    case Expr::Kind::kTrue:
      return IValue::Bool(true);
    case Expr::Kind::kFalse:
      return IValue::Bool(false);
    case Expr::Kind::kString:
      return IValue::String(expr->text);
    case Expr::Kind::kList:
    case Expr::Kind::kTuple: {
      std::vector<IValue> items;
      for (const ExprPtr& e : expr->parts) items.push_back(Literal(e.get()));
      const Kind element = items.empty() ? Kind::kNone : items[0].kind();
      return expr->kind == Expr::Kind::kTuple ? IValue::TupleOf(std::move(items))
                                              : IValue::ListOf(std::move(items), element);
    }
    case Expr::Kind::kCall:
      // annotate(T, value)
      return expr->parts.size() == 3 ? Literal(expr->parts[2].get()) : IValue();
    default:
      return IValue();
  }
}

}  // namespace

bool ArgumentMaker::Mentioned(const std::string& name) const {
  const auto in = [&](const auto& map) {
    const auto it = map.lower_bound(name);
    return it != map.end() && (it->first == name || absl::StartsWith(it->first, name + "."));
  };
  // "x.0" sorts behind "x" but maybe behind "x-y" as well.
  const auto any = [&](const auto& map) {
    return in(map) || std::any_of(map.begin(), map.end(), [&](const auto& item) {
             return absl::StartsWith(item.first, name + ".");
           });
  };
  return any(options_.shapes) || any(options_.frozen);
}

std::vector<std::string> ArgumentMaker::Elements(const std::string& name) const {
  std::vector<std::string> elements;
  const auto add = [&](const auto& map) {
    for (const auto& [key, value] : map) {
      if (!absl::StartsWith(key, name + ".")) continue;
      const std::string rest = key.substr(name.size() + 1);
      const std::string element = rest.substr(0, rest.find('.'));
      if (std::find(elements.begin(), elements.end(), element) == elements.end()) {
        elements.push_back(element);
      }
    }
  };
  add(options_.shapes);
  add(options_.frozen);
  // Numbers in their order: x.2 comes before x.10.
  std::sort(elements.begin(), elements.end(), [](const std::string& a, const std::string& b) {
    uint32_t x = 0;
    uint32_t y = 0;
    return absl::SimpleAtoi(a, &x) && absl::SimpleAtoi(b, &y) ? x < y : a < b;
  });
  return elements;
}

void ArgumentMaker::ReadTraced(const FunctionDef& forward) {
  if (program_.traced_inputs() == nullptr) return;
  const PickleValue* root = program_.traced_inputs()->root();
  const PickleValue* list = root->is(PickleValue::Kind::kDict) ? root->Find("forward") : nullptr;
  if (list == nullptr ||
      !(list->is(PickleValue::Kind::kList) || list->is(PickleValue::Kind::kTuple))) {
    return;
  }
  for (size_t i = 0; i < list->items().size() && i + 1 < forward.parameters.size(); ++i) {
    const PickleValue* v = list->items()[i];
    if (!v->is(PickleValue::Kind::kTensor)) continue;
    const absl::StatusOr<DType> dtype = torch_file::ToDType(v->tensor().layout.dtype);
    if (!dtype.ok()) continue;
    traced_[forward.parameters[i + 1].name] = {*dtype, v->tensor().layout.sizes};
  }
}

absl::StatusOr<std::vector<IValue>> ArgumentMaker::Make(const FunctionDef& forward) {
  ReadTraced(forward);
  std::vector<IValue> arguments;
  for (size_t i = 1; i < forward.parameters.size(); ++i) {
    const Parameter& p = forward.parameters[i];
    TypePtr type = std::make_shared<Type>();
    if (p.type != nullptr) {
      FLOE_TRY_ASSIGN(type, TypeOf(*p.type));
    }
    FLOE_TRY_ASSIGN(IValue argument, MakeOne(p.name, *type, p.default_value.get(), 0));
    arguments.push_back(std::move(argument));
  }
  if (missing_) return MissingShapes(forward);
  FLOE_TRY(CheckOptionsUsed());
  return arguments;
}

absl::StatusOr<IValue> ArgumentMaker::MakeOne(const std::string& name, const Type& type,
                                              const Expr* default_value, int depth) {
  if (depth > kMaxDepth) return absl::InvalidArgumentError("an input's type is nested too deep");
  const Type& inner = Inner(type);
  const bool mentioned = Mentioned(name);
  if (!mentioned && type.kind == Type::Kind::kOptional) return Literal(default_value);
  if (!mentioned && default_value != nullptr && default_value->kind != Expr::Kind::kNone) {
    return Literal(default_value);
  }
  if (inner.kind == Type::Kind::kTensor) return MakeTensor(name);
  if (IsNumber(inner)) return MakeNumber(name, inner, default_value);
  if (IsContainer(inner)) return MakeElements(name, inner, depth);
  if (inner.kind == Type::Kind::kNone) return IValue();
  if (inner.kind == Type::Kind::kDevice) return IValue::Device("cpu");
  // What can't be an input and has no default.
  return absl::UnimplementedError(absl::StrFormat(
      "forward() has a parameter '%s' of type %s without a default; only tensors, numbers and "
      "containers of them can be inputs",
      name, type.ToString()));
}

absl::StatusOr<ir::Dim> ArgumentMaker::MakeDim(const std::string& name, const DimSpec& spec) {
  if (spec.symbol.empty()) {
    if (spec.value >= 0) return ir::Dim(spec.value);
    return absl::InvalidArgumentError(
        absl::StrFormat("the shape of input '%s' has a negative dimension", name));
  }
  const auto it = options_.dims.find(spec.symbol);
  if (it == options_.dims.end()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "dimension '%s' of input '%s' has no bounds; give them with --dim %s=1..8 (or a number: "
        "--dim %s=4)",
        spec.symbol, name, spec.symbol, spec.symbol));
  }
  used_dims_.insert(spec.symbol);
  const DimBounds& b = it->second;
  if (b.min < 0 || b.max < b.min || b.multiple < 1) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dimension '%s' has the bounds %d..%d", spec.symbol, b.min, b.max));
  }
  if (b.min == b.max) return ir::Dim(b.min);
  ir::Graph& graph = context_.graph();
  const ir::SymbolId id = graph.GetSymbol(spec.symbol, b.min, b.max);
  graph.symbols[id].multiple = b.multiple;
  return ir::Dim::OfSymbol(id);
}

IValue ArgumentMaker::Frozen(const ir::Tensor& tensor, const std::string& name, const Type& type) {
  if (tensor.count() == 1 && IsNumber(type)) {
    if (type.kind == Type::Kind::kBool) return IValue::Bool(tensor.DoubleAt(0) != 0);
    if (type.kind == Type::Kind::kFloat || IsFloat(tensor.dtype())) {
      return IValue::Float(tensor.DoubleAt(0));
    }
    return IValue::Int(tensor.IntAt(0));
  }
  return context_.NewTensor(context_.graph().AddConstant(name, tensor));
}

absl::StatusOr<IValue> ArgumentMaker::MakeTensor(const std::string& name) {
  used_.insert(name);
  if (const auto it = options_.frozen.find(name); it != options_.frozen.end()) {
    return Frozen(it->second, name, Type());
  }
  const auto it = options_.shapes.find(name);
  if (it == options_.shapes.end()) {
    missing_ = true;
    return IValue();
  }
  ir::Shape shape;
  for (const DimSpec& spec : it->second) {
    FLOE_TRY_ASSIGN(ir::Dim d, MakeDim(name, spec));
    shape.push_back(std::move(d));
  }
  constexpr size_t kMaxInputRank = 8;
  if (shape.size() > kMaxInputRank) {
    return absl::InvalidArgumentError(
        absl::StrFormat("input '%s' has %d dimensions; at most %d are supported", name,
                        shape.size(), kMaxInputRank));
  }
  DType dtype = DType::kF32;
  if (const auto t = traced_.find(name); t != traced_.end()) dtype = t->second.dtype;
  if (const auto t = options_.dtypes.find(name); t != options_.dtypes.end()) dtype = t->second;
  aten::VariablePtr variable =
      context_.NewVariable(context_.graph().AddInput(name, dtype, std::move(shape)));
  variable->name = name;
  return IValue::Tensor(std::move(variable));
}

absl::StatusOr<IValue> ArgumentMaker::MakeNumber(const std::string& name, const Type& type,
                                                 const Expr* default_value) {
  used_.insert(name);
  if (const auto it = options_.frozen.find(name); it != options_.frozen.end()) {
    if (it->second.count() == 1) return Frozen(it->second, name, type);
    return absl::InvalidArgumentError(absl::StrFormat("'%s' is a number, not a tensor", name));
  }
  if (default_value != nullptr && !options_.shapes.contains(name)) return Literal(default_value);
  // A number without a default is an input: a tensor without dimensions.
  const Kind kind = type.kind == Type::Kind::kBool    ? Kind::kBool
                    : type.kind == Type::Kind::kFloat ? Kind::kFloat
                                                      : Kind::kInt;
  const DType dtype = kind == Kind::kBool    ? DType::kBool
                      : kind == Kind::kFloat ? DType::kF64
                                             : DType::kI64;
  return IValue::Scalar(kind, context_.NewVariable(context_.graph().AddInput(name, dtype, {})));
}

absl::StatusOr<IValue> ArgumentMaker::MakeElements(const std::string& name, const Type& type,
                                                   int depth) {
  std::vector<IValue> items;
  if (type.kind == Type::Kind::kTuple && !type.parts.empty()) {
    for (size_t i = 0; i < type.parts.size(); ++i) {
      FLOE_TRY_ASSIGN(IValue item, MakeOne(absl::StrFormat("%s.%d", name, i), *type.parts[i],
                                           nullptr, depth + 1));
      items.push_back(std::move(item));
    }
    return IValue::TupleOf(std::move(items));
  }
  const std::vector<std::string> elements = Elements(name);
  if (elements.empty()) missing_ = true;
  IValue dict = IValue::NewDict();
  for (const std::string& element : elements) {
    if (type.parts.empty()) break;
    FLOE_TRY_ASSIGN(IValue item,
                    MakeOne(name + "." + element, *type.parts.back(), nullptr, depth + 1));
    int64_t number = 0;
    if (type.kind == Type::Kind::kDict && type.parts[0]->kind == Type::Kind::kInt &&
        absl::SimpleAtoi(element, &number)) {
      dict.dict()->items.emplace_back(IValue::Int(number), item);
    } else {
      dict.dict()->items.emplace_back(IValue::String(element), item);
    }
    items.push_back(std::move(item));
  }
  if (type.kind == Type::Kind::kDict) return dict;
  return IValue::ListOf(std::move(items),
                        type.parts.empty() ? Kind::kNone : KindOf(*type.parts[0]));
}

absl::Status ArgumentMaker::MissingShapes(const FunctionDef& forward) const {
  std::string text =
      "a TorchScript file has no input shapes: give them with --like in.npz (arrays named after "
      "the inputs) or --shape NAME=[N,3,224,224]; a list, tuple or dict x has the inputs x.0, x.1 "
      "or x.key. forward() takes:";
  for (size_t i = 1; i < forward.parameters.size(); ++i) {
    const Parameter& p = forward.parameters[i];
    const absl::StatusOr<TypePtr> type =
        p.type != nullptr ? TypeOf(*p.type) : absl::StatusOr<TypePtr>(std::make_shared<Type>());
    absl::StrAppendFormat(&text, "\n  %s: %s", p.name,
                          type.ok() ? (*type)->ToString() : std::string("?"));
    if (p.default_value != nullptr) text += " (has a default)";
    if (const auto t = traced_.find(p.name); t != traced_.end()) {
      absl::StrAppendFormat(&text, ", traced with %s[%s]", DTypeName(t->second.dtype),
                            absl::StrJoin(t->second.dims, ","));
    }
  }
  return absl::InvalidArgumentError(text);
}

absl::Status ArgumentMaker::CheckOptionsUsed() const {
  const auto check = [&](const auto& map) -> absl::Status {
    for (const auto& [name, value] : map) {
      if (used_.contains(name)) continue;
      std::vector<std::string> inputs;
      for (const ir::Value* v : context_.graph().inputs()) inputs.push_back(v->name());
      return absl::InvalidArgumentError(
          absl::StrFormat("a shape or value is given for '%s', but the model has no such input; it "
                          "has: %s",
                          name, absl::StrJoin(inputs, ", ")));
    }
    return absl::OkStatus();
  };
  FLOE_TRY(check(options_.shapes));
  FLOE_TRY(check(options_.dtypes));
  FLOE_TRY(check(options_.frozen));
  for (const auto& [symbol, bounds] : options_.dims) {
    if (used_dims_.contains(symbol)) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "bounds are given for dimension '%s', but no input's shape has it", symbol));
  }
  return absl::OkStatus();
}

namespace {

absl::Status AddOutput(aten::Context& context, const IValue& v, const std::string& name,
                       int depth) {
  if (depth > kMaxDepth) return absl::UnimplementedError("the output is nested too deep");
  ir::Graph& graph = context.graph();
  if (v.variable() != nullptr) {
    FLOE_TRY(context.CheckOutput(v.variable()));
    FLOE_TRY_ASSIGN(ir::Value * value, context.Read(v.variable()));
    graph.AddOutput(value, name);
    return absl::OkStatus();
  }
  switch (v.kind()) {
    case Kind::kNone:
      return absl::OkStatus();
    case Kind::kInt: {
      FLOE_TRY_ASSIGN(ir::Value * value, ir::AddDim(graph, v.dim(), name, {}));
      graph.AddOutput(value, name);
      return absl::OkStatus();
    }
    case Kind::kBool:
      graph.AddOutput(ir::AddBool(graph, name, v.bool_value()), name);
      return absl::OkStatus();
    case Kind::kFloat: {
      ir::Tensor t(DType::kF64, {});
      t.SetDouble(0, v.float_value());
      graph.AddOutput(graph.AddConstant(name, std::move(t)), name);
      return absl::OkStatus();
    }
    case Kind::kList:
    case Kind::kTuple:
      for (size_t i = 0; i < v.items().size(); ++i) {
        FLOE_TRY(AddOutput(context, v.items()[i], absl::StrFormat("%s.%d", name, i), depth + 1));
      }
      return absl::OkStatus();
    case Kind::kDict:
      for (const auto& [key, item] : v.dict()->items) {
        const std::string text = key.kind() == Kind::kString ? key.string()
                                 : key.is_constant_int()     ? std::to_string(key.int_value())
                                                             : key.Describe();
        FLOE_TRY(AddOutput(context, item, name + "." + text, depth + 1));
      }
      return absl::OkStatus();
    default:
      return absl::UnimplementedError(absl::StrFormat(
          "forward() returns %s as '%s', which is no tensor or number", v.Describe(), name));
  }
}

}  // namespace

absl::Status AddOutputs(aten::Context& context, const IValue& returned) {
  FLOE_TRY(AddOutput(context, returned, "output", 0));
  if (!context.graph().outputs().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("forward() returns no tensor");
}

}  // namespace floe::torchscript
