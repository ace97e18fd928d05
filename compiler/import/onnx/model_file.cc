#include "compiler/import/onnx/model_file.h"

#include <google/protobuf/io/coded_stream.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"
#include "format/checked.h"
#include "format/tensor_info.h"

namespace floe::onnx {
namespace {

using ::google::protobuf::io::CodedInputStream;

constexpr int kGraphField = 7;        // ModelProto.graph
constexpr int kInitializerField = 5;  // GraphProto.initializer
constexpr int kRawDataField = 9;      // TensorProto.raw_data
constexpr int kWireVarint = 0, kWireFixed64 = 1, kWireBytes = 2, kWireFixed32 = 5;

constexpr char kMakeExternal[] =
    "protobuf ends there; save the weights as external data (onnx.save_model(..., "
    "save_as_external_data=True))";

// Moves the stream over the value of a field; false at an unknown wire type or the end.
bool SkipValue(CodedInputStream& in, int wire_type) {
  uint64_t varint;
  uint32_t length;
  switch (wire_type) {
    case kWireVarint:
      return in.ReadVarint64(&varint);
    case kWireFixed64:
      return in.Skip(8);
    case kWireFixed32:
      return in.Skip(4);
    case kWireBytes:
      return in.ReadVarint32(&length) &&
             length <= static_cast<uint32_t>(std::numeric_limits<int>::max()) &&
             in.Skip(static_cast<int>(length));
    default:
      return false;
  }
}

std::string TensorName(const TensorProto& proto) {
  return proto.name().empty() ? "a constant" : "tensor '" + proto.name() + "'";
}

// Number of elements, checked; the shape comes from the file.
absl::Status CheckDims(const TensorProto& proto, DType dtype, int64_t* count, int64_t* bytes) {
  if (proto.dims_size() > kMaxRank) {
    return absl::UnimplementedError(absl::StrFormat(
        "%s has rank %d; ranks go up to %d", TensorName(proto), proto.dims_size(), kMaxRank));
  }
  *count = 1;
  for (const int64_t d : proto.dims()) {
    if (d < 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s has a negative dimension (%d)", TensorName(proto), d));
    }
    if (!CheckedMul(*count, d, count)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the size of %s overflows", TensorName(proto)));
    }
  }
  if (!CheckedMul(*count, DTypeSize(dtype), bytes)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the size of %s overflows", TensorName(proto)));
  }
  return absl::OkStatus();
}

absl::Status WrongCount(const TensorProto& proto, int64_t want, int64_t got, const char* unit) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s holds %d %s where its shape and type need %d; the file is damaged or was cut off",
      TensorName(proto), got, unit, want));
}

// Values that the format stores in typed fields.
template <typename Field, typename Store>
absl::Status CopyTyped(const TensorProto& proto, int64_t count, const Field& field, Store store) {
  if (field.size() != count) return WrongCount(proto, count, field.size(), "values");
  for (int i = 0; i < field.size(); ++i) store(i, field.Get(i));
  return absl::OkStatus();
}

absl::StatusOr<ir::Tensor> FromTypedData(const TensorProto& proto, DType dtype,
                                         std::vector<int64_t> dims, int64_t count) {
  // Checked first, so that a wrong shape does not allocate.
  const int64_t stored = dtype == DType::kF32                           ? proto.float_data_size()
                         : dtype == DType::kF64                         ? proto.double_data_size()
                         : dtype == DType::kI64                         ? proto.int64_data_size()
                         : dtype == DType::kU64 || dtype == DType::kU32 ? proto.uint64_data_size()
                                                                        : proto.int32_data_size();
  if (stored != count) return WrongCount(proto, count, stored, "values");
  ir::Tensor t(dtype, std::move(dims));
  char* const data = static_cast<char*>(t.mutable_data());
  const int64_t size = DTypeSize(dtype);
  // Every dtype of at most 8 bytes is the low bytes of its stored integer (little endian).
  const auto store = [data, size](int i, auto v) {
    std::memcpy(data + i * size, &v, static_cast<size_t>(size));
  };
  switch (dtype) {
    case DType::kF32:
      FLOE_TRY(CopyTyped(proto, count, proto.float_data(), store));
      break;
    case DType::kF64:
      FLOE_TRY(CopyTyped(proto, count, proto.double_data(), store));
      break;
    case DType::kI64:
      FLOE_TRY(CopyTyped(proto, count, proto.int64_data(), store));
      break;
    case DType::kU64:
    case DType::kU32:
      FLOE_TRY(CopyTyped(proto, count, proto.uint64_data(), store));
      break;
    default:  // 8 and 16 bits, i32, bool; f16 and bf16 as bit patterns.
      FLOE_TRY(CopyTyped(proto, count, proto.int32_data(), store));
      break;
  }
  return t;
}

