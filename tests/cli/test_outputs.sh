#!/usr/bin/env bash
# What a command writes never replaces what it reads, nor a file of another kind.
. "$(dirname "$0")/common.sh"
logs=$(mktemp -d)
trap 'rm -rf "$here" "$logs"' EXIT

# refuse REGEX ARGUMENT...: expects exit code 1, that line, and no file created, changed or removed.
refuse() {
    local regex=$1 code=0 before
    shift
    before=$(contents)
    pneumo "$@" >"$logs/out" 2>"$logs/log" || code=$?
    ((code == 1)) || fail "$*: exit code $code: $(cat "$logs/log")"
    grep -qE "^pneumo-dist: error: $regex" "$logs/log" || fail "$*: does not match '$regex': $(cat "$logs/log")"
    [[ ! -s $logs/out ]] || fail "$*: results despite a failure: $(cat "$logs/out")"
    [[ $before == "$(contents)" ]] || fail "$*: files: $(diff <(echo "$before") <(contents))"
}
contents() {
    find "$here" -type f -exec sha256sum {} + -o -type l -printf '%p -> %l\n' | sort
}

make_data 80
cat >small.ini <<'INI'
[data]
file = data.h5
size = 32
[model]
name = mlp2
hidden = 8
[train]
epochs = 1
batch = 16
INI
pneumo train small.ini --run good >/dev/null 2>&1
pneumo train small.ini --run more --seed 2 >/dev/null 2>&1
radiograph=$(find phantoms/train/NORMAL -type f | sort | sed -n 1p)
cp "$radiograph" one.jpeg
best=good/best.h5
mine=': is an input of this command and would be overwritten; give another file$'
twice=': is given for two outputs; give each a file of its own$'

other() { echo ": exists, but is not a readable pneumo-dist $1; give another file, or remove it first$"; }

# --- Inputs ---

refuse "$radiograph$(other 'data set')" pack phantoms -o "$radiograph" --size 32
refuse "$best$(other 'data set')" pack phantoms -o $best --size 32
(cd phantoms/train && find . -name '*.jpeg' -printf '%P\n' | sed 's|\(.*\)/.*|&,\1|' | sed '1i path,label') >labels.csv
refuse "labels.csv$mine" pack phantoms/train -o labels.csv --labels labels.csv --size 32
refuse "one.jpeg$mine" predict $best one.jpeg -o one.jpeg
refuse "./one.jpeg$mine" predict $best one.jpeg -o ./one.jpeg
refuse "$radiograph$mine" predict $best phantoms -o "$radiograph"
refuse "$best$mine" predict $best one.jpeg -o $best
ln -s ../$best phantoms/link.h5
refuse "phantoms/link.h5$mine" predict $best one.jpeg -o phantoms/link.h5
rm phantoms/link.h5
cp data.h5 copy.h5
for option in -o --html --card --scores; do
    refuse "$best$mine" evaluate $best $option $best
    refuse "data.h5$mine" evaluate $best $option data.h5
    refuse "data.h5$mine" evaluate $best --data data.h5 $option data.h5
    refuse "data.h5$mine" evaluate $best more/best.h5 --data copy.h5 $option data.h5
done
refuse "more/best.h5$mine" evaluate $best more/best.h5 -o more/best.h5
refuse "$best$mine" import $best -o $best
cp $best like.h5
refuse "like.h5$mine" import $best --like like.h5 -o like.h5
cp $best model.weights.h5
refuse "model.weights.h5$mine" export model.weights.h5 -o model.weights.h5
pneumo synth elsewhere --images 80 --seed 9 2>/dev/null
folders=(--normal elsewhere/train/NORMAL --pneumonia elsewhere/train/PNEUMONIA)
refuse "$best$mine" calibrate $best "${folders[@]}" -o $best
refuse "$radiograph$(other checkpoint)" calibrate $best "${folders[@]}" -o "$radiograph"
refuse "data.h5$(other checkpoint)" calibrate $best -d data.h5 -o data.h5
refuse "more/best.h5$mine" ensemble good more -o more/best.h5
refuse "data.h5$(other ensemble)" ensemble good more -o data.h5
refuse "good/report.json$mine" compare good more --csv good/report.json
refuse "more/scores.csv$mine" compare good more --html more/scores.csv

# --- Two outputs ---

refuse "x$twice" evaluate $best -o x --html x
refuse "(./x|x)$twice" evaluate $best --scores x --card ./x
refuse "x$twice" compare good more --csv x --html x

# --- Standard output ---

