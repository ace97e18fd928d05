// Parses printed code into the tree of ast.h.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_PARSER_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_PARSER_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "compiler/import/torchscript/ast.h"

namespace floe::torchscript {

// Parses one file of code. `path` is for messages, which are kInvalidArgument and begin with
// "path:line: ". Time and memory are linear in the source; nesting is bounded.
absl::StatusOr<SourceFile> ParseSource(std::string_view source, const std::string& path);

// Parses one expression, such as a type of data.pkl: "Dict[str, Tensor]".
absl::StatusOr<ExprPtr> ParseExpression(std::string_view source, const std::string& path);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_PARSER_H_
