// The rules of the file around the metadata (1xx), and the metadata's own encoding.
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "floe_generated.h"
#include "format/checksum.h"
#include "format/container.h"
#include "format/writer.h"
#include "tests/format/rules_test.h"

namespace floe::testing {
namespace {

template <typename T>
void Put(std::vector<uint8_t>* file, size_t at, T value) {
  std::memcpy(file->data() + at, &value, sizeof(value));
}
template <typename T>
T Get(const std::vector<uint8_t>& file, size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof(value));
  return value;
}
size_t EntryAt(uint32_t i) { return sizeof(FileHeader) + i * sizeof(SectionEntry); }
SectionEntry Entry(const std::vector<uint8_t>& f, uint32_t i) {
  return Get<SectionEntry>(f, EntryAt(i));
}
uint32_t FindSection(const std::vector<uint8_t>& f, SectionKind kind) {
  uint32_t i = 0;
  while (Entry(f, i).kind != static_cast<uint32_t>(kind)) ++i;
  return i;
}
using Bytes = std::vector<uint8_t>;

}  // namespace

std::vector<FileCase> FileCases() {
  using enum Rule;
  const auto entry = [](uint32_t i, auto edit) {
    return [i, edit](Bytes* f) {
      SectionEntry e = Entry(*f, i);
      edit(&e);
      Put(f, EntryAt(i), e);
    };
  };
  return {
      {"empty", kFileTooShort, false, [](Bytes* f) { f->clear(); }},
      {"magic_only", kFileTooShort, false, [](Bytes* f) { f->resize(4); }},
      {"header_only", kFileTooShort, false, [](Bytes* f) { f->resize(64); }},
      {"last_byte_missing", kFileTooShort, false, [](Bytes* f) { f->pop_back(); }},
      {"magic", kHeaderMagic, true, [](Bytes* f) { (*f)[0] = 'f'; }},
      {"one_foreign_byte", kHeaderMagic, false, [](Bytes* f) { f->assign(1, 'P'); }},
      {"major", kHeaderVersion, true, [](Bytes* f) { Put<uint16_t>(f, 4, kFormatMajor + 1); }},
      {"minor", kHeaderVersion, true, [](Bytes* f) { Put<uint16_t>(f, 6, kFormatMinor + 1); }},
      {"big_endian", kHeaderVersion, true, [](Bytes* f) { Put<uint16_t>(f, 4, 0x0100); }},
      {"feature_0", kHeaderFeature, true, [](Bytes* f) { Put<uint64_t>(f, 8, 1); }},
      {"feature_63", kHeaderFeature, true, [](Bytes* f) { Put(f, 8, uint64_t{1} << 63); }},
      {"appended", kHeaderLength, false, [](Bytes* f) { f->resize(f->size() + 64); }},
      {"length_smaller", kHeaderLength, true,
       [](Bytes* f) { Put<uint64_t>(f, 16, f->size() - 64); }},
      {"length_larger", kFileTooShort, true, [](Bytes* f) { Put<uint64_t>(f, 16, f->size() + 1); }},
      {"length_huge", kFileTooShort, true, [](Bytes* f) { Put<uint64_t>(f, 16, ~uint64_t{0}); }},
      {"header_bit", kHeaderChecksum, false, [](Bytes* f) { (*f)[40] ^= 1; }},
      {"header_reserved", kHeaderChecksum, true, [](Bytes* f) { (*f)[40] = 1; }},
      {"header_reserved0", kHeaderChecksum, true, [](Bytes* f) { (*f)[28] = 1; }},
      {"table_bit", kHeaderChecksum, false, [](Bytes* f) { (*f)[EntryAt(0) + 24] ^= 1; }},
      {"section_count_huge", kSectionTable, false,
       [](Bytes* f) {
         Put<uint32_t>(f, 24, 0xffffffffu);
         Put(f, 56, Checksum(f->data(), 56));
       }},
      {"section_count_over_file", kSectionTable, false,
       [](Bytes* f) {
         f->resize(128);
         Put<uint64_t>(f, 16, 128);
         Put<uint32_t>(f, 24, 3);
         Put(f, 56, Checksum(f->data(), 56));
       }},
      {"section_flags", kSectionTable, true, entry(0, [](SectionEntry* e) { e->flags |= 2; })},
      {"section_twice", kSectionTable, true, entry(1, [](SectionEntry* e) { e->kind = 1; })},
      {"section_too_long", kSectionTable, true, entry(1, [](SectionEntry* e) { e->bytes += 64; })},
      {"section_too_short", kSectionTable, true, entry(1, [](SectionEntry* e) { e->bytes -= 64; })},
      {"section_wraps", kSectionTable, true,
       entry(1, [](SectionEntry* e) { e->bytes = ~uint64_t{0} - 63; })},
      {"section_overlaps", kSectionTable, true, entry(1, [](SectionEntry* e) { e->offset -= 64; })},
      {"section_hole", kSectionTable, true, entry(1, [](SectionEntry* e) { e->offset += 64; })},
      {"section_in_table", kSectionTable, true, entry(0, [](SectionEntry* e) { e->offset = 64; })},
      {"last_section_short", kSectionTable, true,
       [](Bytes* f) {
         // The file is 64 bytes longer than its sections.
         f->resize(f->size() + 64);
         Put<uint64_t>(f, 16, f->size());
       }},
      {"no_slack", kSectionTable, true,
       [](Bytes* f) {
         // The last section becomes weights that are shorter than the slack.
         const uint32_t last = FindSection(*f, SectionKind::kDebugMap);
         SectionEntry e = Entry(*f, FindSection(*f, SectionKind::kPackedWeights));
         Put<uint32_t>(f, EntryAt(FindSection(*f, SectionKind::kPackedWeights)), 99);
         Put<uint32_t>(f, EntryAt(FindSection(*f, SectionKind::kConstants)) + 4, 0);
         for (uint32_t i = 0; i < Get<uint32_t>(*f, 24); ++i) Put<uint32_t>(f, EntryAt(i) + 4, 0);
         Put<uint32_t>(f, EntryAt(last), e.kind);
       }},
      {"section_offset_odd", kSectionAlignment, true,
       entry(1, [](SectionEntry* e) { e->offset += 1; })},
      {"padding_at_end", kSectionPadding, true, [](Bytes* f) { f->back() = 1; }},
      {"padding_between", kSectionPadding, true,
       [](Bytes* f) {
         const SectionEntry e = Entry(*f, FindSection(*f, SectionKind::kConstants));
         (*f)[e.offset - 1] = 1;
       }},
      {"metadata_bit", kSectionChecksum, false,
       [](Bytes* f) { (*f)[Entry(*f, 0).offset + 100] ^= 1; }},
      {"indices_bit", kSectionChecksum, false,
       [](Bytes* f) { (*f)[Entry(*f, FindSection(*f, SectionKind::kIndices)).offset] ^= 1; }},
      {"metadata_missing", kSectionMissing, true,
       [](Bytes* f) {
         Put<uint32_t>(f, EntryAt(0), 60);
         Put<uint32_t>(f, EntryAt(0) + 4, 0);
       }},
      {"unknown_required_section", kHeaderFeature, true,
       [](Bytes* f) {
         Put<uint32_t>(f, EntryAt(FindSection(*f, SectionKind::kDebugMap)), 60);
         Put<uint32_t>(f, EntryAt(FindSection(*f, static_cast<SectionKind>(60))) + 4, 1);
       }},
      {"section_kind_0", kHeaderFeature, true,
       [](Bytes* f) {
         const uint32_t i = FindSection(*f, SectionKind::kDebugMap);
         Put<uint32_t>(f, EntryAt(i), 0);
         Put<uint32_t>(f, EntryAt(i) + 4, 1);
       }},
      {"root_offset", kMetadataVerify, true,
       [](Bytes* f) { Put<uint32_t>(f, Entry(*f, 0).offset, 0xfffffff0u); }},
      {"root_offset_small", kMetadataVerify, true,
       [](Bytes* f) { Put<uint32_t>(f, Entry(*f, 0).offset, 0); }},
      {"identifier", kMetadataVerify, true, [](Bytes* f) { (*f)[Entry(*f, 0).offset + 4] = 'X'; }},
  };
}

