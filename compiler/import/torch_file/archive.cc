#include "compiler/import/torch_file/archive.h"

#include <zip.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/mapped_file.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_file {
namespace {

constexpr size_t kPiece = 1 << 16;  // Bytes read at a time.

// Names that could lead out of a folder, or that differ by reader.
bool IsPlainName(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.size() > 4096) return false;
  if (name.find('\\') != std::string_view::npos) return false;
  if (name.size() > 1 && name[1] == ':') return false;
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    // The last part of a folder's own entry is empty.
    if (part == "." || part == ".." || (part.empty() && end != name.size())) return false;
    begin = end + 1;
  }
  return true;
}

// Where libzip reads the archive from. It remembers where the last read began: libzip does not tell
// where an entry's data lie, but the first read after opening one begins there.
struct ZipBytes {
  std::string_view bytes;
  uint64_t at = 0;
  uint64_t last_read = 0;
  zip_error_t error;
};

zip_int64_t ReadBytes(ZipBytes* self, void* data, zip_uint64_t length) {
  self->last_read = self->at;
  const uint64_t n = std::min<uint64_t>(length, self->bytes.size() - self->at);
  if (n > 0) std::memcpy(data, self->bytes.data() + self->at, n);
  self->at += n;
  return static_cast<zip_int64_t>(n);
}

zip_int64_t Stat(const ZipBytes* self, void* data, zip_uint64_t length) {
  if (length < sizeof(zip_stat_t)) return -1;
  auto* stat = static_cast<zip_stat_t*>(data);
  zip_stat_init(stat);
  stat->valid |= ZIP_STAT_SIZE;
  stat->size = self->bytes.size();
  return sizeof(zip_stat_t);
}

zip_int64_t SourceCallback(void* user, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  auto* self = static_cast<ZipBytes*>(user);
  switch (command) {
    case ZIP_SOURCE_OPEN:
      self->at = 0;
      return 0;
    case ZIP_SOURCE_READ:
      return ReadBytes(self, data, length);
    case ZIP_SOURCE_STAT:
      return Stat(self, data, length);
    case ZIP_SOURCE_ERROR:
      return zip_error_to_data(&self->error, data, length);
    case ZIP_SOURCE_SEEK: {
      const zip_int64_t to =
          zip_source_seek_compute_offset(self->at, self->bytes.size(), data, length, &self->error);
      if (to < 0) return -1;
      self->at = static_cast<uint64_t>(to);
      return 0;
    }
    case ZIP_SOURCE_TELL:
      return static_cast<zip_int64_t>(self->at);
    case ZIP_SOURCE_SUPPORTS:
      return zip_source_make_command_bitmap(
          ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
          ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, ZIP_SOURCE_FREE, -1);
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE:
      return 0;
    default:
      zip_error_set(&self->error, ZIP_ER_OPNOTSUPP, 0);
      return -1;
  }
}

struct CloseFile {
  void operator()(zip_file_t* f) const { zip_fclose(f); }
};
using ZipFile = std::unique_ptr<zip_file_t, CloseFile>;

absl::Status Damaged(std::string_view name, const char* what) {
  return absl::InvalidArgumentError(
      absl::StrFormat("archive entry '%s': %s", std::string(name), what));
}

}  // namespace

struct Archive::Zip {
  ZipBytes bytes;
  zip_t* zip = nullptr;

  Zip() { zip_error_init(&bytes.error); }
  Zip(const Zip&) = delete;
  Zip& operator=(const Zip&) = delete;
  ~Zip() {
    if (zip != nullptr) zip_discard(zip);
    zip_error_fini(&bytes.error);
  }
};

absl::StatusOr<Blob> MapFile(const std::string& path, int64_t max_bytes) {
  FLOE_TRY_ASSIGN(std::shared_ptr<import::MappedFile> file,
                  import::MappedFile::Map(path, max_bytes));
  const std::string_view bytes = file->bytes();
  return Blob{bytes, std::move(file)};
}

bool LooksLikeZip(std::string_view first_bytes) {
  return first_bytes.substr(0, 4) == std::string_view("PK\x03\x04", 4);
}

