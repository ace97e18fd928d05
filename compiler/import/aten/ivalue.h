// The ATen layer: PyTorch's operators in terms of IR, shared by the torch.export and the
// TorchScript front ends. Read this header first; then variable.h, context.h (what a front end
// calls), op_builder.h (what a converter sees) and any ops_*.cc (the table: a row for each op).
//
//   ivalue.h      values of PyTorch's interpreter: tensors, numbers, lists, ...
//   variable.h    tensors that can be written in place and shared by views
//   schema.h      signatures of the ATen overloads (schemas.txt), defaults, overload resolution
//   promotion.h   PyTorch's rules for the dtype of a result
//   context.h     calls: schema, defaults, row, in-place forms, views; bodies of control flow
//   op_builder.h  a converter's view of one call
//   ops_*.cc      rows and converters by family; table.cc collects them
//
// Numbers, strings and containers are computed while the model is read; only tensors, and scalars
// that depend on tensors' data, become IR.
#ifndef FLOE_COMPILER_IMPORT_ATEN_IVALUE_H_
#define FLOE_COMPILER_IMPORT_ATEN_IVALUE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "compiler/ir/graph.h"

namespace floe::aten {

class IValue;
class Variable;
using VariablePtr = std::shared_ptr<Variable>;

enum class Kind : uint8_t {
  kNone,
  kTensor,
  kInt,  // Dtypes, layouts and memory formats too, in c10's numbering.
  kFloat,
  kBool,
  kString,
  kList,
  kTuple,
  kDict,
  kDevice,
  kForeign,
};

// "Tensor", "int", ...
const char* KindName(Kind kind);

// Something that only a front end understands, such as a module.
class Foreign {
 public:
  virtual ~Foreign() = default;
  virtual std::string TypeName() const = 0;
};

// Lists and dicts are shared and mutable, as in Python.
struct List {
  std::vector<IValue> items;
  Kind element = Kind::kNone;  // Of the declared type; kNone: not known. Matters when it is empty.
};
struct Dict {
  std::vector<std::pair<IValue, IValue>> items;  // In order of insertion.
};

// A scalar whose value is known at run time only: a rank-0 tensor of i64, f64 or bool. `*_known`
// tells; the getters of numbers REQUIRE a known one.
class IValue {
 public:
  IValue() = default;  // None.
  static IValue Tensor(VariablePtr variable);
  static IValue Int(ir::Dim value);
  static IValue Float(double value);
  static IValue Bool(bool value);
  static IValue Scalar(Kind kind, VariablePtr rank0);  // kInt, kFloat or kBool, at run time.
  static IValue String(std::string value);
  static IValue Device(std::string value);
  static IValue ListOf(std::vector<IValue> items, Kind element = Kind::kNone);
  static IValue TupleOf(std::vector<IValue> items);
  static IValue NewDict();
  static IValue Ints(const std::vector<int64_t>& values);
  static IValue Of(std::shared_ptr<Foreign> foreign);

  Kind kind() const { return kind_; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_tensor() const { return kind_ == Kind::kTensor; }
  bool is_number() const {
    return kind_ == Kind::kInt || kind_ == Kind::kFloat || kind_ == Kind::kBool;
  }
  bool is_sequence() const { return kind_ == Kind::kList || kind_ == Kind::kTuple; }
  // A number that is known now, if only as an expression of symbols.
  bool is_known() const { return is_number() && variable() == nullptr; }

  // The tensor, or the scalar at run time; else null.
  const VariablePtr& variable() const;
  const ir::Dim& dim() const { return std::get<ir::Dim>(data_); }  // kInt.
  // A kInt that is a plain number.
  bool is_constant_int() const { return kind_ == Kind::kInt && is_known() && dim().is_constant(); }
  int64_t int_value() const { return dim().constant(); }
  double float_value() const { return std::get<double>(data_); }
  bool bool_value() const { return std::get<bool>(data_); }
  const std::string& string() const { return std::get<std::string>(data_); }  // kDevice too.
  std::vector<IValue>& items() const { return std::get<std::shared_ptr<List>>(data_)->items; }
  const std::shared_ptr<List>& list() const { return std::get<std::shared_ptr<List>>(data_); }
  const std::shared_ptr<Dict>& dict() const { return std::get<std::shared_ptr<Dict>>(data_); }
  const std::shared_ptr<Foreign>& foreign() const {
    return std::get<std::shared_ptr<Foreign>>(data_);
  }

  // For messages: "Tensor", "int 3", "list of 2".
  std::string Describe() const;

 private:
  Kind kind_ = Kind::kNone;
  std::variant<std::monostate, VariablePtr, ir::Dim, double, bool, std::string,
               std::shared_ptr<List>, std::shared_ptr<Dict>, std::shared_ptr<Foreign>>
      data_;
};

// c10::ScalarType, the numbers that stand for dtypes in TorchScript and in schemas' defaults.
// kNone for those that Floe has no dtype for (complex, quantised, sub-byte); -1 for kNone.
DType DTypeOfScalarType(int64_t scalar_type);
int64_t ScalarTypeOfDType(DType dtype);
// Of complex types: the type of their parts; kNone for others. And back.
DType RealPartOfScalarType(int64_t scalar_type);
int64_t ComplexScalarTypeOf(DType part);

}  // namespace floe::aten

#endif  // FLOE_COMPILER_IMPORT_ATEN_IVALUE_H_
