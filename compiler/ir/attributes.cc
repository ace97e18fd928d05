#include "compiler/ir/attributes.h"

#include <array>
#include <cassert>
#include <vector>

namespace floe::ir {
namespace {

using Table = std::array<std::vector<AttrSpec>, static_cast<size_t>(OpId::kCount)>;

AttrType ParseType(std::string_view text) {
  if (text == "int") return AttrType::kInt;
  if (text == "float") return AttrType::kFloat;
  if (text == "ints") return AttrType::kInts;
  assert(text == "floats");
  return AttrType::kFloats;
}

std::vector<AttrSpec> ParseSpecs(std::string_view list) {
  std::vector<AttrSpec> specs;
  while (!list.empty()) {
    const size_t space = list.find(' ');
    const std::string_view item = list.substr(0, space);
    list = space == std::string_view::npos ? std::string_view() : list.substr(space + 1);
    const size_t colon = item.find(':');
    if (colon == std::string_view::npos) continue;
    specs.push_back({item.substr(0, colon), ParseType(item.substr(colon + 1))});
  }
  return specs;
}

const Table& Specs() {
  static const Table* table = [] {
    auto* t = new Table;
    for (size_t i = 0; i < t->size(); ++i) {
      (*t)[i] = ParseSpecs(OpRow(static_cast<OpId>(i)).attrs);
    }
    return t;
  }();
  return *table;
}

}  // namespace

std::span<const AttrSpec> AttrSpecs(OpId op) { return Specs()[static_cast<size_t>(op)]; }

const char* AttrTypeName(AttrType type) {
  constexpr const char* kNames[] = {"int", "float", "ints", "floats"};
  return kNames[static_cast<size_t>(type)];
}

}  // namespace floe::ir
