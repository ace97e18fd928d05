#include "compiler/import/aten/context.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compiler/import/aten/op_builder.h"
#include "compiler/import/aten/ops.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/status_macros.h"

namespace floe::aten {
namespace {

// The plain op of an in-place form: "aten::add_.Tensor" -> "aten::add.Tensor". Where the overloads
// are named otherwise (floor_divide_.Tensor, transpose_), the first one with the same arguments.
// Null if the op has no in-place form's name; dunder names ("aten::__and__") are plain ops.
const Schema* FunctionalSchema(const Schema& schema) {
  const std::string& name = schema.name;
  if (!absl::EndsWith(name, "_") || absl::EndsWith(name, "__")) return nullptr;
  const std::string plain = name.substr(0, name.size() - 1);
  if (!schema.overload.empty()) {
    if (const Schema* same = FindSchema(plain + "." + schema.overload)) return same;
  }
  for (const Schema& candidate : FindSchemas(plain)) {
    bool fits = candidate.arguments.size() >= schema.arguments.size();
    for (size_t i = 0; fits && i < schema.arguments.size(); ++i) {
      // dropout_(self, ...) is dropout(input, ...).
      fits = (i == 0 || candidate.arguments[i].name == schema.arguments[i].name) &&
             candidate.arguments[i].type.base == schema.arguments[i].type.base;
    }
    if (fits) return &candidate;
  }
  return nullptr;
}

// The form that the row of a call must understand: that of the first tensor that is not plain; a
// complex dtype asks for a complex result.
Form FormOf(const Schema& schema, const std::vector<IValue>& arguments) {
  const auto form = [](const IValue& v) {
    return v.is_tensor() ? v.variable()->form : Form::kPlain;
  };
  for (const IValue& v : arguments) {
    if (form(v) != Form::kPlain) return form(v);
    if (!v.is_sequence()) continue;
    for (const IValue& item : v.items()) {
      if (form(item) != Form::kPlain) return form(item);
    }
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (schema.arguments[i].name == "dtype" && arguments[i].is_constant_int() &&
        RealPartOfScalarType(arguments[i].int_value()) != DType::kNone) {
      return Form::kComplex;
    }
  }
  return Form::kPlain;
}

const char* NameOf(Form form) {
  switch (form) {
    case Form::kComplex:
      return "complex numbers";
    case Form::kPacked:
    case Form::kPackedSizes:
      return "packed sequences";
    case Form::kPlain:
      break;
  }
  return "tensors";
}

// "aten::pow.Tensor_Scalar_out" -> "aten::pow.Tensor_Scalar", "aten::sum.out" -> "aten::sum"; empty
// for other names.
std::string WithoutOut(const std::string& full_name) {
  const size_t dot = full_name.find('.', full_name.find("::") + 2);
  if (dot == std::string::npos) return "";
  if (full_name.substr(dot) == ".out") return full_name.substr(0, dot);
  return absl::EndsWith(full_name, "_out") ? full_name.substr(0, full_name.size() - 4) : "";
}

// Takes the tensors to write off a call whose functional form is `schema`, or is not known (null):
// the keyword "out", or what the functional form has no argument for.
std::vector<IValue> TakeOuts(CallArguments* call, const Schema* schema) {
  std::vector<IValue> outs;
  const auto is_out = [&](const std::pair<std::string, IValue>& keyword) {
    if (keyword.first == "out") return true;
    return schema != nullptr && schema->Find(keyword.first) == nullptr;
  };
  for (const auto& keyword : call->keyword) {
    if (is_out(keyword)) outs.push_back(keyword.second);
  }
  call->keyword.erase(std::remove_if(call->keyword.begin(), call->keyword.end(), is_out),
                      call->keyword.end());
  return outs;
}

// The value of a root seen from an inner graph is looked up anew at each read, so only values of
// the current graph may be kept in a view.
bool IsIn(ir::Graph& graph, const ir::Value* value) {
  return graph.FindValue(value->name()) == value;
}

}  // namespace

VariablePtr Context::NewVariable(ir::Value* value, Form form) {
  VariablePtr variable = Variable::Root(value, depth());
  variable->form = form;
  return variable;
}

absl::StatusOr<ir::Value*> Context::LocalAt(ir::Value* value, size_t depth) {
  ir::Graph& here = GraphAt(depth);
  if (IsIn(here, value)) return value;
  if (depth == 0) return absl::InternalError("a value of a body is used after the body's end");
  absl::StatusOr<ir::Value*> outer = LocalAt(value, depth - 1);
  if (!outer.ok()) return outer;
  return bodies_[depth - 1]->builder.Capture(*outer);
}

absl::StatusOr<ir::Value*> Context::Local(ir::Value* value) { return LocalAt(value, depth()); }

absl::StatusOr<ir::Value*> Context::Read(const VariablePtr& variable) {
  if (!variable->is_view()) return Local(variable->value_);
  const Variable* root = variable->root();
  if (variable->version_ == root->version_) return Local(variable->value_);
  absl::StatusOr<ir::Value*> base = Read(variable->base_);
  if (!base.ok()) return base;
  absl::StatusOr<ir::Value*> view = variable->read_(*base);
  if (!view.ok()) return view;
  // Kept only where every later reader can use it: in the graph that the root's value is of.
  if (GraphAt(root->depth_).FindValue((*view)->name()) == *view) {
    variable->value_ = *view;
    variable->version_ = root->version_;
  }
  return view;
}

IValue Context::ComplexNumber(double real, double imaginary, const CallSite& site) {
  ir::Tensor pair(DType::kF64, {2});
  pair.SetDouble(0, real);
  pair.SetDouble(1, imaginary);
  IValue number =
      NewTensor(graph().AddConstant(site.name + "/complex", std::move(pair)), Form::kComplex);
  number.variable()->is_number = true;
  return number;
}

absl::StatusOr<ir::Shape> Context::ShapeOf(const VariablePtr& variable) {
  FLOE_TRY_ASSIGN(const ir::Value* value, Read(variable));
  ir::Shape shape = value->shape();
  switch (variable->form) {
    case Form::kPlain:
      break;
    case Form::kComplex:
      shape.pop_back();
      break;
    case Form::kPacked:
      return absl::UnimplementedError("the size of a packed sequence, which depends on data");
    case Form::kPackedSizes: {
      // One for each step that any sequence has: as many as were padded, which is checked.
      FLOE_TRY_ASSIGN(ir::Value * lengths, Read(variable));
      FLOE_TRY_ASSIGN(const ir::Value* data, Read(variable->packed));
      shape = {data->shape()[0]};
      std::vector<IValue> result;
      const CallSite site{"packed/steps", {}};
      FLOE_TRY(Call("aten::max", {{NewTensor(lengths)}, {}}, site, &result));
      FLOE_TRY(Call("aten::eq.Scalar", {{result.at(0), IValue::Int(shape[0])}, {}}, site, &result));
      FLOE_TRY(Check(result.at(0),
                     "no sequence is as long as the padded input: cut the input to the longest one",
                     site));
      break;
    }
  }
  return shape;
}

absl::Status Context::CheckOutput(const VariablePtr& variable) {
  if (variable->form == Form::kPlain || variable->form == Form::kComplex) return absl::OkStatus();
  return absl::UnimplementedError(
      "the model returns a packed sequence; return what pad_packed_sequence makes of it");
}

absl::Status Context::Write(const VariablePtr& variable, ir::Value* value) {
  if (variable->is_view()) {
    if (!variable->write_) {
      return absl::UnimplementedError(
          "an in-place write through a view whose elements overlap or are not known");
    }
    absl::StatusOr<ir::Value*> base = Read(variable->base_);
    if (!base.ok()) return base.status();
    absl::StatusOr<ir::Value*> written = variable->write_(*base, value);
    if (!written.ok()) return written.status();
    FLOE_TRY(Write(variable->base_, *written));
    return absl::OkStatus();
  }
  if (variable->depth_ < depth()) {
    std::vector<WrittenVariable>& written = bodies_.back()->written;
    const auto it = std::find_if(written.begin(), written.end(),
                                 [&](const WrittenVariable& w) { return w.root == variable; });
    if (it == written.end()) {
      written.push_back({variable, variable->value_, value});
    } else {
      it->written = value;
    }
  }
  variable->value_ = value;
  ++variable->version_;
  return absl::OkStatus();
}

absl::Status Context::Replace(const VariablePtr& variable, ir::Value* value) {
  FLOE_TRY_ASSIGN(const ir::Value* before, Read(variable));
  if (before->shape() == value->shape() && before->dtype() == value->dtype()) {
    return Write(variable, value);
  }
  if (variable->is_view() || variable->views_ > 0 || variable->depth_ < depth()) {
    return absl::UnimplementedError(
        "an in-place change of a tensor's size while views of it exist, or inside a branch");
  }
  variable->value_ = value;
  ++variable->version_;
  variable->contiguous = true;
  return absl::OkStatus();
}

bool Context::IsSupported(const std::string& full_name) {
  const Schema* schema = FindSchema(full_name);
  // Of the out= form of an op, once: a file's name may end in any number of them.
  if (schema == nullptr) schema = FindSchema(WithoutOut(full_name));
  if (schema == nullptr) return false;
  if (FindRow(*schema) != nullptr) return true;
  const Schema* functional = FunctionalSchema(*schema);
  return functional != nullptr && FindRow(*functional) != nullptr;
}

absl::Status Context::CallOverloaded(const std::string& name, const CallArguments& arguments,
                                     const CallSite& site, std::vector<IValue>* results) {
  CallArguments functional = arguments;
  const std::vector<IValue> outs = TakeOuts(&functional, nullptr);
  absl::StatusOr<const Schema*> schema = ResolveOverload(name, functional);
  if (!schema.ok()) return schema.status();
  if (!outs.empty()) return CallOut(**schema, functional, outs, site, results);
  absl::StatusOr<std::vector<IValue>> bound = BindArguments(**schema, arguments);
  if (!bound.ok()) return bound.status();
  return CallRow(**schema, *std::move(bound), site, results);
}

absl::Status Context::Call(const std::string& full_name, const CallArguments& arguments,
                           const CallSite& site, std::vector<IValue>* results) {
  const Schema* schema = FindSchema(full_name);
  if (schema == nullptr) {
    const std::string name = WithoutOut(full_name);
    schema = name.empty() ? nullptr : FindSchema(name);
    CallArguments functional = arguments;
    std::vector<IValue> outs = TakeOuts(&functional, nullptr);
    if (!name.empty() && !outs.empty() &&
        (schema == nullptr || !BindArguments(*schema, functional).ok())) {
      // add.out is that of add.Tensor: the arguments say which overload it is.
      const auto resolved = ResolveOverload(name.substr(0, name.find('.')), functional);
      schema = resolved.ok() ? *resolved : nullptr;
    }
    if (schema != nullptr && outs.empty()) outs = TakeOuts(&functional, schema);
    if (schema != nullptr && !outs.empty()) {
      return CallOut(*schema, functional, outs, site, results);
    }
    return absl::UnimplementedError(absl::StrFormat("'%s' is no op that Floe knows", full_name));
  }
  absl::StatusOr<std::vector<IValue>> bound = BindArguments(*schema, arguments);
  if (!bound.ok()) return bound.status();
  return CallRow(*schema, *std::move(bound), site, results);
}

// op(..., out=(tensors)): the plain op, whose results the tensors get; they take its sizes.
absl::Status Context::CallOut(const Schema& schema, const CallArguments& arguments,
                              const std::vector<IValue>& outs, const CallSite& site,
                              std::vector<IValue>* results) {
  FLOE_TRY_ASSIGN(std::vector<IValue> bound, BindArguments(schema, arguments));
  std::vector<IValue> values;
  FLOE_TRY(CallRow(schema, std::move(bound), site, &values));
  if (values.size() != outs.size()) {
    return absl::UnimplementedError(absl::StrFormat("%s writes %d tensors where %d are given",
                                                    schema.FullName(), values.size(), outs.size()));
  }
  for (size_t i = 0; i < outs.size(); ++i) {
    if (!outs[i].is_tensor() || !values[i].is_tensor() ||
        outs[i].variable()->form != values[i].variable()->form) {
      return absl::UnimplementedError("out= of something that is no tensor of the result's kind");
    }
    FLOE_TRY_ASSIGN(const ir::Value* before, Read(outs[i].variable()));
    FLOE_TRY_ASSIGN(ir::Value * value, Read(values[i].variable()));
    if (value->dtype() != before->dtype()) {
      ir::Node* cast = graph().AddNode(OpId::kCast, {value}, {site.name}, site.provenance);
      cast->attrs["to"] = static_cast<int64_t>(before->dtype());
      FLOE_TRY(ir::InferNode(graph(), *cast));
      value = cast->output();
    }
    FLOE_TRY(Replace(outs[i].variable(), value));
  }
  *results = outs;
  return absl::OkStatus();
}

absl::Status Context::CheckConstants() {
  const auto& values = GraphAt(0).values();
  auto value = values.rbegin();
  for (size_t n = values.size(); n > counted_values_; --n, ++value) {
    if ((*value)->is_constant()) constant_bytes_ += (*value)->constant().bytes();
  }
  counted_values_ = values.size();
  if (constant_bytes_ <= max_constant_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("the model's operations compute constants of more than %d bytes; export it "
                      "with fewer steps or smaller transforms",
                      max_constant_bytes));
}

absl::Status Context::CallRow(const Schema& schema, std::vector<IValue> arguments,
                              const CallSite& site, std::vector<IValue>* results) {
  results->clear();
  const auto nodes = static_cast<int64_t>(graph().nodes().size());
  if (nodes > max_nodes) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the model unrolls to more than %d operations; export it with fewer steps", max_nodes));
  }
  const Form form = FormOf(schema, arguments);
  const Row* row = FindRow(schema, form);
  if (row != nullptr) {
    OpBuilder b(*this, schema, *row, arguments, site);
    row->convert(b);
    if (!b.ok()) return b.status();
    FLOE_TRY(CheckConstants());
    *results = std::move(b.results());
    if (row->is_view && !b.is_copy)
      return BindView(schema, *row, std::move(arguments), site, results);
    return absl::OkStatus();
  }
  const Schema* functional = FunctionalSchema(schema);
  const Row* functional_row = functional == nullptr ? nullptr : FindRow(*functional, form);
  if (functional_row == nullptr) {
    return absl::UnimplementedError(
        form == Form::kPlain
            ? absl::StrFormat("%s has no mapping", schema.FullName())
            : absl::StrFormat("%s has no mapping for %s", schema.FullName(), NameOf(form)));
  }
  return CallInPlace(*functional, *functional_row, std::move(arguments), site, results);
}

