#!/usr/bin/env bash
# Very small runs on 1 to 5 ranks, each with one fault at a random moment, or at a random write, flush,
# rename, other call, allocation or reading of the clock; then --resume to the end. Appends a line per fault to a log, so that
# a campaign adds up over many sessions, and prints the table of the log; exit code 1 if anything in it went
# wrong. A fault that comes too late for its run does not count.
#
#   PNEUMO_DIST=build/pneumo-dist tests/bench/campaign.sh [COUNT]    # default 100, seconds each
#   tests/bench/campaign.sh --table LOG
#
# Environment: LOG (default campaign.csv); SEED of the first fault (default: the time), which with the
# next ones is in the log: SEED=N campaign.sh 1 repeats fault N. Of a fault after which something is
# wrong, LOG.N keeps the output. Columns: lost, a checkpoint that was there is gone; damaged, a
# checkpoint does not load; hung, a rank or the launcher did not end within a minute and 20 times a run's
# length, or 5 minutes more if a rank was stopped; left, temporary files of a process that was not killed;
# unclear, not one message that says what failed; differ, the files at the end are not those of an
# uninterrupted run. `seconds` are from the start of the fault, or of the run if the disk is full, until
# all ranks had ended.
set -euo pipefail
PNEUMO_SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
log_file=$(realpath -m "${LOG:-campaign.csv}")

print_table() {
    /usr/bin/python3 - "$1" <<'PY'
import collections
import csv
import math
import sys

rows = collections.defaultdict(list)
with open(sys.argv[1], newline="") as file:
    for row in csv.DictReader(file):
        rows[row["fault"]].append(row)
print("| fault | count | lost | damaged | hung | left | unclear | differ | 99 % within, s | maximum, s |")
print("| --- " + "| ---: " * 9 + "|")


def print_row(name, those):
    seconds = sorted(float(row["seconds"]) for row in those)
    figures = [sum(int(row[key]) for row in those)
               for key in ("lost", "damaged", "hung", "left", "unclear", "differ")]
    print("|", " | ".join(map(str, [name, len(those), *figures,
                                   f"{seconds[math.ceil(0.99 * len(seconds)) - 1]:.1f}",
                                   f"{seconds[-1]:.1f}"])), "|")


for name in sorted(rows):
    print_row(name, rows[name])
if rows:
    print_row("all", [row for those in rows.values() for row in those])
PY
}

if [[ ${1:-} == --table ]]; then
    print_table "$2"
    exit
fi
PNEUMO_DIST=$(realpath "${PNEUMO_DIST:-$PNEUMO_SOURCE/build/pneumo-dist}")
PNEUMO_BUILD=${PNEUMO_BUILD:-$(dirname "$PNEUMO_DIST")}
. "$PNEUMO_SOURCE/tests/cli/common.sh"
. "$PNEUMO_SOURCE/tests/cli/deaths.sh"
. "$PNEUMO_SOURCE/tests/cli/faults.sh"
count=${1:-100} seed=${SEED:-$(date +%s)}
make_tiny >/dev/null
[[ -s $log_file ]] ||
    echo "time,seed,fault,n,ranks,seconds,exit,lost,damaged,hung,left,unclear,differ" >"$log_file"

# A small disk, if mounting is permitted.
mkdir disk
can_mount=0
! mount -t tmpfs -o size=64k tmpfs disk 2>/dev/null || can_mount=1
trap 'cd /; ((!can_mount)) || umount "$here/disk"; rm -rf "$here"' EXIT

# Each line: a fault, how often it is drawn, and the highest n: about how often a run makes the call.
# More than half of the draws hit while something is written.
faults=(
    "disk 6 0" "kill-one 10 0" "kill-all 10 0" "stop 2 0" "pause 4 0"
    "write-ENOSPC 6 29" "write-full 6 29" "write-short 3 29" "write-torn 6 29" "write-torn-kill 8 29"
    "write-kill 4 29" "fsync-EIO 5 42" "fsync-kill 4 42" "rename-EIO 5 29" "rename-kill 5 29"
    "link-EIO 2 4" "link-kill 2 4" "create-ENOSPC 3 29" "mkdir-EIO 1 1" "truncate-EIO 1 1" "close-EIO 3 77"
    "unlink-EIO 2 9" "unlink-kill 2 9" "memory-ENOMEM 12 1190" "mmap-ENOMEM 1 10"
    "write-slow 2 29" "write-stall 2 29" "fsync-slow 2 42" "fsync-stall 2 42" "clock-back 2 6" "clock-ahead 2 6")
((can_mount)) || faults=("${faults[@]:1}")

# Sets name, n and fault, the settings of the library.
draw() {
    local line total=0 share most place
    for line in "${faults[@]}"; do
        read -r _ share _ <<<"$line"
        total=$((total + share))
    done
    place=$((RANDOM % total))
    for line in "${faults[@]}"; do
        read -r name share most <<<"$line"
        ((place >= share)) || break
        place=$((place - share))
    done
    ((begun == 0)) || most=$(((2 * most + 2) / 3))
    n=0 fault=() rank=0 manner=${name#*-}
    case $name in
    kill-* | disk) n=$((RANDOM % life[ranks])) ;;
    stop | pause) ranks=$((ranks < 2 ? 2 : ranks)) n=$((RANDOM % life[ranks])) ;;
    mmap-*) ranks=$((ranks < 2 ? 2 : ranks)) n=$((1 + RANDOM % (2 * ranks))) ;;
    *) n=$((1 + RANDOM % most)) ;;
    esac
    # Only rank 0 writes; the others allocate less.
    if [[ $name == m[em]*-ENOMEM ]]; then
        rank=$((RANDOM % ranks))
        ((rank == 0)) || n=$((1 + (n - 1) % 350))
    fi
    [[ $name != *-* || $name == kill-* ]] ||
        fault=(FAIL_RANK=$rank FAIL_CALL="${name%%-*}" FAIL_AS="$manner" FAIL_AT="$n")
}

