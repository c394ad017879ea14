#!/usr/bin/env bash
# The source is formatted by .clang-format, and cppcheck finds nothing in it.
set -euo pipefail
cd "${PNEUMO_SOURCE:-$(dirname "$0")/../..}"
command -v clang-format >/dev/null && command -v cppcheck >/dev/null || {
    echo "SKIPPED: clang-format and cppcheck are not installed"
    exit 77
}
mapfile -t files < <(find src include tests \( -name '*.[ch]' -o -name '*.cc' \) -not -path 'tests/golden/*' | sort)
clang-format --dry-run -Werror "${files[@]}"
# Suppressed: tables address members by offset; cppcheck 2.10 takes arrays that a callee fills for
# uninitialised (the compiler and the sanitizers check that) and a flag that a callee sets for constant.
cppcheck --quiet --std=c11 --enable=warning,performance,portability --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress=invalidPointerCast --suppress=uninitvar \
    --suppress=incorrectLogicOperator:src/comm/heartbeat.c \
    --suppress=invalidFunctionArg:src/nn/loss.c -D_GNU_SOURCE -DPNEUMO_VERSION='"0"' \
    -I include -j "$(nproc)" src
