#include "runtime/error.h"

#include <cstring>

#include "runtime/text.h"

namespace floe::runtime {
namespace {

bool IsBindShapeRule(Rule rule) { return rule >= Rule::kBindDType && rule <= Rule::kBindMissing; }

bool IsInstructionRule(Rule rule) {
  return rule >= Rule::kInstructionKernel && rule <= Rule::kLoopBound;
}

// "T is 1 to 512, a multiple of 8".
void PutSymbol(const ProgramView& p, uint32_t index, Text* text) {
  const SymbolDef& s = p.symbols[index];
  (*text << p.String(s.name)).Put(" is ", s.min).Put(" to ", s.max);
  if (s.multiple != 1) text->Put(", a multiple of ", s.multiple);
}

// The type that the program wants, and the bounds of its symbols.
void DescribeInput(const ProgramView& p, uint32_t value, int32_t axis, Text* text) {
  *text << "the program takes ";
  PutValue(p, value, text);
  const ValueDef& v = p.values[value];
  for (int32_t a = 0; a < v.rank; ++a) {
    if (axis >= 0 && a != axis) continue;
    const DimExpr& dim = p.DimOf(v, static_cast<uint32_t>(a));
    for (const DimTerm& term : p.terms.subspan(dim.first_term, dim.term_count)) {
      *text << "; ";
      PutSymbol(p, term.symbol, text);
    }
  }
}

// Names the first input of any method whose dimension is exactly the symbol of this axis.
void DescribeConflict(const ProgramView& p, uint32_t value, int32_t axis, Text* text) {
  if (axis < 0) return;
  const auto symbol_of = [&p](uint32_t v, uint32_t a) {
    const DimExpr& dim = p.DimOf(p.values[v], a);
    if (dim.term_count != 1) return kNoIndex;
    return p.terms[dim.first_term].symbol;
  };
  const uint32_t symbol = symbol_of(value, static_cast<uint32_t>(axis));
  if (symbol == kNoIndex) return;
  for (uint32_t v = 0; v < p.values.size(); ++v) {
    if (static_cast<Storage>(p.values[v].storage) != Storage::kInput || v == value) continue;
    for (uint32_t a = 0; a < p.values[v].rank; ++a) {
      if (symbol_of(v, a) != symbol) continue;
      text->Put("; ", p.String(p.symbols[symbol].name))
          .Put(" is also axis ", int64_t{a})
          .Put(" of ", p.String(p.values[v].name));
      return;
    }
  }
}

void DescribeOperands(const ProgramView& p, const Instruction& ins, const int64_t* symbols,
                      Text* text) {
  const auto put = [&](std::span<const uint32_t> values) {
    for (size_t i = 0; i < values.size() && i < 6; ++i) {
      if (i != 0) *text << ", ";
      if (values[i] == kNoIndex) {
        *text << "-";
      } else {
        PutValue(p, values[i], text);
      }
    }
    if (values.size() > 6) *text << ", ...";
  };
  put(p.Inputs(ins));
  *text << " -> ";
  put(p.Outputs(ins));
  if (symbols == nullptr) return;
  for (uint32_t s = 0; s < p.symbols.size(); ++s) {
    text->Put(s == 0 ? "; " : ", ", p.String(p.symbols[s].name)).Put("=", symbols[s]);
  }
}

void Describe(const Status& s, const ErrorScene& scene, floe_error* error) {
  Text detail(error->detail, sizeof(error->detail));
  if (scene.subject != nullptr) detail << scene.subject;
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 32)
  if (s.rule == Rule::kHostFile) {
    const char* text = strerrordesc_np(static_cast<int>(s.got));
    if (text != nullptr) detail << ": " << text;
  }
#endif
  if (scene.program == nullptr) return;
  const ProgramView& p = *scene.program;
  if (s.instruction < p.instructions.size()) {
    const Instruction& ins = p.instructions[s.instruction];
    CopyText(p.String(ins.op), error->op);
    CopyText(p.String(ins.name), error->node);
    if (IsInstructionRule(s.rule)) DescribeOperands(p, ins, scene.symbols, &detail);
    if (s.rule == Rule::kRunCheck && ins.attr_count != 0) {
      detail << p.String(static_cast<uint32_t>(p.attrs[ins.first_attr]));
    }
  }
  const bool of_symbol =
      s.rule == Rule::kRunSize || (s.rule == Rule::kBindSymbolRange && s.value == kNoIndex);
  if (of_symbol && s.operand < p.symbols.size()) {
    PutSymbol(p, s.operand, &detail);
    error->operand = kNoIndex;
  }
  if (s.value >= p.values.size()) return;
  CopyText(p.String(p.values[s.value].name), error->tensor);
  if (IsBindShapeRule(s.rule)) {
    DescribeInput(p, s.value, s.axis, &detail);
    if (s.rule == Rule::kBindSymbolConflict) DescribeConflict(p, s.value, s.axis, &detail);
  } else if (s.rule == Rule::kBindOverlap) {
    detail.Put("it shares memory with '", p.String(p.values[static_cast<size_t>(s.got)].name))
        << "'";
  } else {
    PutValue(p, s.value, &detail);
  }
}

}  // namespace

