// What the front ends share. Read this header first; then the front end of interest:
// onnx/import.h, torch_export/import.h, torchscript/import.h; the last two share aten/context.h.
// resample.h has what resizing shares.
//
// An Emitter appends IR for one node of the user's model: operands are Values, every emission
// infers its type at once, and results of small constants are folded, so that a converter can look
// at the shapes and numbers of what it has just emitted.
//
// Errors are sticky, so that a converter reads like the op's definition: the first failure is kept,
// every later call does nothing, and calls that return a Value give a valid placeholder (rank 0).
// Read dimensions with Dim(), which checks, and axes with Axis().
#ifndef FLOE_COMPILER_IMPORT_EMITTER_H_
#define FLOE_COMPILER_IMPORT_EMITTER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "compiler/ir/control.h"
#include "compiler/ir/graph.h"

namespace floe::import {

struct TensorType {
  DType dtype = DType::kNone;
  ir::Shape shape;
};

using AttrList = std::vector<std::pair<const char*, ir::Attr>>;

class Emitter {
 public:
  // Appends to `graph`, which outlives this object. Every node gets `provenance`.
  Emitter(ir::Graph& graph, ir::Provenance provenance)
      : graph_(graph), provenance_(std::move(provenance)) {}
  virtual ~Emitter() = default;

  ir::Graph& graph() { return graph_; }
  const ir::Provenance& provenance() const { return provenance_; }

  // --- errors ---
  const absl::Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }
  void Fail(absl::Status status);
  void Invalid(std::string message);      // The model contradicts itself.
  void Unsupported(std::string message);  // Valid, but not mapped.

  // --- facts about values ---
  int64_t Rank(const ir::Value* v) const { return static_cast<int64_t>(v->rank()); }
  ir::Dim Dim(const ir::Value* v, int64_t axis);        // An error if there is no such axis.
  int64_t StaticDim(const ir::Value* v, int64_t axis);  // kUnimplemented if it is dynamic.
  // Resolves a negative axis; an error outside [-rank, rank).
  int64_t Axis(int64_t axis, int64_t rank);
  std::vector<int64_t> Axes(std::vector<int64_t> axes, int64_t rank);  // Sorted; no duplicates.
  // Content of a value that is known at import; absent if it depends on dimensions or data.
  std::optional<ir::Tensor> ConstantOf(const ir::Value* v) const;
  std::optional<std::vector<int64_t>> IntsOf(const ir::Value* v) const;
  // Content of an integer operand as dims; kUnimplemented that names `what` if it is not known.
  std::vector<ir::Dim> DimsOf(const ir::Value* v, const char* what);
  // The same, as numbers.
  std::vector<int64_t> NumbersOf(const ir::Value* v, const char* what);
  std::optional<double> ScalarOf(const ir::Value* v) const;
  int64_t Min(const ir::Dim& d) const;
  int64_t Max(const ir::Dim& d) const;
  std::string Text(const ir::Dim& d) const;
  std::string Text(const ir::Shape& s) const;
  // The product of some of the dimensions.
  ir::Dim Product(const ir::Shape& shape, size_t begin, size_t end);
  // Arithmetic on dims that fails the node where the result overflows or is unreasonably long.
  ir::Dim Add(const ir::Dim& a, const ir::Dim& b);
  ir::Dim Sub(const ir::Dim& a, const ir::Dim& b);
  ir::Dim Mul(const ir::Dim& a, const ir::Dim& b);
  ir::Dim DivFloor(const ir::Dim& a, int64_t divisor);  // divisor > 0.
  // One of the two where the symbols' bounds say which it is.
  ir::Dim Larger(const ir::Dim& a, const ir::Dim& b);
  ir::Dim Smaller(const ir::Dim& a, const ir::Dim& b);

  // --- emission ---
  // Appends a node with one output and infers its type. `type` is set before for the ops whose
  // result type is given by the front end. Small results of constants are folded.
  ir::Value* Emit(OpId op, std::vector<ir::Value*> inputs, AttrList attrs = {},
                  std::optional<TensorType> type = std::nullopt);
  std::vector<ir::Value*> EmitMany(OpId op, std::vector<ir::Value*> inputs, size_t outputs,
                                   AttrList attrs = {});
  // Wrappers that emit nothing where nothing is to be done.
  ir::Value* Reshape(ir::Value* x, ir::Shape shape);
  // Where the symbols leave open whether x has as many elements as `shape`, and it may have more,
  // the run checks it; what is reshaped is then a copy.
  ir::Value* ReshapeChecked(ir::Value* x, ir::Shape shape);
  // The same with what the others leave of x in the place of shape[open].
  ir::Value* ReshapeRest(ir::Value* x, ir::Shape shape, size_t open);
  ir::Value* Transpose(ir::Value* x, std::vector<int64_t> perm);
  ir::Value* Cast(ir::Value* x, DType to);
  ir::Value* Expand(ir::Value* x, ir::Shape shape);
  ir::Value* Binary(OpId op, ir::Value* a, ir::Value* b) { return Emit(op, {a, b}); }
  ir::Value* Unary(OpId op, ir::Value* x) { return Emit(op, {x}); }
  ir::Value* Reduce(ReduceKind kind, ir::Value* x, std::vector<int64_t> axes, bool keepdims);
  // A size that only the run knows, from min to max: `count`, an i64 scalar, as a value whose
  // content is a symbol. Its name is the result's; kNoBound leaves the maximum to the user.
  ir::Value* SizeOf(ir::Value* count, int64_t min, int64_t max);
  static constexpr int64_t kNoBound = ir::kUnboundedSize;
  // Fails the run, with this message, unless the bool scalar holds.
  void Check(ir::Value* condition, std::string message);
  // Indices of the elements of x that are not zero, [count, rank] i64. There are at least `least`.
  ir::Value* Nonzero(ir::Value* x, int64_t least = 0);
  // One step of 1 along `axis`: [start, start + length).
  ir::Value* SliceAxis(ir::Value* x, int64_t axis, int64_t start, ir::Dim length);

  // --- constants ---
  ir::Value* Constant(ir::Tensor tensor);
  ir::Value* Scalar(DType dtype, double v);  // Rank 0.
  ir::Value* ScalarLike(const ir::Value* x, double v) { return Scalar(x->dtype(), v); }
  ir::Value* IntVector(const std::vector<int64_t>& v);  // i64.
  // An i64 scalar with the value of `d`.
  ir::Value* DimValue(const ir::Dim& d);

 protected:
  // The names of the next node's output and of the next constant; made unique by the graph.
  virtual std::string NextName(OpId op) = 0;
  virtual std::string ConstantName() = 0;
  // The name of result i > 0 of a node whose first result is `first`.
  virtual std::string ResultName(const std::string& first, size_t i);
  ir::Value* Placeholder();

 private:
  ir::Value* TryFold(ir::Node* node);
  ir::Dim TooComplex();  // An error, and a size to go on with.

  ir::Graph& graph_;
  ir::Provenance provenance_;
  absl::Status status_;
};

}  // namespace floe::import

#endif  // FLOE_COMPILER_IMPORT_EMITTER_H_
