#include "tests/kernels/operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>

#include "backends/families/winograd.h"
#include "tests/kernels/elements.h"

namespace floe::conformance {

bool Exact(DType t) { return !IsFloat(t); }

int64_t Bytes(const TensorInfo& t) {
  int64_t bytes = 0;
  if (t.present() && !TensorBytes(t, &bytes).ok()) bytes = -1;
  return bytes;
}

int64_t Position(const TensorInfo& t, const std::vector<int64_t>& index) {
  return ElementOffset(t, index.data()) * DTypeSize(t.dtype);
}

Logical ToLogical(const TensorInfo& t, const unsigned char* data) {
  Logical l{t, {}};
  int64_t count;
  if (!t.present() || !ElementCount(t, &count) || count == 0) return l;
  std::vector<int64_t> index(t.rank, 0);
  do {
    l.values.push_back(ReadElement(t.dtype, data + Position(t, index)));
  } while (NextIndex(t, &index));
  return l;
}

namespace {

double SpecialNumber(int64_t i, std::mt19937* rng) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kMax = std::numeric_limits<float>::max();
  constexpr double kNumbers[] = {0,     -0.0, 1,    -1,     kInfinity, -kInfinity, NAN, kMax, -kMax,
                                 1e-40, 2.5,  -2.5, -1e-40, 0.5,       88,         -90, 3,    -3};
  if (i % 3 == 0) return std::normal_distribution<double>(0, 3)(*rng);
  return kNumbers[(*rng)() % std::size(kNumbers)];
}

// Number `i` of an input of type `t`.
double DrawNumber(const Fill& fill, DType t, int64_t i, std::mt19937* rng) {
  if (!fill.values.empty()) return fill.values[static_cast<size_t>(i) % fill.values.size()];
  if (t == DType::kBool) return (*rng)() & 1;
  if (!Exact(t)) {
    return fill.special ? SpecialNumber(i, rng)
                        : std::uniform_real_distribution<double>(fill.low, fill.high)(*rng);
  }
  const int64_t least = IsUnsignedInt(t) ? 0 : INT64_MIN;
  const int64_t low = std::max(static_cast<int64_t>(fill.low), least);
  const int64_t high = std::max(static_cast<int64_t>(fill.high), low);
  return static_cast<double>(std::uniform_int_distribution<int64_t>(low, high)(*rng));
}

void FillInput(const KernelCase& c, size_t i, std::mt19937* rng, GuardedBuffer* buffer) {
  const TensorInfo& t = c.inputs[i];
  const bool plain = t.layout == LayoutId::kDense || t.layout == LayoutId::kChannelsLast;
  // Packed layouts are padded with zeros; halos with encoded zeros only if the family reads them.
  if (!plain || c.reads_input_halo) {
    std::memset(buffer->data(), t.halo.fill, buffer->size());
  }
  const Fill fill = c.fills.empty() ? Fill{} : c.fills[std::min(i, c.fills.size() - 1)];
  std::vector<int64_t> index(t.rank, 0);
  int64_t count, element = 0;
  if (!ElementCount(t, &count) || count == 0) return;
  do {
    double v = DrawNumber(fill, t.dtype, element++, rng);
    if (c.element) v = c.element(i, index, v);
    WriteElement(t.dtype, v, buffer->data() + Position(t, index));
  } while (NextIndex(t, &index));
}

// Makes input `i`, winograd_panels16 or winograd_conv's gemm_pairs16, what it has to be: the
// transform of input 1, packed as conv's weights.
void TransformFilters(const KernelCase& c, size_t i, Operands* o) {
  const TensorInfo& u = c.inputs[i];
  const TensorInfo& w = c.inputs[1];
  const bool pairs = u.layout == LayoutId::kGemmPairs16;
  if (i < 2 || w.rank != 4 || w.dims[2] != 3 || w.dims[3] != 3) return;
  if (w.layout != (pairs ? LayoutId::kConvPairs16 : LayoutId::kConvPanels16)) return;
  int64_t columns = 0;
  if (pairs && (!winograd::PairColumns(w.dims[0], &columns) || u.rank != 2 ||
                u.dims[0] != w.dims[1] || u.dims[1] != columns)) {
    return;
  }
  if (!pairs && (w.dims[0] != u.dims[0] || w.dims[1] != u.dims[1])) return;
  const int64_t t = pairs ? winograd::kPairTile : u.dims[2];
  for (int64_t out = 0; out < w.dims[0]; ++out) {
    for (int64_t in = 0; in < w.dims[1]; ++in) {
      float filter[9];
      double transformed[winograd::kMaxTile * winograd::kMaxTile];
      for (int64_t tap = 0; tap < 9; ++tap) {
        filter[tap] = static_cast<float>(
            ReadElement(w.dtype, o->inputs[1].data() + Position(w, {out, in, tap / 3, tap % 3})));
      }
      winograd::TransformFilter(static_cast<int>(t), filter, transformed);
      for (int64_t at = 0; at < t * t; ++at) {
        const std::vector<int64_t> index =
            pairs ? std::vector<int64_t>{in, at * (columns / (t * t)) + out}
                  : std::vector<int64_t>{out, in, at / t, at % t};
        WriteElement(u.dtype, transformed[at], o->inputs[i].data() + Position(u, index));
      }
    }
  }
}

// Makes input 2 of an integer product what it has to be: the sums of the columns of input 1.
void SumColumns(const KernelCase& c, Operands* o) {
  const TensorInfo& w = c.inputs[1];
  const TensorInfo& sums = c.inputs[2];
  const int axis = w.layout == LayoutId::kGemmPanels16x4 ? 1 : 0;
  int64_t count = 0;
  if (w.rank <= axis || sums.rank != 1 || sums.dtype != DType::kI32 ||
      sums.dims[0] != w.dims[axis] || !ElementCount(w, &count) || sums.dims[0] == 0) {
    return;
  }
  std::vector<double> values(static_cast<size_t>(sums.dims[0]), 0);
  std::vector<int64_t> index(w.rank, 0);
  if (count != 0) {
    do {
      values[static_cast<size_t>(index[static_cast<size_t>(axis)])] +=
          ReadElement(w.dtype, o->inputs[1].data() + Position(w, index));
    } while (NextIndex(w, &index));
  }
  for (int64_t n = 0; n < sums.dims[0]; ++n) {
    WriteElement(sums.dtype, values[static_cast<size_t>(n)], o->inputs[2].data() + n * 4);
  }
}

}  // namespace

