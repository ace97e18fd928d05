// Tune records: their text, damage to it, and merging.
#include "compiler/tune/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "compiler/tune/cpu_kind.h"

namespace floe::tune {
namespace {

using testing::HasSubstr;

Entry MakeEntry(const std::string& shape, std::vector<Timing> timings) {
  Entry e;
  e.key = {"a CPU", "products-1", 1, "memory", "conv", "f32*f32", shape, "channels-last", "relu"};
  e.floe = "0.1.0";
  e.probe_mflops = 110000;
  e.timings = std::move(timings);
  return e;
}

// Few keys and few numbers, so that records overlap and tie.
Record RandomRecord(std::mt19937* random) {
  const auto below = [&](int64_t n) { return static_cast<int64_t>((*random)() % uint64_t(n)); };
  Record record;
  const int64_t entries = below(6);
  for (int64_t i = 0; i < entries; ++i) {
    Entry e = MakeEntry("x=" + std::to_string(below(3)), {});
    e.key.threads = 1 + below(2);
    e.key.epilogue = below(2) == 0 ? "" : "relu";
    e.floe = below(2) == 0 ? "0.1.0" : "0.2.0";
    for (const char* candidate : {"direct", "F(2x2,3x3)", "F(4x4,3x3)"}) {
      if (below(8) == 0 && !e.timings.empty()) continue;
      e.timings.push_back({candidate, 1 + below(3), below(3), 1 + below(3)});
    }
    record.Add(e);
  }
  return record;
}

Record Merged(const Record& a, const Record& b) {
  Record r = a;
  r.Merge(b);
  return r;
}

TEST(TuneRecordTest, TextGivesTheRecordBack) {
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const Record record = RandomRecord(&random);
    const std::string text = record.ToText();
    const auto again = Record::Parse(text, "r.json");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->entries(), record.entries());
    EXPECT_EQ(again->ToText(), text);
  }
}

TEST(TuneRecordTest, MergingIsAssociativeCommutativeAndIdempotent) {
  std::mt19937 random(2);
  size_t overlaps = 0;
  for (int i = 0; i < 3000; ++i) {
    const Record a = RandomRecord(&random), b = RandomRecord(&random), c = RandomRecord(&random);
    const std::string all = Merged(Merged(a, b), c).ToText();
    EXPECT_EQ(Merged(a, Merged(b, c)).ToText(), all);
    EXPECT_EQ(Merged(Merged(c, b), a).ToText(), all);
    EXPECT_EQ(Merged(a, a).ToText(), a.ToText());
    const size_t both = Merged(a, b).entries().size();
    overlaps += both < a.entries().size() + b.entries().size() ? 1 : 0;
  }
  EXPECT_GT(overlaps, 500u);
}

