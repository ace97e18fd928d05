// The data-moving families: copy, transpose, slice, concat, pad and expand.
#include <cstring>

#include "backends/cpu/movement/plan.h"
#include "backends/cpu/simd.h"
#include "backends/kernel.h"

namespace floe::cpu::FLOE_ISA {
namespace {

// Elements are moved as integers of their size.
using Bytes1 [[gnu::may_alias]] = uint8_t;
using Bytes2 [[gnu::may_alias]] = uint16_t;
using Bytes4 [[gnu::may_alias]] = uint32_t;
using Bytes8 [[gnu::may_alias]] = uint64_t;

FLOE_INLINE int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

// --- transposing blocks of 4-byte elements -------------------------------------------------------

#if defined(FLOE_ISA_SSE2)
inline constexpr int kBlock = 4;
// y[b][a] = x[a][b] for a < na, b < nb, both at most kBlock.
FLOE_INLINE void TransposeBlock(const float* x, int64_t xa, float* y, int64_t yb, int64_t na,
                                int64_t nb) {
  __m128 r[4];
  for (int a = 0; a < 4; ++a) {
    r[a] = a >= na ? _mm_setzero_ps() : nb == 4 ? Load(x + a * xa) : LoadTail(x + a * xa, nb);
  }
  _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
  for (int b = 0; b < 4; ++b) {
    if (b >= nb) break;
    if (na == 4) {
      Store(y + b * yb, r[b]);
    } else {
      StoreTail(y + b * yb, na, r[b]);
    }
  }
}
#else
inline constexpr int kBlock = 8;
alignas(32) inline constexpr int32_t kBlockMasks[16] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                        0,  0,  0,  0,  0,  0,  0,  0};
FLOE_INLINE __m256i BlockMask(int64_t n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kBlockMasks + 8 - n));
}
template <bool kFull>
FLOE_INLINE void TransposeBlockOf(const float* x, int64_t xa, float* y, int64_t yb, int64_t na,
                                  int64_t nb) {
  __m256 r[8], t[8];
  for (int a = 0; a < 8; ++a) {
    if (kFull) {
      r[a] = _mm256_loadu_ps(x + a * xa);
    } else {
      r[a] = a >= na ? _mm256_setzero_ps() : _mm256_maskload_ps(x + a * xa, BlockMask(nb));
    }
  }
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; ++i) {
    r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
  }
  for (int b = 0; b < 8; ++b) {
    if (kFull) {
      _mm256_storeu_ps(y + b * yb, t[b]);
    } else if (b < nb) {
      _mm256_maskstore_ps(y + b * yb, BlockMask(na), t[b]);
    }
  }
}
FLOE_INLINE void TransposeBlock(const float* x, int64_t xa, float* y, int64_t yb, int64_t na,
                                int64_t nb) {
  if (na == 8 && nb == 8) {
    TransposeBlockOf<true>(x, xa, y, yb, na, nb);
  } else {
    TransposeBlockOf<false>(x, xa, y, yb, na, nb);
  }
}
#endif

// Interleaves 2 to 4 planes: y[b * na + a] = x[a * xa + b]. Four elements are stored for each b, in
// order, so that the surplus is overwritten by the next; the last b of all is stored exactly.
FLOE_INLINE void Interleave(const float* x, int64_t xa, float* y, int64_t na, int64_t nb) {
  int64_t b = 0;
  for (; b + 8 <= nb; b += 4) {
    __m128 r0 = _mm_loadu_ps(x + b), r1 = _mm_loadu_ps(x + xa + b);
    __m128 r2 = na > 2 ? _mm_loadu_ps(x + 2 * xa + b) : r0;
    __m128 r3 = na > 3 ? _mm_loadu_ps(x + 3 * xa + b) : r0;
    _MM_TRANSPOSE4_PS(r0, r1, r2, r3);
    float* out = y + b * na;
    _mm_storeu_ps(out, r0);
    _mm_storeu_ps(out + na, r1);
    _mm_storeu_ps(out + 2 * na, r2);
    _mm_storeu_ps(out + 3 * na, r3);
  }
  for (; b < nb; ++b) {
    for (int64_t a = 0; a < na; ++a) y[b * na + a] = x[a * xa + b];
  }
}

