// Buckets, and every instruction's footprint: at each bucket's upper corner and at the smallest
// shapes. Bind checks the concrete shapes again.
#include "format/checked.h"
#include "format/validate.h"

namespace floe::validate {
namespace {

// What an instruction costs besides its arithmetic: bounds loops with empty bodies.
constexpr double kWorkPerInstruction = 1000;

class FootprintChecker {
 public:
  FootprintChecker(Context* c, const BucketDef& bucket, const int64_t* symbols, uint64_t* in_place)
      : c_(*c), p_(c->p), bucket_(bucket), symbols_(symbols), in_place_(in_place) {}

  bool Run() {
    for (uint32_t k = 0; k < c_.order_count; ++k) {
      const uint32_t index = c_.order[k];
      if (!One(index, k)) return c_.Again().At(index);
    }
    return true;
  }

 private:
  bool One(uint32_t index, uint32_t position) {
    const Instruction& i = p_.instructions[index];
    double work = kWorkPerInstruction;
    if (i.kernel != kKernelIf && i.kernel != kKernelLoop) {
      Footprint footprint;
      if (!Check(i, &footprint)) return false;
      in_place_[index] = footprint.in_place_inputs;
      if (!Memory(i, footprint)) return false;
      work += footprint.flops;
    }
    const double trips = c_.trips[position];
    work_ += work * trips;
    if (!(work_ <= c_.limits.max_work)) {
      if (trips > 1) return c_.Bad(Rule::kLoopBound, 0, static_cast<int64_t>(trips));
      return c_.OverLimit(0, 0);
    }
    return true;
  }

  bool Check(const Instruction& i, Footprint* footprint) {
    const uint32_t count = uint32_t{i.input_count} + i.output_count;
    const auto operands = p_.operands.subspan(i.first_operand, count);
    for (uint32_t k = 0; k < count; ++k) {
      infos_[k] = TensorInfo{};
      constants_[k] = nullptr;
      if (operands[k] == kNoIndex) continue;
      if (!ConcreteInfo(p_, operands[k], symbols_, &infos_[k], nullptr, &c_)) return false;
      const ValueDef& root = p_.values[p_.Root(operands[k])];
      if (StorageOf(root) == Storage::kIndex) {
        constants_[k] =
            p_.sections[static_cast<uint32_t>(SectionKind::kIndices)].data() + root.offset;
      }
    }
    OpInfo op;
    FillOp(p_, i, infos_, &op);
    op.constants = constants_;
    if (c_.Passes(c_.footprints.Check(i.kernel, op, footprint))) return true;
    const uint32_t operand = c_.error().operand;
    if (operand < count && c_.error().value == kNoIndex) c_.Again().ForValue(operands[operand]);
    return false;
  }

  bool Memory(const Instruction& i, const Footprint& f) {
    if (f.scratch_bytes < 0 || static_cast<uint64_t>(f.scratch_bytes) > bucket_.scratch_bytes) {
      return c_.Bad(Rule::kScratchSize, f.scratch_bytes,
                    static_cast<int64_t>(bucket_.scratch_bytes));
    }
    // The prepared state of every instruction lives beside the arena.
    const auto limit = static_cast<int64_t>(c_.limits.max_arena_bytes);
    if (f.state_bytes < 0 || !CheckedAdd(state_bytes_, f.state_bytes, &state_bytes_) ||
        state_bytes_ > limit) {
      return c_.OverLimit(limit, f.state_bytes);
    }
    const auto inputs = p_.Inputs(i);
    for (uint32_t k = 0; k < inputs.size(); ++k) {
      if ((f.slack_inputs >> k & 1) == 0 || inputs[k] == kNoIndex) continue;
      // A caller's buffer ends where its tensor ends.
      const Storage storage = StorageOf(p_.values[p_.Root(inputs[k])]);
      if (storage == Storage::kInput || storage == Storage::kOutput || storage == Storage::kDims) {
        return c_
            .Bad(Rule::kInstructionOperand, static_cast<int64_t>(Storage::kArena),
                 static_cast<int64_t>(storage))
            .ForValue(inputs[k])
            .ForOperand(k);
      }
    }
    return true;
  }

