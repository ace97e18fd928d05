// Rotary embeddings (Su et al. 2021) become one op. Exporters write them as x * cos +
// rotate_half(x) * sin with rotate_half a join of moved halves or neighbours, as products of
// complex numbers, as both sums of products joined, and for a part of the features only.
//
// All of these are looked at in one way: a row of the result, feature by feature, is followed back
// through moves, one sum and one product, to numbers that are no moves of others. Which number
// each feature takes from where is then compared with the definition.
#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_format.h"
#include "compiler/ir/shapes.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

using ir::Dim;
using ir::Shape;
using ir::Value;

constexpr int64_t kMostFeatures = 1024;
constexpr int kMostSteps = 12;
constexpr int64_t kMostWork = int64_t{1} << 18;  // Elements looked at for one node.

// Element `index` of a row of `value`: of all axes behind the `lead` leading ones, flattened.
struct Place {
  const Value* value = nullptr;
  int64_t index = 0;
  size_t lead = 0;
};

// A number that a product takes: where the product reads it, and where moves took it from.
struct Number {
  Place operand, origin;
};

// sign * a, or sign * a * b.
struct Term {
  double sign = 1.0;
  Number a, b;

  bool is_product() const { return b.operand.value != nullptr; }
};

// A sum of at most two terms.
struct Element {
  std::array<Term, 2> terms;
  int count = 0;
};

using Row = std::vector<Element>;

Shape TailOf(const Value* v, size_t lead) { return {v->shape().begin() + lead, v->shape().end()}; }

// The number of elements of a row; -1 if it is no number or too large.
int64_t CountOf(const Shape& tail) {
  int64_t count = 1;
  for (const Dim& d : tail) {
    if (!d.is_constant() || d.constant() < 1 || d.constant() > kMostFeatures) return -1;
    count *= d.constant();
    if (count > kMostFeatures) return -1;
  }
  return count;
}

bool HasLead(const Value* v, const Shape& lead) {
  return v->rank() >= lead.size() && std::equal(lead.begin(), lead.end(), v->shape().begin());
}

Row RowItself(const Value* v, int64_t count, size_t lead) {
  Row row(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    Element& e = row[static_cast<size_t>(i)];
    e.count = 1;
    e.terms[0].a = {{v, i, lead}, {v, i, lead}};
  }
  return row;
}

// What may still be opened on the way back.
enum class Level { kSum, kProduct, kMoves };

// Follows rows of values that have the leading axes `lead` back. `work` is how many elements may
// still be looked at: joins of joins would be followed without end otherwise.
class Tracer {
 public:
  Tracer(Shape lead, int64_t* work) : lead_(std::move(lead)), work_(work) {}

  // Empty if the value has no rows of a known, bearable length.
  Row Trace(const Value* v, Level level, int depth = 0) const {
    const int64_t count = HasLead(v, lead_) ? CountOf(TailOf(v, lead_.size())) : -1;
    if (count < 0 || *work_ < count) return {};
    *work_ -= count;
    const ir::Node* node = v->producer();
    if (node == nullptr || depth >= kMostSteps || v->dtype() != DType::kF32) {
      return RowItself(v, count, lead_.size());
    }
    Row row;
    switch (node->op()) {
      case OpId::kIdentity:
      case OpId::kReshape:
        row = Trace(node->input(0), level, depth + 1);
        break;
      case OpId::kSlice:
        row = Sliced(*node, level, depth);
        break;
      case OpId::kGather:
        row = Selected(*node, level, depth);
        break;
      case OpId::kConcat:
        row = Joined(*node, level, depth);
        break;
      case OpId::kNeg:
        row = Trace(node->input(0), level, depth + 1);
        Negate(&row);
        break;
      case OpId::kMul:
        row = Product(*node, level, depth);
        break;
      case OpId::kAdd:
      case OpId::kSub:
        if (level == Level::kSum) row = Sum(*node, depth);
        break;
      default:
        break;
    }
    return static_cast<int64_t>(row.size()) == count ? row : RowItself(v, count, lead_.size());
  }

