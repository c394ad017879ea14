#!/usr/bin/env bash
# With any limit on the address space, the program works or says that it is too small; it does not hang.
. "$(dirname "$0")/common.sh"
# Sanitizers reserve terabytes.
((!sanitized)) || exit 77
make_data 80
write_small_job
worked=0 refused=0
for threads in "" 1; do
    before=$worked
    for ((kib = 90000; kib <= 420000; kib += 15000)); do
        code=0
        (
            ulimit -v $kib
            [[ -z $threads ]] || export OMP_NUM_THREADS=$threads
            exec timeout -s KILL 30 "$PNEUMO_DIST" inspect data.h5
        ) >out 2>log || code=$?
        case $code in
        0) worked=$((worked + 1)) ;;
        1 | 127)
            [[ -s log ]] || fail "within $kib KiB: silence, exit code $code"
            ! grep -q 'OpenBLAS cannot start' log || refused=$((refused + 1))
            ;;
        *) fail "within $kib KiB: exit code $code (137: it hung): $(cat log)" ;;
        esac
    done
    ((worked > before)) || fail "it never worked with '$threads' threads"
done
((refused > 0)) || fail "no limit was too small: $(cat log)"
(
    ulimit -v 200000
    ! "$PNEUMO_DIST" --version >/dev/null
) 2>log || fail "it works within 200000 KiB"
grep -qE 'error: OpenBLAS cannot start: it needs [0-9]+ MiB .*ulimit -v' log || fail "$(cat log)"
# A larger limit: training works, or one message.
for kib in 400000 500000 700000; do
    code=0
    (
        ulimit -v $kib
        exec timeout -s KILL 100 "$PNEUMO_DIST" train small.ini --run "run-$kib" --epochs 1 \
            --set evaluate.stress=no
    ) >out 2>log || code=$?
    ((code == 0 || code == 1)) || fail "training within $kib KiB: exit code $code: $(cat log)"
    ((code == 0)) || [[ $(grep -cE 'error: |libgomp: ' log) == 1 ]] || fail "$kib KiB: $(cat log)"
done
echo "$worked limits that suffice, $refused that do not: no hang"
