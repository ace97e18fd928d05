#include "format/pointwise.h"

namespace floe {
namespace {

struct PwRow {
  const char* name;
  int sources;
};
constexpr PwRow kPwRows[] = {
#define FLOE_PW(id, name, sources) {name, sources},
    FLOE_PW_OPS(FLOE_PW)
#undef FLOE_PW
};
constexpr uint32_t kPwCount = static_cast<uint32_t>(PwOp::kCount);
static_assert(sizeof(kPwRows) / sizeof(kPwRows[0]) == kPwCount);
static_assert(kPwRegisters <= 32, "registers are tracked in one word");

}  // namespace

const char* PwOpName(PwOp op) {
  return static_cast<uint32_t>(op) < kPwCount ? kPwRows[static_cast<uint32_t>(op)].name : "?";
}

int PwOpSources(PwOp op) {
  return static_cast<uint32_t>(op) < kPwCount ? kPwRows[static_cast<uint32_t>(op)].sources : 0;
}

Status CheckPointwise(const PwInstr* code, uint32_t count, uint32_t operands, bool epilogue) {
  // expected: the number of the offending instruction, or the length limit; got: what was found.
  const auto bad = [](int64_t at, int64_t got) {
    return Error(Code::kInvalidFile, Rule::kInstructionCode, at, got);
  };
  if (count == 0 || count > kPwMaxLength) return bad(kPwMaxLength, count);
  uint32_t written = epilogue ? 1 : 0;
  for (uint32_t i = 0; i < count; ++i) {
    const PwInstr& pw = code[i];
    if (pw.op >= kPwCount) return bad(i, pw.op);
    if (pw.reserved != 0) return bad(i, pw.reserved);
    const uint8_t registers[4] = {pw.a, pw.b, pw.c, pw.dst};
    const int sources = kPwRows[pw.op].sources;
    for (int r = 0; r < 4; ++r) {
      if (registers[r] >= kPwRegisters) return bad(i, registers[r]);
      if (r < sources && (written >> registers[r] & 1) == 0) return bad(i, registers[r]);
    }
    if (static_cast<PwOp>(pw.op) == PwOp::kLoad) {
      if (pw.operand >= operands || pw.operand >= kPwMaxOperands) return bad(i, pw.operand);
    } else if (pw.operand != 0) {
      return bad(i, pw.operand);
    }
    written |= uint32_t{1} << pw.dst;
  }
  if ((written & 1) == 0) return bad(count, 0);
  return OkStatus();
}

}  // namespace floe
