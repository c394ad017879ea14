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

# kill_and_resume RUN FILE JOB OPTION...: kills the training when it has saved, removes the file, and
# resumes it.
kill_and_resume() {
    local run=$1 file=$2 pid
    shift 2
    "$PNEUMO_DIST" train "$@" --run "$run" -t 2 --set run.checkpoint_minutes=0.00001 \
        >/dev/null 2>log &
    pid=$!
    until [[ -e $run/last.h5 ]]; do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
    kill -9 $pid 2>/dev/null || true
    wait $pid 2>/dev/null || true
    rm "$file"
    pneumo train "$@" --run "$run" -t 1 --resume >/dev/null 2>log || fail "$run: $(cat log)"
    grep -q 'resuming after' log || fail "$run was not resumed: $(cat log)"
}

# The run does not need the file: it goes on and predicts without it.
cp source/best.h5 moved.h5
from=(--set model.from=moved.h5 --set train.batch=16)
train whole "${from[@]}" --epochs 3
for count in 2 3; do
    ranks "$count" train small.ini --run "ranks$count" --set evaluate.stress=no -t 1 "${from[@]}" \
        --epochs 3 >/dev/null 2>log || fail "$count ranks: $(cat log)"
    cmp whole/last.h5 "ranks$count/last.h5" || fail "$count ranks train other bits"
done
kill_and_resume parts moved.h5 small.ini --set evaluate.stress=no "${from[@]}" --epochs 3
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
    paste "$1" "$2" | awk '{ d = $1 - $2; if (d < -1e-4 || d > 1e-4) bad = 1; n++ } END { exit bad || n == 0 }'
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
# A base that ends in an image of 1 x 1.
train point "${plain[@]}" --set "model.from=$models/every_layer.keras" --set model.scaling= \
    --set data.size=12 --set model.from_layer=inner_conv
pneumo predict point/best.h5 phantoms >/dev/null || fail "a head on an image of 1 x 1"

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
refuse "'kernel' is 196 x 5 in the file, but 324 x 5 here at data.size = 20: set it to the size" --set "model.from=$keras" \
    --set data.size=20
refuse 'data.train_images = 1: too few for one image of each class' --set data.train_images=1
refuse 'is text, perhaps source code, not a model' --set model.from=small.ini

# --- Weights of other files, layer by layer ---

python=/usr/bin/python3
tools=$PNEUMO_SOURCE/tests
# Nothing changes: all is frozen but the last layer, whose learning rate is nearly 0.
still=(--data data.h5 --epochs 1 -t 1 --set data.size=32 --set data.channels=3 --set model.width=0.1
    --set model.freeze=base --set train.epoch_images=32 --set train.batch=32 --set train.learning_rate=1e-30
    --set train.optimizer=sgd --set train.momentum=0 --set train.ema=0
    --set regularise.weight_decay=0 --set evaluate.stress=no)

# start JOB RUN FILE OPTION...: a training that starts from the file's weights and keeps them.
start() {
    local job=$1 run=$2 file=$3
    shift 3
    pneumo train "$job" "${still[@]}" --weights "$file" --run "$run" "$@" >/dev/null 2>"$run.log" ||
        fail "$run: $(cat "$run.log")"
}
same() { $python "$tools/exchange/same_weights.py" "$1/last.h5" "$2/best.h5" ${3:+"$3"}; }

