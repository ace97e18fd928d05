// Convolutions and pools with one spatial axis, convolutions with three, and transposed ones,
// written as the two-dimensional convolutions and pools that have fast kernels:
//
//   one axis      a height of 1 in front of it
//   three axes    the window's depth taps become channels, one image for each depth of the result
//   transposed    the results at positions r, r + stride, r + 2 * stride, ... of an axis are a
//   plain
//                 convolution, one for each phase r. All phases are output channels of one, with a
//                 common window and zeros where a phase has no tap; then they are interleaved.
#include <algorithm>
#include <numeric>

#include "compiler/ir/shapes.h"
#include "compiler/passes/rewrite.h"
#include "format/checked.h"

namespace floe::passes {
namespace {

using Ints = std::vector<int64_t>;

constexpr int64_t kMaxPad = 255;  // Of the fast kernels.

// Makes the nodes that stand for one, in front of it.
class Rewriter {
 public:
  Rewriter(ir::Graph& graph, ir::Node* node) : graph_(graph), node_(node) {}

  absl::StatusOr<ir::Value*> Make(OpId op, std::vector<ir::Value*> inputs, Attrs attrs) {
    return Insert(graph_, node_, op, std::move(inputs), std::move(attrs), Name(),
                  node_->provenance);
  }
  absl::StatusOr<ir::Value*> MakeTyped(OpId op, ir::Value* input, Attrs attrs, ir::Shape shape) {
    if (op == OpId::kReshape && input->shape() == shape) return input;
    const DType dtype = input->dtype();
    return InsertTyped(graph_, node_, op, {input}, std::move(attrs), Name(), node_->provenance,
                       dtype, std::move(shape));
  }
  // A Reshape of what was reshaped from that very shape is its operand.
  absl::StatusOr<ir::Value*> Reshape(ir::Value* x, ir::Shape shape) {
    const ir::Node* producer = ProducedBy(x, OpId::kReshape);
    if (producer != nullptr && producer->input(0)->shape() == shape) return producer->input(0);
    return MakeTyped(OpId::kReshape, x, {}, std::move(shape));
  }
  // A convolution or pool with the node's epilogue, whose operands `view` turns into the form of
  // the new result if they have the old one.
  template <typename View>
  absl::StatusOr<ir::Value*> MakeWindow(std::vector<ir::Value*> inputs, Attrs attrs, View view) {
    for (size_t i = node_->epilogue_begin; !node_->code.empty() && i < node_->inputs().size();
         ++i) {
      ir::Value* operand = node_->input(i);
      if (operand->rank() == node_->output()->rank()) {
        FLOE_TRY_ASSIGN(operand, view(operand));
      }
      inputs.push_back(operand);
    }
    ir::Node* made =
        graph_.AddNode(node_->op(), std::move(inputs), {Name()}, node_->provenance, node_);
    made->attrs = std::move(attrs);
    made->code = node_->code;
    made->epilogue_begin = node_->epilogue_begin;
    FLOE_TRY(ir::InferNode(graph_, *made));
    return made->output();
  }

 private:
  std::string Name() const { return node_->output()->name() + "/2d"; }

  ir::Graph& graph_;
  ir::Node* node_;
};

bool PadsFit(const Ints& pads) {
  return std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p >= 0 && p <= kMaxPad; });
}

bool IsFloat(const ir::Node& node) {
  return node.output() != nullptr && node.output()->dtype() == DType::kF32 &&
         node.input(0)->dtype() == DType::kF32;
}

