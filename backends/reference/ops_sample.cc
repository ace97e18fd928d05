// grid_sample: an image read at fractional positions, in one to three spatial axes.
#include <algorithm>
#include <cmath>

#include "backends/reference/ops_internal.h"

namespace floe::reference {
namespace {

constexpr int kMaxSampled = 3;  // Spatial axes.
constexpr int kMaxTaps = 4;     // Along an axis; bicubic takes as many.

struct SampleAttrs {
  GridMode mode;
  GridPadding padding;
  bool align_corners;
};

SampleAttrs ReadSample(AttrReader attrs) {
  SampleAttrs s;
  s.mode = static_cast<GridMode>(attrs.Int());
  s.padding = static_cast<GridPadding>(attrs.Int());
  s.align_corners = attrs.Int() != 0;
  return s;
}

// What one axis contributes to a sample: at most kMaxTaps elements; index -1 lies outside.
struct AxisTaps {
  int count = 0;
  int64_t index[kMaxTaps];
  double weight[kMaxTaps];

  void Add(int64_t at, double w) {
    index[count] = at;
    weight[count++] = w;
  }
};

// Positions along an axis of `size` pixels. They are computed in T, the grid's type, in PyTorch's
// order of operations, since "nearest" depends on the last bit where a grid is regular.
template <class T>
class Positions {
 public:
  Positions(const SampleAttrs& attrs, int64_t size, bool planar)
      : attrs_(attrs), size_(size), extent_(static_cast<T>(size)), planar_(planar) {}

  AxisTaps Taps(T coordinate) const {
    AxisTaps taps;
    const T at = Unnormalise(coordinate);
    if (attrs_.mode == GridMode::kNearest) {
      taps.Add(Index(std::nearbyint(Bounded(at))), 1);
    } else if (attrs_.mode == GridMode::kBilinear) {
      const T inside = Bounded(at), base = std::floor(inside);
      const T part = inside - base;
      taps.Add(Index(base), static_cast<double>(1 - part));
      taps.Add(Index(base + 1), static_cast<double>(part));
    } else {
      AddCubic(at, &taps);
    }
    return taps;
  }

 private:
  T Unnormalise(T v) const {
    if (attrs_.align_corners) {
      return planar_ ? (v + 1) * ((extent_ - 1) / 2) : (v + 1) / 2 * (extent_ - 1);
    }
    return planar_ ? (v + 1) * (extent_ / 2) - T(0.5) : ((v + 1) * extent_ - 1) / 2;
  }

  // Border and reflection bring a position into the image; NaN becomes 0.
  T Bounded(T at) const {
    if (attrs_.padding == GridPadding::kZeros) return at;
    if (attrs_.padding == GridPadding::kReflection) at = Reflected(at);
    const T low = at > 0 ? at : 0;
    return std::min(low, extent_ - 1);
  }

  // About the centres of the outer pixels with align_corners, else about their edges.
  T Reflected(T at) const {
    const T low = attrs_.align_corners ? T(0) : T(-0.5);
    const T span = attrs_.align_corners ? extent_ - 1 : extent_;
    if (span == 0) return 0;
    const T distance = std::fabs(at - low);
    const T rest = distance - std::trunc(distance / (2 * span)) * (2 * span);
    return std::min(rest, 2 * span - rest) + low;
  }

  // The element at an integral position, -1 outside.
  int64_t Index(T at) const {
    return at >= 0 && at < extent_ ? std::min(static_cast<int64_t>(at), size_ - 1) : -1;
  }

