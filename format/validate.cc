#include "format/validate.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <utility>

#include "format/checked.h"

namespace floe {
namespace validate {
namespace {

// Where the pointer to an array is, how large its elements are, and of what it has one each.
struct ArrayDef {
  enum Per : uint8_t { kValue, kBitWord, kInstruction, kBlock, kName };
  uint8_t slot;
  uint8_t element_bytes;
  Per per;
};
#define FLOE_ARRAY(member, per) \
  { offsetof(Arrays, member), sizeof(*std::declval<Arrays&>().member), ArrayDef::per }
constexpr ArrayDef kArrays[] = {
    FLOE_ARRAY(symbols, kValue),
    FLOE_ARRAY(arena_begin, kValue),
    FLOE_ARRAY(arena_end, kValue),
    FLOE_ARRAY(ranges, kValue),
    FLOE_ARRAY(writer, kValue),
    FLOE_ARRAY(defined_log, kValue),
    FLOE_ARRAY(arena_values, kValue),
    FLOE_ARRAY(by_offset, kValue),
    FLOE_ARRAY(by_last, kValue),
    FLOE_ARRAY(rank, kValue),
    FLOE_ARRAY(active_bits, kBitWord),
    FLOE_ARRAY(defined, kValue),
    FLOE_ARRAY(written_by, kValue),
    FLOE_ARRAY(result_of, kValue),
    FLOE_ARRAY(param_of, kValue),
    FLOE_ARRAY(trips, kInstruction),
    FLOE_ARRAY(in_place_min, kInstruction),
    FLOE_ARRAY(in_place, kInstruction),
    FLOE_ARRAY(order, kInstruction),
    FLOE_ARRAY(instruction_owned, kInstruction),
    FLOE_ARRAY(block_owned, kBlock),
    FLOE_ARRAY(names, kName),
};
#undef FLOE_ARRAY
static_assert(std::size(kArrays) * sizeof(void*) == sizeof(Arrays), "an array is not listed");

// One zeroed allocation for all of the context's arrays.
class Memory {
 public:
  Memory(Context* c, const Allocator& allocator) : allocator_(allocator) {
    Layout(c);  // Measures.
    bytes_ = at_;
    memory_ = static_cast<uint8_t*>(allocator_.Allocate(bytes_, kAlignment));
    if (memory_ == nullptr) return;
    std::memset(memory_, 0, bytes_);
    at_ = 0;
    Layout(c);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { allocator_.Release(memory_, bytes_); }

  bool ok() const { return memory_ != nullptr; }
  size_t bytes() const { return bytes_; }

 private:
  void Layout(Context* c) {
    const ProgramView& p = c->p;
    const size_t values = p.values.size();
    // A tree of bitmaps takes n/64 + n/4096 + ... words, and one more for each of its levels.
    const size_t counts[] = {values, values / 32 + 8, p.instructions.size(), p.blocks.size(),
                             std::max({p.block_values.size(), p.states.size(), p.methods.size()})};
    for (const ArrayDef& array : kArrays) {
      void* const memory = Take(counts[array.per] * array.element_bytes);
      std::memcpy(reinterpret_cast<char*>(static_cast<Arrays*>(c)) + array.slot, &memory,
                  sizeof(memory));
    }
  }

  // Tables of a view are in memory, so a small multiple of their sizes does not overflow.
  void* Take(size_t bytes) {
    const size_t begin = at_;
    at_ += (bytes + 7) / 8 * 8;
    return memory_ != nullptr ? memory_ + begin : nullptr;
  }

  Allocator allocator_;
  uint8_t* memory_ = nullptr;
  size_t bytes_ = 0;
  size_t at_ = 0;
};

// One pass over the current method for each bucket, and one at the smallest shapes.
bool CheckPlans(Context* c) {
  const MethodDef& method = c->p.methods[c->method];
  c->checks += (uint64_t{method.bucket_count} + 1) * c->order_count;
  if (c->checks / 4 > c->limits.max_instructions) {
    return c->OverLimit(static_cast<int64_t>(c->limits.max_instructions),
                        static_cast<int64_t>(c->checks / 4));
  }
  const auto buckets = c->p.buckets.subspan(method.first_bucket, method.bucket_count);
  if (!c->Passes(ComputeLiveness(c->p, c->method, c->ranges))) return false;
  if (c->used_symbols != 0) {
    if (!CheckSmallest(c, buckets[0])) return false;
  } else {  // With fixed shapes, every corner is the smallest shape.
    for (uint32_t k = 0; k < c->order_count; ++k) c->in_place_min[c->order[k]] = ~uint64_t{0};
  }
  for (const BucketDef& bucket : buckets) {
    if (!CheckCorner(c, bucket)) return false;
    if (!CheckArena(c, bucket)) return false;
  }
  return true;
}

bool CheckMethods(Context* c) {
  const ProgramView& p = c->p;
  for (uint32_t m = 0; m < p.methods.size(); ++m) {
    c->method = m;
    if (!CheckCode(c)) return false;
    if (!CheckBoxes(c)) return false;
    if (!CheckPlans(c)) return false;
  }
  // What no method reaches has not been checked, and has no business in a program.
  for (uint32_t i = 0; i < p.instructions.size(); ++i) {
    if (!c->instruction_owned[i]) return c->Bad(Rule::kBlockStructure).At(i);
  }
  for (uint32_t b = 0; b < p.blocks.size(); ++b) {
    if (!c->block_owned[b]) return c->Bad(Rule::kBlockStructure, 0, b);
  }
  return true;
}

}  // namespace

bool Context::OverLimit(int64_t limit, int64_t got) {
  return Fail(Code::kResourceExhausted, Rule::kLimitExceeded, limit, got);
}

bool Context::CheckRange(uint64_t first, uint64_t count, uint64_t size) {
  if (InTable(first, count, size)) return true;
  return Bad(Rule::kTableRange, static_cast<int64_t>(size), static_cast<int64_t>(first));
}

}  // namespace validate

Status ValidateProgram(const ProgramView& program, const Limits& limits,
                       const FootprintTable& footprints, const Allocator& allocator) {
  validate::Context context(program, limits, footprints);
  const validate::Memory memory(&context, allocator);
  if (!memory.ok()) {
    return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(memory.bytes()),
                 0);
  }
  if (validate::CheckTables(&context) && validate::CheckMethods(&context)) {
    validate::CheckGoldens(&context);
  }
  return context.error();
}

}  // namespace floe
