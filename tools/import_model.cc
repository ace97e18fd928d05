#include "tools/import_model.h"

#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "compiler/import/onnx/import.h"
#include "compiler/import/torch_export/import.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torchscript/import.h"
#include "tools/cli/npy.h"
#include "tools/cli/shape_flags.h"

namespace floe::tools {
namespace {

constexpr int64_t kMaxBytes = int64_t{64} << 30;

// The options that all front ends have in common.
template <typename Options>
absl::Status FillOptions(const InputFlags& flags, Options* options) {
  for (const std::string& text : flags.shapes) {
    auto flag = cli::ParseShapeFlag(text);
    if (!flag.ok()) return flag.status();
    auto& axes = options->shapes[flag->input];
    for (const auto& axis : flag->axes) axes.push_back({axis.symbol, axis.size});
    if (flag->dtype == DType::kNone) continue;
    if constexpr (requires { options->dtypes; }) {
      options->dtypes[flag->input] = flag->dtype;
    } else {
      return absl::FailedPreconditionError(
          absl::StrFormat("--shape %s: the model states its inputs' element types itself", text));
    }
  }
  for (const std::string& text : flags.dims) {
    auto flag = cli::ParseDimFlag(text);
    if (!flag.ok()) return flag.status();
    options->dims[flag->symbol] = {flag->min, flag->max, flag->multiple};
  }
  if (flags.like.empty()) return absl::OkStatus();
  auto arrays = cli::ReadArrays(flags.like, uint64_t{8} << 30);
  if (!arrays.ok()) return arrays.status();
  for (const auto& [name, array] : *arrays) {
    if (name.empty()) {
      return absl::FailedPreconditionError(
          "--like needs an .npz whose arrays are named after the model's inputs");
    }
    auto& axes = options->shapes[name];
    axes.clear();
    for (const int64_t d : array.dims) axes.push_back({"", d});
    if constexpr (requires { options->dtypes; }) options->dtypes[name] = array.dtype;
  }
  return absl::OkStatus();
}

absl::Status NoModel(const std::string& path, const std::string& found) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "%s is no traced model; it is %s. floec reads files of torch.export.save (.pt2), of "
      "TorchScript's save() (.pt) and of ONNX (.onnx). From PyTorch, write one with "
      "torch.export.save(torch.export.export(model.eval(), args), \"model.pt2\")",
      path, found));
}

// Whether the bytes may be a protocol buffer of ONNX: they begin with a field of its ModelProto.
bool MayBeOnnx(std::string_view bytes) {
  const auto first = static_cast<uint8_t>(bytes[0]);
  const uint8_t field = first >> 3, wire = first & 7;
  const bool is_number = field == 1 || field == 5;  // ir_version, model_version
  if (is_number) return wire == 0;
  if ((first & 0x80) != 0) {
    // metadata_props, functions, training_info and later ones: field numbers from 16 on.
    return bytes.size() > 1 && wire == 2 && static_cast<uint8_t>(bytes[1]) <= 3;
  }
  return wire == 2 && ((field >= 2 && field <= 8) || field == 14);
}

// What a file that is no zip seems to be; null if it may be ONNX.
const char* ContentOf(std::string_view bytes) {
  const auto begins = [&](std::string_view magic) { return bytes.starts_with(magic); };
  if (bytes.empty()) return "empty";
  if (begins("FLOE"))
    return "a program that floec has made already: run it with floe or floe-bench";
  if (begins("PK")) return "a zip archive that is damaged or was cut off";
  if (begins("\x80\x02") || begins("\x80\x03") || begins("\x80\x04") || begins("\x80\x05")) {
    return "a Python pickle, as torch.save wrote before 1.6: weights or a pickled module";
  }
  if (begins("\x89HDF")) return "an HDF5 file (Keras weights?)";
  if (begins("GGUF")) return "a GGUF file: weights without a graph";
  if (begins("\x1f\x8b")) return "compressed by gzip: unpack it first";
  if (begins("\x7f"
             "ELF"))
    return "a program or a library";
  if (bytes.size() > 8 && bytes.substr(4, 4) == "TFL3") return "a TensorFlow Lite model";
  if (bytes.size() > 9 && bytes[8] == '{' && bytes.substr(6, 2) == std::string_view("\0\0", 2)) {
    return "a safetensors file: weights without a graph";
  }
  if (begins("version https://git-lfs"))
    return "a pointer of Git LFS: fetch the file (git lfs pull)";
  if (!MayBeOnnx(bytes)) return "of a format that Floe does not know";
  return nullptr;
}

}  // namespace

