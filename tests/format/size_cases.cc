// Damage to symbols that derive from others, and to those that a run finds.
#include "format/limits.h"
#include "tests/format/damage.h"

namespace floe::testing {
namespace {

// Of SizesProgram, in its order.
enum : uint32_t { kN, kK, kAll, kFloor, kMost };

SymbolDef& Sym(ProgramData* d, uint32_t symbol) { return d->symbols[symbol]; }

uint32_t NewDim(ProgramData* d, uint32_t symbol) {
  d->terms.push_back({symbol, 0, 1});
  d->dims.push_back({0, static_cast<uint32_t>(d->terms.size()) - 1, 1});
  return static_cast<uint32_t>(d->dims.size()) - 1;
}

// Swaps two neighbours of the main block. Operands and attributes stay with their instruction.
void SwapWithNext(ProgramData* d, std::string_view name) {
  const uint32_t i = Names(*d).Instruction(name);
  std::swap(d->instructions[i], d->instructions[i + 1]);
}

}  // namespace

ProgramData BranchProgram(bool found_inside) {
  ProgramBuilder b;
  const uint32_t k = b.AddDataSymbol("K", 0, 8);
  const uint32_t c = b.AddInput("c", DType::kBool, {});
  const uint32_t count = b.AddInput("count", DType::kI64, {});
  const uint32_t y = b.AddOutput("y", DType::kI64, {1});
  const uint32_t found = b.AddDims("found", {Dim::Of(k)});
  const uint32_t zero = b.AddDims("zero", {0});
  const uint32_t yes = b.AddArena("yes", DType::kI64, {1});
  const uint32_t no = b.AddArena("no", DType::kI64, {1});
  b.AddMethod("main", {c, count}, {y}, [&] {
    if (!found_inside) b.AddSize(count, k, "size");
    b.AddIf(
        c, {y},
        [&]() -> Values {
          if (found_inside) b.AddSize(count, k, "size");
          b.AddInstruction(KernelId::kCopy, {found}, {yes}, {}, {}, "yes");
          return {yes};
        },
        [&]() -> Values {
          b.AddInstruction(KernelId::kCopy, {zero}, {no}, {}, {}, "no");
          return {no};
        });
  });
  return b.Build();
}

std::vector<ProgramCase> SizeCases() {
  constexpr uint32_t kFar = 0x7fffffff;
  return {
    CASE("kind_unknown", kSymbolRange, Sym(d, kAll).kind = 6),
        CASE("kind_far", kSymbolRange, Sym(d, kAll).kind = 0xffffffffu),
        CASE("first_operand_missing", kSymbolRange, Sym(d, kAll).a = kFar),
        CASE("second_operand_missing", kSymbolRange, Sym(d, kMost).b = kFar),
        CASE("of_itself", kSymbolRange, Sym(d, kAll).a = NewDim(d, kAll)),
        CASE("of_a_later_one", kSymbolRange, Sym(d, kAll).b = NewDim(d, kFloor)),
        CASE("of_numbers_only", kSymbolRange, Sym(d, kFloor).a = Sym(d, kFloor).b),
        CASE("input_with_operand", kSymbolRange, Sym(d, kN).b = 1),
        CASE("data_with_operand", kSymbolRange, Sym(d, kK).a = 1),
        CASE("derived_multiple", kSymbolRange, Sym(d, kAll).multiple = 2),
        CASE("data_multiple", kSymbolRange, Sym(d, kK).multiple = 2),
        CASE("derived_negative", kSymbolRange, Sym(d, kAll).min = -1),
        CASE("no_size_instruction", kSymbolRange, Sym(d, kK).kind = 0),
        CASE("size_of_an_input", kSymbolRange, d->attrs[Ins(d, "size").first_attr] = kN),
        CASE("size_of_a_derived_one", kSymbolRange, d->attrs[Ins(d, "size").first_attr] = kAll),
        CASE("size_of_none", kSymbolRange, d->attrs[Ins(d, "size").first_attr] = 5),
        CASE("size_of_a_negative_one", kSymbolRange, d->attrs[Ins(d, "size").first_attr] = -1),
        CASE("size_of_a_far_one", kSymbolRange, d->attrs[Ins(d, "size").first_attr] = INT64_MAX),
        CASE("size_without_symbol", kSymbolRange, Ins(d, "size").attr_count = 0),
        CASE("size_twice", kSymbolRange,
             // The instruction that fills "half" becomes another Size.
             Instruction& other = Ins(d, "half");
             const Instruction& size = Ins(d, "size"); const uint32_t name = other.name;
             other = size; other.name = name),
        CASE("size_after_its_use", kSymbolRange, SwapWithNext(d, "size")),
        CASE("size_missing", kSymbolRange, Ins(d, "size").kernel = kKernelCheck),
        CASE("size_in_a_branch", kSymbolRange, *d = BranchProgram(true)),
        CASE("content_before_its_size", kSymbolRange, Operand(d, "half", 0) = Id(d, "dims")),
        CASE("derived_before_its_size", kSymbolRange,
             d->value_dims[Val(d, "half").first_dim] = NewDim(d, kAll)),
        CASE("input_of_a_found_size", kSymbolRange,
             d->value_dims[Val(d, "x").first_dim] = NewDim(d, kK)),
        CASE("size_of_a_float", kInstructionDType, Operand(d, Ins(d, "size"), 0) = Id(d, "one")),
        CASE("alias_of_another_count", kAliasChain,
             d->value_dims[Val(d, "flat").first_dim] = NewDim(d, kMost)),
        CASE("corner_beyond_its_operands", kBucketRange, ++d->bucket_max[kAll]),
  };
}

}  // namespace floe::testing
