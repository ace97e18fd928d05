// floec: compiles a traced model into a Floe program.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "compiler/ir/control.h"
#include "compiler/ir/text.h"
#include "compiler/lower/compile.h"
#include "tools/cli/exit_codes.h"
#include "tools/cli/files.h"
#include "tools/cli/npy.h"
#include "tools/cli/shape_flags.h"
#include "tools/import_model.h"
#include "tools/sample_golden.h"
#include "tools/tune.h"

namespace {

using floe::cli::Fail;

constexpr char kExamples[] =
    "Examples:\n"
    "  floec resnet50.onnx -o resnet50.floe\n"
    "  floec model.pt2 -o model.floe --shape x=[N,3,224,224] --dim N=1..8\n"
    "  floec bert.onnx -o bert.floe --dim N=1..8 --dim T=1..512:8 --explain\n"
    "  floec resnet50.onnx -o resnet50.floe --tune --tune-record here.json --explain\n"
    "  floec check model.onnx\n";

struct Flags {
  std::string model;
  std::string output;
  floe::tools::InputFlags inputs;
  std::vector<std::string> buckets, bounds, print_after, goldens;
  std::string target = "portable";
  std::string precision = "fp32";
  std::string accuracy = "default";
  std::string samples = "auto";
  floe::tools::TuneFlags tune;
  double golden_rtol = 0;  // 0: as the precision allows.
  double golden_atol = 1e-6;
  int64_t cache_mib = floe::lower::SplitOptions().cache_bytes >> 20;
  bool explain = false;
};

// Says what is going on once a step has taken over a second, on terminals only.
class Progress {
 public:
  void Step(const char* what) {
    const auto now = std::chrono::steady_clock::now();
    if (isatty(2) && last_ != nullptr && now - start_ > std::chrono::seconds(1)) {
      std::fprintf(stderr, "floec: %s took %.1f s\n", last_,
                   std::chrono::duration<double>(now - start_).count());
    }
    last_ = what;
    start_ = now;
  }

 private:
  const char* last_ = nullptr;
  std::chrono::steady_clock::time_point start_;
};

// The array as the model's type: an .npz cannot hold bf16, so f32 is rounded to 16 bits for those.
floe::ir::Tensor TensorOf(const floe::cli::Array& array, floe::DType type) {
  floe::ir::Tensor t(array.dtype, array.dims);
  if (!array.bytes.empty()) std::memcpy(t.mutable_data(), array.bytes.data(), array.bytes.size());
  const bool half = type == floe::DType::kF16 || type == floe::DType::kBF16;
  if (!half || array.dtype != floe::DType::kF32) return t;
  floe::ir::Tensor rounded(type, array.dims);
  for (int64_t i = 0; i < t.count(); ++i) rounded.SetDouble(i, t.DoubleAt(i));
  return rounded;
}

// What outputs may differ by from an fp32 golden's, relative to the largest.
double ToleranceOf(const std::string& precision) {
  return precision == "bf16" ? 1.6e-2 : precision == "fp16-weights" ? 2e-3 : 1e-5;
}

// An .npz with in/NAME and out/NAME for every input and output; in their order, NAME may be 0, 1,
// ...
absl::StatusOr<floe::lower::Golden> ReadGolden(const std::string& path,
                                               const floe::ir::Graph& graph, const Flags& flags) {
  auto arrays = floe::cli::ReadNpz(path, uint64_t{8} << 30);
  if (!arrays.ok()) return arrays.status();
  std::map<std::string, const floe::cli::Array*> by_name;
  for (const auto& [name, array] : *arrays) by_name[name] = &array;
  floe::lower::Golden golden;
  golden.rtol = flags.golden_rtol > 0 ? flags.golden_rtol : ToleranceOf(flags.precision);
  golden.atol = flags.golden_atol;
  const auto take = [&](const std::string& side, const std::string& name, floe::DType type,
                        std::vector<floe::ir::Tensor>* to) -> absl::Status {
    auto found = by_name.find(side + name);
    if (found == by_name.end()) found = by_name.find(side + std::to_string(to->size()));
    if (found == by_name.end()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("'%s' has no array '%s%s'", path, side, name));
    }
    to->push_back(TensorOf(*found->second, type));
    return absl::OkStatus();
  };
  for (const floe::ir::Value* input : graph.inputs()) {
    absl::Status s = take("in/", input->name(), input->dtype(), &golden.inputs);
    if (!s.ok()) return s;
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    absl::Status s =
        take("out/", graph.output_names[i], graph.outputs()[i]->dtype(), &golden.outputs);
    if (!s.ok()) return s;
  }
  return golden;
}

