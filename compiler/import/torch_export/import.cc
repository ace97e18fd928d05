#include "compiler/import/torch_export/import.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/importer.h"
#include "compiler/import/torch_export/pt2_file.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_export {
namespace {

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrFormat("%s: %s", path, status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchExportFromMemory(
    torch_file::Blob file, const ImportOptions& options) {
  FLOE_TRY_ASSIGN(const std::unique_ptr<Pt2File> pt2, Pt2File::Open(std::move(file)));
  Importer importer(*pt2, options);
  FLOE_TRY(importer.Run());
  if (options.notes != nullptr) *options.notes = importer.notes();
  if (!importer.unsupported().empty()) {
    return absl::UnimplementedError(absl::StrFormat("the model uses what Floe cannot map:\n%s",
                                                    ToText(importer.unsupported())));
  }
  return importer.TakeGraph();
}

absl::StatusOr<std::unique_ptr<ir::Graph>> ImportTorchExport(const std::string& path,
                                                             const ImportOptions& options) {
  FLOE_TRY_ASSIGN(torch_file::Blob file, torch_file::MapFile(path, options.max_bytes));
  absl::StatusOr<std::unique_ptr<ir::Graph>> graph =
      ImportTorchExportFromMemory(std::move(file), options);
  if (!graph.ok()) return At(path, graph.status());
  return graph;
}

absl::StatusOr<CheckReport> CheckTorchExportFromMemory(torch_file::Blob file,
                                                       const ImportOptions& options) {
  FLOE_TRY_ASSIGN(const std::unique_ptr<Pt2File> pt2, Pt2File::Open(std::move(file)));
  Importer importer(*pt2, options);
  FLOE_TRY(importer.Run());
  return CheckReport{importer.op_counts(), importer.unsupported(), importer.notes()};
}

absl::StatusOr<CheckReport> CheckTorchExport(const std::string& path,
                                             const ImportOptions& options) {
  FLOE_TRY_ASSIGN(torch_file::Blob file, torch_file::MapFile(path, options.max_bytes));
  absl::StatusOr<CheckReport> report = CheckTorchExportFromMemory(std::move(file), options);
  if (!report.ok()) return At(path, report.status());
  return report;
}

std::string ToText(const std::vector<Unsupported>& unsupported) {
  constexpr size_t kShown = 5;
  std::string text;
  for (const Unsupported& u : unsupported) {
    text += absl::StrFormat("%s: %s; %d place%s: ", u.op, u.reason, u.places.size(),
                            u.places.size() == 1 ? "" : "s");
    for (size_t i = 0; i < std::min(u.places.size(), kShown); ++i) {
      text += (i > 0 ? ", " : "") + u.places[i];
    }
    if (u.places.size() > kShown) text += ", ...";
    text += '\n';
  }
  return text;
}

absl::StatusOr<std::vector<ir::Tensor>> SampleInputs(torch_file::Blob file) {
  FLOE_TRY_ASSIGN(const std::unique_ptr<Pt2File> pt2, Pt2File::Open(std::move(file)));
  FLOE_TRY_ASSIGN(std::vector<ir::Tensor> leaves, pt2->ReadSampleInputs());
  std::erase_if(leaves, [](const ir::Tensor& t) { return t.dtype() == DType::kNone; });
  return leaves;
}

bool LooksLikeTorchExport(const torch_file::Archive& archive) {
  if (archive.Has("serialized_exported_program.json")) return true;
  return std::any_of(archive.names().begin(), archive.names().end(), [](const std::string& name) {
    return (name.starts_with("models/") && name.ends_with(".json")) ||
           name.starts_with("data/aotinductor/");
  });
}

bool LooksLikeTorchExport(std::string_view bytes) {
  if (!torch_file::LooksLikeZip(bytes)) return false;
  const auto archive = torch_file::Archive::Open({bytes, nullptr});
  return archive.ok() && LooksLikeTorchExport(**archive);
}

}  // namespace floe::torch_export
