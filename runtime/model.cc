#include "runtime/model.h"

#include <cstring>
#include <new>

namespace floe::runtime {

Model* Model::Make(const OpenOptions& options, ErrorSink* e) {
  void* memory = e->Allocate(options.allocator, sizeof(Model), alignof(Model));
  if (memory == nullptr) return nullptr;
  auto* model = new (memory) Model(options);
  model->kernels_ = FindKernelTable(options.backend != nullptr ? options.backend : "cpu",
                                    options.isa != nullptr ? options.isa : "");
  if (model->kernels_ != nullptr) return model;
  e->Fail(Code::kUnsupported, Rule::kBackendMissing);
  model->Unref();
  return nullptr;
}

// Reads the program if its file could be had, else gives the model up.
Model* Model::Load(bool has_file, const OpenOptions& options, ErrorSink* e) {
  if (has_file && (file_.size() != 0 || e->Bad(Rule::kFileTooShort)) &&
      e->Passes(Program::Read(file_.data(), file_.size(), options.read, KernelFootprints(),
                              allocator_, &program_))) {
    return this;
  }
  Unref();
  return nullptr;
}

Model* Model::OpenFile(const char* path, const OpenOptions& options, ErrorSink* e) {
  Model* m = Make(options, e);
  if (m == nullptr) return nullptr;
  return m->Load(
      options.copy ? m->file_.ReadFile(path, m->allocator_, e) : m->file_.MapFile(path, e), options,
      e);
}

Model* Model::OpenBytes(const void* data, size_t bytes, const OpenOptions& options, ErrorSink* e) {
  Model* m = Make(options, e);
  if (m == nullptr) return nullptr;
  return m->Load(
      options.copy ? m->file_.Copy(data, bytes, m->allocator_, e) : m->file_.Borrow(data, bytes, e),
      options, e);
}

void Model::Unref() {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const Allocator allocator = allocator_;
  this->~Model();
  allocator.Release(this, sizeof(Model));
}

uint64_t Model::resident_bytes() const {
  return sizeof(Model) + file_.copied_bytes() + program_.copy_bytes();
}

void Model::Prefault() {
  if (prefaulted_.exchange(true, std::memory_order_relaxed)) return;
  // An operand in kAlternatives is read instead of the one before it, but by the reference: of two
  // forms of the same weights, one is never touched.
  constexpr auto kAlternatives = static_cast<uint32_t>(SectionKind::kAlternatives);
  constexpr uintptr_t kPage = 4096;
  const ProgramView& p = view();
  const bool alternatives = std::strcmp(kernels().backend, "reference") != 0;
  for (const Instruction& i : p.instructions) {
    bool next_is_read = false;  // The operand after this one, in its place.
    for (uint32_t k = i.input_count; k-- > 0;) {
      const bool replaced = next_is_read;
      next_is_read = false;
      const uint32_t operand = p.operands[i.first_operand + k];
      if (operand == kNoIndex) continue;
      const ValueDef& v = p.values[p.Root(operand)];
      if (v.storage != static_cast<uint8_t>(Storage::kConstant)) continue;
      const bool alternative = v.link == kAlternatives;
      const bool unread = alternative ? !alternatives : replaced;
      next_is_read = alternative && alternatives;
      if (unread) continue;
      const uint8_t* data = p.sections[v.link].data() + v.offset;
      const uintptr_t before = reinterpret_cast<uintptr_t>(data) % kPage;
      PrefaultMemory(data - before, before + v.bytes + kPage - 1, /*write=*/false);
    }
  }
}

}  // namespace floe::runtime
