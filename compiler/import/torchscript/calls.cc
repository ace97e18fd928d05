// Calls of operators: built-in functions, operators of older versions, quantised ones, and all
// others through the ATen layer.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compiler/import/aten/schema.h"
#include "compiler/import/emitter.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/import/torchscript/interpreter.h"
#include "compiler/import/torchscript/quantized.h"
#include "compiler/ir/control.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

// Emits single nodes around the ATen layer.
class SiteEmitter : public import::Emitter {
 public:
  SiteEmitter(ir::Graph& graph, const CallSite& site)
      : Emitter(graph, site.provenance), name_(site.name) {}

 private:
  std::string NextName(OpId) override { return name_; }
  std::string ConstantName() override { return name_ + ".constant"; }
  const std::string name_;
};

bool AnyUnknown(const CallArguments& arguments) {
  return std::any_of(arguments.positional.begin(), arguments.positional.end(),
                     [](const IValue& v) { return HasUnknown(v); }) ||
         std::any_of(arguments.keyword.begin(), arguments.keyword.end(),
                     [](const auto& k) { return HasUnknown(k.second); });
}

// Why an argument can't be used; empty if all can.
std::string UnreadableReason(const CallArguments& arguments) {
  for (const IValue& v : arguments.positional) {
    if (const auto unreadable = As<Unreadable>(v)) return unreadable->reason;
    if (!v.is_sequence()) continue;
    for (const IValue& item : v.items()) {
      if (const auto unreadable = As<Unreadable>(item)) return unreadable->reason;
    }
  }
  for (const auto& [name, v] : arguments.keyword) {
    if (const auto unreadable = As<Unreadable>(v)) return unreadable->reason;
  }
  return "";
}

// Whether any overload could be mapped, for calls whose arguments are not known.
bool MayBeSupported(const std::string& name) {
  if (HasBuiltin(name) || IsQuantizedOp(name)) return true;
  const std::vector<aten::Schema>& schemas = aten::FindSchemas(name);
  return std::any_of(schemas.begin(), schemas.end(), [](const aten::Schema& s) {
    return aten::Context::IsSupported(s.FullName());
  });
}

// Operators of two operands whose result type the operands decide.
bool IsArithmetic(const std::string& name) {
  constexpr const char* kNames[] = {
      "add",         "sub",       "rsub",    "mul",     "div",   "true_divide", "floor_divide",
      "pow",         "remainder", "fmod",    "eq",      "ne",    "lt",          "le",
      "gt",          "ge",        "maximum", "minimum", "atan2", "bitwise_and", "bitwise_or",
      "bitwise_xor", "__and__",   "__or__",  "__xor__"};
  if (!absl::StartsWith(name, "aten::")) return false;
  const std::string plain = name.substr(6);
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](const char* n) { return plain == n || plain == std::string(n) + "_"; });
}

// A trace turns the numbers of the user's code into constants without dimensions, which still take
// part in type promotion as numbers do.
std::optional<IValue> TracedNumber(aten::Context& context, const IValue& v) {
  if (!v.is_tensor() || !absl::StartsWith(v.variable()->name, "CONSTANTS.")) return std::nullopt;
  const absl::StatusOr<ir::Value*> value = context.Read(v.variable());
  if (!value.ok() || !(*value)->is_constant() || (*value)->rank() != 0) return std::nullopt;
  const ir::Tensor& t = (*value)->constant();
  if (t.dtype() == DType::kF64) return IValue::Float(t.DoubleAt(0));
  if (t.dtype() == DType::kI64) return IValue::Int(t.IntAt(0));
  return std::nullopt;
}

void RestoreTracedNumbers(aten::Context& context, CallArguments* arguments) {
  std::vector<IValue>& args = arguments->positional;
  if (args.size() < 2 || !args[0].is_tensor() || !args[1].is_tensor()) return;
  const std::optional<IValue> left = TracedNumber(context, args[0]);
  const std::optional<IValue> right = TracedNumber(context, args[1]);
  if (left.has_value() == right.has_value()) return;
  if (left.has_value()) args[0] = *left;
  if (right.has_value()) args[1] = *right;
}

const IValue* Keyword(const CallArguments& arguments, const std::string& name) {
  for (const auto& [keyword, value] : arguments.keyword) {
    if (keyword == name) return &value;
  }
  return nullptr;
}

}  // namespace

