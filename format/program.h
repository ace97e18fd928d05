// A program in memory: plain records, in the file's own numbering, with no FlatBuffers in sight.
//
// The writer takes a ProgramView (spans over vectors that the compiler filled), the reader gives
// one (spans into its private copy of the metadata). Everything refers to everything by index:
//
//   method -> block -> instructions -> operands -> values -> dims -> symbols
//
// A method is an entry point. Its block's params are the method's inputs and its results the
// outputs, in order, under their values' names. Values are numbered program-wide. An instruction
// writes its results once (SSA); only states are read before they are written.
#ifndef FLOE_FORMAT_PROGRAM_H_
#define FLOE_FORMAT_PROGRAM_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "format/dtype.h"
#include "format/footprint.h"
#include "format/pointwise.h"
#include "format/tensor_info.h"

namespace floe {

class ErrorSink;

inline constexpr uint32_t kNoName = 0;  // String 0 is always "".

// Where a symbol's value comes from.
enum class SymbolKind : uint32_t {
  kInput = 0,     // The inputs' shapes.
  kProduct = 1,   // a * b, dims in which only earlier symbols occur.
  kFloorDiv = 2,  // floor(a / b); no value where b is 0 or less.
  kMax = 3,
  kMin = 4,
  kData = 5,  // A Size instruction, in the middle of every run; the maximum until then.
};

struct SymbolDef {
  uint32_t name = 0;
  uint32_t kind = 0;  // SymbolKind.
  int64_t min = 0;
  int64_t max = 0;       // Inclusive. A run whose value lies outside is refused.
  int64_t multiple = 1;  // Values are multiples of this; 1 unless the kind is kInput.
  uint32_t a = 0;        // Indices into dims; 0 where the kind has no operands.
  uint32_t b = 0;
};

struct DimTerm {
  uint32_t symbol = 0;
  uint32_t reserved = 0;
  int64_t coefficient = 0;
};

// constant + sum of coefficient * symbol over terms [first_term, first_term + term_count).
struct DimExpr {
  int64_t constant = 0;
  uint32_t first_term = 0;
  uint32_t term_count = 0;
};

enum class Storage : uint8_t {
  kNone = 0,      // Never stored: a constant of a section that the file does not have.
  kInput = 1,     // A method input: the caller's buffer.
  kOutput = 2,    // A method output: the caller's buffer. Written by exactly one instruction.
  kArena = 3,     // link = slot: arena_offsets[bucket.first_offset + slot].
  kConstant = 4,  // [offset, offset + bytes) of the section whose kind is link.
  kIndex = 5,     // Like kConstant, in section kIndices, copied out of the mapping and checked.
  kState = 6,     // link = state index; lives in the Session, outside the arena.
  kAlias = 7,     // link = value whose storage this one shares (dense, equal bytes); no chains.
  kDims = 8,      // i64, dense: element i is dim expression value_dims[offset + i]; filled at Bind.
};

struct ValueDef {
  uint32_t name = 0;
  uint8_t dtype = 0;
  uint8_t layout = 0;
  uint8_t rank = 0;
  uint8_t storage = 0;
  uint32_t first_dim = 0;  // value_dims[first_dim + axis] is an index into dims.
  int32_t groups = 1;      // Of layouts of convolutions (TensorInfo::groups); else 1.
  uint8_t halo_top = 0;
  uint8_t halo_bottom = 0;
  uint8_t halo_gap = 0;
  uint8_t halo_fill = 0;
  uint32_t link = 0;    // See Storage.
  uint64_t offset = 0;  // See Storage.
  uint64_t bytes = 0;   // Constants and indices: exact size; else 0.
};

struct Instruction {
  uint32_t op = 0;      // A string: the op that it came from, for messages.
  uint16_t kernel = 0;  // A family of backends/kernels.def.
  uint16_t input_count = 0;
  uint16_t output_count = 0;
  uint16_t block_count = 0;
  uint32_t first_operand =
      0;  // operands[...]: value indices, inputs then outputs; kNoIndex: absent.
  uint32_t first_attr = 0;
  uint32_t attr_count = 0;
  uint32_t first_code = 0;
  uint32_t code_count = 0;
  uint32_t first_block = 0;  // Consecutive blocks: then, else; or the loop's body.
  uint32_t name = 0;         // The user's node.
};

struct BlockDef {
  uint32_t first_instruction = 0;
  uint32_t instruction_count = 0;
  uint32_t first_param = 0;  // block_values[...].
  uint32_t param_count = 0;
  uint32_t first_result = 0;
  uint32_t result_count = 0;
};

struct MethodDef {
  uint32_t name = 0;
  uint32_t block = 0;
  uint32_t first_bucket = 0;
  uint32_t bucket_count = 0;  // At least 1; the last covers every symbol's max.
};

struct StateDef {
  uint32_t name = 0;
  uint32_t value = 0;  // Its dtype and (fixed) shape.
  uint64_t bytes = 0;
  uint64_t init_offset = 0;  // In section kConstants; init_bytes 0: zeros, else equal to bytes.
  uint64_t init_bytes = 0;
};

// A box of symbol values [symbol.min, bucket_max[first_max + symbol]] and its memory plan.
// Bind takes the first bucket of the method that covers the shapes, so the cheapest come first.
struct BucketDef {
  uint32_t first_max = 0;
  uint32_t reserved = 0;
  uint64_t arena_bytes = 0;
  uint64_t scratch_bytes = 0;  // For each worker: the maximum over the method's instructions.
  uint64_t first_offset = 0;
};

struct GoldenDef {
  uint32_t method = 0;
  uint32_t tensor_count = 0;
  uint32_t first_tensor = 0;
  uint32_t reserved = 0;
  double rtol = 0;  // Passes when max|y - golden| <= atol + rtol * max|golden|.
  double atol = 0;
};

struct GoldenTensor {
  uint8_t dtype = 0;
  uint8_t rank = 0;
  uint8_t is_output = 0;
  uint8_t reserved = 0;
  uint32_t position = 0;  // Of the input or output in the method.
  int64_t dims[kMaxRank] = {};
  uint64_t offset = 0;  // In section kGoldens, 64-byte aligned, dense.
  uint64_t bytes = 0;
};

enum class SectionKind : uint32_t {
  kMetadata = 1,
  kConstants = 2,
  kPackedWeights = 3,
  kIndices = 4,
  kGoldens = 5,   // Optional.
  kDebugMap = 6,  // Optional: JSON text, instruction -> user's node, source file and line.
  // Optional: constants in packed layouts that some kernels prefer to those in kPackedWeights,
  // which are there too. In a file without the section they are absent operands.
  kAlternatives = 7,
};
inline constexpr uint32_t kSectionKinds = 8;  // Kinds are below this; unknown ones are ignored.

struct ProgramView {
  std::string_view producer;
  std::span<const SymbolDef> symbols;
  std::span<const DimTerm> terms;
  std::span<const DimExpr> dims;
  std::span<const uint32_t> value_dims;
  std::span<const ValueDef> values;
  std::span<const Instruction> instructions;
  std::span<const uint32_t> operands;
  std::span<const int64_t> attrs;
  std::span<const PwInstr> code;
  std::span<const uint32_t> block_values;
  std::span<const BlockDef> blocks;
  std::span<const MethodDef> methods;
  std::span<const StateDef> states;
  std::span<const BucketDef> buckets;
  std::span<const int64_t> bucket_max;
  std::span<const uint64_t> arena_offsets;
  std::span<const GoldenDef> goldens;
  std::span<const GoldenTensor> golden_tensors;
  std::span<const uint32_t> string_offsets;  // One more than there are strings.
  std::span<const uint8_t> strings;
  // Section payloads, indexed by SectionKind; empty if absent. kMetadata itself is not here.
  std::span<const uint8_t> sections[kSectionKinds];