 private:
  static void Negate(Row* row) {
    for (Element& e : *row) {
      for (Term& t : e.terms) t.sign = -t.sign;
    }
  }

  // [outer, size, inner] of the axis in rows of x.
  struct Axis {
    int64_t outer = 1, size = 1, inner = 1;
  };
  std::optional<Axis> AxisIn(const Value* x, size_t axis) const {
    if (axis < lead_.size() || !HasLead(x, lead_)) return std::nullopt;
    const Shape tail = TailOf(x, lead_.size());
    if (CountOf(tail) < 0) return std::nullopt;
    Axis a;
    for (size_t i = 0; i < tail.size(); ++i) {
      const size_t at = lead_.size() + i;
      (at < axis ? a.outer : at == axis ? a.size : a.inner) *= tail[i].constant();
    }
    return a;
  }

  Row Sliced(const ir::Node& node, Level level, int depth) const {
    const Value* x = node.input(0);
    std::optional<size_t> axis;
    for (size_t i = 0; i < x->rank(); ++i) {
      if (x->shape()[i] == node.output()->shape()[i] && node.Ints("steps")[i] == 1) continue;
      if (axis) return {};  // One axis at a time is what exporters write.
      axis = i;
    }
    if (!axis) return Trace(x, level, depth + 1);
    const std::optional<Axis> a = AxisIn(x, *axis);
    const Dim& kept = node.output()->shape()[*axis];
    if (!a || !kept.is_constant()) return {};
    std::vector<int64_t> picked;
    for (int64_t i = 0; i < kept.constant(); ++i) {
      picked.push_back(node.Ints("starts")[*axis] + i * node.Ints("steps")[*axis]);
    }
    return Picked(Trace(x, level, depth + 1), *a, picked);
  }

  // Gather by a constant index.
  Row Selected(const ir::Node& node, Level level, int depth) const {
    const Value* index = node.input(1);
    const std::optional<Axis> a = AxisIn(node.input(0), static_cast<size_t>(node.Int("axis")));
    if (!a || !index->is_constant() || index->rank() > 1) return {};
    std::vector<int64_t> picked;
    for (int64_t i = 0; i < index->constant().count(); ++i) {
      const int64_t at = index->constant().IntAt(i);
      picked.push_back(at < 0 ? at + a->size : at);
    }
    return Picked(Trace(node.input(0), level, depth + 1), *a, picked);
  }

  static Row Picked(const Row& row, const Axis& a, const std::vector<int64_t>& picked) {
    if (static_cast<int64_t>(row.size()) != a.outer * a.size * a.inner) return {};
    Row result;
    for (int64_t o = 0; o < a.outer; ++o) {
      for (const int64_t at : picked) {
        if (at < 0 || at >= a.size) return {};
        const auto from = row.begin() + (o * a.size + at) * a.inner;
        result.insert(result.end(), from, from + a.inner);
      }
    }
    return result;
  }

  Row Joined(const ir::Node& node, Level level, int depth) const {
    const std::optional<Axis> whole = AxisIn(node.output(), static_cast<size_t>(node.Int("axis")));
    if (!whole) return {};
    Row row(static_cast<size_t>(whole->outer * whole->size * whole->inner));
    int64_t at = 0;
    for (const Value* part : node.inputs()) {
      const std::optional<Axis> a = AxisIn(part, static_cast<size_t>(node.Int("axis")));
      const Row from = a ? Trace(part, level, depth + 1) : Row();
      if (!a || static_cast<int64_t>(from.size()) != a->outer * a->size * a->inner) return {};
      const int64_t run = a->size * a->inner;
      for (int64_t o = 0; o < a->outer; ++o) {
        std::copy_n(from.begin() + o * run, run,
                    row.begin() + (o * whole->size + at) * whole->inner);
      }
      at += a->size;
    }
    return row;
  }

