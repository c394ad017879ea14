#!/usr/bin/env bash
# Ensembles: scores are the mean of the members' scores, checked independently; the threshold follows
# the rule of training; an average of one equals the model; the file is the same on any number of ranks;
# incompatible members are errors.
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3
make_data 200
write_small_job
cat >other.ini <<'INI'
[data]
file = data.h5
size = 24
[model]
name = cnn
hidden = 16
width = 0.25
[train]
epochs = 2
epoch_images = 160
batch = 32
lanes = 4
[evaluate]
views = mirror
INI
train() { pneumo train "$@" >/dev/null 2>log || fail "train $*: $(cat log)"; }
train small.ini --run a --set train.epochs=2
train small.ini --run b --set train.epochs=2 --seed 2
train other.ini --run c
mkdir alone
for run in a b c; do
    cp $run/best.h5 alone/$run.h5 # no look at them counts
    pneumo evaluate alone/$run.h5 --scores $run.csv >/dev/null 2>log || fail "$(cat log)"
done

# refused MESSAGE ARGUMENT...: expects exit code 1, one line, and no file.
refused() {
    local message=$1 code=0
    shift
    pneumo "$@" >out 2>log || code=$?
    ((code == 1)) || fail "$*: exit code $code: $(cat log)"
    [[ $(grep -c . log) == 1 ]] || fail "$*: not one line: $(cat log)"
    grep -q -- "$message" log || fail "$*: '$message' is not in: $(cat log)"
    [[ ! -e wrong.h5 ]] || fail "$*: something was written"
}

# --- The rule of the average is that of the first member, in full, and others are told ---

small() { train small.ini --set train.epochs=1 --set model.name=mlp2 --set evaluate.stress=no --run "$@"; }
both=(--set evaluate.threshold_rule=both --set evaluate.threshold_on=stress)
small both "${both[@]}"
small rounds "${both[@]}" --set evaluate.stress_rounds=3
small rule --set evaluate.threshold_on=stress
for other in rounds rule; do
    pneumo ensemble both $other -o long.h5 >out 2>log || fail "$(cat log)"
    [[ $(grep -c "warning: .*$other.*: its job has other \[evaluate\] keys for the threshold" log) == 1 ]] ||
        fail "no warning of $other: $(cat log)"
    pneumo inspect long.h5 >about
    grep -qE "threshold .*: most probable that both .*\), on changed images of the validation fold(, chosen on|$)" about ||
        fail "the rule is cut: $(grep threshold about)"
done
pneumo ensemble both both/last.h5 -o long.h5 >out 2>log || fail "$(cat log)"
! grep -q "other \[evaluate\] keys" log || fail "$(cat log)"

# --- The mean, computed independently ---

pneumo ensemble a b/best.h5 c -o average.h5 >out 2>log || fail "$(cat log)"
grep -q "^average.h5: average of 3 models, threshold 0\.[0-9]*: highest specificity" out || fail "$(cat out)"
for count in 2 3; do
    ranks $count ensemble a b/best.h5 c -o again.h5 >/dev/null 2>log || fail "$(cat log)"
    cmp average.h5 again.h5 || fail "another file on $count ranks"
done
pneumo inspect average.h5 >about 2>log || fail "$(cat log)"
grep -q "evaluated 1 time$" about || fail "the members were looked at once: $(cat about)"
pneumo inspect --job average.h5 >about
[[ $(grep -c "^\[data\]" about) == 3 ]] || fail "not three jobs: $(cat about)"
pneumo evaluate average.h5 --scores average.csv -o average.json --html average.html >out 2>log ||
    fail "$(cat log)"
grep -q "^WARNING: the test fold was evaluated 2 times" out || fail "the evaluation was not counted"
ranks 3 evaluate average.h5 --scores again.csv >out 2>log || fail "$(cat log)"
cmp average.csv again.csv || fail "other scores on 3 ranks"
grep -q "^average of 3 models; ranks 3" out || fail "$(cat out)"
pneumo inspect average.h5 >about 2>log || fail "$(cat log)"
grep -q "evaluated 3 times$" about || fail "$(cat about)"

cat >check.py <<'PY'
import csv, json, math, h5py

rows = {name: {(r["fold"], r["id"]): r for r in csv.DictReader(open(f"{name}.csv"))}
        for name in ("a", "b", "c", "average")}
odds = lambda p: math.log(p / (1 - p))
with h5py.File("average.h5", "r") as file:
    decision = dict(file["decision"].attrs)
    assert list(file["members"]) == ["1", "2", "3"] and file["members"].attrs["count"] == 3
    assert len(file["members/2/optimizer"]) == 0
    for number, run in enumerate("abc", 1):
        with h5py.File(f"{run}/best.h5", "r") as own:
            def same(name, item):
                assert not isinstance(item, h5py.Dataset) or (
                    item[()] == file[f"members/{number}/{name}"][()]).all(), name
            own["model_weights"].visititems(lambda n, i: same("model_weights/" + n, i))
            assert dict(own["decision"].attrs) == dict(file[f"members/{number}/decision"].attrs)
