// Writes a program as one file. Deterministic: equal views give equal bytes.
#ifndef FLOE_FORMAT_WRITER_H_
#define FLOE_FORMAT_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "format/program.h"
#include "format/status.h"

namespace floe {

// Lays out header, section table, metadata and the view's sections (64-byte aligned, zero padded,
// contiguous, exact length; kConstants and kPackedWeights get kReadSlack zero bytes at their end)
// and computes all checksums. The view's sections are streamed, not copied twice: `sink` is called
// with consecutive pieces of the file and returns false to stop (kIo). Metadata over 1 GiB is
// kValueTooLarge. Does not validate: run the reader on the result.
using WriteSink = bool (*)(void* self, const void* data, size_t bytes);
Status WriteProgram(const ProgramView& program, WriteSink sink, void* self);

// The same into memory.
Status WriteProgram(const ProgramView& program, std::vector<uint8_t>* out);

// Recomputes header and section checksums of a (damaged) file in place, so that fuzzing reaches the
// validator. False if the file is too short to have a header and section table.
bool ResealProgram(uint8_t* file, size_t bytes);

}  // namespace floe

#endif  // FLOE_FORMAT_WRITER_H_
