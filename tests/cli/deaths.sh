# Sourced by test_deaths.sh, test_faults.sh and tests/bench: runs of three ranks of which one is
# lost or cannot continue. Source common.sh first; the working folder must hold data.h5 and small.ini.

# Prints the process of rank $1.
process_of() {
    local pid
    for pid in $(ours); do
        grep -zqx "OMPI_COMM_WORLD_RANK=$1" "/proc/$pid/environ" 2>/dev/null && echo "$pid"
    done
    return 0
}

# begin RUN ARGUMENT...: starts training on three ranks in the background, with output to `log`.
begin() {
    local run=$1
    shift
    : >log
    ranks 3 train small.ini --run "$run" "$@" >/dev/null 2>log &
    launcher=$!
}

# Waits up to $1 seconds for the launcher, then a few for all ranks, and kills what is left. Sets `code`,
# `took` to the milliseconds since `since`, and `hung` to 1 or 0.
await() {
    local until=$(($(milliseconds) + 1000 * $1))
    code=0 hung=0
    { # bash reports killed processes
        while kill -0 "$launcher" && (($(milliseconds) < until)); do
            sleep 0.02
        done
        ! kill -0 "$launcher" || { hung=1 && kill -9 $(ours) "$launcher"; } || true
        wait "$launcher" || code=$?
        until=$(($(milliseconds) + 5000))
        while [[ -n $(ours) ]] && (($(milliseconds) < until)); do
            sleep 0.1
        done
        took=$(($(milliseconds) - since))
        [[ -z $(ours) ]] || { hung=1 && kill -9 $(ours); } || true
    } 2>/dev/null
}

# Waits up to a minute for the launcher and all ranks.
finish() {
    await 60
    ((!hung)) || fail "the launcher or a rank did not end: $(cat log)"
}

# Waits until the run at $1 has saved $2 epochs.
until_epoch() {
    local t
    for ((t = 0; t < 600; t++)); do
        [[ ! -e $1/history.csv ]] || (($(wc -l <"$1/history.csv") <= $2)) || return 0
        kill -0 "$launcher" 2>/dev/null || break
        sleep 0.05
    done
    fail "the run did not get to epoch $2: $(cat log)"
}

# lose SIGNAL RANK RUN: a run that loses a rank in the middle of an epoch. Sets `peak` to the peak
# size of that rank's address space in KiB.
lose() {
    begin "$3" --set train.epochs=100000 --set run.watchdog_seconds="$watchdog"
    until_epoch "$3" 2
    local victim
    victim=$(process_of "$2")
    peak=$(awk '/VmPeak/ { print $2 }' "/proc/$victim/status")
    since=$(milliseconds)
    kill "-$1" "$victim" || fail "rank $2 is gone already: $(cat log)"
    finish
}

# limited LIMIT ARGUMENT...: starts three ranks; the limit applies to rank 1, or to rank 0 if it is
# a limit of file sizes.
limited() {
    cat >limited <<'SH'
#!/usr/bin/env bash
trap '' XFSZ # a write that is too long fails instead of killing
[[ $1 == -f ]] && rank=0 || rank=1
((OMPI_COMM_WORLD_RANK != rank)) || ulimit "$1" "$2"
exec "${@:3}"
SH
    chmod +x limited
    since=$(milliseconds)
    : >log
    mpirun --oversubscribe --bind-to none -np 3 ./limited "${@:1:2}" "$PNEUMO_DIST" "${@:3}" \
        >/dev/null 2>log &
    launcher=$!
    finish
}

# damage FILE: flips bits of one image of the train fold.
damage() {
    /usr/bin/python3 - "$1" <<'PY'
import sys
import h5py

with h5py.File(sys.argv[1]) as file:
    victim = list(file["fold"][()]).index(0)
    chunk = file["images"].id.get_chunk_info(victim)
with open(sys.argv[1], "r+b") as raw:
    raw.seek(chunk.byte_offset + chunk.size // 2)
    byte = raw.read(1)[0]
    raw.seek(-1, 1)
    raw.write(bytes([byte ^ 0x55]))
PY
}
