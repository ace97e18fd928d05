#include "tests/runtime/support.h"

#include <cstdio>
#include <cstdlib>

#include "format/writer.h"
#include "tests/format/sample_programs.h"

namespace floe::testing {

std::vector<BackendChoice> AvailableBackends() {
  std::vector<BackendChoice> list;
  floe_backend_info info = {};
  info.struct_size = sizeof(info);
  for (uint32_t i = 0; floe_get_backend(i, &info) == FLOE_OK; ++i) {
    if (info.available) list.push_back({info.backend, info.isa});
  }
  EXPECT_GE(list.size(), 2u);
  return list;
}

std::vector<uint8_t> FileOf(const ProgramData& program) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(WriteProgram(program.View(), &bytes).ok());
  return bytes;
}

Model OpenProgram(const ProgramData& program, const BackendChoice& on) {
  const std::vector<uint8_t> file = FileOf(program);
  OpenOptions options;
  options.copy = 1;
  options.backend = on.backend.c_str();
  options.isa = on.isa.empty() ? nullptr : on.isa.c_str();
  Result<Model> model = Model::Open(file.data(), file.size(), options);
  if (!model.ok()) {
    // Nothing after this can work.
    std::fprintf(stderr, "OpenProgram: %s\n", model.outcome().Message().c_str());
    std::abort();
  }
  return std::move(model).value();
}

Session MakeSession(const Model& model, floe_thread_pool* pool) {
  SessionOptions options;
  options.own_outputs = 1;
  options.pool = pool;
  Result<Session> session = Session::Make(model, options);
  EXPECT_TRUE(session.ok()) << session.outcome().Message();
  return session.ok() ? std::move(session).value() : Session();
}

ProgramData ChainProgram(int length, int64_t width) {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 1, 8);
  const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(n), width});
  Values outputs;
  for (int k = 0; k < length; ++k) {
    outputs.push_back(b.AddOutput("y" + std::to_string(k), DType::kF32, {Dim::Of(n), width}));
  }
  b.AddMethod("main", {x}, outputs, [&] {
    for (int k = 0; k < length; ++k) {
      b.AddInstruction(KernelId::kPointwise, {k == 0 ? x : outputs[k - 1]}, {outputs[k]}, {},
                       PwTimes(2.0f), "link" + std::to_string(k));
    }
  });
  return b.Build();
}

ProgramData FibonacciProgram() {
  ProgramBuilder b;
  const int64_t seven = 7;
  const uint8_t one = 1;
  const uint32_t trips = b.AddConstant("trips", DType::kI64, {}, &seven, sizeof(seven));
  const uint32_t yes = b.AddConstant("yes", DType::kBool, {}, &one, sizeof(one));
  const uint32_t a = b.AddInput("a", DType::kF32, {3});
  const uint32_t c = b.AddInput("b", DType::kF32, {3});
  const uint32_t a_out = b.AddOutput("a_out", DType::kF32, {3});
  const uint32_t b_out = b.AddOutput("b_out", DType::kF32, {3});
  const uint32_t i = b.AddArena("i", DType::kI64, {});
  const uint32_t p = b.AddArena("p", DType::kF32, {3});
  const uint32_t q = b.AddArena("q", DType::kF32, {3});
  const uint32_t sum = b.AddArena("sum", DType::kF32, {3});
  b.AddMethod("main", {a, c}, {a_out, b_out}, [&] {
    b.AddLoop(trips, yes, {a, c}, {a_out, b_out}, 100, {i, p, q}, [&]() -> Values {
      b.AddInstruction(KernelId::kPointwise, {p, q}, {sum}, {}, PwAdd(), "sum");
      return {yes, q, sum};
    });
  });
  return b.Build();
}

ProgramData WideProgram() {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 1, 64);
  const uint32_t x = b.AddInput("x", DType::kF32, {Dim::Of(n), 64, 64});
  const uint32_t h = b.AddArena("h", DType::kF32, {Dim::Of(n), 64, 64});
  const uint32_t y = b.AddOutput("y", DType::kF32, {Dim::Of(n), 64, 64});
  PwInstr load;
  load.op = static_cast<uint8_t>(PwOp::kLoad);
  PwInstr gelu;
  gelu.op = static_cast<uint8_t>(PwOp::kGelu);
  b.AddMethod("main", {x}, {y}, [&] {
    b.AddInstruction(KernelId::kPointwise, {x}, {h}, {}, {load, gelu}, "first");
    b.AddInstruction(KernelId::kPointwise, {h}, {y}, {}, {load, gelu}, "second");
  });
  return b.Build();
}

ProgramData ShapesProgram() {
  ProgramBuilder b;
  const uint32_t n = b.AddSymbol("N", 1, 8);
  const uint32_t t = b.AddSymbol("T", 2, 64, 2);
  const Shape shape_a = {Dim::Of(n), Dim::Of(t)};
  const Shape shape_b = {Dim::Of(t, 2, 1), 3};
  const Shape shape_c = {Dim::Of(n)};
  const uint32_t in_a = b.AddInput("a", DType::kF32, shape_a);
  const uint32_t in_b = b.AddInput("b", DType::kF32, shape_b);
  const uint32_t in_c = b.AddInput("c", DType::kI64, shape_c);
  const uint32_t out_a = b.AddOutput("a2", DType::kF32, shape_a);
  const uint32_t out_b = b.AddOutput("b2", DType::kF32, shape_b);
  const uint32_t out_c = b.AddOutput("c2", DType::kI64, shape_c);
  const uint32_t via = b.AddArena("via", DType::kF32, shape_a);
  b.AddMethod("main", {in_a, in_b, in_c}, {out_a, out_b, out_c},
              [&] {
                b.AddInstruction(KernelId::kCopy, {in_a}, {via}, {}, {}, "a1");
                b.AddInstruction(KernelId::kCopy, {via}, {out_a}, {}, {}, "a2");
                b.AddInstruction(KernelId::kCopy, {in_b}, {out_b}, {}, {}, "b2");
                b.AddInstruction(KernelId::kCopy, {in_c}, {out_c}, {}, {}, "c2");
              },
              {{2, 16}, {8, 64}});
  return b.Build();
}

ProgramData SpinProgram() {
  ProgramBuilder b;
  const uint8_t one = 1;
  const uint32_t yes = b.AddConstant("yes", DType::kBool, {}, &one, sizeof(one));
  const uint32_t trips = b.AddInput("trips", DType::kI64, {});
  const uint32_t x = b.AddInput("x", DType::kF32, {4});
  const uint32_t y = b.AddOutput("y", DType::kF32, {4});
  const uint32_t i = b.AddArena("i", DType::kI64, {});
  const uint32_t v = b.AddArena("v", DType::kF32, {4});
  const uint32_t next = b.AddArena("next", DType::kF32, {4});
  b.AddMethod("main", {trips, x}, {y}, [&] {
    b.AddLoop(trips, yes, {x}, {y}, 1 << 24, {i, v}, [&]() -> Values {
      b.AddInstruction(KernelId::kPointwise, {v}, {next}, {}, PwTimes(1.0f), "same");
      return {yes, next};
    });
  });
  return b.Build();
}

}  // namespace floe::testing