  // Keys' cubic convolution; every tap is brought into the image for itself.
  void AddCubic(T at, AxisTaps* taps) const {
    constexpr T kA = T(-0.75);
    const T base = std::floor(at), t = at - base;
    const auto outer = [](T x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
    const auto inner = [](T x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
    const T weights[] = {outer(t + 1), inner(t), inner(1 - t), outer(2 - t)};
    for (int i = 0; i < kMaxTaps; ++i) {
      taps->Add(Index(Bounded(base + static_cast<T>(i - 1))), static_cast<double>(weights[i]));
    }
  }

  SampleAttrs attrs_;
  int64_t size_;
  T extent_;
  bool planar_;  // PyTorch has two formulas for the same positions.
};

// The elements of a plane that one sample reads.
struct PlaneTaps {
  int count = 0;
  int64_t offset[kMaxTaps * kMaxTaps * kMaxTaps];
  double weight[kMaxTaps * kMaxTaps * kMaxTaps];
};

PlaneTaps Combined(const AxisTaps* axes, const int64_t* dims, int spatial) {
  PlaneTaps taps;
  taps.count = 1;
  taps.offset[0] = 0;
  taps.weight[0] = 1;
  for (int axis = 0; axis < spatial; ++axis) {
    PlaneTaps next;
    for (int i = 0; i < taps.count; ++i) {
      for (int k = 0; k < axes[axis].count; ++k) {
        if (axes[axis].index[k] < 0) continue;
        next.offset[next.count] = taps.offset[i] * dims[axis] + axes[axis].index[k];
        next.weight[next.count++] = taps.weight[i] * axes[axis].weight[k];
      }
    }
    taps = next;
  }
  return taps;
}

template <class T>
void Sample(const RunArgs& a) {
  const SampleAttrs attrs = ReadSample(a.attrs());
  const TensorInfo &x = a.in(0), &grid = a.in(1);
  const int spatial = x.rank - 2;
  const int64_t channels = x.dims[1];
  const int64_t plane = Product(x.dims + 2, spatial), points = Product(grid.dims + 1, spatial);
  for (int64_t n = 0; n < x.dims[0]; ++n) {
    for (int64_t point = 0; point < points; ++point) {
      AxisTaps axes[kMaxSampled];
      for (int axis = 0; axis < spatial; ++axis) {
        // The grid's first number goes along the last axis.
        const int64_t at = (n * points + point) * spatial + (spatial - 1 - axis);
        const auto coordinate = static_cast<T>(LoadOne<double>(grid.dtype, a.inputs[1], at));
        axes[axis] = Positions<T>(attrs, x.dims[axis + 2], spatial == 2).Taps(coordinate);
      }
      const PlaneTaps taps = Combined(axes, x.dims + 2, spatial);
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t base = (n * channels + c) * plane;
        double sum = 0;
        for (int i = 0; i < taps.count; ++i) {
          sum += taps.weight[i] * LoadOne<double>(x.dtype, a.inputs[0], base + taps.offset[i]);
        }
        StoreOne<double>(x.dtype, a.outputs[0], (n * channels + c) * points + point, sum);
      }
    }
  }
}

}  // namespace

Status CheckGridSample(const CheckArgs& a) {
  AttrReader attrs = a.attrs();
  const int64_t mode = attrs.Int();
  const int64_t padding = attrs.Int();
  const int64_t align_corners = attrs.Int();
  if (!attrs.Done() || mode < 0 || mode > static_cast<int64_t>(GridMode::kBicubic) || padding < 0 ||
      padding > static_cast<int64_t>(GridPadding::kReflection) || align_corners < 0 ||
      align_corners > 1) {
    return BadAttr();
  }
  const TensorInfo &x = a.in(0), &grid = a.in(1);
  FLOE_RETURN_IF_ERROR(InputIn(a, 0, kFloats));
  FLOE_RETURN_IF_ERROR(InputIn(a, 1, kFloats));
  FLOE_RETURN_IF_ERROR(OutputIs(a, 0, x.dtype));
  if (x.rank < 3 || x.rank > kMaxSampled + 2) return BadShape(0, -1, kMaxSampled + 2, x.rank);
  if (grid.rank != x.rank) return BadShape(1, -1, x.rank, grid.rank);
  const int spatial = x.rank - 2;
  if (grid.dims[0] != x.dims[0]) return BadShape(1, 0, x.dims[0], grid.dims[0]);
  if (grid.dims[spatial + 1] != spatial) {
    return BadShape(1, spatial + 1, spatial, grid.dims[spatial + 1]);
  }
  int64_t dims[kMaxSampled + 2] = {x.dims[0], x.dims[1]};
  double taps = 1;
  for (int i = 0; i < spatial; ++i) {
    if (x.dims[i + 2] == 0) return BadShape(0, i + 2, 1, 0);
    dims[i + 2] = grid.dims[i + 1];
    taps *= mode == static_cast<int64_t>(GridMode::kBicubic) ? kMaxTaps : 2;
  }
  FLOE_RETURN_IF_ERROR(OutputDims(a, 0, {dims, x.rank}));
  a.footprint.flops = 2 * taps * static_cast<double>(Count(a.out()));
  return OkStatus();
}

Rule RunGridSample(const RunArgs& a) {
  if (a.in(1).dtype == DType::kF64) {
    Sample<double>(a);
  } else {
    Sample<float>(a);
  }
  return Rule::kNone;
}

}  // namespace floe::reference
