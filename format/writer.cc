#include "format/writer.h"

#include <cstring>

#include "format/checked.h"
#include "format/checksum.h"
#include "format/container.h"
#include "format/records.h"

namespace floe {
namespace {

constexpr uint8_t kZeros[kReadSlack] = {};

uint64_t FeaturesOf(LayoutId layout) {
  switch (layout) {
#define FLOE_LAYOUT(id, name, text, feature, formula) \
  case LayoutId::k##name:                             \
    return feature;
#include "format/layouts.def"
#undef FLOE_LAYOUT
  }
  return 0;
}

template <typename T>
uint64_t SpanBytes(std::span<const T> s) {
  return s.size_bytes();
}

// An upper bound of the metadata's size is enough: FlatBuffers adds a few bytes for each vector.
bool MetadataFits(const ProgramView& p) {
  uint64_t bytes = p.producer.size() + 4096;
  for (const uint64_t part :
       {SpanBytes(p.symbols),        SpanBytes(p.terms),   SpanBytes(p.dims),
        SpanBytes(p.value_dims),     SpanBytes(p.values),  SpanBytes(p.instructions),
        SpanBytes(p.operands),       SpanBytes(p.attrs),   SpanBytes(p.code),
        SpanBytes(p.block_values),   SpanBytes(p.blocks),  SpanBytes(p.methods),
        SpanBytes(p.states),         SpanBytes(p.buckets), SpanBytes(p.bucket_max),
        SpanBytes(p.arena_offsets),  SpanBytes(p.goldens), SpanBytes(p.golden_tensors),
        SpanBytes(p.string_offsets), SpanBytes(p.strings)}) {
    bytes += part;
    if (bytes > kMaxMetadataBytes) return false;
  }
  return true;
}

template <typename Record>
auto Structs(flatbuffers::FlatBufferBuilder& b, std::span<const Record> s) {
  using Fb = typename FbOf<Record>::Type;
  // A null pointer of an empty span must not reach memcpy.
  static const Fb kNothing{};
  const Fb* data = s.empty() ? &kNothing : reinterpret_cast<const Fb*>(s.data());
  return b.CreateVectorOfStructs(data, s.size());
}

template <typename T>
auto Numbers(flatbuffers::FlatBufferBuilder& b, std::span<const T> s) {
  static const T kNothing{};
  return b.CreateVector(s.empty() ? &kNothing : s.data(), s.size());
}

void BuildMetadata(const ProgramView& p, flatbuffers::FlatBufferBuilder* builder) {
  flatbuffers::FlatBufferBuilder& b = *builder;
  const auto producer = b.CreateString(p.producer.data(), p.producer.size());
  const auto symbols = Structs(b, p.symbols);
  const auto terms = Structs(b, p.terms);
  const auto dims = Structs(b, p.dims);
  const auto value_dims = Numbers(b, p.value_dims);
  const auto values = Structs(b, p.values);
  const auto instructions = Structs(b, p.instructions);
  const auto operands = Numbers(b, p.operands);
  const auto attrs = Numbers(b, p.attrs);
  const auto code = Structs(b, p.code);
  const auto block_values = Numbers(b, p.block_values);
  const auto blocks = Structs(b, p.blocks);
  const auto methods = Structs(b, p.methods);
  const auto states = Structs(b, p.states);
  const auto buckets = Structs(b, p.buckets);
  const auto bucket_max = Numbers(b, p.bucket_max);
  const auto arena_offsets = Numbers(b, p.arena_offsets);
  const auto goldens = Structs(b, p.goldens);
  const auto golden_tensors = Structs(b, p.golden_tensors);
  const auto string_offsets = Numbers(b, p.string_offsets);
  const auto strings = Numbers(b, p.strings);
  b.Finish(fb::CreateProgram(b, producer, symbols, terms, dims, value_dims, values, instructions,
                             operands, attrs, code, block_values, blocks, methods, states, buckets,
                             bucket_max, arena_offsets, goldens, golden_tensors, string_offsets,
                             strings),
           fb::ProgramIdentifier());
}

// A section as it will be written: the payload, then `slack` zeros that belong to it.
struct Piece {
  std::span<const uint8_t> data;
  uint64_t slack = 0;
};

SectionEntry EntryOf(uint32_t kind, const Piece& piece, uint64_t offset) {
  Xxh64 checksum;
  checksum.Update(piece.data.data(), piece.data.size());
  checksum.Update(kZeros, piece.slack);
  const bool optional = kind == static_cast<uint32_t>(SectionKind::kGoldens) ||
                        kind == static_cast<uint32_t>(SectionKind::kDebugMap) ||
                        kind == static_cast<uint32_t>(SectionKind::kAlternatives);
  return {kind, optional ? 0 : kSectionRequired, offset, piece.data.size() + piece.slack,
          checksum.Digest()};
}

// Passes bytes on and keeps the position, so that padding can be computed.
class Stream {
 public:
  Stream(WriteSink sink, void* self) : sink_(sink), self_(self) {}

