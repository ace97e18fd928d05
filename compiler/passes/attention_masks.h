// What the mask of an attention says, found in the arithmetic and the constants that exporters
// write: which of its forms mean "no key after the query".
#ifndef FLOE_COMPILER_PASSES_ATTENTION_MASKS_H_
#define FLOE_COMPILER_PASSES_ATTENTION_MASKS_H_

#include <optional>

#include "compiler/ir/graph.h"

namespace floe::passes {

// From this on a number in a score's place or added to it leaves a weight of exactly 0, unless all
// keys of the row have it.
inline constexpr double kMaskedScore = -1e30;

// Whether a constant of one element is a score that masks.
bool IsMaskedScore(const ir::Value* value);

// If `mask` (f32: added to the scores; bool: true where a key takes part) lets query i of `queries`
// see key j of `keys` exactly if j <= i (1) or j <= i + keys - queries (2): op attention's
// attribute.
std::optional<int64_t> CausalityOf(const ir::Value* mask, const ir::Dim& queries,
                                   const ir::Dim& keys);

}  // namespace floe::passes

#endif  // FLOE_COMPILER_PASSES_ATTENTION_MASKS_H_
