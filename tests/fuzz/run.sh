#!/usr/bin/env bash
# run.sh [SECONDS [FUZZER...]]: builds the fuzzers with clang in build-fuzz, makes seeds, and runs each
# fuzzer that long (default 60), at the lowest priority. Inputs that are found stay in
# build-fuzz/corpus/<fuzzer>, and the next run goes on from them; an input that fails is
# build-fuzz/found/<fuzzer>-*. Fails if there is one.
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
export PNEUMO_DIST=${PNEUMO_DIST:-$top/build/pneumo-dist} OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
seconds=${1:-60}
(($# == 0)) || shift
[[ -x $PNEUMO_DIST ]] || {
    echo "$PNEUMO_DIST is missing: build the program first" >&2
    exit 1
}
cmake -S . -B build-fuzz -G Ninja -DPNEUMO_FUZZ=ON -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
    -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
cmake --build build-fuzz --target fuzzers >/dev/null
tests/fuzz/seeds.sh build-fuzz/seeds
mkdir -p build-fuzz/found build-fuzz/logs
(($# > 0)) || {
    mapfile -t names < <(printf '%s\n' tests/fuzz/fuzz_*.c | sed 's|.*/fuzz_||; s|\.c$||')
    set -- "${names[@]}"
}
export ASAN_OPTIONS=allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=print_suppressions=0
printf '%-14s %12s %10s %8s  %s\n' fuzzer executions coverage corpus result
bad=0
for name in "$@"; do
    mkdir -p "build-fuzz/corpus/$name"
    log=build-fuzz/logs/$name result=ok
    nice -n 19 "build-fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout="${FUZZ_TIMEOUT:-5}" \
        -rss_limit_mb=2048 -max_len="${FUZZ_LENGTH:-65536}" -print_final_stats=1 -artifact_prefix="build-fuzz/found/$name-" \
        "build-fuzz/corpus/$name" "build-fuzz/seeds/$name" >"$log" 2>&1 || {
        result="FOUND: $(grep -E '^SUMMARY|ERROR: libFuzzer|not as it should be' "$log" | tail -n 1)"
        bad=1
    }
    printf '%-14s %12s %10s %8s  %s\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(grep -o ' cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9)" "$(find "build-fuzz/corpus/$name" -type f | wc -l)" "$result"
done
exit $bad
