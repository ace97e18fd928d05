// Rotary embeddings: one pass over the rows of a view of heads, each pair of features turned by its
// angle. x is read where its projection wrote it, y is head-major.
#include "backends/cpu/lanes.h"
#include "backends/cpu/loops.h"
#include "backends/families/rotary.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

using families::RotaryShape;

// (x1, x0, x3, x2, ...).
FLOE_INLINE F32 SwapNeighbours(F32 x) {
#if defined(FLOE_ISA_AVX512)
  return _mm512_permute_ps(x, 0xB1);
#elif defined(FLOE_ISA_AVX2)
  return _mm256_permute_ps(x, 0xB1);
#else
  return _mm_shuffle_ps(x, x, 0xB1);
#endif
}

// (p0, p0, p1, p1, ...): half a vector of numbers.
FLOE_INLINE F32 LoadTwice(const float* p) {
#if defined(FLOE_ISA_AVX512)
  const __m512i lanes = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  return _mm512_permutexvar_ps(lanes, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
#elif defined(FLOE_ISA_AVX2)
  const __m128 x = _mm_loadu_ps(p);
  return _mm256_set_m128(_mm_unpackhi_ps(x, x), _mm_unpacklo_ps(x, x));
#else
  const __m128 x = _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  return _mm_unpacklo_ps(x, x);
#endif
}

// Pairs half of the rotated features apart.
FLOE_INLINE void TurnHalves(const RotaryShape& s, const float* x, const float* cos,
                            const float* sin, float* y) {
  const int64_t half = s.rotated / 2, second = s.shared ? 0 : half;
  int64_t i = 0;
  for (; i + kWidth <= half; i += kWidth) {
    const F32 x1 = Load(x + i), x2 = Load(x + half + i);
    const F32 c1 = Load(cos + i), c2 = Load(cos + second + i);
    const F32 s1 = Load(sin + i), s2 = Load(sin + second + i);
    Store(y + i, NegMulAdd(x2, s1, Mul(x1, c1)));
    Store(y + half + i, MulAdd(x1, s2, Mul(x2, c2)));
  }
  for (; i < half; ++i) {
    const float x1 = x[i], x2 = x[half + i];
    y[i] = x1 * cos[i] - x2 * sin[i];
    y[half + i] = x2 * cos[second + i] + x1 * sin[second + i];
  }
}

// Pairs of neighbours.
FLOE_INLINE void TurnNeighbours(const RotaryShape& s, const float* x, const float* cos,
                                const float* sin, float* y) {
  // Minus the sine for the first of each pair.
  alignas(64) float signs[kWidth];
  for (int64_t k = 0; k < kWidth; ++k) signs[k] = k % 2 == 0 ? -0.0f : 0.0f;
  const F32 sign = Load(signs);
  int64_t i = 0;
  for (; i + kWidth <= s.rotated; i += kWidth) {
    const F32 v = Load(x + i);
    const F32 c = s.shared ? LoadTwice(cos + i / 2) : Load(cos + i);
    const F32 t = s.shared ? LoadTwice(sin + i / 2) : Load(sin + i);
    Store(y + i, MulAdd(SwapNeighbours(v), BitXor(t, sign), Mul(v, c)));
  }
  for (; i < s.rotated; i += 2) {
    const int64_t a = s.shared ? i / 2 : i, b = s.shared ? i / 2 : i + 1;
    const float x1 = x[i], x2 = x[i + 1];
    y[i] = x1 * cos[a] - x2 * sin[a];
    y[i + 1] = x2 * cos[b] + x1 * sin[b];
  }
}

}  // namespace

Status PrepareRotary(const OpInfo& op, const PrepareContext& context, void* state,
                     Schedule* schedule) {
  const TensorInfo& y = op.outputs[0];
  const int64_t rows = y.dims[0] * y.dims[1] * y.dims[2];
  schedule->phases = 1;
  schedule->tasks = rows == 0 ? 0 : TaskCount(rows, 8192 / y.dims[3] + 1, context.workers);
  schedule->variant = FLOE_VARIANT("f32_rotary");
  auto* plan = static_cast<families::RotaryPlan*>(state);
  *plan = {};
  plan->tasks = schedule->tasks;
  return families::ReadRotary(op, &plan->shape);
}

Rule RunRotary(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  const auto& plan = *static_cast<const families::RotaryPlan*>(args.state);
  const RotaryShape& s = plan.shape;
  const float* const in[3] = {static_cast<const float*>(args.inputs[0]) + s.x.offset,
                              static_cast<const float*>(args.inputs[1]),
                              static_cast<const float*>(args.inputs[2])};
  for (uint32_t task = begin; task < end; ++task) {
    int64_t first, last;
    TaskShare(s.batch * s.heads * s.positions, task, plan.tasks, &first, &last);
    int64_t p = first % s.positions, h = first / s.positions % s.heads;
    int64_t b = first / s.positions / s.heads;
    float* y = static_cast<float*>(args.outputs[0]) + first * s.features;
    for (int64_t row = first; row < last; ++row, y += s.features) {
      const float* x = in[0] + b * s.x.batch + h * s.x.head + p * s.x.position;
      const float* cos = in[1] + b * s.cos[0] + h * s.cos[1] + p * s.cos[2];
      const float* sin = in[2] + b * s.sin[0] + h * s.sin[1] + p * s.sin[2];
      if (s.interleaved) {
        TurnNeighbours(s, x, cos, sin, y);
      } else {
        TurnHalves(s, x, cos, sin, y);
      }
      for (int64_t d = s.rotated; d < s.features; ++d) y[d] = x[d];
      if (++p < s.positions) continue;
      p = 0;
      if (++h < s.heads) continue;
      h = 0;
      ++b;
    }
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