// A bool is a byte that is 0 or 1; files may hold others.
bool NeedsCopy(DType dtype, const char* data, int64_t bytes) {
  if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(DTypeSize(dtype)) != 0) {
    return true;
  }
  if (dtype != DType::kBool) return false;
  for (int64_t i = 0; i < bytes; ++i) {
    if (static_cast<uint8_t>(data[i]) > 1) return true;
  }
  return false;
}

ir::Tensor CopyOf(DType dtype, std::vector<int64_t> dims, const char* data, int64_t bytes) {
  ir::Tensor t(dtype, std::move(dims));
  if (bytes > 0) std::memcpy(t.mutable_data(), data, static_cast<size_t>(bytes));
  if (dtype == DType::kBool) {
    for (int64_t i = 0; i < bytes; ++i) t.SetInt(i, t.IntAt(i) != 0);
  }
  return t;
}

// Refuses locations that lead out of the model's folder.
absl::StatusOr<std::string> ResolveExternal(const std::string& folder, const std::string& location,
                                            const std::string& tensor) {
  namespace fs = std::filesystem;
  const fs::path relative(location);
  bool climbs =
      location.empty() || relative.is_absolute() || location.find('\0') != std::string::npos;
  for (const fs::path& part : relative) climbs = climbs || part == "..";
  if (climbs) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s keeps its data in '%s', outside the model's folder; only files beside the model are "
        "read",
        tensor, location));
  }
  std::error_code error;
  const fs::path real = fs::canonical(fs::path(folder) / relative, error);
  if (error) {
    return absl::NotFoundError(absl::StrFormat(
        "%s keeps its data in '%s', which is not beside the model (%s); copy that file there",
        tensor, location, error.message()));
  }
  const fs::path inside = real.lexically_relative(folder);
  if (inside.empty() || *inside.begin() == "..") {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s keeps its data in '%s', a link that leads out of the model's folder; copy the file "
        "there instead",
        tensor, location));
  }
  return real.string();
}

bool ParseOffset(const std::string& text, int64_t* out) {
  if (text.empty() || text.size() > 18) return false;
  int64_t v = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    v = v * 10 + (c - '0');
  }
  *out = v;
  return true;
}

}  // namespace

// A file mapped for reading.
bool SplitMessage(std::string_view bytes, int field, std::string* rest,
                  std::vector<std::string_view>* payloads) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return false;
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  constexpr int kMaxFields = 1 << 20;
  int kept = 0;  // Start of the run of fields that is to be copied next.
  for (int fields = 0; fields <= kMaxFields; ++fields) {
    const int start = in.CurrentPosition();
    if (start == static_cast<int>(bytes.size())) {
      rest->append(bytes.substr(static_cast<size_t>(kept)));
      return true;
    }
    const uint32_t tag = in.ReadTag();
    if (tag >> 3 == 0) return false;
    const int wire_type = static_cast<int>(tag & 7);
    if (static_cast<int>(tag >> 3) != field || wire_type != kWireBytes) {
      if (!SkipValue(in, wire_type)) return false;
      continue;
    }
    uint32_t length;
    if (!in.ReadVarint32(&length)) return false;
    const int begin = in.CurrentPosition();
    if (length > bytes.size() - static_cast<size_t>(begin)) return false;
    rest->append(bytes.substr(static_cast<size_t>(kept), static_cast<size_t>(start - kept)));
    payloads->push_back(bytes.substr(static_cast<size_t>(begin), length));
    if (!in.Skip(static_cast<int>(length))) return false;
    kept = in.CurrentPosition();
  }
  return false;
}

