#include "tests/format/sample_programs.h"

#include <cstring>

namespace floe::testing {
namespace {

PwInstr Op(PwOp op, uint8_t dst, uint8_t a = 0, uint8_t b = 0, float imm = 0.0f) {
  PwInstr i;
  i.op = static_cast<uint8_t>(op);
  i.dst = dst;
  i.a = a;
  i.b = b;
  i.imm = imm;
  return i;
}
PwInstr Load(uint8_t dst, uint8_t operand) {
  PwInstr i;
  i.op = static_cast<uint8_t>(PwOp::kLoad);
  i.dst = dst;
  i.operand = operand;
  return i;
}

// A [k, n] matrix of MlpWeights in 16-column panels, written down from the layout's formula.
std::vector<float> Panels(int64_t k, int64_t n) {
  std::vector<float> packed(static_cast<size_t>((n + 15) / 16 * k * 16));
  for (int64_t r = 0; r < k; ++r) {
    for (int64_t c = 0; c < n; ++c) {
      packed[static_cast<size_t>((c / 16 * k + r) * 16 + c % 16)] = MlpWeight(r * n + c);
    }
  }
  return packed;
}

uint32_t AddPanels(ProgramBuilder* b, std::string_view name, int64_t k, int64_t n) {
  const std::vector<float> data = Panels(k, n);
  return b->AddConstant(name, DType::kF32, {k, n}, data.data(), data.size() * sizeof(float),
                        LayoutId::kGemmPanels16, 1, SectionKind::kPackedWeights);
}

uint32_t AddTrue(ProgramBuilder* b) {
  const uint8_t one = 1;
  return b->AddConstant("true", DType::kBool, {}, &one, 1);
}

std::vector<uint8_t> Bytes(const std::vector<float>& floats) {
  std::vector<uint8_t> bytes(floats.size() * sizeof(float));
  std::memcpy(bytes.data(), floats.data(), bytes.size());
  return bytes;
}

}  // namespace

std::vector<PwInstr> PwTimes(float factor) {
  return {Load(0, 0), Op(PwOp::kMulImm, 0, 0, 0, factor)};
}
std::vector<PwInstr> PwNegate() { return {Load(0, 0), Op(PwOp::kNeg, 0)}; }
std::vector<PwInstr> PwAdd() { return {Load(0, 0), Load(1, 1), Op(PwOp::kAdd, 0, 0, 1)}; }
std::vector<PwInstr> PwRelu() { return {Load(0, 0), Op(PwOp::kRelu, 0)}; }
std::vector<PwInstr> PwAtMost(float limit) {
  return {Load(0, 0), Op(PwOp::kConst, 1, 0, 0, limit), Op(PwOp::kLe, 0, 0, 1)};
}

float MlpWeight(int64_t k) { return static_cast<float>(k * 37 % 101 - 50) / 64.0f; }

ProgramData MlpProgram() {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 1, 8);
  const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(n), 4});
  const uint32_t y = b.AddOutput("y", DType::kF32, {Dim::Of(n), 3});
  const uint32_t w1 = AddPanels(&b, "w1", 4, 20);
  const uint32_t w2 = AddPanels(&b, "w2", 20, 3);
  const uint32_t h = b.AddArena("h", DType::kF32, {Dim::Of(n), 20});
  const uint32_t r = b.AddArena("r", DType::kF32, {Dim::Of(n), 20});
  b.AddMethod("main", {x}, {y},
              [&] {
                b.AddInstruction(KernelId::kGemm, {x, w1}, {h}, {}, {}, "fc1");
                b.AddInstruction(KernelId::kPointwise, {h}, {r}, {}, PwRelu(), "relu");
                b.AddInstruction(KernelId::kGemm, {r, w2}, {y}, {}, {}, "fc2");
              },
              {{2}, {8}});
  return b.Build();
}

ProgramData IfProgram() {
  ProgramBuilder b;
  const uint32_t x = b.AddInput("x", DType::kF32, {4});
  const uint32_t c = b.AddInput("c", DType::kBool, {});
  const uint32_t y = b.AddOutput("y", DType::kF32, {4});
  const uint32_t twice = b.AddArena("twice", DType::kF32, {4});
  const uint32_t minus = b.AddArena("minus", DType::kF32, {4});
  b.AddMethod("main", {x, c}, {y}, [&] {
    b.AddIf(
        c, {y},
        [&]() -> Values {
          b.AddInstruction(KernelId::kPointwise, {x}, {twice}, {}, PwTimes(2.0f), "twice");
          return {twice};
        },
        [&]() -> Values {
          b.AddInstruction(KernelId::kPointwise, {x}, {minus}, {}, PwNegate(), "minus");
          return {minus};
        });
  });
  return b.Build();
}

