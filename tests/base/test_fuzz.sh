#!/usr/bin/env bash
# Runs every fuzzer for some seconds from its seeds (PNEUMO_FUZZ_SECONDS). Nothing may crash, leak, break
# an invariant or take as long as FUZZ_TIMEOUT, which allows for other tests on the same cores.
set -euo pipefail
seconds=${PNEUMO_FUZZ_SECONDS:-4}
printf 'int LLVMFuzzerTestOneInput(const char *bytes, long size) { return bytes == 0 && size < 0; }\n' |
    clang -x c - -fsanitize=fuzzer,address -fopenmp -o /dev/null 2>/dev/null || {
    echo "skipped: no clang with libFuzzer and OpenMP (Debian: clang libclang-rt-dev libomp-dev)"
    exit 77
}
export FUZZ_FOLDER=$PNEUMO_BUILD/fuzz FUZZ_TIMEOUT=30 FUZZ_NICE=0
rm -rf "$FUZZ_FOLDER/found"
"$PNEUMO_SOURCE/tests/fuzz/run.sh" "$seconds" | tee "$PNEUMO_BUILD/fuzz.txt"
# Each of them ran.
awk 'NR > 1 && $2 < 2 { print "fuzz_" $1 " ran only " $2 " inputs"; bad = 1 } END { exit bad }' \
    "$PNEUMO_BUILD/fuzz.txt" >&2
