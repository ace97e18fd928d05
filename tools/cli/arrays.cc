// ReadArrays: which of the array formats a file has, by its first bytes.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "tools/cli/files.h"
#include "tools/cli/npy.h"

namespace floe::cli {

absl::StatusOr<NamedArrays> ReadArrays(const std::string& path, uint64_t max_bytes) {
  auto bytes = ReadFile(path, max_bytes);
  if (!bytes.ok()) return bytes.status();
  if (bytes->rfind("PK", 0) == 0) {
    bytes->clear();
    bytes->shrink_to_fit();
    return ReadNpz(path, max_bytes);
  }
  auto array = ParseNpy(*bytes);
  if (!array.ok()) {
    return absl::Status(array.status().code(),
                        absl::StrFormat("'%s': %s", path, std::string(array.status().message())));
  }
  NamedArrays arrays;
  arrays.emplace_back("", *std::move(array));
  return arrays;
}

}  // namespace floe::cli