CallSite Interpreter::SiteOf(const std::string& op, const Expr& expr, const Frame& frame) {
  const size_t colons = op.find("::");
  const std::string plain = colons == std::string::npos ? op : op.substr(colons + 2);
  CallSite site;
  // The printer's own temporaries are called _12.
  site.name = target_.empty() || target_[0] == '_' ? plain : target_;
  site.provenance.node = frame.path.empty() ? plain : frame.path + "/" + plain;
  site.provenance.source = PlaceOf(*frame.unit, expr.at);
  return site;
}

absl::StatusOr<IValue> Interpreter::CallOperator(const std::string& name, CallArguments arguments,
                                                 const Expr& expr, Frame& frame) {
  if (name == "prim::RaiseException") {
    const std::string message = arguments.positional.empty() ? "" : TextOf(arguments.positional[0]);
    return Error(expr.at, frame, absl::StatusCode::kAborted, message);
  }
  const bool in_container =
      !arguments.positional.empty() && (arguments.positional[0].is_sequence() ||
                                        arguments.positional[0].kind() == aten::Kind::kDict);
  // Containers of unknown values are handled like others: lists keep their length.
  if (AnyUnknown(arguments) && !(in_container && HasBuiltin(name))) {
    if (!MayBeSupported(name)) {
      Refuse(name, "has no mapping", PlaceOf(*frame.unit, expr.at));
    }
    return UnknownValue();
  }
  const CallSite site = SiteOf(name, expr, frame);
  absl::StatusOr<IValue> result = absl::InternalError("");
  if (std::string reason = UnreadableReason(arguments); !reason.empty()) {
    result = absl::UnimplementedError(reason);
  } else {
    result = Dispatch(name, arguments, site);
  }
  if (result.ok()) return result;
  if (absl::IsUnimplemented(result.status())) {
    Refuse(name, std::string(result.status().message()), site.provenance.source);
    return UnknownValue();
  }
  return Error(expr.at, frame, result.status().code(),
               absl::StrFormat("%s: %s", name, std::string(result.status().message())));
}

absl::StatusOr<IValue> Interpreter::Dispatch(const std::string& name, CallArguments& arguments,
                                             const CallSite& site) {
  if (arguments.keyword.empty()) {
    if (const BuiltinRow* row = FindBuiltin(name, arguments.positional)) {
      return row->function({*this, arguments.positional, site});
    }
  }
  ++report_->ops[name];
  if (IsQuantizedCall(name, arguments)) return CallQuantized(*this, name, arguments, site);
  if (IsArithmetic(name)) RestoreTracedNumbers(context_, &arguments);
  std::string op = name;
  FLOE_TRY(UpgradeCall(&op, &arguments, site));
  std::vector<IValue> results;
  FLOE_TRY(context_.CallOverloaded(op, arguments, site, &results));
  if (results.empty()) return IValue();
  if (results.size() == 1) return std::move(results[0]);
  return IValue::TupleOf(std::move(results));
}

// What operators meant when the file was saved, in terms of today's.
absl::Status Interpreter::UpgradeCall(std::string* name, CallArguments* arguments,
                                      const CallSite&) {
  std::vector<IValue>& args = arguments->positional;
  const int64_t version = program_.version();
  if (version < 4 && (*name == "aten::div" || *name == "aten::div_") && args.size() == 2 &&
      Keyword(*arguments, "rounding_mode") == nullptr) {
    // Division of integers gave an integer.
    bool integers = true;
    for (const IValue& v : args) {
      if (v.is_tensor()) {
        FLOE_TRY_ASSIGN(const ir::Value* value, context_.Read(v.variable()));
        integers = integers && !IsFloat(value->dtype());
      } else {
        integers = integers && v.kind() != aten::Kind::kFloat;
      }
    }
    if (integers) arguments->keyword.emplace_back("rounding_mode", IValue::String("trunc"));
  }
  if (version < 5 && *name == "aten::full" && args.size() >= 2) {
    // Without a dtype, the result was of the default dtype whatever the value's type.
    const IValue* dtype = Keyword(*arguments, "dtype");
    if ((dtype == nullptr || dtype->is_none()) && args[1].is_known() &&
        args[1].kind() != aten::Kind::kFloat) {
      FLOE_TRY_ASSIGN(const int64_t value, args[1].kind() == aten::Kind::kBool
                                               ? absl::StatusOr<int64_t>(args[1].bool_value())
                                               : ConstantInt(args[1], "full's value"));
      args[1] = IValue::Float(static_cast<double>(value));
    }
  }
  const bool linear = *name == "aten::linspace" && version < 8;
  const bool logarithmic = *name == "aten::logspace" && version < 9;
  if ((linear || logarithmic) && args.size() >= 3 && args[2].is_none()) args[2] = IValue::Int(100);
  return absl::OkStatus();
}

