#include "tools/cli/inputs.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "absl/strings/str_format.h"

namespace floe::cli {
namespace {

double HalfToDouble(uint16_t h) {
  const int exponent = h >> 10 & 31;
  const int mantissa = h & 1023;
  double v = 0;
  if (exponent == 31) {
    v = mantissa == 0 ? std::numeric_limits<double>::infinity()
                      : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    v = std::ldexp(mantissa, -24);
  } else {
    v = std::ldexp(1024 + mantissa, exponent - 25);
  }
  return h & 0x8000 ? -v : v;
}

double ElementAt(const Tensor& t, size_t i) {
  switch (static_cast<DType>(t.dtype)) {
    case DType::kF32:
      return static_cast<const float*>(t.data)[i];
    case DType::kF64:
      return static_cast<const double*>(t.data)[i];
    case DType::kF16:
      return HalfToDouble(static_cast<const uint16_t*>(t.data)[i]);
    case DType::kBF16:
      return std::bit_cast<float>(static_cast<uint32_t>(static_cast<const uint16_t*>(t.data)[i])
                                  << 16);
    case DType::kI8:
      return static_cast<const int8_t*>(t.data)[i];
    case DType::kU8:
    case DType::kBool:
      return static_cast<const uint8_t*>(t.data)[i];
    case DType::kI16:
      return static_cast<const int16_t*>(t.data)[i];
    case DType::kU16:
      return static_cast<const uint16_t*>(t.data)[i];
    case DType::kI32:
      return static_cast<const int32_t*>(t.data)[i];
    case DType::kU32:
      return static_cast<const uint32_t*>(t.data)[i];
    case DType::kI64:
      return static_cast<double>(static_cast<const int64_t*>(t.data)[i]);
    case DType::kU64:
      return static_cast<double>(static_cast<const uint64_t*>(t.data)[i]);
    default:
      return 0;
  }
}

std::string Describe(const Model& model, const std::vector<Tensor>& tensors) {
  std::string text;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i > 0) text += ", ";
    text += model.Name(FLOE_INPUT, static_cast<uint32_t>(i)) + " " +
            DTypeName(static_cast<DType>(tensors[i].dtype)) + "[";
    for (uint32_t d = 0; d < tensors[i].rank; ++d) {
      text += absl::StrFormat(d == 0 ? "%d" : ",%d", tensors[i].dims[d]);
    }
    text += "]";
  }
  return text;
}

void FillRandom(DType dtype, std::mt19937_64* random, std::string* bytes) {
  const size_t n = bytes->size() / static_cast<size_t>(std::max<int64_t>(1, DTypeSize(dtype)));
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < n; ++i) {
    char* at = bytes->data() + i * static_cast<size_t>(DTypeSize(dtype));
    const float f = normal(*random);
    const double d = f;
    const uint16_t bf16 = static_cast<uint16_t>(std::bit_cast<uint32_t>(f) >> 16);
    const uint64_t bit = (*random)() & 1;
    if (dtype == DType::kF32) {
      std::memcpy(at, &f, 4);
    } else if (dtype == DType::kF64) {
      std::memcpy(at, &d, 8);
    } else if (dtype == DType::kBF16) {
      std::memcpy(at, &bf16, 2);
    } else if (dtype == DType::kF16) {
      const uint16_t half = static_cast<uint16_t>(bit << 15 | 0x3800 | ((*random)() & 0x3ff));
      std::memcpy(at, &half, 2);  // In [0.5, 1) with either sign.
    } else {
      std::memcpy(at, &bit, static_cast<size_t>(DTypeSize(dtype)));  // Little endian.
    }
  }
}

// The value of a symbol: the caller's, else the largest that the program takes.
absl::StatusOr<int64_t> SymbolValue(const Model& model, const floe_axis& axis,
                                    const InputOptions& options) {
  if (axis.symbol == FLOE_NO_INDEX) return axis.max;
  const std::string name = model.Name(FLOE_SYMBOL, axis.symbol);
  const auto given = options.dims.find(name);
  return given == options.dims.end() ? axis.max : given->second;
}

