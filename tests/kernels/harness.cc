#include "tests/kernels/harness.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "backends/reference/element.h"
#include "backends/registry.h"

namespace floe::testing {
namespace {

constexpr unsigned char kPoison = 0xdb;
constexpr int64_t kCanaryBytes = 256;

// 64-byte aligned memory of exactly `bytes` bytes.
class Block {
 public:
  explicit Block(int64_t bytes, unsigned char fill = kPoison) : bytes_(bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, 64, bytes > 0 ? static_cast<size_t>(bytes) : 1) != 0) std::abort();
    data_.reset(static_cast<unsigned char*>(p));
    if (bytes > 0) std::memset(p, fill, static_cast<size_t>(bytes));
  }
  unsigned char* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<unsigned char, Free> data_;
  int64_t bytes_;
};

int64_t BytesOf(const TensorInfo& t) {
  int64_t bytes = 0;
  if (t.present()) {
    EXPECT_TRUE(TensorBytes(t, &bytes).ok());
  }
  return bytes;
}

// Calls f(element offset) for every logical element.
void ForEachElement(const TensorInfo& t, const std::function<void(int64_t, int64_t)>& f) {
  int64_t count = 0;
  ASSERT_TRUE(ElementCount(t, &count));
  int64_t index[kMaxRank] = {};
  for (int64_t i = 0; i < count; ++i) {
    f(i, ElementOffset(t, index));
    for (int a = t.rank - 1; a >= 0; --a) {
      if (++index[a] < t.dims[a]) break;
      index[a] = 0;
    }
  }
}

float SpecialFloat(int64_t i, std::mt19937& random) {
  const float kValues[] = {0.0f,
                           -0.0f,
                           1.0f,
                           -1.0f,
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::max(),
                           -std::numeric_limits<float>::max(),
                           1e-40f,
                           -1e-40f,
                           2.5f,
                           -2.5f,
                           0.5f,
                           88.0f,
                           -90.0f,
                           3.0f,
                           -3.0f};
  if (i % 3 == 0) return std::normal_distribution<float>(0, 3)(random);
  return kValues[random() % std::size(kValues)];
}

void StoreElement(DType dtype, unsigned char* base, int64_t at, double v) {
  const auto put = [&](auto x) { std::memcpy(base + at * sizeof(x), &x, sizeof(x)); };
  switch (dtype) {
    case DType::kF32:
      return put(static_cast<float>(v));
    case DType::kF64:
      return put(v);
    case DType::kI64:
    case DType::kU64:
      return put(static_cast<int64_t>(v));
    case DType::kI32:
    case DType::kU32:
      return put(static_cast<int32_t>(v));
    case DType::kF16:
      return put(reference::F16::FromDouble(v));
    case DType::kBF16:
      return put(reference::BF16::FromDouble(v));
    case DType::kI16:
    case DType::kU16:
      return put(static_cast<int16_t>(v));
    case DType::kBool:
      return put(static_cast<uint8_t>(v != 0 ? 1 : 0));
    default:
      return put(static_cast<int8_t>(static_cast<int64_t>(v)));
  }
}

void FillTensor(const TensorSpec& spec, unsigned char* base, uint32_t seed) {
  std::mt19937 random(seed);
  const TensorInfo& t = spec.info;
  ForEachElement(t, [&](int64_t i, int64_t at) {
    double v = 0;
    if (!spec.values.empty()) {
      v = static_cast<double>(spec.values[static_cast<size_t>(i) % spec.values.size()]);
    } else if (t.dtype == DType::kBool) {
      v = static_cast<double>(random() % 2);
    } else if (!IsFloat(t.dtype)) {
      v = static_cast<double>(static_cast<int>(random() % 251) - 125);
      if (t.dtype == DType::kI64) v += static_cast<double>(random()) * 1024.0;
    } else if (spec.fill == Fill::kSmallInts) {
      v = static_cast<double>(static_cast<int>(random() % 5) - 2);
    } else if (spec.fill == Fill::kSpecial) {
      v = SpecialFloat(i, random);
    } else {
      v = std::normal_distribution<double>(0, 1)(random);
      if (spec.fill == Fill::kPositive) v = std::fabs(v) + 0.01;
      if (spec.fill == Fill::kTiny) v *= 1e-4;
    }
    StoreElement(t.dtype, base, at, v);
  });
}

struct Outputs {
  std::vector<std::vector<unsigned char>> bytes;
  Rule rule = Rule::kNone;
};

OpInfo MakeOp(const KernelCase& c, std::vector<TensorInfo>* inputs,
              std::vector<TensorInfo>* outputs) {
  for (const TensorSpec& t : c.inputs) inputs->push_back(t.info);
  for (const TensorSpec& t : c.outputs) outputs->push_back(t.info);
  OpInfo op;
  op.inputs = inputs->data();
  op.input_count = static_cast<uint32_t>(inputs->size());
  op.outputs = outputs->data();
  op.output_count = static_cast<uint32_t>(outputs->size());
  op.attrs = c.attrs.data();
  op.attr_count = static_cast<uint32_t>(c.attrs.size());
  op.code = c.code.data();
  op.code_count = static_cast<uint32_t>(c.code.size());
  return op;
}

