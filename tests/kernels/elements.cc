#include "tests/kernels/elements.h"

#include <cstdint>
#include <cstring>

#include "backends/reference/element.h"

namespace floe::conformance {

double ReadElement(DType t, const unsigned char* p) {
  const auto as = [p]<typename T>(T v) {
    std::memcpy(&v, p, sizeof v);
    return static_cast<double>(v);
  };
  switch (t) {
    case DType::kF32:
      return as(float{});
    case DType::kF64:
      return as(double{});
    case DType::kI8:
      return as(int8_t{});
    case DType::kU8:
    case DType::kBool:
      return as(uint8_t{});
    case DType::kI16:
      return as(int16_t{});
    case DType::kU16:
      return as(uint16_t{});
    case DType::kI32:
      return as(int32_t{});
    case DType::kU32:
      return as(uint32_t{});
    case DType::kI64:
      return as(int64_t{});
    case DType::kU64:
      return as(uint64_t{});
    case DType::kF16:
    case DType::kBF16: {
      uint16_t bits;
      std::memcpy(&bits, p, sizeof bits);
      return t == DType::kF16 ? reference::F16::ToDouble(bits) : reference::BF16::ToDouble(bits);
    }
    case DType::kNone:
      break;
  }
  return 0;
}

namespace {

void WriteHalf(DType t, double v, unsigned char* p) {
  const uint16_t bits =
      t == DType::kF16 ? reference::F16::FromDouble(v) : reference::BF16::FromDouble(v);
  std::memcpy(p, &bits, sizeof bits);
}

}  // namespace

void WriteElement(DType t, double v, unsigned char* p) {
  const auto as = [p, v]<typename T>(T) {
    const T x = static_cast<T>(v);
    std::memcpy(p, &x, sizeof x);
  };
  switch (t) {
    case DType::kF32:
      return as(float{});
    case DType::kF64:
      return as(double{});
    case DType::kI8:
      return as(int8_t{});
    case DType::kU8:
    case DType::kBool:
      return as(uint8_t{});
    case DType::kI16:
      return as(int16_t{});
    case DType::kU16:
      return as(uint16_t{});
    case DType::kF16:
    case DType::kBF16:
      return WriteHalf(t, v, p);
    case DType::kI32:
      return as(int32_t{});
    case DType::kU32:
      return as(uint32_t{});
    case DType::kI64:
      return as(int64_t{});
    case DType::kU64:
      return as(uint64_t{});
    case DType::kNone:
      return;
  }
}

}  // namespace floe::conformance
