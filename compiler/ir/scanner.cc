#include "compiler/ir/scanner.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/ir/text_words.h"

namespace floe::ir {
namespace {

bool IsWordChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

}  // namespace

void Scanner::Fail(const std::string& what) { FailWith(absl::InvalidArgumentError(what)); }

void Scanner::FailWith(const absl::Status& error) {
  if (!ok()) return;
  const std::string_view before = text_.substr(0, at_);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? at_ + 1 : at_ - newline;
  status_ = absl::Status(error.code(), absl::StrFormat("line %d, column %d: %s", line, column,
                                                       std::string(error.message())));
}

void Scanner::SkipBlanks() {
  while (at_ < text_.size()) {
    if (std::isspace(static_cast<unsigned char>(text_[at_])) != 0) {
      ++at_;
    } else if (text_.substr(at_, 2) == "//") {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else {
      return;
    }
  }
}

bool Scanner::AtEnd() {
  SkipBlanks();
  return at_ == text_.size();
}

bool Scanner::Peek(std::string_view word) {
  if (!ok()) return false;
  SkipBlanks();
  if (text_.substr(at_, word.size()) != word) return false;
  const size_t end = at_ + word.size();
  return !IsWordChar(word.back()) || end == text_.size() || !IsWordChar(text_[end]);
}

bool Scanner::Accept(std::string_view word) {
  if (!Peek(word)) return false;
  at_ += word.size();
  return true;
}

void Scanner::Expect(std::string_view word) {
  if (!Accept(word)) Fail(absl::StrFormat("expected '%s'", std::string(word)));
}

bool Scanner::PeekNumber() {
  SkipBlanks();
  if (!ok() || at_ >= text_.size()) return false;
  const size_t digit = text_[at_] == '-' ? at_ + 1 : at_;
  return digit < text_.size() && std::isdigit(static_cast<unsigned char>(text_[digit])) != 0;
}

std::string Scanner::Identifier() {
  SkipBlanks();
  size_t end = at_;
  while (ok() && end < text_.size() && IsWordChar(text_[end])) ++end;
  if (end == at_) Fail("expected a word");
  const std::string word(text_.substr(at_, end - at_));
  at_ = end;
  return word;
}

std::string Scanner::Name() {
  if (at_ < text_.size() && text_[at_] == '"') return QuotedString();
  size_t end = at_;
  while (ok() && end < text_.size() && IsNameChar(text_[end])) ++end;
  const std::string name(text_.substr(at_, end - at_));
  at_ = end;
  return name;
}

std::string Scanner::QuotedString() {
  Expect("\"");
  std::string text;
  while (ok()) {
    if (at_ >= text_.size()) {
      Fail("a string does not end");
      break;
    }
    const char c = text_[at_++];
    if (c == '"') return text;
    if (c != '\\') {
      text += c;
    } else if (text_.substr(at_, 1) == "x") {
      unsigned value = 0;
      const char* first = text_.data() + std::min(at_ + 1, text_.size());
      const char* last = text_.data() + std::min(at_ + 3, text_.size());
      const auto [end, error] = std::from_chars(first, last, value, 16);
      if (error != std::errc() || end != last) Fail("expected two hexadecimal digits");
      text += static_cast<char>(value);
      at_ += 3;
    } else if (at_ < text_.size()) {
      text += text_[at_++];
    }
  }
  return "";
}

int64_t Scanner::Int() {
  SkipBlanks();
  int64_t value = 0;
  if (!ok()) return 0;
  const char* first = text_.data() + at_;
  const auto [end, error] = std::from_chars(first, text_.data() + text_.size(), value);
  if (error != std::errc()) {
    Fail("expected an integer of at most 64 bits");
    return 0;
  }
  at_ += static_cast<size_t>(end - first);
  return value;
}

double Scanner::Float() {
  if (Accept("inf")) return std::numeric_limits<double>::infinity();
  if (Accept("-inf")) return -std::numeric_limits<double>::infinity();
  if (Accept("nan")) return std::numeric_limits<double>::quiet_NaN();
  SkipBlanks();
  double value = 0;
  if (!ok()) return 0;
  const char* first = text_.data() + at_;
  const auto [end, error] = std::from_chars(first, text_.data() + text_.size(), value);
  if (error != std::errc()) {
    Fail("expected a number");
    return 0;
  }
  at_ += static_cast<size_t>(end - first);
  return value;
}

}  // namespace floe::ir
