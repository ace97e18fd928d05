#include "compiler/import/onnx/tensor_file.h"

#include <memory>

#include "compiler/import/onnx/model_file.h"

namespace floe::onnx {

absl::StatusOr<NamedTensor> ParseTensorProto(std::string_view bytes) {
  // The tensor becomes the only initializer of an otherwise empty model, so that one reader knows
  // every spelling of tensor data.
  ModelProto model;
  TensorProto* proto = model.mutable_graph()->add_initializer();
  if (!proto->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      proto->data_type() == 0) {
    return absl::InvalidArgumentError("not a TensorProto");
  }
  NamedTensor named;
  named.name = proto->name();
  auto owner = std::make_shared<std::string>(model.SerializeAsString());
  auto file = ModelFile::FromMemory(*owner, owner, static_cast<int64_t>(owner->size()) + 1);
  if (!file.ok()) return file.status();
  auto tensor = (*file)->ToTensor((*file)->initializers()[0]);
  if (!tensor.ok()) return tensor.status();
  named.tensor = *std::move(tensor);
  return named;
}

}  // namespace floe::onnx
