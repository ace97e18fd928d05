// Programs survive the way through a file, and the sample programs are valid.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "format/reader.h"
#include "format/writer.h"
#include "tests/format/fake_footprints.h"
#include "tests/format/sample_programs.h"
#include "tests/format/test_util.h"

namespace floe::testing {
namespace {

template <typename T>
void ExpectEqualBytes(std::span<const T> a, std::span<const T> b, const char* table) {
  ASSERT_EQ(a.size(), b.size()) << table;
  if (a.empty()) return;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << table;
}

void ExpectEqualViews(const ProgramView& a, const ProgramView& b) {
  EXPECT_EQ(a.producer, b.producer);
  ExpectEqualBytes(a.symbols, b.symbols, "symbols");
  ExpectEqualBytes(a.terms, b.terms, "terms");
  ExpectEqualBytes(a.dims, b.dims, "dims");
  ExpectEqualBytes(a.value_dims, b.value_dims, "value_dims");
  ExpectEqualBytes(a.values, b.values, "values");
  ExpectEqualBytes(a.instructions, b.instructions, "instructions");
  ExpectEqualBytes(a.operands, b.operands, "operands");
  ExpectEqualBytes(a.attrs, b.attrs, "attrs");
  ExpectEqualBytes(a.code, b.code, "code");
  ExpectEqualBytes(a.block_values, b.block_values, "block_values");
  ExpectEqualBytes(a.blocks, b.blocks, "blocks");
  ExpectEqualBytes(a.methods, b.methods, "methods");
  ExpectEqualBytes(a.states, b.states, "states");
  ExpectEqualBytes(a.buckets, b.buckets, "buckets");
  ExpectEqualBytes(a.bucket_max, b.bucket_max, "bucket_max");
  ExpectEqualBytes(a.arena_offsets, b.arena_offsets, "arena_offsets");
  ExpectEqualBytes(a.goldens, b.goldens, "goldens");
  ExpectEqualBytes(a.golden_tensors, b.golden_tensors, "golden_tensors");
  ExpectEqualBytes(a.string_offsets, b.string_offsets, "string_offsets");
  ExpectEqualBytes(a.strings, b.strings, "strings");
  for (uint32_t k = 0; k < kSectionKinds; ++k) {
    ExpectEqualBytes(a.sections[k], b.sections[k], "section");
  }
}

TEST(ProgramTest, SamplesRoundTrip) {
  for (const Sample& sample : SamplePrograms()) {
    SCOPED_TRACE(sample.name);
    const ProgramData data = sample.make();
    const ProgramView view = data.View();
    EXPECT_OK(ValidateProgram(view, Limits{}, FakeFootprints(), DefaultAllocator()));
    const AlignedFile file = Written(view);
    ReadOptions options;
    options.verify_payload = true;
    Program program;
    ASSERT_OK(Program::Read(file.data(), file.size(), options, FakeFootprints(), DefaultAllocator(),
                            &program));
    ExpectEqualViews(view, program.view());
    // The view points at private memory for indices and into the file for weights.
    for (const SectionKind kind : {SectionKind::kConstants, SectionKind::kPackedWeights}) {
      const auto section = program.view().sections[static_cast<uint32_t>(kind)];
      if (section.empty()) continue;
      EXPECT_GE(section.data(), file.data());
      EXPECT_LE(section.data() + section.size() + kReadSlack, file.data() + file.size());
      EXPECT_EQ((section.data() - file.data()) % kAlignment, 0);
      const uint8_t* end = section.data() + section.size();
      EXPECT_TRUE(std::all_of(end, end + kReadSlack, [](uint8_t b) { return b == 0; }));
    }
    const auto indices = program.view().sections[static_cast<uint32_t>(SectionKind::kIndices)];
    if (!indices.empty()) {
      EXPECT_TRUE(indices.data() + indices.size() <= file.data() ||
                  indices.data() >= file.data() + file.size());
      EXPECT_EQ(reinterpret_cast<uintptr_t>(indices.data()) % kAlignment, 0u);
    }
  }
}

// A constant of the optional section is an operand like any other; in a file without the section it
// is absent, which these kernels refuse.
TEST(ProgramTest, ConstantsOfAnAbsentSectionAreAbsentOperands) {
  constexpr auto kFrom = static_cast<uint32_t>(SectionKind::kPackedWeights);
  constexpr auto kTo = static_cast<uint32_t>(SectionKind::kAlternatives);
  ProgramData data = MlpProgram();
  data.sections[kTo].swap(data.sections[kFrom]);
  for (ValueDef& v : data.values) {
    if (v.storage == static_cast<uint8_t>(Storage::kConstant)) v.link = kTo;
  }
  ProgramView view = data.View();
  Program program;
  const auto read = [&] {
    const AlignedFile file = Written(view);
    return Program::Read(file.data(), file.size(), ReadOptions{}, FakeFootprints(),
                         DefaultAllocator(), &program);
  };
  ASSERT_OK(read());
  ExpectEqualBytes(program.view().values, view.values, "values");
  view.sections[kTo] = {};
  const Status s = read();
  EXPECT_EQ(s.rule, Rule::kInstructionOperand);
  EXPECT_EQ(s.operand, 1u);
}

TEST(ProgramTest, WriterIsDeterministic) {
  for (const Sample& sample : SamplePrograms()) {
    std::vector<uint8_t> first, second;
    ASSERT_OK(WriteProgram(sample.make().View(), &first));
    ASSERT_OK(WriteProgram(sample.make().View(), &second));
    EXPECT_EQ(first, second) << sample.name;
  }
}

TEST(ProgramTest, WriterStopsWhenTheSinkDoes) {
  const ProgramData data = EverythingProgram();
  std::vector<uint8_t> whole;
  ASSERT_OK(WriteProgram(data.View(), &whole));
  struct Sink {
    int pieces_left;
    size_t bytes = 0;
  };
  const auto put = [](void* self, const void*, size_t bytes) {
    Sink* sink = static_cast<Sink*>(self);
    if (sink->pieces_left-- == 0) return false;
    sink->bytes += bytes;
    return true;
  };
  int pieces = 0;
  for (;; ++pieces) {
    Sink sink{pieces};
    const Status s = WriteProgram(data.View(), put, &sink);
    if (s.ok()) {
      EXPECT_EQ(sink.bytes, whole.size());
      break;
    }
    EXPECT_EQ(s.code, Code::kIo);
    EXPECT_EQ(sink.pieces_left, -1) << "nothing may be written after the sink has refused";
    ASSERT_LT(pieces, 100);
  }
  EXPECT_GT(pieces, 5);
}

}  // namespace
}  // namespace floe::testing
