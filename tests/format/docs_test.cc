// The documents that list tables agree with the tables: docs/OPS.md and parts of format/FORMAT.md
// are generated, and FORMAT.md describes every field of the schema.
//
//   format_docs_test --update    rewrites the generated text
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "backends/kernel.h"
#include "format/ops.h"
#include "format/pointwise.h"
#include "format/status.h"

namespace floe::testing {
namespace {

bool g_update = false;
constexpr char kOpsPath[] = "docs/OPS.md";
constexpr char kFormatPath[] = "format/FORMAT.md";
constexpr char kSchemaPath[] = "format/floe.fbs";

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << "cannot read " << path << "; run from the repository's root";
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// A cell of a Markdown table.
std::string Cell(std::string text) {
  size_t at = 0;
  while ((at = text.find('|', at)) != std::string::npos) text.replace(at, 1, "&#124;");
  return text;
}
std::string Code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

std::string Layouts() {
  std::string s = "| id | name | feature bits | formula and padding |\n|---|---|---|---|\n";
#define FLOE_LAYOUT(id, name, text, feature, formula) \
  s += std::string("| ") + #id + " | " + text + " | " + #feature + " | " + Cell(formula) + " |\n";
#include "format/layouts.def"
#undef FLOE_LAYOUT
  return s;
}

std::string Rules() {
  std::string s = "| id | name | what is wrong |\n|---|---|---|\n";
#define FLOE_RULE(id, name, text) \
  s += std::string("| ") + #id + " | " + #name + " | " + Cell(text) + " |\n";
#include "format/rules.def"
#undef FLOE_RULE
  return s;
}

// FORMAT.md with its generated parts replaced.
std::string WithGenerated(std::string text, const std::string& part, const std::string& content) {
  const std::string begin = "<!-- generated: " + part + " -->\n";
  const size_t from = text.find(begin);
  EXPECT_NE(from, std::string::npos) << part;
  const size_t to = text.find("<!-- end -->", from);
  EXPECT_NE(to, std::string::npos) << part;
  return text.replace(from + begin.size(), to - from - begin.size(), content);
}

std::string Inputs(const OpInfoRow& row) {
  std::string s = std::to_string(row.min_inputs);
  if (row.max_inputs < 0) return s + " or more";
  return row.max_inputs == row.min_inputs ? s : s + " to " + std::to_string(row.max_inputs);
}

std::string OpsPage() {
  std::string s =
      "# Ops, kernel families and pointwise instructions\n\n"
      "Generated from `format/ops.def`, `backends/kernels.def` and `format/pointwise.h` by\n"
      "`format_docs_test --update`; a test keeps it current. Ids are part of the file format.\n\n"
      "## Ops of the IR\n\n"
      "Semantics are those of the ONNX or PyTorch op of that name; `format/ops.def` notes the\n"
      "differences. Optional operands end in `?`. Attributes are `name:type`.\n\n"
      "| id | op | inputs | outputs | operands | attributes |\n|---|---|---|---|---|---|\n";
  for (uint16_t i = 0; i < static_cast<uint16_t>(OpId::kCount); ++i) {
    const OpInfoRow& row = OpRow(static_cast<OpId>(i));
    s += "| " + std::to_string(i) + " | " + row.name + " | " + Inputs(row) + " | " +
         (row.max_outputs < 0 ? std::string("any") : std::to_string(row.max_outputs)) + " | " +
         Code(row.operands) + " | " + Code(row.attrs) + " |\n";
  }
  s += "\n## Kernel families\n\n"
       "What instructions of a program can be. Attributes are 64-bit words; `[r]` is one word for\n"
       "each axis of the first input; `:float` is the bits of a double. `D` dense, `L`\n"
       "channels-last, `*` either; f32 unless the text says otherwise.\n\n"
       "| id | family | operands | attributes | meaning |\n|---|---|---|---|---|\n";
#define FLOE_KERNEL(id, name, text, attrs, operands, meaning)                                  \
  s += std::string("| ") + #id + " | " + text + " | " + Code(operands) + " | " + Code(attrs) + \
       " | " + Cell(meaning) + " |\n";
#include "backends/kernels.def"
#undef FLOE_KERNEL
  s += "\n## Pointwise instructions\n\n"
       "Of pointwise regions, epilogues and prologues; `format/pointwise.h` says how they run.\n\n"
       "| id | op | register sources |\n|---|---|---|\n";
  for (int i = 0; i < static_cast<int>(PwOp::kCount); ++i) {
    s += "| " + std::to_string(i) + " | " + PwOpName(static_cast<PwOp>(i)) + " | " +
         std::to_string(PwOpSources(static_cast<PwOp>(i))) + " |\n";
  }
  return s;
}

void ExpectFile(const std::string& path, const std::string& expected) {
  if (g_update) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << expected;
    ASSERT_TRUE(out.good()) << path;
    return;
  }
  EXPECT_TRUE(ReadText(path) == expected)
      << path << " is out of date: run format_docs_test --update from the repository's root";
}

TEST(DocsTest, OpsPageIsCurrent) { ExpectFile(kOpsPath, OpsPage()); }

TEST(DocsTest, FormatPageListsEveryLayoutAndRule) {
  const std::string text = ReadText(kFormatPath);
  ExpectFile(kFormatPath,
             WithGenerated(WithGenerated(text, "layouts", Layouts()), "rules", Rules()));
}

// "### Name" sections: the text up to the next heading.
std::string SectionOf(const std::string& text, const std::string& heading) {
  const size_t from = text.find("\n### " + heading + "\n");
  if (from == std::string::npos) return "";
  return text.substr(from + 1, text.find("\n#", from + 1) - from);
}

TEST(DocsTest, FormatPageDescribesEveryField) {
  const std::string page = ReadText(kFormatPath);
  const std::string schema = std::regex_replace(ReadText(kSchemaPath), std::regex("//[^\n]*"), "");
  const std::regex record(R"((struct|table)\s+(\w+)\s*\{([^}]*)\})");
  const std::regex field(R"((\w+)\s*:)");
  int records = 0;
  int fields = 0;
  for (std::sregex_iterator r(schema.begin(), schema.end(), record), end; r != end; ++r) {
    ++records;
    const std::string name = (*r)[2];
    const std::string body = (*r)[3];
    const std::string section = SectionOf(page, name);
    EXPECT_FALSE(section.empty()) << "FORMAT.md has no section for " << name;
    // "dims:[int64:8]" is one field: the second colon is inside the type.
    const std::string flat = std::regex_replace(body, std::regex(R"(\[[^\]]*\])"), "vector");
    for (std::sregex_iterator f(flat.begin(), flat.end(), field); f != end; ++f) {
      ++fields;
      const std::string row = "| `" + (*f)[1].str() + "` |";
      EXPECT_NE(section.find(row), std::string::npos) << name << " lacks a row " << row;
    }
  }
  EXPECT_EQ(records, 13);
  EXPECT_GT(fields, 80);
}

}  // namespace
}  // namespace floe::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--update") == 0) floe::testing::g_update = true;
  }
  return RUN_ALL_TESTS();
}
