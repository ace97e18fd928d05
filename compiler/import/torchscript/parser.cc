#include "compiler/import/torchscript/parser.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "compiler/import/torchscript/expression_parser.h"
#include "compiler/import/torchscript/lexer.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

// Statements, functions and classes.
class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  absl::StatusOr<SourceFile> File();

 private:
  // a, b, c or a, b, = as a list; *comma tells whether a comma came last.
  absl::StatusOr<std::vector<ExprPtr>> ExpressionList(bool* comma);
  // The value of an assignment or a return: several are a tuple.
  absl::StatusOr<ExprPtr> ValueList();
  absl::Status EndOfStatement();
  absl::StatusOr<Block> IndentedBlock();
  absl::StatusOr<std::unique_ptr<Stmt>> Statement();
  absl::Status For(Stmt* s);
  absl::Status With(Stmt* s);
  absl::Status Assignment(Stmt* s);
  absl::StatusOr<FunctionDef> Function();
  absl::StatusOr<ClassDef> Class();
};

absl::StatusOr<SourceFile> Parser::File() {
  SourceFile file;
  file.path = path_;
  while (Peek().kind != TokenKind::kEnd) {
    if (Peek().kind == TokenKind::kNewline) {
      Take();
    } else if (IsName("class")) {
      FLOE_TRY_ASSIGN(ClassDef def, Class());
      file.classes.push_back(std::move(def));
    } else if (IsName("def")) {
      FLOE_TRY_ASSIGN(FunctionDef def, Function());
      file.functions.push_back(std::move(def));
    } else if (IsName("op_version_set") || IsName("import")) {
      // What early versions printed first: the version (also a record of its own) and the files
      // that this one needs (found by name).
      while (Peek().kind != TokenKind::kNewline && Peek().kind != TokenKind::kEnd) Take();
    } else {
      return Unexpected("a class or a function");
    }
  }
  return file;
}

absl::StatusOr<std::vector<ExprPtr>> Parser::ExpressionList(bool* comma) {
  std::vector<ExprPtr> list;
  *comma = false;
  do {
    if (*comma && (IsPunct("=") || Peek().kind == TokenKind::kNewline)) return list;
    FLOE_TRY_ASSIGN(ExprPtr e, Expression());
    list.push_back(std::move(e));
    *comma = TakeIf(",");
  } while (*comma);
  return list;
}

absl::StatusOr<ExprPtr> Parser::ValueList() {
  bool comma = false;
  const Position at = Peek().at;
  FLOE_TRY_ASSIGN(std::vector<ExprPtr> list, ExpressionList(&comma));
  if (list.size() == 1 && !comma) return std::move(list[0]);
  ExprPtr tuple = New(Expr::Kind::kTuple, at);
  tuple->parts = std::move(list);
  return tuple;
}

absl::Status Parser::EndOfStatement() {
  if (Peek().kind == TokenKind::kEnd) return absl::OkStatus();
  if (Peek().kind != TokenKind::kNewline) return Unexpected("the end of the statement");
  Take();
  return absl::OkStatus();
}

absl::StatusOr<Block> Parser::IndentedBlock() {
  FLOE_TRY(Expect(":"));
  if (Peek().kind != TokenKind::kNewline) return Unexpected("a new line");
  Take();
  if (Peek().kind != TokenKind::kIndent) return Unexpected("an indented block");
  Take();
  const Level level(&depth_);
  if (depth_ > kMaxDepth) return TooDeep();
  Block block;
  while (Peek().kind != TokenKind::kDedent) {
    if (Peek().kind == TokenKind::kEnd) return Unexpected("a statement");
    FLOE_TRY_ASSIGN(std::unique_ptr<Stmt> s, Statement());
    block.push_back(std::move(s));
  }
  Take();
  return block;
}

absl::StatusOr<std::unique_ptr<Stmt>> Parser::Statement() {
  auto s = std::make_unique<Stmt>();
  s->at = Peek().at;
  if (IsName("if") || IsName("while")) {
    s->kind = Take().text == "if" ? Stmt::Kind::kIf : Stmt::Kind::kWhile;
    FLOE_TRY_ASSIGN(s->value, Expression());
    FLOE_TRY_ASSIGN(s->body, IndentedBlock());
    if (s->kind == Stmt::Kind::kIf && IsName("else")) {
      Take();
      FLOE_TRY_ASSIGN(s->orelse, IndentedBlock());
    }
  } else if (IsName("for")) {
    FLOE_TRY(For(s.get()));
  } else if (IsName("with")) {
    FLOE_TRY(With(s.get()));
  } else if (IsName("def")) {
    s->kind = Stmt::Kind::kFunction;
    FLOE_TRY_ASSIGN(FunctionDef def, Function());
    s->function = std::make_unique<FunctionDef>(std::move(def));
  } else if (IsName("return")) {
    Take();
    s->kind = Stmt::Kind::kReturn;
    if (Peek().kind != TokenKind::kNewline) {
      FLOE_TRY_ASSIGN(s->value, ValueList());
    }
    FLOE_TRY(EndOfStatement());
  } else if (IsName("pass")) {
    Take();
    FLOE_TRY(EndOfStatement());
  } else {
    FLOE_TRY(Assignment(s.get()));
    FLOE_TRY(EndOfStatement());
  }
  return s;
}

