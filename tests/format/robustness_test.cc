// Any bytes load or are refused: truncation everywhere, every bit of the metadata flipped with and
// without resealing, failing allocations. Sanitizers watch.
#include <algorithm>
#include <random>
#include <set>

#include "format/container.h"
#include "format/writer.h"
#include "tests/format/rules_test.h"

namespace floe::testing {
namespace {

TEST(RobustnessTest, EveryTruncationIsRefused) {
  for (const Sample& sample : SamplePrograms()) {
    SCOPED_TRACE(sample.name);
    const AlignedFile whole = Written(sample.make().View());
    for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
      // Only what can be read: an exact copy lets sanitizers see one byte too many.
      const AlignedFile cut(whole.data(), bytes);
      const Status s = ReadFile(cut);
      ASSERT_EQ(s.code, Code::kInvalidFile) << bytes;
      ASSERT_EQ(s.rule, Rule::kFileTooShort) << bytes;
    }
  }
}

// Truncated metadata inside an intact shell: the FlatBuffer itself is cut.
TEST(RobustnessTest, EveryTruncationOfTheMetadataIsHandled) {
  std::vector<uint8_t> bytes;
  ASSERT_OK(WriteProgram(IfProgram().View(), &bytes));
  SectionEntry entry;
  std::memcpy(&entry, bytes.data() + sizeof(FileHeader), sizeof(entry));
  ASSERT_EQ(entry.kind, 1u);
  for (uint64_t size = 0; size < entry.bytes; ++size) {
    SectionEntry shorter = entry;
    shorter.bytes = size;
    std::vector<uint8_t> cut(bytes.begin(),
                             bytes.begin() + static_cast<ptrdiff_t>(entry.offset + size));
    cut.resize((cut.size() + 63) / 64 * 64);
    std::memcpy(cut.data() + sizeof(FileHeader), &shorter, sizeof(shorter));
    const uint64_t length = cut.size();
    std::memcpy(cut.data() + 16, &length, sizeof(length));
    ASSERT_TRUE(ResealProgram(cut.data(), cut.size()));
    const Status s = ReadFile(AlignedFile(cut.data(), cut.size()));
    // FlatBuffers may end with a few bytes of padding, which nothing refers to.
    if (size + 8 < entry.bytes) {
      ASSERT_FALSE(s.ok()) << size;
    }
  }
}

// The bytes of the header, the section table and the metadata.
std::vector<size_t> StructuralBytes(const AlignedFile& file) {
  SectionEntry entry;
  std::memcpy(&entry, file.data() + sizeof(FileHeader), sizeof(entry));
  std::vector<size_t> at(static_cast<size_t>(entry.offset + entry.bytes));
  for (size_t i = 0; i < at.size(); ++i) at[i] = i;
  return at;
}

TEST(RobustnessTest, EveryBitFlipIsDetected) {
  for (const Sample& sample : SamplePrograms()) {
    SCOPED_TRACE(sample.name);
    AlignedFile file = Written(sample.make().View());
    for (const size_t at : StructuralBytes(file)) {
      for (int bit = 0; bit < 8; ++bit) {
        file.data()[at] ^= static_cast<uint8_t>(1 << bit);
        ASSERT_FALSE(ReadFile(file).ok()) << at << " " << bit;
        file.data()[at] ^= static_cast<uint8_t>(1 << bit);
      }
    }
    EXPECT_OK(ReadFile(file));
  }
}

// Resealed, a flip may give another valid program; it must never give more than that. Accepted
// programs must survive being written and read again.
TEST(RobustnessTest, EveryResealedBitFlipLoadsOrIsRefused) {
  std::set<Rule> rules;
  int accepted = 0;
  for (const Sample& sample : SamplePrograms()) {
    SCOPED_TRACE(sample.name);
    const AlignedFile good = Written(sample.make().View());
    for (const size_t at : StructuralBytes(good)) {
      for (int bit = 0; bit < 8; ++bit) {
        AlignedFile file = good;
        file.data()[at] ^= static_cast<uint8_t>(1 << bit);
        if (!ResealProgram(file.data(), file.size())) continue;
        Program program;
        const Status s = Program::Read(file.data(), file.size(), {}, FakeFootprints(),
                                       DefaultAllocator(), &program);
        rules.insert(s.rule);
        if (!s.ok()) {
          ASSERT_NE(s.code, Code::kInternal);
          ASSERT_NE(s.rule, Rule::kNone);
          ASSERT_TRUE(program.view().values.empty()) << "a refused program leaves nothing behind";
          continue;
        }
        ++accepted;
        ASSERT_OK(ReadFile(Written(program.view())));
      }
    }
  }
  EXPECT_GT(accepted, 100);  // Names, immediates, tolerances, ...
  EXPECT_GT(rules.size(), 30u) << "flips should reach most of the validator";
}

// Two to four random bytes or words at once, with numbers that are likely to hurt.
TEST(RobustnessTest, RandomDamageLoadsOrIsRefused) {
  std::mt19937_64 random(7);
  const uint64_t nasty[] = {0,
                            1,
                            0x7f,
                            0x80,
                            0xff,
                            0x7fffffff,
                            0x80000000,
                            0xffffffff,
                            0x7fffffffffffffff,
                            0x8000000000000000,
                            0xffffffffffffffff,
                            uint64_t{1} << 40,
                            uint64_t{1} << 62};
  for (const Sample& sample : SamplePrograms()) {
    const AlignedFile good = Written(sample.make().View());
    const size_t end = StructuralBytes(good).size();
    for (int round = 0; round < 4000; ++round) {
      AlignedFile file = good;
      for (uint64_t n = 2 + random() % 3; n > 0; --n) {
        const size_t width = size_t{1} << random() % 4;
        const size_t at = sizeof(FileHeader) + random() % (end - sizeof(FileHeader) - width + 1);
        const uint64_t value = nasty[random() % std::size(nasty)];
        std::memcpy(file.data() + at / width * width, &value, width);
      }
      ResealProgram(file.data(), file.size());
      const Status s = ReadFile(file);
      ASSERT_NE(s.code, Code::kInternal);
    }
  }
}

// --- memory --------------------------------------------------------------------------------------

// Counts allocations and fails one of them.
struct FailingAllocator {
  int fail_at = -1;
  int calls = 0;
  int live = 0;
  size_t bytes = 0;

