#!/usr/bin/env bash
# predict writes a row for every file, whatever its content, in order, the same bytes on any number of
# ranks and threads, with the probabilities that training computed from the packed file.
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3
make_data 160
write_small_job
pneumo train small.ini --run run >/dev/null 2>log || fail "$(cat log)"
model=run/best.h5
radiograph=$(find phantoms/train/NORMAL -type f | sort | sed -n 1p)

# predict CODE ARGUMENT...: expects exit code CODE; writes the rows to out and the log to log.
predict() {
    local expected=$1 code=0
    shift
    pneumo predict "$@" >out 2>log || code=$?
    ((code == expected)) || fail "predict $*: exit code $code, not $expected: $(cat log)"
}

# --- A row for every file ---

mkdir -p four/.hidden
echo 'not an image' >four/notes.txt
: >four/empty.jpeg
head -c $(($(stat -c %s "$radiograph") / 2)) "$radiograph" >four/cut.jpeg
cp "$radiograph" four/good.jpeg
cp "$radiograph" four/.hidden/other.jpeg
cp "$radiograph" four/.hidden.jpeg
predict 1 $model four
$python - <<'PY'
import csv
rows = list(csv.reader(open("out", newline="")))
assert rows[0] == ["path", "probability", "label", "refer", "reason", "error"], rows[0]
paths = [row[0] for row in rows[1:]]
assert paths == [f"four/{name}" for name in ("cut.jpeg", "empty.jpeg", "good.jpeg", "notes.txt")]
cut, empty, good, notes = (row[1:] for row in rows[1:])
assert cut[:4] == empty[:4] == notes[:4] == ["", "", "", ""]
assert "cut short" in cut[4] and "empty" in empty[4] and "not a JPEG, PNG or DICOM" in notes[4]
assert 0 <= float(good[0]) <= 1 and good[1] in ("NORMAL", "PNEUMONIA") and good[2] in ("yes", "no")
assert (good[2] == "yes") == (good[3] != "") and good[4] == ""
PY
grep -q "^pneumo-dist: error: 3 of 4 files have no prediction" log || fail "$(cat log)"
grep -qE "^1 image in .*, [0-9.]+ images/s" log || fail "no speed: $(cat log)"

# Named files are read whatever their extension; a missing file has a row too.
mkfifo pipe
cp "$radiograph" radiograph.dat
predict 0 $model radiograph.dat four/.hidden.jpeg
[[ $(wc -l <out) == 3 ]] || fail "$(cat out)"
predict 1 $model radiograph.dat nowhere.png pipe
[[ $(sed -n 3,4p out) == $'nowhere.png,,,,,cannot open: No such file or directory\npipe,,,,,not a regular file' ]] ||
    fail "$(cat out)"

# --- A checkpoint of any name ---

predict 0 $model "$radiograph"
probability=$(sed -n 2p out | cut -d, -f2-)
long=$(printf 'x%.0s' {1..80}).h5
cp $model "$long"
predict 0 "$long" "$radiograph"
[[ $(sed -n 2p out) == "$radiograph,$probability" ]] || fail "by another name: $(cat out)"

# --- Standard input ---

predict 0 $model - <"$radiograph"
[[ $(sed -n 2p out) == "-,$probability" ]] || fail "from a file on standard input: $(cat out)"
cat "$radiograph" | predict 0 $model four/good.jpeg -
[[ $(sed -n 3p out) == "-,$probability" ]] || fail "from a pipe: $(cat out)"
head -c 1000 "$radiograph" | predict 1 $model -
grep "^-,,,,,.*cut short" out >/dev/null || fail "a cut image from a pipe: $(cat out)"
predict 1 $model - </dev/null
grep "^-,,,,,the file is empty" out >/dev/null || fail "nothing on standard input: $(cat out)"
code=0
ranks 2 predict $model - <"$radiograph" >out 2>log || code=$?
[[ $code == 2 ]] && grep -F "'-' reads standard input" log >/dev/null || fail "two ranks: $code $(cat log)"

# --- Order, ranks, threads ---

cp -r phantoms many
find many -type d -exec cp four/empty.jpeg four/notes.txt {} \;
predict 1 $model many --threads 1
mv out one.csv
(cd many && find . -type f | sed 's/^\.//' | LC_ALL=C sort | sed 's/^/many/') >names
cut -d, -f1 one.csv | tail -n +2 | cmp - names || fail "another order"
# Blocks have 64 files with 2 threads, and 80 with 20.
for count in 2 5 20; do
    predict 1 $model many --threads $count
    cmp one.csv out || fail "$count threads: other rows"