for job in xception vgg16; do
    pneumo train $job "${still[@]}" --run $job >/dev/null 2>log || fail "$job: $(cat log)"
    $python "$tools/exchange/randomise.py" $job/best.h5
    $python "$tools/exchange/make_official.py" $job/best.h5 $job-files
    for format in keras weights.h5 safetensors; do
        pneumo export $job/best.h5 -o $job-files/export.$format >/dev/null
    done
    for file in $job/best.h5 $job-files/export.{keras,weights.h5,safetensors} $job-files/official.h5; do
        name=$job-${file##*/}
        start $job "$name" "$file"
        same "$name" $job >differ || fail "$name has other weights: $(cat "$name.log")"
        ! grep -q 'left out\|not used' "$name.log" || fail "$(cat "$name.log")"
    done
done
logged xception-official.h5 '(grey - 127.5) / 127.5.*as keras.applications does for this model'
logged vgg16-official.h5 '(grey - 103.939) / 1, (grey - 116.779) / 1, (grey - 123.68) / 1, as keras'
logged vgg16-best.h5 'a checkpoint of job vgg16, model vgg16, epoch 1'

start xception later xception-files/later.h5
same later xception >differ || fail "later: $(cat later.log)"
if grep -q 'left out\|not used' later.log; then fail "$(cat later.log)"; fi

# Batch normalisations 36 and 38 have one shape: only the table tells them apart.
start xception swapped xception-files/swapped.h5
[[ $(same swapped xception || true) == 'batch_normalization_3 block13_sepconv2_bn' ]] ||
    fail "swapped: $(same swapped xception)"

# One plane instead of three: their sum, where all are scaled alike.
start xception folded xception-files/official.h5 --set data.channels=1
same folded xception fold >differ || fail "folded"
logged folded 'images: (grey - 127.5) / 127.5, as'

# Keras 3 counts layers, and also names them since 3.8: a name contradicts the count.
for name in block1_conv1 conv9; do
    cp vgg16-files/export.weights.h5 named.weights.h5
    $python -c "import h5py
h5py.File('named.weights.h5', 'a')['layers/conv2d/vars'].attrs['name'] = '$name'"
    start vgg16 "named-$name" named.weights.h5
done
! grep -q 'left out' named-block1_conv1.log || fail "$(cat named-block1_conv1.log)"
logged named-conv9 'block1_conv1  *left out: not in the file'

# Without the top; with another task; torchvision's layout and scaling; other scaling.
start vgg16 notop vgg16-files/notop.h5
logged notop 'block1_conv1 ... block5_conv3 (13 layers)  *taken'
logged notop 'predictions  *left out: not in the file'
start vgg16 causes vgg16-files/official.h5 --set data.task=cause
logged causes "predictions  *left out: 'kernel' is 48 x 1 in the file, but 48 x 3 here"
start vgg16 torch vgg16-files/torch.safetensors
logged torch "torchvision's VGG16"
logged torch '(grey - 123.675) / 58.395'
[[ $(same torch vgg16 || true) == predictions ]] || fail "torch: $(same torch vgg16)"
start vgg16 scaled vgg16-files/official.h5 --set model.scaling=0..1
logged scaled 'images: (grey - 0) / 255, (grey - 0) / 255, (grey - 0) / 255$'

# The scaling of the weights is part of the run: without the file it scores and resumes as with it.
pneumo train vgg16 "${still[@]}" --weights vgg16-files/official.h5 --run gone >/dev/null 2>&1
pneumo predict gone/best.h5 phantoms >with.csv
rm -r vgg16-files/official.h5
pneumo predict gone/best.h5 phantoms >without.csv
cmp with.csv without.csv || fail "predict needs the file of weights"
pneumo inspect gone/best.h5 | grep 'input  *32 x 32 x 3, (grey - 103.939) / 1, (grey' >/dev/null ||
    fail "inspect does not show the scaling"
for count in 1 3; do
    ranks "$count" train vgg16 "${still[@]}" --weights vgg16-files/notop.h5 --run "notop$count" \
        >/dev/null 2>log || fail "$count ranks: $(cat log)"
done
cmp notop1/last.h5 notop3/last.h5 || fail "3 ranks start with other weights"
cp vgg16-files/notop.h5 moved.h5
longer=(vgg16 "${still[@]}" --weights moved.h5 --epochs 4 --set train.epoch_images=128
    --set model.freeze=block3 --set train.unfreeze_epoch=3 --set train.learning_rate=1e-3)
pneumo train "${longer[@]}" --run whole-weights >/dev/null 2>log || fail "$(cat log)"
kill_and_resume parts-weights moved.h5 "${longer[@]}"
cmp whole-weights/last.h5 parts-weights/last.h5 ||
    fail "a run that was killed and resumed without its file of weights trains other bits"

pneumo doctor vgg16-pretrained --data data.h5 --run doctor --steps 1 >out 2>&1 || true
grep -q 'FAIL .*data/vgg16-imagenet.h5: the file of model.weights does not exist' out ||
    fail "doctor: $(cat out)"

refuse_start() {
    local regex=$1 code=0
    shift
    pneumo train "$@" "${still[@]}" --run none >/dev/null 2>log || code=$?
    printf '%s\n' "$(tail -n 1 log)"
    [[ $code == 1 && $(grep -c 'pneumo-dist: ' log) == 1 && $(tail -n 1 log) =~ $regex ]] ||
        fail "not '$regex': $(cat log)"
    [[ ! -e none ]] || fail "$regex: left a run"
}
refuse_start 'vgg_bn|with batch normalisation \(vgg16_bn, vgg19_bn\)' vgg16 \
    --weights vgg16-files/torch_bn.safetensors
refuse_start 'none of its weights fit the network' vgg16 --weights cnn/best.h5
refuse_start 'does not say how its images are scaled: set model.scaling' cnn-deep-plain \
    --weights vgg16-files/notop.h5
refuse_start 'does not say that its images are scaled one by one' vgg16 --set data.scaling=image \
    --weights vgg16-files/export.weights.h5
