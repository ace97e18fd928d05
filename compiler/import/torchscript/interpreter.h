// Runs printed code on values that are partly known: what is known is computed, tensor operations
// are emitted as IR through the ATen layer, and control flow that depends on data becomes nodes
// with bodies. One Interpreter makes one graph.
//
//   interpreter.cc   functions, methods, statements
//   expressions.cc   expressions and the special forms of the printed code
//   calls.cc         calls of operators: built-in functions, old versions' operators, ATen
//   control.cc       branches and loops on data, and what the two branches leave behind
//   builtins*.cc     functions on numbers, strings, containers and tensors' properties (a table)
//   quantized.cc     quantised operators as float operators between conversions
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_INTERPRETER_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_INTERPRETER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compiler/import/aten/context.h"
#include "compiler/import/torchscript/effects.h"
#include "compiler/import/torchscript/heap.h"
#include "compiler/import/torchscript/import.h"
#include "compiler/import/torchscript/objects.h"
#include "compiler/import/torchscript/program.h"

namespace floe::torchscript {

using aten::CallArguments;
using aten::CallSite;
using aten::IValue;

// The variables of one call of a function.
struct Frame {
  absl::flat_hash_map<std::string, IValue> variables;
  // Inner functions (of fork), by name.
  absl::flat_hash_map<std::string, const FunctionDef*> functions;
  const SourceUnit* unit = nullptr;
  std::string path;  // Of the module whose method runs.
  IValue result;
};

class Interpreter {
 public:
  // All of them outlive the interpreter. What has no mapping is added to `report`.
  Interpreter(Program& program, aten::Context& context, Heap& heap, const ImportOptions& options,
              CheckReport* report);

  absl::StatusOr<IValue> CallMethod(const ObjectPtr& self, const std::string& method,
                                    std::vector<IValue> arguments);
  // The model's forward, with its hooks.
  absl::StatusOr<IValue> Forward(const ObjectPtr& self, std::vector<IValue> arguments);

  // --- for built-in functions ---
  aten::Context& context() { return context_; }
  Program& program() { return program_; }
  // Calls an op of the ATen layer and gives its first result.
  absl::StatusOr<IValue> Aten(const std::string& full_name, std::vector<IValue> positional,
                              const CallSite& site);
  // A number as a rank-0 tensor of `dtype`, known or not.
  absl::StatusOr<aten::VariablePtr> NumberTensor(const IValue& number, DType dtype);
  // The element of a one-element tensor as a number of `kind`: known if it can be.
  absl::StatusOr<IValue> ElementOf(const IValue& tensor, aten::Kind kind, const CallSite& site);
  // Adds to the elements that containers made so far; refuses too many.
  absl::Status CountElements(size_t n);
  // Refuses containers and objects that are nested deep, or that would contain themselves: `value`
  // is about to be part of `holder` (null: of something new).
  absl::Status CheckNesting(const IValue& value, const void* holder);
  // Adds an op to the report.
  void Refuse(const std::string& op, const std::string& reason, const std::string& place);

 private:
  enum class Flow { kNext, kReturn };
  struct Paths;  // control.cc

  // --- interpreter.cc ---
  absl::StatusOr<IValue> CallFunction(const Function& function, const std::string& path,
                                      std::vector<IValue> positional,
                                      std::vector<std::pair<std::string, IValue>> keyword);
  absl::StatusOr<IValue> CallOfObject(const ObjectPtr& self, const std::string& method,
                                      CallArguments arguments);
  absl::Status RunBlock(const Block& block, Frame& frame, Flow* flow);
  absl::Status RunStatement(const Stmt& stmt, Frame& frame, Flow* flow);
  absl::Status Assign(const Stmt& stmt, Frame& frame);
  absl::Status Store(const Expr& target, IValue value, Frame& frame);
  absl::Status RunWith(const Stmt& stmt, Frame& frame, Flow* flow);
  absl::Status RunFor(const Stmt& stmt, Frame& frame, Flow* flow);
  absl::Status RunWhile(const Stmt& stmt, Frame& frame, Flow* flow);
  absl::Status RunIf(const Stmt& stmt, Frame& frame, Flow* flow);

  // --- expressions.cc ---
  absl::StatusOr<IValue> Eval(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> EvalComplex(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> EvalName(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> EvalAttribute(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> AttributeOf(const IValue& base, const std::string& name, const Expr& expr,
                                     Frame& frame);
  absl::StatusOr<IValue> EvalSubscript(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> EvalContainer(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> EvalCall(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> EvalSpecialForm(const Expr& expr, const std::string& name, Frame& frame,
                                         bool* handled);
  absl::StatusOr<IValue> Annotate(const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> ToList(const Expr& expr, const Type& type, Frame& frame);
  absl::StatusOr<IValue> Convert(const IValue& value, const Type& type, const Expr& expr,
                                 Frame& frame);
  absl::StatusOr<IValue> EnumMemberOf(const ClassInfo& info, const std::string& name);
  absl::StatusOr<CallArguments> EvalArguments(const Expr& call, Frame& frame);
  absl::StatusOr<IValue> CallNamed(const std::string& name, CallArguments arguments,
                                   const Expr& expr, Frame& frame);
  absl::Status RunHooks(const ObjectPtr& self, const std::vector<std::string>& hooks, bool pre,
                        std::vector<IValue>* arguments, IValue* result);

  // --- calls.cc ---
  absl::StatusOr<IValue> CallOperator(const std::string& name, CallArguments arguments,
                                      const Expr& expr, Frame& frame);
  absl::StatusOr<IValue> Dispatch(const std::string& name, CallArguments& arguments,
                                  const CallSite& site);
  absl::Status UpgradeCall(std::string* name, CallArguments* arguments, const CallSite& site);
  CallSite SiteOf(const std::string& op, const Expr& expr, const Frame& frame);

  // --- control.cc ---
  absl::Status RunDataIf(const Stmt& stmt, const IValue& condition, Frame& frame, Flow* flow);
  absl::Status RunDataLoop(const Stmt& stmt, const IValue& trips, const IValue& condition,
                           Frame& frame);
  // A branch or loop whose condition is unknown: looks for unsupported ops in it.
  absl::Status RunUnknown(const Stmt& stmt, Frame& frame);
  absl::Status CheckInstead(const Stmt& stmt, const IValue& condition, bool then_raises,
                            const absl::Status& raised, Frame& frame, Flow* flow);
  absl::Status Tolerate(const Stmt& stmt, const absl::Status& status, Frame& frame);

  absl::Status Error(const Expr& expr, const Frame& frame, const std::string& message) const;
  absl::Status Error(const Position& at, const Frame& frame, absl::StatusCode code,
                     const std::string& message) const;
  absl::Status Step(const Position& at, const Frame& frame);

  Program& program_;
  aten::Context& context_;
  ir::Graph& outermost_;
  Heap& heap_;
  const ImportOptions& options_;
  CheckReport* const report_;
  MutationFinder mutations_;
  std::map<std::string, size_t> unsupported_index_;
  int depth_ = 0;       // Of calls, statements and expressions within each other.
  int call_depth_ = 0;  // Of functions.
  int64_t steps_ = 0;   // Statements executed.
  int64_t elements_ = 0;
  int64_t insertions_ = 0;  // Of containers that can grow into others.
  std::string target_;      // The variable that the statement assigns, for names of values.
};

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_INTERPRETER_H_
