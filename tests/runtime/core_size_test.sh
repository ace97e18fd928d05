#!/usr/bin/env bash
# core_size_test.sh OBJECT...: the core without kernels, as object files, has at most 60,000 bytes of text: the first
# column of `size`, which counts machine code, constants and strings. The objects are the whole core: what they do not
# define themselves is kernels (their checks and tables) and the C and C++ libraries.
set -eu
BUDGET=60000
text=$(size "$@" | awk 'NR > 1 {sum += $1} END {print sum}')
echo "core: $text bytes of text in $# objects (budget $BUDGET)"
for object in "$@"; do nm -C --defined-only "$object"; done | sed -E 's/^[0-9a-f]* *[A-Za-z] //' | sort -u >defined.txt
for object in "$@"; do nm -C -u "$object"; done | sed -E 's/^ *[A-Za-z] //' | sort -u >needed.txt
missing=$(comm -13 defined.txt needed.txt | grep -E '^floe' |
  grep -vE '^floe::(KernelFootprints\(\)|(cpu|reference)::.*Table)$' || true)
rm -f defined.txt needed.txt
if [ -n "$missing" ]; then
  echo "the core needs more than it has:"
  echo "$missing"
  exit 1
fi
test "$text" -gt 30000  # It is the whole core that is measured.
test "$text" -le "$BUDGET"
