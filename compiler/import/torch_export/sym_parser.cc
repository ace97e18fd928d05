// Symbolic expressions out of their three spellings.
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/sym_expr.h"
#include "format/checked.h"

namespace floe::torch_export {
namespace {

using Op = SymExpr::Op;

constexpr size_t kMaxText = 16384;
constexpr int kMaxDepth = 100;
constexpr int kMaxLinks = 500;

SymExpr Make(Op op, std::vector<SymExpr> args) {
  SymExpr e;
  e.op = op;
  e.args = std::move(args);
  return e;
}

SymExpr OfInt(int64_t value) {
  SymExpr e;
  e.value = value;
  return e;
}

SymExpr OfSymbol(std::string name) {
  SymExpr e;
  e.op = Op::kSymbol;
  e.name = std::move(name);
  return e;
}

struct Function {
  const char* name;
  Op op;
  size_t least, most;  // Arguments; most 0: any number.
};
// sympy's classes and PyTorch's own.
constexpr Function kFunctions[] = {
    {"Add", Op::kAdd, 1, 0},
    {"Mul", Op::kMul, 1, 0},
    {"Pow", Op::kPow, 2, 2},
    {"PowByNatural", Op::kPow, 2, 2},
    {"FloorDiv", Op::kFloorDiv, 2, 2},
    {"CleanDiv", Op::kFloorDiv, 2, 2},
    {"floor_div", Op::kFloorDiv, 2, 2},
    {"Mod", Op::kMod, 2, 2},
    {"PythonMod", Op::kMod, 2, 2},
    {"Max", Op::kMax, 1, 0},
    {"Min", Op::kMin, 1, 0},
    {"max", Op::kMax, 1, 0},
    {"min", Op::kMin, 1, 0},
    {"Eq", Op::kEq, 2, 2},
    {"Ne", Op::kNe, 2, 2},
    {"Equality", Op::kEq, 2, 2},
    {"Unequality", Op::kNe, 2, 2},
    {"GreaterThan", Op::kGe, 2, 2},
    {"LessThan", Op::kLe, 2, 2},
    {"StrictGreaterThan", Op::kGt, 2, 2},
    {"StrictLessThan", Op::kLt, 2, 2},
    {"And", Op::kAnd, 1, 0},
    {"Or", Op::kOr, 1, 0},
    {"Not", Op::kNot, 1, 1},
    {"CeilDiv", Op::kFloorDiv, 2, 2},  // Rewritten below.
    {"CeilToInt", Op::kAdd, 1, 1},     // Of an integer: itself.
    {"TruncToInt", Op::kAdd, 1, 1},
    {"ToInt", Op::kAdd, 1, 1},
    {"ModularIndexing", Op::kMod, 3, 3},  // Rewritten below.
};

// Recursive descent over Python's operators; the first error sticks.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<SymExpr> Run() {
    SymExpr e = OrTest();
    SkipBlanks();
    if (status_.ok() && at_ != text_.size()) Fail("something follows its end");
    if (!status_.ok()) return status_;
    return e;
  }

 private:
  void Fail(const std::string& what) { FailWith(absl::StatusCode::kInvalidArgument, what); }
  void FailWith(absl::StatusCode code, const std::string& what) {
    if (!status_.ok()) return;
    status_ = absl::Status(code, absl::StrFormat("the expression '%s', column %d: %s",
                                                 std::string(text_.substr(0, 300)), at_ + 1, what));
    at_ = text_.size();
  }

