#include "compiler/lower/plan.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_format.h"
#include "backends/registry.h"
#include "compiler/lower/arena_layout.h"
#include "format/checked.h"
#include "format/footprint.h"
#include "format/liveness.h"

namespace floe::lower {
namespace {

struct Slot {
  ValueId value;
  int64_t bytes = 0;  // Slack and alignment included.
  LiveRange range;
  int shares = -1;  // Slot whose storage this one takes over, or -1.
  int64_t offset = 0;
};

std::vector<int64_t> PowersOfTwo(const ir::Symbol& s) {
  std::vector<int64_t> bounds;
  for (int64_t p = 1; p < s.max && p > 0; p *= 2) {
    if (p >= s.min) bounds.push_back(p);
  }
  bounds.push_back(s.max);
  return bounds;
}

// Every combination of the symbols' bounds, the smallest corner first.
std::vector<std::vector<int64_t>> Corners(const std::vector<ir::Symbol>& symbols,
                                          const PlanOptions& options) {
  std::vector<std::vector<int64_t>> bounds;
  std::vector<bool> fixed;
  for (const ir::Symbol& s : symbols) {
    const auto given = options.buckets.find(s.name);
    fixed.push_back(given != options.buckets.end());
    bounds.push_back(s.data ? std::vector<int64_t>{s.max} : PowersOfTwo(s));
    if (!fixed.back() || s.data) continue;
    bounds.back().clear();
    for (const int64_t b : given->second) {
      if (b >= s.min && b < s.max) bounds.back().push_back(b);
    }
    bounds.back().push_back(s.max);
  }
  const auto count = [&] {
    return std::accumulate(bounds.begin(), bounds.end(), size_t{1},
                           [](size_t n, const auto& b) { return n * b.size(); });
  };
  while (count() > static_cast<size_t>(options.max_buckets)) {
    // Drop every other bound of the longest list, keeping the last.
    size_t longest = bounds.size();
    for (size_t i = 0; i < bounds.size(); ++i) {
      if (fixed[i] || bounds[i].size() < 2) continue;
      if (longest == bounds.size() || bounds[i].size() > bounds[longest].size()) longest = i;
    }
    if (longest == bounds.size()) break;
    std::vector<int64_t> kept;
    for (size_t i = bounds[longest].size(); i > 0; i -= std::min<size_t>(i, 2)) {
      kept.insert(kept.begin(), bounds[longest][i - 1]);
    }
    bounds[longest] = kept;
  }
  std::vector<std::vector<int64_t>> corners = {{}};
  for (const auto& b : bounds) {
    std::vector<std::vector<int64_t>> next;
    for (const auto& corner : corners) {
      for (const int64_t v : b) {
        next.push_back(corner);
        next.back().push_back(v);
      }
    }
    corners = std::move(next);
  }
  return corners;
}

class Planner {
 public:
  explicit Planner(LoweredProgram* program) : program_(*program) {}

  absl::Status Init() {
    ranges_.resize(program_.value_count());
    if (!ComputeLiveness(program_.View(), 0, ranges_.data()).ok()) {
      return absl::InternalError("the lowered program's blocks are malformed");
    }
    number_of_.resize(program_.View().instructions.size());
    uint32_t next = 0;
    Number(program_.View().blocks[program_.method().block], &next);
    slot_of_.assign(program_.value_count(), -1);
    for (ValueId v = 0; v < program_.value_count(); ++v) {
      if (program_.value(v).storage != static_cast<uint8_t>(Storage::kArena)) continue;
      slot_of_[v] = static_cast<int>(program_.value(v).link);
    }
    return absl::OkStatus();
  }

