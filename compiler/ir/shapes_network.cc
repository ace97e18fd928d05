// Shape rules of normalisations and recurrent layers.
#include "absl/strings/str_format.h"
#include "compiler/ir/shape_rules.h"

namespace floe::ir {
namespace {

absl::Status Same(const Inference& n) {
  FLOE_TRY(n.NeedFloat(0));
  return n.Set(0, n.dtype(0), n.shape(0));
}

// Every operand from 1 on is one number for each channel.
absl::Status ChannelNorm(const Inference& n) {
  if (n.rank(0) < 2) return n.Fail("x has a rank below 2");
  for (size_t i = 1; i < n.operand_count(); ++i) {
    FLOE_TRY(n.NeedShape(i, {n.shape(0)[1]}));
    FLOE_TRY(n.NeedFloat(i));
  }
  return Same(n);
}

absl::Status GroupNorm(const Inference& n) {
  FLOE_TRY(ChannelNorm(n));
  const int64_t groups = n.node.Int("groups");
  if (groups >= 1 && Dim::DivExact(n.shape(0)[1], groups)) return absl::OkStatus();
  return n.Fail(absl::StrFormat("channels are no multiple of %d groups", groups));
}

absl::Status AxisNorm(const Inference& n) {
  FLOE_TRY(n.NeedAxis(n.node.Int("axis"), n.rank(0)));
  const auto axis = static_cast<ptrdiff_t>(n.node.Int("axis"));
  const Shape normalised(n.shape(0).begin() + axis, n.shape(0).end());
  for (size_t i = 1; i < n.operand_count(); ++i) FLOE_TRY(n.NeedShape(i, normalised));
  Shape statistics = n.shape(0);
  for (size_t i = static_cast<size_t>(axis); i < statistics.size(); ++i) statistics[i] = 1;
  FLOE_TRY(n.Set(1, n.dtype(0), statistics));
  FLOE_TRY(n.Set(2, n.dtype(0), statistics));
  return Same(n);
}

absl::Status LpNorm(const Inference& n) {
  FLOE_TRY(n.NeedAxis(n.node.Int("axis"), n.rank(0)));
  const int64_t p = n.node.Int("p");
  if (p != 1 && p != 2) return n.Fail(absl::StrFormat("p is %d, not 1 or 2", p));
  return Same(n);
}

absl::Status Lrn(const Inference& n) {
  if (n.rank(0) < 2) return n.Fail("x has a rank below 2");
  if (n.node.Int("size") < 1) return n.Fail("size is below 1");
  return Same(n);
}

// `gates` rows of w, r and b belong to each hidden unit.
template <int64_t gates>
absl::Status Recurrent(const Inference& n) {
  FLOE_TRY(n.NeedFloat(0));
  FLOE_TRY(n.NeedRank(0, 3));
  const int64_t hidden = n.node.Int("hidden");
  const int64_t direction = n.node.Int("direction");
  if (hidden < 1 || hidden > (int64_t{1} << 31) || direction < 0 || direction > 2) {
    return n.Fail(absl::StrFormat("hidden is %d, direction is %d", hidden, direction));
  }
  const int64_t d = direction == 2 ? 2 : 1;
  const Dim& steps = n.shape(0)[0];
  const Dim& batch = n.shape(0)[1];
  const Shape state = {d, batch, hidden};
  FLOE_TRY(n.NeedShape(1, {d, gates * hidden, n.shape(0)[2]}));
  FLOE_TRY(n.NeedShape(2, {d, gates * hidden, hidden}));
  FLOE_TRY(n.NeedShape(3, {d, 2 * gates * hidden}));
  FLOE_TRY(n.NeedShape(4, {batch}));
  FLOE_TRY(n.NeedShape(5, state));
  FLOE_TRY(n.NeedShape(6, state));
  FLOE_TRY(n.NeedShape(7, {d, 3 * hidden}));
  FLOE_TRY(n.Set(0, n.dtype(0), {steps, d, batch, hidden}));
  FLOE_TRY(n.Set(1, n.dtype(0), state));
  return n.Set(2, n.dtype(0), state);
}

constexpr ShapeRuleRow kRows[] = {
    {OpId::kBatchNorm, ChannelNorm},
    {OpId::kInstanceNorm, ChannelNorm},
    {OpId::kGroupNorm, GroupNorm},
    {OpId::kLayerNorm, AxisNorm},
    {OpId::kRmsNorm, AxisNorm},
    {OpId::kLpNorm, LpNorm},
    {OpId::kLrn, Lrn},
    {OpId::kLstm, Recurrent<4>},
    {OpId::kGru, Recurrent<3>},
    {OpId::kRnn, Recurrent<1>},
};

}  // namespace

std::span<const ShapeRuleRow> NetworkRules() { return kRows; }

}  // namespace floe::ir
