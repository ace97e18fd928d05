#include "compiler/import/torchscript/parser.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/lexer.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

// Of brackets, postfixes and blocks within each other. The tree is walked recursively.
constexpr int kMaxDepth = 200;

class Parser {
 public:
  Parser(std::vector<Token> tokens, const std::string& path)
      : tokens_(std::move(tokens)), path_(path) {}

  absl::StatusOr<SourceFile> File() {
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

  absl::StatusOr<ExprPtr> OneExpression() {
    FLOE_TRY_ASSIGN(ExprPtr e, Expression());
    if (Peek().kind == TokenKind::kNewline) Take();
    if (Peek().kind != TokenKind::kEnd) return Unexpected("the end");
    return e;
  }

 private:
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
  absl::Status Unexpected(const std::string& wanted) const {
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

  // --- expressions ---

  absl::StatusOr<ExprPtr> Expression() {
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

  absl::StatusOr<ExprPtr> Operand() {
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

  absl::StatusOr<ExprPtr> Postfix() {
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

  absl::Status Arguments(Expr* call) {
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

  absl::Status Indices(Expr* subscript) {
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

  absl::StatusOr<ExprPtr> Atom() {
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

  absl::StatusOr<ExprPtr> NameAtom() {
    const Token& t = Take();
    if (t.text == "True") return New(Expr::Kind::kTrue, t.at);
    if (t.text == "False") return New(Expr::Kind::kFalse, t.at);
    if (t.text == "None") return New(Expr::Kind::kNone, t.at);
    ExprPtr e = New(Expr::Kind::kName, t.at);
    e->text = t.text;
    return e;
  }

  absl::Status Elements(std::string_view close, Expr* to, bool* trailing_comma) {
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

  absl::StatusOr<ExprPtr> Parenthesised() {
    ExprPtr e = New(Expr::Kind::kTuple, Take().at);
    bool comma = false;
    FLOE_TRY(Elements(")", e.get(), &comma));
    if (e->parts.size() == 1 && !comma) return std::move(e->parts[0]);
    return e;
  }

  absl::StatusOr<ExprPtr> Dictionary() {
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

  // --- statements ---

  // a, b, c or a, b, = as a list; *comma tells whether a comma came last.
  absl::StatusOr<std::vector<ExprPtr>> ExpressionList(bool* comma) {
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

  // The value of an assignment or a return: several are a tuple.
  absl::StatusOr<ExprPtr> ValueList() {
    bool comma = false;
    const Position at = Peek().at;
    FLOE_TRY_ASSIGN(std::vector<ExprPtr> list, ExpressionList(&comma));
    if (list.size() == 1 && !comma) return std::move(list[0]);
    ExprPtr tuple = New(Expr::Kind::kTuple, at);
    tuple->parts = std::move(list);
    return tuple;
  }

  absl::Status EndOfStatement() {
    if (Peek().kind == TokenKind::kEnd) return absl::OkStatus();
    if (Peek().kind != TokenKind::kNewline) return Unexpected("the end of the statement");
    Take();
    return absl::OkStatus();
  }

  absl::StatusOr<Block> IndentedBlock() {
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

  absl::StatusOr<std::unique_ptr<Stmt>> Statement() {
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

  absl::Status For(Stmt* s) {
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

  absl::Status With(Stmt* s) {
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

  absl::Status Assignment(Stmt* s) {
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

  absl::StatusOr<FunctionDef> Function() {
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

  absl::StatusOr<ClassDef> Class() {
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

  const std::vector<Token> tokens_;
  const std::string& path_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<SourceFile> ParseSource(std::string_view source, const std::string& path) {
  FLOE_TRY_ASSIGN(std::vector<Token> tokens, Tokenize(source, path));
  return Parser(std::move(tokens), path).File();
}

absl::StatusOr<ExprPtr> ParseExpression(std::string_view source, const std::string& path) {
  FLOE_TRY_ASSIGN(std::vector<Token> tokens, Tokenize(source, path));
  return Parser(std::move(tokens), path).OneExpression();
}

}  // namespace floe::torchscript
