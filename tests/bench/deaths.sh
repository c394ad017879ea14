#!/usr/bin/env bash
# Prints a table of faults: the time until all ranks have ended, exit code, message, and state of
# the checkpoint. For thousands of faults at random moments see campaign.sh.
#
#   PNEUMO_DIST=build/pneumo-dist tests/bench/deaths.sh
#
# Environment: WATCHDOG, seconds of the watchdog (default 10).
PNEUMO_SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
PNEUMO_DIST=$(realpath "${PNEUMO_DIST:-$PNEUMO_SOURCE/build/pneumo-dist}")
. "$PNEUMO_SOURCE/tests/cli/common.sh"
. "$PNEUMO_SOURCE/tests/cli/deaths.sh"
watchdog=${WATCHDOG:-10}
make_data 160
write_small_job

# Prints the state of the last checkpoint of run $1.
state_of() {
    if [[ ! -e $1/last.h5 ]]; then
        echo "none was due"
    elif pneumo inspect "$1/last.h5" >seen 2>&1 && pneumo evaluate "$1/last.h5" >/dev/null 2>&1; then
        sed -n 's/^  trained  *\([^;]*\).*/loads: \1/p' seen
    else
        echo "DAMAGED"
    fi
}

# row FAULT RUN: prints a row, after `finish`. The message is ours without its prefix, and the
# launcher's if a rank died.
row() {
    local message
    message=$({ grep -E "^pneumo-dist: error: |termination signal|exited on signal" log || echo none; } |
        paste -sd '~' | sed 's/pneumo-dist: [a-z]*: //g; s/ with PID [0-9]*//; s/~/<br>/g')
    printf '| %s | %d.%d | %d | %s | %s |\n' "$1" $((took / 1000)) $((took % 1000 / 100)) "$code" \
        "$message" "$(state_of "$2")"
}

echo "| fault (watchdog_seconds = $watchdog, 3 ranks) | s | exit code | message | last checkpoint |"
echo "| --- | ---: | ---: | --- | --- |"
lose KILL 1 killed && row "rank 1 killed" killed
lose KILL 0 killed-0 && row "rank 0 killed" killed-0
lose STOP 1 stopped && row "rank 1 stopped" stopped
lose STOP 0 stopped-0 && row "rank 0 stopped" stopped-0

limited -v $((peak + 65536)) train small.ini --run poor --set model.name=mlp2 --set model.hidden=8192
row "rank 1 without memory" poor

# Space for the checkpoints of two epochs. The network is large so that the limit does not affect
# Open MPI's own files. A small disk if mounting is permitted, otherwise a file size limit for rank
# 0.
large=(--set model.name=mlp2 --set model.hidden=2048)
mkdir disk
if mount -t tmpfs -o size=80m tmpfs disk 2>/dev/null; then
    trap 'umount "$here/disk"; rm -rf "$here"' EXIT
    since=$(milliseconds)
    begin disk/run "${large[@]}"
    finish
    row "disk full" disk/run
    umount disk
    trap 'rm -rf "$here"' EXIT
else
    limited -f 20000 train small.ini --run disk/run "${large[@]}"
    row "file too large" disk/run
fi

cp data.h5 damaged.h5
damage damaged.h5
since=$(milliseconds)
begin damaged --data damaged.h5
finish
row "damaged image" damaged

since=$(milliseconds)
begin infinite --set train.learning_rate=100 --set train.schedule=constant \
    --set train.optimizer=sgd --set regularise.weight_decay=0 --set train.clip_norm=0 \
    --set train.epochs=30
finish
row "loss not finite" infinite
rm -rf killed* stopped* poor disk damaged infinite
