// The IR: a typed SSA graph with symbolic shapes and provenance. Read this header first; then
// text.h (the dump that one can read, and read back), shapes.h (shape rules), control.h (branches,
// loops, checks), evaluate.h (runs a graph on the reference ops) and ../passes/pass.h.
//
//   Graph owns Nodes and Values. A Node applies one op of format/ops.def to Values and defines new
//   Values. Nodes are kept in a topological order: definitions come before uses. A Value is a graph
//   input, a constant, the content of a state, or an output of one Node. Dimension order is the
//   front end's logical order (ONNX: NCHW); physical layout is decided later, in compiler/lower.
//
// Pointers to Nodes and Values stay valid until they are erased. Not thread-safe.
#ifndef FLOE_COMPILER_IR_GRAPH_H_
#define FLOE_COMPILER_IR_GRAPH_H_

#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "compiler/ir/dim.h"
#include "format/dtype.h"
#include "format/ops.h"
#include "format/pointwise.h"

namespace floe::ir {

// A dense row-major tensor of known shape. The bytes are shared and immutable; they may live in a
// mapped model file, which `owner` keeps alive. Copying a Tensor is cheap.
class Tensor {
 public:
  Tensor() = default;
  // Allocates zeroed, 64-byte aligned storage, to be filled through mutable_data() before sharing.
  Tensor(DType dtype, std::vector<int64_t> dims);
  // Borrows `data` (64-byte alignment not required) for as long as `owner` lives.
  Tensor(DType dtype, std::vector<int64_t> dims, const void* data,
         std::shared_ptr<const void> owner);

  // Copies `values`, which are as many as the dims say; T is the dtype's C++ type.
  template <typename T>
  static Tensor Of(DType dtype, std::vector<int64_t> dims, std::span<const T> values);

  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& dims() const { return dims_; }
  int64_t count() const;  // Elements.
  int64_t bytes() const { return count() * DTypeSize(dtype_); }
  const void* data() const { return data_; }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data_);
  }
  void* mutable_data();  // REQUIRES: made by the allocating constructor.
  template <typename T>
  T* mutable_as() {
    return static_cast<T*>(mutable_data());
  }
  // The same bytes under other dims. REQUIRES: an equal number of elements.
  Tensor WithDims(std::vector<int64_t> dims) const;
  // Element i of an integer or bool tensor / of any tensor as double.
  int64_t IntAt(int64_t i) const;
  double DoubleAt(int64_t i) const;
  // Writes element i, converted to the dtype (floats round to nearest even). REQUIRES: as
  // mutable_data().
  void SetInt(int64_t i, int64_t v);
  void SetDouble(int64_t i, double v);
  // Equal dtype, dims and bytes.
  bool BytesEqual(const Tensor& other) const;
  // Hash of dtype, dims and bytes; reads them all.
  uint64_t ContentHash() const;

 private:
  DType dtype_ = DType::kNone;
  std::vector<int64_t> dims_;
  const void* data_ = nullptr;
  std::shared_ptr<const void> owner_;
};

template <typename T>
Tensor Tensor::Of(DType dtype, std::vector<int64_t> dims, std::span<const T> values) {
  Tensor t(dtype, std::move(dims));
  if (!values.empty()) std::memcpy(t.mutable_data(), values.data(), values.size_bytes());
  return t;
}

// An attribute's value; which alternative is fixed by the op's row in ops.def.
using Attr = std::variant<int64_t, double, std::vector<int64_t>, std::vector<double>>;

// Where a node comes from in the user's model. Merged nodes keep the first one's.
struct Provenance {
  std::string node;    // The user's name of the node: "/layer1/layer1.0/conv1/Conv".
  std::string source;  // Source file and line, where the model has them; else empty.
};

class Node;
class Graph;

class Value {
 public:
  const std::string& name() const { return name_; }  // Unique in the graph, never empty.
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  size_t rank() const { return shape_.size(); }
  // Null for graph inputs, constants and contents of states.
  Node* producer() const { return producer_; }
  int output_index() const { return output_index_; }
  bool is_constant() const { return constant_.has_value(); }
  const Tensor& constant() const { return *constant_; }  // REQUIRES: is_constant().
  // One entry per operand slot that reads this value, in no particular order.
  const std::vector<Node*>& users() const { return users_; }

  void set_type(DType dtype, Shape shape) {
    dtype_ = dtype;
    shape_ = std::move(shape);
  }
  // The concrete shape. REQUIRES: every dim is a number.
  std::vector<int64_t> StaticShape() const;
  bool HasStaticShape() const;

  // For small integer and bool tensors (at most 64 elements) whose content is known as dims (shape
  // arithmetic), in row-major order. Set by shape inference and, for constants, by AddConstant.
  std::optional<std::vector<Dim>> content;

 private:
  friend class Graph;
  std::string name_;
  DType dtype_ = DType::kNone;
  Shape shape_;
  Node* producer_ = nullptr;
  int output_index_ = 0;
  std::optional<Tensor> constant_;
  std::vector<Node*> users_;
  std::list<std::unique_ptr<Value>>::iterator self_;
};

class Node {
 public:
  Node();
  ~Node();
  OpId op() const { return op_; }
  const std::vector<Value*>& inputs() const { return inputs_; }    // Null: absent optional operand.
  const std::vector<Value*>& outputs() const { return outputs_; }  // Null: absent trailing output.
  Value* input(size_t i) const { return i < inputs_.size() ? inputs_[i] : nullptr; }
  Value* output(size_t i = 0) const { return i < outputs_.size() ? outputs_[i] : nullptr; }

