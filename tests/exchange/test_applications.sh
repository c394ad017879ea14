#!/usr/bin/env bash
# VGG16, VGG19 and Xception of keras.applications with random weights: trainings that start from their
# weights, in every layout in which these are found, and change nothing score images as Keras does,
# within 1e-5. Needs Keras as exchange/test_keras does. By default at small sizes and without those layouts
# that cli/test_pretrained reads too; PNEUMO_APPLICATIONS=full takes all layouts of all three at the
# published sizes, 224 and 299, which takes an hour.
set -euo pipefail
. "$(dirname "$0")/../cli/common.sh"
. "$(dirname "$0")/peers.sh"
python=$peers/bin/python
install_peers

declare -A sizes=([vgg16]=64 [vgg19]=64 [xception]=71)
models=(vgg16 xception)
declare -A few=([vgg16]=torch.safetensors [xception]='official.h5 swapped.h5 model.keras')
if [[ ${PNEUMO_APPLICATIONS:-} == full ]]; then
    sizes=([vgg16]=224 [vgg19]=224 [xception]=299)
    models=(vgg16 vgg19 xception)
    few=()
fi

pneumo synth phantoms --images 100 --seed 3 >/dev/null 2>&1

# start MODEL FILE: one step from the file that changes no weight, nor the moving statistics.
start() {
    local model=$1 file=$2 name
    name=$(basename "$file")
    pneumo train "$model" --data "$model.h5" --weights "$file" --run "$model-runs/$name" \
        --set data.size="${sizes[$model]}" --set data.channels=3 --set data.task=cause \
        --set data.balance=none --set data.scaling=fold --set model.head=dense \
        --set model.dropout=0 --set model.freeze=base \
        --set train.batch=8 --set train.lanes=4 --set train.epoch_images=8 --set train.epochs=1 \
        --set train.optimizer=sgd --set train.momentum=0 --set train.ema=0 \
        --set train.learning_rate=1e-30 --set train.warmup_epochs=0 --set train.monitor=loss \
        --set regularise.weight_decay=0 --set evaluate.stress=no \
        --set evaluate.threshold_on=validation --set evaluate.views=plain >/dev/null 2>log ||
        fail "$model from $name: $(cat log)"
    if grep -q 'left out\|not used' log; then fail "$model from $name: $(cat log)"; fi
    if [[ $name != *.safetensors ]]; then
        grep -q 'as keras.applications does for this model' log ||
            fail "$model from $name: $(cat log)"
    fi
    rm "$model-runs/$name"/*.h5
}

for model in "${models[@]}"; do
    pneumo pack phantoms -o "$model.h5" --size "${sizes[$model]}" >/dev/null 2>&1
    "$python" "$PNEUMO_SOURCE/tests/exchange/applications.py" make "$model" "$model" "$model.h5" \
        >log 2>&1 || fail "$model: $(cat log)"
    runs=()
    for file in "$model"/*.{h5,keras,safetensors}; do
        [[ -e $file ]] || continue
        [[ -z ${few[$model]:-} || " ${few[$model]} " == *" ${file##*/} "* ]] || continue
        start "$model" "$file"
        runs+=("$model-runs/$(basename "$file")")
    done
    "$python" "$PNEUMO_SOURCE/tests/exchange/applications.py" compare "$model.h5" "$model" 1e-5 \
        "${runs[@]}"
done
