// conv and depthwise_conv.
#include <map>

#include "backends/registry.h"
#include "tests/kernels/conv_cases.h"

namespace floe::conformance {
namespace {

void AddShapes(int64_t groups, std::vector<KernelCase>* cases) {
  const std::string kind = groups == 0 ? "depthwise_" : "conv_";
  const auto add = [&](const std::string& name, ConvShape s, const std::string& epilogue) {
    s.groups = groups;
    cases->push_back(Conv(kind + name, s, epilogue));
  };
  for (const EpilogueProgram& e : EpiloguePrograms()) {
    ConvShape s = Square(2, 18, 7, 21, 3, 1, 1);
    s.y_halo = {1, 2, 1};
    s.residual_halo = {1, 2, 1};
    add("halo", s, e.name);
    s.residual_halo = {0, 1, 2};
    s.y_halo = {};
    add("other_residual_halo", s, e.name);
    add("pointwise", Square(1, 16, 5, 48, 1, 1, 0), e.name);
  }
  for (int64_t size : {1, 2, 3, 6, 7, 8, 9, 13, 15, 16, 22}) {
    ConvShape s = Square(1, 5, size, 19, 3, 1, 1);
    s.y_halo = {1, 1, 1};
    add("s1_" + std::to_string(size), s, "bias_relu");
    add("s2_" + std::to_string(size), Square(1, 33, size, 7, 3, 2, 1), "bias");
    add("k5_" + std::to_string(size), Square(1, 4, size, 16, 5, 1, 2), "none");
    add("k5s2_" + std::to_string(size), Square(2, 17, size, 3, 5, 2, 2), "residual");
  }
  add("first_layer", Square(1, 3, 21, 24, 7, 2, 3), "bias_relu");
  add("one_channel", Square(1, 1, 9, 20, 5, 1, 2), "bias");  // Half a pair in each tap.
  add("k7", Square(1, 9, 10, 5, 7, 1, 3), "bias_gelu");
  add("strided_1x1", Square(3, 20, 9, 35, 1, 2, 0), "bias");
  add("images", Square(5, 8, 4, 33, 1, 1, 0), "bias_residual_relu");
  ConvShape d = Square(1, 6, 11, 20, 3, 1, 2);
  d.dh = d.dw = 2;
  add("dilated", d, "bias_relu");
  d.dw = 1;
  add("dilated_rows", d, "bias");
  ConvShape a;
  a.n = 2, a.c = 7, a.h = 6, a.w = 19, a.o = 18, a.kh = 2, a.kw = 4, a.sh = 1, a.sw = 3;
  a.pt = 0, a.pl = 2, a.pb = 1, a.pr = 0, a.extra_halo = 1, a.y_halo = {0, 3, 2};
  add("asymmetric", a, "bias_residual");
  add("asymmetric", a, "bias_sigmoid");
  a.kh = 1, a.kw = 3, a.sw = 1, a.pb = 0, a.pl = a.pr = 1;
  add("row_window", a, "bias");
  add("no_images", Square(0, 4, 5, 6, 3, 1, 1), "bias");
  ConvShape empty = Square(1, 4, 2, 6, 3, 1, 0);
  empty.y_halo = {2, 1, 1};
  add("window_too_large", empty, "bias");
  ConvShape channels = Square(1, 0, 4, 6, 3, 1, 1);
  channels.y_halo = {1, 1, 1};
  add("no_channels", channels, "bias");
  add("bigger", Square(1, 64, 28, 96, 3, 1, 1), "bias_relu");
  add("flat_line", Square(2, 32, 14, 32, 3, 1, 1), "bias");
  add("wide_program", Square(1, 40, 70, 8, 3, 1, 1), "bias_gelu");
  // More rows than a call of the micro-kernel takes, whose tiles cross lines and images.
  ConvShape lines = Square(2, 20, 19, 50, 1, 1, 0);
  lines.y_halo = lines.residual_halo = {1, 1, 1};
  add("lines", lines, "bias_residual_relu");
}

std::vector<KernelCase> ConvCases() {
  std::vector<KernelCase> cases;
  AddShapes(1, &cases);
  for (int64_t groups : {2, 3, 4}) {
    for (const char* epilogue : {"bias_residual_relu", "affine_silu_residual"}) {
      ConvShape s = Square(2, 12, 9, 12 * groups + groups, 3, 1, 1);
      s.groups = groups;
      s.y_halo = {1, 1, 1};
      cases.push_back(Conv("groups" + std::to_string(groups), s, epilogue));
    }
  }
  ConvShape own = Square(1, 10, 5, 20, 3, 1, 1);
  own.groups = 10;
  cases.push_back(Conv("group_per_channel", own, "bias"));
  cases.push_back(Conv("no_outputs", Square(1, 3, 4, 0, 3, 1, 1), "none"));
  for (size_t i = 0, wide = cases.size(); i < wide; ++i) {
    cases.push_back(WithHalfWeights(cases[i]));
    cases.push_back(WithPairs(cases[i], i % 2 == 0 ? DType::kF32 : DType::kBF16));
  }
  return cases;
}

// Few output channels: every count, with few and many input channels, both ways of reading x, rows
// shorter and longer than vectors of every ISA and than a block, and every epilogue.
std::vector<KernelCase> FewOutputsCases() {
  std::vector<KernelCase> cases;
  const auto add = [&](const std::string& name, const ConvShape& s, const std::string& epilogue) {
    cases.push_back(Conv("few_" + name, s, epilogue));
  };
  const int64_t widths[] = {1, 3, 4, 5, 8, 11, 16, 17, 21, 28, 33, 40, 64, 71};
  const char* epilogues[] = {"bias_relu", "none", "bias_relu6", "bias_residual", "bias_sigmoid"};
  size_t next = 0;
  for (int64_t outputs = 1; outputs <= 8; ++outputs) {
    for (int64_t channels = 1; channels <= 4; ++channels) {
      for (int64_t stride = 1; stride <= 2; ++stride) {
        const int64_t kernel = 1 + 2 * static_cast<int64_t>(next % 3);
        ConvShape s = Square(1 + static_cast<int64_t>(next % 2), channels, 6, outputs, kernel,
                             stride, kernel / 2);
        s.w = widths[next % std::size(widths)] * stride;
        s.h = 3 + static_cast<int64_t>(next % 5);
        if (next % 3 != 0) s.y_halo = {1, 2, 1};
        if (next % 4 == 1) s.residual_halo = s.y_halo;
        add(std::to_string(outputs) + "_of_" + std::to_string(channels) + "_s" +
                std::to_string(stride),
            s, epilogues[next % std::size(epilogues)]);
        ++next;
      }
    }
  }
  for (const EpilogueProgram& e : EpiloguePrograms()) {
    ConvShape s = Square(2, 1, 19, 6, 5, 1, 2);
    s.y_halo = s.residual_halo = {1, 1, 1};
    add("direct", s, e.name);
    s.y_halo = {};
    s.c = 3, s.o = 5, s.sh = s.sw = 2;
    add("planes", s, e.name);
    s.residual_halo = {};
    s.w = 7, s.h = 9, s.o = 2;
    add("short_rows", s, e.name);
  }
  add("lenet", Square(1, 1, 28, 6, 5, 1, 2), "bias_relu");
  add("wide", Square(1, 3, 301, 4, 3, 1, 1), "bias_relu");
  add("wide_s2", Square(1, 3, 301, 7, 7, 2, 3), "bias_residual_relu");
  add("many_channels", Square(1, 64, 40, 3, 3, 1, 1), "bias_sigmoid");
  add("too_many_channels", Square(1, 1030, 17, 3, 1, 1, 0), "bias");
  add("stride_beyond_kernel", Square(1, 2, 67, 3, 1, 3, 0), "bias_relu");
  add("odd_stride", Square(1, 5, 83, 2, 3, 3, 1), "bias");
  ConvShape d = Square(2, 2, 37, 5, 3, 2, 2);
  d.dh = d.dw = 2;
  d.y_halo = {2, 0, 1};
  add("dilated", d, "bias_residual_relu");
  d.c = 1, d.sh = 1, d.sw = 1, d.dh = 1;
  add("dilated_columns", d, "bias_relu");
  ConvShape a;
  a.n = 3, a.c = 1, a.h = 9, a.w = 35, a.o = 8, a.kh = 4, a.kw = 2, a.sh = 3;
  a.pt = 2, a.pl = 1, a.extra_halo = 2, a.y_halo = {0, 1, 3};
  add("asymmetric", a, "bias_residual_relu");
  a.c = 4, a.sw = 1, a.o = 1;
  add("asymmetric", a, "affine_silu_residual");
  ConvShape line = Square(1, 1, 1, 3, 1, 1, 0);
  line.w = 1000, line.kw = 7;
  add("one_line", line, "bias_relu");
  ConvShape column = Square(1, 1, 1, 3, 1, 1, 0);
  column.h = 500, column.kh = 7;
  add("one_column", column, "bias_relu");
  return cases;
}

std::vector<KernelCase> DepthwiseCases() {
  std::vector<KernelCase> cases;
  AddShapes(0, &cases);
  // Channel tails of every vector width.
  for (int64_t channels : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 48, 50}) {
    ConvShape s = Square(1, channels, 14, 0, 3, 1, 1);
    s.groups = 0;
    s.y_halo = {1, 1, 1};
    cases.push_back(Conv("channels" + std::to_string(channels), s, "bias_relu6"));
    s.sh = s.sw = 2;
    cases.push_back(Conv("channels_s2_" + std::to_string(channels), s, "affine_silu_residual"));
  }
  for (size_t i = 0, wide = cases.size(); i < wide; ++i) {
    // x and y of bf16, and one of them alone.
    KernelCase c = WithPairs(cases[i], i % 3 == 0 ? DType::kF32 : DType::kBF16);
    if (i % 3 == 1) {
      c.name += "_of_f32";
      c.inputs[0].dtype = DType::kF32;
    }
    cases.push_back(std::move(c));
  }
  return cases;
}

FLOE_KERNEL_TESTS(ConvConformance, ConvCases());
FLOE_KERNEL_TESTS(FewOutputsConformance, FewOutputsCases());
FLOE_KERNEL_TESTS(DepthwiseConformance, DepthwiseCases());

// So that the cases above test what they are meant to.
TEST(ConvTest, PutsPixelsIntoVectorsWhereThereAreFewOutputs) {
  const KernelCase lenet = Conv("lenet", Square(1, 1, 28, 6, 5, 1, 2), "bias_relu");
  const KernelCase colours = Conv("colours", Square(1, 3, 64, 8, 3, 2, 1), "bias_relu");
  const KernelCase many = Conv("many", Square(1, 3, 64, 16, 3, 2, 1), "bias_relu");
  const std::map<std::string, std::string> bases = {
#define FLOE_CPU_ISA(name, base, available) {#name, #base},
#include "backends/cpu/isas.list.def"
#undef FLOE_CPU_ISA
  };
  for (const KernelTable* table : AllKernelTables()) {
    if (std::string(table->backend) != "cpu" || !table->available()) continue;
    SCOPED_TRACE(table->isa);
    // An ISA without f32 convolutions of its own has those of the one that it is built on.
    std::string own = table->isa;
    while (!bases.at(own).empty()) own = bases.at(own);
    EXPECT_EQ(VariantOf(*table, lenet), "f32_conv_pixels__" + own);
    EXPECT_EQ(VariantOf(*table, colours), "f32_conv_pixels__" + own);
    EXPECT_NE(VariantOf(*table, many), "f32_conv_pixels__" + own);
  }
}

TEST(ConvTest, MultipliesPairsOnTilesWhereTheyAreFull) {
  const auto variant = [](const ConvShape& s) {
    return VariantOf(PlainTileTable(), WithPairs(Conv("tiles", s, "bias_relu"), DType::kBF16));
  };
  const std::string tiles = "bf16_conv_tiles__amx_plain";
  ConvShape grouped = Square(2, 48, 9, 36, 3, 1, 1);
  grouped.groups = 2;
  ConvShape dilated = Square(1, 24, 11, 20, 3, 1, 2);
  dilated.dh = dilated.dw = 2;
  for (const ConvShape& s :
       {Square(1, 64, 28, 96, 3, 1, 1), Square(2, 18, 7, 21, 3, 1, 1),
        Square(3, 20, 9, 35, 1, 2, 0), Square(1, 3, 21, 24, 7, 2, 3), grouped, dilated}) {
    EXPECT_EQ(variant(s), tiles);
  }
  EXPECT_NE(variant(Square(1, 64, 1, 96, 3, 1, 1)), tiles);  // One row.
  EXPECT_NE(variant(Square(1, 3, 9, 96, 1, 1, 0)), tiles);   // A depth of three.
}

}  // namespace
}  // namespace floe::conformance
