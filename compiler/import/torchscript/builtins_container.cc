// Lists, tuples and dicts.
#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torchscript/builtins.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

using aten::Kind;
using Result = absl::StatusOr<IValue>;
using Items = std::vector<std::pair<IValue, IValue>>;

int64_t SizeOf(const IValue& list) { return static_cast<int64_t>(list.items().size()); }

// Position of an element; an error outside of the list.
absl::StatusOr<size_t> Index(const IValue& index, int64_t n) {
  FLOE_TRY_ASSIGN(int64_t i, ConstantInt(index, "the index of a list"));
  if (i < 0) i += n;
  if (i >= 0 && i < n) return static_cast<size_t>(i);
  return absl::InvalidArgumentError(
      absl::StrFormat("the index %d is outside of a list of %d elements", i < 0 ? i - n : i, n));
}

absl::StatusOr<IValue*> FindKey(const IValue& dict, const IValue& key) {
  for (auto& [k, v] : dict.dict()->items) {
    FLOE_TRY_ASSIGN(const bool same, Equal(k, key));
    if (same) return &v;
  }
  return nullptr;
}

Result KeyError(const IValue& key) {
  return absl::InvalidArgumentError(absl::StrFormat("the dict has no key %s", TextOf(key)));
}

Result Len(const BuiltinCall& c) { return IValue::Int(SizeOf(c[0])); }
Result LenDict(const BuiltinCall& c) {
  return IValue::Int(static_cast<int64_t>(c[0].dict()->items.size()));
}

// An element by an index that is known at run time only: numbers become a table that is read.
Result ItemAtRunTime(const BuiltinCall& c) {
  const std::vector<IValue>& items = c[0].items();
  if (items.empty()) return absl::InvalidArgumentError("an element of an empty list");
  const bool tensors =
      std::all_of(items.begin(), items.end(), [](const IValue& v) { return v.is_tensor(); });
  const Kind kind = items[0].kind();
  std::vector<IValue> parts;
  for (const IValue& item : items) {
    if (tensors) {
      parts.push_back(item);
      continue;
    }
    if (!item.is_number() || item.kind() != kind) {
      return absl::UnimplementedError("a list is indexed by a number that depends on data");
    }
    const DType dtype = kind == Kind::kFloat ? DType::kF64
                        : kind == Kind::kInt ? DType::kI64
                                             : DType::kBool;
    FLOE_TRY_ASSIGN(aten::VariablePtr part, c.in.NumberTensor(item, dtype));
    parts.push_back(IValue::Tensor(std::move(part)));
  }
  FLOE_TRY_ASSIGN(aten::VariablePtr index, c.in.NumberTensor(c[1], DType::kI64));
  // Negative indices count from the end; others outside fail the run.
  FLOE_TRY_ASSIGN(IValue table,
                  c.in.Aten("aten::stack", {IValue::ListOf(parts), IValue::Int(0)}, c.site));
  FLOE_TRY_ASSIGN(
      IValue row,
      c.in.Aten("aten::reshape", {IValue::Tensor(std::move(index)), IValue::Ints({1})}, c.site));
  FLOE_TRY_ASSIGN(IValue picked,
                  c.in.Aten("aten::index_select", {table, IValue::Int(0), row}, c.site));
  FLOE_TRY_ASSIGN(picked, c.in.Aten("aten::squeeze.dim", {picked, IValue::Int(0)}, c.site));
  return tensors ? picked : c.in.ElementOf(picked, kind, c.site);
}

Result GetItem(const BuiltinCall& c) {
  if (!c[1].is_constant_int()) return ItemAtRunTime(c);
  FLOE_TRY_ASSIGN(const size_t i, Index(c[1], SizeOf(c[0])));
  return c[0].items()[i];
}

Result GetDictItem(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(IValue * value, FindKey(c[0], c[1]));
  return value == nullptr ? KeyError(c[1]) : *value;
}

Result SetListItem(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const size_t i, Index(c[1], SizeOf(c[0])));
  FLOE_TRY(c.in.CheckNesting(c[2], c[0].list().get()));
  c[0].items()[i] = c[2];
  return c[0];
}
Result SetDictItem(const BuiltinCall& c) {
  FLOE_TRY(c.in.CheckNesting(c[2], c[0].dict().get()));
  FLOE_TRY(SetItem(c[0], c[1], c[2]));
  return IValue();
}

Result Append(const BuiltinCall& c) {
  FLOE_TRY(c.in.CountElements(1));
  FLOE_TRY(c.in.CheckNesting(c[1], c[0].list().get()));
  c[0].items().push_back(c[1]);
  if (c[0].list()->element == Kind::kNone) c[0].list()->element = c[1].kind();
  return c[0];
}