  bool Put(const void* data, uint64_t bytes) {
    if (bytes == 0) return true;
    position_ += bytes;
    return sink_(self_, data, bytes);
  }
  bool Pad() {
    return Put(kZeros, static_cast<uint64_t>(RoundUp(static_cast<int64_t>(position_), kAlignment)) -
                           position_);
  }

 private:
  WriteSink sink_;
  void* self_;
  uint64_t position_ = 0;
};

}  // namespace

Status WriteProgram(const ProgramView& program, WriteSink sink, void* self) {
  if (!MetadataFits(program)) {
    return Error(Code::kResourceExhausted, Rule::kValueTooLarge, kMaxMetadataBytes, 0);
  }
  flatbuffers::FlatBufferBuilder builder;
  BuildMetadata(program, &builder);

  Piece pieces[kSectionKinds];
  SectionEntry table[kSectionKinds];
  uint32_t count = 0;
  for (uint32_t kind = 1; kind < kSectionKinds; ++kind) {
    Piece piece{program.sections[kind], 0};
    if (kind == static_cast<uint32_t>(SectionKind::kMetadata)) {
      piece.data = {builder.GetBufferPointer(), builder.GetSize()};
    }
    if (piece.data.empty()) continue;
    if (HasSlack(kind)) piece.slack = kReadSlack;
    pieces[count] = piece;
    table[count] = EntryOf(kind, piece, 0);
    ++count;
  }
  uint64_t end = sizeof(FileHeader) + count * sizeof(SectionEntry);
  for (uint32_t i = 0; i < count; ++i) {
    table[i].offset = static_cast<uint64_t>(RoundUp(static_cast<int64_t>(end), kAlignment));
    end = table[i].offset + table[i].bytes;
  }

  FileHeader header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.major_version = kFormatMajor;
  header.minor_version = kFormatMinor;
  for (const ValueDef& v : program.values) {
    header.required_features |= FeaturesOf(static_cast<LayoutId>(v.layout));
  }
  header.file_bytes = static_cast<uint64_t>(RoundUp(static_cast<int64_t>(end), kAlignment));
  header.section_count = count;
  header.table_checksum = Checksum(table, count * sizeof(SectionEntry));
  header.header_checksum = Checksum(&header, kHeaderChecked);

  Stream out(sink, self);
  bool ok = out.Put(&header, sizeof(header)) && out.Put(table, count * sizeof(SectionEntry));
  for (uint32_t i = 0; ok && i < count; ++i) {
    ok = out.Pad() && out.Put(pieces[i].data.data(), pieces[i].data.size()) &&
         out.Put(kZeros, pieces[i].slack);
  }
  return ok && out.Pad() ? OkStatus() : Error(Code::kIo, Rule::kHostFile);
}

Status WriteProgram(const ProgramView& program, std::vector<uint8_t>* out) {
  out->clear();
  const auto append = [](void* self, const void* data, size_t bytes) {
    auto* bytes_out = static_cast<std::vector<uint8_t>*>(self);
    const auto* p = static_cast<const uint8_t*>(data);
    bytes_out->insert(bytes_out->end(), p, p + bytes);
    return true;
  };
  return WriteProgram(program, append, out);
}

}  // namespace floe
