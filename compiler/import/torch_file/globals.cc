// What the names on the list mean when a pickle calls them.
#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "compiler/import/torch_file/unpickler.h"
#include "compiler/ir/status_macros.h"

namespace floe::torch_file {
namespace {

using Kind = PickleValue::Kind;
using Values = Unpickler::Values;
using Result = absl::StatusOr<PickleValue*>;

// The arguments of a call; the first one that does not fit makes it fail.
class Args {
 public:
  Args(Unpickler& unpickler, const Values& values) : unpickler_(unpickler), values_(values) {}

  size_t size() const { return values_.size(); }
  absl::Status NeedCount(size_t least, size_t most) const {
    if (size() >= least && size() <= most) return absl::OkStatus();
    return unpickler_.Fail(
        absl::StrFormat("a call with %d arguments where %d to %d are known", size(), least, most));
  }
  // REQUIRES: i < size().
  const PickleValue& at(size_t i) const { return *values_[i]; }
  absl::Status Need(size_t i, Kind kind) const {
    if (at(i).is(kind)) return absl::OkStatus();
    return unpickler_.Fail(absl::StrFormat("argument %d is %s", i, at(i).KindName()));
  }
  // A list or tuple of integers.
  absl::StatusOr<std::vector<int64_t>> Ints(size_t i) const {
    const PickleValue& value = at(i);
    bool ok = value.is(Kind::kTuple) || value.is(Kind::kList);
    std::vector<int64_t> ints;
    for (const PickleValue* item : value.items()) {
      ok = ok && item->is(Kind::kInt);
      if (ok) ints.push_back(item->AsInt());
    }
    if (ok) return ints;
    return unpickler_.Fail(absl::StrFormat("argument %d is no tuple of integers", i));
  }

 private:
  Unpickler& unpickler_;
  const Values& values_;
};

// (storage, offset, size, stride, ...) of the tensor functions.
absl::StatusOr<TensorRecord> Layout(Unpickler& u, const Args& args) {
  FLOE_TRY(args.Need(0, Kind::kStorage));
  FLOE_TRY(args.Need(1, Kind::kInt));
  TensorRecord record;
  record.storage = args.at(0).storage();
  record.layout.dtype = record.storage->type;
  record.layout.offset = args.at(1).AsInt();
  FLOE_TRY_ASSIGN(record.layout.sizes, args.Ints(2));
  FLOE_TRY_ASSIGN(record.layout.strides, args.Ints(3));
  if (record.layout.sizes.size() != record.layout.strides.size()) {
    return u.Fail("a tensor with more or fewer strides than sizes");
  }
  return record;
}

PickleValue* NewTensor(Unpickler& u, Kind kind, TensorRecord record) {
  PickleValue* value = u.New(kind);
  Unpickler::SetTensor(value, std::move(record));
  return value;
}

// _rebuild_tensor(storage, offset, size, stride), _v2(..., requires_grad, hooks[, metadata])
Result RebuildTensor(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(4, 7));
  FLOE_TRY_ASSIGN(TensorRecord record, Layout(u, args));
  if (record.layout.dtype == ScalarType::kUndefined) return u.Fail("a tensor in untyped storage");
  if (args.size() > 4) record.requires_grad = args.at(4).is(Kind::kBool) && args.at(4).AsBool();
  if (args.size() > 6 && args.at(6).is(Kind::kDict) && args.at(6).dict_size() > 0) {
    return u.Fail("a tensor that is a lazy conjugate or negative; save x.resolve_conj() instead");
  }
  return NewTensor(u, Kind::kTensor, std::move(record));
}

// _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])
Result RebuildTensorV3(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(7, 8));
  FLOE_TRY_ASSIGN(TensorRecord record, Layout(u, args));
  FLOE_TRY(args.Need(6, Kind::kDType));
  record.layout.dtype = args.at(6).scalar_type();
  return NewTensor(u, Kind::kTensor, std::move(record));
}

// _rebuild_parameter(data, requires_grad, hooks), _with_state(..., state)
Result RebuildParameter(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(3, 4));
  if (!args.at(0).is(Kind::kTensor) && !args.at(0).is(Kind::kQuantizedTensor)) {
    return u.Fail("a parameter that is no plain tensor");
  }
  TensorRecord record = args.at(0).tensor();
  record.is_parameter = true;
  record.requires_grad = args.at(1).is(Kind::kBool) && args.at(1).AsBool();
  return NewTensor(u, args.at(0).kind(), std::move(record));
}

