#!/usr/bin/env bash
# clang-tidy finds nothing in the source (checks: .clang-tidy). AVX-512 is switched off for it, since
# kernels use GCC's builtins there.
set -euo pipefail
cd "${PNEUMO_SOURCE:?the checkout}"
command -v clang-tidy >/dev/null || { echo "SKIPPED: clang-tidy is not installed"; exit 77; }
printf '%s\n' src/*/*.c | xargs -P "$(nproc)" -n 8 clang-tidy -p "${PNEUMO_BUILD:?the build folder}" \
    --quiet --extra-arg=-Wno-missing-field-initializers --extra-arg=-mno-avx512f --warnings-as-errors='*' 2>/dev/null