// Deals the tasks of each phase to `workers` workers, the last worker first.
Rule RunAll(const KernelImpl& impl, const KernelArgs& args, const Schedule& schedule,
            uint32_t workers, int64_t scratch_bytes) {
  Rule rule = Rule::kNone;
  std::vector<Block> scratch;
  for (uint32_t w = 0; w < workers; ++w) scratch.emplace_back(scratch_bytes);
  for (uint32_t phase = 0; phase < schedule.phases; ++phase) {
    for (uint32_t w = workers; w-- > 0;) {
      const uint32_t begin = schedule.tasks * w / workers;
      const uint32_t end = schedule.tasks * (w + 1) / workers;
      if (begin == end) continue;
      const Rule r = impl.run(args, phase, begin, end, scratch[w].data());
      if (r != Rule::kNone) rule = r;
    }
  }
  return rule;
}

Outputs RunOn(const KernelTable& table, const KernelCase& c, const Footprint& footprint,
              const std::vector<Block>& inputs, uint32_t workers, int in_place) {
  std::vector<TensorInfo> input_infos, output_infos;
  const OpInfo op = MakeOp(c, &input_infos, &output_infos);
  const KernelImpl& impl = table.kernels[static_cast<uint32_t>(c.kernel)];
  Outputs result;
  std::vector<Block> outputs;
  std::vector<const void*> input_pointers;
  std::vector<void*> output_pointers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    input_pointers.push_back(input_infos[i].present() ? inputs[i].data() : nullptr);
  }
  for (const TensorInfo& t : output_infos) {
    outputs.emplace_back(BytesOf(t) + kCanaryBytes);
    output_pointers.push_back(t.present() ? outputs.back().data() : nullptr);
  }
  if (in_place >= 0) {
    const Block& source = inputs[static_cast<size_t>(in_place)];
    std::memcpy(outputs[0].data(), source.data(), static_cast<size_t>(BytesOf(output_infos[0])));
    input_pointers[static_cast<size_t>(in_place)] = outputs[0].data();
  }
  const Block state(footprint.state_bytes + kCanaryBytes);
  Schedule schedule;
  PrepareContext context;
  context.workers = workers;
  const Status prepared = impl.prepare(op, context, state.data(), &schedule);
  EXPECT_TRUE(prepared.ok()) << RuleName(prepared.rule);
  KernelArgs args;
  args.op = &op;
  args.inputs = input_pointers.data();
  args.outputs = output_pointers.data();
  args.state = state.data();
  result.rule = RunAll(impl, args, schedule, workers, footprint.scratch_bytes);
  for (int64_t i = 0; i < kCanaryBytes; ++i) {
    EXPECT_EQ(state.data()[footprint.state_bytes + i], kPoison) << "state overrun";
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const int64_t bytes = BytesOf(output_infos[i]);
    for (int64_t k = 0; k < kCanaryBytes; ++k) {
      EXPECT_EQ(outputs[i].data()[bytes + k], kPoison) << "output " << i << " overrun at " << k;
    }
    result.bytes.emplace_back(outputs[i].data(), outputs[i].data() + bytes);
  }
  return result;
}

void CompareFloats(const KernelCase& c, const TensorInfo& t, const unsigned char* got,
                   const unsigned char* want) {
  int failures = 0;
  ForEachElement(t, [&](int64_t i, int64_t at) {
    float g, w;
    std::memcpy(&g, got + at * 4, 4);
    std::memcpy(&w, want + at * 4, 4);
    if (std::isnan(w) && std::isnan(g)) return;
    if (g == w) return;
    const double error = std::fabs(static_cast<double>(g) - w);
    if (error <= c.absolute + c.relative * std::fabs(w)) return;
    if (++failures <= 3) ADD_FAILURE() << "element " << i << ": got " << g << ", twin " << w;
  });
  EXPECT_EQ(failures, 0);
}

// All stored bytes that are no logical element are encoded zeros.
void CheckHalo(const TensorInfo& t, const std::vector<unsigned char>& bytes) {
  if (t.halo.empty()) return;
  const int64_t size = DTypeSize(t.dtype);
  std::vector<bool> inside(bytes.size() / static_cast<size_t>(size));
  ForEachElement(t, [&](int64_t, int64_t at) { inside[static_cast<size_t>(at)] = true; });
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (!inside[i / static_cast<size_t>(size)] && bytes[i] != t.halo.fill) {
      ADD_FAILURE() << "halo byte " << i << " is " << int{bytes[i]};
      return;
    }
  }
}

