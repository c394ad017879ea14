#!/usr/bin/env bash
# model-card.md: every figure is that of report.json, with all of them there; of other data, without
# known patients, and of an average.
. "$(dirname "$0")/common.sh"
check=$PNEUMO_SOURCE/tests/cli/check_card.py

make_data 160
write_small_job
# Another threshold below gives figures other than 0 and 100 %.
pneumo train small.ini --run run --epochs 5 --set model.name=mlp2 --set train.ema=0 >/dev/null 2>log || fail "$(cat log)"
/usr/bin/python3 "$check" run/report.json run/model-card.md || fail "the card of a training"
grep -qE '^- Hardware: .*; training took [0-9]' run/model-card.md || fail "no time of the training"

# The same with both stress tests, where nothing is known of the training's hardware.
pneumo evaluate run/best.h5 --stress --threshold 0.49 --output both.json --card cards/both.md >/dev/null 2>log ||
    fail "$(cat log)"
/usr/bin/python3 "$check" both.json cards/both.md || fail "the card of an evaluation"
grep -q '^- Hardware and duration of the training: unknown.$' cards/both.md || fail "$(grep Hardware cards/both.md)"
[[ $(grep -c '^### Stress test' cards/both.md) == 2 ]] || fail "one stress test is missing"

# Weights that are not the best (they stay as they are, and the first epoch counts), and an import: neither epochs nor a choice on validation.
pneumo train small.ini --run late --epochs 2 --set run.reduction=mpi --set model.name=mlp2 --set train.ema=0 \
    --set train.learning_rate=1e-12 --set evaluate.stress=no >/dev/null 2>log || fail "$(cat log)"
# The page of the training shows both losses of both epochs, also of that after the best.
[[ $(sed -n '/<h4>Loss/,/<.figure>/p' late/report.html | grep -c '<circle') == 4 ]] || fail "curves: $(cat late/history.csv)"
pneumo evaluate late/last.h5 --fold val --output late.json --card late.md >/dev/null 2>log || fail "$(cat log)"
/usr/bin/python3 "$check" late.json late.md || fail "the card of the last epoch"
grep -q '^- Seed .* other numbers of ranks give other weights\.$' late.md || fail "$(grep Seed late.md)"
grep -q '^- 2 epochs; the weights are those of epoch 2\.$' late.md || fail "$(grep epochs late.md)"
pneumo export run/best.h5 -o plain.keras >/dev/null 2>log || fail "$(cat log)"
pneumo import plain.keras -o imported.h5 >/dev/null 2>log || fail "$(cat log)"
pneumo evaluate imported.h5 --data data.h5 --fold val --output imported.json --card imported.md >out 2>log ||
    fail "$(cat log)"
/usr/bin/python3 "$check" imported.json imported.md || fail "the card of an import"
! grep -qE '^- [0-9]+ epochs|the best on the validation fold|from fold' imported.md || fail "$(cat imported.md)"
grep -q '^- Training: unknown; this data set may contain its images\.$' imported.md || fail "$(grep Training imported.md)"
[[ $(grep -c 'Seed: unknown\.$' imported.md) == 2 ]] || fail "$(grep Seed imported.md)"
grep -q '^- Threshold 0.5000: 0.5 by default, after import\.$' imported.md || fail "$(grep Threshold imported.md)"

# Other data, of which the patients are unknown.
mkdir -p other/NORMAL other/PNEUMONIA
number=0
for image in phantoms/*/NORMAL/* phantoms/*/PNEUMONIA/*; do
    [[ $image == */NORMAL/* ]] && class=NORMAL || class=PNEUMONIA
    cp "$image" "other/$class/scan-$((number++))-x.${image##*.}"
done
pneumo pack other -o other.h5 --size 32 --folds 40/20/40 --shares stratified >/dev/null 2>log || fail "$(cat log)"
pneumo evaluate run/best.h5 --data other.h5 --output other.json --card other.md >/dev/null 2>log ||
    fail "$(cat log)"
/usr/bin/python3 "$check" other.json other.md || fail "the card of other data"
grep -q '^- Patients: unknown for [0-9]* images' other.md || fail "patients: $(grep -i patient other.md)"
grep -q '^- Training: another data set, digest' other.md || fail "$(grep Training other.md)"
! grep -q 'come from the same data set' other.md || fail "other data are called the same"

# One fold; an average.
pneumo train small.ini --run second --seed 2 --epochs 1 --set evaluate.stress=no >/dev/null 2>log || fail "$(cat log)"
pneumo evaluate run/best.h5 second/best.h5 --fold val --output mean.json --card mean.md >/dev/null 2>log ||
    fail "$(cat log)"
/usr/bin/python3 "$check" mean.json mean.md || fail "the card of an average"
grep -q '^Unknown: none was run' mean.md || fail "it does not say that there is no stress test"
[[ $(grep -c 'Seeds: those of the members\.$' mean.md) == 2 ]] || fail "$(grep Seed mean.md)"
grep -q '^- Average of 2 models' mean.md || fail "$(grep Average mean.md)"

# A card that cannot be written.
mkdir in-the-way.md
if pneumo evaluate run/best.h5 --fold val --card in-the-way.md >/dev/null 2>log; then fail "a folder is written"; fi
[[ $(grep -c error: log) == 1 ]] && grep -q 'error: in-the-way.md: ' log || fail "$(cat log)"

# The check itself fails on a wrong figure, a missing row and a figure of nowhere.
spoil() {
    sed "$1" run/model-card.md >spoilt.md
    ! cmp -s spoilt.md run/model-card.md || fail "'$1' changes nothing"
    ! /usr/bin/python3 "$check" run/report.json spoilt.md >/dev/null 2>&1 || fail "'$1' passes"
}
spoil '0,/^| AUC | 0\.\([0-9]\)/s//| AUC | 1.\1/'
spoil '/^| gamma-1.4 /d'
spoil '/^| balanced accuracy /d'
spoil '/viral pneumonia/d'
spoil 's/^- Users: .*/& 97 of them./'
spoil 's/; none is in two folds/; 3 patients with images in more than one fold/'
