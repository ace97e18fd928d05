// Integer islands: dequantize -> product (-> clamp) -> quantize becomes one integer product, whose
// sums are rounded to the result's numbers while they are in registers; a sum with another
// quantised tensor behind it joins. Clamps between product and quantize become the result's range.
//
// What an integer product gives is what the float graph gives, but for the rounding of float sums:
// the intermediate quantize of a product that a sum follows is kept, in registers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/passes/integer_edges.h"

namespace floe::passes {
namespace {

constexpr int64_t kMaxPad = 255;

// A float product of a u8 activation with constant weights.
struct Product {
  ir::Node* node = nullptr;
  Edge x;
  ir::Tensor weights;         // i8: [O, C, kh, kw] or [K, N].
  std::vector<float> scales;  // Of the weights, one per output channel.
  ir::Value* bias = nullptr;  // One number per channel, or null: an operand of `node`.
  bool conv = false;
};

int64_t Channels(const Product& p) { return static_cast<int64_t>(p.scales.size()); }

// Constant 8-bit weights behind a dequantize, and a transpose of a matrix behind that.
std::optional<IntegerWeights> WeightsBehind(const ir::Value* value, size_t axis, const char** why) {
  const ir::Node* transpose = ProducedBy(value, OpId::kTranspose);
  if (transpose != nullptr) {
    if (value->rank() != 2 || transpose->Ints("perm")[0] != 1) {
      *why = "its weights are moved in a way that is not followed";
      return std::nullopt;
    }
    std::optional<IntegerWeights> w = WeightsBehind(transpose->input(0), 1 - axis, why);
    if (w) w->numbers = TransposedMatrix(w->numbers);
    return w;
  }
  const ir::Node* dequantize = ProducedBy(value, OpId::kDequantize);
  if (dequantize == nullptr) {
    *why = "its weights are not quantised";
    return std::nullopt;
  }
  const ir::Value* scale = dequantize->input(1);
  const bool one = scale->is_constant() && scale->constant().count() == 1;
  if (dequantize->Int("block") != 0 ||
      (!one && dequantize->Int("axis") != static_cast<int64_t>(axis))) {
    *why = "its weights' scales are not one for each output channel";
    return std::nullopt;
  }
  return WeightsOf(dequantize->input(0), scale, dequantize->input(2), axis, why);
}

// What `node` is as a product of integers; *why where it is none although something is quantised.
std::optional<Product> ProductOf(ir::Node* node, const char** why) {
  *why = nullptr;
  Product p;
  p.node = node;
  size_t axis = 1;
  bool transposed = false;
  switch (node->op()) {
    case OpId::kConv:
      p.conv = true;
      axis = 0;
      break;
    case OpId::kGemm:
      transposed = node->Int("trans_b") != 0;
      axis = transposed ? 0 : 1;
      break;
    case OpId::kMatMul:
      break;
    default:
      return std::nullopt;
  }
  const bool any = ProducedBy(node->input(0), OpId::kDequantize) != nullptr ||
                   ProducedBy(node->input(1), OpId::kDequantize) != nullptr;
  if (!any || !node->code.empty()) return std::nullopt;
  const auto refuse = [why](const char* reason) {
    *why = reason;
    return std::nullopt;
  };
  const std::optional<Edge> x = DequantizedBy(node->input(0));
  if (!x) return refuse("its input is not quantised as a whole, with constant numbers");
  if (x->dtype != DType::kU8) return refuse("its input is seen as i8 elsewhere");
  p.x = *x;
  if (p.conv) {
    if (node->input(0)->rank() != 4) return refuse("it has not two spatial axes");
    for (const int64_t pad : node->Ints("pads")) {
      if (pad < 0 || pad > kMaxPad) return refuse("its padding is over 255");
    }
  } else if (node->input(1)->rank() != 2 || node->input(0)->rank() < 1) {
    return refuse("its weights are no matrix");
  }
  if (node->op() == OpId::kGemm && (node->Int("trans_a") != 0 || node->Float("alpha") != 1.0 ||
                                    (node->input(2) != nullptr && node->Float("beta") != 1.0))) {
    return refuse("it is scaled or reads its input transposed");
  }
  std::optional<IntegerWeights> w = WeightsBehind(node->input(1), axis, why);
  if (!w) return std::nullopt;
  p.weights = transposed ? TransposedMatrix(w->numbers) : std::move(w->numbers);
  p.scales = std::move(w->scales);
  const int64_t depth = p.weights.count() / std::max<int64_t>(1, Channels(p));
  if (depth > (int64_t{1} << 31) / (255 * 128)) return refuse("its sums may pass 32 bits");
  p.bias = node->op() == OpId::kMatMul ? nullptr : node->input(2);
  return p;
}

// A product's bias: nothing, in the sums' own steps, or as floats.
struct Bias {
  std::vector<int32_t> sums;
  std::vector<double> floats;
};

bool CloseTo(float a, float b) { return std::fabs(a - b) <= 1e-5f * std::fabs(b); }

// Absent if the bias is not constant or not one number per channel.
std::optional<Bias> BiasOf(const Product& p) {
  Bias b;
  if (p.bias == nullptr) return b;
  const int64_t channels = Channels(p);
  // Not one number per row.
  if (p.bias->rank() > 0 && channels != 1 && p.bias->shape().back() != ir::Dim(channels)) {
    return std::nullopt;
  }
  const auto step = [&p](int64_t n) { return p.x.scale * p.scales[static_cast<size_t>(n)]; };
  if (const ir::Node* dequantize = ProducedBy(p.bias, OpId::kDequantize)) {
    const ir::Value* q = dequantize->input(0);
    const ir::Value* s = dequantize->input(1);
    if (!q->is_constant() || q->constant().count() != channels || !s->is_constant() ||
        s->dtype() != DType::kF32 || dequantize->Int("block") != 0 ||
        (s->constant().count() != 1 && s->constant().count() != channels)) {
      return std::nullopt;
    }
    const ir::Value* zero = dequantize->input(2);
    if (zero != nullptr && !zero->is_constant()) return std::nullopt;
    bool own = q->dtype() == DType::kI32;
    for (int64_t n = 0; n < channels; ++n) {
      const float scale = s->constant().as<float>()[s->constant().count() == 1 ? 0 : n];
      const int64_t z =
          zero == nullptr ? 0 : zero->constant().IntAt(zero->constant().count() == 1 ? 0 : n);
      own = own && z == 0 && CloseTo(scale, step(n));
      b.floats.push_back(
          static_cast<double>(static_cast<float>(q->constant().IntAt(n) - z) * scale));
    }
    if (!own) return b;
    b.floats.clear();
    for (int64_t n = 0; n < channels; ++n) {
      b.sums.push_back(static_cast<int32_t>(q->constant().IntAt(n)));
    }
    return b;
  }
  if (!p.bias->is_constant() || p.bias->dtype() != DType::kF32 ||
      p.bias->constant().count() != channels) {
    return std::nullopt;
  }
  bool exact = true;
  for (int64_t n = 0; n < channels; ++n) {
    const float v = p.bias->constant().as<float>()[n];
    const double steps = std::nearbyint(static_cast<double>(v) / static_cast<double>(step(n)));
    exact = exact && std::fabs(steps) < 0x1p30 && static_cast<float>(steps) * step(n) == v;
    b.floats.push_back(v);
    b.sums.push_back(exact ? static_cast<int32_t>(steps) : 0);
  }
  if (exact) {
    b.floats.clear();
  } else {
    b.sums.clear();
  }
  return b;
}

// The clamps before a quantize, as one.
struct Bounds {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();