  void SkipBlanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool Accept(std::string_view token) {
    SkipBlanks();
    if (text_.substr(at_, token.size()) != token) return false;
    if (IsWord(token.back()) && at_ + token.size() < text_.size() &&
        IsWord(text_[at_ + token.size()])) {
      return false;
    }
    at_ += token.size();
    return true;
  }
  void Expect(std::string_view token) {
    if (!Accept(token)) Fail(absl::StrFormat("'%s' is missing", std::string(token)));
  }
  static bool IsDigit(char c) { return c >= '0' && c <= '9'; }
  static bool IsWord(char c) {
    return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }
  char Peek() {
    SkipBlanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  // An operator's node. They nest to the left, as deep as there are operators: their number is
  // limited, since walks recurse.
  SymExpr Link(Op op, SymExpr a, SymExpr b) {
    if (++links_ > kMaxLinks) Fail("it has too many operators");
    std::vector<SymExpr> args;
    args.push_back(std::move(a));
    args.push_back(std::move(b));
    return Make(op, std::move(args));
  }

  SymExpr OrTest() {
    SymExpr e = AndTest();
    while (status_.ok() && (Accept("or") || Accept("|")))
      e = Link(Op::kOr, std::move(e), AndTest());
    return e;
  }
  SymExpr AndTest() {
    SymExpr e = NotTest();
    while (status_.ok() && (Accept("and") || Accept("&")))
      e = Link(Op::kAnd, std::move(e), NotTest());
    return e;
  }
  SymExpr NotTest() {
    if (!Accept("not") && !Accept("~")) return Comparison();
    if (!Enter()) return {};
    SymExpr e = Make(Op::kNot, {NotTest()});
    --depth_;
    return e;
  }
  SymExpr Comparison() {
    SymExpr first = Sum();
    SymExpr all;
    bool any = false;
    static constexpr std::pair<const char*, Op> kOps[] = {{"==", Op::kEq}, {"!=", Op::kNe},
                                                          {"<=", Op::kLe}, {">=", Op::kGe},
                                                          {"<", Op::kLt},  {">", Op::kGt}};
    for (bool more = true; more && status_.ok();) {
      more = false;
      for (const auto& [token, op] : kOps) {
        if (!Accept(token)) continue;
        SymExpr second = Sum();
        SymExpr pair = Link(op, std::move(first), second);
        all = any ? Link(Op::kAnd, std::move(all), std::move(pair)) : std::move(pair);
        any = more = true;
        first = std::move(second);
        break;
      }
    }
    return any ? all : first;
  }
  SymExpr Sum() {
    SymExpr e = Product();
    while (status_.ok()) {
      if (Accept("+")) {
        e = Link(Op::kAdd, std::move(e), Product());
      } else if (Accept("-")) {
        e = Link(Op::kSub, std::move(e), Product());
      } else {
        break;
      }
    }
    return e;
  }
  SymExpr Product() {
    SymExpr e = Unary();
    while (status_.ok()) {
      if (Accept("//")) {
        e = Link(Op::kFloorDiv, std::move(e), Unary());
      } else if (Peek() == '*' && text_.substr(at_, 2) != "**" && Accept("*")) {
        e = Link(Op::kMul, std::move(e), Unary());
      } else if (Accept("%")) {
        e = Link(Op::kMod, std::move(e), Unary());
      } else if (Peek() == '/') {
        FailWith(absl::StatusCode::kUnimplemented, "true division gives no integer");
      } else {
        break;
      }
    }
    return e;
  }
  SymExpr Unary() {
    if (!Enter()) return {};
    SymExpr e;
    if (Accept("-")) {
      e = Make(Op::kNeg, {Unary()});
    } else if (Accept("+")) {
      e = Unary();
    } else {
      e = Atom();
      if (status_.ok() && Accept("**")) e = Link(Op::kPow, std::move(e), Unary());
    }
    --depth_;
    return e;
  }
  bool Enter() {
    if (++depth_ <= kMaxDepth) return true;
    Fail("it is nested too deep");
    return false;
  }

  SymExpr Atom() {
    const char c = Peek();
    if (Accept("(")) {
      SymExpr e = OrTest();
      Expect(")");
      return e;
    }
    if (IsDigit(c)) return OfInt(Number());
    if (!IsWord(c)) {
      Fail("a number or a name is missing");
      return {};
    }
    const size_t begin = at_;
    while (at_ < text_.size() && IsWord(text_[at_])) ++at_;
    const std::string word(text_.substr(begin, at_ - begin));
    if (word == "L") return InputPath(begin);
    if (word == "True" || word == "true") return OfInt(1);
    if (word == "False" || word == "false") return OfInt(0);
    if (Peek() != '(') return OfSymbol(word);
    ++at_;
    return Call(word);
  }

  int64_t Number() {
    int64_t value = 0;
    while (at_ < text_.size() && IsDigit(text_[at_])) {
      if (!CheckedMul(value, 10, &value) || !CheckedAdd(value, text_[at_] - '0', &value)) {
        Fail("a number of more than 64 bits");
        return 0;
      }
      ++at_;
    }
    if (at_ < text_.size() && text_[at_] == '.') {
      FailWith(absl::StatusCode::kUnimplemented, "a number that is no integer");
    }
    return value;
  }

  std::string Quoted() {
    const char quote = Peek();
    if (quote != '\'' && quote != '"') {
      Fail("a quoted name is missing");
      return "";
    }
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) {
      Fail("a quoted name has no end");
      return "";
    }
    const std::string name(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return name;
  }

  // Skips ", integer=True, positive=True" up to the closing parenthesis.
  void SkipAssumptions() {
    while (status_.ok() && Accept(",")) {
      SkipBlanks();
      while (at_ < text_.size() && IsWord(text_[at_])) ++at_;
      Expect("=");
      SkipBlanks();
      while (at_ < text_.size() && IsWord(text_[at_])) ++at_;
    }
    Expect(")");
  }

  SymExpr Call(const std::string& name) {
    if (name == "Symbol" || name == "Dummy") {
      SymExpr e = OfSymbol(Quoted());
      SkipAssumptions();
      return e;
    }
    if (name == "Integer") {
      const bool negative = Accept("-");
      const char c = Peek();
      if (!IsDigit(c)) Fail("a number is missing");
      const int64_t value = Number();
      Expect(")");
      return OfInt(negative ? -value : value);
    }
    if (name == "TruncToInt" || name == "FloorToInt") {
      if (std::optional<SymExpr> e = ScaledSize()) return *std::move(e);
    }
    if (!Enter()) return {};
    std::vector<SymExpr> args;
    if (!Accept(")")) {
      do {
        args.push_back(OrTest());
      } while (status_.ok() && Accept(","));
      Expect(")");
    }
    --depth_;
    return Apply(name, std::move(args));
  }

  // Mul(Float('1.5', precision=53), ToFloat(size))), or 1.5*ToFloat(size)): what a scale factor
  // makes of a size, cut to an integer. Absent, with nothing read, if something else stands there.
  std::optional<SymExpr> ScaledSize() {
    const size_t begin = at_;
    const bool called = Accept("Mul(");
    std::string digits;
    if (!called) {
      while (IsDigit(Peek()) || Peek() == '.') digits += text_[at_++];
    } else if (Accept("Float(")) {
      digits = Quoted();
      SkipAssumptions();
    }
    double factor = 0;
    if (!status_.ok() || !absl::SimpleAtod(digits, &factor) || !Accept(called ? "," : "*") ||
        !Accept("ToFloat(")) {
      at_ = status_.ok() ? begin : text_.size();
      return std::nullopt;
    }
    SymExpr size = OrTest();
    Expect(")");
    if (called) Expect(")");
    Expect(")");
    // Few binary digits: the product is exact for every size.
    constexpr int kDigits = 10;
    const double whole = std::ldexp(factor, kDigits);
    if (!(whole >= 1 && whole <= 1e6) || whole != std::floor(whole)) {
      FailWith(absl::StatusCode::kUnimplemented, "a factor that is no short binary fraction");
      return SymExpr();
    }
    size = Make(Op::kMul, {std::move(size), OfInt(static_cast<int64_t>(whole))});
    return Make(Op::kFloorDiv, {std::move(size), OfInt(int64_t{1} << kDigits)});
  }

  SymExpr Apply(const std::string& name, std::vector<SymExpr> args) {
    if (!status_.ok()) return {};
    for (const Function& f : kFunctions) {
      if (name != f.name) continue;
      if (args.size() < f.least || (f.most > 0 && args.size() > f.most)) {
        Fail(absl::StrFormat("%s of %d arguments", name, args.size()));
        return {};
      }
      if (name == "CeilDiv") {  // -(-a // b)
        return Make(Op::kNeg, {Make(Op::kFloorDiv, {Make(Op::kNeg, {args[0]}), args[1]})});
      }
      if (name == "ModularIndexing") {  // (a // b) % c
        return Make(Op::kMod, {Make(Op::kFloorDiv, {args[0], args[1]}), args[2]});
      }
      return Make(f.op, std::move(args));
    }
    FailWith(absl::StatusCode::kUnimplemented,
             absl::StrFormat("the function %s is not known to this release", name));
    return {};
  }

  // L['x'][0]['y'].size()[1], .shape[1]; the whole text is the symbol's name.
  SymExpr InputPath(size_t begin) {
    size_t end = at_;
    while (status_.ok()) {
      if (Accept("[")) {
        if (IsDigit(Peek())) {
          Number();
        } else {
          Quoted();
        }
        Expect("]");
      } else if (Accept(".")) {
        while (at_ < text_.size() && IsWord(text_[at_])) ++at_;
        if (Accept("(")) {
          if (IsDigit(Peek())) Number();
          Expect(")");
        }
      } else {
        break;
      }
      end = at_;  // Blanks before what follows are no part of it.
    }
    return OfSymbol(std::string(text_.substr(begin, end - begin)));
  }

  const std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  int links_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<SymExpr> ParseSymExpr(std::string_view text) {
  if (text.size() > kMaxText) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "an expression of %d characters, over the limit of %d", text.size(), kMaxText));
  }
  return Parser(text).Run();
}

}  // namespace floe::torch_export