absl::Status RandomInputs(const Model& model, const InputOptions& options, Inputs* inputs) {
  std::mt19937_64 random(options.seed);
  for (uint32_t i = 0; i < model.Method().inputs; ++i) {
    const floe_tensor_spec spec = model.Spec(FLOE_INPUT, i);
    Tensor t;
    t.dtype = spec.dtype;
    t.rank = spec.rank;
    size_t bytes = static_cast<size_t>(DTypeSize(static_cast<DType>(spec.dtype)));
    for (uint32_t d = 0; d < spec.rank; ++d) {
      auto size = SymbolValue(model, spec.axes[d], options);
      if (!size.ok()) return size.status();
      t.dims[d] = *size;
      bytes *= static_cast<size_t>(*size);
    }
    t.bytes = bytes;
    inputs->storage.emplace_back(bytes, '\0');
    FillRandom(static_cast<DType>(spec.dtype), &random, &inputs->storage.back());
    inputs->tensors.push_back(t);
  }
  for (size_t i = 0; i < inputs->tensors.size(); ++i) {
    inputs->tensors[i].data = inputs->storage[i].data();
  }
  inputs->source = absl::StrFormat("random (seed %d)", options.seed);
  return absl::OkStatus();
}

}  // namespace

absl::Status ToAbsl(const Outcome& outcome) {
  if (outcome.ok()) return absl::OkStatus();
  const std::string text = outcome.Message();
  switch (outcome.code()) {
    case FLOE_INVALID_FILE:
      return absl::DataLossError(text);
    case FLOE_UNSUPPORTED:
      return absl::UnimplementedError(text);
    case FLOE_RESOURCE_EXHAUSTED:
      return absl::ResourceExhaustedError(text);
    case FLOE_DEADLINE_EXCEEDED:
      return absl::DeadlineExceededError(text);
    case FLOE_NOT_FOUND:
    case FLOE_IO:
      return absl::NotFoundError(text);
    case FLOE_OUT_OF_RANGE:
      return absl::OutOfRangeError(text);
    case FLOE_CANCELLED:
      return absl::CancelledError(text);
    case FLOE_INTERNAL:
      return absl::InternalError(text);
    default:
      return absl::InvalidArgumentError(text);
  }
}

Tensor TensorOfArray(const Array& array) {
  Tensor t;
  t.data = const_cast<char*>(array.bytes.data());
  t.bytes = array.bytes.size();
  t.dtype = static_cast<int32_t>(array.dtype);
  t.rank = static_cast<uint32_t>(array.dims.size());
  for (size_t d = 0; d < array.dims.size(); ++d) t.dims[d] = array.dims[d];
  return t;
}

absl::StatusOr<std::vector<const Array*>> OrderArrays(const Model& model,
                                                      const NamedArrays& arrays) {
  const uint32_t count = model.Method().inputs;
  std::vector<const Array*> ordered(count, nullptr);
  bool by_name = true;
  for (const auto& [name, array] : arrays) {
    const auto index = model.Find(FLOE_INPUT, name.c_str());
    if (index.has_value() && ordered[*index] == nullptr) {
      ordered[*index] = &array;
    } else {
      by_name = false;
    }
  }
  const bool complete = std::find(ordered.begin(), ordered.end(), nullptr) == ordered.end();
  if (by_name && complete) return ordered;
  if (complete) return ordered;  // All inputs are there by name; the rest is ignored.
  const bool none =
      std::all_of(ordered.begin(), ordered.end(), [](const Array* a) { return a == nullptr; });
  if (!none || arrays.size() != count) {
    std::string names;
    for (uint32_t i = 0; i < count; ++i) names += " '" + model.Name(FLOE_INPUT, i) + "'";
    return absl::InvalidArgumentError(absl::StrFormat(
        "the file's %d arrays do not match the model's %d inputs:%s; name them so, or give exactly "
        "that many in this order",
        arrays.size(), count, names));
  }
  for (uint32_t i = 0; i < count; ++i) ordered[i] = &arrays[i].second;
  return ordered;
}

