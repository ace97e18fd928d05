// softmax(scale * q k^T + masks) v becomes one op. Exporters write the scale in front of, between
// or behind everything else, masks as terms or as choices (Where), heads as batch axes of rank 4 or
// as one axis of rank 3, and heads that are shared as repeated ones.
#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "compiler/passes/attention_masks.h"
#include "compiler/passes/rewrite.h"

namespace floe::passes {
namespace {

using ir::Dim;
using ir::Shape;
using ir::Value;

// A mask: factor * value is added to the scores, or (bool) value says which keys take part.
struct Term {
  Value* value = nullptr;
  double factor = 1.0;
  bool inverted = false;                                     // Bool: it says which keys do not.
  size_t rank = 0;                                           // Of the scores that it was made for.
  double masked = -std::numeric_limits<double>::infinity();  // Bool: the score of other keys.

  bool finite() const { return std::isfinite(masked); }
};

struct Match {
  ir::Node* softmax = nullptr;
  const ir::Node* empty_test = nullptr;  // Reads the scores, too: whether a row has no key.
  const ir::Node* nan_test = nullptr;    // Or reads the weights: such a row is NaN.
  ir::Node* product = nullptr;           // The scores.
  double scale = 1.0;
  std::vector<Term> terms;
  std::string why_not;
};

// Whether scores of two activations lie below `value`.
bool LeadsToScores(const Value* value, int depth = 0) {
  const ir::Node* node = value->producer();
  if (node == nullptr || depth > 6) return false;
  if (node->op() == OpId::kMatMul) return !HasConstantMatrix(*node);
  if (node->op() == OpId::kDiv || node->op() == OpId::kReshape) {
    return LeadsToScores(node->input(0), depth + 1);
  }
  if (node->op() == OpId::kWhere) {
    return LeadsToScores(node->input(1), depth + 1) || LeadsToScores(node->input(2), depth + 1);
  }
  if (node->op() != OpId::kAdd && node->op() != OpId::kMul) return false;
  return LeadsToScores(node->input(0), depth + 1) || LeadsToScores(node->input(1), depth + 1);
}

// One step from the softmax towards the product: what lies below, or null.
Value* StepDown(ir::Node* node, Match* m) {
  const auto below = [&](size_t i) {
    Value* x = node->input(i);
    return x->shape() == node->output()->shape() && LeadsToScores(x) ? x : nullptr;
  };
  switch (node->op()) {
    case OpId::kMul:
    case OpId::kDiv:
      for (size_t i = 0; i < (node->op() == OpId::kDiv ? 1u : 2u); ++i) {
        const std::optional<double> number = ScalarOf(node->input(1 - i));
        if (!number || below(i) == nullptr) continue;
        m->scale = node->op() == OpId::kDiv ? m->scale / *number : m->scale * *number;
        return below(i);
      }
      m->why_not = "a factor of its scores is no number";
      return nullptr;
    case OpId::kAdd:
      for (size_t i = 0; i < 2; ++i) {
        if (below(i) == nullptr) continue;
        m->terms.push_back({node->input(1 - i), m->scale, false, node->output()->rank()});
        return below(i);
      }
      break;
    case OpId::kReshape: {
      // The heads of a product of rank 3, apart again.
      Value* x = node->input(0);
      const Shape &flat = x->shape(), &split = node->output()->shape();
      if (flat.size() == 3 && split.size() == 4 && flat[1] == split[2] && flat[2] == split[3] &&
          LeadsToScores(x)) {
        return x;
      }
      break;
    }
    case OpId::kWhere:
      for (size_t i = 1; i < 3; ++i) {
        if (below(i) == nullptr) continue;
        if (!IsMaskedScore(node->input(3 - i)) || m->scale <= 0) {
          m->why_not = "what a mask puts in the place of scores is not minus infinity (or -1e30)";
          return nullptr;
        }
        Term term{node->input(0), 1.0, i == 2, node->output()->rank()};
        const double fill = *ScalarOf(node->input(3 - i));
        if (std::isfinite(fill)) term.masked = std::max(fill * m->scale, -3.4028234e38);
        m->terms.push_back(term);
        return below(i);
      }
      break;
    default:
      break;
  }
  m->why_not =
      absl::StrFormat("%s lies between its scores and the softmax", OpRow(node->op()).name);
  return nullptr;
}

// Fills m from the softmax down. False with a reason if this is near to attention, without one if
// it is far from it.
bool FindScores(const ir::Graph& graph, Match* m) {
  Value* value = m->softmax->input(0);
  for (int depth = 0; depth < 8; ++depth) {
    ir::Node* node = value->producer();
    if (node == nullptr || (depth == 0 && !LeadsToScores(value))) return false;
    const auto known = [&](const ir::Node* user) {
      return (depth == 0 && (user == m->softmax || user == m->empty_test)) ||
             value->users().size() == 1;
    };
    if (graph.IsOutput(value) ||
        !std::all_of(value->users().begin(), value->users().end(), known)) {
      m->why_not = "its scores are used elsewhere";
      return false;
    }
    if (node->op() == OpId::kMatMul) {
      m->product = node;
      // A row of which every key is masked weighs them alike; what it weighs depends on all masks.
      if (m->terms.size() > 1 && std::any_of(m->terms.begin(), m->terms.end(),
                                             [](const Term& term) { return term.finite(); })) {
        m->why_not = "a mask puts a finite number in the place of scores beside another mask";
        return false;
      }
      return true;
    }
    value = StepDown(node, m);
    if (value == nullptr) return false;
  }
  m->why_not = "too much lies between its scores and the softmax";
  return false;
}

bool IsZero(const Value* value) {
  const ir::Node* fill = ProducedBy(value, OpId::kConstantOfShape);
  return ScalarOf(value) == 0.0 || (fill != nullptr && fill->Float("value") == 0.0);
}

// The test of rows for "no element differs from minus infinity", if `value` says that of scores.
const ir::Node* EmptyTest(const Value* value, const Value* scores) {
  const ir::Node* node = ProducedBy(value, OpId::kLogicalNot);
  const auto below_casts = [](const Value* v) {
    while (const ir::Node* cast = ProducedBy(v, OpId::kCast)) v = cast->input(0);
    return v;
  };
  const ir::Node* any =
      node == nullptr ? nullptr : ProducedBy(below_casts(node->input(0)), OpId::kReduce);
  if (any == nullptr || static_cast<ReduceKind>(any->Int("kind")) != ReduceKind::kMax ||
      any->Int("keepdims") == 0 ||
      any->Ints("axes") != std::vector<int64_t>{static_cast<int64_t>(scores->rank()) - 1}) {
    return nullptr;
  }
  const ir::Node* differs = ProducedBy(below_casts(any->input(0)), OpId::kLogicalNot);
  const ir::Node* equal =
      differs == nullptr ? nullptr : ProducedBy(differs->input(0), OpId::kEqual);
  const bool fits = equal != nullptr && equal->input(0) == scores &&
                    ScalarOf(equal->input(1)) == -std::numeric_limits<double>::infinity();
  return fits ? equal : nullptr;
}

// The softmax that gives the weights of a product: as they are, with its heads joined, or with 0
// for rows without keys. False if there is none.
bool FindSoftmax(const ir::Graph& graph, const ir::Node& node, Match* m) {
  const Value* weights = node.input(0);
  const ir::Node* join = ProducedBy(weights, OpId::kReshape);
  if (join != nullptr && join->input(0)->rank() == 4 && weights->rank() == 3 &&
      join->input(0)->shape()[2] == weights->shape()[1] &&
      join->input(0)->shape()[3] == weights->shape()[2] && HasOneUse(graph, weights)) {
    weights = join->input(0);
  }
  const ir::Node* where = ProducedBy(weights, OpId::kWhere);
  if (where != nullptr && IsZero(where->input(1))) {
    const ir::Node* softmax = ProducedBy(where->input(2), OpId::kSoftmax);
    const bool whole = softmax != nullptr && where->input(2)->shape() == weights->shape();
    m->empty_test = whole ? EmptyTest(where->input(0), softmax->input(0)) : nullptr;
    // ONNX exporters write the same as "0 where the weight is NaN".
    const ir::Node* is_nan = ProducedBy(where->input(0), OpId::kIsNan);
    if (whole && is_nan != nullptr && is_nan->input(0) == where->input(2)) m->nan_test = is_nan;
    if ((m->empty_test == nullptr && m->nan_test == nullptr) || !HasOneUse(graph, weights)) {
      return false;
    }
    weights = where->input(2);
  }
  m->softmax = ProducedBy(weights, OpId::kSoftmax);
  return m->softmax != nullptr &&
         m->softmax->Int("axis") == static_cast<int64_t>(weights->rank()) - 1;
}

// --- operands ------------------------------------------------------------------------------------

// Writes nodes in front of one node.
class Writer {
 public:
  Writer(ir::Graph& graph, ir::Node* before) : graph_(graph), before_(before) {}

