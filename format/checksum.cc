#include "format/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace floe {
namespace {

static_assert(std::endian::native == std::endian::little, "the file format is little-endian");

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87u;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4Fu;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9u;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63u;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5u;

template <typename T>
T Load(const uint8_t* p) {
  T v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}

uint64_t Round(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * kPrime2, 31) * kPrime1;
}

void Stripe(uint64_t lanes[4], const uint8_t* p) {
  for (int i = 0; i < 4; ++i) lanes[i] = Round(lanes[i], Load<uint64_t>(p + 8 * i));
}

}  // namespace

Xxh64::Xxh64(uint64_t seed)
    : lanes_{seed + kPrime1 + kPrime2, seed + kPrime2, seed, seed - kPrime1}, seed_(seed) {}

void Xxh64::Update(const void* data, size_t bytes) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  total_ += bytes;
  while (bytes != 0) {
    const uint8_t* stripe = p;
    size_t take = sizeof(tail_);
    if (tail_bytes_ != 0 || bytes < take) {  // Not a whole stripe, or not the next one.
      take = std::min(bytes, sizeof(tail_) - tail_bytes_);
      std::memcpy(tail_ + tail_bytes_, p, take);
      tail_bytes_ += take;
      if (tail_bytes_ < sizeof(tail_)) return;
      tail_bytes_ = 0;
      stripe = tail_;
    }
    Stripe(lanes_, stripe);
    p += take;
    bytes -= take;
  }
}

uint64_t Xxh64::Digest() const {
  uint64_t h;
  if (total_ >= 32) {
    h = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
        std::rotl(lanes_[3], 18);
    for (const uint64_t lane : lanes_) h = (h ^ Round(0, lane)) * kPrime1 + kPrime4;
  } else {
    h = seed_ + kPrime5;
  }
  h += total_;
  const uint8_t* p = tail_;
  size_t left = tail_bytes_;
  for (; left >= 8; left -= 8, p += 8) {
    h = std::rotl(h ^ Round(0, Load<uint64_t>(p)), 27) * kPrime1 + kPrime4;
  }
  if (left >= 4) {
    h = std::rotl(h ^ (Load<uint32_t>(p) * kPrime1), 23) * kPrime2 + kPrime3;
    left -= 4;
    p += 4;
  }
  for (; left > 0; --left, ++p) h = std::rotl(h ^ (*p * kPrime5), 11) * kPrime1;
  h = (h ^ h >> 33) * kPrime2;
  h = (h ^ h >> 29) * kPrime3;
  return h ^ h >> 32;
}

uint64_t Checksum(const void* data, size_t bytes) {
  Xxh64 x;
  x.Update(data, bytes);
  return x.Digest();
}

}  // namespace floe
