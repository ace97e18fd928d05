// Attributes of IR ops as int64 words, in the order of format/ops.def: int: one word; float: the
// bits of a double; ints and floats: a count, then the values. AttrReader never reads past the end:
// it turns not ok() and gives zeros.
#ifndef FLOE_FORMAT_ATTRS_H_
#define FLOE_FORMAT_ATTRS_H_

#include <bit>
#include <cstdint>
#include <span>

namespace floe {

constexpr int64_t FloatWord(double v) { return std::bit_cast<int64_t>(v); }
constexpr double WordFloat(int64_t w) { return std::bit_cast<double>(w); }

class AttrReader {
 public:
  AttrReader(const int64_t* words, uint32_t count) : words_(words), left_(count) {}

  int64_t Int() {
    if (left_ == 0) {
      ok_ = false;
      return 0;
    }
    --left_;
    return *words_++;
  }
  double Float() { return WordFloat(Int()); }
  std::span<const int64_t> Ints() {
    const int64_t n = Int();
    if (n < 0 || n > static_cast<int64_t>(left_)) {
      ok_ = false;
      left_ = 0;
      return {};
    }
    std::span<const int64_t> s(words_, static_cast<size_t>(n));
    words_ += n;
    left_ -= static_cast<uint32_t>(n);
    return s;
  }
  // True when nothing was missing and nothing is left.
  bool Done() const { return ok_ && left_ == 0; }
  bool ok() const { return ok_; }

 private:
  const int64_t* words_;
  uint32_t left_;
  bool ok_ = true;
};

}  // namespace floe

#endif  // FLOE_FORMAT_ATTRS_H_
