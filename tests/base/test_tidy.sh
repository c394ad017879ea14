#!/usr/bin/env bash
# clang-tidy finds nothing in the source (checks: .clang-tidy), except kernels, whose vector code uses
# GCC's builtins. The same for any build, so only the build as shipped runs it.
set -euo pipefail
cd "${PNEUMO_SOURCE:?the checkout}"
[[ ${PNEUMO_SANITIZE:-0} == 0 ]] || { echo "SKIPPED: the build as shipped runs it"; exit 77; }
command -v clang-tidy >/dev/null || { echo "SKIPPED: clang-tidy is not installed"; exit 77; }
printf '%s\n' src/*/*.c | grep -v '^src/kernels/' | xargs -P "$(nproc)" -n 8 clang-tidy -p "${PNEUMO_BUILD:?the build folder}" \
    --quiet --extra-arg=-Wno-missing-field-initializers --warnings-as-errors='*' 2>/dev/null
