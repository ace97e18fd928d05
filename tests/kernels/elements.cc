#include "tests/kernels/elements.h"

#include <cstdint>
#include <cstring>

#include "backends/reference/element.h"

namespace floe::conformance {

namespace {

// f(T{}) for the C++ type of the numbers of dtype t, which is not f16 or bf16.
template <class F>
auto WithNumber(DType t, F&& f) {
  switch (t) {
    case DType::kF64:
      return f(double{});
    case DType::kI8:
      return f(int8_t{});
    case DType::kU8:
    case DType::kBool:
      return f(uint8_t{});
    case DType::kI16:
      return f(int16_t{});
    case DType::kU16:
      return f(uint16_t{});
    case DType::kI32:
      return f(int32_t{});
    case DType::kU32:
      return f(uint32_t{});
    case DType::kI64:
      return f(int64_t{});
    case DType::kU64:
      return f(uint64_t{});
    default:
      return f(float{});
  }
}

}  // namespace

double ReadElement(DType t, const unsigned char* p) {
  if (t == DType::kF16 || t == DType::kBF16) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return t == DType::kF16 ? reference::F16::ToDouble(bits) : reference::BF16::ToDouble(bits);
  }
  return WithNumber(t, [p]<typename T>(T v) {
    std::memcpy(&v, p, sizeof v);
    return static_cast<double>(v);
  });
}

void WriteElement(DType t, double v, unsigned char* p) {
  if (t == DType::kF16 || t == DType::kBF16) {
    const uint16_t bits =
        t == DType::kF16 ? reference::F16::FromDouble(v) : reference::BF16::FromDouble(v);
    std::memcpy(p, &bits, sizeof bits);
    return;
  }
  WithNumber(t, [p, v]<typename T>(T) {
    const T x = static_cast<T>(v);
    std::memcpy(p, &x, sizeof x);
  });
}

}  // namespace floe::conformance
