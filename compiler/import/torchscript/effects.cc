#include "compiler/import/torchscript/effects.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::IValue;
using aten::Kind;

constexpr int kMaxDepth = 64;
constexpr size_t kMaxContainers = size_t{1} << 20;

void Collect(const Block& block, std::vector<std::string>* names) {
  for (const std::unique_ptr<Stmt>& stmt : block) {
    for (const ExprPtr& target : stmt->targets) {
      if (target->kind == Expr::Kind::kName &&
          std::find(names->begin(), names->end(), target->text) == names->end()) {
        names->push_back(target->text);
      }
    }
    Collect(stmt->body, names);
    Collect(stmt->orelse, names);
  }
}

bool Mentions(const Expr& expr, const Variables& variables) {
  if (expr.kind == Expr::Kind::kName) {
    const auto it = variables.find(expr.text);
    if (it == variables.end()) return expr.text == "uninitialized";
    return As<Uninitialized>(it->second) != nullptr;
  }
  return std::any_of(expr.parts.begin(), expr.parts.end(),
                     [&](const ExprPtr& e) { return Mentions(*e, variables); });
}

bool MentionsIn(const Block& block, const Variables& variables) {
  return std::any_of(block.begin(), block.end(), [&](const std::unique_ptr<Stmt>& s) {
    return MentionsUninitialized(*s, variables);
  });
}

// Built-in functions that change their first argument.
bool IsMutator(const std::string& name) {
  constexpr const char* kMutators[] = {
      "torch.append", "torch.extend", "torch.insert",     "torch.pop",    "torch.popitem",
      "torch.Delete", "torch.clear",  "torch.reverse",    "torch.remove", "torch._set_item",
      "torch.sort",   "torch.update", "torch.setdefault", "torch.add_"};
  return std::any_of(std::begin(kMutators), std::end(kMutators),
                     [&](const char* m) { return name == m; });
}

}  // namespace

std::vector<std::string> AssignedNames(const Block& block) {
  std::vector<std::string> names;
  Collect(block, &names);
  return names;
}

bool MentionsUninitialized(const Stmt& stmt, const Variables& variables) {
  if (stmt.value != nullptr && Mentions(*stmt.value, variables)) return true;
  // A variable without a value that is assigned: a loop carries it.
  for (const ExprPtr& target : stmt.targets) {
    if (Mentions(*target, variables)) return true;
  }
  return MentionsIn(stmt.body, variables) || MentionsIn(stmt.orelse, variables);
}

bool MutationFinder::MayMutate(const Stmt& stmt) { return InStmt(stmt, 0); }

bool MutationFinder::InBlock(const Block& block, int depth) {
  return std::any_of(block.begin(), block.end(),
                     [&](const std::unique_ptr<Stmt>& s) { return InStmt(*s, depth); });
}

bool MutationFinder::InStmt(const Stmt& stmt, int depth) {
  if (stmt.kind == Stmt::Kind::kFunction) return InBlock(stmt.function->body, depth);
  for (const ExprPtr& target : stmt.targets) {
    if (target->kind == Expr::Kind::kAttribute) return true;
  }
  if (stmt.value != nullptr && InExpr(*stmt.value, depth)) return true;
  return InBlock(stmt.body, depth) || InBlock(stmt.orelse, depth);
}

bool MutationFinder::InExpr(const Expr& expr, int depth) {
  for (const ExprPtr& part : expr.parts) {
    if (InExpr(*part, depth)) return true;
  }
  if (expr.kind != Expr::Kind::kCall) return false;
  const Expr& callee = *expr.parts[0];
  const std::string name = DottedName(callee);
  if (IsMutator(name)) return true;
  if (absl::StartsWith(name, "torch.") || absl::StartsWith(name, "ops.")) return false;
  if (depth > kMaxDepth) return true;
  if (absl::StartsWith(name, "__torch__.")) {
    const absl::StatusOr<Function> function = program_.FindFunction(name);
    return function.ok() && function->def != nullptr && InFunction(*function->def, depth + 1);
  }
  if (callee.kind != Expr::Kind::kAttribute) return false;
  for (const auto& [class_name, info] : program_.classes()) {
    const auto it = info->methods.find(callee.text);
    if (it != info->methods.end() && InFunction(*it->second, depth + 1)) return true;
  }
  return false;
}

