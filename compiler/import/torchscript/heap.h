// The objects, tensors and constants of an archive as the interpreter's values, and what becomes of
// them during a run: tensors and numbers that the model's code changes are its states.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_HEAP_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_HEAP_H_

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/aten/context.h"
#include "compiler/import/torchscript/objects.h"
#include "compiler/import/torchscript/program.h"

namespace floe::torchscript {

class Heap {
 public:
  // Attributes whose paths ("rnn.hidden", "cache.0") are in `states` become states of the graph;
  // all others are constants.
  Heap(Program& program, aten::Context& context, std::set<std::string> states)
      : program_(program), context_(context), states_(std::move(states)) {}

  // Called for objects of classes with a method __setstate__.
  std::function<absl::Status(const ObjectPtr&, const aten::IValue& state)> set_state;

  // The model. kInvalidArgument if data.pkl does not hold one.
  absl::StatusOr<ObjectPtr> LoadRoot();
  // CONSTANTS.c<index>.
  absl::StatusOr<aten::IValue> Constant(size_t index);

  // After a run: the paths of attributes that hold something else than before it. kUnimplemented,
  // by name, for changes that no state can hold (None to a tensor, lists that grow).
  absl::StatusOr<std::set<std::string>> Changed();
  // After a run: tells the graph what the states hold at its end.
  absl::Status FinishStates();

 private:
  struct Leaf {
    aten::IValue value;
    ir::Value* tensor = nullptr;  // Of tensors and of numbers at run time.
  };
  using Leaves = std::map<std::string, Leaf>;

  absl::StatusOr<aten::IValue> Convert(const torch_file::PickleValue& value,
                                       const torch_file::PickleDocument& document,
                                       const std::string& path);
  absl::StatusOr<aten::IValue> ConvertNew(const torch_file::PickleValue& value,
                                          const torch_file::PickleDocument& document,
                                          const std::string& path);
  absl::StatusOr<aten::IValue> ConvertObject(const torch_file::PickleValue& value,
                                             const torch_file::PickleDocument& document,
                                             const std::string& path);
  absl::StatusOr<aten::IValue> ConvertTensor(const torch_file::PickleValue& value,
                                             const torch_file::PickleDocument& document,
                                             const std::string& path);
  absl::StatusOr<aten::IValue> ConvertQuantized(const torch_file::PickleValue& value,
                                                const torch_file::PickleDocument& document,
                                                const std::string& path);
  aten::VariablePtr NewTensor(ir::Tensor tensor, const std::string& path);
  aten::IValue NewNumber(aten::IValue number, const std::string& path);
  absl::Status Collect(const aten::IValue& value, const std::string& path, Leaves* leaves,
                       std::set<const void*>* seen);

  Program& program_;
  aten::Context& context_;
  const std::set<std::string> states_;
  std::map<const torch_file::PickleValue*, aten::IValue> memo_;
  // Tensors by the memory that they describe: tied weights are one tensor.
  std::map<std::string, aten::IValue> by_memory_;
  std::map<std::string, size_t> state_index_;  // By path.
  ObjectPtr root_;
  Leaves before_;
};

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_HEAP_H_
