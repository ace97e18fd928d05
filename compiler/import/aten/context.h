// What a front end calls: makes variables, calls ATen ops on them, and emits bodies of control
// flow. Not thread-safe. Holds the graph under construction.
#ifndef FLOE_COMPILER_IMPORT_ATEN_CONTEXT_H_
#define FLOE_COMPILER_IMPORT_ATEN_CONTEXT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/aten/ivalue.h"
#include "compiler/import/aten/schema.h"
#include "compiler/import/aten/variable.h"
#include "compiler/ir/control.h"
#include "compiler/ir/graph.h"

namespace floe::aten {

struct Row;

// Where a call stands in the user's model.
struct CallSite {
  std::string name;  // For the values that it makes: "conv2d_3". Need not be unique.
  ir::Provenance provenance;
};

class Context {
 public:
  explicit Context(ir::Graph& graph) : outermost_(graph) {}
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Limits, for models that unroll: nodes in all graphs together, and bytes of constants, which
  // ops such as Fourier transforms compute from a few numbers.
  int64_t max_nodes = int64_t{1} << 20;
  int64_t max_constant_bytes = int64_t{16} << 30;

  // Where nodes are emitted now: the graph, or the innermost body.
  ir::Graph& graph() { return GraphAt(depth()); }
  size_t depth() const { return bodies_.size(); }

  // --- variables ---
  // A new tensor that holds `value`, a value of the current graph.
  VariablePtr NewVariable(ir::Value* value, Form form = Form::kPlain);
  IValue NewTensor(ir::Value* value, Form form = Form::kPlain) {
    return IValue::Tensor(NewVariable(value, form));
  }
  // A complex number as a tensor without dimensions.
  IValue ComplexNumber(double real, double imaginary, const CallSite& site);
  // The value that the tensor holds now, in the current graph; emits views that are out of date.
  absl::StatusOr<ir::Value*> Read(const VariablePtr& variable);
  // The shape that PyTorch gives the tensor: that of its value unless its form differs.
  // kUnimplemented if the form has no shape that is known. Of the sizes of a packed sequence, it
  // emits the check that the padded input was as long as the longest sequence.
  absl::StatusOr<ir::Shape> ShapeOf(const VariablePtr& variable);
  // kUnimplemented for what is no tensor outside of the program: packed sequences.
  static absl::Status CheckOutput(const VariablePtr& variable);
  // In-place write of a value of equal dtype and shape. kUnimplemented: the view can't be written
  // through.
  absl::Status Write(const VariablePtr& variable, ir::Value* value);
  // The same for any shape, as resize_() and out= do it: `variable` must be no view and have none
  // unless the shape stays.
  absl::Status Replace(const VariablePtr& variable, ir::Value* value);
  // The value of an enclosing graph as a value of the current one: captured, or copied if constant.
  absl::StatusOr<ir::Value*> Local(ir::Value* value);

  // --- calls ---
  // Calls an op: "aten::add.Tensor". Fills in defaults, applies in-place forms (a name that ends in
  // '_') as the plain op and a write, keeps views aliased. Without a schema of that name, or
  // without a row for it: kUnimplemented. Errors carry no position: the caller adds it.
  absl::Status Call(const std::string& full_name, const CallArguments& arguments,
                    const CallSite& site, std::vector<IValue>* results);
  // The same for a name without overload: "aten::add".
  absl::Status CallOverloaded(const std::string& name, const CallArguments& arguments,
                              const CallSite& site, std::vector<IValue>* results);
  // Whether a call of this overload could be mapped, as far as the table tells.
  static bool IsSupported(const std::string& full_name);