// Adds the example inputs of the file as a golden, if there are any and no other golden is given.
// The note says what became of them.
void AddSampleGolden(const Flags& flags, const floe::ir::Graph& graph,
                     floe::lower::CompileOptions* options, std::string* note) {
  // What a second of compiling allows, about, and what a file should not grow by unasked.
  constexpr double kMaxWork = 3e8;
  constexpr int64_t kMaxBytes = int64_t{16} << 20;
  if (flags.samples == "never" || !flags.goldens.empty()) return;
  auto inputs = floe::tools::ReadSampleInputs(flags.model);
  if (!inputs.ok()) {
    *note =
        "the example inputs in the file are no golden: " + std::string(inputs.status().message());
    return;
  }
  if (inputs->empty()) return;
  const bool always = flags.samples == "always";
  auto golden = floe::tools::MakeSampleGolden(
      graph, *std::move(inputs), always ? std::numeric_limits<double>::infinity() : kMaxWork,
      always ? std::numeric_limits<int64_t>::max() : kMaxBytes, note);
  if (!golden.has_value()) return;
  golden->rtol = std::max(golden->rtol, ToleranceOf(flags.precision));
  options->goldens.push_back(*std::move(golden));
}

absl::Status CheckModeFlags(const Flags& flags) {
  if (flags.precision == "bf16x3") {
    return absl::UnimplementedError(
        "--precision=bf16x3 is not offered: it pays only on CPUs with AMX, and no measurement has "
        "shown yet that it does there; use fp32");
  }
  if (!floe::passes::PrecisionNamed(flags.precision)) {
    return absl::UnimplementedError(absl::StrFormat(
        "--precision=%s: there is no such precision; use fp32, bf16 or fp16-weights",
        flags.precision));
  }
  if (flags.target != "portable" && flags.target != "native") {
    return absl::UnimplementedError(absl::StrFormat(
        "--target=%s is not supported by this release; use portable (one file for every CPU)",
        flags.target));
  }
  return absl::OkStatus();
}

