// PyTorch's files without PyTorch: the zip container, the pickles in it and the tensors that they
// describe. The front ends torch_export and torchscript build on this folder. Nothing in a file is
// ever executed: the pickle reader knows a fixed list of names and builds plain values.
//
//   archive.h      the zip: entries in place in the mapped file, or inflated within limits
//   dtypes.h       PyTorch's element types by number and name
//   tensors.h      bytes, sizes, strides -> ir::Tensor
//   pickle.h       pickled bytes -> a tree of plain values
//   torch_save.h   what torch.save writes
#ifndef FLOE_COMPILER_IMPORT_TORCH_FILE_ARCHIVE_H_
#define FLOE_COMPILER_IMPORT_TORCH_FILE_ARCHIVE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::torch_file {

// Immutable bytes and what keeps them alive. Copying is cheap.
struct Blob {
  std::string_view bytes;
  std::shared_ptr<const void> owner;
};

// Maps a file for reading. The file must not change while the blob lives. Errors: kNotFound,
// kPermissionDenied, kResourceExhausted (over `max_bytes`), kInvalidArgument (no regular file).
absl::StatusOr<Blob> MapFile(const std::string& path, int64_t max_bytes);

struct ArchiveLimits {
  int64_t max_entries = 1 << 18;
  int64_t max_inflated = int64_t{8} << 30;  // Of all compressed entries together.
  int64_t max_ratio = 256;                  // Of one entry; those of up to 1 MiB may have any.
};

// A zip archive in memory. Not thread-safe; the blobs that it gives are independent of it.
class Archive {
 public:
  // Reads the directory and refuses archives that could harm or mislead: entries that are
  // encrypted, compressed other than by deflate, named twice, named with an absolute path or '..',
  // overlapping in the file, or inflating beyond the limits.
  static absl::StatusOr<std::unique_ptr<Archive>> Open(Blob file, const ArchiveLimits& limits = {});
  ~Archive();
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  // All names in the file's order. A folder that all entries share (PyTorch puts everything into
  // one, named after the file) is left out of them.
  const std::vector<std::string>& names() const { return names_; }
  const std::string& top_folder() const { return top_folder_; }  // Without '/'; may be empty.
  bool Has(std::string_view name) const;

  // The content of an entry, its checksum verified: in place if it is stored, else inflated (not
  // kept: call once). O(size). Errors: kNotFound; kInvalidArgument, which names the entry.
  absl::StatusOr<Blob> Read(std::string_view name);

 private:
  struct Zip;
  struct Entry {
    uint64_t index = 0;
    uint64_t size = 0;
    uint64_t offset = 0;  // Of the data in the file.
    bool stored = true;
  };

  Archive();
  absl::Status ReadDirectory(const ArchiveLimits& limits);
  absl::Status AddEntry(uint64_t index, const ArchiveLimits& limits, int64_t* inflated);
  absl::Status RefuseOverlaps() const;
  void StripTopFolder();
  absl::Status Stream(const Entry& entry, std::string_view name, char* inflated) const;

  Blob file_;
  std::unique_ptr<Zip> zip_;
  std::vector<std::string> names_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::pair<uint64_t, uint64_t>> extents_;  // Data of all entries: begin, end.
  std::string top_folder_;
};

// True if the bytes start as a zip archive does.
bool LooksLikeZip(std::string_view first_bytes);

}  // namespace floe::torch_file

#endif  // FLOE_COMPILER_IMPORT_TORCH_FILE_ARCHIVE_H_
