#include <cstring>

#include "format/checksum.h"
#include "format/container.h"
#include "format/writer.h"

namespace floe {

bool ResealProgram(uint8_t* file, size_t bytes) {
  FileHeader header;
  if (bytes < sizeof(header)) return false;
  std::memcpy(&header, file, sizeof(header));
  const uint64_t count = header.section_count;
  if (count > (bytes - sizeof(header)) / sizeof(SectionEntry)) return false;
  // The reader refuses longer tables; checksums of that many sections would only take time.
  for (uint64_t i = 0; count <= kMaxSections && i < count; ++i) {
    uint8_t* at = file + sizeof(header) + i * sizeof(SectionEntry);
    SectionEntry entry;
    std::memcpy(&entry, at, sizeof(entry));
    // An entry that points outside the file is damage that the reader should see.
    if (entry.offset > bytes || entry.bytes > bytes - entry.offset) continue;
    entry.checksum = Checksum(file + entry.offset, entry.bytes);
    std::memcpy(at, &entry, sizeof(entry));
  }
  header.table_checksum = Checksum(file + sizeof(header), count * sizeof(SectionEntry));
  std::memcpy(file, &header, sizeof(header));
  header.header_checksum = Checksum(file, kHeaderChecked);
  std::memcpy(file, &header, sizeof(header));
  return true;
}

}  // namespace floe
