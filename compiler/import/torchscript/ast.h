// The syntax tree of the code that TorchScript prints into its archives. The grammar is the subset
// of Python that PyTorch's printer emits: operators are calls (`torch.add(a, b)`), so there are no
// infix expressions; `break`, `continue` and early returns have been lowered to flags before.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_AST_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_AST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace floe::torchscript {

// A place in a source file.
struct Position {
  int32_t line = 0;    // From 1.
  int32_t offset = 0;  // Bytes from the file's begin.
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  enum class Kind {
    kName,       // text
    kInt,        // integer
    kFloat,      // number
    kImaginary,  // number: 2.j
    kString,     // text, escapes resolved
    kTrue,
    kFalse,
    kNone,
    kAttribute,  // parts[0].text
    kCall,       // parts[0] is called with parts[1..]; keywords are parallel to the arguments
    kSubscript,  // parts[0] indexed by parts[1..]
    kSlice,      // parts[0][parts[1]:parts[2]]
    kTuple,      // parts
    kList,       // parts
    kDict,       // parts: key, value, key, value, ...
    kNegate,     // -parts[0]
    kAdd,        // parts[0] + parts[1]: only in the literals of complex numbers
    kSub,
  };
  Kind kind = Kind::kNone;
  Position at;
  std::string text;
  int64_t integer = 0;
  double number = 0;
  std::vector<ExprPtr> parts;
  std::vector<std::string> keywords;  // kCall: "" for a positional argument.
};

struct Stmt;
using Block = std::vector<std::unique_ptr<Stmt>>;

struct Parameter {
  std::string name;
  ExprPtr type;           // Null for a method's self in some files.
  ExprPtr default_value;  // Null: required.
};

struct FunctionDef {
  std::string name;
  Position at;
  std::vector<Parameter> parameters;
  ExprPtr returns;  // Null for inner functions.
  Block body;
};

struct Stmt {
  enum class Kind {
    kAssign,    // targets [: type] = value; a declaration `x : T` has no value
    kExpr,      // value
    kIf,        // value, body, orelse
    kWhile,     // value, body
    kFor,       // targets[0] in value, body
    kReturn,    // value, or null
    kWith,      // value [as targets[0]], body
    kFunction,  // function
    kPass,
  };
  Kind kind = Kind::kPass;
  Position at;
  std::vector<ExprPtr> targets;
  bool unpack = false;  // kAssign: the value's elements are assigned, even to a single target.
  ExprPtr type;
  ExprPtr value;
  Block body;
  Block orelse;
  std::unique_ptr<FunctionDef> function;
};

struct ClassDef {
  std::string name;
  std::string base;  // "Module", "NamedTuple", "Enum", "Interface", "ModuleInterface" or "".
  Position at;
  Block fields;  // Declarations and constants, as kAssign.
  std::vector<FunctionDef> methods;
};

// One file of the archive's code/ folder.
struct SourceFile {
  std::string path;  // In the archive: "code/__torch__/nets.py".
  std::vector<ClassDef> classes;
  std::vector<FunctionDef> functions;
};

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_AST_H_
