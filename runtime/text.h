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
  Text(char* buffer, size_t capacity);

  Text& operator<<(std::string_view s);
  Text& operator<<(const char* s);
  Text& operator<<(int64_t v);
  Text& operator<<(DType t);
  // Two pieces at once.
  Text& Put(const char* before, std::string_view s);
  Text& Put(const char* before, int64_t v);
  // Length of the whole text, cut or not.
  size_t size() const { return size_; }

 private:
  char* buffer_;
  size_t capacity_;
  size_t size_ = 0;
};

// Copies text into a field of a struct: NUL-terminated, cut at its end.
void CopyText(std::string_view text, char* field, size_t capacity);
void CopyText(const char* text, char* field, size_t capacity);
template <typename T, size_t kSize>
void CopyText(T text, char (&field)[kSize]) {
  CopyText(text, field, kSize);
}
// "2*T+1", "N", "224".
void PutDim(const ProgramView& program, const DimExpr& dim, Text* text);
// "x f32[N,3,224,224]".
void PutValue(const ProgramView& program, uint32_t value, Text* text);

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_TEXT_H_
