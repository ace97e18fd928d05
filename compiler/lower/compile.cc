#include "compiler/lower/compile.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "backends/registry.h"
#include "compiler/ir/control.h"
#include "compiler/ir/status_macros.h"
#include "compiler/ir/verify.h"
#include "compiler/lower/lowered.h"
#include "compiler/lower/select.h"
#include "format/allocator.h"
#include "format/reader.h"

namespace floe::lower {
namespace {

// Winograd's weights are f32 or bf16.
absl::StatusOr<WinogradPlan> ChooseConvs(const ir::Graph& graph, const CompileOptions& options,
                                         const passes::WeightTypes& types, CompileReport* report) {
  if (options.tune.record != nullptr &&
      (options.precision != passes::Precision::kF32 || options.accuracy == Accuracy::kStrict)) {
    report->tuning.push_back(
        "nothing was measured or looked up: it is about convolutions in f32, with "
        "--accuracy=default or fast");
  }
  if (options.precision == passes::Precision::kBF16) {
    WinogradPlan plan = PlanBf16Winograd(graph, options.accuracy, types);
    if (std::string line = DescribeBf16(plan); !line.empty()) report->passes.Add(std::move(line));
    return plan;
  }
  if (options.precision != passes::Precision::kF32 || options.accuracy == Accuracy::kStrict) {
    return WinogradPlan{};
  }
  const auto tuned = LookUpLayers(graph, options.tune);
  if (!tuned.ok()) return tuned.status();
  WinogradPlan plan = PlanWinograd(graph, options.accuracy, tuned->measured);
  report->tuning = ExplainChoices(plan, PlanWinograd(graph, options.accuracy), *tuned);
  if (std::string line = plan.Describe(options.accuracy); !line.empty()) {
    report->passes.Add(std::move(line));
  }
  return plan;
}

// As a pass of the pipeline is run, behind the choices that its copies of nodes keep.
absl::Status RunSplitBatch(ir::Graph& graph, const CompileOptions& options, WinogradPlan* winograd,
                           passes::WeightTypes* types, CompileReport* report) {
  const std::vector<std::string>& skip = options.passes.skip;
  if (std::count(skip.begin(), skip.end(), kSplitBatch) > 0) return absl::OkStatus();
  absl::Status status = SplitBatch(graph, options.split, winograd, types, &report->passes);
  if (status.ok()) status = ir::Verify(graph);
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrFormat("pass %s: %s", kSplitBatch, std::string(status.message())));
  }
  if (options.passes.after) options.passes.after(kSplitBatch, graph);
  return absl::OkStatus();
}

// Dims of a golden's tensor that the program's bounds leave out.
absl::Status CheckDims(const ir::Graph& graph, const ir::Value& value, const ir::Tensor& tensor) {
  for (size_t a = 0; a < std::min(value.rank(), tensor.dims().size()); ++a) {
    const int64_t min = value.shape()[a].Min(graph.symbols),
                  max = value.shape()[a].Max(graph.symbols);
    if (tensor.dims()[a] >= min && tensor.dims()[a] <= max) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "axis %d of the golden for '%s' is %d, but the program is compiled for %s, %d to %d; widen "
        "the bounds (--dim, --bound) or give another golden",
        a, value.name(), tensor.dims()[a], value.shape()[a].ToString(graph.symbols), min, max));
  }
  return absl::OkStatus();
}

// Every golden must fit the method: a file whose own check cannot pass is worse than none.
absl::Status AddGoldens(const ir::Graph& graph, const std::vector<Golden>& goldens,
                        LoweredProgram* program) {
  for (const Golden& golden : goldens) {
    if (golden.inputs.size() != graph.inputs().size() ||
        golden.outputs.size() != graph.outputs().size()) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "a golden has %d inputs and %d outputs, the model has %d and %d", golden.inputs.size(),
          golden.outputs.size(), graph.inputs().size(), graph.outputs().size()));
    }
    for (size_t i = 0; i < golden.inputs.size(); ++i) {
      if (golden.inputs[i].dtype() != graph.inputs()[i]->dtype()) {
        return absl::InvalidArgumentError(absl::StrFormat(
            "the golden for input '%s' is %s, the model takes %s", graph.inputs()[i]->name(),
            DTypeName(golden.inputs[i].dtype()), DTypeName(graph.inputs()[i]->dtype())));
      }
    }
    for (size_t i = 0; i < golden.inputs.size(); ++i) {
      FLOE_TRY(CheckDims(graph, *graph.inputs()[i], golden.inputs[i]));
    }
    for (size_t i = 0; i < golden.outputs.size(); ++i) {
      FLOE_TRY(CheckDims(graph, *graph.outputs()[i], golden.outputs[i]));
    }
    program->AddGolden(golden.inputs, golden.outputs, golden.rtol, golden.atol);
  }
  return absl::OkStatus();
}