// self.op_(...): the plain op, cast to self's dtype, written to self.
absl::Status Context::CallInPlace(const Schema& functional, const Row& row,
                                  std::vector<IValue> arguments, const CallSite& site,
                                  std::vector<IValue>* results) {
  const IValue self = arguments.empty() ? IValue() : arguments[0];
  if (!self.is_tensor()) return absl::InvalidArgumentError("an in-place op without a tensor");
  arguments.resize(functional.arguments.size());  // In-place forms lack a dtype at most.
  OpBuilder b(*this, functional, row, arguments, site);
  row.convert(b);
  if (!b.ok()) return b.status();
  if (b.results().empty() || !b.results()[0].is_tensor()) {
    return absl::InternalError(functional.FullName() + " gave no tensor to write in place");
  }
  ir::Value* before = b.Tensor(functional.arguments[0].name);
  ir::Value* value = b.AsTensor(b.results()[0]);
  if (!b.ok()) return b.status();
  if (b.results()[0].variable()->form != self.variable()->form) {
    return absl::UnimplementedError("an in-place op that mixes real and complex numbers");
  }
  *results = {self};
  if (row.is_view) return ReshapeInPlace(functional, row, std::move(arguments), value, site);
  value = b.Cast(value, before->dtype());
  if (value->shape() != before->shape()) value = b.Expand(value, before->shape());
  if (!b.ok()) return b.status();
  return Write(self.variable(), value);
}

