// Run neither allocates nor makes a system call: counted, and forbidden by the kernel.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <thread>

#include "tests/format/sample_programs.h"
#include "tests/runtime/support.h"

// ---- A count of all allocations of the process --------------------------------------------------

namespace {
std::atomic<uint64_t> g_allocations{0};
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// The sanitizers own malloc and offer a hook instead.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void*,
                                                                             size_t),
                                                         void (*free_hook)(const volatile void*));
namespace {
const int g_hooks =
    __sanitizer_install_malloc_and_free_hooks([](const volatile void*, size_t) { ++g_allocations; },
                                              [](const volatile void*) { ++g_allocations; });
}
#else
extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t n) {
  ++g_allocations;
  return __libc_malloc(n);
}
void* calloc(size_t n, size_t m) {
  ++g_allocations;
  return __libc_calloc(n, m);
}
void* realloc(void* p, size_t n) {
  ++g_allocations;
  return __libc_realloc(p, n);
}
void* memalign(size_t a, size_t n) {
  ++g_allocations;
  return __libc_memalign(a, n);
}
void* aligned_alloc(size_t a, size_t n) {
  ++g_allocations;
  return __libc_memalign(a, n);
}
int posix_memalign(void** p, size_t a, size_t n) {
  ++g_allocations;
  *p = __libc_memalign(a, n);
  return *p == nullptr ? 12 : 0;
}
void free(void* p) {
  ++g_allocations;
  __libc_free(p);
}
}
#endif

