#!/usr/bin/env bash
# import: a Keras model becomes a checkpoint that the other commands use; broken and hostile files
# give one line each and take little memory.
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3
models=$PNEUMO_SOURCE/tests/golden/keras

# --- Models that work ---

pneumo synth phantoms --images 60 --seed 3 2>/dev/null

pneumo import "$models/every_layer.keras" -o three.h5 >out || fail "import of .keras"
grep -q 'images of 32 x 32 x 3, task cause' out || fail "summary: $(cat out)"
pneumo import "$models/every_layer.weights.h5" --like "$models/every_layer.json" -o again.h5 >/dev/null
pneumo import "$models/sequential.h5" -o two.h5 >/dev/null || fail "import of .h5"
pneumo import "$models/sequential.h5" --positive 0 -o swapped.h5 >/dev/null

pneumo predict three.h5 phantoms >three.csv
pneumo predict again.h5 phantoms >again.csv
cmp three.csv again.csv || fail "weights alone give other predictions"

# Keras 2.13 has another name for the group of layers, and counts those with weights twice.
$python - "$models/every_layer.weights.h5" <<'PY'
import sys
import h5py


def copy(source, target):
    for name, item in source.items():
        if name != "layers":
            source.copy(name, target)
            continue
        layers = target.create_group("_layer_checkpoint_dependencies")
        for layer in item:
            stem, _, number = layer.rpartition("_")
            renamed = f"{stem}_{2 * int(number)}" if number.isdigit() else layer
            copy(item[layer], layers.create_group(renamed))


with h5py.File(sys.argv[1]) as source, h5py.File("old.weights.h5", "w") as target:
    copy(source, target)
PY
mkdir old
pneumo import old.weights.h5 --like "$models/every_layer.json" -o old/again.h5 >/dev/null ||
    fail "weights of Keras 2.13"
cmp again.h5 old/again.h5 || fail "weights of Keras 2.13 are read as others"

# probabilities FILE: of the rows, which begin with a path.
probabilities() { tail -n +2 "$1" | cut -d, -f2; }
pneumo predict two.h5 phantoms >two.csv
pneumo predict swapped.h5 phantoms >swapped.csv
paste <(probabilities two.csv) <(probabilities swapped.csv) |
    awk '{ d = $1 + $2 - 1; if (d < -1e-5 || d > 1e-5) bad = 1; n++ } END { exit bad || n == 0 }' ||
    fail "--positive 0 is not the other output"

pneumo inspect three.h5 >about || fail "inspect"
for line in 'model +imported' 'seed +unknown' 'lanes +unknown' 'test fold +evaluations are not counted: .*'; do
    grep -qE "^  $line$" about || fail "inspect has no '$line': $(cat about)"
done
pneumo explain three.h5 phantoms/*/*/* -o maps >/dev/null 2>&1 || fail "explain"
pneumo pack phantoms -o data.h5 --size 40 >/dev/null 2>&1
pneumo evaluate two.h5 --data data.h5 --output two.json >out 2>&1 || fail "evaluate"
grep -q '"test_looks":[[:space:]]*null,' two.json || fail "evaluations are counted: $(grep test_looks two.json)"
grep -q "^WARNING: the data set of the training is unknown" out || fail "$(cat out)"
! pneumo ensemble two.h5 swapped.h5 -o both.h5 --data data.h5 2>log || fail "an average of imports"
grep -q '^pneumo-dist: error: two.h5: an imported model cannot be averaged' log || fail "$(cat log)"
[[ ! -e both.h5 ]] || fail "an average of imports was written"
pneumo export two.h5 -o out.keras >/dev/null || fail "export"
pneumo import out.keras -o back.h5 >/dev/null || fail "import of an export"
pneumo predict back.h5 phantoms >back.csv
paste <(probabilities two.csv) <(probabilities back.csv) |
    awk '{ d = $1 - $2; if (d < -1e-5 || d > 1e-5) exit 1 }' || fail "export and import differ"

# --- Files that cannot be read ---

