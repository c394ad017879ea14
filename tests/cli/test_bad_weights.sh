#!/usr/bin/env bash
# model.weights and model.from of files that are no models, broken or hostile: one line each, exit code
# 1, no run left behind, and little memory.
. "$(dirname "$0")/common.sh"
models=$PNEUMO_SOURCE/tests/golden/keras
make_data 60 >/dev/null
/usr/bin/python3 "$PNEUMO_SOURCE/tests/exchange/make_broken.py" "$models"

# refuse KEY FILE REGEX
refuse() {
    local code=0 line
    # The sanitizers reserve much more address space than they use.
    (((sanitized)) || ulimit -v 2000000
     pneumo train mlp2 --data data.h5 --run none -t 1 --epochs 1 --set data.size=8 \
         --set model.scaling=0..1 --set "model.$1=$2") >log 2>&1 || code=$?
    line=$(cat log)
    printf '%-8s %-24s | %d | %s\n' "$1" "$2" "$code" "${line#pneumo-dist: error: }"
    [[ $code == 1 && $(wc -l <log) == 1 && $line =~ $3 ]] || fail "$1 $2: not '$3': $line"
    [[ ! -e none ]] || fail "$1 $2: left a run"
}

for key in weights from; do
    refuse $key lfs.h5 'is a Git LFS pointer'
    refuse $key page.h5 'is a web page'
    refuse $key source.h5 'is text, perhaps source'
    refuse $key byte.keras 'has 1 byte'
    refuse $key empty.h5 'has 0 bytes'
    refuse $key none.h5 'cannot open'
    refuse $key cut.keras 'is a ZIP file without its directory'
    refuse $key cut.h5 'damaged|cut short|incomplete'
    refuse $key bomb.keras "'config.json' has 268435456 bytes"
    refuse $key photos.keras "no 'config.json'"
    refuse $key npz.keras "has no 'model.weights.h5'"
    refuse $key other.h5 'not of Keras'
    refuse $key lambda.h5 "\(Lambda\): this class is not supported"
    refuse $key deep.h5 'nested too deeply'
    refuse $key loop.h5 'array .* is missing'
    refuse $key link.h5 'array .* is missing'
    refuse $key external.h5 'array .* is incomplete'
    refuse $key huge.h5 'array .* is incomplete'
    refuse $key missing.h5 'has 1 array, but the network needs 2'
    refuse $key wide.h5 'has more weights than the file'
    refuse $key padded.h5 'is too large'
    refuse $key alias.h5 'has more text than the file'
done
refuse weights long.safetensors 'its header is longer than the file'
refuse weights deep.safetensors 'nested too deeply'
refuse weights overflow.safetensors "array 'x/kernel' is not valid"
refuse weights outside.safetensors "array 'x/kernel' is not valid"
refuse weights backwards.safetensors "array 'x/kernel' is not valid"
refuse weights negative.safetensors "array 'x/kernel' is not valid"
refuse weights integers.safetensors "not of type F32, F16 or BF16"
refuse weights names.safetensors "no names of torchvision's VGG16 or VGG19"
refuse weights "$models/every_layer.json" 'has no weights'
