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
copy_names phantoms/train/PNEUMONIA '1%07d_%03d.png' nih/PNEUMONIA
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
for file in out run/report.json run/report.html; do
    ! sed 's/<style>.*//' "$file" | grep -i 'patients' | grep -v 'unknown_patients\|<dt>patients</dt><dd>unknown\|new patients' ||
        fail "$file speaks of patients"
done

# The same with a pattern: the folds change, since images of a patient stay together.
pneumo pack odd -o pattern.h5 --size 32 --patient-pattern '([A-Z]+/scan-[0-9]+)-' >out 2>err
expect_lines out '^fold .* patients' '^patients +patient by pattern'
! grep -q unknown err || fail "$(cat err)"
pneumo pack odd -o none.h5 --size 32 --patient-pattern 'x([0-9])' 2>err && fail "a pattern without use"
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
    '4 pairs .* in different folds of the folder, for example' '4 groups have images in two'
pneumo pack copies -o copies.h5 --size 32 >out 2>err
! grep -q 'in different folds' err || fail "$(cat err)"
