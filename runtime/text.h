// Builds text in a caller's buffer without allocating; counts what does not fit.
#ifndef FLOE_RUNTIME_TEXT_H_
#define FLOE_RUNTIME_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "format/program.h"

namespace floe::runtime {

class Text {
 public:
  // The text is always NUL-terminated when capacity is not 0.
  Text(char* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) {
    if (capacity_ != 0) buffer_[0] = '\0';
  }

  Text& operator<<(std::string_view s) {
    for (const char c : s) Put(c);
    return *this;
  }
  Text& operator<<(const char* s) { return *this << std::string_view(s); }
  Text& operator<<(int64_t v) {
    char digits[20];
    int n = 0;
    uint64_t u = v < 0 ? uint64_t{0} - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
    do {
      digits[n++] = static_cast<char>('0' + u % 10);
    } while ((u /= 10) != 0);
    if (v < 0) Put('-');
    while (n > 0) Put(digits[--n]);
    return *this;
  }
  // Length of the whole text, cut or not.
  size_t size() const { return size_; }

 private:
  void Put(char c) {
    if (size_ + 1 < capacity_) {
      buffer_[size_] = c;
      buffer_[size_ + 1] = '\0';
    }
    ++size_;
  }

  char* buffer_;
  size_t capacity_;
  size_t size_ = 0;
};

// Name of an OpId from a file; "?" if there is no such op.
const char* OpName(uint16_t op);
// "2*T+1", "N", "224".
void PutDim(const ProgramView& program, const DimExpr& dim, Text* text);
// "x f32[N,3,224,224]".
void PutValue(const ProgramView& program, uint32_t value, Text* text);

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_TEXT_H_