  Context& c_;
  const ProgramView& p_;
  const BucketDef& bucket_;
  const int64_t* symbols_;
  uint64_t* in_place_;
  double work_ = 0;
  int64_t state_bytes_ = 0;
  TensorInfo infos_[kMaxOperands];
  const void* constants_[kMaxOperands];
};

// Not inline: its tables are large.
[[gnu::noinline]] bool CheckFootprints(Context* c, const BucketDef& bucket, const int64_t* symbols,
                                       uint64_t* in_place) {
  return FootprintChecker(c, bucket, symbols, in_place).Run();
}

// A state may be read and written by one instruction only where the kernel works in place.
bool CheckStateWrites(Context* c) {
  const ProgramView& p = c->p;
  for (uint32_t k = 0; k < c->order_count; ++k) {
    const uint32_t index = c->order[k];
    const Instruction& i = p.instructions[index];
    if (i.kernel == kKernelIf || i.kernel == kKernelLoop) continue;
    const auto outputs = p.Outputs(i);
    const auto inputs = p.Inputs(i);
    for (uint32_t o = 0; o < outputs.size(); ++o) {
      if (outputs[o] == kNoIndex || StorageOf(p.values[outputs[o]]) != Storage::kState) continue;
      for (uint32_t n = 0; n < inputs.size(); ++n) {
        if (inputs[n] == kNoIndex || p.Root(inputs[n]) != outputs[o]) continue;
        if (o != 0 || (c->in_place[index] >> n & 1) == 0) {
          return c->Bad(Rule::kInstructionAlias).At(index).ForValue(outputs[o]).ForOperand(n);
        }
      }
    }
  }
  return true;
}

}  // namespace

// The box of every bucket lies inside the symbols' ranges, and the last covers everything.
bool CheckBoxes(Context* c) {
  const ProgramView& p = c->p;
  const MethodDef& method = p.methods[c->method];
  const auto buckets = p.buckets.subspan(method.first_bucket, method.bucket_count);
  for (uint32_t b = 0; b < buckets.size(); ++b) {
    const BucketDef& bucket = buckets[b];
    if (bucket.reserved != 0 || !InTable(bucket.first_max, p.symbols.size(), p.bucket_max.size())) {
      return c->Bad(Rule::kBucketRange, static_cast<int64_t>(p.bucket_max.size()),
                    bucket.first_max);
    }
    const bool last = b + 1 == buckets.size();
    const Box box = BoxOf(*c, bucket);
    for (size_t s = 0; s < p.symbols.size(); ++s) {
      const int64_t least = last ? c->symbol_max[s] : c->symbol_min[s];
      if (box.max[s] < least || box.max[s] > c->symbol_max[s]) {
        return c->Bad(Rule::kBucketRange, least, box.max[s]);
      }
    }
    const uint64_t limit = c->limits.max_arena_bytes;
    if (bucket.arena_bytes > limit || bucket.scratch_bytes > limit - bucket.arena_bytes) {
      return c->OverLimit(static_cast<int64_t>(limit), static_cast<int64_t>(bucket.arena_bytes));
    }
  }
  return true;
}

bool CheckSmallest(Context* c, const BucketDef& bucket) {
  return CheckFootprints(c, bucket, c->symbol_min, c->in_place_min);
}

bool CheckCorner(Context* c, const BucketDef& bucket) {
  if (!CheckFootprints(c, bucket, BoxOf(*c, bucket).max, c->in_place)) return false;
  for (uint32_t k = 0; k < c->order_count; ++k) {
    c->in_place[c->order[k]] &= c->in_place_min[c->order[k]];
  }
  return CheckStateWrites(c);
}

}  // namespace floe::validate