absl::StatusOr<DType> DTypeOf(int32_t data_type) {
  switch (data_type) {
    case 1:
      return DType::kF32;
    case 2:
      return DType::kU8;
    case 3:
      return DType::kI8;
    case 4:
      return DType::kU16;
    case 5:
      return DType::kI16;
    case 6:
      return DType::kI32;
    case 7:
      return DType::kI64;
    case 9:
      return DType::kBool;
    case 10:
      return DType::kF16;
    case 11:
      return DType::kF64;
    case 12:
      return DType::kU32;
    case 13:
      return DType::kU64;
    case 16:
      return DType::kBF16;
    default:
      break;
  }
  static constexpr std::pair<int, const char*> kOthers[] = {{8, "string"},
                                                            {14, "complex64"},
                                                            {15, "complex128"},
                                                            {17, "float8e4m3fn"},
                                                            {18, "float8e4m3fnuz"},
                                                            {19, "float8e5m2"},
                                                            {20, "float8e5m2fnuz"},
                                                            {21, "uint4"},
                                                            {22, "int4"},
                                                            {23, "float4e2m1"},
                                                            {24, "float8e8m0"},
                                                            {25, "uint2"},
                                                            {26, "int2"}};
  for (const auto& [number, name] : kOthers) {
    if (number == data_type) {
      return absl::UnimplementedError(absl::StrFormat("element type %s is not supported", name));
    }
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%d is no element type that the specification knows", data_type));
}

absl::StatusOr<std::shared_ptr<ModelFile>> ModelFile::Open(const std::string& path,
                                                           int64_t max_bytes) {
  FLOE_TRY_ASSIGN(std::shared_ptr<Mapping> mapping, Mapping::Map(path, max_bytes));
  std::shared_ptr<ModelFile> file(new ModelFile);
  std::error_code error;
  const std::filesystem::path folder =
      std::filesystem::canonical(std::filesystem::absolute(path, error).parent_path(), error);
  if (!error) file->folder_ = folder.string();
  file->mapping_ = mapping;
  file->owner_ = mapping;
  file->bytes_left_ = max_bytes - static_cast<int64_t>(mapping->bytes().size());
  if (absl::Status status = file->Parse(mapping->bytes()); !status.ok()) {
    return absl::Status(status.code(), absl::StrFormat("%s: %s", path, status.message()));
  }
  return file;
}

absl::StatusOr<std::shared_ptr<ModelFile>> ModelFile::FromMemory(std::string_view bytes,
                                                                 std::shared_ptr<const void> owner,
                                                                 int64_t max_bytes) {
  if (static_cast<int64_t>(bytes.size()) > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("the model has %d bytes, over the limit of %d", bytes.size(), max_bytes));
  }
  std::shared_ptr<ModelFile> file(new ModelFile);
  file->owner_ = std::move(owner);
  FLOE_TRY(file->Parse(bytes));
  return file;
}

absl::Status ModelFile::Parse(std::string_view bytes) {
  if (bytes.empty()) return absl::InvalidArgumentError("the file is empty");
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("the model has more than 2 GiB: %s", kMakeExternal));
  }
  const auto damaged = [](const char* part) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s does not parse; this is no ONNX model, or it is damaged or was cut off", part));
  };
  std::string rest;
  std::vector<std::string_view> graphs, tensors;
  if (!SplitMessage(bytes, kGraphField, &rest, &graphs) || !model_.ParseFromString(rest)) {
    return damaged("the model");
  }
  if (graphs.empty()) return absl::InvalidArgumentError("the model has no graph");
  if (graphs.size() > 1) return absl::InvalidArgumentError("the model has more than one graph");
  rest.clear();
  if (!SplitMessage(graphs[0], kInitializerField, &rest, &tensors) ||
      !model_.mutable_graph()->ParseFromString(rest)) {
    return damaged("the graph");
  }
  initializers_.resize(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    Initializer& init = initializers_[i];
    std::vector<std::string_view> raw;
    rest.clear();
    if (!SplitMessage(tensors[i], kRawDataField, &rest, &raw) ||
        !init.proto.ParseFromString(rest)) {
      return damaged("an initializer");
    }
    init.has_raw_data = !raw.empty();
    if (init.has_raw_data) init.raw_data = raw.back();
  }
  return absl::OkStatus();
}