std::vector<Block> MakeInputs(const KernelCase& c, const Footprint& footprint) {
  std::vector<Block> inputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    const TensorInfo& t = c.inputs[i].info;
    const bool slack = (footprint.slack_inputs >> i & 1) != 0;
    const bool packed = t.layout != LayoutId::kDense && t.layout != LayoutId::kChannelsLast;
    inputs.emplace_back(BytesOf(t) + (slack ? kReadSlack : 0), packed ? 0 : kPoison);
    if (t.present()) FillTensor(c.inputs[i], inputs.back().data(), static_cast<uint32_t>(i + 1));
  }
  return inputs;
}

}  // namespace

TensorSpec Dense(std::vector<int64_t> dims, DType dtype, Fill fill) {
  TensorSpec s;
  s.info.dtype = dtype;
  s.info.rank = static_cast<uint8_t>(dims.size());
  for (size_t i = 0; i < dims.size() && i < kMaxRank; ++i) s.info.dims[i] = dims[i];
  s.fill = fill;
  return s;
}

TensorSpec Nhwc(std::vector<int64_t> nchw, Halo halo, DType dtype) {
  TensorSpec s = Dense(std::move(nchw), dtype);
  s.info.layout = LayoutId::kChannelsLast;
  s.info.halo = halo;
  return s;
}

TensorSpec Values(std::vector<int64_t> dims, DType dtype, std::vector<int64_t> values) {
  TensorSpec s = Dense(std::move(dims), dtype);
  s.values = std::move(values);
  return s;
}

TensorSpec Absent() { return TensorSpec{}; }

TensorSpec InLayout(TensorSpec t, LayoutId layout) {
  t.info.layout = layout;
  return t;
}

PwInstr Pw(PwOp op, int dst, int a, int b, int c) {
  PwInstr i;
  i.op = static_cast<uint8_t>(op);
  i.dst = static_cast<uint8_t>(dst);
  i.a = static_cast<uint8_t>(a);
  i.b = static_cast<uint8_t>(b);
  i.c = static_cast<uint8_t>(c);
  return i;
}
PwInstr PwLoad(int dst, int operand) {
  PwInstr i = Pw(PwOp::kLoad, dst);
  i.operand = static_cast<uint8_t>(operand);
  return i;
}
PwInstr PwImm(PwOp op, int dst, int a, float imm) {
  PwInstr i = Pw(op, dst, a);
  i.imm = imm;
  return i;
}

Status CheckKernelCase(const KernelCase& c, Footprint* footprint) {
  std::vector<TensorInfo> inputs, outputs;
  const OpInfo op = MakeOp(c, &inputs, &outputs);
  return KernelFootprints().Check(static_cast<uint32_t>(c.kernel), op, footprint);
}

void RunKernelCase(const KernelCase& c) {
  SCOPED_TRACE(c.name);
  Footprint footprint;
  const Status checked = CheckKernelCase(c, &footprint);
  ASSERT_TRUE(checked.ok()) << RuleName(checked.rule) << " operand " << checked.operand << " axis "
                            << checked.axis << " expected " << checked.expected << " got "
                            << checked.got;
  const std::vector<Block> inputs = MakeInputs(c, footprint);
  const KernelTable* plain = FindKernelTable("reference", "");
  ASSERT_NE(plain, nullptr);
  const Outputs want = RunOn(*plain, c, footprint, inputs, 1, -1);
  EXPECT_EQ(want.rule, c.rule);
  for (const KernelTable* table : AllKernelTables()) {
    if (!table->available()) continue;
    if (table->kernels[static_cast<uint32_t>(c.kernel)].prepare == nullptr) {
      ADD_FAILURE() << table->isa << " lacks the family";
      continue;
    }
    SCOPED_TRACE(table->isa);
    const Outputs one = RunOn(*table, c, footprint, inputs, 1, -1);
    EXPECT_EQ(one.rule, c.rule);
    if (c.rule != Rule::kNone) continue;
    for (size_t i = 0; i < c.outputs.size(); ++i) {
      const TensorInfo& t = c.outputs[i].info;
      if (!t.present()) continue;
      CheckHalo(t, one.bytes[i]);
      if (t.dtype == DType::kF32) {
        CompareFloats(c, t, one.bytes[i].data(), want.bytes[i].data());
      } else {
        EXPECT_EQ(one.bytes[i], want.bytes[i]) << "output " << i;
      }
    }
    for (uint32_t workers = 2; workers <= 3; ++workers) {
      const Outputs many = RunOn(*table, c, footprint, inputs, workers, -1);
      EXPECT_TRUE(many.bytes == one.bytes) << workers << " workers change the result";
    }
    for (uint32_t i = 0; i < c.inputs.size(); ++i) {
      if ((footprint.in_place_inputs >> i & 1) == 0) continue;
      const Outputs in_place = RunOn(*table, c, footprint, inputs, 2, static_cast<int>(i));
      EXPECT_TRUE(in_place.bytes == one.bytes) << "in place with input " << i;
    }
  }
}

}  // namespace floe::testing
