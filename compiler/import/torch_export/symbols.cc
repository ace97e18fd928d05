#include "compiler/import/torch_export/symbols.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_export {
namespace {

std::string Place(const std::string& input, size_t axis) {
  return absl::StrFormat("axis %d of input '%s'", axis, input);
}

}  // namespace

absl::StatusOr<SymExpr> Symbols::ParseSize(const SymInt& size) const {
  if (size.expr.empty()) {
    SymExpr number;
    number.value = size.value;
    return number;
  }
  return ParseSymExpr(size.expr);
}

absl::Status Symbols::Collect(const std::vector<TensorInput>& inputs) {
  for (const TensorInput& input : inputs) {
    for (size_t axis = 0; axis < input.meta->sizes.size(); ++axis) {
      FLOE_TRY_ASSIGN(const SymExpr size, ParseSize(input.meta->sizes[axis]));
      std::set<std::string> names;
      CollectSymbols(size, &names);
      for (const std::string& name : names) {
        Symbol& s = symbols_[name];
        s.name = name;
        s.uses.push_back({input.name, axis});
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Symbols::ApplyAxis(const TensorInput& input, size_t axis, const DimSpec& spec) {
  FLOE_TRY_ASSIGN(const SymExpr size, ParseSize(input.meta->sizes[axis]));
  const std::string place = Place(input.name, axis);
  if (size.op == SymExpr::Op::kInt) {
    int64_t given = spec.value;
    if (!spec.symbol.empty()) {
      const auto bounds = options_.dims.find(spec.symbol);
      const bool fixed = bounds != options_.dims.end() && bounds->second.min == bounds->second.max;
      given = fixed ? bounds->second.min : -1;
    }
    if (given == size.value) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s is always %d in this model; to change it, export the model again, with a dynamic "
        "shape or another example",
        place, size.value));
  }
  if (size.op != SymExpr::Op::kSymbol) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s is %s in this model, which can be neither named nor fixed as a whole; use --dim for "
        "its symbol",
        place, ToText(size)));
  }
  Symbol& s = symbols_[size.name];
  if (spec.symbol.empty()) {
    if (s.fix && *s.fix != spec.value) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s equals %s, but %d and %d are given for them", place,
                          Place(s.uses[0].input, s.uses[0].axis), spec.value, *s.fix));
    }
    s.fix = spec.value;
    return absl::OkStatus();
  }
  if (s.name != size.name && s.name != spec.symbol) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s equals %s in this model, but two names are given for them ('%s', '%s')",
                        place, Place(s.uses[0].input, s.uses[0].axis), s.name, spec.symbol));
  }
  s.name = spec.symbol;
  return absl::OkStatus();
}

absl::Status Symbols::ApplyShape(const TensorInput& input, const std::vector<DimSpec>& shape) {
  if (shape.size() != input.meta->sizes.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("input '%s' has rank %d in the model, but the shape given for it has %d",
                        input.name, input.meta->sizes.size(), shape.size()));
  }
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    FLOE_TRY(ApplyAxis(input, axis, shape[axis]));
  }
  return absl::OkStatus();
}

namespace {

// a * symbol + b with a > 0.
struct Line {
  int64_t a = 0;
  int64_t b = 0;
};

std::optional<Line> LineOf(const std::string& text, const std::string& symbol) {
  const absl::StatusOr<SymExpr> e = ParseSymExpr(text);
  if (!e.ok()) return std::nullopt;
  const std::vector<ir::Symbol> symbols = {{symbol, 0, INT64_MAX, 1}};
  const auto lookup = [&](const std::string& name) {
    return name == symbol ? std::optional<ir::Dim>(ir::Dim::OfSymbol(0)) : std::nullopt;
  };
  const absl::StatusOr<ir::Dim> dim = ToDim(*e, lookup, symbols);
  if (!dim.ok() || dim->terms().size() != 1 || dim->terms()[0].symbol() == nullptr ||
      dim->terms()[0].coefficient <= 0) {
    return std::nullopt;
  }
  return Line{dim->terms()[0].coefficient, dim->constant()};
}

}  // namespace

