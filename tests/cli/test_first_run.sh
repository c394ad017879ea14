#!/usr/bin/env bash
# A first run that is killed while it draws its phantoms does not harm the next; --resume takes the job and
# the data from the checkpoint, also at another path, and draws nothing.
. "$(dirname "$0")/common.sh"
ln -s "$PNEUMO_SOURCE/jobs" jobs
begin() {
    : >log # or the words of the last one would pass for its own
    "$PNEUMO_DIST" "$@" >/dev/null 2>log &
    worker=$!
}

# refuse MESSAGE ARGUMENT...: fails with that message, and draws nothing.
refuse() {
    local message=$1
    shift
    timeout 60 "$PNEUMO_DIST" "$@" >/dev/null 2>log && fail "$*: it runs"
    grep -qE -- "error: $message" log || fail "$*: $(cat log)"
    [[ ! -e data/phantoms && -z $(find . -name '*.tmp') ]] || fail "$*: it draws"
}

# Drawn aside: killed with parts drawn, there is no folder of that name; the next one removes the parts.
begin synth drawn --images 300
until ls drawn.*.tmp/train/NORMAL/*.jpeg >/dev/null 2>&1; do sleep 0.02; done
[[ ! -e drawn ]] || fail "the folder is there before it is whole"
kill -9 $worker
wait $worker 2>/dev/null || true
[[ ! -e drawn && -n $(ls -d drawn.*.tmp) ]] || fail "not drawn aside: $(ls)"
pneumo synth drawn/ --images 40 >/dev/null 2>log || fail "$(cat log)"
[[ $(find drawn -type f | wc -l) == 40 && -z $(ls -d drawn.*.tmp 2>/dev/null) ]] || fail "$(ls . drawn)"
# An existing empty folder is filled, the present one, too, and stays the same folder.
mkdir empty
(cd empty && pneumo synth . --images 40 --truth >/dev/null 2>../log && [[ $(ls) == $'train\ntruth.csv' ]]) ||
    fail "the present folder: $(cat log; ls empty)"
diff -r drawn/train empty/train || fail "other images aside"
mkdir part
begin synth part --images 300
until ls part/.*.tmp/train/NORMAL/*.jpeg >/dev/null 2>&1; do sleep 0.02; done
kill -9 $worker
wait $worker 2>/dev/null || true
pneumo synth part --images 40 >/dev/null 2>log || fail "what a killed one left is in the way: $(cat log)"
[[ $(ls -A part) == train ]] || fail "left: $(ls -A part)"
# shellcheck disable=SC2188 # the folder is not empty
>part/mine
! pneumo synth part --images 40 2>log || fail "a folder that is not empty was used"
grep -q 'part is not empty' log || fail "$(cat log)"

# Nothing to resume, or data named that are not there: nothing is drawn.
refuse 'nothing to resume: ' train --resume
refuse 'elsewhere has no checkpoint to resume; name the folder of a run' train --resume --run elsewhere
refuse 'none.h5: cannot open' train --data none.h5
refuse 'none.h5: cannot open' train --set data.file=none.h5
mkdir -p data/phantoms/train
cp -r drawn/train/NORMAL data/phantoms/train
! pneumo train --epochs 1 >/dev/null 2>log || fail "trained on a part of the phantoms"
grep -q 'data/phantoms has 11 of 2400 images: remove the folder' log || fail "$(cat log)"
rm -r data

# Another first run makes the phantoms at the same time: this one waits, says so once, and uses them.
pneumo synth more --images 160 --seed 5 >/dev/null 2>&1
mkdir data
pneumo pack more -o made.h5 --size 32 >/dev/null 2>&1
hold() {
    /usr/bin/python3 - <<'PY' &
import fcntl, os, struct, time
file = os.open("data/phantoms.h5.lock", os.O_RDWR | os.O_CREAT)
fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
os.write(file, f"command pneumo-dist train\nhost there\nprocess {os.getpid()}\nsince today\n".encode())
open("held", "w")
while not os.path.exists("done"):
    time.sleep(0.02)
os.rename("made.h5", "data/phantoms.h5")
os.remove("data/phantoms.h5.lock")
PY
    holder=$!
    until [[ -e held ]]; do sleep 0.02; done
    rm held
}
waits() {
    until grep -q "waiting until it ends" log || ! kill -0 $worker 2>/dev/null; do sleep 0.02; done
    grep -q "data/phantoms.h5 is in use by 'pneumo-dist train', process $holder on there, since today: waiting" log ||
        fail "it does not wait: $(cat log)"
}
hold
begin train
waits
kill -INT $worker
for ((t = 0; t < 40; t++)); do
    kill -0 $worker 2>/dev/null || break
    sleep 0.05
done
((t < 40)) || fail "it waits after Ctrl-C"
code=0
wait $worker || code=$?
((code == 75)) || fail "Ctrl-C while it waits: exit code $code"
begin train
waits
kill -9 $holder
wait $holder 2>/dev/null || true
until ls data/phantoms.*.tmp >/dev/null 2>&1 || ! kill -0 $worker 2>/dev/null; do sleep 0.02; done
kill -0 $worker || fail "the first one died, and this one does not go on: $(cat log)"
kill -TERM $worker
wait $worker || true
[[ -z $(ls data) ]] || fail "left: $(ls data)"
hold
short=(--set data.size=32 --set train.epoch_images=64 --set evaluate.stress=no --epochs 2)
begin train "${short[@]}" --run whole
waits
# shellcheck disable=SC2188
>done
wait $worker || fail "$(cat log)"
wait $holder
[[ $(grep -c "waiting until" log) == 1 && ! -e data/phantoms && -e data/phantoms.h5 ]] || fail "$(cat log; ls data)"
begin train "${short[@]}"
until grep -q 'writing to' log || ! kill -0 $worker 2>/dev/null; do sleep 0.01; done
kill -USR1 $worker
code=0
wait $worker || code=$?
((code == 75)) || fail "exit code $code: $(cat log)"
ranks 2 train --resume --epochs 2 >/dev/null 2>log || fail "$(cat log)"
grep -q 'resuming job cnn-deep-phantoms of runs/cnn-deep-phantoms/last.h5' log || fail "$(cat log)"
cmp whole/last.h5 runs/cnn-deep-phantoms/last.h5 || fail "other bits"

# quickstart.sh, but for installing and building: draws if there is nothing to resume, then resumes.
mkdir -p start/jobs start/data
cp "$PNEUMO_SOURCE"/jobs/*.ini "$PNEUMO_SOURCE"/jobs/quickstart.sh start/jobs
echo 'cd "$(dirname "${BASH_SOURCE[0]}")/.."; ranks=("$PNEUMO_DIST") data=${CHEST_XRAY-}' >start/jobs/prepare.sh
: >log
./start/jobs/quickstart.sh >/dev/null 2>log &
worker=$!
until ls start/data/phantoms.*.tmp >/dev/null 2>&1 || ! kill -0 $worker 2>/dev/null; do sleep 0.02; done
kill $worker || fail "it does not draw: $(cat log)"
wait $worker || true
cp data/phantoms.h5 start/data
./start/jobs/quickstart.sh "${short[@]}" >/dev/null 2>log || fail "$(cat log)"
cmp whole/last.h5 start/runs/cnn-deep-phantoms/last.h5 || fail "quickstart.sh: other bits"
./start/jobs/quickstart.sh "${short[@]}" >/dev/null 2>log || fail "$(cat log)"
grep -q 'resuming job cnn-deep-phantoms' log || fail "quickstart.sh: $(cat log)"
# A run of another name starts, then resumes.
for resumes in 0 1; do
    ./start/jobs/quickstart.sh "${short[@]}" --run runs/own >/dev/null 2>log || fail "quickstart.sh --run: $(cat log)"
    [[ $(grep -c 'resuming job' log) == "$resumes" ]] || fail "quickstart.sh --run, $resumes: $(cat log)"
done
cmp whole/last.h5 start/runs/own/last.h5 || fail "quickstart.sh --run: other bits"
# With images of its own it does not resume the run on phantoms, but the one on these images, if that has a
# checkpoint: a run that ended before its first one leaves status.csv.
cp data/phantoms.h5 start/data/chest_xray.h5
mkdir start/runs/cnn-deep
cp start/runs/own/status.csv start/runs/cnn-deep
for resumes in 0 1; do
    CHEST_XRAY=images ./start/jobs/quickstart.sh "${short[@]}" >/dev/null 2>log || fail "CHEST_XRAY: $(cat log)"
    [[ $(grep -c 'resuming job cnn-deep of' log) == "$resumes" ]] || fail "CHEST_XRAY, $resumes: $(cat log)"
done
refuse 'runs/typo has no checkpoint to resume; name the folder of a run' train --resume --run runs/typo
[[ ! -e runs/typo ]] || fail "a folder was made for a run that does not exist"

# The same data at another path is the same job; other data are not.
mv data/phantoms.h5 moved.h5
ln -s moved.h5 linked.h5
for path in moved.h5 linked.h5 "$PWD/moved.h5"; do
    pneumo train --resume --run whole --data "$path" >/dev/null 2>log || fail "$path: $(cat log)"
done
refuse 'data/phantoms.h5: cannot open' train --resume --run whole
pneumo pack more -o other.h5 --size 32 --seed 2 >/dev/null 2>&1
refuse 'whole/last.h5: it was trained on other data' train --resume --run whole --data other.h5
refuse 'whole/last.h5: it was made by another job ..learning_rate = ' train --resume --run whole --data moved.h5 --set train.learning_rate=0.5
echo "a killed first run, and resuming without a job: nothing lost, nothing drawn"
