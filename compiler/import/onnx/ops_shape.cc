// Ops that arrange elements or make tensors from shapes. The target shapes come from constants and
// from shape arithmetic, whose results the graph knows as dims (ir::Value::content).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/ops.h"
#include "compiler/ir/shapes.h"
#include "format/tensor_info.h"

namespace floe::onnx {
namespace {

using ir::Dim;
using ir::Shape;
using ir::Value;

bool IsSane(int64_t v) { return v > -kFar && v < kFar; }

void Alias(NodeBuilder& b) { b.Out(b.In(0)); }

// --- shapes --------------------------------------------------------------------------------------

// x in a requested shape, in which 0 copies the axis and -1 is what is left.
Value* ReshapeTo(NodeBuilder& b, Value* x, Shape shape, bool zero_is_zero) {
  size_t rest = shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == Dim(0) && !zero_is_zero) shape[i] = b.Dim(x, static_cast<int64_t>(i));
    if (shape[i] != Dim(-1)) continue;
    if (rest != shape.size() && b.ok()) b.Invalid("the requested shape has two dimensions of -1");
    rest = i;
  }
  if (rest == shape.size()) return b.ReshapeChecked(x, std::move(shape));
  return b.ReshapeRest(x, std::move(shape), rest);
}

void Reshape(NodeBuilder& b) {
  Value* x = b.In(0);
  const bool allow_zero = b.Int("allowzero", 0) != 0;
  b.Out(ReshapeTo(b, x, b.DimsOf(b.In(1), "the requested shape"), allow_zero));
}

void Flatten(NodeBuilder& b) {
  Value* x = b.In(0);
  int64_t axis = b.Int("axis", 1);
  if (axis != b.Rank(x)) axis = b.Axis(axis, b.Rank(x));
  const auto at = static_cast<size_t>(axis);
  b.Out(b.Reshape(x, {b.Product(x->shape(), 0, at), b.Product(x->shape(), at, x->rank())}));
}

// The axes attribute before opset 13, the second input since.
std::vector<int64_t> AxesOperand(NodeBuilder& b, bool* given) {
  if (b.row().since < 13) {
    *given = b.HasAttr("axes");
    return b.Ints("axes");
  }
  Value* axes = b.OptIn(1);
  *given = axes != nullptr;
  return axes == nullptr ? std::vector<int64_t>{} : b.NumbersOf(axes, "the list of axes");
}

void Squeeze(NodeBuilder& b) {
  Value* x = b.In(0);
  bool given;
  const std::vector<int64_t> axes = b.Axes(AxesOperand(b, &given), b.Rank(x));
  Shape shape;
  for (int64_t i = 0; i < b.Rank(x) && b.ok(); ++i) {
    const Dim d = b.Dim(x, i);
    const bool listed = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (listed && d != Dim(1)) {
      b.Invalid(absl::StrFormat("axis %d of %s is squeezed, but is not 1", i, b.Text(x->shape())));
    }
    if (!given && !d.is_constant() && b.Min(d) <= 1) {
      b.Unsupported(
          absl::StrFormat("without axes, it may or may not drop %s; name the axes", b.Text(d)));
    }
    if (given ? !listed : d != Dim(1)) shape.push_back(d);
  }
  b.Out(b.Reshape(x, std::move(shape)));
}

void Unsqueeze(NodeBuilder& b) {
  Value* x = b.In(0);
  bool given;
  std::vector<int64_t> axes = AxesOperand(b, &given);
  if (!given && b.ok()) return b.Invalid("the list of axes is missing");
  const int64_t rank = b.Rank(x) + static_cast<int64_t>(axes.size());
  axes = b.Axes(std::move(axes), rank);
  if (!b.ok()) return b.Out(x);
  Shape shape;
  int64_t next = 0;
  for (int64_t i = 0; i < rank; ++i) {
    const bool added = std::find(axes.begin(), axes.end(), i) != axes.end();
    shape.push_back(added ? Dim(1) : b.Dim(x, next++));
  }
  b.Out(b.Reshape(x, std::move(shape)));
}

