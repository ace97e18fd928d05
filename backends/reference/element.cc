#include "backends/reference/element.h"

namespace floe::reference {
namespace {

template <class C, class E>
C Convert(E e) {
  if constexpr (std::is_integral_v<C> && kIsFloatElement<E>) {
    return SaturateToInt<C>(Get<double>(e));
  } else {
    return Get<C>(e);
  }
}

}  // namespace

template <class C>
void LoadAt(DType t, const void* base, const int64_t* offsets, int64_t n, C* out) {
  WithElement(t, [&]<class E>() {
    const E* p = static_cast<const E*>(base);
    for (int64_t i = 0; i < n; ++i) out[i] = Convert<C>(p[offsets[i]]);
  });
}

template <class C>
void LoadRun(DType t, const void* base, int64_t start, int64_t n, C* out) {
  WithElement(t, [&]<class E>() {
    const E* p = static_cast<const E*>(base) + start;
    for (int64_t i = 0; i < n; ++i) out[i] = Convert<C>(p[i]);
  });
}

template <class C>
void StoreAt(DType t, void* base, const int64_t* offsets, int64_t n, const C* v) {
  WithElement(t, [&]<class E>() {
    E* p = static_cast<E*>(base);
    for (int64_t i = 0; i < n; ++i) p[offsets[i]] = Put<E>(v[i]);
  });
}

template <class C>
void StoreRun(DType t, void* base, int64_t start, int64_t n, const C* v) {
  WithElement(t, [&]<class E>() {
    E* p = static_cast<E*>(base) + start;
    for (int64_t i = 0; i < n; ++i) p[i] = Put<E>(v[i]);
  });
}

#define FLOE_INSTANTIATE(C)                                                  \
  template void LoadAt<C>(DType, const void*, const int64_t*, int64_t, C*);  \
  template void LoadRun<C>(DType, const void*, int64_t, int64_t, C*);        \
  template void StoreAt<C>(DType, void*, const int64_t*, int64_t, const C*); \
  template void StoreRun<C>(DType, void*, int64_t, int64_t, const C*);
FLOE_INSTANTIATE(float)
FLOE_INSTANTIATE(double)
FLOE_INSTANTIATE(int64_t)
FLOE_INSTANTIATE(uint64_t)
#undef FLOE_INSTANTIATE

}  // namespace floe::reference
