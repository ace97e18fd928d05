// Random and mutated calls: CheckOp answers each; what it accepts runs on buffers of exactly the
// declared size (AddressSanitizer watches their ends) and writes every element of every output.
#include <iostream>
#include <random>

#include "format/attrs.h"
#include "gtest/gtest.h"
#include "tests/reference/run_case.h"

namespace floe::reference {
namespace {

constexpr int kCalls = 20000;
constexpr int64_t kMaxBytes = 1 << 16;
constexpr double kMaxFlops = 1e6;

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  int64_t Below(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }
  bool OneIn(int64_t n) { return Below(n) == 0; }

  // Mostly small, sometimes at an edge of the type.
  int64_t Dim() {
    constexpr int64_t kOdd[] = {-1,        1 << 16,  int64_t{1} << 31, int64_t{1} << 61,
                                INT64_MAX, INT64_MIN};
    return OneIn(12) ? kOdd[Below(6)] : Below(5);
  }
  int64_t Word() {
    constexpr int64_t kOdd[] = {INT64_MIN,        INT64_MAX, int64_t{1} << 31,
                                int64_t{1} << 62, -100,      100};
    if (OneIn(8)) return kOdd[Below(6)];
    return OneIn(6) ? FloatWord(static_cast<double>(Below(9)) / 2 - 2) : Below(7) - 2;
  }
  DType Type() { return static_cast<DType>(OneIn(20) ? Below(256) : 1 + Below(kDTypeCount - 1)); }

  TensorInfo Tensor() {
    TensorInfo t;
    t.dtype = OneIn(2) ? DType::kF32 : Type();
    t.rank = static_cast<uint8_t>(OneIn(30) ? Below(256) : Below(5));
    for (int64_t& d : t.dims) d = Dim();
    if (OneIn(40)) t.layout = static_cast<LayoutId>(Below(8));
    return t;
  }

  Call FromScratch() {
    Call c;
    c.op = static_cast<OpId>(Below(static_cast<int64_t>(OpId::kCount) + 1));
    const int64_t inputs = Below(5), outputs = 1 + Below(2), attrs = Below(8);
    for (int64_t i = 0; i < inputs; ++i) c.inputs.push_back(Tensor());
    for (int64_t i = 0; i < outputs; ++i) c.outputs.push_back(Tensor());
    for (int64_t i = 0; i < attrs; ++i) c.attrs.push_back(Word());
    if (OneIn(10)) c.code.resize(static_cast<size_t>(Below(5)));
    Connect(&c);
    return c;
  }

  // One to three edits of a valid call.
  Call Mutated(Call c) {
    for (int64_t edits = 1 + Below(3); edits > 0; --edits) {
      switch (Below(6)) {
        case 0:
          if (!c.attrs.empty()) c.attrs[Below(c.attrs.size())] = Word();
          break;
        case 1:
        case 2: {
          TensorInfo& t = Any(&c);
          if (t.rank > 0) t.dims[Below(t.rank)] = Dim();
          break;
        }
        case 3:
          Any(&c).dtype = Type();
          break;
        case 4:
          if (!c.code.empty()) {
            auto* bytes = reinterpret_cast<uint8_t*>(&c.code[Below(c.code.size())]);
            bytes[Below(sizeof(PwInstr))] = static_cast<uint8_t>(Below(64));
          }
          break;
        default:
          Connect(&c);
      }
    }
    return c;
  }

  void Fill(std::vector<uint8_t>* bytes, DType t) {
    for (uint8_t& b : *bytes) b = static_cast<uint8_t>(t == DType::kBool ? Below(2) : random_());
    if (!IsInt(t) || OneIn(4)) return;
    // Small numbers, so that some indices are in range.
    const size_t size = static_cast<size_t>(DTypeSize(t));
    for (size_t i = 0; i < bytes->size(); ++i) (*bytes)[i] = i % size == 0 ? Below(3) : 0;
  }

 private:
  TensorInfo& Any(Call* c) {
    const int64_t i = Below(static_cast<int64_t>(c->inputs.size() + c->outputs.size()));
    const auto n = static_cast<int64_t>(c->inputs.size());
    return i < n ? c->inputs[i] : c->outputs[i - n];
  }
  // Makes shapes agree here and there, as unrelated ones rarely do.
  void Connect(Call* c) {
    if (c->inputs.empty()) return;
    const TensorInfo& from = c->inputs[Below(c->inputs.size())];
    if (OneIn(2)) c->outputs[0] = from;
    if (OneIn(2)) c->inputs[Below(c->inputs.size())] = from;
  }

  std::mt19937_64 random_;
};

bool SmallEnough(const Call& call, const Footprint& footprint) {
  if (footprint.flops > kMaxFlops || footprint.scratch_bytes > kMaxBytes) return false;
  for (const auto* list : {&call.inputs, &call.outputs}) {
    for (const TensorInfo& t : *list) {
      int64_t bytes = 0;
      if (t.present() && (!TensorBytes(t, &bytes).ok() || bytes > kMaxBytes)) return false;
    }
  }
  return true;
}

TEST(FuzzOps, WhatCheckAcceptsRuns) {
  const std::vector<Case> cases = AllCases();
  ASSERT_FALSE(cases.empty());
  Generator g(12345);
  int accepted = 0, ran = 0;
  for (int i = 0; i < kCalls; ++i) {
    const bool scratch = g.OneIn(3);
    const Case& base = cases[g.Below(static_cast<int64_t>(cases.size()))];
    const Call call = scratch ? g.FromScratch() : g.Mutated(Call::Of(base));
    Footprint footprint;
    const Status s = call.Check(&footprint);
    if (!s.ok()) {
      EXPECT_NE(s.rule, Rule::kNone);
      continue;
    }
    ++accepted;
    if (!SmallEnough(call, footprint)) continue;
    ++ran;
    SCOPED_TRACE(scratch ? OpRow(call.op).name : base.name.c_str());
    std::vector<std::vector<uint8_t>> data;
    for (const TensorInfo& t : call.inputs) {
      int64_t bytes = 0;
      if (t.present()) {
        ASSERT_TRUE(TensorBytes(t, &bytes).ok());
      }
      data.emplace_back(static_cast<size_t>(bytes));
      g.Fill(&data.back(), t.dtype);
    }
    std::vector<std::vector<uint8_t>> first, again;
    const Rule rule = RunCall(call, footprint, data, -1, &first);
    EXPECT_TRUE(rule == Rule::kNone || rule == Rule::kRunIndex || rule == Rule::kRunDivideByZero)
        << RuleName(rule);
    // Equal, whatever the outputs held before: nothing was left unwritten, nothing uninitialised
    // was read.
    poison = static_cast<uint8_t>(~poison);
    EXPECT_EQ(RunCall(call, footprint, data, -1, &again), rule);
    if (rule == Rule::kNone) {
      EXPECT_EQ(first, again);
    }
  }
  EXPECT_GT(accepted, kCalls / 10);
  EXPECT_GT(ran, kCalls / 10);
  RecordProperty("accepted", accepted);
  RecordProperty("ran", ran);
  std::cout << accepted << " accepted, " << ran << " ran\n";
}

}  // namespace
}  // namespace floe::reference