  // Plans one bucket and appends it to the program's tables.
  absl::Status PlanBucket(const std::vector<int64_t>& corner, BucketMemory* memory) {
    slots_.assign(program_.arena_slots, Slot{});
    for (ValueId v = 0; v < program_.value_count(); ++v) {
      if (slot_of_[v] < 0) continue;
      Slot& slot = slots_[static_cast<size_t>(slot_of_[v])];
      slot.value = v;
      slot.range = ranges_[v];
      int64_t bytes = 0;
      if (!TensorBytes(program_.InfoAt(v, corner), &bytes).ok()) {
        return absl::ResourceExhaustedError(absl::StrFormat(
            "value '%s' has an impossible size at the bounds of its symbols; lower them with --dim",
            std::string(program_.View().String(program_.value(v).name))));
      }
      slot.bytes = RoundUp(bytes + kReadSlack, kAlignment);
    }
    int64_t total = 0;
    for (const Slot& slot : slots_) {
      if (!CheckedAdd(total, slot.bytes, &total)) {
        return absl::ResourceExhaustedError(
            "the arena has an impossible size at the bounds of the symbols; lower them with --dim");
      }
    }
    int64_t scratch_bytes = 0;
    if (absl::Status s = CheckInstructions(corner, &scratch_bytes); !s.ok()) return s;
    *memory = AssignOffsets();
    memory->corner = corner;
    memory->scratch_bytes = scratch_bytes;

    BucketDef bucket;
    bucket.first_max = static_cast<uint32_t>(program_.bucket_max.size());
    bucket.arena_bytes = static_cast<uint64_t>(memory->arena_bytes);
    bucket.scratch_bytes = static_cast<uint64_t>(scratch_bytes);
    bucket.first_offset = program_.arena_offsets.size();
    const std::vector<int64_t> all = program_.AllSymbols(corner);
    program_.bucket_max.insert(program_.bucket_max.end(), all.begin(), all.end());
    for (const Slot& slot : slots_) {
      program_.arena_offsets.push_back(static_cast<uint64_t>(slot.offset));
    }
    program_.buckets.push_back(bucket);
    return absl::OkStatus();
  }

 private:
  // Numbers instructions as format/liveness.h does. The blocks are well formed by now.
  void Number(const BlockDef& block, uint32_t* next) {
    const ProgramView view = program_.View();
    for (uint32_t k = 0; k < block.instruction_count; ++k) {
      const uint32_t index = block.first_instruction + k;
      number_of_[index] = (*next)++;
      const Instruction& i = view.instructions[index];
      for (uint32_t b = 0; b < i.block_count; ++b) Number(view.blocks[i.first_block + b], next);
      if (i.block_count != 0) ++*next;
    }
  }

  // Asks every kernel for its footprint: scratch, and which operand a result may take over.
  absl::Status CheckInstructions(const std::vector<int64_t>& corner, int64_t* scratch_bytes) {
    const ProgramView view = program_.View();
    for (uint32_t n = 0; n < view.instructions.size(); ++n) {
      const Instruction& i = view.instructions[n];
      if (i.block_count != 0) continue;  // Control flow only copies.
      std::vector<TensorInfo> infos;
      for (uint32_t k = 0; k < uint32_t{i.input_count} + i.output_count; ++k) {
        const uint32_t v = view.operands[i.first_operand + k];
        infos.push_back(v == kNoIndex ? TensorInfo{} : program_.InfoAt(v, corner));
      }
      OpInfo op;
      op.inputs = infos.data();
      op.outputs = infos.data() + i.input_count;
      op.input_count = i.input_count;
      op.output_count = i.output_count;
      op.attrs = view.attrs.data() + i.first_attr;
      op.attr_count = i.attr_count;
      op.code = view.code.data() + i.first_code;
      op.code_count = i.code_count;
      Footprint footprint;
      if (const Status s = KernelFootprints().Check(i.kernel, op, &footprint); !s.ok()) {
        return absl::InternalError(absl::StrFormat(
            "kernel %d refuses node '%s': %s (operand %d, axis %d, expected %d, got %d)", i.kernel,
            std::string(view.String(i.name)), RuleText(s.rule), static_cast<int>(s.operand), s.axis,
            s.expected, s.got));
      }
      *scratch_bytes = std::max(*scratch_bytes, RoundUp(footprint.scratch_bytes, kAlignment));
      if (i.output_count == 1) TakeOver(view, i, number_of_[n], footprint);
    }
    return absl::OkStatus();
  }

