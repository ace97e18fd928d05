// If, Loop and Scan. What is decided at import is written out; the rest becomes control flow of the
// IR (ir/control.h). A value that is collected over iterations is written row by row into a tensor
// of its final size, which therefore must be known: how often the loop runs must not depend on
// data.
#include <algorithm>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/importer.h"
#include "compiler/import/onnx/ops.h"
#include "compiler/ir/control.h"

namespace floe::onnx {
namespace {

// A loop that runs this many nodes altogether is written out: its pieces fold and fuse.
constexpr int64_t kWrittenOutNodes = 1024;
// The batch of Scan before opset 9, which is always written out.
constexpr int64_t kMaxScanBatch = 64;

// Emits into the body of a node.
class BodyEmitter final : public import::Emitter {
 public:
  BodyEmitter(ir::Graph& graph, const ir::Provenance& provenance)
      : Emitter(graph, provenance), base_(provenance.node) {}

 private:
  std::string NextName(OpId op) override { return base_ + "/" + OpRow(op).name; }
  std::string ConstantName() override { return base_ + "/constant"; }

  const std::string base_;
};

// A number that a model may write as [1].
ir::Value* AsScalar(import::Emitter& e, ir::Value* v) {
  return v == nullptr || v->rank() == 0 ? v : e.Reshape(v, {});
}

// The names of the results, also of those that nobody wants.
std::vector<std::string> ResultNames(NodeBuilder& b, size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    names.push_back(b.WantsOutput(i) ? b.importer().prefix() + b.node().output(static_cast<int>(i))
                                     : absl::StrFormat("%s/result%d", b.provenance().node, i));
  }
  return names;
}

std::string TypeText(NodeBuilder& b, const ir::Value* v) {
  return DTypeName(v->dtype()) + b.Text(v->shape());
}

// Takes over the results of a body; an error if one is unknown.
bool TakeResults(NodeBuilder& b, const absl::Status& status,
                 const std::vector<ir::Value*>& results) {
  if (!status.ok()) {
    b.Fail(status);
  } else if (std::find(results.begin(), results.end(), nullptr) != results.end()) {
    b.Unsupported("something in its body has no mapping");
  }
  return b.ok();
}

// --- If ------------------------------------------------------------------------------------------

// Exporters write If where a shape decides; once the shape is known, one branch is left.
void WriteOutBranch(NodeBuilder& b, const GraphProto& branch) {
  std::vector<ir::Value*> results;
  if (!TakeResults(b, b.importer().RunBody(branch, nullptr, {}, &results), results)) return;
  if (results.size() != b.OutputCount()) return b.Invalid("the branch has other outputs");
  for (size_t i = 0; i < results.size(); ++i) b.Out(i, results[i]);
}

void If(NodeBuilder& b) {
  const std::optional<double> condition = b.ScalarOf(b.In(0));
  const GraphProto* branches[] = {b.GraphAttr("then_branch"), b.GraphAttr("else_branch")};
  if (!b.ok()) return;
  for (const GraphProto* branch : branches) {
    if (branch == nullptr) return b.Invalid("a branch is missing");
  }
  if (condition) return WriteOutBranch(b, *branches[*condition != 0 ? 0 : 1]);
  ir::BodyBuilder bodies[] = {{b.graph(), "then"}, {b.graph(), "else"}};
  std::vector<ir::Value*> results[2];
  for (size_t i = 0; i < 2; ++i) {
    const absl::Status status = b.importer().RunBody(*branches[i], &bodies[i], {}, &results[i]);
    if (!TakeResults(b, status, results[i])) return;
    if (results[i].size() != b.OutputCount()) return b.Invalid("a branch has other outputs");
  }
  for (size_t i = 0; i < results[0].size(); ++i) {
    if (results[0][i]->dtype() != results[1][i]->dtype() ||
        results[0][i]->shape() != results[1][i]->shape()) {
      return b.Unsupported(absl::StrFormat(
          "output %d is %s in one branch and %s in the other, and the condition is computed at run "
          "time",
          i, TypeText(b, results[0][i]), TypeText(b, results[1][i])));
    }
    for (size_t k = 0; k < 2; ++k) bodies[k].graph().AddOutput(results[k][i], "result");
  }
  const auto node =
      ir::AddIf(b.graph(), AsScalar(b, b.In(0)), std::move(bodies[0]), std::move(bodies[1]),
                ResultNames(b, results[0].size()), b.provenance());
  if (!node.ok()) return b.Fail(node.status());
  for (size_t i = 0; i < results[0].size(); ++i) b.Out(i, (*node)->output(i));
}

// --- what Loop and Scan have in common -----------------------------------------------------------

// Where rows of a tensor lie, and in which order they are taken or put.
struct Rows {
  int64_t axis = 0;
  bool backwards = false;
};

// A Loop or a Scan, read.
struct Iteration {
  const GraphProto* body = nullptr;
  bool is_loop = false;            // The body takes the iteration and a condition and gives one.
  ir::Value* trips = nullptr;      // Scalar; null: no limit.
  ir::Value* condition = nullptr;  // Scalar; null: it holds.
  std::vector<ir::Value*> carried;
  std::vector<ir::Value*> taken;  // Scan: tensors that are given row by row.
  std::vector<Rows> taken_rows;
  std::vector<Rows> collected_rows;

