#!/usr/bin/env bash
# If a rank is killed, is stopped, runs out of memory or disk or reads damaged data, or the loss is not
# finite, then all ranks end in bounded time, one message says what happened where, no process remains,
# and the last checkpoint loads.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/deaths.sh"
# Survivors have the time that mpirun gives them by default.
unset OMPI_MCA_odls_base_sigkill_timeout
watchdog=5
make_data 160
write_small_job
sed -i 's/^\[data\]/[run]\ncheckpoint_minutes = 0\n&/' small.ini

# expect CODE MESSAGE RUN: checks how the run ended.
expect() {
    ((code == $1)) || fail "exit code $code, not $1: $(cat log)"
    (($(grep -c "^pneumo-dist: .*rank [0-9]* on" log) == 1)) || fail "not one message: $(cat log)"
    grep -qE "^pneumo-dist: (error|warning): $2" log || fail "no message '$2': $(cat log)"
    [[ -z $3 ]] || pneumo inspect "$3/last.h5" >/dev/null || fail "$3/last.h5 is damaged"
}

# expect_lost CODE MESSAGE RUN: also checks the time; the launcher takes some seconds itself.
expect_lost() {
    expect "$@"
    ((took < 1000 * watchdog + 10000)) || fail "it took $took ms"
}

host=$(hostname)
step="epoch [0-9]+, (step [0-9]+(, saving)?|validation|saving)"
waits="$step: waiting for .+, but"

# Stopped: the message is that of rank 0, or of rank 1 if rank 0 is stopped.
lose STOP 2 stopped
expect_lost 1 "rank 0 on $host: $waits rank 2 on $host has not responded for 3 s; check that rank" stopped
lose STOP 0 stopped-0
expect_lost 1 "rank 1 on $host: $waits rank 0 on $host has not responded for 3 s; check that rank" stopped-0

# Killed: the launcher ends the others at once, and its exit code is 128 + the signal.
lose KILL 2 killed
expect_lost 137 "rank 0 on $host: $step: received a termination signal while waiting for .*" killed
grep -q "rank 2 .* on node .* exited on signal 9" log || fail "nobody names the dead: $(cat log)"
pneumo evaluate killed/best.h5 >/dev/null 2>log || fail "killed/best.h5: $(cat log)"

# Missing from the start: MPI_Init does not return on the others, and the first of them says so.
# absent RANK SECONDS: sets `log`; the watchdog's thread hurries for SECONDS
absent() {
    cat >without <<'SH'
#!/usr/bin/env bash
((OMPI_COMM_WORLD_RANK != $1)) || exec sleep 60
HURRY=$2 LD_PRELOAD=$3 exec "${@:4}"
SH
    chmod +x without
    since=$(milliseconds)
    mpirun --oversubscribe --bind-to none -np 3 ./without "$1" "$2" "$PNEUMO_BUILD/tests/hurry.so" \
        "$PNEUMO_DIST" train small.ini --run absent >/dev/null 2>log &
    launcher=$!
    finish
}
blocked="start: waiting for other ranks, and an MPI call has not returned for"
absent 2 237
expect_lost 1 "rank 0 on $host: $blocked 240 s; check all hosts" ""
absent 0 267
expect_lost 1 "rank 1 on $host: $blocked 270 s; check all hosts" ""
[[ ! -e absent ]] || fail "the run exists: $(ls absent)"

# A damaged image, read by one rank only.
cp data.h5 damaged.h5
damage damaged.h5
since=$(milliseconds)
begin damaged --data damaged.h5
finish
expect 1 "rank [0-2] on $host: reading the data set: damaged.h5: .*" ""
[[ ! -e damaged ]] || [[ -z $(ls damaged) ]] || fail "damaged data left $(ls damaged)"

# No space for the first checkpoint. The network is large, so that the limit does not
# affect the files of Open MPI.
large=(--set model.name=mlp2 --set model.hidden=2048)
pneumo train small.ini --run full "${large[@]}" --epochs 1 >/dev/null 2>log || fail "$(cat log)"
size=$(($(stat -c %s full/last.h5) / 1024))
((size > 30000)) || fail "the checkpoint of $size KiB is too small for this test"
rm -r full
limited -f $((size * 3 / 4)) train small.ini --run full "${large[@]}"
expect 1 "rank 0 on $host: epoch 1, saving: full/(last|best).h5: cannot write: .*" ""
[[ $(ls full) == status.csv ]] || fail "half a checkpoint is left: $(ls full)"

# No memory for a larger network.
limited -v $((peak + 65536)) train small.ini --run poor --set model.name=mlp2 \
    --set model.hidden=8192
expect 1 "rank 1 on $host: reading the data set: out of memory: cannot get .* MiB" ""
[[ ! -e poor ]] || [[ -z $(ls poor) ]] || fail "a run without memory left $(ls poor)"

# The loss is not finite after some good epochs: all ranks detect it, so the message names no rank. With
# these settings a step multiplies the weights by about -9, which overflows in epoch 3 or 4.
since=$(milliseconds)
begin infinite --set train.learning_rate=1 --set train.schedule=constant --set regularise.l2=5 \
    --set train.optimizer=sgd --set regularise.weight_decay=0 --set train.clip_norm=0 \
    --set train.epochs=30
finish
((code == 1)) || fail "not finite: exit code $code: $(cat log)"
(($(grep -c "^pneumo-dist: error" log) == 1)) || fail "not one message: $(cat log)"
grep -qE "^pneumo-dist: error: epoch [0-9]+, (after )?step [0-9] of 5: .* is not finite, first in" log ||
    fail "$(cat log)"
grep -q "the last checkpoint is infinite/last.h5" log || fail "$(cat log)"
pneumo evaluate infinite/last.h5 >/dev/null 2>log || fail "infinite/last.h5: $(cat log)"
