#include "compiler/import/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"

namespace floe::import {
namespace {

absl::Status Errno(const std::string& path, const char* what) {
  const int error = errno;
  const std::string message = absl::StrFormat("%s: %s: %s", path, what, std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::InternalError(message);
}

}  // namespace

MappedFile::~MappedFile() {
  if (base_ != nullptr) munmap(base_, size_);
}

void MappedFile::Drop(const char* data, int64_t length) const {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t first = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t last =
      (reinterpret_cast<uintptr_t>(data) + static_cast<uintptr_t>(length)) / page * page;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
}

absl::StatusOr<std::shared_ptr<MappedFile>> MappedFile::Map(const std::string& path,
                                                            int64_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Errno(path, "cannot open");
  struct stat info;
  absl::Status status;
  std::shared_ptr<MappedFile> file(new MappedFile);
  if (fstat(fd, &info) != 0) {
    status = Errno(path, "cannot stat");
  } else if (!S_ISREG(info.st_mode)) {
    status = absl::InvalidArgumentError(absl::StrFormat("%s is no regular file", path));
  } else if (info.st_size > max_bytes) {
    status = absl::ResourceExhaustedError(
        absl::StrFormat("%s has %d bytes, over the limit of %d", path, info.st_size, max_bytes));
  } else if (info.st_size > 0) {
    void* base = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
      status = Errno(path, "cannot map");
    } else {
      file->base_ = base;
      file->size_ = static_cast<size_t>(info.st_size);
    }
  }
  close(fd);
  if (!status.ok()) return status;
  return file;
}

}  // namespace floe::import
