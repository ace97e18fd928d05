// A TorchScript archive: its pickles and its code, files of which are parsed when they are needed.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_PROGRAM_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_PROGRAM_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torch_file/pickle.h"
#include "compiler/import/torchscript/ast.h"
#include "compiler/import/torchscript/debug_ranges.h"
#include "compiler/import/torchscript/objects.h"

namespace floe::torchscript {

// A file of code/ and what belongs to it.
struct SourceUnit {
  std::string module;  // "__torch__.nets"
  SourceFile file;
  DebugRanges ranges;
};

// Where a node of the syntax tree stands: in the user's own Python file if the archive knows, else
// in the archive ("code/__torch__/nets.py:12").
std::string PlaceOf(const SourceUnit& unit, const Position& at);

struct Function {
  const FunctionDef* def = nullptr;
  const SourceUnit* unit = nullptr;
};

class Program {
 public:
  // Opens an archive. Errors: kInvalidArgument (damaged, no TorchScript file), kUnimplemented (the
  // format from before PyTorch 1.4), kPermissionDenied and kResourceExhausted (pickle.h).
  static absl::StatusOr<std::unique_ptr<Program>> Open(torch_file::Blob file);

  // The version of the operators' meaning.
  int64_t version() const { return version_; }
  const torch_file::PickleDocument& data() const { return *data_; }
  const torch_file::PickleDocument& constants() const { return *constants_; }
  // The inputs that a trace was taken with ({"forward": [...]}); null if the file has none.
  const torch_file::PickleDocument* traced_inputs() const { return traced_inputs_.get(); }

  // The class of that full name ("__torch__.nets.Net"), or null. Pointers stay valid.
  absl::StatusOr<ClassInfo*> FindClass(const std::string& name);
  // The free function of that full name; `def` is null if there is none.
  absl::StatusOr<Function> FindFunction(const std::string& name);
  // All classes that have been asked for.
  const std::map<std::string, std::unique_ptr<ClassInfo>>& classes() const { return classes_; }

 private:
  Program() = default;
  absl::Status ReadVersion();
  absl::StatusOr<const SourceUnit*> FindUnit(const std::string& module);
  absl::StatusOr<std::unique_ptr<ClassInfo>> Describe(const ClassDef& def, const SourceUnit& unit);

  std::shared_ptr<torch_file::Archive> archive_;
  int64_t version_ = 0;
  std::unique_ptr<torch_file::PickleDocument> data_;
  std::unique_ptr<torch_file::PickleDocument> constants_;
  std::unique_ptr<torch_file::PickleDocument> traced_inputs_;
  std::map<std::string, std::unique_ptr<SourceUnit>> units_;  // Null: there is no such file.
  std::map<std::string, std::unique_ptr<ClassInfo>> classes_;
};

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_PROGRAM_H_
