#include "compiler/lower/head_view.h"

#include <algorithm>
#include <list>

namespace floe::lower {
namespace {

using ir::Dim;
using ir::Shape;

// A factor of an axis of the base, of which `extent` elements from `low` on are seen.
struct Atom {
  Dim size, extent;
  int64_t low = 0;
};

// A value as factors of the base's axes: `order` has all of them as the base stores them, `axes`
// the seen ones (of extent other than 1) for each axis of the value.
class Factored {
 public:
  explicit Factored(const Shape& base) {
    for (const Dim& d : base) {
      Atom* atom = NewAtom(order_.end(), {d, d, 0});
      axes_.emplace_back();
      if (d != Dim(1)) axes_.back().push_back(atom);
    }
  }

  // False if the node's result is no such view.
  bool Apply(const ir::Node& node) {
    switch (node.op()) {
      case OpId::kIdentity:
        return true;
      case OpId::kTranspose: {
        std::vector<std::vector<Atom*>> moved;
        for (const int64_t axis : node.Ints("perm")) {
          moved.push_back(axes_[static_cast<size_t>(axis)]);
        }
        axes_ = std::move(moved);
        return true;
      }
      case OpId::kReshape:
        return Reshape(node.output()->shape());
      case OpId::kSlice:
        for (size_t i = 0; i < axes_.size(); ++i) {
          if (node.Ints("steps")[i] != 1) return false;
          const Dim &before = node.input(0)->shape()[i], &after = node.output()->shape()[i];
          if (!Cut(&axes_[i], before, node.Ints("starts")[i], after)) return false;
        }
        return true;
      case OpId::kGather:
        return Select(node);
      default:
        return false;
    }
  }

  // As a view of four axes; `moves` and `base` are the caller's.
  std::optional<HeadView> Heads(bool any_order) const;

 private:
  using Order = std::list<Atom>;

  Atom* NewAtom(Order::iterator before, Atom atom) { return &*order_.insert(before, atom); }

  // Splits an atom into an outer part and one of `inner` elements, which is returned; null if what
  // is seen of it does not consist of whole inner parts.
  Atom* Split(Atom* atom, int64_t inner) {
    if (!atom->size.is_constant() || !atom->extent.is_constant() || inner < 1) return nullptr;
    const int64_t size = atom->size.constant(), extent = atom->extent.constant();
    if (size % inner != 0 || extent % inner != 0 || atom->low % inner != 0) return nullptr;
    *atom = {size / inner, extent / inner, atom->low / inner};
    auto at =
        std::find_if(order_.begin(), order_.end(), [atom](const Atom& a) { return &a == atom; });
    return NewAtom(std::next(at), {inner, inner, 0});
  }

  // The atoms from the front of *rest that make up an axis of `dim`.
  std::optional<std::vector<Atom*>> TakeAxis(const Dim& dim, std::vector<Atom*>* rest) {
    std::vector<Atom*> axis;
    Dim product(1);
    while (product != dim) {
      if (rest->empty()) return std::nullopt;
      Atom* atom = rest->front();
      rest->erase(rest->begin());
      axis.push_back(atom);
      // What the axis still lacks, if that is a number smaller than the atom: it ends inside it.
      const std::optional<Dim> lacks = Dim::DivExact(dim, product);
      if (lacks && lacks->is_constant() && atom->extent.is_constant() &&
          lacks->constant() < atom->extent.constant()) {
        if (lacks->constant() < 1 || atom->extent.constant() % lacks->constant() != 0) {
          return std::nullopt;
        }
        Atom* inner = Split(atom, atom->extent.constant() / lacks->constant());
        if (inner == nullptr) return std::nullopt;
        rest->insert(rest->begin(), inner);
        return axis;
      }
      const std::optional<Dim> next = Dim::Mul(product, atom->extent);
      if (!next) return std::nullopt;
      product = *next;
    }
    return axis;
  }

  bool Reshape(const Shape& shape) {
    std::vector<Atom*> rest;
    for (const auto& axis : axes_) rest.insert(rest.end(), axis.begin(), axis.end());
    std::vector<std::vector<Atom*>> axes;
    for (const Dim& dim : shape) {
      std::optional<std::vector<Atom*>> axis = TakeAxis(dim, &rest);
      if (!axis) return false;
      axes.push_back(*std::move(axis));
    }
    axes_ = std::move(axes);
    DropOnes();
    return rest.empty();
  }

  void DropOnes() {
    for (auto& axis : axes_) {
      std::erase_if(axis, [](const Atom* a) { return a->extent == Dim(1); });
    }
  }

