#include "tools/import_model.h"

#include <cstdio>
#include <utility>

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

}  // namespace

absl::StatusOr<ModelFormat> DetectFormat(const std::string& path) {
  auto file = torch_file::MapFile(path, kMaxBytes);
  if (!file.ok()) return file.status();
  if (!torch_file::LooksLikeZip(file->bytes)) return ModelFormat::kOnnx;
  auto archive = torch_file::Archive::Open(*file);
  if (!archive.ok()) {
    return absl::Status(archive.status().code(),
                        absl::StrFormat("%s: %s", path, archive.status().message()));
  }
  if (torch_export::LooksLikeTorchExport(**archive)) return ModelFormat::kTorchExport;
  if ((*archive)->Has("constants.pkl")) return ModelFormat::kTorchScript;
  if ((*archive)->Has("data.pkl")) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s holds weights or a pickled module (torch.save), but no graph; save the model with "
        "torch.export.save(torch.export.export(model, args), path)",
        path));
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s is a zip archive, but no model: it is neither torch.export's nor "
                      "TorchScript's",
                      path));
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
  return onnx::ImportOnnx(path, options);
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
