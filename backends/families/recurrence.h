// Family gated_recurrence, as its checks, its twin and its kernels see it.
#ifndef FLOE_BACKENDS_FAMILIES_RECURRENCE_H_
#define FLOE_BACKENDS_FAMILIES_RECURRENCE_H_

#include <cstdint>

#include "format/footprint.h"

namespace floe::families {

enum class Cell : int64_t { kGruResetBefore, kGruResetAfter, kTanh, kRelu, kSigmoid };

struct RecurrenceShape {
  Cell cell = Cell::kTanh;
  bool reverse = false;
  int64_t gates = 1;
  int64_t steps = 0, batch = 0, hidden = 0;
};

// `op` has passed CheckGatedRecurrence.
RecurrenceShape ReadRecurrence(const OpInfo& op);

// Column of gate `gate` of `unit` in the packed weights.
inline int64_t RecurrenceColumn(int64_t gates, int64_t gate, int64_t unit) {
  return (unit / 16 * gates + gate) * 16 + unit % 16;
}

// Rows and gates of one product of a kernel: its scratch.
inline constexpr int64_t kRecurrenceRows = 16;

}  // namespace floe::families

#endif  // FLOE_BACKENDS_FAMILIES_RECURRENCE_H_
