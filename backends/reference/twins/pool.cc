#include <limits>

#include "backends/halo.h"
#include "backends/reference/dynamic_range.h"
#include "backends/reference/twins/twins.h"
#include "format/attrs.h"

namespace floe::reference::twins {
namespace {

// One output element: max or mean over the taps inside the image.
float PoolOne(const OpInfo& op, const float* x, const int64_t* at) {
  const int64_t* a = op.attrs;
  const TensorInfo& in = op.inputs[0];
  const bool average = a[0] != 0;
  double sum = 0;
  float max = -std::numeric_limits<float>::infinity();
  int64_t inside = 0;
  int64_t padded = 0;  // Taps inside the image or its declared padding.
  for (int64_t i = 0; i < a[2]; ++i) {
    for (int64_t j = 0; j < a[3]; ++j) {
      const int64_t h = at[2] * a[4] - a[6] + i * a[10];
      const int64_t w = at[3] * a[5] - a[7] + j * a[11];
      if (h < in.dims[2] + a[8] && w < in.dims[3] + a[9]) ++padded;
      if (h < 0 || w < 0 || h >= in.dims[2] || w >= in.dims[3]) continue;
      const int64_t index[4] = {at[0], at[1], h, w};
      const float v = x[ElementOffset(in, index)];
      ++inside;
      sum += v;
      if (v != v || v > max) max = v;
      if (max != max) break;
    }
  }
  if (!average) return max;
  const int64_t count = a[1] != 0 ? padded : inside;
  return static_cast<float>(sum / static_cast<double>(count));
}

// One element of u8: the greatest, or the mean in the result's scale.
uint8_t QPoolOne(const OpInfo& op, const uint8_t* x, const int64_t* at) {
  const int64_t* a = op.attrs;
  const TensorInfo& in = op.inputs[0];
  int32_t sum = 0, max = 0;
  int64_t inside = 0, padded = 0;
  for (int64_t i = 0; i < a[2]; ++i) {
    for (int64_t j = 0; j < a[3]; ++j) {
      const int64_t h = at[2] * a[4] - a[6] + i * a[10];
      const int64_t w = at[3] * a[5] - a[7] + j * a[11];
      if (h < in.dims[2] + a[8] && w < in.dims[3] + a[9]) ++padded;
      if (h < 0 || w < 0 || h >= in.dims[2] || w >= in.dims[3]) continue;
      const int64_t index[4] = {at[0], at[1], h, w};
      const int32_t v = x[ElementOffset(in, index)];
      ++inside;
      sum += v - static_cast<int32_t>(a[12]);
      max = v > max ? v : max;
    }
  }
  if (a[0] == 0) return static_cast<uint8_t>(max);
  const float ratio =
      static_cast<float>(WordFloat(a[14])) / static_cast<float>(a[1] != 0 ? padded : inside);
  // (NaN, of no elements, gives the least.)
  return static_cast<uint8_t>(
      RoundedWithin(static_cast<float>(sum) * ratio, static_cast<int32_t>(a[13]), 0, 255));
}

template <class T, class One>
void PoolAll(const KernelArgs& args, One one) {
  const TensorInfo& y = args.op->outputs[0];
  ZeroHalo(y, args.outputs[0]);
  int64_t at[4];
  for (at[0] = 0; at[0] < y.dims[0]; ++at[0]) {
    for (at[1] = 0; at[1] < y.dims[1]; ++at[1]) {
      for (at[2] = 0; at[2] < y.dims[2]; ++at[2]) {
        for (at[3] = 0; at[3] < y.dims[3]; ++at[3]) {
          static_cast<T*>(args.outputs[0])[ElementOffset(y, at)] =
              one(*args.op, static_cast<const T*>(args.inputs[0]), at);
        }
      }
    }
  }
}

}  // namespace

Status PreparePool(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->phases = 1;
  schedule->tasks = 1;
  schedule->variant = "pool_plain";
  return OkStatus();
}

Rule RunPool(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin != end) PoolAll<float>(args, PoolOne);
  return Rule::kNone;
}

Status PrepareQPool(const OpInfo&, const PrepareContext&, void*, Schedule* schedule) {
  schedule->tasks = 1;
  schedule->variant = "qpool_plain";
  return OkStatus();
}

Rule RunQPool(const KernelArgs& args, uint32_t, uint32_t begin, uint32_t end, void*) {
  if (begin != end) PoolAll<uint8_t>(args, QPoolOne);
  return Rule::kNone;
}

}  // namespace floe::reference::twins
