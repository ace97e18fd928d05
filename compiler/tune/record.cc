#include "compiler/tune/record.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"

namespace floe::tune {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kVersionField[] = "floe_tune_record";
constexpr size_t kMaxEntries = 1000000;
constexpr size_t kMaxTimings = 256;
constexpr size_t kMaxText = 1024;
constexpr int64_t kMaxNumber = int64_t{1} << 53;  // That every JSON reader keeps exact.

// The key's texts under their names in the file.
constexpr std::pair<const char*, std::string Key::*> kKeyTexts[] = {
    {"cpu", &Key::cpu},       {"kernels", &Key::kernels},  {"weights", &Key::weights},
    {"family", &Key::family}, {"types", &Key::types},      {"shape", &Key::shape},
    {"layout", &Key::layout}, {"epilogue", &Key::epilogue}};

// Reads the fields of one object; the first error stays.
class Reader {
 public:
  Reader(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) Fail("is not an object");
  }

  std::string Text(const char* field, bool may_be_empty = false) {
    const Json* v = Get(field);
    if (v == nullptr) return "";
    if (!v->is_string()) return Fail(field, "is not a text"), "";
    auto text = v->get<std::string>();
    if (text.empty() && !may_be_empty) Fail(field, "is empty");
    if (text.size() > kMaxText) Fail(field, "is too long");
    return text;
  }
  int64_t Number(const char* field, int64_t least) {
    const Json* v = Get(field);
    if (v == nullptr) return 0;
    const bool fits = v->is_number_unsigned() && v->get<uint64_t>() <= uint64_t{kMaxNumber} &&
                      v->get<int64_t>() >= least;
    if (!fits) {
      Fail(field, absl::StrFormat("is not an integer from %d to 2^53", least));
      return 0;
    }
    return v->get<int64_t>();
  }
  const Json* List(const char* field, size_t least, size_t most) {
    const Json* v = Get(field);
    if (v == nullptr) return nullptr;
    if (!v->is_array() || v->size() < least || v->size() > most) {
      Fail(field, absl::StrFormat("is not a list of %d to %d", least, most));
      return nullptr;
    }
    return v;
  }
  void Fail(const char* field, const std::string& what) {
    Fail(absl::StrFormat("'%s' %s", field, what));
  }
  const absl::Status& status() const { return status_; }

 private:
  const Json* Get(const char* field) {
    if (!status_.ok()) return nullptr;
    const auto found = object_.find(field);
    if (found != object_.end()) return &*found;
    Fail(field, "is missing");
    return nullptr;
  }
  void Fail(const std::string& what) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(absl::StrFormat(
          "%s: %s; the record is damaged: restore it, or delete it and tune again", where_, what));
    }
  }

  const Json& object_;
  std::string where_;
  absl::Status status_;
};

absl::StatusOr<Entry> ParseEntry(const Json& json, const std::string& where) {
  Reader reader(json, where);
  Entry entry;
  for (const auto& [field, member] : kKeyTexts) {
    entry.key.*member = reader.Text(field, /*may_be_empty=*/member == &Key::epilogue);
  }
  entry.key.threads = reader.Number("threads", 1);
  entry.floe = reader.Text("floe");
  entry.probe_mflops = reader.Number("probe_mflops", 0);
  const Json* timings = reader.List("timings", 1, kMaxTimings);
  if (!reader.status().ok()) return reader.status();
  for (size_t i = 0; i < timings->size(); ++i) {
    Reader one((*timings)[i], absl::StrFormat("%s, timing %d", where, i));
    Timing t;
    t.candidate = one.Text("candidate");
    t.median_ns = one.Number("median_ns", 1);
    t.spread_ns = one.Number("spread_ns", 0);
    t.count = one.Number("count", 1);
    if (entry.Find(t.candidate) != nullptr) one.Fail("candidate", "is there twice");
    if (!one.status().ok()) return one.status();
    entry.timings.push_back(std::move(t));
  }
  return entry;
}

// The least count and minus the sum of the spreads: larger is better.
std::pair<int64_t, double> Quality(const Entry& e) {
  int64_t count = std::numeric_limits<int64_t>::max();
  double spread = 0;
  for (const Timing& t : e.timings) {
    count = std::min(count, t.count);
    spread += static_cast<double>(t.spread_ns) / static_cast<double>(t.median_ns);
  }
  return {count, -spread};
}

bool Better(const Entry& a, const Entry& b) {
  const auto qa = Quality(a), qb = Quality(b);
  if (qa != qb) return qa > qb;
  return a < b;
}

}  // namespace

const Timing* Entry::Find(std::string_view candidate) const {
  for (const Timing& t : timings) {
    if (t.candidate == candidate) return &t;
  }
  return nullptr;
}

absl::StatusOr<Record> Record::Parse(std::string_view text, std::string_view name) {
  const std::string file(name);
  Json json;
  try {
    json = Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is no tune record: it stops being JSON at byte %d; restore it, or delete it and tune "
        "again",
        file, e.byte));
  } catch (const Json::exception&) {  // Above all numbers that no double holds.
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is no tune record: it has a number that is out of range; restore it, or delete it "
        "and tune again",
        file));
  }
  const auto version = json.is_object() ? json.find(kVersionField) : json.end();
  if (!json.is_object() || version == json.end() || !version->is_number_unsigned()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is no tune record: it has no number '%s'; such a file is written by floec --tune",
        file, kVersionField));
  }
  if (version->get<uint64_t>() != uint64_t{kRecordVersion}) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is a tune record of version %d, and this floec reads version %d; use the floec that "
        "wrote it, or tune again into another file",
        file, version->get<uint64_t>(), kRecordVersion));
  }
  Reader reader(json, absl::StrFormat("'%s'", file));
  const Json* entries = reader.List("entries", 0, kMaxEntries);
  if (!reader.status().ok()) return reader.status();
  Record record;
  for (size_t i = 0; i < entries->size(); ++i) {
    auto entry = ParseEntry((*entries)[i], absl::StrFormat("'%s', entry %d", file, i));
    if (!entry.ok()) return entry.status();
    record.Add(*std::move(entry));
  }
  return record;
}

std::string Record::ToText() const {
  Json entries = Json::array();
  for (const auto& [key, entry] : entries_) {
    Json e = Json::object();
    for (const auto& [field, member] : kKeyTexts) e[field] = key.*member;
    e["threads"] = key.threads;
    e["floe"] = entry.floe;
    e["probe_mflops"] = entry.probe_mflops;
    e["timings"] = Json::array();
    for (const Timing& t : entry.timings) {
      e["timings"].push_back({{"candidate", t.candidate},
                              {"median_ns", t.median_ns},
                              {"spread_ns", t.spread_ns},
                              {"count", t.count}});
    }
    entries.push_back(std::move(e));
  }
  Json json = {{kVersionField, kRecordVersion}, {"entries", std::move(entries)}};
  // Texts that are no UTF-8 (a CPU's name) must not end the program.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void Record::Add(Entry entry) {
  const auto [at, is_new] = entries_.try_emplace(entry.key, entry);
  if (!is_new && Better(entry, at->second)) at->second = std::move(entry);
}

void Record::Merge(const Record& other) {
  for (const auto& [key, entry] : other.entries_) Add(entry);
}

const Entry* Record::Find(const Key& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace floe::tune