// _rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks), where quantizer
// is (per_tensor_affine, scale, zero_point) or (per_channel_affine, scales, zero_points, axis).
Result RebuildQuantized(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(5, 7));
  FLOE_TRY_ASSIGN(TensorRecord record, Layout(u, args));
  FLOE_TRY(args.Need(4, Kind::kTuple));
  const Values& q = args.at(4).items();
  if (q.empty() || !q[0]->is(Kind::kGlobal)) return u.Fail("a quantised tensor without a scheme");
  const std::string& scheme = q[0]->text();
  if (scheme == "torch.per_tensor_affine" && q.size() == 3 && q[1]->is(Kind::kFloat) &&
      q[2]->is(Kind::kInt)) {
    record.qscheme = TensorRecord::QScheme::kPerTensorAffine;
    record.scale = q[1]->AsFloat();
    record.zero_point = q[2]->AsInt();
  } else if (scheme == "torch.per_channel_affine" && q.size() == 4 && q[1]->is(Kind::kTensor) &&
             q[2]->is(Kind::kTensor) && q[3]->is(Kind::kInt)) {
    record.qscheme = TensorRecord::QScheme::kPerChannelAffine;
    record.scales = q[1];
    record.zero_points = q[2];
    record.axis = q[3]->AsInt();
    if (record.axis < 0 || record.axis >= static_cast<int64_t>(record.layout.sizes.size())) {
      return u.Fail("a tensor that is quantised along an axis that it has not");
    }
  } else {
    return u.Fail(absl::StrFormat("a quantised tensor of a scheme that is not read (%s)", scheme));
  }
  if (record.layout.dtype != ScalarType::kQInt8 && record.layout.dtype != ScalarType::kQUInt8 &&
      record.layout.dtype != ScalarType::kQInt32) {
    return u.Fail(absl::StrFormat("a quantised tensor of torch.%s is not read",
                                  ScalarTypeName(record.layout.dtype)));
  }
  return NewTensor(u, Kind::kQuantizedTensor, std::move(record));
}

// _rebuild_from_type_v2(function, type, arguments, state): a tensor of a subclass, or with
// attributes.
Result RebuildFromType(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(4, 4));
  FLOE_TRY(args.Need(0, Kind::kGlobal));
  FLOE_TRY(args.Need(1, Kind::kGlobal));
  FLOE_TRY(args.Need(2, Kind::kTuple));
  const std::string& type = args.at(1).text();
  if (type != "torch.Tensor" && type != "torch.nn.parameter.Parameter" &&
      type != "torch.nn.parameter.Buffer") {
    return u.Fail(absl::StrFormat(
        "a tensor of the subclass '%s'; turn it into plain tensors before saving (for torchao: "
        "unwrap_tensor_subclass)",
        type));
  }
  if (args.at(0).text() == "torch._tensor._rebuild_from_type_v2") return u.Fail("nested types");
  return u.Call(args.at(0).text(), args.at(2).items());
}

Result MakeDict(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(0, 1));
  PickleValue* dict = u.New(Kind::kDict);
  if (args.size() == 0) return dict;
  Values items;  // From a list of pairs, as Python 2 wrote it.
  for (const PickleValue* pair : args.at(0).items()) {
    const bool ok = (pair->is(Kind::kList) || pair->is(Kind::kTuple)) && pair->items().size() == 2;
    if (!ok) return u.Fail("a dictionary of what is no pairs");
    items.insert(items.end(), pair->items().begin(), pair->items().end());
  }
  Unpickler::SetItems(dict, std::move(items));
  return dict;
}

Result MakeComplex(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(2, 2));
  FLOE_TRY(args.Need(0, Kind::kFloat));
  FLOE_TRY(args.Need(1, Kind::kFloat));
  PickleValue* value = u.New(Kind::kComplex);
  Unpickler::SetComplex(value, args.at(0).AsFloat(), args.at(1).AsFloat());
  return value;
}

Result MakeSet(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(0, 1));
  PickleValue* set = u.New(Kind::kSet);
  if (args.size() == 1) {
    FLOE_TRY(args.Need(0, Kind::kList));
    Unpickler::SetItems(set, args.at(0).items());
  }
  return set;
}

// _codecs.encode(text, 'latin1'): how protocol 2 writes bytes.
Result EncodeBytes(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(2, 2));
  FLOE_TRY(args.Need(0, Kind::kString));
  FLOE_TRY(args.Need(1, Kind::kString));
  if (args.at(1).text() != "latin1") return u.Fail("bytes that are not encoded by latin1");
  const std::string& text = args.at(0).text();
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c < 0x80) {
      bytes += text[i];
    } else if ((c == 0xc2 || c == 0xc3) && i + 1 < text.size()) {
      bytes += static_cast<char>((c & 3) << 6 | (static_cast<uint8_t>(text[++i]) & 0x3f));
    } else {
      return u.Fail("bytes that are no latin1 text");
    }
  }
  return u.NewText(Kind::kBytes, std::move(bytes));
}

