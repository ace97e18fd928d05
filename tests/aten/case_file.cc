#include "tests/aten/case_file.h"

#include <zip.h>

#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"

namespace floe::aten {
namespace {

struct ZipCloser {
  void operator()(zip_t* z) const { zip_discard(z); }
};
using ZipHandle = std::unique_ptr<zip_t, ZipCloser>;

absl::StatusOr<ZipHandle> OpenZip(const std::string& path) {
  int error = 0;
  ZipHandle zip(zip_open(path.c_str(), ZIP_RDONLY, &error));
  if (zip == nullptr) return absl::NotFoundError(path + " cannot be read as a zip");
  return zip;
}

absl::StatusOr<std::string> ReadEntry(zip_t* zip, const std::string& name) {
  zip_stat_t stat;
  if (zip_stat(zip, name.c_str(), 0, &stat) != 0) return absl::NotFoundError("no table " + name);
  std::string bytes(stat.size, '\0');
  zip_file_t* file = zip_fopen_index(zip, stat.index, 0);
  if (file == nullptr) return absl::DataLossError(zip_strerror(zip));
  const zip_int64_t n = zip_fread(file, bytes.data(), bytes.size());
  zip_fclose(file);
  if (n < 0 || static_cast<size_t>(n) != bytes.size()) return absl::DataLossError(name);
  return bytes;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  template <typename N>
  N Number() {
    N v = 0;
    const std::string_view from = Take(sizeof(N));
    if (ok_) std::memcpy(&v, from.data(), sizeof(N));
    return v;
  }
  std::string_view Blob() { return Take(Number<uint32_t>()); }

 private:
  std::string_view Take(size_t n) {
    if (!ok_ || n > bytes_.size() - at_) {
      ok_ = false;
      return {};
    }
    at_ += n;
    return bytes_.substr(at_ - n, n);
  }

  std::string_view bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

DType DTypeOfName(std::string_view name) {
  for (uint8_t i = 1; i < kDTypeCount; ++i) {
    if (name == DTypeName(static_cast<DType>(i))) return static_cast<DType>(i);
  }
  return DType::kNone;
}

absl::StatusOr<ir::Tensor> ReadTensor(Reader& in) {
  const DType dtype = DTypeOfName(in.Blob());
  std::vector<int64_t> dims;
  for (uint32_t rank = in.Number<uint32_t>(); in.ok() && rank > 0; --rank) {
    dims.push_back(in.Number<int64_t>());
  }
  const std::string_view bytes = in.Blob();
  if (!in.ok() || dtype == DType::kNone) return absl::DataLossError("a tensor is damaged");
  ir::Tensor t(dtype, dims);
  if (static_cast<size_t>(t.bytes()) != bytes.size()) return absl::DataLossError("a tensor's size");
  if (!bytes.empty()) std::memcpy(t.mutable_data(), bytes.data(), bytes.size());
  return t;
}

absl::Status ReadTensors(Reader& in, std::vector<ir::Tensor>& to) {
  for (uint32_t n = in.Number<uint32_t>(); in.ok() && n > 0; --n) {
    FLOE_TRY_ASSIGN(ir::Tensor t, ReadTensor(in));
    to.push_back(std::move(t));
  }
  return absl::OkStatus();
}

absl::StatusOr<Case> ReadCase(Reader& in, const std::string& table) {
  Case c;
  c.table = table;
  c.name = in.Blob();
  const auto options = nlohmann::json::parse(in.Blob(), nullptr, /*allow_exceptions=*/false);
  if (!options.is_object()) return absl::DataLossError(c.name + ": its options");
  c.tolerance = options.value("tol", 0.0);
  c.stateful = options.value("stateful", false);
  c.names = options.value("names", std::vector<std::string>());
  for (uint32_t forms = in.Number<uint32_t>(); in.ok() && forms > 0; --forms) {
    auto& entries = c.forms[std::string(in.Blob())];
    for (uint32_t n = in.Number<uint32_t>(); in.ok() && n > 0; --n) {
      std::string name(in.Blob());
      entries.emplace_back(std::move(name), in.Blob());
    }
  }
  for (uint32_t sets = in.Number<uint32_t>(); in.ok() && sets > 0; --sets) {
    CaseData data;
    FLOE_TRY(ReadTensors(in, data.inputs));
    FLOE_TRY(ReadTensors(in, data.outputs));
    for (uint32_t n = in.Number<uint32_t>(); in.ok() && n > 0; --n) {
      const auto input = in.Number<uint32_t>();
      FLOE_TRY_ASSIGN(ir::Tensor t, ReadTensor(in));
      data.written.emplace(input, std::move(t));
    }
    c.sets.push_back(std::move(data));
  }
  if (!in.ok()) return absl::DataLossError(table + " is cut off");
  return c;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadTables(const std::string& path) {
  FLOE_TRY_ASSIGN(const ZipHandle zip, OpenZip(path));
  std::vector<std::string> names;
  for (zip_int64_t i = 0; i < zip_get_num_entries(zip.get(), 0); ++i) {
    names.emplace_back(zip_get_name(zip.get(), static_cast<zip_uint64_t>(i), 0));
  }
  return names;
}

absl::StatusOr<std::vector<Case>> ReadCases(const std::string& path, const std::string& table) {
  FLOE_TRY_ASSIGN(const ZipHandle zip, OpenZip(path));
  FLOE_TRY_ASSIGN(const std::string bytes, ReadEntry(zip.get(), table));
  Reader in(bytes);
  std::vector<Case> cases;
  for (uint32_t n = in.Number<uint32_t>(); n > 0; --n) {
    FLOE_TRY_ASSIGN(Case c, ReadCase(in, table));
    cases.push_back(std::move(c));
  }
  return cases;
}

absl::StatusOr<std::string> BuildArchive(
    const std::vector<std::pair<std::string, std::string>>& entries) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* source = zip_source_buffer_create(nullptr, 0, 0, &error);
  if (source == nullptr) return absl::InternalError("no zip source");
  zip_source_keep(
      source);  // zip_close gives one reference back; the bytes are read from the other.
  zip_t* zip = zip_open_from_source(source, ZIP_TRUNCATE, &error);
  if (zip == nullptr) return absl::InternalError("no zip in memory");
  for (const auto& [name, data] : entries) {
    zip_source_t* entry = zip_source_buffer(zip, data.data(), data.size(), 0);
    const zip_int64_t index = zip_file_add(zip, name.c_str(), entry, ZIP_FL_ENC_UTF_8);
    if (index < 0) return absl::InternalError("cannot add " + name);
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
  }
  if (zip_close(zip) != 0) return absl::InternalError("cannot close the zip in memory");
  zip_stat_t stat;
  zip_source_stat(source, &stat);
  std::string bytes(stat.size, '\0');
  zip_source_open(source);
  const zip_int64_t n = zip_source_read(source, bytes.data(), bytes.size());
  zip_source_close(source);
  zip_source_free(source);
  if (n < 0 || static_cast<size_t>(n) != bytes.size()) return absl::InternalError("a zip's size");
  return bytes;
}

}  // namespace floe::aten
