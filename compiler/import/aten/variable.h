// Tensors as PyTorch sees them: variables that can be written in place, and views that share them.
// Reading gives the SSA value that the variable holds at that point of the program.
//
// A root holds a value. A view holds its base and two functions: one computes the view of a base's
// value, the other a base's value in which the view has been replaced. Writing a view writes its
// base; other views of that base see it when they are read next.
#ifndef FLOE_COMPILER_IMPORT_ATEN_VARIABLE_H_
#define FLOE_COMPILER_IMPORT_ATEN_VARIABLE_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::aten {

class Context;
class Variable;
using VariablePtr = std::shared_ptr<Variable>;

class Variable {
 public:
  using ReadView = std::function<absl::StatusOr<ir::Value*>(ir::Value* base)>;
  using WriteView = std::function<absl::StatusOr<ir::Value*>(ir::Value* base, ir::Value* view)>;

  // A tensor of its own. `depth` is the number of bodies around the place where it is made.
  static VariablePtr Root(ir::Value* value, size_t depth);
  // `now` is what `read` gives for the base's present value. A null `write` refuses writes.
  static VariablePtr View(VariablePtr base, ir::Value* now, ReadView read, WriteView write);

  bool is_view() const { return base_ != nullptr; }
  // Whether the elements lie in memory in order without gaps: decides what reshape() shares.
  bool contiguous = true;
  // The user's name for messages; may be empty.
  std::string name;

 private:
  friend class Context;
  Variable() = default;
  Variable* root() { return base_ == nullptr ? this : base_->root(); }

  ir::Value* value_ = nullptr;  // Of a root: the value. Of a view: the value at `version_`.
  uint64_t version_ = 0;        // Of a root: the number of writes. Of a view: the root's, then.
  size_t depth_ = 0;            // Of a root.
  size_t views_ = 0;            // Made of this variable directly, so far.
  VariablePtr base_;
  ReadView read_;
  WriteView write_;
};

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_VARIABLE_H_
