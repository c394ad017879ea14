#!/usr/bin/env bash
# The stress test: the same figures on any number of ranks and threads; training that monitors changed
# images gives the same bits on any number of ranks and after a kill; a look at the test fold counts once;
# and the test can be limited or left out.
. "$(dirname "$0")/common.sh"
make_data 120
write_small_job
cat >>small.ini <<'INI'
mixup = 0.3
gamma = 0.3
crop_max = 1.3
[evaluate]
threshold_on = stress
stress_images = 12
views = zoom
INI
settings=(--set train.monitor=stress --set run.checkpoint_minutes=0.0005 --set model.width=0.1)

pneumo train small.ini --run one --threads 1 "${settings[@]}" >one.txt 2>one.log || fail "$(cat one.log)"
grep -qE "stress test of the validation fold: 12 of [0-9]+ images under 25 changes" one.log ||
    fail "nothing of how many images: $(cat one.log)"
grep -q "^stress test, val fold: 12 of " one.txt || fail "no table: $(cat one.txt)"
! grep -q "^stress test, test fold" one.txt || fail "training looked at the test fold twice"
grep -q "^stress test: " one.txt || fail "no verdict"
# In scores.csv the probability is that of the logit, which is the mean of six views.
/usr/bin/python3 - <<'PY'
import csv, json, math
decision = json.load(open("one/report.json"))["decision"]
assert decision["views"] == 6, decision
rows = list(csv.DictReader(open("one/scores.csv", newline="")))
worst = max(abs(1 / (1 + math.exp(-float(row["logit"]) / decision["temperature"])) - float(row["probability"]))
            for row in rows)
assert worst < 1e-9, worst
PY
[[ $(tail -1 one/history.csv | awk -F, '{print ($NF > 0 && $NF <= 1)}') == 1 ]] ||
    fail "no AUC of changed images: $(cat one/history.csv)"
for file in one.txt one/model-card.md; do
    grep -q "^Epoch and threshold were chosen on changed images of this fold, so " "$file" || fail "$file: no caveat"
done

same() {
    for file in last.h5 best.h5 history.csv; do
        cmp "one/$file" "$1/$file" || fail "$1/$file differs from that of one rank"
    done
}
ranks 3 train small.ini --run three "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
same three

# Killed once there is a checkpoint, and resumed on another number of ranks.
pneumo train small.ini --run killed --threads 1 "${settings[@]}" >/dev/null 2>log &
for ((t = 0; t < 600; t++)); do
    [[ -e killed/last.h5 ]] && break
    sleep 0.02
done
kill -9 $(ours) 2>/dev/null || true
wait $! 2>/dev/null || true
ranks 3 train small.ini --run killed --resume "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
grep -qE 'resuming after epoch [0-2],' log || fail "it was not killed in time: $(cat log)"
same killed

# figures NAME: the report without ranks and speed.
figures() {
    /usr/bin/python3 - "$1.json" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
for key in ("ranks", "threads"):
    del report[key]
assert report["test_looks"] == 2, report["test_looks"]
for fold in ("val", "test"):
    rows = report["folds"][fold]["stress"]["rows"]
    caveat = report["folds"][fold]["stress"]["caveat"]
    assert (caveat or "").startswith("Epoch and threshold were") == (fold == "val"), caveat
    assert len(rows) == 26 and len({row["name"] for row in rows}) == 26, rows
print(json.dumps(report))
PY
}
cp one/best.h5 e1.h5
pneumo evaluate e1.h5 --stress -t 1 -o e1.json >e1.txt 2>log || fail "$(cat log)"
figures e1 >e1.figures
grep -q "^stress test, test fold: 12 of " e1.txt || fail "no stress test of the test fold"
pneumo inspect e1.h5 >about || fail "inspect"
grep -qE "test fold +evaluated 2 times" about || fail "not one look: $(grep "test fold" about)"
for count in 1 2 3; do
    cp one/best.h5 e.h5
    ranks "$count" evaluate e.h5 --stress -t $((1 + count % 2)) -o e.json >/dev/null 2>log ||
        fail "$(cat log)"
    figures e >e.figures
    sed -i 's/"e\.h5"/"e1.h5"/' e.figures
    cmp e1.figures e.figures || fail "other figures on $count ranks"
done
pneumo evaluate one/best.h5 --stress --fold val >val.txt 2>log || fail "$(cat log)"
! grep -q "^stress test, test fold" val.txt || fail "a fold that was not asked for"
pneumo evaluate one/best.h5 --fold val >plain.txt 2>log || fail "$(cat log)"
! grep -q "^stress test" plain.txt || fail "a stress test that was not asked for"

pneumo train small.ini --run without --epochs 1 --set evaluate.stress=no "${settings[@]}" \
    >without.txt 2>log || fail "$(cat log)"
! grep -q "^stress test" without.txt || fail "a stress test that was turned off"
! grep -q '"stress"' without/report.json || fail "and it is in report.json"
echo "stress test: the same figures on 1, 2 and 3 ranks, the same run through a kill"
