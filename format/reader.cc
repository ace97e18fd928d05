#include "format/reader.h"

#include <cstring>

#include "format/checked.h"
#include "format/checksum.h"
#include "format/container.h"
#include "format/records.h"

namespace floe {
namespace {

Status Bad(Rule rule, uint64_t expected = 0, uint64_t got = 0) {
  return Error(Code::kInvalidFile, rule, static_cast<int64_t>(expected), static_cast<int64_t>(got));
}

// The shell of the file, copied out of the mapping: a later change of the file cannot change it.
struct Container {
  FileHeader header;
  SectionEntry table[kMaxSections];
  // Entries of the kinds that this library knows; null if absent.
  const SectionEntry* known[kSectionKinds] = {};

  uint64_t Bytes(SectionKind kind) const {
    const SectionEntry* entry = known[static_cast<uint32_t>(kind)];
    return entry == nullptr ? 0 : entry->bytes;
  }
};

// In the order in which the answer is the most useful: another magic says more than a checksum.
Status ReadHeader(const uint8_t* file, size_t bytes, FileHeader* header) {
  if (bytes < sizeof(*header)) {
    const size_t have = bytes < sizeof(kMagic) ? bytes : sizeof(kMagic);
    if (have == 0 || std::memcmp(file, kMagic, have) == 0) {
      return Bad(Rule::kFileTooShort, sizeof(*header), bytes);
    }
    return Bad(Rule::kHeaderMagic);
  }
  std::memcpy(header, file, sizeof(*header));
  if (std::memcmp(header->magic, kMagic, sizeof(kMagic)) != 0) return Bad(Rule::kHeaderMagic);
  // Before 1.0 a minor version may change anything; from then on newer minors only add.
  if (header->major_version != kFormatMajor ||
      (kFormatMajor == 0 && header->minor_version > kFormatMinor)) {
    return Error(Code::kUnsupported, Rule::kHeaderVersion, kFormatMajor << 16 | kFormatMinor,
                 header->major_version << 16 | header->minor_version);
  }
  const uint64_t checksum = Checksum(header, kHeaderChecked);
  if (checksum != header->header_checksum || header->reserved0 != 0 || header->reserved1[0] != 0 ||
      header->reserved1[1] != 0) {
    return Bad(Rule::kHeaderChecksum, checksum, header->header_checksum);
  }
  if ((header->required_features & ~kKnownFeatures) != 0) {
    return Error(Code::kUnsupported, Rule::kHeaderFeature, static_cast<int64_t>(kKnownFeatures),
                 static_cast<int64_t>(header->required_features));
  }
  if (bytes < header->file_bytes) return Bad(Rule::kFileTooShort, header->file_bytes, bytes);
  if (bytes > header->file_bytes) return Bad(Rule::kHeaderLength, header->file_bytes, bytes);
  return OkStatus();
}

bool AllZero(const uint8_t* begin, const uint8_t* end) {
  for (; begin != end; ++begin) {
    if (*begin != 0) return false;
  }
  return true;
}

// Sections follow each other on 64-byte boundaries without holes, overlaps or a tail.
Status CheckPlacement(const uint8_t* file, const Container& c) {
  uint64_t end = sizeof(FileHeader) + c.header.section_count * sizeof(SectionEntry);
  const uint64_t file_bytes = c.header.file_bytes;
  for (uint32_t i = 0; i < c.header.section_count; ++i) {
    const SectionEntry& e = c.table[i];
    if (e.offset % kAlignment != 0) return Bad(Rule::kSectionAlignment, kAlignment, e.offset);
    // `end` is at most file_bytes, which is the length of memory: rounding cannot overflow.
    const uint64_t expected = (end + kAlignment - 1) / kAlignment * kAlignment;
    if (e.offset != expected) return Bad(Rule::kSectionTable, expected, e.offset);
    if (e.offset > file_bytes || e.bytes > file_bytes - e.offset) {
      return Bad(Rule::kSectionTable, file_bytes, e.bytes);
    }
    if (!AllZero(file + end, file + e.offset)) return Bad(Rule::kSectionPadding, 0, i);
    end = e.offset + e.bytes;
  }
  if (file_bytes != (end + kAlignment - 1) / kAlignment * kAlignment) {
    return Bad(Rule::kSectionTable, end, file_bytes);
  }
  if (!AllZero(file + end, file + file_bytes)) {
    return Bad(Rule::kSectionPadding, 0, c.header.section_count);
  }
  return OkStatus();
}

Status ReadContainer(const uint8_t* file, size_t bytes, Container* c) {
  FLOE_RETURN_IF_ERROR(ReadHeader(file, bytes, &c->header));
  const uint64_t count = c->header.section_count;
  if (count > kMaxSections) return Bad(Rule::kSectionTable, kMaxSections, count);
  const uint64_t table_bytes = count * sizeof(SectionEntry);
  if (table_bytes > bytes - sizeof(FileHeader)) return Bad(Rule::kSectionTable, bytes, table_bytes);
  std::memcpy(c->table, file + sizeof(FileHeader), table_bytes);
  const uint64_t checksum = Checksum(c->table, table_bytes);
  if (checksum != c->header.table_checksum) {
    return Bad(Rule::kHeaderChecksum, checksum, c->header.table_checksum);
  }
  FLOE_RETURN_IF_ERROR(CheckPlacement(file, *c));
  for (uint32_t i = 0; i < count; ++i) {
    const SectionEntry& e = c->table[i];
    if ((e.flags & ~kSectionRequired) != 0) return Bad(Rule::kSectionTable, 0, e.flags);
    if (e.kind == 0 || e.kind >= kSectionKinds) {
      if (e.flags & kSectionRequired) {
        return Error(Code::kUnsupported, Rule::kHeaderFeature, kSectionKinds - 1, e.kind);
      }
      continue;
    }
    if (c->known[e.kind] != nullptr) return Bad(Rule::kSectionTable, 1, e.kind);
    if (HasSlack(e.kind) && e.bytes < static_cast<uint64_t>(kReadSlack)) {
      return Bad(Rule::kSectionTable, kReadSlack, e.bytes);
    }
    c->known[e.kind] = &e;
  }
  if (c->known[static_cast<uint32_t>(SectionKind::kMetadata)] == nullptr) {
    return Bad(Rule::kSectionMissing, static_cast<uint32_t>(SectionKind::kMetadata), 0);
  }
  return OkStatus();
}

Status CheckSum(const SectionEntry& e, const void* data) {
  if (Checksum(data, e.bytes) != e.checksum) {
    return Bad(Rule::kSectionChecksum, e.checksum, e.kind);
  }
  return OkStatus();
}

bool Aligned(const void* p, size_t alignment) {
  return reinterpret_cast<uintptr_t>(p) % alignment == 0;
}

// One vector field of the root table.
struct Field {
  flatbuffers::voffset_t slot;
  uint16_t element_bytes;
  uint16_t alignment;
  bool required;
};
template <typename Record>
constexpr Field FieldOf(flatbuffers::voffset_t slot, bool required = false) {
  return {slot, sizeof(Record), alignof(Record), required};
}
// In the schema's order, `producer` (a string) excepted. A loop over this table is what flatc
// generates, in a fraction of the code.
constexpr Field kFields[] = {
    FieldOf<SymbolDef>(fb::Program::VT_SYMBOLS),
    FieldOf<DimTerm>(fb::Program::VT_TERMS),
    FieldOf<DimExpr>(fb::Program::VT_DIMS),
    FieldOf<uint32_t>(fb::Program::VT_VALUE_DIMS),
    FieldOf<ValueDef>(fb::Program::VT_VALUES, true),
    FieldOf<Instruction>(fb::Program::VT_INSTRUCTIONS),
    FieldOf<uint32_t>(fb::Program::VT_OPERANDS),
    FieldOf<int64_t>(fb::Program::VT_ATTRS),
    FieldOf<PwInstr>(fb::Program::VT_CODE),
    FieldOf<uint32_t>(fb::Program::VT_BLOCK_VALUES),
    FieldOf<BlockDef>(fb::Program::VT_BLOCKS, true),
    FieldOf<MethodDef>(fb::Program::VT_METHODS, true),
    FieldOf<StateDef>(fb::Program::VT_STATES),
    FieldOf<BucketDef>(fb::Program::VT_BUCKETS, true),
    FieldOf<int64_t>(fb::Program::VT_BUCKET_MAX),
    FieldOf<uint64_t>(fb::Program::VT_ARENA_OFFSETS),
    FieldOf<GoldenDef>(fb::Program::VT_GOLDENS),
    FieldOf<GoldenTensor>(fb::Program::VT_GOLDEN_TENSORS),
    FieldOf<uint32_t>(fb::Program::VT_STRING_OFFSETS, true),
    FieldOf<uint8_t>(fb::Program::VT_STRINGS, true),
};
constexpr size_t kFieldCount = sizeof(kFields) / sizeof(kFields[0]);

// The elements of a verified vector.
struct Elements {
  const uint8_t* data = nullptr;
  size_t count = 0;