void FillReport(const LoweredProgram& program, CompileReport* report) {
  const ProgramView view = program.View();
  for (const Explanation& e : program.explanations) {
    const Instruction& i = view.instructions[e.instruction];
    const KernelRow* row = FindKernel(i.kernel);
    const std::string line =
        absl::StrFormat("%4d  %-16s %-16s %s  %s", e.instruction, row == nullptr ? "?" : row->name,
                        std::string(view.String(i.op)), std::string(view.String(i.name)), e.text);
    report->kernels.push_back(line);
    if (i.kernel == static_cast<uint32_t>(KernelId::kGeneric)) report->fallbacks.push_back(line);
  }
  for (const BucketMemory& m : report->memory) {
    std::string line;
    for (size_t i = 0; i < m.corner.size(); ++i) {
      line += absl::StrFormat("%s<=%d ", program.symbols()[i].name, m.corner[i]);
    }
    constexpr double kKiB = 1024;
    report->memory_lines.push_back(absl::StrFormat(
        "%sarena %.1f KiB, %.3f of the lower bound that liveness gives (%.1f KiB); scratch %.1f "
        "KiB a worker",
        line, static_cast<double>(m.arena_bytes) / kKiB, m.ratio(),
        static_cast<double>(m.least) / kKiB, static_cast<double>(m.scratch_bytes) / kKiB));
  }
  for (const BucketDef& b : program.buckets) {
    report->arena_bytes = std::max(report->arena_bytes, b.arena_bytes);
    report->scratch_bytes = std::max(report->scratch_bytes, b.scratch_bytes);
  }
  for (const auto& section : view.sections) report->constant_bytes += section.size();
  report->instructions = view.instructions.size();
}

}  // namespace

absl::Status Compile(std::unique_ptr<ir::Graph> graph, const CompileOptions& options,
                     WriteSink sink, void* self, CompileReport* report) {
  if (absl::Status s = ir::BoundSizes(*graph, options.bounds); !s.ok()) return s;
  if (absl::Status s =
          passes::RunPasses(*graph, passes::StandardPipeline(), options.passes, report->passes);
      !s.ok()) {
    return s;
  }
  passes::WeightTypes types = passes::ChooseWeightTypes(*graph, options.precision, report->passes);
  auto winograd = ChooseConvs(*graph, options, types, report);
  if (!winograd.ok()) return winograd.status();
  FLOE_TRY(RunSplitBatch(*graph, options, &*winograd, &types, report));
  auto selected = SelectKernels(*graph, options.method, *winograd, types);
  if (!selected.ok()) return selected.status();
  LoweredProgram& program = **selected;
  if (absl::Status s = AddGoldens(*graph, options.goldens, &program); !s.ok()) return s;
  graph.reset();  // The weights that packing still needs are held by the program.
  program.LayOutConstants();
  if (absl::Status s = PlanMemory(options.plan, &program, &report->memory); !s.ok()) {
    return s;
  }
  FillReport(program, report);

  const ProgramView view = program.View();
  if (const Status s = ValidateProgram(view, Limits{}, KernelFootprints(), DefaultAllocator());
      !s.ok()) {
    const std::string node = s.instruction < view.instructions.size()
                                 ? std::string(view.String(view.instructions[s.instruction].name))
                                 : "";
    return absl::InternalError(absl::StrFormat(
        "the compiled program does not validate: %s: %s (instruction %d '%s', value %d, operand "
        "%d, expected %d, got %d)",
        RuleName(s.rule), RuleText(s.rule), static_cast<int>(s.instruction), node,
        static_cast<int>(s.value), static_cast<int>(s.operand), s.expected, s.got));
  }
  if (const Status s = WriteProgram(view, sink, self); !s.ok()) {
    return s.code == Code::kIo
               ? absl::UnavailableError("writing the program failed")
               : absl::ResourceExhaustedError(absl::StrFormat("%s", RuleText(s.rule)));
  }
  return absl::OkStatus();
}

}  // namespace floe::lower
