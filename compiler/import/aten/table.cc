// Collects the families of rows.
#include <array>
#include <string>
#include <unordered_map>

#include "compiler/import/aten/ops.h"
#include "compiler/import/aten/ops_numeric.h"

namespace floe::aten {

std::span<const std::span<const Row>> AllRows() {
  static const auto& kAll = *new std::array{
      MathRows(),      UnaryRows(),      ViewRows(),      SliceRows(),     CreateRows(),
      ArrangeRows(),   ReduceRows(),     IndexRows(),     OrderRows(),     LinalgRows(),
      ScalarRows(),    ActivationRows(), AttentionRows(), ClassLossRows(), ConvRows(),
      CtcRows(),       DistanceRows(),   EmbeddingRows(), ImageRows(),     LinearRows(),
      LossRows(),      NormRows(),       PadRows(),       PoolRows(),      QuantizeRows(),
      RecurrentRows(), ResizeRows(),     FourierRows(),   SpecialRows(),   ComplexFromRealRows(),
      PackRows(),      BitRows(),        GammaRows(),     SolveRows()};
  return kAll;
}

namespace {

using Index = std::unordered_map<std::string, const Row*>;

void AddTo(Index* index, std::span<const Row> rows) {
  for (const Row& row : rows) index->emplace(row.op, &row);
}

const Row* FindIn(const Index& index, const Schema& schema) {
  if (!schema.overload.empty()) {
    const auto own = index.find(schema.name + "." + schema.overload);
    if (own != index.end()) return own->second;
  }
  const auto it = index.find(schema.name);
  return it == index.end() ? nullptr : it->second;
}

}  // namespace

const Row* FindRow(const Schema& schema, Form form) {
  static const auto& kPlain = *[] {
    auto* index = new Index();
    for (const std::span<const Row> family : AllRows()) AddTo(index, family);
    return index;
  }();
  static const auto& kComplex = *[] {
    auto* index = new Index();
    AddTo(index, ComplexRows());
    AddTo(index, ComplexMathRows());
    AddTo(index, ComplexBitRows());
    AddTo(index, ComplexPartRows());
    AddTo(index, FourierRows());  // They take both.
    return index;
  }();
  static const auto& kPacked = *[] {
    auto* index = new Index();
    AddTo(index, PackedRows());
    return index;
  }();
  switch (form) {
    case Form::kComplex:
      return FindIn(kComplex, schema);
    case Form::kPacked:
    case Form::kPackedSizes:
      return FindIn(kPacked, schema);
    case Form::kPlain:
      break;
  }
  return FindIn(kPlain, schema);
}

}  // namespace floe::aten
