// The op table: every family's rows, found by domain, op and opset.
#include "absl/container/flat_hash_map.h"
#include "compiler/import/onnx/importer.h"
#include "compiler/import/onnx/ops.h"

namespace floe::onnx {
namespace {

using Table = absl::flat_hash_map<std::string, std::vector<const Row*>>;

std::string Key(const std::string& domain, const std::string& op_type) {
  return domain + '\x1f' + op_type;
}

const Table& Rows() {
  static const Table* table = [] {
    auto* t = new Table;
    for (const auto rows : {MathRows(), ReduceRows(), ShapeRows(), GenerateRows(), IndexRows(),
                            NetworkRows(), PoolRows(), RecurrentRows(), ResizeRows(),
                            AttentionRows(), ControlRows(), MicrosoftRows(), QuantizedRows()}) {
      for (const Row& row : rows) (*t)[Key(row.domain, row.op_type)].push_back(&row);
    }
    return t;
  }();
  return *table;
}

}  // namespace

const Row* FindRow(const std::string& domain, const std::string& op_type, int64_t opset,
                   bool* known) {
  const auto it = Rows().find(Key(domain, op_type));
  *known = it != Rows().end();
  if (!*known) return nullptr;
  const Row* best = nullptr;
  for (const Row* row : it->second) {
    if (row->since <= opset && (best == nullptr || row->since > best->since)) best = row;
  }
  return best;
}

}  // namespace floe::onnx