Result MakeDevice(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(1, 2));
  FLOE_TRY(args.Need(0, Kind::kString));
  std::string device = args.at(0).text();
  if (args.size() == 2 && args.at(1).is(Kind::kInt)) {
    device += absl::StrFormat(":%d", args.at(1).AsInt());
  }
  return u.NewText(Kind::kDevice, std::move(device));
}

Result MakeSize(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(1, 1));
  FLOE_TRY(args.Ints(0).status());
  PickleValue* tuple = u.New(Kind::kTuple);
  Unpickler::SetItems(tuple, args.at(0).items());
  return tuple;
}

Result MakeLayout(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(1, 1));
  FLOE_TRY(args.Need(0, Kind::kString));
  return u.NewText(Kind::kGlobal, args.at(0).text());
}

// TorchScript's build_intlist and the like wrap the list that they get.
Result BuildList(Unpickler& u, const Args& args) {
  FLOE_TRY(args.NeedCount(1, 1));
  FLOE_TRY(args.Need(0, Kind::kList));
  PickleValue* list = u.New(Kind::kList);
  Unpickler::SetItems(list, args.at(0).items());
  return list;
}

// restore_type_tag(container, "List[int]"): the container itself, which must stay one object.
Result RestoreTypeTag(Unpickler&, const Args& args) {
  FLOE_TRY(args.NeedCount(2, 2));
  FLOE_TRY(args.Need(1, Kind::kString));
  // All values belong to the unpickler; the arguments are const for its readers only.
  auto* value = const_cast<PickleValue*>(&args.at(0));
  Unpickler::SetTypeTag(value, args.at(1).text());
  return value;
}

struct Function {
  const char* name;
  Result (*call)(Unpickler&, const Args&);
};

constexpr Function kFunctions[] = {
    {"torch._utils._rebuild_tensor", RebuildTensor},
    {"torch._utils._rebuild_tensor_v2", RebuildTensor},
    {"torch._utils._rebuild_tensor_v3", RebuildTensorV3},
    {"torch._utils._rebuild_parameter", RebuildParameter},
    {"torch._utils._rebuild_parameter_with_state", RebuildParameter},
    {"torch._utils._rebuild_qtensor", RebuildQuantized},
    {"torch._tensor._rebuild_from_type_v2", RebuildFromType},
    {"collections.OrderedDict", MakeDict},
    {"builtins.complex", MakeComplex},
    {"__builtin__.complex", MakeComplex},
    {"builtins.set", MakeSet},
    {"__builtin__.set", MakeSet},
    {"_codecs.encode", EncodeBytes},
    {"torch.device", MakeDevice},
    {"torch.Size", MakeSize},
    {"torch.serialization._get_layout", MakeLayout},
    {"torch.jit._pickle.build_intlist", BuildList},
    {"torch.jit._pickle.build_tensorlist", BuildList},
    {"torch.jit._pickle.build_doublelist", BuildList},
    {"torch.jit._pickle.build_boollist", BuildList},
    {"torch.jit._pickle.restore_type_tag", RestoreTypeTag},
};

// Names that are values by themselves.
constexpr const char* kNames[] = {
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.storage.UntypedStorage",
    "torch.contiguous_format",
    "torch.channels_last",
    "torch.channels_last_3d",
    "torch.preserve_format",
    "torch.strided",
    "torch.per_tensor_affine",
    "torch.per_channel_affine",
    "torch.per_tensor_symmetric",
    "torch.per_channel_symmetric",
    "torch.per_channel_affine_float_qparams",
};

}  // namespace

bool IsKnownGlobal(std::string_view name) {
  const auto same = [name](const char* known) { return name == known; };
  if (std::any_of(std::begin(kNames), std::end(kNames), same)) return true;
  for (const Function& function : kFunctions) {
    if (name == function.name) return true;
  }
  return name.starts_with("torch.") && ScalarTypeOfStorage(name.substr(6)).has_value();
}

absl::StatusOr<PickleValue*> Unpickler::Call(const std::string& function, const Values& args) {
  for (const Function& known : kFunctions) {
    if (function == known.name) return known.call(*this, Args(*this, args));
  }
  return Fail(
      absl::StrFormat("calls '%s', which is no function that PyTorch's files call", function));
}

}  // namespace floe::torch_file
