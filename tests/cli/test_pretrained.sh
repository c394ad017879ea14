#!/usr/bin/env bash
# Trainings that start from a file: what is taken, the same bits on any number of ranks and through
# kill and resume, runs that do not need the file afterwards, and files that do not fit.
. "$(dirname "$0")/common.sh"
models=$PNEUMO_SOURCE/tests/golden/keras
make_data >/dev/null
write_small_job

# train FOLDER OPTION...: a short training.
train() {
    local run=$1
    shift
    pneumo train small.ini --run "$run" --set evaluate.stress=no -t 1 "$@" >/dev/null 2>"$run.log" ||
        fail "$run: $(cat "$run.log")"
}
logged() { grep -q -- "$2" "$1.log" || fail "$1: not '$2': $(cat "$1.log")"; }
plain=(--epochs 1 --set train.optimizer=sgd --set regularise.weight_decay=0 --set train.ema=0)

# --- The network of a file with a new head ---

train source --epochs 1
train base --epochs 2 --set model.from=source/best.h5 --set data.task=cause
logged base 'block1_conv1 ... block5_norm2 (20 layers)  *taken$'
logged base 'head  *left out: not in the file'
logged base 'predictions  *not used: the network has no such layer'
logged base 'small: model imported, .* input 32x32x1'

# The run does not need the file: it goes on and predicts without it.
cp source/best.h5 moved.h5
from=(--set model.from=moved.h5 --set train.batch=16)
train whole "${from[@]}" --epochs 3
for count in 2 3; do
    ranks "$count" train small.ini --run "ranks$count" --set evaluate.stress=no -t 1 "${from[@]}" \
        --epochs 3 >/dev/null 2>log || fail "$count ranks: $(cat log)"
    cmp whole/last.h5 "ranks$count/last.h5" || fail "$count ranks train other bits"
done
"$PNEUMO_DIST" train small.ini --run parts --set evaluate.stress=no -t 2 "${from[@]}" --epochs 3 \
    --set run.checkpoint_minutes=0.00001 >/dev/null 2>log &
pid=$!
until [[ -e parts/last.h5 ]]; do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
kill -9 $pid 2>/dev/null || true
wait $pid 2>/dev/null || true
rm moved.h5
train parts "${from[@]}" --epochs 3 --resume
cmp whole/last.h5 parts/last.h5 || fail "a run that was killed and resumed trains other bits"
pneumo predict parts/best.h5 phantoms >/dev/null || fail "predict needs the file"

# --- The whole network, outputs included ---

# With a learning rate of nearly 0 and no batch normalisation, it predicts as the file does.
pneumo train small.ini --run cnn --set model.name=cnn --set evaluate.stress=no --epochs 1 -t 1 \
    >/dev/null 2>&1
train kept "${plain[@]}" --set model.from=cnn/best.h5 --set model.from_layer=output \
    --set train.learning_rate=1e-30
# alike A B: whether the numbers in two files differ by less than 1e-4.
alike() {
    paste "$1" "$2" | awk '{ d = $1 - $2; if (d < -1e-4 || d > 1e-4) exit 1; n++ } END { exit n == 0 }'
}
# logits CHECKPOINT: of the images of data.h5.
logits() {
    pneumo evaluate "$1" --data data.h5 --scores scores.csv >/dev/null 2>&1 || fail "$1: evaluate"
    /usr/bin/python3 -c 'import csv
for row in csv.DictReader(open("scores.csv")): print(row["logit"])'
}
logits cnn/best.h5 >cnn.txt
logits kept/best.h5 >kept.txt
alike cnn.txt kept.txt || fail "from_layer = output does not keep the outputs"

# A layer in the middle; Keras files, whose images another program scaled, at another size.
train middle "${plain[@]}" --set model.from=source/best.h5 --set model.from_layer=block2_norm2
logged middle "block3_conv1 ... predictions (13 layers)  *not used"
train keras "${plain[@]}" --set "model.from=$models/every_layer.keras" --set model.scaling= \
    --set data.size=24
logged keras 'input 24x24x3'

# --- A part of the train fold ---

train few "${plain[@]}" --set data.train_images=60
logged few '; 60 train and'

# --- What does not work: one line, exit code 1, and no run ---

refuse() {
    local regex=$1 code=0
    shift
    pneumo train small.ini --run none --epochs 1 "$@" >/dev/null 2>log || code=$?
    printf '%s\n' "$(tail -n 1 log)"
    [[ $code == 1 && $(wc -l <log) == 1 && $(cat log) =~ $regex ]] || fail "not '$regex': $(cat log)"
    [[ ! -e none ]] || fail "$regex: left a run"
}
keras=$models/sequential.h5
refuse 'gone.h5: cannot open' --set model.from=gone.h5
refuse "cnn/best.h5: has no layer 'conv9' \(model.from_layer\)" --set model.from=cnn/best.h5 \
    --set model.from_layer=conv9
refuse 'the model scales its images itself: omit model.scaling' --set "model.from=$keras" \
    --set model.scaling=tf
refuse 'has 2 outputs, but data.task = pneumonia needs 1' --set "model.from=$keras" \
    --set model.from_layer=output
refuse 'has no description of its network' --set "model.from=$models/every_layer.weights.h5"
refuse "'kernel' is .* in the file, but .* in the network" --set "model.from=$keras" \
    --set data.size=20
refuse 'data.train_images = 1: too few for one image of each class' --set data.train_images=1
refuse 'is text, perhaps source code, not a model' --set model.from=small.ini