absl::Status CompileTo(const Flags& flags) {
  if (absl::Status s = CheckModeFlags(flags); !s.ok()) return s;
  floe::lower::CompileOptions options;
  options.accuracy = flags.accuracy == "strict" ? floe::lower::Accuracy::kStrict
                     : flags.accuracy == "fast" ? floe::lower::Accuracy::kFast
                                                : floe::lower::Accuracy::kDefault;
  options.precision = *floe::passes::PrecisionNamed(flags.precision);
  auto tuner = floe::tools::Tuner::Make(flags.tune, flags.output);
  if (!tuner.ok()) return tuner.status();
  options.tune = (*tuner)->Options();
  options.split.cache_bytes = flags.cache_mib << 20;
  for (const std::string& text : flags.buckets) {
    auto flag = floe::cli::ParseBucketFlag(text);
    if (!flag.ok()) return flag.status();
    options.plan.buckets[flag->first] = flag->second;
  }
  for (const std::string& text : flags.bounds) {
    auto flag = floe::cli::ParseBucketFlag(text);
    if (!flag.ok()) return flag.status();
    if (flag->second.size() != 1) {
      return absl::InvalidArgumentError("--bound takes NAME=MAX, not '" + text + "'");
    }
    options.bounds[flag->first] = flag->second[0];
  }
  std::set<std::string> print_after(flags.print_after.begin(), flags.print_after.end());
  for (const std::string& name : print_after) {
    bool known = name == "all";
    std::string names;
    for (const auto& pass : floe::passes::StandardPipeline()) {
      known = known || name == pass.name;
      names += std::string(" ") + pass.name;
    }
    known = known || name == floe::lower::kSplitBatch;
    names += std::string(" ") + floe::lower::kSplitBatch;
    if (!known) {
      return absl::FailedPreconditionError(
          absl::StrFormat("--print-after=%s: there is no such pass; passes:%s", name, names));
    }
  }
  options.passes.after = [&](const char* pass, const floe::ir::Graph& graph) {
    if (print_after.count(pass) + print_after.count("all") == 0) return;
    std::printf("// after %s\n%s\n", pass, floe::ir::ToText(graph).c_str());
  };
  Progress progress;
  progress.Step("reading the model");
  std::vector<std::string> notes;
  auto graph = floe::tools::ImportModel(flags.model, flags.inputs, &notes);
  for (const std::string& note : notes) std::fprintf(stderr, "floec: %s\n", note.c_str());
  if (!graph.ok()) return graph.status();
  // Before the example inputs run: what they find must lie inside.
  if (absl::Status s = floe::ir::BoundSizes(**graph, options.bounds); !s.ok()) return s;
  for (const std::string& path : flags.goldens) {
    auto golden = ReadGolden(path, **graph, flags);
    if (!golden.ok()) return golden.status();
    options.goldens.push_back(*std::move(golden));
  }
  progress.Step("running the example inputs");
  std::string golden_note;
  AddSampleGolden(flags, **graph, &options, &golden_note);
  auto file = floe::cli::AtomicFile::Open(flags.output);
  if (!file.ok()) return file.status();
  struct Sink {
    floe::cli::AtomicFile* file;
    absl::Status status;
    uint64_t bytes = 0;
  } sink{file->get(), absl::OkStatus(), 0};
  const auto write = [](void* self, const void* data, size_t bytes) {
    auto* s = static_cast<Sink*>(self);
    s->status = s->file->Write(data, bytes);
    s->bytes += bytes;
    return s->status.ok();
  };
  progress.Step("compiling");
  floe::lower::CompileReport report;
  absl::Status status = floe::lower::Compile(*std::move(graph), options, write, &sink, &report);
  if (absl::Status s = (*tuner)->Save(); !s.ok()) return s;
  if (!sink.status.ok()) return sink.status;  // Says which file and why.
  if (!status.ok()) return status;
  progress.Step("flushing");
  if (absl::Status s = (*file)->Commit(); !s.ok()) return s;
  progress.Step("");
  if (flags.explain) {
    if (!golden_note.empty()) std::printf("golden  %s\n", golden_note.c_str());
    for (const std::string& line : report.passes.lines) std::printf("pass    %s\n", line.c_str());
    for (const std::string& line : report.tuning) std::printf("tune    %s\n", line.c_str());
    for (const std::string& line : report.memory_lines) std::printf("memory  %s\n", line.c_str());
    for (const std::string& line : report.kernels) std::printf("kernel  %s\n", line.c_str());
  }
  std::fprintf(stderr,
               "floec: wrote %s: %.2f MiB, %zu instructions, arena %.2f MiB, %zu on the reference "
               "kernel%s\n",
               flags.output.c_str(), static_cast<double>(sink.bytes) / 1048576, report.instructions,
               static_cast<double>(report.arena_bytes) / 1048576, report.fallbacks.size(),
               report.fallbacks.empty() || flags.explain ? "" : " (--explain says why)");
  return absl::OkStatus();
}

int Check(const Flags& flags) {
  const auto report = floe::tools::CheckModel(flags.model, flags.inputs);
  if (!report.ok()) return Fail("floec", report.status());
  for (const auto& [op, count] : report->ops) {
    std::printf("%6lld  %s\n", static_cast<long long>(count), op.c_str());
  }
  for (const std::string& note : report->notes) std::fprintf(stderr, "floec: %s\n", note.c_str());
  if (report->unsupported.empty()) {
    std::printf("every op can be compiled\n");
    return floe::cli::kExitOk;
  }
  std::printf("unsupported:\n%s", report->unsupported.c_str());
  return floe::cli::kExitUnsupported;
}

