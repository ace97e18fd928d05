// Apart from the op table (ops.cc), which only the compiler and the reference kernels need: the
// core names ops in messages and profiles.
#include "format/ops.h"
#include "format/string_list.h"

namespace floe {
namespace {

constexpr char kOpNames[] =
#define FLOE_OP(id, name, min_inputs, max_inputs, outputs, attrs, operands) name "\0"
#include "format/ops.def"
#undef FLOE_OP
    ;

}  // namespace

const char* OpName(uint16_t op) {
  return op < static_cast<uint16_t>(OpId::kCount) ? StringAt(kOpNames, op) : "?";
}

}  // namespace floe
