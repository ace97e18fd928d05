#include "tools/cli/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_format.h"

namespace floe::cli {
namespace {

absl::Status OsError(const char* doing, const std::string& path, int error) {
  const std::string text = absl::StrFormat("cannot %s '%s': %s", doing, path, strerror(error));
  if (error == ENOENT) return absl::NotFoundError(text);
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(text);
  return absl::UnavailableError(text);
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return OsError("open", path, errno);
  struct stat st;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    return absl::InvalidArgumentError(absl::StrFormat("'%s' is not a regular file", path));
  }
  if (static_cast<uint64_t>(st.st_size) > max_bytes) {
    close(fd);
    return absl::ResourceExhaustedError(absl::StrFormat(
        "'%s' has %d bytes; the limit is %d", path, static_cast<int64_t>(st.st_size), max_bytes));
  }
  std::string content(static_cast<size_t>(st.st_size), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = read(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n < 0 ? errno : EIO;
      close(fd);
      return OsError("read", path, error);
    }
    done += static_cast<size_t>(n);
  }
  close(fd);
  return content;
}

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Open(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("cannot write '%s': it exists and is not a regular file", path));
  }
  std::string temporary = path + ".tmp.XXXXXX";
  const int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return OsError("write", path, errno);
  // mkstemp makes private files; outputs get what the user's umask allows.
  const mode_t mask = umask(0);
  umask(mask);
  (void)fchmod(fd, 0666 & ~mask);
  return std::unique_ptr<AtomicFile>(new AtomicFile(path, temporary, fd));
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

absl::Status AtomicFile::Write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t n = write(fd_, at, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OsError("write", path_, errno);
    at += n;
    bytes -= static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  if (fsync(fd_) != 0) return OsError("flush", path_, errno);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) return OsError("rename to", path_, errno);
  close(fd_);
  fd_ = -1;
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, const void* data, size_t bytes) {
  auto file = AtomicFile::Open(path);
  if (!file.ok()) return file.status();
  if (absl::Status s = (*file)->Write(data, bytes); !s.ok()) return s;
  return (*file)->Commit();
}

}  // namespace floe::cli
