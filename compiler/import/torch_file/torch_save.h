// What torch.save writes: a zip archive with data.pkl, data/<key> and byteorder.
#ifndef FLOE_COMPILER_IMPORT_TORCH_FILE_TORCH_SAVE_H_
#define FLOE_COMPILER_IMPORT_TORCH_FILE_TORCH_SAVE_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/torch_file/archive.h"
#include "compiler/import/torch_file/pickle.h"

namespace floe::torch_file {

// Reads the pickle `name` of an open archive; its storages are the entries below `folder`
// ("data/"). The document keeps the archive alive.
absl::StatusOr<std::unique_ptr<PickleDocument>> ReadPickle(std::shared_ptr<Archive> archive,
                                                           const std::string& name,
                                                           const std::string& folder,
                                                           const PickleOptions& options = {});

// Reads a file of torch.save, which may itself be an entry of another archive. Errors:
// kInvalidArgument (damaged, big-endian), kUnimplemented (the format from before PyTorch 1.6, which
// the message says how to convert), and those of Archive and PickleDocument.
absl::StatusOr<std::unique_ptr<PickleDocument>> ReadTorchSave(Blob file,
                                                              const ArchiveLimits& limits = {},
                                                              const PickleOptions& options = {});

// An error unless the archive's byteorder, if it states one, is little.
absl::Status CheckByteOrder(Archive& archive);

}  // namespace floe::torch_file

#endif  // FLOE_COMPILER_IMPORT_TORCH_FILE_TORCH_SAVE_H_
