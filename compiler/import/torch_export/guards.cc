// Guards: what the exporter assumed of the sizes, proven, checked at run time, or reported.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_export/symbols.h"
#include "compiler/ir/control.h"
#include "compiler/ir/shapes.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_export {
namespace {

using Op = SymExpr::Op;

// Sizes that are tried one by one to prove a guard.
constexpr int64_t kMaxTried = 1 << 16;

// "L['x'][0].size()[1]" -> {"x", "0"} and 1; false for other paths, such as strides.
bool ParsePath(const std::string& text, LeafPath* path, int64_t* axis) {
  const size_t size = text.rfind(".size()[");
  const size_t shape = text.rfind(".shape[");
  const size_t end = size != std::string::npos ? size : shape;
  if (end == std::string::npos || text.back() != ']') return false;
  const size_t digits = text.rfind('[') + 1;
  if (text.size() - digits > 4 || digits < end) return false;
  *axis = 0;
  for (size_t i = digits; i + 1 < text.size(); ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    *axis = *axis * 10 + (text[i] - '0');
  }
  for (size_t i = 1; i < end;) {  // Behind the L.
    const size_t close = text.find(']', i);
    if (text[i] != '[' || close == std::string::npos || close > end) return false;
    std::string part = text.substr(i + 1, close - i - 1);
    if (part.size() >= 2 && (part[0] == '\'' || part[0] == '"')) {
      part = part.substr(1, part.size() - 2);
    }
    path->push_back(std::move(part));
    i = close + 1;
  }
  return true;
}

// An integer expression as i64 IR; comparisons as bool.
class GuardEmitter {
 public:
  GuardEmitter(ir::Graph& graph, const SymbolDims& lookup) : graph_(graph), lookup_(lookup) {}

  absl::StatusOr<ir::Value*> Emit(const SymExpr& e) {
    const absl::StatusOr<ir::Dim> dim = ToDim(e, lookup_, graph_.symbols);
    if (dim.ok() && !IsBool(e.op)) return ir::AddDim(graph_, *dim, "guard", {"guard", ""});
    if (dim.ok()) return ir::AddBool(graph_, "guard", dim->constant() != 0);
    OpId op;
    if (e.args.empty() || !OpOf(e.op, &op)) return dim.status();
    if (e.op == Op::kNot) {
      FLOE_TRY_ASSIGN(ir::Value * x, Emit(e.args[0]));
      return Node(op, {x});
    }
    if (e.op == Op::kNeg) {
      FLOE_TRY_ASSIGN(ir::Value * x, Emit(e.args[0]));
      return Node(op, {x});
    }
    FLOE_TRY_ASSIGN(ir::Value * result, Emit(e.args[0]));
    for (size_t i = 1; i < e.args.size(); ++i) {
      FLOE_TRY_ASSIGN(ir::Value * next, Emit(e.args[i]));
      FLOE_TRY_ASSIGN(result, Node(op, {result, next}));
    }
    return result;
  }

 private:
  static bool IsBool(Op op) { return op >= Op::kEq; }
  static bool OpOf(Op op, OpId* id) {
    static constexpr std::pair<Op, OpId> kOps[] = {
        {Op::kAdd, OpId::kAdd},           {Op::kSub, OpId::kSub},
        {Op::kMul, OpId::kMul},           {Op::kNeg, OpId::kNeg},
        {Op::kFloorDiv, OpId::kFloorDiv}, {Op::kMax, OpId::kMaximum},
        {Op::kMin, OpId::kMinimum},       {Op::kEq, OpId::kEqual},
        {Op::kNe, OpId::kNotEqual},       {Op::kLt, OpId::kLess},
        {Op::kLe, OpId::kLessEqual},      {Op::kGt, OpId::kGreater},
        {Op::kGe, OpId::kGreaterEqual},   {Op::kAnd, OpId::kLogicalAnd},
        {Op::kOr, OpId::kLogicalOr},      {Op::kNot, OpId::kLogicalNot},
        {Op::kMod, OpId::kMod},
    };
    for (const auto& [from, to] : kOps) {
      if (from != op) continue;
      *id = to;
      return true;
    }
    return false;
  }
  absl::StatusOr<ir::Value*> Node(OpId op, std::vector<ir::Value*> inputs) {
    ir::Node* node = graph_.AddNode(op, std::move(inputs), {"guard"}, {"guard", ""});
    if (op == OpId::kMod) node->attrs["fmod"] = int64_t{0};
    FLOE_TRY(ir::InferNode(graph_, *node));
    return node->output();
  }

