#include "compiler/import/torch_file/tensors.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"
#include "format/checked.h"
#include "format/tensor_info.h"

namespace floe::torch_file {
namespace {

absl::Status Bad(const std::string& name, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrFormat("tensor '%s': %s", name, what));
}

// Checks the layout against a storage of `have` elements; gives the number of elements.
absl::Status CheckLayout(const TensorLayout& layout, int64_t have, const std::string& name,
                         int64_t* count) {
  if (layout.sizes.size() != layout.strides.size()) {
    return Bad(name, absl::StrFormat("it has %d sizes, but %d strides", layout.sizes.size(),
                                     layout.strides.size()));
  }
  if (layout.sizes.size() > static_cast<size_t>(kMaxRank)) {
    return absl::UnimplementedError(absl::StrFormat("tensor '%s' has rank %d; ranks go up to %d",
                                                    name, layout.sizes.size(), kMaxRank));
  }
  *count = 1;
  bool is_empty = false;
  for (const int64_t size : layout.sizes) {
    if (size < 0) return Bad(name, absl::StrFormat("it has the negative size %d", size));
    is_empty = is_empty || size == 0;
    if (!is_empty && !CheckedMul(*count, size, count)) return Bad(name, "its size overflows");
  }
  if (is_empty) *count = 0;
  if (layout.offset < 0) return Bad(name, "its offset is negative");
  int64_t last = layout.offset;
  for (size_t i = 0; i < layout.sizes.size() && *count > 0; ++i) {
    int64_t step;
    if (layout.strides[i] < 0) {
      return Bad(name, absl::StrFormat("it has the negative stride %d", layout.strides[i]));
    }
    if (!CheckedMul(layout.sizes[i] - 1, layout.strides[i], &step) ||
        !CheckedAdd(last, step, &last)) {
      return Bad(name, "its extent overflows");
    }
  }
  if (*count > 0 && last >= have) {
    return Bad(name, absl::StrFormat("it needs %d elements of its storage, which holds %d; the "
                                     "file is damaged or has no data for it",
                                     last + 1, have));
  }
  return absl::OkStatus();
}

bool IsContiguous(const TensorLayout& layout) {
  int64_t expected = 1;
  for (size_t i = layout.sizes.size(); i-- > 0;) {
    if (layout.sizes[i] != 1 && layout.strides[i] != expected) return false;
    expected *= layout.sizes[i];
  }
  return true;
}

// Row by row along the last axis.
template <typename T>
void Gather(const TensorLayout& layout, const T* from, T* to, int64_t count) {
  const size_t rank = layout.sizes.size();
  const int64_t length = rank == 0 ? 1 : layout.sizes[rank - 1];
  const int64_t stride = rank == 0 ? 1 : layout.strides[rank - 1];
  std::vector<int64_t> index(rank, 0), strides(layout.strides);
  for (size_t axis = 0; axis < rank; ++axis) {
    if (layout.sizes[axis] == 1) strides[axis] = 0;  // Whatever the file says: it could overflow.
  }
  int64_t base = layout.offset;
  for (int64_t done = 0; done < count; done += length) {
    for (int64_t i = 0; i < length; ++i) to[done + i] = from[base + i * stride];
    for (size_t axis = rank < 2 ? 0 : rank - 1; axis-- > 0;) {
      base += strides[axis];
      if (++index[axis] < layout.sizes[axis]) break;
      base -= strides[axis] * layout.sizes[axis];
      index[axis] = 0;
    }
  }
}

// Bytes at any alignment.
void GatherBytes(const TensorLayout& layout, int64_t size, const char* from, char* to,
                 int64_t count) {
  struct Two {
    char bytes[2];
  };
  struct Four {
    char bytes[4];
  };
  struct Eight {
    char bytes[8];
  };
  switch (size) {
    case 1:
      return Gather(layout, from, to, count);
    case 2:
      return Gather(layout, reinterpret_cast<const Two*>(from), reinterpret_cast<Two*>(to), count);
    case 4:
      return Gather(layout, reinterpret_cast<const Four*>(from), reinterpret_cast<Four*>(to),
                    count);
    default:
      return Gather(layout, reinterpret_cast<const Eight*>(from), reinterpret_cast<Eight*>(to),
                    count);
  }
}

// A bool is a byte that is 0 or 1; files may hold others.
bool HasOddBools(const char* data, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    if (static_cast<uint8_t>(data[i]) > 1) return true;
  }
  return false;
}

}  // namespace

std::vector<int64_t> ContiguousStrides(const std::vector<int64_t>& sizes) {
  std::vector<int64_t> strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i-- > 1;) {
    int64_t stride = strides[i];
    // An overflow is refused where the sizes are checked.
    if (sizes[i] > 0 && !CheckedMul(stride, sizes[i], &stride)) stride = 0;
    strides[i - 1] = stride;
  }
  return strides;
}

absl::StatusOr<ir::Tensor> MakeTensor(const Blob& storage, const TensorLayout& layout,
                                      const std::string& name) {
  if (const ScalarType part = PartOfComplex(layout.dtype); part != ScalarType::kUndefined) {
    TensorLayout pairs = layout;
    pairs.dtype = part;
    bool fits = CheckedMul(layout.offset, 2, &pairs.offset);
    for (int64_t& stride : pairs.strides) fits = CheckedMul(stride, 2, &stride) && fits;
    if (!fits) return Bad(name, "its extent overflows");
    pairs.sizes.push_back(2);
    pairs.strides.push_back(1);
    return MakeTensor(storage, pairs, name);
  }
  const absl::StatusOr<DType> dtype = ToDType(layout.dtype);
  if (!dtype.ok()) {
    return absl::Status(dtype.status().code(),
                        absl::StrFormat("tensor '%s': %s", name, dtype.status().message()));
  }
  const int64_t size = DTypeSize(*dtype);
  const auto have = static_cast<int64_t>(storage.bytes.size());
  int64_t count = 0, bytes = 0;
  FLOE_TRY(CheckLayout(layout, have / size, name, &count));
  if (!CheckedMul(count, size, &bytes)) return Bad(name, "its size overflows");
  if (count == 0) return ir::Tensor(*dtype, layout.sizes);
  const char* const data = storage.bytes.data() + layout.offset * size;
  const bool contiguous = IsContiguous(layout);
  const bool aligned = reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(size) == 0;
  if (contiguous && aligned && storage.owner != nullptr &&
      (*dtype != DType::kBool || !HasOddBools(data, count))) {
    return ir::Tensor(*dtype, layout.sizes, data, storage.owner);
  }
  if (bytes > (int64_t{64} << 20) && bytes / 16 > have) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("tensor '%s' expands %d bytes of storage to %d", name, have, bytes));
  }
  ir::Tensor t(*dtype, layout.sizes);
  char* const to = static_cast<char*>(t.mutable_data());
  if (bytes == 0) return t;
  if (contiguous) {
    std::memcpy(to, data, static_cast<size_t>(bytes));
  } else {
    GatherBytes(layout, size, storage.bytes.data(), to, count);
  }
  if (*dtype == DType::kBool) {
    for (int64_t i = 0; i < count; ++i) to[i] = to[i] != 0;
  }
  return t;
}

}  // namespace floe::torch_file
