// reduce-windows.
#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

struct Case {
  const char* head;  // x, w, ...
  const char* node;  // %y = ...
  const char* ops;   // After fuse-epilogue and reduce-windows.
};

void Check(const Case& c) {
  const std::string text =
      std::string(c.head) + "%b = constant f32[6] = random 2\n" + c.node + "\noutput %y as \"y\"";
  SCOPED_TRACE(text);
  const auto t = Transform(Graph(text), {"infer-shapes", "fuse-epilogue", "reduce-windows"});
  EXPECT_EQ(t.ops(), c.ops) << t.text();
  if (std::string(c.ops).find("conv ") != std::string::npos) {
    EXPECT_EQ(t.first(OpId::kConv)->input(0)->rank(), 4u);
  }
}

TEST(ReduceWindows, LinesGetAHeight) {
  const char kHead[] =
      "%x = input f32[N,4,9]\n%r = input f32[N,6,9]\n%w = constant f32[6,4,3] = random 1\n"
      "%g = constant f32[6,2,3] = random 1\n%v = constant f32[6,6,3] = random 3\n";
  const Case kCases[] = {
      {kHead, "%y = conv(%x, %w, %b) {strides=[1], pads=[1,1], dilations=[1], groups=1}",
       "conv reshape*2"},
      {kHead, "%y = conv(%x, %w) {strides=[2], pads=[3,0], dilations=[2], groups=1}",
       "conv reshape*2"},
      {kHead, "%y = conv(%x, %g, %b) {strides=[1], pads=[0,1], dilations=[1], groups=2}",
       "conv reshape*2"},
      {kHead,
       "%a = conv(%x, %w, %b) {strides=[1], pads=[1,1], dilations=[1], groups=1}\n"
       "%s = add(%a, %r)\n%y = relu(%s)",
       "conv reshape*3"},
      // Nothing is reshaped in between.
      {kHead,
       "%a = conv(%x, %w, %b) {strides=[1], pads=[1,1], dilations=[1], groups=1}\n%s = relu(%a)\n"
       "%m = max_pool(%s) {kernel=[2], strides=[1], pads=[0,1], dilations=[1], ceil_mode=0}\n"
       "%y = conv(%m, %v) {strides=[1], pads=[1,1], dilations=[1], groups=1}",
       "conv*2 max_pool reshape*2"},
      {kHead,
       "%y = avg_pool(%x) {kernel=[3], strides=[2], pads=[1,1], dilations=[1], ceil_mode=0, "
       "count_include_pad=0}",
       "avg_pool reshape*2"},
  };
  for (const Case& c : kCases) Check(c);
}

TEST(ReduceWindows, DepthBecomesChannels) {
  const char kHead[] =
      "%x = input f32[N,4,5,6,7]\n%r = input f32[N,6,5,6,7]\n"
      "%w = constant f32[6,4,3,3,2] = random 1\n%q = constant f32[6,4,1,3,3] = random 1\n"
      "%g = constant f32[6,2,3,3,2] = random 1\n";
  const Case kCases[] = {
      {kHead,
       "%y = conv(%x, %w, %b) {strides=[1,1,1], pads=[1,1,0,1,1,1], dilations=[1,1,1], groups=1}",
       "concat conv pad reshape*2 slice*3 transpose*2"},
      {kHead,
       "%y = conv(%x, %w, %b) {strides=[2,1,3], pads=[0,1,0,2,0,1], dilations=[2,2,1], groups=1}",
       "concat conv pad reshape*2 slice*3 transpose*2"},
      {kHead,
       "%y = conv(%x, %q) {strides=[3,2,2], pads=[0,1,1,0,1,1], dilations=[1,1,1], groups=1}",
       "conv reshape*2 slice transpose*2"},
      {kHead,
       "%a = conv(%x, %w, %b) {strides=[1,1,1], pads=[1,1,0,1,1,1], dilations=[1,1,1], groups=1}\n"
       "%s = add(%a, %r)\n%y = relu(%s)",
       "concat conv pad reshape*3 slice*3 transpose*3"},
      // Groups stay.
      {kHead,
       "%y = conv(%x, %g) {strides=[1,1,1], pads=[0,0,0,0,0,0], dilations=[1,1,1], groups=2}",
       "conv"},
  };
  for (const Case& c : kCases) {
    if (std::string(c.node).find("%g") == std::string::npos) {
      Check(c);
      continue;
    }
    const auto t = Transform(Graph(std::string(c.head) + c.node + "\noutput %y as \"y\""),
                             {"infer-shapes", "reduce-windows"});
    EXPECT_EQ(t.ops(), c.ops);
  }
}

