#include "runtime/model.h"

#include <new>

namespace floe::runtime {

Status Model::Make(const OpenOptions& options, Model** model) {
  void* memory = options.allocator.Allocate(sizeof(Model), alignof(Model));
  if (memory == nullptr) {
    return Error(Code::kResourceExhausted, Rule::kHostMemory, sizeof(Model));
  }
  *model = new (memory) Model(options);
  const char* backend = options.backend != nullptr ? options.backend : "cpu";
  const char* isa = options.isa != nullptr ? options.isa : "";
  (*model)->kernels_ = FindKernelTable(backend, isa);
  if ((*model)->kernels_ == nullptr) {
    (*model)->Unref();
    return Error(Code::kUnsupported, Rule::kBackendMissing);
  }
  return OkStatus();
}

Status Model::Load(const OpenOptions& options) {
  if (file_.size() == 0) return Error(Code::kInvalidFile, Rule::kFileTooShort);
  return Program::Read(file_.data(), file_.size(), options.read, KernelFootprints(), allocator_,
                       &program_);
}

// Opens `model` if its file could be had, else gives it up.
Status Model::Finish(Status file, const OpenOptions& options, Model* made, Model** model) {
  if (file.ok()) file = made->Load(options);
  if (file.ok()) {
    *model = made;
  } else {
    made->Unref();
  }
  return file;
}

Status Model::OpenFile(const char* path, const OpenOptions& options, Model** model) {
  Model* m = nullptr;
  FLOE_RETURN_IF_ERROR(Make(options, &m));
  return Finish(options.copy ? m->file_.ReadFile(path, m->allocator_) : m->file_.MapFile(path),
                options, m, model);
}

Status Model::OpenBytes(const void* data, size_t bytes, const OpenOptions& options, Model** model) {
  Model* m = nullptr;
  FLOE_RETURN_IF_ERROR(Make(options, &m));
  return Finish(
      options.copy ? m->file_.Copy(data, bytes, m->allocator_) : m->file_.Borrow(data, bytes),
      options, m, model);
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
  for (SectionKind kind : {SectionKind::kConstants, SectionKind::kPackedWeights}) {
    const auto section = view().sections[static_cast<size_t>(kind)];
    PrefaultMemory(section.data(), section.size(), /*write=*/false);
  }
}

}  // namespace floe::runtime