  Row Sum(const ir::Node& node, int depth) const {
    Row a = Trace(node.input(0), Level::kProduct, depth + 1);
    Row b = Trace(node.input(1), Level::kProduct, depth + 1);
    if (a.empty() || a.size() != b.size()) return {};
    if (node.op() == OpId::kSub) Negate(&b);
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].count != 1 || b[i].count != 1) return {};
      a[i].terms[1] = b[i].terms[0];
      a[i].count = 2;
    }
    return a;
  }

  Row Product(const ir::Node& node, Level level, int depth) const {
    for (size_t i = 0; i < 2; ++i) {
      const std::optional<double> number = ScalarOf(node.input(i));
      if (!number || std::fabs(*number) != 1.0) continue;
      Row row = Trace(node.input(1 - i), level, depth + 1);
      if (*number < 0) Negate(&row);
      return row;
    }
    if (level == Level::kMoves) return {};
    Row a = Factor(node.input(0), *node.output());
    const Row b = Factor(node.input(1), *node.output());
    if (a.empty() || a.size() != b.size()) return {};
    for (size_t i = 0; i < a.size(); ++i) {
      a[i].terms[0].sign *= b[i].terms[0].sign;
      a[i].terms[0].b = b[i].terms[0].a;
    }
    return a;
  }

  // The rows of a factor, which may be broadcast: along the leading axes, and in the rows.
  Row Factor(const Value* v, const Value& product) const {
    const size_t rank = product.rank() - lead_.size();
    if (v->rank() < rank) return {};
    const Shape lead(v->shape().begin(), v->shape().end() - static_cast<ptrdiff_t>(rank));
    const Shape wide = TailOf(&product, lead_.size()), own = TailOf(v, lead.size());
    const int64_t count = CountOf(wide);
    if (count < 0 || CountOf(own) < 0) return {};
    const Row origin = Tracer(lead, work_).Trace(v, Level::kMoves);
    if (origin.empty()) return {};
    Row row(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
      int64_t rest = i, at = 0, step = 1;
      for (size_t axis = rank; axis-- > 0;) {
        const int64_t size = wide[axis].constant(), own_size = own[axis].constant();
        if (own_size != 1 && own_size != size) return {};
        if (own_size != 1) at += rest % size * step;
        rest /= size;
        step *= own_size;
      }
      Element& e = row[static_cast<size_t>(i)];
      const Element& from = origin[static_cast<size_t>(at)];
      if (from.count != 1 || from.terms[0].is_product()) return {};
      e.count = 1;
      e.terms[0].sign = from.terms[0].sign;
      e.terms[0].a = {{v, at, lead.size()}, from.terms[0].a.origin};
    }
    return row;
  }

  Shape lead_;
  int64_t* work_;
};

// The op's operands and attributes.
struct Rotary {
  const Value* x = nullptr;
  int64_t offset = 0;  // Of the first feature in rows of x.
  int64_t rotated = 0;
  bool neighbours = false;
  // For each rotated feature, what it is multiplied with, and its partner.
  std::vector<Number> cos, sin;
};