FLOE_INLINE void TransposeFloats(const float* x, int64_t xa, float* y, int64_t yb, int64_t na,
                                 int64_t nb) {
  if (na >= 2 && na <= 4 && yb == na) {
    Interleave(x, xa, y, na, nb);
    return;
  }
  // A cache line of x (16 elements) is used up before the next one.
  for (int64_t b = 0; b < nb; b += 16) {
    for (int64_t a = 0; a < na; a += kBlock) {
      for (int64_t c = b; c < Least(b + 16, nb); c += kBlock) {
        TransposeBlock(x + a * xa + c, xa, y + c * yb + a, yb, Least(kBlock, na - a),
                       Least(kBlock, nb - c));
      }
    }
  }
}

// --- interleaving planes of bytes ----------------------------------------------------------------

#if !defined(FLOE_ISA_SSE2)
// Of kPlanes planes' vectors, bytes [16 * j, 16 * j + 16) of the interleaved ones come from byte
// [j][a][i] of plane a; 0x80 says that plane a has no part in byte i.
template <int kPlanes>
struct InterleaveTable {
  alignas(16) uint8_t from[kPlanes][kPlanes][16];
};
template <int kPlanes>
constexpr InterleaveTable<kPlanes> MakeInterleaveTable() {
  InterleaveTable<kPlanes> t{};
  for (int at = 0; at < 16 * kPlanes; ++at) {
    for (int a = 0; a < kPlanes; ++a) {
      t.from[at / 16][a][at % 16] = static_cast<uint8_t>(at % kPlanes == a ? at / kPlanes : 0x80);
    }
  }
  return t;
}
template <int kPlanes>
inline constexpr InterleaveTable<kPlanes> kInterleave = MakeInterleaveTable<kPlanes>();

// y[b * kPlanes + a] = x[a * xa + b] for b below a multiple of 16, which is returned.
template <int kPlanes>
FLOE_INLINE int64_t InterleaveBytes(const uint8_t* x, int64_t xa, uint8_t* y, int64_t n) {
  int64_t b = 0;
  for (; b + 16 <= n; b += 16) {
    __m128i planes[kPlanes];
    for (int a = 0; a < kPlanes; ++a) {
      planes[a] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + a * xa + b));
    }
    for (int j = 0; j < kPlanes; ++j) {
      __m128i bytes = _mm_setzero_si128();
      for (int a = 0; a < kPlanes; ++a) {
        const auto* from = reinterpret_cast<const __m128i*>(kInterleave<kPlanes>.from[j][a]);
        bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(planes[a], _mm_load_si128(from)));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(y + b * kPlanes + 16 * j), bytes);
    }
  }
  return b;
}

FLOE_INLINE int64_t InterleaveBytes(const uint8_t* x, int64_t xa, uint8_t* y, int64_t na,
                                    int64_t n) {
  return na == 2   ? InterleaveBytes<2>(x, xa, y, n)
         : na == 3 ? InterleaveBytes<3>(x, xa, y, n)
         : na == 4 ? InterleaveBytes<4>(x, xa, y, n)
                   : 0;
}
#endif

// --- boxes ---------------------------------------------------------------------------------------

template <class T>
FLOE_INLINE void RunUnitAs(const MoveBox& box, const T* x, T* y, int64_t n) {
  const int last = box.axes - 1;
  if (box.kind == MoveBox::Kind::kTranspose) {
    const int64_t xa = box.x_stride[last], yb = box.y_stride[last - 1], na = box.size[last];
    if constexpr (sizeof(T) == 4) {
      TransposeFloats(reinterpret_cast<const float*>(x), xa, reinterpret_cast<float*>(y), yb, na,
                      n);
    } else {
      int64_t b = 0;
#if !defined(FLOE_ISA_SSE2)
      if constexpr (sizeof(T) == 1) {
        if (yb == na) {
          b = InterleaveBytes(reinterpret_cast<const uint8_t*>(x), xa,
                              reinterpret_cast<uint8_t*>(y), na, n);
        }
      }
#endif
      for (; b < n; b += 16) {
        for (int64_t a = 0; a < na; ++a) {
          for (int64_t c = b; c < Least(b + 16, n); ++c) y[c * yb + a] = x[a * xa + c];
        }
      }
    }
    return;
  }
  const int64_t xs = box.x_stride[last], ys = box.y_stride[last];
  if (ys == 1 && xs == 0) {
    const T v = *x;
    for (int64_t i = 0; i < n; ++i) y[i] = v;
  } else if (ys == 1) {
    for (int64_t i = 0; i < n; ++i) y[i] = x[i * xs];
  } else {
    for (int64_t i = 0; i < n; ++i) y[i * ys] = x[i * xs];
  }
}