namespace {

TEST(FileRulesTest, EveryDamageIsNamed) {
  std::vector<uint8_t> good;
  ASSERT_OK(WriteProgram(EverythingProgram().View(), &good));
  for (const FileCase& c : FileCases()) {
    SCOPED_TRACE(c.name);
    std::vector<uint8_t> bytes = good;
    c.damage(&bytes);
    if (c.reseal) {
      ASSERT_TRUE(ResealProgram(bytes.data(), bytes.size()));
    }
    const AlignedFile file(bytes.data(), bytes.size());
    const Status s = ReadFile(file);
    EXPECT_FALSE(s.ok());
    EXPECT_EQ(s.rule, c.rule) << ::testing::PrintToString(s);
  }
}

TEST(FileRulesTest, PaddingAfterTheTableIsZero) {
  std::vector<uint8_t> bytes;
  ASSERT_OK(WriteProgram(IfProgram().View(), &bytes));
  const size_t end = EntryAt(Get<uint32_t>(bytes, 24));
  ASSERT_NE(end % 64, 0u);
  bytes[end] = 1;
  ASSERT_TRUE(ResealProgram(bytes.data(), bytes.size()));
  EXPECT_EQ(ReadFile(AlignedFile(bytes.data(), bytes.size())).rule, Rule::kSectionPadding);
}

TEST(FileRulesTest, UnknownOptionalSectionsAreIgnored) {
  std::vector<uint8_t> bytes;
  ASSERT_OK(WriteProgram(EverythingProgram().View(), &bytes));
  Put<uint32_t>(&bytes, EntryAt(FindSection(bytes, SectionKind::kDebugMap)), 60);
  ASSERT_TRUE(ResealProgram(bytes.data(), bytes.size()));
  EXPECT_OK(ReadFile(AlignedFile(bytes.data(), bytes.size())));
}

TEST(FileRulesTest, PayloadChecksumsOnDemandOnly) {
  std::vector<uint8_t> bytes;
  ASSERT_OK(WriteProgram(EverythingProgram().View(), &bytes));
  for (const SectionKind kind : {SectionKind::kConstants, SectionKind::kPackedWeights,
                                 SectionKind::kGoldens, SectionKind::kDebugMap}) {
    std::vector<uint8_t> damaged = bytes;
    damaged[Entry(damaged, FindSection(damaged, kind)).offset] ^= 0x40;
    const AlignedFile file(damaged.data(), damaged.size());
    EXPECT_OK(ReadFile(file));
    ReadOptions options;
    options.verify_payload = true;
    EXPECT_EQ(ReadFile(file, options).rule, Rule::kSectionChecksum);
  }
}

TEST(FileRulesTest, MisalignedMemoryIsRefused) {
  std::vector<uint8_t> bytes;
  ASSERT_OK(WriteProgram(MlpProgram().View(), &bytes));
  AlignedFile file(bytes.size() + 8);
  std::memcpy(file.data() + 8, bytes.data(), bytes.size());
  Program program;
  const Status s = Program::Read(file.data() + 8, bytes.size(), {}, FakeFootprints(),
                                 DefaultAllocator(), &program);
  EXPECT_EQ(s.code, Code::kInvalidArgument);
  EXPECT_EQ(s.rule, Rule::kHostArgument);
}

// Metadata that another FlatBuffers writer could make.
AlignedFile FileWithMetadata(const flatbuffers::FlatBufferBuilder& b, size_t shift = 0) {
  const size_t bytes = b.GetSize() + shift;
  const size_t padded = (bytes + 63) / 64 * 64;
  std::vector<uint8_t> file(128 + padded);
  FileHeader header = {};
  std::memcpy(header.magic, kMagic, 4);
  header.minor_version = kFormatMinor;
  header.file_bytes = file.size();
  header.section_count = 1;
  const SectionEntry entry = {1, kSectionRequired, 128, bytes, 0};
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + 64, &entry, sizeof(entry));
  std::memcpy(file.data() + 128, b.GetBufferPointer(), b.GetSize());
  EXPECT_TRUE(ResealProgram(file.data(), file.size()));
  return AlignedFile(file.data(), file.size());
}

