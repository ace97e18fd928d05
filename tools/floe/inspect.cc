#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "backends/kernel.h"
#include "backends/registry.h"
#include "tools/cli/files.h"
#include "tools/floe/verbs.h"

namespace floe::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSectionNames[kSectionKinds] = {
    "",        "metadata", "constants", "packed weights",
    "indices", "goldens",  "debug map", "alternatives"};

std::string NameOf(const ProgramView& p, uint32_t value) {
  return value == kNoIndex ? "-" : Escaped(p.String(p.values[value].name));
}

std::string KernelName(uint32_t kernel) {
  const KernelRow* row = FindKernel(kernel);
  return row == nullptr ? "?" : row->name;
}

std::string CodeText(std::span<const PwInstr> code) {
  std::string text;
  for (const PwInstr& i : code) {
    const auto op = static_cast<PwOp>(i.op);
    if (!text.empty()) text += "; ";
    text += absl::StrFormat("r%d = %s", i.dst, PwOpName(op));
    if (op == PwOp::kLoad) text += absl::StrFormat(" %d", i.operand);
    const uint8_t sources[3] = {i.a, i.b, i.c};
    for (int s = 0; s < PwOpSources(op); ++s) text += absl::StrFormat(" r%d", sources[s]);
    if (op == PwOp::kConst || i.imm != 0.0f) text += absl::StrFormat(" %g", i.imm);
  }
  return text;
}

// "f32 1024 bytes, bf16 2048 bytes": what the constants are stored as, in the order of DType.
std::string ConstantTypes(const ProgramView& p) {
  std::map<uint8_t, uint64_t> bytes;
  for (const ValueDef& v : p.values) {
    if (v.storage == static_cast<uint8_t>(Storage::kConstant)) bytes[v.dtype] += v.bytes;
  }
  std::string text;
  for (const auto& [dtype, size] : bytes) {
    if (size == 0) continue;
    text += absl::StrFormat("%s%s %d bytes", text.empty() ? "" : ", ",
                            DTypeName(static_cast<DType>(dtype)), size);
  }
  return text;
}

std::span<const int64_t> AttrsOf(const ProgramView& p, const Instruction& i) {
  return p.attrs.subspan(i.first_attr, i.attr_count);
}

}  // namespace

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 32 || u == 127) {
      out += absl::StrFormat("\\x%02x", u);
    } else {
      out += c;
    }
  }
  return out;
}

std::string DimText(const ProgramView& p, uint32_t dim) {
  const DimExpr& d = p.dims[dim];
  std::string text;
  for (uint32_t t = 0; t < d.term_count; ++t) {
    const DimTerm& term = p.terms[d.first_term + t];
    const std::string name = Escaped(p.String(p.symbols[term.symbol].name));
    if (!text.empty()) text += "+";
    text += term.coefficient == 1 ? name : absl::StrFormat("%d*%s", term.coefficient, name);
  }
  if (text.empty()) return absl::StrFormat("%d", d.constant);
  return d.constant == 0 ? text : absl::StrFormat("%s%+d", text, d.constant);
}

std::string ValueType(const ProgramView& p, uint32_t value) {
  const ValueDef& v = p.values[value];
  std::string text = DTypeName(static_cast<DType>(v.dtype));
  text += "[";
  for (uint32_t a = 0; a < v.rank; ++a) {
    if (a > 0) text += ",";
    text += DimText(p, p.value_dims[v.first_dim + a]);
  }
  text += "]";
  if (v.layout != 0) text += std::string(" ") + LayoutName(static_cast<LayoutId>(v.layout));
  if (v.groups != 1) text += absl::StrFormat(" groups %d", v.groups);
  if (v.halo_top + v.halo_bottom + v.halo_gap > 0) {
    text += absl::StrFormat(" halo(%d,%d,%d)", v.halo_top, v.halo_bottom, v.halo_gap);
    if (v.halo_fill != 0) text += absl::StrFormat(" of %d", v.halo_fill);
  }
  return text;
}

absl::StatusOr<std::unique_ptr<LoadedProgram>> LoadProgram(const std::string& path,
                                                           bool verify_payload) {
  auto content = ReadFile(path, uint64_t{1} << 40);
  if (!content.ok()) return content.status();
  auto loaded = std::make_unique<LoadedProgram>();
  loaded->path = path;
  loaded->file_bytes = content->size();
  void* aligned = std::aligned_alloc(64, (content->size() + 127) / 64 * 64);
  if (aligned == nullptr) return absl::ResourceExhaustedError("out of memory");
  loaded->bytes = {aligned, std::free};
  std::memcpy(aligned, content->data(), content->size());
  ReadOptions options;
  options.verify_payload = verify_payload;
  const Status s = Program::Read(aligned, content->size(), options, KernelFootprints(),
                                 DefaultAllocator(), &loaded->program);
  if (!s.ok()) {
    std::string where;
    if (s.instruction != kNoIndex) where += absl::StrFormat(", instruction %d", s.instruction);
    if (s.value != kNoIndex) where += absl::StrFormat(", value %d", s.value);
    return absl::DataLossError(absl::StrFormat(
        "'%s' is no valid program: rule %d %s: %s (expected %d, got %d%s)", path,
        static_cast<int>(s.rule), RuleName(s.rule), RuleText(s.rule), s.expected, s.got, where));
  }
  return loaded;
}