ProgramData LoopProgram() {
  ProgramBuilder b;
  const uint32_t x = b.AddInput("x", DType::kF32, {4});
  const uint32_t trips = b.AddInput("trips", DType::kI64, {});
  const uint32_t go = b.AddInput("go", DType::kBool, {});
  const uint32_t y = b.AddOutput("y", DType::kF32, {4});
  const uint32_t first = b.AddIndices("first", {1}, {0});
  const uint32_t i = b.AddArena("i", DType::kI64, {});
  const uint32_t v = b.AddArena("v", DType::kF32, {4});
  const uint32_t next = b.AddArena("next", DType::kF32, {4});
  const uint32_t head = b.AddArena("head", DType::kF32, {1});
  const uint32_t small = b.AddArena("small", DType::kBool, {1});
  b.AddMethod("main", {x, trips, go}, {y}, [&] {
    b.AddLoop(trips, go, {x}, {y}, 10, {i, v}, [&]() -> Values {
      b.AddInstruction(KernelId::kPointwise, {v}, {next}, {}, PwTimes(2.0f), "double");
      b.AddInstruction(KernelId::kGather, {next, first}, {head}, {0}, {}, "first");
      b.AddInstruction(KernelId::kPointwise, {head}, {small}, {}, PwAtMost(100.0f), "small");
      return {small, next};
    });
  });
  return b.Build();
}

ProgramData StateProgram() {
  ProgramBuilder b;
  const uint32_t sum = b.AddState("sum", DType::kF32, {4}, Bytes({1, 2, 3, 4}));
  const uint32_t x = b.AddInput("x", DType::kF32, {4});
  const uint32_t y = b.AddOutput("y", DType::kF32, {4});
  const uint32_t y2 = b.AddOutput("y", DType::kF32, {4});
  const uint32_t next = b.AddArena("next", DType::kF32, {4});
  b.AddMethod("step", {x}, {y}, [&] {
    b.AddInstruction(KernelId::kPointwise, {sum, x}, {next}, {}, PwAdd(), "add");
    b.AddInstruction(KernelId::kCopy, {next}, {sum}, {}, {}, "store");
    b.AddInstruction(KernelId::kCopy, {next}, {y}, {}, {}, "result");
  });
  b.AddMethod("peek", {}, {y2},
              [&] { b.AddInstruction(KernelId::kCopy, {sum}, {y2}, {}, {}, "peek"); });
  return b.Build();
}

ProgramData SizesProgram() {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 1, 8);
  const uint32_t k = b.AddDataSymbol("K", 0, 8);
  const uint32_t all = b.AddDerived("N*K", SymbolKind::kProduct, Dim::Of(n), Dim::Of(k), 0, 64);
  const uint32_t floor = b.AddDerived("N/2", SymbolKind::kFloorDiv, Dim::Of(n), 2, 0, 4);
  const uint32_t most = b.AddDerived("max", SymbolKind::kMax, Dim::Of(n), Dim::Of(k), 1, 8);
  const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(n), 4});
  const uint32_t count = b.AddInput("k", DType::kI64, {});
  const uint32_t rows = b.AddOutput("rows", DType::kF32, {Dim::Of(k), 4});
  const uint32_t grid = b.AddOutput("grid", DType::kF32, {Dim::Of(all)});
  const uint32_t half = b.AddOutput("half", DType::kF32, {Dim::Of(floor)});
  const uint32_t sizes = b.AddOutput("sizes", DType::kI64, {4});
  const uint32_t one = b.AddFloats("one", {1}, {1});
  const uint32_t square = b.AddFloats("square", {1, 1}, {1});
  const uint32_t twos = b.AddArena("twos", DType::kF32, {Dim::Of(k), 4});
  const uint32_t wide = b.AddArena("wide", DType::kF32, {Dim::Of(n), Dim::Of(k)});
  const uint32_t flat = b.AddAlias("flat", wide, {Dim::Of(all)});
  const uint32_t dims =
      b.AddDims("dims", {Dim::Of(k), Dim::Of(all), Dim::Of(floor), Dim::Of(most)});
  b.AddMethod("main", {x, count}, {rows, grid, half, sizes}, [&] {
    b.AddInstruction(KernelId::kPointwise, {one}, {half}, {}, PwTimes(2.0f), "half");
    b.AddSize(count, k, "size");
    b.AddInstruction(KernelId::kPointwise, {square}, {twos}, {}, PwTimes(2.0f), "twos");
    b.AddInstruction(KernelId::kPointwise, {twos}, {rows}, {}, PwTimes(2.0f), "rows");
    b.AddInstruction(KernelId::kPointwise, {square}, {wide}, {}, PwTimes(3.0f), "wide");
    b.AddInstruction(KernelId::kCopy, {flat}, {grid}, {}, {}, "grid");
    b.AddInstruction(KernelId::kCopy, {dims}, {sizes}, {}, {}, "sizes");
  });
  return b.Build();
}

