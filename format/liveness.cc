#include "format/liveness.h"

#include "format/error_sink.h"
#include "format/limits.h"

namespace floe {
namespace {

// A loop around the instruction that is being walked.
struct LoopFrame {
  uint32_t own = 0;      // The loop instruction's number.
  uint32_t closing = 0;  // Its closing number.
};

class Walker : public ErrorSink {
 public:
  Walker(const ProgramView& p, LiveRange* ranges)
      : p_(p),
        ranges_(ranges),
        instructions_left_(p.instructions.size()),
        blocks_left_(p.blocks.size()) {}

  bool Method(const MethodDef& method) {
    uint64_t numbers;
    if (!Count(method.block, 1, &numbers)) return false;
    if (numbers >= kNoIndex) return Bad(static_cast<int64_t>(numbers));
    // What has been counted once can be counted again, in parts.
    instructions_left_ = blocks_left_ = SIZE_MAX;
    const BlockDef& block = p_.blocks[method.block];
    for (const uint32_t v : p_.Params(block)) Define(v, 0);
    Body(block);
    for (const uint32_t v : p_.Results(block)) Use(v, next_);
    return true;
  }

 private:
  bool Bad(int64_t got) { return ErrorSink::Bad(Rule::kBlockStructure, kMaxBlockDepth, got); }

  // The numbers that a block takes. Refuses sharing and recursion: either makes a walk meet more
  // blocks or instructions than there are, or nest too deeply.
  bool Count(uint32_t index, uint32_t depth, uint64_t* numbers) {
    if (depth > kMaxBlockDepth || index >= p_.blocks.size()) return Bad(index);
    const BlockDef& block = p_.blocks[index];
    if (blocks_left_ == 0 || block.instruction_count > instructions_left_) return Bad(index);
    --blocks_left_;
    instructions_left_ -= block.instruction_count;
    *numbers = block.instruction_count;
    for (const Instruction& i : Instructions(block)) {
      if (i.block_count == 0) continue;
      ++*numbers;
      for (uint32_t b = 0; b < i.block_count; ++b) {
        uint64_t inner;
        if (!Count(i.first_block + b, depth + 1, &inner)) return false;
        *numbers += inner;
      }
    }
    return true;
  }

  std::span<const Instruction> Instructions(const BlockDef& block) const {
    return p_.instructions.subspan(block.first_instruction, block.instruction_count);
  }

  void Define(uint32_t v, uint32_t number) {
    LiveRange& range = ranges_[v];
    if (range.first == kNoIndex) range = {number, number};
  }

  void UseOne(uint32_t v, uint32_t number) {
    LiveRange& range = ranges_[v];
    // Read before written: constants and states live from the start, so do values of a program that
    // the validator will refuse.
    if (range.first == kNoIndex) range = {0, 0};
    uint32_t last = number;
    for (uint32_t d = 0; d < loops_; ++d) {
      if (frames_[d].own > range.first) {
        last = frames_[d].closing;
        break;
      }
    }
    if (last > range.last) range.last = last;
  }

  void Use(uint32_t v, uint32_t number) {
    UseOne(v, number);
    const ValueDef& def = p_.values[v];
    if (static_cast<Storage>(def.storage) == Storage::kAlias) UseOne(def.link, number);
  }

  void Body(const BlockDef& block) {
    for (const Instruction& i : Instructions(block)) {
      const uint32_t own = next_++;
      for (const uint32_t v : p_.Inputs(i)) {
        if (v != kNoIndex) Use(v, own);
      }
      for (const uint32_t v : p_.Outputs(i)) {
        if (v != kNoIndex) Define(v, own);
      }
      if (i.block_count != 0) Control(i, own);
    }
  }

  void Control(const Instruction& i, uint32_t own) {
    const bool loop = i.kernel == kKernelLoop;
    uint32_t closing = next_;
    for (uint32_t b = 0; b < i.block_count; ++b) {
      uint64_t numbers = 0;
      Count(i.first_block + b, 1, &numbers);
      closing += static_cast<uint32_t>(numbers);
    }
    if (loop) frames_[loops_++] = {own, closing};
    for (uint32_t b = 0; b < i.block_count; ++b) {
      const BlockDef& block = p_.blocks[i.first_block + b];
      for (const uint32_t v : p_.Params(block)) {
        Define(v, own);
        Use(v, closing);
      }
      Body(block);
      for (const uint32_t v : p_.Results(block)) Use(v, closing);
    }
    if (loop) --loops_;
    for (const uint32_t v : p_.Outputs(i)) {
      if (v != kNoIndex) UseOne(v, closing);
    }
    next_ = closing + 1;
  }

  const ProgramView& p_;
  LiveRange* ranges_;
  size_t instructions_left_;
  size_t blocks_left_;
  uint32_t next_ = 0;
  uint32_t loops_ = 0;
  LoopFrame frames_[kMaxBlockDepth] = {};
};

}  // namespace

Status ComputeLiveness(const ProgramView& program, uint32_t method, LiveRange* ranges) {
  for (size_t v = 0; v < program.values.size(); ++v) ranges[v] = LiveRange{};
  Walker walker(program, ranges);
  walker.Method(program.methods[method]);
  return walker.error();
}

}  // namespace floe