void AddShapeFlags(CLI::App* app, Flags* flags) {
  app->add_option(
      "--shape", flags->inputs.shapes,
      "An input's shape: ids=[N,T]; ids=[N,T]:i64 where the model does not state the type");
  app->add_option("--dim", flags->inputs.dims,
                  "Bounds of a named dimension: N=4, N=1..8, T=8..512:8 (a multiple of 8)");
  app->add_option("--like", flags->inputs.like, "Take input shapes from the arrays of an .npz");
}

int Parse(CLI::App* app, int argc, char** argv) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app->exit(e) == 0 ? floe::cli::kExitOk : floe::cli::kExitUsage;
  }
  return -1;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  if (argc > 1 && std::string_view(argv[1]) == "check") {
    CLI::App app("Lists every op of a model that cannot be compiled.", "floec check");
    app.add_option("MODEL", flags.model, "The model (.pt2, .pt or .onnx)")->required();
    AddShapeFlags(&app, &flags);
    if (const int code = Parse(&app, argc - 1, argv + 1); code >= 0) return code;
    return Check(flags);
  }
  CLI::App app("Compiles a traced model (.pt2, .pt, .onnx) into a Floe program (.floe).", "floec");
  app.footer(kExamples);
  app.add_option("MODEL", flags.model, "The model, recognised by content")->required();
  app.add_option("-o,--output", flags.output, "The program to write (.floe)")->required();
  AddShapeFlags(&app, &flags);
  app.add_option("--bound", flags.bounds,
                 "The most that a size that depends on data may be: u0=100");
  app.add_option("--bucket", flags.buckets, "Memory plans of a dimension: N=1,4,8");
  app.add_option("--golden", flags.goldens,
                 "Embed expected outputs: an .npz with in/NAME and out/NAME; may be repeated");
  app.add_option("--samples", flags.samples,
                 "The example inputs of a .pt2, with the op reference's outputs, as a golden: auto "
                 "(if that is quick), always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
  app.add_option(
      "--golden-rtol", flags.golden_rtol,
      "Tolerance relative to max|golden| (default: 1e-5, bf16 1.6e-2, fp16-weights 2e-3)");
  app.add_option("--golden-atol", flags.golden_atol, "Absolute tolerance");
  app.add_option("--target", flags.target, "portable: one file for every CPU");
  app.add_option("--precision", flags.precision,
                 "fp32; bf16: weights and operands of products, with fp32 sums; fp16-weights: "
                 "half the file, computed in fp32");
  app.add_option(
         "--accuracy", flags.accuracy,
         "Error that Winograd convolutions may add, as predicted: strict: none; default: 1e-5 "
         "of the results; fast: 1e-4")
      ->check(CLI::IsMember({"strict", "default", "fast"}));
  app.add_option("--cache", flags.cache_mib,
                 "MiB of cache that a batch's activations are counted on to stay in; of larger "
                 "ones, the first layers run on some items at a time (0: never; default 16)")
      ->check(CLI::Range(0, 1 << 20));
  app.add_flag("--tune", flags.tune.tune,
               "Time the kernels that a layer may have on this machine, where no record has, and "
               "keep the times in the first --tune-record (default: OUTPUT.tune.json)");
  app.add_option("--tune-record", flags.tune.records,
                 "Choose kernels by the times in this record; may be repeated, records are merged");
  app.add_option("--tune-cpu", flags.tune.cpu,
                 "Choose by the entries of this kind of CPU (default: this machine's)");
  app.add_option("--tune-threads", flags.tune.threads, "Choose for runs with so many threads")
      ->check(CLI::Range(1, 256));
  app.add_option("--print-after", flags.print_after, "Print the IR after a pass, or after all");
  app.add_flag("--explain", flags.explain, "Print what was fused and which kernels were chosen");
  if (const int code = Parse(&app, argc, argv); code >= 0) return code;
  try {
    if (const absl::Status s = CompileTo(flags); !s.ok()) return Fail("floec", s);
  } catch (const std::bad_alloc&) {
    return Fail("floec", absl::ResourceExhaustedError("out of memory"));
  }
  return floe::cli::kExitOk;
}