void Transpose(NodeBuilder& b) {
  Value* x = b.In(0);
  std::vector<int64_t> perm = b.Ints("perm");
  if (perm.empty()) {
    perm.resize(x->rank());
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  b.Out(b.Transpose(x, std::move(perm)));
}

void ShapeOf(NodeBuilder& b) {
  Value* x = b.In(0);
  const int64_t rank = b.Rank(x);
  const auto clamp = [rank](int64_t v) {
    return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank);
  };
  const int64_t start = clamp(b.Int("start", 0));
  const int64_t end = std::max(start, clamp(b.Int("end", rank)));
  b.Out(b.Emit(OpId::kShapeOf, {x}, {{"start", start}, {"end", end}}));
}

void Size(NodeBuilder& b) {
  Value* x = b.In(0);
  const Dim count = b.Product(x->shape(), 0, x->rank());
  if (b.ok()) b.Out(b.DimValue(count));
}

// --- slices --------------------------------------------------------------------------------------

// Resolves a bound of a slice: negative ones count from the end, and it lies in [low, high].
Dim ClampBound(NodeBuilder& b, Dim bound, const Dim& size, const Dim& low, const Dim& high) {
  if (bound.is_constant() && bound.constant() <= -kFar) return low;
  if (bound.is_constant() && bound.constant() >= kFar) return high;
  if (b.Max(bound) < 0) bound = b.Add(bound, size);
  const Dim over = b.Sub(bound, high), under = b.Sub(bound, low);
  if (b.Min(over) >= 0) return high;
  if (b.Max(under) <= 0) return low;
  if (b.Max(over) > 0) bound = b.Smaller(bound, high);
  return b.Min(under) >= 0 ? bound : b.Larger(bound, low);
}

struct AxisSlice {
  Dim start, length;
  int64_t step = 1;
};

AxisSlice ResolveSlice(NodeBuilder& b, const Dim& size, const Dim& start, const Dim& end,
                       int64_t step) {
  AxisSlice s;
  s.step = step;
  const Dim low = step > 0 ? Dim(0) : Dim(-1);
  const Dim last = step > 0 ? size : b.Sub(size, 1);
  s.start = ClampBound(b, start, size, step > 0 ? Dim(0) : Dim(0), last);
  const Dim stop = ClampBound(b, end, size, low, last);
  const Dim way = step > 0 ? b.Sub(stop, s.start) : b.Sub(s.start, stop);
  const int64_t stride = std::abs(step);
  if (b.Max(way) <= 0) {
    s.length = 0;
    s.start = 0;
  } else {
    s.length = b.DivFloor(b.Add(b.Larger(way, 0), stride - 1), stride);
  }
  return s;
}

// A slice whose start depends on dimensions is a gather of the positions.
Value* GatherSlice(NodeBuilder& b, Value* x, int64_t axis, const AxisSlice& s) {
  const Dim stop = b.Add(s.start, b.Mul(s.length, s.step));
  if (!b.ok()) return x;
  Value* positions =
      b.Emit(OpId::kRange, {b.DimValue(s.start), b.DimValue(stop), b.DimValue(s.step)}, {},
             TensorType{DType::kI64, {s.length}});
  return b.Emit(OpId::kGather, {x, positions}, {{"axis", axis}});
}

