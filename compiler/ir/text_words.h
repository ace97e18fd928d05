// Internal to the text form: the words that printer and parser share.
#ifndef FLOE_COMPILER_IR_TEXT_WORDS_H_
#define FLOE_COMPILER_IR_TEXT_WORDS_H_

#include <span>
#include <string>
#include <string_view>

#include "format/pointwise.h"

namespace floe::ir {

// Characters of a name behind % or @ that need no quotes.
bool IsNameChar(char c);
// A word that starts with a letter or _ and goes on with letters, digits and _.
bool IsIdentifier(std::string_view text);
// Whether an instruction's imm means something.
bool HasImmediate(PwOp op);
// "r0 = load 0; r0 = relu r0".
std::string CodeToText(std::span<const PwInstr> code);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_TEXT_WORDS_H_