namespace floe::testing {
namespace {

// A method of a program with some input, bound and ready.
struct Ready {
  Model model;
  Session session;
  uint32_t method = 0;
  std::vector<std::vector<uint8_t>> buffers;
};

// Binds every input at the lower bound of its shape, filled with ones: conditions hold, loops turn.
Ready Prepare(const ProgramData& program, const BackendChoice& backend, uint32_t method) {
  Ready r;
  r.model = OpenProgram(program, backend);
  r.session = MakeSession(r.model);
  r.method = method;
  std::vector<Tensor> inputs;
  for (uint32_t i = 0; i < r.model.Method(method).inputs; ++i) {
    const floe_tensor_spec spec = r.model.Spec(FLOE_INPUT, i, method);
    Tensor t;
    t.dtype = spec.dtype;
    t.rank = spec.rank;
    t.bytes = spec.dtype == FLOE_I64 ? 8 : spec.dtype == FLOE_BOOL ? 1 : 4;
    for (uint32_t a = 0; a < spec.rank; ++a) {
      t.dims[a] = spec.axes[a].min;
      t.bytes *= static_cast<size_t>(t.dims[a]);
    }
    r.buffers.emplace_back(t.bytes + 8);
    t.data = r.buffers.back().data();
    if (spec.dtype == FLOE_F32) {
      for (size_t k = 0; k < t.bytes / 4; ++k) t.Data<float>()[k] = 1.0f;
    } else {
      r.buffers.back()[0] = 1;
    }
    inputs.push_back(t);
  }
  EXPECT_FLOE_OK(r.session.Bind(inputs, method));
  return r;
}

template <typename F>
void ForEveryProgram(F f) {
  for (const BackendChoice& backend : AvailableBackends()) {
    for (const Sample& sample : SamplePrograms()) {
      const ProgramData program = sample.make();
      for (uint32_t m = 0; m < program.methods.size(); ++m) {
        SCOPED_TRACE(backend.backend + backend.isa + " " + sample.name + " " + std::to_string(m));
        Ready ready = Prepare(program, backend, m);
        f(ready);
      }
    }
  }
}

TEST(Run, AllocatesNothing) {
  const uint64_t before_all = g_allocations;
  void* volatile probe = std::malloc(100);  // Volatile: or the compiler leaves both calls out.
  std::free(probe);
  ASSERT_GE(g_allocations, before_all + 2) << "the counter does not count";
  ForEveryProgram([](Ready& ready) {
    // The very first run, and a later one.
    for (int i = 0; i < 2; ++i) {
      const uint64_t before = g_allocations;
      const floe_status status =
          floe_session_run(ready.session.get(), ready.method, nullptr, nullptr);
      const uint64_t after = g_allocations;
      EXPECT_EQ(status, FLOE_OK);
      EXPECT_EQ(after, before);
    }
  });
}

TEST(Run, AllocatesNothingWithThreadsCancelDeadlineAndProfile) {
  const Model model = OpenProgram(WideProgram());
  const ThreadPool pool = std::move(ThreadPool::Make(3)).value();
  SessionOptions options;
  options.pool = pool.get();
  options.own_outputs = 1;
  options.profile_events = 16;
  Session session = std::move(Session::Make(model, options)).value();
  const std::vector<float> x(4 * 64 * 64, 1.0f);
  ASSERT_FLOE_OK(session.Bind({TensorOf(x.data(), {4, 64, 64})}));
  RunOptions run;
  const int32_t no = 0;
  run.cancel = &no;
  run.deadline_ns = UINT64_MAX;
  // Threads allocate while they start, which they do beside us.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  for (int i = 0; i < 20; ++i) {
    const uint64_t before = g_allocations;
    const floe_status status = floe_session_run(session.get(), 0, &run, nullptr);
    const uint64_t after = g_allocations;
    EXPECT_EQ(status, FLOE_OK);
    EXPECT_EQ(after, before);
  }
}

// Setting buffers and binding the same shapes again is on the hot path too.
TEST(Bind, TheSameShapesAllocateNothing) {
  const Model model = OpenProgram(ShapesProgram());
  Session session = MakeSession(model);
  const std::vector<float> a(8);
  const std::vector<float> b(27);
  const std::vector<int64_t> c(2);
  const Tensor inputs[3] = {TensorOf(a.data(), {2, 4}), TensorOf(b.data(), {9, 3}),
                            TensorOf(c.data(), {2})};
  ASSERT_FLOE_OK(session.Bind(inputs));
  const uint64_t before = g_allocations;
  const floe_status status = floe_session_bind(session.get(), 0, inputs, 3, nullptr);
  const uint64_t after = g_allocations;
  EXPECT_EQ(status, FLOE_OK);
  EXPECT_EQ(after, before);
}

// ---- System calls -------------------------------------------------------------------------------

// From here on, any system call but exit_group kills the process with SIGSYS. 0, or errno.
int ForbidSystemCalls() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog program = {static_cast<unsigned short>(std::size(filter)), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) return errno;
  return 0;
}

enum ChildExit : int { kFine = 0, kNoSeccomp = 40, kRunFailed = 41 };

// Runs `f` in a child without system calls. The child's wait status.
template <typename F>
int InSilence(F f) {
  const pid_t child = fork();
  if (child == 0) {
    if (ForbidSystemCalls() != 0) _exit(kNoSeccomp);
    const int code = f();
    syscall(SYS_exit_group, code);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

bool SeccompWorks() {
  const int ok = InSilence([] { return kFine; });
  const int killed = InSilence([] {
    syscall(SYS_getppid);
    return kFine;
  });
  return WIFEXITED(ok) && WEXITSTATUS(ok) == kFine && WIFSIGNALED(killed);
}

TEST(Run, MakesNoSystemCall) {
  if (!SeccompWorks()) GTEST_SKIP() << "this system does not let a process install a filter";
  ForEveryProgram([](Ready& ready) {
    // The first run of the child included: nothing is put off until then.
    const int status = InSilence([&] {
      for (int i = 0; i < 3; ++i) {
        if (floe_session_run(ready.session.get(), ready.method, nullptr, nullptr) != FLOE_OK) {
          return kRunFailed;
        }
      }
      return kFine;
    });
    EXPECT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
    EXPECT_EQ(WEXITSTATUS(status), kFine);
  });
}

}  // namespace
}  // namespace floe::testing