bool MutationFinder::InFunction(const FunctionDef& def, int depth) {
  const auto [it, is_new] = known_.try_emplace(&def, false);  // False while it is looked at.
  if (!is_new) return it->second;
  const bool mutates = InBlock(def.body, depth);
  known_[&def] = mutates;
  return mutates;
}

absl::Status Snapshot::Take(const Variables& variables) {
  for (const auto& [name, value] : variables) FLOE_TRY(Add(value, 0));
  before_ = Now();
  return absl::OkStatus();
}

absl::Status Snapshot::Add(const IValue& value, int depth) {
  if (depth > kMaxDepth || containers_.size() > kMaxContainers) {
    return absl::ResourceExhaustedError("the model's containers are nested too deep");
  }
  if (value.is_sequence()) {
    if (!seen_.insert(value.list().get()).second) return absl::OkStatus();
    containers_.push_back({value.list(), nullptr, nullptr});
    for (const IValue& item : value.items()) FLOE_TRY(Add(item, depth + 1));
  } else if (value.kind() == Kind::kDict) {
    if (!seen_.insert(value.dict().get()).second) return absl::OkStatus();
    containers_.push_back({nullptr, value.dict(), nullptr});
    for (const auto& [key, item] : value.dict()->items) FLOE_TRY(Add(item, depth + 1));
  } else if (ObjectPtr object = As<Object>(value)) {
    if (!seen_.insert(object.get()).second) return absl::OkStatus();
    containers_.push_back({nullptr, nullptr, object});
    for (const auto& [name, item] : object->attributes) FLOE_TRY(Add(item, depth + 1));
  }
  return absl::OkStatus();
}

Snapshot::Contents Snapshot::Now() const {
  Contents contents;
  contents.reserve(containers_.size());
  for (const Container& c : containers_) {
    std::vector<IValue>& items = contents.emplace_back();
    if (c.list != nullptr) {
      items = c.list->items;
    } else if (c.dict != nullptr) {
      for (const auto& [key, value] : c.dict->items) {
        items.push_back(key);
        items.push_back(value);
      }
    } else {
      for (const auto& [name, value] : c.object->attributes) {
        items.push_back(IValue::String(name));
        items.push_back(value);
      }
    }
  }
  return contents;
}

absl::Status Snapshot::Set(size_t i, const std::vector<IValue>& items) {
  const Container& c = containers_[i];
  if (c.list != nullptr) {
    c.list->items = items;
    return absl::OkStatus();
  }
  if (c.dict != nullptr) c.dict->items.clear();
  for (size_t k = 0; k + 1 < items.size(); k += 2) {
    if (c.dict != nullptr) {
      c.dict->items.emplace_back(items[k], items[k + 1]);
    } else if (items[k].kind() == Kind::kString) {
      c.object->attributes[items[k].string()] = items[k + 1];
    } else {
      return absl::InternalError("an attribute without a name");
    }
  }
  return absl::OkStatus();
}

void Snapshot::Restore() {
  for (size_t i = 0; i < containers_.size(); ++i) {
    if (containers_[i].object != nullptr) containers_[i].object->attributes.clear();
    (void)Set(i, before_[i]);  // Names stand where Now() put them.
  }
}

bool SameValue(const IValue& a, const IValue& b) {
  if (a.kind() != b.kind()) return false;
  if (a.variable() != nullptr || b.variable() != nullptr) return a.variable() == b.variable();
  switch (a.kind()) {
    case Kind::kInt:
      return a.dim() == b.dim();
    case Kind::kFloat:
      return a.float_value() == b.float_value();
    case Kind::kBool:
      return a.bool_value() == b.bool_value();
    case Kind::kString:
    case Kind::kDevice:
      return a.string() == b.string();
    case Kind::kList:
    case Kind::kTuple:
      return a.list() == b.list();
    case Kind::kDict:
      return a.dict() == b.dict();
    case Kind::kForeign:
      return a.foreign() == b.foreign();
    default:
      return true;
  }
}

}  // namespace floe::torchscript
