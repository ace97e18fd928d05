// The schema's structs are the records of program.h, field by field.
#include <gtest/gtest.h>

#include <cstring>

#include "floe_generated.h"
#include "format/program.h"

namespace floe {
namespace {

// A record whose bytes are 1, 2, 3...: every field of the schema's struct must read the same number
// as the field of program.h.
template <typename Record>
Record Numbered() {
  uint8_t bytes[sizeof(Record)];
  for (size_t i = 0; i < sizeof(Record); ++i) bytes[i] = static_cast<uint8_t>(i + 1);
  Record r;
  std::memcpy(&r, bytes, sizeof(r));
  return r;
}
#define EXPECT_FIELD(field) EXPECT_EQ(r.field, f.field()) << #field
#define RECORD(Record, Fb)             \
  const Record r = Numbered<Record>(); \
  const fb::Fb f = Numbered<fb::Fb>(); \
  static_assert(sizeof(Record) == sizeof(fb::Fb))

TEST(SchemaTest, RecordsAreTheSchemasStructs) {
  {
    RECORD(SymbolDef, Symbol);
    EXPECT_FIELD(name);
    EXPECT_FIELD(kind);
    EXPECT_FIELD(min);
    EXPECT_FIELD(max);
    EXPECT_FIELD(multiple);
    EXPECT_FIELD(a);
    EXPECT_FIELD(b);
  }
  {
    RECORD(DimTerm, DimTerm);
    EXPECT_FIELD(symbol);
    EXPECT_FIELD(reserved);
    EXPECT_FIELD(coefficient);
  }
  {
    RECORD(DimExpr, DimExpr);
    EXPECT_FIELD(constant);
    EXPECT_FIELD(first_term);
    EXPECT_FIELD(term_count);
  }
  {
    RECORD(ValueDef, Value);
    EXPECT_FIELD(name);
    EXPECT_FIELD(dtype);
    EXPECT_FIELD(layout);
    EXPECT_FIELD(rank);
    EXPECT_FIELD(storage);
    EXPECT_FIELD(first_dim);
    EXPECT_FIELD(groups);
    EXPECT_FIELD(halo_top);
    EXPECT_FIELD(halo_bottom);
    EXPECT_FIELD(halo_gap);
    EXPECT_FIELD(halo_fill);
    EXPECT_FIELD(link);
    EXPECT_FIELD(offset);
    EXPECT_FIELD(bytes);
  }
  {
    RECORD(Instruction, Instruction);
    EXPECT_FIELD(kernel);
    EXPECT_FIELD(op);
    EXPECT_FIELD(input_count);
    EXPECT_FIELD(output_count);
    EXPECT_FIELD(block_count);
    EXPECT_FIELD(first_operand);
    EXPECT_FIELD(first_attr);
    EXPECT_FIELD(attr_count);
    EXPECT_FIELD(first_code);
    EXPECT_FIELD(code_count);
    EXPECT_FIELD(first_block);
    EXPECT_FIELD(name);
  }
  {
    RECORD(PwInstr, PwInstr);
    EXPECT_FIELD(op);
    EXPECT_FIELD(dst);
    EXPECT_FIELD(a);
    EXPECT_FIELD(b);
    EXPECT_FIELD(c);
    EXPECT_FIELD(operand);
    EXPECT_FIELD(reserved);
    EXPECT_FIELD(imm);
  }
  {
    RECORD(BlockDef, Block);
    EXPECT_FIELD(first_instruction);
    EXPECT_FIELD(instruction_count);
    EXPECT_FIELD(first_param);
    EXPECT_FIELD(param_count);
    EXPECT_FIELD(first_result);
    EXPECT_FIELD(result_count);
  }
  {
    RECORD(MethodDef, Method);
    EXPECT_FIELD(name);
    EXPECT_FIELD(block);
    EXPECT_FIELD(first_bucket);
    EXPECT_FIELD(bucket_count);
  }
  {
    RECORD(StateDef, State);
    EXPECT_FIELD(name);
    EXPECT_FIELD(value);
    EXPECT_FIELD(bytes);
    EXPECT_FIELD(init_offset);
    EXPECT_FIELD(init_bytes);
  }
  {
    RECORD(BucketDef, Bucket);
    EXPECT_FIELD(first_max);
    EXPECT_FIELD(reserved);
    EXPECT_FIELD(arena_bytes);
    EXPECT_FIELD(scratch_bytes);
    EXPECT_FIELD(first_offset);
  }
  {
    RECORD(GoldenDef, Golden);
    EXPECT_FIELD(method);
    EXPECT_FIELD(tensor_count);
    EXPECT_FIELD(first_tensor);
    EXPECT_FIELD(reserved);
    EXPECT_FIELD(rtol);
    EXPECT_FIELD(atol);
  }
  {
    RECORD(GoldenTensor, GoldenTensor);
    EXPECT_FIELD(dtype);
    EXPECT_FIELD(rank);
    EXPECT_FIELD(is_output);
    EXPECT_FIELD(reserved);
    EXPECT_FIELD(position);
    EXPECT_FIELD(offset);
    EXPECT_FIELD(bytes);
    ASSERT_EQ(f.dims()->size(), static_cast<size_t>(kMaxRank));
    for (uint32_t a = 0; a < kMaxRank; ++a) EXPECT_EQ(r.dims[a], f.dims()->Get(a));
  }
}

}  // namespace
}  // namespace floe
