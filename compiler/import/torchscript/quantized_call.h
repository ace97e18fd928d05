// Internal to the quantised operators: how a call reads, quantised values and packed parameters.
// quantized.cc has the operators, quantized_values.cc the conversions, quantized_packed.cc the
// parameters of layers.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_QUANTIZED_CALL_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_QUANTIZED_CALL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/interpreter.h"

namespace floe::torchscript {

using Result = absl::StatusOr<IValue>;
using QuantizedPtr = std::shared_ptr<QuantizedTensor>;

// c10's numbers of types.
constexpr int64_t kQInt8 = 12;
constexpr int64_t kQUInt8 = 13;
constexpr int64_t kQInt32 = 14;
constexpr int64_t kFloat32 = 6;

// How a call reads: arguments by position, with the emission of ATen ops around it.
struct QuantizedCall {
  Interpreter& in;
  const std::vector<IValue>& args;
  const CallSite& site;

  bool Has(size_t i) const { return i < args.size() && !args[i].is_none(); }
  absl::StatusOr<IValue> At(size_t i) const {
    if (i < args.size()) return args[i];
    return absl::InvalidArgumentError(absl::StrFormat("argument %d is missing", i));
  }
  Result Op(const char* name, std::vector<IValue> arguments) const {
    return in.Aten(name, std::move(arguments), site);
  }
};

// (values - zero point) * scale, in f32.
Result Dequantize(const QuantizedCall& c, const QuantizedTensor& q);
// What a floating-point or quantised argument stands for, in f32.
Result Real(const QuantizedCall& c, const IValue& v);
// As integers, which stand for x: PyTorch's kernels multiply by the reciprocal of the scale in f32.
Result Quantize(const QuantizedCall& c, const IValue& x, const IValue& scale,
                const IValue& zero_point, int64_t scalar_type);

// What a layer's packed parameters hold.
struct PackedLayer {
  IValue weight;  // f32
  IValue bias;    // f32, or None
  std::vector<int64_t> stride, padding, dilation, output_padding;
  int64_t groups = 1;
  bool transposed = false;
};

// kUnimplemented, with what can be done.
absl::Status UnknownForm(const std::string& what);
// (weight, bias) of a linear layer; ("2", [int16 numbers, weight], [bias]) or
// (3, [numbers], [None, weight, bias]) of a convolution.
absl::StatusOr<PackedLayer> Unpack(const QuantizedCall& c, const IValue& v);

// Packed parameters made by the model's own code: in the newest form that files have.
Result LinearUnpack(const QuantizedCall& c);
Result LinearPrepack(const QuantizedCall& c);
Result ConvPrepack(const QuantizedCall& c);
Result TransposedConvPrepack(const QuantizedCall& c);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_QUANTIZED_CALL_H_
