// Signatures of ATen overloads, from schemas.txt (PyTorch's own notation), which is built into the
// compiler: argument names and order, types, defaults. Immutable after the first use; thread-safe.
#ifndef FLOE_COMPILER_IMPORT_ATEN_SCHEMA_H_
#define FLOE_COMPILER_IMPORT_ATEN_SCHEMA_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/import/aten/ivalue.h"

namespace floe::aten {

// SymInt, ScalarType, Layout and MemoryFormat are ints.
enum class BaseType : uint8_t {
  kTensor,
  kInt,
  kFloat,
  kBool,
  kString,
  kNumber,  // Scalar: an int, a float or a bool.
  kDevice,
  kAny,    // A type variable.
  kOther,  // Storage, Stream, complex, ...
};

struct Type {
  BaseType base = BaseType::kOther;
  bool is_list = false;
  bool optional = false;          // The whole may be None.
  bool optional_element = false;  // Tensor?[]
  int64_t list_size = 0;          // int[2]: a single int stands for two of them.
};

struct Argument {
  std::string name;
  Type type;
  bool keyword_only = false;
  bool written = false;  // Tensor(a!): the op writes it.
  bool has_default = false;
  IValue default_value;
};

struct Schema {
  std::string name;      // "aten::add"
  std::string overload;  // "Tensor"; may be empty.
  std::vector<Argument> arguments;
  size_t results = 0;
  bool result_is_list = false;

  std::string FullName() const { return overload.empty() ? name : name + "." + overload; }
  const Argument* Find(const std::string& argument) const;
};

// The arguments of a call as they stand in the model.
struct CallArguments {
  std::vector<IValue> positional;
  std::vector<std::pair<std::string, IValue>> keyword;
};

// Parses one line of schemas.txt. kInvalidArgument says what does not parse.
absl::StatusOr<Schema> ParseSchema(const std::string& line);

// All overloads of "aten::add" in the order of registration; empty if there are none.
const std::vector<Schema>& FindSchemas(const std::string& name);
// One overload: "aten::add.Tensor"; null if there is none.
const Schema* FindSchema(const std::string& full_name);

// The first overload that takes the arguments as TorchScript matches them: first without implicit
// conversions, then with them. kInvalidArgument lists the overloads and what was given.
absl::StatusOr<const Schema*> ResolveOverload(const std::string& name, const CallArguments& call);

// One value for each argument of `schema`: positional and keyword values, else defaults; a single
// int is repeated to the size of its list. kInvalidArgument names the argument that is missing,
// unknown, given twice or of the wrong kind.
absl::StatusOr<std::vector<IValue>> BindArguments(const Schema& schema, const CallArguments& call);

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_SCHEMA_H_