std::string InspectText(const LoadedProgram& loaded) {
  const ProgramView& p = loaded.program.view();
  std::string t = absl::StrFormat("%s: %d bytes, written by %s\n", loaded.path,
                                  static_cast<int64_t>(loaded.file_bytes), Escaped(p.producer));
  for (uint32_t k = 1; k < kSectionKinds; ++k) {
    if (!p.sections[k].empty()) {
      t += absl::StrFormat("  section %-15s %12d bytes\n", kSectionNames[k], p.sections[k].size());
    }
  }
  if (const std::string types = ConstantTypes(p); !types.empty()) {
    t += "  constants are " + types + "\n";
  }
  for (const SymbolDef& s : p.symbols) {
    t += absl::StrFormat("symbol %s: %d..%d", Escaped(p.String(s.name)), s.min, s.max);
    if (s.multiple != 1) t += absl::StrFormat(", a multiple of %d", s.multiple);
    if (s.kind == static_cast<uint32_t>(SymbolKind::kData)) t += ", found by each run";
    t += IsDerived(s) ? ", computed from others\n" : "\n";
  }
  for (const StateDef& s : p.states) {
    t += absl::StrFormat("state %s: %s\n", Escaped(p.String(s.name)), ValueType(p, s.value));
  }
  for (const MethodDef& m : p.methods) {
    const BlockDef& b = p.blocks[m.block];
    t += absl::StrFormat("method %s\n", Escaped(p.String(m.name)));
    for (const uint32_t v : p.Params(b)) {
      t += absl::StrFormat("  input  %s: %s\n", NameOf(p, v), ValueType(p, v));
    }
    for (const uint32_t v : p.Results(b)) {
      t += absl::StrFormat("  output %s: %s\n", NameOf(p, v), ValueType(p, v));
    }
    for (uint32_t k = 0; k < m.bucket_count; ++k) {
      const BucketDef& bucket = p.buckets[m.first_bucket + k];
      t += "  bucket";
      for (size_t s = 0; s < p.symbols.size(); ++s) {
        if (IsDerived(p.symbols[s])) continue;
        t += absl::StrFormat(" %s<=%d", Escaped(p.String(p.symbols[s].name)),
                             p.bucket_max[bucket.first_max + s]);
      }
      t += absl::StrFormat(": arena %d bytes, scratch %d bytes a worker\n", bucket.arena_bytes,
                           bucket.scratch_bytes);
    }
  }
  for (size_t n = 0; n < p.instructions.size(); ++n) {
    const Instruction& i = p.instructions[n];
    t += absl::StrFormat("%5d %s", n, KernelName(i.kernel));
    if (!p.String(i.op).empty()) t += absl::StrFormat(" (%s)", std::string(p.String(i.op)));
    t += absl::StrFormat(" '%s'\n", Escaped(p.String(i.name)));
    for (const uint32_t v : p.Inputs(i)) {
      t += v == kNoIndex ? "        <- -\n"
                         : absl::StrFormat("        <- %s: %s\n", NameOf(p, v), ValueType(p, v));
    }
    for (const uint32_t v : p.Outputs(i)) {
      t += v == kNoIndex ? "        -> -\n"
                         : absl::StrFormat("        -> %s: %s\n", NameOf(p, v), ValueType(p, v));
    }
    if (i.attr_count > 0) {
      t += "        attrs";
      for (const int64_t a : AttrsOf(p, i)) t += absl::StrFormat(" %d", a);
      t += "\n";
    }
    if (i.code_count > 0) {
      t += absl::StrFormat("        code { %s }\n",
                           CodeText(p.code.subspan(i.first_code, i.code_count)));
    }
  }
  return t;
}

