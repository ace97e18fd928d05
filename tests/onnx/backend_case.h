// Cases of the ONNX backend suite, run on the IR evaluator. Shared by the runner, which reads the
// suite's folders, and by the test of the committed subset, which reads one packed file.
#ifndef FLOE_TESTS_ONNX_BACKEND_CASE_H_
#define FLOE_TESTS_ONNX_BACKEND_CASE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::onnx {

struct Tolerance {
  double rtol = 1e-3;  // The suite's own.
  double atol = 1e-7;
};

// Files as they are: an encoded model, and encoded TensorProtos.
struct DataSet {
  std::vector<std::string> inputs, outputs;
};
struct Case {
  std::string name;
  std::string model;
  std::vector<DataSet> sets;
};

// FOLDER/model.onnx and FOLDER/test_data_set_*/{input,output}_*.pb.
absl::StatusOr<Case> ReadFolder(const std::string& folder);
// The cases in a file that pack_backend_subset.py wrote.
absl::StatusOr<std::vector<Case>> ReadPack(const std::string& path);

enum class Verdict { kPass, kRefused, kWrong };
struct CaseResult {
  Verdict verdict = Verdict::kPass;
  std::string detail;
  bool frozen = false;  // Its shape-like inputs had to be frozen to their values.
};

// Imports the model (dynamic dimensions take the sizes of the stored inputs), evaluates it on every
// data set and compares. Refused: the importer or the evaluator says kUnimplemented, also when
// small inputs (shapes, axes, scales), which the suite likes to feed, are frozen.
CaseResult RunCase(const Case& c, const Tolerance& tolerance);

absl::StatusOr<ir::Tensor> ParseTensor(std::string_view bytes);

// Empty if `got` equals `want` in type and shape, and in value within the tolerance (NaN equals
// NaN); else what differs.
std::string Difference(const ir::Tensor& got, const ir::Tensor& want, const Tolerance& tolerance);

}  // namespace floe::onnx

#endif  // FLOE_TESTS_ONNX_BACKEND_CASE_H_