  void Inside(double inner_low, double inner_high) {
    const double l = std::clamp(inner_low, low, high);
    const double h = std::clamp(inner_high, low, high);
    low = l;
    high = h;
  }
  // The least and greatest number that quantize gives.
  int64_t Min(const Edge& e) const { return Round(low, e); }
  int64_t Max(const Edge& e) const { return Round(high, e); }

 private:
  static int64_t Round(double v, const Edge& e) {
    if (std::isinf(v)) return v < 0 ? e.min : e.max;
    const double q = std::nearbyint(static_cast<double>(static_cast<float>(v) / e.scale)) + e.zero;
    return static_cast<int64_t>(
        std::clamp(q, static_cast<double>(e.min), static_cast<double>(e.max)));
  }
};

// Walks from `value` back over clamps that nothing else reads.
ir::Value* BehindClamps(const ir::Graph& graph, ir::Value* value, Bounds* bounds) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  while (value->producer() != nullptr && HasOneUse(graph, value)) {
    ir::Node* node = value->producer();
    const ir::Value* limit = node->inputs().size() == 2 ? node->input(1) : nullptr;
    const double number = ScalarOf(limit).value_or(std::nan(""));
    if (node->op() == OpId::kRelu) {
      bounds->Inside(0, kInf);
    } else if (node->op() == OpId::kClamp && node->Float("min") <= node->Float("max")) {
      bounds->Inside(node->Float("min"), node->Float("max"));
    } else if (node->op() == OpId::kMaximum && !std::isnan(number)) {
      bounds->Inside(number, kInf);
    } else if (node->op() == OpId::kMinimum && !std::isnan(number)) {
      bounds->Inside(-kInf, number);
    } else {
      break;
    }
    if (node->input(0)->shape() != value->shape()) break;
    value = node->input(0);
  }
  return value;
}

// --- writing -------------------------------------------------------------------------------------

ir::Value* AddSums(ir::Graph& graph, const std::string& name, const std::vector<int32_t>& sums) {
  if (sums.empty()) return nullptr;
  ir::Tensor t(DType::kI32, {static_cast<int64_t>(sums.size())});
  for (size_t i = 0; i < sums.size(); ++i) t.SetInt(static_cast<int64_t>(i), sums[i]);
  return graph.AddConstant(name + "_sums", std::move(t));
}

Attrs AttrsOf(const Product& p, DType to, std::vector<int64_t> requant) {
  Attrs attrs;
  if (p.conv) attrs = p.node->attrs;
  attrs["x_zero"] = int64_t{p.x.zero};
  attrs["to"] = static_cast<int64_t>(to);
  attrs["requant"] = std::move(requant);
  attrs["ratios"] = std::vector<double>();
  return attrs;
}

// The product before `before`; `y_scale` 1 for a result in f32.
absl::StatusOr<ir::Value*> Write(ir::Graph& graph, const Product& p, const Bias& bias,
                                 ir::Node* before, DType to, float y_scale,
                                 std::vector<int64_t> requant) {
  const std::string name = p.node->output()->name();
  std::vector<double> scales;
  for (const float s : p.scales) {
    scales.push_back(static_cast<double>((p.x.scale * s) / y_scale));
  }
  std::vector<ir::Value*> inputs = {p.x.integers, graph.AddConstant(name + "_weights", p.weights),
                                    AddFloats(graph, name + "_scales", scales, {Channels(p)})};
  if (!bias.sums.empty()) {
    inputs.push_back(AddSums(graph, name, bias.sums));
  } else if (!bias.floats.empty()) {
    std::vector<double> floats;
    for (const double v : bias.floats) {
      floats.push_back(static_cast<double>(static_cast<float>(v) / y_scale));
    }
    inputs.push_back(AddFloats(graph, name + "_bias", floats, {Channels(p)}));
  }
  return Insert(graph, before, p.conv ? OpId::kQConv : OpId::kQGemm, std::move(inputs),
                AttrsOf(p, to, std::move(requant)), name + "_integers", p.node->provenance);
}

std::string RangeText(const Edge& e, int64_t min, int64_t max) {
  return min == e.min && max == e.max ? "" : absl::StrFormat(", clamped to %d..%d", min, max);
}

std::string BiasText(const Bias& bias) {
  return bias.floats.empty()
             ? ""
             : ", whose bias is added as it is: it is no multiple of the sums' steps";
}

// product (-> clamps) -> quantize, which is `last`.
absl::StatusOr<bool> FuseProduct(ir::Graph& graph, ir::Node* last, const Edge& edge,
                                 Report& report) {
  Bounds bounds;
  ir::Value* y = BehindClamps(graph, last->input(0), &bounds);
  if (y->producer() == nullptr || !HasOneUse(graph, y)) return false;
  const char* why = nullptr;
  const std::optional<Product> p = ProductOf(y->producer(), &why);
  if (!p) return false;
  const std::optional<Bias> bias = BiasOf(*p);
  if (!bias) return false;
  const int64_t min = bounds.Min(edge), max = bounds.Max(edge);
  FLOE_TRY_ASSIGN(ir::Value * q,
                  Write(graph, *p, *bias, last, DType::kU8, edge.scale, {edge.zero, min, max}));
  report.Add(NameOf(*p->node) + ": integers from u8 to u8" + RangeText(edge, min, max) +
             BiasText(*bias));
  Replace(graph, last, q);
  return true;
}

// The integer product that a dequantized operand of a sum comes from, if nothing else reads it.
ir::Node* OwnProduct(const ir::Graph& graph, const ir::Value* operand,
                     const std::optional<Edge>& edge) {
  if (!edge || edge->dtype != DType::kU8 || !HasOneUse(graph, operand) ||
      !HasOneUse(graph, edge->integers)) {
    return nullptr;
  }
  ir::Node* node = edge->integers->producer();
  if (node == nullptr || (node->op() != OpId::kQConv && node->op() != OpId::kQGemm)) return nullptr;
  return node->input(4) == nullptr && node->Int("x_zero") >= 0 ? node : nullptr;
}

// product -> dequantize -> sum with another one (-> clamps) -> quantize, which is `last`.
absl::StatusOr<bool> FuseSum(ir::Graph& graph, ir::Node* last, const Edge& edge, Report& report) {
  Bounds bounds;
  ir::Value* sum = BehindClamps(graph, last->input(0), &bounds);
  ir::Node* add = ProducedBy(sum, OpId::kAdd);
  if (add == nullptr || !HasOneUse(graph, sum)) return false;
  const std::optional<Edge> edges[2] = {DequantizedBy(add->input(0)), DequantizedBy(add->input(1))};
  for (size_t i = 2; i-- > 0;) {
    ir::Node* product = OwnProduct(graph, add->input(i), edges[i]);
    const std::optional<Edge>& other = edges[1 - i];
    if (product == nullptr || !other || other->dtype != DType::kU8 ||
        other->integers == edges[i]->integers ||
        other->integers->shape() != edges[i]->integers->shape() ||
        sum->shape() != edges[i]->integers->shape()) {
      continue;
    }
    std::vector<ir::Value*> inputs = product->inputs();
    inputs.resize(4);
    inputs.push_back(other->integers);
    Attrs attrs = product->attrs;
    std::vector<int64_t> requant = product->Ints("requant");
    const int64_t min = bounds.Min(edge), max = bounds.Max(edge);
    requant.insert(requant.end(), {edge.zero, min, max, other->zero});
    attrs["requant"] = std::move(requant);
    attrs["ratios"] = std::vector<double>{static_cast<double>(edges[i]->scale / edge.scale),
                                          static_cast<double>(other->scale / edge.scale)};
    FLOE_TRY_ASSIGN(ir::Value * y,
                    Insert(graph, last, product->op(), std::move(inputs), std::move(attrs),
                           sum->name() + "_integers", product->provenance));
    report.Add("joined " + NameOf(*add) + " and " + NameOf(*product) + RangeText(edge, min, max));
    Replace(graph, last, y);
    return true;
  }
  return false;
}

// What is left: products whose results are needed as floats.
absl::Status WriteFloatResults(ir::Graph& graph, Report& report) {
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    const char* why = nullptr;
    std::optional<Product> p = ProductOf(node, &why);
    if (!p) {
      if (why != nullptr) report.Add(NameOf(*node) + " stays float: " + why);
      continue;
    }
    const std::optional<Bias> bias = BiasOf(*p);
    if (!bias) {
      report.Add(NameOf(*node) + " stays float: its bias is not one constant per channel");
      continue;
    }
    FLOE_TRY_ASSIGN(ir::Value * y, Write(graph, *p, *bias, node, DType::kF32, 1.0f, {}));
    report.Add(NameOf(*node) + ": integers from u8 to f32" + BiasText(*bias));
    Replace(graph, node, y);
  }
  return absl::OkStatus();
}

