// The integer products and what quantised networks need between them: bit for bit the same in every
// table.
#include "tests/kernels/conformance.h"
#include "tests/kernels/epilogues.h"

#include "format/attrs.h"

namespace floe::conformance {
namespace {

// How a product's result is made.
enum class Form {
  kBytes,
  kLargeFactors,  // Products beyond what words and integers hold.
  kBias,          // In f32.
  kResidual,
  kResidualHalo,
  kResidualBias,
  kFloat,
  kFloatRelu,
  kFloatProgram,
  kDynamic
};
constexpr Form kForms[] = {Form::kBytes,        Form::kLargeFactors, Form::kBias,  Form::kResidual,
                           Form::kResidualHalo, Form::kResidualBias, Form::kFloat, Form::kFloatRelu,
                           Form::kFloatProgram, Form::kDynamic};

bool IsFloatForm(Form f) { return f >= Form::kFloat; }

// The ten words of a form. Odd zero points and bounds, so that each of them matters.
std::vector<int64_t> Words(Form form, int64_t x_zp) {
  const int64_t ratio = FloatWord(0.8125), other = FloatWord(-0.4);
  switch (form) {
    case Form::kBytes:
    case Form::kLargeFactors:
    case Form::kBias:
      return {x_zp, 7, 7, 250, 0, 0, 0, 0, FloatWord(0), FloatWord(0)};
    case Form::kResidual:
    case Form::kResidualHalo:
    case Form::kResidualBias:
      return {x_zp, 3, 5, 255, 120, 9, 251, 131, ratio, other};
    case Form::kDynamic:
      return {-1, 0, 0, 0, 0, 0, 0, 0, FloatWord(0), FloatWord(0)};
    default:
      return {x_zp, 0, 0, 0, 0, 0, 0, 0, FloatWord(0), FloatWord(0)};
  }
}

// Everything but x, w and y, whose descriptions are complete.
void AddForm(Form form, int64_t columns, int64_t depth, int64_t x_zp, KernelCase* c) {
  const TensorInfo& y = c->outputs[0];
  TensorInfo residual = y;
  if (form == Form::kResidualHalo && y.layout == LayoutId::kChannelsLast) {
    residual.halo = {1, 2, 3, 131};
  }
  const bool has_residual = form >= Form::kResidual && form <= Form::kResidualBias;
  const bool float_bias = form == Form::kBias || form == Form::kResidualBias;
  const bool dynamic = form == Form::kDynamic;
  c->inputs.push_back(Dense({columns}, DType::kI32));
  c->inputs.push_back(Dense({columns}));
  c->inputs.push_back(
      form == Form::kFloat ? Absent() : Dense({columns}, float_bias ? DType::kF32 : DType::kI32));
  c->inputs.push_back(dynamic ? Dense({}) : Absent());
  c->inputs.push_back(dynamic ? Dense({1}, DType::kU8) : Absent());
  c->inputs.push_back(has_residual ? residual : Absent());
  // Sums reach about 255 * 127 * sqrt(depth): scales that use the whole byte.
  double scale = 1.0 / (100.0 * std::sqrt(static_cast<double>(std::max<int64_t>(depth, 1))));
  if (form == Form::kLargeFactors) scale = 1e6;
  const Fill bias = float_bias ? Fill{-90, 90} : Fill{-20000, 20000};
  c->fills = {{0, 255}, {-127, 127}, {-500, 500}, {scale / 4, scale}, bias, {0.1, 0.2},
              {0, 255}, {0, 255},    {-1, 1}};
  for (int64_t w : Words(form, x_zp)) c->attrs.push_back(w);
  if (form == Form::kFloatRelu || form == Form::kDynamic) {
    AddEpilogue(EpilogueNamed(form == Form::kDynamic ? "bias_gelu" : "bias_relu"), columns, y, c);
    c->tolerance = 1e-5;
  } else if (form == Form::kFloatProgram) {
    AddEpilogue(EpilogueNamed("affine_silu_residual"), columns, y, c);
    c->tolerance = 1e-5;
  }
  c->reads_input_halo = true;
}

const char* FormName(Form f) {
  constexpr const char* kNames[] = {"bytes",         "large", "bias", "residual", "residual_halo",
                                    "residual_bias", "float", "relu", "program",  "dynamic"};
  return kNames[static_cast<int>(f)];
}

KernelCase QGemm(std::vector<int64_t> rows, int64_t k, int64_t n, Form form) {
  KernelCase c;
  c.kernel = KernelId::kQGemm;
  c.name = std::string(FormName(form)) + "_" + std::to_string(k) + "_" + std::to_string(n);
  int64_t m = 1;
  for (int64_t r : rows) {
    m *= r;
    c.name += "_" + std::to_string(r);
  }
  rows.push_back(k);
  c.inputs = {Dense(rows, DType::kU8), Packed(LayoutId::kGemmPanels16x4, {k, n})};
  c.inputs[1].dtype = DType::kI8;
  rows.back() = n;
  c.outputs = {Dense(rows, IsFloatForm(form) ? DType::kF32 : DType::kU8)};
  AddForm(form, n, k, 113, &c);
  return c;
}

std::vector<KernelCase> GemmCases() {
  std::vector<KernelCase> cases;
  for (const Form form : kForms) {
    if (form == Form::kResidualHalo) continue;
    for (const int64_t m : {1, 2, 7, 13, 33}) {
      for (const int64_t k : {1, 4, 63, 64, 131}) {
        for (const int64_t n : {1, 16, 35, 96}) {
          // (Not all of the product of the lists.)
          if ((m + 3 * k + 5 * n + static_cast<int64_t>(form)) % 8 == 0) {
            cases.push_back(QGemm({m}, k, n, form));
          }
        }
      }
    }
  }
  cases.push_back(QGemm({2, 3, 5}, 37, 50, Form::kResidual));
  cases.push_back(QGemm({2, 0}, 8, 20, Form::kBytes));
  cases.push_back(QGemm({3}, 0, 20, Form::kBytes));
  cases.push_back(QGemm({3}, 8, 0, Form::kBytes));
  cases.push_back(QGemm({}, 40, 18, Form::kBytes));
  cases.push_back(QGemm({130}, 260, 250, Form::kBytes));
  cases.push_back(QGemm({130}, 260, 250, Form::kDynamic));
  // On tiles: several cuts of the panels; rows too long for L1; weights that pass once for four row
  // tiles, the last one of fewer rows.
  cases.push_back(QGemm({37}, 64, 1100, Form::kBytes));
  cases.push_back(QGemm({40}, 2100, 70, Form::kResidual));
  cases.push_back(QGemm({59}, 3000, 380, Form::kBytes));
  // Rows of several chunks, and tiles for a short depth.
  for (const Form form : {Form::kBytes, Form::kResidualBias, Form::kFloatRelu}) {
    cases.push_back(QGemm({523}, 8, 20, form));
    cases.push_back(QGemm({41}, 16, 192, form));
  }
  return cases;
}

struct Window {
  int64_t n = 1, c = 1, h = 1, w = 1, o = 1;
  int64_t groups = 1;  // 0: qdepthwise_conv.
  int64_t kh = 1, kw = 1, sh = 1, sw = 1;
  int64_t pt = 0, pl = 0, pb = 0, pr = 0;
  int64_t dh = 1, dw = 1;
  Halo y_halo = {};
  bool joined = false;  // The weights' taps.
};

KernelCase QConv(const std::string& name, const Window& s, Form form) {
  const auto positions = [](int64_t size, int64_t kernel, int64_t stride, int64_t pads,
                            int64_t dilation) {
    const int64_t reach = dilation * (kernel - 1) + 1;
    return size + pads < reach ? 0 : (size + pads - reach) / stride + 1;
  };
  const bool depthwise = s.groups == 0;
  const bool padded = s.pt + s.pl + s.pb + s.pr != 0;
  const int64_t outputs = depthwise ? s.c : s.o;
  KernelCase c;
  c.kernel = depthwise ? KernelId::kQDepthwiseConv : KernelId::kQConv;
  c.name = name + "_" + FormName(form);
  const Halo halo{static_cast<uint8_t>(s.pt), static_cast<uint8_t>(s.pb),
                  static_cast<uint8_t>(std::max(s.pl, s.pr)),
                  static_cast<uint8_t>(padded ? 113 : 0)};
  c.inputs.push_back(ChannelsLast({s.n, s.c, s.h, s.w}, halo, DType::kU8));
  if (depthwise) {
    c.inputs.push_back(Packed(LayoutId::kDepthwiseTaps16x4, {s.c, 1, s.kh, s.kw}));
  } else {
    const std::vector<int64_t> w = {s.o, s.c / s.groups, s.kh, s.kw};
    const std::vector<int64_t> joined = {s.o, s.c * s.kw, s.kh, 1};
    c.inputs.push_back(
        Packed(LayoutId::kConvPanels16x4, s.joined ? joined : w, static_cast<int32_t>(s.groups)));
    c.attrs.push_back(s.groups);
  }
  c.inputs[1].dtype = DType::kI8;
  for (int64_t v : {s.kh, s.kw, s.sh, s.sw, s.pt, s.pl, s.pb, s.pr, s.dh, s.dw}) {
    c.attrs.push_back(v);
  }
  Halo y_halo = s.y_halo;
  if (!y_halo.empty() && !IsFloatForm(form)) y_halo.fill = 3;
  c.outputs = {ChannelsLast({s.n, outputs, positions(s.h, s.kh, s.sh, s.pt + s.pb, s.dh),
                             positions(s.w, s.kw, s.sw, s.pl + s.pr, s.dw)},
                            y_halo, IsFloatForm(form) ? DType::kF32 : DType::kU8)};
  AddForm(form, outputs, s.kh * s.kw * (depthwise ? 1 : s.c / s.groups), 113, &c);
  return c;
}

struct NamedWindow {
  const char* name;
  Window window;
};

void AddConvs(const std::vector<NamedWindow>& windows, std::vector<KernelCase>* cases) {
  for (const NamedWindow& w : windows) {
    for (const Form form : kForms) {
      const bool padded = w.window.pt + w.window.pl + w.window.pb + w.window.pr != 0;
      if (form == Form::kDynamic && padded) continue;
      cases->push_back(QConv(w.name, w.window, form));
    }
  }
}

std::vector<KernelCase> ConvCases() {
  std::vector<KernelCase> cases;
  AddConvs({{"pointwise", {.n = 2, .c = 20, .h = 5, .w = 7, .o = 35}},
            {"square",
             {.c = 16,
              .h = 9,
              .w = 11,
              .o = 40,
              .kh = 3,
              .kw = 3,
              .pt = 1,
              .pl = 1,
              .pb = 1,
              .pr = 1,
              .y_halo = {1, 1, 1}}},
            {"whole_tiles",
             {.n = 2,
              .c = 64,
              .h = 6,
              .w = 20,
              .o = 32,
              .kh = 3,
              .kw = 3,
              .pt = 1,
              .pl = 1,
              .pb = 1,
              .pr = 1}},
            {"strided",
             {.c = 8,
              .h = 13,
              .w = 10,
              .o = 17,
              .kh = 3,
              .kw = 3,
              .sh = 2,
              .sw = 2,
              .pt = 1,
              .pl = 1,
              .y_halo = {2, 0, 1}}},
            {"first_layer",
             {.c = 3,
              .h = 17,
              .w = 19,
              .o = 24,
              .kh = 7,
              .kw = 7,
              .sh = 2,
              .sw = 2,
              .pt = 3,
              .pl = 3,
              .pb = 3,
              .pr = 3}},
            {"joined",
             {.n = 2,
              .c = 3,
              .h = 15,
              .w = 13,
              .o = 24,
              .kh = 5,
              .kw = 7,
              .sh = 2,
              .sw = 2,
              .pt = 2,
              .pl = 3,
              .pb = 1,
              .pr = 3,
              .joined = true}},
            // So deep that rows counted for each tap would not fit what is kept for copies.
            {"joined_large",
             {.c = 3,
              .h = 21,
              .w = 40,
              .o = 16,
              .kh = 11,
              .kw = 11,
              .pt = 5,
              .pl = 5,
              .pb = 5,
              .pr = 5,
              .joined = true}},
            {"joined_wide",
             {.c = 6,
              .h = 16,
              .w = 70,
              .o = 32,
              .kh = 7,
              .kw = 7,
              .pt = 3,
              .pl = 3,
              .pb = 3,
              .pr = 3,
              .joined = true}},
            {"grouped",
             {.n = 2,
              .c = 12,
              .h = 6,
              .w = 6,
              .o = 51,
              .groups = 3,
              .kh = 3,
              .kw = 2,
              .pt = 1,
              .pb = 1}},
            {"dilated",
             {.c = 12,
              .h = 12,
              .w = 9,
              .o = 16,
              .kh = 3,
              .kw = 3,
              .pt = 2,
              .pl = 2,
              .pb = 2,
              .pr = 2,
              .dh = 2,
              .dw = 2}},
            {"empty_image", {.n = 0, .c = 4, .h = 4, .w = 4, .o = 4, .y_halo = {1, 1, 1}}},
            {"no_channels", {.c = 0, .h = 4, .w = 4, .o = 18}}},
           &cases);
  return cases;
}

std::vector<KernelCase> DepthwiseCases() {
  std::vector<KernelCase> cases;
  for (const int64_t channels : {1, 24, 150}) {
    const std::string name = "c" + std::to_string(channels);
    const std::vector<NamedWindow> windows = {
        {"square",
         {.n = 2,
          .c = channels,
          .h = 7,
          .w = 9,
          .groups = 0,
          .kh = 3,
          .kw = 3,
          .pt = 1,
          .pl = 1,
          .pb = 1,
          .pr = 1,
          .y_halo = {1, 1, 1}}},
        {"strided",
         {.c = channels,
          .h = 8,
          .w = 11,
          .groups = 0,
          .kh = 3,
          .kw = 3,
          .sh = 2,
          .sw = 2,
          .pt = 1,
          .pl = 1,
          .pb = 1,
          .pr = 1}},
        {"five",
         {.c = channels,
          .h = 9,
          .w = 8,
          .groups = 0,
          .kh = 5,
          .kw = 5,
          .pt = 2,
          .pl = 2,
          .pb = 2,
          .pr = 2}},
        {"dilated",
         {.c = channels, .h = 9, .w = 8, .groups = 0, .kh = 2, .kw = 3, .dh = 2, .dw = 3}},
        {"row", {.c = channels, .h = 1, .w = 30, .groups = 0, .kw = 9}}};
    for (const NamedWindow& w : windows) {
      for (const Form form : kForms) {
        const bool padded = w.window.pt + w.window.pl != 0;
        if ((form == Form::kDynamic && padded) ||
            (channels > 64 && form > Form::kFloat && form != Form::kFloatProgram)) {
          continue;
        }
        cases.push_back(QConv(name + "_" + w.name, w.window, form));
      }
    }
  }
  return cases;
}

std::vector<KernelCase> DynamicQuantizeCases() {
  std::vector<KernelCase> cases;
  const std::vector<Fill> fills = {{-3, 5}, {1, 2}, {-7, -1}, {0, 0}, {-1e-30, 1e30}};
  for (size_t f = 0; f < fills.size(); ++f) {
    for (const int64_t n : {0, 1, 5, 64, 1003, 70001}) {
      KernelCase c;
      c.kernel = KernelId::kDynamicQuantize;
      c.name = "range" + std::to_string(f) + "_" + std::to_string(n);
      c.inputs = {Dense({n})};
      c.outputs = {Dense({n}, DType::kU8), Dense({}), Dense({1}, DType::kU8)};
      c.fills = {fills[f]};
      c.tolerance = 0;
      cases.push_back(c);
    }
  }
  return cases;
}

std::vector<KernelCase> LookupCases() {
  std::vector<KernelCase> cases;
  const auto add = [&cases](const std::string& name, const TensorInfo& x, const TensorInfo& y) {
    KernelCase c;
    c.kernel = KernelId::kLookup;
    c.name = name;
    c.inputs = {x, Dense({256}, DType::kU8)};
    c.outputs = {y};
    c.fills = {{0, 255}, {0, 255}};
    c.tolerance = 0;
    cases.push_back(c);
  };
  for (const int64_t n : {0, 1, 100}) {
    add("dense" + std::to_string(n), Dense({3, n}, DType::kU8), Dense({3, n}, DType::kU8));
  }
  add("scalar", Dense({}, DType::kU8), Dense({}, DType::kU8));
  const std::vector<int64_t> dims = {2, 5, 3, 4};
  add("image", ChannelsLast(dims, {}, DType::kU8), ChannelsLast(dims, {}, DType::kU8));
  add("halo", ChannelsLast(dims, {1, 2, 1, 9}, DType::kU8),
      ChannelsLast(dims, {2, 0, 3, 77}, DType::kU8));
  return cases;
}

KernelCase QPool(const std::string& name, bool average, bool count_padding, const Window& s) {
  KernelCase c;
  c.kernel = KernelId::kQPool;
  c.name = name;
  c.inputs = {ChannelsLast({s.n, s.c, s.h, s.w}, {1, 0, 1, 9}, DType::kU8)};
  c.outputs = {ChannelsLast(
      {s.n, s.c, (s.h + s.pt + s.pb - s.kh) / s.sh + 1, (s.w + s.pl + s.pr - s.kw) / s.sw + 1},
      s.y_halo, DType::kU8)};
  c.attrs = {average,
             count_padding,
             s.kh,
             s.kw,
             s.sh,
             s.sw,
             s.pt,
             s.pl,
             s.pb,
             s.pr,
             1,
             1,
             100,
             average ? 90 : 100,
             FloatWord(average ? 1.3 : 1.0)};
  c.fills = {{0, 255}};
  return c;
}

std::vector<KernelCase> PoolCases() {
  std::vector<KernelCase> cases;
  for (const int64_t channels : {1, 16, 40, 64, 130}) {
    const Window square = {.n = 2,
                           .c = channels,
                           .h = 9,
                           .w = 8,
                           .kh = 3,
                           .kw = 3,
                           .sh = 2,
                           .sw = 2,
                           .pt = 1,
                           .pl = 1,
                           .pb = 1,
                           .pr = 1,
                           .y_halo = {1, 1, 2, 77}};
    const Window whole = {.c = channels, .h = 7, .w = 7, .kh = 7, .kw = 7};
    const std::string name = "c" + std::to_string(channels);
    cases.push_back(QPool(name + "_max", false, false, square));
    cases.push_back(QPool(name + "_average", true, false, square));
    cases.push_back(QPool(name + "_average_padding", true, true, square));
    cases.push_back(QPool(name + "_global", true, false, whole));
    cases.push_back(QPool(name + "_global_max", false, false, whole));
  }
  return cases;
}

FLOE_KERNEL_TESTS(QGemmTest, GemmCases());
FLOE_KERNEL_TESTS(QConvTest, ConvCases());
FLOE_KERNEL_TESTS(QDepthwiseConvTest, DepthwiseCases());
FLOE_KERNEL_TESTS(DynamicQuantizeTest, DynamicQuantizeCases());
FLOE_KERNEL_TESTS(QPoolTest, PoolCases());
FLOE_KERNEL_TESTS(LookupTest, LookupCases());

// So that the cases above test what they are meant to.
TEST(QTilesTest, BytesAreMultipliedOnTilesWhereTheyAreFull) {
  const auto variant = [](const KernelCase& c) { return VariantOf(PlainTileTable(), c); };
  const std::string gemm = "u8_gemm_tiles__amx_plain", conv = "u8_conv_tiles__amx_plain";
  for (const Form form : {Form::kBytes, Form::kResidualBias, Form::kFloatRelu, Form::kDynamic}) {
    EXPECT_EQ(variant(QGemm({37}, 64, 1100, form)), gemm);
    EXPECT_EQ(variant(QGemm({13}, 131, 35, form)), gemm);
    EXPECT_NE(variant(QGemm({1}, 131, 35, form)), gemm);
    EXPECT_NE(variant(QGemm({37}, 16, 35, form)), gemm);
  }
  size_t on_tiles = 0;
  const std::vector<KernelCase> cases = ConvCases();
  for (const KernelCase& c : cases) on_tiles += variant(c) == conv;
  EXPECT_GE(on_tiles, cases.size() / 2);
}

}  // namespace
}  // namespace floe::conformance
