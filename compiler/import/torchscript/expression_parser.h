// Internal to the parser: the tokens of a file, and expressions. parser.cc adds statements,
// functions and classes.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_EXPRESSION_PARSER_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_EXPRESSION_PARSER_H_

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/ast.h"
#include "compiler/import/torchscript/lexer.h"

namespace floe::torchscript {

class ExpressionParser {
 public:
  // `path`, for messages, outlives this object.
  ExpressionParser(std::vector<Token> tokens, const std::string& path)
      : tokens_(std::move(tokens)), path_(path) {}

  // The whole file is one expression.
  absl::StatusOr<ExprPtr> OneExpression();

 protected:
  // Of brackets, postfixes and blocks within each other. The tree is walked recursively.
  static constexpr int kMaxDepth = 200;

  // Counts a level of nesting for as long as it lives.
  class Level {
   public:
    explicit Level(int* depth) : depth_(depth) { ++*depth_; }
    ~Level() { --*depth_; }

   private:
    int* depth_;
  };

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Take() {
    const Token& t = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return t;
  }
  bool IsPunct(std::string_view text) const {
    return Peek().kind == TokenKind::kPunct && Peek().text == text;
  }
  bool IsName(std::string_view text) const {
    return Peek().kind == TokenKind::kName && Peek().text == text;
  }
  bool TakeIf(std::string_view punct) {
    if (!IsPunct(punct)) return false;
    Take();
    return true;
  }

  absl::Status Error(const Position& at, const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrFormat("%s:%d: %s", path_, at.line, what));
  }
  // An error that says what stands here instead.
  absl::Status Unexpected(const std::string& wanted) const;
  absl::Status TooDeep() const {
    return Error(Peek().at, absl::StrFormat("code is nested over %d deep", kMaxDepth));
  }
  absl::Status Expect(std::string_view punct) {
    if (TakeIf(punct)) return absl::OkStatus();
    return Unexpected("'" + std::string(punct) + "'");
  }
  absl::StatusOr<std::string> Identifier() {
    if (Peek().kind != TokenKind::kName) return Unexpected("a name");
    return Take().text;
  }

  ExprPtr New(Expr::Kind kind, const Position& at) const {
    auto e = std::make_unique<Expr>();
    e->kind = kind;
    e->at = at;
    return e;
  }

  absl::StatusOr<ExprPtr> Expression();

 private:
  absl::StatusOr<ExprPtr> Operand();
  absl::StatusOr<ExprPtr> Postfix();
  absl::Status Arguments(Expr* call);
  absl::Status Indices(Expr* subscript);
  absl::StatusOr<ExprPtr> Atom();
  absl::StatusOr<ExprPtr> NameAtom();
  absl::Status Elements(std::string_view close, Expr* to, bool* trailing_comma);
  absl::StatusOr<ExprPtr> Parenthesised();
  absl::StatusOr<ExprPtr> Dictionary();

 protected:
  const std::vector<Token> tokens_;
  const std::string& path_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_EXPRESSION_PARSER_H_
