#!/usr/bin/env bash
# Every command acknowledges a signal at once and ends within two seconds, in whatever it does, without
# a temporary file left behind; a limit on file sizes is an error like a full disk. Training saves first,
# before a validation, too, and continues to the same bits.
. "$(dirname "$0")/common.sh"
make_data 160
write_small_job
program=$(realpath "$PNEUMO_DIST")
short=(train small.ini --epochs 2 --set evaluate.stress=no)
pneumo "${short[@]}" --run run >/dev/null 2>log || fail "$(cat log)"
for label in NORMAL PNEUMONIA; do
    mkdir -p many/train/$label
    for i in {1..25}; do
        for image in phantoms/train/$label/*; do ln "$image" "many/train/$label/$i-${image##*/}"; done
    done
done
# So many that ensemble, compare and inspect take longer than the delay before their signal.
mkdir members work
runs=() files=()
for i in {1..1000}; do
    runs+=(../run) files+=(../data.h5)
done
for i in {1..20}; do cp run/best.h5 "members/$i.h5"; done
cd work

# Expects no temporary file or lock in the folder.
only() {
    local left
    left=$(find . -name '*.tmp*' -o -name run.lock -o -name '.pneumo*')
    [[ -z $left ]] || fail "$name: left behind: $left"
}

# strike SIGNAL CODE DELAY COMMAND...: sends the signal DELAY seconds after the program has started.
strike() {
    local signal=$1 expected=$2 delay=$3 code=0 since took
    shift 3
    name="$* after $delay s"
    rm -rf ./*
    : >../log
    "$PNEUMO_DIST" "$@" >../out 2>../log &
    local worker=$!
    # Until it listens: it is the program, and the bit of SIGINT is in its mask of caught signals.
    until [[ $(readlink "/proc/$worker/exe") == "$program" ]] &&
        grep -q '^SigCgt:.*[2367abef]$' "/proc/$worker/status" 2>/dev/null ||
        ! kill -0 $worker 2>/dev/null; do
        sleep 0.01
    done
    sleep "$delay"
    since=$(milliseconds)
    kill -"$signal" $worker 2>/dev/null || true
    wait $worker 2>/dev/null || code=$?
    took=$(($(milliseconds) - since))
    only
    ((code != 0)) || { # it was through before
        ((took < 500)) || fail "$name: worked on for $took ms after SIG$signal"
        return 0
    }
    [[ $code == "$expected" ]] || fail "$name: exit code $code after SIG$signal, not $expected: $(cat ../log)"
    ((took < 2000)) || fail "$name: took $took ms to end after SIG$signal"
    grep -q "^pneumo-dist: SIG$signal: " ../log || fail "$name: no word on SIG$signal: $(cat ../log)"
    struck=$((struck + 1))
}

struck=0
for delay in 0.05 0.7; do
    strike INT 130 $delay synth drawn --images 400
    strike TERM 143 $delay pack ../many -o packed.h5 --size 96
    strike INT 130 $delay predict ../run/best.h5 ../many -o rows.csv
    strike HUP 129 $delay evaluate ../run/best.h5 --data ../data.h5 --stress
    strike TERM 143 $delay explain ../run/best.h5 ../many/train/NORMAL/*.jpeg -o maps
    strike USR1 138 $delay doctor ../small.ini --data ../data.h5 --run here
    strike XCPU 152 $delay bench ../small.ini --steps 10000
done
for signal in INT:130 TERM:143; do
    strike "${signal%:*}" "${signal#*:}" 0.02 export ../run/best.h5 -o out.onnx
    strike "${signal%:*}" "${signal#*:}" 0.02 import ../run/best.h5 -o in.h5
    strike "${signal%:*}" "${signal#*:}" 0.05 calibrate ../run/best.h5 --data ../data.h5 -o site.h5
    strike "${signal%:*}" "${signal#*:}" 0.1 ensemble ../members/*.h5 --data ../data.h5 -o average.h5
    strike "${signal%:*}" "${signal#*:}" 0.1 compare "${runs[@]}" --html table.html
    strike "${signal%:*}" "${signal#*:}" 0.1 inspect "${files[@]}"
done
((struck >= 10)) || fail "only $struck signals came in time"
echo "$struck signals: all commands end at once and leave nothing"

# Training before its first step (drawing the phantoms of a first run), and in its stress test.
mkdir -p ../first
cd ../first
ln -s "$PNEUMO_SOURCE/jobs" jobs
timeout -s KILL 100 "$PNEUMO_DIST" train --epochs 1 >../out 2>../log &
worker=$!
until ls data/*.tmp/train/NORMAL/*.jpeg >/dev/null 2>&1; do sleep 0.05; done
since=$(milliseconds)
pkill -INT -P $worker
code=0
wait $worker || code=$?
((code == 75)) || fail "exit code $code while drawing: $(cat ../log)"
(($(milliseconds) - since < 2000)) || fail "took $(($(milliseconds) - since)) ms to stop drawing"
[[ -z $(find data -mindepth 1) ]] || fail "left of the drawing: $(find data -mindepth 1 | head)"
grep -q 'SIGINT: removing the images drawn so far' ../log || fail "$(cat ../log)"
cd ..

: >log
"$PNEUMO_DIST" train small.ini --epochs 1 --run stress >out 2>log &
worker=$!
until [[ $(grep -c 'epoch   1/1' log) == 1 ]]; do sleep 0.02; done
since=$(milliseconds)
kill -TERM $worker
code=0
wait $worker || code=$?
((code == 75)) || fail "exit code $code in the stress test: $(cat log)"
(($(milliseconds) - since < 2000)) || fail "took too long to end the stress test"
grep -q 'run it again with --resume' log || fail "$(cat log)"
pneumo train small.ini --epochs 1 --run stress --resume >/dev/null 2>log || fail "$(cat log)"
[[ -e stress/report.json ]] || fail "no report after resuming"

# A validation that takes long gives way to a signal; the run then validates first, with the same end.
slow=("${short[@]}" --set evaluate.threshold_on=stress --set evaluate.stress_rounds=25)
since=$(milliseconds)
pneumo "${slow[@]}" --run whole >/dev/null 2>log || fail "$(cat log)"
duration=$(($(milliseconds) - since))
stopped=0
for ((i = 0; i < 30; i++)); do
    : >log # the last one's would count below
    "$PNEUMO_DIST" "${slow[@]}" --run pieces --resume >out 2>log &
    worker=$!
    until grep -q 'writing to' log || ! kill -0 $worker 2>/dev/null; do sleep 0.01; done
    pause $((duration * (20 + RANDOM % 40) / 100))
    kill -USR1 $worker 2>/dev/null || true
    code=0
    wait $worker || code=$?
    ((code == 0)) && break
    ((code == 75)) || fail "exit code $code: $(cat log)"
    stopped=$((stopped + 1))
done
((stopped > 0)) || fail "no signal came in time"
ranks 2 "${slow[@]}" --run pieces --resume >/dev/null 2>log || fail "$(cat log)"
for file in last.h5 best.h5 history.csv; do
    cmp whole/$file pieces/$file || fail "another $file after $stopped stops"
done
echo "$stopped stops of a run with long validations: the same checkpoints"

# File sizes are limited (a quota): one line, no temporary file.
# refuse KIB COMMAND...
refuse() {
    local size=$1 code=0
    shift
    rm -rf work
    mkdir work
    cd work
    name="$*"
    (
        ulimit -f "$size"
        "$PNEUMO_DIST" "$@"
    ) >/dev/null 2>../log || code=$?
    ((code == 1)) || fail "$name: exit code $code within $size KiB: $(cat ../log)"
    [[ $(grep -c 'File too large' ../log) == 1 ]] || fail "$name: $(cat ../log)"
    only
    cd ..
}
refuse 8 pack ../phantoms -o packed.h5 --size 64
refuse 100 pack ../phantoms -o packed.h5 --size 64
refuse 4 predict ../run/best.h5 ../phantoms -o rows.csv
refuse 4 synth drawn --images 20
[[ -z $(ls work) ]] || fail "synth left $(ls work)"
refuse 4 export ../run/best.h5 -o out.keras
refuse 4 import ../run/best.h5 -o in.h5
refuse 4 explain ../run/best.h5 ../phantoms/train/NORMAL/IM-0001-0001.jpeg -o maps
refuse 4 train ../small.ini --data ../data.h5 --run run --epochs 1
echo "file sizes limited: an error, and nothing left behind"
