#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "compiler/import/onnx/tensor_file.h"
#include "tools/cli/files.h"
#include "tools/cli/inputs.h"
#include "tools/floe/verbs.h"

namespace floe::cli {
namespace {

struct Output {
  std::string name;
  Array array;
};

// .npy, .npz, or a TensorProto (.pb), which neither magic number marks.
absl::StatusOr<NamedArrays> ReadInputs(const std::string& path) {
  constexpr uint64_t kMaxBytes = uint64_t{16} << 30;
  if (path.size() < 3 || path.substr(path.size() - 3) != ".pb") return ReadArrays(path, kMaxBytes);
  auto bytes = ReadFile(path, uint64_t{1} << 31);
  if (!bytes.ok()) return bytes.status();
  auto named = onnx::ParseTensorProto(*bytes);
  if (!named.ok()) {
    return absl::Status(named.status().code(),
                        absl::StrFormat("'%s': %s", path, std::string(named.status().message())));
  }
  const ir::Tensor& t = named->tensor;
  NamedArrays arrays;
  arrays.emplace_back(named->name, Array{t.dtype(), t.dims(),
                                         std::string(static_cast<const char*>(t.data()),
                                                     static_cast<size_t>(t.bytes()))});
  return arrays;
}

// How many leading items one run takes at most, and whether that many are required.
struct BatchRule {
  int64_t max = 0;
  bool fixed = false;
  bool splits = false;  // The arrays are longer: run in pieces.
};

// Splitting needs one leading size in all inputs that the program limits in one way.
absl::StatusOr<BatchRule> FindBatchRule(const Model& model,
                                        const std::vector<const Array*>& arrays) {
  BatchRule rule;
  int64_t length = -1;
  for (uint32_t i = 0; i < arrays.size(); ++i) {
    const floe_tensor_spec spec = model.Spec(FLOE_INPUT, i);
    if (spec.rank == 0 || arrays[i]->dims.size() != spec.rank) return BatchRule{};
    const int64_t max = spec.axes[0].max;
    if (length >= 0 && (arrays[i]->dims[0] != length || max != rule.max)) return BatchRule{};
    length = arrays[i]->dims[0];
    rule.max = max;
    rule.fixed = spec.axes[0].min == max;
  }
  rule.splits = length > rule.max && rule.max > 0;
  if (rule.splits && rule.fixed && length % rule.max != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the leading axis has %d items and the program takes exactly %d at a time; give a multiple",
        length, rule.max));
  }
  return rule;
}

absl::Status RunPiece(Session* session, const Model& model, const std::vector<Tensor>& inputs,
                      std::vector<Output>* outputs) {
  if (const Outcome o = session->Bind(inputs); !o.ok()) return ToAbsl(o);
  if (const Outcome o = session->Run(); !o.ok()) return ToAbsl(o);
  for (uint32_t i = 0; i < model.Method().outputs; ++i) {
    auto t = session->Output(i);
    if (!t.ok()) return ToAbsl(t.outcome());
    Array& to = (*outputs)[i].array;
    if (to.dtype == DType::kNone) {
      to.dtype = static_cast<DType>(t->dtype);
      to.dims.assign(t->dims, t->dims + t->rank);
    } else if (to.dims.empty() || t->rank == 0) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "output '%s' has no leading axis: it cannot be joined from batches", (*outputs)[i].name));
    } else {
      to.dims[0] += t->dims[0];
    }
    to.bytes.append(static_cast<const char*>(t->data), t->bytes);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunVerb(const RunFlags& flags) {
  OpenOptions open;
  open.backend = flags.backend.c_str();
  open.isa = flags.isa.empty() ? nullptr : flags.isa.c_str();
  auto model = Model::Open(flags.model, open);
  if (!model.ok()) return ToAbsl(model.outcome());
  auto arrays = ReadInputs(flags.in);
  if (!arrays.ok()) return arrays.status();
  auto ordered = OrderArrays(*model, *arrays);
  if (!ordered.ok()) return ordered.status();
  auto rule = FindBatchRule(*model, *ordered);
  if (!rule.ok()) return rule.status();

  auto pool = ThreadPool::Make(static_cast<uint32_t>(flags.threads));
  if (!pool.ok()) return ToAbsl(pool.outcome());
  SessionOptions session_options;
  session_options.pool = flags.threads > 1 ? pool->get() : nullptr;
  session_options.own_outputs = 1;
  auto session = Session::Make(*model, session_options);
  if (!session.ok()) return ToAbsl(session.outcome());

  std::vector<Output> outputs(model->Method().outputs);
  for (uint32_t i = 0; i < outputs.size(); ++i) outputs[i].name = model->Name(FLOE_OUTPUT, i);
  const int64_t length = rule->splits ? (*ordered)[0]->dims[0] : 1;
  const int64_t step = rule->splits ? rule->max : 1;
  for (int64_t at = 0; at < length; at += step) {
    std::vector<Tensor> inputs;
    for (const Array* a : *ordered) {
      Tensor t = TensorOfArray(*a);
      if (rule->splits) {
        const size_t row = t.bytes / static_cast<size_t>(t.dims[0]);
        t.dims[0] = std::min(step, length - at);
        t.data = static_cast<char*>(t.data) + static_cast<size_t>(at) * row;
        t.bytes = row * static_cast<size_t>(t.dims[0]);
      }
      inputs.push_back(t);
    }
    if (absl::Status s = RunPiece(&*session, *model, inputs, &outputs); !s.ok()) return s;
  }
  NamedArrays named;
  for (Output& o : outputs) named.emplace_back(std::move(o.name), std::move(o.array));
  return WriteArrays(flags.out, named);
}

}  // namespace floe::cli
