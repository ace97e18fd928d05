// Rotary embeddings against their twin on every table, and the twin against plain loops.
#include <limits>

#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

struct Rotary {
  const char* name;
  int64_t batch = 2, heads = 3, positions = 5, features = 8, rotated = 8;
  bool interleaved = false, shared = false;
  std::vector<int64_t> axes = {0, 1, 2, 3};  // Of batch, head, position, feature in x.
  int64_t first = 0, step = 1, extra = 0;    // Of the heads of x; heads behind the last one read.
  std::vector<int64_t> cos = {1, 1, 5}, sin = {1, 1, 5};
};

KernelCase Make(const Rotary& r);

void Oracle(const KernelCase& c, const std::vector<Logical>& in, std::vector<Logical>* out) {
  const bool interleaved = c.attrs[0] != 0;
  const int64_t rotated = c.attrs[1], half = rotated / 2;
  const bool shared = in[1].info.dims[3] == half;
  const auto table = [&](const Logical& t, const std::vector<int64_t>& at, int64_t number) {
    int64_t p = 0;
    for (size_t i = 0; i < 3; ++i) p = p * t.info.dims[i] + (t.info.dims[i] == 1 ? 0 : at[i]);
    return t.values[static_cast<size_t>(p * t.info.dims[3] + number)];
  };
  const auto x = [&](const std::vector<int64_t>& at, int64_t feature) {
    const int64_t logical[4] = {at[0], c.attrs[6] + at[1] * c.attrs[7], at[2], feature};
    int64_t index[4], p = 0;
    for (int i = 0; i < 4; ++i) index[c.attrs[static_cast<size_t>(2 + i)]] = logical[i];
    for (int i = 0; i < 4; ++i) p = p * in[0].info.dims[i] + index[i];
    return in[0].values[static_cast<size_t>(p)];
  };
  std::vector<int64_t> at(4, 0);
  for (double& y : (*out)[0].values) {
    const int64_t d = at[3];
    if (d >= rotated) {
      y = x(at, d);
    } else {
      const int64_t pair = interleaved ? d / 2 : d % half;
      const bool second = interleaved ? d % 2 == 1 : d >= half;
      const int64_t partner = interleaved ? d ^ 1 : (d + half) % rotated;
      const int64_t number = shared ? pair : d;
      const double turned = x(at, partner) * table(in[2], at, number);
      y = x(at, d) * table(in[1], at, number) + (second ? turned : -turned);
    }
    NextIndex(c.outputs[0], &at);
  }
}

KernelCase Make(const Rotary& r) {
  KernelCase c;
  c.kernel = KernelId::kRotary;
  c.name = r.name;
  const int64_t all = r.heads == 0 ? 0 : r.first + (r.heads - 1) * r.step + 1 + r.extra;
  const int64_t logical[4] = {r.batch, all, r.positions, r.features};
  std::vector<int64_t> dims(4);
  for (size_t i = 0; i < 4; ++i) dims[static_cast<size_t>(r.axes[i])] = logical[i];
  std::vector<int64_t> cos = r.cos, sin = r.sin;
  for (auto* t : {&cos, &sin}) t->push_back(r.shared ? r.rotated / 2 : r.rotated);
  c.inputs = {Dense(dims), Dense(cos), Dense(sin)};
  c.outputs = {Dense({r.batch, r.heads, r.positions, r.features})};
  c.attrs = {r.interleaved, r.rotated};
  c.attrs.insert(c.attrs.end(), r.axes.begin(), r.axes.end());
  c.attrs.push_back(r.first);
  c.attrs.push_back(r.step);
  c.oracle = Oracle;
  return c;
}

