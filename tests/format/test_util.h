// Helpers of the format's tests.
#ifndef FLOE_TESTS_FORMAT_TEST_UTIL_H_
#define FLOE_TESTS_FORMAT_TEST_UTIL_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <ostream>
#include <vector>

#include "format/program.h"
#include "format/status.h"
#include "format/writer.h"

namespace floe {

inline void PrintTo(const Status& s, std::ostream* os) {
  *os << CodeName(s.code) << " " << RuleName(s.rule) << " instruction "
      << static_cast<int>(s.instruction) << " value " << static_cast<int>(s.value) << " operand "
      << static_cast<int>(s.operand) << " axis " << s.axis << " expected " << s.expected << " got "
      << s.got;
}

namespace testing {

inline ::testing::AssertionResult IsOk(const Status& s) {
  if (s.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << ::testing::PrintToString(s);
}
#define EXPECT_OK(expr) EXPECT_TRUE(::floe::testing::IsOk(expr))
#define ASSERT_OK(expr) ASSERT_TRUE(::floe::testing::IsOk(expr))

// A file in memory as the reader wants it: 64-byte aligned, and of exactly the size that was asked
// for, so that sanitizers see a read past its end.
class AlignedFile {
 public:
  explicit AlignedFile(size_t bytes) : size_(bytes) {
    // Unlike aligned_alloc, it takes any size, so that no slack hides an overrun.
    if (posix_memalign(&memory_, 64, bytes == 0 ? 1 : bytes) != 0) std::abort();
  }
  AlignedFile(const uint8_t* data, size_t bytes) : AlignedFile(bytes) {
    if (bytes != 0) std::memcpy(memory_, data, bytes);
  }
  AlignedFile(AlignedFile&& o) noexcept : memory_(o.memory_), size_(o.size_) {
    o.memory_ = nullptr;
  }
  AlignedFile(const AlignedFile& o) : AlignedFile(o.data(), o.size()) {}
  AlignedFile& operator=(const AlignedFile&) = delete;
  ~AlignedFile() { std::free(memory_); }

  uint8_t* data() { return static_cast<uint8_t*>(memory_); }
  const uint8_t* data() const { return static_cast<const uint8_t*>(memory_); }
  size_t size() const { return size_; }

 private:
  void* memory_ = nullptr;
  size_t size_;
};

inline AlignedFile Written(const ProgramView& view) {
  std::vector<uint8_t> bytes;
  EXPECT_OK(WriteProgram(view, &bytes));
  return AlignedFile(bytes.data(), bytes.size());
}

}  // namespace testing
}  // namespace floe

#endif  // FLOE_TESTS_FORMAT_TEST_UTIL_H_
