// Checked 64-bit arithmetic: every size that comes from a file goes through these.
// Each returns true on success and leaves *out untouched on overflow.
#ifndef FLOE_FORMAT_CHECKED_H_
#define FLOE_FORMAT_CHECKED_H_

#include <cstdint>

namespace floe {

[[nodiscard]] inline bool CheckedAdd(int64_t a, int64_t b, int64_t* out) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

[[nodiscard]] inline bool CheckedMul(int64_t a, int64_t b, int64_t* out) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *out = r;
  return true;
}

// Rounds up to a multiple of `to` (a power of two).
[[nodiscard]] inline bool CheckedRoundUp(int64_t a, int64_t to, int64_t* out) {
  int64_t r;
  if (!CheckedAdd(a, to - 1, &r)) return false;
  *out = r & ~(to - 1);
  return true;
}

// For sizes that a check has bounded before.
constexpr int64_t RoundUp(int64_t a, int64_t to) { return (a + to - 1) / to * to; }
constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace floe

#endif  // FLOE_FORMAT_CHECKED_H_
