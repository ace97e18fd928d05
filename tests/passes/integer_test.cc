// integer-islands: what becomes integers, what does not and why, with the numbers unchanged.
#include <algorithm>

#include "tests/passes/pass_testing.h"

namespace floe::passes {
namespace {

// Two quantised images, weights with a scale per channel, a bias in the sums' steps.
// The numbers make no ties: there float sums may round the other way.
const char kHead[] = R"(
    %x = input f32[2,4,7,6]
    %r = input f32[2,6,7,6]
    %m = input f32[3,4]
    %sx = constant f32[] = [0.0213]
    %zx = constant u8[] = [117]
    %sy = constant f32[] = [0.0391]
    %zy = constant u8[] = [90]
    %si = constant f32[] = [0.0307]
    %zi = constant i8[] = [-5]
    %sw = constant f32[6] = [0.0101, 0.0203, 0.0157, 0.0099, 0.0307, 0.0211]
    %sb = constant f32[6] = [0.00021513, 0.00043239, 0.00033441, 0.00021087, 0.00065391, 0.00044943]
    %w = constant i8[6,4,3,3] = random 1 -127 127
    %wm = constant i8[4,6] = random 2 -127 127
    %bi = constant i32[6] = random 3 -900 900
    %bf = constant f32[6] = random 4
    %sc = constant f32[1,6,1,1] = [0.0101, 0.0203, 0.0157, 0.0099, 0.0307, 0.0211]
    %s1 = constant f32[] = [0.0117]
    %three = constant f32[] = [3.0]
    %qx = quantize(%x, %sx, %zx) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}
    %dx = dequantize(%qx, %sx, %zx) {axis=0, block=0, to=1}
    %qm = quantize(%m, %sx, %zx) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}
    %dm = dequantize(%qm, %sx, %zx) {axis=0, block=0, to=1}
    %dw = dequantize(%w, %sw) {axis=0, block=0, to=1}
    %dwm = dequantize(%wm, %sw) {axis=1, block=0, to=1}
    %db = dequantize(%bi, %sb) {axis=0, block=0, to=1}
    %qr = quantize(%r, %si, %zx) {axis=0, block=0, reciprocal=0, min=0, max=255, to=6}
    %dr = dequantize(%qr, %si, %zx) {axis=0, block=0, to=1}
)";
#define CONV " {strides=[1,1], pads=[1,1,1,1], dilations=[1,1], groups=1} "
#define GEMM " {alpha=1.0, beta=1.0, trans_a=0, trans_b=0} "
#define MEAN "1"
#define TO_U8 " {axis=0, block=0, reciprocal=0, min=0, max=255, to=6} "
#define TO_I8 " {axis=0, block=0, reciprocal=0, min=-128, max=127, to=5} "
#define TO_F32 " {axis=0, block=0, to=1} "
// u8 that does not come straight from floats.
#define POOLED                                                                         \
  "%p = max_pool(%dx) {kernel=[2,2], strides=[1,1], pads=[0,0,0,0], dilations=[1,1], " \
  "ceil_mode=0} %qp = quantize(%p, %sx, %zx)" TO_U8 "%dp = dequantize(%qp, %sx, %zx)" TO_F32
// %l to the output, as u8 or i8.
#define OUT "%q = quantize(%l, %sy, %zy)" TO_U8 "%y = dequantize(%q, %sy, %zy)" TO_F32

struct Case {
  const char* nodes;
  const char* ops;      // Afterwards, without conversions at the ends.
  const char* reports;  // What a line says, or null.
};