// "main": x f32 [N, 4], c bool [], trips i64 [] -> y f32 [N, 4], pair f32 [N, 2], shape i64 [2]:
//   h = x W; a = c ? 2 h : -h; b = a doubled min(trips, 10) times; y = b as [N, 2, 2] and back;
//   pair = columns 0 and 2 of h; shape = {N, 4}.
// "step" and "peek" as in StateProgram. With a golden for main and a debug map.
ProgramData EverythingProgram() {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 1, 8);
  const Dim rows = Dim::Of(n);
  const uint32_t x = b.AddInput("x", DType::kF32, {rows, 4});
  const uint32_t c = b.AddInput("c", DType::kBool, {});
  const uint32_t trips = b.AddInput("trips", DType::kI64, {});
  const uint32_t y = b.AddOutput("y", DType::kF32, {rows, 4});
  const uint32_t pair = b.AddOutput("pair", DType::kF32, {rows, 2});
  const uint32_t shape = b.AddOutput("shape", DType::kI64, {2});
  const uint32_t w = AddPanels(&b, "w", 4, 4);
  const uint32_t yes = AddTrue(&b);
  const uint32_t columns = b.AddIndices("columns", {2}, {0, 2});
  const uint32_t dims = b.AddDims("dims", {rows, 4});
  const uint32_t h = b.AddArena("h", DType::kF32, {rows, 4});
  const uint32_t twice = b.AddArena("twice", DType::kF32, {rows, 4});
  const uint32_t minus = b.AddArena("minus", DType::kF32, {rows, 4});
  const uint32_t a = b.AddArena("a", DType::kF32, {rows, 4});
  const uint32_t i = b.AddArena("i", DType::kI64, {});
  const uint32_t v = b.AddArena("v", DType::kF32, {rows, 4});
  const uint32_t next = b.AddArena("next", DType::kF32, {rows, 4});
  const uint32_t looped = b.AddArena("looped", DType::kF32, {rows, 4});
  const uint32_t square = b.AddAlias("square", looped, {rows, 2, 2});
  const uint32_t squares = b.AddArena("squares", DType::kF32, {rows, 2, 2});
  const uint32_t flat = b.AddAlias("flat", squares, {rows, 4});
  const uint32_t main = b.AddMethod(
      "main", {x, c, trips}, {y, pair, shape},
      [&] {
        b.AddInstruction(KernelId::kGemm, {x, w}, {h}, {}, {}, "fc");
        b.AddIf(
            c, {a},
            [&]() -> Values {
              b.AddInstruction(KernelId::kPointwise, {h}, {twice}, {}, PwTimes(2.0f), "twice");
              return {twice};
            },
            [&]() -> Values {
              b.AddInstruction(KernelId::kPointwise, {h}, {minus}, {}, PwNegate(), "minus");
              return {minus};
            });
        b.AddLoop(trips, yes, {a}, {looped}, 10, {i, v}, [&]() -> Values {
          b.AddInstruction(KernelId::kPointwise, {v}, {next}, {}, PwTimes(2.0f), "double");
          return {yes, next};
        });
        b.AddInstruction(KernelId::kCopy, {square}, {squares}, {}, {}, "square");
        b.AddInstruction(KernelId::kCopy, {flat}, {y}, {}, {}, "y");
        b.AddInstruction(KernelId::kGather, {h, columns}, {pair}, {1}, {}, "pair");
        b.AddInstruction(KernelId::kCopy, {dims}, {shape}, {}, {}, "shape");
      },
      {{4}, {8}});

  const uint32_t sum = b.AddState("sum", DType::kF32, {4}, Bytes({1, 2, 3, 4}));
  const uint32_t u = b.AddInput("x", DType::kF32, {4});
  const uint32_t total = b.AddOutput("y", DType::kF32, {4});
  const uint32_t peeked = b.AddOutput("y", DType::kF32, {4});
  const uint32_t added = b.AddArena("added", DType::kF32, {4});
  b.AddMethod("step", {u}, {total}, [&] {
    b.AddInstruction(KernelId::kPointwise, {sum, u}, {added}, {}, PwAdd(), "add");
    b.AddInstruction(KernelId::kCopy, {added}, {sum}, {}, {}, "store");
    b.AddInstruction(KernelId::kCopy, {added}, {total}, {}, {}, "result");
  });
  b.AddMethod("peek", {}, {peeked},
              [&] { b.AddInstruction(KernelId::kCopy, {sum}, {peeked}, {}, {}, "peek"); });

  // x = 0, so that y and pair are 0 whatever the weights are.
  const std::vector<uint8_t> zeros(2 * 4 * 4, 0);
  const std::vector<uint8_t> pair_zeros(2 * 2 * 4, 0);
  const int64_t numbers[2] = {2, 4};
  std::vector<uint8_t> shape_bytes(sizeof(numbers));
  std::memcpy(shape_bytes.data(), numbers, sizeof(numbers));
  const int64_t three = 3;
  std::vector<uint8_t> three_bytes(8);
  std::memcpy(three_bytes.data(), &three, 8);
  b.AddGolden(main, {{{2, 4}, zeros}, {{}, {1}}, {{}, three_bytes}},
              {{{2, 4}, zeros}, {{2, 2}, pair_zeros}, {{2}, shape_bytes}}, 0, 0);
  b.set_debug_map("[]");
  return b.Build();
}

const std::vector<Sample>& SamplePrograms() {
  static const std::vector<Sample> samples = {
      {"mlp", MlpProgram},     {"if", IfProgram},       {"loop", LoopProgram},
      {"state", StateProgram}, {"sizes", SizesProgram}, {"everything", EverythingProgram},
  };
  return samples;
}

}  // namespace floe::testing