FLOE_INLINE void RunUnit(const MoveBox& box, int64_t size, const char* x, char* y, int64_t n) {
  if (box.kind == MoveBox::Kind::kRows) {
    std::memcpy(y, x, static_cast<size_t>(n * size));
    return;
  }
  switch (size) {
    case 1:
      return RunUnitAs(box, reinterpret_cast<const Bytes1*>(x), reinterpret_cast<Bytes1*>(y), n);
    case 2:
      return RunUnitAs(box, reinterpret_cast<const Bytes2*>(x), reinterpret_cast<Bytes2*>(y), n);
    case 4:
      return RunUnitAs(box, reinterpret_cast<const Bytes4*>(x), reinterpret_cast<Bytes4*>(y), n);
    default:
      return RunUnitAs(box, reinterpret_cast<const Bytes8*>(x), reinterpret_cast<Bytes8*>(y), n);
  }
}

// Units [begin, end) of a box.
FLOE_INLINE void RunBox(const MoveBox& box, int64_t size, const char* x, char* y, int64_t begin,
                        int64_t end) {
  const int last = box.axes - 1;
  const bool transpose = box.kind == MoveBox::Kind::kTranspose;
  const int blocked = transpose ? last - 1 : last;
  int64_t index[kMaxRank];
  int64_t unit = begin;
  int64_t block = unit % box.blocks;
  unit /= box.blocks;
  int64_t xo = box.x_offset, yo = box.y_offset;
  for (int a = blocked - 1; a >= 0; --a) {
    index[a] = unit % box.size[a];
    unit /= box.size[a];
    xo += index[a] * box.x_stride[a];
    yo += index[a] * box.y_stride[a];
  }
  for (int64_t u = begin; u < end; ++u) {
    const int64_t at = block * box.block;
    RunUnit(box, size, x + (xo + at * box.x_stride[blocked]) * size,
            y + (yo + at * box.y_stride[blocked]) * size, Least(box.block, box.size[blocked] - at));
    if (++block < box.blocks) continue;
    block = 0;
    for (int a = blocked - 1; a >= 0; --a) {
      xo += box.x_stride[a];
      yo += box.y_stride[a];
      if (++index[a] < box.size[a]) break;
      xo -= box.size[a] * box.x_stride[a];
      yo -= box.size[a] * box.y_stride[a];
      index[a] = 0;
    }
  }
}

FLOE_INLINE void Fill(const MovePlan& plan, char* y, uint32_t task) {
  int64_t begin, end;
  const int64_t size = plan.element_size;
  TaskShare(plan.fill_bytes / size, task, plan.tasks, &begin, &end);
  switch (size) {
    case 1:
      for (int64_t i = begin; i < end; ++i) {
        reinterpret_cast<Bytes1*>(y)[i] = static_cast<uint8_t>(plan.fill_value);
      }
      break;
    case 2:
      for (int64_t i = begin; i < end; ++i) {
        reinterpret_cast<Bytes2*>(y)[i] = static_cast<uint16_t>(plan.fill_value);
      }
      break;
    case 4:
      for (int64_t i = begin; i < end; ++i) {
        reinterpret_cast<Bytes4*>(y)[i] = static_cast<uint32_t>(plan.fill_value);
      }
      break;
    default:
      for (int64_t i = begin; i < end; ++i) reinterpret_cast<Bytes8*>(y)[i] = plan.fill_value;
      break;
  }
}

void RunMovePlan(const KernelArgs& args, const MovePlan& plan, uint32_t phase, uint32_t begin,
                 uint32_t end) {
  char* y = static_cast<char*>(args.outputs[0]);
  for (uint32_t task = begin; task < end; ++task) {
    if (plan.fill_bytes > 0 && phase == 0) {
      Fill(plan, y, task);
      continue;
    }
    ZeroHaloShare(args.op->outputs[0], y, task, plan.tasks);
    int64_t first, last;
    TaskShare(plan.units, task, plan.tasks, &first, &last);
    int64_t base = 0;
    for (uint32_t i = 0; i < plan.boxes && base < last; ++i) {
      const MoveBox& box = plan.box()[i];
      const int64_t from = first > base ? first - base : 0;
      const int64_t to = Least(last - base, box.units);
      if (from < to) {
        RunBox(box, plan.element_size, static_cast<const char*>(args.inputs[i]), y, from, to);
      }
      base += box.units;
    }
  }
}