  ir::Graph& graph_;
  const SymbolDims& lookup_;
};

// Tries all values of the symbols. *held and *failed tell whether it holds for some, and fails for
// some; false: there are too many, or a value does not compute.
bool TryAll(const SymExpr& guard, const SymbolDims& lookup, const std::vector<ir::Symbol>& symbols,
            bool* held, bool* failed) {
  std::set<std::string> names;
  CollectSymbols(guard, &names);
  std::set<ir::SymbolId> used;
  std::map<std::string, ir::Dim> dims;
  for (const std::string& name : names) {
    const std::optional<ir::Dim> dim = lookup(name);
    if (!dim) return false;
    {
      std::vector<ir::SymbolId> all;
      dim->AppendSymbols(&all);
      used.insert(all.begin(), all.end());
    }
    dims[name] = *dim;
  }
  int64_t count = 1;
  std::vector<int64_t> values(symbols.size(), 0);
  for (const ir::SymbolId id : used) {
    const int64_t range = symbols[id].max - symbols[id].min;
    if (range >= kMaxTried || count > kMaxTried / (range + 1)) return false;
    count *= range + 1;
  }
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    bool is_size = true;
    for (const ir::SymbolId id : used) {
      const ir::Symbol& s = symbols[id];
      values[id] = s.min + rest % (s.max - s.min + 1);
      rest /= s.max - s.min + 1;
      is_size = is_size && values[id] % s.multiple == 0;
    }
    if (!is_size) continue;
    const std::optional<int64_t> result =
        EvaluateSym(guard, [&](const std::string& name) -> std::optional<int64_t> {
          return dims.at(name).Eval(values);
        });
    if (!result) return false;
    *(*result != 0 ? held : failed) = true;
  }
  return true;
}

}  // namespace

absl::Status Symbols::EmitGuard(const std::string& text, const SymbolDims& lookup,
                                std::vector<std::string>* notes) {
  const absl::StatusOr<SymExpr> guard = ParseSymExpr(text);
  const auto not_checked = [&](const std::string& why) {
    notes->push_back(absl::StrFormat("the guard '%s' is not checked: %s", text, why));
    return absl::OkStatus();
  };
  if (!guard.ok()) return not_checked(std::string(guard.status().message()));
  bool held = false, failed = false;
  if (TryAll(*guard, lookup, graph_.symbols, &held, &failed)) {
    if (!failed) return absl::OkStatus();
    if (!held) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "the model was exported for sizes with %s, which no size within the given bounds has; "
          "give other bounds with --dim, or export the model again",
          text));
    }
  }
  std::set<std::string> names;
  CollectSymbols(*guard, &names);
  for (const std::string& name : names) {
    if (!lookup(name)) return not_checked("'" + name + "' is no size of an input");
  }
  const absl::StatusOr<ir::Value*> condition = GuardEmitter(graph_, lookup).Emit(*guard);
  if (!condition.ok()) return not_checked(std::string(condition.status().message()));
  if ((*condition)->dtype() != DType::kBool) return not_checked("it is no condition");
  return ir::AddCheck(graph_, *condition, "the model was exported for sizes with " + text,
                      {"guard", ""})
      .status();
}

absl::Status Symbols::EmitGuards(const std::vector<TensorInput>& inputs,
                                 std::vector<std::string>* notes) {
  const SymbolDims lookup = [&](const std::string& name) -> std::optional<ir::Dim> {
    if (const auto symbol = Lookup(name)) return symbol;
    LeafPath path;
    int64_t axis;
    if (!name.starts_with("L[") || !ParsePath(name, &path, &axis)) return std::nullopt;
    for (const TensorInput& input : inputs) {
      if (input.path != path || axis >= static_cast<int64_t>(input.meta->sizes.size())) continue;
      return Find(input.meta->sizes[static_cast<size_t>(axis)]);
    }
    return std::nullopt;
  };
  for (const std::string& guard : program_.guards_code) FLOE_TRY(EmitGuard(guard, lookup, notes));
  return absl::OkStatus();
}

}  // namespace floe::torch_export
