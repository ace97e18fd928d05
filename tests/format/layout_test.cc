// Layouts: the decoder against addresses that are computed here, from the formulas' words, by
// walking the stored order; sizes; refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "format/tensor_info.h"
#include "tests/format/test_util.h"

namespace floe::testing {
namespace {

using Index = std::vector<int64_t>;

struct LayoutCase {
  LayoutId layout;
  std::vector<int64_t> dims;
  Halo halo = {};
  int32_t groups = 1;
  DType dtype = DType::kF32;
};

TensorInfo Info(const LayoutCase& c) {
  TensorInfo t;
  t.dtype = c.dtype;
  t.layout = c.layout;
  t.rank = static_cast<uint8_t>(c.dims.size());
  std::copy(c.dims.begin(), c.dims.end(), t.dims);
  t.halo = c.halo;
  t.groups = c.groups;
  return t;
}

std::string Name(const LayoutCase& c) {
  std::string s = LayoutName(c.layout);
  for (const int64_t d : c.dims) s += " " + std::to_string(d);
  return s + " groups " + std::to_string(c.groups) + " gap " + std::to_string(c.halo.gap);
}

// All positions of the buffer in stored order: the logical index that lives there, or empty for
// padding. Nested loops in the order in which the layout's text says that data is stored.
using Stored = std::vector<Index>;

void EachTap(const std::vector<int64_t>& dims, const std::function<void(const Index&)>& visit) {
  Index tap(dims.size() - 2, 0);
  int64_t taps = 1;
  for (size_t a = 2; a < dims.size(); ++a) taps *= dims[a];
  for (int64_t t = 0; t < taps; ++t) {
    int64_t rest = t;
    for (size_t a = dims.size(); a-- > 2;) {
      tap[a - 2] = rest % dims[a];
      rest /= dims[a];
    }
    visit(tap);
  }
}

Stored StoredOrder(const LayoutCase& c) {
  Stored s;
  const auto& d = c.dims;
  const auto panels = [](int64_t n) { return (n + 15) / 16; };
  switch (c.layout) {
    case LayoutId::kDense: {
      int64_t count = 1;
      for (const int64_t n : d) count *= n;
      for (int64_t i = 0; i < count; ++i) {
        Index index(d.size());
        int64_t rest = i;
        for (size_t a = d.size(); a-- > 0;) {
          index[a] = rest % d[a];
          rest /= d[a];
        }
        s.push_back(d.empty() ? Index{} : index);
      }
      break;
    }
    case LayoutId::kChannelsLast:
      for (int64_t n = 0; n < d[0]; ++n) {
        if (d.size() != 4) {
          EachTap(d, [&](const Index& pixel) {
            for (int64_t ch = 0; ch < d[1]; ++ch) {
              Index index = {n, ch};
              index.insert(index.end(), pixel.begin(), pixel.end());
              s.push_back(index);
            }
          });
          continue;
        }
        const auto pixel = [&](int64_t y, int64_t x) {
          for (int64_t ch = 0; ch < d[1]; ++ch) {
            s.push_back(y >= 0 && y < d[2] && x >= 0 && x < d[3] ? Index{n, ch, y, x} : Index{});
          }
        };
        for (int g = 0; g < c.halo.gap; ++g) pixel(-1, -1);
        for (int64_t y = -int64_t{c.halo.top}; y < d[2] + c.halo.bottom; ++y) {
          for (int64_t x = 0; x < d[3] + c.halo.gap; ++x) pixel(y, x);
        }
      }
      break;
    case LayoutId::kGemmPanels16:
      for (int64_t panel = 0; panel < panels(d[1]); ++panel) {
        for (int64_t k = 0; k < d[0]; ++k) {
          for (int64_t lane = 0; lane < 16; ++lane) {
            const int64_t n = panel * 16 + lane;
            s.push_back(n < d[1] ? Index{k, n} : Index{});
          }
        }
      }
      break;
    case LayoutId::kConvPanels16: {
      const int64_t outputs = d[0] / c.groups;
      for (int64_t g = 0; g < c.groups; ++g) {
        for (int64_t panel = 0; panel < panels(outputs); ++panel) {
          EachTap(d, [&](const Index& tap) {
            for (int64_t i = 0; i < d[1]; ++i) {
              for (int64_t lane = 0; lane < 16; ++lane) {
                const int64_t o = panel * 16 + lane;
                Index index = {g * outputs + o, i};
                index.insert(index.end(), tap.begin(), tap.end());
                s.push_back(o < outputs ? index : Index{});
              }
            }
          });
        }
      }
      break;
    }
    case LayoutId::kGemmPairs16:
      for (int64_t panel = 0; panel < panels(d[1]); ++panel) {
        for (int64_t pair = 0; pair < (d[0] + 1) / 2; ++pair) {
          for (int64_t lane = 0; lane < 16; ++lane) {
            for (int64_t k = 2 * pair; k < 2 * pair + 2; ++k) {
              const int64_t n = panel * 16 + lane;
              s.push_back(n < d[1] && k < d[0] ? Index{k, n} : Index{});
            }
          }
        }
      }
      break;
    case LayoutId::kConvPairs16: {
      const int64_t outputs = d[0] / c.groups;
      for (int64_t block = 0; block < c.groups * panels(outputs); ++block) {
        const int64_t g = block / panels(outputs), panel = block % panels(outputs);
        EachTap(d, [&](const Index& tap) {
          for (int64_t at = 0; at < (d[1] + 1) / 2 * 32; ++at) {
            const int64_t o = panel * 16 + at % 32 / 2, i = at / 32 * 2 + at % 2;
            Index index = {g * outputs + o, i};
            index.insert(index.end(), tap.begin(), tap.end());
            s.push_back(o < outputs && i < d[1] ? index : Index{});
          }
        });
      }
      break;
    }
    case LayoutId::kDepthwiseTaps16:
      EachTap(d, [&](const Index& tap) {
        for (int64_t ch = 0; ch < panels(d[0]) * 16; ++ch) {
          Index index = {ch, 0};
          index.insert(index.end(), tap.begin(), tap.end());
          s.push_back(ch < d[0] ? index : Index{});
        }
      });
      break;
    case LayoutId::kWinogradPanels16:
      EachTap(d, [&](const Index& at) {
        for (int64_t panel = 0; panel < panels(d[0]); ++panel) {
          for (int64_t i = 0; i < d[1]; ++i) {
            for (int64_t lane = 0; lane < 16; ++lane) {
              const int64_t o = panel * 16 + lane;
              s.push_back(o < d[0] ? Index{o, i, at[0], at[1]} : Index{});
            }
          }
        }
      });
      break;
    case LayoutId::kGemmPanels16x4:
      for (int64_t panel = 0; panel < panels(d[1]); ++panel) {
        for (int64_t k4 = 0; k4 < d[0]; k4 += 4) {
          for (int64_t lane = 0; lane < 64; ++lane) {
            const int64_t n = panel * 16 + lane / 4, k = k4 + lane % 4;
            s.push_back(n < d[1] && k < d[0] ? Index{k, n} : Index{});
          }
        }
      }
      break;
    case LayoutId::kConvPanels16x4: {
      const int64_t outputs = d[0] / c.groups;
      for (int64_t g = 0; g < c.groups; ++g) {
        for (int64_t panel = 0; panel < panels(outputs); ++panel) {
          EachTap(d, [&](const Index& tap) {
            for (int64_t i4 = 0; i4 < d[1]; i4 += 4) {
              for (int64_t lane = 0; lane < 64; ++lane) {
                const int64_t o = panel * 16 + lane / 4, i = i4 + lane % 4;
                Index index = {g * outputs + o, i};
                index.insert(index.end(), tap.begin(), tap.end());
                s.push_back(o < outputs && i < d[1] ? index : Index{});
              }
            }
          });
        }
      }
      break;
    }
    case LayoutId::kDepthwiseTaps16x4: {
      // Every group of four taps begins at a last index that is a multiple of four.
      EachTap(d, [&](const Index& tap) {
        if (tap.back() % 4 != 0) return;
        for (int64_t lane = 0; lane < panels(d[0]) * 64; ++lane) {
          Index index = {lane / 4, 0};
          index.insert(index.end(), tap.begin(), tap.end());
          index.back() += lane % 4;
          s.push_back(lane / 4 < d[0] && index.back() < d.back() ? index : Index{});
        }
      });
      break;
    }
    case LayoutId::kLstmGates16:
      for (int64_t block = 0; block < panels(d[0]); ++block) {
        for (int64_t k = 0; k < d[0]; ++k) {
          for (int64_t gate = 0; gate < 4; ++gate) {
            for (int64_t lane = 0; lane < 16; ++lane) {
              const int64_t unit = block * 16 + lane;
              s.push_back(unit < d[0] ? Index{k, gate * d[0] + unit} : Index{});
            }
          }
        }
      }
      break;
  }
  return s;
}

std::vector<LayoutCase> Cases() {
  using enum LayoutId;
  std::vector<LayoutCase> cases = {
      {kDense, {}},
      {kDense, {1}},
      {kDense, {7}},
      {kDense, {0}},
      {kDense, {3, 0, 5}},
      {kDense, {2, 3, 4, 5}},
      {kDense, {2, 1, 3, 1, 2, 1, 2, 3}},
      {kDense, {5, 3}, {}, 1, DType::kI64},
      {kDense, {5, 3}, {}, 1, DType::kBool},
      {kDense, {5, 3}, {}, 1, DType::kBF16},
      {kChannelsLast, {2, 3, 5}},
      {kChannelsLast, {1, 1, 1}},
      {kChannelsLast, {2, 3, 4, 5}},
      {kChannelsLast, {2, 17, 1, 1}},
      {kChannelsLast, {2, 3, 2, 3, 4}},
      {kChannelsLast, {0, 3, 4, 5}},
      {kChannelsLast, {2, 3, 4, 5}, {1, 1, 1}},
      {kChannelsLast, {1, 16, 7, 7}, {3, 2, 4}},
      {kChannelsLast, {3, 2, 1, 1}, {0, 2, 0}},
      {kChannelsLast, {2, 2, 3, 2}, {0, 0, 5}},
      {kChannelsLast, {2, 2, 0, 4}, {1, 1, 1}},
      {kChannelsLast, {1, 4, 5, 5}, {1, 1, 1}, 1, DType::kU8},
  };
  for (const int64_t k : {1, 5, 64}) {
    for (const int64_t n : {0, 1, 15, 16, 17, 40}) {
      cases.push_back({kGemmPanels16, {k, n}});
      cases.push_back({kGemmPairs16, {k, n}});
      cases.push_back({kGemmPairs16, {k, n}, {}, 1, DType::kBF16});
    }
  }
  for (const int32_t groups : {1, 2, 3}) {
    for (const int64_t outputs : {1, 16, 17}) {
      cases.push_back({kConvPanels16, {groups * outputs, 3, 3, 3}, {}, groups});
      cases.push_back({kConvPanels16, {groups * outputs, 1, 1, 1}, {}, groups});
      cases.push_back({kConvPanels16, {groups * outputs, 2, 5}, {}, groups});
      cases.push_back({kConvPanels16, {groups * outputs, 2, 2, 1, 3}, {}, groups});
      cases.push_back({kConvPairs16, {groups * outputs, 3, 3, 3}, {}, groups});
      cases.push_back({kConvPairs16, {groups * outputs, 4, 1, 2}, {}, groups, DType::kBF16});
      cases.push_back({kConvPairs16, {groups * outputs, 1, 5}, {}, groups});
    }
  }
  for (const int64_t channels : {1, 16, 19, 32}) {
    cases.push_back({kDepthwiseTaps16, {channels, 1, 3, 3}});
    cases.push_back({kDepthwiseTaps16, {channels, 1, 5}});
  }
  for (const int64_t outputs : {1, 16, 19, 32}) {
    for (const int64_t t : {4, 6}) cases.push_back({kWinogradPanels16, {outputs, 5, t, t}});
  }
  for (const int64_t k : {1, 4, 7, 64}) {
    for (const int64_t n : {0, 1, 16, 17, 40}) {
      cases.push_back({kGemmPanels16x4, {k, n}, {}, 1, DType::kI8});
    }
  }
  for (const int32_t groups : {1, 3}) {
    for (const int64_t inputs : {1, 3, 4, 5}) {
      for (const int64_t outputs : {1, 16, 17}) {
        cases.push_back(
            {kConvPanels16x4, {groups * outputs, inputs, 3, 2}, {}, groups, DType::kI8});
        cases.push_back({kConvPanels16x4, {groups * outputs, inputs, 5}, {}, groups, DType::kI8});
      }
    }
  }
  for (const int64_t channels : {1, 16, 19}) {
    cases.push_back({kDepthwiseTaps16x4, {channels, 1, 3, 3}, {}, 1, DType::kI8});
    cases.push_back({kDepthwiseTaps16x4, {channels, 1, 5}, {}, 1, DType::kI8});
    cases.push_back({kDepthwiseTaps16x4, {channels, 1, 2, 3, 4}, {}, 1, DType::kI8});
  }
  for (const int64_t hidden : {1, 16, 21}) cases.push_back({kLstmGates16, {hidden, 4 * hidden}});
  return cases;
}

TEST(LayoutTest, DecoderFollowsTheStoredOrder) {
  for (const LayoutCase& c : Cases()) {
    SCOPED_TRACE(Name(c));
    const TensorInfo info = Info(c);
    const Stored stored = StoredOrder(c);
    int64_t bytes = -1;
    ASSERT_OK(TensorBytes(info, &bytes));
    EXPECT_EQ(bytes, static_cast<int64_t>(stored.size()) * DTypeSize(c.dtype));
    int64_t count = -1;
    ASSERT_TRUE(ElementCount(info, &count));
    int64_t met = 0;
    for (size_t at = 0; at < stored.size(); ++at) {
      if (stored[at].size() != c.dims.size()) continue;  // Padding; a scalar's index is empty, too.
      ASSERT_EQ(ElementOffset(info, stored[at].data()), static_cast<int64_t>(at));
      ++met;
    }
    EXPECT_EQ(met, count) << "every element is stored exactly once";
  }
}

// Data goes into a layout by the stored order and comes back through the decoder.
TEST(LayoutTest, RoundTrip) {
  for (const LayoutCase& c : Cases()) {
    if (c.dtype != DType::kF32) continue;
    SCOPED_TRACE(Name(c));
    const Stored stored = StoredOrder(c);
    std::vector<float> packed(stored.size(), -1.0f);
    // Value of a logical index: its row-major number.
    const auto number = [&](const Index& index) {
      int64_t n = 0;
      for (size_t a = 0; a < index.size(); ++a) n = n * c.dims[a] + index[a];
      return static_cast<float>(n);
    };
    for (size_t at = 0; at < stored.size(); ++at) {
      if (stored[at].size() == c.dims.size()) packed[at] = number(stored[at]);
    }
    const LayoutCase dense = {LayoutId::kDense, c.dims};
    const TensorInfo info = Info(c);
    for (const Index& index : StoredOrder(dense)) {
      ASSERT_EQ(packed[static_cast<size_t>(ElementOffset(info, index.data()))], number(index));
    }
  }
}

TEST(LayoutTest, StridesAgreeWithTheDecoder) {
  for (const LayoutCase& c : Cases()) {
    if (c.layout != LayoutId::kDense && c.layout != LayoutId::kChannelsLast) continue;
    SCOPED_TRACE(Name(c));
    const TensorInfo info = Info(c);
    int64_t strides[kMaxRank];
    int64_t offset = -1;
    TensorStrides(info, strides, &offset);
    const Stored stored = StoredOrder(c);
    for (size_t at = 0; at < stored.size(); ++at) {
      if (stored[at].size() != c.dims.size()) continue;
      int64_t sum = offset;
      for (size_t a = 0; a < c.dims.size(); ++a) sum += stored[at][a] * strides[a];
      ASSERT_EQ(sum, static_cast<int64_t>(at));
    }
  }
}

// The halo's own words: pixel (y, x), halo included, is at gap + (y + top) * (W + gap) + x.
TEST(LayoutTest, HaloPixelsLieInsideTheTensor) {
  const LayoutCase c = {LayoutId::kChannelsLast, {2, 3, 4, 5}, {2, 1, 3}};
  const TensorInfo info = Info(c);
  int64_t bytes;
  ASSERT_OK(TensorBytes(info, &bytes));
  const int64_t elements = bytes / 4;
  std::vector<int> touched(static_cast<size_t>(elements), 0);
  for (int64_t n = 0; n < 2; ++n) {
    for (int64_t y = -2; y < 4 + 1; ++y) {
      for (int64_t x = -3; x < 5 + 3; ++x) {
        for (int64_t ch = 0; ch < 3; ++ch) {
          const int64_t index[4] = {n, ch, y, x};
          const int64_t at = ElementOffset(info, index);
          ASSERT_GE(at, 0);
          ASSERT_LT(at, elements);
          touched[static_cast<size_t>(at)] = 1;
        }
      }
    }
  }
  EXPECT_EQ(std::count(touched.begin(), touched.end(), 0), 0) << "no byte is left over";
}

struct BadCase {
  LayoutCase layout;
  Rule rule;
};

TEST(LayoutTest, BadDescriptionsAreRefused) {
  using enum LayoutId;
  constexpr int64_t kBig = int64_t{1} << 32;
  const std::vector<BadCase> cases = {
      {{static_cast<LayoutId>(6), {4}}, Rule::kValueLayout},
      {{kChannelsLast, {2, 3}}, Rule::kValueLayout},
      {{kChannelsLast, {1, 1, 1, 1, 1, 1}}, Rule::kValueLayout},
      {{kChannelsLast, {1, 1, 1}, {1, 0, 0}}, Rule::kValueLayout},
      {{kDense, {1, 1, 1, 1}, {0, 0, 1}}, Rule::kValueLayout},
      {{kDense, {4}, {}, 2}, Rule::kValueLayout},
      {{kGemmPanels16, {4}}, Rule::kValueLayout},
      {{kGemmPanels16, {4, 4, 4}}, Rule::kValueLayout},
      {{kConvPanels16, {4, 4}}, Rule::kValueLayout},
      {{kWinogradPanels16, {4, 4, 6}}, Rule::kValueLayout},
      {{kWinogradPanels16, {4, 4, 5, 5}}, Rule::kValueLayout},
      {{kWinogradPanels16, {4, 4, 4, 6}}, Rule::kValueLayout},
      {{kWinogradPanels16, {4, 4, 6, 6}, {}, 2}, Rule::kValueLayout},
      {{kConvPanels16, {4, 4, 1, 1}, {}, 0}, Rule::kValueLayout},
      {{kConvPanels16, {4, 4, 1, 1}, {}, -1}, Rule::kValueLayout},
      {{kConvPanels16, {4, 4, 1, 1}, {}, 3}, Rule::kValueLayout},
      {{kGemmPairs16, {4, 4, 4}}, Rule::kValueLayout},
      {{kConvPairs16, {4, 4, 1, 1}, {}, 3}, Rule::kValueLayout},
      {{kGemmPairs16, {INT64_MAX, 1}}, Rule::kValueTooLarge},
      {{kConvPairs16, {1, INT64_MAX, 1, 1}}, Rule::kValueTooLarge},
      {{kDepthwiseTaps16, {4, 2, 3, 3}}, Rule::kValueLayout},
      {{kLstmGates16, {4, 15}}, Rule::kValueLayout},
      {{kLstmGates16, {int64_t{1} << 62, 0}}, Rule::kValueLayout},
      {{kDense, {-1}}, Rule::kDimRange},
      {{kDense, {4}, {}, 1, DType::kNone}, Rule::kValueDType},
      {{kDense, {kBig, kBig}}, Rule::kValueTooLarge},
      {{kDense, {kBig, kBig, 0}}, Rule::kValueTooLarge},
      {{kDense, {0, kBig, kBig}}, Rule::kValueTooLarge},
      {{kDense, {int64_t{1} << 61}}, Rule::kValueTooLarge},
      {{kDense, {INT64_MAX}, {}, 1, DType::kBool}, Rule::kValueTooLarge},
      {{kGemmPanels16, {1, INT64_MAX}}, Rule::kValueTooLarge},
      {{kGemmPanels16, {kBig, kBig}}, Rule::kValueTooLarge},
      {{kConvPanels16, {INT64_MAX, 1, 1, 1}}, Rule::kValueTooLarge},
      {{kDepthwiseTaps16, {INT64_MAX, 1, 1, 1}}, Rule::kValueTooLarge},
      {{kLstmGates16, {kBig, 4 * kBig}}, Rule::kValueTooLarge},
      {{kChannelsLast, {1, 1, INT64_MAX, 1}, {1, 1, 1}}, Rule::kValueTooLarge},
      {{kChannelsLast, {1, 1, kBig, kBig}, {1, 1, 1}}, Rule::kValueTooLarge},
  };
  for (const BadCase& c : cases) {
    int64_t bytes = -1;
    EXPECT_EQ(TensorBytes(Info(c.layout), &bytes).rule, c.rule) << Name(c.layout);
    EXPECT_EQ(bytes, -1);
  }
  TensorInfo nine = Info({kDense, {1}});
  nine.rank = 9;
  int64_t bytes;
  EXPECT_EQ(TensorBytes(nine, &bytes).rule, Rule::kValueRank);
  int64_t count;
  EXPECT_FALSE(ElementCount(Info({kDense, {-1, 2}}), &count));
  EXPECT_FALSE(ElementCount(Info({kDense, {kBig, kBig}}), &count));
}

TEST(LayoutTest, Names) {
  std::set<int> known;
#define FLOE_LAYOUT(id, name, text, feature, formula) known.insert(id);
#include "format/layouts.def"
#undef FLOE_LAYOUT
  std::set<std::string> names;
  for (int id = 0; id < 256; ++id) {
    const bool is_known = known.count(id) > 0;
    EXPECT_EQ(IsKnownLayout(static_cast<uint8_t>(id)), is_known) << id;
    const std::string name = LayoutName(static_cast<LayoutId>(id));
    EXPECT_EQ(name != "?", is_known) << id;
    if (is_known) {
      EXPECT_TRUE(names.insert(name).second) << name;
    }
  }
}

}  // namespace
}  // namespace floe::testing