  // Lets the only result of the instruction with number `n` share the storage of an operand that
  // dies there.
  void TakeOver(const ProgramView& view, const Instruction& i, uint32_t n,
                const Footprint& footprint) {
    const int to = slot_of_[view.Outputs(i)[0]];
    if (to < 0) return;
    for (uint32_t k = 0; k < i.input_count && k < 64; ++k) {
      if ((footprint.in_place_inputs >> k & 1) == 0) continue;
      const uint32_t operand = view.Inputs(i)[k];
      if (operand == kNoIndex) continue;
      const int from = slot_of_[program_.Root(operand)];
      if (from < 0) continue;
      Slot& source = slots_[static_cast<size_t>(from)];
      Slot& result = slots_[static_cast<size_t>(to)];
      // No other operand may read the same storage: it would see results.
      const auto same = [&](uint32_t v) {
        return v != kNoIndex && program_.Root(v) == source.value;
      };
      const auto inputs = view.Inputs(i);
      const bool alone = std::count_if(inputs.begin(), inputs.end(), same) == 1;
      if (source.range.last != n || source.bytes != result.bytes || !alone ||
          !ir::SameCount(program_.shape(source.value), program_.shape(result.value))) {
        continue;
      }
      result.shares = from;
      return;
    }
  }

  // A slot that shares follows the one that it takes over. Gives the arena's size and the least
  // that liveness allows.
  BucketMemory AssignOffsets() {
    // A chain of shared slots is one block that lives from the first's start to the last's end.
    std::vector<size_t> head(slots_.size());
    std::vector<LiveRange> life(slots_.size());
    for (size_t s = 0; s < slots_.size(); ++s) {
      size_t h = s;
      while (slots_[h].shares >= 0) h = static_cast<size_t>(slots_[h].shares);
      head[s] = h;
      life[h].first = std::min(life[h].first, slots_[s].range.first);
      life[h].last = std::max(life[h].last, slots_[s].range.last);
    }
    std::vector<ArenaBlock> blocks;
    std::vector<size_t> block_of(slots_.size());
    for (size_t s = 0; s < slots_.size(); ++s) {
      if (head[s] != s) continue;
      block_of[s] = blocks.size();
      blocks.push_back({slots_[s].bytes, life[s].first, life[s].last});
    }
    const ArenaLayout layout = LayOutArena(blocks);
    for (size_t s = 0; s < slots_.size(); ++s) {
      slots_[s].offset = layout.offsets[block_of[head[s]]];
    }
    return {layout.bytes, LivenessBound(blocks)};
  }

  LoweredProgram& program_;
  std::vector<LiveRange> ranges_;
  std::vector<uint32_t> number_of_;  // For each instruction: when it runs.
  std::vector<int> slot_of_;         // For each value: its slot, or -1.
  std::vector<Slot> slots_;
};

}  // namespace

absl::Status PlanMemory(const PlanOptions& options, LoweredProgram* program,
                        std::vector<BucketMemory>* memory) {
  if (!program->status().ok()) return program->status();
  Planner planner(program);
  if (absl::Status s = planner.Init(); !s.ok()) return s;
  for (const std::vector<int64_t>& corner : Corners(program->symbols(), options)) {
    BucketMemory bucket;
    if (absl::Status s = planner.PlanBucket(corner, &bucket); !s.ok()) return s;
    if (memory != nullptr) memory->push_back(std::move(bucket));
  }
  // Bind takes the first bucket that covers the shapes, so the cheapest come first.
  std::stable_sort(
      program->buckets.begin(), program->buckets.end() - 1,
      [](const BucketDef& a, const BucketDef& b) { return a.arena_bytes < b.arena_bytes; });
  program->method().first_bucket = 0;
  program->method().bucket_count = static_cast<uint32_t>(program->buckets.size());
  return absl::OkStatus();
}

}  // namespace floe::lower
