#include "runtime/states.h"

#include <cstring>

#include "format/checked.h"
#include "format/checksum.h"

namespace floe::runtime {
namespace {

constexpr char kMagic[8] = {'F', 'L', 'O', 'E', 'S', 'T', '0', '1'};

struct BlobHeader {
  char magic[8];
  uint64_t bytes;     // Of the whole blob.
  uint64_t checksum;  // Of everything after the header.
  uint32_t states;
  uint32_t reserved;
};
struct BlobRecord {
  uint64_t name_hash;
  uint32_t dtype;
  uint32_t rank;
  int64_t dims[kMaxRank];
  uint64_t bytes;
};

TensorInfo InfoOf(const ProgramView& p, uint32_t state) {
  TensorInfo info;
  // A state's shape is fixed: its dims have no terms, so no symbol value is read.
  (void)ConcreteInfo(p, p.states[state].value, nullptr, &info);
  return info;
}

BlobRecord RecordOf(const ProgramView& p, uint32_t state) {
  const TensorInfo info = InfoOf(p, state);
  const std::string_view name = p.String(p.states[state].name);
  BlobRecord r = {};
  r.name_hash = Checksum(name.data(), name.size());
  r.dtype = static_cast<uint32_t>(info.dtype);
  r.rank = info.rank;
  std::memcpy(r.dims, info.dims, sizeof(r.dims));
  r.bytes = p.states[state].bytes;
  return r;
}

size_t Padded(uint64_t bytes) { return static_cast<size_t>((bytes + 7) / 8 * 8); }

}  // namespace

void PutInfo(const TensorInfo& info, void* data, size_t bytes, floe_tensor* tensor) {
  tensor->data = data;
  tensor->bytes = bytes;
  tensor->dtype = static_cast<int32_t>(info.dtype);
  tensor->rank = info.rank;
  std::memcpy(tensor->dims, info.dims, sizeof(tensor->dims));
}

bool States::Init(const ProgramView& program, const Allocator& allocator, ErrorSink* e) {
  program_ = &program;
  allocator_ = allocator;
  const size_t n = program.states.size();
  if (n == 0) return true;
  int64_t total = static_cast<int64_t>(n * sizeof(void*));
  for (const StateDef& s : program.states) {
    if (!CheckedAdd(total, static_cast<int64_t>(s.bytes), &total) ||
        !CheckedAdd(total, kReadSlack, &total) || !CheckedRoundUp(total, kAlignment, &total)) {
      return e->Bad(Rule::kValueTooLarge);
    }
  }
  total += kAlignment;
  void* memory = e->Allocate(allocator, static_cast<size_t>(total), kAlignment);
  if (memory == nullptr) return false;
  bytes_ = static_cast<size_t>(total);
  data_ = static_cast<void**>(memory);
  auto offset = static_cast<int64_t>(n * sizeof(void*));
  for (size_t i = 0; i < n; ++i) {
    offset = RoundUp(offset, kAlignment);
    data_[i] = static_cast<char*>(memory) + offset;
    offset += static_cast<int64_t>(program.states[i].bytes) + kReadSlack;
    std::memset(static_cast<char*>(data_[i]) + program.states[i].bytes, 0, kReadSlack);
  }
  Reset();
  return true;
}

void States::Destroy() {
  allocator_.Release(data_, bytes_);
  data_ = nullptr;
}

void States::Reset() {
  const auto constants = program_->sections[static_cast<size_t>(SectionKind::kConstants)];
  for (uint32_t i = 0; i < count(); ++i) {
    const StateDef& s = program_->states[i];
    if (s.init_bytes == 0) {
      std::memset(data_[i], 0, s.bytes);
    } else {
      std::memcpy(data_[i], constants.data() + s.init_offset, s.bytes);
    }
  }
}

void States::CopyFrom(const States& other) {
  for (uint32_t i = 0; i < count(); ++i) {
    if (data_[i] != other.data_[i]) {
      std::memcpy(data_[i], other.data_[i], program_->states[i].bytes);
    }
  }
}

bool States::Describe(uint32_t state, floe_tensor* tensor, ErrorSink* e) const {
  if (state >= count()) {
    return e->Fail(Code::kNotFound, Rule::kStateName, count(), state);
  }
  const TensorInfo info = InfoOf(*program_, state);
  PutInfo(info, data_[state], program_->states[state].bytes, tensor);
  return true;
}

size_t States::BlobBytes() const {
  size_t total = sizeof(BlobHeader);
  for (const StateDef& s : program_->states) total += sizeof(BlobRecord) + Padded(s.bytes);
  return total;
}

void States::Save(void* blob) const {
  auto* out = static_cast<char*>(blob);
  size_t at = sizeof(BlobHeader);
  for (uint32_t i = 0; i < count(); ++i) {
    const BlobRecord record = RecordOf(*program_, i);
    std::memcpy(out + at, &record, sizeof(record));
    at += sizeof(record);
    std::memcpy(out + at, data_[i], record.bytes);
    std::memset(out + at + record.bytes, 0, Padded(record.bytes) - record.bytes);
    at += Padded(record.bytes);
  }
  BlobHeader header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.bytes = at;
  header.states = count();
  header.checksum = Checksum(out + sizeof(header), at - sizeof(header));
  std::memcpy(out, &header, sizeof(header));
}

bool States::Load(const void* blob, size_t bytes, ErrorSink* e) {
  const auto* in = static_cast<const char*>(blob);
  const auto refuse = [e](int64_t expected, int64_t got) {
    return e->Fail(Code::kInvalidArgument, Rule::kStateBlob, expected, got);
  };
  const size_t expected = BlobBytes();
  if (bytes != expected) {
    return refuse(static_cast<int64_t>(expected), static_cast<int64_t>(bytes));
  }
  BlobHeader header;
  std::memcpy(&header, in, sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.bytes != bytes ||
      header.states != count() || header.reserved != 0 ||
      header.checksum != Checksum(in + sizeof(header), bytes - sizeof(header))) {
    return refuse(0, 0);
  }
  size_t at = sizeof(header);
  for (uint32_t i = 0; i < count(); ++i) {
    const BlobRecord want = RecordOf(*program_, i);
    if (std::memcmp(in + at, &want, sizeof(want)) != 0) {
      return refuse(0, 0).ForValue(program_->states[i].value);
    }
    at += sizeof(want) + Padded(want.bytes);
  }
  at = sizeof(header);
  for (uint32_t i = 0; i < count(); ++i) {
    const uint64_t size = program_->states[i].bytes;
    std::memcpy(data_[i], in + at + sizeof(BlobRecord), size);
    at += sizeof(BlobRecord) + Padded(size);
  }
  return true;
}

}  // namespace floe::runtime
