#!/usr/bin/env bash
# A cross-validation: every patient is in exactly one validation fold, and the test fold in none; only
# the average is evaluated on the test fold, once; parts trained one by one, after a stop, or on several
# ranks give the same files.
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3
make_data 200
write_small_job
settings=(--set train.epochs=2 --set train.epoch_images=64)

ranks 2 train small.ini --run all --cross 5 "${settings[@]}" >out 2>log || fail "$(cat log)"
mv out table
[[ $(ls all) == $'cross-1\ncross-2\ncross-3\ncross-4\ncross-5\ncross.csv\nensemble.h5\nmodel-card.md\nreport.html\nreport.json\nscores.csv' ]] ||
    fail "all has $(ls all)"
[[ ! -e all/cross-1/report.json ]] || fail "a part was reported on"

# --- Folds, and the average ---

looks() { # FILE N
    pneumo inspect "$1" >about 2>log || fail "$(cat log)"
    grep -qE "evaluated $2 times?$" about || fail "$1: not $2 looks: $(grep "test fold" about)"
}
looks all/ensemble.h5 1
mkdir parts
for part in 1 2 3 4 5; do
    looks all/cross-$part/best.h5 0
    cp all/cross-$part/best.h5 parts/$part.h5
    pneumo evaluate parts/$part.h5 --scores part-$part.csv >/dev/null 2>log || fail "$(cat log)"
done
# Calibration takes the part's own validation fold, too: here it has too few normal images.
pneumo calibrate parts/2.h5 -d data.h5 -o site.h5 2>few && fail "not the fold of the part"
cat >check.py <<'PY'
import csv, json, math, statistics, h5py

def read(path):
    rows = list(csv.DictReader(open(path)))
    return [{(int(r["id"])): r for r in rows if r["fold"] == fold} for fold in ("VAL", "TEST")]

odds = lambda r: math.log(float(r["probability"]) / (1 - float(r["probability"])))
with h5py.File("data.h5", "r") as file:
    folds, patients, labels = (file[name][:] for name in ("fold", "patient", "label"))
outside = {i for i, fold in enumerate(folds) if fold != 2}
parts = [read(f"part-{part}.csv") for part in range(1, 6)]
assert sorted(i for val, test in parts for i in val) == sorted(outside)
groups = [{int(patients[i]) for i in val} for val, test in parts]
assert sum(len(g) for g in groups) == len(set.union(*groups))
assert not set.union(*groups) & {int(p) for p, fold in zip(patients, folds) if fold == 2}
for label in (0, 1):
    sizes = [sum(labels[i] == label for i in val) for val, test in parts]
    assert max(sizes) - min(sizes) <= 2, sizes
assert f"there are {sum(labels[i] == 0 for i in parts[1][0])} normal images to calibrate by" in open("few").read()
assert all(set(test) == set(range(len(folds))) - outside for val, test in parts)

# Out-of-fold scores: for a validation image, the score of the only model that was not trained on it;
# for a test image, the mean of all models.
val, test = read("all/scores.csv")
assert set(val) == outside
worst = max(abs(float(val[i]["logit"]) - odds(own[i])) for own, _ in parts for i in own)
worst = max([worst] + [abs(float(row["logit"]) - sum(odds(part[i]) for _, part in parts) / 5)
                       for i, row in test.items()])
assert worst < 1e-9, worst
report = json.load(open("all/report.json"))
assert report["members"] == 5 and report["test_looks"] == 1
page = open("all/report.html").read()
assert "out of fold" in page and "average of several models" in page
assert report["decision"]["rule"].endswith("by members not trained on the image")

# The table.
rows = list(csv.DictReader(open("all/cross.csv")))
assert [r["part"] for r in rows] == list("12345")
for r in rows:
    history = list(csv.DictReader(open(f"all/cross-{r['part']}/history.csv")))
    best = next(h for h in history if h["epoch"] == r["epoch"])
    assert abs(float(best["val_auc"]) - float(r["val_auc"])) < 1e-6
    assert best["val_auc"] == max(h["val_auc"] for h in history)
