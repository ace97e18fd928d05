// Properties of tensors, and tensors as numbers.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;
using Result = absl::StatusOr<IValue>;

absl::StatusOr<ir::Value*> Read(const BuiltinCall& c) {
  return c.in.context().Read(c[0].variable());
}

absl::StatusOr<ir::Shape> ShapeOf(const BuiltinCall& c) {
  return c.in.context().ShapeOf(c[0].variable());
}

bool HoldsComplex(const IValue& v) { return v.variable()->form == aten::Form::kComplex; }

Result Size(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Shape shape, ShapeOf(c));
  std::vector<IValue> sizes;
  for (const ir::Dim& d : shape) sizes.push_back(IValue::Int(d));
  return IValue::ListOf(std::move(sizes), Kind::kInt);
}

Result SizeOfAxis(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Shape shape, ShapeOf(c));
  FLOE_TRY_ASSIGN(int64_t axis, ConstantInt(c[1], "an axis"));
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis < -rank || axis >= rank) {
    return absl::InvalidArgumentError(
        absl::StrFormat("axis %d of a tensor with %d axes", axis, rank));
  }
  return IValue::Int(shape[static_cast<size_t>(axis < 0 ? axis + rank : axis)]);
}

Result Len(const BuiltinCall& c) { return SizeOfAxis({c.in, {c[0], IValue::Int(0)}, c.site}); }

Result Rank(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Shape shape, ShapeOf(c));
  return IValue::Int(static_cast<int64_t>(shape.size()));
}

Result Numel(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Shape shape, ShapeOf(c));
  IValue count = IValue::Int(1);
  for (const ir::Dim& d : shape) {
    FLOE_TRY_ASSIGN(count, NumberBinary(c.in, "mul", count, IValue::Int(d), c.site));
  }
  return count;
}

// Strides of the row-major tensor that every value is.
Result Strides(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Shape shape, ShapeOf(c));
  std::vector<IValue> strides(shape.size());
  IValue stride = IValue::Int(1);
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    FLOE_TRY_ASSIGN(stride, NumberBinary(c.in, "mul", stride, IValue::Int(shape[i]), c.site));
  }
  if (c.size() == 1) return IValue::ListOf(std::move(strides), Kind::kInt);
  FLOE_TRY_ASSIGN(int64_t axis, ConstantInt(c[1], "an axis"));
  const auto rank = static_cast<int64_t>(strides.size());
  if (axis < -rank || axis >= rank) return absl::InvalidArgumentError("stride() of no axis");
  return strides[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
}

Result IsContiguous(const BuiltinCall& c) { return IValue::Bool(c[0].variable()->contiguous); }

Result IsFloatingPoint(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Value* value, Read(c));
  return IValue::Bool(IsFloat(value->dtype()) && !HoldsComplex(c[0]));
}
Result IsComplex(const BuiltinCall& c) { return IValue::Bool(HoldsComplex(c[0])); }
Result IsSigned(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Value* value, Read(c));
  return IValue::Bool(IsFloat(value->dtype()) || IsSignedInt(value->dtype()));
}
Result ScalarTypeOf(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Value* value, Read(c));
  return IValue::Int(HoldsComplex(c[0]) ? aten::ComplexScalarTypeOf(value->dtype())
                                        : aten::ScalarTypeOfDType(value->dtype()));
}
Result ElementSize(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Value* value, Read(c));
  return IValue::Int(DTypeSize(value->dtype()) * (HoldsComplex(c[0]) ? 2 : 1));
}

Result ToInt(const BuiltinCall& c) { return c.in.ElementOf(c[0], Kind::kInt, c.site); }
Result ToFloat(const BuiltinCall& c) { return c.in.ElementOf(c[0], Kind::kFloat, c.site); }
Result ToBool(const BuiltinCall& c) { return c.in.ElementOf(c[0], Kind::kBool, c.site); }
Result Item(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Value* value, Read(c));
  const DType t = value->dtype();
  return c.in.ElementOf(c[0],
                        IsFloat(t)          ? Kind::kFloat
                        : t == DType::kBool ? Kind::kBool
                                            : Kind::kInt,
                        c.site);
}

