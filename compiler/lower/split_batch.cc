#include "compiler/lower/split_batch.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/ir/control.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/status_macros.h"
#include "compiler/lower/batch_items.h"
#include "compiler/passes/rewrite.h"

namespace floe::lower {
namespace {

constexpr double kMiB = 1 << 20;
// Of cache_bytes, for what one node reads and writes: its neighbours' lines are there as well.
constexpr double kShareOfCache = 2.0 / 3;
// Bytes that caches move while memory moves one.
constexpr double kCachesFaster = 4;
// Weights that stay in half of an L2, so that reading them again costs nothing.
constexpr double kWeightsStay = 512 << 10;
// What starting one more instruction costs, in bytes of memory: about 3 us.
constexpr double kPerInstruction = 64 << 10;
constexpr double kLeastSaved = 8 * kMiB;
// Copies of the nodes; a concat takes at most one operand less than kMaxOperands.
constexpr int64_t kMostGroups = 32;
constexpr int kMostCrossing = 4;

// What a split does.
struct Split {
  size_t nodes = 0;   // The first ones of the graph.
  int64_t items = 0;  // At a time.
  int64_t groups = 0;
  double saved = 0;  // Bytes of traffic with memory.
  // The most that a node reads and writes of activations, for the whole batch and for a group.
  double most = 0;
  double weights = 0;
};

// The traffic of a graph with memory, by node, and of its splits.
class Traffic {
 public:
  Traffic(const ir::Graph& graph, const SplitOptions& options, const WinogradPlan& winograd,
          const passes::WeightTypes& types)
      : graph_(graph),
        winograd_(winograd),
        types_(types),
        forced_(options.items),
        budget_(static_cast<double>(options.cache_bytes) * kShareOfCache),
        pairs_(std::any_of(types.begin(), types.end(),
                           [](const auto& t) { return t.second == DType::kBF16; })) {}

  // Whether some of the nodes may run on a part of the batch.
  bool Prepare() {
    for (const ir::Value* input : graph_.inputs()) {
      if (input->rank() < 2) continue;
      batch_ = input->shape()[0];
      break;
    }
    max_batch_ = batch_.Max(graph_.symbols);
    if (max_batch_ < 2) return false;
    for (const ir::Value* input : graph_.inputs()) {
      if (input->rank() > 0 && input->shape()[0] == batch_) batched_.insert(input);
    }
    itemwise_ = CountItemwise(graph_, batch_, &batched_);
    FillNodes();
    return itemwise_ > 0;
  }

  const ir::Dim& batch() const { return batch_; }
  const BatchedValues& batched() const { return batched_; }
  double budget() const { return budget_; }

  // The split that saves the most; fewer groups and nodes where several save as much.
  std::optional<Split> Best() const {
    std::optional<Split> best;
    const bool fixed = batch_.is_constant();
    const int64_t most_groups = fixed ? std::min(max_batch_, kMostGroups) : max_batch_;
    for (int64_t groups = fixed ? 2 : max_batch_; groups <= most_groups; ++groups) {
      const int64_t items = max_batch_ / groups;
      if (max_batch_ % groups != 0 || (forced_ != 0 && items != forced_)) continue;
      for (const Split& s : SplitsOf(items, groups)) {
        if (forced_ != 0 || (s.saved >= kLeastSaved && (!best || s.saved > best->saved))) best = s;
      }
    }
    return best;
  }

 private:
  struct NodeBytes {
    double activations = 0;  // Read and written, for the whole batch.
    double weights = 0;
    double inputs = 0;    // Of the graph, read by this node first.
    double crossing = 0;  // What crosses the cut behind this node.
    int crossing_values = 0;
  };

  double Bytes(const ir::Value& v) const {
    const bool narrow = pairs_ && v.dtype() == DType::kF32;  // Mostly stored as bf16.
    double bytes = narrow ? 2.0 : static_cast<double>(DTypeSize(v.dtype()));
    for (const ir::Dim& d : v.shape()) bytes *= static_cast<double>(d.Max(graph_.symbols));
    return bytes;
  }

  double WeightBytes(const ir::Node& node) const {
    double bytes = 0;
    for (const ir::Value* v : node.inputs()) {
      if (v != nullptr && v->is_constant()) bytes += static_cast<double>(v->constant().bytes());
    }
    if (const auto type = types_.find(&node); type != types_.end() && type->second != DType::kF32) {
      bytes /= 2;
    }
    const auto tiles = winograd_.choices.find(&node);
    if (tiles != winograd_.choices.end()) bytes *= tiles->second.tile * tiles->second.tile / 9.0;
    return bytes;
  }

