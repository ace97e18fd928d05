// Max and average pooling on every table.
#include <gtest/gtest.h>

#include <string>

#include "tests/kernels/conformance.h"

namespace floe::conformance {
namespace {

// kernel h w, stride h w, pads top left bottom right, dilation h w.
struct Window {
  int64_t kh, kw, sh, sw, pt, pl, pb, pr, dh, dw;
};

KernelCase Pool(const char* name, bool average, bool include_pad, std::vector<int64_t> x, Halo in,
                int64_t oh, int64_t ow, Halo out, Window w) {
  KernelCase c{.name = name, .kernel = KernelId::kPool, .inputs = {}, .outputs = {}};
  c.inputs = {ChannelsLast(x, in)};
  c.outputs = {ChannelsLast({x[0], x[1], oh, ow}, out)};
  c.attrs = {average, include_pad, w.kh, w.kw, w.sh, w.sw, w.pt, w.pl, w.pb, w.pr, w.dh, w.dw};
  c.fills = {{-2, 2}};
  c.same_bits = true;
  c.relative = 1e-5;
  c.absolute = 1e-6;
  return c;
}

std::vector<KernelCase> Cases() {
  const Window k3s2{3, 3, 2, 2, 1, 1, 1, 1, 1, 1};
  const Window k2s2{2, 2, 2, 2, 0, 0, 0, 0, 1, 1};
  const Window odd{3, 2, 1, 3, 2, 0, 1, 1, 2, 1};
  const Window global{7, 7, 1, 1, 0, 0, 0, 0, 1, 1};
  return {
      Pool("max_resnet", false, false, {2, 70, 15, 13}, {1, 1, 1}, 8, 7, {0, 0, 0}, k3s2),
      Pool("max_to_halo", false, false, {1, 16, 14, 14}, {}, 7, 7, {1, 2, 1}, k3s2),
      Pool("max_lenet", false, false, {3, 6, 28, 28}, {}, 14, 14, {}, k2s2),
      Pool("max_dilated", false, false, {1, 33, 9, 10}, {0, 1, 2}, 8, 4, {1, 0, 0}, odd),
      Pool("max_ceil", false, false, {1, 5, 8, 8}, {}, 4, 4, {}, {3, 3, 2, 2, 0, 0, 0, 0, 1, 1}),
      Pool("average", true, false, {2, 19, 11, 9}, {1, 1, 1}, 6, 5, {}, k3s2),
      Pool("average_with_padding", true, true, {2, 19, 11, 9}, {}, 6, 5, {1, 1, 1}, k3s2),
      Pool("average_ceil", true, true, {1, 64, 8, 8}, {}, 4, 4, {}, {3, 3, 2, 2, 1, 1, 0, 0, 1, 1}),
      Pool("average_global", true, false, {2, 100, 7, 7}, {}, 1, 1, {}, global),
      Pool("one_pixel", false, false, {1, 1, 1, 1}, {}, 1, 1, {}, {1, 1, 1, 1, 0, 0, 0, 0, 1, 1}),
      Pool("no_images", false, false, {0, 8, 8, 8}, {}, 4, 4, {1, 1, 1}, k2s2),
      Pool("large", false, false, {1, 64, 112, 112}, {}, 56, 56, {1, 1, 1}, k3s2),
  };
}

TEST(PoolTest, EveryTableMatchesTheTwin) {
  for (const KernelCase& c : Cases()) RunCase(c);
}

// Every count of channels up to two vectors, windows inside, across and beyond the edges.
TEST(PoolTest, EveryChannelCount) {
  const Window windows[] = {{2, 2, 2, 2, 0, 0, 0, 0, 1, 1},
                            {3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
                            {1, 4, 1, 3, 0, 2, 0, 1, 1, 2},
                            {2, 9, 1, 1, 0, 4, 0, 4, 1, 1}};
  const int64_t heights[] = {3, 4, 6, 5}, widths[] = {9, 10, 6, 19};
  for (int64_t channels = 1; channels <= 34; ++channels) {
    for (int i = 0; i < 4; ++i) {
      const Halo halo = channels % 2 == 0 ? Halo{1, 1, 2} : Halo{};
      const std::string name = "window" + std::to_string(i) + "_c" + std::to_string(channels);
      for (const bool average : {false, true}) {
        RunCase(Pool(name.c_str(), average, channels % 3 == 0, {2, channels, 6, 19}, halo,
                     heights[i], widths[i], halo, windows[i]));
      }
    }
  }
}

// Rows longer than the kernel's buffer, and a window that does not fit in it.
TEST(PoolTest, WideRows) {
  RunCase(Pool("wide", false, false, {1, 3, 4, 2003}, {}, 2, 1001, {1, 1, 1},
               {2, 2, 2, 2, 0, 0, 0, 0, 1, 1}));
  RunCase(Pool("wide_window", false, false, {1, 3, 2, 900}, {}, 1, 301, {},
               {2, 600, 2, 1, 0, 0, 0, 0, 1, 1}));
}

// Numbers of one size: in one chain of additions each would round the same way, by 1e-4 in all.
TEST(PoolTest, LargeWindowsRoundInShortChains) {
  for (const int64_t channels : {3, 16, 69}) {
    KernelCase c = Pool("large", true, false, {1, channels, 60, 150}, {1, 0, 1}, 1, 2, {},
                        {60, 140, 1, 20, 0, 5, 0, 5, 1, 1});
    c.fills = {{.values = {1.0 / 3}}};
    c.relative = 3e-6;
    c.absolute = 0;
    RunCase(c);
  }
}

TEST(PoolTest, NanWinsInMaxPools) {
  KernelCase c =
      Pool("nan", false, false, {1, 20, 6, 6}, {}, 3, 3, {}, {2, 2, 2, 2, 0, 0, 0, 0, 1, 1});
  c.fills = {{.special = true}};
  RunCase(c);
}

TEST(PoolTest, RefusesWhatDoesNotFit) {
  const KernelCase good = Cases()[0];
  Footprint f;
  ASSERT_TRUE(CheckCase(good, &f).ok());
  EXPECT_GT(f.flops, 0);
  for (size_t word = 0; word < good.attrs.size(); ++word) {
    KernelCase bad = good;
    bad.attrs[word] = -1;
    EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr) << word;
  }
  for (const size_t stride : {4u, 5u, 10u, 11u}) {
    KernelCase bad = good;
    bad.attrs[stride] = 0;
    EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionAttr) << stride;
  }
  for (int axis = 0; axis < 4; ++axis) {
    KernelCase bad = good;
    bad.outputs[0].dims[axis] += 5;
    EXPECT_EQ(CheckCase(bad, &f).rule, Rule::kInstructionShape) << axis;
  }
  KernelCase dense = good;
  dense.inputs[0].layout = LayoutId::kDense;
  dense.inputs[0].halo = {};
  EXPECT_EQ(CheckCase(dense, &f).rule, Rule::kInstructionLayout);
}

}  // namespace
}  // namespace floe::conformance