TEST(ReduceWindows, TransposedConvolutionsInPhases) {
  const char kHead[] = "%x = input f32[N,4,5,6]\n%z = input f32[N,4,T]\n";
  // Kernel, stride, dilation, pads, output padding, groups.
  struct Window {
    int64_t kh, kw, sh, sw, dh, dw, pt, pl, pb, pr, oh, ow, groups;
    const char* ops;
  };
  const Window kWindows[] = {
      {3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, "conv"},
      {2, 2, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 1, "conv reshape*2 transpose"},
      {3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, "conv reshape*2 transpose"},
      {3, 3, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0, 1, "conv reshape*2 slice transpose"},
      {4, 4, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0, 2, "conv reshape*2 transpose"},
      {5, 3, 3, 2, 1, 2, 0, 2, 1, 0, 2, 1, 1, "conv reshape*2 transpose"},
      {4, 5, 2, 1, 3, 1, 3, 0, 2, 2, 0, 0, 4, "conv reshape*2 slice transpose"},
      {2, 3, 4, 4, 1, 1, 0, 0, 0, 0, 1, 3, 1, "conv reshape*2 slice transpose"},
      {3, 3, 2, 2, 1, 1, 3, 3, 3, 3, 0, 0, 1, "conv reshape*2 slice transpose"},
      // Mostly zeros: it stays.
      {1, 1, 4, 4, 1, 1, 0, 0, 0, 0, 0, 0, 1, "conv_transpose"},
  };
  for (const Window& v : kWindows) {
    const auto list = [](std::initializer_list<int64_t> numbers) {
      std::string text;
      for (const int64_t n : numbers) text += (text.empty() ? "" : ",") + std::to_string(n);
      return "[" + text + "]";
    };
    const std::string text =
        kHead + ("%w = constant f32" + list({4, 6 / (v.groups == 4 ? 3 : v.groups), v.kh, v.kw})) +
        " = random 1\n%c = constant f32" + list({v.groups * (6 / (v.groups == 4 ? 3 : v.groups))}) +
        " = random 2\n%y = conv_transpose(%x, %w, %c) {strides=" + list({v.sh, v.sw}) +
        ", pads=" + list({v.pt, v.pl, v.pb, v.pr}) + ", dilations=" + list({v.dh, v.dw}) +
        ", groups=" + std::to_string(v.groups) + ", output_padding=" + list({v.oh, v.ow}) +
        "}\noutput %y as \"y\"";
    SCOPED_TRACE(text);
    const auto t = Transform(Graph(text), {"infer-shapes", "reduce-windows"});
    EXPECT_EQ(t.ops(), v.ops) << t.text();
  }
  const auto line = Transform(
      Graph(kHead + std::string("%w = constant f32[4,6,4] = random 1\n%y = conv_transpose(%z, %w) "
                                "{strides=[2], pads=[1,1], dilations=[1], groups=1, "
                                "output_padding=[0]}\noutput %y as \"y\"")),
      {"infer-shapes", "reduce-windows"});
  EXPECT_EQ(line.ops(), "conv reshape*4 transpose") << line.text();
}

}  // namespace
}  // namespace floe::passes