done
predict 1 $model many --format jsonl -o new/one.jsonl
[[ ! -s out ]] || fail "rows on standard output in spite of -o"
mv new/one.jsonl .
for count in 1 2 3; do
    code=0
    ranks $count predict $model many --threads 1 >out 2>log || code=$?
    ((code == 1)) || fail "ranks: $count: exit code $code: $(cat log)"
    cmp one.csv out || fail "ranks: $count: other rows"
    rm -f out.jsonl
    code=0
    ranks $count predict $model many --threads 2 --format jsonl -o out.jsonl 2>log || code=$?
    ((code == 1)) || fail "ranks: $count, two threads each: exit code $code: $(cat log)"
    cmp one.jsonl out.jsonl || fail "ranks: $count, two threads each: other rows"
    echo "ranks: $count: the same rows"
done
[[ -z $(find . -name '*.tmp') ]] || fail "left $(find . -name '*.tmp')"

# --- The values ---

$python - <<'PY'
import csv, json

rows = list(csv.DictReader(open("one.csv", newline="")))
# JSON lines have the same content.
lines = [json.loads(line) for line in open("one.jsonl")]
assert len(lines) == len(rows) > 160
for row, line in zip(rows, lines):
    assert list(line) == ["path", "probability", "label", "refer", "reason", "error"]
    bad = row["error"] != ""
    assert line == {"path": row["path"], "probability": None if bad else float(row["probability"]),
                    "label": row["label"] or None, "refer": None if bad else row["refer"] == "yes",
                    "reason": None if bad else row["reason"],
                    "error": row["error"] or None}, (row, line)
# Training computed the same for the images that it scored.
predicted = {row["path"].removeprefix("many/"): row for row in rows if not row["error"]}
compared = 0
for score in csv.DictReader(open("run/scores.csv", newline="")):
    ours = float(predicted[score["name"]]["probability"])
    theirs = float(score["probability"])
    assert abs(ours - theirs) < 1e-6, (score["name"], ours, theirs)
    compared += 1
assert compared > 30 and len({row["probability"] for row in predicted.values()}) > 100
print(f"{compared} probabilities equal those from the packed file")
PY

# The result does not depend on the other images of a batch.
head -n 1 one.csv >expected
grep -F "IM-" one.csv | sed -n 38,40p >>expected
predict 0 $model $(tail -n +2 expected | cut -d, -f1)
$python - <<'PY'
import csv
for a, b in zip(csv.DictReader(open("expected")), csv.DictReader(open("out")), strict=True):
    assert a["path"] == b["path"] and a["label"] == b["label"], (a, b)
    assert abs(float(a["probability"]) - float(b["probability"])) < 1e-6, (a, b)
PY

# The threshold itself means PNEUMONIA, and both ends belong to the band of doubt.
$python - <<'PY'
import csv, h5py, shutil
good = [row for row in csv.DictReader(open("one.csv", newline="")) if not row["error"]]
values = sorted({float(row["probability"]) for row in good})
low, middle, high = (values[len(values) * i // 4] for i in (1, 2, 3))
shutil.copy("run/best.h5", "decided.h5")
with h5py.File("decided.h5", "r+") as file:
    decision = file["decision"].attrs
    for name, value in (("threshold", middle), ("refer_low", low), ("refer_high", high)):
        decision.modify(name, value)
PY
predict 1 decided.h5 many
$python - <<'PY'
import csv, h5py
with h5py.File("decided.h5") as file:
    low, middle, high = (file["decision"].attrs[name]
                         for name in ("refer_low", "threshold", "refer_high"))
seen = set()
for row in csv.DictReader(open("out", newline="")):
    if row["error"]:
        continue
    p = float(row["probability"])
    assert row["label"] == ("PNEUMONIA" if p >= middle else "NORMAL"), row
    assert row["refer"] == ("yes" if low <= p <= high else "no"), row
    assert row["reason"] == (f"in doubt: probability {p:.4g} lies in the band {low:.4g} to "
                             f"{high:.4g}" if low <= p <= high else ""), row
    seen |= {p} & {low, middle, high}
assert len(seen) == 3
PY

# --- Names with arbitrary bytes ---

mkdir odd
for name in 'a,b.jpeg' 'say "ah".jpeg' $'two\nlines.jpeg' $'caf\xe9.jpeg' 'über.jpeg' $'tab\there.jpeg'; do
    cp "$radiograph" "odd/$name"
done
predict 0 $model odd
predict 0 $model odd -o odd.csv
predict 0 $model odd --format jsonl -o odd.jsonl
$python - <<'PY'
import csv, json, os
names = sorted(b"odd/" + name for name in os.listdir(b"odd"))
rows = list(csv.DictReader(open("odd.csv", newline="", errors="surrogateescape")))
assert [os.fsencode(row["path"]) for row in rows] == names, rows
lines = [json.loads(line) for line in open("odd.jsonl", encoding="utf-8")]
assert [line["path"] for line in lines] == [name.replace(b"\xe9", b"?").decode() for name in names]
assert len({row["probability"] for row in rows}) == 1
PY
