// Family rotary, as its check, its twin and its kernels see it.
#ifndef FLOE_BACKENDS_FAMILIES_ROTARY_H_
#define FLOE_BACKENDS_FAMILIES_ROTARY_H_

#include <cstdint>

#include "backends/families/attention.h"

namespace floe::families {

// y [B,H,S,D] from x as a view of heads, and rows of cosines and sines.
struct RotaryShape {
  int64_t batch = 0, heads = 0, positions = 0, features = 0;
  int64_t rotated = 0;       // The first so many features turn; the others are copied.
  bool interleaved = false;  // Pairs are neighbours, else half of `rotated` apart.
  bool shared = false;       // One number for each pair, else one for each feature.
  HeadsView x;
  // Strides of cos and sin over batch, head and position; 0 where they broadcast.
  int64_t cos[3] = {}, sin[3] = {};
};

// The state of a kernel.
struct RotaryPlan {
  RotaryShape shape;
  uint32_t tasks = 0;
};

// Decodes the attributes and checks them against the operands, which have passed CheckOperands.
Status ReadRotary(const OpInfo& op, RotaryShape* shape);

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_ROTARY_H_