// Says which quantised work stays float: a file that runs at another speed than expected should
// not be a riddle.
void ExplainRest(const ir::Graph& graph, Report& report) {
  for (const auto& node : graph.nodes()) {
    const std::optional<Edge> edge = EdgeOf(node.get());
    if (node->op() == OpId::kQuantize && edge && node->input(0)->producer() != nullptr) {
      const ir::Node& producer = *node->input(0)->producer();
      if (producer.op() == OpId::kAvgPool || producer.op() == OpId::kReduce) {
        report.Add(NameOf(producer) + " stays float: means of integers are taken in f32");
      }
    }
    if (node->op() == OpId::kMatMulInteger || node->op() == OpId::kConvInteger) {
      report.Add(NameOf(*node) + " runs on the reference kernel: " +
                 "it has no constant symmetric weights, or no scales behind it");
    }
  }
}

}  // namespace

absl::Status FindIntegerIslands(ir::Graph& graph, Report& report) {
  FLOE_TRY(MakeUnsigned(graph, report));
  FLOE_TRY(SinkIntoIntegers(graph, report));
  for (auto it = graph.nodes().begin(); it != graph.nodes().end();) {
    ir::Node* node = (it++)->get();
    if (node->op() != OpId::kQuantize) continue;
    const std::optional<Edge> edge = EdgeOf(node);
    if (!edge || edge->dtype != DType::kU8) continue;
    FLOE_TRY_ASSIGN(const bool done, FuseProduct(graph, node, *edge, report));
    if (done) continue;
    FLOE_TRY(FuseSum(graph, node, *edge, report).status());
  }
  FLOE_TRY(FuseByteFunctions(graph, report));
  FLOE_TRY(WriteFloatResults(graph, report));
  FLOE_TRY(FuseDynamicProducts(graph, report));
  ExplainRest(graph, report);
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