// The exporter takes every symbol to be at least 2, also where a size is 2 * s and may be 2. What a
// graph needs of s itself is among the guards, so the size's own bounds count where there are any.
void Symbols::ReadRange(const std::string& symbol, int64_t* least,
                        std::optional<int64_t>* most) const {
  *least = 0;
  if (const auto it = program_.range_constraints.find(symbol);
      it != program_.range_constraints.end()) {
    *least = std::max<int64_t>(0, it->second.min.value_or(0));
    *most = it->second.max;
  }
  if (!program_.has_guards || *least != 2) return;
  for (const auto& [text, range] : program_.range_constraints) {
    const std::optional<Line> line = text == symbol ? std::nullopt : LineOf(text, symbol);
    int64_t rest;
    if (!line || !range.min || __builtin_sub_overflow(*range.min, line->b, &rest) || rest < 0) {
      continue;
    }
    *least = std::min(*least, rest / line->a + (rest % line->a != 0 ? 1 : 0));
  }
}

absl::Status Symbols::MakeSymbol(const std::string& symbol, Symbol& s, std::string* unbounded) {
  int64_t least = 0;
  std::optional<int64_t> most;
  ReadRange(symbol, &least, &most);
  DimBounds bounds{least, most.value_or(-1), 1};
  auto given = options_.dims.find(s.name);
  if (given == options_.dims.end()) given = options_.dims.find(symbol);
  if (s.fix) {
    bounds = {*s.fix, *s.fix, 1};
  } else if (given != options_.dims.end()) {
    bounds = given->second;
  } else if (!most) {
    if (!unbounded->empty()) *unbounded += ", ";
    *unbounded += absl::StrFormat("'%s' (%s, at least %d)", s.name,
                                  Place(s.uses[0].input, s.uses[0].axis), least);
    return absl::OkStatus();
  }
  if (bounds.min < 0 || bounds.max < bounds.min || bounds.multiple < 1) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the bounds of dimension '%s' are empty or negative: %d..%d, multiple of %d", s.name,
        bounds.min, bounds.max, bounds.multiple));
  }
  if (bounds.min < least || (most && bounds.max > *most)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "dimension '%s' (%s) is %d..%d here, but the model was exported for %d..%s; export it with "
        "wider bounds, or give narrower ones with --dim %s=...",
        s.name, Place(s.uses[0].input, s.uses[0].axis), bounds.min, bounds.max, least,
        most ? std::to_string(*most) : "any", s.name));
  }
  if (bounds.min == bounds.max) {
    dims_[symbol] = ir::Dim(bounds.min);
    return absl::OkStatus();
  }
  for (const ir::Symbol& other : graph_.symbols) {
    if (other.name == s.name) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "two dimensions that differ in this model are both named '%s'; the second is %s", s.name,
          Place(s.uses[0].input, s.uses[0].axis)));
    }
  }
  const ir::SymbolId id = graph_.GetSymbol(s.name, bounds.min, bounds.max);
  graph_.symbols[id].multiple = bounds.multiple;
  dims_[symbol] = ir::Dim::OfSymbol(id);
  return absl::OkStatus();
}

absl::Status Symbols::CheckOptionsUsed(const std::vector<TensorInput>& inputs) const {
  for (const auto& [name, shape] : options_.shapes) {
    const bool known = std::any_of(inputs.begin(), inputs.end(),
                                   [&](const TensorInput& i) { return i.name == name; });
    if (known) continue;
    std::string names;
    for (const TensorInput& i : inputs) names += (names.empty() ? "'" : ", '") + i.name + "'";
    return absl::InvalidArgumentError(
        absl::StrFormat("a shape is given for '%s', but the model has no such input; it has %s",
                        name, names.empty() ? "none" : names));
  }
  for (const auto& [name, bounds] : options_.dims) {
    bool used = false;
    std::string names;
    for (const auto& [symbol, s] : symbols_) {
      used = used || s.name == name || symbol == name;
      names += (names.empty() ? "'" : ", '") + s.name + "'";
    }
    for (const auto& [input, shape] : options_.shapes) {
      for (const DimSpec& spec : shape) used = used || spec.symbol == name;
    }
    if (used) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("bounds are given for dimension '%s', but no input has it; %s", name,
                        names.empty() ? "all are fixed" : "the model has " + names));
  }
  return absl::OkStatus();
}

