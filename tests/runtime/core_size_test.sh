#!/usr/bin/env bash
# core_size_test.sh LIBRARY: fails when the core's machine code grows over its budget. (The design asks for 60 kB; today it
# is 63 kB, and the budget keeps it from growing.)
set -eu
BUDGET=64000
code=$(size -A "$1" | awk '$1 == ".text" {print $2}')
constants=$(size -A "$1" | awk '$1 == ".rodata" {print $2}')
echo "core: $code bytes of code (budget $BUDGET), $constants bytes of constants"
test "$code" -gt 20000  # It is the whole core that is measured.
test "$code" -le "$BUDGET"
