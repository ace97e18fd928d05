// Elements of tensors as numbers: conversions between storage types and the few types in which the
// reference ops compute (double for floats, int64 for integers and bool, uint64 for u64; float for
// the pointwise bytecode).
//
// This folder, in the order in which it is read: element.h (numbers), walk.h (index walks and
// copies), ops_internal.h (how an op is written), ops_<family>.cc (the ops), pointwise.h (the
// bytecode), ops.h (what others call). twins/ holds the plain twins of the kernel families.
#ifndef FLOE_BACKENDS_REFERENCE_ELEMENT_H_
#define FLOE_BACKENDS_REFERENCE_ELEMENT_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "format/dtype.h"

namespace floe::reference {

// Storage of the types that C++ 20 does not have. One float in 16 bits, of which kBits are stored
// mantissa and whose exponent bias is kBias.
template <int kBits, int kBias>
struct Narrow16 {
  uint16_t bits;

  static double ToDouble(uint16_t b) {
    constexpr int kMaxExponent = (1 << (15 - kBits)) - 1;
    const uint64_t sign = static_cast<uint64_t>(b >> 15) << 63;
    const int exponent = (b >> kBits) & kMaxExponent;
    const uint64_t mantissa = b & ((1u << kBits) - 1);
    if (exponent == 0) {
      const double v = std::ldexp(static_cast<double>(mantissa), 1 - kBias - kBits);
      return sign != 0 ? -v : v;
    }
    const uint64_t wide = exponent == kMaxExponent ? 0x7ff : exponent - kBias + 1023;
    return std::bit_cast<double>(sign | wide << 52 | mantissa << (52 - kBits));
  }