table = {line[:20].strip(): line[20:].split() for line in open("table").read().splitlines()[3:14]}
for column, name in enumerate(("val_loss", "val_auc", "val_accuracy", "val_sensitivity")):
    values = [float(r[name]) for r in rows]
    for row, value in (("mean", statistics.mean(values)), ("least", min(values)),
                       ("standard deviation", statistics.stdev(values)), ("most", max(values))):
        assert table[row][column] == f"{value:.4f}", (name, row, table[row][column], value)
PY
$python check.py
$python "$PNEUMO_SOURCE/tests/cli/check_card.py" all/report.json all/model-card.md || fail "the model card"
grep -q '^- Training: each member on the images outside its part' all/model-card.md || fail "$(cat all/model-card.md)"

pneumo evaluate all/ensemble.h5 --fold val --stress >out 2>log || fail "$(cat log)"
grep -q "^stress test, val fold: \([0-9]*\) of \1 images" out || fail "not all images: $(cat out)"
clean=$(awk '$1 == "clean" { printf "%.1f", 100 * $2 }' out)
grep -q "^  auc  *$clean %" out || fail "stress test: $clean in $(cat out)"

# --- Looks ---

pneumo train small.ini --run all --cross 5 "${settings[@]}" >out 2>log || fail "$(cat log)"
[[ $(grep -c "^part . of 5 is already trained" log) == 5 ]] || fail "trained again: $(cat log)"
[[ $(sed -n 1,13p out) == "$(sed -n 1,13p table)" ]] || fail "another table: $(cat out)"
looks all/ensemble.h5 1
pneumo evaluate all/ensemble.h5 --fold test >/dev/null 2>log || fail "$(cat log)"
looks all/ensemble.h5 2
cp -r all looked
pneumo train small.ini --run looked --cross 5 "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
looks looked/ensemble.h5 2

# same FOLDER: its files equal those of the first run.
pneumo ensemble all/cross-? -o expected.h5 >/dev/null 2>log || fail "$(cat log)"
same() {
    local file
    for file in cross.csv scores.csv cross-{1..5}/{last.h5,best.h5,history.csv}; do
        cmp "all/$file" "$1/$file" || fail "$1/$file is another one"
    done
    pneumo ensemble "$1"/cross-? -o again.h5 >/dev/null 2>log || fail "$(cat log)"
    cmp expected.h5 again.h5 || fail "$1: another average"
}

# --- Part by part, in any order ---

for part in 4 1 5 3 2; do
    ranks $((1 + part % 3)) train small.ini --run single --cross 5 --part $part "${settings[@]}" \
        >out 2>log || fail "$(cat log)"
    [[ ! -s out ]] || fail "a part was printed: $(cat out)"
