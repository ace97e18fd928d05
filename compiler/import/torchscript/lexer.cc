#include "compiler/import/torchscript/lexer.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

constexpr size_t kMaxBytes = size_t{256} << 20;
constexpr size_t kMaxIndents = 256;

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& path) : source_(source), path_(path) {}

  absl::StatusOr<std::vector<Token>> Run() {
    if (source_.size() > kMaxBytes) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "%s has %d bytes; code may have at most %d", path_, source_.size(), kMaxBytes));
    }
    while (at_ < source_.size()) {
      if (line_begin_ && open_ == 0) {
        FLOE_TRY(Indentation());
        if (at_ >= source_.size()) break;
      }
      FLOE_TRY(Next());
    }
    if (open_ > 0) return Error("the file ends inside of brackets");
    if (!tokens_.empty() && !line_begin_) Push(TokenKind::kNewline, at_);
    for (; indents_.size() > 1; indents_.pop_back()) Push(TokenKind::kDedent, at_);
    Push(TokenKind::kEnd, at_);
    return std::move(tokens_);
  }

 private:
  absl::Status Error(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrFormat("%s:%d: %s", path_, line_, what));
  }

  Token& Push(TokenKind kind, size_t at) {
    Token& t = tokens_.emplace_back();
    t.kind = kind;
    t.at = {line_, static_cast<int32_t>(at)};
    return t;
  }

  // At the begin of a line: skips blank ones, then opens or closes blocks.
  absl::Status Indentation() {
    size_t column = 0;
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == ' ') {
        ++column;
      } else if (c == '\t') {
        column += 8 - column % 8;
      } else if (c == '\n') {
        column = 0;
        ++line_;
      } else if (c == '#') {
        while (at_ < source_.size() && source_[at_] != '\n') ++at_;
        continue;
      } else if (c != '\r') {
        break;
      }
      ++at_;
    }
    if (at_ >= source_.size()) return absl::OkStatus();
    line_begin_ = false;
    if (column > indents_.back()) {
      if (indents_.size() >= kMaxIndents) return Error("blocks are nested too deep");
      indents_.push_back(column);
      Push(TokenKind::kIndent, at_);
      return absl::OkStatus();
    }
    for (; column < indents_.back(); indents_.pop_back()) Push(TokenKind::kDedent, at_);
    if (column != indents_.back()) return Error("the indentation fits no outer block");
    return absl::OkStatus();
  }

  absl::Status Next() {
    const char c = source_[at_];
    if (c == '\n') {
      if (open_ == 0) {
        Push(TokenKind::kNewline, at_);
        line_begin_ = true;
      }
      ++line_;
      ++at_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++at_;
    } else if (c == '#') {
      while (at_ < source_.size() && source_[at_] != '\n') ++at_;
    } else if (IsNameStart(c)) {
      const size_t begin = at_;
      while (at_ < source_.size() && IsNamePart(source_[at_])) ++at_;
      Push(TokenKind::kName, begin).text = std::string(source_.substr(begin, at_ - begin));
    } else if (IsDigit(c) || (c == '.' && at_ + 1 < source_.size() && IsDigit(source_[at_ + 1]))) {
      return Number();
    } else if (c == '"' || c == '\'') {
      return String(c);
    } else {
      return Punctuation(c);
    }
    return absl::OkStatus();
  }

  absl::Status Number() {
    const size_t begin = at_;
    bool is_float = false;
    while (at_ < source_.size()) {
      const char c = source_[at_];
      const bool sign =
          (c == '+' || c == '-') && (source_[at_ - 1] == 'e' || source_[at_ - 1] == 'E');
      if (c == '.' || c == 'e' || c == 'E') is_float = true;
      if (!IsDigit(c) && c != '.' && c != 'e' && c != 'E' && !(sign && at_ > begin)) break;
      ++at_;
    }
    const std::string text(source_.substr(begin, at_ - begin));
    if (at_ < source_.size() && source_[at_] == 'j') {
      ++at_;
      Token& t = Push(TokenKind::kImaginary, begin);
      if (!absl::SimpleAtod(text, &t.number)) return Error("'" + text + "j' is no number");
    } else if (is_float) {
      Token& t = Push(TokenKind::kFloat, begin);
      if (!absl::SimpleAtod(text, &t.number)) return Error("'" + text + "' is no number");
    } else {
      Token& t = Push(TokenKind::kInt, begin);
      // The smallest integer is printed as minus 2^63; its digits alone do not fit.
      uint64_t digits = 0;
      if (!absl::SimpleAtoi(text, &digits) || digits > uint64_t{1} << 63) {
        return Error("the integer " + text + " does not fit 64 bits");
      }
      t.integer = static_cast<int64_t>(digits);
    }
    return absl::OkStatus();
  }

  absl::Status String(char quote) {
    const size_t begin = at_++;
    std::string text;
    while (true) {
      if (at_ >= source_.size() || source_[at_] == '\n') return Error("a string does not end");
      const char c = source_[at_++];
      if (c == quote) break;
      if (c != '\\') {
        text += c;
        continue;
      }
      FLOE_TRY(Escape(&text));
    }
    Push(TokenKind::kString, begin).text = std::move(text);
    return absl::OkStatus();
  }

  absl::Status Escape(std::string* text) {
    if (at_ >= source_.size()) return Error("a string does not end");
    const char c = source_[at_++];
    constexpr std::string_view kNames = "abfnrtv\\'\"";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t i = kNames.find(c); i != std::string_view::npos) {
      *text += kMeanings[i];
      return absl::OkStatus();
    }
    const bool hex = c == 'x';
    if (!hex && (c < '0' || c > '7')) return Error("a string has an unknown escape");
    int value = hex ? 0 : c - '0';
    for (int i = hex ? 0 : 1; i < (hex ? 2 : 3) && at_ < source_.size(); ++i) {
      const char d = source_[at_];
      int digit = -1;
      if (IsDigit(d)) digit = d - '0';
      if (hex && d >= 'a' && d <= 'f') digit = d - 'a' + 10;
      if (hex && d >= 'A' && d <= 'F') digit = d - 'A' + 10;
      if (digit < 0 || (!hex && digit > 7)) break;
      value = value * (hex ? 16 : 8) + digit;
      ++at_;
    }
    *text += static_cast<char>(value & 0xff);
    return absl::OkStatus();
  }

  absl::Status Punctuation(char c) {
    if (source_.substr(at_, 2) == "->") {
      Push(TokenKind::kPunct, at_).text = "->";
      at_ += 2;
      return absl::OkStatus();
    }
    constexpr std::string_view kKnown = "()[]{},:.=-+*";
    if (kKnown.find(c) == std::string_view::npos) {
      return Error(absl::StrFormat("unexpected character 0x%02x",
                                   static_cast<unsigned>(static_cast<unsigned char>(c))));
    }
    if (c == '(' || c == '[' || c == '{') ++open_;
    if (c == ')' || c == ']' || c == '}') {
      if (open_ == 0) return Error(std::string("'") + c + "' closes nothing");
      --open_;
    }
    Push(TokenKind::kPunct, at_++).text = std::string(1, c);
    return absl::OkStatus();
  }

  const std::string_view source_;
  const std::string& path_;
  size_t at_ = 0;
  int32_t line_ = 1;
  int64_t open_ = 0;  // Brackets that are open: newlines mean nothing in them.
  bool line_begin_ = true;
  std::vector<size_t> indents_ = {0};
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source, const std::string& path) {
  return Lexer(source, path).Run();
}

}  // namespace floe::torchscript
