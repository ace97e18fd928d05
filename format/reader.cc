#include "format/reader.h"

#include <cstddef>
#include <cstring>
#include <type_traits>

#include "format/checked.h"
#include "format/checksum.h"
#include "format/container.h"
#include "format/error_sink.h"
#include "format/records.h"

namespace floe {
namespace {

bool AllZero(const uint8_t* begin, const uint8_t* end) {
  for (; begin != end; ++begin) {
    if (*begin != 0) return false;
  }
  return true;
}

bool Aligned(const void* p, size_t alignment) {
  return reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

uint64_t RoundedUp(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// One vector field of the root table, and where a view has it.
struct Field {
  flatbuffers::voffset_t slot;
  uint16_t view_offset;
  uint16_t element_bytes;
  uint16_t alignment;
  bool required;
};
#define FLOE_FIELD(slot, member, required)                           \
  {                                                                  \
    fb::Program::slot, offsetof(ProgramView, member),                \
        sizeof(decltype(ProgramView::member)::value_type),           \
        alignof(decltype(ProgramView::member)::value_type), required \
  }
// In the schema's order, `producer` (a string) excepted. A loop over this table is what flatc
// generates, in a fraction of the code.
constexpr Field kFields[] = {
    FLOE_FIELD(VT_SYMBOLS, symbols, false),
    FLOE_FIELD(VT_TERMS, terms, false),
    FLOE_FIELD(VT_DIMS, dims, false),
    FLOE_FIELD(VT_VALUE_DIMS, value_dims, false),
    FLOE_FIELD(VT_VALUES, values, true),
    FLOE_FIELD(VT_INSTRUCTIONS, instructions, false),
    FLOE_FIELD(VT_OPERANDS, operands, false),
    FLOE_FIELD(VT_ATTRS, attrs, false),
    FLOE_FIELD(VT_CODE, code, false),
    FLOE_FIELD(VT_BLOCK_VALUES, block_values, false),
    FLOE_FIELD(VT_BLOCKS, blocks, true),
    FLOE_FIELD(VT_METHODS, methods, true),
    FLOE_FIELD(VT_STATES, states, false),
    FLOE_FIELD(VT_BUCKETS, buckets, true),
    FLOE_FIELD(VT_BUCKET_MAX, bucket_max, false),
    FLOE_FIELD(VT_ARENA_OFFSETS, arena_offsets, false),
    FLOE_FIELD(VT_GOLDENS, goldens, false),
    FLOE_FIELD(VT_GOLDEN_TENSORS, golden_tensors, false),
    FLOE_FIELD(VT_STRING_OFFSETS, string_offsets, true),
    FLOE_FIELD(VT_STRINGS, strings, true),
};
#undef FLOE_FIELD
constexpr size_t kFieldCount = sizeof(kFields) / sizeof(kFields[0]);

// What a std::span is, whatever its elements are: twenty spans are set by one loop. Every test that
// reads a program would see another layout.
struct SpanParts {
  const void* data;
  size_t count;
};
static_assert(sizeof(SpanParts) == sizeof(std::span<const ValueDef>));
static_assert(std::is_standard_layout_v<ProgramView>);

// Reads the shell of a file and its metadata.
class Reader : public ErrorSink {
 public:
  Reader(const uint8_t* file, size_t bytes) : file_(file), bytes_(bytes) {}

  uint64_t Bytes(SectionKind kind) const {
    const SectionEntry* entry = known_[static_cast<uint32_t>(kind)];
    return entry == nullptr ? 0 : entry->bytes;
  }

  bool ReadContainer() { return ReadHeader() && ReadTable() && CheckPlacement() && FindSections(); }
  // Copies a section (if there is one) and checks the copy.
  bool CopySection(SectionKind kind, uint8_t* to) {
    const SectionEntry* entry = known_[static_cast<uint32_t>(kind)];
    if (entry == nullptr) return true;
    std::memcpy(to, file_ + entry->offset, entry->bytes);
    return CheckSum(*entry, to);
  }
  bool TakeMetadata(const uint8_t* metadata, ProgramView* view);
  void PointSections(ProgramView* view) const;
  void ForgetAlternatives(const ProgramView& view) const;
  bool CheckPayload() {
    for (uint32_t i = 0; i < header_.section_count; ++i) {
      if (!CheckSum(table_[i], file_ + table_[i].offset)) return false;
    }
    return true;
  }

 private:
  bool Bad(Rule rule, uint64_t expected = 0, uint64_t got = 0) {
    return ErrorSink::Bad(rule, static_cast<int64_t>(expected), static_cast<int64_t>(got));
  }
  bool CheckSum(const SectionEntry& e, const uint8_t* data) {
    return Checksum(data, e.bytes) == e.checksum || Bad(Rule::kSectionChecksum, e.checksum, e.kind);
  }
  bool ReadHeader();
  bool ReadTable();
  bool CheckPlacement();
  bool FindSections();

  const uint8_t* file_;
  const size_t bytes_;
  // Copied out of the mapping: a later change of the file cannot change them.
  FileHeader header_;
  SectionEntry table_[kMaxSections];
  // Entries of the kinds that this library knows; null if absent.
  const SectionEntry* known_[kSectionKinds] = {};
};

// In the order in which the answer is the most useful: another magic says more than a checksum.
bool Reader::ReadHeader() {
  const size_t have = bytes_ < sizeof(kMagic) ? bytes_ : sizeof(kMagic);
  if (have != 0 && std::memcmp(file_, kMagic, have) != 0) return Bad(Rule::kHeaderMagic);
  if (bytes_ < sizeof(header_)) return Bad(Rule::kFileTooShort, sizeof(header_), bytes_);
  std::memcpy(&header_, file_, sizeof(header_));
  // Before 1.0 a minor version may change anything; from then on newer minors only add.
  if (header_.major_version != kFormatMajor ||
      (kFormatMajor == 0 && header_.minor_version > kFormatMinor)) {
    return Fail(Code::kUnsupported, Rule::kHeaderVersion, kFormatMajor << 16 | kFormatMinor,
                header_.major_version << 16 | header_.minor_version);
  }
  const uint64_t checksum = Checksum(&header_, kHeaderChecked);
  if (checksum != header_.header_checksum || header_.reserved0 != 0 || header_.reserved1[0] != 0 ||
      header_.reserved1[1] != 0) {
    return Bad(Rule::kHeaderChecksum, checksum, header_.header_checksum);
  }
  if ((header_.required_features & ~kKnownFeatures) != 0) {
    return Fail(Code::kUnsupported, Rule::kHeaderFeature, static_cast<int64_t>(kKnownFeatures),
                static_cast<int64_t>(header_.required_features));
  }
  if (bytes_ == header_.file_bytes) return true;
  return Bad(bytes_ < header_.file_bytes ? Rule::kFileTooShort : Rule::kHeaderLength,
             header_.file_bytes, bytes_);
}

bool Reader::ReadTable() {
  const uint64_t count = header_.section_count;
  if (count > kMaxSections) return Bad(Rule::kSectionTable, kMaxSections, count);
  const uint64_t table_bytes = count * sizeof(SectionEntry);
  if (table_bytes > bytes_ - sizeof(FileHeader)) {
    return Bad(Rule::kSectionTable, bytes_, table_bytes);
  }
  std::memcpy(table_, file_ + sizeof(FileHeader), table_bytes);
  const uint64_t checksum = Checksum(table_, table_bytes);
  return checksum == header_.table_checksum ||
         Bad(Rule::kHeaderChecksum, checksum, header_.table_checksum);
}

// Sections follow each other on 64-byte boundaries without holes, overlaps or a tail.
bool Reader::CheckPlacement() {
  const uint32_t count = header_.section_count;
  uint64_t end = sizeof(FileHeader) + count * sizeof(SectionEntry);
  for (uint32_t i = 0; i <= count; ++i) {
    // After the last section the file ends, like one more that is empty.
    const uint64_t offset = i < count ? table_[i].offset : bytes_;
    if (i < count && offset % kAlignment != 0) {
      return Bad(Rule::kSectionAlignment, kAlignment, offset);
    }
    // `end` is at most the length of memory: rounding cannot overflow.
    if (offset != RoundedUp(end)) return Bad(Rule::kSectionTable, RoundedUp(end), offset);
    if (offset > bytes_) return Bad(Rule::kSectionTable, bytes_, offset);
    if (!AllZero(file_ + end, file_ + offset)) return Bad(Rule::kSectionPadding, 0, i);
    if (i == count) break;
    if (table_[i].bytes > bytes_ - offset) return Bad(Rule::kSectionTable, bytes_, table_[i].bytes);
    end = offset + table_[i].bytes;
  }
  return true;
}

bool Reader::FindSections() {
  for (uint32_t i = 0; i < header_.section_count; ++i) {
    const SectionEntry& e = table_[i];
    if ((e.flags & ~kSectionRequired) != 0) return Bad(Rule::kSectionTable, 0, e.flags);
    if (e.kind == 0 || e.kind >= kSectionKinds) {
      if (e.flags == 0) continue;
      return Fail(Code::kUnsupported, Rule::kHeaderFeature, kSectionKinds - 1, e.kind);
    }
    if (known_[e.kind] != nullptr) return Bad(Rule::kSectionTable, 1, e.kind);
    if (HasSlack(e.kind) && e.bytes < static_cast<uint64_t>(kReadSlack)) {
      return Bad(Rule::kSectionTable, kReadSlack, e.bytes);
    }
    known_[e.kind] = &e;
  }
  constexpr auto kMetadata = static_cast<uint32_t>(SectionKind::kMetadata);
  return known_[kMetadata] != nullptr || Bad(Rule::kSectionMissing, kMetadata, 0);
}

bool Reader::TakeMetadata(const uint8_t* metadata, ProgramView* view) {
  constexpr size_t kSmallest = 16;  // Root offset, identifier, the smallest vtable and table.
  const uint64_t bytes = Bytes(SectionKind::kMetadata);
  if (bytes < kSmallest) return Bad(Rule::kMetadataVerify, kSmallest, bytes);
  // One table, and vectors of scalars and structs: depth and table count are small by design.
  constexpr flatbuffers::uoffset_t kMaxDepth = 8;
  constexpr flatbuffers::uoffset_t kMaxTables = 4;
  flatbuffers::Verifier verifier(metadata, bytes, kMaxDepth, kMaxTables);
  if (!flatbuffers::BufferHasIdentifier(metadata, fb::ProgramIdentifier()) ||
      verifier.VerifyOffset(0) == 0) {
    return Bad(Rule::kMetadataVerify);
  }
  const auto* root = flatbuffers::GetRoot<flatbuffers::Table>(metadata);
  if (!root->VerifyTableStart(verifier) ||
      !root->VerifyOffset(verifier, fb::Program::VT_PRODUCER)) {
    return Bad(Rule::kMetadataVerify);
  }
  const auto* name = root->GetPointer<const flatbuffers::String*>(fb::Program::VT_PRODUCER);
  if (!verifier.VerifyString(name)) return Bad(Rule::kMetadataVerify);
  if (name != nullptr) view->producer = {name->c_str(), name->size()};
  for (size_t i = 0; i < kFieldCount; ++i) {
    const Field& field = kFields[i];
    if (!root->VerifyOffset(verifier, field.slot)) return Bad(Rule::kMetadataVerify);
    const auto* vector = root->GetPointer<const uint8_t*>(field.slot);
    if (vector == nullptr) {
      // A field that the file does not have is an empty table.
      if (field.required) return Bad(Rule::kMetadataField, 0, i + 1);
      continue;
    }
    if (!verifier.VerifyVectorOrString(vector, field.element_bytes)) {
      return Bad(Rule::kMetadataVerify);
    }
    const uint32_t count = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(vector);
    if (count == 0) continue;  // An empty vector is not aligned to anything.
    const uint8_t* data = vector + sizeof(flatbuffers::uoffset_t);
    // FlatBuffers verifies that a vector lies inside the buffer, not that its elements are aligned.
    if (!Aligned(data, field.alignment)) return Bad(Rule::kMetadataVerify, field.alignment, i + 1);
    const SpanParts span = {data, count};
    std::memcpy(reinterpret_cast<char*>(view) + field.view_offset, &span, sizeof(span));
  }
  return true;
}

// Without the section its constants are never stored, and operands that name them are absent. The
// tables lie in our own copy of the metadata.
void Reader::ForgetAlternatives(const ProgramView& view) const {
  constexpr auto kKind = static_cast<uint32_t>(SectionKind::kAlternatives);
  if (known_[kKind] != nullptr) return;
  for (const ValueDef& v : view.values) {
    if (v.storage != static_cast<uint8_t>(Storage::kConstant) || v.link != kKind) continue;
    auto& value = const_cast<ValueDef&>(v);
    value.storage = static_cast<uint8_t>(Storage::kNone);
    value.link = 0;
    value.offset = value.bytes = 0;
  }
  for (const uint32_t& operand : view.operands) {
    if (operand >= view.values.size() ||
        view.values[operand].storage != static_cast<uint8_t>(Storage::kNone)) {
      continue;
    }
    const_cast<uint32_t&>(operand) = kNoIndex;
  }
}

void Reader::PointSections(ProgramView* view) const {
  for (uint32_t kind = static_cast<uint32_t>(SectionKind::kMetadata) + 1; kind < kSectionKinds;
       ++kind) {
    const SectionEntry* e = known_[kind];
    if (e == nullptr) continue;
    view->sections[kind] = {file_ + e->offset, e->bytes - (HasSlack(kind) ? kReadSlack : 0)};
  }
}

}  // namespace

Program::~Program() { Reset(); }

void Program::Reset() {
  if (copy_ != nullptr) allocator_.Release(copy_, copy_bytes_);
  copy_ = nullptr;
  copy_bytes_ = 0;
  view_ = ProgramView{};
}

Status Program::Read(const void* file, size_t bytes, const ReadOptions& options,
                     const FootprintTable& footprints, const Allocator& allocator,
                     Program* program) {
  program->Reset();
  const uint8_t* data = static_cast<const uint8_t*>(file);
  if (data == nullptr || !Aligned(data, kAlignment)) {
    return Error(Code::kInvalidArgument, Rule::kHostArgument, kAlignment, 0);
  }
  Reader reader(data, bytes);
  if (!reader.ReadContainer()) return reader.error();
  const uint64_t metadata_bytes = reader.Bytes(SectionKind::kMetadata);
  const uint64_t index_bytes = reader.Bytes(SectionKind::kIndices);
  // Both are below the file's length, so their sum does not overflow.
  if (metadata_bytes > kMaxMetadataBytes ||
      metadata_bytes + index_bytes > options.limits.max_metadata_bytes) {
    return Error(Code::kResourceExhausted, Rule::kLimitExceeded,
                 static_cast<int64_t>(options.limits.max_metadata_bytes),
                 static_cast<int64_t>(metadata_bytes + index_bytes));
  }
  const size_t index_offset = RoundedUp(metadata_bytes);
  const size_t copy_bytes = index_offset + index_bytes + kReadSlack;
  auto* copy = static_cast<uint8_t*>(allocator.Allocate(copy_bytes, kAlignment));
  if (copy == nullptr) {
    return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(copy_bytes), 0);
  }
  program->allocator_ = allocator;
  program->copy_ = copy;
  program->copy_bytes_ = copy_bytes;

  ProgramView& view = program->view_;
  uint8_t* indices = copy + index_offset;
  const auto finish = [&]() -> Status {
    if (!reader.CopySection(SectionKind::kMetadata, copy) || !reader.TakeMetadata(copy, &view) ||
        !reader.CopySection(SectionKind::kIndices, indices)) {
      return reader.error();
    }
    reader.PointSections(&view);
    reader.ForgetAlternatives(view);
    view.sections[static_cast<uint32_t>(SectionKind::kIndices)] = {indices, index_bytes};
    std::memset(indices + index_bytes, 0, kReadSlack);
    FLOE_RETURN_IF_ERROR(ValidateProgram(view, options.limits, footprints, allocator));
    if (options.verify_payload) reader.CheckPayload();
    return reader.error();
  };
  const Status status = finish();
  if (!status.ok()) program->Reset();
  return status;
}

}  // namespace floe