void SliceBy(NodeBuilder& b, const std::vector<Dim>& starts, const std::vector<Dim>& ends,
             std::vector<int64_t> axes, const std::vector<int64_t>& steps) {
  Value* x = b.In(0);
  if (!b.ok()) return;
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      (!steps.empty() && steps.size() != starts.size())) {
    return b.Invalid("starts, ends, axes and steps have different lengths");
  }
  b.Axes(axes, b.Rank(x));  // For its checks.
  std::vector<int64_t> from(x->rank(), 0), by(x->rank(), 1);
  Shape shape = x->shape();
  std::vector<std::pair<int64_t, AxisSlice>> gathers;
  for (size_t i = 0; i < axes.size() && b.ok(); ++i) {
    const int64_t axis = b.Axis(axes[i], b.Rank(x));
    const int64_t step = steps.empty() ? 1 : steps[i];
    if (step == 0) return b.Invalid("a step is 0");
    const auto at = static_cast<size_t>(axis);
    const int64_t near = std::clamp<int64_t>(step, -kFar, kFar);
    const AxisSlice s = ResolveSlice(b, x->shape()[at], starts[i], ends[i], near);
    if (!s.start.is_constant()) {
      gathers.emplace_back(axis, s);
      continue;
    }
    from[at] = s.start.constant();
    by[at] = near;
    shape[at] = s.length;
  }
  const bool whole =
      shape == x->shape() && std::all_of(by.begin(), by.end(), [](int64_t v) { return v == 1; });
  if (b.ok() && !whole) {
    x = b.Emit(OpId::kSlice, {x}, {{"starts", std::move(from)}, {"steps", std::move(by)}},
               TensorType{x->dtype(), std::move(shape)});
  }
  for (const auto& [axis, s] : gathers) x = GatherSlice(b, x, axis, s);
  b.Out(x);
}

void Slice1(NodeBuilder& b) {
  const std::vector<int64_t> starts = b.Ints("starts"), ends = b.Ints("ends");
  SliceBy(b, {starts.begin(), starts.end()}, {ends.begin(), ends.end()}, b.Ints("axes"), {});
}

void Slice(NodeBuilder& b) {
  const std::vector<Dim> starts = b.DimsOf(b.In(1), "the list of starts");
  const std::vector<Dim> ends = b.DimsOf(b.In(2), "the list of ends");
  std::vector<int64_t> axes, steps;
  if (Value* v = b.OptIn(3)) axes = b.NumbersOf(v, "the list of axes");
  if (Value* v = b.OptIn(4)) steps = b.NumbersOf(v, "the list of steps");
  SliceBy(b, starts, ends, std::move(axes), steps);
}

void Split(NodeBuilder& b) {
  Value* x = b.In(0);
  const int64_t axis = b.Axis(b.Int("axis", 0), b.Rank(x));
  const auto parts = static_cast<int64_t>(b.OutputCount());
  if (parts == 0) return b.Invalid("it has no outputs");
  std::vector<Dim> sizes;
  if (b.row().since < 13) {
    for (const int64_t n : b.Ints("split")) sizes.emplace_back(n);
  } else if (Value* v = b.OptIn(1)) {
    sizes = b.DimsOf(v, "the list of sizes");
  }
  if (const int64_t n = b.Int("num_outputs", parts); n != parts && b.ok()) {
    return b.Invalid(absl::StrFormat("num_outputs is %d, but it has %d outputs", n, parts));
  }
  if (!b.ok()) return;
  const Dim size = b.Dim(x, axis);
  if (sizes.empty()) {
    if (const auto each = Dim::DivExact(size, parts)) {
      sizes.assign(static_cast<size_t>(parts), *each);
    } else {
      // Equal chunks, the last one smaller.
      const int64_t total = b.StaticDim(x, axis);
      const int64_t chunk = (total + parts - 1) / parts;
      for (int64_t i = 0; i < parts; ++i) {
        sizes.emplace_back(std::clamp<int64_t>(total - i * chunk, 0, chunk));
      }
    }
  }
  if (sizes.size() != b.OutputCount()) return b.Invalid("the sizes do not fit the outputs");
  Dim start = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (b.Min(sizes[i]) < 0) return b.Invalid("a size is negative");
    if (start.is_constant()) {
      b.Out(i, b.SliceAxis(x, axis, start.constant(), sizes[i]));
    } else {
      b.Out(i, GatherSlice(b, x, axis, {start, sizes[i], 1}));
    }
    start = b.Add(start, sizes[i]);
  }
  if (b.ok() && start != size) {
    b.Invalid(absl::StrFormat("the sizes sum up to %s, but axis %d has %s", b.Text(start), axis,
                              b.Text(size)));
  }
}

