// A C++ program without exceptions and RTTI that embeds Floe: the same numbers on one thread, on a
// pool, and on every backend.
#include <floe/floe.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

namespace {

std::vector<float> Run(const char* path, const char* backend, floe_thread_pool* pool) {
  floe::OpenOptions open;
  open.backend = backend;
  floe::Result<floe::Model> model = floe::Model::Open(path, open);
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", model.outcome().Message().c_str());
    return {};
  }
  floe::SessionOptions options;
  options.own_outputs = 1;
  options.pool = pool;
  floe::Result<floe::Session> session = floe::Session::Make(*model, options);
  if (!session.ok()) return {};
  std::vector<float> x(8 * 4);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i) * 0.25f;
  const floe::Outcome refused = session->Bind({floe::TensorOf(x.data(), {9, 4})});
  if (refused.code() != FLOE_INVALID_ARGUMENT) return {};
  if (!session->Bind({floe::TensorOf(x.data(), {8, 4})}).ok()) return {};
  if (!session->Run().ok()) return {};
  const floe::Tensor y = *session->Output(0);
  return {y.Data<float>(), y.Data<float>() + y.bytes / sizeof(float)};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const floe::ThreadPool pool = floe::ThreadPool::Make(2).value();
  const std::vector<float> alone = Run(argv[1], "cpu", nullptr);
  const std::vector<float> shared = Run(argv[1], "cpu", pool.get());
  const std::vector<float> plain = Run(argv[1], "reference", nullptr);
  if (alone.size() != 24 || alone != shared || plain.size() != 24) return 1;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (std::fabs(plain[i] - alone[i]) > 1e-4f * (1 + std::fabs(plain[i]))) return 1;
  }
  std::printf("%zu values, equal on %u threads\n", alone.size(), pool.size());
  return 0;
}