Result Extend(const BuiltinCall& c) {
  const std::vector<IValue> added = c[1].items();  // May be the same list.
  FLOE_TRY(c.in.CountElements(added.size()));
  for (const IValue& item : added) FLOE_TRY(c.in.CheckNesting(item, c[0].list().get()));
  c[0].items().insert(c[0].items().end(), added.begin(), added.end());
  return IValue();
}

Result Insert(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(int64_t i, ConstantInt(c[1], "the index of a list"));
  const int64_t n = SizeOf(c[0]);
  i = std::clamp<int64_t>(i < 0 ? i + n : i, 0, n);
  FLOE_TRY(c.in.CountElements(1));
  FLOE_TRY(c.in.CheckNesting(c[2], c[0].list().get()));
  c[0].items().insert(c[0].items().begin() + i, c[2]);
  return IValue();
}

Result Pop(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const size_t i, Index(c.size() > 1 ? c[1] : IValue::Int(-1), SizeOf(c[0])));
  IValue value = c[0].items()[i];
  c[0].items().erase(c[0].items().begin() + static_cast<std::ptrdiff_t>(i));
  return value;
}

Result Delete(const BuiltinCall& c) {
  FLOE_TRY(Pop(c).status());
  return IValue();
}

Result PopDict(const BuiltinCall& c) {
  Items& items = c[0].dict()->items;
  FLOE_TRY_ASSIGN(IValue * value, FindKey(c[0], c[1]));
  if (value == nullptr) return c.size() > 2 ? Result(c[2]) : KeyError(c[1]);
  IValue taken = *value;
  items.erase(std::find_if(items.begin(), items.end(),
                           [&](const auto& item) { return &item.second == value; }));
  return taken;
}
Result DeleteDict(const BuiltinCall& c) {
  FLOE_TRY(PopDict(c).status());
  return IValue();
}
Result PopItem(const BuiltinCall& c) {
  Items& items = c[0].dict()->items;
  if (items.empty()) return absl::InvalidArgumentError("popitem() of an empty dict");
  IValue item = IValue::TupleOf({items.back().first, items.back().second});
  items.pop_back();
  return item;
}

Result Clear(const BuiltinCall& c) {
  if (c[0].kind() == Kind::kDict) {
    c[0].dict()->items.clear();
  } else {
    c[0].items().clear();
  }
  return IValue();
}

Result Reverse(const BuiltinCall& c) {
  std::reverse(c[0].items().begin(), c[0].items().end());
  return IValue();
}

Result Copy(const BuiltinCall& c) {
  FLOE_TRY(c.in.CountElements(c[0].items().size()));
  return IValue::ListOf(c[0].items(), c[0].list()->element);
}
Result CopyDict(const BuiltinCall& c) {
  FLOE_TRY(c.in.CountElements(c[0].dict()->items.size()));
  IValue copy = IValue::NewDict();
  copy.dict()->items = c[0].dict()->items;
  return copy;
}

Result Concat(const BuiltinCall& c) {
  std::vector<IValue> items = c[0].items();
  FLOE_TRY(c.in.CountElements(items.size() + c[1].items().size()));
  items.insert(items.end(), c[1].items().begin(), c[1].items().end());
  const Kind element =
      c[0].list()->element == Kind::kNone ? c[1].list()->element : c[0].list()->element;
  return IValue::ListOf(std::move(items), element);
}
Result ConcatTuple(const BuiltinCall& c) {
  std::vector<IValue> items = c[0].items();
  items.insert(items.end(), c[1].items().begin(), c[1].items().end());
  FLOE_TRY(c.in.CountElements(items.size()));
  return IValue::TupleOf(std::move(items));
}
Result AddInPlace(const BuiltinCall& c) {
  FLOE_TRY(Extend(c).status());
  return c[0];
}

Result Repeat(const BuiltinCall& c) {
  const bool left = c[0].kind() == Kind::kList;
  const IValue& list = left ? c[0] : c[1];
  FLOE_TRY_ASSIGN(const int64_t n, ConstantInt(left ? c[1] : c[0], "the length of a list"));
  std::vector<IValue> items;
  for (int64_t i = 0; i < n; ++i) {
    FLOE_TRY(c.in.CountElements(list.items().size() + 1));
    items.insert(items.end(), list.items().begin(), list.items().end());
  }
  return IValue::ListOf(std::move(items), list.list()->element);
}

