// What a converter sees: one ATen call and the IR under construction. Arguments are read by the
// names of the schema, defaults filled in. Errors are sticky (emitter.h).
#ifndef FLOE_COMPILER_IMPORT_ATEN_OP_BUILDER_H_
#define FLOE_COMPILER_IMPORT_ATEN_OP_BUILDER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/import/aten/context.h"
#include "compiler/import/aten/ivalue.h"
#include "compiler/import/aten/schema.h"
#include "compiler/import/emitter.h"

namespace floe::aten {

using import::AttrList;
using import::TensorType;

class OpBuilder;

// Maps one call; reports through the builder.
using Converter = void (*)(OpBuilder& b);
// For ops that return a view of their first tensor: the base's value in which the elements of the
// view are replaced by `view`. Reads the call's other arguments from `b` as the converter does.
using ViewWriter = ir::Value* (*)(OpBuilder& b, ir::Value* base, ir::Value* view);

// A row of the op table. `op` is "aten::add" (every overload that has no row of its own) or
// "aten::add.Scalar". In-place forms ("aten::add_") need no row: they are the plain op and a write.
// `ir` and `param` parameterise converters that many rows share.
struct Row {
  const char* op;
  Converter convert;
  OpId ir = OpId::kIdentity;
  int64_t param = 0;
  // Views: the results share memory with the first argument. Without a writer, writes are refused.
  bool is_view = false;
  ViewWriter write = nullptr;
};

// A number: known, or a rank-0 tensor at run time.
struct Number {
  Kind kind = Kind::kInt;       // kInt, kFloat or kBool.
  double value = 0;             // If known; ints beyond 2^53 are in `integer`.
  int64_t integer = 0;          // If known: the value truncated.
  ir::Value* tensor = nullptr;  // Else: i64, f64 or bool, rank 0.
};

class OpBuilder : public import::Emitter {
 public:
  OpBuilder(Context& context, const Schema& schema, const Row& row,
            const std::vector<IValue>& arguments, const CallSite& site);

  using Emitter::Scalar;    // A rank-0 constant.
  using Emitter::ScalarOf;  // The number of a constant value.

  Context& context() { return context_; }
  const Row& row() const { return row_; }
  const Schema& schema() const { return schema_; }
  const CallSite& site() const { return site_; }

  // --- arguments by name; REQUIRE that the schema has them unless they say otherwise ---
  bool HasArg(std::string_view name) const;  // In the schema.
  // Null if the schema has no such argument.
  const IValue* FindArg(std::string_view name) const;
  const IValue& Arg(std::string_view name);
  bool Given(std::string_view name) const;  // In the schema and not None.
  ir::Value* Tensor(std::string_view name);
  ir::Value* OptTensor(std::string_view name);  // Null for None, or if the schema has none.
  std::vector<ir::Value*> Tensors(std::string_view name);     // A list.
  std::vector<ir::Value*> OptTensors(std::string_view name);  // Tensor?[]: null for None.
  int64_t Int(std::string_view name);                         // A constant.
  int64_t Int(std::string_view name, int64_t fallback);       // For None or absent in the schema.
  ir::Dim SymInt(std::string_view name);
  std::vector<int64_t> Ints(std::string_view name);
  std::vector<ir::Dim> SymInts(std::string_view name);
  double Float(std::string_view name);
  double Float(std::string_view name, double fallback);
  std::vector<double> Floats(std::string_view name);
  bool Bool(std::string_view name);
  bool Bool(std::string_view name, bool fallback);
  std::string String(std::string_view name);
  Number Scalar(std::string_view name);
  Number ScalarOf(const IValue& v);
  // A dtype argument; `fallback` for None.
  DType DTypeArg(std::string_view name, DType fallback);
  std::vector<bool> Bools(std::string_view name);
  // Reads any value as a tensor (numbers become rank-0 constants of i64, f32 or bool).
  ir::Value* AsTensor(const IValue& v);

  // --- dtypes (promotion.h) ---
  // The common dtype of tensors and numbers; strings name arguments (lists count each member).
  DType ResultType(std::initializer_list<std::string_view> names);
  // The same, with ints and bools taken to f32.
  DType FloatType(std::initializer_list<std::string_view> names);
  // An argument (tensor or number) as an operand of `dtype`.
  ir::Value* Operand(std::string_view name, DType dtype);
  // A constant of a number in `dtype`, or the cast run-time scalar.
  ir::Value* NumberAs(const Number& n, DType dtype);

  // In a ViewWriter: which of the op's views is written (split, unbind); -1: it has one.
  int64_t view_index = -1;

  // Set by a converter of a view row whose result shares nothing this time (reshape() that copies).
  bool is_copy = false;

  // --- results, in the schema's order ---
  void Return(ir::Value* value);
  void Return(IValue value) { results_.push_back(std::move(value)); }
  void ReturnList(const std::vector<ir::Value*>& values);  // One result that is a list.
  // A complex tensor, from [..., 2].
  void ReturnComplex(ir::Value* pairs) {
    results_.push_back(context_.NewTensor(pairs, Form::kComplex));
  }
  std::vector<IValue>& results() { return results_; }

  // --- composition ---
  // Calls another op's converter with functional meaning: b.Call("aten::softmax.int", {x, 1,
  // None}). Returns its first result; a placeholder after an error.
  ir::Value* Call(const std::string& full_name, std::vector<IValue> positional);
  std::vector<IValue> CallMany(const std::string& full_name, std::vector<IValue> positional);
  // This op itself, with one value for each argument of its schema: what rows for other forms of
  // tensors make of plain ones.
  std::vector<IValue> CallPlain(std::vector<IValue> arguments);
  IValue Wrap(ir::Value* value) { return context_.NewTensor(value); }
  // In-place write of an argument: for ops with several written ones, or other than the first.
  void WriteArg(std::string_view name, ir::Value* value);

  // --- emission on top of Emitter ---
  ir::Value* Full(DType dtype, ir::Shape shape, double value);
  ir::Value* Where(ir::Value* condition, ir::Value* a, ir::Value* b);  // Broadcasts.
  ir::Value* Gather(ir::Value* x, ir::Value* indices, int64_t axis);
  ir::Value* Slice(ir::Value* x, int64_t axis, ir::Dim start, ir::Dim length, int64_t step = 1);
  ir::Value* Concat(std::vector<ir::Value*> xs, int64_t axis);
  ir::Value* Unsqueeze(ir::Value* x, int64_t axis);
  ir::Value* Squeeze(ir::Value* x, int64_t axis);
  ir::Value* Arange(ir::Dim length, DType dtype);  // 0, 1, ...
  ir::Value* MatMul(ir::Value* a, ir::Value* b);   // Ranks >= 2, batch axes broadcast.
  // Expands both to their broadcast shape.
  ir::Shape Broadcast(const ir::Shape& a, const ir::Shape& b);

 private:
  std::string NextName(OpId op) override;
  std::string ConstantName() override;
  ir::Dim DimOf(const IValue& v, std::string_view name);
  int64_t Known(const ir::Dim& d, std::string_view name);

  Context& context_;
  const Schema& schema_;
  const Row& row_;
  const std::vector<IValue>& arguments_;
  const CallSite& site_;
  std::vector<IValue> results_;
  size_t emitted_ = 0;
};

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_OP_BUILDER_H_
