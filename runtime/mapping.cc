#include "runtime/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "format/tensor_info.h"

namespace floe::runtime {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

bool HostError(ErrorSink* e, int error) {
  return e->Fail(error == ENOENT ? Code::kNotFound : Code::kIo, Rule::kHostFile, 0, error);
}

// An open regular file.
class File {
 public:
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }

  bool Open(const char* path, ErrorSink* e) {
    do {
      fd_ = open(path, O_RDONLY | O_CLOEXEC);
    } while (fd_ < 0 && errno == EINTR);
    if (fd_ < 0) return HostError(e, errno);
    struct stat st;
    if (fstat(fd_, &st) != 0) return HostError(e, errno);
    if (S_ISDIR(st.st_mode)) return HostError(e, EISDIR);
    if (!S_ISREG(st.st_mode)) return HostError(e, EINVAL);
    size_ = static_cast<size_t>(st.st_size);
    return true;
  }

  bool ReadAll(uint8_t* out, ErrorSink* e) const {
    size_t done = 0;
    while (done < size_) {
      const ssize_t n = pread(fd_, out + done, size_ - done, static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return HostError(e, errno);
      // The file shrank while it was read.
      if (n == 0) return e->Bad(Rule::kFileTooShort);
      done += static_cast<size_t>(n);
    }
    return true;
  }

  int fd() const { return fd_; }
  size_t size() const { return size_; }

 private:
  int fd_ = -1;
  size_t size_ = 0;
};

}  // namespace

Mapping::~Mapping() {
  if (mapped_) munmap(const_cast<void*>(data_), size_);
  if (copied_) allocator_.Release(const_cast<void*>(data_), size_);
}

bool Mapping::MapFile(const char* path, ErrorSink* e) {
  File file;
  if (!file.Open(path, e)) return false;
  if (file.size() == 0) return true;
  void* p = mmap(nullptr, file.size(), PROT_READ, MAP_PRIVATE, file.fd(), 0);
  if (p == MAP_FAILED) return HostError(e, errno);
  data_ = p;
  size_ = file.size();
  mapped_ = true;
  return true;
}

bool Mapping::ReadFile(const char* path, const Allocator& allocator, ErrorSink* e) {
  File file;
  if (!file.Open(path, e)) return false;
  if (file.size() == 0) return true;
  if (!Allocate(file.size(), allocator, e)) return false;
  return file.ReadAll(static_cast<uint8_t*>(const_cast<void*>(data_)), e);
}

bool Mapping::Borrow(const void* data, size_t bytes, ErrorSink* e) {
  if (data == nullptr || reinterpret_cast<uintptr_t>(data) % kAlignment != 0) {
    return e->Fail(Code::kInvalidArgument, Rule::kHostArgument, kAlignment,
                   static_cast<int64_t>(reinterpret_cast<uintptr_t>(data) % kAlignment));
  }
  data_ = data;
  size_ = bytes;
  return true;
}

bool Mapping::Copy(const void* data, size_t bytes, const Allocator& allocator, ErrorSink* e) {
  if (data == nullptr) return e->Fail(Code::kInvalidArgument, Rule::kHostArgument);
  if (bytes == 0) return true;
  if (!Allocate(bytes, allocator, e)) return false;
  std::memcpy(const_cast<void*>(data_), data, bytes);
  return true;
}

bool Mapping::Allocate(size_t bytes, const Allocator& allocator, ErrorSink* e) {
  void* p = e->Allocate(allocator, bytes, bytes < kHugePage ? kAlignment : kHugePage);
  if (p == nullptr) return false;
#ifdef MADV_HUGEPAGE
  if (bytes >= kHugePage) madvise(p, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  data_ = p;
  size_ = bytes;
  copied_ = true;
  allocator_ = allocator;
  return true;
}

void PrefaultMemory(const void* data, size_t bytes, bool write) {
  constexpr uintptr_t kPage = 4096;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / kPage * kPage;
  if (begin >= end) return;
  void* p = reinterpret_cast<void*>(begin);
  const int saved_errno = errno;
#ifdef MADV_HUGEPAGE
  if (write && end - begin >= kHugePage) madvise(p, end - begin, MADV_HUGEPAGE);
#endif
  constexpr int kPopulateRead = 22;   // MADV_POPULATE_READ and _WRITE, since Linux 5.14: older
  constexpr int kPopulateWrite = 23;  // headers lack the names, older kernels say EINVAL.
  if (madvise(p, end - begin, write ? kPopulateWrite : kPopulateRead) != 0 && !write) {
    madvise(p, end - begin, MADV_WILLNEED);
  }
  errno = saved_errno;
}

}  // namespace floe::runtime
