// Memory that shows when somebody reads or writes beyond it: the data ends (up to alignment) at an
// unmapped page, and a page of canaries lies in front of it.
#ifndef FLOE_TESTS_KERNELS_GUARDED_BUFFER_H_
#define FLOE_TESTS_KERNELS_GUARDED_BUFFER_H_

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace floe::conformance {

class GuardedBuffer {
 public:
  // `slack` more bytes after the data are readable and count as canaries.
  explicit GuardedBuffer(int64_t bytes = 0, int64_t slack = 0)
      : bytes_(static_cast<size_t>(bytes)) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    // The data starts 64-byte aligned, so up to 63 canary bytes lie between its end and the page's.
    const size_t span = (bytes_ + static_cast<size_t>(slack) + 63) / 64 * 64;
    usable_ = page + (span + page - 1) / page * page;
    mapped_ = usable_ + page;
    void* memory =
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    base_ = static_cast<unsigned char*>(memory);
    if (mprotect(base_ + usable_, page, PROT_NONE) != 0) std::abort();
    data_ = base_ + usable_ - span;
    std::memset(base_, kCanary, usable_);
    Poison();
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept { Swap(other); }
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept {
    Swap(other);
    return *this;
  }
  ~GuardedBuffer() {
    if (base_ != nullptr) munmap(base_, mapped_);
  }

  unsigned char* data() { return data_; }
  const unsigned char* data() const { return data_; }
  size_t size() const { return bytes_; }

  // All data bytes 0xff: NaN for floats, an absurd number for integers.
  void Poison() { std::memset(data_, 0xff, bytes_); }

  // Is everything around the data as it was?
  bool Intact() const {
    for (const unsigned char* p = base_; p < data_; ++p) {
      if (*p != kCanary) return false;
    }
    for (const unsigned char* p = data_ + bytes_; p < base_ + usable_; ++p) {
      if (*p != kCanary) return false;
    }
    return true;
  }

 private:
  static constexpr unsigned char kCanary = 0xfb;  // Four of them are a NaN-like huge negative.

  void Swap(GuardedBuffer& other) {
    std::swap(bytes_, other.bytes_);
    std::swap(usable_, other.usable_);
    std::swap(mapped_, other.mapped_);
    std::swap(base_, other.base_);
    std::swap(data_, other.data_);
  }

  size_t bytes_ = 0;
  size_t usable_ = 0;
  size_t mapped_ = 0;
  unsigned char* base_ = nullptr;
  unsigned char* data_ = nullptr;
};

}  // namespace floe::conformance

#endif  // FLOE_TESTS_KERNELS_GUARDED_BUFFER_H_
