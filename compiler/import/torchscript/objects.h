// What the interpreter's values can be besides tensors, numbers, strings and containers.
#ifndef FLOE_COMPILER_IMPORT_TORCHSCRIPT_OBJECTS_H_
#define FLOE_COMPILER_IMPORT_TORCHSCRIPT_OBJECTS_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/aten/ivalue.h"
#include "compiler/import/torchscript/ast.h"
#include "compiler/import/torchscript/types.h"

namespace floe::torchscript {

struct SourceUnit;

// A class of the code/ folder.
struct ClassInfo {
  std::string name;  // "__torch__.nets.Net"
  const ClassDef* def = nullptr;
  const SourceUnit* unit = nullptr;
  std::map<std::string, const FunctionDef*> methods;
  std::map<std::string, TypePtr> attributes;           // Declared types; fields of a named tuple.
  std::vector<std::string> attribute_order;            // As declared.
  std::map<std::string, const Expr*> constants;        // name : Final[T] = value
  std::map<std::string, aten::IValue> constant_cache;  // Evaluated ones.
  std::vector<std::string> forward_hooks;
  std::vector<std::string> forward_pre_hooks;
};

// An instance: of a module, or of a plain class.
class Object : public aten::Foreign {
 public:
  explicit Object(ClassInfo* info, std::string object_path)
      : cls(info), path(std::move(object_path)) {}
  std::string TypeName() const override { return cls->name; }

  ClassInfo* const cls;
  const std::string path;  // "layer1.0.conv1"; "" for the model itself.
  std::map<std::string, aten::IValue> attributes;
};
using ObjectPtr = std::shared_ptr<Object>;

// A class, a free function or a method as a value, or a step on the way to one ("__torch__.nets").
class NameRef : public aten::Foreign {
 public:
  explicit NameRef(std::string n) : name(std::move(n)) {}
  std::string TypeName() const override { return name; }
  const std::string name;
};

// A member of an enum class.
class EnumMember : public aten::Foreign {
 public:
  EnumMember(std::string c, std::string n, aten::IValue v)
      : cls(std::move(c)), name(std::move(n)), value(std::move(v)) {}
  std::string TypeName() const override { return cls + "." + name; }
  const std::string cls;
  const std::string name;
  const aten::IValue value;
};

// An object of PyTorch's own C++ classes, with the state that the file holds for it.
class NativeObject : public aten::Foreign {
 public:
  NativeObject(std::string c, aten::IValue s) : cls(std::move(c)), state(std::move(s)) {}
  std::string TypeName() const override { return cls; }
  const std::string cls;  // "__torch__.torch.classes.quantized.LinearPackedParamsBase"
  const aten::IValue state;
};

// A quantised tensor: integers and what they stand for.
class QuantizedTensor : public aten::Foreign {
 public:
  std::string TypeName() const override { return "quantized Tensor"; }
  aten::VariablePtr values;  // i8, u8 or i32.
  bool per_channel = false;
  aten::IValue scale;       // float, or a Tensor of one for each channel.
  aten::IValue zero_point;  // int, or a Tensor.
  int64_t axis = 0;
  int64_t scalar_type = 13;  // c10's number: 12 qint8, 13 quint8, 14 qint32.
};

// What `uninitialized(T)` gives: a variable that is not read on the paths where it has no value.
class Uninitialized : public aten::Foreign {
 public:
  explicit Uninitialized(TypePtr t) : type(std::move(t)) {}
  std::string TypeName() const override { return "uninitialized " + type->ToString(); }
  const TypePtr type;
};

// A value that could not be computed, because an unsupported op would make it. Everything that is
// computed from it is unknown as well, so that one run finds all unsupported ops.
class Unknown : public aten::Foreign {
 public:
  std::string TypeName() const override { return "unknown value"; }
};

// A constant or attribute of the file that has no representation here. The reason is told when it
// is used first.
class Unreadable : public aten::Foreign {
 public:
  explicit Unreadable(std::string r) : reason(std::move(r)) {}
  std::string TypeName() const override { return "unreadable value"; }
  const std::string reason;
};

// The object behind a value if it is a T; else null.
template <typename T>
std::shared_ptr<T> As(const aten::IValue& value) {
  if (value.kind() != aten::Kind::kForeign) return nullptr;
  return std::dynamic_pointer_cast<T>(value.foreign());
}

inline aten::IValue UnknownValue() { return aten::IValue::Of(std::make_shared<Unknown>()); }
inline bool IsUnknown(const aten::IValue& value) { return As<Unknown>(value) != nullptr; }
// Whether the value or, through lists, tuples and dicts, a part of it is unknown.
bool HasUnknown(const aten::IValue& value, int depth = 0);

}  // namespace floe::torchscript

#endif  // FLOE_COMPILER_IMPORT_TORCHSCRIPT_OBJECTS_H_
