// Tensor: owned or borrowed bytes, and element access for every dtype.
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "compiler/ir/graph.h"
#include "format/checked.h"
#include "format/tensor_info.h"

namespace floe::ir {
namespace {

double HalfToDouble(uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  double v;
  if (exponent == 31) {
    v = mantissa != 0 ? std::numeric_limits<double>::quiet_NaN()
                      : std::numeric_limits<double>::infinity();
  } else if (exponent == 0) {
    v = std::ldexp(mantissa, -24);
  } else {
    v = std::ldexp(mantissa + 1024, exponent - 25);
  }
  return (h & 0x8000) != 0 ? -v : v;
}

// Rounds half to even.
uint16_t DoubleToHalf(double d) {
  const uint16_t sign = std::signbit(d) ? 0x8000 : 0;
  const double a = std::fabs(d);
  if (std::isnan(d)) return sign | 0x7e00;
  if (a >= 65520.0) return sign | 0x7c00;
  const int exponent = a < std::ldexp(1.0, -14) ? -14 : std::ilogb(a);
  const auto units = static_cast<uint32_t>(std::nearbyint(std::ldexp(a, 10 - exponent)));
  // `units` is 1024 + mantissa for normal numbers; a carry out of it moves to the next exponent.
  return static_cast<uint16_t>(sign | (((exponent + 14) << 10) + units));
}

uint16_t DoubleToBFloat(double d) {
  const auto f = static_cast<float>(d);
  const auto bits = std::bit_cast<uint32_t>(f);
  if (std::isnan(f)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <typename T>
T At(const void* data, int64_t i) {
  T v;
  std::memcpy(&v, static_cast<const char*>(data) + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return v;
}

template <typename T>
void Put(void* data, int64_t i, T v) {
  std::memcpy(static_cast<char*>(data) + i * static_cast<int64_t>(sizeof(T)), &v, sizeof(T));
}

}  // namespace

Tensor::Tensor(DType dtype, std::vector<int64_t> dims) : dtype_(dtype), dims_(std::move(dims)) {
  const auto size = static_cast<size_t>(RoundUp(bytes(), kAlignment) + kReadSlack);
  void* memory = std::aligned_alloc(kAlignment, size);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, size);
  data_ = memory;
  owner_ =
      std::shared_ptr<const void>(memory, [](const void* p) { std::free(const_cast<void*>(p)); });
}

Tensor::Tensor(DType dtype, std::vector<int64_t> dims, const void* data,
               std::shared_ptr<const void> owner)
    : dtype_(dtype), dims_(std::move(dims)), data_(data), owner_(std::move(owner)) {}

int64_t Tensor::count() const {
  int64_t n = 1;
  for (const int64_t d : dims_) {
    [[maybe_unused]] const bool fits = CheckedMul(n, d, &n);
    assert(fits);
  }
  return n;
}

void* Tensor::mutable_data() { return const_cast<void*>(data_); }

Tensor Tensor::WithDims(std::vector<int64_t> dims) const {
  Tensor t = *this;
  t.dims_ = std::move(dims);
  assert(t.count() == count());
  return t;
}

int64_t Tensor::IntAt(int64_t i) const {
  switch (dtype_) {
    case DType::kI8:
      return At<int8_t>(data_, i);
    case DType::kU8:
    case DType::kBool:
      return At<uint8_t>(data_, i);
    case DType::kI16:
      return At<int16_t>(data_, i);
    case DType::kU16:
      return At<uint16_t>(data_, i);
    case DType::kI32:
      return At<int32_t>(data_, i);
    case DType::kU32:
      return At<uint32_t>(data_, i);
    case DType::kI64:
    case DType::kU64:
      return At<int64_t>(data_, i);
    default:
      assert(false && "IntAt of a float tensor");
      return 0;
  }
}

double Tensor::DoubleAt(int64_t i) const {
  switch (dtype_) {
    case DType::kF32:
      return At<float>(data_, i);
    case DType::kF64:
      return At<double>(data_, i);
    case DType::kF16:
      return HalfToDouble(At<uint16_t>(data_, i));
    case DType::kBF16:
      return std::bit_cast<float>(static_cast<uint32_t>(At<uint16_t>(data_, i)) << 16);
    case DType::kU64:
      return static_cast<double>(At<uint64_t>(data_, i));
    default:
      return static_cast<double>(IntAt(i));
  }
}

void Tensor::SetInt(int64_t i, int64_t v) {
  void* data = mutable_data();
  switch (DTypeSize(dtype_)) {
    case 1:
      return Put(data, i, static_cast<uint8_t>(dtype_ == DType::kBool ? v != 0 : v));
    case 2:
      return Put(data, i, static_cast<uint16_t>(v));
    case 4:
      return Put(data, i, static_cast<uint32_t>(v));
    default:
      return Put(data, i, v);
  }
}

void Tensor::SetDouble(int64_t i, double v) {
  void* data = mutable_data();
  switch (dtype_) {
    case DType::kF32:
      return Put(data, i, static_cast<float>(v));
    case DType::kF64:
      return Put(data, i, v);
    case DType::kF16:
      return Put(data, i, DoubleToHalf(v));
    case DType::kBF16:
      return Put(data, i, DoubleToBFloat(v));
    default:
      return SetInt(i, static_cast<int64_t>(v));
  }
}

bool Tensor::BytesEqual(const Tensor& other) const {
  if (dtype_ != other.dtype_ || dims_ != other.dims_) return false;
  return data_ == other.data_ || bytes() == 0 ||
         std::memcmp(data_, other.data_, static_cast<size_t>(bytes())) == 0;
}

uint64_t Tensor::ContentHash() const {
  // Four independent multiply-xor lanes: about memory speed, and the same on every machine of one
  // byte order. Not meant to resist attack; equality is always confirmed on the bytes.
  constexpr uint64_t kPrime = 0x9e3779b97f4a7c15u;
  const auto mix = [](uint64_t h, uint64_t v) {
    h = (h ^ v) * kPrime;
    return h ^ (h >> 29);
  };
  uint64_t lanes[4] = {1, 2, 3, 4};
  const int64_t size = bytes();
  int64_t at = 0;
  const char* p = static_cast<const char*>(data_);
  for (; at + 32 <= size; at += 32) {
    for (int lane = 0; lane < 4; ++lane) lanes[lane] = mix(lanes[lane], At<uint64_t>(p + at, lane));
  }
  uint64_t h = mix(static_cast<uint64_t>(dtype_), static_cast<uint64_t>(size));
  for (const int64_t d : dims_) h = mix(h, static_cast<uint64_t>(d));
  for (; at < size; ++at) h = mix(h, static_cast<uint8_t>(p[at]));
  for (const uint64_t lane : lanes) h = mix(h, lane);
  return h;
}

}  // namespace floe::ir