floe_status Report(const Status& s, const ErrorScene& scene, floe_error* error) {
  if (s.ok()) return FLOE_OK;
  if (error != nullptr) {
    std::memset(error, 0, sizeof(*error));
    error->code = static_cast<int32_t>(s.code);
    error->rule = static_cast<int32_t>(s.rule);
    error->instruction = s.instruction;
    error->value = s.value;
    error->operand = s.operand;
    error->axis = s.axis;
    error->expected = s.expected;
    error->got = s.got;
    Describe(s, scene, error);
  }
  return static_cast<floe_status>(s.code);
}

floe_status WriteInfo(const void* info, size_t size, void* out) {
  size_t room;  // struct_size, which every info struct starts with.
  if (out == nullptr) return FLOE_INVALID_ARGUMENT;
  std::memcpy(&room, out, sizeof(room));
  if (room < sizeof(room)) return FLOE_INVALID_ARGUMENT;
  if (room < size) size = room;
  std::memcpy(static_cast<char*>(out) + sizeof(room), static_cast<const char*>(info) + sizeof(room),
              size - sizeof(room));
  return FLOE_OK;
}

}  // namespace floe::runtime

namespace {

// Characters before the NUL, or all of the array when a caller forgot it.
template <size_t kSize>
std::string_view Bounded(const char (&array)[kSize]) {
  return {array, strnlen(array, kSize)};
}

}  // namespace

// "<what and what to do>: <where>: expected E, got G; <detail> [CODE, kRule]".
size_t floe_error_format(const floe_error* error, char* buffer, size_t capacity) {
  using floe::Code;
  using floe::DType;
  using floe::Rule;
  floe::runtime::Text text(buffer, capacity);
  if (error == nullptr || error->code == FLOE_OK) return (text << "ok").size();
  const auto rule = static_cast<Rule>(error->rule);
  if (rule != Rule::kNone) text << floe::RuleText(rule);
  const std::string_view node = Bounded(error->node);
  const std::string_view op = Bounded(error->op);
  const std::string_view tensor = Bounded(error->tensor);
  const std::string_view detail = Bounded(error->detail);
  if (error->instruction != FLOE_NO_INDEX) {
    text << ": " << (op.empty() ? std::string_view("instruction") : op);
    if (!node.empty()) text.Put(" '", node) << "'";
    text.Put(" (instruction ", int64_t{error->instruction}) << ")";
  }
  if (error->operand != FLOE_NO_INDEX) text.Put(", operand ", int64_t{error->operand});
  if (!tensor.empty()) {
    text.Put(": '", tensor) << "'";
  } else if (error->value != FLOE_NO_INDEX) {
    text.Put(": value ", int64_t{error->value});
  }
  if (error->axis >= 0) text.Put(", axis ", int64_t{error->axis});
  if (rule == Rule::kBindDType) {
    text << ": expected " << static_cast<DType>(error->expected) << ", got "
         << static_cast<DType>(error->got);
  } else if (rule == Rule::kBindSymbolRange || rule == Rule::kBindSymbolMultiple) {
    text.Put(": got ", error->got);
  } else if (rule == Rule::kHostMemory) {
    text.Put(": ", error->expected) << " bytes";
  } else if ((error->expected != 0 || error->got != 0) && rule != Rule::kHostFile &&
             rule != Rule::kBindOverlap) {
    text.Put(": expected ", error->expected).Put(", got ", error->got);
  }
  if (!detail.empty()) text.Put("; ", detail);
  text << " [" << floe::CodeName(static_cast<Code>(error->code));
  if (rule != Rule::kNone) text << ", " << floe::RuleName(rule);
  return (text << "]").size();
}
