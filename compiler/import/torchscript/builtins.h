// Functions of TorchScript that need no tensor operation: arithmetic on numbers, strings,
// containers, sizes and types of tensors. A table row for each, by name and kinds of arguments.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_BUILTINS_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_BUILTINS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torchscript/interpreter.h"

namespace floe::torchscript {

// A call of a built-in function: positional arguments only.
struct BuiltinCall {
  Interpreter& in;
  const std::vector<IValue>& args;
  const CallSite& site;
  const IValue& operator[](size_t i) const { return args[i]; }
  size_t size() const { return args.size(); }
};

using Builtin = absl::StatusOr<IValue> (*)(const BuiltinCall& call);

// `kinds` has a letter for each argument: i int, f float, b bool, n any number, s str, l list,
// t tuple, d dict, T tensor, v device, 0 None, o anything but tensors, a anything; '*' at the end:
// any number of anything; letters behind '?' may be missing. The first row that fits is called.
struct BuiltinRow {
  const char* name;  // "aten::add"
  const char* kinds;
  Builtin function;
};

// The row for the call; null if there is none. O(log rows).
const BuiltinRow* FindBuiltin(const std::string& name, const std::vector<IValue>& arguments);
// Whether any row has that name.
bool HasBuiltin(const std::string& name);

// The rows by family; builtins.cc collects them.
std::vector<BuiltinRow> NumberBuiltins();
std::vector<BuiltinRow> ContainerBuiltins();
std::vector<BuiltinRow> StringBuiltins();
std::vector<BuiltinRow> TensorBuiltins();

// --- shared by the families and the interpreter ---

// Equality of two values as `==` defines it; kUnimplemented if it is not known at import.
absl::StatusOr<bool> Equal(const IValue& a, const IValue& b, int depth = 0);
// dict[key] = value.
absl::Status SetItem(const IValue& dict, const IValue& key, const IValue& value);
// str(value).
std::string TextOf(const IValue& value, int depth = 0);
// The elements of a tensor as nested lists of numbers; those that are not known are read at run
// time, at most `max_elements` altogether.
absl::StatusOr<IValue> ListOfTensor(Interpreter& in, const IValue& tensor, const Type& type,
                                    const CallSite& site, int64_t max_elements);
// A binary operation on two numbers, by the name of the ATen op without namespace: "add", "lt".
absl::StatusOr<IValue> NumberBinary(Interpreter& in, const std::string& op, const IValue& a,
                                    const IValue& b, const CallSite& site);
// A constant int, or an error that names what it is for.
absl::StatusOr<int64_t> ConstantInt(const IValue& v, const char* what);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_BUILTINS_H_
