#!/usr/bin/env bash
# On any wrong input, the program ends with code 1 (2: wrong usage) and one line that names the problem
# and its place, and leaves no partial files. Prints a table: the case, the exit code, the line.
. "$(dirname "$0")/common.sh"
logs=$(mktemp -d)
trap 'umount "$here"/disk 2>/dev/null || true; rm -rf "$here" "$logs"' EXIT
python=/usr/bin/python3

# --- Running one case ---

# run CASE COMMAND...: sets `code`, `line` (the one error) and $logs/{out,err}; prints the table's row.
run() {
    local case=$1
    shift
    code=0
    timeout -k 5 120 "$@" >"$logs/out" 2>"$logs/err" || code=$?
    # Drops the launcher's messages about a failed rank.
    grep -vE '^-+$|^Primary job|^a non-zero exit code|^mpirun |^the job to be |^  Process name:|^  Exit code:|^$' \
        "$logs/err" >"$logs/lines" || true
    line=$(grep '^pneumo-dist: error: ' "$logs/lines" || true)
    printf '%-48s | %3d | %s\n' "$case" "$code" "${line#pneumo-dist: error: }"
    ! grep -nE 'Sanitizer|runtime error|Segmentation|signal [0-9]' "$logs/err" || fail "$case: it crashed"
    [[ -z $(find "$here" -name '*.tmp') ]] || fail "$case: left $(find "$here" -name '*.tmp')"
}

