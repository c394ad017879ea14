#!/usr/bin/env bash
# evaluate and predict at another threshold than the checkpoint's, given or chosen for a target sensitivity
# on the validation fold alone; output and reports say which, and the checkpoint keeps its own.
. "$(dirname "$0")/common.sh"
make_data 160
write_small_job
pneumo train small.ini --run run --set evaluate.stress=no >/dev/null 2>log || fail "$(cat log)"
own=$(pneumo inspect run/best.h5 | sed -nE 's/^ *threshold +([0-9.]+):.*/\1/p')
[[ -n $own ]] || fail "no threshold: $(pneumo inspect run/best.h5)"

# figures NAME OPTION...: evaluates and checks report and scores against each other.
figures() {
    local name=$1
    shift
    pneumo evaluate run/best.h5 --data data.h5 "$@" -o "$name.json" --html "$name.html" \
        --scores "$name.csv" >"$name.out" 2>log || fail "$*: $(cat log)"
    /usr/bin/python3 - "$name" <<'PY'
import csv, json, sys
report = json.load(open(sys.argv[1] + ".json"))
decision = report["decision"]
rows = list(csv.DictReader(open(sys.argv[1] + ".csv")))
for fold, figures in report["folds"].items():
    chosen = figures["chosen"]
    assert chosen["threshold"] == decision["threshold"], (fold, chosen, decision)
    counts = dict.fromkeys(("true_positive", "false_negative", "true_negative", "false_positive"), 0)
    for row in rows:
        if row["fold"] == fold.upper():
            called = float(row["probability"]) >= decision["threshold"]
            ill = row["label"] == "PNEUMONIA"
            counts[("true" if called == ill else "false") + ("_positive" if called else "_negative")] += 1
    assert counts == chosen["confusion"], (fold, counts, chosen["confusion"])
assert decision["refer_low"] <= decision["threshold"] <= decision["refer_high"], decision
print(decision["rule"])
PY
}

before=$(sha256sum <run/best.h5)
figures given --threshold 0.2 --fold val >rule
grep -qx '0.2, given (--threshold)' rule || fail "$(cat rule)"
grep -qx 'threshold: 0.2, given (--threshold)' given.out || fail "$(cat given.out)"
grep -q '0.2, given (--threshold)' given.html || fail "the page does not say whose threshold"
[[ $before == "$(sha256sum <run/best.h5)" ]] || fail "evaluating the validation fold changed the checkpoint"

figures target --target-sensitivity 0.75 >rule
grep -qE '^0\.[0-9]+, highest specificity with sensitivity of at least 75 % on the validation fold' rule ||
    fail "$(cat rule)"
grep -q '(target 75 %)' target.out || fail "$(cat target.out)"
# No threshold with that sensitivity on validation scores has a higher specificity, whatever the test fold
# holds.
/usr/bin/python3 - <<'PY' || fail "the threshold is not that of the validation fold"
import csv, json
threshold = json.load(open("target.json"))["decision"]["threshold"]
rows = [row for row in csv.DictReader(open("target.csv")) if row["fold"] == "VAL"]
ill, well = (sorted(float(row["probability"]) for row in rows if row["label"] == label)
             for label in ("PNEUMONIA", "NORMAL"))
need = -(-75 * len(ill) // 100)
assert sum(p >= threshold for p in ill) >= need, threshold
assert sum(p >= threshold for p in well) == sum(p >= ill[-need] for p in well), threshold
PY
# The same with the test fold alone, and on several ranks.
ranks 3 evaluate run/best.h5 --data data.h5 --fold test --target-sensitivity 0.75 -o alone.json \
    >/dev/null 2>log || fail "$(cat log)"
/usr/bin/python3 - <<'PY' || fail "another threshold without the figures of the validation fold"
import json
a, b = json.load(open("target.json")), json.load(open("alone.json"))
assert a["decision"] == b["decision"] and list(b["folds"]) == ["test"], b
assert a["folds"]["test"]["chosen"] == b["folds"]["test"]["chosen"]
PY
[[ $(pneumo inspect run/best.h5 | sed -nE 's/^ *threshold +([0-9.]+):.*/\1/p') == "$own" ]] ||
    fail "the checkpoint has another threshold"

# predict: the same calls; an image between the two thresholds is in doubt.
pneumo predict run/best.h5 phantoms --threshold 0.2 -o low.csv 2>log || fail "$(cat log)"
grep -q 'threshold 0.2 (--threshold) instead of ' log || fail "$(cat log)"
pneumo predict run/best.h5 phantoms -o own.csv 2>log || fail "$(cat log)"
/usr/bin/python3 - "$own" <<'PY' || fail "predict: other calls"
import csv, sys
own, changed = float(sys.argv[1]), 0
for a, b in zip(csv.DictReader(open("low.csv")), csv.DictReader(open("own.csv")), strict=True):
    assert a["path"] == b["path"] and a["probability"] == b["probability"]
    assert a["label"] == ("PNEUMONIA" if float(a["probability"]) >= 0.2 else "NORMAL"), a
    changed += a["label"] != b["label"]
    assert a["label"] == b["label"] or a["refer"] == "yes", a
    assert b["refer"] == "no" or a["refer"] == "yes", (a, b)
assert changed > 0, "no image is between the thresholds"
PY

# Mistakes.
refuse() {
    local code=$1 message=$2
    shift 2
    local got=0
    pneumo "$@" >out 2>log || got=$?
    [[ $got == "$code" ]] || fail "$*: exit code $got: $(cat log)"
    grep -qE -- "$message" log || fail "$*: $(cat log)"
}
refuse 2 'cannot be given together' evaluate run/best.h5 --threshold 0.5 --target-sensitivity 0.9
refuse 2 "threshold '0' is not a number above 0 and at most 1" evaluate run/best.h5 --threshold 0
refuse 2 "threshold '1.5' is not a number" predict run/best.h5 phantoms --threshold 1.5
refuse 2 "target-sensitivity '90' is not a number" evaluate run/best.h5 --target-sensitivity 90
mkdir only
cp -r phantoms/train only/test
pneumo pack only -o tested.h5 --size 32 --folds keep >/dev/null 2>log || fail "$(cat log)"
refuse 1 'tested.h5: no images in its val fold to choose a threshold on' evaluate run/best.h5 \
    --data tested.h5 --target-sensitivity 0.9

# A verdict on few images says so, on the terminal, too.
grep -qE '^[0-9]+ pneumonia images?: too few to be certain of the sensitivity, 95 % interval' target.out ||
    grep -qE '^[0-9]+ normal images?: too few to be certain of the specificity, 95 % interval' target.out ||
    fail "no word on $(grep -c test target.csv) test images: $(cat target.out)"
echo "thresholds given and chosen: the same in all outputs, and not in the checkpoint"
