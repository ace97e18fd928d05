#include "compiler/import/aten/op_builder.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/aten/ops.h"
#include "compiler/import/aten/promotion.h"
#include "compiler/ir/shapes.h"

namespace floe::aten {
namespace {

// A double as an int64_t, saturating; NaN gives 0.
int64_t Truncate(double v) {
  if (std::isnan(v)) return 0;
  if (v >= 9223372036854775808.0) return std::numeric_limits<int64_t>::max();
  if (v < -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(v);
}

const IValue& None() {
  static const auto& none = *new IValue();
  return none;
}

}  // namespace

OpBuilder::OpBuilder(Context& context, const Schema& schema, const Row& row,
                     const std::vector<IValue>& arguments, const CallSite& site)
    : Emitter(context.graph(), site.provenance),
      context_(context),
      schema_(schema),
      row_(row),
      arguments_(arguments),
      site_(site) {}

std::string OpBuilder::NextName(OpId op) {
  std::string name = site_.name;
  if (emitted_++ > 0) name += absl::StrFormat("/%s", OpRow(op).name);
  return name.empty() ? OpRow(op).name : name;
}

std::string OpBuilder::ConstantName() { return site_.name + "/constant"; }

// --- arguments -----------------------------------------------------------------------------------

const IValue* OpBuilder::FindArg(std::string_view name) const {
  for (size_t i = 0; i < schema_.arguments.size() && i < arguments_.size(); ++i) {
    if (schema_.arguments[i].name == name) return &arguments_[i];
  }
  return nullptr;
}

const IValue& OpBuilder::Arg(std::string_view name) {
  if (const IValue* v = FindArg(name)) return *v;
  Fail(absl::InternalError(
      absl::StrFormat("%s has no argument '%s'", schema_.FullName(), std::string(name))));
  return None();
}

bool OpBuilder::HasArg(std::string_view name) const { return FindArg(name) != nullptr; }

bool OpBuilder::Given(std::string_view name) const {
  const IValue* v = FindArg(name);
  return v != nullptr && !v->is_none();
}

ir::Value* OpBuilder::AsTensor(const IValue& v) {
  if (!ok()) return Placeholder();
  if (v.variable() != nullptr) {
    absl::StatusOr<ir::Value*> value = context_.Read(v.variable());
    if (value.ok()) return *value;
    Fail(value.status());
    return Placeholder();
  }
  switch (v.kind()) {
    case Kind::kInt:
      if (!v.is_constant_int()) return DimValue(v.dim());
      {
        ir::Tensor t(DType::kI64, {});
        t.SetInt(0, v.int_value());
        return Constant(std::move(t));
      }
    case Kind::kFloat:
      // A Python float takes part at double precision; ops round it to the dtype that they use.
      return Scalar(DType::kF64, v.float_value());
    case Kind::kBool:
      return Scalar(DType::kBool, v.bool_value() ? 1 : 0);
    default:
      Invalid(absl::StrFormat("%s where a tensor is expected", v.Describe()));
      return Placeholder();
  }
}

ir::Value* OpBuilder::Tensor(std::string_view name) { return AsTensor(Arg(name)); }

ir::Value* OpBuilder::OptTensor(std::string_view name) {
  return Given(name) ? AsTensor(Arg(name)) : nullptr;
}

std::vector<ir::Value*> OpBuilder::Tensors(std::string_view name) {
  std::vector<ir::Value*> values;
  const IValue& v = Arg(name);
  if (!v.is_sequence()) {
    if (ok()) Invalid(absl::StrFormat("argument '%s' is no list", std::string(name)));
    return values;
  }
  for (const IValue& item : v.items()) values.push_back(AsTensor(item));
  return values;
}

std::vector<ir::Value*> OpBuilder::OptTensors(std::string_view name) {
  std::vector<ir::Value*> values;
  const IValue& v = Arg(name);
  if (!v.is_sequence()) {
    if (ok()) Invalid(absl::StrFormat("argument '%s' is no list", std::string(name)));
    return values;
  }
  for (const IValue& item : v.items()) {
    values.push_back(item.is_none() ? nullptr : AsTensor(item));
  }
  return values;
}

ir::Dim OpBuilder::DimOf(const IValue& v, std::string_view name) {
  if (v.kind() == Kind::kInt && v.is_known()) return v.dim();
  if (v.kind() == Kind::kBool && v.is_known()) return v.bool_value() ? 1 : 0;
  if (v.kind() == Kind::kFloat && v.is_known() && std::trunc(v.float_value()) == v.float_value()) {
    return Truncate(v.float_value());
  }
  if (v.variable() != nullptr) {
    // A tensor whose number is known after all: shape arithmetic, constants.
    ir::Value* tensor = AsTensor(v);
    if (!ok()) return 0;
    if (tensor->content && tensor->content->size() == 1) return tensor->content->front();
    if (const auto ints = IntsOf(tensor); ints && ints->size() == 1) return ints->front();
    if (const auto number = ScalarOf(tensor)) return Truncate(*number);
    if (IsInt(tensor->dtype())) {
      tensor = SizeOf(Cast(Reshape(tensor, {}), DType::kI64), 0, kNoBound);
      if (!ok()) return 0;
      if (tensor->content && tensor->content->size() == 1) return tensor->content->front();
    }
    Unsupported(absl::StrFormat("argument '%s' depends on the data of a tensor, not only on shapes",
                                std::string(name)));
    return 0;
  }
  Invalid(absl::StrFormat("argument '%s' must be an int, not %s", std::string(name), v.Describe()));
  return 0;
}

ir::Dim OpBuilder::SymInt(std::string_view name) {
  const IValue& v = Arg(name);
  return ok() ? DimOf(v, name) : ir::Dim(0);
}

int64_t OpBuilder::Known(const ir::Dim& d, std::string_view name) {
  if (d.is_constant()) return d.constant();
  Unsupported(absl::StrFormat("argument '%s' is %s; it must be a number: fix that dimension",
                              std::string(name), Text(d)));
  return 0;
}

int64_t OpBuilder::Int(std::string_view name) { return Known(SymInt(name), name); }

int64_t OpBuilder::Int(std::string_view name, int64_t fallback) {
  return Given(name) ? Int(name) : fallback;
}

std::vector<ir::Dim> OpBuilder::SymInts(std::string_view name) {
  const IValue& v = Arg(name);
  std::vector<ir::Dim> dims;
  if (v.is_sequence()) {
    for (const IValue& item : v.items()) dims.push_back(DimOf(item, name));
  } else if (ok()) {
    dims.push_back(DimOf(v, name));
  }
  return dims;
}

std::vector<int64_t> OpBuilder::Ints(std::string_view name) {
  std::vector<int64_t> ints;
  for (const ir::Dim& d : SymInts(name)) ints.push_back(Known(d, name));
  return ints;
}

Number OpBuilder::ScalarOf(const IValue& v) {
  Number n;
  n.kind = v.kind();
  if (v.is_tensor() || !v.is_known()) {
    n.tensor = AsTensor(v);
    if (!ok()) return n;
    n.kind = IsFloat(n.tensor->dtype())          ? Kind::kFloat
             : n.tensor->dtype() == DType::kBool ? Kind::kBool
                                                 : Kind::kInt;
    if (const auto known = Emitter::ScalarOf(n.tensor)) {
      n.value = *known;
      n.integer = n.kind == Kind::kFloat ? Truncate(*known) : IntsOf(n.tensor)->front();
      n.tensor = nullptr;
    }
    return n;
  }
  switch (v.kind()) {
    case Kind::kInt:
      if (!v.is_constant_int()) {
        n.tensor = DimValue(v.dim());
        return n;
      }
      n.integer = v.int_value();
      n.value = static_cast<double>(n.integer);
      return n;
    case Kind::kFloat:
      n.value = v.float_value();
      n.integer = Truncate(n.value);
      return n;
    case Kind::kBool:
      n.integer = v.bool_value() ? 1 : 0;
      n.value = static_cast<double>(n.integer);
      return n;
    default:
      if (ok()) Invalid(absl::StrFormat("a number is expected, not %s", v.Describe()));
      return n;
  }
}

Number OpBuilder::Scalar(std::string_view name) {
  const IValue& v = Arg(name);
  return ok() ? ScalarOf(v) : Number();
}

double OpBuilder::Float(std::string_view name) {
  const Number n = Scalar(name);
  if (n.tensor != nullptr) {
    Unsupported(absl::StrFormat("argument '%s' is computed at run time", std::string(name)));
  }
  return n.value;
}

double OpBuilder::Float(std::string_view name, double fallback) {
  return Given(name) ? Float(name) : fallback;
}

std::vector<double> OpBuilder::Floats(std::string_view name) {
  std::vector<double> values;
  const IValue& v = Arg(name);
  if (!v.is_sequence()) {
    if (ok()) Invalid(absl::StrFormat("argument '%s' is no list", std::string(name)));
    return values;
  }
  for (const IValue& item : v.items()) {
    const Number n = ScalarOf(item);
    if (n.tensor != nullptr) Unsupported("a list of numbers that are computed at run time");
    values.push_back(n.value);
  }
  return values;
}

bool OpBuilder::Bool(std::string_view name) { return Float(name) != 0; }

bool OpBuilder::Bool(std::string_view name, bool fallback) {
  return Given(name) ? Bool(name) : fallback;
}

std::vector<bool> OpBuilder::Bools(std::string_view name) {
  std::vector<bool> values;
  for (const double v : Floats(name)) values.push_back(v != 0);
  return values;
}

std::string OpBuilder::String(std::string_view name) {
  const IValue& v = Arg(name);
  if (v.kind() == Kind::kString || v.kind() == Kind::kDevice) return v.string();
  if (ok()) Invalid(absl::StrFormat("argument '%s' is no string", std::string(name)));
  return "";
}

DType OpBuilder::DTypeArg(std::string_view name, DType fallback) {
  if (!Given(name)) return fallback;
  const int64_t code = Int(name);
  const DType dtype = DTypeOfScalarType(code);
  if (dtype == DType::kNone) {
    Unsupported(absl::StrFormat("dtype number %d (complex, quantised or 8-bit float)", code));
  }
  return dtype;
}

// --- dtypes --------------------------------------------------------------------------------------

DType OpBuilder::ResultType(std::initializer_list<std::string_view> names) {
  ResultTypeState state;
  const auto add = [&](const IValue& v) {
    if (v.is_tensor()) {
      const ir::Value* t = AsTensor(v);
      state.AddTensor(t->dtype(), t->rank());
    } else if (v.is_number()) {
      state.AddNumber(v.kind());
    }
  };
  for (const std::string_view name : names) {
    const IValue* v = FindArg(name);
    if (v == nullptr) continue;
    if (v->is_sequence()) {
      for (const IValue& item : v->items()) add(item);
    } else {
      add(*v);
    }
  }
  const DType result = state.Result();
  return result == DType::kNone ? DType::kF32 : result;
}

DType OpBuilder::FloatType(std::initializer_list<std::string_view> names) {
  const DType t = ResultType(names);
  return IsFloat(t) ? t : DType::kF32;
}

ir::Value* OpBuilder::NumberAs(const Number& n, DType dtype) {
  if (n.tensor != nullptr) return Cast(n.tensor, dtype);
  if (!ok()) return Placeholder();
  ir::Tensor t(dtype, {});
  if (IsFloat(dtype)) {
    t.SetDouble(0, n.kind == Kind::kFloat ? n.value : static_cast<double>(n.integer));
  } else if (dtype == DType::kBool) {
    t.SetInt(0, (n.kind == Kind::kFloat ? n.value != 0 : n.integer != 0) ? 1 : 0);
  } else {
    t.SetInt(0, n.integer);
  }
  return Emitter::Constant(std::move(t));
}

ir::Value* OpBuilder::Operand(std::string_view name, DType dtype) {
  const IValue& v = Arg(name);
  if (!ok()) return Placeholder();
  if (v.is_tensor()) return Cast(AsTensor(v), dtype);
  return NumberAs(ScalarOf(v), dtype);
}

// --- results -------------------------------------------------------------------------------------

void OpBuilder::Return(ir::Value* value) { results_.push_back(Wrap(value)); }

void OpBuilder::ReturnList(const std::vector<ir::Value*>& values) {
  std::vector<IValue> items;
  for (ir::Value* value : values) items.push_back(Wrap(value));
  results_.push_back(IValue::ListOf(std::move(items), Kind::kTensor));
}

// --- composition ---------------------------------------------------------------------------------

std::vector<IValue> OpBuilder::CallMany(const std::string& full_name,
                                        std::vector<IValue> positional) {
  if (!ok()) return {IValue::Tensor(Variable::Root(Placeholder(), context_.depth()))};
  std::vector<IValue> results;
  CallSite site = site_;
  if (emitted_++ > 0) site.name += "/" + full_name.substr(full_name.find("::") + 2);
  CallArguments arguments{std::move(positional), {}};
  const absl::Status status = full_name.find('.') == std::string::npos
                                  ? context_.CallOverloaded(full_name, arguments, site, &results)
                                  : context_.Call(full_name, arguments, site, &results);
  if (!status.ok()) Fail(status);
  if (results.empty()) {
    results.push_back(IValue::Tensor(
        Variable::Root(ok() ? Emitter::Scalar(DType::kF32, 0) : Placeholder(), context_.depth())));
  }
  return results;
}

std::vector<IValue> OpBuilder::CallPlain(std::vector<IValue> arguments) {
  std::vector<IValue> results;
  if (!ok()) return results;
  CallSite site = site_;
  if (emitted_++ > 0) site.name += "/" + schema_.name.substr(schema_.name.find("::") + 2);
  Fail(context_.Call(schema_.FullName(), {std::move(arguments), {}}, site, &results));
  return results;
}

ir::Value* OpBuilder::Call(const std::string& full_name, std::vector<IValue> positional) {
  return AsTensor(CallMany(full_name, std::move(positional))[0]);
}

void OpBuilder::WriteArg(std::string_view name, ir::Value* value) {
  const IValue& v = Arg(name);
  if (!ok()) return;
  if (!v.is_tensor()) return Invalid(absl::StrFormat("'%s' is no tensor", std::string(name)));
  Fail(context_.Write(v.variable(), value));
}

// --- emission ------------------------------------------------------------------------------------

ir::Value* OpBuilder::Full(DType dtype, ir::Shape shape, double value) {
  if (shape.empty()) return Emitter::Scalar(dtype, value);
  return Emit(OpId::kConstantOfShape, {}, {{"value", value}}, TensorType{dtype, std::move(shape)});
}

ir::Value* OpBuilder::Where(ir::Value* condition, ir::Value* a, ir::Value* b) {
  return Emit(OpId::kWhere, {condition, a, b});
}

ir::Value* OpBuilder::Gather(ir::Value* x, ir::Value* indices, int64_t axis) {
  return Emit(OpId::kGather, {x, indices}, {{"axis", axis}});
}

ir::Value* OpBuilder::Slice(ir::Value* x, int64_t axis, ir::Dim start, ir::Dim length,
                            int64_t step) {
  if (!ok()) return Placeholder();
  const auto a = static_cast<size_t>(axis);
  if (start.is_constant()) {
    if (start.constant() == 0 && step == 1 && x->shape()[a] == length) return x;
    ir::Shape shape = x->shape();
    std::vector<int64_t> starts(shape.size(), 0), steps(shape.size(), 1);
    starts[a] = start.constant();
    steps[a] = step;
    shape[a] = std::move(length);
    return Emit(OpId::kSlice, {x}, {{"starts", std::move(starts)}, {"steps", std::move(steps)}},
                TensorType{x->dtype(), std::move(shape)});
  }
  // A slice's start is part of the program; one that depends on a symbol is a gather of positions.
  ir::Value* positions = Arange(std::move(length), DType::kI64);
  if (step != 1) {
    positions = Binary(OpId::kMul, positions, Emitter::Scalar(DType::kI64, double(step)));
  }
  return Gather(x, Binary(OpId::kAdd, positions, DimValue(start)), axis);
}

ir::Value* OpBuilder::Concat(std::vector<ir::Value*> xs, int64_t axis) {
  if (!ok()) return Placeholder();
  if (xs.size() == 1) return xs[0];
  return Emit(OpId::kConcat, std::move(xs), {{"axis", axis}});
}

ir::Value* OpBuilder::Unsqueeze(ir::Value* x, int64_t axis) {
  ir::Shape shape = x->shape();
  shape.insert(shape.begin() + axis, ir::Dim(1));
  return Reshape(x, std::move(shape));
}

ir::Value* OpBuilder::Squeeze(ir::Value* x, int64_t axis) {
  ir::Shape shape = x->shape();
  shape.erase(shape.begin() + axis);
  return Reshape(x, std::move(shape));
}

ir::Value* OpBuilder::Arange(ir::Dim length, DType dtype) {
  const auto number = [&](const ir::Dim& d) { return Cast(DimValue(d), dtype); };
  ir::Value* limit = number(length);
  return Emit(OpId::kRange, {number(0), limit, number(1)}, {},
              TensorType{dtype, {std::move(length)}});
}

ir::Value* OpBuilder::MatMul(ir::Value* a, ir::Value* b) { return Binary(OpId::kMatMul, a, b); }

ir::Shape OpBuilder::Broadcast(const ir::Shape& a, const ir::Shape& b) {
  absl::StatusOr<ir::Shape> shape = ir::BroadcastShapes(graph(), a, b);
  if (shape.ok()) return *std::move(shape);
  Fail(shape.status());
  return a;
}

}  // namespace floe::aten
