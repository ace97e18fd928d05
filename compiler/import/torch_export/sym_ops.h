// Arithmetic on sizes and other numbers: `_operator.add`, `torch.sym_max`, `math.trunc`, ...
#ifndef FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYM_OPS_H_
#define FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYM_OPS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/import/aten/context.h"
#include "compiler/import/aten/ivalue.h"

namespace floe::torch_export {

// Whether `target` is one of these operations.
bool IsSymOp(const std::string& target);

// The result, which is computed now if the operands are known and it is exact (for sizes: a sum,
// product, floor, maximum or minimum of symbols), else at run time. kUnimplemented,
// kInvalidArgument (a division by zero, wrong operands).
absl::StatusOr<aten::IValue> CallSymOp(aten::Context& context, const std::string& target,
                                       const std::vector<aten::IValue>& arguments,
                                       const aten::CallSite& site);

}  // namespace floe::torch_export

#endif  // FLOE_COMPILER_IMPORT_TORCH_EXPORT_SYM_OPS_H_
