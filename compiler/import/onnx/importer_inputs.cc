// The model's inputs: shapes, symbols and their bounds, frozen values.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/importer.h"
#include "compiler/ir/status_macros.h"
#include "format/tensor_info.h"

namespace floe::onnx {

using Kind = Scope::Kind;

absl::Status Importer::ReadInputs(Scope& scope) {
  for (const ValueInfoProto& input : file_->model().graph().input()) {
    const auto it = scope.names.find(input.name());
    if (it != scope.names.end() && it->second.kind == Kind::kInitializer) {
      continue;  // A default value, as every weight has in IR version 3: it is frozen.
    }
    if (input.name().empty()) return absl::InvalidArgumentError("a graph input has no name");
    if (it != scope.names.end()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("two graph inputs have the name '%s'", input.name()));
    }
    const auto frozen = options_.frozen.find(input.name());
    FLOE_TRY(frozen == options_.frozen.end() ? ReadInput(input, scope)
                                             : Freeze(input, frozen->second, scope));
  }
  return CheckOptionsUsed();
}

absl::Status Importer::Freeze(const ValueInfoProto& input, const ir::Tensor& value, Scope& scope) {
  const TypeProto::Tensor& type = input.type().tensor_type();
  FLOE_TRY_ASSIGN(const DType dtype, DTypeOf(type.elem_type()));
  bool fits = value.dtype() == dtype;
  if (type.has_shape()) {
    const auto& dims = type.shape().dim();
    fits = fits && dims.size() == static_cast<int>(value.dims().size());
    for (int i = 0; fits && i < dims.size(); ++i) {
      fits =
          !dims[i].has_dim_value() || dims[i].dim_value() == value.dims()[static_cast<size_t>(i)];
    }
  }
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the value given for input '%s' has another type or shape than the input", input.name()));
  }
  scope.names[input.name()] = {Kind::kValue, graph_->AddConstant(input.name(), value), 0};
  return absl::OkStatus();
}

absl::Status Importer::ReadInput(const ValueInfoProto& input, Scope& scope) {
  NodeProto as_node;
  as_node.set_name(input.name());
  as_node.set_op_type("graph input");
  Scope::Entry& entry = scope.names[input.name()];
  entry.kind = Kind::kUnknown;
  if (!input.type().has_tensor_type()) {
    Refuse(as_node, 0, "only tensors are supported, not sequences, maps, optionals or sparse ones",
           scope);
    return absl::OkStatus();
  }
  const TypeProto::Tensor& type = input.type().tensor_type();
  const absl::StatusOr<DType> dtype = DTypeOf(type.elem_type());
  if (!dtype.ok()) {
    if (!absl::IsUnimplemented(dtype.status())) return At(dtype.status(), as_node, scope);
    Refuse(as_node, 0, std::string(dtype.status().message()), scope);
    return absl::OkStatus();
  }
  FLOE_TRY_ASSIGN(ir::Shape shape, InputShape(input.name(), type));
  entry.kind = Kind::kValue;
  entry.value = graph_->AddInput(input.name(), *dtype, std::move(shape));
  return absl::OkStatus();
}