Result Slice(const BuiltinCall& c) {
  const int64_t n = SizeOf(c[0]);
  int64_t step = 1;
  if (c.size() > 3 && !c[3].is_none()) {
    FLOE_TRY_ASSIGN(step, ConstantInt(c[3], "the step of a slice"));
  }
  if (step == 0 || step < -(int64_t{1} << 40)) {
    return absl::InvalidArgumentError("a slice with a step of 0");
  }
  const auto bound = [&](size_t i, int64_t otherwise) -> absl::StatusOr<int64_t> {
    if (c.size() <= i || c[i].is_none()) return otherwise;
    FLOE_TRY_ASSIGN(int64_t v, ConstantInt(c[i], "the bound of a slice"));
    if (v < 0) v = std::max<int64_t>(v, -n - 1) + n;
    return step > 0 ? std::clamp<int64_t>(v, 0, n) : std::clamp<int64_t>(v, -1, n - 1);
  };
  FLOE_TRY_ASSIGN(const int64_t begin, bound(1, step > 0 ? 0 : n - 1));
  FLOE_TRY_ASSIGN(const int64_t end, bound(2, step > 0 ? n : -1));
  std::vector<IValue> items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    items.push_back(c[0].items()[static_cast<size_t>(i)]);
    if (step > 0 && end - i <= step) break;
    i += step;
  }
  FLOE_TRY(c.in.CountElements(items.size()));
  return IValue::ListOf(std::move(items), c[0].list()->element);
}

Result Contains(const BuiltinCall& c) {
  for (const IValue& item : c[0].items()) {
    FLOE_TRY_ASSIGN(const bool same, Equal(item, c[1]));
    if (same) return IValue::Bool(true);
  }
  return IValue::Bool(false);
}
Result ContainsKey(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const IValue* value, FindKey(c[0], c[1]));
  return IValue::Bool(value != nullptr);
}

Result Count(const BuiltinCall& c) {
  int64_t n = 0;
  for (const IValue& item : c[0].items()) {
    FLOE_TRY_ASSIGN(const bool same, Equal(item, c[1]));
    n += same ? 1 : 0;
  }
  return IValue::Int(n);
}
Result IndexOf(const BuiltinCall& c) {
  for (size_t i = 0; i < c[0].items().size(); ++i) {
    FLOE_TRY_ASSIGN(const bool same, Equal(c[0].items()[i], c[1]));
    if (same) return IValue::Int(static_cast<int64_t>(i));
  }
  return absl::InvalidArgumentError("the list has no such element");
}
Result Remove(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const IValue i, IndexOf(c));
  c[0].items().erase(c[0].items().begin() + i.int_value());
  return IValue();
}

absl::Status SortItems(std::vector<IValue>* items, bool reverse) {
  for (const IValue& v : *items) {
    const bool sortable = (v.is_known() && (v.kind() != Kind::kInt || v.is_constant_int())) ||
                          v.kind() == Kind::kString;
    if (!sortable || v.kind() != items->front().kind()) {
      return absl::UnimplementedError("a list is sorted whose elements are not known");
    }
  }
  std::stable_sort(items->begin(), items->end(), [&](const IValue& x, const IValue& y) {
    const IValue& a = reverse ? y : x;
    const IValue& b = reverse ? x : y;
    switch (a.kind()) {
      case Kind::kInt:
        return a.int_value() < b.int_value();
      case Kind::kFloat:
        return a.float_value() < b.float_value();
      case Kind::kBool:
        return a.bool_value() < b.bool_value();
      default:
        return a.string() < b.string();
    }
  });
  return absl::OkStatus();
}
Result Sort(const BuiltinCall& c) {
  FLOE_TRY(SortItems(&c[0].items(), c.size() > 1 && c[1].is_known() && c[1].bool_value()));
  return IValue();
}
Result Sorted(const BuiltinCall& c) {
  std::vector<IValue> items = c[0].items();
  FLOE_TRY(SortItems(&items, false));
  return IValue::ListOf(std::move(items), c[0].list()->element);
}

Result Keys(const BuiltinCall& c) {
  std::vector<IValue> keys;
  for (const auto& [key, value] : c[0].dict()->items) keys.push_back(key);
  FLOE_TRY(c.in.CountElements(keys.size()));
  return IValue::ListOf(std::move(keys));
}
Result Values(const BuiltinCall& c) {
  std::vector<IValue> values;
  for (const auto& [key, value] : c[0].dict()->items) values.push_back(value);
  FLOE_TRY(c.in.CountElements(values.size()));
  const Kind element = values.empty() ? Kind::kNone : values[0].kind();
  return IValue::ListOf(std::move(values), element);
}
Result ItemsOf(const BuiltinCall& c) {
  std::vector<IValue> items;
  for (const auto& [key, value] : c[0].dict()->items)
    items.push_back(IValue::TupleOf({key, value}));
  FLOE_TRY(c.in.CountElements(items.size()));
  return IValue::ListOf(std::move(items), Kind::kTuple);
}
Result Get(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const IValue* value, FindKey(c[0], c[1]));
  if (value != nullptr) return *value;
  return c.size() > 2 ? c[2] : IValue();
}
Result SetDefault(const BuiltinCall& c) {
  FLOE_TRY_ASSIGN(const IValue* value, FindKey(c[0], c[1]));
  if (value != nullptr) return *value;
  FLOE_TRY(c.in.CheckNesting(c[2], c[0].dict().get()));
  FLOE_TRY(SetItem(c[0], c[1], c[2]));
  return c[2];
}
Result Update(const BuiltinCall& c) {
  const Items added = c[1].dict()->items;
  for (const auto& [key, value] : added) {
    FLOE_TRY(c.in.CheckNesting(value, c[0].dict().get()));
    FLOE_TRY(SetItem(c[0], key, value));
  }
  return IValue();
}
Result NewDict(const BuiltinCall& c) {
  IValue dict = IValue::NewDict();
  if (c.size() == 0) return dict;
  if (c[0].kind() == Kind::kDict) return CopyDict(c);
  for (const IValue& item : c[0].items()) {
    if (!item.is_sequence() || item.items().size() != 2) {
      return absl::InvalidArgumentError("dict() of a list whose items are no pairs");
    }
    FLOE_TRY(SetItem(dict, item.items()[0], item.items()[1]));
  }
  return dict;
}