// prim::NumToTensor: ints as i64, floats as f64, as in eager.
Result ToTensor(const BuiltinCall& c) {
  const DType dtype = c[0].kind() == Kind::kFloat  ? DType::kF64
                      : c[0].kind() == Kind::kBool ? DType::kBool
                                                   : DType::kI64;
  FLOE_TRY_ASSIGN(aten::VariablePtr tensor, c.in.NumberTensor(c[0], dtype));
  return IValue::Tensor(std::move(tensor));
}

Result AreEqual(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Value* a, Read(c));
  FLOE_TRY_ASSIGN(const ir::Value* b, c.in.context().Read(c[1].variable()));
  if (a->rank() != b->rank()) return IValue::Bool(false);
  if (a->shape() != b->shape()) {
    for (size_t i = 0; i < a->rank(); ++i) {
      FLOE_TRY_ASSIGN(IValue same, NumberBinary(c.in, "eq", IValue::Int(a->shape()[i]),
                                                IValue::Int(b->shape()[i]), c.site));
      if (same.is_known() && !same.bool_value()) return same;
    }
    return absl::UnimplementedError("equal() of tensors whose sizes are not known to be equal");
  }
  FLOE_TRY_ASSIGN(IValue equal, c.in.Aten("aten::eq.Tensor", {c[0], c[1]}, c.site));
  FLOE_TRY_ASSIGN(IValue all, c.in.Aten("aten::all", {equal}, c.site));
  return c.in.ElementOf(all, Kind::kBool, c.site);
}

Result SameSize(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const ir::Value* a, Read(c));
  FLOE_TRY_ASSIGN(const ir::Value* b, c.in.context().Read(c[1].variable()));
  return IValue::Bool(a->shape() == b->shape());
}

Result Identity(const BuiltinCall& c) { return c[0]; }
Result Cpu(const BuiltinCall&) { return IValue::Device("cpu"); }
// The kind of a device: "cuda" of "cuda:0".
Result DeviceType(const BuiltinCall& c) {
  return IValue::String(c[0].string().substr(0, c[0].string().find(':')));
}
Result Zero(const BuiltinCall&) { return IValue::Int(0); }
Result MinusOne(const BuiltinCall&) { return IValue::Int(-1); }
Result True(const BuiltinCall&) { return IValue::Bool(true); }
Result False(const BuiltinCall&) { return IValue::Bool(false); }
Result None(const BuiltinCall&) { return IValue(); }

// Elements [begin, begin + product of the axes from `axis` on) as nested lists.
Result Nest(const std::vector<IValue>& elements, const std::vector<int64_t>& sizes, size_t axis,
            size_t* at) {
  if (axis == sizes.size()) return elements[(*at)++];
  std::vector<IValue> items;
  for (int64_t i = 0; i < sizes[axis]; ++i) {
    FLOE_TRY_ASSIGN(IValue item, Nest(elements, sizes, axis + 1, at));
    items.push_back(std::move(item));
  }
  const Kind element = items.empty() ? Kind::kNone : items[0].kind();
  return IValue::ListOf(std::move(items), element);
}

}  // namespace

