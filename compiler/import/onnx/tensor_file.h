// A lone TensorProto, as ONNX's test data stores inputs and outputs (.pb files).
#ifndef FLOE_COMPILER_IMPORT_ONNX_TENSOR_FILE_H_
#define FLOE_COMPILER_IMPORT_ONNX_TENSOR_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::onnx {

struct NamedTensor {
  std::string name;  // May be empty.
  ir::Tensor tensor;
};

// Parses the bytes of a TensorProto; the result owns its data. External data is refused.
absl::StatusOr<NamedTensor> ParseTensorProto(std::string_view bytes);

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_TENSOR_FILE_H_
