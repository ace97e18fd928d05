// The map from printed code to the user's Python files that an archive carries beside each file of
// code ("nets.py.debug_pkl"). It serves messages only: what cannot be read is left out.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_DEBUG_RANGES_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_DEBUG_RANGES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/torch_file/pickle.h"

namespace floe::torchscript {

class DebugRanges {
 public:
  DebugRanges() = default;
  explicit DebugRanges(std::string_view pickled);

  // "nets.py:12" for a byte of the printed code; empty if it is not known. Of a trace's stack, the
  // innermost frame outside of PyTorch.
  std::string Find(int32_t offset) const;

 private:
  struct Record {
    int64_t offset = 0;
    const torch_file::PickleValue* range = nullptr;
  };
  std::string Describe(const torch_file::PickleValue& range) const;

  std::shared_ptr<torch_file::PickleDocument> document_;
  std::vector<std::string_view> strings_;  // Empty: texts stand in the records.
  std::vector<Record> records_;            // By rising offset.
  mutable std::map<const torch_file::PickleValue*, std::string> cache_;
};

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_DEBUG_RANGES_H_
