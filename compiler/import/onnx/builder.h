// What a converter sees: one ONNX node and the IR under construction.
//
// Errors are sticky, so that a converter reads like the op's definition: the first failure is kept,
// every later call does nothing, and calls that return a Value give a valid placeholder (rank 0).
// Read dimensions with Dim(), which checks, and axes with Axis(). The importer looks at status()
// when the converter returns, and refuses attributes, inputs and outputs that it did not look at:
// a model is never imported with half its meaning.
#ifndef FLOE_COMPILER_IMPORT_ONNX_BUILDER_H_
#define FLOE_COMPILER_IMPORT_ONNX_BUILDER_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "compiler/import/onnx/onnx.pb.h"
#include "compiler/ir/graph.h"

namespace floe::onnx {

class Importer;
class NodeBuilder;

// Maps one node; reports through the builder.
using Converter = void (*)(NodeBuilder& b);

// A row of the op table: `convert` reads nodes of this op from opset `since` on, up to the next
// row of the same op. `op` parameterises converters that many rows share.
struct Row {
  const char* op_type;
  int64_t since;
  Converter convert;
  OpId op = OpId::kIdentity;
  int64_t param = 0;
  const char* domain = "";
};

struct TensorType {
  DType dtype = DType::kNone;
  ir::Shape shape;
};

using AttrList = std::vector<std::pair<const char*, ir::Attr>>;

class NodeBuilder {
 public:
  NodeBuilder(Importer& importer, const NodeProto& node, const Row& row, int64_t opset,
              std::vector<ir::Value*> inputs, ir::Provenance provenance);

  const Row& row() const { return row_; }
  int64_t opset() const { return opset_; }
  ir::Graph& graph();

  // --- errors ---
  const absl::Status& status() const { return status_; }
  bool ok() const { return status_.ok(); }
  void Fail(absl::Status status);
  void Invalid(std::string message);      // The model contradicts itself.
  void Unsupported(std::string message);  // Valid, but not mapped.

  // --- operands ---
  size_t InputCount() const { return inputs_.size(); }  // Written ones, absent ones included.
  bool HasInput(size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  ir::Value* In(size_t i);     // Required.
  ir::Value* OptIn(size_t i);  // Null if absent.
  void IgnoreInput(size_t i) { Mark(i); }
  size_t OutputCount() const;  // Written ones.
  bool WantsOutput(size_t i) const;
  void Out(size_t i, ir::Value* value);
  void Out(ir::Value* value) { Out(0, value); }

  // --- attributes; the default if absent, an error if of another type ---
  bool HasAttr(const char* name);
  int64_t Int(const char* name, int64_t fallback);
  double Float(const char* name, double fallback);
  std::string String(const char* name, const char* fallback);
  std::vector<int64_t> Ints(const char* name);
  std::vector<double> Floats(const char* name);
  std::vector<std::string> Strings(const char* name);
  std::optional<ir::Tensor> TensorAttr(const char* name);
  const GraphProto* GraphAttr(const char* name);
  void IgnoreAttr(const char* name) { FindAttr(name); }

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
  // Product; kUnimplemented if it is not affine (two dynamic dimensions multiplied).
  ir::Dim Product(const ir::Shape& shape, size_t begin, size_t end);
  // Arithmetic on dims that fails the node where the result is not affine.
  ir::Dim Add(const ir::Dim& a, const ir::Dim& b);
  ir::Dim Sub(const ir::Dim& a, const ir::Dim& b);
  ir::Dim Mul(const ir::Dim& a, const ir::Dim& b);

  // --- emission ---
  // Appends a node with one output and infers its type. `type` is set before for the ops whose
  // result type is given by the front end. Small results of constants are folded.
  ir::Value* Emit(OpId op, std::vector<ir::Value*> inputs, AttrList attrs = {},
                  std::optional<TensorType> type = std::nullopt);
  std::vector<ir::Value*> EmitMany(OpId op, std::vector<ir::Value*> inputs, size_t outputs,
                                   AttrList attrs = {});
  // Wrappers that emit nothing where nothing is to be done.
  ir::Value* Reshape(ir::Value* x, ir::Shape shape);
  ir::Value* Transpose(ir::Value* x, std::vector<int64_t> perm);
  ir::Value* Cast(ir::Value* x, DType to);
  ir::Value* Expand(ir::Value* x, ir::Shape shape);
  ir::Value* Binary(OpId op, ir::Value* a, ir::Value* b) { return Emit(op, {a, b}); }
  ir::Value* Unary(OpId op, ir::Value* x) { return Emit(op, {x}); }
  ir::Value* Reduce(ReduceKind kind, ir::Value* x, std::vector<int64_t> axes, bool keepdims);
  // One step of 1 along `axis`: [start, start + length).
  ir::Value* SliceAxis(ir::Value* x, int64_t axis, int64_t start, ir::Dim length);

  // --- constants ---
  ir::Value* Constant(ir::Tensor tensor);
  ir::Value* Scalar(DType dtype, double v);  // Rank 0.
  ir::Value* ScalarLike(const ir::Value* x, double v) { return Scalar(x->dtype(), v); }
  ir::Value* IntVector(const std::vector<int64_t>& v);  // i64.
  // An i64 scalar with the value of `d`, computed from an input's shape if `d` is symbolic.
  ir::Value* DimValue(const ir::Dim& d);

  // --- for the importer ---
  const std::vector<ir::Value*>& results() const { return results_; }
  void RefuseLeftovers();
  Importer& importer() { return importer_; }
  const NodeProto& node() const { return node_; }

 private:
  const AttributeProto* FindAttr(const char* name);
  const AttributeProto* FindAttr(const char* name, int type);
  void Mark(size_t i);
  std::string NextName(OpId op);
  ir::Value* TryFold(ir::Node* node);
  ir::Value* Placeholder();

  Importer& importer_;
  const NodeProto& node_;
  const Row& row_;
  const int64_t opset_;
  std::vector<ir::Value*> inputs_;
  std::vector<bool> input_read_;
  std::vector<bool> attr_read_;
  std::vector<ir::Value*> results_;
  ir::Provenance provenance_;
  absl::Status status_;
  size_t emitted_ = 0;
};

}  // namespace floe::onnx

#endif  // FLOE_COMPILER_IMPORT_ONNX_BUILDER_H_
