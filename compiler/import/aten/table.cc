// Collects the families of rows.
#include <array>
#include <string>
#include <unordered_map>

#include "compiler/import/aten/ops.h"

namespace floe::aten {

std::span<const std::span<const Row>> AllRows() {
  static const auto& kAll = *new std::array{
      MathRows(),      UnaryRows(),     ViewRows(),  SliceRows(),  CreateRows(),   ArrangeRows(),
      ReduceRows(),    IndexRows(),     OrderRows(), LinalgRows(), ScalarRows(),   ActivationRows(),
      AttentionRows(), ClassLossRows(), ConvRows(),  CtcRows(),    DistanceRows(), EmbeddingRows(),
      ImageRows(),     LinearRows(),    LossRows(),  NormRows(),   PadRows(),      PoolRows(),
      RecurrentRows(), ResizeRows()};
  return kAll;
}

const Row* FindRow(const Schema& schema) {
  static const auto& kIndex = *[] {
    auto* index = new std::unordered_map<std::string, const Row*>();
    for (const std::span<const Row> family : AllRows()) {
      for (const Row& row : family) index->emplace(row.op, &row);
    }
    return index;
  }();
  if (!schema.overload.empty()) {
    const auto own = kIndex.find(schema.name + "." + schema.overload);
    if (own != kIndex.end()) return own->second;
  }
  const auto it = kIndex.find(schema.name);
  return it == kIndex.end() ? nullptr : it->second;
}

}  // namespace floe::aten