  absl::StatusOr<Value*> Reshape(Value* x, Shape shape) {
    if (x->shape() == shape) return x;
    return InsertTyped(graph_, before_, OpId::kReshape, {x}, {}, x->name() + "_heads",
                       before_->provenance, x->dtype(), std::move(shape));
  }
  absl::StatusOr<Value*> Emit(OpId op, std::vector<Value*> inputs, Attrs attrs,
                              const std::string& name) {
    return Insert(graph_, before_, op, std::move(inputs), std::move(attrs), name,
                  before_->provenance);
  }
  Value* Number(double v) { return AddFloats(graph_, before_->output()->name() + "_n", {v}, {}); }
  // The last two axes swapped; a transpose in front is joined with it.
  absl::StatusOr<Value*> Swapped(Value* x) {
    std::vector<int64_t> perm(x->rank());
    for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i);
    if (const ir::Node* first = ProducedBy(x, OpId::kTranspose)) {
      perm = first->Ints("perm");
      x = first->input(0);
    }
    std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
    if (std::is_sorted(perm.begin(), perm.end())) return x;
    return Emit(OpId::kTranspose, {x}, {{"perm", std::move(perm)}}, x->name() + "_swapped");
  }

 private:
  ir::Graph& graph_;
  ir::Node* before_;
};

// The [B,H,...] that a reshape joined to `x` [B*H,...], or null.
Value* SplitOf(const Value* x) {
  const ir::Node* reshape = ProducedBy(x, OpId::kReshape);
  if (reshape == nullptr || reshape->input(0)->rank() != 4 || x->rank() != 3) return nullptr;
  Value* split = reshape->input(0);
  const bool same = split->shape()[2] == x->shape()[1] && split->shape()[3] == x->shape()[2];
  return same ? split : nullptr;
}

// [B,G,L,D] where `x` [B,G*n,L,D] repeats every head n times, else x.
absl::StatusOr<Value*> WithoutRepeats(Writer& w, Value* x) {
  const ir::Node* merge = ProducedBy(x, OpId::kReshape);
  const ir::Node* expand = merge == nullptr ? nullptr : ProducedBy(merge->input(0), OpId::kExpand);
  if (expand == nullptr || merge->input(0)->rank() != 5 || x->rank() != 4) return x;
  const Shape &wide = expand->output()->shape(), &narrow = expand->input(0)->shape();
  if (narrow.size() != 5 || narrow[2] != Dim(1)) return x;
  for (const size_t i : {0u, 1u, 3u, 4u}) {
    if (wide[i] != narrow[i]) return x;
  }
  const std::optional<Dim> heads = Dim::Mul(wide[1], wide[2]);
  if (!heads || x->shape() != Shape{wide[0], *heads, wide[3], wide[4]}) return x;
  return w.Reshape(expand->input(0), {narrow[0], narrow[1], narrow[3], narrow[4]});
}

struct Operands {
  Value *q = nullptr, *k = nullptr, *v = nullptr;
};

// q, k and v as [B,H,...], from products of rank 2, 3 or 4, for a softmax of `scores`.
absl::StatusOr<Operands> HeadsOf(Writer& w, Value* q, Value* keys, Value* v, const Shape& scores) {
  Operands o;
  const size_t rank = q->rank();
  if (keys->rank() != rank || v->rank() != rank) return o;
  if (rank == 3 && scores.size() == 4) {
    // Shared among heads: no [B,H,...].
    if (keys->shape()[0] != q->shape()[0] || v->shape()[0] != q->shape()[0]) return o;
    for (Value** x : {&q, &keys, &v}) {
      const Shape tail((*x)->shape().begin() + 1, (*x)->shape().end());
      FLOE_TRY_ASSIGN(*x, w.Reshape(*x, {scores[0], scores[1], tail[0], tail[1]}));
    }
  } else if (rank == 3) {
    Value* q4 = SplitOf(q);
    Value* v4 = SplitOf(v);
    Value* t4 = SplitOf(keys);
    if (t4 == nullptr) {
      FLOE_TRY_ASSIGN(Value * swapped, w.Swapped(keys));
      Value* k4 = SplitOf(swapped);
      if (k4 != nullptr) {
        FLOE_TRY_ASSIGN(t4, w.Swapped(k4));
      }
    }
    if (q4 != nullptr && v4 != nullptr && t4 != nullptr && q4->shape()[0] == t4->shape()[0] &&
        q4->shape()[0] == v4->shape()[0]) {
      q = q4;
      keys = t4;
      v = v4;
    }
  }
  if (q->rank() < 2 || q->rank() > 4) return o;
  const auto widened = [&](Value* x) {
    Shape shape = x->shape();
    if (shape.size() == 2) shape.insert(shape.begin(), Dim(1));
    if (shape.size() == 3) shape.insert(shape.begin() + 1, Dim(1));
    return w.Reshape(x, std::move(shape));
  };
  FLOE_TRY_ASSIGN(o.q, widened(q));
  FLOE_TRY_ASSIGN(keys, widened(keys));
  FLOE_TRY_ASSIGN(o.v, widened(v));
  FLOE_TRY_ASSIGN(o.v, WithoutRepeats(w, o.v));
  FLOE_TRY_ASSIGN(o.k, w.Swapped(keys));
  FLOE_TRY_ASSIGN(o.k, WithoutRepeats(w, o.k));
  return o;
}

// Why op attention does not take these, or null.
const char* Misfit(const Operands& o) {
  if (o.q == nullptr) return "its operands have other ranks than 2 to 4";
  const Shape &q = o.q->shape(), &k = o.k->shape(), &v = o.v->shape();
  if (q[0] != k[0] || q[0] != v[0]) return "its operands have different batches";
  const std::optional<Dim> group = Dim::DivExact(q[1], k[1]);
  if (k[1] != v[1] || !group || !group->is_constant() || group->constant() < 1) {
    return "the heads of its operands do not fit each other";
  }
  if (k[2] != v[2] || q[3] != k[3]) return "its operands do not fit each other";
  return nullptr;
}

// --- masks ---------------------------------------------------------------------------------------

// A mask for scores [B,H,S,L], made for scores of `rank`.
absl::StatusOr<Value*> AlignedMask(Writer& w, Value* mask, size_t rank, const Operands& o) {
  if (mask->rank() < 3 || rank == 4) return mask;
  if (mask->shape()[0] == Dim(1)) return mask;
  // [B*H,S,L], or [B,S,L] where there is one head.
  const Shape tail(mask->shape().begin() + 1, mask->shape().end());
  return w.Reshape(mask, {o.q->shape()[0], o.q->shape()[1], tail[0], tail[1]});
}

struct Masks {
  Value* mask = nullptr;
  int64_t causal = 0;
};

// All terms as one operand; what only says "no later key" becomes the attribute.
absl::StatusOr<Masks> JoinMasks(Writer& w, const std::vector<Term>& terms, const Operands& o) {
  Masks m;
  const Dim &queries = o.q->shape()[2], &keys = o.k->shape()[2];
  std::vector<Term> rest;
  for (Term term : terms) {
    if (term.inverted) {
      FLOE_TRY_ASSIGN(term.value,
                      w.Emit(OpId::kLogicalNot, {term.value}, {}, term.value->name() + "_kept"));
    }
    const std::optional<int64_t> causal =
        term.factor > 0 && m.causal == 0 ? CausalityOf(term.value, queries, keys) : std::nullopt;
    // With more queries than keys the first rows have none: a finite number weighs all keys alike.
    if (causal && !(term.finite() && *causal == 2 && queries != keys)) {
      m.causal = *causal;
    } else {
      rest.push_back(term);
    }
  }
  for (const Term& term : rest) {
    FLOE_TRY_ASSIGN(Value * value, AlignedMask(w, term.value, term.rank, o));
    const std::string name = value->name() + "_mask";
    if (value->dtype() != DType::kBool && term.factor != 1.0) {
      FLOE_TRY_ASSIGN(value, w.Emit(OpId::kMul, {value, w.Number(term.factor)}, {}, name));
    }
    if (value->dtype() == DType::kBool && (rest.size() > 1 || term.finite())) {
      Value* masked = w.Number(term.masked);
      FLOE_TRY_ASSIGN(value, w.Emit(OpId::kWhere, {value, w.Number(0), masked}, {}, name));
    }
    if (m.mask != nullptr) {
      FLOE_TRY_ASSIGN(value, w.Emit(OpId::kAdd, {m.mask, value}, {}, name));
    }
    m.mask = value;
  }
  return m;
}

// The choice of 0 behind the product `y` for rows whose mask is minus infinity everywhere, as
// PyTorch's op has it, or null.
ir::Node* ZeroEmptyOf(const ir::Graph& graph, const Value* y, const std::vector<Term>& terms) {
  if (!HasOneUse(graph, y) || terms.size() != 1 || terms[0].factor != 1.0) return nullptr;
  ir::Node* where = y->users()[0];
  if (where->op() != OpId::kWhere || where->input(2) != y ||
      where->output()->shape() != y->shape() || ScalarOf(where->input(1)) != 0.0) {
    return nullptr;
  }
  const ir::Node* equal = ProducedBy(where->input(0), OpId::kEqual);
  const ir::Node* most = equal == nullptr ? nullptr : ProducedBy(equal->input(0), OpId::kReduce);
  if (most == nullptr || most->input(0) != terms[0].value || most->Int("keepdims") == 0 ||
      static_cast<ReduceKind>(most->Int("kind")) != ReduceKind::kMax ||
      ScalarOf(equal->input(1)) != -std::numeric_limits<double>::infinity()) {
    return nullptr;
  }
  const auto last = static_cast<int64_t>(most->input(0)->rank()) - 1;
  return most->Ints("axes") == std::vector<int64_t>{last} ? where : nullptr;
}

// --- the pass ------------------------------------------------------------------------------------

absl::Status Rewrite(ir::Graph& graph, ir::Node* node, Match& m, Report& report) {
  ir::Node* zero_empty = ZeroEmptyOf(graph, node->output(), m.terms);
  ir::Node* last = zero_empty != nullptr ? zero_empty : node;
  Writer w(graph, last);
  FLOE_TRY_ASSIGN(const Operands o, HeadsOf(w, m.product->input(0), m.product->input(1),
                                            node->input(1), m.softmax->output()->shape()));
  if (const char* misfit = Misfit(o)) {
    m.why_not = misfit;
    return absl::OkStatus();
  }
  if (o.k->shape()[2].Min(graph.symbols) < 1 || o.q->shape()[3].Min(graph.symbols) < 1 ||
      !(std::fabs(m.scale) <= 1e30)) {
    m.why_not = "it may have no keys, or its scale is no ordinary number";
    return absl::OkStatus();
  }
  FLOE_TRY_ASSIGN(const Masks masks, JoinMasks(w, m.terms, o));
  std::vector<Value*> inputs = {o.q, o.k, o.v};
  const bool zeros = zero_empty != nullptr || m.empty_test != nullptr || m.nan_test != nullptr;
  if (masks.mask != nullptr) inputs.push_back(masks.mask);
  FLOE_TRY_ASSIGN(Value * y, w.Emit(OpId::kAttention, std::move(inputs),
                                    {{"scale", m.scale},
                                     {"causal", masks.causal},
                                     {"zero_empty", static_cast<int64_t>(zeros)}},
                                    last->output()->name()));
  const Shape& shape = last->output()->shape();
  if (y->shape() != shape) {
    FLOE_TRY_ASSIGN(y, w.Reshape(y, shape));
  }
  report.Add(absl::StrFormat("recognised attention at %s: %s%s", NameOf(*node),
                             masks.causal != 0 ? "causal, " : "",
                             masks.mask == nullptr                 ? "no mask"
                             : masks.mask->dtype() == DType::kBool ? "a mask of keys that take part"
                                                                   : "an added mask"));
  Replace(graph, last, y);
  return absl::OkStatus();
}

}  // namespace