std::vector<KernelCase> Cases() {
  std::vector<KernelCase> cases;
  static const char* kNames[4] = {"halves", "halves_shared", "neighbours", "neighbours_shared"};
  for (int kind = 0; kind < 4; ++kind) {
    const bool interleaved = kind >= 2, shared = kind % 2 == 1;
    // Vectors and tails of every ISA; a part of the features; angles of each batch or head.
    const std::vector<Rotary> rows = {
        {.name = "", .features = 2, .rotated = 2},
        {.name = "", .features = 12, .rotated = 12},
        {.name = "", .features = 64, .rotated = 64},
        {.name = "", .features = 70, .rotated = 70},
        {.name = "", .features = 40, .rotated = 34},
        {.name = "", .features = 7, .rotated = 4},
        {.name = "", .axes = {0, 2, 1, 3}, .first = 1, .step = 2, .extra = 1},
        {.name = "", .features = 32, .rotated = 32, .axes = {1, 2, 0, 3}},
        {.name = "", .cos = {2, 1, 5}, .sin = {2, 3, 1}},
        {.name = "", .cos = {1, 1, 1}, .sin = {2, 3, 5}},
        {.name = "",
         .heads = 32,
         .positions = 40,
         .features = 64,
         .rotated = 64,
         .cos = {1, 1, 40},
         .sin = {1, 1, 40}},
        {.name = "", .positions = 0, .cos = {1, 1, 0}, .sin = {1, 1, 1}},
        {.name = "", .heads = 0},
    };
    int number = 0;
    for (Rotary r : rows) {
      r.interleaved = interleaved;
      r.shared = shared;
      KernelCase c = Make(r);
      c.name = std::string(kNames[kind]) + "_" + std::to_string(number++);
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

FLOE_KERNEL_TESTS(RotaryConformance, Cases());

TEST(RotaryCheck, Refuses) {
  const Rotary good{.name = "good"};
  Footprint f;
  ASSERT_TRUE(CheckCase(Make(good), &f).ok());
  const auto rule = [&](auto&& change) {
    KernelCase c = Make(good);
    change(&c);
    return CheckCase(c, &f).rule;
  };
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[0] = 2; }), Rule::kInstructionAttr);
  for (const int64_t rotated : {0, 3, 10, -2}) {
    EXPECT_EQ(rule([=](KernelCase* c) { c->attrs[1] = rotated; }), Rule::kInstructionAttr);
  }
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[2] = 1; }), Rule::kInstructionAttr);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[6] = 1; }), Rule::kInstructionShape);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs[7] = std::numeric_limits<int64_t>::max(); }),
            Rule::kInstructionShape);
  EXPECT_EQ(rule([](KernelCase* c) { c->attrs.pop_back(); }), Rule::kInstructionAttr);
  EXPECT_EQ(rule([](KernelCase* c) { c->code.push_back(PwLoad(0, 0)); }), Rule::kInstructionCode);
  for (const uint32_t i : {1u, 2u}) {
    EXPECT_EQ(rule([i](KernelCase* c) { c->inputs[i].dims[3] = 4; }), Rule::kInstructionShape);
    EXPECT_EQ(rule([i](KernelCase* c) { c->inputs[i].dims[3] = 6; }), Rule::kInstructionShape);
    EXPECT_EQ(rule([i](KernelCase* c) { c->inputs[i].dims[2] = 4; }), Rule::kInstructionShape);
    EXPECT_EQ(rule([i](KernelCase* c) { c->inputs[i].rank = 3; }), Rule::kInstructionShape);
    EXPECT_NE(rule([i](KernelCase* c) { c->inputs[i] = Absent(); }), Rule::kNone);
    EXPECT_EQ(rule([i](KernelCase* c) { c->inputs[i].dtype = DType::kBF16; }),
              Rule::kInstructionDType);
  }
  EXPECT_NE(rule([](KernelCase* c) { c->inputs[0].dims[3] = 9; }), Rule::kNone);
  EXPECT_NE(rule([](KernelCase* c) { c->inputs[0].dims[0] = 1; }), Rule::kNone);
}

}  // namespace
}  // namespace floe::conformance