  Allocator get() {
    return {this,
            [](void* self, size_t n, size_t alignment) -> void* {
              auto* a = static_cast<FailingAllocator*>(self);
              if (a->calls++ == a->fail_at) return nullptr;
              ++a->live;
              a->bytes += n;
              return DefaultAllocator().Allocate(n, alignment);
            },
            [](void* self, void* memory, size_t n) {
              auto* a = static_cast<FailingAllocator*>(self);
              --a->live;
              a->bytes -= n;
              DefaultAllocator().Release(memory, n);
            }};
  }
};

TEST(RobustnessTest, EveryFailingAllocationIsAStatus) {
  const AlignedFile file = Written(EverythingProgram().View());
  for (int fail_at = 0;; ++fail_at) {
    FailingAllocator allocator{fail_at};
    Program program;
    const Status s =
        Program::Read(file.data(), file.size(), {}, FakeFootprints(), allocator.get(), &program);
    if (allocator.calls <= fail_at) {
      EXPECT_OK(s);
      EXPECT_EQ(allocator.live, 1) << "the program keeps its copy only";
      EXPECT_EQ(allocator.bytes, program.copy_bytes());
      EXPECT_GE(fail_at, 2);
      break;
    }
    EXPECT_EQ(s.code, Code::kResourceExhausted);
    EXPECT_EQ(s.rule, Rule::kHostMemory);
    EXPECT_EQ(allocator.live, 0);
    // The object can be used again.
    EXPECT_OK(Program::Read(file.data(), file.size(), {}, FakeFootprints(), DefaultAllocator(),
                            &program));
  }
}

TEST(RobustnessTest, RefusalsFreeEverything) {
  const ProgramData good = EverythingProgram();
  for (const auto& list : {TableCases(), CodeCases(), PlanCases()}) {
    for (const ProgramCase& c : list) {
      ProgramData data = good;
      c.damage(&data);
      const AlignedFile file = Written(data.View());
      FailingAllocator allocator;
      Program program;
      EXPECT_FALSE(
          Program::Read(file.data(), file.size(), {}, FakeFootprints(), allocator.get(), &program)
              .ok());
      EXPECT_EQ(allocator.live, 0) << c.name;
      EXPECT_EQ(allocator.bytes, 0u) << c.name;
    }
  }
}

TEST(RobustnessTest, ReadingAgainReplacesTheProgram) {
  FailingAllocator allocator;
  const AlignedFile a = Written(MlpProgram().View());
  const AlignedFile b = Written(StateProgram().View());
  {
    Program program;
    ASSERT_OK(Program::Read(a.data(), a.size(), {}, FakeFootprints(), allocator.get(), &program));
    ASSERT_OK(Program::Read(b.data(), b.size(), {}, FakeFootprints(), allocator.get(), &program));
    EXPECT_EQ(program.view().methods.size(), 2u);
    EXPECT_EQ(allocator.live, 1);
  }
  EXPECT_EQ(allocator.live, 0);
}

}  // namespace
}  // namespace floe::testing