  // --- control flow on data ---
  // Emits `if`: runs both functions, each into a body. Their results must have equal structure;
  // tensors and numbers that differ become results of the node. Tensors that a branch writes in
  // place are merged likewise. REQUIRES: `condition` is a bool tensor of one element.
  using Branch = std::function<absl::StatusOr<std::vector<IValue>>()>;
  absl::StatusOr<std::vector<IValue>> If(const IValue& condition, const Branch& then_branch,
                                         const Branch& else_branch, const CallSite& site);
  // Emits `loop`: runs while `condition` and the iteration is below `trips` (an int; None for no
  // limit). `body` gets the iteration and the carried values and gives the next condition and
  // values; it may be run twice (to learn what it writes). Carried tensors keep dtype and shape.
  struct LoopStep {
    IValue condition;  // bool
    std::vector<IValue> carried;
  };
  using LoopBody = std::function<absl::StatusOr<LoopStep>(const IValue& iteration,
                                                          const std::vector<IValue>& carried)>;
  absl::StatusOr<std::vector<IValue>> Loop(const IValue& trips, const IValue& condition,
                                           const std::vector<IValue>& carried, const LoopBody& body,
                                           const CallSite& site);
  // Runs a function whose nodes and in-place writes are then dropped: to learn what it does. Its
  // values must not be used afterwards; their types may be.
  absl::Status Trial(const std::function<absl::Status()>& run);
  // Emits a check at run time, or fails now if the condition is known to be false.
  absl::Status Check(const IValue& condition, const std::string& message, const CallSite& site);

 private:
  // Counts the constants that were made since the last call.
  absl::Status CheckConstants();

  size_t counted_values_ = 0;
  int64_t constant_bytes_ = 0;
  friend class OpBuilder;
  struct WrittenVariable {
    VariablePtr root;
    ir::Value* before;   // Its value outside.
    ir::Value* written;  // Its value at the end of the body.
  };
  struct Body {
    explicit Body(const ir::Graph& outer, std::string name) : builder(outer, std::move(name)) {}
    ir::BodyBuilder builder;
    std::vector<WrittenVariable> written;  // Roots from outside, written inside; in order.
  };
  using Results = std::vector<IValue>;
  void PushBody(const char* name);
  // Ends the innermost body: what it wrote outside is undone and stands in `written`.
  std::unique_ptr<Body> PopBody();
  ir::Graph& GraphAt(size_t depth) {
    return depth == 0 ? outermost_ : bodies_[depth - 1]->builder.graph();
  }
  // A value as an output of the current body; scalars are made rank-0 tensors.
  absl::StatusOr<ir::Value*> OutputOf(const IValue& v, const CallSite& site);
  absl::Status Settle(std::vector<IValue>* values, const CallSite& site);
  absl::Status AddBranchOutputs(Body& body, size_t leaves, const std::vector<VariablePtr>& roots,
                                const CallSite& site, const std::function<IValue(size_t)>& leaf);
  struct LoopState;
  absl::StatusOr<bool> TryLoopBody(LoopState* state, const LoopBody& run,
                                   const std::vector<ir::Value*>& initial, const CallSite& site,
                                   std::unique_ptr<Body>* result);
  absl::StatusOr<ir::Value*> LocalAt(ir::Value* value, size_t depth);
  absl::Status CallRow(const Schema& schema, std::vector<IValue> arguments, const CallSite& site,
                       std::vector<IValue>* results);
  absl::Status CallOut(const Schema& schema, const CallArguments& arguments,
                       const std::vector<IValue>& outs, const CallSite& site,
                       std::vector<IValue>* results);
  absl::Status CallInPlace(const Schema& functional, const Row& row, std::vector<IValue> arguments,
                           const CallSite& site, std::vector<IValue>* results);
  VariablePtr MakeView(const VariablePtr& base, ir::Value* now, const Schema& schema,
                       const Row& row, std::shared_ptr<std::vector<IValue>> arguments,
                       const CallSite& site, int64_t index);
  absl::Status ReshapeInPlace(const Schema& schema, const Row& row, std::vector<IValue> arguments,
                              ir::Value* now, const CallSite& site);
  absl::Status BindView(const Schema& schema, const Row& row, std::vector<IValue> arguments,
                        const CallSite& site, std::vector<IValue>* results);

  ir::Graph& outermost_;
  std::vector<std::unique_ptr<Body>> bodies_;
};

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_CONTEXT_H_