  // Keeps `after` elements from `start` on.
  bool Cut(std::vector<Atom*>* axis, const Dim& before, int64_t start, const Dim& after) {
    if (before == after) return start == 0;
    if (axis->empty() || !after.is_constant()) return false;
    int64_t inner = 1;
    for (size_t i = 1; i < axis->size(); ++i) {
      if (!(*axis)[i]->extent.is_constant()) return false;
      inner *= (*axis)[i]->extent.constant();
    }
    Atom* atom = axis->front();
    if (inner < 1 || !atom->extent.is_constant()) return false;
    if (start % inner != 0 || after.constant() % inner != 0) return false;
    atom->low += start / inner;
    atom->extent = after.constant() / inner;
    DropOnes();
    return true;
  }

  // Gather with one constant index of an axis, which disappears.
  bool Select(const ir::Node& node) {
    const ir::Value* index = node.input(1);
    if (!index->is_constant() || index->rank() != 0) return false;
    const auto axis = static_cast<size_t>(node.Int("axis"));
    const Dim& size = node.input(0)->shape()[axis];
    if (!size.is_constant()) return false;
    int64_t at = index->constant().IntAt(0);
    if (at < 0) at += size.constant();
    if (at < 0 || at >= size.constant() || !Cut(&axes_[axis], size, at, Dim(1))) return false;
    axes_.erase(axes_.begin() + static_cast<ptrdiff_t>(axis));
    return true;
  }

  Order order_;
  std::vector<std::vector<Atom*>> axes_;
};

std::optional<HeadView> Factored::Heads(bool any_order) const {
  if (axes_.size() != 4) return std::nullopt;
  for (const auto& axis : axes_) {
    if (axis.size() > 1) return std::nullopt;
  }
  const auto on = [&](size_t axis) { return axes_[axis].empty() ? nullptr : axes_[axis].front(); };
  for (const size_t axis : {0u, 2u, 3u}) {
    const Atom* atom = on(axis);
    if (atom != nullptr && (atom->low != 0 || atom->extent != atom->size)) return std::nullopt;
  }
  if (on(3) == nullptr) return std::nullopt;
  // What is seen of no axis is one index of a part; parts and heads must be neighbours, as one
  // axis.
  HeadView view;
  std::vector<std::pair<int, Dim>> order;  // Logical axis and size, as stored.
  int64_t head_size = 1;
  bool in_heads = false, heads_done = false;
  for (const Atom& atom : order_) {
    if (atom.size == Dim(1)) continue;
    int axis = 1;
    for (const int i : {0, 2, 3}) {
      if (on(static_cast<size_t>(i)) == &atom) axis = i;
    }
    if (axis != 1) {
      heads_done = heads_done || in_heads;
      order.emplace_back(axis, atom.size);
      continue;
    }
    if (heads_done || !atom.size.is_constant()) return std::nullopt;
    const int64_t size = atom.size.constant();
    view.first = view.first * size + atom.low;
    view.step = on(1) == &atom ? 1 : in_heads ? view.step * size : 1;
    head_size *= size;
    if (!in_heads) order.emplace_back(1, Dim(1));
    order.back().second = head_size;
    in_heads = true;
  }
  if (on(1) == nullptr) view.step = 1;
  // Axes of length 1 go in front.
  for (const int axis : {1, 2, 0}) {
    const auto is = [axis](const auto& entry) { return entry.first == axis; };
    if (std::none_of(order.begin(), order.end(), is)) order.insert(order.begin(), {axis, Dim(1)});
  }
  if (order.size() != 4) return std::nullopt;
  for (size_t i = 0; i < 4; ++i) {
    view.axes[order[i].first] = static_cast<int64_t>(i);
    view.shape.push_back(order[i].second);
  }
  if (!any_order && view.axes[3] != 3) return std::nullopt;
  return view;
}

}  // namespace

HeadView ViewOfHeads(const ir::Value* value, bool any_order) {
  std::vector<const ir::Node*> moves;
  const ir::Value* base = value;
  constexpr size_t kMost = 12;
  while (moves.size() < kMost && base->producer() != nullptr) {
    const ir::Node* node = base->producer();
    const OpId op = node->op();
    if (op != OpId::kIdentity && op != OpId::kTranspose && op != OpId::kReshape &&
        op != OpId::kSlice && op != OpId::kGather) {
      break;
    }
    moves.insert(moves.begin(), node);
    base = node->input(0);
  }
  for (size_t skip = 0; skip <= moves.size(); ++skip) {
    const ir::Value* from = skip == moves.size() ? value : moves[skip]->input(0);
    Factored factored(from->shape());
    bool fits = true;
    for (size_t i = skip; i < moves.size() && fits; ++i) fits = factored.Apply(*moves[i]);
    std::optional<HeadView> view = fits ? factored.Heads(any_order) : std::nullopt;
    if (!view) continue;
    view->base = from;
    view->moves.assign(moves.begin() + static_cast<ptrdiff_t>(skip), moves.end());
    return *std::move(view);
  }
  HeadView itself;
  itself.base = value;
  itself.shape = value->shape();
  return itself;
}

}  // namespace floe::lower