Operands MakeOperands(const KernelCase& c, uint64_t slack_inputs, uint32_t seed) {
  Operands o;
  std::mt19937 rng(seed);
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const bool slack = (slack_inputs >> i & 1) != 0;
    o.inputs.emplace_back(Bytes(c.inputs[i]), slack ? kReadSlack : 0);
    if (c.inputs[i].present()) FillInput(c, i, &rng, &o.inputs.back());
    if (c.kernel == KernelId::kWinogradConv && i == 2 && c.inputs[i].present()) {
      TransformFilters(c, i, &o);
    }
    const LayoutId weights = i == 2 ? c.inputs[1].layout : LayoutId::kDense;
    if (weights == LayoutId::kGemmPanels16x4 || weights == LayoutId::kConvPanels16x4 ||
        weights == LayoutId::kDepthwiseTaps16x4) {
      SumColumns(c, &o);
    }
    o.input_copies.emplace_back(o.inputs.back().data(),
                                o.inputs.back().data() + o.inputs.back().size());
  }
  for (const TensorInfo& t : c.outputs) o.outputs.emplace_back(Bytes(t));
  o.constants.assign(c.inputs.size(), nullptr);
  for (uint32_t i : c.constants) o.constants[i] = o.inputs[i].data();
  return o;
}

}  // namespace floe::conformance
