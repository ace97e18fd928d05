// PyTorch's element types. The numbers are c10::ScalarType's, which pickled quantised types and
// TorchScript's code use as plain integers.
#ifndef FLOE_COMPILER_IMPORT_TORCH_FILE_DTYPES_H_
#define FLOE_COMPILER_IMPORT_TORCH_FILE_DTYPES_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "format/dtype.h"

namespace floe::torch_file {

enum class ScalarType : int8_t {
  kUndefined = -1,
  kByte = 0,
  kChar = 1,
  kShort = 2,
  kInt = 3,
  kLong = 4,
  kHalf = 5,
  kFloat = 6,
  kDouble = 7,
  kComplexHalf = 8,
  kComplexFloat = 9,
  kComplexDouble = 10,
  kBool = 11,
  kQInt8 = 12,
  kQUInt8 = 13,
  kQInt32 = 14,
  kBFloat16 = 15,
  kQUInt4x2 = 16,
  kQUInt2x4 = 17,
  kFloat8E5M2 = 23,
  kFloat8E4M3FN = 24,
  kFloat8E5M2FNUZ = 25,
  kFloat8E4M3FNUZ = 26,
  kUInt16 = 27,
  kUInt32 = 28,
  kUInt64 = 29,
};

// "float32", "qint8": the name behind "torch.". "?" for other numbers.
const char* ScalarTypeName(ScalarType type);
// Bytes of an element of a storage; 0 for unknown numbers.
int64_t ScalarTypeSize(ScalarType type);
// By the name behind "torch.": "float32", "float", "half", ...
std::optional<ScalarType> ScalarTypeByName(std::string_view name);
// By the name of a typed storage class: "FloatStorage", "QInt8Storage", ...
std::optional<ScalarType> ScalarTypeOfStorage(std::string_view class_name);
// The type of Floe that has the same bytes; quantised types give their integer type. kUnimplemented
// that names the type if there is none.
absl::StatusOr<DType> ToDType(ScalarType type);
// The type of the parts of a complex type; kUndefined for others.
ScalarType PartOfComplex(ScalarType type);
// The PyTorch type with exactly these elements; kUndefined for kNone.
ScalarType FromDType(DType type);

}  // namespace floe::torch_file

#endif  // FLOE_COMPILER_IMPORT_TORCH_FILE_DTYPES_H_
