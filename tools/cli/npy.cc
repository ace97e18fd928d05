#include "tools/cli/npy.h"

#include <unistd.h>
#include <zip.h>

#include <cstring>
#include <memory>

#include "absl/strings/str_format.h"
#include "format/checked.h"
#include "tools/cli/files.h"

namespace floe::cli {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);

struct NpyType {
  const char* descr;
  DType dtype;
};
constexpr NpyType kTypes[] = {
    {"<f4", DType::kF32}, {"<f8", DType::kF64}, {"<f2", DType::kF16}, {"|i1", DType::kI8},
    {"|u1", DType::kU8},  {"<i2", DType::kI16}, {"<u2", DType::kU16}, {"<i4", DType::kI32},
    {"<u4", DType::kU32}, {"<i8", DType::kI64}, {"<u8", DType::kU64}, {"|b1", DType::kBool},
};

absl::Status Bad(const char* what) {
  return absl::InvalidArgumentError(absl::StrFormat("not a usable .npy array: %s", what));
}

// The value of a quoted or bare item of the header's Python dictionary.
std::string_view HeaderItem(std::string_view header, std::string_view key) {
  const std::string quoted = "'" + std::string(key) + "'";
  size_t at = header.find(quoted);
  if (at == std::string_view::npos) return {};
  at = header.find(':', at);
  if (at == std::string_view::npos) return {};
  do {
    ++at;
  } while (at < header.size() && header[at] == ' ');
  if (at >= header.size()) return {};
  const char close = header[at] == '(' ? ')' : header[at] == '\'' ? '\'' : ',';
  const size_t begin = close == ',' ? at : at + 1;
  const size_t end = header.find(close, begin);
  if (end == std::string_view::npos) return {};
  return header.substr(begin, end - begin);
}

bool ParseDims(std::string_view text, std::vector<int64_t>* dims) {
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ' || text[at] == ',') {
      ++at;
      continue;
    }
    int64_t value = 0;
    if (text[at] < '0' || text[at] > '9') return false;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      if (!CheckedMul(value, 10, &value) || !CheckedAdd(value, text[at] - '0', &value)) {
        return false;
      }
    }
    if (at < text.size() && text[at] == 'L') ++at;  // Python 2 wrote long integers so.
    dims->push_back(value);
  }
  return dims->size() <= 8;
}

struct ZipClose {
  void operator()(zip_t* z) const { zip_discard(z); }
};
struct ZipFileClose {
  void operator()(zip_file_t* f) const { zip_fclose(f); }
};

absl::StatusOr<std::string> Inflate(zip_t* archive, zip_uint64_t index, uint64_t* budget) {
  std::unique_ptr<zip_file_t, ZipFileClose> file(zip_fopen_index(archive, index, 0));
  if (file == nullptr) return absl::InvalidArgumentError(zip_strerror(archive));
  std::string bytes;
  std::vector<char> piece(1 << 20);
  while (true) {
    const zip_int64_t n = zip_fread(file.get(), piece.data(), piece.size());
    if (n < 0) return absl::InvalidArgumentError("an archive member is damaged");
    if (n == 0) return bytes;
    if (static_cast<uint64_t>(n) > *budget) {
      return absl::ResourceExhaustedError("the archive inflates to more than the limit");
    }
    *budget -= static_cast<uint64_t>(n);
    bytes.append(piece.data(), static_cast<size_t>(n));
  }
}

}  // namespace

int64_t Array::count() const {
  int64_t n = 1;
  for (const int64_t d : dims) n *= d;
  return n;
}

absl::StatusOr<Array> ParseNpy(std::string_view bytes) {
  if (bytes.substr(0, 6) != kMagic || bytes.size() < 10) return Bad("wrong magic bytes");
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const int major = byte(6);
  size_t header_bytes = static_cast<size_t>(byte(8)) | static_cast<size_t>(byte(9)) << 8;
  size_t begin = 10;
  if (major >= 2) {
    if (major > 3 || bytes.size() < 12) return Bad("unknown version");
    header_bytes |= static_cast<size_t>(byte(10)) << 16 | static_cast<size_t>(byte(11)) << 24;
    begin = 12;
  }
  if (bytes.size() - begin < header_bytes) return Bad("the header is cut off");
  const std::string_view header = bytes.substr(begin, header_bytes);
  const std::string_view descr = HeaderItem(header, "descr");
  Array array;
  for (const NpyType& t : kTypes) {
    // Byte order does not matter for one-byte types: numpy writes '|', others write '<'.
    if (descr == t.descr || (descr.size() == 3 && DTypeSize(t.dtype) == 1 &&
                             descr.substr(1) == std::string_view(t.descr).substr(1))) {
      array.dtype = t.dtype;
    }
  }
  if (array.dtype == DType::kNone) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "arrays of dtype '%s' are not supported; convert with numpy's astype", std::string(descr)));
  }
  if (!ParseDims(HeaderItem(header, "shape"), &array.dims)) return Bad("bad shape");
  if (HeaderItem(header, "fortran_order") != "False" && array.dims.size() > 1) {
    return Bad("it is in Fortran order; save numpy.ascontiguousarray(x)");
  }
  int64_t want = DTypeSize(array.dtype);
  for (const int64_t d : array.dims) {
    if (!CheckedMul(want, d, &want)) return Bad("its size overflows");
  }
  const std::string_view data = bytes.substr(begin + header_bytes);
  if (static_cast<uint64_t>(want) != data.size()) return Bad("its length differs from its shape");
  array.bytes = std::string(data);
  return array;
}

