// XXH64, the checksum of headers and sections. It finds damage, not attacks: nothing in the reader
// relies on it for safety.
#ifndef FLOE_FORMAT_CHECKSUM_H_
#define FLOE_FORMAT_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

namespace floe {

// Feed any number of pieces; the digest depends on their concatenation only.
class Xxh64 {
 public:
  explicit Xxh64(uint64_t seed = 0);
  void Update(const void* data, size_t bytes);
  uint64_t Digest() const;

 private:
  uint64_t lanes_[4];
  uint64_t seed_;
  uint64_t total_ = 0;
  uint8_t tail_[32];
  size_t tail_bytes_ = 0;
};

uint64_t Checksum(const void* data, size_t bytes);

}  // namespace floe

#endif  // FLOE_FORMAT_CHECKSUM_H_
