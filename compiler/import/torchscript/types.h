// Type annotations of printed code: of attributes, parameters, annotate() and isinstance().
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_TYPES_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_TYPES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/import/aten/ivalue.h"
#include "compiler/import/torchscript/ast.h"

namespace floe::torchscript {

struct Type;
using TypePtr = std::shared_ptr<const Type>;

struct Type {
  enum class Kind : uint8_t {
    kAny,  // Also what has no meaning at inference: Future, RRef, type variables.
    kNone,
    kTensor,
    kInt,
    kFloat,
    kBool,
    kComplex,
    kNumber,
    kString,
    kDevice,
    kList,      // parts[0]
    kTuple,     // parts
    kDict,      // parts[0], parts[1]
    kOptional,  // parts[0]
    kUnion,     // parts
    kClass,     // name: "__torch__.nets.Net"
  };
  Kind kind = Kind::kAny;
  std::vector<TypePtr> parts;
  std::string name;

  std::string ToString() const;  // "Dict[str, List[Tensor]]"
};

// The type that an annotation's expression stands for. kInvalidArgument if it is no annotation.
absl::StatusOr<TypePtr> TypeOf(const Expr& expr);

// "__torch__.nets.Net" for a chain of attributes on a name; empty for other expressions.
std::string DottedName(const Expr& expr);

// Whether a value is an instance of the type, as isinstance() tells. Empty containers fit every
// element type.
bool IsInstance(const aten::IValue& value, const Type& type);

// The kind of IValue that the type's values have; kNone for unions, Any and the like.
aten::Kind KindOf(const Type& type);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_TYPES_H_