Ints Prepended(int64_t first, const Ints& rest) {
  Ints all = {first};
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

ir::Shape WithHeight(const ir::Shape& s) { return {s[0], s[1], ir::Dim(1), s[2]}; }

// The window's attributes with a height of 1.
Attrs AttrsWithHeight(const ir::Node& node) {
  Attrs attrs = node.attrs;
  for (const char* name : {"strides", "dilations", "kernel"}) {
    if (attrs.find(name) != attrs.end()) attrs[name] = Prepended(1, node.Ints(name));
  }
  const Ints& pads = node.Ints("pads");
  attrs["pads"] = Ints{0, pads[0], 0, pads[1]};
  return attrs;
}

absl::StatusOr<bool> AddHeight(ir::Graph& graph, ir::Node* node) {
  const bool conv = node->op() == OpId::kConv;
  if (node->input(0)->rank() != 3 || !IsFloat(*node) || !PadsFit(node->Ints("pads"))) return false;
  if (conv ? !node->input(1)->is_constant() : node->output(1) != nullptr) return false;
  Rewriter to(graph, node);
  const auto view = [&](ir::Value* v) { return to.Reshape(v, WithHeight(v->shape())); };
  std::vector<ir::Value*> inputs;
  FLOE_TRY_ASSIGN(ir::Value * x, view(node->input(0)));
  inputs.push_back(x);
  if (conv) {
    const ir::Tensor& w = node->input(1)->constant();
    inputs.push_back(graph.AddConstant(node->input(1)->name() + "/2d",
                                       w.WithDims({w.dims()[0], w.dims()[1], 1, w.dims()[2]})));
    if (node->code.empty() && node->input(2) != nullptr) inputs.push_back(node->input(2));
  }
  FLOE_TRY_ASSIGN(ir::Value * y, to.MakeWindow(std::move(inputs), AttrsWithHeight(*node), view));
  FLOE_TRY_ASSIGN(ir::Value * result, to.MakeTyped(OpId::kReshape, y, {}, node->output()->shape()));
  Replace(graph, node, result);
  return true;
}

// [O,C,kd,kh,kw] as [O,kd*C,kh,kw].
ir::Tensor DepthAsChannels(const ir::Tensor& w) {
  const Ints& d = w.dims();
  const int64_t taps = d[3] * d[4];
  ir::Tensor result(DType::kF32, {d[0], d[2] * d[1], d[3], d[4]});
  float* to = result.mutable_as<float>();
  for (int64_t o = 0; o < d[0]; ++o) {
    for (int64_t z = 0; z < d[2]; ++z) {
      for (int64_t c = 0; c < d[1]; ++c, to += taps) {
        std::copy_n(w.as<float>() + ((o * d[1] + c) * d[2] + z) * taps, taps, to);
      }
    }
  }
  return result;
}

absl::StatusOr<bool> FoldDepth(ir::Graph& graph, ir::Node* node) {
  const ir::Value* x = node->input(0);
  const ir::Value* y = node->output();
  if (x->rank() != 5 || !IsFloat(*node) || !node->input(1)->is_constant() ||
      node->Int("groups") != 1 || !PadsFit(node->Ints("pads"))) {
    return false;
  }
  const ir::Shape& out = y->shape();
  const std::optional<ir::Dim> images = ir::Dim::Mul(out[0], out[2]);
  if (!images) return false;
  const ir::Tensor& w = node->input(1)->constant();
  const int64_t depth = w.dims()[2];
  const int64_t stride = node->Ints("strides")[0], dilation = node->Ints("dilations")[0];
  const Ints& pads = node->Ints("pads");
  Rewriter to(graph, node);
  const Attrs swap = {{"perm", Ints{0, 2, 1, 3, 4}}};
  const ir::Shape in = {x->shape()[0], out[2], x->shape()[1], x->shape()[3], x->shape()[4]};
  FLOE_TRY_ASSIGN(ir::Value * planes, to.Make(OpId::kTranspose, {node->input(0)}, swap));
  if (pads[0] != 0 || pads[3] != 0) {
    FLOE_TRY_ASSIGN(planes, to.Make(OpId::kPad, {planes},
                                    {{"mode", int64_t{0}},
                                     {"value", 0.0},
                                     {"before", Ints{0, pads[0], 0, 0, 0}},
                                     {"after", Ints{0, pads[3], 0, 0, 0}}}));
  }
  std::vector<ir::Value*> taps;
  for (int64_t z = 0; z < depth; ++z) {
    FLOE_TRY_ASSIGN(ir::Value * tap, to.MakeTyped(OpId::kSlice, planes,
                                                  {{"starts", Ints{0, z * dilation, 0, 0, 0}},
                                                   {"steps", Ints{1, stride, 1, 1, 1}}},
                                                  in));
    taps.push_back(tap);
  }
  ir::Value* joined = taps[0];
  if (depth > 1) {
    FLOE_TRY_ASSIGN(joined, to.Make(OpId::kConcat, taps, {{"axis", int64_t{2}}}));
  }
  FLOE_TRY_ASSIGN(joined,
                  to.Reshape(joined, {*images, ir::Dim(depth * w.dims()[1]), in[3], in[4]}));
  // A result-shaped operand as images.
  const auto view = [&](ir::Value* v) -> absl::StatusOr<ir::Value*> {
    FLOE_TRY_ASSIGN(ir::Value * swapped, to.Make(OpId::kTranspose, {v}, swap));
    return to.Reshape(swapped, {*images, out[1], out[3], out[4]});
  };
  std::vector<ir::Value*> inputs = {
      joined, graph.AddConstant(node->input(1)->name() + "/2d", DepthAsChannels(w))};
  if (node->code.empty() && node->input(2) != nullptr) inputs.push_back(node->input(2));
  const auto last_two = [&](const char* name) {
    const Ints& v = node->Ints(name);
    return Ints{v[1], v[2]};
  };
  FLOE_TRY_ASSIGN(ir::Value * result,
                  to.MakeWindow(std::move(inputs),
                                {{"strides", last_two("strides")},
                                 {"dilations", last_two("dilations")},
                                 {"pads", Ints{pads[1], pads[2], pads[4], pads[5]}},
                                 {"groups", int64_t{1}}},
                                view));
  FLOE_TRY_ASSIGN(result, to.Reshape(result, {out[0], out[2], out[1], out[3], out[4]}));
  FLOE_TRY_ASSIGN(result, to.Make(OpId::kTranspose, {result}, swap));
  Replace(graph, node, result);
  return true;
}

// One axis of a transposed convolution. Tap k adds input i to output i * stride + k * dilation -
// pad: to phase (k * dilation - pad) mod stride, whose output q reads input q + offset(k).
struct PhaseAxis {
  int64_t kernel, stride, dilation, pad, out_extra;  // Outputs: in * stride + out_extra.
  int64_t window = 1;                                // Of the plain convolution,
  int64_t before = 0;                                // which is padded so,
  int64_t after = 0;

  int64_t Phase(int64_t k) const { return Mod(k * dilation - pad); }
  int64_t Offset(int64_t k) const { return (Phase(k) + pad - k * dilation) / stride; }
  int64_t Mod(int64_t v) const { return (v % stride + stride) % stride; }

  void Plan() {
    int64_t first = 0, last = 0;
    for (int64_t k = 0; k < kernel; ++k) {
      first = std::min(first, Offset(k));
      last = std::max(last, Offset(k));
    }
    window = last - first + 1;
    before = -first;
    // Results for in + ceil(out_extra / stride) positions q, at least.
    const int64_t more = (out_extra + Mod(-out_extra)) / stride;
    after = std::max<int64_t>(0, more + window - 1 - before);
  }
};

// All phases' filters [sh*sw*O, C/g, windows], of each group: phases, then its outputs; from
// [C, O/g, kh, kw].
ir::Tensor PhaseFilters(const ir::Tensor& w, int64_t groups, const PhaseAxis (&axes)[2]) {
  const int64_t inputs = w.dims()[0] / groups, outputs = w.dims()[1];
  const int64_t phases = axes[0].stride * axes[1].stride;
  const int64_t window = axes[0].window * axes[1].window;
  ir::Tensor result(DType::kF32,
                    {groups * phases * outputs, inputs, axes[0].window, axes[1].window});
  float* to = result.mutable_as<float>();
  std::fill_n(to, result.count(), 0.0f);
  const float* from = w.as<float>();
  for (int64_t c = 0; c < groups * inputs; ++c) {
    const int64_t g = c / inputs;
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t ky = 0; ky < axes[0].kernel; ++ky) {
        for (int64_t kx = 0; kx < axes[1].kernel; ++kx) {
          const int64_t phase = axes[0].Phase(ky) * axes[1].stride + axes[1].Phase(kx);
          const int64_t row = (g * phases + phase) * outputs + o;
          const int64_t y = axes[0].Offset(ky) + axes[0].before;
          const int64_t x = axes[1].Offset(kx) + axes[1].before;
          to[(row * inputs + c % inputs) * window + y * axes[1].window + x] += *from++;
        }
      }
    }
  }
  return result;
}

