#include "tools/sample_golden.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/ir/evaluate.h"

namespace floe::tools {
namespace {

// Sizes of the symbols as far as an input's axis is a symbol times a number, plus a number; others
// count with their greatest value.
std::vector<int64_t> SizesOf(const ir::Graph& graph, const std::vector<ir::Tensor>& inputs) {
  std::vector<int64_t> sizes;
  constexpr int64_t kMost = int64_t{1} << 24;  // Of sizes that the inputs don't tell.
  for (const ir::Symbol& s : graph.symbols) sizes.push_back(std::min(s.max, kMost));
  for (size_t i = 0; i < inputs.size() && i < graph.inputs().size(); ++i) {
    const ir::Shape& shape = graph.inputs()[i]->shape();
    if (shape.size() != inputs[i].dims().size()) continue;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis].terms().size() != 1) continue;
      const ir::DimTerm& term = shape[axis].terms()[0];
      const int64_t rest = inputs[i].dims()[axis] - shape[axis].constant();
      if (term.symbol() == nullptr || term.coefficient <= 0 || rest < 0) continue;
      sizes[*term.symbol()] = rest / term.coefficient;
    }
  }
  return sizes;
}

double CountOf(const ir::Value* value, const std::vector<int64_t>& sizes) {
  double count = 1;
  if (value == nullptr) return 0;
  for (const ir::Dim& d : value->shape()) {
    count *= static_cast<double>(std::max<int64_t>(d.Eval(sizes), 0));
  }
  return count;
}

double AxisOf(const ir::Value* value, size_t axis, const std::vector<int64_t>& sizes) {
  if (value == nullptr || axis >= value->rank()) return 1;
  return static_cast<double>(std::max<int64_t>(value->shape()[axis].Eval(sizes), 1));
}

double WorkOf(const ir::Graph& graph, const std::vector<int64_t>& sizes);

double WorkOf(const ir::Node& node, const std::vector<int64_t>& sizes) {
  double written = 1;
  for (const ir::Value* output : node.outputs()) written += CountOf(output, sizes);
  const auto in = [&](size_t i) { return i < node.inputs().size() ? node.inputs()[i] : nullptr; };
  switch (node.op()) {
    case OpId::kConv:
      return written * CountOf(in(1), sizes) / AxisOf(in(1), 0, sizes);
    case OpId::kConvTranspose:
      return CountOf(in(0), sizes) * CountOf(in(1), sizes) / AxisOf(in(1), 0, sizes);
    case OpId::kMatMul:
    case OpId::kGemm: {
      const ir::Value* a = in(0);
      // A transposed operand has the summed axis first: the greater one is counted.
      const double k = a == nullptr || a->rank() == 0
                           ? 1
                           : std::max(AxisOf(a, a->rank() - 1, sizes),
                                      node.op() == OpId::kGemm ? AxisOf(a, 0, sizes) : 1);
      return written * k;
    }
    case OpId::kLstm:
    case OpId::kGru:
    case OpId::kRnn:
      return AxisOf(in(0), 0, sizes) * AxisOf(in(0), 1, sizes) *
             (CountOf(in(1), sizes) + CountOf(in(2), sizes));
    case OpId::kMaxPool:
    case OpId::kAvgPool:
      for (const int64_t k : node.Ints("kernel"))
        written *= static_cast<double>(std::max<int64_t>(k, 1));
      return written;
    case OpId::kCholesky:
    case OpId::kTriangularSolve:
    case OpId::kSolve:
    case OpId::kDet:
    case OpId::kQr:
    case OpId::kEigh:
    case OpId::kSvd: {
      constexpr double kSweeps = 40;  // Of the iterative ones, at most.
      const double n = in(0) == nullptr ? 1 : AxisOf(in(0), in(0)->rank() - 1, sizes);
      const bool iterative = node.op() == OpId::kEigh || node.op() == OpId::kSvd;
      return (written + CountOf(in(0), sizes)) * n * (iterative ? kSweeps : 1);
    }
    case OpId::kIf:
    case OpId::kLoop: {
      const bool loop = node.op() == OpId::kLoop;
      double inside = 0;
      for (const auto& body : node.bodies) inside += WorkOf(*body, sizes);
      return written + inside * (loop ? static_cast<double>(node.Int("max_trips")) : 1);
    }
    default:
      // Sorts and the like do more, but not by orders of magnitude beside products.
      for (const ir::Value* input : node.inputs()) written += CountOf(input, sizes);
      return written;
  }
}

double WorkOf(const ir::Graph& graph, const std::vector<int64_t>& sizes) {
  double work = 0;
  for (const auto& node : graph.nodes()) work += WorkOf(*node, sizes);
  return work;
}

// What rounding may make of a result, relative to its greatest element: the kernels compute in f32
// what the reference rounds to half types after each op.
double ToleranceOf(const lower::Golden& golden) {
  double tolerance = 1e-4;
  for (const auto* tensors : {&golden.inputs, &golden.outputs}) {
    for (const ir::Tensor& t : *tensors) {
      if (t.dtype() == DType::kF16) tolerance = std::max(tolerance, 4e-3);
      if (t.dtype() == DType::kBF16) tolerance = std::max(tolerance, 3e-2);
    }
  }
  return tolerance;
}

}  // namespace

double EstimateWork(const ir::Graph& graph, const std::vector<ir::Tensor>& inputs) {
  return WorkOf(graph, SizesOf(graph, inputs));
}

std::optional<lower::Golden> MakeSampleGolden(const ir::Graph& graph,
                                              std::vector<ir::Tensor> inputs, double max_work,
                                              int64_t max_bytes, std::string* note) {
  const auto no = [&](const std::string& why) {
    *note = "the example inputs in the file are no golden: " + why;
    return std::nullopt;
  };
  if (inputs.size() != graph.inputs().size()) {
    return no(absl::StrFormat("there are %d for %d inputs", inputs.size(), graph.inputs().size()));
  }
  const double work = EstimateWork(graph, inputs);
  if (work > max_work) {
    return no(absl::StrFormat(
        "a run takes %.2g multiply-adds, above the limit of %.2g; --samples=always embeds them "
        "whatever it takes, --golden FILE.npz embeds PyTorch's own outputs",
        work, max_work));
  }
  lower::Golden golden;
  golden.inputs = std::move(inputs);
  absl::StatusOr<std::vector<ir::Tensor>> outputs = ir::Evaluate(graph, golden.inputs);
  if (!outputs.ok()) return no(std::string(outputs.status().message()));
  golden.outputs = *std::move(outputs);
  int64_t bytes = 0;
  for (const auto* tensors : {&golden.inputs, &golden.outputs}) {
    for (const ir::Tensor& t : *tensors) bytes += t.bytes();
  }
  if (bytes > max_bytes) {
    return no(
        absl::StrFormat("with their outputs they have %d bytes, above the limit of %d; "
                        "--samples=always embeds them",
                        bytes, max_bytes));
  }
  golden.rtol = ToleranceOf(golden);
  *note = absl::StrFormat(
      "the example inputs in the file, and what the op reference makes of them (%.2g "
      "multiply-adds): Floe's own results, not PyTorch's",
      work);
  return golden;
}

}  // namespace floe::tools