TEST(FileRulesTest, MissingFieldsAreNamed) {
  flatbuffers::FlatBufferBuilder b;
  b.Finish(fb::CreateProgram(b), fb::ProgramIdentifier());
  EXPECT_EQ(ReadFile(FileWithMetadata(b)).rule, Rule::kMetadataField);
}

TEST(FileRulesTest, MisalignedVectorsAreRefused) {
  flatbuffers::FlatBufferBuilder b;
  // A vector of 8-byte structs, written as if its elements needed 4 bytes only. FlatBuffers grow
  // downwards: one of two lengths of a later vector puts it at 4 modulo 8.
  std::set<Rule> rules;
  for (const size_t after : {4, 8}) {
    b.Clear();
    const auto offsets = b.CreateVector(std::vector<uint32_t>(1, 0));
    const auto empty = b.CreateVector(std::vector<uint32_t>());
    b.StartVector(sizeof(fb::Value) / 4, 4);
    const fb::Value value{};
    b.PushBytes(reinterpret_cast<const uint8_t*>(&value), sizeof(value));
    const flatbuffers::Offset<flatbuffers::Vector<const fb::Value*>> values(b.EndVector(1));
    const auto blocks = b.CreateVectorOfStructs<fb::Block>(nullptr, 0);
    const auto methods = b.CreateVectorOfStructs<fb::Method>(nullptr, 0);
    const auto buckets = b.CreateVectorOfStructs<fb::Bucket>(nullptr, 0);
    const auto strings = b.CreateVector(std::vector<uint8_t>(after, 0));
    fb::ProgramBuilder p(b);
    p.add_values(values);
    p.add_blocks(blocks);
    p.add_methods(methods);
    p.add_buckets(buckets);
    p.add_operands(empty);
    p.add_string_offsets(offsets);
    p.add_strings(strings);
    b.Finish(p.Finish(), fb::ProgramIdentifier());
    rules.insert(ReadFile(FileWithMetadata(b)).rule);
  }
  EXPECT_EQ(rules, (std::set<Rule>{Rule::kMetadataVerify, Rule::kStringRange}));
}

}  // namespace
}  // namespace floe::testing