  size_t params() const { return (is_loop ? 2 : 0) + carried.size() + taken.size(); }
  size_t results() const { return (is_loop ? 1 : 0) + carried.size() + collected_rows.size(); }
};

// What the node gives: carried values, then collected ones.
using Results = std::vector<ir::Value*>;

class Iterator {
 public:
  Iterator(NodeBuilder& b, const Iteration& it) : b_(b), it_(it) {}

  // Empty after an error.
  Results Run() {
    if (static_cast<size_t>(it_.body->input_size()) != it_.params() ||
        static_cast<size_t>(it_.body->output_size()) != it_.results()) {
      b_.Invalid("the body's inputs and outputs do not fit the node's");
      return {};
    }
    const auto condition = it_.condition == nullptr ? 1.0 : b_.ScalarOf(it_.condition);
    if (condition == 0.0) {
      count_ = ir::Dim(0);
    } else if (condition && it_.trips != nullptr && it_.trips->content) {
      count_ = (*it_.trips->content)[0];
      if (count_->is_constant()) count_ = ir::Dim(std::max<int64_t>(count_->constant(), 0));
    }
    const bool fixed = count_ && count_->is_constant() && count_->constant() >= 1;
    if (fixed && count_->constant() * std::max(it_.body->node_size(), 1) <= kWrittenOutNodes) {
      if (std::optional<Results> results = WriteOut(count_->constant())) return *results;
    }
    return b_.ok() ? MakeLoop() : Results();
  }

 private:
  size_t first_carried() const { return it_.is_loop ? 1 : 0; }

  // A scalar in the form in which the body states it.
  ir::Value* AsParam(import::Emitter& e, ir::Value* v, int input) const {
    const TypeProto& type = it_.body->input(input).type();
    const bool vector = type.has_tensor_type() && type.tensor_type().has_shape() &&
                        type.tensor_type().shape().dim_size() == 1;
    return vector ? e.Reshape(v, {1}) : v;
  }

  std::vector<ir::Value*> Params(import::Emitter& e, ir::Value* iteration,
                                 const std::vector<ir::Value*>& carried) const {
    std::vector<ir::Value*> params;
    if (it_.is_loop) {
      params.push_back(AsParam(e, iteration, 0));
      params.push_back(AsParam(e, e.Scalar(DType::kBool, 1), 1));  // Else it would not run.
    }
    params.insert(params.end(), carried.begin(), carried.end());
    return params;
  }

  // --- written out

  // Row `t` of what is taken.
  ir::Value* Row(size_t i, int64_t t) {
    ir::Value* x = it_.taken[i];
    const Rows& rows = it_.taken_rows[i];
    const int64_t at = rows.backwards ? count_->constant() - 1 - t : t;
    ir::Shape shape = x->shape();
    shape.erase(shape.begin() + static_cast<ptrdiff_t>(rows.axis));
    return b_.Reshape(b_.SliceAxis(x, rows.axis, at, 1), std::move(shape));
  }

  ir::Value* Stack(std::vector<ir::Value*> rows, const Rows& how) {
    if (how.backwards) std::reverse(rows.begin(), rows.end());
    const int64_t axis = b_.Axis(how.axis, b_.Rank(rows[0]) + 1);
    for (ir::Value*& v : rows) {
      ir::Shape shape = v->shape();
      shape.insert(shape.begin() + static_cast<ptrdiff_t>(axis), 1);
      v = b_.Reshape(v, std::move(shape));
    }
    return rows.size() == 1 ? rows[0] : b_.Emit(OpId::kConcat, rows, {{"axis", axis}});
  }