// If every element is what the definition says for rows of `x` behind its `lead` leading axes.
std::optional<Rotary> MatchRow(const Row& row, const Value* x, size_t lead) {
  Rotary r;
  r.x = x;
  while (r.rotated < static_cast<int64_t>(row.size()) &&
         row[static_cast<size_t>(r.rotated)].count == 2) {
    ++r.rotated;
  }
  if (r.rotated < 2 || r.rotated % 2 != 0) return std::nullopt;
  const int64_t half = r.rotated / 2;
  // Number i of a row and what it is multiplied with.
  struct Part {
    double sign;
    int64_t index;
    Number by;
  };
  // Numbers of x that are counted from another axis on belong to other rows: they are broadcast.
  const auto of_x = [x, lead](const Number& n) {
    return n.origin.value == x && n.origin.lead == lead;
  };
  const auto part = [&of_x](const Term& t) -> std::optional<Part> {
    if (!t.is_product()) return std::nullopt;
    const bool first = of_x(t.a), second = of_x(t.b);
    if (first == second) return std::nullopt;
    return first ? Part{t.sign, t.a.origin.index, t.b} : Part{t.sign, t.b.origin.index, t.a};
  };
  for (int64_t i = 0; i < r.rotated; ++i) {
    const Element& e = row[static_cast<size_t>(i)];
    std::optional<Part> own = part(e.terms[0]), other = part(e.terms[1]);
    if (!own || !other) return std::nullopt;
    if (i == 0) {
      // The first feature has the lowest index.
      r.offset = std::min(own->index, other->index);
      const int64_t distance = std::max(own->index, other->index) - r.offset;
      if (distance != half && distance != 1) return std::nullopt;
      r.neighbours = distance != half;
    }
    if (own->index != r.offset + i) std::swap(own, other);
    const bool second = r.neighbours ? i % 2 != 0 : i >= half;
    const int64_t partner = r.neighbours ? i ^ 1 : second ? i - half : i + half;
    if (own->index != r.offset + i || other->index != r.offset + partner || own->sign != 1.0 ||
        other->sign != (second ? 1.0 : -1.0)) {
      return std::nullopt;
    }
    r.cos.push_back(own->by);
    r.sin.push_back(other->by);
  }
  for (size_t i = static_cast<size_t>(r.rotated); i < row.size(); ++i) {
    const Term& t = row[i].terms[0];
    if (row[i].count != 1 || t.is_product() || t.sign != 1.0 || !of_x(t.a) ||
        t.a.origin.index != r.offset + static_cast<int64_t>(i)) {
      return std::nullopt;
    }
  }
  return r;
}

// The value whose rows are these numbers: one for each feature, or one for each pair.
struct Coefficients {
  const Value* value = nullptr;
  size_t lead = 0;  // Leading axes of the value.
  bool shared = false;
};

std::optional<Coefficients> CoefficientsOf(const Rotary& r, const std::vector<Number>& numbers) {
  const int64_t half = r.rotated / 2;
  for (const auto place : {&Number::origin, &Number::operand}) {
    const auto [value, first, lead] = numbers[0].*place;
    if (value->rank() <= lead) continue;  // Single numbers are no rows.
    const int64_t count = CountOf(TailOf(value, lead));
    if (count != r.rotated && count != half) continue;
    bool fits = true;
    for (int64_t i = 0; i < r.rotated && fits; ++i) {
      const Place& at = numbers[static_cast<size_t>(i)].*place;
      const int64_t pair = r.neighbours ? i / 2 : i % half;
      fits = at.value == value && at.lead == lead && at.index == (count == half ? pair : i);
    }
    if (fits) return Coefficients{value, lead, count == half};
  }
  return std::nullopt;
}

class Recogniser {
 public:
  Recogniser(ir::Graph& graph, Report& report) : graph_(graph), report_(report) {}

  // Whether the node was replaced.
  absl::StatusOr<bool> Try(ir::Node* node) {
    FLOE_TRY_ASSIGN(const bool done, TryRows(node, 1));
    if (done || node->op() != OpId::kConcat || node->output()->rank() < 2) return done;
    // Pairs that stay an axis: what joins them to rows joins other axes, too.
    return TryRows(node, 2);
  }

 private:
  // Rows being the last `tail` axes.
  absl::StatusOr<bool> TryRows(ir::Node* node, size_t tail) {
    const Value* y = node->output();
    if (y->dtype() != DType::kF32 || y->rank() < tail) return false;
    const Shape lead(y->shape().begin(), y->shape().end() - static_cast<ptrdiff_t>(tail));
    int64_t work = kMostWork;
    const Row row = Tracer(lead, &work).Trace(y, Level::kSum);
    if (row.size() < 2 || row[0].count != 2 || !row[0].terms[0].is_product()) return false;
    for (const Number& n : {row[0].terms[0].a, row[0].terms[0].b}) {
      if (!HasLead(n.origin.value, lead)) continue;
      const std::optional<Rotary> r = MatchRow(row, n.origin.value, lead.size());
      if (!r) continue;
      FLOE_TRY_ASSIGN(const bool done, Rewrite(node, *r, lead, static_cast<int64_t>(row.size())));
      if (done) return true;
    }
    return false;
  }

