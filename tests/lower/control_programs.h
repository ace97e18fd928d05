// Random graphs with nested branches, loops, states and checks, in which every result is small,
// every loop ends soon and no branch depends on rounding.
#ifndef FLOE_TESTS_LOWER_CONTROL_PROGRAMS_H_
#define FLOE_TESTS_LOWER_CONTROL_PROGRAMS_H_

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "compiler/ir/control.h"
#include "compiler/ir/graph.h"

namespace floe::lower {

// Inputs: x f32 [N,4], y f32 [N,4], n i64, m i64, b bool. N is 1..5. Up to three states. The same
// seed gives the same graph.
std::unique_ptr<ir::Graph> RandomControlGraph(uint32_t seed);

}  // namespace floe::lower

#endif  // FLOE_TESTS_LOWER_CONTROL_PROGRAMS_H_
