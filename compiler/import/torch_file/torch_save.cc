#include "compiler/import/torch_file/torch_save.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_file {
namespace {

// The pickled number 0x1950a86a20f9469cfc6c, with which files of PyTorch before 1.6 start.
constexpr std::string_view kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
                                        14);

}  // namespace

absl::Status CheckByteOrder(Archive& archive) {
  if (!archive.Has("byteorder")) return absl::OkStatus();
  FLOE_TRY_ASSIGN(const Blob order, archive.Read("byteorder"));
  if (order.bytes == "little") return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the file was written on a big-endian machine; load and save it on a little-endian one");
}

absl::StatusOr<std::unique_ptr<PickleDocument>> ReadPickle(std::shared_ptr<Archive> archive,
                                                           const std::string& name,
                                                           const std::string& folder,
                                                           const PickleOptions& options) {
  FLOE_TRY_ASSIGN(const Blob pickle, archive->Read(name));
  const auto read = [archive, folder](const std::string& key) {
    return archive->Read(folder + key);
  };
  absl::StatusOr<std::unique_ptr<PickleDocument>> document =
      PickleDocument::Parse(pickle.bytes, read, options);
  if (document.ok()) return document;
  return absl::Status(document.status().code(),
                      absl::StrFormat("%s: %s", name, document.status().message()));
}

absl::StatusOr<std::unique_ptr<PickleDocument>> ReadTorchSave(Blob file,
                                                              const ArchiveLimits& limits,
                                                              const PickleOptions& options) {
  if (!LooksLikeZip(file.bytes)) {
    if (file.bytes.starts_with(kLegacyMagic)) {
      return absl::UnimplementedError(
          "this is torch.save's format from before PyTorch 1.6; load it and save it again with a "
          "newer PyTorch (torch.save(torch.load(path), path))");
    }
    return absl::InvalidArgumentError("this is no file of torch.save: it is no zip archive");
  }
  FLOE_TRY_ASSIGN(std::shared_ptr<Archive> archive, Archive::Open(std::move(file), limits));
  if (!archive->Has("data.pkl")) {
    return absl::InvalidArgumentError("this is no file of torch.save: it has no data.pkl");
  }
  FLOE_TRY(CheckByteOrder(*archive));
  return ReadPickle(std::move(archive), "data.pkl", "data/", options);
}

}  // namespace floe::torch_file
