#!/usr/bin/env bash
# compare: for trained runs the table repeats their reports; for synthetic runs the expected statements
# are known.
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3

# --- Trained runs ---

make_data 160 >/dev/null
short=(--data data.h5 --set data.size=32 --set train.batch=16 --epochs 1)
pneumo train "$PNEUMO_SOURCE/jobs/dense1.ini" "${short[@]}" >/dev/null 2>log || fail "$(cat log)"
pneumo train "$PNEUMO_SOURCE/jobs/mlp2.ini" "${short[@]}" --set model.hidden=8 >/dev/null 2>log ||
    fail "$(cat log)"
pneumo train "$PNEUMO_SOURCE/jobs/mlp2.ini" "${short[@]}" --set model.hidden=8 --seed 2 \
    --run runs/seed-2 >/dev/null 2>log || fail "$(cat log)"

pneumo compare runs/* --csv new/table.csv --html new/table.html >table.txt 2>log || fail "$(cat log)"
[[ ! -s log ]] || fail "words on standard error: $(cat log)"
for name in dense1 'mlp2 (runs/mlp2)' 'mlp2 (runs/seed-2)'; do
    grep -qF "$name " table.txt || fail "no row for $name: $(cat table.txt)"
done
[[ $(grep -c ' and .*: AUC differs by .*; accuracy differs by .* noise$' table.txt) == 3 ]] ||
    fail "not three sentences: $(cat table.txt)"
grep -q 'over 3 pairs; more than noise: p < 0.05' table.txt || fail "$(cat table.txt)"
$python - <<'PY'
import csv, json, re
rows = list(csv.DictReader(open("new/table.csv")))
assert sorted(row["run"] for row in rows) == ["runs/dense1", "runs/mlp2", "runs/seed-2"], rows
columns = {"accuracy": "accuracy", "recall": "sensitivity", "specificity": "specificity",
           "f1": "f1", "auc": "auc"}
for row in rows:
    report = json.load(open(row["run"] + "/report.json"))
    assert row["job"] == report["job"] and row["data_digest"] == report["data"]["digest"]
    chosen = report["folds"]["test"]["chosen"]
    for column, member in columns.items():
        for part, end in (("value", ""), ("low", "_low"), ("high", "_high")):
            number = chosen[member][part]
            assert row[column + end] == "" if number is None else float(row[column + end]) == number
    for column in ("parameters", "seconds", "images_per_second"):
        assert float(row[column]) == report[column], row
    stress = report["folds"]["val"]["stress"]["rows"]
    for column, member in (("stress_auc", "auc"), ("stress_balanced_accuracy", "balanced_accuracy")):
        assert float(row[column]) == min(r[member]["value"] for r in stress), row
aucs = [float(row["auc"]) for row in rows]
assert aucs == sorted(aucs, reverse=True), aucs
page = open("new/table.html").read()
assert page.count("<tr>") == 4 and page.count("<td ") == 3 * 10
assert not re.search(r"<script|https?:|url\(|src=|href=", page), page
PY
pneumo compare runs/* --sort parameters >sorted.txt
awk 'NR == 2 && $1 != "dense1" { exit 1 }' sorted.txt || fail "not by parameters: $(cat sorted.txt)"
ranks 2 compare runs/* >twice.txt 2>log || fail "$(cat log)"
cmp table.txt twice.txt || fail "another table on 2 ranks"
pneumo compare runs/dense1 >alone.txt || fail "a run alone"
! grep -qE '\*[0-9]|differ' alone.txt || fail "a run alone is the best of what? $(cat alone.txt)"

# --- Synthetic runs ---

# The first two differ in one image of 300, the third in many; the fourth has other test images.
$python - <<'PY'
import json, os

def wrong(n, k): # n images, the first k of them on the wrong side
    for i in range(n):
        positive = i % 2 == 1
        high = positive != (i < k)
        yield i, positive, (0.7 if high else 0.3) + i / 10000

def make(folder, scores, digest="0" * 32, seconds=60.0):
    os.makedirs(folder)
    scores = list(scores)
    cells = dict.fromkeys(["true_positive", "false_negative", "true_negative", "false_positive"], 0)
    lines = ["fold,id,name,patient,label,cause,logit,probability"]
    for id, positive, probability in scores:
        called = probability >= 0.5
        cells[("true_" if called == positive else "false_") +
              ("positive" if called else "negative")] += 1
        lines.append(f"TEST,{id},{id}.png,{id},{'PNEUMONIA' if positive else 'NORMAL'},"
                     f"{'VIRUS' if positive else 'NONE'},0,{probability!r}")
    open(f"{folder}/scores.csv", "w").write("\n".join(lines) + "\n")
    positives = [p for _, positive, p in scores if positive]
    negatives = [p for _, positive, p in scores if not positive]
    auc = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    figures = {
        "accuracy": (cells["true_positive"] + cells["true_negative"]) / len(scores),
        "sensitivity": cells["true_positive"] / len(positives),
        "specificity": cells["true_negative"] / len(negatives),
        "f1": 2 * cells["true_positive"] / (len(scores) + cells["true_positive"]
                                            - cells["true_negative"]),
        "auc": auc / len(positives) / len(negatives)}
    report = {"job": folder, "data": {"digest": digest}, "parameters": 7, "seconds": seconds,
              "images_per_second": None, "folds": {"test": {"chosen": {
                  "threshold": 0.5, "confusion": cells,
                  **{name: {"value": value, "low": value, "high": value}
                     for name, value in figures.items()}}}}}
    json.dump(report, open(f"{folder}/report.json", "w"))

make("first", wrong(300, 10))
make("second", wrong(300, 11), seconds=30.0)
make("third", wrong(300, 90), seconds=90.0)
make("elsewhere", wrong(300, 5), digest="1" * 32)
make("fewer", wrong(298, 4))
PY
pneumo compare third first second >made.txt || fail "made-up runs"
grep -qE '^first +\*96\.7 ' made.txt || fail "the best is not marked: $(cat made.txt)"
grep -qE '^second +96\.3 .* \*7 +\*30 s +-$' made.txt || fail "the fastest: $(cat made.txt)"
grep -q '^first and second: AUC differs by 0\.00.*; accuracy differs by 0\.3 points (.*), p = 1: no more than noise$' \
    made.txt || fail "$(cat made.txt)"
grep -q '^second and third: AUC differs by 0\..* p < 0.001: more than noise; accuracy differs by 26\.3 points .*, p < 0.001: more than noise$' \
    made.txt || fail "$(cat made.txt)"
pneumo compare first elsewhere second >made.txt || fail "runs on two data sets"
grep -q '^The runs were not all tested on the same data set' made.txt || fail "$(cat made.txt)"
[[ $(grep -c 'and .*: not compared: they were tested on different data sets$' made.txt) == 2 ]] ||
    fail "$(cat made.txt)"
pneumo compare first fewer >made.txt || fail "runs on other images"
grep -q '^fewer and first: not compared: they were not tested on the same images' made.txt ||
    fail "$(cat made.txt)"
echo "trained and made-up runs are compared as they should be"
