#!/usr/bin/env bash
# Static checks: clang-format and cppcheck (tests/base/test_style.sh, part of every test run), then
# clang-tidy. tests/lint.sh [FILE]... checks some files.
set -euo pipefail
cd "$(dirname "$0")/.."
./jobs/install.sh clang-format clang-tidy cppcheck
[[ -e build/compile_commands.json ]] || cmake -S . -B build -G Ninja >/dev/null
files=("$@")
((${#files[@]})) || mapfile -t files < <(git ls-files 'src/*.c')
./tests/base/test_style.sh
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p build --quiet \
    --warnings-as-errors='*'
