#!/usr/bin/env bash
# calibrate writes a new decision with the same weights: identical from a data set and from two folders,
# and on any number of ranks. Evaluation leaves out the images it used. Nothing is written on failure.
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3
make_data 160
write_small_job
pneumo train small.ini --run run >/dev/null 2>log || fail "$(cat log)"
model=run/best.h5
cp $model before.h5

# Images of another site: other patients, and brighter.
pneumo synth other --images 160 --seed 8 2>/dev/null
mkdir -p site/NORMAL site/PNEUMONIA
$python - <<'PY'
import glob, os
from PIL import Image
for path in glob.glob("other/*/*/*.jpeg"):
    image = Image.open(path).convert("L").point(lambda value: min(255, 40 + value * 9 // 10))
    image.save(os.path.join("site", path.split("/")[2], os.path.basename(path)), quality=95)
PY
pneumo pack site -o site.h5 --size 32 --folds 50/25/25 >/dev/null 2>&1
folders=(--normal site/NORMAL --pneumonia site/PNEUMONIA)

# calibrate CODE ARGUMENT...: expects exit code CODE; writes the table to out and the log to log.
calibrate() {
    local expected=$1 code=0
    shift
    pneumo calibrate "$@" >out 2>log || code=$?
    ((code == expected)) || fail "calibrate $*: exit code $code, not $expected: $(cat log)"
}

# refuse CODE TEXT ARGUMENT...: expects one line that contains TEXT, and no file.
refuse() {
    local code=$1 text=$2
    shift 2
    calibrate "$code" "$@" -o never.h5
    grep "^pneumo-dist: error: " log >errors || fail "$*: no error"
    [[ $(wc -l <errors) == 1 ]] || fail "$*: $(cat log)"
    grep -qF -- "$text" errors || fail "$*: $(cat log)"
    [[ ! -s out && ! -e never.h5 && -z $(find . -name '*.tmp*') ]] || fail "$*: something was written"
}

# --- A data set and two folders ---

calibrate 0 $model -d site.h5 --fold all --rule both -o data.new.h5
cp out data.out
calibrate 0 $model "${folders[@]}" --rule both -o made/folders.new.h5
grep -q "cross-validated" out || fail "$(cat out)"
grep -q "most probable that both 95 % sensitivity and 90 % specificity" out || fail "$(cat out)"
diff <(tail -n +2 data.out) <(tail -n +2 out) || fail "another decision from two folders"
cmp $model before.h5 || fail "the checkpoint was written to"
$python - <<'PY'
import h5py, numpy as np
old, data, folders = (h5py.File(name) for name in ("run/best.h5", "data.new.h5", "made/folders.new.h5"))
def arrays(file):
    found = {}
    for group in ("model_weights", "optimizer"):
        file[group].visititems(lambda name, item: found.__setitem__(group + "/" + name, item[()].tobytes())
                               if isinstance(item, h5py.Dataset) else None)
    return found
assert len(arrays(old)) > 10 and arrays(old) == arrays(data) == arrays(folders)
assert dict(data["decision"].attrs) == dict(folders["decision"].attrs)
assert data["decision"].attrs["threshold"] != old["decision"].attrs["threshold"]
assert "calibration" not in old
images = [file["calibration/images"][:] for file in (data, folders)]
assert (images[0] == images[1]).all() and len(images[0]) == 160
site = h5py.File("site.h5")
assert data["calibration"].attrs["data_digest"] == site.attrs["content_digest"]
assert data["calibration"].attrs["source"] == b"all folds of a data set"
assert folders["calibration"].attrs["source"] == b"two folders"
assert data["calibration"].attrs["normal"] == (site["label"][:] == 0).sum()
# Contains neither names nor numbers of patients.
assert list(folders["calibration"]) == ["images"] and set(folders["calibration"].attrs) == {
    "source", "data_digest", "rule", "target_sensitivity", "target_specificity", "normal", "pneumonia",
    "image_height", "image_width"}
assert b".jpeg" not in open("made/folders.new.h5", "rb").read()
PY
pneumo inspect data.new.h5 >out
grep -q "calibrated .* pneumonia images of 32 x 32 pixels: all folds of a data set" out || fail "$(cat out)"

# --- The decision follows the rule on the scores of evaluate ---

calibrate 0 $model -d site.h5 --rule sensitivity --target-sensitivity 0.9 -o val.new.h5
pneumo evaluate $model -d site.h5 --scores scores.csv >/dev/null 2>log
$python - <<'PY'
import csv, h5py, numpy as np
rows = [row for row in csv.DictReader(open("scores.csv")) if row["fold"] == "VAL"]
decision = h5py.File("val.new.h5")["decision"].attrs
logit = np.array([float(row["logit"]) for row in rows]) / decision["temperature"]
positive = np.array([row["label"] == "PNEUMONIA" for row in rows])
called = 1 / (1 + np.exp(-logit)) >= decision["threshold"]
assert (called & positive).sum() / positive.sum() >= 0.9
# A higher threshold would miss the target or gain nothing.
normal = np.sort(logit[~positive & called])
if len(normal):
    higher = logit > normal[0]
    assert (higher & positive).sum() / positive.sum() < 0.9
PY

# --- Ranks and threads ---

for count in 1 3; do
    ranks $count calibrate $model "${folders[@]}" --rule both -o "ranks$count.h5" --threads 1 >out 2>log ||
        fail "ranks: $count: $(cat log)"
    cmp "ranks$count.h5" made/folders.new.h5 || fail "ranks: $count: another checkpoint"
    diff <(tail -n +2 data.out) <(tail -n +2 out) || fail "ranks: $count: another table"
done

# --- Drawing ---

calibrate 0 $model -d site.h5 --fold all -n 20 --seed 5 -o drawn.h5
grep -q "drawn by seed 5: 20 normal and 20 pneumonia" out || fail "$(cat out)"
calibrate 0 $model "${folders[@]}" -n 20 --seed 5 -o again.h5
$python - <<'PY'
import h5py
a, b = (h5py.File(name)["calibration/images"][:] for name in ("drawn.h5", "again.h5"))
assert a.shape == (40, 16) and (a == b).all()
PY
calibrate 0 $model -d site.h5 --fold all -n 20 --seed 6 -o again.h5
! h5diff -q drawn.h5 again.h5 /calibration/images || fail "another seed drew the same"
refuse 1 "100 images of each class cannot be drawn" $model -d site.h5 --fold all -n 100

# Of a data set without a val fold, all images are used.
pneumo pack site -o whole.h5 --size 32 --folds 100/0/0 >/dev/null 2>&1
calibrate 0 $model -d whole.h5 --rule both -o whole.new.h5
h5diff -q whole.new.h5 made/folders.new.h5 /decision || fail "another decision from one fold"
# A second calibration replaces the first, whose images are counted.
calibrate 0 drawn.h5 "${folders[@]}" --rule both -o twice.h5
grep -q "^'before' was chosen on 40 of these images, too.$" out || fail "$(cat out)"
h5diff -q twice.h5 made/folders.new.h5 /calibration || fail "the first calibration is still there"
# same_images A B: h5diff takes arrays of different lengths for alike.
same_images() {
    $python -c 'import sys, h5py
a, b = (h5py.File(name)["calibration/images"][:] for name in sys.argv[1:])
assert a.shape == b.shape and (a == b).all(), (a.shape, b.shape)' "$1" "$2"
}
same_images twice.h5 made/folders.new.h5 || fail "images of the first calibration are still there"

# --- Evaluation leaves the images out ---

calibrate 0 $model -d site.h5 --fold val -n 12 -o part.h5
pneumo evaluate part.h5 -d site.h5 -o part.json --scores part.csv >out 2>log || fail "$(cat log)"
grep -q "validation fold: left out: 24 images of patients with images that calibration used" log || fail "$(cat log)"
grep -q "WARNING: val fold: 24 images of patients with images that calibration used are left out" out ||
    fail "$(cat out)"
ranks 3 evaluate part.h5 -d site.h5 --scores ranks.csv >/dev/null 2>&1
cmp part.csv ranks.csv || fail "3 ranks leave out others"
# The stress test and the count of images unlike the training images leave out the same ones.
for count in 1 3; do
    ranks $count evaluate part.h5 -d site.h5 --fold val --stress -o stress.json >out 2>log || fail "$(cat log)"
    $python - <<'PY'
import csv, json
fold = json.load(open("stress.json"))["folds"]["val"]
scored = sum(row["fold"] == "VAL" for row in csv.DictReader(open("part.csv")))
stress = fold["stress"]
assert (stress["images"], stress["fold_images"]) == (scored, scored), stress
for row in stress["rows"]:
    assert sum(row["confusion"].values()) == scored, row
assert stress["rows"][0]["auc"] == fold["chosen"]["auc"], "unchanged images have other figures"
assert fold["outside"]["count"] <= scored
PY
done
$python - <<'PY'
import csv, json, h5py
folds = json.load(open("part.json"))["folds"]
assert folds["val"]["left_out"] == 24 and folds["test"]["left_out"] == 0
assert json.load(open("part.json"))["decision"]["fold"] == "calibration"
count = sum(row["fold"] == "VAL" for row in csv.DictReader(open("part.csv")))
everything = sum(row["fold"] == "VAL" for row in csv.DictReader(open("scores.csv")))
assert count == everything - 24, (count, everything)
PY
# Other images of the same patients are left out, too: of 12 patients of each class, if possible with several
# images, only the first image is used.
$python - <<'PY'
import collections, h5py, json, os, shutil
site = h5py.File("site.h5")
patients, folds, names = list(site["patient"][:]), site["fold"][:], site["name"].asstr()[:]
sizes, used = collections.Counter(patients), set()
for label, folder in ((0, "NORMAL"), (1, "PNEUMONIA")):
    os.makedirs("first/" + folder)
    firsts = [i for i, patient in enumerate(patients) if site["label"][i] == label and patients.index(patient) == i]
    for i in sorted(firsts, key=lambda i: -sizes[patients[i]])[:12]:
        shutil.copy("site/" + names[i], "first/" + folder)
        used.add(patients[i])
expected = {fold: sum(int(folds[i] == number and patient in used) for i, patient in enumerate(patients))
            for number, fold in ((1, "val"), (2, "test"))}
assert sum(expected.values()) > 24, expected
json.dump(expected, open("expected.json", "w"))
PY
calibrate 0 $model --normal first/NORMAL --pneumonia first/PNEUMONIA -o first.h5
pneumo evaluate first.h5 -d site.h5 -o first.json >/dev/null 2>log || fail "$(cat log)"
$python - <<'PY'
import json
folds = json.load(open("first.json"))["folds"]
assert {name: fold["left_out"] for name, fold in folds.items()} == json.load(open("expected.json")), folds
PY
# Counting a look at the test fold keeps the calibration.
calibrate 0 $model -d data.h5 -o own.h5
grep -q "^'before' was chosen on [0-9]* of these images, too.$" out || fail "$(cat out)"
pneumo evaluate own.h5 >out 2>log || fail "$(cat log)"
all="all its NORMAL images are of patients with images that calibration used"
grep -q "its val fold is left out: $all" log || fail "$(cat log)"
pneumo inspect own.h5 >out
grep -q "^  calibrated" out || fail "the calibration is gone"
code=0
pneumo evaluate own.h5 --fold val >out 2>log || code=$?
((code == 1)) || fail "exit code $code"
grep -q "error: .*data.h5: its val fold cannot be evaluated: $all" log || fail "$(cat log)"
# Images packed at another size cannot be recognised, and the report says so.
pneumo pack site -o large.h5 --size 48 --folds 50/25/25 >/dev/null 2>&1
pneumo evaluate part.h5 -d large.h5 >out 2>log || fail "$(cat log)"
grep -q "WARNING: images used for calibration cannot be recognised" out || fail "$(cat out)"

# --- Images of the training ---

# They are recognised in folders and in data sets with other folds.
for class in NORMAL PNEUMONIA; do
    mkdir -p seen/$class
    cp phantoms/*/$class/*.jpeg seen/$class
done
pneumo pack phantoms -o folds.h5 --size 32 --seed 9 >/dev/null 2>&1
seen=(--normal seen/NORMAL --pneumonia seen/PNEUMONIA)
refuse 1 "136 of 160 images are in the train or test fold of data.h5, which the model was trained on, for example seen/" \
    $model "${seen[@]}"
refuse 1 "136 of 160 images are in the train or test fold" $model -d folds.h5 --fold all
refuse 1 "images are in the train or test fold" $model -d folds.h5
# Where they are not recognised, a warning says so.
warning="warning: the images cannot be compared with those of the training"
pneumo pack phantoms -o large-data.h5 --size 48 >/dev/null 2>&1
calibrate 0 $model -d large-data.h5 -o warned.h5
grep -qF "$warning (those in data.h5 are packed to 32 x 32 pixels, these to 48 x 48): if they include" log ||
    fail "$(cat log)"
mv data.h5 moved.h5
calibrate 0 $model "${seen[@]}" -o warned.h5
grep -qF "$warning (data.h5: cannot open: " log || fail "$(cat log)"
calibrate 0 $model -d moved.h5 -o warned.h5
! grep -q warning: log || fail "$(cat log)"
cp folds.h5 data.h5
calibrate 0 $model "${folders[@]}" -o warned.h5
grep -qF "$warning (data.h5 is not the data set that the model was trained on)" log || fail "$(cat log)"
mv moved.h5 data.h5

# --- Patients of folders ---

# 20 images of each class under names that tell nothing, or that a pattern understands: 5 normal patients
# and 20 others.
mkdir -p plain/normal plain/ill named/normal named/ill
i=0
for path in $(ls site/NORMAL/*.jpeg | sed -n 1,20p); do
    cp "$path" "plain/normal/scan$(printf "\\$(printf %o $((97 + i)))")x.jpeg"
    cp "$path" "named/normal/site$((i / 4))_$i.jpeg"
    i=$((i + 1))
done
for path in $(ls site/PNEUMONIA/*.jpeg | sed -n 1,20p); do
    cp "$path" "plain/ill/scan$(printf "\\$(printf %o $((77 + i)))")y.jpeg"
    cp "$path" "named/ill/site${i}_0.jpeg"
    i=$((i + 1))
done
calibrate 0 $model --normal plain/normal --pneumonia plain/ill -o plain.new.h5
[[ $(grep -c "warning: the patient of 40 of 40 images is unknown, for example of plain/normal/scanax.jpeg" log) == 1 ]] ||
    fail "$(cat log)"
grep -q "in the whole source the patient of 40 images is unknown" out || fail "$(cat out)"
! grep -qE "of [0-9]+ patients|whole patients" out || fail "$(cat out)"
calibrate 0 $model --normal named/normal --pneumonia named/ill --patient-pattern '(site[0-9]+)_' -o named.new.h5
grep -q "20 normal and 20 pneumonia, of 25 patients (patient by pattern" out || fail "$(cat out)"
grep -q "5 parts of whole patients" out || fail "$(cat out)"
! grep -q warning: log || fail "$(cat log)"
refuse 1 "the pattern of patients 'ward([0-9]+)' matches none of the paths" $model --normal named/normal \
    --pneumonia named/ill --patient-pattern 'ward([0-9]+)'
refuse 2 "group" $model --normal named/normal --pneumonia named/ill --patient-pattern 'site[0-9]+'
refuse 2 "--patient-pattern applies to folders" $model -d site.h5 --patient-pattern '(site[0-9]+)_'
# A copy in another quality is of the same patient, whatever its name.
$python - <<'PY'
from PIL import Image
Image.open("named/ill/site25_0.jpeg").save("named/ill/site99_0.jpeg", quality=60)
PY
calibrate 0 $model --normal named/normal --pneumonia named/ill --patient-pattern '(site[0-9]+)_' -o copy.new.h5
grep -q "20 normal and 21 pneumonia, of 25 patients" out || fail "$(cat out)"
grep -q "warning: 1 pair of images is almost the same but of different patients, for example" log || fail "$(cat log)"

# --- Files that are not images, and duplicates ---

cp -r site odd
echo 'not an image' >odd/NORMAL/notes.txt
refuse 1 "odd/NORMAL/notes.txt: not a JPEG, PNG or DICOM" $model --normal odd/NORMAL --pneumonia odd/PNEUMONIA
ranks 3 calibrate $model --normal odd/NORMAL --pneumonia odd/PNEUMONIA -o never.h5 >out 2>log &&
    fail "3 ranks: a bad file is no error"
[[ $(grep -c "^pneumo-dist: error: .*odd/NORMAL/notes.txt: not a" log) == 1 ]] || fail "$(cat log)"
[[ ! -s out && ! -e never.h5 ]] || fail "3 ranks: something was written"
twins=(odd/PNEUMONIA/*.jpeg)
twin=${twins[0]}
cp "$twin" odd/PNEUMONIA/zz-twin.jpeg
calibrate 0 $model --normal odd/NORMAL --pneumonia odd/PNEUMONIA --skip-bad --rule both -o odd.h5
grep -q "^exact duplicates left out: 1$" out || fail "$(cat out)"
grep -q "^unreadable files left out: 1$" out || fail "$(cat out)"
grep -q "notes.txt.*it is left out" log || fail "$(cat log)"
same_images odd.h5 made/folders.new.h5 || fail "duplicates and bad files count"
cp "$twin" odd/NORMAL/twin.jpeg
refuse 1 "are the same image under two labels" $model --normal odd/NORMAL --pneumonia odd/PNEUMONIA --skip-bad

# --- Too few images, and wrong usage ---

mkdir few
normals=(site/NORMAL/*.jpeg)
cp "${normals[@]:0:9}" few
refuse 1 "few: there are 9 normal images to calibrate by; at least 10" $model --normal few --pneumonia site/PNEUMONIA
refuse 1 "the model was trained on this data set" $model -d data.h5 --fold all
refuse 1 "nowhere.h5" $model -d nowhere.h5
refuse 1 "nowhere.h5" nowhere.h5 -d site.h5
refuse 1 "nowhere: is not a folder" $model --normal nowhere --pneumonia site/PNEUMONIA
refuse 2 "--normal and --pneumonia must be given together" $model --normal few
refuse 2 "no images were given" $model
refuse 2 "cannot be given together" $model -d site.h5 "${folders[@]}"
refuse 2 "--fold: unknown fold 'tset'; choices are train, val, test, all" $model -d site.h5 --fold tset
refuse 2 "--rule: unknown rule 'youden'; choices are sensitivity, both" $model -d site.h5 --rule youden
refuse 2 "--images '9' is not a whole number from 10" $model -d site.h5 -n 9
refuse 2 "--target-sensitivity '95'" $model -d site.h5 --target-sensitivity 95
refuse 2 "rule 'both' requires targets below 1" $model -d site.h5 --rule both --target-sensitivity 1
refuse 2 "unknown option '--colour'" $model -d site.h5 --colour
refuse 2 "missing argument CHECKPOINT" -d site.h5
calibrate 2 $model -d site.h5
grep -q "missing option '--output FILE'" log || fail "$(cat log)"
cp $model same.h5
calibrate 1 same.h5 -d site.h5 -o ./same.h5
grep -q "^pneumo-dist: error: ./same.h5: is an input of this command and would be overwritten" log || fail "$(cat log)"
cmp same.h5 $model
