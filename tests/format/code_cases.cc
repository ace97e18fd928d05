// Damage to instructions, blocks, buckets and arenas.
#include <utility>

#include "tests/format/damage.h"

namespace floe::testing {

std::vector<ProgramCase> CodeCases() {
  return {
    CASE("kernel_unknown", kInstructionKernel, d->instructions[0].kernel = 999),
        CASE("kernel_0", kInstructionKernel, d->instructions[0].kernel = 0),
        CASE("operand_absent", kInstructionOperand, Operand(d, "fc", 0) = kNoIndex),
        CASE("operand_undefined", kInstructionOperand, Operand(d, "twice", 0) = Id(d, "looped")),
        CASE("operand_is_result", kInstructionOperand, Operand(d, "twice", 0) = Id(d, "twice")),
        CASE("operand_other_branch", kInstructionOperand, Operand(d, "minus", 0) = Id(d, "twice")),
        CASE("operand_after_block", kInstructionOperand, Operand(d, "square", 0) = Id(d, "next")),
        CASE("operand_alias_undefined", kInstructionOperand,
             Operand(d, "twice", 0) = Id(d, "flat")),
        CASE("operand_other_method", kInstructionOperand, Operand(d, "peek", 0) = Id(d, "added")),
        CASE("operand_foreign_input", kInstructionOperand, Operand(d, "peek", 0) = Id(d, "x", 1)),
        CASE("result_absent", kInstructionOperand, Operand(d, "twice", 1) = kNoIndex),
        CASE("result_constant", kInstructionResult, Operand(d, "twice", 1) = Id(d, "w")),
        CASE("result_index", kInstructionResult, Operand(d, "twice", 1) = Id(d, "columns")),
        CASE("result_input", kInstructionResult, Operand(d, "twice", 1) = Id(d, "x")),
        CASE("result_alias", kInstructionResult, Operand(d, "twice", 1) = Id(d, "square")),
        CASE("result_dims", kInstructionResult, Operand(d, "twice", 1) = Id(d, "dims")),
        CASE("result_twice", kInstructionResult, Operand(d, "minus", 1) = Id(d, "twice")),
        CASE("result_output_of_another_method", kInstructionResult,
             Operand(d, "peek", 1) = Id(d, "y", 1)),
        CASE("result_state_twice", kInstructionResult, Operand(d, "result", 1) = Id(d, "sum")),
        CASE("result_loop_param", kInstructionResult, Operand(d, "double", 1) = Id(d, "v")),
        CASE("attr_missing", kInstructionAttr, Ins(d, "pair").attr_count = 0),
        CASE("attr_range", kInstructionAttr, d->attrs[Ins(d, "pair").first_attr] = 2),
        CASE("attr_negative", kInstructionAttr, d->attrs[Ins(d, "pair").first_attr] = INT64_MIN),
        CASE("if_attr", kInstructionAttr, Control(d, KernelId::kIf).attr_count = 1),
        CASE("shape", kInstructionShape, Operand(d, "square", 0) = Id(d, "looped")),
        CASE("if_condition_shape", kInstructionShape, Val(d, "c").first_dim = Val(d, "h").first_dim;
             Val(d, "c").rank = 1),
        CASE("dtype", kInstructionDType, Val(d, "shape").dtype = static_cast<uint8_t>(DType::kF64)),
        CASE("if_condition_dtype", kInstructionDType,
             Val(d, "c").dtype = static_cast<uint8_t>(DType::kU8)),
        CASE("loop_trips_dtype", kInstructionDType,
             Val(d, "trips").dtype = static_cast<uint8_t>(DType::kI32)),
        CASE("loop_iteration_dtype", kInstructionDType,
             Val(d, "i").dtype = static_cast<uint8_t>(DType::kI32)),
        CASE("layout_of_weights", kInstructionLayout, Operand(d, "fc", 1) = Id(d, "x")),
        CASE("code_empty", kInstructionCode, Ins(d, "twice").code_count = 0),
        CASE("code_op", kInstructionCode, d->code[Ins(d, "twice").first_code].op = 255),
        CASE("code_register", kInstructionCode, d->code[Ins(d, "twice").first_code].dst = 16),
        CASE("code_operand", kInstructionCode, d->code[Ins(d, "twice").first_code].operand = 1),
        CASE("code_reserved", kInstructionCode, d->code[Ins(d, "twice").first_code].reserved = 1),
        CASE("code_unwritten", kInstructionCode, d->code[Ins(d, "twice").first_code + 1].a = 3),
        CASE("code_no_result", kInstructionCode, d->code[Ins(d, "twice").first_code].dst = 1;
             d->code[Ins(d, "twice").first_code + 1].a = 1;
             d->code[Ins(d, "twice").first_code + 1].dst = 1),
        CASE("if_code", kInstructionCode, Control(d, KernelId::kIf).code_count = 1),
        CASE("arity", kInstructionArity, Ins(d, "fc").input_count = 1;
             Ins(d, "fc").first_operand++),
        CASE("if_arity", kInstructionArity, Control(d, KernelId::kIf).input_count = 0;
             Control(d, KernelId::kIf).first_operand++),
        CASE("loop_arity", kInstructionArity, Control(d, KernelId::kLoop).input_count = 2;
             Control(d, KernelId::kLoop).first_operand++),
        CASE("index_too_large", kIndexConstant,
             d->sections[static_cast<uint32_t>(SectionKind::kIndices)][8] = 4),
        CASE("index_negative", kIndexConstant,
             d->sections[static_cast<uint32_t>(SectionKind::kIndices)][7] = 0x80),
        CASE("blocks_outside", kBlockStructure, Control(d, KernelId::kIf).first_block = 100),
        CASE("if_one_block", kBlockStructure, Control(d, KernelId::kIf).block_count = 1),
        CASE("if_three_blocks", kBlockStructure, Control(d, KernelId::kIf).block_count = 3),
        CASE("if_results", kBlockStructure, Then(d).result_count = 0),
        CASE("if_params", kBlockStructure, Then(d).param_count = 1;
             Then(d).first_param = LoopBody(d).first_param; LoopBody(d).param_count = 1),
        CASE("if_result_type", kBlockStructure,
             d->block_values[Then(d).first_result] = Id(d, "true")),
        CASE("if_result_shape", kBlockStructure, Val(d, "twice").dtype = 0 + 9),
        CASE("loop_results", kBlockStructure, LoopBody(d).result_count = 1),
        CASE("loop_params", kBlockStructure, LoopBody(d).param_count = 1),
        CASE("loop_param_storage", kBlockStructure,
             d->block_values[LoopBody(d).first_param + 1] = Id(d, "x")),
        CASE("loop_carried_type", kBlockStructure,
             Val(d, "next").dtype = static_cast<uint8_t>(DType::kI32)),
        CASE("blocks_on_a_kernel", kBlockStructure, Ins(d, "fc").block_count = 1),
        CASE("block_shared", kBlockStructure,
             Control(d, KernelId::kLoop).first_block = Control(d, KernelId::kIf).first_block;
             Then(d).param_count = LoopBody(d).param_count),
        CASE("block_recursive", kBlockStructure,
             // The else branch is the method's own block.
             const uint32_t first = Control(d, KernelId::kIf).first_block;
             std::swap(d->blocks[d->methods[0].block], d->blocks[first + 1]);
             d->methods[0].block = first + 1),
        CASE("block_of_two_methods", kMethodRange, d->methods[2] = d->methods[1];
             d->methods[2].name = 0),
        CASE("block_unreached", kBlockStructure, d->blocks.push_back({})),
        CASE("instruction_shared", kBlockStructure, Then(d).instruction_count = 2),
        CASE("instruction_unreached", kBlockStructure,
             d->instructions.push_back(d->instructions.back())),
        CASE("result_undefined", kInstructionOperand,
             d->block_values[Then(d).first_result] = Id(d, "minus")),
        CASE(
            "output_not_written", kOutputNotWritten, MainBlock(d).instruction_count -= 1;
            d->instructions.erase(d->instructions.begin() + Names(*d).Instruction("shape"));
            for (BlockDef& b
                 : d->blocks) {
              if (b.first_instruction > MainBlock(d).first_instruction) --b.first_instruction;
            }),
        CASE("loop_no_limit", kLoopBound, Control(d, KernelId::kLoop).attr_count = 0),
        CASE("loop_zero", kLoopBound, d->attrs[Control(d, KernelId::kLoop).first_attr] = 0),
        CASE("loop_negative", kLoopBound, d->attrs[Control(d, KernelId::kLoop).first_attr] = -1),
        CASE("loop_huge", kLoopBound, d->attrs[Control(d, KernelId::kLoop).first_attr] = INT64_MAX),
        CASE("loop_over_work", kLoopBound,
             d->attrs[Control(d, KernelId::kLoop).first_attr] = int64_t{1} << 40),
  };
}

std::vector<ProgramCase> PlanCases() {
  return {
    CASE("arena_too_small", kArenaRange, d->buckets[0].arena_bytes -= 64),
        CASE("arena_empty", kArenaRange, d->buckets[0].arena_bytes = 0),
        CASE("slot_outside_table", kArenaRange, Val(d, "h").link = 0x7fffffff),
        CASE("slot_offset_wraps", kArenaRange, d->buckets[0].first_offset = ~uint64_t{0}),
        CASE("slot_offset_huge", kArenaRange, Slot(d, "h") = uint64_t{1} << 62),
        CASE("slot_offset_max", kArenaRange, Slot(d, "h") = ~uint64_t{63}),
        CASE("slot_misaligned", kArenaAlignment, Slot(d, "h") += 4),
        CASE("overlap", kArenaOverlap, Slot(d, "a") = Slot(d, "h")),
        CASE("overlap_in_the_larger_bucket", kArenaOverlap, Slot(d, "a", 1) = Slot(d, "h", 1)),
        CASE("overlap_partly", kArenaOverlap, Slot(d, "a", 1) = Slot(d, "h", 1) + 64),
        CASE("overlap_across_the_loop", kArenaOverlap, Slot(d, "next") = Slot(d, "h")),
        CASE("overlap_of_loop_param", kInstructionAlias, Slot(d, "next") = Slot(d, "v")),
        CASE("overlap_of_loop_iteration", kArenaOverlap, Slot(d, "next") = Slot(d, "i")),
        CASE("overlap_of_carried_input", kInstructionAlias, Slot(d, "looped") = Slot(d, "a")),
        CASE("overlap_of_param_and_input", kArenaOverlap, Slot(d, "v") = Slot(d, "a")),
        CASE("overlap_of_branch_and_output", kArenaOverlap, Slot(d, "twice") = Slot(d, "a")),
        CASE("overlap_of_operand", kInstructionAlias, Slot(d, "twice") = Slot(d, "h")),
        CASE("bucket_table", kBucketRange, d->methods[0].first_bucket = 99),
        CASE("bucket_none", kBucketRange, d->methods[0].bucket_count = 0),
        CASE("bucket_reserved", kBucketRange, d->buckets[0].reserved = 1),
        CASE("bucket_max_table", kBucketRange, d->buckets[0].first_max = 99),
        CASE("bucket_below_min", kBucketRange, d->bucket_max[0] = 0),
        CASE("bucket_above_max", kBucketRange, d->bucket_max[1] = 9),
        CASE("bucket_last_does_not_cover", kBucketRange, d->bucket_max[1] = 7),
        CASE("buckets_many", kLimitExceeded, d->methods[0].bucket_count = 129;
             d->buckets.resize(200, d->buckets[1])),
        CASE("scratch", kScratchSize, d->buckets[0].scratch_bytes = kFakeGemmScratch - 1),
        CASE("scratch_of_larger_bucket", kScratchSize, d->buckets[1].scratch_bytes = 0),
        CASE("arena_over_limit", kLimitExceeded, d->buckets[0].arena_bytes = uint64_t{1} << 60),
        CASE("scratch_over_limit", kLimitExceeded, d->buckets[0].scratch_bytes = ~uint64_t{0}),
  };
}

}  // namespace floe::testing