  // Empty if there is no such string.
  std::string_view String(uint32_t index) const;
  const DimExpr& DimOf(const ValueDef& value, uint32_t axis) const;
  // The value whose storage `value` uses.
  uint32_t Root(uint32_t value) const;
  std::span<const uint32_t> Inputs(const Instruction& i) const {
    return operands.subspan(i.first_operand, i.input_count);
  }
  std::span<const uint32_t> Outputs(const Instruction& i) const {
    return operands.subspan(i.first_operand + i.input_count, i.output_count);
  }
  std::span<const uint32_t> Params(const BlockDef& b) const {
    return block_values.subspan(b.first_param, b.param_count);
  }
  std::span<const uint32_t> Results(const BlockDef& b) const {
    return block_values.subspan(b.first_result, b.result_count);
  }
};

// In the place of a symbol's value: it has none, nor has any dim in which it occurs.
inline constexpr int64_t kNoSize = -1;
constexpr bool IsDerived(const SymbolDef& s) {
  return s.kind != static_cast<uint32_t>(SymbolKind::kInput) &&
         s.kind != static_cast<uint32_t>(SymbolKind::kData);
}
// The value of a derived symbol at the values of earlier ones. False, and 0, where it has none: on
// overflow or division by what is not above 0.
[[nodiscard]] bool EvalDerived(const ProgramView& p, const SymbolDef& symbol,
                               const int64_t* symbol_values, int64_t* out);
// Evaluates a dimension at symbol values. False on overflow or a negative result.
[[nodiscard]] bool EvalDim(const ProgramView& p, const DimExpr& dim, const int64_t* symbol_values,
                           int64_t* out);
// The instruction as kernels see it; `operands` describes its inputs, then its outputs. Without
// constants.
void FillOp(const ProgramView& p, const Instruction& i, const TensorInfo* operands, OpInfo* op);
// The physical description of a value, without its dims.
TensorInfo TypeOf(const ValueDef& value);
// The physical description of a value at symbol values, and its TensorBytes unless `bytes` is null.
// kDimRange or kValueTooLarge on error.
[[nodiscard]] Status ConcreteInfo(const ProgramView& p, uint32_t value,
                                  const int64_t* symbol_values, TensorInfo* info,
                                  int64_t* bytes = nullptr);
// The same; false, and the error in the sink.
[[nodiscard]] bool ConcreteInfo(const ProgramView& p, uint32_t value, const int64_t* symbol_values,
                                TensorInfo* info, int64_t* bytes, ErrorSink* e);

}  // namespace floe

#endif  // FLOE_FORMAT_PROGRAM_H_
