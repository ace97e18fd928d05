// The schema's structs and program.h's records are the same bytes: views are reinterpreted, never
// converted. Included by the reader's and the writer's own files only.
#ifndef FLOE_FORMAT_RECORDS_H_
#define FLOE_FORMAT_RECORDS_H_

#include <type_traits>

#include "floe_generated.h"
#include "format/program.h"

namespace floe {

// The schema's struct of a record (tests/format/schema_test.cc compares every field's offset).
template <typename Record>
struct FbOf;

#define FLOE_RECORD(Record, Schema)                      \
  template <>                                            \
  struct FbOf<Record> {                                  \
    using Type = fb::Schema;                             \
  };                                                     \
  static_assert(sizeof(Record) == sizeof(fb::Schema));   \
  static_assert(alignof(Record) == alignof(fb::Schema)); \
  static_assert(std::is_trivially_copyable_v<Record>);   \
  static_assert(std::is_standard_layout_v<Record>)
FLOE_RECORD(SymbolDef, Symbol);
FLOE_RECORD(DimTerm, DimTerm);
FLOE_RECORD(DimExpr, DimExpr);
FLOE_RECORD(ValueDef, Value);
FLOE_RECORD(Instruction, Instruction);
FLOE_RECORD(PwInstr, PwInstr);
FLOE_RECORD(BlockDef, Block);
FLOE_RECORD(MethodDef, Method);
FLOE_RECORD(StateDef, State);
FLOE_RECORD(BucketDef, Bucket);
FLOE_RECORD(GoldenDef, Golden);
FLOE_RECORD(GoldenTensor, GoldenTensor);
#undef FLOE_RECORD

}  // namespace floe

#endif  // FLOE_FORMAT_RECORDS_H_
