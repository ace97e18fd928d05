// Bytes of a storage and how a tensor lies in them -> ir::Tensor.
#ifndef FLOE_COMPILER_IMPORT_TORCH_FILE_TENSORS_H_
#define FLOE_COMPILER_IMPORT_TORCH_FILE_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torch_file/dtypes.h"
#include "compiler/ir/graph.h"

namespace floe::torch_file {

// Sizes, strides and offset in elements of `dtype`.
struct TensorLayout {
  ScalarType dtype = ScalarType::kUndefined;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;  // As many as sizes.
  int64_t offset = 0;
};

// Row-major strides.
std::vector<int64_t> ContiguousStrides(const std::vector<int64_t>& sizes);

// The tensor as row-major elements. Those that lie so already and are aligned stay where they are,
// kept alive by the result; others are copied, element by element in the order of the sizes (so
// transposed, channels-last and expanded tensors become plain ones). Quantised types give their
// integers. Errors name the tensor: kInvalidArgument (negative sizes or strides, a layout that
// leaves the storage, an overflow), kUnimplemented (element type or rank that Floe has not),
// kResourceExhausted (an expanded tensor over 64 MiB + 16 times its storage).
absl::StatusOr<ir::Tensor> MakeTensor(const Blob& storage, const TensorLayout& layout,
                                      const std::string& name);

}  // namespace floe::torch_file

#endif  // FLOE_COMPILER_IMPORT_TORCH_FILE_TENSORS_H_
