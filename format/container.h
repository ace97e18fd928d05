// The outer shell of a Floe file: header, section table, sections. Shared by reader, writer and
// reseal; everything else sees a ProgramView.
//
//   [header: 64 bytes][section table: 32 bytes each][zeros][section][zeros][section]...[zeros]
//
// All numbers are little-endian. Every section starts on a 64-byte boundary right after its
// predecessor, in the table's order; the file ends on one, and every byte between is zero.
#ifndef FLOE_FORMAT_CONTAINER_H_
#define FLOE_FORMAT_CONTAINER_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "format/program.h"

namespace floe {

static_assert(std::endian::native == std::endian::little, "the file format is little-endian");

inline constexpr uint8_t kMagic[4] = {'F', 'L', 'O', 'E'};
inline constexpr uint16_t kFormatMajor = 0;
inline constexpr uint16_t kFormatMinor = 1;
// Required-feature bits that this library understands: none is defined yet.
inline constexpr uint64_t kKnownFeatures = 0;

struct FileHeader {
  uint8_t magic[4];
  uint16_t major_version;
  uint16_t minor_version;
  uint64_t required_features;  // A reader refuses the file if it does not know one of these bits.
  uint64_t file_bytes;         // Exact.
  uint32_t section_count;
  uint32_t reserved0;        // Zero.
  uint64_t table_checksum;   // XXH64 of the section table.
  uint64_t reserved1[2];     // Zero.
  uint64_t header_checksum;  // XXH64 of the 56 bytes before.
};
static_assert(sizeof(FileHeader) == 64 && offsetof(FileHeader, header_checksum) == 56);
inline constexpr size_t kHeaderChecked = offsetof(FileHeader, header_checksum);

// Flag of a section whose kind a reader must know; without it unknown kinds are ignored.
inline constexpr uint32_t kSectionRequired = 1;

struct SectionEntry {
  uint32_t kind;      // SectionKind.
  uint32_t flags;     // kSectionRequired or 0.
  uint64_t offset;    // From the file's start; a multiple of 64.
  uint64_t bytes;     // Exact, padding excluded.
  uint64_t checksum;  // XXH64 of these bytes.
};
static_assert(sizeof(SectionEntry) == 32);

// Every kind at most once, and room for optional kinds of later minor versions.
inline constexpr uint32_t kMaxSections = 64;

// Does the payload end with kReadSlack zero bytes that are part of the section, but of no constant?
// ProgramView::sections excludes them.
constexpr bool HasSlack(uint32_t kind) {
  return kind == static_cast<uint32_t>(SectionKind::kConstants) ||
         kind == static_cast<uint32_t>(SectionKind::kPackedWeights) ||
         kind == static_cast<uint32_t>(SectionKind::kAlternatives);
}

// FlatBuffers' verifier only asserts its 31-bit limit, so both sides check this one first.
inline constexpr uint64_t kMaxMetadataBytes = uint64_t{1} << 30;

}  // namespace floe

#endif  // FLOE_FORMAT_CONTAINER_H_