  // Nothing if the body decides at run time when to end. What was emitted is then not used.
  std::optional<Results> WriteOut(int64_t count) {
    std::vector<ir::Value*> carried = it_.carried;
    std::vector<std::vector<ir::Value*>> collected(it_.collected_rows.size());
    for (int64_t t = 0; t < count && b_.ok(); ++t) {
      std::vector<ir::Value*> params =
          Params(b_, b_.Scalar(DType::kI64, static_cast<double>(t)), carried);
      for (size_t i = 0; i < it_.taken.size(); ++i) params.push_back(Row(i, t));
      std::vector<ir::Value*> results;
      if (!TakeResults(b_, b_.importer().RunBody(*it_.body, nullptr, params, &results), results)) {
        return std::nullopt;
      }
      const std::optional<double> go = it_.is_loop ? b_.ScalarOf(results[0]) : 1.0;
      if (!go) return std::nullopt;
      auto at = results.begin() + static_cast<ptrdiff_t>(first_carried());
      for (ir::Value*& v : carried) v = *at++;
      for (auto& rows : collected) rows.push_back(*at++);
      if (*go == 0) break;
    }
    Results results = carried;
    for (size_t i = 0; i < collected.size() && b_.ok(); ++i) {
      results.push_back(Stack(std::move(collected[i]), it_.collected_rows[i]));
    }
    return results;
  }

  // --- as a loop of the IR

  // What is given for iteration `i` from a tensor of `count_` rows.
  ir::Value* RowNumber(import::Emitter& e, ir::Value* i, bool backwards) const {
    if (!backwards) return i;
    return e.Binary(OpId::kSub, e.DimValue(e.Sub(*count_, 1)), i);
  }

  // Puts `v` into its row of `all`.
  ir::Value* Put(import::Emitter& e, ir::Value* all, ir::Value* i, ir::Value* v,
                 const Rows& rows) const {
    ir::Shape row = v->shape();
    row.insert(row.begin(), 1);
    ir::Value* index = e.Reshape(RowNumber(e, i, rows.backwards), {1, 1});
    return e.Emit(OpId::kScatterNd, {all, index, e.Reshape(v, std::move(row))},
                  {{"reduction", int64_t{0}}});
  }

  // The body's results become the loop's: condition, carried, collected.
  bool Finish(BodyEmitter& e, ir::BodyBuilder& body, ir::Value* i, const Results& results,
              ir::LoopOperands* operands) {
    ir::Value* go = it_.is_loop ? AsScalar(e, results[0]) : e.Scalar(DType::kBool, 1);
    body.graph().AddOutput(go, "condition");
    for (size_t k = 0; k < it_.carried.size(); ++k) {
      ir::Value* v = results[first_carried() + k];
      const ir::Value* before = it_.carried[k];
      if (v->dtype() != before->dtype() || v->shape() != before->shape()) {
        b_.Unsupported(absl::StrFormat(
            "carried value %d ('%s') is %s before an iteration and %s after it; carried values "
            "must keep their type",
            k, before->name(), TypeText(b_, before), TypeText(b_, v)));
        return false;
      }
      body.graph().AddOutput(v, "carried");
    }
    const bool fixed = count_ && (count_ == ir::Dim(0) || e.ScalarOf(go).value_or(0) != 0);
    if (!it_.collected_rows.empty() && !fixed) {
      b_.Unsupported(absl::StrFormat(
          "it collects values ('%s') over a number of iterations that is known only at run time",
          it_.body->output(static_cast<int>(first_carried() + it_.carried.size())).name()));
      return false;
    }
    for (size_t k = 0; k < it_.collected_rows.size(); ++k) {
      ir::Value* v = results[first_carried() + it_.carried.size() + k];
      ir::Shape shape = v->shape();
      shape.insert(shape.begin(), *count_);
      operands->carried.push_back(
          b_.Emit(OpId::kConstantOfShape, {}, {{"value", 0.0}}, TensorType{v->dtype(), shape}));
      if (!b_.ok()) return false;
      ir::Value* all = body.AddParam("collected", v->dtype(), std::move(shape));
      body.graph().AddOutput(Put(e, all, i, v, it_.collected_rows[k]), "collected");
    }
    if (!e.ok()) b_.Fail(e.status());
    return b_.ok();
  }