std::string InspectJson(const LoadedProgram& loaded) {
  const ProgramView& p = loaded.program.view();
  Json j;
  j["file"] = loaded.path;
  j["bytes"] = loaded.file_bytes;
  j["producer"] = std::string(p.producer);
  for (uint32_t k = 1; k < kSectionKinds; ++k) {
    if (!p.sections[k].empty()) j["sections"][kSectionNames[k]] = p.sections[k].size();
  }
  j["symbols"] = Json::array();
  for (const SymbolDef& s : p.symbols) {
    j["symbols"].push_back({{"name", std::string(p.String(s.name))},
                            {"min", s.min},
                            {"max", s.max},
                            {"multiple", s.multiple},
                            {"kind", s.kind}});
  }
  const auto value = [&](uint32_t v) {
    Json r;
    r["name"] = std::string(p.String(p.values[v].name));
    r["dtype"] = DTypeName(static_cast<DType>(p.values[v].dtype));
    r["dims"] = Json::array();
    for (uint32_t a = 0; a < p.values[v].rank; ++a) {
      r["dims"].push_back(DimText(p, p.value_dims[p.values[v].first_dim + a]));
    }
    r["layout"] = LayoutName(static_cast<LayoutId>(p.values[v].layout));
    r["storage"] = p.values[v].storage;
    return r;
  };
  for (const MethodDef& m : p.methods) {
    Json method;
    method["name"] = std::string(p.String(m.name));
    method["inputs"] = Json::array();
    method["outputs"] = Json::array();
    for (const uint32_t v : p.Params(p.blocks[m.block])) method["inputs"].push_back(value(v));
    for (const uint32_t v : p.Results(p.blocks[m.block])) method["outputs"].push_back(value(v));
    for (uint32_t k = 0; k < m.bucket_count; ++k) {
      const BucketDef& b = p.buckets[m.first_bucket + k];
      Json bucket;
      for (size_t s = 0; s < p.symbols.size(); ++s) {
        bucket["max"][std::string(p.String(p.symbols[s].name))] = p.bucket_max[b.first_max + s];
      }
      bucket["arena_bytes"] = b.arena_bytes;
      bucket["scratch_bytes"] = b.scratch_bytes;
      method["buckets"].push_back(bucket);
    }
    j["methods"].push_back(method);
  }
  j["values"] = Json::array();
  for (uint32_t v = 0; v < p.values.size(); ++v) j["values"].push_back(value(v));
  j["instructions"] = Json::array();
  for (const Instruction& i : p.instructions) {
    Json r;
    r["kernel"] = KernelName(i.kernel);
    if (!p.String(i.op).empty()) r["op"] = std::string(p.String(i.op));
    r["node"] = std::string(p.String(i.name));
    const auto ids = [](std::span<const uint32_t> operands) {
      Json list = Json::array();
      for (const uint32_t v : operands) list.push_back(v == kNoIndex ? Json() : Json(v));
      return list;
    };
    r["inputs"] = ids(p.Inputs(i));
    r["outputs"] = ids(p.Outputs(i));
    r["attrs"] = AttrsOf(p, i);
    if (i.code_count > 0) r["code"] = CodeText(p.code.subspan(i.first_code, i.code_count));
    j["instructions"].push_back(r);
  }
  const auto& debug = p.sections[static_cast<uint32_t>(SectionKind::kDebugMap)];
  const Json map = Json::parse(debug.begin(), debug.end(), nullptr, /*allow_exceptions=*/false);
  if (!map.is_discarded()) j["debug_map"] = map;
  return j.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string InspectDot(const LoadedProgram& loaded) {
  const ProgramView& p = loaded.program.view();
  const auto quoted = [](std::string text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  };
  std::string t = "digraph floe {\n  node [shape=box, fontname=\"sans-serif\", fontsize=10];\n";
  std::vector<std::string> writer(p.values.size());
  for (uint32_t v = 0; v < p.values.size(); ++v) {
    if (p.values[v].storage != static_cast<uint8_t>(Storage::kInput)) continue;
    writer[v] = absl::StrFormat("v%d", v);
    t += absl::StrFormat("  v%d [shape=ellipse, label=%s];\n", v,
                         quoted(NameOf(p, v) + " " + ValueType(p, v)));
  }
  for (size_t n = 0; n < p.instructions.size(); ++n) {
    const Instruction& i = p.instructions[n];
    t += absl::StrFormat("  i%d [label=%s];\n", n,
                         quoted(KernelName(i.kernel) + " " + Escaped(p.String(i.name))));
    for (const uint32_t v : p.Inputs(i)) {
      if (v == kNoIndex) continue;
      const bool alias = p.values[v].storage == static_cast<uint8_t>(Storage::kAlias);
      const uint32_t root = alias ? p.values[v].link : v;
      if (writer[root].empty()) continue;  // A constant.
      t += absl::StrFormat("  %s -> i%d [label=%s];\n", writer[root], n, quoted(ValueType(p, v)));
    }
    for (const uint32_t v : p.Outputs(i)) {
      if (v != kNoIndex) writer[v] = absl::StrFormat("i%d", n);
    }
  }
  for (const MethodDef& m : p.methods) {
    for (const uint32_t v : p.Results(p.blocks[m.block])) {
      t += absl::StrFormat("  o%d [shape=ellipse, label=%s];\n", v, quoted(NameOf(p, v)));
      if (!writer[v].empty()) t += absl::StrFormat("  %s -> o%d;\n", writer[v], v);
    }
  }
  return t + "}\n";
}

}  // namespace floe::cli
