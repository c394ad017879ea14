#!/usr/bin/env bash
# Prints a table of faults: the time until all ranks have ended, exit code, message, and state of
# the checkpoint. Then sends SIGKILL to a random rank or to all, KILLS times (default 100), half of
# them at random moments and half while a checkpoint is being written, each followed by --resume
# with another number of ranks. Counts lost and damaged checkpoints, and compares the final files
# with those of an uninterrupted run.
#
#   PNEUMO_DIST=build/pneumo-dist tests/bench/deaths.sh [KILLS]
#
# Environment: WATCHDOG, seconds of the watchdog in the table (default 10); SEED of the kills.
PNEUMO_SOURCE=$(cd "$(dirname "$0")/../.." && pwd)
PNEUMO_DIST=$(realpath "${PNEUMO_DIST:-$PNEUMO_SOURCE/build/pneumo-dist}")
. "$PNEUMO_SOURCE/tests/cli/common.sh"
. "$PNEUMO_SOURCE/tests/cli/deaths.sh"
kills=${1:-100} watchdog=${WATCHDOG:-10}
RANDOM=${SEED:-1}
make_data 160
write_small_job

# --- The table ---

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

# --- Kills ---

settings=(--set run.checkpoint_minutes=0.00001 --set train.epochs=8)
since=$(milliseconds)
ranks 2 train small.ini --run alone "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
length=$(($(milliseconds) - since))

# Prints the steps of the last checkpoint of run $1; 0 without one, -1 if it is damaged.
steps_of() {
    [[ -e $1/last.h5 ]] || { echo 0; return; }
    pneumo inspect "$1/last.h5" 2>/dev/null | sed -n 's/^  trained .* \([0-9]*\) steps in all.*/\1/p' |
        grep . || echo -1
}

# Whether a checkpoint is being written.
writing() { compgen -G 'broken/*.h5.*.tmp' >/dev/null; }

counts=(1 2 3 5 2 1 4)
random=0 in_writing=0 finished=0 lost=0 damaged=0 differ=0 hung=0 before=0
while ((random + in_writing < kills)); do
    rm -f broken/*.tmp # so that a file that exists afterwards is from this kill
    : >log
    ranks "${counts[RANDOM % 7]}" train small.ini --run broken --resume "${settings[@]}" \
        >/dev/null 2>log &
    launcher=$!
    sleep "$(printf '%d.%03d' $((i = RANDOM % length, i / 1000)) $((i % 1000)))"
    aimed=$((random >= (kills + 1) / 2)) killed=0
    victims=($(ours))
    if ((RANDOM % 2 == 0 && ${#victims[@]} > 1)); then
        # Only rank 0 writes.
        ((aimed)) && victims=($(process_of 0)) || victims=("${victims[RANDOM % ${#victims[@]}]}")
    fi
    while ((aimed)) && ! writing && kill -0 "$launcher" 2>/dev/null; do
        sleep 0.001
    done
    ((${#victims[@]} == 0)) || ! kill -9 "${victims[@]}" 2>/dev/null || killed=1
    # If ranks die during startup, the launcher of Open MPI 4.1 may wait forever.
    for ((t = 0; t < 200; t++)); do
        kill -0 "$launcher" 2>/dev/null || break
        ((killed == 0 || t < 150)) || kill -9 "$launcher" 2>/dev/null || true
        sleep 0.1
    done
    code=0
    wait "$launcher" || code=$?
    for ((t = 0; t < 100; t++)); do
        [[ -n $(ours) ]] || break
        sleep 0.1
    done
    [[ -z $(ours) ]] || { hung=$((hung + 1)); kill -9 $(ours); }
    after=$(steps_of broken)
    ((after >= 0)) || damaged=$((damaged + 1))
    [[ ! -e broken/best.h5 ]] || pneumo inspect broken/best.h5 >/dev/null || damaged=$((damaged + 1))
    ((after < 0 || after >= before)) || lost=$((lost + 1))
    before=$after
    if ((killed && code != 0)); then
        if ! writing; then
            ((aimed)) || random=$((random + 1))
        elif ((in_writing < kills / 2)); then
            in_writing=$((in_writing + 1))
        else
            random=$((random + 1))
        fi
    fi
    if ((code == 0)); then # finished before the kill
        for file in last.h5 best.h5 history.csv; do
            cmp -s "alone/$file" "broken/$file" || differ=$((differ + 1))
        done
        rm -rf broken
        finished=$((finished + 1)) before=0
    fi
done
ranks 3 train small.ini --run broken --resume "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
for file in last.h5 best.h5 history.csv; do
    cmp -s "alone/$file" "broken/$file" || differ=$((differ + 1))
done
echo
echo "$((random + in_writing)) kills in $((finished + 1)) runs, $in_writing of them left a partially" \
    "written checkpoint: $lost checkpoints lost, $damaged damaged, ranks survived $hung times;" \
    "$differ files differ from those of the uninterrupted run"
((lost + damaged + differ + hung == 0))