pneumo predict $best one.jpeg >rows 2>/dev/null
pneumo predict $best one.jpeg -o - 2>/dev/null | cmp - rows || fail "predict -o -"
pneumo evaluate $best -o figures >table 2>/dev/null
[[ -s table ]] && ! grep -q '^{' table || fail "no table: $(cat table)"
pneumo evaluate $best -o - 2>/dev/null >figures-out
/usr/bin/python3 -c "import json; json.load(open('figures-out'))" || fail "evaluate -o -: $(head -3 figures-out)"
pneumo evaluate $best --scores scores >/dev/null 2>&1
pneumo evaluate $best --scores - 2>/dev/null | cmp - scores || fail "evaluate --scores -"
for format in csv html; do
    pneumo compare good more --$format compared >/dev/null
    pneumo compare good more --$format - | cmp - compared || fail "compare --$format -"
done
refuse "-$twice" evaluate $best -o - --scores -
for words in "pack phantoms -o" "train small.ini --run" "import $best -o" "export $best -o" "explain $best one.jpeg -o" \
    "ensemble good more -o" "calibrate $best -d data.h5 -o"; do
    code=0
    # shellcheck disable=SC2086 # words
    pneumo $words - >"$logs/out" 2>"$logs/log" || code=$?
    ((code == 2)) && grep -qE 'error: --(output|run) -: cannot be written to standard output; give a name' "$logs/log" ||
        fail "$words -: $code: $(cat "$logs/log")"
done
[[ ! -e - ]] || fail "a file named -"
pneumo predict $best one.jpeg -o ./- 2>/dev/null && cmp ./- rows || fail "predict -o ./-"
rm -- ./- rows figures figures-out table scores compared

# --- What may be replaced ---

: >empty.h5
for output in data.h5 empty.h5; do
    pneumo pack phantoms -o $output --size 32 >/dev/null 2>&1 || fail "pack does not replace $output"
done
cmp data.h5 empty.h5
pneumo pack phantoms -o data.h5 --size 32 --append data.h5 >/dev/null 2>"$logs/log" && fail "images were appended twice"
grep -q "contains no new readable image" "$logs/log" || fail "pack --append to itself: $(cat "$logs/log")"
for _ in 1 2; do
    pneumo predict $best one.jpeg -o rows.csv 2>/dev/null || fail "predict does not replace its rows"
    pneumo evaluate $best -o figures.json >/dev/null 2>&1 || fail "evaluate does not replace its figures"
    pneumo calibrate $best "${folders[@]}" -o site.h5 >/dev/null 2>&1 || fail "calibrate does not replace a checkpoint"
    pneumo ensemble good more -o average.h5 >/dev/null 2>&1 || fail "ensemble does not replace an average"
    pneumo import $best -o imported.h5 >/dev/null 2>&1 || fail "import does not replace a checkpoint"
    pneumo export $best -o out.weights.h5 >/dev/null 2>&1 || fail "export does not replace a file"
    pneumo compare good more --csv table.csv --html table.html >/dev/null 2>&1 || fail "compare does not replace tables"
done

# --- Links ---

# What a link leads to is written, and the link stays.
mkdir far
ln -s far/second first
ln -s file far/second
for output in data rows; do
    rm -f far/file
    case $output in
    data) pneumo pack phantoms -o first --size 32 >/dev/null 2>&1 && cmp far/file data.h5 ;;
    rows) pneumo predict $best one.jpeg -o first 2>/dev/null && cmp far/file rows.csv ;;
    esac || fail "$output: not written to the link's target"
    [[ -L first && -L far/second && $(ls -A far) == $'file\nsecond' ]] || fail "$output: $(ls -lA . far)"
done
# Standard output by its path cannot be replaced, and is not, whatever it is.
ln -s /proc/self/fd/1 out-link
to_file() { pneumo predict $best one.jpeg -o out-link >out-file; }
to_pipe() { pneumo predict $best one.jpeg -o out-link | cat >out-file; }
for target in file pipe; do
    code=0
    to_$target 2>"$logs/log" || code=$?
    ((code == 1)) && [[ -L out-link && $(wc -l <"$logs/log") == 1 ]] || fail "$target: $code: $(cat "$logs/log")"
    grep -qE '^pneumo-dist: error: out-link: cannot write: it (stands for an open file|is not a regular file)' "$logs/log" ||
        fail "$target: $(cat "$logs/log")"
    [[ ! -s out-file ]] || fail "rows were written: $(cat out-file)"
done
rm first out-link out-file

echo "outputs: inputs and files of another kind are kept"
