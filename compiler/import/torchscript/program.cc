#include "compiler/import/torchscript/program.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "compiler/import/torch_file/torch_save.h"
#include "compiler/import/torchscript/parser.h"
#include "compiler/ir/status_macros.h"

namespace floe::torchscript {
namespace {

constexpr int64_t kNewestVersion = 10;

std::vector<std::string> Strings(const Expr* list) {
  std::vector<std::string> strings;
  if (list == nullptr) return strings;
  for (const ExprPtr& e : list->parts) {
    if (e->kind == Expr::Kind::kString) strings.push_back(e->text);
  }
  return strings;
}

}  // namespace

std::string PlaceOf(const SourceUnit& unit, const Position& at) {
  std::string user = unit.ranges.Find(at.offset);
  if (!user.empty()) return user;
  return absl::StrFormat("%s:%d", unit.file.path, at.line);
}

absl::StatusOr<std::unique_ptr<Program>> Program::Open(torch_file::Blob file) {
  std::unique_ptr<Program> program(new Program());
  FLOE_TRY_ASSIGN(std::unique_ptr<torch_file::Archive> archive,
                  torch_file::Archive::Open(std::move(file)));
  program->archive_ = std::move(archive);
  torch_file::Archive& a = *program->archive_;
  if (a.Has("model.json")) {
    return absl::UnimplementedError(
        "this TorchScript file has the format from before PyTorch 1.4; load it with a newer "
        "PyTorch "
        "and save it again");
  }
  if (!a.Has("data.pkl") || !a.Has("constants.pkl")) {
    return absl::InvalidArgumentError(
        "this is no TorchScript file: data.pkl or constants.pkl is missing");
  }
  FLOE_TRY(torch_file::CheckByteOrder(a));
  FLOE_TRY(program->ReadVersion());
  FLOE_TRY_ASSIGN(program->constants_,
                  torch_file::ReadPickle(program->archive_, "constants.pkl", "constants/"));
  FLOE_TRY_ASSIGN(program->data_, torch_file::ReadPickle(program->archive_, "data.pkl", "data/"));
  if (a.Has("traced_inputs.pkl")) {
    auto inputs = torch_file::ReadPickle(program->archive_, "traced_inputs.pkl", "traced_inputs/");
    if (inputs.ok()) program->traced_inputs_ = *std::move(inputs);
  }
  return program;
}

absl::Status Program::ReadVersion() {
  for (const char* name : {"version", ".data/version"}) {
    if (!archive_->Has(name)) continue;
    FLOE_TRY_ASSIGN(torch_file::Blob blob, archive_->Read(name));
    const std::string text(blob.bytes.substr(0, 32));
    if (!absl::SimpleAtoi(text, &version_) || version_ < 1) {
      return absl::InvalidArgumentError(
          absl::StrFormat("the archive's version is '%s', which is no number", text));
    }
    if (version_ > kNewestVersion) {
      return absl::UnimplementedError(absl::StrFormat(
          "the file has TorchScript version %d; the newest that is known here is %d", version_,
          kNewestVersion));
    }
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("the archive has no version");
}

absl::StatusOr<const SourceUnit*> Program::FindUnit(const std::string& module) {
  const auto [it, is_new] = units_.try_emplace(module);
  if (!is_new) return it->second.get();
  const std::string path = "code/" + absl::StrReplaceAll(module, {{".", "/"}}) + ".py";
  if (!archive_->Has(path)) return nullptr;
  FLOE_TRY_ASSIGN(torch_file::Blob source, archive_->Read(path));
  auto unit = std::make_unique<SourceUnit>();
  unit->module = module;
  FLOE_TRY_ASSIGN(unit->file, ParseSource(source.bytes, path));
  if (archive_->Has(path + ".debug_pkl")) {
    auto ranges = archive_->Read(path + ".debug_pkl");
    if (ranges.ok()) unit->ranges = DebugRanges(ranges->bytes);
  }
  it->second = std::move(unit);
  return it->second.get();
}

absl::StatusOr<ClassInfo*> Program::FindClass(const std::string& name) {
  if (const auto it = classes_.find(name); it != classes_.end()) return it->second.get();
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return nullptr;
  FLOE_TRY_ASSIGN(const SourceUnit* unit, FindUnit(name.substr(0, dot)));
  if (unit == nullptr) return nullptr;
  for (const ClassDef& def : unit->file.classes) {
    if (def.name != name.substr(dot + 1)) continue;
    FLOE_TRY_ASSIGN(std::unique_ptr<ClassInfo> info, Describe(def, *unit));
    return (classes_[name] = std::move(info)).get();
  }
  return nullptr;
}

absl::StatusOr<Function> Program::FindFunction(const std::string& name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string::npos) return Function();
  FLOE_TRY_ASSIGN(const SourceUnit* unit, FindUnit(name.substr(0, dot)));
  if (unit == nullptr) return Function();
  for (const FunctionDef& def : unit->file.functions) {
    if (def.name == name.substr(dot + 1)) return Function{&def, unit};
  }
  return Function();
}

absl::StatusOr<std::unique_ptr<ClassInfo>> Program::Describe(const ClassDef& def,
                                                             const SourceUnit& unit) {
  auto info = std::make_unique<ClassInfo>();
  info->name = unit.module + "." + def.name;
  info->def = &def;
  info->unit = &unit;
  for (const FunctionDef& method : def.methods) info->methods[method.name] = &method;
  const auto declare = [&](const std::string& name, const Expr& type) -> absl::Status {
    absl::StatusOr<TypePtr> parsed = TypeOf(type);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(absl::StrFormat("%s:%d: %s", unit.file.path, type.at.line,
                                                        std::string(parsed.status().message())));
    }
    info->attributes[name] = *std::move(parsed);
    info->attribute_order.push_back(name);
    return absl::OkStatus();
  };
  for (const std::unique_ptr<Stmt>& field : def.fields) {
    if (field->targets.size() != 1) continue;
    const Expr& target = *field->targets[0];
    if (target.kind == Expr::Kind::kSubscript) {
      // __annotations__["0"] = T: for names that are no identifiers.
      if (target.parts.size() == 2 && target.parts[1]->kind == Expr::Kind::kString &&
          field->value != nullptr) {
        FLOE_TRY(declare(target.parts[1]->text, *field->value));
      }
    } else if (target.kind != Expr::Kind::kName || target.text == "__annotations__" ||
               target.text == "__parameters__" || target.text == "__buffers__") {
      continue;
    } else if (target.text == "__forward_hooks__") {
      info->forward_hooks = Strings(field->value.get());
    } else if (target.text == "__forward_pre_hooks__") {
      info->forward_pre_hooks = Strings(field->value.get());
    } else if (field->value != nullptr) {
      info->constants[target.text] = field->value.get();
    } else if (field->type != nullptr) {
      FLOE_TRY(declare(target.text, *field->type));
    }
  }
  return info;
}

}  // namespace floe::torchscript
