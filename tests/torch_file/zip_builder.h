// Archives for the tests of PyTorch's front ends, made by libzip in memory.
#ifndef FLOE_TESTS_TORCH_FILE_ZIP_BUILDER_H_
#define FLOE_TESTS_TORCH_FILE_ZIP_BUILDER_H_

#include <zip.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/torch_file/archive.h"

namespace floe::testing {

struct ZipEntry {
  std::string name;
  std::string content;
  bool deflate = false;
  bool encrypt = false;
};

inline std::string MakeZip(const std::vector<ZipEntry>& entries) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* buffer = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(buffer);
  zip_t* archive = zip_open_from_source(buffer, ZIP_TRUNCATE, &error);
  if (archive == nullptr) std::abort();
  for (const ZipEntry& entry : entries) {
    zip_source_t* source =
        zip_source_buffer(archive, entry.content.data(), entry.content.size(), 0);
    const zip_int64_t at = zip_file_add(archive, entry.name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (at < 0) std::abort();
    const auto index = static_cast<zip_uint64_t>(at);
    zip_set_file_compression(archive, index, entry.deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 9);
    if (entry.encrypt) zip_file_set_encryption(archive, index, ZIP_EM_AES_256, "secret");
    zip_file_set_mtime(archive, index, 315532800 + 43200, 0);
  }
  if (zip_close(archive) != 0) std::abort();
  zip_source_open(buffer);
  zip_source_seek(buffer, 0, SEEK_END);
  std::string bytes(static_cast<size_t>(zip_source_tell(buffer)), '\0');
  zip_source_seek(buffer, 0, SEEK_SET);
  zip_source_read(buffer, bytes.data(), bytes.size());
  zip_source_close(buffer);
  zip_source_free(buffer);
  zip_error_fini(&error);
  return bytes;
}

// The bytes of a string that the blob keeps alive, from a 64-byte aligned address on.
inline torch_file::Blob BlobOf(std::string_view bytes) {
  void* memory = std::aligned_alloc(64, (bytes.size() + 127) / 64 * 64);
  if (memory == nullptr) std::abort();
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(memory));
  return {{static_cast<const char*>(memory), bytes.size()},
          std::shared_ptr<const void>(memory, [](const void* p) { free(const_cast<void*>(p)); })};
}

}  // namespace floe::testing

#endif  // FLOE_TESTS_TORCH_FILE_ZIP_BUILDER_H_