const Case kCases[] = {
    {"%l = conv(%dx, %dw, %db)" CONV OUT, "dequantize qconv quantize", "u8 to u8"},
    {"%l = conv(%dx, %dw)" CONV OUT, "dequantize qconv quantize", "u8 to u8"},
    {"%a = conv(%dx, %dw, %db)" CONV "%l = relu(%a)" OUT, "dequantize qconv quantize",
     "clamped to 90..255"},
    {"%a = conv(%dx, %dw, %db)" CONV "%l = clamp(%a) {min=0.0, max=6.0}" OUT,
     "dequantize qconv quantize", "clamped to 90..243"},
    {"%a = conv(%dx, %dw, %db)" CONV "%c = relu(%a) %l = minimum(%c, %three)" OUT,
     "dequantize qconv quantize", "clamped to 90..167"},
    // A bias that is no multiple of the sums' steps, another reader.
    {"%l = conv(%dx, %dw, %bf)" CONV OUT, "dequantize qconv quantize", "no multiple"},
    {"%l = conv(%dx, %dw, %db)" CONV "%y = sin(%l)", "qconv quantize sin", "u8 to f32"},
    // A sum with another quantised tensor.
    {"%a = conv(%dx, %dw, %db)" CONV "%qa = quantize(%a, %sy, %zy)" TO_U8
     "%da = dequantize(%qa, %sy, %zy)" TO_F32 "%s = add(%da, %dr) %l = relu(%s)" OUT,
     "dequantize qconv quantize*2", "joined add"},
    {"%a = conv(%dx, %dw, %db)" CONV "%qa = quantize(%a, %sy, %zy)" TO_U8
     "%da = dequantize(%qa, %sy, %zy)" TO_F32 "%l = add(%dr, %da)" OUT,
     "dequantize qconv quantize*2", "joined add"},
    // Tensors in i8 become u8.
    {"%a = conv(%dx, %dw, %db)" CONV "%qa = quantize(%a, %si, %zi)" TO_I8
     "%y = dequantize(%qa, %si, %zi)" TO_F32,
     "dequantize qconv quantize", "u8 instead of i8"},
    // Moves and maxima on integers.
    {"%l = max_pool(%dx) {kernel=[2,2], strides=[2,2], pads=[0,0,0,0], dilations=[1,1], "
     "ceil_mode=0} %q = quantize(%l, %sx, %zx)" TO_U8 "%y = dequantize(%q, %sx, %zx)" TO_F32,
     "dequantize max_pool quantize", "work on integers"},
    {"%l = concat(%dr, %dx) {axis=1} %q = quantize(%l, %si, %zx)" TO_U8
     "%y = dequantize(%q, %si, %zx)" TO_F32,
     "concat dequantize*2 quantize*3", "work on integers"},
    // Means, and tables of what happens to one tensor.
    {"%l = avg_pool(%dx) {kernel=[2,3], strides=[2,1], pads=[0,1,1,1], dilations=[1,1], "
     "ceil_mode=0, count_include_pad=0}" OUT,
     "dequantize qavg_pool quantize", "a mean of u8"},
    {"%l = reduce(%dx) {kind=" MEAN ", axes=[2,3], keepdims=1}" OUT,
     "dequantize qavg_pool quantize", "a mean of u8"},
    {"%l = reduce(%dx) {kind=" MEAN ", axes=[2,3], keepdims=0}" OUT,
     "dequantize qavg_pool quantize reshape", "a mean of u8"},
    {POOLED "%g = sigmoid(%dp) %l = mul(%dp, %g)" OUT, "dequantize lookup max_pool quantize",
     "are a table"},
    {POOLED "%g = sigmoid(%dp) %qg = quantize(%g, %si, %zx)" TO_U8
            "%dg = dequantize(%qg, %si, %zx)" TO_F32 "%l = mul(%dg, %dp)" OUT,
     "dequantize lookup max_pool quantize", "are a table"},
    {POOLED "%a = mul(%dp, %three) %b = add(%a, %dp) %l = clamp(%b) {min=-1.0, max=1.5}" OUT,
     "dequantize lookup max_pool quantize", "are a table"},
    // Matrices.
    {"%l = gemm(%dm, %dwm, %db)" GEMM OUT, "dequantize qgemm quantize", "u8 to u8"},
    {"%l = matmul(%dm, %dwm)" OUT, "dequantize qgemm quantize", "u8 to u8"},
    {"%a = matmul(%dm, %dwm) %l = relu(%a)" OUT, "dequantize qgemm quantize", "90..255"},
    {"%dwt = transpose(%dwm) {perm=[1,0]} %l = gemm(%dm, %dwt)"
     " {alpha=1.0, beta=1.0, trans_a=0, trans_b=1}" OUT,
     "dequantize qgemm quantize", "u8 to u8"},
    {"%l = gemm(%dm, %dwm, %db) {alpha=0.5, beta=1.0, trans_a=0, trans_b=0}" OUT,
     "dequantize*4 gemm quantize*2", "stays float: it is scaled"},
    // A dynamic range.
    {"%qd, %sd, %zd = dynamic_quantize(%m) %i = matmul_integer(%qd, %wm, %zd)"
     "%f = cast(%i) {to=1} %t = mul(%sd, %sw) %g = mul(%f, %t) %y = add(%g, %bf)",
     "dynamic_quantize qgemm", "dynamic u8 to f32"},
    {"%qd, %sd, %zd = dynamic_quantize(%x) %i = conv_integer(%qd, %w, %zd)"
     " {strides=[3,2], pads=[0,0,0,0], dilations=[1,1], groups=1} "
     "%f = cast(%i) {to=1} %t = mul(%sd, %s1) %y = mul(%f, %t)",
     "cast dynamic_quantize mul*2 qconv sub", "dynamic u8 to f32"},
    {"%qd, %sd, %zd = dynamic_quantize(%x) %i = conv_integer(%qd, %w, %zd)" CONV
     "%f = cast(%i) {to=1} %t = mul(%sc, %sd) %y = mul(%t, %f)",
     "cast dynamic_quantize mul*2 qconv sub", "dynamic u8 to f32"},
    {"%qd, %sd, %zd = dynamic_quantize(%x) %i = conv_integer(%qd, %w, %zd)"
     " {strides=[2,1], pads=[0,2,1,0], dilations=[2,1], groups=1} "
     "%f = cast(%i) {to=1} %t = mul(%sd, %sc) %y = mul(%f, %t)",
     "cast dynamic_quantize mul*2 qconv sub", "dynamic u8 to f32"},
    // A scale for each column is none for each channel.
    {"%qd, %sd, %zd = dynamic_quantize(%x) %i = conv_integer(%qd, %w, %zd)" CONV
     "%f = cast(%i) {to=1} %t = mul(%sd, %sw) %y = mul(%f, %t)",
     "cast conv_integer dynamic_quantize mul*2", "reference kernel"},
};

TEST(IntegerIslands, KeepTheNumbers) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.nodes);
    const std::string text = std::string(kHead) + c.nodes + "\noutput %y as \"y\"";
    const auto t = Transform(Graph(text), {"integer-islands", "dce"});
    EXPECT_EQ(t.ops(), c.ops) << t.text();
    EXPECT_TRUE(std::any_of(
        t.report.lines.begin(), t.report.lines.end(),
        [&](const std::string& line) { return line.find(c.reports) != std::string::npos; }))
        << c.reports;
    // And through all passes, where the conversions join regions.
    TransformAll(Graph(text));
  }
}

TEST(IntegerIslands, ConversionsBecomeRegions) {
  const std::string text = std::string(kHead) +
                           "%l = add(%dx, %dx) %c = clamp(%l) {min=-1.0, max=1.5}" +
                           "%q = quantize(%c, %sy, %zy)" TO_U8 "output %q as \"q\"";
  const auto t = TransformAll(Graph(text));
  EXPECT_EQ(t.ops(), "pointwise") << t.text();
  EXPECT_EQ(t.graph->outputs()[0]->dtype(), DType::kU8);
}

}  // namespace
}  // namespace floe::passes
