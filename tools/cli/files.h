// Files: whole reads with a limit, and outputs that appear whole or not at all.
#ifndef FLOE_TOOLS_CLI_FILES_H_
#define FLOE_TOOLS_CLI_FILES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace floe::cli {

// The contents of a regular file of at most `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes);

// Writes PATH through a temporary file beside it: Commit flushes it to the disk and renames it over
// PATH; without Commit (an error, an exception, a signal before the rename) PATH is as it was.
class AtomicFile {
 public:
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Open(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  absl::Status Write(const void* data, size_t bytes);
  absl::Status Commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

  std::string path_;
  std::string temporary_;
  int fd_;
};

// Open, Write, Commit.
absl::Status WriteFileAtomically(const std::string& path, const void* data, size_t bytes);

}  // namespace floe::cli

#endif  // FLOE_TOOLS_CLI_FILES_H_