  Results MakeLoop() {
    ir::BodyBuilder body(b_.graph(), "body");
    BodyEmitter e(body.graph(), b_.provenance());
    ir::Value* i = body.AddParam("iteration", DType::kI64, {});
    ir::LoopOperands operands{it_.trips, it_.condition, it_.carried, 0};
    std::vector<ir::Value*> carried;
    for (const ir::Value* v : it_.carried) {
      carried.push_back(body.AddParam(v->name(), v->dtype(), v->shape()));
    }
    std::vector<ir::Value*> params = Params(e, i, carried);
    for (size_t k = 0; k < it_.taken.size() && e.ok(); ++k) {
      const Rows& rows = it_.taken_rows[k];
      params.push_back(e.Emit(OpId::kGather,
                              {body.Capture(it_.taken[k]), RowNumber(e, i, rows.backwards)},
                              {{"axis", rows.axis}}));
    }
    if (!e.ok()) b_.Fail(e.status());
    Results results;
    if (!b_.ok() ||
        !TakeResults(b_, b_.importer().RunBody(*it_.body, &body, params, &results), results) ||
        !Finish(e, body, i, results, &operands)) {
      return {};
    }
    const size_t count = operands.carried.size();
    const auto node = ir::AddLoop(b_.graph(), std::move(operands), std::move(body),
                                  ResultNames(b_, count), b_.provenance());
    if (!node.ok()) {
      b_.Fail(node.status());
      return {};
    }
    Results all = (*node)->outputs();
    for (size_t k = 0; k < it_.collected_rows.size(); ++k) {
      ir::Value*& v = all[it_.carried.size() + k];
      v = FromFront(v, it_.collected_rows[k].axis);
    }
    return all;
  }

  // Moves axis 0 to `axis`.
  ir::Value* FromFront(ir::Value* v, int64_t axis) {
    axis = b_.Axis(axis, b_.Rank(v));
    std::vector<int64_t> perm;
    for (int64_t k = 1; k < b_.Rank(v); ++k) perm.push_back(k);
    perm.insert(perm.begin() + axis, 0);
    return axis == 0 ? v : b_.Transpose(v, std::move(perm));
  }

