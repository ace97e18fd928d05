// Sizes that are no multiples of one symbol, and sizes that only a run knows: PyTorch's archives of
// tests/torch_export/fixtures, compiled and run at several sizes, against eager's numbers.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "compiler/import/torch_export/import.h"
#include "runtime/floe.hpp"
#include "tests/lower/compile_testing.h"
#include "tools/cli/inputs.h"
#include "tools/cli/npy.h"

namespace floe {
namespace {

namespace fs = std::filesystem;

constexpr char kFolder[] = "tests/torch_export/fixtures/torch2.13/";

absl::StatusOr<Model> Compile(const std::string& name, const lower::CompileOptions& options) {
  auto graph = torch_export::ImportTorchExport(kFolder + name + ".pt2");
  if (!graph.ok()) return graph.status();
  const auto compiled = lower::CompileGraph(*std::move(graph), options);
  if (!compiled.ok()) return compiled.status();
  auto opened = lower::Open(*compiled);
  if (!opened.ok()) return cli::ToAbsl(opened.outcome());
  return std::move(*opened);
}

cli::NamedArrays Read(const std::string& path) {
  auto arrays = cli::ReadNpz(path, uint64_t{1} << 24);
  EXPECT_TRUE(arrays.ok()) << arrays.status();
  return arrays.ok() ? *std::move(arrays) : cli::NamedArrays();
}

const cli::Array* Find(const cli::NamedArrays& arrays, const std::string& name) {
  for (const auto& [key, array] : arrays) {
    if (key == name) return &array;
  }
  return nullptr;
}

std::vector<Tensor> InputsOf(const Model& model, const cli::NamedArrays& golden) {
  std::vector<Tensor> inputs;
  for (uint32_t i = 0; i < model.Method().inputs; ++i) {
    const cli::Array* a = Find(golden, "in/" + std::string(model.Name(FLOE_INPUT, i)));
    EXPECT_NE(a, nullptr) << "input " << i;
    if (a != nullptr) inputs.push_back(cli::TensorOfArray(*a));
  }
  return inputs;
}

// Runs into poisoned buffers of the bound's size. The outputs are of the run's.
void RunAndCompare(const Model& model, Session& session, const cli::NamedArrays& golden,
                   const std::string& what) {
  SCOPED_TRACE(what);
  const std::vector<Tensor> inputs = InputsOf(model, golden);
  const Outcome bound = session.Bind(inputs);
  ASSERT_TRUE(bound.ok()) << bound.Message();
  std::vector<std::vector<double>> memory;  // double: aligned for every type.
  for (uint32_t i = 0; i < model.Method().outputs; ++i) {
    auto t = session.Output(i);
    ASSERT_TRUE(t.ok());
    memory.emplace_back(t->bytes / 8 + 1);
    ASSERT_TRUE(session.SetOutput(i, memory.back().data(), t->bytes).ok());
  }
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (auto& m : memory) std::memset(m.data(), 0xff, m.size() * 8);
    const Outcome run = session.Run();
    ASSERT_TRUE(run.ok()) << run.Message();
    for (uint32_t i = 0; i < memory.size(); ++i) {
      const std::string name(model.Name(FLOE_OUTPUT, i));
      const cli::Array* want = Find(golden, "out/" + name);
      ASSERT_NE(want, nullptr) << name;
      const Tensor got = *session.Output(i);
      EXPECT_EQ(std::vector<int64_t>(got.dims, got.dims + got.rank), want->dims) << name;
      double max = 0;
      EXPECT_LE(cli::MaxRelativeError(got, cli::TensorOfArray(*want), &max), 1e-5) << name;
    }
  }
}

class SizesTest : public testing::TestWithParam<const char*> {};

TEST_P(SizesTest, EveryStoredSizeMatchesEager) {
  const std::string name = GetParam();
  const auto model = Compile(name, {});
  ASSERT_TRUE(model.ok()) << model.status();
  auto session = Session::Make(*model);
  ASSERT_TRUE(session.ok()) << session.outcome().Message();
  const std::string stem = kFolder + std::string(absl::StripSuffix(name, ".decomposed"));
  int runs = 0;
  for (const char* suffix : {".npz", ".2.npz", ".3.npz", ".npz"}) {
    if (!fs::exists(stem + suffix)) continue;
    RunAndCompare(*model, *session, Read(stem + suffix), suffix);
    ++runs;
  }
  EXPECT_GE(runs, 3);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, SizesTest,
                         testing::Values("flatten", "flatten.decomposed", "strides",
                                         "strides.decomposed", "select", "select.decomposed",
                                         "found", "found.decomposed", "padded", "padded.decomposed",
                                         "repeat", "scan_dyn", "map_dyn", "rows",
                                         "rows.decomposed"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '.' ? '_' : c;
                           return name;
                         });

TEST(Sizes, WhatAnAskedBoundDoesNotCoverFailsTheRunByName) {
  lower::CompileOptions options;
  options.bounds = {{"u0", 2}};
  const auto model = Compile("select", options);
  ASSERT_TRUE(model.ok()) << model.status();
  auto session = Session::Make(*model);
  ASSERT_TRUE(session.ok());
  const cli::NamedArrays golden = Read(std::string(kFolder) + "select.npz");
  ASSERT_TRUE(session->Bind(InputsOf(*model, golden)).ok());
  std::vector<std::vector<double>> memory;
  for (uint32_t i = 0; i < model->Method().outputs; ++i) {
    const Tensor t = *session->Output(i);
    memory.emplace_back(t.bytes / 8 + 1);
    ASSERT_TRUE(session->SetOutput(i, memory.back().data(), t.bytes).ok());
  }
  const Outcome run = session->Run();
  EXPECT_EQ(run.code(), FLOE_OUT_OF_RANGE) << run.Message();
  EXPECT_TRUE(absl::StrContains(run.Message(), "u0 is ")) << run.Message();
  EXPECT_TRUE(absl::StrContains(run.Message(), " to 2")) << run.Message();
}

TEST(Sizes, NamesOfNoSizeAreRefused) {
  lower::CompileOptions options;
  options.bounds = {{"v7", 2}};
  const auto model = Compile("select", options);
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(model.status().message(), "'u0'")) << model.status();
}

}  // namespace
}  // namespace floe