TEST(TuneRecordTest, TheBetterMeasuredEntryStaysWhole) {
  struct Case {
    const char* why;
    std::vector<Timing> better, worse;
  };
  const Case cases[] = {
      {"more runs of the least-run candidate",
       {{"direct", 50, 9, 10}, {"F", 40, 9, 10}},
       {{"direct", 10, 1, 99}, {"F", 8, 1, 9}}},
      {"smaller spreads", {{"direct", 100, 3, 10}}, {{"direct", 50, 2, 10}}},
      {"the order of fields", {{"direct", 50, 0, 10}}, {{"direct", 60, 0, 10}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    const Entry better = MakeEntry("x", c.better), worse = MakeEntry("x", c.worse);
    for (const bool first : {false, true}) {
      Record r;
      r.Add(first ? better : worse);
      r.Add(first ? worse : better);
      ASSERT_EQ(r.entries().size(), 1u);
      EXPECT_EQ(*r.Find(better.key), better);
    }
  }
}

TEST(TuneRecordTest, EveryFieldOfTheKeyTellsEntriesApart) {
  const Entry base = MakeEntry("x", {{"direct", 1, 0, 1}});
  std::vector<Key> keys(9, base.key);
  keys[0].cpu += "+";
  keys[1].kernels += "+";
  keys[2].threads = 2;
  keys[3].weights = "cache";
  keys[4].family += "+";
  keys[5].types += "+";
  keys[6].shape += "+";
  keys[7].layout += "+";
  keys[8].epilogue += "+";
  Record record;
  record.Add(base);
  for (const Key& key : keys) {
    EXPECT_EQ(record.Find(key), nullptr);
    Entry e = base;
    e.key = key;
    record.Add(e);
  }
  EXPECT_EQ(record.entries().size(), keys.size() + 1);
}

// A whole record in which `from` became `to`.
std::string With(const std::string& from, const std::string& to) {
  Record record;
  record.Add(MakeEntry("x", {{"direct", 20, 3, 10}, {"F", 10, 2, 10}}));
  std::string text = record.ToText();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(TuneRecordTest, DamageIsNamed) {
  struct Case {
    std::string text;
    std::vector<const char*> says;
  };
  const Case cases[] = {
      {"", {"no tune record", "byte 1"}},
      {"hello", {"stops being JSON"}},
      {"{\"floe_tune_record\": 1, \"entries\": [", {"stops being JSON"}},
      {"[]", {"no number 'floe_tune_record'"}},
      {"{}", {"no number 'floe_tune_record'", "floec --tune"}},
      {"{\"floe_tune_record\": \"1\"}", {"no number 'floe_tune_record'"}},
      {"{\"floe_tune_record\": 2, \"entries\": []}", {"version 2", "reads version 1"}},
      {"{\"floe_tune_record\": 1}", {"'entries' is missing"}},
      {"{\"floe_tune_record\": 1, \"entries\": 5}", {"'entries' is not a list"}},
      {"{\"floe_tune_record\": 1, \"entries\": [7]}", {"entry 0: is not an object"}},
      {With("\"cpu\"", "\"gpu\""), {"entry 0", "'cpu' is missing", "damaged"}},
      {With("\"a CPU\"", "\"\""), {"'cpu' is empty"}},
      {With("\"a CPU\"", "3"), {"'cpu' is not a text"}},
      {With("\"a CPU\"", "\"" + std::string(2000, 'x') + "\""), {"'cpu' is too long"}},
      {With("\"threads\": 1", "\"threads\": 0"), {"'threads' is not an integer from 1"}},
      {With("\"median_ns\": 20", "\"median_ns\": 0"), {"timing 0", "'median_ns' is not"}},
      {With("\"median_ns\": 20", "\"median_ns\": -20"), {"'median_ns' is not"}},
      {With("\"median_ns\": 20", "\"median_ns\": 2.5"), {"'median_ns' is not"}},
      {With("\"median_ns\": 20", "\"median_ns\": 1e300"), {"'median_ns' is not"}},
      {With("\"median_ns\": 20", "\"median_ns\": 1e999"), {"out of range", "tune again"}},
      {With("\"median_ns\": 20", "\"median_ns\": 99999999999999999999"), {"'median_ns' is not"}},
      {With("\"median_ns\": 10", "\"median_ms\": 10"), {"timing 1", "'median_ns' is missing"}},
      {With("\"count\": 10", "\"count\": 0"), {"'count' is not an integer from 1"}},
      {With("\"F\"", "\"direct\""), {"timing 1", "'candidate' is there twice"}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text.substr(0, 80));
    const auto record = Record::Parse(c.text, "some.json");
    ASSERT_FALSE(record.ok());
    EXPECT_EQ(record.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message(record.status().message());
    EXPECT_THAT(message, HasSubstr("'some.json'"));
    for (const char* text : c.says) EXPECT_THAT(message, HasSubstr(text));
  }
}

TEST(TuneRecordTest, UnknownFieldsAreDropped) {
  const auto record = Record::Parse(With("\"floe\"", "\"mood\": [1], \"floe\""), "r");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->ToText(), With("", ""));
}

// Any bytes give a record or an error; what is a record can be written and read back.
TEST(TuneRecordTest, AnyDamageGivesARecordOrAnError) {
  std::mt19937 random(4);
  const std::string whole = With("", "");
  size_t records = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = whole;
    for (uint64_t n = random() % 3; n < 3; ++n) {
      const size_t at = random() % text.size();
      const uint64_t kind = random() % 3;
      if (kind == 0) text[at] = static_cast<char>(random());
      if (kind == 1) text.erase(at, 1 + random() % 8);
      if (kind == 2) text.insert(at, text.substr(random() % text.size(), random() % 40));
      if (text.empty()) break;
    }
    const auto record = Record::Parse(text, "r");
    if (!record.ok()) continue;
    ++records;
    const auto again = Record::Parse(record->ToText(), "r");
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
    EXPECT_EQ(again->entries(), record->entries());
  }
  EXPECT_GT(records, 100u);
}

TEST(TuneRecordTest, DeepNestingIsRefused) {
  const std::string deep = std::string(200000, '[') + std::string(200000, ']');
  EXPECT_FALSE(Record::Parse(deep, "r").ok());
  EXPECT_FALSE(Record::Parse(std::string(200000, '['), "r").ok());
}

TEST(TuneRecordTest, KindsOfCpuAndKernels) {
  EXPECT_EQ(CpuKind(), CpuKind());
  EXPECT_FALSE(CpuKind().empty());
  EXPECT_LE(CpuKind().size(), 200u);
  EXPECT_THAT(KernelVersion(), testing::MatchesRegex("products-[0-9a-f]+"));
  EXPECT_GE(CacheBytes(2), 0);
  EXPECT_EQ(CacheBytes(9), 0);
}

}  // namespace
}  // namespace floe::tune