# Sets victims to the processes of the run, once all ranks have started.
wait_for_ranks() {
    local until=$(($(milliseconds) + 10000))
    while victims=($(ours)) && ((${#victims[@]} < ranks && $(milliseconds) < until)); do
        sleep 0.01
    done
}

# Sets life[R] to the milliseconds from the moment when all of R ranks have started to their end, without
# a fault.
measure_lives() {
    local victims started
    fault=()
    for ranks in 1 2 3 4 5; do
        start $ranks "life$ranks"
        wait_for_ranks
        started=$(milliseconds)
        await 60
        ((code == 0)) || fail "$ranks ranks without a fault: exit code $code: $(cat log)"
        life[ranks]=$(($(milliseconds) - started + 1))
        rm -r "life$ranks"
    done
}

# Sends a signal to one rank or to all, n milliseconds after all have started. A pause is shorter than what
# the watchdog waits.
strike() {
    local victims
    wait_for_ranks
    pause "$n"
    victims=($(ours))
    ((${#victims[@]} > 0)) || return 0
    [[ $name == kill-all ]] || victims=("${victims[RANDOM % ${#victims[@]}]}")
    since=$(milliseconds)
    if [[ $name == stop ]]; then
        kill -STOP "${victims[@]}" 2>/dev/null || true
    elif [[ $name == pause ]]; then
        kill -STOP "${victims[@]}" 2>/dev/null && met=1 || true
        sleep 1
        kill -CONT "${victims[@]}" 2>/dev/null || true
    else
        kill -KILL "${victims[@]}" 2>/dev/null && killed=1 || true
    fi
}

# Runs into the fault in folder $run. Sets `met` to 1 or 0: whether the fault came in time.
meet() {
    met=0
    [[ $name != disk ]] || mount -o "remount,size=$(($(du -sk disk | cut -f1) + 8 + 8 * (n % 64)))k" disk
    start "$ranks" "$run" --resume
    case $name in kill-* | stop | pause) strike ;; esac
    # A busy machine can take minutes to start a run, and joining ranks wait 300 s for a stopped one.
    await $((60 + length / 50 + ($([[ $name == stop ]] && echo 300 || echo 0))))
    if [[ -e record ]]; then
        took=$((took + since - $(stat -c %.3Y record | tr -d .))) met=1
        [[ $manner != *kill ]] || killed=1
    elif ((${#fault[@]} == 0 && code != 0)); then
        met=1
    fi
}

# Whether the message names the file that did not fit on the disk, or, of a stopped rank, the rank. After a
# pause there is none.
is_told_by_all() {
    local text='cannot (write|create|open|lock)|flushed'
    [[ $name != pause ]] || { ((code == 0)) && ! grep -E '^pneumo-dist: (error|warning)' log >/dev/null; return; }
    [[ $name != stop ]] || text='has not (responded|returned)'
    (($(grep -c "^pneumo-dist: error: " log) == 1)) && grep -E "error: .*($text)" log >/dev/null
}

# run_into SEED: draws a fault, runs into it, resumes, and logs what came of it, if it came in time.
run_into() {
    RANDOM=$1
    ranks=$RANDOM # that of the next seed is almost the same
    ranks=$((1 + RANDOM % 5))
    begun=$((RANDOM % 2)) run=run before=0 killed=0
    draw
    [[ $name != disk ]] || run=disk/run
    rm -rf run disk/*
    ((begun == 0)) || { cp -r half "$run" && before=$half_steps; }
    meet
    ((!can_mount)) || mount -o remount,size=8m disk
    judge "$run" "$before"
    [[ $name != @(disk|stop|pause) ]] || is_told_by_all || unclear=1
    conclude "$run"
    ((met || differ || damaged || hung)) || return 0
    done=$((done + 1))
    printf '%s,%d,%s,%d,%d,%d.%03d,%d,%d,%d,%d,%d,%d,%d\n' "$(date +%FT%T)" "$1" "$name" "$n" "$ranks" \
        $((took / 1000)) $((took % 1000)) "$code" "$lost" "$damaged" "$hung" "$left" "$unclear" \
        "$differ" >>"$log_file"
    ((lost + damaged + hung + left + unclear + differ > 0)) || return 0
    echo "fault $1: $name $n on $ranks ranks: lost $lost, damaged $damaged, hung $hung, left $left," \
        "unclear $unclear, differ $differ; see $log_file.$1" >&2
    { cat log; echo "--- resumed:"; cat resume.log; echo "--- record:"; cat record; ls -l "$run"; } \
        >"$log_file.$1" 2>&1 || true
}

life=()
measure_lives
done=0
for ((i = 0; done < count; i++)); do
    run_into $((seed + i))
done
print_table "$log_file"
! awk -F, 'NR > 1 && $8 + $9 + $10 + $11 + $12 + $13 > 0 { found = 1 } END { exit !found }' "$log_file"
