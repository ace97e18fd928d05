#include "compiler/passes/rewrite.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "compiler/ir/control.h"
#include "compiler/ir/shapes.h"

namespace floe::passes {

std::string NameOf(const ir::Node& node) {
  std::string name = node.provenance.node;
  for (const ir::Value* output : node.outputs()) {
    if (name.empty() && output != nullptr) name = output->name();
  }
  return absl::StrFormat("%s '%s'", OpRow(node.op()).name, name);
}

std::optional<double> ScalarOf(const ir::Value* value) {
  if (value == nullptr || !value->is_constant() || value->constant().count() != 1) {
    return std::nullopt;
  }
  return value->constant().DoubleAt(0);
}

ir::Node* ProducedBy(const ir::Value* value, OpId op) {
  ir::Node* node = value == nullptr ? nullptr : value->producer();
  return node != nullptr && node->op() == op ? node : nullptr;
}

bool OnlyUsedBy(const ir::Graph& graph, const ir::Value* value, const ir::Node* node) {
  const auto& users = value->users();
  return !users.empty() && !graph.IsOutput(value) &&
         std::all_of(users.begin(), users.end(), [node](const ir::Node* u) { return u == node; });
}

bool HasOneUse(const ir::Graph& graph, const ir::Value* value) {
  return value->users().size() == 1 && !graph.IsOutput(value);
}

absl::StatusOr<ir::Value*> InsertTyped(ir::Graph& graph, ir::Node* before, OpId op,
                                       std::vector<ir::Value*> inputs, Attrs attrs,
                                       std::string name, const ir::Provenance& provenance,
                                       DType dtype, ir::Shape shape) {
  ir::Node* node = graph.AddNode(op, std::move(inputs), {std::move(name)}, provenance, before);
  node->attrs = std::move(attrs);
  node->output()->set_type(dtype, std::move(shape));
  FLOE_TRY(ir::InferNode(graph, *node));
  return node->output();
}

absl::StatusOr<ir::Value*> Insert(ir::Graph& graph, ir::Node* before, OpId op,
                                  std::vector<ir::Value*> inputs, Attrs attrs, std::string name,
                                  const ir::Provenance& provenance) {
  return InsertTyped(graph, before, op, std::move(inputs), std::move(attrs), std::move(name),
                     provenance, DType::kNone, {});
}

void EraseIfUnused(ir::Graph& graph, ir::Node* node) {
  for (const ir::Value* output : node->outputs()) {
    if (output != nullptr && (!output->users().empty() || graph.IsOutput(output))) return;
  }
  std::vector<ir::Node*> producers;
  for (const ir::Value* input : node->inputs()) {
    if (input == nullptr || input->producer() == nullptr) continue;
    if (std::find(producers.begin(), producers.end(), input->producer()) == producers.end()) {
      producers.push_back(input->producer());
    }
  }
  graph.Erase(node);
  // A producer of several of them goes only once: when its last reader is gone.
  while (!producers.empty()) {
    ir::Node* producer = producers.back();
    producers.pop_back();
    bool used = ir::HasEffects(*producer);
    for (const ir::Value* output : producer->outputs()) {
      used = used || (output != nullptr && (!output->users().empty() || graph.IsOutput(output)));
    }
    if (used) continue;
    for (const ir::Value* input : producer->inputs()) {
      if (input == nullptr || input->producer() == nullptr) continue;
      if (std::find(producers.begin(), producers.end(), input->producer()) == producers.end()) {
        producers.push_back(input->producer());
      }
    }
    graph.Erase(producer);
  }
}

void Replace(ir::Graph& graph, ir::Node* node, ir::Value* value) {
  ir::Value* old = node->output();
  const std::string name = old->name();
  const bool rename = value->producer() != nullptr && value->producer() != node &&
                      !graph.IsOutput(value) && value->users().empty();
  graph.ReplaceAllUses(old, value);
  EraseIfUnused(graph, node);
  if (rename && graph.FindValue(name) == nullptr) graph.Rename(value, name);
}

bool CanStandFor(const ir::Graph& graph, const ir::Node& node, const ir::Value* value) {
  if (!graph.IsOutput(node.output())) return true;
  return value->producer() != nullptr && !graph.IsOutput(value);
}

std::optional<std::vector<double>> ChannelNumbers(const ir::Value* value, size_t rank, size_t axis,
                                                  int64_t count) {
  if (value == nullptr || !value->is_constant() || value->dtype() != DType::kF32 ||
      value->rank() > rank) {
    return std::nullopt;
  }
  const ir::Tensor& t = value->constant();
  const size_t offset = rank - value->rank();
  for (size_t i = 0; i < value->rank(); ++i) {
    const int64_t d = t.dims()[i];
    if (d != 1 && (i + offset != axis || d != count)) return std::nullopt;
  }
  std::vector<double> numbers(static_cast<size_t>(count));
  for (int64_t c = 0; c < count; ++c) {
    numbers[static_cast<size_t>(c)] = t.DoubleAt(t.count() == 1 ? 0 : c);
  }
  return numbers;
}

ir::Value* AddFloats(ir::Graph& graph, std::string name, const std::vector<double>& numbers,
                     std::vector<int64_t> dims) {
  ir::Tensor t(DType::kF32, std::move(dims));
  for (size_t i = 0; i < numbers.size(); ++i) {
    t.mutable_as<float>()[i] = static_cast<float>(numbers[i]);
  }
  return graph.AddConstant(std::move(name), std::move(t));
}

bool HasConstantMatrix(const ir::Node& matmul) {
  const ir::Value* a = matmul.input(0);
  const ir::Value* b = matmul.input(1);
  if (!b->is_constant() || b->dtype() != DType::kF32 || a->rank() < b->rank()) return false;
  const std::vector<int64_t>& dims = b->constant().dims();
  return std::all_of(dims.begin(), dims.end() - 2, [](int64_t d) { return d == 1; });
}

ir::Tensor TransposedMatrix(const ir::Tensor& matrix) {
  const int64_t rows = matrix.dims()[0];
  const int64_t columns = matrix.dims()[1];
  const int64_t size = DTypeSize(matrix.dtype());
  ir::Tensor t(matrix.dtype(), {columns, rows});
  const char* from = static_cast<const char*>(matrix.data());
  char* to = static_cast<char*>(t.mutable_data());
  constexpr int64_t kBlock = 32;  // Both sides of a block stay in L1.
  for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
    const int64_t r1 = std::min(rows, r0 + kBlock);
    for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      const int64_t c1 = std::min(columns, c0 + kBlock);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c) {
          std::memcpy(to + (c * rows + r) * size, from + (r * columns + c) * size,
                      static_cast<size_t>(size));
        }
      }
    }
  }
  return t;
}

}  // namespace floe::passes
