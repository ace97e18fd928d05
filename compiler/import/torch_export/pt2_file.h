// The archive of torch.export.save, of any generation, and the weights in it.
//
//   up to 2.7   entries without a folder: serialized_exported_program.json, and three files of
//               torch.save beside it: state dict, constants, example inputs
//   2.8         models/NAME.json; weights and constants are one file of torch.save each
//   2.9 on      models/NAME.json; weights and constants are raw storages, a JSON lists them
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_PT2_FILE_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_PT2_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torch_export/schema.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torch_file/pickle.h"
#include "compiler/ir/graph.h"

namespace floe::torch_export {

class Pt2File {
 public:
  // Opens and parses everything but the weights. Errors: kInvalidArgument (no such archive, or
  // damaged), kUnimplemented (an AOTInductor package, an unknown version).
  static absl::StatusOr<std::unique_ptr<Pt2File>> Open(torch_file::Blob file);

  const Program& program() const { return program_; }
  const std::string& model_name() const { return model_name_; }

  // The tensor of a parameter, persistent buffer (`constant` false), other buffer or tensor
  // constant (true): in place where it lies in row-major order. The same storage, sizes, strides
  // and offset give the same bytes (tied weights).
  absl::StatusOr<ir::Tensor> ReadWeight(const std::string& name, bool constant);
  // Names the storage that holds a weight: equal for weights that share memory. Empty if unknown.
  std::string StorageOf(const std::string& name, bool constant) const;

  bool has_sample_inputs() const { return !sample_inputs_.empty(); }
  // The tensors of the example inputs, positional ones first, then keyword ones in the file's
  // order, nested containers flattened as a pytree; empty if the file has none. Leaves that are no
  // tensors are tensors of kNone.
  absl::StatusOr<std::vector<ir::Tensor>> ReadSampleInputs();

 private:
  // Weights by name: in raw files, or in a pickle.
  struct Weights {
    std::map<std::string, PayloadMeta> raw;
    std::string folder;  // Of raw files.
    std::unique_ptr<torch_file::PickleDocument> pickle;
    std::map<std::string, const torch_file::PickleValue*> pickled;
  };

  Pt2File() = default;
  absl::Status FindModel(std::string* json_name);
  absl::Status OpenWeights(const char* folder, const std::vector<std::string>& configs,
                           const std::string& blob, Weights* weights);
  absl::StatusOr<ir::Tensor> ReadRaw(const std::string& name, const PayloadMeta& meta,
                                     const std::string& folder);
  const Weights& WeightsOf(const std::string& name, bool constant) const;

  std::shared_ptr<torch_file::Archive> archive_;
  std::string model_name_;
  std::string sample_inputs_;  // Entry; empty: none.
  Program program_;
  Weights weights_;
  Weights constants_;
  std::map<std::string, torch_file::Blob> files_;  // Raw storages that were read.
};

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_PT2_FILE_H_
