// Imports small models and looks at the graphs.
#ifndef FLOE_TESTS_ONNX_IMPORT_TESTING_H_
#define FLOE_TESTS_ONNX_IMPORT_TESTING_H_

#include <memory>
#include <string>
#include <vector>

#include "compiler/import/onnx/import.h"
#include "compiler/ir/graph.h"
#include "compiler/ir/verify.h"
#include "tests/onnx/model_builder.h"

namespace floe::onnx {

inline absl::StatusOr<std::unique_ptr<ir::Graph>> Import(const ModelBuilder& m,
                                                         const ImportOptions& options = {}) {
  return ImportOnnxFromMemory(m.Bytes(), nullptr, options);
}

inline std::string Message(const absl::Status& status) { return std::string(status.message()); }

inline std::string TypeOfOutput(const ir::Graph& graph, size_t i = 0) {
  return ir::TypeToString(graph, *graph.outputs()[i]);
}

inline ir::Tensor Floats(std::vector<int64_t> dims, const std::vector<double>& v) {
  ir::Tensor t(DType::kF32, std::move(dims));
  for (size_t i = 0; i < v.size(); ++i) t.SetDouble(static_cast<int64_t>(i), v[i]);
  return t;
}

inline std::vector<double> Values(const ir::Tensor& t) {
  std::vector<double> v;
  for (int64_t i = 0; i < t.count(); ++i) v.push_back(t.DoubleAt(i));
  return v;
}

}  // namespace floe::onnx

#endif  // FLOE_TESTS_ONNX_IMPORT_TESTING_H_