  // Rounds to nearest even, once: straight from double.
  static uint16_t FromDouble(double v) {
    constexpr int kMaxExponent = (1 << (15 - kBits)) - 1;
    constexpr uint16_t kInf = kMaxExponent << kBits;
    const uint64_t raw = std::bit_cast<uint64_t>(v);
    const auto sign = static_cast<uint16_t>(raw >> 63 << 15);
    if (v != v) return static_cast<uint16_t>(sign | kInf | 1 << (kBits - 1));
    const int exponent = static_cast<int>(raw >> 52 & 0x7ff) - 1023;
    if (exponent > kBias) return sign | kInf;
    if (exponent < 1 - kBias) {  // Subnormal, or rounds up to the smallest normal number.
      const double steps = std::nearbyint(std::ldexp(std::fabs(v), kBias - 1 + kBits));
      return static_cast<uint16_t>(sign | static_cast<uint16_t>(steps));
    }
    constexpr int kDrop = 52 - kBits;
    const uint64_t mantissa = raw & ((uint64_t{1} << 52) - 1);
    const uint64_t rest = mantissa & ((uint64_t{1} << kDrop) - 1);
    const uint64_t half = uint64_t{1} << (kDrop - 1);
    uint32_t out =
        static_cast<uint32_t>(exponent + kBias) << kBits | static_cast<uint32_t>(mantissa >> kDrop);
    if (rest > half || (rest == half && (out & 1) != 0)) ++out;  // May carry into infinity.
    return static_cast<uint16_t>(sign | out);
  }
};
using F16 = Narrow16<10, 15>;
using BF16 = Narrow16<7, 127>;
struct Bool {
  uint8_t bits;
};

template <class E>
inline constexpr bool kIsNarrow = std::is_same_v<E, F16> || std::is_same_v<E, BF16>;
template <class E>
inline constexpr bool kIsFloatElement = std::is_floating_point_v<E> || kIsNarrow<E>;

// An element as a number of type C.
template <class C, class E>
inline C Get(E e) {
  if constexpr (kIsNarrow<E>) {
    return static_cast<C>(E::ToDouble(e.bits));
  } else if constexpr (std::is_same_v<E, Bool>) {
    return static_cast<C>(e.bits != 0 ? 1 : 0);
  } else {
    return static_cast<C>(e);
  }
}

// Float to integer: truncates, saturates, NaN gives 0.
template <class I>
inline I SaturateToInt(double v) {
  constexpr double kLimit = static_cast<double>(uint64_t{1} << (sizeof(I) * 8 - 1));
  if (v != v) return 0;
  if constexpr (std::is_signed_v<I>) {
    if (v >= kLimit) return static_cast<I>((uint64_t{1} << (sizeof(I) * 8 - 1)) - 1);
    if (v < -kLimit) return static_cast<I>(uint64_t{1} << (sizeof(I) * 8 - 1));
  } else {
    if (v >= 2 * kLimit) return static_cast<I>(-1);
    if (v <= 0) return 0;
  }
  return static_cast<I>(v);
}

// A number of type C as an element: floats round to nearest even, float to integer saturates,
// integer to integer wraps, bool is v != 0.
template <class E, class C>
inline E Put(C v) {
  if constexpr (kIsNarrow<E>) {
    return E{E::FromDouble(static_cast<double>(v))};
  } else if constexpr (std::is_same_v<E, Bool>) {
    return Bool{static_cast<uint8_t>(v != 0 ? 1 : 0)};
  } else if constexpr (std::is_integral_v<E> && std::is_floating_point_v<C>) {
    return SaturateToInt<E>(static_cast<double>(v));
  } else {
    return static_cast<E>(v);
  }
}

// Calls f.template operator()<E>() with the storage type of `t`. A valid DType only.
template <class F>
inline auto WithElement(DType t, F&& f) {
  switch (t) {
    case DType::kF64:
      return f.template operator()<double>();
    case DType::kF16:
      return f.template operator()<F16>();
    case DType::kBF16:
      return f.template operator()<BF16>();
    case DType::kI8:
      return f.template operator()<int8_t>();
    case DType::kU8:
      return f.template operator()<uint8_t>();
    case DType::kI16:
      return f.template operator()<int16_t>();
    case DType::kU16:
      return f.template operator()<uint16_t>();
    case DType::kI32:
      return f.template operator()<int32_t>();
    case DType::kU32:
      return f.template operator()<uint32_t>();
    case DType::kI64:
      return f.template operator()<int64_t>();
    case DType::kU64:
      return f.template operator()<uint64_t>();
    case DType::kBool:
      return f.template operator()<Bool>();
    default:
      return f.template operator()<float>();
  }
}

// The same for the float types alone.
template <class F>
inline auto WithFloat(DType t, F&& f) {
  switch (t) {
    case DType::kF64:
      return f.template operator()<double>();
    case DType::kF16:
      return f.template operator()<F16>();
    case DType::kBF16:
      return f.template operator()<BF16>();
    default:
      return f.template operator()<float>();
  }
}

// The type in which elements of dtype t are computed: f(double{}), f(int64_t{}) or f(uint64_t{}).
template <class F>
inline auto WithCompute(DType t, F&& f) {
  if (IsFloat(t)) return f(double{});
  if (t == DType::kU64) return f(uint64_t{});
  return f(int64_t{});
}

// Reads n elements at base[offsets[i]], or n consecutive ones from base[start], as C. A float is
// read as an integer by truncation with saturation.
template <class C>
void LoadAt(DType t, const void* base, const int64_t* offsets, int64_t n, C* out);
template <class C>
void LoadRun(DType t, const void* base, int64_t start, int64_t n, C* out);
// Writes n numbers to base[offsets[i]], or from base[start] on.
template <class C>
void StoreAt(DType t, void* base, const int64_t* offsets, int64_t n, const C* v);
template <class C>
void StoreRun(DType t, void* base, int64_t start, int64_t n, const C* v);

// One element.
template <class C>
inline C LoadOne(DType t, const void* base, int64_t at) {
  C v;
  LoadRun<C>(t, base, at, 1, &v);
  return v;
}
template <class C>
inline void StoreOne(DType t, void* base, int64_t at, C v) {
  StoreRun<C>(t, base, at, 1, &v);
}

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_ELEMENT_H_
