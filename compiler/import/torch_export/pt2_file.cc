#include "compiler/import/torch_export/pt2_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_file/tensors.h"
#include "compiler/import/torch_file/torch_save.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_export {
namespace {

using torch_file::Archive;
using torch_file::Blob;
using torch_file::PickleDocument;
using torch_file::PickleValue;

constexpr char kFlatModel[] = "serialized_exported_program.json";

absl::Status At(const std::string& entry, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrFormat("%s: %s", entry, status.message()));
}

bool AnyStartsWith(const Archive& archive, std::string_view prefix) {
  return std::any_of(archive.names().begin(), archive.names().end(),
                     [prefix](const std::string& name) { return name.starts_with(prefix); });
}

constexpr char kSubclassAdvice[] =
    "it is stored as a pickle of a tensor subclass or an object, which only Python can read; turn "
    "the subclasses into plain tensors before exporting (for torchao: "
    "torchao.utils.unwrap_tensor_subclass(model))";

}  // namespace

absl::Status Pt2File::FindModel(std::string* json_name) {
  if (archive_->Has(kFlatModel)) {
    *json_name = kFlatModel;
    model_name_ = "model";
    return absl::OkStatus();
  }
  std::vector<std::string> models;
  for (const std::string& name : archive_->names()) {
    if (name.starts_with("models/") && name.ends_with(".json")) models.push_back(name);
  }
  if (models.empty()) {
    if (AnyStartsWith(*archive_, "data/aotinductor/")) {
      return absl::UnimplementedError(
          "this is an AOTInductor package: machine code for PyTorch, with no graph in it. Save the "
          "model with torch.export.save(torch.export.export(model, args), path) instead");
    }
    return absl::InvalidArgumentError(
        "this is no file of torch.export.save: it has no models/*.json and no "
        "serialized_exported_program.json");
  }
  *json_name = models[0];
  if (models.size() > 1) {
    if (!archive_->Has("models/model.json")) {
      return absl::UnimplementedError(absl::StrFormat(
          "the archive holds %d models, and none is named 'model'; save them one by one",
          models.size()));
    }
    *json_name = "models/model.json";
  }
  model_name_ = json_name->substr(7, json_name->size() - 12);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Pt2File>> Pt2File::Open(Blob file) {
  std::unique_ptr<Pt2File> pt2(new Pt2File);
  FLOE_TRY_ASSIGN(pt2->archive_, Archive::Open(std::move(file)));
  Archive& archive = *pt2->archive_;
  std::string json_name;
  FLOE_TRY(pt2->FindModel(&json_name));
  FLOE_TRY(torch_file::CheckByteOrder(archive));
  FLOE_TRY_ASSIGN(const Blob json, archive.Read(json_name));
  absl::StatusOr<Program> program = ParseProgram(json.bytes);
  if (!program.ok()) return At(json_name, program.status());
  pt2->program_ = *std::move(program);
  if (json_name == kFlatModel) {
    FLOE_TRY(pt2->OpenWeights("", {}, "serialized_state_dict.pt", &pt2->weights_));
    FLOE_TRY(pt2->OpenWeights("", {}, "serialized_constants.pt", &pt2->constants_));
    pt2->sample_inputs_ = "serialized_example_inputs.pt";
  } else {
    const std::string& m = pt2->model_name_;
    FLOE_TRY(pt2->OpenWeights("data/weights/",
                              {m + "_weights_config.json", m + "_model_param_config.json"},
                              m + ".pt", &pt2->weights_));
    FLOE_TRY(pt2->OpenWeights("data/constants/",
                              {m + "_constants_config.json", m + "_model_constants_config.json"},
                              m + ".pt", &pt2->constants_));
    pt2->sample_inputs_ = "data/sample_inputs/" + m + ".pt";
  }
  if (!archive.Has(pt2->sample_inputs_)) pt2->sample_inputs_.clear();
  return pt2;
}

absl::Status Pt2File::OpenWeights(const char* folder, const std::vector<std::string>& configs,
                                  const std::string& blob, Weights* weights) {
  for (const std::string& config : configs) {
    const std::string entry = folder + config;
    if (!archive_->Has(entry)) continue;
    FLOE_TRY_ASSIGN(const Blob json, archive_->Read(entry));
    absl::StatusOr<std::map<std::string, PayloadMeta>> parsed = ParsePayloadConfig(json.bytes);
    if (!parsed.ok()) return At(entry, parsed.status());
    weights->raw = *std::move(parsed);
    weights->folder = folder;
    return absl::OkStatus();
  }
  const std::string entry = folder + blob;
  if (!archive_->Has(entry)) return absl::OkStatus();  // Models without weights have none.
  FLOE_TRY_ASSIGN(Blob bytes, archive_->Read(entry));
  if (bytes.bytes.empty()) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<PickleDocument>> document =
      torch_file::ReadTorchSave(std::move(bytes));
  if (!document.ok()) return At(entry, document.status());
  weights->pickle = *std::move(document);
  const PickleValue& root = *weights->pickle->root();
  if (!root.is(PickleValue::Kind::kDict)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s holds %s, no dictionary of tensors", entry, root.KindName()));
  }
  for (size_t i = 0; i < root.dict_size(); ++i) {
    const PickleValue& key = *root.items()[2 * i];
    if (key.is(PickleValue::Kind::kString)) weights->pickled[key.text()] = root.items()[2 * i + 1];
  }
  return absl::OkStatus();
}

// Where a weight is: some versions kept non-persistent buffers with the weights, and constants that
// are parameters elsewhere.
const Pt2File::Weights& Pt2File::WeightsOf(const std::string& name, bool constant) const {
  const Weights& first = constant ? constants_ : weights_;
  const Weights& second = constant ? weights_ : constants_;
  const bool in_first = first.raw.contains(name) || first.pickled.contains(name);
  const bool in_second = second.raw.contains(name) || second.pickled.contains(name);
  return !in_first && in_second ? second : first;
}

absl::StatusOr<ir::Tensor> Pt2File::ReadRaw(const std::string& name, const PayloadMeta& meta,
                                            const std::string& folder) {
  if (meta.use_pickle) {
    return absl::UnimplementedError(absl::StrFormat("weight '%s': %s", name, kSubclassAdvice));
  }
  if (!meta.meta.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("weight '%s' has no tensor_meta in the file", name));
  }
  const TensorMeta& tensor = *meta.meta;
  if (!tensor.is_strided) {
    return absl::UnimplementedError(
        absl::StrFormat("weight '%s' is sparse; make it dense before exporting", name));
  }
  torch_file::TensorLayout layout;
  layout.dtype = tensor.dtype;
  layout.offset = tensor.storage_offset.value;
  bool has_symbols = !tensor.storage_offset.expr.empty();
  int64_t count = 1;
  for (const SymInt& size : tensor.sizes) {
    layout.sizes.push_back(size.value);
    has_symbols = has_symbols || !size.expr.empty();
    if (size.value == 0) count = 0;
  }
  for (const SymInt& stride : tensor.strides) {
    layout.strides.push_back(stride.value);
    has_symbols = has_symbols || !stride.expr.empty();
  }
  if (has_symbols) {
    return absl::InvalidArgumentError(
        absl::StrFormat("weight '%s' has a size that is no number", name));
  }
  const std::string entry = folder + meta.path;
  const auto [it, is_new] = files_.try_emplace(entry);
  if (is_new) {
    absl::StatusOr<Blob> blob = archive_->Read(entry);
    if (!blob.ok()) {
      files_.erase(it);
      return At(absl::StrFormat("weight '%s'", name), blob.status());
    }
    it->second = *std::move(blob);
  }
  if (it->second.bytes.empty() && count != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "weight '%s' has no data: it was a fake or a meta tensor when the model was exported. "
        "Export the model with its weights loaded",
        name));
  }
  return torch_file::MakeTensor(it->second, layout, name);
}

