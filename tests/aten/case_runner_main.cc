// Runs cases of cases.zip:
//
//   aten_case_runner [--only REGEX] [--form pt2|core|pt] [--verbose] [--update]
//
// from the repository's root. REGEX is searched in "TABLE/NAME". Prints a line for each case that
// does not pass and the counts by table and form; exits 1 if any was wrong. --update writes
// refused.txt: the entries of the cases that ran are replaced, the others stay.
#include <cstdio>
#include <cstring>
#include <regex>
#include <string>

#include "tests/aten/case_runner.h"

namespace {

struct Arguments {
  std::string only, form;
  bool verbose = false, update = false;
};

bool Parse(int argc, char** argv, Arguments* to) {
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--only" && i + 1 < argc) {
      to->only = argv[++i];
    } else if (arg == "--form" && i + 1 < argc) {
      to->form = argv[++i];
    } else if (arg == "--verbose") {
      to->verbose = true;
    } else if (arg == "--update") {
      to->update = true;
    } else {
      return false;
    }
  }
  return true;
}

struct Counts {
  int passed = 0, refused = 0, wrong = 0;
};

void RunForm(const floe::aten::Case& c, const std::string& form, const Arguments& arguments,
             Counts* counts, floe::aten::Refused* refused) {
  const std::string label = form + " " + c.label();
  if (arguments.verbose) {
    std::printf("%s\n", label.c_str());
    std::fflush(stdout);  // A crash then shows where.
  }
  const floe::aten::CaseResult r = floe::aten::RunCase(c, form);
  refused->erase(label);
  switch (r.verdict) {
    case floe::aten::Verdict::kPass:
      ++counts->passed;
      return;
    case floe::aten::Verdict::kRefused:
      ++counts->refused;
      refused->emplace(label, r.detail);
      std::printf("REFUSED %s: %s\n", label.c_str(), r.detail.c_str());
      return;
    case floe::aten::Verdict::kWrong:
      ++counts->wrong;
      std::printf("WRONG %s: %s\n", label.c_str(), r.detail.c_str());
      return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!Parse(argc, argv, &arguments)) {
    std::fprintf(stderr, "usage: %s [--only REGEX] [--form pt2|core|pt] [--verbose] [--update]\n",
                 argv[0]);
    return 2;
  }
  const std::string file = "tests/aten/cases.zip", list = "tests/aten/refused.txt";
  const auto tables = floe::aten::ReadTables(file);
  if (!tables.ok()) {
    std::fprintf(stderr, "%s\n", std::string(tables.status().message()).c_str());
    return 2;
  }
  const auto known = floe::aten::ReadRefused(list);
  floe::aten::Refused refused = known.ok() ? *known : floe::aten::Refused();
  const std::regex only(arguments.only);
  std::map<std::string, Counts> counts;
  for (const std::string& table : *tables) {
    const auto cases = floe::aten::ReadCases(file, table);
    if (!cases.ok()) {
      std::fprintf(stderr, "%s\n", std::string(cases.status().message()).c_str());
      return 2;
    }
    for (const floe::aten::Case& c : *cases) {
      if (!std::regex_search(c.label(), only)) continue;
      for (const auto& [form, entries] : c.forms) {
        if (!arguments.form.empty() && form != arguments.form) continue;
        RunForm(c, form, arguments, &counts[table + " " + form], &refused);
      }
    }
  }
  Counts all;
  for (const auto& [key, n] : counts) {
    std::printf("%-24s %5d passed %5d refused %5d wrong\n", key.c_str(), n.passed, n.refused,
                n.wrong);
    all.passed += n.passed;
    all.refused += n.refused;
    all.wrong += n.wrong;
  }
  std::printf("%-24s %5d passed %5d refused %5d wrong\n", "all", all.passed, all.refused,
              all.wrong);
  if (arguments.update && !floe::aten::WriteRefused(list, refused).ok()) return 2;
  return all.wrong == 0 ? 0 : 1;
}