absl::Status RecogniseAttention(ir::Graph& graph, Report& report) {
  // A list of its own: a rewrite erases what is behind the product, too, but never another product.
  std::vector<ir::Node*> products;
  for (const auto& node : graph.nodes()) {
    Match m;
    if (node->op() == OpId::kMatMul && node->output()->dtype() == DType::kF32 &&
        !HasConstantMatrix(*node) && FindSoftmax(graph, *node, &m)) {
      products.push_back(node.get());
    }
  }
  for (ir::Node* node : products) {
    Match m;
    if (!FindSoftmax(graph, *node, &m)) continue;
    const std::string name = NameOf(*m.softmax);
    const size_t readers = m.nan_test != nullptr ? 2 : 1;
    if (m.softmax->output()->users().size() != readers || graph.IsOutput(m.softmax->output()) ||
        !HasOneUse(graph, node->input(0))) {
      m.why_not = "its weights are used elsewhere";
    } else if (FindScores(graph, &m)) {
      FLOE_TRY(Rewrite(graph, node, m, report));
    }
    if (!m.why_not.empty()) report.Add(absl::StrFormat("no attention at %s: %s", name, m.why_not));
  }
  graph.EraseUnusedConstants();
  return absl::OkStatus();
}

}  // namespace floe::passes
