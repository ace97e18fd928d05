// Turns pointwise nodes into pointwise code (format/pointwise.h).
#ifndef FLOE_COMPILER_PASSES_CODE_BUILDER_H_
#define FLOE_COMPILER_PASSES_CODE_BUILDER_H_

#include <map>
#include <optional>
#include <vector>

#include "compiler/ir/graph.h"
#include "format/pointwise.h"

namespace floe::passes {

// Whether pointwise code can say what the node does: its op is in the bytecode and every operand
// and the result have dtypes that the bytecode keeps exactly.
bool IsExpressible(const ir::Node& node);

// Builds one program. Values that no added node defines become operands, in order of first use;
// scalar constants become immediates. Code is written for as many registers as it likes and then
// fitted into the machine's 16.
class CodeBuilder {
 public:
  // `accumulator`: the value that r0 holds at the start of an epilogue or prologue; null: a region.
  explicit CodeBuilder(const ir::Value* accumulator = nullptr);

  // REQUIRES: IsExpressible(node), and the nodes that define its operands were added before or are
  // not part of the program.
  void Add(const ir::Node& node);
  // r0 += operand: the bias of a product, before any node. The accumulator becomes the sum.
  void AddBias(ir::Value* bias);

  const std::vector<ir::Value*>& operands() const { return operands_; }
  // The program whose r0 is `result` (defined by an added node, or the accumulator) at the end.
  // Absent if it is too long, has too many operands or needs too many registers.
  std::optional<std::vector<PwInstr>> Finish(const ir::Value* result) const;

 private:
  using Reg = int;  // A virtual register: written once.
  struct Instr {
    PwOp op;
    Reg a, b, c;
    int operand;
    float imm;
  };

  Reg Emit(PwOp op, Reg a = -1, Reg b = -1, Reg c = -1, float imm = 0.0f);
  Reg Const(double v) { return Emit(PwOp::kConst, -1, -1, -1, static_cast<float>(v)); }
  Reg Load(ir::Value* value);
  Reg Of(ir::Value* value);  // Of an operand of a node: computed, loaded or constant.
  Reg Binary(const ir::Node& node);
  Reg BinaryWithNumber(const ir::Node& node, Reg x, double number, bool number_first);
  Reg PowerOf(Reg x, double exponent);
  Reg Unary(const ir::Node& node);
  Reg Composite(const ir::Node& node, Reg x);
  Reg Predicate(const ir::Node& node, Reg x);
  Reg Conversion(const ir::Node& node);

  std::vector<Instr> instrs_;  // Register i is written by instruction i.
  std::vector<ir::Value*> operands_;
  std::map<const ir::Value*, Reg> values_;  // Looked up only.
  // Quantised values before they are limited to their dtype, which a store does.
  std::map<const ir::Value*, Reg> unbounded_;
  const ir::Value* accumulator_;
};

}  // namespace floe::passes

#endif  // FLOE_COMPILER_PASSES_CODE_BUILDER_H_