std::string FormatNpy(const Array& array) {
  const char* descr = "|V1";
  for (const NpyType& t : kTypes) {
    if (t.dtype == array.dtype) descr = t.descr;
  }
  if (array.dtype == DType::kBF16) descr = "<V2";  // As ml_dtypes' readers expect raw bf16.
  std::string shape;
  for (const int64_t d : array.dims) shape += absl::StrFormat("%d, ", d);
  if (array.dims.size() > 1) shape.resize(shape.size() - 2);
  if (array.dims.size() == 1) shape.resize(shape.size() - 1);
  std::string header =
      absl::StrFormat("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, shape);
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string out(kMagic);
  out += '\x01';
  out += '\x00';
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  return out + header + array.bytes;
}

absl::StatusOr<NamedArrays> ReadNpz(const std::string& path, uint64_t max_bytes) {
  int error = 0;
  std::unique_ptr<zip_t, ZipClose> archive(
      zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &error));
  if (archive == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrFormat("cannot open '%s' as .npz: zip error %d", path, error));
  }
  NamedArrays arrays;
  uint64_t budget = max_bytes;
  const zip_int64_t members = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < members; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    const char* member = zip_get_name(archive.get(), index, 0);
    std::string name = member == nullptr ? "" : member;
    auto bytes = Inflate(archive.get(), index, &budget);
    if (!bytes.ok()) return bytes.status();
    auto array = ParseNpy(*bytes);
    if (!array.ok()) {
      return absl::Status(array.status().code(),
                          absl::StrFormat("'%s', member '%s': %s", path, name,
                                          std::string(array.status().message())));
    }
    if (name.size() > 4 && name.substr(name.size() - 4) == ".npy") name.resize(name.size() - 4);
    arrays.emplace_back(std::move(name), *std::move(array));
  }
  return arrays;
}

absl::Status WriteNpz(const std::string& path, const NamedArrays& arrays) {
  // libzip writes in place, so the archive is made in memory and then written atomically.
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* buffer = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_source_keep(buffer);
  zip_t* archive = zip_open_from_source(buffer, ZIP_TRUNCATE, &error);
  if (archive == nullptr) return absl::InternalError("cannot make a zip archive in memory");
  std::vector<std::string> members;
  members.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    members.push_back(FormatNpy(array));
    zip_source_t* source =
        zip_source_buffer(archive, members.back().data(), members.back().size(), 0);
    const zip_int64_t at = zip_file_add(archive, (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    if (at < 0) {
      const std::string why = zip_strerror(archive);
      zip_source_free(source);
      zip_discard(archive);
      zip_source_free(buffer);
      return absl::InvalidArgumentError(absl::StrFormat("cannot add '%s': %s", name, why));
    }
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(at), ZIP_CM_STORE, 0);
    zip_file_set_mtime(archive, static_cast<zip_uint64_t>(at), 315532800 + 43200, 0);  // 1980.
  }
  if (zip_close(archive) != 0) {
    zip_discard(archive);
    zip_source_free(buffer);
    return absl::InternalError("cannot finish a zip archive in memory");
  }
  if (arrays.empty()) {
    zip_source_free(buffer);
    return absl::InvalidArgumentError("there is nothing to write");
  }
  zip_source_open(buffer);
  zip_source_seek(buffer, 0, SEEK_END);
  std::string bytes(static_cast<size_t>(zip_source_tell(buffer)), '\0');
  zip_source_seek(buffer, 0, SEEK_SET);
  zip_source_read(buffer, bytes.data(), bytes.size());
  zip_source_close(buffer);
  zip_source_free(buffer);
  return WriteFileAtomically(path, bytes.data(), bytes.size());
}

absl::Status WriteArrays(const std::string& path, const NamedArrays& arrays) {
  const std::string ending = path.size() > 4 ? path.substr(path.size() - 4) : "";
  if (ending == ".npz") return WriteNpz(path, arrays);
  if (ending == ".npy" && arrays.size() == 1) {
    const std::string bytes = FormatNpy(arrays[0].second);
    return WriteFileAtomically(path, bytes.data(), bytes.size());
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "cannot write %d arrays to '%s': use a path that ends in .npz (or .npy for one array)",
      arrays.size(), path));
}

}  // namespace floe::cli
