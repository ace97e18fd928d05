// The inputs that forward() takes and the outputs that it returns, as tensors with names.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_SIGNATURE_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_SIGNATURE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/aten/context.h"
#include "compiler/import/torchscript/import.h"
#include "compiler/import/torchscript/program.h"

namespace floe::torchscript {

// Makes the arguments of a call of `forward` (its parameters behind self): inputs of the graph for
// tensors, in order, and what the options or the code's defaults say for everything else. The error
// for inputs without shapes lists all parameters.
class ArgumentMaker {
 public:
  ArgumentMaker(const Program& program, aten::Context& context, const ImportOptions& options)
      : program_(program), context_(context), options_(options) {}

  absl::StatusOr<std::vector<aten::IValue>> Make(const FunctionDef& forward);

 private:
  struct Traced {
    DType dtype = DType::kNone;
    std::vector<int64_t> dims;
  };
  absl::StatusOr<aten::IValue> MakeOne(const std::string& name, const Type& type,
                                       const Expr* default_value, int depth);
  absl::StatusOr<aten::IValue> MakeTensor(const std::string& name);
  absl::StatusOr<aten::IValue> MakeNumber(const std::string& name, const Type& type,
                                          const Expr* default_value);
  absl::StatusOr<aten::IValue> MakeElements(const std::string& name, const Type& type, int depth);
  absl::StatusOr<ir::Dim> MakeDim(const std::string& name, const DimSpec& spec);
  aten::IValue Frozen(const ir::Tensor& tensor, const std::string& name, const Type& type);
  // Whether the options say anything about the name, or about parts of it.
  bool Mentioned(const std::string& name) const;
  // The names of the elements of `name` that the options have, in order.
  std::vector<std::string> Elements(const std::string& name) const;
  void ReadTraced(const FunctionDef& forward);
  absl::Status MissingShapes(const FunctionDef& forward) const;
  absl::Status CheckOptionsUsed() const;

  const Program& program_;
  aten::Context& context_;
  const ImportOptions& options_;
  std::map<std::string, Traced> traced_;  // What a trace was taken with.
  std::set<std::string> used_;            // Options by input name.
  std::set<std::string> used_dims_;
  bool missing_ = false;
};

// Makes the tensors and numbers of what forward() returned outputs of the graph.
absl::Status AddOutputs(aten::Context& context, const aten::IValue& returned);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_SIGNATURE_H_
