// Compiles graphs in memory and binds IR tensors to programs: for the tests of lowering and of
// whole models.
#ifndef FLOE_TESTS_LOWER_COMPILE_TESTING_H_
#define FLOE_TESTS_LOWER_COMPILE_TESTING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"
#include "compiler/lower/compile.h"
#include "runtime/floe.hpp"

namespace floe::lower {

struct Compiled {
  std::vector<uint8_t> bytes;  // Of the program's file.
  CompileReport report;
};
absl::StatusOr<Compiled> CompileGraph(std::unique_ptr<ir::Graph> graph,
                                      const CompileOptions& options = {});

// Expects every bucket's arena within 1.1 of the lower bound that liveness gives.
void ExpectTightArenas(const CompileReport& report);

// Opens a copy of the program.
Result<Model> Open(const Compiled& program, OpenOptions options = OpenOptions());

// A tensor's memory as a caller's buffer. The tensor must outlive the binding.
Tensor BindingOf(const ir::Tensor& tensor);
std::vector<Tensor> BindingsOf(const std::vector<ir::Tensor>& tensors);

// The backends of this build that this machine can run.
std::vector<floe_backend_info> AvailableBackends();
// The options that open a program on it.
OpenOptions On(const floe_backend_info& backend);

// Buffers for all outputs of a bound session, set and poisoned, so that an element that nothing
// writes cannot pass.
std::vector<std::string> BindPoisonedOutputs(Session* session, uint32_t outputs);

}  // namespace floe::lower

#endif  // FLOE_TESTS_LOWER_COMPILE_TESTING_H_