  void FillNodes() {
    std::map<const ir::Node*, size_t> at;  // Looked up only.
    for (const auto& node : graph_.nodes()) at.emplace(node.get(), at.size());
    nodes_.resize(at.size());
    BatchedValues seen;  // Of the graph's inputs.
    size_t k = 0;
    for (const auto& node : graph_.nodes()) {
      NodeBytes& n = nodes_[k++];
      n.weights = WeightBytes(*node);
      const bool moves = node->op() != OpId::kReshape && node->op() != OpId::kIdentity;
      BatchedValues counted;
      for (const auto* values : {&node->inputs(), &node->outputs()}) {
        for (const ir::Value* v : *values) {
          if (v == nullptr || v->is_constant() || !counted.insert(v).second) continue;
          if (moves) n.activations += Bytes(*v);
          const bool input = v->producer() == nullptr && batched_.contains(v);
          if (input && seen.insert(v).second) n.inputs += Bytes(*v);
        }
      }
      for (const ir::Value* y : node->outputs()) {
        if (y != nullptr && batched_.contains(y)) AddCrossing(at, k - 1, *y);
      }
    }
    for (k = 1; k < nodes_.size(); ++k) {
      nodes_[k].crossing += nodes_[k - 1].crossing;
      nodes_[k].crossing_values += nodes_[k - 1].crossing_values;
    }
  }

  // `y` of node `from` crosses every cut before its last reader. As steps, to be summed up.
  void AddCrossing(const std::map<const ir::Node*, size_t>& at, size_t from, const ir::Value& y) {
    size_t last = from;
    for (const ir::Node* user : y.users()) last = std::max(last, at.at(user));
    if (last == from && !graph_.IsOutput(&y)) return;
    nodes_[from].crossing += Bytes(y);
    ++nodes_[from].crossing_values;
    if (graph_.IsOutput(&y)) return;
    nodes_[last].crossing -= Bytes(y);
    --nodes_[last].crossing_values;
  }

  // What is moved through memory of `bytes` that are used together: a little more than what stays
  // in caches takes some of it out of them, twice as much all of it.
  double Through(double bytes) const { return std::clamp(2 * (bytes - budget_), 0.0, bytes); }
  double Copied(double bytes) const {
    return std::max(Through(2 * bytes), 2 * bytes / kCachesFaster);
  }

  std::vector<Split> SplitsOf(int64_t items, int64_t groups) const {
    std::vector<Split> splits;
    const double share = static_cast<double>(items) / static_cast<double>(max_batch_);
    const double again = static_cast<double>(groups - 1);
    double saved = 0, inputs = 0, weights = 0, most = 0;
    for (size_t k = 0; k < itemwise_; ++k) {
      const NodeBytes& n = nodes_[k];
      saved += Through(n.activations) - Through(n.activations * share) / share;
      inputs += n.inputs;
      weights += n.weights;
      most = std::max(most, n.activations);
      if (n.crossing_values < 1 || n.crossing_values > kMostCrossing) continue;
      double cost = Copied(inputs) + Copied(n.crossing);
      // A loop's results are copied whole into the next ones, and these back, for each item.
      if (!batch_.is_constant()) cost += 2 * static_cast<double>(groups) * Copied(n.crossing);
      if (weights > kWeightsStay) {
        const bool stay = weights + most * share <= budget_;
        cost += again * weights / (stay ? kCachesFaster : 1);
      }
      cost += again * static_cast<double>(k + 1) * kPerInstruction;
      splits.push_back({k + 1, items, groups, saved - cost, most, weights});
    }
    return splits;
  }

  const ir::Graph& graph_;
  const WinogradPlan& winograd_;
  const passes::WeightTypes& types_;
  const int64_t forced_;
  const double budget_;
  const bool pairs_;
  ir::Dim batch_;
  int64_t max_batch_ = 0;
  BatchedValues batched_;
  size_t itemwise_ = 0;
  std::vector<NodeBytes> nodes_;
};

using Values = std::map<const ir::Value*, ir::Value*>;  // Looked up only.

// Rewrites the graph.
class Splitter {
 public:
  Splitter(ir::Graph& graph, const Traffic& traffic, const Split& split, WinogradPlan* winograd,
           passes::WeightTypes* types)
      : graph_(graph),
        batched_(traffic.batched()),
        batch_(traffic.batch()),
        split_(split),
        winograd_(*winograd),
        types_(*types) {
    const std::vector<ir::Node*> all = graph.NodeList();
    for (size_t k = 0; k < split.nodes; ++k) {
      const auto reads = [&](const ir::Value* v) { return v != nullptr && batched_.contains(v); };
      // What reads nothing of the batch stays where it is, before the items.
      if (std::any_of(all[k]->inputs().begin(), all[k]->inputs().end(), reads)) {
        first_.push_back(all[k]);
      }
    }
    before_ = split.nodes < all.size() ? all[split.nodes] : nullptr;
    FindEdges();
  }

