// Inputs for a compiled model: from a file, from an embedded golden, or random; and golden checks.
#ifndef FLOE_TOOLS_CLI_INPUTS_H_
#define FLOE_TOOLS_CLI_INPUTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/floe.hpp"
#include "tools/cli/npy.h"

namespace floe::cli {

// The runtime's error with its sentence.
absl::Status ToAbsl(const Outcome& outcome);

struct InputOptions {
  std::string path;                     // .npz or .npy; empty: a golden's inputs, else random ones.
  std::map<std::string, int64_t> dims;  // Symbol values by name; others get their golden's or max.
  uint64_t seed = 1;
};

struct Inputs {
  std::vector<std::string> storage;
  std::vector<Tensor> tensors;  // In the method's order, pointing into `storage`.
  std::string source;           // "golden 0", "random (seed 1)", the path.
  std::string description;      // "image f32[1,1,28,28]".
  int64_t batch = 1;            // The leading axis of the first input of rank > 0.
};

// Inputs of method 0. Random floats are normal(0, 1); random integers and bools are 0 or 1, which
// are valid indices of every table. Arrays of a file bind by name, else in the archive's order.
absl::StatusOr<Inputs> MakeInputs(const Model& model, const InputOptions& options);

// The arrays in the method's order: by name if every name is an input's, else by position.
absl::StatusOr<std::vector<const Array*>> OrderArrays(const Model& model,
                                                      const NamedArrays& arrays);
Tensor TensorOfArray(const Array& array);

struct GoldenResult {
  std::string output;
  double max_error = 0;  // max|y - golden| / max|golden|; NaN against a number is infinite.
  bool passed = false;
};
// Runs golden `index` and compares every output with it.
absl::StatusOr<std::vector<GoldenResult>> CheckGolden(const Model& model, floe_thread_pool* pool,
                                                      uint32_t index);

// max|a - b| over max|b|, and max|b|, both as double. Equal NaNs and equal infinities match.
// Returns infinity when only one of two elements is NaN or infinite.
double MaxRelativeError(const Tensor& a, const Tensor& b, double* max_b);

}  // namespace floe::cli

#endif  // FLOE_TOOLS_CLI_INPUTS_H_