absl::Status Parser::For(Stmt* s) {
  Take();
  s->kind = Stmt::Kind::kFor;
  FLOE_TRY_ASSIGN(ExprPtr target, Expression());
  s->targets.push_back(std::move(target));
  if (!IsName("in")) return Unexpected("'in'");
  Take();
  FLOE_TRY_ASSIGN(s->value, Expression());
  FLOE_TRY_ASSIGN(s->body, IndentedBlock());
  return absl::OkStatus();
}

absl::Status Parser::With(Stmt* s) {
  Take();
  s->kind = Stmt::Kind::kWith;
  FLOE_TRY_ASSIGN(s->value, Expression());
  if (IsName("as")) {
    Take();
    FLOE_TRY_ASSIGN(ExprPtr target, Expression());
    s->targets.push_back(std::move(target));
  }
  FLOE_TRY_ASSIGN(s->body, IndentedBlock());
  return absl::OkStatus();
}

absl::Status Parser::Assignment(Stmt* s) {
  bool comma = false;
  const Position at = Peek().at;
  FLOE_TRY_ASSIGN(s->targets, ExpressionList(&comma));
  if (s->targets.size() == 1 && !comma && TakeIf(":")) {
    FLOE_TRY_ASSIGN(s->type, Expression());
  }
  if (TakeIf("=")) {
    s->kind = Stmt::Kind::kAssign;
    s->unpack = comma || s->targets.size() > 1;
    FLOE_TRY_ASSIGN(s->value, ValueList());
    return absl::OkStatus();
  }
  if (s->type != nullptr) {
    s->kind = Stmt::Kind::kAssign;
    return absl::OkStatus();
  }
  if (s->targets.size() != 1 || comma) return Error(at, "values are listed, but not assigned");
  s->kind = Stmt::Kind::kExpr;
  s->value = std::move(s->targets[0]);
  s->targets.clear();
  return absl::OkStatus();
}

absl::StatusOr<FunctionDef> Parser::Function() {
  FunctionDef def;
  def.at = Take().at;
  FLOE_TRY_ASSIGN(def.name, Identifier());
  FLOE_TRY(Expect("("));
  while (!TakeIf(")")) {
    Parameter p;
    FLOE_TRY_ASSIGN(p.name, Identifier());
    if (TakeIf(":")) {
      FLOE_TRY_ASSIGN(p.type, Expression());
    }
    if (TakeIf("=")) {
      FLOE_TRY_ASSIGN(p.default_value, Expression());
    }
    def.parameters.push_back(std::move(p));
    if (!TakeIf(",") && !IsPunct(")")) return Unexpected("',' or ')'");
  }
  if (TakeIf("->")) {
    FLOE_TRY_ASSIGN(def.returns, Expression());
  }
  FLOE_TRY_ASSIGN(def.body, IndentedBlock());
  return def;
}

absl::StatusOr<ClassDef> Parser::Class() {
  ClassDef def;
  def.at = Take().at;
  FLOE_TRY_ASSIGN(def.name, Identifier());
  if (TakeIf("(")) {
    FLOE_TRY_ASSIGN(def.base, Identifier());
    FLOE_TRY(Expect(")"));
  }
  FLOE_TRY_ASSIGN(Block body, IndentedBlock());
  for (std::unique_ptr<Stmt>& s : body) {
    if (s->kind == Stmt::Kind::kFunction) {
      def.methods.push_back(std::move(*s->function));
    } else if (s->kind == Stmt::Kind::kAssign) {
      def.fields.push_back(std::move(s));
    } else if (s->kind != Stmt::Kind::kPass) {
      return Error(s->at, "a class holds declarations and methods only");
    }
  }
  return def;
}

}  // namespace

absl::StatusOr<SourceFile> ParseSource(std::string_view source, const std::string& path) {
  FLOE_TRY_ASSIGN(std::vector<Token> tokens, Tokenize(source, path));
  return Parser(std::move(tokens), path).File();
}

absl::StatusOr<ExprPtr> ParseExpression(std::string_view source, const std::string& path) {
  FLOE_TRY_ASSIGN(std::vector<Token> tokens, Tokenize(source, path));
  return ExpressionParser(std::move(tokens), path).OneExpression();
}

}  // namespace floe::torchscript