  absl::Status Run() {
    FLOE_TRY(batch_.is_constant() ? WriteOut() : WriteLoop());
    for (size_t k = first_.size(); k-- > 0;) {
      winograd_.choices.erase(first_[k]);
      types_.erase(first_[k]);
      graph_.Erase(first_[k]);
    }
    winograd_.weighed.clear();
    for (const auto& [value, name] : names_) graph_.Rename(value, name);
    return absl::OkStatus();
  }

 private:
  void FindEdges() {
    BatchedValues inside;
    for (const ir::Node* node : first_) {
      for (ir::Value* v : node->inputs()) {
        const bool input = v != nullptr && batched_.contains(v) && v->producer() == nullptr;
        if (input && inside.insert(v).second) inputs_.push_back(v);
      }
    }
    const std::set<const ir::Node*> first(first_.begin(), first_.end());  // Looked up only.
    const auto is_first = [&first](const ir::Node* user) { return first.contains(user); };
    for (const ir::Node* node : first_) {
      for (ir::Value* y : node->outputs()) {
        if (y == nullptr) continue;
        const auto& users = y->users();
        if (graph_.IsOutput(y) || !std::all_of(users.begin(), users.end(), is_first)) {
          crossing_.push_back(y);
        }
      }
    }
  }

  ir::Shape ShapeOf(const ir::Value& v, const ir::Dim& items) const {
    ir::Shape shape = v.shape();
    shape[0] = items;
    return shape;
  }

  // The nodes for `items` items at once, in `to`. `values` has the inputs' items; gets the results.
  // `outside` gives what stands for a value that is the same for all items.
  template <typename F>
  absl::Status Copy(ir::Graph& to, const ir::Dim& items, ir::Node* before, F outside,
                    Values* values) {
    for (const ir::Node* node : first_) {
      std::vector<ir::Value*> inputs;
      for (ir::Value* v : node->inputs()) {
        const auto found = values->find(v);
        inputs.push_back(found != values->end() ? found->second : outside(v));
      }
      std::vector<std::string> names;
      for (const ir::Value* y : node->outputs()) names.push_back(y == nullptr ? "" : y->name());
      ir::Node* copy =
          to.AddNode(node->op(), std::move(inputs), std::move(names), node->provenance, before);
      copy->attrs = node->attrs;
      copy->code = node->code;
      copy->epilogue_begin = node->epilogue_begin;
      for (size_t i = 0; i < node->outputs().size(); ++i) {
        const ir::Value* y = node->output(i);
        if (y == nullptr) continue;
        copy->output(i)->set_type(y->dtype(), ShapeOf(*y, items));
        (*values)[y] = copy->output(i);
      }
      FLOE_TRY(ir::InferNode(to, *copy));
      if (const auto c = winograd_.choices.find(node); c != winograd_.choices.end()) {
        winograd_.choices.emplace(copy, c->second);
      }
      if (const auto t = types_.find(node); t != types_.end()) types_.emplace(copy, t->second);
    }
    return absl::OkStatus();
  }

  // The joined value takes the place of the one that crossed the cut, and its name at the end.
  void Join(ir::Value* crossed, ir::Value* joined) {
    graph_.ReplaceAllUses(crossed, joined);
    names_.emplace_back(joined, crossed->name());
  }

  absl::Status WriteOut() {
    std::vector<std::vector<ir::Value*>> parts(crossing_.size());
    for (int64_t g = 0; g < split_.groups; ++g) {
      Values values;
      for (ir::Value* x : inputs_) {
        std::vector<int64_t> starts(x->rank(), 0);
        starts[0] = g * split_.items;
        FLOE_TRY_ASSIGN(
            values[x],
            passes::InsertTyped(graph_, before_, OpId::kSlice, {x},
                                {{"starts", starts}, {"steps", std::vector<int64_t>(x->rank(), 1)}},
                                x->name() + "/items", {x->name(), ""}, x->dtype(),
                                ShapeOf(*x, split_.items)));
      }
      FLOE_TRY(Copy(
          graph_, split_.items, before_, [](ir::Value* v) { return v; }, &values));
      for (size_t i = 0; i < crossing_.size(); ++i) parts[i].push_back(values.at(crossing_[i]));
    }
    for (size_t i = 0; i < crossing_.size(); ++i) {
      FLOE_TRY_ASSIGN(ir::Value * joined,
                      passes::Insert(graph_, before_, OpId::kConcat, std::move(parts[i]),
                                     {{"axis", int64_t{0}}}, crossing_[i]->name() + "/batch",
                                     crossing_[i]->producer()->provenance));
      Join(crossing_[i], joined);
    }
    return absl::OkStatus();
  }

