#include "compiler/import/onnx/import.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/importer.h"
#include "compiler/import/onnx/model_file.h"
#include "compiler/ir/status_macros.h"

namespace floe::onnx {
namespace {

absl::StatusOr<std::unique_ptr<ir::Graph>> Import(std::shared_ptr<ModelFile> file,
                                                  const ImportOptions& options) {
  Importer importer(std::move(file), options);
  FLOE_TRY(importer.Run());
  if (!importer.unsupported().empty()) {
    return absl::UnimplementedError(absl::StrFormat("the model uses what Floe cannot map:\n%s",
                                                    ToText(importer.unsupported())));
  }
  return importer.TakeGraph();
}

absl::Status At(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrFormat("%s: %s", path, status.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ir::Graph>> ImportOnnx(const std::string& path,
                                                      const ImportOptions& options) {
  FLOE_TRY_ASSIGN(std::shared_ptr<ModelFile> file, ModelFile::Open(path, options.max_bytes));
  absl::StatusOr<std::unique_ptr<ir::Graph>> graph = Import(std::move(file), options);
  if (!graph.ok()) return At(path, graph.status());
  return graph;
}

absl::StatusOr<std::unique_ptr<ir::Graph>> ImportOnnxFromMemory(std::string_view bytes,
                                                                std::shared_ptr<const void> owner,
                                                                const ImportOptions& options) {
  FLOE_TRY_ASSIGN(std::shared_ptr<ModelFile> file,
                  ModelFile::FromMemory(bytes, std::move(owner), options.max_bytes));
  return Import(std::move(file), options);
}

absl::StatusOr<CheckReport> CheckOnnx(const std::string& path, const ImportOptions& options) {
  FLOE_TRY_ASSIGN(std::shared_ptr<ModelFile> file, ModelFile::Open(path, options.max_bytes));
  Importer importer(std::move(file), options);
  if (absl::Status status = importer.Run(); !status.ok()) return At(path, status);
  return CheckReport{importer.op_counts(), importer.unsupported()};
}

std::string ToText(const std::vector<Unsupported>& unsupported) {
  constexpr size_t kShown = 5;
  std::string text;
  for (const Unsupported& u : unsupported) {
    text += u.domain.empty() ? u.op_type : u.domain + "::" + u.op_type;
    if (u.opset > 0) text += absl::StrFormat(" (opset %d)", u.opset);
    text += absl::StrFormat(": %s; %d node%s: ", u.reason, u.nodes.size(),
                            u.nodes.size() == 1 ? "" : "s");
    for (size_t i = 0; i < std::min(u.nodes.size(), kShown); ++i) {
      text += (i > 0 ? ", '" : "'") + u.nodes[i] + "'";
    }
    if (u.nodes.size() > kShown) text += ", ...";
    text += '\n';
  }
  return text;
}

bool LooksLikeOnnx(std::string_view first_bytes) {
  // ModelProto.ir_version comes first in every file that writers make: field 1, a small varint,
  // followed by another field of ModelProto.
  if (first_bytes.size() < 4 || first_bytes[0] != 0x08) return false;
  const auto version = static_cast<uint8_t>(first_bytes[1]);
  const int field = static_cast<uint8_t>(first_bytes[2]) >> 3;
  const int wire = static_cast<uint8_t>(first_bytes[2]) & 7;
  return version >= 1 && version < 0x80 && field >= 2 && field <= 15 && (wire == 2 || wire == 0);
}

}  // namespace floe::onnx
