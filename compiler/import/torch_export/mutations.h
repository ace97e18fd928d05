// Which inputs of a graph its in-place ops write, directly or through views. Default exports say
// nothing of it: a buffer that is written must be a state from the start.
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_MUTATIONS_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_MUTATIONS_H_

#include <set>
#include <string>

#include "compiler/import/torch_export/schema.h"

namespace floe::torch_export {

// Names of graph inputs.
std::set<std::string> MutatedInputs(const Graph& graph);

// "torch.ops.aten.add.Tensor" -> "aten::add.Tensor"; "torch.ops.aten.relu.default" -> "aten::relu".
// Empty for targets that are no operators.
std::string OperatorName(const std::string& target);

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_MUTATIONS_H_