report = json.load(open("average.json"))
assert report["members"] == 3 and report["decision"]["threshold"] == decision["threshold"]
worst = 0
for key, row in rows["average"].items():
    # The members' probabilities are calibrated, so their log odds are too.
    mean = sum(odds(float(rows[run][key]["probability"])) for run in "abc") / 3
    worst = max(worst, abs(mean - float(row["logit"])),
                abs(mean / decision["temperature"] - odds(float(row["probability"]))))
assert len(rows["average"]) == len(rows["a"]) and worst < 1e-9, worst
# The threshold reaches the job's target sensitivity, and the next higher score does not.
ill = sorted(float(r["probability"]) for r in rows["average"].values()
             if r["fold"] == "VAL" and r["label"] == "PNEUMONIA")
share = lambda t: sum(p >= t for p in ill) / len(ill)
assert share(decision["threshold"]) >= 0.95, share(decision["threshold"])
above = [p for p in ill if p > decision["threshold"]]
assert share(above[len(ill) // 20 + 1]) < 0.95
PY
$python check.py

# Evaluating the checkpoints directly gives the same, and each of them counts the look.
pneumo evaluate alone/a.h5 b/best.h5 c/best.h5 --scores loose.csv >out 2>log || fail "$(cat log)"
cmp loose.csv average.csv || fail "other scores of loose checkpoints"
grep -q "^WARNING: the test fold was evaluated 3 times" out || fail "$(cat out)"
for file in alone/a.h5:3 b/best.h5:2; do
    pneumo inspect ${file%:*} >about
    grep -q "evaluated ${file#*:} times$" about || fail "$file: $(cat about)"
done

# predict and explain on the original images.
pneumo predict average.h5 phantoms -o predictions.csv 2>log || fail "$(cat log)"
$python - <<'PY'
import csv
known = {"phantoms/" + r["name"]: r["probability"] for r in csv.DictReader(open("average.csv"))}
told = {r["path"]: r["probability"] for r in csv.DictReader(open("predictions.csv"))}
assert len(known) > 30
worst = max(abs(float(told[name]) - float(known[name])) for name in known)
assert worst < 1e-5, worst
PY
ranks 3 predict average.h5 phantoms >again.csv 2>log || fail "$(cat log)"
cmp predictions.csv again.csv || fail "other predictions on 3 ranks"
image=$(find phantoms -name '*.jpeg' | sort | sed -n 1p)
pneumo explain average.h5 "$image" -o maps >out 2>log || fail "$(cat log)"
[[ -s maps/$(basename "$image" .jpeg).png ]] || fail "no map: $(cat out)"
for run in a c; do
    pneumo explain $run/best.h5 "$image" -o maps-$run >/dev/null 2>log || fail "$(cat log)"
done
pneumo ensemble a c -o two.h5 >/dev/null 2>log || fail "$(cat log)"
pneumo explain two.h5 "$image" -o maps-two >/dev/null 2>log || fail "$(cat log)"
# The unchanged images of the stress test give the figures of the fold.
pneumo evaluate two.h5 --fold val --stress >out 2>log || fail "$(cat log)"
clean=$(awk '$1 == "clean" { printf "%.1f %.1f", 100 * $2, $5 }' out)
[[ -n $clean && $clean == "$(awk '$1 == "auc" && !a { a = $2 }
    $1 == "sensitivity" && !s { s = $2 } END { print a, s }' out)" ]] ||
    fail "stress test: $clean in $(cat out)"
$python - "$(basename "$image" .jpeg)" <<'PY'
import sys, h5py, numpy
maps = [numpy.load(f"maps-{run}/{sys.argv[1]}.npy").astype(float) for run in ("a", "c", "two")]
with h5py.File("two.h5", "r") as file:
    heat = [file[f"members/{i}/decision"].attrs["temperature"] for i in (1, 2)]
# Coarse maps are interpolated to the finer size, which keeps their sum except at the edges.
sums = [m.sum() / t for m, t in zip(maps, heat)]
assert maps[2].shape == tuple(max(a, b) for a, b in zip(maps[0].shape, maps[1].shape))
assert abs(maps[2].sum() - sum(sums) / 2) < 0.35 * max(sums) + 1e-6, (maps[2].sum(), sums)
PY

# --- An average of one ---

pneumo ensemble a -o one.h5 >out 2>log || fail "$(cat log)"
grep -qx "pneumo-dist: warning: a/best.h5 is the only checkpoint: the average has one member" log ||
    fail "no warning of an average of one: $(cat log)"
pneumo evaluate one.h5 --scores one.csv --fold both >/dev/null 2>log || fail "$(cat log)"
cmp one.csv a.csv || fail "an average of one is another model"
pneumo inspect one.h5 >about 2>log || fail "$(cat log)"
grep -q "evaluated 2 times$" about || fail "$(cat about)"
pneumo predict a/best.h5 phantoms >alone.csv 2>log || fail "$(cat log)"
pneumo predict one.h5 phantoms >one.csv 2>log || fail "$(cat log)"
cmp one.csv alone.csv || fail "an average of one predicts something else"

# --- Errors ---

before=$(sha256sum a/best.h5)
refused "a/best.h5: given twice" ensemble a b a/best.h5 -o wrong.h5
refused "average.h5: is an average itself" ensemble a average.h5 -o wrong.h5
refused "a/best.h5: is an input of this command and would be overwritten" ensemble a b -o a/best.h5
[[ $before == "$(sha256sum a/best.h5)" ]] || fail "a member was overwritten"
refused "nowhere: cannot open" ensemble a nowhere -o wrong.h5
refused "phantoms/best.h5: cannot open" ensemble a phantoms -o wrong.h5
refused "average.h5: is an average of 3 models, which cannot be exported" \
    export average.h5 -o wrong.keras
refused "data.h5: is a pneumo-dist data set, not a" ensemble a data.h5 -o wrong.h5

train other.ini --run cause --set data.task=cause
refused "cause/best.h5: it was trained to tell 3 classes apart, but a/best.h5 2" \
    ensemble a cause -o wrong.h5
pneumo pack phantoms -o wide.h5 --size 40 >/dev/null 2>log || fail "$(cat log)"
train other.ini --run wide --data wide.h5
refused "wide/best.h5: it was trained on packed images of 40 x 40, but a/best.h5 of 32 x 32" \
    ensemble a wide -o wrong.h5

# Other folds of the same images. A different data set with the same folds is accepted.
pneumo pack phantoms -o shuffled.h5 --size 32 --seed 2 >/dev/null 2>log || fail "$(cat log)"
train other.ini --run shuffled --data shuffled.h5
refused "their folds contradict each other" ensemble a shuffled -o wrong.h5
refused "their folds contradict each other" ensemble a b -d shuffled.h5 -o wrong.h5
refused "their folds contradict each other" evaluate a/best.h5 shuffled/best.h5
pneumo synth elsewhere-images --images 120 --seed 9 >/dev/null 2>&1
pneumo pack elsewhere-images -o elsewhere.h5 --size 32 >/dev/null 2>log || fail "$(cat log)"
train other.ini --run elsewhere --data elsewhere.h5
pneumo ensemble a elsewhere -o mixed.h5 >/dev/null 2>log || fail "$(cat log)"
pneumo evaluate mixed.h5 -d data.h5 >out 2>log || fail "$(cat log)"
grep -q "^WARNING: the data set of the training is unknown, or there are several" out || fail "$(cat out)"
pneumo ensemble mixed.h5 -o copy.h5 >out 2>log || fail "$(cat log)"
grep -q 'average of 2 models' out || fail "$(cat out)"
mv elsewhere.h5 moved.h5
refused "elsewhere/best.h5: its folds cannot be compared: elsewhere.h5: cannot open" \
    ensemble a elsewhere -o wrong.h5
# One of the data sets is not there to be compared, or is there under another name.
pneumo pack elsewhere-images -o third.h5 --size 32 --seed 2 >/dev/null 2>log || fail "$(cat log)"
pneumo evaluate mixed.h5 -d third.h5 --fold test >/dev/null 2>log || fail "$(cat log)"
grep -q "not counted .*: elsewhere.h5 is not there .* third.h5 cannot be compared" log || fail "$(cat log)"
pneumo evaluate mixed.h5 -d moved.h5 --fold test >/dev/null 2>log || fail "$(cat log)"
! grep "not counted" log || fail "the data set of a member is not known by its content"
pneumo evaluate a/best.h5 b/best.h5 -d moved.h5 --fold test >out 2>log || fail "$(cat log)"
grep -q "^WARNING: this is not the data set of the training" out || fail "$(cat out)"

# A warning names a member with another rule.
train other.ini --run strict --set evaluate.target_sensitivity=0.8
pneumo ensemble a strict -o rules.h5 >/dev/null 2>log || fail "$(cat log)"
grep -q "strict/best.h5: its job has other .evaluate. keys" log || fail "$(cat log)"

# A threshold on changed images.
for seed in 1 2; do
    train other.ini --run changed-$seed --seed $seed --set evaluate.threshold_on=stress
done
pneumo ensemble changed-1 changed-2 -o changed.h5 >out 2>log || fail "$(cat log)"
grep -q "on changed images of the validation fold" out || fail "$(cat out)"
ranks 3 ensemble changed-1 changed-2 -o again.h5 >/dev/null 2>log || fail "$(cat log)"
cmp changed.h5 again.h5 || fail "another threshold on 3 ranks"

# --- Damage ---

size=$(stat -c %s average.h5)
head -c $((size / 2)) average.h5 >cut.h5
cp average.h5 flipped.h5
for place in 3 5 7; do
    printf '\x5a\xa5' | dd of=flipped.h5 bs=1 seek=$((size * place / 10)) conv=notrunc 2>/dev/null
done
for file in cut flipped; do
    refused "$file.h5" evaluate $file.h5
    refused "$file.h5" inspect $file.h5
done
echo "averages are the mean of their members"