  absl::StatusOr<Value*> Reshape(ir::Node* before, const Value* v, Shape shape) {
    auto* x = const_cast<Value*>(v);  // The graph's own, found by walking it.
    if (x->shape() == shape) return x;
    return InsertTyped(graph_, before, OpId::kReshape, {x}, {}, x->name() + "_rows",
                       before->provenance, x->dtype(), std::move(shape));
  }

  absl::StatusOr<bool> Rewrite(ir::Node* node, const Rotary& r, const Shape& lead,
                               int64_t features) {
    std::array<Coefficients, 2> found;
    for (size_t i = 0; i < 2; ++i) {
      const std::vector<Number>& numbers = i == 0 ? r.cos : r.sin;
      const std::optional<Coefficients> c = CoefficientsOf(r, numbers);
      if (!c) return false;
      const Shape own(c->value->shape().begin(),
                      c->value->shape().begin() + static_cast<ptrdiff_t>(c->lead));
      const auto both = ir::BroadcastShapes(graph_, lead, own);
      if (!both.ok() || *both != lead || own.size() > lead.size()) return false;
      found[i] = *c;
    }
    if (found[0].shared != found[1].shared) return false;
    const int64_t width = found[0].shared ? r.rotated / 2 : r.rotated;
    std::vector<Value*> inputs;
    FLOE_TRY_ASSIGN(Value * x, FeaturesOf(node, r, lead, features));
    if (x == nullptr) return false;
    inputs.push_back(x);
    for (const Coefficients& c : found) {
      Shape shape(c.value->shape().begin(),
                  c.value->shape().begin() + static_cast<ptrdiff_t>(c.lead));
      shape.push_back(width);
      FLOE_TRY_ASSIGN(Value * v, Reshape(node, c.value, std::move(shape)));
      inputs.push_back(v);
    }
    FLOE_TRY_ASSIGN(Value * y, Insert(graph_, node, OpId::kRotary, std::move(inputs),
                                      {{"interleaved", static_cast<int64_t>(r.neighbours)},
                                       {"rotated", r.rotated}},
                                      node->output()->name(), node->provenance));
    report_.Add(absl::StrFormat("recognised a rotary embedding at %s: %s, %d of %d features",
                                NameOf(*node), r.neighbours ? "neighbours" : "halves", r.rotated,
                                features));
    FLOE_TRY_ASSIGN(y, Reshape(node, y, node->output()->shape()));
    Replace(graph_, node, y);
    return true;
  }

  // x as it is, or its features from the offset on. Null if x is too short.
  absl::StatusOr<Value*> FeaturesOf(ir::Node* node, const Rotary& r, const Shape& lead,
                                    int64_t features) {
    const int64_t count = CountOf(TailOf(r.x, lead.size()));
    if (count < r.offset + features) return nullptr;
    Shape shape = lead;
    shape.push_back(count);
    FLOE_TRY_ASSIGN(Value * x, Reshape(node, r.x, shape));
    if (count == features) return x;
    std::vector<int64_t> starts(x->rank(), 0), steps(x->rank(), 1);
    starts.back() = r.offset;
    shape.back() = features;
    return InsertTyped(graph_, node, OpId::kSlice, {x},
                       {{"starts", std::move(starts)}, {"steps", std::move(steps)}},
                       x->name() + "_features", node->provenance, DType::kF32, std::move(shape));
  }

  ir::Graph& graph_;
  Report& report_;
};

}  // namespace

absl::Status RecogniseRotary(ir::Graph& graph, Report& report) {
  Recogniser recogniser(graph, report);
  // Backwards, so that the whole of an embedding is found before its parts are. A rewrite erases
  // the node and what lies before it, never what lies behind.
  auto next = graph.nodes().end();
  while (next != graph.nodes().begin()) {
    auto it = std::prev(next);
    ir::Node* node = it->get();
    const OpId op = node->op();
    if (op == OpId::kAdd || op == OpId::kConcat || op == OpId::kReshape) {
      FLOE_TRY_ASSIGN(const bool replaced, recogniser.Try(node));
      if (replaced) continue;  // What stands before `next` is new.
    }
    next = it;
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
