// Quantised operators of TorchScript (ops.quantized.*, torch.quantize_per_tensor, ...) as float
// operators between conversions: the form in which all front ends hand quantised models on.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_QUANTIZED_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_QUANTIZED_H_

#include <string>

#include "absl/status/statusor.h"
#include "compiler/import/torchscript/interpreter.h"

namespace floe::torchscript {

// Whether CallQuantized knows the name.
bool IsQuantizedOp(const std::string& name);
// Whether the call makes or takes quantised tensors.
bool IsQuantizedCall(const std::string& name, const CallArguments& arguments);

// Runs the call. kUnimplemented if the operator, or its form, has no mapping.
absl::StatusOr<IValue> CallQuantized(Interpreter& in, const std::string& name,
                                     const CallArguments& arguments, const CallSite& site);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_QUANTIZED_H_
