// PyTorch's pytrees: how the leaves of nested containers lie in a flat list.
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_PYTREE_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_PYTREE_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace floe::torch_export {

// The way to a leaf: keys of dictionaries, positions in lists, fields of named tuples.
using LeafPath = std::vector<std::string>;

// The paths of all leaves of a serialised spec, in order. Absent if it does not parse or holds over
// 2^16 leaves.
std::optional<std::vector<LeafPath>> ParseTreeSpec(std::string_view json);

// "name", or "name.part.part".
std::string JoinPath(std::string name, const LeafPath& path, size_t from);

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_PYTREE_H_
