#include "format/validate.h"

#include <cstring>

#include "format/checked.h"

namespace floe {
namespace validate {
namespace {

// Lays the context's arrays out in one block. `place` is called with each pointer and its count.
template <typename Place>
void ForEachArray(Context* c, Place place) {
  const ProgramView& p = c->p;
  const size_t values = p.values.size();
  const size_t instructions = p.instructions.size();
  place(&c->symbols, values);
  place(&c->arena_begin, values);
  place(&c->arena_end, values);
  place(&c->ranges, values);
  place(&c->writer, values);
  place(&c->defined_log, values);
  place(&c->arena_values, values);
  place(&c->by_offset, values);
  place(&c->by_last, values);
  place(&c->rank, values);
  // A tree of bitmaps takes n/64 + n/4096 + ... words, and one more for each of its levels.
  place(&c->active_bits, values / 32 + 8);
  place(&c->defined, values);
  place(&c->written_by, values);
  place(&c->result_of, values);
  place(&c->param_of, values);
  place(&c->trips, instructions);
  place(&c->in_place_min, instructions);
  place(&c->in_place, instructions);
  place(&c->order, instructions);
  place(&c->instruction_owned, instructions);
  place(&c->block_owned, p.blocks.size());
  size_t names = p.block_values.size();
  if (p.states.size() > names) names = p.states.size();
  if (p.methods.size() > names) names = p.methods.size();
  place(&c->names, names);
}

// One zeroed allocation for all arrays.
class Memory {
 public:
  Memory(Context* c, const Allocator& allocator) : allocator_(allocator) {
    ForEachArray(c, [this](auto** array, size_t count) { Reserve(array, count); });
    memory_ = allocator_.Allocate(bytes_, kAlignment);
    if (memory_ == nullptr) return;
    std::memset(memory_, 0, bytes_);
    size_t at = 0;
    ForEachArray(c, [this, &at](auto** array, size_t count) {
      *array = reinterpret_cast<std::remove_reference_t<decltype(*array)>>(
          static_cast<uint8_t*>(memory_) + at);
      at += Size(array, count);
    });
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { allocator_.Release(memory_, bytes_); }

  bool ok() const { return memory_ != nullptr; }
  size_t bytes() const { return bytes_; }

 private:
  // Tables of a view are in memory, so a small multiple of their sizes does not overflow.
  template <typename T>
  static size_t Size(T**, size_t count) {
    return (count * sizeof(T) + 7) / 8 * 8;
  }
  template <typename T>
  void Reserve(T** array, size_t count) {
    bytes_ += Size(array, count);
  }

  Allocator allocator_;
  void* memory_ = nullptr;
  size_t bytes_ = 64;
};

// One pass over the current method for each bucket, and one at the smallest shapes.
Status CheckPlans(Context* c) {
  const MethodDef& method = c->p.methods[c->method];
  c->checks += (uint64_t{method.bucket_count} + 1) * c->order_count;
  if (c->checks / 4 > c->limits.max_instructions) {
    return OverLimit(static_cast<int64_t>(c->limits.max_instructions),
                     static_cast<int64_t>(c->checks / 4));
  }
  const auto buckets = c->p.buckets.subspan(method.first_bucket, method.bucket_count);
  FLOE_RETURN_IF_ERROR(ComputeLiveness(c->p, c->method, c->ranges));
  if (c->used_symbols != 0) {
    FLOE_RETURN_IF_ERROR(CheckSmallest(c, buckets[0]));
  } else {  // With fixed shapes, every corner is the smallest shape.
    for (uint32_t k = 0; k < c->order_count; ++k) c->in_place_min[c->order[k]] = ~uint64_t{0};
  }
  for (const BucketDef& bucket : buckets) {
    FLOE_RETURN_IF_ERROR(CheckCorner(c, bucket));
    FLOE_RETURN_IF_ERROR(CheckArena(c, bucket));
  }
  return OkStatus();
}

Status CheckMethods(Context* c) {
  const ProgramView& p = c->p;
  for (uint32_t m = 0; m < p.methods.size(); ++m) {
    c->method = m;
    FLOE_RETURN_IF_ERROR(CheckCode(c));
    FLOE_RETURN_IF_ERROR(CheckBoxes(*c));
    FLOE_RETURN_IF_ERROR(CheckPlans(c));
  }
  // What no method reaches has not been checked, and has no business in a program.
  for (uint32_t i = 0; i < p.instructions.size(); ++i) {
    if (!c->instruction_owned[i]) return Bad(Rule::kBlockStructure).At(i);
  }
  for (uint32_t b = 0; b < p.blocks.size(); ++b) {
    if (!c->block_owned[b]) return Bad(Rule::kBlockStructure, 0, b);
  }
  return OkStatus();
}

}  // namespace
}  // namespace validate

Status ValidateProgram(const ProgramView& program, const Limits& limits,
                       const FootprintTable& footprints, const Allocator& allocator) {
  validate::Context context(program, limits, footprints);
  const validate::Memory memory(&context, allocator);
  if (!memory.ok()) {
    return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(memory.bytes()),
                 0);
  }
  FLOE_RETURN_IF_ERROR(validate::CheckTables(&context));
  FLOE_RETURN_IF_ERROR(validate::CheckMethods(&context));
  return validate::CheckGoldens(&context);
}

}  // namespace floe
