#include "compiler/import/aten/ivalue.h"

#include "absl/strings/str_format.h"

namespace floe::aten {
namespace {

// c10/core/ScalarType.h, by number.
constexpr DType kScalarTypes[] = {
    DType::kU8,   DType::kI8,   DType::kI16,  DType::kI32,  DType::kI64,  DType::kF16,
    DType::kF32,  DType::kF64,  DType::kNone, DType::kNone, DType::kNone, DType::kBool,
    DType::kNone, DType::kNone, DType::kNone, DType::kBF16, DType::kNone, DType::kNone,
    DType::kNone, DType::kNone, DType::kNone, DType::kNone, DType::kNone, DType::kNone,
    DType::kNone, DType::kNone, DType::kNone, DType::kU16,  DType::kU32,  DType::kU64};

}  // namespace

const char* KindName(Kind kind) {
  constexpr const char* kNames[] = {"None", "Tensor", "int",  "float",  "bool",  "str",
                                    "list", "tuple",  "dict", "device", "object"};
  return kNames[static_cast<size_t>(kind)];
}

IValue IValue::Tensor(VariablePtr variable) {
  IValue v;
  v.kind_ = Kind::kTensor;
  v.data_ = std::move(variable);
  return v;
}

IValue IValue::Int(ir::Dim value) {
  IValue v;
  v.kind_ = Kind::kInt;
  v.data_ = std::move(value);
  return v;
}

IValue IValue::Float(double value) {
  IValue v;
  v.kind_ = Kind::kFloat;
  v.data_ = value;
  return v;
}

IValue IValue::Bool(bool value) {
  IValue v;
  v.kind_ = Kind::kBool;
  v.data_ = value;
  return v;
}

IValue IValue::Scalar(Kind kind, VariablePtr rank0) {
  IValue v;
  v.kind_ = kind;
  v.data_ = std::move(rank0);
  return v;
}

IValue IValue::String(std::string value) {
  IValue v;
  v.kind_ = Kind::kString;
  v.data_ = std::move(value);
  return v;
}

IValue IValue::Device(std::string value) {
  IValue v = String(std::move(value));
  v.kind_ = Kind::kDevice;
  return v;
}

IValue IValue::ListOf(std::vector<IValue> items, Kind element) {
  IValue v;
  v.kind_ = Kind::kList;
  v.data_ = std::make_shared<List>(List{std::move(items), element});
  return v;
}

IValue IValue::TupleOf(std::vector<IValue> items) {
  IValue v = ListOf(std::move(items));
  v.kind_ = Kind::kTuple;
  return v;
}

IValue IValue::NewDict() {
  IValue v;
  v.kind_ = Kind::kDict;
  v.data_ = std::make_shared<Dict>();
  return v;
}

IValue IValue::Ints(const std::vector<int64_t>& values) {
  std::vector<IValue> items;
  for (const int64_t value : values) items.push_back(Int(value));
  return ListOf(std::move(items), Kind::kInt);
}

IValue IValue::Of(std::shared_ptr<Foreign> foreign) {
  IValue v;
  v.kind_ = Kind::kForeign;
  v.data_ = std::move(foreign);
  return v;
}

const VariablePtr& IValue::variable() const {
  static const VariablePtr* const kNull = new VariablePtr();
  const auto* p = std::get_if<VariablePtr>(&data_);
  return p == nullptr ? *kNull : *p;
}

std::string IValue::Describe() const {
  switch (kind_) {
    case Kind::kInt:
      if (is_constant_int()) return absl::StrFormat("int %d", int_value());
      return "int that is not a constant";
    case Kind::kFloat:
      if (is_known()) return absl::StrFormat("float %g", float_value());
      return "float that is computed at run time";
    case Kind::kBool:
      if (is_known()) return bool_value() ? "True" : "False";
      return "bool that is computed at run time";
    case Kind::kString:
      return absl::StrFormat("'%s'", string());
    case Kind::kList:
    case Kind::kTuple:
      return absl::StrFormat("%s of %d", KindName(kind_), items().size());
    case Kind::kForeign:
      return foreign()->TypeName();
    default:
      return KindName(kind_);
  }
}

DType DTypeOfScalarType(int64_t scalar_type) {
  constexpr auto kCount = static_cast<int64_t>(std::size(kScalarTypes));
  return scalar_type < 0 || scalar_type >= kCount ? DType::kNone
                                                  : kScalarTypes[static_cast<size_t>(scalar_type)];
}

int64_t ScalarTypeOfDType(DType dtype) {
  if (dtype == DType::kNone) return -1;
  for (size_t i = 0; i < std::size(kScalarTypes); ++i) {
    if (kScalarTypes[i] == dtype) return static_cast<int64_t>(i);
  }
  return -1;
}

DType RealPartOfScalarType(int64_t scalar_type) {
  switch (scalar_type) {
    case 8:
      return DType::kF16;
    case 9:
      return DType::kF32;
    case 10:
      return DType::kF64;
    default:
      return DType::kNone;
  }
}

int64_t ComplexScalarTypeOf(DType part) {
  return part == DType::kF16 ? 8 : part == DType::kF32 ? 9 : part == DType::kF64 ? 10 : -1;
}

}  // namespace floe::aten
