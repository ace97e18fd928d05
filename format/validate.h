// The parts of ValidateProgram, by concern. Internal to format/.
//
//   tables   every index and range of the metadata lies inside its table; dims, values, states,
//   names code     blocks and instructions: def before use, one writer, control flow, kernel
//   footprints arena    per bucket: slots inside the arena, no two live values overlap
//
// Later parts rely on what earlier ones have checked. All working memory is one allocation whose
// size is linear in the metadata.
//
// A check returns whether the program passes; if not, the context's error() says why.
#ifndef FLOE_FORMAT_VALIDATE_H_
#define FLOE_FORMAT_VALIDATE_H_

#include <cstdint>

#include "format/error_sink.h"
#include "format/footprint.h"
#include "format/limits.h"
#include "format/liveness.h"
#include "format/program.h"
#include "format/reader.h"
#include "format/status.h"

namespace floe::validate {

// Ranges of all symbols, both ends included.
struct Box {
  const int64_t* min = nullptr;
  const int64_t* max = nullptr;
};

// Arrays, indexed as their comments say, all zeros: see Memory in validate.cc, which lists every
// one of them.
struct Arrays {
  // By value.
  uint64_t* symbols;       // The sources of the symbols in its dims or contents.
  LiveRange* ranges;       // Of the current method.
  uint32_t* writer;        // Instruction; kNoIndex: none, or a block's param.
  uint8_t* defined;        // May it be read at this point of the walk?
  uint8_t* written_by;     // Method number + 1, 0: not written.
  uint8_t* result_of;      // Method number + 1 of which it is an output.
  uint8_t* param_of;       // Method number + 1 of which it is an input.
  uint32_t* defined_log;   // Values in the order of definition, for leaving scopes.
  uint32_t* arena_values;  // The current method's values in the arena.
  int64_t* arena_begin;    // In the current bucket.
  int64_t* arena_end;
  uint32_t* by_offset;  // Permutations of arena_values, and a position in the former.
  uint32_t* by_last;
  uint32_t* rank;
  uint64_t* active_bits;  // See OrderedSet in validate_arena.cc.

  // By instruction.
  uint8_t* instruction_owned;
  uint32_t* order;         // The current method's instructions in execution order.
  double* trips;           // By position in `order`: times that it runs at most.
  uint64_t* in_place_min;  // Footprint::in_place_inputs at the smallest shapes,
  uint64_t* in_place;      // and there as well as at the current bucket's corner.

  uint8_t* block_owned;  // By block.
  uint32_t* names;       // For finding duplicates.
};

// Everything that the parts share.
struct Context : ErrorSink, Arrays {
  Context(const ProgramView& program, const Limits& program_limits, const FootprintTable& table)
      : Arrays(), p(program), limits(program_limits), footprints(table) {}

  const ProgramView& p;
  const Limits& limits;
  const FootprintTable& footprints;

  // Smallest and largest value of every symbol; the smallest is a multiple.
  int64_t symbol_min[kMaxSymbols] = {};
  int64_t symbol_max[kMaxSymbols] = {};
  const Box all = {symbol_min, symbol_max};
  // Of every symbol: bit s for itself, or for those that it derives from if it is derived.
  uint64_t sources[kMaxSymbols] = {};

  // Of the current method.
  uint32_t method = 0;
  uint32_t order_count = 0;
  uint32_t arena_count = 0;
  uint64_t used_symbols = 0;
  uint64_t found_symbols = 0;  // By Size instructions, up to this point of the walk.
  // Over all methods: footprint checks made, bounded by the limits.
  uint64_t checks = 0;

  bool OverLimit(int64_t limit, int64_t got);
  // [first, first + count) must lie inside a table of `size` elements.
  bool CheckRange(uint64_t first, uint64_t count, uint64_t size);
};

// Does [first, first + count) lie inside a table of `size` elements?
constexpr bool InTable(uint64_t first, uint64_t count, uint64_t size) {
  return first <= size && count <= size - first;
}
constexpr Storage StorageOf(const ValueDef& v) { return static_cast<Storage>(v.storage); }

// --- shapes (validate_shapes.cc) -----------------------------------------------------------------

// The smallest and largest value of an expression over a box of symbols. False on overflow.
bool DimBounds(const ProgramView& p, const DimExpr& dim, const Box& box, int64_t* min,
               int64_t* max);
// Bytes of a value when every dimension has its largest value over a box: no shape inside needs
// more.
bool UpperBytes(Context* c, uint32_t value, const Box& box, int64_t* bytes);
// The sources of its symbols, as bits.
uint64_t SourcesOf(const Context& c, const DimExpr& dim);
// Are the expressions equal term by term?
bool SameDim(const ProgramView& p, uint32_t a, uint32_t b);
// Have the values the same dtype, dims, layout and halo?
bool SameType(const ProgramView& p, uint32_t a, uint32_t b);
// Have the values as many elements as each other at the box's upper corner and at a few points in
// it, of multiples where symbols have one? For polynomials in the symbols that is as good as
// everywhere, except by a rare accident; the runtime compares the bytes of the shapes that it
// meets.
bool SameCount(const ProgramView& p, uint32_t a, uint32_t b, const Box& box);
// Are all its dims plain numbers?
bool IsFixed(const ProgramView& p, uint32_t value);
// Is it one element whatever the symbols are?
bool IsScalar(const ProgramView& p, uint32_t value);

// --- parts ---------------------------------------------------------------------------------------

bool CheckTables(Context* c);
bool CheckValues(Context* c);   // Called by CheckTables: the value and state tables.
bool CheckGoldens(Context* c);  // After the methods' params and results are checked.

// Walks the current method: fills order, trips, writer, arena_values, used_symbols.
bool CheckCode(Context* c);
// If and Loop, called by CheckCode: operands, attributes and the types of their blocks.
bool CheckControl(Context* c, uint32_t instruction);
// The boxes of the current method's buckets.
bool CheckBoxes(Context* c);
// Every instruction's footprint at the symbols' smallest values: fills in_place_min. `bucket` is
// the one that Bind would take there.
bool CheckSmallest(Context* c, const BucketDef& bucket);
// Every instruction's footprint at the bucket's upper corner: fills in_place.
bool CheckCorner(Context* c, const BucketDef& bucket);
// The bucket's arena. Needs ranges and in_place.
bool CheckArena(Context* c, const BucketDef& bucket);

inline Box BoxOf(const Context& c, const BucketDef& bucket) {
  return {c.symbol_min, c.p.bucket_max.data() + bucket.first_max};
}

}  // namespace floe::validate

#endif  // FLOE_FORMAT_VALIDATE_H_
