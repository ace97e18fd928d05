// Branches, loops and checks: what the nodes mean, and how front ends make them.
//
//   if     inputs: condition (bool scalar), captures...
//          bodies: then, else; a body's inputs are the captures, its outputs the node's results
//   loop   inputs: trips (i64 scalar), condition (bool scalar), carried..., captures...
//          body: inputs iteration (i64 scalar), carried..., captures...; outputs condition,
//          carried...; runs while the condition holds and iteration < trips; the results are the
//          last carried values. Attribute `carried` is their number. More than `max_trips`
//          iterations fail the run: the cost of a program is known before it runs.
//   check  input: a bool tensor. If any element is false, the run fails and says `message` and the
//          node's provenance. No results; kept by every pass unless it is proven to hold.
//
// A body is a Graph of its own with the outermost graph's symbols (same ids). It sees nothing of
// what is around it but its inputs; constants may be its own. Branches agree in the dtypes and
// shapes of their outputs; carried values keep theirs. Bodies nest, at most kMaxBodyDepth deep.
//
//   BodyBuilder then(graph, "then"), otherwise(graph, "else");
//   Value* x = then.Capture(outer_x);                 // A constant's copy, or an input: made once.
//   ... nodes in then.graph() ...
//   then.graph().AddOutput(y, "y");
//   FLOE_TRY_ASSIGN(Node * node, AddIf(graph, condition, std::move(then), std::move(otherwise),
//                                      {"y"}, provenance));
//
//   size   input: an i64 scalar. Sets the data symbol (dim.h) that is the result's content for the
//          rest of the run; a value outside of the symbol's bounds fails it. Not in bodies.
//
// Run-time checks and symbols: AddDim gives a dimension as a scalar to compute and compare with.
#ifndef FLOE_COMPILER_IR_CONTROL_H_
#define FLOE_COMPILER_IR_CONTROL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"
#include "format/limits.h"

namespace floe::ir {

// The method's own graph is not counted. The format allows blocks 32 deep, the method's included.
inline constexpr uint32_t kMaxBodyDepth = kMaxBlockDepth - 1;
// The bound of a loop whose number of iterations is not known when it is compiled.
inline constexpr int64_t kDefaultMaxTrips = int64_t{1} << 16;
// The maximum of a data symbol for which nothing gives one: the user must (BoundSizes).
inline constexpr int64_t kUnboundedSize = kMaxSymbolValue;

// Whether the node has bodies.
inline bool HasBodies(const Node& node) {
  return node.op() == OpId::kIf || node.op() == OpId::kLoop;
}
// Whether running the node can be observed beyond its results: a check, or control flow around one.
bool HasEffects(const Node& node);

// What a loop starts with.
struct LoopOperands {
  Value* trips = nullptr;      // Null: only the condition ends the loop.
  Value* condition = nullptr;  // Null: the first iteration runs unconditionally.
  std::vector<Value*> carried;
  // 0: what is known of `trips`, or kDefaultMaxTrips.
  int64_t max_trips = 0;
};

// Makes one body. `outer` is the graph that the node will be in; it must outlive the builder.
class BodyBuilder {
 public:
  BodyBuilder(const Graph& outer, std::string name);

  Graph& graph() { return *graph_; }
  // A loop's iteration and carried values, in this order.
  Value* AddParam(std::string name, DType dtype, Shape shape);
  // What stands for a value of `outer` in the body. The same value gives the same answer.
  Value* Capture(Value* outer_value);
  // The captured values that are inputs of the body, in their order.
  const std::vector<Value*>& captures() const { return captures_; }

 private:
  friend absl::StatusOr<Node*> AddIf(Graph&, Value*, BodyBuilder, BodyBuilder,
                                     std::vector<std::string>, Provenance, Node*);
  friend absl::StatusOr<Node*> AddLoop(Graph&, LoopOperands, BodyBuilder, std::vector<std::string>,
                                       Provenance, Node*);

  const Graph* outer_;
  std::unique_ptr<Graph> graph_;
  std::vector<Value*> params_;
  std::vector<Value*> captures_;
  std::map<const Value*, Value*> inside_;  // Only looked up.
};

// Appends (or inserts before `before`) the node, typed. Both bodies have one output for each name.
// The error names the node and what does not fit; the graph is then not to be used further.
absl::StatusOr<Node*> AddIf(Graph& graph, Value* condition, BodyBuilder then_body,
                            BodyBuilder else_body, std::vector<std::string> output_names,
                            Provenance provenance, Node* before = nullptr);

// The body has the params iteration and carried... (AddParam) and the outputs condition, carried...
absl::StatusOr<Node*> AddLoop(Graph& graph, LoopOperands operands, BodyBuilder body,
                              std::vector<std::string> output_names, Provenance provenance,
                              Node* before = nullptr);

// Scalar constants.
Value* AddBool(Graph& graph, std::string name, bool v);
Value* AddInt(Graph& graph, std::string name, int64_t v);

// An expression of symbols as an i64 scalar.
absl::StatusOr<Value*> AddDim(Graph& graph, const Dim& dim, std::string name, Provenance provenance,
                              Node* before = nullptr);

// A size that only the run knows: makes a data symbol and gives the Size node's result, an i64
// scalar whose content is the symbol. What needs the size comes behind it.
absl::StatusOr<Value*> AddSize(Graph& graph, Value* count, std::string symbol_name, int64_t min,
                               int64_t max, Provenance provenance, Node* before = nullptr);

// Lowers the maximums of data symbols to what `bounds` says, by name. kInvalidArgument: names of no
// data symbol, or symbols that are left without a bound, all of them.
absl::Status BoundSizes(Graph& graph, const std::map<std::string, int64_t>& bounds);

// A check. `condition`: bool, any shape.
absl::StatusOr<Node*> AddCheck(Graph& graph, Value* condition, std::string message,
                               Provenance provenance, Node* before = nullptr);
// Checks `a compare b`, compare being kEqual, kNotEqual, kLess, kLessEqual, kGreater or
// kGreaterEqual. Adds nothing if the symbols' bounds say that it always holds.
absl::Status AddDimCheck(Graph& graph, const Dim& a, OpId compare, const Dim& b,
                         std::string message, Provenance provenance, Node* before = nullptr);
// Checks that `a` is a multiple of `divisor` > 0. Adds nothing if the symbols say so.
absl::Status AddMultipleCheck(Graph& graph, const Dim& a, int64_t divisor, std::string message,
                              Provenance provenance, Node* before = nullptr);

// Moves the body's nodes to `graph`, before `before` (null: to its end), with `arguments` for its
// inputs; gives what stands for its outputs. Also for functions that a front end read as bodies.
// The body is then empty of nodes.
std::vector<Value*> InlineBody(Graph& graph, Graph& body, std::span<Value* const> arguments,
                               Node* before);

// Gives all bodies below `graph` its symbols: after symbols were added or changed.
void SyncSymbols(Graph& graph);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_CONTROL_H_
