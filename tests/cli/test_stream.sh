#!/usr/bin/env bash
# Images held in memory and streamed from the file give the same checkpoints, bit for bit, on 1 and 2
# ranks; the log says which was chosen and why; if the file is damaged or changes during a run, all ranks
# end with one line.
. "$(dirname "$0")/common.sh"
make_data
write_small_job

pneumo train small.ini --run held --set run.images=memory >held.txt 2>log || fail "$(cat log)"
grep -q "MiB of images per rank held in memory: as set by run.images" log || fail "$(cat log)"
same() {
    for file in last.h5 best.h5 history.csv; do
        cmp "held/$file" "$1/$file" || fail "$1/$file differs from that with images in memory"
    done
}
for count in 1 2; do
    ranks "$count" train small.ini --run "streamed$count" --set run.images=stream >"$count.txt" \
        2>log || fail "$(cat log)"
    grep -q "MiB of images per rank streamed from the file: as set by run.images" log ||
        fail "$(cat log)"
    same "streamed$count"
    diff <(grep -E '%|truly' held.txt) <(grep -E '%|truly' "$count.txt") ||
        fail "the figures differ"
done
ranks 2 train small.ini --run held2 --set run.images=memory >/dev/null 2>log || fail "$(cat log)"
same held2
echo "streamed and held on 1 and 2 ranks: the same"

# A run can be resumed with images in the other place.
code=0
: >log # or the last run's words would pass for those of a program that has not started
"$PNEUMO_DIST" train small.ini --run both --set run.images=stream >/dev/null 2>log &
worker=$!
until grep -q "writing to" log || ! kill -0 $worker 2>/dev/null; do sleep 0.02; done
kill -USR1 $worker 2>/dev/null || true
wait $worker || code=$?
((code == 75)) || fail "exit code $code after SIGUSR1: $(cat log)"
pneumo train small.ini --run both --resume --set run.images=memory >/dev/null 2>log ||
    fail "$(cat log)"
same both

# Automatic choice: in memory if there is space, else streamed.
pneumo train small.ini --run auto --epochs 1 >/dev/null 2>log || fail "$(cat log)"
grep -q "MiB of images per rank held in memory: 0 % of a rank's share" log || fail "$(cat log)"
echo "MemAvailable:    300 kB" >meminfo
if unshare -rm mount --bind meminfo /proc/meminfo 2>/dev/null; then
    unshare -rm sh -c 'mount --bind meminfo /proc/meminfo && exec "$@"' sh \
        "$PNEUMO_DIST" train small.ini --run little >/dev/null 2>log || fail "$(cat log)"
    grep -qE "streamed from the file: 6[0-9] % of a rank's share .*, more than 50 %" log ||
        fail "$(cat log)"
    same little
else
    echo "no namespace to be had: nothing said of a host with little memory"
fi

# flip FILE OFFSET: changes one byte.
flip() {
    local old
    old=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\$(printf %03o $((old ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
cp data.h5 damaged.h5
flip damaged.h5 $(($(stat -c %s data.h5) / 2))
for count in 1 2; do
    code=0
    ranks "$count" train small.ini --run "damaged$count" -d damaged.h5 --set run.images=stream \
        >/dev/null 2>log || code=$?
    ((code == 1)) || fail "exit code $code with a damaged image: $(cat log)"
    [[ $(grep -c "damaged.h5: the image of sample [0-9]* (train/.*) is damaged" log) == 1 ]] ||
        fail "$(cat log)"
done
[[ ! -e damaged2/last.h5 ]] || fail "a checkpoint of an epoch that was not"

# A file truncated during a run ends it with an error, not by a signal.
for count in 1 2; do
    cp data.h5 cut.h5
    code=0
    : >log
    timeout -s KILL 120 mpirun --oversubscribe --bind-to none -np "$count" "$PNEUMO_DIST" train \
        small.ini --run "cut$count" -d cut.h5 --epochs 10000 --set run.images=stream \
        >/dev/null 2>log &
    launcher=$!
    until grep -q "writing to" log || ! kill -0 $launcher 2>/dev/null; do sleep 0.02; done
    truncate -s 100000 cut.h5
    wait $launcher || code=$?
    ((code == 1)) || fail "exit code $code with a file cut short: $(cat log)"
    grep -q "error: .*cut.h5: was changed while it was in use; start again" log || fail "$(cat log)"
done
echo "damaged and cut short: one line and exit code 1"
