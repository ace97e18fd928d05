#include "runtime/model.h"

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
  for (SectionKind kind :
       {SectionKind::kConstants, SectionKind::kPackedWeights, SectionKind::kAlternatives}) {
    const auto section = view().sections[static_cast<size_t>(kind)];
    PrefaultMemory(section.data(), section.size(), /*write=*/false);
  }
}

}  // namespace floe::runtime