absl::StatusOr<ir::Shape> Importer::InputShape(const std::string& name,
                                               const TypeProto::Tensor& type) {
  ir::Shape shape;
  const auto given = options_.shapes.find(name);
  if (given != options_.shapes.end()) {
    if (type.has_shape() && type.shape().dim_size() != static_cast<int>(given->second.size())) {
      return absl::InvalidArgumentError(
          absl::StrFormat("input '%s' has rank %d in the model, but the shape given for it has %d",
                          name, type.shape().dim_size(), given->second.size()));
    }
    for (const DimSpec& spec : given->second) {
      ir::Dim d = spec.value;
      if (!spec.symbol.empty()) {
        FLOE_TRY_ASSIGN(d, NamedDim(name, spec.symbol));
      } else if (spec.value < 0) {
        return absl::InvalidArgumentError(
            absl::StrFormat("the shape given for input '%s' has a negative dimension", name));
      }
      shape.push_back(std::move(d));
    }
  } else if (!type.has_shape()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "input '%s' has no shape in the model: give one, for example --shape %s=[1,3,224,224]",
        name, name));
  } else {
    for (int i = 0; i < type.shape().dim_size(); ++i) {
      const TensorShapeProto::Dimension& dim = type.shape().dim(i);
      if (dim.has_dim_value() && dim.dim_value() >= 0) {
        shape.push_back(dim.dim_value());
      } else if (!dim.dim_param().empty()) {
        FLOE_TRY_ASSIGN(ir::Dim d, NamedDim(name, dim.dim_param()));
        shape.push_back(std::move(d));
      } else {
        return absl::InvalidArgumentError(absl::StrFormat(
            "axis %d of input '%s' has neither a size nor a name in the model: give the whole "
            "shape, for example --shape %s=[N,...] --dim N=1..8",
            i, name, name));
      }
    }
  }
  if (shape.size() > static_cast<size_t>(kMaxRank)) {
    return absl::UnimplementedError(
        absl::StrFormat("input '%s' has rank %d; ranks go up to %d", name, shape.size(), kMaxRank));
  }
  return shape;
}

absl::StatusOr<ir::Dim> Importer::NamedDim(const std::string& input, const std::string& symbol) {
  const auto it = options_.dims.find(symbol);
  if (it == options_.dims.end()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "input '%s' has the dynamic dimension '%s', whose bounds must be known: give them with "
        "--dim %s=1..8, or fix it with --dim %s=1",
        input, symbol, symbol, symbol));
  }
  const DimBounds& b = it->second;
  if (b.min < 0 || b.max < b.min || b.multiple < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the bounds of dimension '%s' are empty or negative: %d..%d, multiple of %d", symbol, b.min,
        b.max, b.multiple));
  }
  if (b.min == b.max) return ir::Dim(b.min);
  const ir::SymbolId id = graph_->GetSymbol(symbol, b.min, b.max);
  graph_->symbols[id].multiple = b.multiple;
  return ir::Dim::OfSymbol(id);
}

// Options that name nothing are mistakes.
absl::Status Importer::CheckOptionsUsed() const {
  const GraphProto& graph = file_->model().graph();
  std::string inputs, dims;
  for (const ValueInfoProto& input : graph.input()) {
    inputs += (inputs.empty() ? "'" : ", '") + input.name() + "'";
  }
  const auto is_input = [&](const std::string& name) {
    return std::any_of(graph.input().begin(), graph.input().end(),
                       [&](const ValueInfoProto& input) { return input.name() == name; });
  };
  std::vector<std::string> given;
  for (const auto& [name, shape] : options_.shapes) given.push_back(name);
  for (const auto& [name, value] : options_.frozen) given.push_back(name);
  for (const std::string& name : given) {
    if (is_input(name)) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("a shape or a value is given for '%s', but the model has no such input; it "
                        "has %s",
                        name, inputs));
  }
  for (const auto& [name, bounds] : options_.dims) {
    bool used = false;
    for (const ValueInfoProto& input : graph.input()) {
      for (const auto& d : input.type().tensor_type().shape().dim()) {
        used = used || d.dim_param() == name;
        if (!d.dim_param().empty()) dims += (dims.empty() ? "'" : ", '") + d.dim_param() + "'";
      }
    }
    for (const auto& [input, shape] : options_.shapes) {
      for (const DimSpec& spec : shape) used = used || spec.symbol == name;
    }
    if (used) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("bounds are given for dimension '%s', but no input has it; %s", name,
                        dims.empty() ? "all are fixed" : "the model has " + dims));
  }
  return absl::OkStatus();
}

// --- nodes ---------------------------------------------------------------------------------------

}  // namespace floe::onnx
