#include "runtime/text.h"

namespace floe::runtime {

Text::Text(char* buffer, size_t capacity) : buffer_(buffer), capacity_(capacity) {
  if (capacity_ != 0) buffer_[0] = '\0';
}

Text& Text::operator<<(std::string_view s) {
  for (const char c : s) {
    if (size_ + 1 < capacity_) {
      buffer_[size_] = c;
      buffer_[size_ + 1] = '\0';
    }
    ++size_;
  }
  return *this;
}

Text& Text::operator<<(const char* s) { return *this << std::string_view(s); }

Text& Text::operator<<(int64_t v) {
  char digits[20];
  size_t at = sizeof(digits);
  uint64_t u = v < 0 ? uint64_t{0} - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
  do {
    digits[--at] = static_cast<char>('0' + u % 10);
  } while ((u /= 10) != 0);
  if (v < 0) digits[--at] = '-';
  return *this << std::string_view(digits + at, sizeof(digits) - at);
}

Text& Text::operator<<(DType t) { return *this << DTypeName(t); }

Text& Text::Put(const char* before, std::string_view s) { return *this << before << s; }

Text& Text::Put(const char* before, int64_t v) { return *this << before << v; }

void CopyText(std::string_view text, char* field, size_t capacity) {
  Text(field, capacity) << text;
}

void CopyText(const char* text, char* field, size_t capacity) {
  CopyText(std::string_view(text), field, capacity);
}

void PutDim(const ProgramView& program, const DimExpr& dim, Text* text) {
  bool first = true;
  for (uint32_t i = 0; i < dim.term_count; ++i) {
    const DimTerm& term = program.terms[dim.first_term + i];
    if (!first && term.coefficient >= 0) *text << "+";
    if (term.coefficient == -1) {
      *text << "-";
    } else if (term.coefficient != 1) {
      *text << term.coefficient << "*";
    }
    *text << program.String(program.symbols[term.symbol].name);
    first = false;
  }
  if (first || dim.constant != 0) {
    if (!first && dim.constant > 0) *text << "+";
    *text << dim.constant;
  }
}

void PutValue(const ProgramView& program, uint32_t value, Text* text) {
  const ValueDef& v = program.values[value];
  const std::string_view name = program.String(v.name);
  if (!name.empty()) *text << name << " ";
  *text << static_cast<DType>(v.dtype) << "[";
  for (uint32_t axis = 0; axis < v.rank; ++axis) {
    if (axis != 0) *text << ",";
    PutDim(program, program.DimOf(v, axis), text);
  }
  *text << "]";
}

}  // namespace floe::runtime