Result SumOfList(const BuiltinCall& c) {
  IValue sum = c[0].list()->element == Kind::kFloat ? IValue::Float(0) : IValue::Int(0);
  for (const IValue& item : c[0].items()) {
    FLOE_TRY_ASSIGN(sum, NumberBinary(c.in, "add", sum, item, c.site));
  }
  return sum;
}

Result AnyOrAll(const BuiltinCall& c, const char* op, bool start) {
  IValue result = IValue::Bool(start);
  for (const IValue& item : c[0].items()) {
    IValue truth = item;
    if (item.kind() == Kind::kString) {
      truth = IValue::Bool(!item.string().empty());
    } else if (item.kind() != Kind::kBool) {
      FLOE_TRY_ASSIGN(truth, NumberBinary(c.in, "ne", item, IValue::Int(0), c.site));
    }
    FLOE_TRY_ASSIGN(result, NumberBinary(c.in, op, result, truth, c.site));
  }
  return result;
}
Result Any(const BuiltinCall& c) { return AnyOrAll(c, "__or__", false); }
Result All(const BuiltinCall& c) { return AnyOrAll(c, "__and__", true); }

}  // namespace

absl::Status SetItem(const IValue& dict, const IValue& key, const IValue& value) {
  FLOE_TRY_ASSIGN(IValue * existing, FindKey(dict, key));
  if (existing != nullptr) {
    *existing = value;
  } else {
    dict.dict()->items.emplace_back(key, value);
  }
  return absl::OkStatus();
}

std::vector<BuiltinRow> ContainerBuiltins() {
  return {
      {"aten::len", "l", Len},
      {"aten::len", "t", Len},
      {"aten::len", "d", LenDict},
      {"aten::__getitem__", "li", GetItem},
      {"aten::__getitem__", "ti", GetItem},
      {"aten::__getitem__", "da", GetDictItem},
      {"aten::_set_item", "lia", SetListItem},
      {"aten::_set_item", "daa", SetDictItem},
      {"aten::append", "la", Append},
      {"aten::extend", "ll", Extend},
      {"aten::insert", "lia", Insert},
      {"aten::pop", "l?i", Pop},
      {"aten::pop", "da?a", PopDict},
      {"aten::popitem", "d", PopItem},
      {"aten::Delete", "li", Delete},
      {"aten::Delete", "da", DeleteDict},
      {"aten::clear", "l", Clear},
      {"aten::clear", "d", Clear},
      {"aten::reverse", "l", Reverse},
      {"aten::copy", "l", Copy},
      {"aten::copy", "d", CopyDict},
      {"aten::list", "l", Copy},
      {"aten::add", "ll", Concat},
      {"aten::add", "tt", ConcatTuple},
      {"aten::add_", "ll", AddInPlace},
      {"aten::mul", "li", Repeat},
      {"aten::mul", "il", Repeat},
      {"aten::slice", "l?aaa", Slice},
      {"aten::__contains__", "la", Contains},
      {"aten::__contains__", "da", ContainsKey},
      {"aten::count", "la", Count},
      {"aten::index", "loaa", IndexOf},
      {"aten::index", "lo", IndexOf},
      {"aten::remove", "la", Remove},
      {"aten::sort", "l?b", Sort},
      {"aten::sorted", "l", Sorted},
      {"aten::keys", "d", Keys},
      {"aten::values", "d", Values},
      {"aten::items", "d", ItemsOf},
      {"aten::get", "da?a", Get},
      {"aten::setdefault", "daa", SetDefault},
      {"aten::update", "dd", Update},
      {"aten::dict", "?o", NewDict},
      {"aten::sum", "l", SumOfList},
      {"aten::any", "l", Any},
      {"aten::all", "l", All},
  };
}

}  // namespace floe::torchscript
