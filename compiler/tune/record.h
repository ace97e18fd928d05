// compiler/tune/ keeps what was measured of a layer's candidates: the record that `floec --tune`
// writes and that later compiles read. This header: the record, its text and its merging;
// cpu_kind.h: on what machine and with which kernels. What is a layer and what are its candidates
// is compiler/lower's (tune_layers.h), the clock is tools/'s.
#ifndef FLOE_COMPILER_TUNE_RECORD_H_
#define FLOE_COMPILER_TUNE_RECORD_H_

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace floe::tune {

inline constexpr int64_t kRecordVersion = 1;

// What a measurement is valid for: all of it has to match.
struct Key {
  std::string cpu;      // CpuKind().
  std::string kernels;  // KernelVersion().
  int64_t threads = 1;
  std::string weights;   // Where they come from: "memory" or "cache".
  std::string family;    // "conv".
  std::string types;     // "f32*f32".
  std::string shape;     // "x=1x64x56x56 w=64x64x3x3 ...".
  std::string layout;    // "channels-last".
  std::string epilogue;  // "bias+relu"; may be empty.

  friend auto operator<=>(const Key&, const Key&) = default;
  friend bool operator==(const Key&, const Key&) = default;
};

struct Timing {
  std::string candidate;  // "direct", "F(2x2,3x3)": unique in its entry.
  int64_t median_ns = 0;  // At least 1.
  int64_t spread_ns = 0;  // Between the quartiles.
  int64_t count = 0;      // Runs, at least 1.

  friend auto operator<=>(const Timing&, const Timing&) = default;
};

// One layer's candidates, timed in turns in one sitting; so an entry stays whole.
struct Entry {
  Key key;
  std::string floe;          // The version that measured, for people.
  int64_t probe_mflops = 0;  // What the FMA probe reached beside it, one thread; 0: unknown.
  std::vector<Timing> timings;

  const Timing* Find(std::string_view candidate) const;  // Null: was not measured.
  friend auto operator<=>(const Entry&, const Entry&) = default;
  friend bool operator==(const Entry&, const Entry&) = default;
};

// At most one entry for each key. Of two, the one with more runs of its least-run candidate stays,
// then the one with the smaller spreads, then the smaller in the order of fields: a total order, so
// merging is associative, commutative and idempotent.
class Record {
 public:
  // The error names `name`, the entry and the field, or the byte where it stops being JSON. Fields
  // that this version does not know are dropped.
  static absl::StatusOr<Record> Parse(std::string_view text, std::string_view name);
  // Equal records give equal text, which Parse takes back. Ends with a newline.
  std::string ToText() const;

  void Add(Entry entry);
  void Merge(const Record& other);
  const Entry* Find(const Key& key) const;  // Null: none.
  const std::map<Key, Entry>& entries() const { return entries_; }

 private:
  std::map<Key, Entry> entries_;
};

}  // namespace floe::tune

#endif  // FLOE_COMPILER_TUNE_RECORD_H_
