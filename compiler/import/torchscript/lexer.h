// Cuts printed code into tokens, with Python's rules for indentation.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_LEXER_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_LEXER_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/import/torchscript/ast.h"

namespace floe::torchscript {

enum class TokenKind {
  kName,       // Keywords too.
  kInt,        // integer
  kFloat,      // number
  kImaginary,  // number
  kString,     // text, escapes resolved
  kPunct,      // text: one of ( ) [ ] { } , : . = - + * ->
  kNewline,    // The end of a statement.
  kIndent,
  kDedent,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Position at;
  std::string text;
  int64_t integer = 0;
  double number = 0;
};

// Errors name `path` and the line. Files over 256 MiB, integers beyond 64 bits, unknown characters
// and indentation that fits no outer block are refused. The result ends with kEnd.
absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source, const std::string& path);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_LEXER_H_