absl::Status Symbols::Bind(const std::vector<TensorInput>& inputs) {
  FLOE_TRY(Collect(inputs));
  for (const TensorInput& input : inputs) {
    const auto given = options_.shapes.find(input.name);
    if (given != options_.shapes.end()) FLOE_TRY(ApplyShape(input, given->second));
  }
  FLOE_TRY(CheckOptionsUsed(inputs));
  // In the order of their first use, so that equal files give equal programs whatever the names.
  std::vector<std::pair<std::string, Symbol*>> order;
  for (const TensorInput& input : inputs) {
    for (auto& [symbol, s] : symbols_) {
      if (s.uses[0].input == input.name) order.emplace_back(symbol, &s);
    }
  }
  std::string unbounded;
  for (const auto& [symbol, s] : order) FLOE_TRY(MakeSymbol(symbol, *s, &unbounded));
  if (!unbounded.empty()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "these dimensions have no upper bound in the model: %s; give each one with --dim NAME="
        "MIN..MAX, or export with Dim(name, max=...)",
        unbounded));
  }
  return absl::OkStatus();
}

std::optional<ir::Dim> Symbols::Lookup(const std::string& symbol) const {
  const auto it = dims_.find(symbol);
  return it == dims_.end() ? std::nullopt : std::optional<ir::Dim>(it->second);
}

std::optional<ir::Dim> Symbols::Find(const SymInt& size) const {
  const absl::StatusOr<SymExpr> e = ParseSize(size);
  if (!e.ok()) return std::nullopt;
  const auto lookup = [this](const std::string& name) { return Lookup(name); };
  const absl::StatusOr<ir::Dim> dim = ToDim(*e, lookup, graph_.symbols);
  return dim.ok() ? std::optional<ir::Dim>(*dim) : std::nullopt;
}

void Symbols::Learn(const SymInt& size, const ir::Dim& dim) {
  const absl::StatusOr<SymExpr> e = ParseSize(size);
  if (!e.ok() || e->op != SymExpr::Op::kSymbol || Lookup(e->name)) return;
  dims_.emplace(e->name, dim);
  if (dim.terms().size() != 1 || dim.terms()[0].symbol() == nullptr) return;
  ir::Symbol& symbol = graph_.symbols[*dim.terms()[0].symbol()];
  if (!symbol.data || dim != ir::Dim::OfSymbol(*dim.terms()[0].symbol())) return;
  const bool taken = std::any_of(graph_.symbols.begin(), graph_.symbols.end(),
                                 [&](const ir::Symbol& s) { return s.name == e->name; });
  if (!taken) symbol.name = e->name;
  const auto range = program_.range_constraints.find(e->name);
  if (range == program_.range_constraints.end() || !range->second.max) return;
  symbol.max = std::max(symbol.min, std::min(symbol.max, *range->second.max));
}

absl::StatusOr<ir::Shape> Symbols::ShapeOf(const TensorInput& input) const {
  ir::Shape shape;
  for (size_t axis = 0; axis < input.meta->sizes.size(); ++axis) {
    FLOE_TRY_ASSIGN(const SymExpr e, ParseSize(input.meta->sizes[axis]));
    const auto lookup = [this](const std::string& name) { return Lookup(name); };
    const absl::StatusOr<ir::Dim> dim = ToDim(e, lookup, graph_.symbols);
    if (!dim.ok()) {
      return absl::Status(dim.status().code(), absl::StrFormat("%s: %s", Place(input.name, axis),
                                                               dim.status().message()));
    }
    if (dim->Min(graph_.symbols) < 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s can be negative: %s", Place(input.name, axis), ToText(e)));
    }
    shape.push_back(*dim);
  }
  return shape;
}

}  // namespace floe::torch_export
