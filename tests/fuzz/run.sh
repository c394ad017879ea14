#!/usr/bin/env bash
# run.sh [SECONDS [FUZZER...]]: builds the fuzzers with clang, makes seeds, and runs each fuzzer that long
# (default 60). Inputs that are found stay in <folder>/corpus/<fuzzer>, and the next run goes on from
# them; an input that fails is <folder>/found/<fuzzer>-*. Fails if there is one.
#
# Environment: FUZZ_FOLDER (build-fuzz); FUZZ_JOBS, fuzzers at a time (1); FUZZ_NICE, their priority (19);
# FUZZ_TIMEOUT, seconds that an input may take (5); FUZZ_LENGTH, bytes of an input (65536); PNEUMO_DIST
# (build/pneumo-dist).
set -euo pipefail
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
export PNEUMO_DIST=${PNEUMO_DIST:-$top/build/pneumo-dist} OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
folder=${FUZZ_FOLDER:-build-fuzz} seconds=${1:-60}
(($# == 0)) || shift
[[ -x $PNEUMO_DIST ]] || {
    echo "$PNEUMO_DIST is missing: build the program first" >&2
    exit 1
}
cmake -S . -B "$folder" -G Ninja -DPNEUMO_FUZZ=ON -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
    -DCMAKE_BUILD_TYPE=None -DCMAKE_C_FLAGS=-O1 -DCMAKE_CXX_FLAGS=-O1 >/dev/null
cmake --build "$folder" --target fuzzers >"$folder/build.log" || {
    cat "$folder/build.log" >&2
    exit 1
}
tests/fuzz/seeds.sh "$folder/seeds"
mkdir -p "$folder/found" "$folder/logs"
(($# > 0)) || {
    mapfile -t names < <(find "$folder/tests/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -executable -printf '%f\n' |
        sed 's/^fuzz_//' | sort)
    set -- "${names[@]}"
}
# DCMTK allocates as many bytes as a length in a file says, up to 4 GiB, before it reads them.
export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=300:quarantine_size_mb=16:malloc_context_size=8
export UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=print_suppressions=0

# run_one FUZZER: runs it and prints its row. Leaks are searched for when it ends: libhdf5 keeps memory from
# one input to the next, and libFuzzer would search all memory after each of them.
run_one() {
    local name=$1 log=$folder/logs/$1 result=ok
    mkdir -p "$folder/corpus/$name"
    nice -n "${FUZZ_NICE:-19}" "$folder/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout="${FUZZ_TIMEOUT:-5}" \
        -detect_leaks=0 -rss_limit_mb=2048 -max_len="${FUZZ_LENGTH:-65536}" -print_final_stats=1 -artifact_prefix="$folder/found/$name-" \
        "$folder/corpus/$name" "$folder/seeds/$name" >"$log" 2>&1 ||
        result="FOUND: $(grep -E '^SUMMARY|ERROR: libFuzzer|not as it should be' "$log" | tail -n 1)"
    printf '%-14s %12s %10s %8s  %s\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(grep -o ' cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9)" "$(find "$folder/corpus/$name" -type f | wc -l)" "$result"
    [[ $result == ok ]] || {
        tail -n 40 "$log" >&2
        return 1
    }
}
export -f run_one
export folder seconds

printf '%-14s %12s %10s %8s  %s\n' fuzzer executions coverage corpus result
printf '%s\n' "$@" | xargs -P "${FUZZ_JOBS:-1}" -I{} bash -c 'run_one {}' || exit 1
