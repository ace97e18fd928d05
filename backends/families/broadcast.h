// What the checks of element-wise and data-moving families share.
#ifndef FLOE_BACKENDS_FAMILIES_BROADCAST_H_
#define FLOE_BACKENDS_FAMILIES_BROADCAST_H_

#include "backends/families/check.h"

namespace floe::families {

// Operand i is present and dense or channels-last.
Status CheckActivation(const OpInfo& op, uint32_t i);

// Input i broadcasts to y as numpy does: right-aligned, each dim y's or 1.
Status CheckBroadcast(const OpInfo& op, uint32_t i, const TensorInfo& y);

// Same dims, layout and halo, and elements of the same size: element by element the same bytes.
bool SameStorage(const TensorInfo& a, const TensorInfo& b);

// Operand i has operand j's dtype.
Status CheckSameDType(const OpInfo& op, uint32_t i, uint32_t j);

// Operand i has the dims of operand j.
Status CheckSameDims(const OpInfo& op, uint32_t i, uint32_t j);

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_BROADCAST_H_
