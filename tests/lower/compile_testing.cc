#include "tests/lower/compile_testing.h"

#include <gtest/gtest.h>

namespace floe::lower {

absl::StatusOr<Compiled> CompileGraph(std::unique_ptr<ir::Graph> graph,
                                      const CompileOptions& options) {
  Compiled program;
  const auto sink = [](void* self, const void* data, size_t size) {
    auto* to = static_cast<std::vector<uint8_t>*>(self);
    const auto* from = static_cast<const uint8_t*>(data);
    to->insert(to->end(), from, from + size);
    return true;
  };
  const absl::Status s = Compile(std::move(graph), options, sink, &program.bytes, &program.report);
  if (!s.ok()) return s;
  return program;
}

void ExpectTightArenas(const CompileReport& report) {
  EXPECT_FALSE(report.memory.empty());
  for (const BucketMemory& m : report.memory) {
    EXPECT_GE(m.arena_bytes, m.least);
    EXPECT_LE(m.ratio(), 1.1) << m.arena_bytes << " bytes, where " << m.least << " live at once";
  }
}

Result<Model> Open(const Compiled& program, OpenOptions options) {
  options.copy = 1;  // The bytes of a vector are not aligned.
  return Model::Open(program.bytes.data(), program.bytes.size(), options);
}

Tensor BindingOf(const ir::Tensor& tensor) {
  Tensor b;
  b.data = const_cast<void*>(tensor.data());
  b.bytes = static_cast<size_t>(tensor.bytes());
  b.dtype = static_cast<int32_t>(tensor.dtype());
  b.rank = static_cast<uint32_t>(tensor.dims().size());
  for (size_t i = 0; i < tensor.dims().size(); ++i) b.dims[i] = tensor.dims()[i];
  return b;
}

std::vector<Tensor> BindingsOf(const std::vector<ir::Tensor>& tensors) {
  std::vector<Tensor> bindings;
  for (const ir::Tensor& t : tensors) bindings.push_back(BindingOf(t));
  return bindings;
}

std::vector<floe_backend_info> AvailableBackends() {
  std::vector<floe_backend_info> list;
  floe_backend_info info = {};
  info.struct_size = sizeof(info);
  for (uint32_t b = 0; floe_get_backend(b, &info) == FLOE_OK; ++b) {
    if (info.available) list.push_back(info);
  }
  EXPECT_GE(list.size(), 2u);  // At least SSE2 and the reference.
  return list;
}

OpenOptions On(const floe_backend_info& backend) {
  OpenOptions options;
  options.backend = backend.backend;
  options.isa = backend.isa;
  return options;
}

std::vector<std::string> BindPoisonedOutputs(Session* session, uint32_t outputs) {
  std::vector<std::string> buffers;
  buffers.reserve(outputs);  // Short strings hold their bytes themselves: they must not move.
  for (uint32_t i = 0; i < outputs; ++i) {
    const auto t = session->Output(i);
    EXPECT_TRUE(t.ok()) << t.outcome().Message();
    buffers.emplace_back(t.ok() ? t->bytes : 0, '\xff');
    const Outcome o = session->SetOutput(i, buffers.back().data(), buffers.back().size());
    EXPECT_TRUE(o.ok()) << o.Message();
  }
  return buffers;
}

}  // namespace floe::lower
