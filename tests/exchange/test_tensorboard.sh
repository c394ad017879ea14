#!/usr/bin/env bash
# TensorBoard's own reader reads the event file of a run: the figures of history.csv, a step per epoch,
# after kill -9 at any moment and resuming on other ranks, and where the key is set only later.
. "$(dirname "$0")/../cli/common.sh"
. "$(dirname "$0")/peers.sh"
# shellcheck disable=SC2034 # peers.sh reads them
peers=$PNEUMO_BUILD/tensorboard-peers list=$PNEUMO_SOURCE/tests/exchange/tensorboard.txt
install_peers

# check RUN LEAST SPEEDS: the file has a step per row of history.csv, at least LEAST, and speeds of at
# least SPEEDS of them.
check() {
    "$peers/bin/python" - "$@" <<'PY' 2>log || fail "$1: $(cat log)"
import csv, glob, math, struct, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

run, least, speeds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
(path,) = glob.glob(run + "/*tfevents*")
raw = [event.step for event in EventFileLoader(path).Load()]
accumulator = EventAccumulator(run)
accumulator.Reload()
rows = list(csv.DictReader(open(run + "/history.csv")))
steps = [int(row["epoch"]) for row in rows]
assert len(rows) >= least, rows
assert sorted(set(raw) - {0}) == steps and raw == sorted(raw), (raw, steps)
columns = {"loss/train": "train_loss", "loss/val": "val_loss", "auc/val": "val_auc", "lr": "learning_rate",
           "auc/val_changed": "val_stress_auc", "accuracy/val": "val_accuracy", "gradient_norm": "gradient_norm",
           "sensitivity/val": "val_sensitivity", "specificity/val": "val_specificity"}
tags = set(accumulator.Tags()["scalars"])
for tag, column in columns.items():
    expected = [(int(row["epoch"]), float(row[column])) for row in rows if math.isfinite(float(row[column]))]
    assert (tag in tags) == bool(expected), (tag, tags)
    shown = [(event.step, event.value) for event in accumulator.Scalars(tag)] if expected else []
    assert [step for step, _ in shown] == [step for step, _ in expected], (tag, shown)
    for (_, a), (_, b) in zip(shown, expected):
        assert abs(a - b) <= 1e-6 + 1e-5 * abs(b), (tag, a, b)
times = accumulator.Scalars("images_per_second")
assert len(times) >= speeds and all(event.value > 0 for event in times), times
assert tags <= set(columns) | {"images_per_second"}, tags
walls = [event.wall_time for event in accumulator.Scalars("loss/val")]
assert walls == sorted(walls) and walls[0] > 1.7e9, walls
PY
}

make_data 160
write_small_job
options=(small.ini --epochs 6 --set run.tensorboard=yes --set evaluate.stress=no)
ranks 2 train "${options[@]}" --run whole --set train.monitor=stress >/dev/null 2>log || fail "$(cat log)"
check whole 6 6

pneumo train "${options[@]}" --run off --set run.tensorboard=no --epochs 2 >/dev/null 2>log || fail "$(cat log)"
[[ -z $(find off -name '*tfevents*') ]] || fail "an event file that nobody asked for"
# Set only now: the epochs before have no speed.
pneumo train "${options[@]}" --run off --resume --epochs 4 >/dev/null 2>log || fail "$(cat log)"
check off 4 2
# Not set for a while.
pneumo train "${options[@]}" --run off --resume --epochs 5 --set run.tensorboard=no >/dev/null 2>log || fail "$(cat log)"
pneumo train "${options[@]}" --run off --resume --epochs 6 >/dev/null 2>log || fail "$(cat log)"
check off 6 3

# kill -9 again and again, soon after an epoch; the file is readable at every death.
epochs() { if [[ -f killed/history.csv ]]; then wc -l <killed/history.csv; else echo 0; fi; }
deaths=0 code=137
while ((code != 0)); do
    before=$(epochs)
    "$PNEUMO_DIST" train "${options[@]}" --run killed --resume --set run.checkpoint_minutes=0.001 >/dev/null 2>log &
    victim=$!
    if ((deaths < 4)); then
        while kill -0 "$victim" 2>/dev/null && (($(epochs) <= before)); do sleep 0.02; done
        sleep "0.0$((deaths * 7 % 10))"
        kill -9 "$victim" 2>/dev/null || true
    fi
    code=0
    wait "$victim" || code=$?
    ((code != 137)) || deaths=$((deaths + 1))
    [[ $code == 0 || $code == 137 ]] || fail "exit code $code: $(cat log)"
    file=$(find killed -name '*tfevents*' 2>/dev/null || true)
    [[ -z $file ]] || "$peers/bin/python" -c "
import sys
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
steps = [event.step for event in EventFileLoader(sys.argv[1]).Load() if event.step]
assert steps == sorted(set(steps)), steps" "$file" 2>log || fail "after a death: $(cat log)"
done
((deaths >= 2)) || fail "it died only $deaths times"
check killed 6 1
echo "read by TensorBoard: 6 epochs on 2 ranks, $deaths deaths"
