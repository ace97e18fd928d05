#!/usr/bin/env python3
"""Checks the house rules that a compiler does not: which folder may include which, what the library never calls, and
that every source file is in the build.

    python3 tests/house/house_test.py

Needs Python's standard library only.
"""

import fnmatch
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("format", "backends", "runtime", "compiler", "tools", "bench")
# Arrows point down only (docs/DESIGN.md, section 1).
MAY_INCLUDE = {
    "format": {"format"},
    "backends": {"format", "backends"},
    "runtime": {"format", "backends", "runtime"},
    "compiler": {"format", "backends", "runtime", "compiler"},
    "tools": set(FOLDERS) - {"bench"},
    "bench": {"format", "backends", "runtime", "tools", "bench"},
}
LEAN = ("format", "backends", "runtime")
# The library never prints, aborts, reads the environment or throws. format's writer may use std containers.
FORBIDDEN_CALLS = re.compile(r"(?<![\w:.>])(?:std::)?(?:printf|fprintf|puts|fputs|abort|exit|getenv|system|rand)\s*\(|"
                             r"std::c(?:out|err)\b|\bthrow\b(?! away)|\bassert\s*\(")
FORBIDDEN_INCLUDES = re.compile(r'#include\s+[<"](?:absl/|google/|nlohmann/|iostream|zip\.h)')
ALLOCATING = re.compile(r"#include <(?:string|vector|map|set|unordered_map|functional|memory|deque|list)>")
MAY_ALLOCATE = ("format/writer.h", "format/writer.cc", "runtime/floe.hpp")


def sources(folder):
    """Paths (relative to the root) of the C++ files below a folder."""
    for base, _, files in os.walk(os.path.join(ROOT, folder)):
        for name in sorted(files):
            if name.endswith((".h", ".cc", ".hpp", ".c", ".inc")):
                yield os.path.relpath(os.path.join(base, name), ROOT)


def code_lines(path):
    """(number, text) of the lines of a file, without comments and string contents."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = f.read()
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)
    for number, line in enumerate(text.split("\n"), 1):
        yield number, re.sub(r"//.*$", "", re.sub(r'"(?:\\.|[^"\\])*"', lambda m: m.group() if "#include" in line else '""',
                                                   line))


class HouseTest(unittest.TestCase):
    def test_includes_point_down(self):
        wrong = []
        for folder in FOLDERS:
            for path in sources(folder):
                for number, line in code_lines(path):
                    m = re.match(r'\s*#include "(\w+)/', line)
                    if m and m.group(1) in FOLDERS and m.group(1) not in MAY_INCLUDE[folder]:
                        wrong.append(f"{path}:{number}: {line.strip()}")
        self.assertEqual(wrong, [])

    def test_library_calls_nothing_forbidden(self):
        wrong = []
        for folder in LEAN:
            for path in sources(folder):
                for number, line in code_lines(path):
                    if FORBIDDEN_INCLUDES.search(line) or (not line.lstrip().startswith("#") and
                                                           FORBIDDEN_CALLS.search(line)):
                        wrong.append(f"{path}:{number}: {line.strip()}")
        self.assertEqual(wrong, [])

    def test_library_has_no_allocating_containers(self):
        wrong = []
        for folder in LEAN:
            for path in sources(folder):
                if path in MAY_ALLOCATE:
                    continue
                for number, line in code_lines(path):
                    if ALLOCATING.search(line):
                        wrong.append(f"{path}:{number}: {line.strip()}")
        self.assertEqual(wrong, [])

    def test_every_source_file_is_in_the_build(self):
        lists, globs = "", []
        for base, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if f != "build" and not f.startswith(".")]
            for name in files:
                if name == "CMakeLists.txt" or name.endswith((".cmake", ".def")):
                    with open(os.path.join(base, name), encoding="utf-8") as f:
                        text = f.read()
                    lists += text
                    for pattern in re.findall(r"[\w/]*\*\w*\.cc\b", text):
                        globs.append(os.path.normpath(os.path.join(os.path.relpath(base, ROOT), pattern.lstrip("/"))))
        with open(os.path.join(ROOT, "backends", "cpu", "isas.list.def"), encoding="utf-8") as f:
            isas = re.findall(r"^FLOE_CPU_ISA\((\w+)", f.read(), re.M)
        missing = []
        for folder in FOLDERS + ("tests",):
            for path in sources(folder):
                stem = os.path.basename(path)
                # Kernel families are compiled by floe_cpu_family(name), tests by a list of their names.
                family = re.match(r"(.+?)_(?:%s|test)\.cc$" % "|".join(isas), stem)
                names = [stem] + ([family.group(1)] if family else [])
                if (stem.endswith((".cc", ".c")) and not any(n in lists for n in names)
                        and not any(fnmatch.fnmatch(path, g) for g in globs)):
                    missing.append(path)
        self.assertEqual(missing, [])

    def test_top_level_holds_only_what_the_design_names(self):
        allowed = {"CMakeLists.txt", "runtime", "format", "compiler", "backends", "tests", "bench", "tools", "models",
                   "README.md", "LICENSE", "CONTRIBUTING.md", "SECURITY.md", "docs", "CMakePresets.json", "cmake", "build"}
        self.assertEqual([n for n in sorted(os.listdir(ROOT)) if not n.startswith(".") and n not in allowed], [])


if __name__ == "__main__":
    sys.exit(unittest.main())
