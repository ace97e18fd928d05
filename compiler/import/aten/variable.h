// Tensors as PyTorch sees them: variables that can be written in place, and views that share them.
// Reading gives the SSA value that the variable holds at that point of the program.
//
// A root holds a value. A view holds its base and two functions: one computes the view of a base's
// value, the other a base's value in which the view has been replaced. Writing a view writes its
// base; other views of that base see it when they are read next.
//
// The IR has real tensors only. What PyTorch has beyond them is kept in another form, which only
// the rows for that form understand (ops.h): others refuse it.
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

// What the elements of a variable's value stand for.
enum class Form : uint8_t {
  kPlain,
  kComplex,      // Real and imaginary parts, on a last axis of 2 that PyTorch's shape lacks.
  kPacked,       // The data of a packed sequence, kept padded: [steps, batch, ...].
  kPackedSizes,  // Its batch sizes, kept as the lengths of the sequences: i64 [batch].
};

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
  Form form = Form::kPlain;
  bool is_number = false;  // A complex literal, which promotes as a Python number does.
  // Of kPackedSizes: the data.
  VariablePtr packed;
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