  // Attributes by name. Getters REQUIRE that the attribute is set and has that type.
  std::map<std::string, Attr, std::less<>> attrs;
  int64_t Int(std::string_view attr_name) const;
  double Float(std::string_view attr_name) const;
  const std::vector<int64_t>& Ints(std::string_view attr_name) const;

  // kPointwise: the region over inputs. kConv, kGemm, kMatMul: the epilogue; its operand i is input
  // `epilogue_begin` + i, and epilogue_begin is 2 (a bias or c is part of the code then). kSoftmax:
  // the prologue, likewise, with epilogue_begin 1. Empty: none.
  std::vector<PwInstr> code;
  uint32_t epilogue_begin = 0;

  // kIf: what runs if the condition holds, and what runs otherwise. kLoop: what runs in each
  // iteration. Else empty. See control.h.
  std::vector<std::unique_ptr<Graph>> bodies;
  // kCheck: what the failure says. Else empty.
  std::string message;

  Provenance provenance;

 private:
  friend class Graph;
  OpId op_ = OpId::kIdentity;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  std::list<std::unique_ptr<Node>>::iterator self_;
};

// A tensor that lives from run to run: a cache, a hidden state. Only the outermost graph has any.
struct State {
  std::string name;         // Unique among the states; part of the file.
  Tensor initial;           // Its type is the state's.
  Value* value = nullptr;   // What it holds at the start of a run.
  Value* result = nullptr;  // What it holds after the run, of the same type; null: what it held.
};

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  std::string name;
  std::vector<Symbol> symbols;
  // The symbol of that name, made with the given bounds if it is new.
  // REQUIRES: this is no body. Bodies keep copies of the outermost graph's symbols.
  SymbolId GetSymbol(std::string_view symbol_name, int64_t min = 1, int64_t max = 1);
  // Whether the graph is the body of a control node (control.h).
  bool is_body = false;

  const std::vector<Value*>& inputs() const { return inputs_; }
  const std::vector<Value*>& outputs() const { return outputs_; }
  // The user's names of the outputs, parallel to outputs() (a value may be two outputs).
  std::vector<std::string> output_names;

  Value* AddInput(std::string input_name, DType dtype, Shape shape);
  Value* AddConstant(std::string constant_name, Tensor tensor);  // Name is made unique.
  void AddOutput(Value* value, std::string output_name);
  void SetOutput(size_t index, Value* value);
  void RemoveInput(size_t index);  // REQUIRES: it has no users and is no output.
  void RemoveOutput(size_t index);
  void SetInputOrder(std::vector<Value*> order);  // REQUIRES: the same inputs.

  // States, in the order in which they were added.
  const std::vector<State>& states() const { return states_; }
  // Adds a state and gives what it holds at the start of a run. REQUIRES: this is no body.
  Value* AddState(std::string state_name, Tensor initial);
  // What the state holds after the run, copied when everything else has run. Like an output,
  // `value` is kept alive by this. The state's own value means: it stays.
  void SetStateResult(size_t index, Value* value);

  // Appends a node (or inserts it before `before`). Outputs are made untyped, named after
  // `output_names` (made unique; an empty name is an absent output); shape inference types them.
  Node* AddNode(OpId op, std::vector<Value*> inputs, std::vector<std::string> output_names,
                Provenance provenance, Node* before = nullptr);
  void SetInput(Node* node, size_t index, Value* value);
  void AddOperand(Node* node, Value* value);          // Appends an operand.
  void RemoveOperandsFrom(Node* node, size_t index);  // Drops operands [index, end).
  void RemoveOperand(Node* node, size_t index);       // Later operands move up.
  // Appends a result to a node, untyped.
  Value* AddResult(Node* node, std::string value_name);
  // Drops a result; later ones move up. REQUIRES: it has no users and is no graph output.
  void RemoveResult(Node* node, size_t index);
  // Redirects every use (graph outputs and states' results included) of `from` to `to`.
  void ReplaceAllUses(Value* from, Value* to);
  // Erases the node and its outputs. REQUIRES: they have no users and are no graph outputs.
  void Erase(Node* node);
  // Drops one output of a node: it becomes absent. REQUIRES: it has no users and is no graph
  // output.
  void EraseOutput(Node* node, size_t index);
  void EraseUnusedConstants();
  void Rename(Value* value, std::string wanted);  // The name is made unique.
  // Whether it is an output of the graph or what a state becomes: something that outlives the
  // nodes.
  bool IsOutput(const Value* value) const;
  void MoveBefore(Node* node, Node* before);

  // Nodes in order. Stable while others are added or erased.
  const std::list<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  std::vector<Node*> NodeList() const;  // A snapshot, for passes that edit.
  // In the order in which they were made.
  const std::list<std::unique_ptr<Value>>& values() const { return values_; }
  Value* FindValue(std::string_view value_name) const;

 private:
  std::string UniqueName(std::string wanted);
  Value* NewValue(std::string value_name);
  void EraseValue(Value* value);

  std::list<std::unique_ptr<Value>> values_;
  std::list<std::unique_ptr<Node>> nodes_;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  std::vector<State> states_;
  std::map<std::string, Value*, std::less<>> by_name_;
  std::map<std::string, int, std::less<>> next_suffix_;  // For names that were taken.
};

// The attribute words of `node` in the order of ops.def (format/attrs.h). Missing ones are refused
// by the verifier, so REQUIRES: the node passed Verify (verify.h).
std::vector<int64_t> AttrWords(const Node& node);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_GRAPH_H_
