// Element types of tensors. Part of the file format: values are never renumbered.
#ifndef FLOE_FORMAT_DTYPE_H_
#define FLOE_FORMAT_DTYPE_H_

#include <cstdint>

namespace floe {

enum class DType : uint8_t {
  kNone = 0,  // Absent optional operand.
  kF32 = 1,
  kF64 = 2,
  kF16 = 3,   // IEEE 754 binary16.
  kBF16 = 4,  // Upper half of binary32.
  kI8 = 5,
  kU8 = 6,
  kI16 = 7,
  kU16 = 8,
  kI32 = 9,
  kU32 = 10,
  kI64 = 11,
  kU64 = 12,
  kBool = 13,  // One byte, 0 or 1.
};
inline constexpr uint8_t kDTypeCount = 14;

// Bytes per element; 0 for kNone and for values that are no DType.
constexpr int64_t DTypeSize(DType t) {
  switch (t) {
    case DType::kF32:
    case DType::kI32:
    case DType::kU32:
      return 4;
    case DType::kF64:
    case DType::kI64:
    case DType::kU64:
      return 8;
    case DType::kF16:
    case DType::kBF16:
    case DType::kI16:
    case DType::kU16:
      return 2;
    case DType::kI8:
    case DType::kU8:
    case DType::kBool:
      return 1;
    default:
      return 0;
  }
}

// "f32", "i64", "bool", ...; "none" for kNone and for values that are no DType.
constexpr const char* DTypeName(DType t) {
  constexpr const char* kNames[kDTypeCount] = {"none", "f32", "f64", "f16", "bf16", "i8",  "u8",
                                               "i16",  "u16", "i32", "u32", "i64",  "u64", "bool"};
  const auto i = static_cast<uint8_t>(t);
  return i < kDTypeCount ? kNames[i] : "none";
}

constexpr bool IsFloat(DType t) {
  return t == DType::kF32 || t == DType::kF64 || t == DType::kF16 || t == DType::kBF16;
}
constexpr bool IsSignedInt(DType t) {
  return t == DType::kI8 || t == DType::kI16 || t == DType::kI32 || t == DType::kI64;
}
constexpr bool IsUnsignedInt(DType t) {
  return t == DType::kU8 || t == DType::kU16 || t == DType::kU32 || t == DType::kU64;
}
constexpr bool IsInt(DType t) { return IsSignedInt(t) || IsUnsignedInt(t); }

}  // namespace floe

#endif  // FLOE_FORMAT_DTYPE_H_
