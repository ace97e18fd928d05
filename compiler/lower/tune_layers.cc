#include "compiler/lower/tune_layers.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "compiler/ir/shapes.h"
#include "compiler/lower/plan.h"
#include "compiler/lower/select.h"
#include "format/checked.h"
#include "format/writer.h"

namespace floe::lower {
namespace {

// A model with more weights than this reads them from memory in every run, one with fewer from the
// last cache. The same on every machine, so that keys are.
constexpr int64_t kWeightsInCache = int64_t{16} << 20;
// Of a layer's tensors together: more are not worth the memory to measure.
constexpr int64_t kMostBytes = int64_t{512} << 20;

// The layer's shape: one image, upper bounds.
std::vector<int64_t> DimsOf(const ir::Graph& graph, const ir::Value& value) {
  std::vector<int64_t> dims;
  for (const ir::Dim& d : value.shape()) dims.push_back(d.Max(graph.symbols));
  if (!value.is_constant() && dims.size() == 4) dims[0] = 1;
  return dims;
}

std::string EpilogueText(const ir::Node& conv) {
  std::vector<std::string> parts;
  const bool own_bias = conv.code.empty() || conv.epilogue_begin > 2;
  if (own_bias && conv.input(2) != nullptr) parts.push_back("bias");
  for (const PwInstr& i : conv.code) {
    const auto op = static_cast<PwOp>(i.op);
    if (op == PwOp::kConst || op == PwOp::kMove) continue;
    if (op != PwOp::kLoad) {
      parts.push_back(PwOpName(op));
      continue;
    }
    const ir::Value* v = conv.input(conv.epilogue_begin + i.operand);
    parts.push_back(v == nullptr ? "?" : v->is_constant() ? "constant" : "image");
  }
  return absl::StrJoin(parts, "+");
}

// The bytes of all operands and the result; the most that fits if they do not.
int64_t BytesOf(const ir::Graph& graph, const ir::Node& conv) {
  int64_t total = 0;
  std::vector<const ir::Value*> values(conv.inputs().begin(), conv.inputs().end());
  values.push_back(conv.output());
  for (const ir::Value* v : values) {
    if (v == nullptr) continue;
    int64_t bytes = DTypeSize(v->dtype());
    for (const int64_t d : DimsOf(graph, *v)) {
      if (!CheckedMul(bytes, d, &bytes)) return INT64_MAX;
    }
    if (!CheckedAdd(total, bytes, &total)) return INT64_MAX;
  }
  return total;
}

// The node alone in a graph, on inputs of fixed shapes.
absl::StatusOr<std::unique_ptr<ir::Graph>> LayerGraph(const ir::Graph& graph,
                                                      const ir::Node& conv) {
  auto layer = std::make_unique<ir::Graph>();
  layer->name = "layer";
  std::map<const ir::Value*, ir::Value*> copies;
  std::vector<ir::Value*> inputs;
  for (const ir::Value* v : conv.inputs()) {
    if (v == nullptr) {
      inputs.push_back(nullptr);
      continue;
    }
    ir::Value*& copy = copies[v];
    if (copy == nullptr && v->is_constant()) {
      copy = layer->AddConstant(v->name(), v->constant());
    } else if (copy == nullptr) {
      ir::Shape shape;
      for (const int64_t d : DimsOf(graph, *v)) shape.push_back(ir::Dim(d));
      copy = layer->AddInput(v->name(), v->dtype(), shape);
    }
    inputs.push_back(copy);
  }
  ir::Node* node = layer->AddNode(conv.op(), inputs, {"y"}, {"layer", ""});
  node->attrs = conv.attrs;
  node->code = conv.code;
  node->epilogue_begin = conv.epilogue_begin;
  if (absl::Status s = ir::InferNode(*layer, *node); !s.ok()) return s;
  layer->AddOutput(node->output(), "y");
  return layer;
}

const char* WeightsFrom(int64_t bytes) { return bytes > kWeightsInCache ? "memory" : "cache"; }

// Entries for other machines, kernels or threads: how many there are of each.
void NoteForeign(const TuneOptions& options, std::vector<std::string>* notes) {
  size_t cpus = 0, kernels = 0, threads = 0;
  std::string cpu, version;
  for (const auto& [key, entry] : options.record->entries()) {
    if (key.cpu != options.cpu) {
      ++cpus;
      cpu = key.cpu;
    } else if (key.kernels != options.kernels) {
      ++kernels;
      version = key.kernels;
    } else if (key.threads != options.threads) {
      ++threads;
    }
  }
  if (cpus > 0) {
    notes->push_back(absl::StrFormat(
        "%d entries ignored: measured on another CPU ('%s'; this compile is for '%s')", cpus, cpu,
        options.cpu));
  }
  if (kernels > 0) {
    notes->push_back(absl::StrFormat(
        "%d entries ignored: stale, measured with other kernels ('%s'; these are '%s'); --tune "
        "measures again",
        kernels, version, options.kernels));
  }
  if (threads > 0) {
    notes->push_back(
        absl::StrFormat("%d entries ignored: measured for another number of threads than %d",
                        threads, options.threads));
  }
}

absl::StatusOr<tune::Entry> MeasureConv(const ir::Graph& graph, const ir::Node& conv,
                                        const tune::Key& key, const TuneOptions& options) {
  std::vector<LayerProgram> programs;
  for (const int tile : kConvTiles) {
    auto bytes = CompileConv(graph, conv, tile);
    if (!bytes.ok()) return bytes.status();
    programs.push_back({CandidateName(tile), *std::move(bytes)});
  }
  auto entry = options.measure(key, conv.provenance.node, programs);
  if (entry.ok()) entry->key = key;
  return entry;
}

double TimeOf(const ConvTimes& times, int tile) {
  for (int i = 0; i < kConvWays; ++i) {
    if (kConvTiles[i] == tile) return times.ns[i];
  }
  return 0;
}

std::string TimesText(const ConvTimes& times) {
  std::vector<std::string> parts;
  for (int i = 0; i < kConvWays; ++i) {
    if (times.ns[i] <= 0) continue;
    parts.push_back(absl::StrFormat("%s %.0f", CandidateName(kConvTiles[i]), times.ns[i] / 1000));
  }
  return parts.empty() ? "-" : absl::StrJoin(parts, ", ");
}

}  // namespace

std::string CandidateName(int tile) {
  return tile == 0 ? "direct" : absl::StrFormat("F(%dx%d,3x3)", tile - 2, tile - 2);
}

int64_t WeightBytes(const ir::Graph& graph) {
  int64_t total = 0;
  for (const auto& value : graph.values()) {
    if (value->is_constant()) total += value->constant().bytes();
  }
  return total;
}

tune::Key KeyOfConv(const ir::Graph& graph, const ir::Node& conv, int64_t weights_bytes,
                    const TuneOptions& options) {
  const ir::Value& x = *conv.input(0);
  const ir::Value& w = *conv.input(1);
  const auto ints = [&](const char* name) { return absl::StrJoin(conv.Ints(name), ","); };
  tune::Key key;
  key.cpu = options.cpu;
  key.kernels = options.kernels;
  key.threads = options.threads;
  key.weights = WeightsFrom(weights_bytes);
  key.family = "conv";
  key.types = std::string(DTypeName(x.dtype())) + "*" + std::string(DTypeName(w.dtype()));
  key.shape =
      absl::StrFormat("x=%s w=%s strides=%s pads=%s dilations=%s groups=%d",
                      absl::StrJoin(DimsOf(graph, x), "x"), absl::StrJoin(w.constant().dims(), "x"),
                      ints("strides"), ints("pads"), ints("dilations"), conv.Int("groups"));
  key.layout = "channels-last";
  key.epilogue = EpilogueText(conv);
  return key;
}

absl::StatusOr<std::vector<uint8_t>> CompileConv(const ir::Graph& graph, const ir::Node& conv,
                                                 int tile) {
  auto layer = LayerGraph(graph, conv);
  if (!layer.ok()) return layer.status();
  WinogradPlan plan;
  if (tile != 0) plan.choices[(*layer)->nodes().front().get()] = {tile, 0, 1};
  auto program = SelectKernels(**layer, "forward", plan);
  if (!program.ok()) return program.status();
  (*program)->LayOutConstants();
  if (absl::Status s = PlanMemory({}, program->get()); !s.ok()) return s;
  std::vector<uint8_t> bytes;
  if (const Status s = WriteProgram((*program)->View(), &bytes); !s.ok()) {
    return absl::ResourceExhaustedError(absl::StrFormat("%s", RuleText(s.rule)));
  }
  return bytes;
}

absl::StatusOr<TuneResult> LookUpLayers(const ir::Graph& graph, const TuneOptions& options) {
  TuneResult result;
  if (options.record == nullptr) return result;
  NoteForeign(options, &result.notes);
  const int64_t weights = WeightBytes(graph);
  for (const auto& node : graph.nodes()) {
    if (!MayBeInTiles(graph, *node)) continue;
    const tune::Key key = KeyOfConv(graph, *node, weights, options);
    const tune::Entry* entry = options.record->Find(key);
    if (entry == nullptr && options.measure != nullptr) {
      if (BytesOf(graph, *node) > kMostBytes) {
        result.notes.push_back(absl::StrFormat(
            "%s is not measured: it is too large at its symbols' bounds", node->provenance.node));
      } else {
        auto measured = MeasureConv(graph, *node, key, options);
        if (!measured.ok()) return measured.status();
        options.record->Add(*std::move(measured));
        entry = options.record->Find(key);
      }
    }
    if (entry == nullptr || entry->Find(CandidateName(0)) == nullptr) {
      ++result.missing;
      continue;
    }
    ++result.used;
    ConvTimes& times = result.measured[node.get()];
    for (int i = 0; i < kConvWays; ++i) {
      const tune::Timing* t = entry->Find(CandidateName(kConvTiles[i]));
      if (t != nullptr) times.ns[i] = static_cast<double>(t->median_ns);
    }
  }
  return result;
}

std::vector<std::string> ExplainChoices(const WinogradPlan& plan, const WinogradPlan& by_cost,
                                        const TuneResult& tuned) {
  std::vector<std::string> lines = tuned.notes;
  double chosen = 0, predicted = 0;  // Measured times of both plans' choices.
  size_t flipped = 0, measured = 0;
  for (size_t i = 0; i < plan.weighed.size(); ++i) {
    const ConvWeighing& w = plan.weighed[i];
    const int cost_tile = by_cost.weighed[i].tile;
    std::string line = absl::StrFormat("%s: cost model in us: %s -> %s", w.node->provenance.node,
                                       TimesText(w.cost), CandidateName(cost_tile));
    line +=
        TimeOf(w.measured, 0) > 0
            ? absl::StrFormat("; measured: %s -> %s", TimesText(w.measured), CandidateName(w.tile))
            : "; not measured -> " + CandidateName(w.tile);
    lines.push_back(std::move(line));
    flipped += cost_tile != w.tile ? 1 : 0;
    if (TimeOf(w.measured, w.tile) <= 0 || TimeOf(w.measured, cost_tile) <= 0) continue;
    ++measured;
    chosen += TimeOf(w.measured, w.tile);
    predicted += TimeOf(w.measured, cost_tile);
  }
  if (plan.weighed.empty() || (tuned.used == 0 && tuned.missing == 0)) return lines;
  std::string line = absl::StrFormat("%d of %d layers measured, %d chosen otherwise than by cost",
                                     tuned.used, tuned.used + tuned.missing, flipped);
  if (measured > 0) {
    line += absl::StrFormat(
        "; measured, the cost model's choices take %.3f ms and these %.3f ms (%+.1f %%)",
        predicted * 1e-6, chosen * 1e-6, (predicted / chosen - 1) * 100);
  }
  lines.push_back(std::move(line));
  return lines;
}

}  // namespace floe::lower
