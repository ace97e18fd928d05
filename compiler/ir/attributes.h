// The attribute lists of format/ops.def, parsed once.
#ifndef FLOE_COMPILER_IR_ATTRIBUTES_H_
#define FLOE_COMPILER_IR_ATTRIBUTES_H_

#include <span>
#include <string_view>

#include "format/ops.h"

namespace floe::ir {

// In the order of the alternatives of ir::Attr.
enum class AttrType { kInt, kFloat, kInts, kFloats };

struct AttrSpec {
  std::string_view name;  // Points into the op table.
  AttrType type;
};

// The attributes of `op` in encoding order. Static storage; thread-safe.
std::span<const AttrSpec> AttrSpecs(OpId op);
const char* AttrTypeName(AttrType type);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_ATTRIBUTES_H_