done
[[ $(ls single) == $'cross-1\ncross-2\ncross-3\ncross-4\ncross-5' ]] || fail "single has $(ls single)"
touch -d '2001-01-01' single/cross-*/*.h5
ranks 3 train small.ini --run single --cross 5 "${settings[@]}" >out 2>log || fail "$(cat log)"
[[ -z $(find single/cross-* -name '*.h5' -newermt 2002-01-01) ]] || fail "a finished part was touched"
same single
looks single/ensemble.h5 1

# --- In a queue, with a substitute for SLURM ---

mkdir -p slurm tools
cp "$PNEUMO_SOURCE"/slurm/{cross,train}.sbatch slurm
ln -s "$PNEUMO_DIST" tools/pneumo-dist # as if installed
printf '#!/usr/bin/env bash\nwhile [[ $1 == --* ]]; do shift; done\nexec "$@"\n' >tools/srun
printf '#!/bin/sh\necho 1\n' >tools/squeue
chmod +x tools/*
(
    export PATH=$here/tools:$PATH SLURM_CPUS_PER_TASK=1 SLURM_JOB_ID=1 SLURM_ARRAY_TASK_ID
    for SLURM_ARRAY_TASK_ID in 2 5 1 3 4; do
        bash slurm/cross.sbatch small.ini --run queued "${settings[@]}" >out 2>log ||
            fail "task $SLURM_ARRAY_TASK_ID: $(cat log)"
        [[ ! -e queued/report.json ]] || fail "task $SLURM_ARRAY_TASK_ID gathered"
    done
    SLURM_ARRAY_TASK_ID=0
    bash slurm/cross.sbatch small.ini --run queued "${settings[@]}" >out 2>log || fail "$(cat log)"
    SLURM_ARRAY_TASK_ID=6
    ! bash slurm/cross.sbatch small.ini --run queued >out 2>log || fail "a sixth part of five"
    grep -q "part 6: --cross makes only 5 parts" log || fail "$(cat log)"
)
same queued

# --- Stopped and resumed ---

# Stopped once the third part has started; if the signal came too late, the run has finished.
code=0
"$PNEUMO_DIST" train small.ini --run stopped --cross 5 "${settings[@]}" >/dev/null 2>stop.log &
worker=$!
until grep -q "writing to stopped/cross-3" stop.log || ! kill -0 $worker 2>/dev/null; do sleep 0.01; done
kill -TERM $worker 2>/dev/null || true
wait $worker || code=$?
((code == 75)) || fail "exit code $code after SIGTERM: $(cat stop.log)"
grep -q "stopped after saving stopped/cross-.*/last.h5: run it again with --resume" stop.log ||
    fail "$(cat stop.log)"
[[ ! -e stopped/report.json ]] || fail "a stopped run was evaluated"
code=0
pneumo train small.ini --run stopped --cross 5 "${settings[@]}" >/dev/null 2>log || code=$?
((code == 1)) && grep -q "already contains a run: continue it with --resume" log || fail "$code: $(cat log)"
ranks 3 train small.ini --run stopped --cross 5 --resume "${settings[@]}" >/dev/null 2>log ||
    fail "$(cat log)"
same stopped

# --- Errors ---

refused() { # CODE MESSAGE ARGUMENT...
    local expected=$1 message=$2 code=0
    shift 2
    pneumo "$@" >out 2>log || code=$?
    ((code == expected)) || fail "$*: exit code $code: $(cat log)"
    grep -q -- "$message" log || fail "$*: '$message' is not in: $(cat log)"
}
refused 2 "^pneumo-dist: error: --part requires --cross" train small.ini --part 2
refused 2 "part 6: --cross makes only 5 parts" train small.ini --cross 5 --part 6
refused 2 "cross '1' is not a whole number from 2 to 20" train small.ini --cross 1
refused 2 "sets data.cross and data.cross_part" train small.ini --cross 5 \
    --set data.cross=3 --set data.cross_part=1
refused 1 "made by another job ('cross = 5' there, 'cross = 4' now)" \
    train small.ini --run all --cross 4 --resume "${settings[@]}"
pneumo train small.ini --run plain "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
refused 1 "plain already contains a run; choose another folder" train small.ini --run plain --cross 5
refused 1 "trained with data.cross = 5 and 0" \
    ensemble all/cross-1 plain -o wrong.h5
pneumo pack phantoms -o other.h5 --size 32 --seed 2 >/dev/null 2>log || fail "$(cat log)"
refused 1 "other.h5: is not the data set that all/cross-1/best.h5 was trained on" \
    ensemble all/cross-1 all/cross-2 -d other.h5 -o wrong.h5
[[ ! -e wrong.h5 ]] || fail "a wrong average was written"
# On another data set, the average is evaluated on that file's own folds.
pneumo evaluate all/ensemble.h5 -d other.h5 --fold val >out 2>log || fail "$(cat log)"
grep -q "^WARNING: this is not the data set of the training" out || fail "$(cat out)"
pneumo inspect other.h5 >about
images=$(awk '$1 == "VAL" { sum += $3 } END { print sum }' about)
grep -q "^val fold: $images images" out || fail "not the $images images of the val fold: $(cat out)"
echo "parts of a cross-validation are trained once, and averaged"