Archive::Archive() = default;
Archive::~Archive() = default;

absl::StatusOr<std::unique_ptr<Archive>> Archive::Open(Blob file, const ArchiveLimits& limits) {
  std::unique_ptr<Archive> archive(new Archive);
  archive->file_ = std::move(file);
  archive->zip_ = std::make_unique<Zip>();
  Zip& z = *archive->zip_;
  z.bytes.bytes = archive->file_.bytes;
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_function_create(SourceCallback, &z.bytes, &error);
  if (source != nullptr) {
    z.zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    if (z.zip == nullptr) zip_source_free(source);
  }
  absl::Status status;
  if (z.zip == nullptr || zip_get_num_entries(z.zip, 0) <= 0) {
    status = absl::InvalidArgumentError(
        absl::StrFormat("this is no zip archive, or it is damaged or was cut off (%s)",
                        zip_error_strerror(&error)));
  }
  zip_error_fini(&error);
  if (!status.ok()) return status;
  FLOE_TRY(archive->ReadDirectory(limits));
  return archive;
}

absl::Status Archive::ReadDirectory(const ArchiveLimits& limits) {
  const zip_int64_t count = zip_get_num_entries(zip_->zip, 0);
  if (count > limits.max_entries) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "the archive has %d entries, over the limit of %d", count, limits.max_entries));
  }
  int64_t inflated = 0;
  for (zip_int64_t i = 0; i < count; ++i) {
    FLOE_TRY(AddEntry(static_cast<uint64_t>(i), limits, &inflated));
  }
  FLOE_TRY(RefuseOverlaps());
  StripTopFolder();
  return absl::OkStatus();
}

absl::Status Archive::AddEntry(uint64_t index, const ArchiveLimits& limits, int64_t* inflated) {
  zip_stat_t stat;
  zip_stat_init(&stat);
  constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                   ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if (zip_stat_index(zip_->zip, index, ZIP_FL_ENC_RAW, &stat) != 0 ||
      (stat.valid & kNeeded) != kNeeded) {
    return absl::InvalidArgumentError(
        absl::StrFormat("entry %d of the archive's directory is damaged", index));
  }
  const std::string name = stat.name;
  if (!IsPlainName(name)) {
    return Damaged(name, "the name is absolute, leads out of the archive or is no plain path");
  }
  if (stat.encryption_method != ZIP_EM_NONE) {
    return Damaged(name, "it is encrypted; save the model without a password");
  }
  if (stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
    return absl::UnimplementedError(absl::StrFormat(
        "archive entry '%s' is compressed by method %d; only stored and deflated entries are read",
        name, static_cast<int>(stat.comp_method)));
  }
  Entry entry;
  entry.index = index;
  entry.size = stat.size;
  entry.stored = stat.comp_method == ZIP_CM_STORE;
  if (entry.stored && stat.size != stat.comp_size) {
    return Damaged(name, "it is stored, but its two sizes differ");
  }
  if (!entry.stored) {
    const uint64_t left = static_cast<uint64_t>(limits.max_inflated - *inflated);
    const bool bomb = stat.size > (uint64_t{1} << 20) &&
                      stat.size / static_cast<uint64_t>(limits.max_ratio) > stat.comp_size;
    if (stat.size > left || bomb) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "archive entry '%s' inflates from %d to %d bytes, over the limit (%d bytes in all, %d "
          "times its size)",
          name, stat.comp_size, stat.size, limits.max_inflated, limits.max_ratio));
    }
    *inflated += static_cast<int64_t>(stat.size);
  }
  if (stat.comp_size > 0) {
    char first;
    const ZipFile opened(zip_fopen_index(zip_->zip, index, ZIP_FL_COMPRESSED));
    if (opened == nullptr || zip_fread(opened.get(), &first, 1) != 1) {
      return Damaged(name, "its data cannot be read; the file is damaged or was cut off");
    }
    entry.offset = zip_->bytes.last_read;
    if (entry.offset > file_.bytes.size() || stat.comp_size > file_.bytes.size() - entry.offset) {
      return Damaged(name, "its data reach beyond the end of the file");
    }
    extents_.emplace_back(entry.offset, entry.offset + stat.comp_size);
  }
  if (name.back() == '/') {
    if (stat.size == 0) return absl::OkStatus();  // A folder's own entry.
    return Damaged(name, "it is a folder, but has data");
  }
  if (!entries_.emplace(name, entry).second) return Damaged(name, "two entries have this name");
  names_.push_back(name);
  return absl::OkStatus();
}

