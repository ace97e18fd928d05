// The textual form of the IR: what --print-after prints and tests are written in.
//
//   graph @lenet5 symbols(N: 1..8) {
//     %image = input f32[N,1,28,28]
//     %w = constant f32[6,1,5,5] #0x1f2e3d4c...       (small ones are written out: = [1, 2, 3])
//     %y = conv(%image, %w) {strides=[1,1], pads=[2,2,2,2], dilations=[1,1], groups=1}
//          : f32[N,6,28,28] loc("/conv1/Conv")
//     %z = pointwise(%y) { r0 = load 0; r0 = relu r0 } : f32[N,6,28,28]
//     output %z as "logits"
//   }
//
// States, checks and bodies (control.h):
//
//     %cache = state "cache" f32[1,64] = [0.0, ...]           (initially)
//     check(%fits) "the input is too long"
//     %r = if(%c, %x) : f32[N] then {
//       %x = input f32[N]
//       output %x as "x"
//     } else { ... }
//     %h = loop(%trips, %go, %h0) {carried=1, max_trips=9} : f32[N] body { ... }
//     state "cache" = %new                                    (after the run)
//
// Operands of an epilogue follow a bar: conv(%x, %w | %b) {...} epilogue { r1 = load 0; ... }. An
// absent operand or result is _. Known contents follow a type: i64[2] = [N,4]. Names with other
// than letters, digits and _ . / - $ are quoted: %"a b". In the parser, // starts a comment; types
// are optional (they are inferred, and compared where written) but for ops whose shape is in the
// type; and a constant may be made up: constant f32[64,64] = random SEED [LOW HIGH].
#ifndef FLOE_COMPILER_IR_TEXT_H_
#define FLOE_COMPILER_IR_TEXT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "compiler/ir/graph.h"

namespace floe::ir {

struct TextOptions {
  // Constants of at most this many elements are written out; larger ones by shape and hash, and
  // cannot be read back.
  int64_t max_constant_elements = 64;
};

std::string ToText(const Graph& graph, const TextOptions& options = {});
// Reads the form back; errors name line and column. A constant given by hash is refused.
absl::StatusOr<std::unique_ptr<Graph>> ParseText(std::string_view text);

}  // namespace floe::ir

#endif  // FLOE_COMPILER_IR_TEXT_H_
