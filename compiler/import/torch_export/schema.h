// The graph in a .pt2 file as C++ structs. Field names are the schema's own
// (torch/_export/serde/schema.py). Unknown fields are skipped: newer minor versions add some.
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_SCHEMA_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_SCHEMA_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torch_file/dtypes.h"

namespace floe::torch_export {

struct Graph;

// A number or an expression of symbols, as text.
struct SymInt {
  int64_t value = 0;
  std::string expr;  // Empty: it is a number.
};

struct TensorMeta {
  torch_file::ScalarType dtype = torch_file::ScalarType::kUndefined;
  std::vector<SymInt> sizes;
  std::vector<SymInt> strides;
  SymInt storage_offset;
  bool is_strided = true;  // Its layout; sparse and mkldnn tensors are not read.
};

// The 31 tags of the schema's Argument fall into these kinds; as_tensors, as_ints and the other
// lists are kList.
struct Argument {
  enum class Kind {
    kNone,
    kName,  // A value by name: a tensor or a symbolic number.
    kInt,
    kFloat,
    kBool,
    kString,
    kScalarType,    // integer: c10's number.
    kMemoryFormat,  // integer: c10's number.
    kLayout,        // integer: c10's number; -1 for one that only the schema has.
    kDevice,        // text: "cpu", "cuda:0".
    kComplex,
    kOperator,
    kCustomObject,
    kGraph,
    kList,
    kDict,  // items[i] belongs to keys[i].
  };
  // What a list holds, for empty ones; of a kName: what stands behind the name.
  enum class Element { kNone, kTensor, kInt, kFloat, kBool, kString, kList };

  Kind kind = Kind::kNone;
  Element element = Element::kNone;
  std::string text;  // kName, kString, kDevice, kOperator, kCustomObject; a graph's name.
  int64_t integer = 0;
  double real = 0;
  double imaginary = 0;
  std::vector<Argument> items;
  std::vector<std::string> keys;
  std::shared_ptr<Graph> graph;
};

struct NamedArgument {
  std::string name;
  Argument arg;
  bool is_keyword = false;
  bool kind_known = false;  // Files before schema 8.3 do not say.
};

struct Node {
  std::string target;
  std::string name;  // Empty in older files.
  std::vector<NamedArgument> inputs;
  std::vector<Argument> outputs;
  std::string stack_trace;
  bool single_tensor_return = false;  // Of a higher-order op.
};

struct Graph {
  std::vector<Argument> inputs;
  std::vector<Argument> outputs;
  std::vector<Node> nodes;
  std::map<std::string, TensorMeta> tensor_values;
  std::map<std::string, SymInt> sym_int_values;
  bool is_single_tensor_return = false;
};

struct InputSpec {
  enum class Kind {
    kUserInput,
    kParameter,
    kBuffer,
    kTensorConstant,
    kCustomObject,
    kToken,
    kConstantInput,
  };
  Kind kind = Kind::kUserInput;
  Argument arg;      // kConstantInput: the value.
  std::string name;  // Of the parameter, buffer, constant or constant input.
  bool persistent = true;
};

struct OutputSpec {
  enum class Kind {
    kUserOutput,
    kLossOutput,
    kBufferMutation,
    kParameterMutation,
    kUserInputMutation,
    kGradient,
    kToken,
  };
  Kind kind = Kind::kUserOutput;
  Argument arg;
  std::string name;  // Of what is mutated.
};

struct RangeConstraint {
  std::optional<int64_t> min;  // Absent: no bound.
  std::optional<int64_t> max;
};

struct Program {
  int64_t major = 0;
  int64_t minor = 0;
  std::string torch_version;
  Graph graph;
  std::vector<InputSpec> input_specs;
  std::vector<OutputSpec> output_specs;
  std::map<std::string, RangeConstraint> range_constraints;
  bool has_guards = false;  // Files before schema 8.9 say nothing of guards.
  std::vector<std::string> guards_code;
  // The structure of arguments and result as pytrees' JSON, and the names of positional arguments;
  // may be empty.
  std::string in_spec;
  std::string out_spec;
  std::vector<std::string> forward_arg_names;
};

// One tensor of a weights or constants config.
struct PayloadMeta {
  std::string path;
  bool use_pickle = false;
  std::optional<TensorMeta> meta;
};

inline constexpr int64_t kOldestMajor = 5;
inline constexpr int64_t kNewestMajor = 8;

// Reads models/NAME.json, or serialized_exported_program.json. Bare NaN and Infinity, which
// Python writes, are accepted. Errors: kInvalidArgument (no JSON, or a field that is missing or of
// the wrong type, with its path), kUnimplemented (a tag or a schema version that is not known),
// kResourceExhausted (over 256 MiB, or nested over 64 graphs deep).
absl::StatusOr<Program> ParseProgram(std::string_view json);
// Reads NAME_weights_config.json and the like.
absl::StatusOr<std::map<std::string, PayloadMeta>> ParsePayloadConfig(std::string_view json);

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_SCHEMA_H_