absl::StatusOr<ModelFormat> DetectFormat(const std::string& path) {
  auto file = torch_file::MapFile(path, kMaxBytes);
  if (!file.ok()) return file.status();
  if (!torch_file::LooksLikeZip(file->bytes)) {
    if (const char* found = ContentOf(file->bytes); found != nullptr) {
      return NoModel(path, found);
    }
    return ModelFormat::kOnnx;
  }
  auto archive = torch_file::Archive::Open(*file);
  if (!archive.ok()) {
    return NoModel(path, absl::StrFormat("a zip archive that does not open (%s)",
                                         archive.status().message()));
  }
  if (torch_export::LooksLikeTorchExport(**archive)) return ModelFormat::kTorchExport;
  if ((*archive)->Has("constants.pkl")) return ModelFormat::kTorchScript;
  if ((*archive)->Has("data.pkl")) {
    return NoModel(path, "weights or a pickled module of torch.save, without a graph");
  }
  return NoModel(path, "a zip archive of something else");
}

absl::StatusOr<std::unique_ptr<ir::Graph>> ImportModel(const std::string& path,
                                                       const InputFlags& flags,
                                                       std::vector<std::string>* notes) {
  const auto format = DetectFormat(path);
  if (!format.ok()) return format.status();
  switch (*format) {
    case ModelFormat::kTorchExport: {
      torch_export::ImportOptions options;
      if (absl::Status s = FillOptions(flags, &options); !s.ok()) return s;
      options.notes = notes;
      return torch_export::ImportTorchExport(path, options);
    }
    case ModelFormat::kTorchScript: {
      torchscript::ImportOptions options;
      if (absl::Status s = FillOptions(flags, &options); !s.ok()) return s;
      return torchscript::ImportTorchScript(path, options);
    }
    case ModelFormat::kOnnx:
      break;
  }
  onnx::ImportOptions options;
  if (absl::Status s = FillOptions(flags, &options); !s.ok()) return s;
  auto graph = onnx::ImportOnnx(path, options);
  if (absl::StrContains(graph.status().message(), "this is no ONNX model")) {
    return NoModel(path, absl::StrFormat("perhaps a damaged ONNX model (%s)",
                                         graph.status().message()));
  }
  return graph;
}

absl::StatusOr<std::vector<ir::Tensor>> ReadSampleInputs(const std::string& path) {
  const auto format = DetectFormat(path);
  if (!format.ok()) return format.status();
  if (*format != ModelFormat::kTorchExport) return std::vector<ir::Tensor>();
  auto file = torch_file::MapFile(path, kMaxBytes);
  if (!file.ok()) return file.status();
  return torch_export::SampleInputs(*std::move(file));
}

absl::StatusOr<ModelCheck> CheckModel(const std::string& path, const InputFlags& flags) {
  const auto format = DetectFormat(path);
  if (!format.ok()) return format.status();
  switch (*format) {
    case ModelFormat::kTorchExport: {
      torch_export::ImportOptions options;
      if (absl::Status s = FillOptions(flags, &options); !s.ok()) return s;
      auto report = torch_export::CheckTorchExport(path, options);
      if (!report.ok()) return report.status();
      return ModelCheck{report->ops, torch_export::ToText(report->unsupported), report->notes};
    }
    case ModelFormat::kTorchScript: {
      torchscript::ImportOptions options;
      if (absl::Status s = FillOptions(flags, &options); !s.ok()) return s;
      auto report = torchscript::CheckTorchScript(path, options);
      if (!report.ok()) return report.status();
      return ModelCheck{report->ops, torchscript::ToText(report->unsupported), {}};
    }
    case ModelFormat::kOnnx:
      break;
  }
  onnx::ImportOptions options;
  if (absl::Status s = FillOptions(flags, &options); !s.ok()) return s;
  auto report = onnx::CheckOnnx(path, options);
  if (!report.ok()) return report.status();
  return ModelCheck{report->ops, onnx::ToText(report->unsupported), {}};
}

}  // namespace floe::tools