Result ListOfTensor(Interpreter& in, const IValue& tensor, const Type& type, const CallSite& site,
                    int64_t max_elements) {
  FLOE_TRY_ASSIGN(const ir::Value* value, in.context().Read(tensor.variable()));
  const Type* leaf = &type;
  while (leaf->kind == Type::Kind::kList && !leaf->parts.empty()) leaf = leaf->parts[0].get();
  const Kind kind = KindOf(*leaf);
  if (kind != Kind::kInt && kind != Kind::kFloat && kind != Kind::kBool) {
    return absl::UnimplementedError(absl::StrFormat("tolist() as %s", type.ToString()));
  }
  std::vector<int64_t> sizes;
  int64_t count = 1;
  for (const ir::Dim& d : value->shape()) {
    if (!d.is_constant()) {
      return absl::UnimplementedError("tolist() of a tensor whose size is not known");
    }
    sizes.push_back(d.constant());
    if (d.constant() > max_elements) count = max_elements + 1;
    count *= std::min(d.constant(), max_elements);
    count = std::min(count, max_elements + 1);
  }
  if (count > max_elements) {
    return absl::UnimplementedError(
        absl::StrFormat("tolist() of more than %d elements", max_elements));
  }
  FLOE_TRY(in.CountElements(static_cast<size_t>(count)));
  FLOE_TRY_ASSIGN(IValue flat, in.Aten("aten::reshape", {tensor, IValue::Ints({count})}, site));
  std::vector<IValue> elements;
  for (int64_t i = 0; i < count; ++i) {
    FLOE_TRY_ASSIGN(IValue one,
                    in.Aten("aten::select.int", {flat, IValue::Int(0), IValue::Int(i)}, site));
    FLOE_TRY_ASSIGN(IValue element, in.ElementOf(one, kind, site));
    elements.push_back(std::move(element));
  }
  size_t at = 0;
  return Nest(elements, sizes, 0, &at);
}

std::vector<BuiltinRow> TensorBuiltins() {
  return {
      {"aten::size", "T", Size},
      {"aten::size", "Ti", SizeOfAxis},
      {"prim::shape", "T", Size},
      {"aten::len", "T", Len},
      {"aten::dim", "T", Rank},
      {"prim::ndim", "T", Rank},
      {"aten::numel", "T", Numel},
      {"prim::numel", "T", Numel},
      {"aten::stride", "T?i", Strides},
      {"aten::storage_offset", "T", Zero},
      {"aten::is_contiguous", "T?a", IsContiguous},
      {"aten::is_floating_point", "T", IsFloatingPoint},
      {"aten::is_complex", "T", IsComplex},
      {"aten::is_signed", "T", IsSigned},
      {"aten::is_inference", "T", True},
      {"aten::is_conj", "T", False},
      {"aten::is_neg", "T", False},
      {"aten::is_nonzero", "T", ToBool},
      {"aten::is_same_size", "TT", SameSize},
      {"aten::equal", "TT", AreEqual},
      {"aten::element_size", "T", ElementSize},
      {"aten::get_device", "T", MinusOne},
      {"aten::item", "T", Item},
      {"aten::Int", "T", ToInt},
      {"aten::IntImplicit", "T", ToInt},
      {"aten::Float", "T", ToFloat},
      {"aten::FloatImplicit", "T", ToFloat},
      {"aten::Bool", "T", ToBool},
      {"aten::ScalarImplicit", "T", Item},
      {"aten::requires_grad_", "T*", Identity},
      {"aten::cpu", "T", Identity},
      {"aten::cuda", "T", Identity},
      {"aten::pin_memory", "T*", Identity},
      {"prim::NumToTensor", "n", ToTensor},
      {"prim::dtype", "T", ScalarTypeOf},
      {"prim::device", "a", Cpu},
      {"prim::type", "v", DeviceType},
      {"prim::layout", "a", Zero},
      {"prim::data", "T", Identity},
      {"prim::itemsize", "T", ElementSize},
      {"prim::requires_grad", "a", False},
      {"prim::is_leaf", "a", True},
      {"prim::grad", "T", None},
      {"prim::is_cpu", "a", True},
      {"prim::is_cuda", "a", False},
      {"prim::is_xpu", "a", False},
      {"prim::is_ipu", "a", False},
      {"prim::is_hpu", "a", False},
      {"prim::is_maia", "a", False},
      {"prim::is_mps", "a", False},
      {"prim::is_mtia", "a", False},
      {"prim::is_vulkan", "a", False},
      {"prim::is_mkldnn", "a", False},
      {"prim::is_meta", "a", False},
      {"prim::is_nested", "a", False},
      {"prim::is_sparse", "a", False},
      {"prim::is_sparse_csr", "a", False},
      {"prim::is_quantized", "T", False},
  };
}

}  // namespace floe::torchscript