// A view of `base`, whose value is `now`, made by calling the row with `arguments` (the base stands
// for the first one). `index`: which of the row's views; -1: it has one.
VariablePtr Context::MakeView(const VariablePtr& base, ir::Value* now, const Schema& schema,
                              const Row& row, std::shared_ptr<std::vector<IValue>> arguments,
                              const CallSite& site, int64_t index) {
  const Form form = base->form;
  Variable::ReadView read = [this, &schema, &row, arguments, site, index,
                             form](ir::Value* value) -> absl::StatusOr<ir::Value*> {
    std::vector<IValue> call = *arguments;
    call[0] = NewTensor(value, form);
    OpBuilder b(*this, schema, row, call, site);
    row.convert(b);
    if (!b.ok()) return b.status();
    const IValue& all = b.results().at(0);
    ir::Value* view = b.AsTensor(index < 0 ? all : all.items().at(static_cast<size_t>(index)));
    if (!b.ok()) return b.status();
    return view;
  };
  Variable::WriteView write;
  if (row.write != nullptr) {
    write = [this, &schema, &row, arguments, site, index, form](
                ir::Value* value, ir::Value* view) -> absl::StatusOr<ir::Value*> {
      std::vector<IValue> call = *arguments;
      call[0] = NewTensor(value, form);
      OpBuilder b(*this, schema, row, call, site);
      b.view_index = index;
      ir::Value* written = row.write(b, value, view);
      if (!b.ok()) return b.status();
      return written;
    };
  }
  return Variable::View(base, now, std::move(read), std::move(write));
}

