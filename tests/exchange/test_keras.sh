#!/usr/bin/env bash
# A checkpoint of the network of every job as Keras opens it, and what `export` makes of it in Keras,
# ONNX Runtime and safetensors: the same probabilities from the raw images, within 1e-5. Keras and the
# others are installed below the build folder; where the package index cannot be reached the test is
# skipped.
set -euo pipefail
. "$(dirname "$0")/../cli/common.sh"
. "$(dirname "$0")/peers.sh"
room=$PNEUMO_SOURCE/tests/exchange

score() {
    pneumo evaluate "$1/best.h5" --data data.h5 --scores "$1/scores.csv" >/dev/null 2>log ||
        fail "$1: $(cat log)"
}

# make NAME JOB [OPTION...]: trains for a moment, draws other weights, scores and exports them.
make() {
    local name=$1 job=$2
    shift 2
    # A file of weights cannot be had here, and other weights are drawn below.
    grep -q '^weights = ' "$job" && set -- "$@" --set model.weights=
    pneumo train "$job" --data data.h5 --run "$name" --set data.size=32 --set train.batch=16 \
        --set train.lanes=4 --set train.epoch_images=16 --set model.width=0.15 \
        --set evaluate.stress=no --epochs 1 --set train.unfreeze_epoch=0 "$@" \
        >/dev/null 2>log || fail "$name: $(cat log)"
    /usr/bin/python3 "$room/randomise.py" "$name/best.h5"
    score "$name"
    /usr/bin/python3 "$room/randomise.py" "$name/best.h5" "$name/scores.csv"
    score "$name"
    for file in model.keras model.weights.h5 model.safetensors model.onnx; do
        pneumo export "$name/best.h5" -o "$name/$file" >/dev/null 2>log || fail "$name: $(cat log)"
    done
    pneumo export "$name/best.h5" --fold-batchnorm -o "$name/folded.onnx" >/dev/null
}

install_peers
make_data 176 >/dev/null
# network JOB: the lines that determine its layers and its input.
network() {
    sed -n '/^\[model\]/,/^\[/{ /^\(weights\|freeze\) /d; s/^dropout .*/dropout/; /^[a-z]/p }' "$1"
    grep -E '^(channels|scaling|task) ' "$1" | grep -v '^task = pneumonia' || true
}
names=()
declare -A job_of
for job in "$PNEUMO_SOURCE"/jobs/*.ini; do
    [[ -z ${job_of[$(network "$job")]:-} ]] || continue # the network of an earlier one
    job_of[$(network "$job")]=$job
    names+=("$(basename "$job" .ini)")
    make "${names[-1]}" "$job"
done
names+=(image-scaling dense-head)
make image-scaling "$PNEUMO_SOURCE/jobs/cnn.ini" --set data.scaling=image --set data.channels=3
make dense-head "$PNEUMO_SOURCE/jobs/vgg16.ini" --set model.head=dense --set model.normalise=yes \
    --set data.channels=3
"$PNEUMO_BUILD/tests/test_exchange_export" >/dev/null 2>log || fail "$(cat log)" # its files
"$peers/bin/python" "$room/compare_peers.py" "$PNEUMO_SOURCE/tests/golden/keras_config.json" data.h5 \
    "${names[@]}"
