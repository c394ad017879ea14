#!/usr/bin/env bash
# clang compiles the kernels for every level of the instruction set; base/test_fuzz compiles the rest with it.
set -euo pipefail
command -v clang >/dev/null || {
    echo "skipped: no clang"
    exit 77
}
flags=$(pkg-config --cflags openblas)
for level in x86-64 x86-64-v3 x86-64-v4; do
    # shellcheck disable=SC2086 # several flags
    clang -fsyntax-only -fopenmp -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wno-unknown-pragmas -Werror --target=x86_64-linux-gnu \
        -march=$level -I"$PNEUMO_SOURCE/include" -I"$PNEUMO_SOURCE/src" $flags "$PNEUMO_SOURCE"/src/kernels/*.c
done