  template <typename Record>
  void To(std::span<const Record>* out) const {
    *out = {reinterpret_cast<const Record*>(data), count};
  }
};

Status VerifyFields(const uint8_t* metadata, size_t bytes, Elements elements[kFieldCount],
                    std::string_view* producer) {
  // One table, and vectors of scalars and structs: depth and table count are small by design.
  constexpr flatbuffers::uoffset_t kMaxDepth = 8;
  constexpr flatbuffers::uoffset_t kMaxTables = 4;
  flatbuffers::Verifier verifier(metadata, bytes, kMaxDepth, kMaxTables);
  const Status bad = Bad(Rule::kMetadataVerify);
  if (!flatbuffers::BufferHasIdentifier(metadata, fb::ProgramIdentifier()) ||
      verifier.VerifyOffset(0) == 0) {
    return bad;
  }
  const auto* root = flatbuffers::GetRoot<flatbuffers::Table>(metadata);
  if (!root->VerifyTableStart(verifier) ||
      !root->VerifyOffset(verifier, fb::Program::VT_PRODUCER)) {
    return bad;
  }
  const auto* name = root->GetPointer<const flatbuffers::String*>(fb::Program::VT_PRODUCER);
  if (!verifier.VerifyString(name)) return bad;
  if (name != nullptr) *producer = {name->c_str(), name->size()};
  for (size_t i = 0; i < kFieldCount; ++i) {
    const Field& field = kFields[i];
    if (!root->VerifyOffset(verifier, field.slot)) return bad;
    const auto* vector = root->GetPointer<const uint8_t*>(field.slot);
    if (vector == nullptr) {
      // A field that the file does not have is an empty table.
      if (field.required) return Bad(Rule::kMetadataField, 0, i + 1);
      continue;
    }
    if (!verifier.VerifyVectorOrString(vector, field.element_bytes)) return bad;
    const uint32_t count = flatbuffers::ReadScalar<flatbuffers::uoffset_t>(vector);
    if (count == 0) continue;  // An empty vector is not aligned to anything.
    const uint8_t* data = vector + sizeof(flatbuffers::uoffset_t);
    // FlatBuffers verifies that a vector lies inside the buffer, not that its elements are aligned.
    if (!Aligned(data, field.alignment)) return Bad(Rule::kMetadataVerify, field.alignment, i + 1);
    elements[i] = {data, count};
  }
  return OkStatus();
}

Status TakeMetadata(const uint8_t* metadata, size_t bytes, ProgramView* view) {
  constexpr size_t kSmallest = 16;  // Root offset, identifier, the smallest vtable and table.
  if (bytes < kSmallest) return Bad(Rule::kMetadataVerify, kSmallest, bytes);
  Elements e[kFieldCount];
  FLOE_RETURN_IF_ERROR(VerifyFields(metadata, bytes, e, &view->producer));
  const Elements* next = e;
  (next++)->To(&view->symbols);
  (next++)->To(&view->terms);
  (next++)->To(&view->dims);
  (next++)->To(&view->value_dims);
  (next++)->To(&view->values);
  (next++)->To(&view->instructions);
  (next++)->To(&view->operands);
  (next++)->To(&view->attrs);
  (next++)->To(&view->code);
  (next++)->To(&view->block_values);
  (next++)->To(&view->blocks);
  (next++)->To(&view->methods);
  (next++)->To(&view->states);
  (next++)->To(&view->buckets);
  (next++)->To(&view->bucket_max);
  (next++)->To(&view->arena_offsets);
  (next++)->To(&view->goldens);
  (next++)->To(&view->golden_tensors);
  (next++)->To(&view->string_offsets);
  (next++)->To(&view->strings);
  return OkStatus();
}

Status CheckPayload(const uint8_t* file, const Container& c) {
  for (uint32_t i = 0; i < c.header.section_count; ++i) {
    FLOE_RETURN_IF_ERROR(CheckSum(c.table[i], file + c.table[i].offset));
  }
  return OkStatus();
}

void PointSections(const uint8_t* file, const Container& c, ProgramView* view) {
  for (uint32_t kind = 1; kind < kSectionKinds; ++kind) {
    const SectionEntry* e = c.known[kind];
    if (e == nullptr || kind == static_cast<uint32_t>(SectionKind::kMetadata)) continue;
    view->sections[kind] = {file + e->offset, e->bytes - (HasSlack(kind) ? kReadSlack : 0)};
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
  Container c;
  FLOE_RETURN_IF_ERROR(ReadContainer(data, bytes, &c));
  const uint64_t metadata_bytes = c.Bytes(SectionKind::kMetadata);
  const uint64_t index_bytes = c.Bytes(SectionKind::kIndices);
  // Both are below the file's length, so their sum does not overflow.
  if (metadata_bytes > kMaxMetadataBytes ||
      metadata_bytes + index_bytes > options.limits.max_metadata_bytes) {
    return Error(Code::kResourceExhausted, Rule::kLimitExceeded,
                 static_cast<int64_t>(options.limits.max_metadata_bytes),
                 static_cast<int64_t>(metadata_bytes + index_bytes));
  }
  const size_t index_offset =
      static_cast<size_t>(RoundUp(static_cast<int64_t>(metadata_bytes), kAlignment));
  const size_t copy_bytes = index_offset + index_bytes + kReadSlack;
  void* copy = allocator.Allocate(copy_bytes, kAlignment);
  if (copy == nullptr) {
    return Error(Code::kResourceExhausted, Rule::kHostMemory, static_cast<int64_t>(copy_bytes), 0);
  }
  program->allocator_ = allocator;
  program->copy_ = copy;
  program->copy_bytes_ = copy_bytes;

  const auto finish = [&]() -> Status {
    uint8_t* metadata = static_cast<uint8_t*>(copy);
    const SectionEntry& entry = *c.known[static_cast<uint32_t>(SectionKind::kMetadata)];
    std::memcpy(metadata, data + entry.offset, metadata_bytes);
    FLOE_RETURN_IF_ERROR(CheckSum(entry, metadata));
    FLOE_RETURN_IF_ERROR(TakeMetadata(metadata, metadata_bytes, &program->view_));
    PointSections(data, c, &program->view_);
    uint8_t* indices = metadata + index_offset;
    const auto kind = static_cast<uint32_t>(SectionKind::kIndices);
    if (c.known[kind] != nullptr) {
      std::memcpy(indices, data + c.known[kind]->offset, index_bytes);
      FLOE_RETURN_IF_ERROR(CheckSum(*c.known[kind], indices));
      program->view_.sections[kind] = {indices, index_bytes};
    }
    std::memset(indices + index_bytes, 0, kReadSlack);
    FLOE_RETURN_IF_ERROR(ValidateProgram(program->view_, options.limits, footprints, allocator));
    return options.verify_payload ? CheckPayload(data, c) : OkStatus();
  };
  const Status status = finish();
  if (!status.ok()) program->Reset();
  return status;
}

}  // namespace floe