// Makes the tensors that a view row returned share the first argument's memory.
absl::Status Context::BindView(const Schema& schema, const Row& row, std::vector<IValue> arguments,
                               const CallSite& site, std::vector<IValue>* results) {
  if (arguments.empty() || !arguments[0].is_tensor()) return absl::OkStatus();
  const VariablePtr base = arguments[0].variable();
  const auto shared = std::make_shared<std::vector<IValue>>(std::move(arguments));
  const auto bind = [&](IValue* result, int64_t index) -> absl::Status {
    if (!result->is_tensor() || result->variable() == base) return absl::OkStatus();
    FLOE_TRY_ASSIGN(ir::Value * now, Read(result->variable()));
    const bool contiguous = result->variable()->contiguous;
    const Form form = result->variable()->form;
    *result = IValue::Tensor(MakeView(base, now, schema, row, shared, site, index));
    result->variable()->contiguous = contiguous && base->contiguous;
    result->variable()->form = form;
    return absl::OkStatus();
  };
  for (IValue& result : *results) {
    if (!result.is_sequence()) {
      FLOE_TRY(bind(&result, -1));
      continue;
    }
    for (size_t i = 0; i < result.items().size(); ++i) {
      FLOE_TRY(bind(&result.items()[i], static_cast<int64_t>(i)));
    }
  }
  return absl::OkStatus();
}

// squeeze_() and the like: the tensor itself becomes a view of what it was.
absl::Status Context::ReshapeInPlace(const Schema& schema, const Row& row,
                                     std::vector<IValue> arguments, ir::Value* now,
                                     const CallSite& site) {
  const VariablePtr self = arguments[0].variable();
  if (self->views_ > 0) {
    return absl::UnimplementedError(
        "an in-place change of a tensor's shape while other views of it exist");
  }
  const VariablePtr before(new Variable(*self));
  arguments[0] = IValue::Tensor(before);
  const auto shared = std::make_shared<std::vector<IValue>>(std::move(arguments));
  *self = *MakeView(before, now, schema, row, shared, site, -1);
  self->contiguous = false;
  self->form = before->form;
  return absl::OkStatus();
}

}  // namespace floe::aten
