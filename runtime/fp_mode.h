// The floating-point mode that kernels run under: round to nearest, no traps, denormals flushed or
// kept. Scoped: the thread's own mode comes back afterwards, its sticky flags too.
#ifndef FLOE_RUNTIME_FP_MODE_H_
#define FLOE_RUNTIME_FP_MODE_H_

#include <cstdint>

#if defined(__x86_64__) || defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace floe::runtime {

class FpMode {
 public:
  explicit FpMode(bool flush_denormals) {
#if defined(__x86_64__) || defined(__SSE__)
    saved_ = _mm_getcsr();
    // All exceptions masked, round to nearest; bits 15 and 6: flush to zero, denormals are zero.
    _mm_setcsr(flush_denormals ? 0x9fc0u : 0x1f80u);
#elif defined(__aarch64__)
    uint64_t fpcr;
    asm volatile("mrs %0, fpcr" : "=r"(fpcr));
    saved_ = fpcr;
    fpcr = flush_denormals ? uint64_t{1} << 24 : 0;
    asm volatile("msr fpcr, %0" ::"r"(fpcr));
#else
    (void)flush_denormals;
#endif
  }
  ~FpMode() {
#if defined(__x86_64__) || defined(__SSE__)
    _mm_setcsr(static_cast<uint32_t>(saved_));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" ::"r"(saved_));
#endif
  }
  FpMode(const FpMode&) = delete;
  FpMode& operator=(const FpMode&) = delete;

 private:
  [[maybe_unused]] uint64_t saved_ = 0;
};

}  // namespace floe::runtime

#endif  // FLOE_RUNTIME_FP_MODE_H_
