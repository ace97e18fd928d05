#include "compiler/import/torch_file/dtypes.h"

#include "absl/strings/str_format.h"

namespace floe::torch_file {
namespace {

struct Row {
  ScalarType type;
  const char* name;
  const char* alias;    // A second name of torch, or null.
  const char* storage;  // Class name of its typed storage, or null.
  int size;
  DType dtype;  // kNone: Floe has no such elements.
};

constexpr Row kRows[] = {
    {ScalarType::kByte, "uint8", nullptr, "ByteStorage", 1, DType::kU8},
    {ScalarType::kChar, "int8", nullptr, "CharStorage", 1, DType::kI8},
    {ScalarType::kShort, "int16", "short", "ShortStorage", 2, DType::kI16},
    {ScalarType::kInt, "int32", "int", "IntStorage", 4, DType::kI32},
    {ScalarType::kLong, "int64", "long", "LongStorage", 8, DType::kI64},
    {ScalarType::kHalf, "float16", "half", "HalfStorage", 2, DType::kF16},
    {ScalarType::kFloat, "float32", "float", "FloatStorage", 4, DType::kF32},
    {ScalarType::kDouble, "float64", "double", "DoubleStorage", 8, DType::kF64},
    {ScalarType::kComplexHalf, "complex32", "chalf", nullptr, 4, DType::kNone},
    {ScalarType::kComplexFloat, "complex64", "cfloat", "ComplexFloatStorage", 8, DType::kNone},
    {ScalarType::kComplexDouble, "complex128", "cdouble", "ComplexDoubleStorage", 16, DType::kNone},
    {ScalarType::kBool, "bool", nullptr, "BoolStorage", 1, DType::kBool},
    {ScalarType::kQInt8, "qint8", nullptr, "QInt8Storage", 1, DType::kI8},
    {ScalarType::kQUInt8, "quint8", nullptr, "QUInt8Storage", 1, DType::kU8},
    {ScalarType::kQInt32, "qint32", nullptr, "QInt32Storage", 4, DType::kI32},
    {ScalarType::kBFloat16, "bfloat16", nullptr, "BFloat16Storage", 2, DType::kBF16},
    {ScalarType::kQUInt4x2, "quint4x2", nullptr, "QUInt4x2Storage", 1, DType::kNone},
    {ScalarType::kQUInt2x4, "quint2x4", nullptr, "QUInt2x4Storage", 1, DType::kNone},
    {ScalarType::kFloat8E5M2, "float8_e5m2", nullptr, nullptr, 1, DType::kNone},
    {ScalarType::kFloat8E4M3FN, "float8_e4m3fn", nullptr, nullptr, 1, DType::kNone},
    {ScalarType::kFloat8E5M2FNUZ, "float8_e5m2fnuz", nullptr, nullptr, 1, DType::kNone},
    {ScalarType::kFloat8E4M3FNUZ, "float8_e4m3fnuz", nullptr, nullptr, 1, DType::kNone},
    {ScalarType::kUInt16, "uint16", nullptr, nullptr, 2, DType::kU16},
    {ScalarType::kUInt32, "uint32", nullptr, nullptr, 4, DType::kU32},
    {ScalarType::kUInt64, "uint64", nullptr, nullptr, 8, DType::kU64},
};

const Row* Find(ScalarType type) {
  for (const Row& row : kRows) {
    if (row.type == type) return &row;
  }
  return nullptr;
}

}  // namespace

const char* ScalarTypeName(ScalarType type) {
  const Row* row = Find(type);
  return row == nullptr ? "?" : row->name;
}

int64_t ScalarTypeSize(ScalarType type) {
  const Row* row = Find(type);
  return row == nullptr ? 0 : row->size;
}

std::optional<ScalarType> ScalarTypeByName(std::string_view name) {
  for (const Row& row : kRows) {
    if (name == row.name || (row.alias != nullptr && name == row.alias)) return row.type;
  }
  return std::nullopt;
}

std::optional<ScalarType> ScalarTypeOfStorage(std::string_view class_name) {
  for (const Row& row : kRows) {
    if (row.storage != nullptr && class_name == row.storage) return row.type;
  }
  return std::nullopt;
}

absl::StatusOr<DType> ToDType(ScalarType type) {
  const Row* row = Find(type);
  if (row != nullptr && row->dtype != DType::kNone) return row->dtype;
  if (row != nullptr) {
    return absl::UnimplementedError(
        absl::StrFormat("tensors of torch.%s are not supported", row->name));
  }
  return absl::UnimplementedError(absl::StrFormat(
      "tensors of PyTorch's element type number %d are not supported", static_cast<int>(type)));
}

ScalarType PartOfComplex(ScalarType type) {
  switch (type) {
    case ScalarType::kComplexHalf:
      return ScalarType::kHalf;
    case ScalarType::kComplexFloat:
      return ScalarType::kFloat;
    case ScalarType::kComplexDouble:
      return ScalarType::kDouble;
    default:
      return ScalarType::kUndefined;
  }
}

ScalarType FromDType(DType type) {
  if (type == DType::kNone) return ScalarType::kUndefined;
  for (const Row& row : kRows) {
    // Quantised types come after the plain one with the same integers.
    if (row.dtype == type) return row.type;
  }
  return ScalarType::kUndefined;
}

}  // namespace floe::torch_file