absl::StatusOr<ir::Tensor> Pt2File::ReadWeight(const std::string& name, bool constant) {
  const Weights& weights = WeightsOf(name, constant);
  if (const auto raw = weights.raw.find(name); raw != weights.raw.end()) {
    return ReadRaw(name, raw->second, weights.folder);
  }
  if (const auto it = weights.pickled.find(name); it != weights.pickled.end()) {
    return weights.pickle->ToTensor(*it->second, name);
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "the file has no data for '%s'; export the model with its weights, into one file", name));
}

std::string Pt2File::StorageOf(const std::string& name, bool constant) const {
  const Weights& weights = WeightsOf(name, constant);
  const std::string prefix = &weights == &constants_ ? "constants/" : "weights/";
  if (const auto raw = weights.raw.find(name); raw != weights.raw.end()) {
    return prefix + raw->second.path;
  }
  const auto it = weights.pickled.find(name);
  if (it == weights.pickled.end() || !it->second->is(PickleValue::Kind::kTensor)) return "";
  return prefix + it->second->tensor().storage->key;
}

namespace {

// Tensors of a pytree, in order. False if it holds more leaves than a model has inputs.
bool Flatten(const PickleValue& value, int depth, std::vector<const PickleValue*>* leaves) {
  constexpr size_t kMaxLeaves = 1 << 16;
  if (depth > 64 || leaves->size() > kMaxLeaves) return false;
  switch (value.kind()) {
    case PickleValue::Kind::kList:
    case PickleValue::Kind::kTuple:
      return std::all_of(value.items().begin(), value.items().end(), [&](const PickleValue* item) {
        return Flatten(*item, depth + 1, leaves);
      });
    case PickleValue::Kind::kDict:
      for (size_t i = 0; i < value.dict_size(); ++i) {
        if (!Flatten(*value.items()[2 * i + 1], depth + 1, leaves)) return false;
      }
      return true;
    default:
      leaves->push_back(&value);
      return true;
  }
}

}  // namespace

absl::StatusOr<std::vector<ir::Tensor>> Pt2File::ReadSampleInputs() {
  std::vector<ir::Tensor> tensors;
  if (sample_inputs_.empty()) return tensors;
  FLOE_TRY_ASSIGN(Blob bytes, archive_->Read(sample_inputs_));
  if (bytes.bytes.empty()) return tensors;
  absl::StatusOr<std::unique_ptr<PickleDocument>> document =
      torch_file::ReadTorchSave(std::move(bytes));
  if (!document.ok()) return At(sample_inputs_, document.status());
  std::vector<const PickleValue*> leaves;
  if (!Flatten(*(*document)->root(), 0, &leaves)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: the inputs are nested too deep or too many", sample_inputs_));
  }
  for (const PickleValue* leaf : leaves) {
    ir::Tensor tensor;
    if (leaf->is(PickleValue::Kind::kTensor)) {
      FLOE_TRY_ASSIGN(tensor, (*document)->ToTensor(*leaf, "a sample input"));
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace floe::torch_export
