// A model file in memory: mapped, so that weights are used where they lie.
#ifndef FLOE_COMPILER_IMPORT_MAPPED_FILE_H_
#define FLOE_COMPILER_IMPORT_MAPPED_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace floe::import {

// Immutable and thread-safe. The file must not change while the object lives.
class MappedFile {
 public:
  // Errors: kNotFound, kPermissionDenied, kInternal (the system's); kInvalidArgument (no regular
  // file); kResourceExhausted (over `max_bytes`). Each names the file.
  static absl::StatusOr<std::shared_ptr<MappedFile>> Map(const std::string& path,
                                                         int64_t max_bytes);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::string_view bytes() const { return {static_cast<const char*>(base_), size_}; }
  // Gives back the pages that lie wholly inside; they are read again if needed.
  void Drop(const char* data, int64_t length) const;

 private:
  MappedFile() = default;
  void* base_ = nullptr;
  size_t size_ = 0;
};

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_MAPPED_FILE_H_
