// Runs the first part of a network on a few items of the batch at a time.
//
// The activations of the first layers of a network for images are large: eight images of
// MobileNetV2 fill 38 MB behind its second convolution, which go to memory and come back for the
// next one, while those of one image stay in the caches. Later layers have small activations and
// large weights, which a batch reads only once. So the nodes up to a cut run on some of the items,
// then on the next ones, and what crosses the cut is put together again:
//
//   a batch of fixed size    written out: a slice of the inputs and a copy of the nodes for each
//                            group of items, and a concat of each value that crosses the cut
//   a batch that is a symbol a loop over its items (ir/control.h), which puts what an item gives
//                            into the carried results; they are copied twice for each item, so only
//                            a narrow cut pays
//
// It runs when all else is decided (passes, weights' types, Winograd tiles): copies of a node get
// what was decided for it. Which nodes may be split is in batch_items.h; which cut and how many
// items at a time, a model of the traffic with memory decides, in bytes (split_batch.cc). Kernels
// sum every element in an order that does not depend on the batch, so results stay the same bits.
#ifndef FLOE_COMPILER_LOWER_SPLIT_BATCH_H_
#define FLOE_COMPILER_LOWER_SPLIT_BATCH_H_

#include <cstdint>

#include "absl/status/status.h"
#include "compiler/ir/graph.h"
#include "compiler/lower/winograd_choice.h"
#include "compiler/passes/pass.h"
#include "compiler/passes/weight_types.h"

namespace floe::lower {

// By this name PassOptions::skip leaves it out and --print-after shows the graph behind it.
inline constexpr char kSplitBatch[] = "split-batch";

struct SplitOptions {
  // The caches that the activations of a batch are counted on to stay in, two thirds of it at most.
  // A file runs on any CPU and an L3 is shared with other cores, so it is half of the 32 MiB that a
  // cluster of Zen cores has; a split that a larger cache makes needless costs next to nothing.
  // 0: no batch is split.
  int64_t cache_bytes = int64_t{16} << 20;
  // Not 0: so many items at a time for as many nodes as can be, whatever that saves. Nothing where
  // the batch is no multiple of it, or, being a symbol, is split in ones only. For tests.
  int64_t items = 0;
};

// Splits the batch of a graph that is ready to be lowered, if that saves enough, with a line in
// `report` that says where and why. `winograd` (of which `weighed` is emptied) and `types` are for
// the nodes of `graph`, before and after.
absl::Status SplitBatch(ir::Graph& graph, const SplitOptions& options, WinogradPlan* winograd,
                        passes::WeightTypes* types, passes::Report* report);

}  // namespace floe::lower

#endif  // FLOE_COMPILER_LOWER_SPLIT_BATCH_H_
