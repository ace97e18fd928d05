// Names for the parts of EverythingProgram, for cases that damage them.
#ifndef FLOE_TESTS_FORMAT_DAMAGE_H_
#define FLOE_TESTS_FORMAT_DAMAGE_H_

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "tests/format/rules_test.h"

namespace floe::testing {

// Values, symbols and so on of EverythingProgram by name. Names recur in other methods: `nth`.
struct Names {
  explicit Names(const ProgramData& d) : data(d) {}
  uint32_t Value(std::string_view name, int nth = 0) const {
    const ProgramView view = data.View();
    for (uint32_t v = 0; v < data.values.size(); ++v) {
      if (view.String(data.values[v].name) == name && nth-- == 0) return v;
    }
    ADD_FAILURE() << "no value " << name;
    return 0;
  }
  uint32_t Instruction(std::string_view name) const {
    const ProgramView view = data.View();
    for (uint32_t i = 0; i < data.instructions.size(); ++i) {
      if (view.String(data.instructions[i].name) == name) return i;
    }
    ADD_FAILURE() << "no instruction " << name;
    return 0;
  }
  uint32_t Kernel(KernelId kernel) const {
    for (uint32_t i = 0; i < data.instructions.size(); ++i) {
      if (data.instructions[i].kernel == static_cast<uint32_t>(kernel)) return i;
    }
    ADD_FAILURE() << "no such kernel";
    return 0;
  }
  const ProgramData& data;
};

;

// The instruction of that name, its operand k, a value of that name, and so on.
inline Instruction& Ins(ProgramData* d, std::string_view name) {
  return d->instructions[Names(*d).Instruction(name)];
}
inline Instruction& Control(ProgramData* d, KernelId kernel) {
  return d->instructions[Names(*d).Kernel(kernel)];
}
inline uint32_t& Operand(ProgramData* d, const Instruction& i, uint32_t k) {
  return d->operands[i.first_operand + k];
}
inline uint32_t& Operand(ProgramData* d, std::string_view instruction, uint32_t k) {
  return Operand(d, Ins(d, instruction), k);
}
inline ValueDef& Val(ProgramData* d, std::string_view name, int nth = 0) {
  return d->values[Names(*d).Value(name, nth)];
}
inline uint32_t Id(ProgramData* d, std::string_view name, int nth = 0) {
  return Names(*d).Value(name, nth);
}
// Gives a value a dims list of its own, of fixed sizes.
inline void SetDims(ProgramData* d, ValueDef* v, const std::vector<int64_t>& dims) {
  v->first_dim = static_cast<uint32_t>(d->value_dims.size());
  v->rank = static_cast<uint8_t>(dims.size());
  for (const int64_t n : dims) {
    d->value_dims.push_back(static_cast<uint32_t>(d->dims.size()));
    d->dims.push_back({n, 0, 0});
  }
}
inline BlockDef& LoopBody(ProgramData* d) {
  return d->blocks[Control(d, KernelId::kLoop).first_block];
}
inline BlockDef& Then(ProgramData* d) { return d->blocks[Control(d, KernelId::kIf).first_block]; }
inline BlockDef& MainBlock(ProgramData* d) { return d->blocks[d->methods[0].block]; }
// The arena offset of a value in bucket `bucket` of method 0.
inline uint64_t& Slot(ProgramData* d, std::string_view name, uint32_t bucket = 0) {
  return d->arena_offsets[d->buckets[d->methods[0].first_bucket + bucket].first_offset +
                          Val(d, name).link];
}

// One line each: D is the program's data.
#define CASE(name, rule, ...)                             \
  ProgramCase {                                           \
    name, Rule::rule, [](ProgramData* d) { __VA_ARGS__; } \
  }

}  // namespace floe::testing

#endif  // FLOE_TESTS_FORMAT_DAMAGE_H_