  NodeBuilder& b_;
  const Iteration& it_;
  std::optional<ir::Dim> count_;  // How often it runs, where nothing but a size decides.
};

void SetOutputs(NodeBuilder& b, const Results& results) {
  for (size_t i = 0; b.ok() && i < results.size(); ++i) b.Out(i, results[i]);
}

// --- Loop and Scan -------------------------------------------------------------------------------

void Loop(NodeBuilder& b) {
  Iteration it;
  it.is_loop = true;
  it.body = b.GraphAttr("body");
  it.trips = AsScalar(b, b.OptIn(0));
  it.condition = AsScalar(b, b.OptIn(1));
  for (size_t i = 2; i < b.InputCount(); ++i) it.carried.push_back(b.In(i));
  if (b.ok() && it.body == nullptr) b.Invalid("the body is missing");
  if (!b.ok()) return;
  const auto collected = it.body->output_size() - 1 - static_cast<int>(it.carried.size());
  it.collected_rows.resize(static_cast<size_t>(std::max(collected, 0)));
  SetOutputs(b, Iterator(b, it).Run());
}

std::vector<int64_t> ListOr0(NodeBuilder& b, const char* name, size_t size) {
  std::vector<int64_t> list = b.Ints(name);
  if (list.empty()) list.resize(size);
  if (list.size() != size && b.ok()) {
    b.Invalid(absl::StrFormat("attribute '%s' has %d numbers, not %d", name, list.size(), size));
    list.resize(size);
  }
  return list;
}

// The body, what is carried and what is taken, from operand `first` on.
Iteration ReadScan(NodeBuilder& b, size_t first) {
  Iteration it;
  it.body = b.GraphAttr("body");
  const int64_t taken = b.Int("num_scan_inputs", 0);
  const auto count = static_cast<int64_t>(b.InputCount() - first);
  if (b.ok() && (it.body == nullptr || taken < 1 || taken > count)) {
    b.Invalid("the body is missing, or num_scan_inputs does not fit");
  }
  if (!b.ok()) return it;
  const auto carried = first + static_cast<size_t>(count - taken);
  for (size_t i = first; i < b.InputCount(); ++i) {
    (i < carried ? it.carried : it.taken).push_back(b.In(i));
  }
  it.taken_rows.resize(it.taken.size());
  const int collected = it.body->output_size() - static_cast<int>(it.carried.size());
  it.collected_rows.resize(static_cast<size_t>(std::max(collected, 0)));
  return it;
}

// All tensors have as many rows; that is how often the body runs.
void SetTrips(NodeBuilder& b, Iteration* it) {
  for (size_t i = 0; i < it->taken.size() && b.ok(); ++i) {
    it->taken_rows[i].axis = b.Axis(it->taken_rows[i].axis, b.Rank(it->taken[i]));
  }
  if (!b.ok()) return;
  const ir::Dim rows = b.Dim(it->taken[0], it->taken_rows[0].axis);
  for (size_t i = 1; i < it->taken.size() && b.ok(); ++i) {
    if (b.Dim(it->taken[i], it->taken_rows[i].axis) != rows) {
      b.Invalid("the tensors that are scanned have different lengths");
    }
  }
  it->trips = b.DimValue(rows);
}

void Scan(NodeBuilder& b) {
  Iteration it = ReadScan(b, 0);
  if (!b.ok()) return;
  const auto taken_axes = ListOr0(b, "scan_input_axes", it.taken.size());
  const auto taken_ways = ListOr0(b, "scan_input_directions", it.taken.size());
  const auto collected_axes = ListOr0(b, "scan_output_axes", it.collected_rows.size());
  const auto collected_ways = ListOr0(b, "scan_output_directions", it.collected_rows.size());
  for (size_t i = 0; i < it.taken.size(); ++i)
    it.taken_rows[i] = {taken_axes[i], taken_ways[i] != 0};
  for (size_t i = 0; i < it.collected_rows.size(); ++i) {
    it.collected_rows[i] = {collected_axes[i], collected_ways[i] != 0};
  }
  SetTrips(b, &it);
  if (b.ok()) SetOutputs(b, Iterator(b, it).Run());
}

// Before opset 9 there is a batch in front: each element of it is scanned by itself.
void BatchedScan(NodeBuilder& b) {
  if (b.OptIn(0) != nullptr) return b.Unsupported("sequence lengths");
  const Iteration all = ReadScan(b, 1);
  if (!b.ok()) return;
  const std::vector<int64_t> ways = ListOr0(b, "directions", all.taken.size());
  const int64_t batch = b.StaticDim(all.taken[0], 0);
  if (b.ok() && (batch < 1 || batch > kMaxScanBatch)) {
    b.Unsupported(absl::StrFormat("a batch outside 1..%d", kMaxScanBatch));
  }
  std::vector<std::vector<ir::Value*>> parts(all.results());
  for (int64_t n = 0; n < batch && b.ok(); ++n) {
    const auto element = [&](ir::Value* v) {
      if (b.Rank(v) < 1) b.Invalid("an operand has no batch");
      if (!b.ok()) return v;
      return b.Reshape(b.SliceAxis(v, 0, n, 1), {v->shape().begin() + 1, v->shape().end()});
    };
    Iteration it = all;
    for (ir::Value*& v : it.carried) v = element(v);
    for (ir::Value*& v : it.taken) v = element(v);
    for (size_t i = 0; i < it.taken.size(); ++i) it.taken_rows[i] = {0, ways[i] != 0};
    SetTrips(b, &it);
    if (!b.ok()) return;
    const Results results = Iterator(b, it).Run();
    for (size_t i = 0; i < results.size(); ++i) {
      ir::Shape shape = results[i]->shape();
      shape.insert(shape.begin(), 1);
      parts[i].push_back(b.Reshape(results[i], std::move(shape)));
    }
  }
  if (!b.ok()) return;
  for (size_t i = 0; i < parts.size(); ++i) {
    b.Out(i, batch == 1 ? parts[i][0] : b.Emit(OpId::kConcat, parts[i], {{"axis", int64_t{0}}}));
  }
}

constexpr Row kRows[] = {
    {"If", 1, If},
    {"Loop", 1, Loop},
    {"Scan", 8, BatchedScan},
    {"Scan", 9, Scan},
};

}  // namespace

std::span<const Row> ControlRows() { return kRows; }

}  // namespace floe::onnx
