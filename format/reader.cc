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

// FlatBuffers verifies that a vector lies inside the buffer, not that its elements are aligned.
template <typename Record, typename FbVector>
bool Take(const FbVector* vector, std::span<const Record>* out) {
  // An absent field is an empty table; an empty vector is not aligned to anything.
  if (vector == nullptr || vector->size() == 0) return true;
  if (!Aligned(vector->Data(), alignof(Record))) return false;
  *out = {reinterpret_cast<const Record*>(vector->Data()), vector->size()};
  return true;
}

Status TakeMetadata(const uint8_t* data, size_t bytes, ProgramView* view) {
  // One table, and vectors of scalars and structs: depth and table count are small by design.
  constexpr flatbuffers::uoffset_t kMaxDepth = 8;
  constexpr flatbuffers::uoffset_t kMaxTables = 4;
  constexpr size_t kSmallest = 16;  // Root offset, identifier, the smallest vtable and table.
  if (bytes < kSmallest) return Bad(Rule::kMetadataVerify, kSmallest, bytes);
  flatbuffers::Verifier verifier(data, bytes, kMaxDepth, kMaxTables);
  if (!fb::VerifyProgramBuffer(verifier)) return Bad(Rule::kMetadataVerify);
  const fb::Program* p = fb::GetProgram(data);
  for (const void* field :
       {static_cast<const void*>(p->values()), static_cast<const void*>(p->blocks()),
        static_cast<const void*>(p->methods()), static_cast<const void*>(p->buckets()),
        static_cast<const void*>(p->string_offsets()), static_cast<const void*>(p->strings())}) {
    if (field == nullptr) return Bad(Rule::kMetadataField);
  }
  if (p->producer() != nullptr) view->producer = {p->producer()->c_str(), p->producer()->size()};
  const bool aligned =
      Take(p->symbols(), &view->symbols) && Take(p->terms(), &view->terms) &&
      Take(p->dims(), &view->dims) && Take(p->value_dims(), &view->value_dims) &&
      Take(p->values(), &view->values) && Take(p->instructions(), &view->instructions) &&
      Take(p->operands(), &view->operands) && Take(p->attrs(), &view->attrs) &&
      Take(p->code(), &view->code) && Take(p->block_values(), &view->block_values) &&
      Take(p->blocks(), &view->blocks) && Take(p->methods(), &view->methods) &&
      Take(p->states(), &view->states) && Take(p->buckets(), &view->buckets) &&
      Take(p->bucket_max(), &view->bucket_max) && Take(p->arena_offsets(), &view->arena_offsets) &&
      Take(p->goldens(), &view->goldens) && Take(p->golden_tensors(), &view->golden_tensors) &&
      Take(p->string_offsets(), &view->string_offsets) && Take(p->strings(), &view->strings);
  return aligned ? OkStatus() : Bad(Rule::kMetadataVerify, 8, 4);
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
