// Epilogue programs that every GEMM-like family is tested with: the hot forms, forms that only look
// like them, and programs that need the VM.
#ifndef FLOE_TESTS_KERNELS_EPILOGUES_H_
#define FLOE_TESTS_KERNELS_EPILOGUES_H_

#include <string>
#include <vector>

#include "tests/kernels/conformance.h"

namespace floe::conformance {

// Operands in order: 'c' channel, 't' result-shaped, 's' scalar.
struct EpilogueProgram {
  std::string name;
  std::string operands;
  std::vector<PwInstr> code;
};

inline std::vector<EpilogueProgram> EpiloguePrograms() {
  using enum PwOp;
  return {
      {"none", "", {}},
      {"relu", "", {Pw(kRelu, 0, 0)}},
      {"bias", "c", {PwLoad(1, 0), Pw(kAdd, 0, 0, 1)}},
      {"bias_relu", "c", {PwLoad(1, 0), Pw(kAdd, 0, 0, 1), Pw(kRelu, 0, 0)}},
      {"bias_relu6",
       "c",
       {PwLoad(1, 0), Pw(kAdd, 0, 1, 0), Pw(kMaxImm, 0, 0, 0, 0, 0.0f),
        Pw(kMinImm, 0, 0, 0, 0, 0.5f)}},
      {"bias_residual", "ct", {PwLoad(1, 0), PwLoad(2, 1), Pw(kAdd, 0, 0, 1), Pw(kAdd, 0, 0, 2)}},
      {"bias_residual_relu",
       "ct",
       {PwLoad(3, 0), Pw(kAdd, 4, 0, 3), PwLoad(3, 1), Pw(kAdd, 5, 3, 4), Pw(kRelu, 0, 5)}},
      {"residual", "t", {PwLoad(1, 0), Pw(kAdd, 0, 0, 1)}},
      {"scale", "", {Pw(kMulImm, 0, 0, 0, 0, 0.125f)}},
      {"scalar_scale_clamp",
       "s",
       {PwLoad(1, 0), Pw(kMul, 0, 1, 0), Pw(kMinImm, 0, 0, 0, 0, 0.3f),
        Pw(kMaxImm, 0, 0, 0, 0, -0.2f)}},
      // Not hot: the bias is added after the residual; max above min; a NaN bound; squares.
      {"residual_bias", "tc", {PwLoad(1, 0), PwLoad(2, 1), Pw(kAdd, 0, 0, 1), Pw(kAdd, 0, 0, 2)}},
      {"inverted_clamp", "", {Pw(kMinImm, 0, 0, 0, 0, -0.5f), Pw(kMaxImm, 0, 0, 0, 0, 0.25f)}},
      {"square_bias", "c", {Pw(kMul, 0, 0, 0), PwLoad(1, 0), Pw(kAdd, 0, 0, 1)}},
      {"bias_sigmoid", "c", {PwLoad(1, 0), Pw(kAdd, 0, 0, 1), Pw(kSigmoid, 0, 0)}},
      {"bias_gelu", "c", {PwLoad(1, 0), Pw(kAdd, 0, 0, 1), Pw(kGelu, 0, 0)}},
      {"gelu_tanh", "", {Pw(kGeluTanh, 0, 0)}},
      {"bias_silu_relu", "c", {PwLoad(1, 0), Pw(kAdd, 0, 0, 1), Pw(kSilu, 2, 0), Pw(kRelu, 0, 2)}},
      {"affine_silu_residual",
       "ccts",
       {PwLoad(1, 0), PwLoad(2, 1), Pw(kFma, 0, 0, 1, 2), Pw(kSilu, 3, 0), PwLoad(4, 2),
        Pw(kAdd, 3, 3, 4), PwLoad(5, 3), Pw(kMul, 0, 3, 5)}},
      {"two_residuals",
       "tt",
       {PwLoad(1, 0), PwLoad(2, 1), Pw(kAdd, 0, 0, 1), Pw(kMul, 2, 2, 0), Pw(kSub, 0, 2, 1)}},
      {"constant", "", {Pw(kConst, 0, 0, 0, 0, 1.5f)}},
  };
}

// Appends the program's operands to the inputs of `c`, whose output 0 is set. `residual` describes
// result-shaped operands.
inline void AddEpilogue(const EpilogueProgram& program, int64_t channels,
                        const TensorInfo& residual, KernelCase* c) {
  c->name += "_" + program.name;
  c->code = program.code;
  for (char kind : program.operands) {
    c->inputs.push_back(kind == 't' ? residual : Dense({kind == 'c' ? channels : 1}));
  }
}

inline const EpilogueProgram& EpilogueNamed(const std::string& name) {
  static const std::vector<EpilogueProgram> programs = EpiloguePrograms();
  for (const EpilogueProgram& p : programs) {
    if (p.name == name) return p;
  }
  std::abort();
}

}  // namespace floe::conformance

#endif  // FLOE_TESTS_KERNELS_EPILOGUES_H_