absl::StatusOr<IValue> Interpreter::Aten(const std::string& full_name,
                                         std::vector<IValue> positional, const CallSite& site) {
  std::vector<IValue> results;
  FLOE_TRY(context_.Call(full_name, {std::move(positional), {}}, site, &results));
  return results.empty() ? IValue() : std::move(results[0]);
}

absl::StatusOr<aten::VariablePtr> Interpreter::NumberTensor(const IValue& number, DType dtype) {
  CallSite site;
  site.name = "number";
  ir::Value* value = nullptr;
  SiteEmitter emitter(context_.graph(), site);
  if (!number.is_known()) {
    FLOE_TRY_ASSIGN(value, context_.Read(number.variable()));
  } else if (number.kind() == aten::Kind::kInt && !number.dim().is_constant()) {
    FLOE_TRY_ASSIGN(value, ir::AddDim(outermost_, number.dim(), "size", site.provenance));
    FLOE_TRY_ASSIGN(value, context_.Local(value));
  } else if (number.kind() == aten::Kind::kFloat) {
    value = emitter.Scalar(DType::kF64, number.float_value());
  } else {
    ir::Tensor t(DType::kI64, {});
    t.SetInt(0, number.kind() == aten::Kind::kBool ? number.bool_value() : number.int_value());
    value = emitter.Constant(std::move(t));
  }
  if (value->dtype() != dtype) value = emitter.Cast(value, dtype);
  FLOE_TRY(emitter.status());
  return context_.NewVariable(value);
}

absl::StatusOr<IValue> Interpreter::ElementOf(const IValue& tensor, aten::Kind kind,
                                              const CallSite& site) {
  if (tensor.variable()->form != aten::Form::kPlain) {
    return absl::UnimplementedError("a complex tensor as a Python number");
  }
  FLOE_TRY_ASSIGN(ir::Value * value, context_.Read(tensor.variable()));
  for (const ir::Dim& d : value->shape()) {
    if (d == ir::Dim(1)) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("a tensor of shape %s is no single number",
                        ir::ShapeToString(value->shape(), context_.graph().symbols)));
  }
  const bool is_float = kind == aten::Kind::kFloat;
  if (value->is_constant()) {
    const ir::Tensor& t = value->constant();
    if (is_float) return IValue::Float(t.DoubleAt(0));
    if (kind == aten::Kind::kBool) return IValue::Bool(t.DoubleAt(0) != 0);
    if (!IsFloat(t.dtype())) return IValue::Int(t.IntAt(0));
    const double d = t.DoubleAt(0);
    // Outside of this range, and for NaN, C++ and so PyTorch promise nothing.
    if (!(d > -9.2e18 && d < 9.2e18)) {
      return absl::InvalidArgumentError(absl::StrFormat("int(%g) is no number", d));
    }
    return IValue::Int(static_cast<int64_t>(d));
  }
  if (value->content.has_value() && value->content->size() == 1) {
    const ir::Dim& d = value->content->front();
    if (kind == aten::Kind::kInt) return IValue::Int(d);
    if (d.is_constant()) {
      if (is_float) return IValue::Float(static_cast<double>(d.constant()));
      return IValue::Bool(d.constant() != 0);
    }
  }
  SiteEmitter emitter(context_.graph(), site);
  const DType dtype = is_float                    ? DType::kF64
                      : kind == aten::Kind::kBool ? DType::kBool
                                                  : DType::kI64;
  value = emitter.Reshape(emitter.Cast(value, dtype), {});
  FLOE_TRY(emitter.status());
  return IValue::Scalar(kind, context_.NewVariable(value));
}

}  // namespace floe::torchscript
