#!/usr/bin/env bash
# pack: folders and names as users have them.
source "$(dirname "$0")/common.sh"

pneumo synth phantoms --images 160 --seed 5 2>/dev/null

# copy_names FROM FORMAT TO: copies the images FROM/* to TO, each under a name that `printf FORMAT`
# makes of a running number, five to a patient.
copy_names() {
    local i=0 file
    mkdir -p "$3"
    for file in "$1"/*; do
        # shellcheck disable=SC2059
        cp "$file" "$3/$(printf "$2" "$((i / 5))" "$((i % 5))")"
        i=$((i + 1))
    done
}

# expect_lines FILE LINE...: the file has lines that match these patterns.
expect_lines() {
    local file=$1 line
    shift
    for line; do grep -qE -- "$line" "$file" || fail "no line '$line' in: $(cat "$file")"; done
}

# Names of NIH ChestX-ray14: no patient is in two folds.
copy_names phantoms/train/NORMAL '%08d_%03d.png' nih/NORMAL
copy_names phantoms/train/PNEUMONIA '0001%04d_%03d.png' nih/PNEUMONIA
pneumo pack nih -o nih.h5 --size 32 >out 2>err
expect_lines out '^fold .* patients' '^patients +patient by file name, duplicates as one$' \
    '^folds +by patient, 70/15/15'
! grep -q unknown err || fail "$(cat err)"
/usr/bin/python3 - nih.h5 <<'PY'
import sys
import h5py
file = h5py.File(sys.argv[1])
folds = {}
for name, fold, patient in zip(file["name"][:], file["fold"][:], file["patient"][:]):
    key = name.decode().split("/")[1].split("_")[0]
    folds.setdefault(key, set()).add((int(fold), int(patient)))
assert len(folds) >= 30 and all(len(found) == 1 for found in folds.values()), folds
PY

# Unknown names: said on packing, recorded, and no output speaks of patients.
copy_names phantoms/train/NORMAL 'scan-%d-%d.jpeg' odd/NORMAL
copy_names phantoms/train/PNEUMONIA 'scan-%d-%d.jpeg' odd/PNEUMONIA
pneumo pack odd -o odd.h5 --size 32 >out 2>err
expect_lines out '^fold .* groups' '^patients +unknown, each image as one' '^folds +by group, 70'
expect_lines err 'the patient of 160 of 160 images is unknown, for example of (NORMAL|PNEUMONIA)/scan'
pneumo inspect odd.h5 >out
expect_lines out 'the patient of 160 images is unknown' 'label .* groups'
write_small_job
pneumo train small.ini --run run --data odd.h5 --epochs 1 --set evaluate.stress=no >out 2>err ||
    fail "$(cat err)"
expect_lines out 'the patient of 160 images of the data set is unknown'
for file in out run/report.json run/report.html run/model-card.md; do
    ! sed 's/<style>.*//' "$file" | grep -i 'patients' | grep -v 'unknown_patients\|<dt>patients</dt><dd>unknown\|new patients\|^- Patients: unknown' ||
        fail "$file speaks of patients"
done

# Appending: the old set says how many of its patients are unknown, but not which.
cp -r phantoms mixed
mv "$(find mixed/train/NORMAL -type f | sort | sed -n 1p)" mixed/train/NORMAL/scan.jpeg
pneumo synth more --images 20 --seed 6 2>/dev/null
for file in more/train/*/*; do mv "$file" "$(sed -E 's/(IM-|person)/&9/' <<<"$file")"; done
pneumo pack mixed -o mixed.h5 --size 32 >out 2>err
expect_lines err 'the patient of 1 of 160 images is unknown, for example of train/NORMAL/scan.jpeg: each'
pneumo pack more -o both.h5 --size 32 --append mixed.h5 >out 2>err || fail "$(cat err)"
expect_lines err 'the patient of 1 of 180 images is unknown: each of them'
expect_lines out '^patients +patient by file name; 1 unknown$'
pneumo pack more -o both.h5 --size 32 --append mixed.h5 --patient-pattern 'x([0-9])' >out 2>err ||
    fail "the new images' names tell their patients: $(cat err)"

# The same with a pattern: the folds change, since images of a patient stay together.
pneumo pack odd -o pattern.h5 --size 32 --patient-pattern '([A-Z]+/scan-[0-9]+)-' >out 2>err
expect_lines out '^fold .* patients' '^patients +patient by pattern'
! grep -q unknown err || fail "$(cat err)"
pneumo pack odd -o none.h5 --size 32 --patient-pattern 'x([0-9])' 2>err && fail "a pattern without use"
# A pattern that is none is a usage error, found before anything is read.
status=0
pneumo pack nowhere -o none.h5 --patient-pattern '(' 2>bad || status=$?
[[ $status == 2 ]] || fail "status $status of a bad pattern"
expect_lines bad "the pattern of patients '\(' is not a regular expression"
expect_lines err "'x\(\[0-9\]\)' matches none of the paths"
[[ ! -e none.h5 ]] || fail "a file is left"

# Copies that were changed and stored again: joined, and said if folds are kept.
mkdir -p copies/train copies/test/NORMAL copies/test/PNEUMONIA
cp -r odd/NORMAL odd/PNEUMONIA copies/train
/usr/bin/python3 - <<'PY'
from PIL import Image
for label in "NORMAL", "PNEUMONIA":
    for i in 1, 2:
        image = Image.open(f"copies/train/{label}/scan-0-{i}.jpeg").resize((300, 280))
        image.point(lambda grey: 0.9 * grey).save(f"copies/test/{label}/other-{i}.jpeg", quality=40)
PY
pneumo pack copies -o copies.h5 --size 32 --folds keep >out 2>err
expect_lines out '^copies +4 pairs of images that are almost the same, 4 of them of two groups'
expect_lines err '4 pairs .* different groups, for example test/NORMAL/other-1.jpeg and train' \
    '4 pairs .* in different folds of the folder, for example' '4 groups have images in two' \
    'the fold VAL is empty: training on this data set cannot choose'
pneumo pack copies -o copies.h5 --size 32 >out 2>err
! grep -q 'in different folds' err || fail "$(cat err)"

# Nothing is left out in silence: each kind with its number, an example, and what takes it.
mkdir -p rest/train/{NORMAL,PNEUMONIA,COVID19} rest/train/NORMAL/more
cp phantoms/train/NORMAL/* rest/train/NORMAL
cp phantoms/train/PNEUMONIA/* rest/train/PNEUMONIA
/usr/bin/python3 - <<'PY'
import random
from PIL import Image
random.seed(1)
for i in range(30):
    image = Image.new("L", (90, 80))
    image.putdata([random.randrange(256) for _ in range(90 * 80)])
    image.save(f"rest/train/COVID19/COVID ({i}).jpg")
    image = image.rotate(90)
    image.save(f"rest/train/NORMAL/more/IM-9{i:03}-0001.jpeg")
    image.rotate(180).save(f"rest/train/NORMAL/I{i:07}", "JPEG")
    image.rotate(270).save(f"rest/train/NORMAL/J{i:07}.jfif", "JPEG")
    if i < 3:
        image.save(f"rest/train/NORMAL/scan{i}.webp")
        open(f"rest/train/NORMAL/notes{i}.txt", "w").close()
        open(f"rest/train/NORMAL/.hidden{i}.jpeg", "w").close()
PY
ln -s nowhere.jpeg rest/train/NORMAL/IM-8888-0001.jpeg
pneumo pack rest -o rest.h5 --size 32 >out 2>err
expect_lines err "left out: 30 images in a folder of no class, train/COVID19, such as .*--pneumonia 'PNEUMONIA\|COVID19'" \
    'left out: 30 images in subfolders of train/NORMAL, such as .*/more/IM-9000.*--recursive takes them' \
    'left out: 3 images of a format that cannot be read, .webp, such as .*convert them' \
    'left out: 1 links without a target, such as train/NORMAL/IM-8888' \
    'left out: 3 files that are not images, .txt' 'left out: 3 hidden files'
expect_lines out '^images +220 of' '^left out +0 exact duplicates, 0 unreadable, 70 other files'
pneumo pack rest -o rest.h5 --size 32 -r --pneumonia 'PNEUMONIA|COVID19' >out 2>err
expect_lines out '^images +280 of' '10 other files'
find rest/train/PNEUMONIA -type f | sort | tail -n +16 | xargs rm
pneumo pack rest -o third.h5 --size 32 2>err && fail "a third is left out"
expect_lines err 'error: rest: 64 of [0-9]+ images would be left out'
[[ ! -e third.h5 ]] || fail "a file is left"
pneumo pack rest -o third.h5 --size 32 --allow-rest --shares stratified >out 2>err || fail "$(cat err)"

# The archive of the public data set, unpacked: one level too high, and with a second copy.
mkdir -p zip/chest_xray/{val,__MACOSX/train/NORMAL}
cp -r phantoms/train zip/chest_xray
cp -r phantoms/train zip/chest_xray/test
cp -r zip/chest_xray zip/copy && mv zip/copy zip/chest_xray/chest_xray
rmdir zip/chest_xray/val zip/chest_xray/chest_xray/val
touch zip/chest_xray/__MACOSX/train/NORMAL/._IM-0001-0001.jpeg
pneumo pack zip -o zip.h5 2>err && fail "one level too high"
expect_lines err 'zip contains none of the folders .*, but zip/chest_xray does: pack that'
pneumo pack zip/chest_xray -o zip.h5 --size 32 >out 2>err || fail "$(cat err)"
expect_lines err 'left out: 3[0-9]* files of a second copy of this folder, chest_xray, such as'

# A table of labels: the columns are said, patients and folds are the table's.
mkdir -p table/images_001 table/images_002
/usr/bin/python3 - <<'PY'
import csv
import glob
import shutil
files = sorted(glob.glob("nih/*/*.png"))
with open("table.csv", "w", newline="") as out:
    rows = csv.writer(out)
    rows.writerow(["Image Index", "Finding Labels", "Patient ID", "Patient Age", "split"])
    for i, path in enumerate(files):
        name = f"x{i:04}.png"
        shutil.copy(path, f"table/images_00{1 + i % 2}/{name}")
        pneumonia = "PNEUMONIA" in path
        finding = "Effusion, small|Pneumonia" if pneumonia else "No Finding"
        patient = path.split("/")[2].split("_")[0]
        rows.writerow([name, "Hernia" if i % 10 == 9 else finding, patient, 50,
                       ["train", "valid", "test"][int(patient) % 3]])
PY
pneumo pack table -o table.h5 --size 32 --labels table.csv >out 2>err || fail "$(cat err)"
expect_lines err "columns as in NIH ChestX-ray14: path 'Image Index', label 'Finding Labels', patient 'Patient ID'" \
    'table.csv: 160 rows, 144 images of a class' 'left out: 16 images .* neither class'
expect_lines out '^images +144 of' '^patients +patient by table'
pneumo pack table -o kept.h5 --size 32 --labels table.csv --folds keep \
    --columns 'fold=split' >out 2>err || fail "$(cat err)"
/usr/bin/python3 - <<'PY'
import csv
import h5py
rows = {row["Image Index"]: row for row in csv.DictReader(open("table.csv"))}
for name in "table.h5", "kept.h5":
    file = h5py.File(name)
    folds, patients = {}, {}
    for path, label, fold, patient in zip(*(file[k][:] for k in ("name", "label", "fold", "patient"))):
        row = rows[path.decode().split("/")[-1]]
        assert (label == 1) == ("Pneumonia" in row["Finding Labels"]), row
        folds.setdefault(row["Patient ID"], set()).add(int(fold))
        patients.setdefault(row["Patient ID"], set()).add(int(patient))
        assert name == "table.h5" or ["train", "valid", "test"][fold] == row["split"], row
    assert all(len(found) == 1 for found in [*folds.values(), *patients.values()])
    assert len(set.union(*patients.values())) == len(patients)
PY
rm table/images_001/x0002.png
pneumo pack table -o none.h5 --labels table.csv 2>err && fail "an image is missing"
expect_lines err "error: table.csv: the image of 1 row is not in table, such as 'x0002.png' \(line 4\); --allow-missing"
pneumo pack table -o missing.h5 --size 32 --labels table.csv --allow-missing >out 2>err || fail "$(cat err)"
expect_lines err 'warning: table.csv: the image of 1 row is not in table'
pneumo pack table -o none.h5 --columns path=x 2>err && fail "columns of no table"
expect_lines err 'columns requires --labels'
[[ ! -e none.h5 ]] || fail "a file is left"
