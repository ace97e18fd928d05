// NumPy's .npy and .npz (NEP 1 and its versions 2 and 3), for inputs, outputs and goldens.
#ifndef FLOE_TOOLS_CLI_NPY_H_
#define FLOE_TOOLS_CLI_NPY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "format/dtype.h"

namespace floe::cli {

// A dense row-major tensor with its bytes.
struct Array {
  DType dtype = DType::kNone;
  std::vector<int64_t> dims;
  std::string bytes;

  int64_t count() const;
};
// In the archive's order. Names have no ".npy".
using NamedArrays = std::vector<std::pair<std::string, Array>>;

// Little-endian arrays of the dtypes that Floe has (f16 included, bf16 not: NumPy has none),
// C order or Fortran order of rank <= 1. Anything else is refused by name.
absl::StatusOr<Array> ParseNpy(std::string_view bytes);
std::string FormatNpy(const Array& array);

// Members are inflated one by one, at most `max_bytes` in all, counted while inflating: what the
// archive declares is not believed.
absl::StatusOr<NamedArrays> ReadNpz(const std::string& path, uint64_t max_bytes);
// Stored, not compressed; equal arrays give equal bytes.
absl::Status WriteNpz(const std::string& path, const NamedArrays& arrays);

// .npy or .npz, by content. A single array has the name "".
absl::StatusOr<NamedArrays> ReadArrays(const std::string& path, uint64_t max_bytes);
// By the path's ending: .npz, or .npy for exactly one array.
absl::Status WriteArrays(const std::string& path, const NamedArrays& arrays);

}  // namespace floe::cli

#endif  // FLOE_TOOLS_CLI_NPY_H_