# judge CASE CODE REGEX: checks exit code and error of the last run.
judge() {
    ((code == $2)) || fail "$1: exit code $code, not $2: $(cat "$logs/err")"
    [[ $(wc -l <<<"$line") == 1 && -n $line ]] || fail "$1: not one error: $(cat "$logs/err")"
    [[ ${line#pneumo-dist: error: } =~ $3 ]] || fail "$1: the line does not match '$3': $line"
}

# refuse CASE CODE REGEX COMMAND...: expects one line of output, and no file created, changed or removed.
refuse() {
    local case=$1 expected=$2 regex=$3 before
    shift 3
    before=$(contents)
    run "$case" "$@"
    judge "$case" "$expected" "$regex"
    [[ $(wc -l <"$logs/lines") == 1 ]] || fail "$case: more than one line: $(cat "$logs/err")"
    [[ ! -s $logs/out ]] || fail "$case: results despite a failure: $(cat "$logs/out")"
    [[ $before == "$(contents)" ]] || fail "$case: files: $(diff <(echo "$before") <(contents))"
}

# break_off CASE REGEX COMMAND...: expects a failure during the work; log lines may precede the error.
break_off() {
    local case=$1 regex=$2
    shift 2
    run "$case" "$@"
    judge "$case" 1 "$regex"
    [[ $(tail -n 1 "$logs/lines") == "$line" ]] || fail "$case: output after the error"
}

# accept CASE COMMAND...: expects success.
accept() {
    local case=$1
    shift
    run "$case" "$@"
    ((code == 0)) || fail "$case: exit code $code: $(cat "$logs/err")"
}

# Lists every file with its size and modification time.
contents() {
    find "$here" -type d -printf '%p\n' -o -printf '%p %s %T@\n' | sort
}

# many N ARGUMENT...: sets `ranked`, the command that starts N ranks.
many() {
    local count=$1
    shift
    ranked=(mpirun --oversubscribe --bind-to none -np "$count" "$PNEUMO_DIST" "$@")
}

p=$PNEUMO_DIST
printf '%-48s | %3s | %s\n' case exit line
printf -- '-%.0s' {1..120}
echo

# --- Bad images ---

make_data 80 >/dev/null
radiograph=$(find phantoms/train/NORMAL -type f | sort | sed -n 1p)

# fresh: a copy of the phantoms at ./bad.
fresh() {
    rm -rf bad
    cp -r phantoms bad
}

# image NAME: packing ./bad with that image fails, and --skip-bad leaves it out.
image() {
    refuse "pack: $1" 1 "^$2: $3" "$p" pack bad -o x.h5 --size 32
    accept "pack --skip-bad: $1" "$p" pack bad -o x.h5 --size 32 --skip-bad
    grep -qE "^pneumo-dist: warning: left out: $2: $3" "$logs/err" || fail "$1: not named: $(cat "$logs/err")"
    grep -q '^left out .* 1 unreadable' "$logs/out" || fail "$1: not counted"
    [[ -s x.h5 ]] || fail "$1: no data set"
    rm x.h5
}

refuse "pack: no such folder" 1 '^there is no folder nowhere; give' "$p" pack nowhere -o x.h5
refuse "pack: a file for a folder" 1 '^data.h5 is not a folder; give' "$p" pack data.h5 -o x.h5
refuse "pack: a folder of something else" 1 'contains none of the folders' "$p" pack phantoms/train/NORMAL -o x.h5
fresh
rm bad/train/NORMAL/*
refuse "pack: a class without images" 1 '^bad/train/NORMAL contains no .jpeg, .jpg, .png, .dcm or .dicom files' "$p" pack bad -o x.h5
rmdir bad/train/NORMAL
refuse "pack: a class is missing" 1 '^bad/train/NORMAL is missing; each' "$p" pack bad -o x.h5

name=bad/train/NORMAL/IM-9999-0001
fresh
echo 'not an image' >$name.jpeg
image "text named .jpeg" $name.jpeg 'not a JPEG, PNG or DICOM image'
: >$name.jpeg
image "an empty .jpeg" $name.jpeg 'the file is empty'
head -c $(($(stat -c %s "$radiograph") / 2)) "$radiograph" >$name.jpeg
image "half a JPEG" $name.jpeg 'the JPEG is cut short'
head -c 40 "$radiograph" >$name.jpeg
image "the head of a JPEG" $name.jpeg 'the '
$python - "$radiograph" $name.jpeg <<'PY'
import sys
image = bytearray(open(sys.argv[1], "rb").read())
frame = image.index(b"\xff\xc0")
image[frame + 5:frame + 9] = 2 * (30000).to_bytes(2, "big")
open(sys.argv[2], "wb").write(image)
PY
image "a JPEG of 30000 x 30000 pixels" $name.jpeg 'the image is too large \(30000 x 30000'
rm $name.jpeg
$python - $name.png 30000 <<'PY'
import struct, sys, zlib
def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
side = int(sys.argv[2])
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b""))
PY
image "a PNG of 30000 x 30000 pixels" $name.png 'the image is too large \(30000 x 30000'
fresh
cp "$radiograph" bad/train/PNEUMONIA/person99_virus_1.jpeg
refuse "pack: one image with two labels" 1 \
    '^bad/train/NORMAL/IM-[^ ]* and bad/train/PNEUMONIA/person99_virus_1.jpeg are the same' \
    "$p" pack bad -o x.h5
mkdir -p junk/NORMAL junk/PNEUMONIA
echo a >junk/NORMAL/a.png
echo b >junk/PNEUMONIA/b.png
break_off "pack --skip-bad: no good image" '^junk contains no readable image' \
    "$p" pack junk -o x.h5 --skip-bad
cp "$radiograph" junk/PNEUMONIA/a.jpeg
break_off "pack --skip-bad: one good image" 'junk: the data set is too small to be split: 15 percent of the images leave no NORMAL image for the fold VAL' "$p" pack junk -o x.h5 --skip-bad
[[ ! -e x.h5 ]] || fail "a data set was made"

# --- Where it cannot write ---

accept "pack into new folders" "$p" pack phantoms -o new/folder/x.h5 --size 32
cmp new/folder/x.h5 data.h5 || fail "another data set"
refuse "pack: below a file" 1 '^data.h5: cannot create the folder: a file' "$p" pack phantoms -o data.h5/x.h5
refuse "pack: onto a folder" 1 '^phantoms: cannot write: it is not a regular file' "$p" pack phantoms -o phantoms
refuse "pack: onto a device" 1 '^/dev/null: cannot write: it is not a regular file' "$p" pack phantoms -o /dev/null
long=$(printf 'n%.0s' {1..252})
refuse "pack: a name of 255 bytes" 1 '^n*.h5: cannot write: the name of the file is too long; use at most [0-9]+ bytes' \
    "$p" pack phantoms -o "$long.h5"
ln -s cycle cycle
ln -s nowhere/at/all astray
refuse "pack: onto a cycle of links" 1 '^cycle: cannot write: Too many levels' "$p" pack phantoms -o cycle
refuse "pack: below a link to nothing" 1 '^astray: cannot create the folder: a symbolic link of that name has no target' \
    "$p" pack phantoms -o astray/x.h5
refuse "pack: a cycle of links" 1 '^there is no folder cycle; give' "$p" pack cycle -o x.h5
rm cycle astray
refuse "synth: into a full folder" 1 '^phantoms is not empty; give' "$p" synth phantoms
refuse "synth: onto a file" 1 '^cannot write to data.h5: Not a dir' "$p" synth data.h5
refuse "synth: a folder without a name" 1 'the folder to draw into has no name' "$p" synth ''

cat >small.ini <<'INI'
[data]
file = data.h5
size = 32
[model]
name = mlp2
hidden = 8
[train]
epochs = 2
batch = 16
INI
accept "train" "$p" train small.ini --run good
refuse "train: over another run" 1 '^good already contains a run: continue' "$p" train small.ini --run good
for option in "" --resume "--cross 2" "--cross 2 --part 1"; do
    # shellcheck disable=SC2086 # words
    refuse "train $option: into a folder of images" 1 '^phantoms/train: is not the folder of a run: it contains NORMAL; give a new' \
        "$p" train small.ini --run phantoms/train $option
done
refuse "train: a folder as job" 1 '^phantoms: is a folder, not a job; give the path of a job' "$p" train phantoms --run run
refuse "train: run folder is a file" 1 '^small.ini: cannot create the folder: a file' "$p" train small.ini --run small.ini
refuse "train: run folder below a file" 1 '^small.ini: cannot create the folder: a file' "$p" train small.ini --run small.ini/run
refuse "evaluate: figures below a file" 1 '^small.ini: cannot create the folder: a file' \
    "$p" evaluate good/best.h5 -o small.ini/x.json
refuse "predict: rows below a file" 1 '^small.ini: cannot create the folder: a file' \
    "$p" predict good/best.h5 "$radiograph" -o small.ini/x.csv
refuse "predict: rows onto a folder" 1 '^phantoms: cannot write: it is not a regular file' \
    "$p" predict good/best.h5 "$radiograph" -o phantoms

# Failing to write standard output must be an error.
stdout_full() { "$p" inspect data.h5 >/dev/full; }
predict_full() { "$p" predict good/best.h5 phantoms >/dev/full; }
watch_full() { "$p" watch good >/dev/full; }
export -f stdout_full predict_full watch_full
export p
refuse "inspect: standard output is full" 1 '^standard output: cannot write: No space left' bash -c stdout_full
refuse "predict: standard output is full" 1 '^standard output: cannot write: No space left' bash -c predict_full
refuse "watch: standard output is full" 1 '^standard output: cannot write: No space left' bash -c watch_full

# disk OPTIONS: mounts an empty disk with these options at ./disk; fails where mounting is not allowed.
disk() {
    mkdir -p disk
    mount -t tmpfs -o "$1" tmpfs disk 2>/dev/null
}
if disk size=64k; then
    # Without any room, nothing is left, not even an empty part file.
    dd if=/dev/zero of=disk/fill bs=4k 2>/dev/null || true
    break_off "pack: no room at all" '^disk/x.h5(.part-0)?: cannot write.*: No space left' \
        "$p" pack phantoms -o disk/x.h5 --size 24
    [[ $(ls -A disk) == fill && $(wc -l <"$logs/lines") == 1 ]] || fail "$(ls -A disk; cat "$logs/err")"
    rm disk/fill
    full='^disk/x.h5(.part-0)?: cannot write.*: No space left on device'
    break_off "pack: full disk" "$full" "$p" pack phantoms -o disk/x.h5 --size 24
    break_off "pack: full disk, early" "$full" "$p" pack phantoms -o disk/x.h5 --size 64
    # Decoded images are kept for the next try; with more room it succeeds, and nothing else is left.
    mount -o remount,size=8m disk
    accept "pack: again, with more room" "$p" pack phantoms -o disk/x.h5 --size 64
    [[ $(ls -A disk) == x.h5 ]] || fail "left on the disk: $(ls -A disk)"
    umount disk

    for count in 1 2; do
        disk size=4k
        many "$count" predict good/best.h5 phantoms --format jsonl -o disk/x.jsonl
        break_off "predict: full disk, ranks: $count" 'disk/x.jsonl: cannot write: No space left on device' \
            "${ranked[@]}"
        [[ -z $(ls -A disk) ]] || fail "left on the disk: $(ls -A disk)"
        umount disk
    done

    # Room for two checkpoints, but not for a third while it is being written.
    need=$(($(stat -c %s good/last.h5) * 5 / 2 / 1024))
    for count in 1 2; do
        disk size=${need}k
        many "$count" train small.ini --run disk/run
        break_off "train: full disk, ranks: $count" \
            'disk/run/(last|best).h5: cannot write: No space left on device' "${ranked[@]}"
        grep -q 'epoch   1/2' "$logs/err" || fail "it did not fill the disk in epoch 2"
        accept "its last checkpoint" "$p" inspect disk/run/last.h5
        mount -o remount,size=8m disk
        accept "resumed with more room" "$p" train small.ini --run disk/run --resume
        cmp disk/run/last.h5 good/last.h5 || fail "the resumed run ended in another model"
        umount disk
    done

    disk size=1m,ro
    refuse "pack: read-only disk" 1 '^disk/x.h5: cannot write: Read-only|^disk: cannot write to the folder: Read-only' \
        "$p" pack phantoms -o disk/x.h5
    refuse "train: read-only disk" 1 '^disk: cannot write to the folder: Read-only' "$p" train small.ini --run disk
    refuse "train: read-only disk, new folder" 1 '^disk/run: cannot create the folder: Read-only' \
        "$p" train small.ini --run disk/run
    umount disk
else
    echo "(mounting is not allowed here: full and read-only disks are left out)"
fi
user=() # root may write anywhere
((EUID != 0)) || user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod 755 "$here"
mkdir -m 555 locked
if "${user[@]}" "$p" --version >/dev/null 2>&1; then
    refuse "pack: a locked folder" 1 '^locked: cannot write to the folder: Permission' \
        "${user[@]}" "$p" pack phantoms -o locked/x.h5
    refuse "train: a locked folder" 1 '^locked/run: cannot create the folder: Permission' \
        "${user[@]}" "$p" train small.ini --run locked/run
    mkdir -m 700 private
    mkdir -m 700 private/NORMAL private/PNEUMONIA
    ((EUID == 0)) || chmod 000 private
    mkdir -m 777 shared
    refuse "pack: a folder that cannot be read" 1 '^cannot read the folder private: Permission|^private: ' \
        "${user[@]}" "$p" pack private -o shared/x.h5
    rmdir shared
    chmod 700 private
else
    echo "(another user cannot run the program here: locked folders are left out)"
fi

# --- Names that are not words ---

# Commas, quotes, line breaks, escape sequences, UTF-8, and bytes that are not: in messages one line
# without effect on a terminal, in files whole.
odd=$(printf 'a, "b"\n\033[31mc \xc3\xa9 \xff.jpeg')
mkdir -p names/NORMAL names/PNEUMONIA
cp phantoms/train/NORMAL/*.jpeg names/NORMAL
cp phantoms/train/PNEUMONIA/*.jpeg names/PNEUMONIA
echo "no image" >"names/NORMAL/$odd"
refuse "pack: a bad image of an odd name" 1 'names/NORMAL/a, "b"\?\?\[31mc é \?.jpeg: not a JPEG' "$p" pack names -o x.h5
cp "$radiograph" "names/NORMAL/$odd"
$python -c "import sys; open(sys.argv[1], 'ab').write(b'another file')" "names/NORMAL/$odd"
accept "pack: an odd name" "$p" pack names -o x.h5 --size 32
accept "predict: an odd name" "$p" predict good/best.h5 names -o x.csv
accept "evaluate: an odd name" "$p" evaluate good/best.h5 --data x.h5 --scores scores.csv -o x.json
$python - "names/NORMAL/$odd" <<'PY'
import csv, json, os, sys
def rows(path):
    return list(csv.DictReader(open(path, newline="", encoding="utf-8", errors="surrogateescape")))
for path in [row["path"] for row in rows("x.csv")] + ["names/" + row["name"] for row in rows("scores.csv")]:
    assert os.path.exists(path), path
assert sys.argv[1] in [row["path"] for row in rows("x.csv")]
json.load(open("x.json", encoding="utf-8"))
PY
rm -r names x.h5 x.csv x.json scores.csv

# --- Wrong usage ---

usage() {
    local case=$1 regex=$2
    shift 2
    refuse "$case" 2 "$regex" "$p" "$@"
}
usage "an unknown command" "^unknown command 'frobnicate' \(see 'pneumo-dist --help'\)$" frobnicate
usage "an unknown option, no command" "^unknown option '--frob' \(see 'pneumo-dist train --help'\)$" --frob
for command in pack synth train evaluate predict calibrate explain ensemble import export compare bench doctor inspect; do
    hint="\(see 'pneumo-dist $command --help'\)$"
    usage "$command: an unknown option" "^unknown option '--frob' $hint" $command --frob
    usage "$command: an unknown short option" "^unknown option '-Z' $hint" $command -Zh
    usage "$command: a value too many" "^option '--help=me' takes no value $hint" $command --help=me
done
usage "pack: no folder" "missing argument DIR" pack
usage "pack: a folder without a name" 'the folder to pack has an empty name' pack '' -o x.h5
usage "pack: two folders" "unexpected argument 'b'" pack a b -o x.h5
usage "pack: no output" "missing option '--output FILE'" pack phantoms
usage "pack: an output without a name" "option '--output' has an empty value" pack phantoms -o ''
usage "pack: an option without its value" "option '--size' requires a value" pack phantoms -o x.h5 --size
for value in 70/15 70/15/16 0/50/50 70/-15/45 half keeps; do
    usage "pack: --folds $value" "^--folds $value: give 'keep' or percentages" pack phantoms -o x.h5 --folds $value
done
for value in 0 -1 99999 large 32x; do
    usage "pack: --size $value" "^--size '$value' is not a whole number from" pack phantoms -o x.h5 --size $value
done
usage "pack: --shares even" "^--shares: unknown shares 'even'; choices are balanced, stratified" pack phantoms -o x.h5 --shares even
usage "pack: --val-from-train without keep" "^--val-from-train requires '--folds keep'" pack phantoms -o x.h5 --val-from-train 10
mkdir flat && cp -r phantoms/train/* flat
refuse "pack: --folds keep without folds" 1 '^flat has no folds of its own' "$p" pack flat -o x.h5 --folds keep
usage "synth: no folder" "missing argument DIR" synth
usage "synth: too few images" "^--images '1' is not a whole number from" synth x --images 1
usage "train: an argument too many" "^unexpected argument 'more'" train small.ini more
usage "train: --set without a value" '^--set train.epochs: write it as section.key=value' train small.ini --set train.epochs
usage "train: --set of an unknown key" "'epoch'; did you mean 'epochs'" train small.ini --set train.epoch=2
usage "train: --epochs many" "'many' is not a whole number" train small.ini --epochs many
usage "evaluate: no checkpoint" "missing argument CHECKPOINT" evaluate
usage "evaluate: --fold all" "^--fold: unknown fold 'all'; choices are val, test, both" evaluate good/best.h5 --fold all
usage "evaluate: --threads 0" "^--threads '0' is not a whole number" evaluate good/best.h5 --threads 0
usage "ensemble: nothing" 'missing argument RUN\|CHECKPOINT' ensemble -o a.h5
usage "ensemble: no output" "missing option '--output FILE'" ensemble good
usage "ensemble: data for one" '^--data does not apply to a single checkpoint' ensemble good -d good.h5 -o a.h5
usage "import: nothing" 'missing argument FILE' import -o a.h5
usage "import: no output" "missing option '--output FILE'" import good/best.h5
usage "import: two numbers of causes" '^--causes needs three numbers' import a.h5 --causes 0,1 -o b.h5
usage "export: nothing" 'missing argument CHECKPOINT' export -o a.keras
usage "export: no output" "missing option '--output FILE'" export good/best.h5
usage "export: unknown format" '^a.h5: unknown format; give a name that ends in .keras, ' export good/best.h5 -o a.h5
usage "export: folding in Keras" '^--fold-batchnorm does not apply to .keras files' \
    export good/best.h5 --fold-batchnorm -o a.keras
refuse "export: no checkpoint" 1 '^phantoms.keras: cannot open' "$p" export phantoms.keras -o a.keras
usage "predict: two models" "^'good/last.h5' is a second checkpoint" predict good/best.h5 good/last.h5 x
usage "predict: image and model swapped" "^'[^ ]*.jpeg' is not a readable checkpoint, but 'good/last.h5' is: give the checkpoint first" \
    predict "$radiograph" good/last.h5
usage "compare: no run" 'missing argument RUN' compare
usage "compare: --sort beauty" "^--sort: unknown column 'beauty'; choices are accuracy, recall, " compare good --sort beauty
usage "predict: no checkpoint" 'missing argument CHECKPOINT' predict
usage "predict: no images" 'missing argument IMAGE\|DIR' predict good/best.h5
usage "predict: an image without a name" 'a checkpoint or an image has an empty name' predict good/best.h5 ''
usage "predict: --format xyz" "^--format: unknown format 'xyz'; choices are csv, jsonl" predict good/best.h5 phantoms --format xyz
usage "predict: an output without a name" "option '--output' has an empty value" predict good/best.h5 phantoms -o ''
usage "predict: --threads 0" "^--threads '0' is not a whole number" predict good/best.h5 phantoms --threads 0
usage "inspect: nothing" 'missing argument FILE' inspect

# --- Pipes ---

mkfifo pipe
refuse "import: a pipe" 1 '^pipe: is not a regular file$' "$p" import pipe -o a.h5
refuse "import: like a pipe" 1 '^pipe: is not a regular file$' "$p" import good/best.h5 --like pipe -o a.h5
refuse "train: weights of a pipe" 1 '^pipe: is not a regular file$' "$p" train small.ini --run run --weights pipe
refuse "pack: labels of a pipe" 1 '^pipe: is a pipe that no program writes to; give a file$' \
    "$p" pack flat -o x.h5 --labels pipe
rm pipe
(cd flat && find . -name '*.jpeg' -printf '%P\n' | sed 's|\(.*\)/.*|&,\1|' | sed '1i path,label') >labels.csv
# shellcheck disable=SC2016 # expanded by the inner shell
accept "pack: labels of a command" bash -c '"$p" pack flat -o x.h5 --size 32 --labels <(sleep 1; cat labels.csv)'
accept "pack: the same of a file" "$p" pack flat -o y.h5 --size 32 --labels labels.csv
cmp x.h5 y.h5 || fail "labels of a command: another data set"
rm x.h5 y.h5 labels.csv

# --- Bad data sets ---

train=("$p" train small.ini --run run)
pack_again="; pack the images again with this version of 'pneumo-dist pack', or give another data set$"
$python - <<'PY'
import shutil, h5py, numpy
with h5py.File("other.h5", "w") as file:
    file["x"] = [1, 2, 3]
shutil.copy("data.h5", "newer.h5")
with h5py.File("newer.h5", "r+") as file:
    file.attrs["format_version"] = 3
shutil.copy("data.h5", "older.h5")
with h5py.File("older.h5", "r+") as file:
    file.attrs["format_version"] = 1
    del file["shape"]
with h5py.File("data.h5") as file:
    name = file["name"][17].decode()
    at = file["images"].id.get_chunk_info_by_coord((17, 0, 0)).byte_offset
bytes = bytearray(open("data.h5", "rb").read())
bytes[at + 100] ^= 1
open("flipped.h5", "wb").write(bytes)
open("cut.h5", "wb").write(bytes[:len(bytes) // 2])
shutil.copy("data.h5", "label.h5")
with h5py.File("label.h5", "r+") as file:
    file["label"][0] ^= 1
PY
refuse "train: no data set" 1 "^nowhere.h5: cannot open: No such .*; create it with 'pneumo-dist pack FOLDER -o nowhere.h5'$" \
    "${train[@]}" --data nowhere.h5
refuse "train: a folder as data set" 1 '^phantoms: is not a regular file' "${train[@]}" --data phantoms
refuse "train: a text as data set" 1 "^small.ini: is not an HDF5 file$pack_again" "${train[@]}" --data small.ini
refuse "train: another HDF5 file as data set" 1 "^other.h5: is an HDF5 file, but not a pneumo-dist data set$pack_again" \
    "${train[@]}" --data other.h5
refuse "train: a checkpoint as data set" 1 "^good/last.h5: is a pneumo-dist checkpoint, not a pneumo-dist data set$pack_again" \
    "${train[@]}" --data good/last.h5
refuse "train: half a data set" 1 "^cut.h5: is damaged or cut short$pack_again" "${train[@]}" --data cut.h5
refuse "train: a data set of a newer version" 1 "^newer.h5: has format version 3, but this program reads 2$pack_again" \
    "${train[@]}" --data newer.h5
refuse "train: a data set of an older version" 1 "^older.h5: has format version 1, but this program reads 2$pack_again" \
    "${train[@]}" --data older.h5
refuse "train: one flipped bit" 1 "^flipped.h5: the image of sample 17 \(train/.*\) is damaged$pack_again" \
    "${train[@]}" --data flipped.h5
refuse "train: changed labels" 1 "^label.h5: its class counts do not match its labels$pack_again" \
    "${train[@]}" --data label.h5
many 2 train small.ini --run run --data nowhere.h5
refuse "train: no data set, 2 ranks" 1 '^rank 0 on [^ ]+: reading the data set: nowhere.h5: cannot open' "${ranked[@]}"
many 3 train small.ini --run run --set train.lanes=2
refuse "train: more ranks than lanes" 1 '3 ranks are more than lanes = 2; raise lanes to 3 or start fewer' \
    "${ranked[@]}"
accept "pack without a val fold" "$p" pack phantoms -o noval.h5 --size 32 --folds 80/0/20
accept "pack without a test fold" "$p" pack phantoms -o notest.h5 --size 32 --folds 80/20/0
refuse "train: an empty val fold" 1 '^noval.h5: the validation fold has 0 normal and 0 pneumonia images' \
    "${train[@]}" --data noval.h5
refuse "evaluate: an empty val fold" 1 '^noval.h5: no images in its val fold: give another' \
    "$p" evaluate good/best.h5 --data noval.h5 --fold val
refuse "evaluate: an empty test fold" 1 '^notest.h5: no images in its test fold: give another' \
    "$p" evaluate good/best.h5 --data notest.h5 --fold test
accept "evaluate both: an empty test fold" "$p" evaluate good/best.h5 --data notest.h5 -o a/b/notest.json
$python -c 'import json; assert list(json.load(open("a/b/notest.json"))["folds"]) == ["val"]'
refuse "inspect: no such file" 1 '^nowhere.h5: cannot open: No such' "$p" inspect nowhere.h5
refuse "inspect: a text" 1 '^small.ini: is not an HDF5 file; give a data set or a checkpoint' "$p" inspect small.ini
for command in inspect evaluate; do
    refuse "$command: a folder" 1 '^phantoms: is not a regular file' "$p" $command phantoms
    refuse "$command: the folder of a run" 1 '^good: is a folder; give the checkpoint in it, good/best.h5' "$p" $command good
done
refuse "inspect: another HDF5 file" 1 '^other.h5: is an HDF5 file, but not a pneumo-dist' "$p" inspect other.h5
refuse "inspect --job: a data set" 1 '^data.h5: is not a checkpoint; only' "$p" inspect --job data.h5

# --- Bad jobs ---

# job CASE REGEX: expects an error of the job on standard input.
job() {
    cat >job.ini
    refuse "job: $1" 1 "$2" "$p" train job.ini --run run --data data.h5
}
job "an unknown key" "^job.ini:3: section \[train\] has no key 'epoch'; did you mean 'epochs' in \[train\]\?$" <<<$'[train]\n# how long\nepoch = 3'
job "an unknown section" "^job.ini:1: section 'trian' is unknown; did you mean 'train'. sections are run, data," <<<$'[trian]\nepochs = 3'
job "a key twice" "^job.ini:4: key 'epochs' is already set in line 2$" <<<$'[train]\nepochs = 3\n\nepochs = 4'
job "a value out of range" '^job.ini:2: learning_rate = -3 is out of range \(0, 1000\]$' <<<$'[train]\nlearning_rate = -3'
job "a value that is no number" "^job.ini:2: batch = 'some' is not a whole number$" <<<$'[train]\nbatch = some'
job "an unknown model" "^job.ini:2: model 'vgg61' is unknown; choices are " <<<$'[model]\nname = vgg61'
job "no key and no section" "^job.ini:2: the line is neither '\[section\]' nor 'key = value'$" <<<$'[train]\nepochs'
job "two keys at odds" '^job.ini:2: batch = 10 is not a multiple of lanes = 8: set train.batch to one, or ' <<<$'[train]\nbatch = 10'
head -c 300 /dev/zero >job.ini
refuse "job: bytes" 1 '^job.ini:1: byte 0 is not text; is this a job file\?$' "$p" train job.ini --run run
refuse "job: a data set" 1 "^./data.h5:1: the line is neither '\[section\]' nor 'key = value'$" "$p" train ./data.h5 --run run
refuse "job: a folder" 1 '^./phantoms: ' "$p" train ./phantoms --run run
refuse "job: no such file" 1 '^nowhere.ini: cannot open: No such .*; give the path of a job or the name' "$p" train nowhere.ini
refuse "job: no such name" 1 "^unknown job 'nowhere': it is neither in jobs nor in the jobs folder of the program" "$p" train nowhere

# --- Bad checkpoints ---

other="; use another checkpoint, or the program version that wrote it"
# spoil PYTHON: copies good/ to spoilt/ without previous.h5, and changes last.h5, open as `file`, with
# these lines.
spoil() {
    rm -rf spoilt
    cp -r good spoilt
    rm spoilt/previous.h5
    $python - <<PY
import h5py, numpy
with h5py.File("spoilt/last.h5", "r+") as file:
    $1
PY
}
resume=("$p" train small.ini --run spoilt --resume)
copy_best='; or copy spoilt/best.h5 over spoilt/last.h5 to continue from the best epoch$'
mkdir spoilt
echo garbage >spoilt/last.h5
refuse "resume: garbage" 1 "^spoilt/last.h5: is not an HDF5 file$other$" "${resume[@]}"
cp good/best.h5 spoilt
head -c 5000 good/last.h5 >spoilt/last.h5
refuse "resume: half a checkpoint" 1 "^spoilt/last.h5: is damaged or cut short$other$copy_best" "${resume[@]}"
cp data.h5 spoilt/last.h5
refuse "resume: a data set" 1 "^spoilt/last.h5: is a pneumo-dist data set, not a pneumo-dist checkpoint$other$copy_best" \
    "${resume[@]}"
spoil 'file.attrs["format_version"] = 9'
refuse "resume: another version" 1 "^spoilt/last.h5: has format version 9, but this program reads 1$other$copy_best" \
    "${resume[@]}"
spoil 'at = file["model_weights/hidden/hidden/kernel:0"].id.get_chunk_info(0).byte_offset'$'\n'"with open('spoilt/last.h5', 'r+b') as raw:
    raw.seek(at)
    byte = raw.read(1)[0]
    raw.seek(at)
    raw.write(bytes([byte ^ 1]))"
refuse "resume: one flipped bit" 1 "^spoilt/last.h5: array '/model_weights/hidden/hidden/kernel:0' is damaged$other$copy_best" \
    "${resume[@]}"
cp spoilt/best.h5 spoilt/last.h5
accept "resume: from best.h5 in its place" "${resume[@]}"
cmp spoilt/last.h5 good/last.h5 || fail "best.h5 led to another model"
spoil 'file["state"].attrs["epoch"] = 5'
refuse "resume: more epochs than the job has" 1 '^spoilt/last.h5: it has been trained for 5 epochs, so train.epochs = 2 is too few: set 5 or more$' "${resume[@]}"
spoil 'file["state"].attrs["epoch"] = 1'
refuse "resume: impossible counters" 1 '^spoilt/last.h5: its counts of epochs and steps do not fit the job' "${resume[@]}"
spoil pass
refuse "resume: another model" 1 "^spoilt/last.h5: it was made by another job \('name = mlp2' there, 'name = dense1' now\)" \
    "${resume[@]}" --set model.name=dense1
many 2 train small.ini --run spoilt --resume --set model.name=dense1
refuse "resume: another model, 2 ranks" 1 "spoilt/last.h5: it was made by another job \('name = mlp2' there" \
    "${ranked[@]}"
accept "pack another data set" "$p" pack phantoms -o seed2.h5 --size 32 --seed 2
refuse "resume: another data set" 1 "^spoilt/last.h5: it was trained on other data" \
    "${resume[@]}" --data seed2.h5
cp data.h5 first.h5
cp seed2.h5 data.h5
refuse "resume: the data set was replaced" 1 '^spoilt/last.h5: it was trained on other data \(digest' "${resume[@]}"
mv first.h5 data.h5
$python - <<'PY'
import h5py, numpy, shutil
def change(path, edit):
    shutil.copy("good/best.h5", path)
    with h5py.File(path, "r+") as file:
        edit(file)
def put_job(file, text):
    del file["job"]
    file.create_dataset("job", data=numpy.bytes_(text))
change("model.h5", lambda f: put_job(f, f["job"][()].replace(b"name = mlp2", b"name = dense1")))
change("wider.h5", lambda f: put_job(f, f["job"][()].replace(b"hidden = 8", b"hidden = 9")))
change("nojob.h5", lambda f: put_job(f, b"[train]\nbatch = 7\n"))
change("layer.h5", lambda f: f["model_weights"].__delitem__("hidden"))
change("undecided.h5", lambda f: f.__delitem__("decision"))
change("tall.h5", lambda f: f["state"].attrs.__setitem__("image_height", numpy.int64(1 << 40)))
change("flat.h5", lambda f: f["state"].attrs.__setitem__("image_width", numpy.int64(0)))
change("cold.h5", lambda f: f["decision"].attrs.__setitem__("temperature", 0.0))
PY
refuse "evaluate: no such checkpoint" 1 '^nowhere.h5: cannot open: No such .*; give the best.h5 or last.h5 of a run$' \
    "$p" evaluate nowhere.h5
refuse "evaluate: a text" 1 "^small.ini: is not an HDF5 file$other" "$p" evaluate small.ini
refuse "evaluate: a data set" 1 "^data.h5: is a pneumo-dist data set, not a pneumo-dist checkpoint$other" "$p" evaluate data.h5
refuse "evaluate: its job names another model" 1 "^model.h5: its weights 'hidden/kernel' are superfluous: it is" \
    "$p" evaluate model.h5
refuse "evaluate: its job names another width" 1 "^wider.h5: its weights 'hidden/kernel' have another shape" \
    "$p" evaluate wider.h5
refuse "evaluate: its job is none" 1 '^nojob.h5: small:2: batch = 7 is not a multiple' "$p" evaluate nojob.h5
refuse "evaluate: a layer is missing" 1 "^layer.h5: .*missing.*$other" "$p" evaluate layer.h5
refuse "evaluate: no threshold yet" 1 '^undecided.h5: saved before its first validation' "$p" evaluate undecided.h5
refuse "evaluate: images of an impossible height" 1 "^tall.h5: '/state/image_height' is 1099511627776, expected" "$p" evaluate tall.h5
refuse "evaluate: images without width" 1 "^flat.h5: '/state/image_width' is 0, expected" "$p" evaluate flat.h5
refuse "evaluate: no temperature" 1 "^cold.h5: '/decision/temperature' is 0, which is not a positive number" "$p" evaluate cold.h5
for case in "nowhere.h5: cannot open: No such" "small.ini: is not an HDF5 file" \
    "data.h5: is a pneumo-dist data set, not a pneumo-dist checkpoint" \
    "model.h5: its weights 'hidden/kernel' are superfluous" \
    "wider.h5: its weights 'hidden/kernel' have another shape" "nojob.h5: small:2: batch = 7 is not" \
    "layer.h5: .*missing" "undecided.h5: saved before its first validation"; do
    refuse "predict: ${case##*: }" 1 "^$case" "$p" predict "${case%%:*}" phantoms -o new/rows.csv
done
many 2 predict nowhere.h5 phantoms
refuse "predict: no such checkpoint, 2 ranks" 1 '^rank 0 on [^ ]+: reading the checkpoint: nowhere.h5: cannot open' "${ranked[@]}"
mkdir empty
refuse "predict: an empty folder" 1 '^empty: no files found' "$p" predict good/best.h5 empty
break_off "predict: no such image" '^1 of 1 file has no prediction' "$p" predict good/best.h5 nowhere.png
refuse "evaluate: no data set" 1 "^nowhere.h5: cannot open.*; create it with 'pneumo-dist pack" \
    "$p" evaluate good/best.h5 --data nowhere.h5

# --- Bad runs ---

# report PYTHON: copies good/ to odd/ and changes its report, loaded as `r`, with these lines.
report() {
    rm -rf odd
    cp -r good odd
    $python - <<PY
import json
r = json.load(open("good/report.json"))
chosen = r["folds"]["test"]["chosen"]
$1
json.dump(r, open("odd/report.json", "w"))
PY
}
compare=("$p" compare good odd --csv odd.csv --html odd.html)
again="write it again with 'train --resume'\$"
report pass
accept "compare: a run and its copy" "${compare[@]}"
rm odd.csv odd.html
refuse "compare: no such run" 1 '^nowhere/report.json: not found: nowhere is not a finished run; finish' \
    "$p" compare good nowhere
refuse "compare: a file for a run" 1 '^data.h5/report.json: not found: data.h5 is not' "$p" compare data.h5
refuse "compare: a table below a file" 1 '^data.h5: cannot create the folder: a file' \
    "$p" compare good --csv data.h5/x.csv
refuse "compare: a page onto a folder" 1 '^good: cannot write: it is not a regular file' \
    "$p" compare good --html good
: >odd/report.json
refuse "compare: an empty report" 1 "^odd/report.json: is not JSON: .*; $again" "${compare[@]}"
head -c 1000 good/report.json >odd/report.json
refuse "compare: half a report" 1 "^odd/report.json: is not JSON: .*; $again" "${compare[@]}"
head -c 1000000 /dev/zero | tr '\0' '[' >odd/report.json
refuse "compare: a report a million deep" 1 "^odd/report.json: is not JSON: .*; $again" "${compare[@]}"
truncate -s 1G odd/report.json
refuse "compare: a report of 1 GiB" 1 '^odd/report.json: is larger than' "${compare[@]}"
cp good/best.h5 odd/report.json
refuse "compare: a checkpoint as report" 1 "^odd/report.json: is not JSON: .*; $again" "${compare[@]}"
rm odd/report.json && mkdir odd/report.json
refuse "compare: a folder as report" 1 '^odd/report.json: cannot read: Is a directory' "${compare[@]}"
report 'del r["folds"]["test"]'
refuse "compare: a report without test fold" 1 "^odd/report.json: 'folds.test' is missing: not" "${compare[@]}"
report 'chosen["auc"] = 0.9'
refuse "compare: a number for a figure" 1 "^odd/report.json: 'folds.test.chosen.auc.value' is missing" "${compare[@]}"
report 'chosen["auc"]["value"] = "0.9"'
refuse "compare: a text for a number" 1 "^odd/report.json: 'folds.test.chosen.auc.value' is not a .*; $again" "${compare[@]}"
report 'chosen["auc"]["value"] = 10 ** 400'
refuse "compare: a huge number" 1 "^odd/report.json: 'folds.test.chosen.auc.value' is not a .*; $again" "${compare[@]}"
report 'chosen["confusion"]["true_positive"] = 1.5'
refuse "compare: one and a half images" 1 "^odd/report.json: '[a-z_.]*true_positive' is not a whole number: " "${compare[@]}"
report 'r["job"] = "x" * 5000'
refuse "compare: a name of 5000 letters" 1 "^odd/report.json: 'job' is not a text of valid length: " "${compare[@]}"
report 'chosen["confusion"]["true_positive"] += 1'
refuse "compare: scores of another evaluation" 1 "^odd/scores.csv: its scores do not yield .*; write both again with 'train --resume'$" "${compare[@]}"
report pass
sed -i '$d' odd/scores.csv
refuse "compare: scores cut short" 1 '^odd/scores.csv: its scores do not yield the counts of report.json beside it: ' "${compare[@]}"
cp good/best.h5 odd/scores.csv
refuse "compare: a checkpoint as scores" 1 "^odd/scores.csv:1: not a table of scores; $again" "${compare[@]}"
sed '$s/[^,]*$/2/' good/scores.csv >odd/scores.csv
refuse "compare: a probability of 2" 1 "^odd/scores.csv:[0-9]+: its probability has an invalid value; $again" \
    "${compare[@]}"

# --- Training that goes wrong ---

# The penalty multiplies every weight by -1999 in every step, until it overflows.
explode=(--set model.name=dense1 --set train.optimizer=sgd --set train.momentum=0
    --set train.schedule=constant --set train.learning_rate=1000 --set regularise.l2=1 --epochs 40)
not_finite='not finite, first in the (output|weight gradient) of layer .*; lower train.learning_rate or set train.clip_norm; the last checkpoint is'
# Depending on the length of an epoch, the overflow appears in a step or only in validation.
for steps in 5 1; do
    words=$( ((steps == 1)) && echo 'after step 1 of 1: the validation loss' ||
        echo 'step [0-9] of 5: the loss or its gradient')
    for count in 1 2; do
        run=exploded-$steps-$count
        many "$count" train small.ini --run $run "${explode[@]}" --set train.epoch_images=$((16 * steps))
        break_off "train: not a number, ranks: $count" \
            "epoch [0-9]+, $words is $not_finite $run/last.h5$" "${ranked[@]}"
        ! grep -E 'val loss -?(nan|inf)' "$logs/err" || fail "a checkpoint was made of it"
        accept "its last checkpoint" "$p" evaluate $run/last.h5
    done
done

# A model with a constant prediction causes a warning in the log, the table and the report.
accept "train: one answer for every image" "$p" train small.ini --run one --epochs 1 \
    --set model.init=zeros --set train.learning_rate=1e-12
says='predicts (PNEUMONIA for every image: specificity|NORMAL for every image: recall) 0'
grep -qE "^pneumo-dist: warning: after epoch 1 the model $says" "$logs/err" || fail "$(cat "$logs/err")"
for fold in val test; do
    grep -qE "^WARNING: $fold fold, threshold .*: mlp2 $says" "$logs/out" || fail "$(cat "$logs/out")"
done
$python - "$says" <<'PY'
import json, re, sys
warnings = json.load(open("one/report.json"))["warnings"]
warnings = [warning for warning in warnings if not warning.startswith("On validation images ")]
assert len(warnings) == len(set(warnings)) == 2, warnings
assert all(re.search(sys.argv[1], warning) for warning in warnings), warnings
PY

# Pneumonia of unknown cause is left out when causes are learned.
fresh
for file in bad/train/PNEUMONIA/person*_bacteria_*[135].jpeg; do
    mv "$file" "bad/train/PNEUMONIA/scan-${file##*_}"
done
accept "pack: some causes unknown" "$p" pack bad -o cause.h5 --size 32
unknown=$(awk '$2 == "PNEUMONIA" { sum += $NF } END { print sum }' "$logs/out")
((unknown > 0)) || fail "all causes are known: $(cat "$logs/out")"
cause=(train small.ini --data cause.h5 --set data.task=cause)
accept "train: some causes unknown" "$p" "${cause[@]}" --run cause1
known=$(grep -c '^VAL,' cause1/scores.csv)
grep -q " and $known validation images of cause.h5" "$logs/err" || fail "not $known: $(cat "$logs/err")"
many 2 "${cause[@]}" --run cause2
accept "train: some causes unknown, 2 ranks" "${ranked[@]}"
cmp cause1/last.h5 cause2/last.h5 || fail "causes: the ranks changed the model"
rm bad/train/PNEUMONIA/*virus*
accept "pack: no virus" "$p" pack bad -o novirus.h5 --size 32
refuse "train: the causes of a set without virus" 1 '^novirus.h5: the train fold has no image of class virus' \
    "$p" "${cause[@]}" --run run --data novirus.h5