FLOE_INLINE Status Scheduled(const MovePlan& plan, const char* variant, Schedule* schedule) {
  schedule->phases = plan.fill_bytes > 0 ? 2 : 1;
  schedule->tasks = plan.tasks;
  schedule->variant = variant;
  return OkStatus();
}

FLOE_INLINE void CopyElement(char* y, const char* x, int32_t size) {
  switch (size) {
    case 1:
      *y = *x;
      break;
    case 2:
      std::memcpy(y, x, 2);
      break;
    case 4:
      std::memcpy(y, x, 4);
      break;
    default:
      std::memcpy(y, x, 8);
      break;
  }
}

// Rows [begin, end) of y of a pad by reflection, repetition or wrapping.
void RunPadRows(const PadPlan& plan, const char* x, char* y, int64_t begin, int64_t end) {
  const int inner = plan.rank - 1;
  const int64_t size = plan.element_size;
  for (int64_t row = begin; row < end; ++row) {
    int64_t rest = row, xo = plan.x_offset, yo = plan.y_offset;
    for (int a = inner - 1; a >= 0; --a) {
      const int64_t i = rest % plan.size[a];
      rest /= plan.size[a];
      yo += i * plan.y_stride[a];
      xo += PadSource(plan.mode, i - plan.before[a], plan.source_size[a]) * plan.x_stride[a];
    }
    if (inner < 0) {
      CopyElement(y + yo * size, x + xo * size, plan.element_size);
      continue;
    }
    const int64_t n = plan.size[inner], before = plan.before[inner];
    const int64_t xs = plan.x_stride[inner], ys = plan.y_stride[inner];
    for (int64_t i = 0; i < n; ++i) {
      const int64_t source = PadSource(plan.mode, i - before, plan.source_size[inner]);
      CopyElement(y + (yo + i * ys) * size, x + (xo + source * xs) * size, plan.element_size);
    }
  }
}

}  // namespace

#define FLOE_MOVE_FAMILY(name, text)                                                            \
  Status Prepare##name(const OpInfo& op, const PrepareContext& context, void* state,            \
                       Schedule* schedule) {                                                    \
    MovePlan* plan = static_cast<MovePlan*>(state);                                             \
    Plan##name(op, context, plan);                                                              \
    return Scheduled(*plan, FLOE_VARIANT(text), schedule);                                      \
  }                                                                                             \
  Rule Run##name(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void*) { \
    RunMovePlan(args, *static_cast<const MovePlan*>(args.state), phase, begin, end);            \
    return Rule::kNone;                                                                         \
  }
FLOE_MOVE_FAMILY(Copy, "copy")
FLOE_MOVE_FAMILY(Transpose, "transpose")
FLOE_MOVE_FAMILY(Slice, "slice")
FLOE_MOVE_FAMILY(Expand, "expand")
FLOE_MOVE_FAMILY(Concat, "concat")
#undef FLOE_MOVE_FAMILY

Status PreparePad(const OpInfo& op, const PrepareContext& context, void* state,
                  Schedule* schedule) {
  PadPlan* plan = static_cast<PadPlan*>(state);
  PlanPadIndexed(op, context, plan);
  if (plan->constant) return Scheduled(*plan->move(), FLOE_VARIANT("pad_constant"), schedule);
  schedule->phases = 1;
  schedule->tasks = plan->tasks;
  schedule->variant = FLOE_VARIANT("pad_indexed");
  return OkStatus();
}

Rule RunPad(const KernelArgs& args, uint32_t phase, uint32_t begin, uint32_t end, void*) {
  const PadPlan& plan = *static_cast<const PadPlan*>(args.state);
  if (plan.constant) {
    RunMovePlan(args, *plan.move(), phase, begin, end);
    return Rule::kNone;
  }
  for (uint32_t task = begin; task < end; ++task) {
    ZeroHaloShare(args.op->outputs[0], args.outputs[0], task, plan.tasks);
    int64_t first, last;
    TaskShare(plan.rows, task, plan.tasks, &first, &last);
    RunPadRows(plan, static_cast<const char*>(args.inputs[0]), static_cast<char*>(args.outputs[0]),
               first, last);
  }
  return Rule::kNone;
}

}  // namespace floe::cpu::FLOE_ISA