absl::Status Archive::RefuseOverlaps() const {
  std::vector<std::pair<uint64_t, uint64_t>> extents = extents_;
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "two entries of the archive overlap at byte %d; no honest writer does this",
          extents[i].first));
    }
  }
  return absl::OkStatus();
}

void Archive::StripTopFolder() {
  if (names_.empty()) return;
  const size_t slash = names_[0].find('/');
  if (slash == std::string::npos) return;
  const std::string prefix = names_[0].substr(0, slash + 1);
  for (const std::string& name : names_) {
    if (!name.starts_with(prefix)) return;
  }
  top_folder_ = names_[0].substr(0, slash);
  std::map<std::string, Entry, std::less<>> stripped;
  for (std::string& name : names_) {
    const Entry entry = entries_[name];
    name.erase(0, prefix.size());
    stripped.emplace(name, entry);
  }
  entries_ = std::move(stripped);
}

bool Archive::Has(std::string_view name) const { return entries_.find(name) != entries_.end(); }

// Reads the whole entry through libzip, which verifies the checksum, into `inflated`; if that is
// null, compares with the bytes in place instead.
absl::Status Archive::Stream(const Entry& entry, std::string_view name, char* inflated) const {
  const ZipFile opened(zip_fopen_index(zip_->zip, entry.index, 0));
  if (opened == nullptr) return Damaged(name, zip_strerror(zip_->zip));
  const auto piece = std::make_unique<char[]>(kPiece);
  uint64_t at = 0;
  while (true) {
    const zip_int64_t n = zip_fread(opened.get(), piece.get(), kPiece);
    if (n < 0) {
      const char* const why = zip_file_strerror(opened.get());
      return absl::InvalidArgumentError(
          absl::StrFormat("archive entry '%s': %s; the file is damaged, or was saved with "
                          "torch.serialization.set_crc32_options(False)",
                          std::string(name), why));
    }
    if (n == 0) break;
    const auto length = static_cast<uint64_t>(n);
    if (length > entry.size - at) return Damaged(name, "it has more data than its size states");
    if (inflated != nullptr) {
      std::memcpy(inflated + at, piece.get(), length);
    } else if (std::memcmp(file_.bytes.data() + entry.offset + at, piece.get(), length) != 0) {
      return absl::InternalError(
          absl::StrFormat("archive entry '%s' is not where it seems to be", std::string(name)));
    }
    at += length;
  }
  return at == entry.size ? absl::OkStatus()
                          : Damaged(name, "it has less data than its size states");
}

absl::StatusOr<Blob> Archive::Read(std::string_view name) {
  const auto it = entries_.find(name);
  if (it == entries_.end()) {
    return absl::NotFoundError(absl::StrFormat("the archive has no entry '%s'", std::string(name)));
  }
  const Entry& entry = it->second;
  if (entry.size == 0) return Blob{};
  if (entry.stored) {
    FLOE_TRY(Stream(entry, name, nullptr));
    return Blob{file_.bytes.substr(entry.offset, entry.size), file_.owner};
  }
  // Aligned for every element type.
  void* const memory = std::aligned_alloc(64, (entry.size + 63) / 64 * 64);
  if (memory == nullptr) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "no memory for the %d bytes of archive entry '%s'", entry.size, std::string(name)));
  }
  std::shared_ptr<const void> owner(memory, [](const void* p) { std::free(const_cast<void*>(p)); });
  FLOE_TRY(Stream(entry, name, static_cast<char*>(memory)));
  return Blob{{static_cast<const char*>(memory), entry.size}, std::move(owner)};
}

}  // namespace floe::torch_file
