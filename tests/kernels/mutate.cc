#include "tests/kernels/mutate.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace floe::conformance {
namespace {

// Every layout, and one that there is not.
constexpr uint8_t kLayouts[] = {
#define FLOE_LAYOUT(id, name, text, feature, formula) id,
#include "format/layouts.def"
#undef FLOE_LAYOUT
    255};

int64_t StrangeNumber(std::mt19937* rng) {
  constexpr int64_t kNumbers[] = {-(int64_t{1} << 62),
                                  -1,
                                  0,
                                  1,
                                  2,
                                  3,
                                  4,
                                  5,
                                  7,
                                  8,
                                  15,
                                  16,
                                  17,
                                  31,
                                  33,
                                  64,
                                  255,
                                  int64_t{1} << 31,
                                  int64_t{1} << 62,
                                  INT64_MAX};
  return kNumbers[(*rng)() % std::size(kNumbers)];
}

void MutateTensor(TensorInfo* t, std::mt19937* rng) {
  switch ((*rng)() % 8) {
    case 0:
      t->rank = static_cast<uint8_t>((*rng)() % 10);
      break;
    case 1:
      t->dtype = static_cast<DType>((*rng)() % (kDTypeCount + 2u));
      break;
    case 2:
      t->layout = static_cast<LayoutId>(kLayouts[(*rng)() % std::size(kLayouts)]);
      break;
    case 3:
      t->halo = {static_cast<uint8_t>((*rng)() % 4), static_cast<uint8_t>((*rng)() % 4),
                 static_cast<uint8_t>((*rng)() % 4), static_cast<uint8_t>((*rng)() % 3)};
      break;
    case 4:
      t->groups = static_cast<int32_t>(StrangeNumber(rng));
      break;
    default:
      if (t->rank > 0) t->dims[(*rng)() % std::min<size_t>(t->rank, kMaxRank)] = StrangeNumber(rng);
  }
}

}  // namespace

void MutateOnce(KernelCase* c, std::mt19937* rng) {
  switch ((*rng)() % 8) {
    case 0:
    case 1:
      if (!c->attrs.empty()) c->attrs[(*rng)() % c->attrs.size()] = StrangeNumber(rng);
      break;
    case 2:
      if (!c->code.empty()) {
        auto* bytes = reinterpret_cast<unsigned char*>(&c->code[(*rng)() % c->code.size()]);
        bytes[(*rng)() % sizeof(PwInstr)] = static_cast<unsigned char>((*rng)() % 64);
      }
      break;
    case 3:
      if ((*rng)() % 2 == 0 && !c->inputs.empty()) {
        c->inputs.pop_back();
      } else {
        c->inputs.push_back(Dense({(*rng)() % 3 == 0 ? 1 : 16}));
      }
      break;
    case 4:
      if (!c->outputs.empty()) MutateTensor(&c->outputs[(*rng)() % c->outputs.size()], rng);
      break;
    case 5: {
      // One number everywhere: a consistent change is more likely to be accepted.
      const int64_t from =
          c->outputs.empty() || c->outputs[0].rank == 0
              ? 1
              : c->outputs[0].dims[(*rng)() % std::min<size_t>(c->outputs[0].rank, kMaxRank)];
      const int64_t to = StrangeNumber(rng);
      for (auto* list : {&c->inputs, &c->outputs}) {
        for (TensorInfo& t : *list) {
          for (int64_t& d : t.dims) d = d == from ? to : d;
        }
      }
      break;
    }
    default:
      if (!c->inputs.empty()) MutateTensor(&c->inputs[(*rng)() % c->inputs.size()], rng);
  }
}

}  // namespace floe::conformance