absl::StatusOr<Inputs> MakeInputs(const Model& model, const InputOptions& options) {
  Inputs inputs;
  for (const auto& [name, value] : options.dims) {
    if (!model.Find(FLOE_SYMBOL, name.c_str()).has_value()) {
      return absl::FailedPreconditionError(
          absl::StrFormat("--dim %s=%d: the program has no dimension of that name", name, value));
    }
  }
  if (!options.path.empty()) {
    auto arrays = ReadArrays(options.path, uint64_t{8} << 30);
    if (!arrays.ok()) return arrays.status();
    auto ordered = OrderArrays(model, *arrays);
    if (!ordered.ok()) return ordered.status();
    for (const Array* a : *ordered) {
      inputs.storage.push_back(a->bytes);
      inputs.tensors.push_back(TensorOfArray(*a));
    }
    for (size_t i = 0; i < inputs.storage.size(); ++i) {
      inputs.tensors[i].data = inputs.storage[i].data();
    }
    inputs.source = options.path;
  } else if (model.Info().goldens > 0 && options.dims.empty()) {
    const uint32_t tensors = model.Golden(0).tensors;
    inputs.tensors.resize(model.Method().inputs);
    for (uint32_t i = 0; i < tensors; ++i) {
      const auto t = model.GetGoldenTensor(0, i);
      if (t.has_value() && t->entity == FLOE_INPUT && t->index < inputs.tensors.size()) {
        inputs.tensors[t->index] = t->tensor;
      }
    }
    inputs.source = "golden 0";
  } else if (absl::Status s = RandomInputs(model, options, &inputs); !s.ok()) {
    return s;
  }
  inputs.description = Describe(model, inputs.tensors);
  for (const Tensor& t : inputs.tensors) {
    if (t.rank == 0) continue;
    inputs.batch = t.dims[0];
    break;
  }
  return inputs;
}

double MaxRelativeError(const Tensor& a, const Tensor& b, double* max_b) {
  double error = 0;
  *max_b = 0;
  size_t count = 1;
  for (uint32_t d = 0; d < b.rank; ++d) count *= static_cast<size_t>(b.dims[d]);
  for (size_t i = 0; i < count; ++i) {
    const double x = ElementAt(a, i);
    const double y = ElementAt(b, i);
    if (std::isfinite(y)) *max_b = std::max(*max_b, std::abs(y));
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    const double d = std::abs(x - y);
    error = std::max(error, std::isnan(d) ? std::numeric_limits<double>::infinity() : d);
  }
  if (error == 0) return 0;
  return *max_b > 0 ? error / *max_b : std::numeric_limits<double>::infinity();
}

absl::StatusOr<std::vector<GoldenResult>> CheckGolden(const Model& model, floe_thread_pool* pool,
                                                      uint32_t index) {
  const floe_golden golden = model.Golden(index);
  std::vector<Tensor> inputs(model.Method(golden.method).inputs);
  std::vector<Model::GoldenTensor> expected;
  for (uint32_t i = 0; i < golden.tensors; ++i) {
    const auto t = model.GetGoldenTensor(index, i);
    if (!t.has_value()) return absl::InternalError("a golden tensor is missing");
    if (t->entity == FLOE_INPUT) {
      inputs[t->index] = t->tensor;
    } else {
      expected.push_back(*t);
    }
  }
  SessionOptions options;
  options.pool = pool;
  options.own_outputs = 1;
  auto session = Session::Make(model, options);
  if (!session.ok()) return ToAbsl(session.outcome());
  if (const Outcome o = session->Bind(inputs, golden.method); !o.ok()) return ToAbsl(o);
  if (const Outcome o = session->Run({}, golden.method); !o.ok()) return ToAbsl(o);
  std::vector<GoldenResult> results;
  for (const Model::GoldenTensor& want : expected) {
    auto got = session->Output(want.index, golden.method);
    if (!got.ok()) return ToAbsl(got.outcome());
    GoldenResult r;
    r.output = model.Name(FLOE_OUTPUT, want.index, golden.method);
    if (got->bytes != want.tensor.bytes || got->dtype != want.tensor.dtype) {
      r.max_error = std::numeric_limits<double>::infinity();
    } else {
      double max_b = 0;
      r.max_error = MaxRelativeError(*got, want.tensor, &max_b);
      const double absolute = max_b > 0 ? r.max_error * max_b : r.max_error;
      r.passed = absolute <= golden.atol + golden.rtol * max_b;
    }
    results.push_back(r);
  }
  return results;
}

}  // namespace floe::cli
