// The model file: parsed messages without the weights, and the weights where they lie.
//
// A message that holds weights is split before protobuf parses it: the payloads of the graph's
// initializers stay spans of the mapped file, and only the rest, which is small, is copied into
// messages. So a model costs its own size once, and no more than the specification's 2 GiB.
#ifndef FLOE_COMPILER_IMPORT_ONNX_MODEL_FILE_H_
#define FLOE_COMPILER_IMPORT_ONNX_MODEL_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/mapped_file.h"
#include "compiler/import/onnx/onnx.pb.h"
#include "compiler/ir/graph.h"

namespace floe::onnx {

// Copies the top-level fields of an encoded message to `rest`, except those numbered `field` and
// length-delimited, whose payloads are appended to `payloads`. False if the bytes are no message,
// or one of over a million fields: a parsed message costs far more than its few encoded bytes.
bool SplitMessage(std::string_view bytes, int field, std::string* rest,
                  std::vector<std::string_view>* payloads);

// The DType of a TensorProto.DataType, or kUnimplemented that names the type.
absl::StatusOr<DType> DTypeOf(int32_t data_type);

class ModelFile : public std::enable_shared_from_this<ModelFile> {
 public:
  // Maps and parses a file of at most `max_bytes` bytes.
  static absl::StatusOr<std::shared_ptr<ModelFile>> Open(const std::string& path,
                                                         int64_t max_bytes);
  // Parses bytes that `owner` keeps alive; a null owner: they may go away when this object does.
  static absl::StatusOr<std::shared_ptr<ModelFile>> FromMemory(std::string_view bytes,
                                                               std::shared_ptr<const void> owner,
                                                               int64_t max_bytes);

  // The model without the main graph's initializers.
  const ModelProto& model() const { return model_; }

  struct Initializer {
    TensorProto proto;          // Without raw_data.
    std::string_view raw_data;  // In the mapped file.
    bool has_raw_data = false;
  };
  std::vector<Initializer>& initializers() { return initializers_; }

  // The tensor of an initializer, once: in place where it is aligned for its type, else one copy.
  absl::StatusOr<ir::Tensor> ToTensor(Initializer& initializer);
  // The tensor of an attribute or a subgraph, which must be part of model(). Large ones stay in
  // place and keep this object alive.
  absl::StatusOr<ir::Tensor> ToTensor(const TensorProto& proto);

 private:
  using Mapping = import::MappedFile;
  ModelFile() = default;
  absl::Status Parse(std::string_view bytes);
  absl::StatusOr<ir::Tensor> Convert(const TensorProto& proto, std::string_view raw, bool has_raw,
                                     const std::shared_ptr<const void>& owner, Mapping* mapping);
  absl::StatusOr<ir::Tensor> External(const TensorProto& proto, DType dtype,
                                      std::vector<int64_t> dims, int64_t bytes);

  ModelProto model_;
  std::vector<Initializer> initializers_;
  std::shared_ptr<const void> owner_;  // Of the bytes behind `initializers_`; may be null.
  std::shared_ptr<Mapping> mapping_;   // The same, if it is a mapped file.
  std::string folder_;                 // Real path; empty: external data is refused.
  int64_t bytes_left_ = 0;             // Of max_bytes.
  std::map<std::string, std::shared_ptr<Mapping>> external_;  // By location.
};

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_MODEL_FILE_H_
