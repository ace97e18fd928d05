#include "compiler/import/torchscript/expression_parser.h"

#include "compiler/ir/status_macros.h"

namespace floe::torchscript {

absl::Status ExpressionParser::Unexpected(const std::string& wanted) const {
  const Token& t = Peek();
  std::string found;
  switch (t.kind) {
    case TokenKind::kName:
    case TokenKind::kPunct:
      found = "'" + t.text.substr(0, 64) + "'";
      break;
    case TokenKind::kString:
      found = "a string";
      break;
    case TokenKind::kNewline:
      found = "the end of the line";
      break;
    case TokenKind::kIndent:
      found = "an indented block";
      break;
    case TokenKind::kDedent:
      found = "the end of the block";
      break;
    case TokenKind::kEnd:
      found = "the end of the file";
      break;
    default:
      found = "a number";
      break;
  }
  return Error(t.at, absl::StrFormat("expected %s, found %s", wanted, found));
}

absl::StatusOr<ExprPtr> ExpressionParser::OneExpression() {
  FLOE_TRY_ASSIGN(ExprPtr e, Expression());
  if (Peek().kind == TokenKind::kNewline) Take();
  if (Peek().kind != TokenKind::kEnd) return Unexpected("the end");
  return e;
}

absl::StatusOr<ExprPtr> ExpressionParser::Expression() {
  const Level level(&depth_);
  if (depth_ > kMaxDepth) return TooDeep();
  FLOE_TRY_ASSIGN(ExprPtr left, Operand());
  // Complex constants are printed as sums: (1.-2.j).
  while (IsPunct("+") || IsPunct("-")) {
    const Token& op = Take();
    ExprPtr sum = New(op.text == "+" ? Expr::Kind::kAdd : Expr::Kind::kSub, op.at);
    if (++depth_ > kMaxDepth) return TooDeep();
    FLOE_TRY_ASSIGN(ExprPtr right, Operand());
    sum->parts.push_back(std::move(left));
    sum->parts.push_back(std::move(right));
    left = std::move(sum);
    --depth_;
  }
  return left;
}

absl::StatusOr<ExprPtr> ExpressionParser::Operand() {
  if (!IsPunct("-")) return Postfix();
  const Level level(&depth_);
  if (depth_ > kMaxDepth) return TooDeep();
  const Position at = Take().at;
  FLOE_TRY_ASSIGN(ExprPtr operand, Operand());
  // Digits of the smallest integer wrap to it already.
  if (operand->kind == Expr::Kind::kInt && operand->integer != INT64_MIN) {
    operand->integer = -operand->integer;
    return operand;
  }
  if (operand->kind == Expr::Kind::kInt) return operand;
  if (operand->kind == Expr::Kind::kFloat) {
    operand->number = -operand->number;
    return operand;
  }
  ExprPtr e = New(Expr::Kind::kNegate, at);
  e->parts.push_back(std::move(operand));
  return e;
}

absl::StatusOr<ExprPtr> ExpressionParser::Postfix() {
  FLOE_TRY_ASSIGN(ExprPtr e, Atom());
  int levels = 0;
  while (IsPunct(".") || IsPunct("(") || IsPunct("[")) {
    if (++levels + depth_ > kMaxDepth) return TooDeep();
    const Position at = Peek().at;
    ExprPtr outer;
    if (TakeIf(".")) {
      outer = New(Expr::Kind::kAttribute, e->at);
      FLOE_TRY_ASSIGN(outer->text, Identifier());
      outer->parts.push_back(std::move(e));
    } else if (TakeIf("(")) {
      outer = New(Expr::Kind::kCall, e->at);
      outer->parts.push_back(std::move(e));
      FLOE_TRY(Arguments(outer.get()));
    } else {
      Take();
      outer = New(Expr::Kind::kSubscript, at);
      outer->parts.push_back(std::move(e));
      FLOE_TRY(Indices(outer.get()));
    }
    e = std::move(outer);
  }
  return e;
}

absl::Status ExpressionParser::Arguments(Expr* call) {
  while (!TakeIf(")")) {
    std::string keyword;
    if (Peek().kind == TokenKind::kName && Peek(1).kind == TokenKind::kPunct &&
        Peek(1).text == "=") {
      keyword = Take().text;
      Take();
    }
    FLOE_TRY_ASSIGN(ExprPtr argument, Expression());
    call->parts.push_back(std::move(argument));
    call->keywords.push_back(std::move(keyword));
    if (TakeIf(",")) continue;
    if (!IsPunct(")")) return Unexpected("',' or ')'");
  }
  return absl::OkStatus();
}

absl::Status ExpressionParser::Indices(Expr* subscript) {
  while (!TakeIf("]")) {
    if (IsPunct(":") || subscript->kind == Expr::Kind::kSlice) return Unexpected("an index");
    FLOE_TRY_ASSIGN(ExprPtr index, Expression());
    subscript->parts.push_back(std::move(index));
    if (subscript->parts.size() == 2 && TakeIf(":")) {
      subscript->kind = Expr::Kind::kSlice;
      FLOE_TRY_ASSIGN(ExprPtr end, Expression());
      subscript->parts.push_back(std::move(end));
      return Expect("]");
    }
    if (TakeIf(",")) continue;
    if (!IsPunct("]")) return Unexpected("',' or ']'");
  }
  if (subscript->parts.size() < 2) return Error(subscript->at, "an index is missing");
  return absl::OkStatus();
}

absl::StatusOr<ExprPtr> ExpressionParser::Atom() {
  const Token& t = Peek();
  switch (t.kind) {
    case TokenKind::kName:
      return NameAtom();
    case TokenKind::kInt: {
      ExprPtr e = New(Expr::Kind::kInt, t.at);
      e->integer = Take().integer;
      return e;
    }
    case TokenKind::kFloat:
    case TokenKind::kImaginary: {
      ExprPtr e =
          New(t.kind == TokenKind::kFloat ? Expr::Kind::kFloat : Expr::Kind::kImaginary, t.at);
      e->number = Take().number;
      return e;
    }
    case TokenKind::kString: {
      ExprPtr e = New(Expr::Kind::kString, t.at);
      e->text = Take().text;
      return e;
    }
    default:
      break;
  }
  if (IsPunct("(")) return Parenthesised();
  if (IsPunct("[")) {
    ExprPtr e = New(Expr::Kind::kList, Take().at);
    FLOE_TRY(Elements("]", e.get(), nullptr));
    return e;
  }
  if (IsPunct("{")) return Dictionary();
  return Unexpected("an expression");
}

absl::StatusOr<ExprPtr> ExpressionParser::NameAtom() {
  const Token& t = Take();
  if (t.text == "True") return New(Expr::Kind::kTrue, t.at);
  if (t.text == "False") return New(Expr::Kind::kFalse, t.at);
  if (t.text == "None") return New(Expr::Kind::kNone, t.at);
  ExprPtr e = New(Expr::Kind::kName, t.at);
  e->text = t.text;
  return e;
}

absl::Status ExpressionParser::Elements(std::string_view close, Expr* to, bool* trailing_comma) {
  bool comma = false;
  while (!TakeIf(close)) {
    FLOE_TRY_ASSIGN(ExprPtr element, Expression());
    to->parts.push_back(std::move(element));
    comma = TakeIf(",");
    if (!comma && !IsPunct(close)) return Unexpected("',' or '" + std::string(close) + "'");
  }
  if (trailing_comma != nullptr) *trailing_comma = comma;
  return absl::OkStatus();
}

absl::StatusOr<ExprPtr> ExpressionParser::Parenthesised() {
  ExprPtr e = New(Expr::Kind::kTuple, Take().at);
  bool comma = false;
  FLOE_TRY(Elements(")", e.get(), &comma));
  if (e->parts.size() == 1 && !comma) return std::move(e->parts[0]);
  return e;
}

absl::StatusOr<ExprPtr> ExpressionParser::Dictionary() {
  ExprPtr e = New(Expr::Kind::kDict, Take().at);
  while (!TakeIf("}")) {
    FLOE_TRY_ASSIGN(ExprPtr key, Expression());
    FLOE_TRY(Expect(":"));
    FLOE_TRY_ASSIGN(ExprPtr value, Expression());
    e->parts.push_back(std::move(key));
    e->parts.push_back(std::move(value));
    if (!TakeIf(",") && !IsPunct("}")) return Unexpected("',' or '}'");
  }
  return e;
}

}  // namespace floe::torchscript