# refuse CASE CODE REGEX ARGUMENT...: expects one line and no output file, within 2 GB of memory.
refuse() {
    local case=$1 expected=$2 regex=$3 code=0 line
    shift 3
    # The sanitizers reserve much more address space than they use.
    (((sanitized)) || ulimit -v 2000000
     pneumo import "$@" -o refused.h5) >log 2>&1 || code=$?
    line=$(cat log)
    printf '%-24s | %d | %s\n' "$case" "$code" "${line#pneumo-dist: error: }"
    ((code == expected)) || fail "$case: exit code $code: $line"
    [[ $(wc -l <log) == 1 && $line =~ $regex ]] || fail "$case: not '$regex': $line"
    [[ ! -e refused.h5 ]] || fail "$case: wrote a file"
}

$python "$PNEUMO_SOURCE/tests/exchange/make_broken.py" "$models"

pneumo import good.h5 --scaling 0..1 -o good-imported.h5 >/dev/null || fail "the model that cases vary"
refuse "Git LFS pointer" 1 'lfs.h5: is a Git LFS pointer' lfs.h5
refuse "web page" 1 'page.h5: is a web page' page.h5
refuse "Python source" 1 'source.h5: is text, perhaps source' source.h5
refuse "one byte" 1 'byte.keras: has 1 byte' byte.keras
refuse "empty" 1 'empty.h5: has 0 bytes' empty.h5
refuse "missing" 1 'none.h5: cannot open' none.h5
refuse "ZIP without directory" 1 'cut.keras: is a ZIP file without its directory' cut.keras
refuse "HDF5 cut short" 1 'cut.h5: .*(damaged|cut short|incomplete)' cut.h5
refuse "ZIP bomb" 1 "bomb.keras: 'config.json' has 268435456 bytes" bomb.keras
refuse "ZIP of something else" 1 "photos.keras: .* no 'config.json'" photos.keras
refuse "weights as npz" 1 "npz.keras: has no 'model.weights.h5'" npz.keras
refuse "HDF5 of something else" 1 'other.h5: .* not of Keras' other.h5
refuse "class not supported" 1 "lambda.h5: layer 'x' \(Lambda\): this class is not supported" lambda.h5
refuse "two channels" 1 'planes.h5: the model takes images of 2 channels; 1 \(grey\) or 3' planes.h5 --scaling 0..1
refuse "deep JSON" 1 'deep.h5: .* nested too deeply' deep.h5
refuse "soft-link loop" 1 "loop.h5: array .* is missing" loop.h5 --scaling 0..1
refuse "external link" 1 "link.h5: array .* is missing" link.h5 --scaling 0..1
refuse "external data" 1 "external.h5: array .* is incomplete" external.h5 --scaling 0..1
refuse "shape that overflows" 1 "huge.h5: array .* is incomplete" huge.h5 --scaling 0..1
refuse "other shape" 1 "shape.h5: layer 'x': 'kernel' is 63 x 1 in the file, but 64 x 1" shape.h5 --scaling 0..1
refuse "array missing" 1 "missing.h5: layer 'x': the file has 1 array, but the network needs 2" missing.h5 --scaling 0..1
refuse "layer too large" 1 "wide.h5: layer 'wide': the network has more weights than the file" wide.h5 --scaling 0..1
refuse "units that overflow" 1 "units.h5: layer 'x' \(Dense\): 'units' is 2147483647; 1 to" units.h5 --scaling 0..1
refuse "padding too large" 1 "padded.h5: layer 'x': its output of 30008 x 30008 x 1 is too large" padded.h5 --scaling 0..1
refuse "texts that share bytes" 1 'alias.h5: an attribute has more text than the file' alias.h5 --scaling 0..1
refuse "no scaling" 1 'good.h5: the model does not say how its images are scaled' good.h5
refuse "unknown scaling" 2 "unknown scaling 'zero'" good.h5 --scaling zero
refuse "two scalings" 1 'every_layer.h5: the model scales its images itself' "$models/every_layer.h5" --scaling tf
refuse "no network" 1 'every_layer.weights.h5: has weights, but no description' "$models/every_layer.weights.h5"
refuse "network of another model" 1 "every_layer.weights.h5: " "$models/every_layer.weights.h5" --like good.h5 --scaling tf
refuse "no weights" 1 'every_layer.json: holds no weights' "$models/every_layer.json"
