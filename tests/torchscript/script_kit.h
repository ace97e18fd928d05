// Imports code that a test writes, as the forward of a module with one input x [2, 3].
#ifndef FLOE_TESTS_TORCHSCRIPT_SCRIPT_KIT_H_
#define FLOE_TESTS_TORCHSCRIPT_SCRIPT_KIT_H_

#include <memory>
#include <string>

#include "compiler/import/torchscript/import.h"
#include "tests/torchscript/script_archive.h"

namespace floe::testing {

inline torchscript::ImportOptions OptionsFor(DType dtype) {
  torchscript::ImportOptions options;
  options.shapes["x"] = {{"", 2}, {"", 3}};
  options.dtypes["x"] = dtype;
  return options;
}

inline absl::StatusOr<std::unique_ptr<ir::Graph>> ImportScript(
    const std::string& code, const torchscript::ImportOptions& options,
    const std::string& version = "3") {
  return torchscript::ImportTorchScriptFromMemory(BlobOf(ScriptArchive(code, version)), options);
}

}  // namespace floe::testing

#endif  // FLOE_TESTS_TORCHSCRIPT_SCRIPT_KIT_H_
