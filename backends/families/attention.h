// Family attention, as its checks, its twin and its kernels see it: strides instead of axis words.
//
// A key is hidden from a query where causality, a false or minus infinity in the mask says so. What
// is hidden takes no part: k and v may hold anything there, infinities and NaN too, as caches do
// behind what is filled. An infinity or NaN that is not hidden reaches the result of every query
// that sees it, unless its weight rounds to 0.
#ifndef FLOE_BACKENDS_FAMILIES_ATTENTION_H_
#define FLOE_BACKENDS_FAMILIES_ATTENTION_H_

#include <cstdint>

#include "format/footprint.h"
#include "format/status.h"

namespace floe::families {

// Where one operand's heads are: element strides, and the offset of the first head.
struct HeadsView {
  int64_t batch = 0, head = 0, position = 0, feature = 0;
  int64_t offset = 0;
};

struct AttentionShape {
  int64_t batch = 0, heads = 0, queries = 0, keys = 0;
  int64_t group = 1;           // Heads of q that share one of k and v.
  int64_t width = 0, out = 0;  // Features of q and k; of v and y.
  double scale = 1;
  int64_t causal_offset = 0;  // Query i sees keys up to i + causal_offset, if causal.
  bool causal = false;
  bool zero_empty = false;
  bool bool_mask = false;
  bool has_mask = false;
  HeadsView q, k, v, y;
  int64_t mask[4] = {};  // Strides of the mask over [B,H,S,L]; 0 where it broadcasts.
};

// Reads the words "b h s d first step" of an operand of rank 4 at op.attrs[*at] and moves on; dims
// gets the sizes in that order, of heads those that are there. Features must be its last axis,
// unless it is operand 1.
Status ReadHeads(const OpInfo& op, uint32_t operand, uint32_t* at, HeadsView* view,
                 int64_t dims[4]);

// Decodes the attributes and checks them against the operands, which have passed CheckOperands.
Status ReadAttention(const OpInfo& op, AttentionShape* shape);

// The state of a kernel, and the blocks in which it works. Queries of one task, and keys whose
// scores are kept at a time: they, the packed keys and values and the accumulators stay in L2
// together.
inline constexpr int64_t kAttentionStateBytes = 1024;
inline constexpr int64_t kAttentionQueries = 128;
int64_t AttentionKeyBlock(const AttentionShape& shape);
// Floats of each part of the scratch, multiples of 16. False on overflow.
struct AttentionScratch {
  int64_t scores = 0, keys = 0, values = 0, result = 0, rows = 0;
  int64_t total() const { return scores + keys + values + result + rows; }
};
[[nodiscard]] bool AttentionScratchOf(const AttentionShape& shape, AttentionScratch* scratch);

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_ATTENTION_H_