// --- joins ---------------------------------------------------------------------------------------

void Concat(NodeBuilder& b) {
  std::vector<Value*> inputs;
  for (size_t i = 0; i < std::max<size_t>(b.InputCount(), 1); ++i) inputs.push_back(b.In(i));
  if (!b.HasAttr("axis") && b.ok()) return b.Invalid("attribute 'axis' is missing");
  const int64_t axis = b.Axis(b.Int("axis", 0), b.Rank(inputs[0]));
  if (inputs.size() == 1) return b.Out(inputs[0]);
  b.Out(b.Emit(OpId::kConcat, std::move(inputs), {{"axis", axis}}));
}

void Expand(NodeBuilder& b) {
  Value* x = b.In(0);
  const std::vector<Dim> wanted = b.DimsOf(b.In(1), "the requested shape");
  if (!b.ok()) return;
  for (const Dim& d : wanted) {
    if (b.Min(d) < 0) return b.Invalid("the requested shape has a negative dimension");
  }
  absl::StatusOr<Shape> shape = ir::BroadcastShapes(b.graph(), x->shape(), wanted);
  if (!shape.ok()) return b.Invalid(std::string(shape.status().message()));
  b.Out(b.Expand(x, *std::move(shape)));
}

// Repeats whole axes any number of times, dynamic ones included: each such axis is expanded beside
// itself and then joined with its copies.
Value* TileDynamic(NodeBuilder& b, Value* x, const std::vector<Dim>& repeats) {
  Shape before, middle, after;
  for (size_t i = 0; i < repeats.size(); ++i) {
    const Dim d = x->shape()[i];
    if (repeats[i] != Dim(1)) {
      before.push_back(1);
      middle.push_back(repeats[i]);
    }
    before.push_back(d);
    middle.push_back(d);
    after.push_back(b.Mul(d, repeats[i]));
  }
  if (before.size() > static_cast<size_t>(kMaxRank)) b.Unsupported("too many axes are repeated");
  return b.Reshape(b.Expand(b.Reshape(x, before), middle), after);
}

void Tile(NodeBuilder& b) {
  Value* x = b.In(0);
  const std::vector<Dim> repeats = b.DimsOf(b.In(1), "the list of repeats");
  if (!b.ok()) return;
  if (repeats.size() != x->rank()) return b.Invalid("repeats need one number for each axis");
  std::vector<int64_t> numbers;
  for (const Dim& r : repeats) {
    if (b.Min(r) < 0) return b.Invalid("a repeat is negative");
    if (r.is_constant()) numbers.push_back(r.constant());
  }
  if (numbers.size() < repeats.size()) return b.Out(TileDynamic(b, x, repeats));
  if (std::all_of(numbers.begin(), numbers.end(), [](int64_t n) { return n == 1; })) {
    return b.Out(x);
  }
  b.Out(b.Emit(OpId::kTile, {x}, {{"repeats", std::move(numbers)}}));
}