absl::StatusOr<bool> SplitPhases(ir::Graph& graph, ir::Node* node) {
  const ir::Value* x = node->input(0);
  const bool line = x->rank() == 3;
  if ((x->rank() != 4 && !line) || !IsFloat(*node) || !node->input(1)->is_constant() ||
      (node->input(2) != nullptr && !node->input(2)->is_constant())) {
    return false;
  }
  ir::Tensor w = node->input(1)->constant();
  if (line) w = w.WithDims({w.dims()[0], w.dims()[1], 1, w.dims()[2]});
  const int64_t groups = node->Int("groups");
  PhaseAxis axes[2] = {{1, 1, 1, 0, 0}, {1, 1, 1, 0, 0}};
  const size_t spatial = x->rank() - 2;
  for (size_t i = 0; i < spatial; ++i) {
    PhaseAxis& axis = axes[i + 2 - spatial];
    const Ints& pads = node->Ints("pads");
    axis = {w.dims()[i + 4 - spatial], node->Ints("strides")[i], node->Ints("dilations")[i],
            pads[i], 0};
    axis.out_extra = axis.dilation * (axis.kernel - 1) + 1 + node->Ints("output_padding")[i] -
                     pads[i] - pads[i + spatial] - axis.stride;
    axis.Plan();
    if (axis.before > kMaxPad || axis.after > kMaxPad) return false;
  }
  const int64_t phases = axes[0].stride * axes[1].stride;
  // Zeros in place of taps that phases do not have.
  constexpr int64_t kMostGrowth = 8;
  const int64_t window = axes[0].window * axes[1].window;
  if (phases * window > kMostGrowth * axes[0].kernel * axes[1].kernel) return false;
  const int64_t outputs = w.dims()[1];

  Rewriter to(graph, node);
  ir::Shape in = x->shape(), out = node->output()->shape();
  if (line) in = WithHeight(in), out = WithHeight(out);
  FLOE_TRY_ASSIGN(ir::Value * image, to.Reshape(node->input(0), in));
  std::vector<ir::Value*> inputs = {
      image, graph.AddConstant(node->input(1)->name() + "/phases", PhaseFilters(w, groups, axes))};
  if (const ir::Value* bias = node->input(2); bias != nullptr) {
    std::vector<double> numbers;
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t i = 0; i < phases * outputs; ++i) {
        numbers.push_back(bias->constant().DoubleAt(g * outputs + i % outputs));
      }
    }
    const auto count = static_cast<int64_t>(numbers.size());
    inputs.push_back(AddFloats(graph, bias->name() + "/phases", numbers, {count}));
  }
  FLOE_TRY_ASSIGN(
      ir::Value * y,
      to.Make(OpId::kConv, std::move(inputs),
              {{"strides", Ints{1, 1}},
               {"dilations", Ints{1, 1}},
               {"pads", Ints{axes[0].before, axes[1].before, axes[0].after, axes[1].after}},
               {"groups", groups}}));
  const ir::Dim rows = y->shape()[2], columns = y->shape()[3];
  const std::optional<ir::Dim> height = ir::Dim::Mul(rows, ir::Dim(axes[0].stride));
  const std::optional<ir::Dim> width = ir::Dim::Mul(columns, ir::Dim(axes[1].stride));
  if (!height || !width) return absl::InternalError("a size overflows");
  if (phases > 1) {
    FLOE_TRY_ASSIGN(y, to.Reshape(y, {out[0], ir::Dim(groups), ir::Dim(axes[0].stride),
                                      ir::Dim(axes[1].stride), ir::Dim(outputs), rows, columns}));
    FLOE_TRY_ASSIGN(y, to.Make(OpId::kTranspose, {y}, {{"perm", Ints{0, 1, 4, 5, 2, 6, 3}}}));
    FLOE_TRY_ASSIGN(y, to.Reshape(y, {out[0], out[1], *height, *width}));
  }
  if (y->shape() != out) {
    FLOE_TRY_ASSIGN(y,
                    to.MakeTyped(OpId::kSlice, y,
                                 {{"starts", Ints{0, 0, 0, 0}}, {"steps", Ints{1, 1, 1, 1}}}, out));
  }
  if (line) {
    FLOE_TRY_ASSIGN(y, to.MakeTyped(OpId::kReshape, y, {}, node->output()->shape()));
  }
  Replace(graph, node, y);
  return true;
}

absl::StatusOr<bool> Reduce(ir::Graph& graph, ir::Node* node) {
  switch (node->op()) {
    case OpId::kConv:
      return node->input(0)->rank() == 3 ? AddHeight(graph, node) : FoldDepth(graph, node);
    case OpId::kMaxPool:
    case OpId::kAvgPool:
      return AddHeight(graph, node);
    case OpId::kConvTranspose:
      return SplitPhases(graph, node);
    default:
      return false;
  }
}

}  // namespace

absl::Status ReduceWindows(ir::Graph& graph, Report& report) {
  for (ir::Node* node : graph.NodeList()) {
    const std::string name = NameOf(*node);
    auto reduced = Reduce(graph, node);
    if (!reduced.ok()) return reduced.status();
    if (*reduced) report.Add("wrote " + name + " in two dimensions");
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