  absl::Status WriteLoop() {
    const ir::Provenance where = crossing_[0]->producer()->provenance;
    ir::LoopOperands operands;
    FLOE_TRY_ASSIGN(operands.trips, ir::AddDim(graph_, batch_, "batch", where, before_));
    ir::BodyBuilder body(graph_, "item");
    ir::Graph& inner = body.graph();
    ir::Value* item = body.AddParam("item", DType::kI64, {});
    std::vector<ir::Value*> params;
    std::vector<std::string> names;
    for (const ir::Value* v : crossing_) {
      FLOE_TRY_ASSIGN(
          ir::Value * zeros,
          passes::InsertTyped(graph_, before_, OpId::kConstantOfShape, {}, {{"value", 0.0}},
                              v->name() + "/zeros", where, v->dtype(), v->shape()));
      operands.carried.push_back(zeros);
      params.push_back(body.AddParam(v->name() + "/batch", v->dtype(), v->shape()));
      names.push_back(v->name() + "/batch");
    }
    FLOE_TRY_ASSIGN(ir::Value * index, passes::InsertTyped(inner, nullptr, OpId::kReshape, {item},
                                                           {}, "index", where, DType::kI64, {1}));
    FLOE_TRY_ASSIGN(ir::Value * row, passes::InsertTyped(inner, nullptr, OpId::kReshape, {item}, {},
                                                         "row", where, DType::kI64, {1, 1}));
    Values values;
    for (ir::Value* x : inputs_) {
      FLOE_TRY_ASSIGN(values[x],
                      passes::Insert(inner, nullptr, OpId::kGather, {body.Capture(x), index},
                                     {{"axis", int64_t{0}}}, x->name() + "/item", {x->name(), ""}));
    }
    FLOE_TRY(Copy(
        inner, 1, nullptr, [&](ir::Value* v) { return body.Capture(v); }, &values));
    inner.AddOutput(ir::AddBool(inner, "go", true), "go");
    for (size_t i = 0; i < crossing_.size(); ++i) {
      FLOE_TRY_ASSIGN(ir::Value * put,
                      passes::Insert(inner, nullptr, OpId::kScatterNd,
                                     {params[i], row, values.at(crossing_[i])},
                                     {{"reduction", int64_t{0}}}, names[i] + "/put", where));
      inner.AddOutput(put, names[i]);
    }
    FLOE_TRY_ASSIGN(const ir::Node* loop, ir::AddLoop(graph_, std::move(operands), std::move(body),
                                                      names, where, before_));
    for (size_t i = 0; i < crossing_.size(); ++i) Join(crossing_[i], loop->output(i));
    return absl::OkStatus();
  }

  ir::Graph& graph_;
  const BatchedValues& batched_;
  const ir::Dim batch_;
  const Split split_;
  WinogradPlan& winograd_;
  passes::WeightTypes& types_;
  std::vector<ir::Node*> first_;      // That are split.
  std::vector<ir::Value*> inputs_;    // Of the graph, which they read.
  std::vector<ir::Value*> crossing_;  // What they make that others read.
  ir::Node* before_ = nullptr;
  std::vector<std::pair<ir::Value*, std::string>> names_;
};

std::string Describe(const ir::Graph& graph, const Traffic& traffic, const Split& split) {
  auto last = graph.nodes().begin();
  std::advance(last, static_cast<ptrdiff_t>(split.nodes) - 1);
  const bool fixed = traffic.batch().is_constant();
  return absl::StrFormat(
      "batch: the first %d nodes, up to %s, run on %d of the %s%s items at a time (%s): they read "
      "and write up to %.1f MiB at once for the whole batch, more than the %.1f MiB that are "
      "counted on to stay in caches, for these items %.1f MiB; saves about %.0f MiB of traffic "
      "with memory, and reads %.1f MiB of weights again for each",
      split.nodes, passes::NameOf(**last), split.items, fixed ? "" : "up to ",
      absl::StrFormat("%d", split.groups * split.items),
      fixed ? "written out" : "a loop over the batch", split.most / kMiB, traffic.budget() / kMiB,
      split.most / static_cast<double>(split.groups) / kMiB, split.saved / kMiB,
      split.weights / kMiB);
}

}  // namespace

absl::Status SplitBatch(ir::Graph& graph, const SplitOptions& options, WinogradPlan* winograd,
                        passes::WeightTypes* types, passes::Report* report) {
  // What a state holds is written once a run, and data's sizes are found once.
  const bool data = std::any_of(graph.symbols.begin(), graph.symbols.end(),
                                [](const ir::Symbol& s) { return s.data; });
  if (options.cache_bytes <= 0 || data || !graph.states().empty()) return absl::OkStatus();
  Traffic traffic(graph, options, *winograd, *types);
  if (!traffic.Prepare()) return absl::OkStatus();
  const std::optional<Split> split = traffic.Best();
  if (!split) return absl::OkStatus();
  report->Add(Describe(graph, traffic, *split));
  return Splitter(graph, traffic, *split, winograd, types).Run();
}

}  // namespace floe::lower