// Negative padding cuts off; the rest pads.
void PadBy(NodeBuilder& b, std::vector<int64_t> begins, std::vector<int64_t> ends, double value) {
  const std::string name = b.String("mode", "constant");
  const auto mode = name == "constant"  ? PadMode::kConstant
                    : name == "reflect" ? PadMode::kReflect
                    : name == "edge"    ? PadMode::kEdge
                                        : PadMode::kWrap;
  if (mode == PadMode::kWrap && name != "wrap") {
    return b.Invalid("attribute 'mode' is '" + name + "'");
  }
  Value* x = b.In(0);
  bool pads = false;
  for (size_t i = 0; i < begins.size(); ++i) {
    if (!IsSane(begins[i]) || !IsSane(ends[i])) return b.Invalid("a pad is out of range");
    const auto axis = static_cast<int64_t>(i);
    const int64_t cut_begin = std::max<int64_t>(0, -begins[i]);
    const int64_t cut_end = std::max<int64_t>(0, -ends[i]);
    if (cut_begin + cut_end > 0) {
      x = b.SliceAxis(x, axis, cut_begin, b.Sub(b.Dim(x, axis), cut_begin + cut_end));
    }
    begins[i] = std::max<int64_t>(0, begins[i]);
    ends[i] = std::max<int64_t>(0, ends[i]);
    pads = pads || begins[i] + ends[i] > 0;
  }
  if (!pads) return b.Out(x);
  b.Out(b.Emit(OpId::kPad, {x},
               {{"mode", static_cast<int64_t>(mode)},
                {"before", std::move(begins)},
                {"after", std::move(ends)},
                {"value", value}}));
}

// `pads`: the begins of `axes`, then the ends. All axes if `axes` is empty.
void PadAxes(NodeBuilder& b, const std::vector<int64_t>& pads, std::vector<int64_t> axes,
             double value) {
  const int64_t rank = b.Rank(b.In(0));
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(rank));
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (pads.size() != 2 * axes.size() && b.ok()) {
    b.Invalid("pads need two numbers for each axis");
  }
  b.Axes(axes, rank);  // For its checks.
  if (!b.ok()) return;
  std::vector<int64_t> begins(static_cast<size_t>(rank), 0), ends = begins;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(b.Axis(axes[i], rank));
    begins[axis] = pads[i];
    ends[axis] = pads[i + axes.size()];
  }
  PadBy(b, std::move(begins), std::move(ends), value);
}

void Pad2(NodeBuilder& b) { PadAxes(b, b.Ints("pads"), {}, b.Float("value", 0)); }

void Pad(NodeBuilder& b) {
  const std::vector<int64_t> pads = b.NumbersOf(b.In(1), "the list of pads");
  double value = 0;
  if (Value* v = b.OptIn(2)) {
    const std::optional<double> known = b.ScalarOf(v);
    if (!known && b.ok()) return b.Unsupported("a padding value that is computed at run time");
    value = known.value_or(0);
  }
  std::vector<int64_t> axes;
  if (Value* v = b.OptIn(3)) axes = b.NumbersOf(v, "the list of axes");
  PadAxes(b, pads, std::move(axes), value);
}

constexpr Row kRows[] = {
    {"Identity", 1, Alias},
    {"Reshape", 5, Reshape, OpId::kReshape},
    {"Flatten", 1, Flatten, OpId::kReshape},
    {"Squeeze", 1, Squeeze, OpId::kReshape},
    {"Squeeze", 13, Squeeze, OpId::kReshape},
    {"Unsqueeze", 1, Unsqueeze, OpId::kReshape},
    {"Unsqueeze", 13, Unsqueeze, OpId::kReshape},
    {"Transpose", 1, Transpose, OpId::kTranspose},
    {"Shape", 1, ShapeOf, OpId::kShapeOf},
    {"Size", 1, Size, OpId::kShapeOf},
    {"Slice", 1, Slice1, OpId::kSlice},
    {"Slice", 10, Slice, OpId::kSlice},
    {"Split", 2, Split, OpId::kSlice},
    {"Split", 13, Split, OpId::kSlice},
    {"Concat", 4, Concat, OpId::kConcat},
    {"Expand", 8, Expand, OpId::kExpand},
    {"Tile", 6, Tile, OpId::kTile},
    {"Pad", 2, Pad2, OpId::kPad},
    {"Pad", 11, Pad, OpId::kPad},
};

}  // namespace

std::span<const Row> ShapeRows() { return kRows; }

}  // namespace floe::onnx