absl::StatusOr<ir::Tensor> ModelFile::ToTensor(Initializer& initializer) {
  absl::StatusOr<ir::Tensor> tensor = Convert(initializer.proto, initializer.raw_data,
                                              initializer.has_raw_data, owner_, mapping_.get());
  initializer.proto.Clear();  // Values in typed fields have been copied: keep one copy.
  return tensor;
}

absl::StatusOr<ir::Tensor> ModelFile::ToTensor(const TensorProto& proto) {
  constexpr size_t kSmall = 4096;  // Small constants do not keep the whole model alive.
  const std::string& raw = proto.raw_data();
  std::shared_ptr<const void> owner;
  if (raw.size() > kSmall) owner = shared_from_this();
  return Convert(proto, raw, proto.has_raw_data(), owner, nullptr);
}

absl::StatusOr<ir::Tensor> ModelFile::Convert(const TensorProto& proto, std::string_view raw,
                                              bool has_raw,
                                              const std::shared_ptr<const void>& owner,
                                              Mapping* mapping) {
  absl::StatusOr<DType> dtype = DTypeOf(proto.data_type());
  if (!dtype.ok()) {
    return absl::Status(dtype.status().code(),
                        absl::StrFormat("%s: %s", TensorName(proto), dtype.status().message()));
  }
  int64_t count = 0, bytes = 0;
  FLOE_TRY(CheckDims(proto, *dtype, &count, &bytes));
  std::vector<int64_t> dims(proto.dims().begin(), proto.dims().end());
  if (proto.data_location() == 1) return External(proto, *dtype, std::move(dims), bytes);
  if (!has_raw) return FromTypedData(proto, *dtype, std::move(dims), count);
  if (static_cast<int64_t>(raw.size()) != bytes) {
    return WrongCount(proto, bytes, static_cast<int64_t>(raw.size()), "bytes");
  }
  if (owner != nullptr && !NeedsCopy(*dtype, raw.data(), bytes)) {
    return ir::Tensor(*dtype, std::move(dims), raw.data(), owner);
  }
  ir::Tensor t = CopyOf(*dtype, std::move(dims), raw.data(), bytes);
  if (mapping != nullptr) mapping->Drop(raw.data(), bytes);
  return t;
}

absl::StatusOr<ir::Tensor> ModelFile::External(const TensorProto& proto, DType dtype,
                                               std::vector<int64_t> dims, int64_t bytes) {
  std::string location;
  int64_t offset = 0, length = bytes;
  for (const StringStringEntryProto& entry : proto.external_data()) {
    bool ok = true;
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") ok = ParseOffset(entry.value(), &offset);
    if (entry.key() == "length") ok = ParseOffset(entry.value(), &length);
    if (!ok) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: '%s' is no %s of external data", TensorName(proto), entry.value(), entry.key()));
    }
  }
  if (folder_.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s keeps its data in another file, which a model in memory cannot have",
                        TensorName(proto)));
  }
  if (length != bytes) return WrongCount(proto, bytes, length, "bytes");
  std::shared_ptr<Mapping>& mapping = external_[location];
  if (mapping == nullptr) {
    FLOE_TRY_ASSIGN(std::string path, ResolveExternal(folder_, location, TensorName(proto)));
    FLOE_TRY_ASSIGN(mapping, Mapping::Map(path, bytes_left_));
    bytes_left_ -= static_cast<int64_t>(mapping->bytes().size());
  }
  const auto size = static_cast<int64_t>(mapping->bytes().size());
  if (offset > size || bytes > size - offset) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s needs bytes %d to %d of '%s', which has only %d; the file was cut off, copy it again",
        TensorName(proto), offset, offset + bytes, location, size));
  }
  const char* data = mapping->bytes().data() + offset;
  if (!NeedsCopy(dtype, data, bytes)) return ir::Tensor(dtype, std::move(dims), data, mapping);
  ir::Tensor t = CopyOf(dtype, std::move(dims), data, bytes);
  mapping->Drop(data, bytes);
  return t;
}

}  // namespace floe::onnx
